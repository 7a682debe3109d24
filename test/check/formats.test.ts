// What `check` prints, and what it ends with.

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { checkList, checkPlan } from '../../src/check.ts'
import { exitCode, type Format, formatted } from '../../src/check-formats.ts'
import type { Finding } from '../../src/checks/check.ts'
import { checksMarkdown } from '../../src/checks/help.ts'
import { checks } from '../../src/checks/index.ts'
import { defaultThresholds } from '../../src/model/thresholds.ts'
import { checkNamed } from '../support/checks.ts'
import { noon } from '../support/state.ts'

const finding = (id: string, level: Finding['level'], change: Partial<Finding> = {}): Finding => ({
  check: checkNamed(id),
  server: 'pg1:5432',
  level,
  say: `${id} is ${level}`,
  ...change,
})
const ok = finding('connections', 'ok', { figure: 12.5 })
const late = finding('replication_lag', 'warning', {
  server: 'pg2:5432',
  object: 'pg2:5432',
  figure: 12.25,
  say: 'lags 12.2s',
  remedy: 'see 3',
})
const gone = finding('replication_state', 'critical', { object: 'slot one', say: 'standby disconnected' })
const hidden = finding('sequences', 'unknown', { remedy: 'GRANT pg_read_all_data TO mon;' })
const silent = [
  finding('connectivity', 'unknown', { server: 'pg3', say: 'is DENIED: no password', unasked: true }),
  finding('settings', 'unknown', { server: 'pg3', say: 'not asked: DENIED', unasked: true }),
  finding('connections', 'unknown', { server: 'pg3', say: 'not asked: DENIED', unasked: true }),
]

const print = (format: Format, findings: readonly Finding[], ascii = false) =>
  formatted({ cluster: 'shop', at: noon, findings, thresholds: defaultThresholds, notes: [] }, format, ascii)

test('exit codes: the worst counts, and what only a privilege is missing for raises none', () => {
  expect(exitCode([ok])).toBe(0)
  expect(exitCode([ok, hidden])).toBe(0)
  expect(exitCode([ok, late, hidden])).toBe(1)
  expect(exitCode([late, ...silent])).toBe(3)
  expect(exitCode([gone, late, ...silent])).toBe(2)
})

describe('text', () => {
  test('the worst first, each with its mark and what to do; a silent server is one line beside its own', () => {
    expect(print('text', [ok, late, gone, hidden, ...silent])).toBe(
      [
        'pgvigil check  shop  2026-11-23T12:00:00Z  1 critical, 1 warning, 4 unknown, 1 ok',
        '✗ replication_state  pg1:5432  slot one: standby disconnected',
        '? connectivity       pg3       is DENIED: no password',
        '? 2 checks           pg3       not asked: DENIED',
        '⚠ replication_lag    pg2:5432  lags 12.2s',
        '                               see 3',
        '? sequences          pg1:5432  sequences is unknown',
        '                               GRANT pg_read_all_data TO mon;',
        '✓ connections        pg1:5432  connections is ok',
        '',
      ].join('\n'),
    )
  })

  test('ASCII only where it must be', () => {
    const text = print('text', [ok, late, gone, hidden, finding('lock_waits', 'warning', { say: 'wörds …' })], true)
    expect(text).not.toMatch(/[^\x20-\x7e\n]/)
    expect(text).toMatch(/^CRITICAL replication_state/m)
    expect(text).toMatch(/^WARNING {2}replication_lag/m)
    expect(text).toMatch(/^ok {7}connections/m)
  })
})

test('json: the contract', () => {
  const document = JSON.parse(print('json', [ok, gone]))
  expect(document).toMatchObject({
    format: 1,
    tool: { name: 'pgvigil' },
    at: '2026-11-23T12:00:00.000Z',
    level: 'critical',
    exitCode: 2,
  })
  expect(document.checks).toMatchObject([
    {
      id: 'connections',
      title: 'Connections left',
      level: 'ok',
      say: 'connections is ok',
      remedy: null,
      server: 'pg1:5432',
      figure: 12.5,
      unit: '%',
      warningFrom: 80,
      criticalFrom: 95,
    },
    { id: 'replication_state', level: 'critical', object: 'slot one', figure: null, server: 'pg1:5432' },
  ])
})

