import { describe, expect, test } from 'vitest'
import { poolClientRows, poolServerRows } from '../../src/model/pooled.ts'
import { type Pooler, poolerSummary, poolRows, seenMarks } from '../../src/model/pools.ts'
import { poolsPanel } from '../../src/panels/pools.ts'
import {
  showClients,
  showConfig,
  showDatabases,
  showPools,
  showServers,
  showState,
  showStats,
  showUsers,
} from '../../src/sql/pgbouncer.ts'
import type { Sample, State } from '../../src/store/state.ts'
import { noon, type ServerOptions, sampleOf, stateOf } from '../support/state.ts'

type Row = Record<string, unknown>

function pooler(samples: readonly Sample[], more: Partial<ServerOptions> = {}): Pooler {
  return stateOf([{ id: 'pgb', kind: 'pgbouncer', samples, ...more }]).servers.pgb as Pooler
}
const pools = (...rows: Row[]) => sampleOf(showPools, rows)
const databases = (...rows: Row[]) => sampleOf(showDatabases, rows)
const pooled = (answer: Row) =>
  sampleOf(
    showState,
    Object.entries({ active: 'yes', paused: 'no', suspended: 'no', ...answer }).map(([key, value]) => ({ key, value })),
  )
const app = { database: 'app', user: 'web', cl_active: 3, cl_waiting: 0, sv_active: 1, sv_idle: 1, pool_mode: 'transaction' }
const appDatabase = { name: 'app', pool_size: 5, paused: 0, disabled: 0, max_connections: 0 }

describe('pools', () => {
  test('maxwait is whole seconds and the microseconds on top', () => {
    const rows = poolRows(pooler([pools({ ...app, cl_waiting: 4, maxwait: 12, maxwait_us: 250_000 })]), noon)
    expect(rows[0]).toMatchObject({ server: 'pgb', maxwaitSeconds: 12.25, cl_waiting: 4 })
  })

  test("the console's own pool is none", () => {
    const rows = poolRows(pooler([pools(app, { database: 'pgbouncer', user: 'pgbouncer', cl_active: 1 })]), noon)
    expect(rows.map(row => row.database)).toEqual(['app'])
  })

  test('all connections to servers count as used, in whatever state', () => {
    const busy = { sv_active: 2, sv_active_cancel: 1, sv_being_canceled: 1, sv_idle: 3, sv_used: 4, sv_tested: 1, sv_login: 2 }
    const [row] = poolRows(pooler([pools({ ...app, ...busy }), databases({ ...appDatabase, pool_size: 20 })]), noon)
    expect(row).toMatchObject({ serversUsed: 14, serverLimit: 20 })
  })

  test.each([
    ['the size of the database', appDatabase, [], 5],
    ['the default where the database has none', { ...appDatabase, pool_size: null }, [], 15],
    ['the default where the size is 0', { ...appDatabase, pool_size: 0 }, [], 15],
    ["the user's own size first", appDatabase, [{ name: 'web', pool_size: '           2' }], 2],
    [
      'not that of another user, nor an empty one',
      appDatabase,
      [
        { name: 'x', pool_size: '2' },
        { name: 'web', pool_size: '' },
      ],
      5,
    ],
    ['never more than max_connections', { ...appDatabase, max_connections: 3 }, [], 3],
  ])('the limit is %s', (_, database, users, limit) => {
    const config = sampleOf(showConfig, [{ key: 'default_pool_size', value: '15' }])
    const [row] = poolRows(pooler([pools(app), databases(database), config, sampleOf(showUsers, users)]), noon)
    expect(row?.serverLimit).toBe(limit)
  })

  test('without a word about the size the limit is unknown, not 0', () => {
    expect(poolRows(pooler([pools(app)]), noon)[0]?.serverLimit).toBeNull()
  })

  test('a column that the version lacks is null, and hides nothing else', () => {
    const [row] = poolRows(pooler([pools({ database: 'app', user: 'web', sv_active: 2 })]), noon)
    expect(row).toMatchObject({ cl_active: null, maxwaitSeconds: null, serversUsed: 2, reserve_pool_size: null })
  })

  test('reserve_pool of 1.21 and reserve_pool_size of 1.24 are the same figure', () => {
    const old = poolRows(pooler([pools(app), databases({ ...appDatabase, reserve_pool: 3 })]), noon)
    const now = poolRows(pooler([pools(app), databases({ ...appDatabase, reserve_pool_size: 3 })]), noon)
    expect([old[0]?.reserve_pool_size, now[0]?.reserve_pool_size]).toEqual([3, 3])
  })
})

