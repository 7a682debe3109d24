import fc from 'fast-check'
import { expect, test } from 'vitest'
import { jsonText } from '../../src/model/json.ts'
import { untrusted } from '../../src/model/untrusted.ts'

test('integers of any size, no NaN, no undefined', () => {
  expect(jsonText({ lsn: 2n ** 64n - 1n, delta: -3n, ratio: Number.NaN, lag: Number.POSITIVE_INFINITY, none: undefined })).toBe(
    '{"lsn":18446744073709551615,"delta":-3,"ratio":null,"lag":null}',
  )
  expect(jsonText(undefined)).toBe('null')
})

test('raw text, with what is not printable escaped', () => {
  expect(jsonText(untrusted('a\x1b]0;\x07\x7f\u009b\u202e\u2028\u00a0\ufeff\ud800\ue000\u0378\u{e0041}é漢😀'))).toBe(
    '"a\\u001b]0;\\u0007\\u007f\\u009b\\u202e\\u2028\\u00a0\\ufeff\\ud800\\ue000\\u0378\\udb40\\udc41é漢😀"',
  )
  expect(jsonText({ 'a\u009b': 1 })).toBe('{"a\\u009b":1}')
})

test('indents with line breaks of our own', () => {
  expect(jsonText({ a: ['x\ny'] }, 2)).toBe('{\n  "a": [\n    "x\\ny"\n  ]\n}')
})

test('reads back as the same text, and holds nothing a terminal acts on', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map(unit => String.fromCharCode(unit)) }),
      fc.string({ unit: 'binary' }),
      (one, two) => {
        const text = jsonText({ one, two })
        expect(JSON.parse(text)).toEqual({ one, two })
        expect(text).not.toMatch(/[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u)
      },
    ),
    { numRuns: 300 },
  )
})
