// Each check: a state that makes it fire and one that makes it clear, and the alarms that must not be raised.

import { describe, expect, test } from 'vitest'
import { checks } from '../../src/checks/index.ts'
import { run } from '../../src/checks/run.ts'
import { untrusted } from '../../src/model/untrusted.ts'
import { panels } from '../../src/panels/index.ts'
import { activity } from '../../src/sql/activity.ts'
import { catalogLocks } from '../../src/sql/catalogs.ts'
import { databases } from '../../src/sql/databases.ts'
import { databaseCounters } from '../../src/sql/health-counters.ts'
import { passwords, preparedTransactions, sequences } from '../../src/sql/health-limits.ts'
import { logTail } from '../../src/sql/health-log.ts'
import { settings } from '../../src/sql/health-settings.ts'
import { archiveBacklog, archiver, checkpoints, walFiles } from '../../src/sql/health-wal.ts'
import { indexes } from '../../src/sql/indexes.ts'
import { locks } from '../../src/sql/locks.ts'
import { showConfig, showDatabases, showPools, showState, showStats } from '../../src/sql/pgbouncer.ts'
import { conflicts, receiver, replicationSettings, senders, slots } from '../../src/sql/replication.ts'
import { counters, names, pulse } from '../../src/sql/server.ts'
import { tables } from '../../src/sql/tables.ts'
import { chunks, hypertables, jobs } from '../../src/sql/timescale.ts'
import type { Link, Sample } from '../../src/store/state.ts'
import { bouncer, checkNamed, cluster, found, pg, told } from '../support/checks.ts'
import { usualSettings } from '../support/scene-health.ts'
import { factsOf, noon, type ServerOptions, sampleOf } from '../support/state.ts'

type Row = Readonly<Record<string, unknown>>

const start = untrusted('2026-11-23 09:00:00+00')
const beat = (change: Row = {}) =>
  sampleOf(pulse, [
    {
      in_recovery: false,
      clock_epoch: noon / 1000,
      lsn: 5000n,
      timeline: '00000001',
      own_pid: 1,
      clients: 10,
      active: 1,
      waiting: 0,
      idle_in_transaction: 0,
      restricted: 0,
      ...change,
    },
  ])
const link = (word: Link['word'], state: Link['state'], why: string): Link => ({ word, state, since: noon - 5000, why })

const session = (pid: number, change: Row) => ({
  pid,
  backend_type: 'client backend',
  backend_start: start,
  datid: 5n,
  usesysid: 10n,
  application_name: 'web',
  client_addr: '10.0.0.7',
  client_port: 4000 + pid,
  state: 'idle',
  ...change,
})
const named = sampleOf(names, [
  { kind: 'database', oid: 5n, name: 'app' },
  { kind: 'role', oid: 10n, name: 'anna' },
])
const sessions = (...rows: readonly Row[]) => [beat(), named, sampleOf(activity, rows)]

const sender = (change: Row = {}) => ({
  pid: 60,
  application_name: 's1',
  state: 'streaming',
  sent_lsn: 5000n,
  write_lsn: 5000n,
  flush_lsn: 5000n,
  replay_lsn: 5000n,
  current_lsn: 5000n,
  clock_epoch: noon / 1000,
  backend_start: start,
  ...change,
})
const slot = (change: Row = {}) => ({
  slot_name: 'one',
  slot_type: 'physical',
  temporary: false,
  active: true,
  active_pid: 60,
  restart_lsn: 5000n,
  wal_status: 'reserved',
  current_lsn: 5000n,
  ...change,
})
const receiving = (change: Row = {}) => ({
  pid: 7,
  status: 'streaming',
  application_name: 's1',
  sender_port: 5432,
  last_msg_receipt_epoch: noon / 1000 - 1,
  clock_epoch: noon / 1000,
  ...change,
})
const at = (lsn: bigint, secondsAgo: number) => ({ at: noon - secondsAgo * 1000, lsn })

/** A primary and a standby that has replayed all; `replayed` otherwise, by what the primary had written. */
function replicating(change: {
  readonly beat?: Row
  readonly wrote?: readonly ReturnType<typeof at>[]
  readonly replayed?: readonly ReturnType<typeof at>[]
  readonly receiver?: readonly Row[]
  readonly sender?: readonly Row[]
  readonly slots?: readonly Row[]
  readonly standby?: Partial<ServerOptions>
  readonly samples?: readonly Sample[]
}) {
  const { wrote = [at(5000n, 1), at(5000n, 0)], replayed = wrote } = change
  const [now, has] = [wrote.at(-1)!.lsn, replayed.at(-1)!.lsn]
  return cluster([
    pg(
      [
        beat({ lsn: now }),
        sampleOf(
          senders,
          change.sender ?? [sender({ sent_lsn: now, write_lsn: now, flush_lsn: now, replay_lsn: has, current_lsn: now })],
        ),
        sampleOf(slots, change.slots ?? []),
        sampleOf(replicationSettings, []),
      ],
      { lsnHistory: wrote },
    ),
    pg(
      [
        beat({
          in_recovery: true,
          lsn: has,
          receive_lsn: now,
          timeline: null,
          replay_pause: 'not paused',
          last_replay_epoch: noon / 1000 - 3600,
          ...change.beat,
        }),
        sampleOf(receiver, change.receiver ?? [receiving()]),
        sampleOf(senders, []),
        sampleOf(slots, []),
        sampleOf(conflicts, [{ conflicts: 0n }]),
        sampleOf(replicationSettings, [
          {
            applyDelayMs: 0,
            statusIntervalSeconds: 10,
            senderTimeoutMs: 60_000,
            hot_standby_feedback: false,
            max_slot_wal_keep_size: '-1',
          },
        ]),
        ...(change.samples ?? []),
      ],
      { id: 'b', port: 5433, role: 'standby', lsnHistory: replayed, ...change.standby },
    ),
  ])
}

const levels = (id: string, state: ReturnType<typeof cluster>) => found(id, state).map(({ level }) => level)