describe('pauses', () => {
  test('of one database, with its age', () => {
    const samples = [pools(app), databases({ ...appDatabase, paused: 1 }), pooled({})]
    const [row] = poolRows(pooler(samples, { firstSeen: { 'paused:app': noon - 240_000 } }), noon)
    expect(row).toMatchObject({ paused: true, pausedBy: 'database', pausedSeconds: 240 })
  })

  test('of everything pauses each pool, though SHOW DATABASES says no', () => {
    const samples = [pools(app), databases(appDatabase), pooled({ active: 'no', paused: 'yes' })]
    const [row] = poolRows(pooler(samples, { firstSeen: { 'paused:*': noon - 5000 } }), noon)
    expect(row).toMatchObject({ paused: true, pausedBy: 'pooler', pausedSeconds: 5, poolerPauseKnown: true })
  })

  test('of both: the longer of the two', () => {
    const samples = [pools(app), databases({ ...appDatabase, paused: 1 }), pooled({ paused: 'yes' })]
    const firstSeen = { 'paused:*': noon - 5000, 'paused:app': noon - 60_000 }
    expect(poolRows(pooler(samples, { firstSeen }), noon)[0]?.pausedSeconds).toBe(60)
  })

  test('before 1.19 nothing is said of the whole', () => {
    const state = stateOf([{ id: 'pgb', kind: 'pgbouncer', samples: [pools(app), databases(appDatabase)] }])
    const list = poolsPanel.lists[0]!
    const { rows } = list.select(state)
    expect(rows[0]).toMatchObject({ paused: false, poolerPauseKnown: false })
    const line = list.detail?.(rows[0]!, state).find(l => 'name' in l && l.name === 'paused')
    expect(line).toMatchObject({ value: expect.stringContaining('can not tell') })
  })

  test('a paused or disabled database without a pool is shown, another is not', () => {
    const given = databases(
      { ...appDatabase, name: 'quiet' },
      { ...appDatabase, name: 'stopped', paused: 1 },
      { ...appDatabase, name: 'closed', disabled: 1 },
      { name: 'pgbouncer', paused: 1, disabled: 1 },
    )
    const rows = poolRows(pooler([pools(), given], { firstSeen: { 'disabled:closed': noon - 1000 } }), noon)
    expect(rows.map(({ database, user, paused, disabled, cl_active }) => [database, user, paused, disabled, cl_active])).toEqual([
      ['stopped', null, true, false, 0],
      ['closed', null, false, true, 0],
    ])
    expect(rows[1]?.disabledSeconds).toBe(1)
  })

  test('marks name what is so now, of databases that exist', () => {
    const given = databases(
      { ...appDatabase, paused: 1 },
      { ...appDatabase, name: 'odd-Name', disabled: 1 },
      { name: 'pgbouncer', paused: 1 },
    )
    expect(seenMarks(pooler([given, pooled({ paused: 'yes' })]))).toEqual(['paused:*', 'paused:app', 'disabled:odd-Name'])
    expect(seenMarks(pooler([databases(appDatabase), pooled({})]))).toEqual([])
    expect(seenMarks(pooler([]))).toEqual([])
  })
})

