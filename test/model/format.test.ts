import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as format from '../../src/model/format.ts'

type Case = readonly [name: string, got: string, expected: string]

const { bytes, byteRate, count, compact, rate, percent, duration, lag, ageMs, clock, lsn, parseLsn, meter, perSecond } = format

const k = 1024
const cases: Case[] = [
  ...(
    [
      [0, '0 B'],
      [999, '999 B'],
      [1000, '1.0 kB'],
      [1023, '1.0 kB'],
      [1024, '1.0 kB'],
      [1229, '1.2 kB'],
      [99.94 * k, '99.9 kB'],
      [99.96 * k, '100 kB'],
      [999.4 * k, '999 kB'],
      [999.6 * k, '1.0 MB'],
      [31.94 * k ** 2, '31.9 MB'],
      [4.5 * k ** 3, '4.5 GB'],
      [2 ** 63, '8.0 EB'],
      [-1229, '-1.2 kB'],
      [-0.2, '0 B'],
      [0n, '0 B'],
      [(1n << 64n) - 1n, '16.0 EB'],
    ] as const
  ).map(([n, text]) => [`bytes(${n})`, bytes(n), text] as const),
  ['byteRate', byteRate(1229), '1.2 kB/s'],
  ...(
    [
      [0, '0'],
      [999, '999'],
      [1000, '1 000'],
      [1234567, '1 234 567'],
      [-1234, '-1 234'],
      [-123, '-123'],
      [18446744073709551615n, '18 446 744 073 709 551 615'],
    ] as const
  ).map(([n, text]) => [`count(${n})`, count(n), text] as const),
  ...(
    [
      [0, '0'],
      [999, '999'],
      [999.6, '1.0k'],
      [1000, '1.0k'],
      [1234, '1.2k'],
      [31_900, '31.9k'],
      [99_950, '100k'],
      [999_499, '999k'],
      [999_500, '1.0M'],
      [1_234_567n, '1.2M'],
      [-4500, '-4.5k'],
    ] as const
  ).map(([n, text]) => [`compact(${n})`, compact(n), text] as const),
  ...(
    [
      [0, '0/s'],
      [0.001, '<0.1/s'],
      [0.05, '0.1/s'],
      [0.44, '0.4/s'],
      [3, '3.0/s'],
      [9.94, '9.9/s'],
      [9.96, '10/s'],
      [12.3, '12/s'],
      [1234, '1.2k/s'],
    ] as const
  ).map(([n, text]) => [`rate(${n})`, rate(n), text] as const),
  ...(
    [
      [0, '0%'],
      [0.0001, '<0.1%'],
      [0.0006, '0.1%'],
      [0.05, '5.0%'],
      [0.993, '99.3%'],
      [0.9996, '99.9%'],
      [0.99999999, '99.9%'],
      [1, '100%'],
      [1.00001, '100.1%'],
      [1.25, '125.0%'],
    ] as const
  ).map(([n, text]) => [`percent(${n})`, percent(n), text] as const),
  ...(
    [
      [0, '0.0s'],
      [-3, '0.0s'],
      [0.3, '0.3s'],
      [0.39, '0.3s'],
      [9.99, '9.9s'],
      [10, '10s'],
      [12.9, '12s'],
      [59.99, '59s'],
      [60, '1m00s'],
      [252, '4m12s'],
      [3599.9, '59m59s'],
      [3600, '1h00m'],
      [3720, '1h02m'],
      [86399, '23h59m'],
      [86400, '1d00h'],
      [273_600, '3d04h'],
      [86400 * 1234, '1234d00h'],
    ] as const
  ).map(([n, text]) => [`duration(${n})`, duration(n), text] as const),
  ...(
    [
      [null, '–'],
      [0, '0.0s'],
      [9.99, '9.9s'],
      [10, '10.0s'],
      [24.98, '24.9s'],
      [59.99, '59.9s'],
      [60, '1m00s'],
    ] as const
  ).map(([n, text]) => [`lag(${n})`, lag(n), text] as const),
  ['ageMs', ageMs(12_345), '12s'],
  ['ageMs', ageMs(7_990), '7s'],
  ['ageMs', ageMs(-5), '0s'],
  ['clock UTC', clock(Date.UTC(2024, 1, 29, 0, 2, 33, 999), 'UTC'), '00:02:33'],
  ['clock in a zone', clock(Date.UTC(2024, 6, 1, 22, 2, 33), 'Europe/Berlin'), '00:02:33'],
  ['clock beyond time', clock(1e20, 'UTC'), '–'],
  ['lsn', lsn(0x3000060n), '0/3000060'],
  ['lsn high', lsn(0xffffffff_ffffffffn), 'FFFFFFFF/FFFFFFFF'],
  ['lsn zero', lsn(0n), '0/0'],
  ...(
    [
      [0, 8, 10, '[        ]'],
      [4, 8, 10, '[||||    ]'],
      [8, 8, 10, '[||||||||]'],
      [9, 8, 10, '[||||||||]'],
      [0.01, 8, 10, '[|       ]'],
      [7.99, 8, 10, '[||||||| ]'],
      [-1, 8, 10, '[        ]'],
      [1, 2, 3, '[|]'],
      [1, 2, 2, '  '],
      [1, 2, 0, ''],
      [null, 8, 6, '[–   ]'],
      [3, null, 6, '[–   ]'],
      [3, 0, 6, '[–   ]'],
    ] as const
  ).map(([used, total, cells, text]) => [`meter(${used}, ${total}, ${cells})`, meter(used, total, cells), text] as const),
]

