// Beginnings and ends of alerts: one that comes and goes is one.

import { describe, expect, test } from 'vitest'
import { type Alerts, alertsOf, quietMs } from '../../src/checks/alerts.ts'
import type { Finding, Level } from '../../src/checks/check.ts'
import { checkNamed } from '../support/checks.ts'

const finding = (level: Level, change: Partial<Finding> = {}): Finding => ({
  check: checkNamed('replication_lag'),
  server: 'a',
  object: 's1',
  level,
  say: `it is ${level}`,
  ...change,
})

/** Looks a second apart, each with the level of one finding (null: none at all): what was told, as "3 begun". */
function story(levels: readonly (Level | null)[], stepMs = 1000): readonly string[] {
  let alerts: Alerts = {}
  return levels.flatMap((level, i) => {
    const look = { at: i * stepMs, findings: level === null ? [] : [finding(level)] }
    const next = alertsOf(alerts, look)
    alerts = next.alerts
    return next.changes.map(({ kind, alert }) => `${i} ${kind} ${alert.level}`)
  })
}

describe('an alert', () => {
  test('begins with the second look that finds it, and ends when it has been gone for a while', () => {
    expect(story(['ok', 'warning', 'warning', 'warning', 'ok'], quietMs)).toEqual(['2 begun warning', '4 ended warning'])
  })

  test('a figure that is over its threshold once is none', () => {
    expect(story(['ok', 'warning', 'ok', 'warning', 'ok', null, 'critical', null])).toEqual([])
  })

  test('a figure that sways about its threshold is one alert, not many', () => {
    expect(story(['warning', 'warning', 'ok', 'warning', 'ok', 'ok', 'warning', 'ok', 'warning', 'warning'])).toEqual([
      '1 begun warning',
    ])
  })

  test('becoming critical is told once, and stepping down is no news until it ends', () => {
    const levels: Level[] = ['warning', 'warning', 'critical', 'warning', 'critical', 'critical', 'warning', 'ok']
    expect(story(levels, quietMs)).toEqual(['1 begun warning', '2 worse critical', '7 ended critical'])
  })

  test('what can not be looked at is neither over nor new', () => {
    const levels: Level[] = ['warning', 'warning', 'unknown', 'unknown', 'unknown', 'warning', 'ok']
    expect(story(levels, quietMs)).toEqual(['1 begun warning', '6 ended warning'])
    expect(story(['unknown', 'unknown'])).toEqual([])
  })

  test('of each server and object its own, with when it was first seen', () => {
    const both = [finding('warning'), finding('critical', { object: 's2' })]
    const first = alertsOf({}, { at: 1000, findings: both })
    const second = alertsOf(first.alerts, { at: 2000, findings: both })
    expect(second.changes.map(({ alert }) => [alert.object, alert.level, alert.since])).toEqual([
      ['s1', 'warning', 1000],
      ['s2', 'critical', 1000],
    ])
    const third = alertsOf(second.alerts, { at: 2000 + quietMs, findings: [finding('warning')] })
    expect(third.changes.map(({ kind, alert }) => [kind, alert.object])).toEqual([['ended', 's2']])
  })
})