describe('servers', () => {
  test('connectivity', () => {
    expect(told('connectivity', cluster([pg([beat()]), bouncer([])]))).toEqual([
      'ok answers: PostgreSQL 16.14, primary',
      'ok answers: 16.14',
    ])
    const down = cluster([
      pg([], { link: link('DOWN', 'down', 'connection refused') }),
      pg([], { id: 'b', link: link('DENIED', 'down', 'no password') }),
    ])
    expect(told('connectivity', down)).toEqual(['critical is DOWN: connection refused', 'unknown is DENIED: no password'])
    expect(found('connectivity', down).map(({ unasked }) => unasked ?? false)).toEqual([false, true])
  })

  test('one_primary', () => {
    const second = pg([beat({ timeline: '00000002' })], { id: 'b', port: 5433 })
    expect(told('one_primary', cluster([pg([beat()]), second]))).toEqual([
      'critical b (timeline 2) and a (timeline 1) are primaries of one cluster; promoted last: b',
    ])
    expect(levels('one_primary', replicating({}))).toEqual(['ok'])
    expect(
      levels('one_primary', cluster([pg([beat()]), pg([beat()], { id: 't', facts: factsOf({ systemIdentifier: 1n }) })])),
    ).toEqual(['ok'])
  })

  test('one_primary: a standby alone is no alarm while its WAL comes in, and one when nothing does', () => {
    const standby = (rows: readonly Row[]) =>
      cluster([pg([beat({ in_recovery: true, replay_pause: 'not paused' }), sampleOf(receiver, rows)], { role: 'standby' })])
    expect(levels('one_primary', standby([receiving()]))).toEqual(['ok'])
    expect(levels('one_primary', standby([]))).toEqual(['critical'])
  })

  test('visibility', () => {
    expect(levels('visibility', cluster([pg([beat()])]))).toEqual(['ok'])
    const [hidden] = found('visibility', cluster([pg([beat({ restricted: 3 })], { user: 'mon' })]))
    expect(hidden).toMatchObject({ level: 'unknown', remedy: 'GRANT pg_monitor TO mon;' })
  })

  test('catalog_locks', () => {
    const locked = (...rows: Readonly<Record<string, unknown>>[]) => cluster([pg([beat(), sampleOf(catalogLocks, rows)])])
    expect(told('catalog_locks', locked())).toEqual(['ok nothing waits for a catalog'])
    const holder = {
      pid: 4711,
      relation: 1260n,
      backend_type: 'client backend',
      state: 'idle in transaction',
      xact_age_seconds: 12,
    }
    expect(told('catalog_locks', locked(holder))).toEqual([
      'critical pg_authid is locked (ACCESS EXCLUSIVE) by pid 4711, idle in transaction for 12s; new connections wait',
    ])
  })

  test('clock_skew', () => {
    expect(levels('clock_skew', replicating({}))).toEqual(['ok'])
    expect(told('clock_skew', replicating({ beat: { clock_epoch: noon / 1000 + 300 } }))).toEqual([
      'warning its clock is 5m00s ahead of that of a',
    ])
  })
})

describe('replication', () => {
  test('replication_state', () => {
    expect(told('replication_state', replicating({}))).toEqual(['ok streaming from a'])
    const gone = replicating({ sender: [], slots: [slot({ active: false, active_pid: null, restart_lsn: 1000n })], receiver: [] })
    expect(told('replication_state', gone)).toContain('critical standby disconnected from a')
    expect(levels('replication_state', replicating({ sender: [sender({ state: 'catchup' })] }))).toEqual(['warning'])
  })

  test('replication_state: a standby that was stopped is named by its slot', () => {
    const state = cluster([
      pg([beat(), sampleOf(senders, []), sampleOf(slots, [slot({ active: false, active_pid: null, restart_lsn: 1000n })])]),
      pg([], { id: 'b', port: 5433, role: null, link: link('DOWN', 'down', 'refused'), lastAnswerAt: null }),
    ])
    expect(found('replication_state', state)).toMatchObject([{ level: 'critical', object: 'slot one', server: 'a' }])
  })

  test('false alarm: idle replication, whose lag columns are NULL, is no failure', () => {
    const idle = replicating({ sender: [sender({ writeLagSeconds: null, flushLagSeconds: null, replayLagSeconds: null })] })
    expect(levels('replication_state', idle)).toEqual(['ok'])
    expect(told('replication_lag', idle)).toEqual(['ok lags 0.0s (0 B)'])
  })

  test('false alarm: a primary without any standby is no failure of replication', () => {
    const state = cluster([pg([beat(), sampleOf(senders, []), sampleOf(slots, [])])])
    expect(told('replication_state', state)).toEqual(['ok no standby is connected, and no slot waits for one'])
    expect(levels('replication_lag', state)).toEqual([])
  })

  test('false alarm: a standby whose primary has been idle for an hour does not lag', () => {
    expect(told('replication_lag', replicating({ beat: { last_replay_epoch: noon / 1000 - 3600 } }))).toEqual([
      'ok lags 0.0s (0 B)',
    ])
  })

  test('false alarm: writing that begins after an idle hour is no lag of an hour', () => {
    // All that is known: the last commit replayed is an hour old, and replay goes on.
    const state = replicating({ wrote: [at(9000n, 1), at(9900n, 0)], replayed: [at(5000n, 1), at(8800n, 0)] })
    const [first] = found('replication_lag', state)
    expect(first).toMatchObject({ level: 'ok' })
    expect(first?.figure).toBeGreaterThan(3000)
  })

  test('replication_lag: a stall is one, exactly, at least or at most', () => {
    const wrote = [at(1000n, 90), at(2000n, 60), ...Array.from({ length: 60 }, (_, i) => at(2000n + BigInt(i + 1), 59 - i))]
    const stalled = replicating({ wrote, replayed: [at(2010n, 2), at(2010n, 0)] })
    expect(told('replication_lag', stalled)).toEqual([expect.stringMatching(/^warning lags 4\d\.\ds .*: replay is behind$/)])
    expect(
      levels('replication_lag', replicating({ wrote: [at(9000n, 1), at(9900n, 0)], replayed: [at(5000n, 1), at(5000n, 0)] })),
    ).toEqual(['warning'])
    const paused = replicating({ wrote, replayed: [at(2010n, 2), at(2010n, 0)], beat: { replay_pause: 'paused' } })
    expect(told('replication_lag', paused)[0]).toMatch(/: replay is paused$/)
  })

  test('replication_lag of a standby that is not watched: what its sender measured of a stall, not what is left over of one', () => {
    const sent = (replay: bigint, seconds: number) =>
      sender({
        sent_lsn: 9000n,
        write_lsn: 9000n,
        flush_lsn: 9000n,
        replay_lsn: replay,
        current_lsn: 9000n,
        replayLagSeconds: seconds,
      })
    const of = (before: Row, now: Row) =>
      told(
        'replication_lag',
        cluster([
          pg(
            [
              beat({ lsn: 9000n }),
              sampleOf(senders, [before], { at: noon - 1000 }),
              sampleOf(senders, [now]),
              sampleOf(slots, []),
            ],
            {
              lsnHistory: [at(9000n, 1), at(9000n, 0)],
            },
          ),
        ]),
      )
    expect(of(sent(5000n, 12), sent(5000n, 12))).toEqual(['warning lags at least 12.0s (3.9 kB): replay is behind'])
    expect(of(sent(5000n, 12), sent(6000n, 12))).toEqual(['ok 2.9 kB behind, since when is not known yet'])
    expect(of(sent(9000n, 12), sent(9000n, 12))).toEqual(['ok lags 0.0s (0 B)'])
  })

  test('replication_lag_bytes', () => {
    const behind = (bytes: bigint) =>
      replicating({ wrote: [at(5000n + bytes, 1), at(5000n + bytes, 0)], replayed: [at(5000n, 0)] })
    expect(levels('replication_lag_bytes', behind(1024n))).toEqual(['ok'])
    expect(levels('replication_lag_bytes', behind(300n * 1024n ** 2n))).toEqual(['warning'])
    expect(levels('replication_lag_bytes', behind(5n * 1024n ** 3n))).toEqual(['critical'])
  })

  test('wal_receiver', () => {
    expect(levels('wal_receiver', replicating({}))).toEqual(['ok'])
    expect(levels('wal_receiver', replicating({ receiver: [] }))).toEqual(['critical'])
    expect(levels('wal_receiver', replicating({ receiver: [receiving({ status: 'waiting' })] }))).toEqual(['warning'])
    expect(levels('wal_receiver', replicating({ receiver: [receiving({ last_msg_receipt_epoch: noon / 1000 - 90 })] }))).toEqual([
      'warning',
    ])
    expect(found('wal_receiver', replicating({ receiver: [{ pid: 7, clock_epoch: noon / 1000 }] }))[0]?.remedy).toBe(
      'GRANT pg_monitor TO dba;',
    )
  })

  test('replay_paused', () => {
    expect(levels('replay_paused', replicating({}))).toEqual(['ok'])
    expect(told('replay_paused', replicating({ beat: { replay_pause: 'paused' } }))).toEqual(['warning replay is paused'])
  })

  test('standby_conflicts', () => {
    const counted = (now: bigint) => [
      sampleOf(conflicts, [{ conflicts: 5n }], { at: noon - 1000 }),
      sampleOf(conflicts, [{ conflicts: now }]),
    ]
    expect(levels('standby_conflicts', replicating({ samples: counted(5n) }))).toEqual(['ok'])
    expect(told('standby_conflicts', replicating({ samples: counted(7n) }))[0]).toMatch(
      /^warning 2 queries cancelled by replay just now/,
    )
  })

  test.each<[string, Row, string]>([
    ['in use', {}, 'ok'],
    ['never used', { active: false, restart_lsn: null }, 'ok'],
    ['holds much', { restart_lsn: 5000n - 2n * 1024n ** 3n }, 'warning'],
    ['holds very much', { restart_lsn: 5000n - 20n * 1024n ** 3n, active: false }, 'critical'],
    ['lost', { wal_status: 'lost', restart_lsn: null, active: false }, 'critical'],
    ['invalidated', { invalidation_reason: 'wal_removed', active: false }, 'critical'],
    ['about to be lost', { wal_status: 'unreserved' }, 'critical'],
    ['logical and unread', { slot_type: 'logical', active: false }, 'warning'],
    ['logical and synced from the primary', { slot_type: 'logical', active: false, synced: true }, 'ok'],
  ])('replication_slots: %s', (_, change, level) => {
    expect(levels('replication_slots', cluster([pg([beat(), sampleOf(slots, [slot(change)])])]))).toEqual([level])
  })
})