describe('rates', () => {
  const totals = (xacts: bigint, more: Row = {}) => ({
    database: 'app',
    total_xact_count: xacts,
    total_query_count: xacts * 2n,
    total_received: xacts * 100n,
    total_sent: xacts * 1000n,
    total_xact_time: xacts * 20_000n,
    total_query_time: xacts * 8000n,
    total_wait_time: xacts * 500n,
    ...more,
  })
  const stats = (at: number, ...rows: Row[]) => sampleOf(showStats, rows, { at })
  const rated = (before: Row | null, now: Row, pool: Row = app) => {
    const samples = [pools(pool), ...(before ? [stats(noon - 2000, before)] : []), stats(noon, now)]
    return poolRows(pooler(samples), noon)[0]
  }

  test('come from the totals over the real interval, averages from what ended in it', () => {
    expect(rated(totals(100n), totals(140n))).toMatchObject({
      xactsPerSecond: 20,
      queriesPerSecond: 40,
      receivedBytesPerSecond: 2000,
      sentBytesPerSecond: 20_000,
      avgXactMs: 20,
      avgQueryMs: 4,
      avgWaitMs: 0.5,
    })
  })

  test('are exact beyond 2^53', () => {
    const huge = 9_007_199_254_740_993n
    expect(rated(totals(huge), totals(huge + 2n))?.xactsPerSecond).toBe(1)
  })

  const none = {
    xactsPerSecond: null,
    queriesPerSecond: null,
    receivedBytesPerSecond: null,
    sentBytesPerSecond: null,
    avgXactMs: null,
    avgQueryMs: null,
    avgWaitMs: null,
  }
  test('of the first sample are unknown', () => expect(rated(null, totals(5n))).toMatchObject(none))
  test('across a restart are unknown', () => expect(rated(totals(100n), totals(3n))).toMatchObject(none))
  test('across a restart are unknown even where one counter has already overtaken', () =>
    expect(rated(totals(100n), { ...totals(3n), total_sent: 10n ** 9n })).toMatchObject(none))
  test('of a database that has just appeared are unknown', () =>
    expect(rated({ ...totals(1n), database: 'other' }, totals(100n))).toMatchObject(none))
  test('are 0 in a quiet interval, and there is no average of nothing', () =>
    expect(rated(totals(100n), totals(100n))).toMatchObject({ xactsPerSecond: 0, avgQueryMs: null, avgWaitMs: null }))

  test('have no average while what began has not ended: its time comes when it ends', () => {
    const begun = { ...totals(100n), total_xact_count: 101n, total_query_count: 201n }
    expect(rated(totals(100n), begun)).toMatchObject({ xactsPerSecond: 0.5, avgXactMs: null, avgQueryMs: null })
  })

  test('nobody waited is a wait of 0, but not while there is a queue', () => {
    const now = { ...totals(140n), total_wait_time: totals(100n).total_wait_time }
    expect(rated(totals(100n), now)?.avgWaitMs).toBe(0)
    expect(rated(totals(100n), now, { ...app, cl_waiting: 1 })?.avgWaitMs).toBeNull()
  })

  test('the wait is per assignment of a server where they are counted', () => {
    const before = totals(100n, { total_server_assignment_count: 10n })
    expect(rated(before, totals(140n, { total_server_assignment_count: 14n }))?.avgWaitMs).toBe(5)
  })

  test('the wait in session pooling without that count is unknown', () => {
    expect(rated(totals(100n), totals(140n), { ...app, pool_mode: 'session' })?.avgWaitMs).toBeNull()
  })
})

