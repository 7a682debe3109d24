// Alerts as events: one beginning and one end, however a figure sways.

import { expect, test } from 'vitest'
import { createAlarm } from '../../src/alarm.ts'
import { showPools } from '../../src/sql/pgbouncer.ts'
import type { State } from '../../src/store/state.ts'
import { cluster, later, pooler, rows } from '../support/doable.ts'

const at = (state: State, seconds: number) => later(seconds * 1000)(state)

test('begins when it was seen twice, is told once, and ends when it has been gone for half a minute', () => {
  const bad = cluster()
  const well = rows(pooler, showPools, {}, { maxwait: 0, maxwait_us: 0, cl_waiting: 0 })(bad)
  const alarm = createAlarm()
  const told = (state: State, seconds: number) =>
    alarm(at(state, seconds))
      .filter(({ server, say }) => server === pooler && /wait/.test(say))
      .map(({ kind, level }) => `${kind} ${level}`)
  expect(told(bad, 0)).toEqual([])
  expect(told(bad, 0.1), 'not looked at again within an interval').toEqual([])
  expect(told(bad, 1)).toEqual([expect.stringMatching(/^alert (warning|critical)$/)])
  expect(told(bad, 2)).toEqual([])
  expect(told(well, 3)).toEqual([])
  expect(told(bad, 10)).toEqual([])
  expect(told(well, 11)).toEqual([])
  expect(told(well, 39)).toEqual([])
  expect(told(well, 41)).toEqual(['alert-over ok'])
  expect(told(well, 60)).toEqual([])
})

test('of another cluster nothing is told as over', () => {
  const alarm = createAlarm()
  const bad = cluster()
  alarm(at(bad, 0))
  expect(alarm(at(bad, 1)).length).toBeGreaterThan(0)
  const other = { ...bad, order: [], servers: {}, settings: { ...bad.settings, cluster: 'other' } }
  expect(alarm(at(other, 60))).toEqual([])
})