describe('connections and pools', () => {
  test('connections', () => {
    const taken = (clients: number) => levels('connections', cluster([pg([beat({ clients })])]))
    expect([taken(77), taken(78), taken(93)]).toEqual([['ok'], ['warning'], ['critical']])
  })

  const pool = (change: Row = {}) => ({
    database: 'app',
    user: 'web',
    cl_active: 5,
    cl_waiting: 0,
    sv_active: 2,
    sv_idle: 1,
    sv_used: 0,
    sv_tested: 0,
    sv_login: 0,
    maxwait: 0,
    maxwait_us: 0,
    ...change,
  })
  const pooled = (row: Row, database: Row = {}, state = 'no') =>
    cluster([
      bouncer([
        sampleOf(showPools, [pool(row)]),
        sampleOf(showDatabases, [{ name: 'app', pool_size: 10, paused: 0, disabled: 0, max_connections: 0, ...database }]),
        sampleOf(showState, [{ key: 'paused', value: state }]),
        sampleOf(showConfig, [{ key: 'default_pool_size', value: '20' }]),
        sampleOf(showStats, []),
      ]),
    ])

  test('pool_wait', () => {
    expect(levels('pool_wait', pooled({}))).toEqual(['ok'])
    expect(told('pool_wait', pooled({ cl_waiting: 3, maxwait: 4, maxwait_us: 200_000 }))).toEqual([
      'warning 3 clients wait for a server, the longest 4.2s (app/web)',
    ])
    expect(levels('pool_wait', pooled({ cl_waiting: 3, maxwait: 40 }))).toEqual(['critical'])
    expect(levels('pool_wait', pooled({ cl_waiting: 1, maxwait_us: 900_000 }))).toEqual(['ok'])
  })

  test('pool_saturation: servers at work, and somebody waits; a pool that is just well used, or open and idle, is none', () => {
    expect(told('pool_saturation', pooled({ sv_active: 10, sv_idle: 0, cl_waiting: 4 }))).toEqual([
      'warning servers at work: app/web 10 of 10, and 4 clients in the queue',
    ])
    expect(levels('pool_saturation', pooled({ sv_active: 10, sv_idle: 0 }))).toEqual(['ok'])
    expect(levels('pool_saturation', pooled({ sv_active: 0, sv_idle: 10, cl_waiting: 1 }))).toEqual(['ok'])
  })

  test('pool_clients', () => {
    expect(levels('pool_clients', pooled({ cl_active: 50 }))).toEqual(['ok'])
    expect(told('pool_clients', pooled({ cl_active: 80, cl_waiting: 11 }))).toEqual(['warning 91 of 100 clients'])
  })

  test('pool_paused', () => {
    expect(levels('pool_paused', pooled({}))).toEqual(['ok'])
    expect(told('pool_paused', pooled({}, { paused: 1 }))).toEqual(['critical app PAUSED for 0s or more; RESUME ends it'])
    expect(told('pool_paused', pooled({}, {}, 'yes'))).toEqual(['critical everything PAUSED for 0s or more; RESUME ends it'])
    expect(told('pool_paused', pooled({}, { disabled: 1 }))).toEqual(['warning disabled: app; new clients are refused'])
  })
})