describe('nagios', () => {
  const label = `'[^'=|]+'=-?[0-9.]+(s|B|%)?;([0-9.]+:?)?;([0-9.]+:?)?`
  const line = (findings: readonly Finding[]) => print('nagios', findings)

  test('one line: the state, what is wrong, and the figures with their thresholds', () => {
    expect(line([ok, late, gone])).toBe(
      "PGVIGIL CRITICAL - 1 critical, 1 warning, 1 ok; replication_state pg1:5432: slot one: standby disconnected; replication_lag pg2:5432: lags 12.2s | 'connections pg1:5432'=12.5%;80;95 'replication_lag pg2:5432'=12.25s;5;60\n",
    )
    expect(line([finding('cache_hit', 'ok', { figure: 99.123456789 })])).toBe(
      "PGVIGIL OK - 1 ok | 'cache_hit pg1:5432'=99.123457%;95:;\n",
    )
    expect(line([finding('settings', 'ok')])).toBe('PGVIGIL OK - 1 ok\n')
    expect(line(silent)).toMatch(/^PGVIGIL UNKNOWN - 3 unknown; connectivity pg3: is DENIED/)
  })

  test('whatever a server calls its things, it stays one line with one bar', () => {
    const evil = finding('replication_slots', 'warning', {
      object: "a'b|c=d",
      say: "slot a'b|c=d holds 1 | 2",
      figure: 1e21,
      server: "x|y'=",
    })
    const text = line([evil, evil])
    expect(text.match(/\n/g)).toHaveLength(1)
    expect(text.match(/\|/g)).toHaveLength(1)
    const perfdata = text.trimEnd().split(' | ')[1]!
    expect(perfdata).toMatch(new RegExp(`^${label}( ${label})*$`))
  })
})

describe('openmetrics', () => {
  const text = print('openmetrics', [
    ok,
    late,
    gone,
    hidden,
    finding('replication_slots', 'ok', { object: 'a"b\\c', figure: 5 }),
    ok,
  ])

  test('gauges with their help and type before them, no series twice, EOF at the end', () => {
    const lines = text.trimEnd().split('\n')
    expect(lines.at(-1)).toBe('# EOF')
    const series = lines.filter(line => !line.startsWith('#'))
    for (const line of series) expect(line).toMatch(/^pgvigil_check_\w+\{(\w+="(?:[^"\\\n]|\\[\\"n])*",?)+\} -?[0-9.]+$/)
    expect(new Set(series.map(line => line.replace(/ [^ ]+$/, ''))).size).toBe(series.length)
    for (const name of new Set(series.map(line => line.split('{')[0]!))) {
      expect(lines.indexOf(`# TYPE ${name} gauge`)).toBeGreaterThan(lines.findIndex(line => line.startsWith(`# HELP ${name} `)))
    }
    expect(text).toContain(
      'pgvigil_check_level{cluster="shop",check="replication_state",server="pg1:5432",object="slot one"} 2\n',
    )
    expect(text).toContain(
      'pgvigil_check_figure{cluster="shop",check="replication_slots",server="pg1:5432",object="a\\"b\\\\c",unit="B"} 5\n',
    )
    expect(text).toContain('pgvigil_check_timestamp_seconds{cluster="shop"} 1795435200\n')
  })
})

describe('what was asked for', () => {
  const ids = (plan: ReturnType<typeof checkPlan>) => ('checks' in plan ? plan.checks.map(({ id }) => id) : plan.error)

  test('all checks, some of them, all but some', () => {
    expect(ids(checkPlan({}))).toEqual(checks.map(({ id }) => id))
    expect(ids(checkPlan({ only: ['connections,settings', 'connectivity'] }))).toEqual([
      'connectivity',
      'connections',
      'settings',
    ])
    expect(ids(checkPlan({ skip: ['connections'] }))).toHaveLength(checks.length - 1)
    expect(ids(checkPlan({ only: ['settings'], skip: ['settings'] }))).toBe('--only and --skip leave no check')
  })

  test('a check or a format that there is not', () => {
    expect(ids(checkPlan({ only: ['connection'] }))).toBe('there is no check "connection" (did you mean connections?)')
    expect(ids(checkPlan({ skip: ['zzz'] }))).toBe('there is no check "zzz" (pgvigil check --list names them)')
    expect(ids(checkPlan({ format: 'xml' }))).toBe('--format is one of text, json, nagios, openmetrics, not xml')
    expect(ids(checkPlan({ json: true, format: 'nagios' }))).toBe("--json and --format nagios can't go together")
    expect(checkPlan({ json: true })).toMatchObject({ format: 'json' })
  })

  test('--list tells each with its thresholds as the configuration has them', () => {
    const config = { thresholds: { ...defaultThresholds, lagSeconds: 30 } }
    const text = checkList(config, false)
    expect(text.trimEnd().split('\n')).toHaveLength(checks.length)
    expect(text).toMatch(/^replication_lag +Standbys keep up \(lag_seconds = 30, lag_critical_seconds = 60\)$/m)
    const entry = JSON.parse(checkList(config, true)).checks.find(({ id }: { id: string }) => id === 'replication_lag')
    expect(entry.thresholds).toEqual({ lag_seconds: 30, lag_critical_seconds: 60 })
  })
})

test('docs/CHECKS.md is written anew by npm run docs', () => {
  expect(readFileSync(new URL('../../docs/CHECKS.md', import.meta.url), 'utf8')).toBe(checksMarkdown())
})
