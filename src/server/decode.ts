// Wire text to values, by the kinds that a query declares; never by what the driver thinks of an OID.

import { parseLsn } from '../model/format.ts'
import { withoutPasswords } from '../model/redact.ts'
import type { Columns, Kind, Query, Untrusted } from '../sql/query.ts'

type WireValue = string | null | undefined
export type DecodedRow = Readonly<Record<string, unknown>>

/** Hands every value on as the text that the server sent. */
export const textOnly = { getTypeParser: () => (value: string) => value }

/**
 * One row with exactly the declared columns; a column that the server did not send is null (PgBouncer's columns differ by version).
 * Throws when a column declared as never NULL is missing or NULL: then the row means nothing. A number that is none is null.
 */
export function decodeRow(query: Query, wire: Readonly<Record<string, WireValue>>): DecodedRow {
  const row: Record<string, unknown> = {}
  const columns: Columns = query.columns
  for (const name in columns) {
    const kind = columns[name] as Kind
    const text = wire[name] ?? null
    const value = text === null ? null : decodeValue(kind, text)
    if (value === null && kind.endsWith('!')) throw new Error(`${query.id}: column ${name} came back without a value`)
    row[name] = value
  }
  return row
}

function decodeValue(kind: Kind, text: string): unknown {
  switch (kind) {
    case 'int':
    case 'int!':
    case 'num':
    case 'num!':
      return finite(text)
    case 'big':
    case 'big!':
      return whole(text)
    case 'bool':
    case 'bool!':
      return text === 't' || text === 'true' || text === '1'
    case 'lsn':
    case 'lsn!':
      return parseLsn(text)
    case 'ints':
    case 'ints!':
      return text === '{}' ? [] : text.slice(1, -1).split(',').map(Number)
    case 'utf8':
    case 'utf8!':
      return untrustedBytes(text)
    case 'text':
    case 'text!':
      return text
  }
}

/** A decimal number, or null for what is none: an empty text, and NaN and the infinities of float8, have no place in a figure. */
function finite(text: string): number | null {
  return /^-?[\d.]/.test(text) && !/^0x/.test(text) && Number.isFinite(Number(text)) ? Number(text) : null
}

/** int8, xid or numeric; a fraction is left off. */
function whole(text: string): bigint | null {
  const digits = /^-?\d+/.exec(text)
  return digits ? BigInt(digits[0]) : null
}

const untrustedBytes = (hex: string) => wholeText(Buffer.from(hex.startsWith('\\x') ? hex.slice(2) : '', 'hex'))

/** encode(bytes, 'escape') to text: \\ is a backslash, \ooo the byte of that octal number. As for bytea in hex format otherwise. */
export function escapedBytes(escaped: string): Untrusted {
  if (!escaped.includes('\\')) return withoutPasswords(escaped) as unknown as Untrusted
  const latin1 = escaped.replace(/\\(?:\\|([0-3][0-7]{2}))/g, (_, octal?: string) =>
    octal === undefined ? '\\' : String.fromCharCode(Number.parseInt(octal, 8)),
  )
  return wholeText(Buffer.from(latin1, 'latin1'))
}

/** Bytes to text, without the passwords in it: statements come as they were typed. A character cut in the middle at the end is left off; broken sequences become U+FFFD. */
function wholeText(bytes: Buffer): Untrusted {
  let end = bytes.length
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back] as number
    if (byte < 0x80) break
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
      if (back < length) end = bytes.length - back
      break
    }
  }
  return withoutPasswords(bytes.toString('utf8', 0, end)) as unknown as Untrusted
}