describe('clients and servers', () => {
  const clients = (...rows: Row[]) => sampleOf(showClients, rows)
  const servers = (...rows: Row[]) => sampleOf(showServers, rows)
  const client = {
    type: 'C',
    database: 'app',
    user: 'web',
    state: 'active',
    addr: '10.0.0.7',
    port: 41000,
    ptr: '0xc1',
    link: '0x51',
    wait: 3,
  }
  const server = {
    type: 'S',
    database: 'app',
    user: 'web',
    state: 'active',
    addr: '10.0.0.1',
    port: 5432,
    ptr: '0x51',
    link: '0xc1',
    remote_pid: 777,
  }

  test('that name each other belong together', () => {
    const both = pooler([clients({ ...client, application_name: 'web-1' }), servers(server)])
    expect(poolClientRows(both)[0]).toMatchObject({
      linkedTo: 777,
      linkedServer: { addr: '10.0.0.1', port: 5432 },
      clientState: 'active',
    })
    expect(poolServerRows(both)[0]).toMatchObject({
      remote_pid: 777,
      client: { addr: '10.0.0.7', port: 41000, application_name: 'web-1' },
    })
  })

  test('of which only one names the other do not: they were read one after the other', () => {
    const moved = pooler([clients(client), servers({ ...server, link: '0xc2' })])
    expect(poolClientRows(moved)[0]?.linkedTo).toBeNull()
    expect(poolServerRows(moved)[0]?.client).toBeNull()
  })

  test('without a link are never matched by it', () => {
    const apart = pooler([clients({ ...client, link: '', ptr: '' }), servers({ ...server, link: '', ptr: '' })])
    expect([poolClientRows(apart)[0]?.linkedTo, poolServerRows(apart)[0]?.client]).toEqual([null, null])
  })

  test.each([
    ['active', '0x51', 'active'],
    ['active', '', 'idle'],
    ['idle', '', 'idle'],
    ['waiting', '', 'waiting'],
    ['active_cancel_req', '', 'cancel'],
    ['waiting_cancel_req', '', 'cancel'],
    ['active', null, 'active'],
    [null, '', null],
  ])('state %s with link %j is %s', (state, link, told) => {
    expect(poolClientRows(pooler([clients({ ...client, state, link })]))[0]?.clientState).toBe(told)
  })

  test('only who waits has a waiting time', () => {
    const rows = poolClientRows(
      pooler([clients({ ...client, wait: 9 }, { ...client, state: 'waiting', link: '', wait: 2, wait_us: 500_000 })]),
    )
    expect(rows.map(row => row.waitSeconds)).toEqual([0, 2.5])
  })

  test('of the console are left out', () => {
    const own = pooler([clients({ ...client, database: 'pgbouncer' }), servers({ ...server, database: 'pgbouncer' })])
    expect([poolClientRows(own), poolServerRows(own)]).toEqual([[], []])
  })
})

describe('the summary of a pooler', () => {
  test('adds up its pools and counts a limited database once', () => {
    const given = pooler(
      [
        pools(
          { ...app, cl_active: 3, cl_waiting: 2, maxwait: 4, maxwait_us: 0, sv_active: 5, sv_idle: 0 },
          { ...app, user: 'batch', cl_active: 1, cl_waiting: 0, maxwait: 0, maxwait_us: 0, sv_active: 1, sv_idle: 2 },
          { ...app, database: 'reports', cl_active: 1, maxwait: 1, maxwait_us: 0, sv_active: 1, sv_idle: 0 },
        ),
        databases({ ...appDatabase, max_connections: 8 }, { ...appDatabase, name: 'reports', paused: 1 }),
        pooled({ paused: 'yes' }),
      ],
      { firstSeen: { 'paused:*': noon - 1000, 'paused:reports': noon - 9000 } },
    )
    expect(poolerSummary(given, noon)).toMatchObject({
      clientsActive: 5,
      clientsWaiting: 2,
      serversUsed: 9,
      serverLimit: 13,
      maxwaitSeconds: 4,
      paused: [
        { database: '*', since: noon - 1000 },
        { database: 'reports', since: noon - 9000 },
      ],
    })
  })

  test('is unknown, not 0, before the first answer', () => {
    const nothing = poolerSummary(pooler([]), noon)
    expect(nothing).toMatchObject({
      clientsActive: null,
      clientsWaiting: null,
      serversUsed: null,
      maxwaitSeconds: null,
      paused: [],
    })
  })

  test('without any pool has no clients', () => {
    expect(poolerSummary(pooler([pools()]), noon)).toMatchObject({ clientsActive: 0, clientsWaiting: 0, serversUsed: 0 })
  })
})

