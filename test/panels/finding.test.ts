// The figures of a server's line, and the findings made of them.

import { describe, expect, test } from 'vitest'
import { findings } from '../../src/panels/finding.ts'
import { postgresFigures } from '../../src/panels/summary.ts'
import { catalogLocks } from '../../src/sql/catalogs.ts'
import { showDatabases, showPools, showState } from '../../src/sql/pgbouncer.ts'
import { counters, pulse } from '../../src/sql/server.ts'
import type { Link, Sample } from '../../src/store/state.ts'
import { headerLines } from '../../src/ui/header.ts'
import { plain } from '../../src/ui/spans.ts'
import { factsOf, noon, type ServerOptions, sampleOf, stateOf } from '../support/state.ts'

const quiet = {
  in_recovery: false,
  clock_epoch: noon / 1000,
  own_pid: 1,
  clients: 10,
  active: 1,
  waiting: 0,
  idle_in_transaction: 0,
  restricted: 0,
}
const beat = (change: Readonly<Record<string, unknown>> = {}) => sampleOf(pulse, [{ ...quiet, ...change }])
const primary = (samples: readonly Sample[], change: Partial<ServerOptions> = {}): ServerOptions => ({
  id: 'a',
  role: 'primary',
  facts: factsOf(),
  samples,
  ...change,
})
const figures = (...samples: readonly Sample[]) => postgresFigures(stateOf([primary(samples)]), 'a')
const said = (...servers: readonly ServerOptions[]) => findings(stateOf(servers)).map(({ level, say }) => `${level} ${say}`)
const link = (word: Link['word'], state: Link['state'], why: string | null): Link => ({ word, state, since: noon - 5000, why })

describe('figures', () => {
  const total = (xact: bigint, hit: bigint, read: bigint, at: number, epoch = '1') =>
    sampleOf(counters, [{ xact, blks_hit: hit, blks_read: read, stats_epoch: epoch }], { at })

  test('rates are over the interval that really passed', () => {
    expect(figures(total(100n, 0n, 0n, noon - 2500), total(350n, 99n, 1n, noon))).toMatchObject({
      transactionsPerSecond: 100,
      hitRatio: 0.99,
    })
  })

  test('across a reset, and before the second sample, there is none', () => {
    const none = { transactionsPerSecond: null, hitRatio: null }
    expect(figures(total(100n, 5n, 5n, noon))).toMatchObject(none)
    expect(figures(total(100n, 5n, 5n, noon - 1000, '1'), total(900n, 9n, 9n, noon, '2'))).toMatchObject(none)
    expect(figures(total(100n, 5n, 5n, noon - 1000), total(90n, 4n, 4n, noon))).toMatchObject(none)
    expect(figures()).toMatchObject({
      ...none,
      clients: null,
      active: null,
      waiting: null,
      oldestTransactionSeconds: null,
      walBytesPerSecond: null,
    })
  })

  test('nothing read is no hit ratio of 0', () => {
    expect(figures(total(1n, 5n, 5n, noon - 1000), total(2n, 5n, 5n, noon)).hitRatio).toBeNull()
  })

  test('counters that can not be read now tell no rate of now', () => {
    const state = stateOf([primary([total(100n, 5n, 5n, noon - 1000), total(200n, 9n, 9n, noon)])])
    const { a } = state.servers
    const problem = { kind: 'failed', error: 'lock timeout', code: '55P03', at: noon } as const
    const readings = { ...a!.readings, counters: { ...a!.readings.counters!, problem } }
    expect(postgresFigures(state, 'a').transactionsPerSecond).toBe(100)
    expect(postgresFigures({ ...state, servers: { a: { ...a!, readings } } }, 'a')).toMatchObject({
      transactionsPerSecond: null,
      hitRatio: null,
    })
  })

  test('what a role may not see is unknown, and not none', () => {
    expect(figures(beat({ active: 0, restricted: 9 }))).toMatchObject({
      active: null,
      waiting: null,
      idleInTransaction: null,
      restricted: 9,
      clients: 10,
    })
    expect(figures(beat({ active: 2, restricted: 9 }))).toMatchObject({ active: 2, waiting: null })
    expect(figures(beat({ active: 0 }))).toMatchObject({ active: 0, waiting: 0 })
  })

  test('the WAL rate is that of the last two positions', () => {
    const lsnHistory = [
      { at: noon - 9000, lsn: 0n },
      { at: noon - 2000, lsn: 1000n },
      { at: noon, lsn: 5000n },
    ]
    expect(postgresFigures(stateOf([primary([beat()], { lsnHistory })]), 'a').walBytesPerSecond).toBe(2000)
    expect(
      postgresFigures(stateOf([primary([beat()], { lsnHistory: lsnHistory.slice(0, 1) })]), 'a').walBytesPerSecond,
    ).toBeNull()
  })
})