describe('sessions', () => {
  test('long_transactions names the oldest and how many there are', () => {
    const rows = [session(8, { state: 'active', xact_age_seconds: 400 }), session(9, { state: 'active', xact_age_seconds: 310 })]
    const state = (oldest: number) => cluster([pg([beat({ oldest_xact_seconds: oldest }), named, sampleOf(activity, rows)])])
    expect(told('long_transactions', state(400))).toEqual([
      'warning the oldest transaction is open for 6m40s: pid 8 (anna in app, web@10.0.0.7:4008) (2 in all)',
    ])
    expect(levels('long_transactions', state(299))).toEqual(['ok'])
    expect(levels('long_transactions', state(3600))).toEqual(['critical'])
    expect(found('long_transactions', state(400))[0]?.leadsTo).toMatchObject({ panel: 'activity', row: { pid: 8 } })
  })

  test('idle_in_transaction', () => {
    const idle = (seconds: number) =>
      cluster([pg(sessions(session(8, { state: 'idle in transaction', state_age_seconds: seconds, xact_age_seconds: 900 })))])
    expect(told('idle_in_transaction', idle(301))).toEqual([
      'warning pid 8 (anna in app, web@10.0.0.7:4008) has been idle in its transaction for 5m01s',
    ])
    expect(levels('idle_in_transaction', idle(200))).toEqual(['ok'])
    expect(
      levels('idle_in_transaction', cluster([pg(sessions(session(8, { state: 'idle', state_age_seconds: 9000 })))])),
    ).toEqual(['ok'])
  })

  test('long_queries', () => {
    const running = (seconds: number) => cluster([pg(sessions(session(8, { state: 'active', query_age_seconds: seconds })))])
    expect(told('long_queries', running(75))).toEqual([
      'warning pid 8 (anna in app, web@10.0.0.7:4008) has been running for 1m15s',
    ])
    expect(levels('long_queries', running(59))).toEqual(['ok'])
    expect(levels('long_queries', cluster([pg(sessions(session(8, { state: 'idle', query_age_seconds: 9000 })))]))).toEqual([
      'ok',
    ])
  })

  test('false alarm: a walsender, a background process, a parallel worker and pgvigil itself are no long query or transaction', () => {
    const old = { state: 'active', query_age_seconds: 90_000, xact_age_seconds: 90_000 }
    const state = cluster([
      pg(
        sessions(
          session(1, old),
          session(60, { ...old, backend_type: 'walsender' }),
          session(61, { ...old, backend_type: 'autovacuum worker' }),
          session(62, { ...old, backend_type: 'parallel worker', leader_pid: 99 }),
        ),
      ),
    ])
    expect(levels('long_queries', state)).toEqual(['ok'])
    expect(levels('idle_in_transaction', state)).toEqual(['ok'])
  })

  test('sessions that may not be looked into are unknown, not fine; what is found among the others is told', () => {
    const hidden = { backend_type: null, state: null, backend_start: null }
    const state = (...more: readonly Row[]) =>
      cluster([
        pg([beat({ restricted: 2 }), named, sampleOf(activity, [session(5, hidden), session(6, hidden), ...more])], {
          user: 'mon',
        }),
      ])
    for (const id of ['long_transactions', 'idle_in_transaction', 'long_queries', 'lock_waits'])
      expect(found(id, state()), id).toMatchObject([{ level: 'unknown', remedy: 'GRANT pg_monitor TO mon;' }])
    expect(levels('long_queries', state(session(8, { state: 'active', query_age_seconds: 70 })))).toEqual(['warning'])
  })

  const lockRow = (pid: number, change: Row) => ({ ...session(pid, {}), kind: 'session', state: 'active', ...change })
  const waiting = (seconds: number) =>
    cluster([
      pg([
        beat({ waiting: 1 }),
        named,
        sampleOf(locks, [
          lockRow(9, {
            blocked_by: [8],
            locktype: 'relation',
            mode: 'AccessShareLock',
            relation: 16_000n,
            relation_name: 'orders',
            wait_seconds: seconds,
          }),
          lockRow(8, { state: 'idle in transaction' }),
        ]),
      ]),
    ])

  test('lock_waits names the root and what is waited for', () => {
    expect(told('lock_waits', waiting(12))).toEqual([
      'warning 1 waits for locks, the longest 12s: pid 9 on orders, held up by pid 8 (anna/web, idle in transaction)',
    ])
    expect(levels('lock_waits', waiting(0.2))).toEqual(['ok'])
    expect(levels('lock_waits', waiting(400))).toEqual(['critical'])
    expect(levels('lock_waits', cluster([pg([beat(), sampleOf(locks, [])])]))).toEqual(['ok'])
  })

  const horizon = (change: {
    sessions?: readonly Row[]
    slots?: readonly Row[]
    senders?: readonly Row[]
    prepared?: readonly Row[]
  }) =>
    cluster([
      pg([
        beat(),
        named,
        sampleOf(activity, change.sessions ?? []),
        sampleOf(slots, change.slots ?? []),
        sampleOf(senders, change.senders ?? []),
        sampleOf(preparedTransactions, change.prepared ?? []),
      ]),
    ])
  const young = session(7, { backend_xmin_age: 20 })

  test.each<[string, Parameters<typeof horizon>[0], RegExp]>([
    ['nobody', { sessions: [young] }, /^ok .* 20 transactions by pid 7/],
    [
      'a session',
      { sessions: [young, session(8, { backend_xmin_age: 20_000_000 })] },
      /^warning VACUUM is held back 20 000 000 transactions by pid 8 \(anna in app/,
    ],
    [
      'a slot',
      { sessions: [young], slots: [slot({ xminAge: 200_000_000, active: false })] },
      /^critical .*by the slot one, which nobody uses$/,
    ],
    ['a logical slot', { slots: [slot({ catalogXminAge: 11_000_000 })] }, /^warning .*by the slot one$/],
    [
      'a prepared transaction',
      { prepared: [{ gid: 'xa-1', dbid: 5n, ownerid: 10n, prepared_age_seconds: 9, xid_age: 50_000_000 }] },
      /^warning .*by the prepared transaction xa-1$/,
    ],
    [
      'feedback of a standby',
      { senders: [sender({ xminAge: 30_000_000 })] },
      /^warning .*a query on the standby s1 \(hot_standby_feedback\)$/,
    ],
  ])('xmin_horizon: held by %s', (_, change, expected) => {
    expect(told('xmin_horizon', horizon(change))).toEqual([expect.stringMatching(expected)])
  })

  test('prepared_transactions', () => {
    const row = (age: number) => ({ gid: 'xa-1', dbid: 5n, ownerid: 10n, prepared_age_seconds: age, xid_age: 5 })
    expect(told('prepared_transactions', horizon({ prepared: [row(301), row(20)] }))).toEqual([
      'warning 2 prepared transactions, the oldest for 5m01s: xa-1 (anna in app)',
    ])
    expect(levels('prepared_transactions', horizon({ prepared: [row(20)] }))).toEqual(['ok'])
    expect(levels('prepared_transactions', horizon({}))).toEqual(['ok'])
  })
})

describe('rates', () => {
  const counted = (change: Row = {}) => ({
    datid: 5n,
    datname: 'app',
    xact_commit: 100n,
    xact_rollback: 0n,
    deadlocks: 0n,
    temp_files: 0n,
    temp_bytes: 0n,
    checksum_failures: null,
    stats_reset: 'x',
    ...change,
  })
  const between = (before: Row, now: Row, seconds = 1) =>
    cluster([
      pg([
        sampleOf(databaseCounters, [counted(before)], { at: noon - seconds * 1000 }),
        sampleOf(databaseCounters, [counted(now)]),
      ]),
    ])

  test.each<[string, Row, Row, RegExp]>([
    ['deadlocks', { deadlocks: 3n }, { deadlocks: 4n }, /^warning 1 deadlock just now in app; 4 since/],
    ['deadlocks', { deadlocks: 3n }, { deadlocks: 3n }, /^ok none just now; 3 since/],
    ['rollbacks', { xact_rollback: 0n }, { xact_rollback: 50n }, /^warning 3.0k a minute, 100% of all transactions/],
    ['rollbacks', { xact_commit: 0n }, { xact_commit: 990n, xact_rollback: 10n }, /^ok 600 a minute, 1.0% of all/],
    ['temp_files', { temp_bytes: 0n }, { temp_bytes: 10n * 1024n ** 2n }, /^warning 600 MB a minute, most of it in app/],
    ['temp_files', { temp_bytes: 7n }, { temp_bytes: 7n }, /^ok 0 B a minute/],
    ['checksum_failures', {}, { checksum_failures: 2n }, /^critical 2 blocks failed in app/],
    ['checksum_failures', {}, { checksum_failures: 0n }, /^ok no block/],
  ])('%s %o %o', (id, before, now, expected) => {
    expect(told(id, between(before, now))).toEqual([expect.stringMatching(expected)])
  })

  test('one sample is none, and statistics that began again count from nothing', () => {
    expect(levels('deadlocks', cluster([pg([sampleOf(databaseCounters, [counted()])])]))).toEqual(['unknown'])
    expect(levels('deadlocks', between({ deadlocks: 0n, stats_reset: 'y' }, { deadlocks: 9n }))).toEqual(['ok'])
  })

  test('cache_hit: over the interval, and only where enough was read', () => {
    const read = (hit: bigint, missed: bigint) =>
      cluster([
        pg([
          beat(),
          sampleOf(counters, [{ xact: 0n, blks_hit: 0n, blks_read: 0n, stats_epoch: '1' }], { at: noon - 1000 }),
          sampleOf(counters, [{ xact: 0n, blks_hit: hit, blks_read: missed, stats_epoch: '1' }]),
        ]),
      ])
    expect(told('cache_hit', read(9000n, 1000n))).toEqual(['warning 90.0% of 10.0k blocks were in shared_buffers'])
    expect(levels('cache_hit', read(9900n, 100n))).toEqual(['ok'])
    expect(told('cache_hit', read(1n, 99n))).toEqual(['ok too few blocks were read to tell'])
  })
})

describe('WAL', () => {
  test('checkpoints_forced', () => {
    const of = (timed: bigint, requested: bigint) =>
      levels('checkpoints_forced', cluster([pg([sampleOf(checkpoints, [{ timed, requested }])])]))
    expect([of(10n, 30n), of(30n, 10n), of(0n, 5n), of(0n, 0n)]).toEqual([['warning'], ['ok'], ['ok'], ['ok']])
  })

  test.each<[string, Row, string | null, string]>([
    ['off', { archive_mode: 'off' }, '', 'ok'],
    ['works', { last_archived_age_seconds: 5, last_failed_age_seconds: 900 }, 'cp', 'ok'],
    ['nothing yet', {}, 'cp', 'ok'],
    ['fails', { last_failed_age_seconds: 5, last_archived_age_seconds: 900, last_failed_wal: '0001' }, 'false', 'critical'],
    ['has always failed', { last_failed_age_seconds: 5, last_failed_wal: '0001' }, 'false', 'critical'],
    ['has no command', {}, '', 'warning'],
    ['a command not to be seen', {}, null, 'ok'],
  ])('archiving: %s', (_, row, command, level) => {
    const told = [{ name: 'archive_command', setting: command, unit: null, pending_restart: false }]
    const state = cluster([
      pg([
        sampleOf(archiver, [{ archive_mode: 'on', archived_count: 0n, failed_count: 0n, ...row }]),
        sampleOf(settings, command === null ? [] : told),
      ]),
    ])
    expect(levels('archiving', state)).toEqual([level])
  })

  test('archive_backlog', () => {
    const of = (ready: number) => levels('archive_backlog', cluster([pg([sampleOf(archiveBacklog, [{ ready }])])]))
    expect([of(3), of(20)]).toEqual([['ok'], ['warning']])
  })

  test('wal_space', () => {
    const of = (gigabytes: bigint) =>
      told(
        'wal_space',
        cluster([
          pg([sampleOf(walFiles, [{ files: 1, total_bytes: gigabytes * 1024n ** 3n }]), sampleOf(settings, usualSettings)]),
        ]),
      )
    expect(of(1n)).toEqual(['ok pg_wal holds 1.0 GB, 100% of max_wal_size'])
    expect(of(3n)).toEqual([expect.stringMatching(/^warning pg_wal holds 3.0 GB/)])
  })
})

describe('disk_space', () => {
  const of = (usedPercent: number | null) => {
    const row = { path: '/data', total_bytes: 100n, free_bytes: 3n * 1024n ** 3n, usedPercent }
    const disk = { server: 'a', query: 'localDisk', at: noon, tookMs: 0, skipped: [], rows: [row] }
    return cluster([pg([sampleOf(settings, usualSettings), ...(usedPercent === null ? [] : [disk])])])
  }

  test('disk_space: taken, as df counts; unknown where the server is elsewhere', () => {
    expect(told('disk_space', of(79))).toEqual(['ok 79.0% of the disk under /data is taken, 3.0 GB are free'])
    expect(levels('disk_space', of(81))).toEqual(['warning'])
    expect(levels('disk_space', of(91))).toEqual(['critical'])
    expect(found('disk_space', of(null))).toMatchObject([{ level: 'unknown', remedy: 'GRANT pg_monitor TO dba;' }])
    const elsewhere = cluster([
      pg([sampleOf(settings, [...usualSettings, { name: 'data_directory', setting: '/data', unit: null }])], { host: 'db1' }),
    ])
    expect(found('disk_space', elsewhere)).toMatchObject([
      { level: 'unknown', remedy: 'df /data on the server, or run pgvigil check there' },
    ])
  })
})

describe('tables and indexes', () => {
  const table = (change: Row = {}) => ({
    relid: 16_000n,
    schemaname: 'public',
    relname: 'orders',
    qualified: 'public.orders',
    relkind: 'r',
    children: 0,
    members: 16_000n,
    relpages: 2000n,
    reltuples: 1e5,
    seq_scan: 0n,
    seq_tup_read: 0n,
    idx_scan: 5n,
    n_live_tup: 100_000n,
    n_dead_tup: 0n,
    n_tup_ins: 1n,
    n_mod_since_analyze: 0n,
    vacuum_threshold: 20_050,
    analyze_threshold: 10_050,
    autovacuum_enabled: true,
    last_autovacuum_age_seconds: 90_000,
    last_autoanalyze_age_seconds: 90_000,
    fillfactor: 100,
    members_due: 0,
    tables_in_all: 1,
    standby: false,
    block_size: 8192,
    ...change,
  })
  const has = (...rows: readonly Row[]) => cluster([pg([sampleOf(tables, rows)])])

  test('dead_rows: a large share of many', () => {
    expect(told('dead_rows', has(table({ n_dead_tup: 60_000n })))).toEqual(['warning 1 table with many dead rows: orders 37.5%'])
    expect(levels('dead_rows', has(table({ n_dead_tup: 900n, n_live_tup: 10n })))).toEqual(['ok'])
    expect(levels('dead_rows', has(table({ n_dead_tup: 15_000n })))).toEqual(['ok'])
  })

  test.each<[string, Row, string]>([
    ['dead rows far beyond what autovacuum waits for', { n_dead_tup: 50_000n }, 'warning 1 table overdue: orders (VACUUM)'],
    ['changes far beyond', { n_mod_since_analyze: 30_000n }, 'warning 1 table overdue: orders (ANALYZE)'],
    [
      'autovacuum is off for it',
      { n_dead_tup: 50_000n, autovacuum_enabled: false, last_autovacuum_age_seconds: 10 },
      'warning 1 table overdue: orders (VACUUM); autovacuum is off for 1',
    ],
    ['due, as every table now and then', { n_dead_tup: 25_000n }, 'ok autovacuum keeps up'],
    [
      'changed a lot right after its last vacuum',
      { n_dead_tup: 90_000n, last_autovacuum_age_seconds: 60 },
      'ok autovacuum keeps up',
    ],
    [
      'filled a moment ago, never looked after',
      { n_mod_since_analyze: 90_000n, last_autoanalyze_age_seconds: null },
      'ok autovacuum keeps up',
    ],
    ['inserts only', { n_ins_since_vacuum: 900_000n, insert_threshold: 1000 }, 'ok autovacuum keeps up'],
  ])('maintenance_overdue: %s', (_, change, expected) => {
    expect(told('maintenance_overdue', has(table(change)))).toEqual([expected])
  })

  test('false alarm the other way: a large table without any index, whose idx_scan is NULL, is shown', () => {
    const scanned = { seq_scan: 500n, seq_tup_read: 50_000_000n }
    expect(found('missing_indexes', has(table({ ...scanned, idx_scan: null })))).toMatchObject([
      { level: 'ok', advice: true, say: '1 table: orders (500 scans, no index at all)' },
    ])
    expect(found('missing_indexes', has(table({ ...scanned, idx_scan: 9000n })))).toMatchObject([{ level: 'ok', say: 'none' }])
    expect(found('missing_indexes', has(table({ ...scanned, idx_scan: null, relpages: 10n })))).toMatchObject([{ say: 'none' }])
  })

  const database = (change: Row) =>
    cluster([
      pg([sampleOf(databases, [{ oid: 5n, datname: 'app', freeze_age: 5, multixact_age: 5, freeze_max_age: 2e8, ...change }])]),
    ])

  test.each<[string, Row, string]>([
    ['freeze_age', { freeze_age: 250_000_000 }, 'ok'],
    ['freeze_age', { freeze_age: 1_100_000_000 }, 'warning'],
    ['freeze_age', { freeze_age: 1_700_000_000 }, 'critical'],
    ['multixact_age', { multixact_age: 5 }, 'ok'],
    ['multixact_age', { multixact_age: 1_100_000_000 }, 'warning'],
    ['multixact_age', { multixact_age: 1_700_000_000 }, 'critical'],
  ])('%s %o', (id, change, level) => {
    expect(levels(id, database(change))).toEqual([level])
  })

  const index = (indexrelid: bigint, change: Row = {}) => ({
    indexrelid,
    indrelid: 16_000n,
    schemaname: 'public',
    relname: 'orders',
    indexrelname: `i${indexrelid}`,
    qualified: `public.i${indexrelid}`,
    table_qualified: 'public.orders',
    relkind: 'i',
    owned: true,
    amname: 'btree',
    relpages: 1000n,
    idx_scan: 5n,
    indisunique: false,
    indisprimary: false,
    indisexclusion: false,
    indisvalid: true,
    indisready: true,
    indisreplident: false,
    building: false,
    columns: 'a',
    key_columns: 'a',
    indkey: String(indexrelid),
    indnkeyatts: 1,
    indclass: '1978',
    indcollation: '0',
    indoption: '0',
    indexes_in_all: 1,
    ...change,
  })
  const indexed = (...rows: readonly Row[]) => cluster([pg([sampleOf(indexes, rows)])])

  test('invalid_indexes: not those that somebody is building', () => {
    expect(found('invalid_indexes', indexed(index(1n), index(2n, { indisvalid: false })))).toMatchObject([
      { level: 'warning', say: '1 index invalid: i2', remedy: expect.stringContaining('DROP INDEX CONCURRENTLY public.i2') },
    ])
    expect(levels('invalid_indexes', indexed(index(2n, { indisvalid: false, building: true })))).toEqual(['ok'])
  })

  test('unused_indexes and duplicate_indexes are advice: never an alarm', () => {
    expect(found('unused_indexes', indexed(index(1n, { idx_scan: 0n })))).toMatchObject([
      { level: 'ok', advice: true, figure: 1 },
    ])
    expect(found('unused_indexes', indexed(index(1n, { idx_scan: 0n, relpages: 10n })))).toMatchObject([{ figure: 0 }])
    expect(found('unused_indexes', indexed(index(1n, { idx_scan: 0n, indisunique: true })))).toMatchObject([{ figure: 0 }])
    const twice = indexed(index(1n, { indkey: '3' }), index(2n, { indkey: '3' }))
    expect(found('duplicate_indexes', twice)).toMatchObject([{ level: 'ok', advice: true, say: '1 index: i2 is as public.i1' }])
    expect(found('duplicate_indexes', indexed(index(1n), index(2n)))).toMatchObject([{ figure: 0 }])
  })
})

describe('limits', () => {
  const sequence = (change: Row) => ({
    seqrelid: 1n,
    schemaname: 'public',
    sequencename: 's',
    qualified: 'public.s',
    max_value: 100n,
    cycle: false,
    used: 0,
    sequences_in_all: 3,
    hidden: 0,
    ...change,
  })
  const counting = (...rows: readonly Row[]) => cluster([pg([sampleOf(sequences, rows)], { user: 'mon' })])

  test('sequences', () => {
    expect(levels('sequences', counting(sequence({ used: 0.5 })))).toEqual(['ok'])
    expect(told('sequences', counting(sequence({ used: 0.9 }), sequence({ used: 0.81 })))).toEqual([
      'warning 2 sequences: s 90.0%, s 81.0% of the numbers used',
    ])
    expect(levels('sequences', counting(sequence({ used: 0.96 })))).toEqual(['critical'])
    expect(levels('sequences', counting(sequence({ used: 0.96, cycle: true })))).toEqual(['ok'])
    expect(levels('sequences', counting())).toEqual(['ok'])
  })

  test('sequences that may not be read are unknown, with the GRANT; one near its end is told all the same', () => {
    expect(found('sequences', counting(sequence({ used: null, hidden: 2 })))).toMatchObject([
      { level: 'unknown', say: '2 of 3 sequences are not to be read', remedy: 'GRANT pg_read_all_data TO mon;' },
    ])
    expect(levels('sequences', counting(sequence({ used: 0.96, hidden: 2 })))).toEqual(['critical'])
  })

  test('password_expiry', () => {
    const role = (days: number, rolname = 'app') => ({ rolname, valid_until: 'x', left_seconds: days * 86_400 })
    const of = (...rows: readonly Row[]) => told('password_expiry', cluster([pg([sampleOf(passwords, rows)])]))
    expect(of()).toEqual(['ok none expires'])
    expect(of(role(90))).toEqual(['ok the next in 90d00h'])
    expect(of(role(12), role(-2, 'old'))).toEqual(['warning old has expired 2d00h ago, app expires in 12d00h'])
  })
})

describe('settings', () => {
  const set = (name: string, setting: string, unit: string | null = null) => [
    ...usualSettings.filter(row => row.name !== name),
    { name, setting, unit, pending_restart: false },
  ]
  const having = (rows: readonly Row[]) => cluster([pg([sampleOf(settings, rows)])])

  test.each([
    ['fsync', 'off', 'critical'],
    ['full_page_writes', 'off', 'critical'],
    ['autovacuum', 'off', 'critical'],
    ['track_counts', 'off', 'critical'],
    ['track_activities', 'off', 'warning'],
    ['zero_damaged_pages', 'on', 'critical'],
  ])('settings: %s = %s is %s', (name, value, level) => {
    expect(levels('settings', having(set(name, value)))).toEqual([level])
    expect(levels('settings', having(usualSettings))).toEqual(['ok'])
  })

  test('settings: MD5 passwords, usual up to 13, are advice', () => {
    expect(found('settings', having(set('password_encryption', 'md5')))).toMatchObject([
      { level: 'ok', say: 'none of those known as dangerous' },
      { level: 'ok', advice: true, object: 'password_encryption' },
    ])
  })

  test('pending_restart', () => {
    expect(levels('pending_restart', having(usualSettings))).toEqual(['ok'])
    const waiting = [...usualSettings, { name: 'max_connections', setting: '100', unit: null, pending_restart: true }]
    expect(told('pending_restart', having(waiting))).toEqual(['warning max_connections: changed in the file, not in force yet'])
  })

  test('false alarm: work_mem counts in kB and shared_buffers in 8kB: neither is shown eightfold', () => {
    expect(told('memory_settings', having(set('work_mem', '65536', 'kB')))).toEqual([
      'warning 97 connections times work_mem 64.0 MB is 6.1 GB, effective_cache_size 4.0 GB, shared_buffers 128 MB',
    ])
    expect(told('memory_settings', having(usualSettings))).toEqual([
      'ok 97 connections times work_mem 4.0 MB is 388 MB, effective_cache_size 4.0 GB, shared_buffers 128 MB',
    ])
  })
})

describe('TimescaleDB', () => {
  const extension = { facts: factsOf({ extensions: { timescaledb: 22_300 } }) }
  const job = (change: Row = {}) => ({
    job_id: 1000,
    proc_name: 'policy_compression',
    hypertable_schema: 'public',
    hypertable_name: 'metrics',
    scheduled: true,
    config: '{"hypertable_id": 1, "compress_after": "7 days"}',
    job_status: 'Scheduled',
    last_run_status: 'Success',
    next_start_ago_seconds: -60,
    ...change,
  })
  const chunk = (days: number, change: Row = {}) => ({
    hypertable_schema: 'public',
    hypertable_name: 'metrics',
    chunk_schema: '_timescaledb_internal',
    chunk_name: `c${days}`,
    qualified: `c${days}`,
    end_age_seconds: days * 86_400,
    is_compressed: false,
    chunks_in_all: 1,
    ...change,
  })
  const timescale = (job: Row, ...rows: readonly Row[]) =>
    cluster([pg([sampleOf(jobs, [job]), sampleOf(chunks, rows), sampleOf(hypertables, [])], extension)], {}, { timescaleId: 'a' })

  test('chunks_compression: past the policy by more than a day', () => {
    expect(told('chunks_compression', timescale(job(), chunk(9), chunk(5)))).toEqual([
      'warning 1 chunk should have been compressed already, the oldest 2d00h ago: metrics',
    ])
    expect(levels('chunks_compression', timescale(job(), chunk(9, { is_compressed: true }), chunk(7.5)))).toEqual(['ok'])
    expect(levels('chunks_compression', timescale(job({ config: '{"compress_after": 100}' }), chunk(99)))).toEqual(['ok'])
  })

  test('chunks_retention', () => {
    const retention = job({ proc_name: 'policy_retention', config: '{"drop_after": "30 days"}' })
    expect(levels('chunks_retention', timescale(retention, chunk(40, { is_compressed: true })))).toEqual(['warning'])
    expect(levels('chunks_retention', timescale(retention, chunk(30.5)))).toEqual(['ok'])
  })

  test('jobs_failed', () => {
    expect(levels('jobs_failed', timescale(job()))).toEqual(['ok'])
    expect(told('jobs_failed', timescale(job({ last_run_status: 'Failed' })))).toEqual([
      'warning 1 job failed: 1000 policy_compression of metrics',
    ])
    expect(told('jobs_failed', timescale(job({ next_start_ago_seconds: 1200 })))).toEqual([
      'warning 1 job late: 1000 policy_compression of metrics by 20m00s',
    ])
  })

  test('a database without TimescaleDB is no business of theirs', () => {
    expect(
      run(
        cluster([pg([beat()])], {}, { timescaleId: 'a' }),
        ['chunks_compression', 'chunks_retention', 'jobs_failed'].map(checkNamed),
      ),
    ).toEqual([])
  })
})

describe('the log', () => {
  const logged = (...lines: readonly string[]) =>
    cluster([
      pg([sampleOf(logTail, [{ file: 'pg.csv', format: 'csvlog', since: '2026-11-23 11:00:00', tail: lines.join('\n') }])]),
    ])
  const now = '2026-11-23 11:30:00.1 UTC'

  test('log_errors: by their words, within the hour', () => {
    expect(told('log_errors', logged(`${now} LOG:  fine`))).toEqual(['ok nothing in the last hour of pg.csv'])
    expect(told('log_errors', logged(`${now} PANIC:  could not write`))[0]).toMatch(
      /^critical 1 line in the last hour: PANIC 1x; the newest: /,
    )
    const many = Array.from({ length: 10 }, () => `${now} ERROR:  deadlock detected`)
    expect(told('log_errors', logged(...many))[0]).toMatch(/^warning 10 lines in the last hour: deadlock 10x/)
    expect(levels('log_errors', logged(...many.slice(0, 3)))).toEqual(['ok'])
  })

  test('false alarms: what is old, what was ended on purpose, what only quotes a statement', () => {
    expect(
      told(
        'log_errors',
        logged(
          '2026-11-23 09:00:00 UTC PANIC:  long ago',
          `${now} FATAL:  the database system is starting up`,
          `${now} FATAL:  terminating connection due to administrator command`,
          `${now} STATEMENT:  select 'PANIC'`,
        ),
      ),
    ).toEqual(['ok nothing in the last hour of pg.csv'])
  })
})

describe('what can not be looked at', () => {
  test('a server that is down: every check of it is unknown with the reason, and the others are checked', () => {
    const state = cluster([
      pg([beat()]),
      pg([], { id: 'b', role: null, link: link('DOWN', 'down', 'refused'), lastAnswerAt: null }),
    ])
    const ofServer = checks.filter(({ of }) => of === 'postgres' || of === 'primary' || of === 'standby')
    for (const { id } of ofServer) {
      const down = found(id, state).filter(({ server }) => server === 'b')
      expect(down, id).toMatchObject([{ level: 'unknown', say: 'not asked: DOWN: refused', unasked: true }])
    }
    expect(told('connections', state)[0]).toBe('ok 10 of 97 connections are taken')
  })

  test('a function that a role may not call: the GRANT with its name', () => {
    const problems = {
      walFiles: {
        kind: 'unavailable',
        reason: 'this role may not call pg_ls_waldir()',
        remedy: 'GRANT pg_monitor TO this_role;',
      },
    } as const
    const state = cluster([pg([sampleOf(settings, usualSettings)], { user: 'my-mon', problems })])
    expect(found('wal_space', state)).toMatchObject([{ level: 'unknown', remedy: 'GRANT pg_monitor TO "my-mon";' }])
  })

  test('a query that was refused: what the server said, and the GRANT', () => {
    const problems = {
      archiver: { kind: 'failed', error: 'permission denied for view pg_stat_archiver', code: '42501', at: noon },
    } as const
    expect(found('archiving', cluster([pg([], { problems })]))).toMatchObject([
      { level: 'unknown', say: 'permission denied for view pg_stat_archiver', remedy: 'GRANT pg_monitor TO dba;' },
    ])
  })

  test('rows of long ago are no word on now', () => {
    const old = sampleOf(activity, [session(8, { state: 'active', query_age_seconds: 900 })], { at: noon - 60_000 })
    expect(told('long_queries', cluster([pg([beat(), old])]))).toEqual(['unknown not read yet'])
  })
})

describe('the list', () => {
  test('ids are unique and good for scripts, why is one sentence', () => {
    expect(new Set(checks.map(({ id }) => id)).size).toBe(checks.length)
    for (const { id, why, title } of checks) {
      expect(id).toMatch(/^[a-z]+(_[a-z]+)*$/)
      expect(why, id).toMatch(/^[A-Zp].*\.$/)
      expect(title.length, id).toBeGreaterThan(5)
    }
  })

  test('every check has its test here that fires and one that is clear', async () => {
    const { readFileSync } = await import('node:fs')
    const text = readFileSync(import.meta.filename, 'utf8')
    for (const { id } of checks) expect(text.split(id).length, id).toBeGreaterThan(2)
  })

  test('every place that a finding leads to is a list of a pane', () => {
    const places = [
      ...found('replication_slots', cluster([pg([beat(), sampleOf(slots, [slot({ wal_status: 'lost' })])])])),
      ...found('connections', cluster([pg([beat()])])),
      ...found('one_primary', cluster([pg([beat()]), pg([beat()], { id: 'b', port: 5433 })])),
    ].map(({ leadsTo }) => leadsTo!)
    for (const { panel, list } of places) expect(panels.find(({ id }) => id === panel)?.lists.map(({ id }) => id)).toContain(list)
  })
})