describe('the pane', () => {
  const select = (state: State, id = 'pools') => poolsPanel.lists.find(list => list.id === id)!.select(state)
  const failure = { kind: 'failed', error: 'no answer', code: null, at: noon } as const

  test('without a PgBouncer says how to name one, or why there is none', () => {
    expect(select(stateOf([{ id: 'pg' }])).unavailable?.remedy).toContain('--pgbouncer')
    const lab = stateOf([{ id: 'pg' }], noon, { noPooler: 'pgbouncer is not installed here' })
    expect(select(lab).unavailable?.reason).toBe('pgbouncer is not installed here')
  })

  test('of one that refuses gives its words and the remedy', () => {
    const link = { state: 'down', word: 'DENIED', since: noon, why: 'not allowed' } as const
    expect(select(stateOf([{ id: 'pgb', kind: 'pgbouncer', link }])).unavailable).toEqual({
      reason: 'pgb: not allowed',
      remedy: 'add the user to stats_users in pgbouncer.ini and RELOAD',
    })
  })

  test('of several keeps the rows of those that answer and says what is with the others', () => {
    const link = { state: 'down', word: 'DOWN', since: noon, why: 'connection refused' } as const
    const old = { ...pools({ ...app, cl_active: 9 }), at: noon - 7000 }
    const state = stateOf([
      { id: 'a', kind: 'pgbouncer', samples: [pools(app)] },
      { id: 'b', kind: 'pgbouncer', samples: [old], link },
      { id: 'c', kind: 'pgbouncer', link },
    ])
    const { rows, notice, unavailable } = select(state)
    expect(unavailable).toBeUndefined()
    expect(rows.map(row => row.server)).toEqual(['a', 'b'])
    expect(notice).toMatch(/b: as of .*connection refused/)
    expect(notice).toContain('c: connection refused')
  })

  test('tells of one SHOW that fails, while the rest is shown', () => {
    const state = stateOf([{ id: 'a', kind: 'pgbouncer', samples: [pools(app)], problems: { showStats: failure } }])
    expect(select(state)).toMatchObject({ rows: [{ database: 'app' }], notice: 'a: SHOW STATS: no answer' })
  })

  test('is silent about what the version does not have', () => {
    const old = { kind: 'unavailable', reason: 'PgBouncer 1.18 is too old for this', remedy: '' } as const
    const state = stateOf([{ id: 'a', kind: 'pgbouncer', samples: [pools(app)], problems: { showState: old, showUsers: old } }])
    expect(select(state).notice).toBeUndefined()
  })

  test('waits while nothing has come yet', () => {
    expect(select(stateOf([{ id: 'a', kind: 'pgbouncer' }]))).toEqual({ rows: [], waiting: true })
  })

  test('draws hostile names harmlessly in every column and detail line', () => {
    const evil = '\u001b]0;PWNED\u0007\u202e\nx'
    const samples = [
      pools({ ...app, database: evil, user: evil, pool_mode: evil }),
      databases({ ...appDatabase, name: evil, host: evil, database: 'z' }),
      sampleOf(showClients, [
        {
          database: evil,
          user: evil,
          state: evil,
          addr: evil,
          application_name: evil,
          tls: evil,
          connect_time: evil,
          ptr: evil,
          link: 's',
        },
      ]),
      sampleOf(showServers, [
        { database: evil, user: evil, state: evil, addr: evil, application_name: evil, tls: evil, ptr: 's', link: evil },
      ]),
    ]
    const state = stateOf([{ id: 'a', kind: 'pgbouncer', samples }])
    for (const list of poolsPanel.lists) {
      const [row] = list.select(state).rows
      const drawn = [
        ...list.columns.map(column => column.text(row!)),
        ...(list.detail?.(row!, state) ?? []).flatMap(line =>
          'name' in line ? [line.name, line.value] : [line.title, ...line.block],
        ),
      ]
      expect(drawn.join('')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
      expect(drawn.join('')).toContain('PWNED')
    }
  })

  test.each(poolsPanel.lists.map(list => [list.id, list] as const))('%s fits 80, 100, 120 and 160 cells', (_, list) => {
    for (const cells of [80, 100, 120, 160]) {
      const shown = list.columns.filter(column => (column.from ?? 0) <= cells)
      expect(shown.reduce((sum, column) => sum + column.width + 1, 0)).toBeLessThanOrEqual(cells)
    }
  })
})
