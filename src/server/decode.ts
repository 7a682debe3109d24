// Wire text to values, by the kinds that a query declares; never by what the driver thinks of an OID.

import type { Columns, Kind, Query, Untrusted } from '../sql/query.ts'

type WireValue = string | null | undefined
export type DecodedRow = Readonly<Record<string, unknown>>

/** Hands every value on as the text that the server sent. */
export const textOnly = { getTypeParser: () => (value: string) => value }

/**
 * One row with exactly the declared columns; a column that the server did not send is null (PgBouncer's columns differ by version).
 * Throws when a column declared as never NULL is missing or NULL: then the query, not the server, is wrong.
 */
export function decodeRow(query: Query, wire: Readonly<Record<string, WireValue>>): DecodedRow {
  const row: Record<string, unknown> = {}
  const columns: Columns = query.columns
  for (const name in columns) {
    const kind = columns[name] as Kind
    const value = wire[name] ?? null
    if (value === null && kind.endsWith('!')) throw new Error(`${query.id}: column ${name} came back without a value`)
    row[name] = value === null ? null : decodeValue(kind, value)
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
      return BigInt(text.includes('.') ? text.slice(0, text.indexOf('.')) : text)
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

/** A number, or null for what is none (NaN and the infinities of float8 have no place in a figure). */
function finite(text: string): number | null {
  const value = Number(text)
  return Number.isFinite(value) ? value : null
}

function parseLsn(text: string): bigint {
  const [high = '0', low = '0'] = text.split('/')
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}

/** bytea in hex format to text. A character cut in the middle at the end is left off; broken sequences become U+FFFD. */
function untrustedBytes(hex: string): Untrusted {
  const bytes = Buffer.from(hex.startsWith('\\x') ? hex.slice(2) : '', 'hex')
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
  return bytes.toString('utf8', 0, end) as unknown as Untrusted
}
