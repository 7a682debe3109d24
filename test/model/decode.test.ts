import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { raw, type Untrusted } from '../../src/model/untrusted.ts'
import { decodeRow } from '../../src/server/decode.ts'
import { pgbouncerFacts } from '../../src/server/facts.ts'
import { type Kind, query } from '../../src/sql/query.ts'

function decoded(kind: Kind, wire: string | null | undefined): unknown {
  const q = query({ id: 'q', on: 'postgres', every: 'tick', variants: [{ from: 0, text: '' }], columns: { value: kind } })
  return decodeRow(q, { value: wire }).value
}
const utf8 = (bytes: readonly number[]) => raw(decoded('utf8', `\\x${Buffer.from(bytes).toString('hex')}`) as Untrusted)

describe('kinds', () => {
  test.each<[Kind, string, unknown]>([
    ['int', '-7', -7],
    ['num', '0.25', 0.25],
    ['num', '1e-7', 1e-7],
    ['big', '9223372036854775807', 9223372036854775807n],
    ['big', '-9007199254740993', -9007199254740993n],
    ['big', '12.75', 12n],
    ['bool', 't', true],
    ['bool', 'f', false],
    ['bool', '1', true],
    ['bool', '0', false],
    ['ints', '{}', []],
    ['ints', '{4711,0,4711}', [4711, 0, 4711]],
    ['text', '', ''],
    ['text', 'as \u001b[2J it is', 'as \u001b[2J it is'],
    ['lsn', '0/3000060', 0x3000060n],
  ])('%s %s', (kind, wire, value) => expect(decoded(kind, wire)).toEqual(value))

  test('a position beyond 2^53 keeps every byte', () => {
    expect(decoded('lsn', 'FFFFFFFF/FFFFFFFF')).toBe(0xffffffffffffffffn)
    expect(decoded('lsn', '200000/1')).toBe(2n ** 53n + 1n)
  })

  test('what is no number is none, and never 0', () => {
    for (const wire of ['', ' ', 'NaN', 'Infinity', '-Infinity', 'seven', '0x10']) {
      expect(decoded('num', wire), wire).toBeNull()
      expect(decoded('int', wire), wire).toBeNull()
    }
    for (const wire of ['', 'NaN', 'x1']) expect(decoded('big', wire), wire).toBeNull()
    expect(decoded('lsn', 'nowhere')).toBeNull()
  })
})

describe('columns', () => {
  const q = query({
    id: 'mixed',
    on: 'pgbouncer',
    every: 'tick',
    columns: { name: 'text!', size: 'int', since: 'num' },
    variants: [{ from: 0, text: '' }],
  })

  test('are exactly those declared: one not sent is null, one not asked for is left out', () => {
    expect(decodeRow(q, { name: 'app', size: '3', novelty: 'x' })).toEqual({ name: 'app', size: 3, since: null })
  })

  test('one that may not be missing makes the row worthless', () => {
    expect(() => decodeRow(q, { size: '3' })).toThrow('mixed: column name came back without a value')
    expect(() => decodeRow(q, { name: null })).toThrow('mixed: column name')
  })
})

describe('text cut by bytes on the server', () => {
  test('a character cut in the middle at the end is left off', () => {
    const bytes = [...Buffer.from('aé漢😀é')]
    const whole = [0, 1, 3, 6, 10, 12]
    for (let end = 0; end <= bytes.length; end++) {
      const shown = utf8(bytes.slice(0, end))
      expect('aé漢😀é'.startsWith(shown), `${end} bytes`).toBe(true)
      expect(Buffer.byteLength(shown), `${end} bytes`).toBe(whole.findLast(n => n <= end))
    }
  })

  test('what was never UTF-8 becomes U+FFFD and nothing around it is lost', () => {
    expect(utf8([0x61, 0xff, 0x62])).toBe('a\ufffdb')
    expect(utf8([0x63, 0xe9, 0x74, 0x65])).toBe('c\ufffdte')
    expect(utf8([0x80, 0x80, 0x80, 0x80])).toBe('\ufffd\ufffd\ufffd\ufffd')
  })

  test('any text cut anywhere begins like the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), fc.nat(40), (text, end) => {
        const whole = text.toWellFormed()
        expect(whole.startsWith(utf8([...Buffer.from(whole)].slice(0, end)))).toBe(true)
      }),
    )
  })

  test('an empty one is empty, a NULL is null', () => {
    expect(utf8([...Buffer.from(`ALTER ROLE app PASSWORD 's3cr3t' VALID UNTIL 'infinity'`)])).toBe(
      `ALTER ROLE app PASSWORD '***' VALID UNTIL 'infinity'`,
    )
    expect(decoded('utf8', '\\x')).toBe('')
    expect(decoded('utf8', null)).toBeNull()
  })
})

describe('facts of a PgBouncer', () => {
  const limit = (value: string) => [{ key: 'max_client_conn', value }]
  test.each([
    [[{ version: 'PgBouncer 1.24.1' }], limit('100'), 12401, 100],
    [[{ version: 'PgBouncer (devel)' }], limit('many'), 10000, null],
    [[], [], 10000, null],
  ])('%j %j', (version, config, number, connections) => {
    expect(pgbouncerFacts(version, config)).toMatchObject({ version: number, usableConnections: connections })
  })
})