test.each(cases)('%s is %s', (_, got, expected) => {
  expect(got).toBe(expected)
})

test('what we do not have is a dash, never 0', () => {
  for (const text of [bytes, byteRate, count, compact, rate, percent, duration, lag, ageMs, clock]) {
    for (const nothing of [null, undefined, Number.NaN, Number.POSITIVE_INFINITY]) expect(text(nothing)).toBe('–')
  }
  expect(lsn(null)).toBe('–')
})

test('the local time zone is the default', () => {
  const moment = new Date(2024, 5, 1, 14, 2, 33)
  expect(clock(moment.getTime())).toBe('14:02:33')
})

test('no number is longer than its column', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.double({ min: 0, max: 2 ** 63, noNaN: true }),
        fc.double({ min: 0, max: 1e5, noNaN: true }),
        fc.bigInt(0n, 1n << 63n),
      ),
      n => {
        expect(bytes(n)).toMatch(/^(\d{1,3}|\d{1,2}\.\d) [kMGTPE]?B$/)
        expect(compact(n)).toMatch(/^(\d{1,3}|\d{1,2}\.\d)[kMGTPE]?$/)
        expect(rate(Number(n)).length).toBeLessThanOrEqual(7)
      },
    ),
  )
})

describe('parseLsn', () => {
  test('reads back every position exactly', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, (1n << 64n) - 1n), position => {
        expect(parseLsn(lsn(position))).toBe(position)
      }),
    )
    expect(parseLsn('16/B374D848')).toBe(0x16_b374d848n)
    expect(parseLsn('0/03000060')).toBe(0x3000060n)
  })

  test.each([null, undefined, '', '0', '0/', '/0', '0/0 ', 'g/0', '123456789/0', '0/0/0'])('%s is none', text => {
    expect(parseLsn(text)).toBeNull()
  })
})

describe('perSecond', () => {
  test('divides an exact difference, however large the counters', () => {
    expect(perSecond(9007199254740993n, 9007199254740992n, 0.5)).toBe(2)
    expect(perSecond(5n, 5n, 1)).toBe(0)
  })

  test.each([
    ['no reading', null, 5n, 1],
    ['no reading before', 5n, null, 1],
    ['reset', 4n, 5n, 1],
    ['no time', 6n, 5n, 0],
    ['a clock that went back', 6n, 5n, -1],
    ['no clock', 6n, 5n, Number.NaN],
  ] as const)('%s gives null', (_, current, previous, seconds) => {
    expect(perSecond(current, previous, seconds)).toBeNull()
  })
})