describe('findings', () => {
  test('all quiet', () => {
    expect(said(primary([beat()]))).toEqual([])
    expect(said(primary([], { link: link('CONNECTING', 'connecting', null), lastAnswerAt: null }))).toEqual([])
  })

  test.each<[Link, string]>([
    [link('DOWN', 'down', 'connection refused'), 'critical a is DOWN: connection refused'],
    [
      link('DENIED', 'down', 'password authentication failed'),
      'critical a is DENIED: password authentication failed (tried again every 30 s)',
    ],
    [
      link('STARTING', 'down', 'the database system is starting up'),
      'critical a is STARTING: the database system is starting up',
    ],
    [link('STALE', 'stale', null), 'critical a is STALE: no answer'],
    [
      link('FULL', 'down', 'sorry, too many clients already'),
      'critical a is FULL: GRANT pg_use_reserved_connections TO mon (16+, reserved_connections > 0); sorry, too many clients already',
    ],
  ])('a server that does not answer: %o', (given, say) => {
    expect(said(primary([beat({ waiting: 4 })], { link: given, user: 'mon', facts: null }))).toEqual([say])
  })

  test('a server that has not answered for more than two ticks, whatever its link says', () => {
    expect(said(primary([beat()], { lastAnswerAt: noon - 2400 }))).toEqual(['critical a is STALE: no answer'])
  })

  test('locks, connections, an old transaction, and what may not be seen; the worst first', () => {
    expect(
      said(primary([beat({ waiting: 3, clients: 93, oldest_xact_seconds: 301, restricted: 2 })], { user: 'my-dba' })),
    ).toEqual([
      'critical a: 93 of 97 connections are taken; 1 shows it',
      'warning a: 2 sessions restricted: GRANT pg_monitor TO "my-dba";',
      'warning a: the oldest transaction is open for 5m01s; 1 shows it',
      'warning a: 3 wait for locks; 2 shows it',
    ])
  })

  test('a locked catalog, with who locks it, as long as that is seen', () => {
    const locks = (at: number, ...rows: readonly Readonly<Record<string, unknown>>[]) => sampleOf(catalogLocks, rows, { at })
    const holder = { pid: 7, relation: 1262n, backend_type: 'client backend', state: 'idle in transaction', xact_age_seconds: 12 }
    const say = 'pg_database is locked (ACCESS EXCLUSIVE) by pid 7, idle in transaction for 12s; new connections wait'
    expect(said(primary([beat(), locks(noon, { ...holder, relation: 2671n }, holder)]))).toEqual([`critical a: ${say}`])
    expect(said(primary([beat(), locks(noon)]))).toEqual([])
    expect(said(primary([beat(), locks(noon - 60_000, holder)]))).toEqual([])
    const others = [
      { pid: null, relation: 2671n },
      { pid: 9, relation: 1259n, backend_type: 'startup' },
    ]
    expect(others.flatMap(row => said(primary([beat(), locks(noon, row)])))).toEqual([
      `critical a: a catalog's index (oid 2671) is locked (ACCESS EXCLUSIVE) by a prepared transaction; new connections wait`,
      'critical a: pg_class is locked (ACCESS EXCLUSIVE) by replay of WAL (pid 9); new connections wait',
    ])
  })

  test('just below each threshold there is nothing to say', () => {
    expect(said(primary([beat({ clients: 77, oldest_xact_seconds: 299.9 })]))).toEqual([])
  })

  test('a pause, with how long at least it has lasted, and clients that wait', () => {
    const pooler: ServerOptions = {
      id: 'p',
      kind: 'pgbouncer',
      firstSeen: { 'paused:shop': noon - 65_000, 'paused:*': noon - 1000 },
      samples: [
        sampleOf(showPools, [{ database: 'shop', user: 'app', cl_active: 1, cl_waiting: 7, maxwait: 61, maxwait_us: 0 }]),
        sampleOf(showDatabases, [{ name: 'shop', paused: 1 }]),
        sampleOf(showState, [{ key: 'paused', value: 'yes' }]),
      ],
    }
    expect(said(primary([beat()]), pooler)).toEqual([
      'critical p: everything PAUSED for 1s or more; RESUME ends it; 5 shows it',
      'critical p: shop PAUSED for 1m05s or more; RESUME ends it; 5 shows it',
      'critical p: 7 clients wait for a server, the longest 1m01s (shop/app); 5 shows it',
    ])
  })

  test('long names of paused databases, and many of them, leave room for the figures', () => {
    const name = `\u001b[31m${'long'.repeat(12)}`
    const names = [name, `${name}2`, `${name}3`, `${name}4`]
    const pooler: ServerOptions = {
      id: 'p',
      kind: 'pgbouncer',
      samples: [
        sampleOf(showPools, [{ database: name, user: 'app', cl_active: 12, cl_waiting: 7, maxwait: 61, maxwait_us: 0 }]),
        sampleOf(
          showDatabases,
          names.map(each => ({ name: each, paused: 1, disabled: 1 })),
        ),
      ],
    }
    expect(said(pooler)[0]).toBe('critical p: ␛[31mlonglonglonglonglo… PAUSED for 0s or more; RESUME ends it; 5 shows it')
    const line = headerLines(stateOf([pooler]), 160).map(plain)[1]
    expect(line).toMatch(/PAUSED ␛\[31mlonglo… 0s, ␛\[31mlonglo… 0s, \+2 {2}DISABLED .*, \+2 {2}12 clients 7 waiting /)
    expect(headerLines(stateOf([pooler]), 80).map(plain)[1]).toMatch(/PAUSED ␛\[31mlonglo… 0s, /)
  })

  test('two primaries of one system', () => {
    const other = (systemIdentifier: bigint): ServerOptions =>
      primary([beat({ timeline: '00000002' })], { id: 'b', port: 5433, facts: factsOf({ systemIdentifier }) })
    expect(said(primary([beat({ timeline: '00000001' })]), other(7000n))).toEqual([
      expect.stringMatching(/^critical .*a.*b|^critical .*b.*a/),
    ])
    expect(said(primary([beat()]), other(7001n))).toEqual([])
  })
})
