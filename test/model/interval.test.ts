import { expect, test } from 'vitest'
import { intervalSeconds } from '../../src/model/interval.ts'

test.each<[string, number | null]>([
  ['7 days', 604_800],
  ['1 day', 86_400],
  ['1 mon', 2_592_000],
  ['1 month', 2_592_000],
  ['3 mons', 7_776_000],
  ['1 year 2 mons', 31_557_600 + 5_184_000],
  ['2 weeks', 1_209_600],
  ['01:00:00', 3600],
  ['1 day 02:03:04.5', 86_400 + 7384.5],
  ['-00:30:00', -1800],
  ['12 hours', 43_200],
  ['90 minutes', 5400],
  ['soon', null],
  ['', null],
])('%s', (text, seconds) => {
  expect(intervalSeconds(text)).toBe(seconds)
})
