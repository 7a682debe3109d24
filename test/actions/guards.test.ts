// What stands in the way of each action, and what the menu offers. Every guard is taken out of a state in which the action can be done, by
// the one change that must forbid it.

import { beforeEach, describe, expect, test } from 'vitest'
import { isWhyNot } from '../../src/actions/action.ts'
import { whyNotNow } from '../../src/actions/guards.ts'
import { actionById, actions } from '../../src/actions/index.ts'
import { type Context, commandById, menuItems, perform } from '../../src/commands.ts'
import { judge } from '../../src/deeds.ts'
import { untrusted } from '../../src/model/untrusted.ts'
import { panels } from '../../src/panels/index.ts'
import type { AnyRow } from '../../src/panels/panel.ts'
import { listOf } from '../../src/panels/shown.ts'
import { activity } from '../../src/sql/activity.ts'
import { indexes } from '../../src/sql/indexes.ts'
import { locks } from '../../src/sql/locks.ts'
import { showClients, showDatabases, showPools, showState } from '../../src/sql/pgbouncer.ts'
import { progress } from '../../src/sql/progress.ts'
import { senders, slots } from '../../src/sql/replication.ts'
import { names, pulse } from '../../src/sql/server.ts'
import { tableSizes, tables } from '../../src/sql/tables.ts'
import { chunks, hypertables, jobs } from '../../src/sql/timescale.ts'
import type { OwnPause, State, Subject } from '../../src/store/state.ts'
import { createAppStore, type Store } from '../../src/store/store.ts'
import {
  also,
  type Change,
  cluster,
  config,
  doable,
  facts,
  frozen,
  inFocus,
  listNamed,
  more,
  panelOfList,
  pooler,
  possible,
  primary,
  rows,
  server,
  standby,
  subjectFor,
  without,
} from '../support/doable.ts'
import { noon } from '../support/state.ts'

const nothing: Change = state => state
const bigName = 'x'.repeat(62)

const paused = (database: string | null): Change => {
  const since = noon - 1000
  const pause: OwnPause = {
    id: 1,
    server: pooler,
    database: database === null ? null : untrusted(database),
    by: 'PAUSE',
    phase: 'in force',
    since,
    deadlineAt: since + 30_000,
    watches: [],
  }
  return state => ({ ...state, pauses: [pause] })
}
const allPaused = rows(pooler, showState, { key: 'paused' }, { value: 'yes' })
const pausedOf = (name: string, value: number) => rows(pooler, showDatabases, { name }, { paused: value })
const renamed = (name: string): Change =>
  also(rows(pooler, showPools, { database: 'shop' }, { database: name }), rows(pooler, showDatabases, { name: 'shop' }, { name }))

type Case = {
  /** One or several. */
  readonly action: string | readonly string[]
  /** Beside what the action needs anyway: so that it can still be done. */
  readonly given?: Change
  /** The change that must forbid it. */
  readonly when: Change
  readonly says: string | RegExp
  /** Another row than the action's usual one, in the changed state. */
  readonly row?: (row: AnyRow) => boolean
}

const session = (change: Readonly<Record<string, unknown>>) => rows(primary, activity, { pid: 7302 }, change)
const plain = facts(primary, { superuser: false })
const none = also(plain, facts(primary, { signalsBackends: false }))
const chunk = (change: Readonly<Record<string, unknown>>) => rows(primary, chunks, {}, change)
const job = (change: Readonly<Record<string, unknown>>) => rows(primary, jobs, { job_id: 1000 }, change)
const both = ['cancel', 'terminate']
const toPools = ['pause', 'resume', 'reload', 'reconnect', 'disable', 'enable', 'pauseAll', 'resumeAll', 'kill', 'killClient']
const toRelations = [
  ...['vacuumAnalyze', 'vacuum', 'analyze', 'vacuumFreeze', 'vacuumFull', 'reindexTable'],
  ...['reindexIndex', 'dropIndex'],
]
const orders = (change: Readonly<Record<string, unknown>>) => rows(primary, tables, { relid: 20_001n }, change)
const indexOf = (oid: bigint, change: Readonly<Record<string, unknown>>, other = oid) =>
  also(...[oid, other].map(indexrelid => rows(primary, indexes, { indexrelid }, change)))
const server17 = facts(primary, { version: 170004 })
const auxiliary = [
  'startup',
  'checkpointer',
  'background writer',
  'walwriter',
  'archiver',
  'logger',
  'stats collector',
  'walreceiver',
  'walsummarizer',
  'slotsync worker',
  'io worker',
  'autovacuum launcher',
  'logical replication launcher',
]

// biome-ignore format: a case is a line
const cases: readonly Case[] = [
  // Sessions, whatever is done to them.
  { action: both, when: rows(primary, pulse, {}, { own_pid: 7302 }), says: "it is one of pgvigil's own sessions" },
  { action: both, when: state => ({ ...state, ownPids: { [primary]: [7302] } }), says: "it is one of pgvigil's own sessions" },
  {
    action: both,
    when: also(rows(standby, pulse, {}, { own_pid: 7302 }), rows(standby, pulse, {}, { postmaster_start_epoch: noon / 1000 - 950_000 })),
    says: "it is one of pgvigil's own sessions",
  },
  { action: both, when: session({ backend_start: null }), says: /^restricted: GRANT pg_monitor TO dba; \(/ },
  { action: both, when: also(session({ backend_start: null }), facts(primary, { signalsBackends: false })), says: /^restricted: GRANT pg_monitor, pg_signal_backend TO dba; \(/ },
  ...auxiliary.map(backend_type => ({ action: both, when: session({ backend_type }), says: `it is the ${backend_type}, a process of the server itself` })),
  { action: both, when: session({ backend_type: 'parallel worker', leader_pid: 7304 }), says: 'it is a parallel worker: act on its leader, pid 7304' },
  { action: both, when: session({ backend_type: 'parallel worker' }), says: 'it is a parallel worker' },
  { action: both, given: plain, when: rows(primary, names, { oid: 10n }, { is_superuser: true }), says: 'only a superuser may signal a session of superuser app, and dba is none' },
  { action: both, given: plain, when: session({ usesysid: null }), says: 'only a superuser may signal a process of the server, and dba is none' },
  { action: both, given: plain, when: none, says: 'no right: GRANT pg_signal_backend TO dba; (to signal sessions of app)' },
  { action: both, given: also(none, rows(primary, names, { oid: 10n }, { has_privileges: true })), when: rows(primary, names, { oid: 10n }, { has_privileges: false }), says: /^no right: GRANT pg_signal_backend TO dba;/ },
  { action: both, given: also(none, server(primary, { user: 'Night Watch' }), rows(primary, names, { oid: 10n }, { has_privileges: true })), when: rows(primary, names, { oid: 10n }, { has_privileges: false }), says: /^no right: GRANT pg_signal_backend TO "Night Watch";/ },
  {
    action: both,
    given: also(plain, session({ backend_type: 'autovacuum worker', usesysid: null })),
    when: facts(primary, { signalsAutovacuum: false }),
    says: 'only a superuser may signal an autovacuum worker',
  },
  {
    action: both,
    given: also(plain, session({ backend_type: 'autovacuum worker', usesysid: null })),
    when: facts(primary, { signalsAutovacuum: false, version: 180004 }),
    says: 'no right: GRANT pg_signal_autovacuum_worker TO dba; (to signal an autovacuum worker)',
  },
  // Queries.
  { action: 'cancel', when: session({ backend_type: 'walsender' }), says: 'a walsender runs no query that could be cancelled' },
  ...['idle in transaction', 'idle in transaction (aborted)'].map(state => ({ action: 'cancel', when: session({ state }), says: 'no effect while idle in transaction; K terminates the session (its transaction stays open until then)' })),
  { action: 'cancel', when: session({ state: 'idle' }), says: 'it is idle: there is no query to cancel' },
  { action: 'cancel', when: session({ query_start: null }), says: 'it runs no query' },
  // Walsenders.
  { action: 'terminateWalsender', when: without(primary, senders, {}), says: 'no walsender serves it now' },
  { action: 'terminateWalsender', when: rows(primary, pulse, {}, { own_pid: 6001 }), says: "it is one of pgvigil's own sessions" },
  { action: 'terminateWalsender', when: rows(primary, senders, {}, { backend_start: null }), says: /^restricted: GRANT pg_monitor TO dba;/ },
  { action: 'terminateWalsender', given: plain, when: facts(primary, { signalsBackends: false }), says: 'no right: GRANT pg_signal_backend TO dba; (to signal sessions of repl)' },
  { action: 'terminateWalsender', given: plain, when: rows(primary, names, { oid: 12n }, { is_superuser: true }), says: 'only a superuser may signal a session of superuser repl, and dba is none' },
  // Prepared transactions.
  ...(['commitPrepared', 'rollbackPrepared'] as const).flatMap((action): Case[] => [
    { action, when: nothing, row: row => row.pid === 7301, says: 'it is a session, and no prepared transaction' },
    { action, when: rows(primary, locks, { kind: 'held', pid: 0 }, { xact_start: null }), says: 'which transaction it is can no longer be told' },
    { action, when: server(primary, { role: 'standby' }), says: 'a standby can end no prepared transaction: do it on the primary' },
    { action, when: without(primary, names, { kind: 'database' }), says: 'the name of its database is not known' },
    { action, given: also(plain, server(primary, { user: 'app' })), when: server(primary, { user: 'dba' }), says: 'only its owner app or a superuser may end it, and dba is neither' },
    { action, given: also(plain, server(primary, { user: 'app' })), when: also(server(primary, { user: 'dba' }), rows(primary, names, { oid: 10n }, { has_privileges: true })), says: 'only its owner app or a superuser may end it: connect as app' },
  ]),
  // Replay.
  ...(['pauseReplay', 'resumeReplay'] as const).map((action): Case => ({
    action,
    when: state => ({ ...state, order: state.order.filter(id => id !== standby) }),
    row: row => row.application_name !== null,
    says: 'the standby itself is not watched: name its conninfo to pgvigil too',
  })),
  { action: 'pauseReplay', when: rows(standby, pulse, {}, { replay_pause: 'paused' }), says: 'replay is paused already; R resumes it' },
  { action: 'pauseReplay', when: rows(standby, pulse, {}, { replay_pause: 'pause requested' }), says: 'replay is paused already; R resumes it' },
  { action: 'resumeReplay', when: rows(standby, pulse, {}, { replay_pause: 'not paused' }), says: 'replay is not paused' },
  { action: 'pauseReplay', when: facts(standby, { pausesReplay: false }), says: 'no right: GRANT EXECUTE ON FUNCTION pg_catalog.pg_wal_replay_pause() TO dba; (on the primary)' },
  { action: 'resumeReplay', when: facts(standby, { resumesReplay: false }), says: /^no right: GRANT EXECUTE ON FUNCTION pg_catalog\.pg_wal_replay_resume\(\) TO dba;.* while replay is paused, only a superuser can resume$/ },
  // Whoever pauses must be able to end it.
  { action: 'pauseReplay', when: facts(standby, { resumesReplay: false }), says: 'no right: GRANT EXECUTE ON FUNCTION pg_catalog.pg_wal_replay_resume() TO dba; (on the primary)' },
  // Slots.
  { action: 'dropSlot', given: rows(primary, slots, {}, { synced: true }), when: server(primary, { role: 'standby' }), says: 'the server keeps it in step with its primary: drop it there' },
  { action: 'dropSlot', when: rows(primary, slots, { slot_name: 'old_replica' }, { active: true }), says: 'the slot is in use: terminate its walsender first, or take its standby away' },
  { action: 'dropSlot', when: facts(primary, { hasReplication: false }), says: 'no right: ALTER ROLE dba REPLICATION; (to drop slots)' },
  // Chunks and jobs.
  ...['compress', 'decompress', 'runJob', 'pauseJob', 'resumeJob'].flatMap((action): Case[] => [
    { action, when: server(primary, { role: 'standby' }), says: 'a standby is read-only: do it on the primary' },
    { action, when: facts(primary, { timescaleLicense: untrusted('apache') }), says: /^TimescaleDB runs under the Apache licence: set timescaledb\.license = 'timescale'/ },
  ]),
  { action: 'compress', when: chunk({ is_compressed: true }), says: 'it is compressed already; Z decompresses it', row: row => row.chunk_name === '_hyper_1_101_chunk' },
  { action: 'decompress', when: chunk({ is_compressed: false }), says: 'it is not compressed', row: row => row.chunk_name === '_hyper_1_118_chunk' },
  { action: 'compress', when: rows(primary, hypertables, {}, { compression_enabled: false }), says: 'compression is not enabled: ALTER TABLE public.metrics SET (timescaledb.compress);' },
  { action: ['compress', 'decompress'], when: rows(primary, hypertables, {}, { owned: false, owner: 'app' }), says: 'it takes the owner: GRANT app TO dba;' },
  { action: ['compress', 'decompress'], when: rows(primary, hypertables, {}, { owned: false, owner: 'Night Watch' }), says: 'it takes the owner: GRANT "Night Watch" TO dba;' },
  { action: ['runJob', 'pauseJob', 'resumeJob'], when: job({ owned: false, owner: 'app' }), says: 'it takes the owner: GRANT app TO dba;' },
  { action: 'runJob', when: job({ job_status: 'Running' }), says: 'it runs already' },
  { action: 'pauseJob', when: job({ scheduled: false }), says: 'it is paused already; R resumes it' },
  { action: 'resumeJob', when: job({ scheduled: true }), says: 'it is not paused' },
  // Tables and indexes.
  { action: toRelations, when: server(primary, { role: 'standby' }), says: 'a standby is read-only: do it on the primary' },
  { action: 'reindexTable', when: orders({ reindexes: false }), says: 'no right: GRANT app TO dba;' },
  { action: 'reindexTable', given: server17, when: orders({ reindexes: false }), says: 'no right: GRANT pg_maintain TO dba; (or GRANT MAINTAIN ON public.orders TO dba;)' },
  // The owner of the database may VACUUM it, and no more.
  { action: 'reindexTable', given: also(server17, orders({ owned: false })), when: orders({ maintains: true, reindexes: false }), says: /^no right: GRANT pg_maintain TO dba;/ },
  { action: 'reindexTable', when: also(orders({ idx_scan: null }), rows(primary, tableSizes, { relid: 20_001n }, { index_bytes: 0n, toast_bytes: 0n })), says: 'it has no index' },
  { action: 'reindexTable', when: also(without(primary, tables, { parent_relid: 20_010n }), orders({ relkind: 'p' })), says: 'it has no partition that is listed' },
  { action: 'reindexIndex', when: indexOf(21_002n, { relkind: 'I' }), says: 'no partition has a part of it' },
  { action: ['reindexIndex', 'dropIndex'], when: indexOf(21_002n, { building: true }, 21_006n), says: 'it is being built' },
  { action: 'reindexIndex', when: nothing, row: row => row.indexrelid === 21_006n, says: 'a REINDEX has left it behind, and the index it was made for stands beside it: drop it (F9)' },
  { action: 'reindexIndex', when: indexOf(21_002n, { indisexclusion: true }), says: /^CONCURRENTLY is not possible for an exclusion constraint/ },
  { action: 'reindexIndex', when: indexOf(21_002n, { maintains: false }), says: 'no right: GRANT app TO dba;' },
  { action: 'reindexIndex', given: server17, when: indexOf(21_002n, { maintains: false }), says: /^no right: GRANT pg_maintain TO dba;/ },
  { action: 'dropIndex', when: indexOf(21_006n, { indisvalid: true }), says: 'it is valid: only invalid indexes are dropped from here' },
  { action: 'dropIndex', when: indexOf(21_006n, { relkind: 'I' }), says: /^it is of a partitioned table/ },
  { action: 'dropIndex', when: indexOf(21_006n, { conname: 'orders_uniq' }), says: 'it belongs to constraint orders_uniq: ALTER TABLE ... DROP CONSTRAINT' },
  { action: 'dropIndex', when: indexOf(21_006n, { owned: false }), says: 'no right: GRANT app TO dba;' },
  { action: 'dropIndex', when: also(indexOf(21_006n, { owned: false }), rows(primary, names, { oid: 10n }, { is_superuser: true })), says: 'no right: GRANT app TO dba; (its owner, a superuser: ALTER TABLE public.orders OWNER TO dba; gives less)' },
  { action: 'dropIndex', given: plain, when: indexOf(21_006n, { table_qualified: 'pg_toast.pg_toast_20001' }), says: /^it takes a superuser, since it is of a TOAST table/ },
  // Bloat.
  { action: 'exactBloat', when: facts(primary, { pgstattupleSchema: null }), says: 'pgstattuple is not installed in this database; a superuser can do it: CREATE EXTENSION pgstattuple;' },
  { action: 'exactBloat', when: also(server(primary, { role: 'standby' }), facts(primary, { pgstattupleSchema: null })), says: 'pgstattuple is not installed in this database; a superuser can do it on the primary: CREATE EXTENSION pgstattuple;' },
  { action: 'exactBloat', when: facts(primary, { pgstattupleExecutes: false }), says: 'no EXECUTE on pgstattuple: GRANT pg_stat_scan_tables TO dba;' },
  { action: 'exactBloat', when: facts(primary, { pgstattupleInReach: false }), says: 'no USAGE on the schema of pgstattuple: GRANT USAGE ON SCHEMA "public" TO dba;' },
  { action: 'exactBloat', when: nothing, row: row => row.relname === 'visits', says: 'it stands for others: o opens it, then measure each of them' },
  { action: 'exactBloat', when: rows(primary, tables, { relname: 'stock' }, { relkind: 'p' }), row: row => row.relname === 'stock', says: 'it has no pages of its own' },
  // PgBouncers.
  { action: toPools, given: config('admin_users', 'boss, pgvigil'), when: config('admin_users', 'boss,pgvigil2'), says: 'pgvigil may only look: add it to admin_users in pgbouncer.ini (admin_users = ..., pgvigil) and RELOAD' },
  { action: toPools, given: also(server(pooler, { user: 'pgbouncer', host: '/run/pgbouncer' }), config('admin_users', 'boss')), when: server(pooler, { host: '127.0.0.1' }), says: /^pgbouncer may only look:/ },
  ...(['pause', 'reconnect', 'disable', 'enable', 'kill'] as const).map((action): Case => ({ action, when: renamed(bigName), row: row => row.database === bigName, says: "the console can't be told this name: it is empty or too long" })),
  ...(['pause', 'reconnect', 'disable', 'enable', 'kill'] as const).map((action): Case => ({ action, when: renamed(''), row: row => row.database === '', says: "the console can't be told this name: it is empty or too long" })),
  { action: 'pause', when: paused('shop'), says: 'pgvigil has paused it already: R resumes it' },
  { action: 'pauseAll', when: paused(null), says: 'pgvigil has paused it already: R resumes it' },
  { action: ['pause', 'pauseAll'], when: allPaused, says: 'everything is paused already: RESUME of all ends that (F9)' },
  { action: 'pause', when: pausedOf('shop', 1), says: 'it is paused already: R resumes it' },
  { action: 'resume', when: pausedOf('billing', 0), says: 'it is not paused' },
  { action: 'resume', given: also(pausedOf('billing', 0), paused('billing')), when: state => ({ ...state, pauses: [] }), says: 'it is not paused' },
  { action: 'resume', when: also(pausedOf('billing', 0), allPaused), says: 'everything is paused, not this database alone: RESUME of all ends that (F9)' },
  { action: 'resumeAll', when: rows(pooler, showState, { key: 'paused' }, { value: 'no' }), says: 'not everything is paused' },
  { action: 'resumeAll', given: also(rows(pooler, showState, { key: 'paused' }, { value: 'no' }), paused(null)), when: state => ({ ...state, pauses: [] }), says: 'not everything is paused' },
  // Before 1.19 nobody can tell whether everything is paused.
  { action: 'resumeAll', given: without(pooler, showState, {}), when: more(pooler, showState, { key: 'paused', value: 'no' }), says: 'not everything is paused' },
  { action: 'disable', when: rows(pooler, showDatabases, { name: 'shop' }, { disabled: 1 }), says: 'it is disabled already; E enables it' },
  { action: 'enable', when: rows(pooler, showDatabases, { name: 'shop' }, { disabled: 0 }), says: 'it is not disabled' },
  { action: 'killClient', when: facts(pooler, { version: 12_301 }), says: 'this PgBouncer has no KILL_CLIENT (1.24 and later have); its server connection is pid 7302, which 1 Activity can terminate' },
  { action: 'killClient', when: rows(pooler, showClients, {}, { id: null }), says: /^this PgBouncer has no KILL_CLIENT/ },
]

const each = cases.flatMap(({ action, ...rest }) => [action].flat().map(id => ({ id, ...rest })))
const ids = actions.map(({ id }) => id)

/** Why an action can't be done to its row; null: it can. */
function why(id: string, state: State, row?: (row: AnyRow) => boolean): string | null {
  const judged = judge(actionById(id)!, subjectFor(state, id, row ?? doable[id]!.row), state)
  return 'why' in judged ? judged.why : null
}

describe('each guard', () => {
  test('no action is without a row to be done to, and none without a guard of its own', () => {
    expect(Object.keys(doable).sort()).toEqual([...ids].sort())
    expect([...new Set(each.map(({ id }) => id))].sort()).toEqual([...ids].sort())
  })

  test.each(ids)('%s can be done to its row', id => {
    expect(why(id, possible(id))).toBeNull()
  })

  test.each(each.map(one => [`${one.id}: ${one.says}`, one] as const))('%s', (_, { id, given = nothing, when, says, row }) => {
    const before = given(possible(id))
    expect(why(id, before), 'before').toBeNull()
    const told = why(id, when(before), row)
    if (typeof says === 'string') expect(told).toBe(says)
    else expect(told).toMatch(says)
  })

  test('a target is judged again as it is now, not as it was when it was frozen', () => {
    const now: readonly (readonly [string, Change, string])[] = [
      ['terminate', state => ({ ...state, ownPids: { [primary]: [7302] } }), "it is one of pgvigil's own sessions"],
      ['compress', chunk({ is_compressed: true }), 'it is compressed already; Z decompresses it'],
      ['pause', pausedOf('shop', 1), 'it is paused already: R resumes it'],
      ['disable', rows(pooler, showDatabases, { name: 'shop' }, { disabled: 1 }), 'it is disabled already; E enables it'],
      ['pauseReplay', rows(standby, pulse, {}, { replay_pause: 'paused' }), 'replay is paused already; R resumes it'],
    ]
    for (const [id, change, says] of now) {
      const before = possible(id)
      expect(whyNotNow(actionById(id)!, frozen(before, id), change(before))?.why, id).toBe(says)
    }
    const target = frozen(possible('pauseReplay'), 'pauseReplay')
    const promoted = server(standby, { role: 'primary' })(possible('pauseReplay'))
    expect(actionById('pauseReplay')!.guard(target, promoted)?.why).toBe('pg2:5432 is no standby')
  })

  test('a session under Locks has the guards that it has under Activity', () => {
    const state = possible('cancel')
    const of = (change: Change, pid: number, id = 'terminate') => {
      const changed = change(state)
      const row = listNamed('locks')
        .select(changed)
        .rows.find(one => one.pid === pid)!
      const judged = judge(actionById(id)!, { list: 'locks', rows: [row], missing: 0 }, changed)
      return 'why' in judged ? judged.why : null
    }
    expect([of(nothing, 7302), of(nothing, 7302, 'cancel')]).toEqual([null, null])
    expect(of(nothing, 7301, 'cancel')).toMatch(/^no effect while idle in transaction/)
    expect(of(nothing, 0)).toBe('a prepared transaction has no session: F9 offers COMMIT PREPARED and ROLLBACK PREPARED')
    expect(of(rows(primary, pulse, {}, { own_pid: 7302 }), 7302)).toBe("it is one of pgvigil's own sessions")
    expect(of(none, 7302)).toMatch(/^no right: GRANT pg_signal_backend/)
    // Also where Activity has not told of it: only Locks has been asked.
    const unknown = without(primary, activity, {})
    expect([of(unknown, 7302), of(unknown, 7302, 'cancel')]).toEqual([null, null])
    expect(of(also(unknown, none), 7302)).toMatch(/^no right: GRANT pg_signal_backend/)
    expect(of(also(unknown, rows(primary, locks, { pid: 7302 }, { backend_start: null, backend_type: null })), 7302)).toMatch(
      /^restricted/,
    )
    expect(of(also(unknown, rows(primary, pulse, {}, { own_pid: 7302 })), 7302)).toBe("it is one of pgvigil's own sessions")
  })
})

describe('commands under Progress', () => {
  const of = (change: Change, pid: number, id = 'cancel') => {
    const changed = change(possible('cancel'))
    const row = listNamed('progress')
      .select(changed)
      .rows.find(one => one.pid === pid)!
    const judged = judge(actionById(id)!, { list: 'progress', rows: [row], missing: 0 }, changed)
    return 'why' in judged ? judged.why : null
  }
  const command = (pid: number, change: Readonly<Record<string, unknown>>) => rows(primary, progress, { pid }, change)

  test('have the guards of sessions, also where Activity has not told of them', () => {
    expect([of(nothing, 7401), of(nothing, 7401, 'terminate')]).toEqual([null, null])
    const hidden = { backend_type: null, backend_start: null, phase: null, relid: null, query: null }
    expect(of(command(7401, hidden), 7401)).toMatch(/^restricted: GRANT pg_monitor/)
    expect(of(command(7401, { backend_start: null }), 7401)).toBe('it has ended meanwhile')
    expect(of(command(7401, { query_start: null }), 7401)).toBe('it runs no query')
    expect(of(rows(primary, pulse, {}, { own_pid: 7401 }), 7401)).toBe("it is one of pgvigil's own sessions")
    expect(of(none, 7401)).toMatch(/^no right: GRANT pg_signal_backend/)
    expect(of(also(plain, facts(primary, { signalsAutovacuum: false })), 7400)).toBe(
      'only a superuser may signal an autovacuum worker',
    )
  })

  test('a base backup can be cancelled, the walsender of a standby can not; only the latter is grave', () => {
    expect([of(nothing, 7405), of(nothing, 7405, 'terminate')]).toEqual([null, null])
    expect(of(command(7405, { query: 'START_REPLICATION SLOT "pg2"' }), 7405)).toBe(
      'a walsender runs no query that could be cancelled',
    )
    const words = (change: Change) => {
      const state = change(possible('terminate'))
      const row = listNamed('progress')
        .select(state)
        .rows.find(one => one.pid === 7405)!
      const target = actionById('terminate')!.freeze(row, state)
      return isWhyNot(target) ? target.why : actionById('terminate')!.words(target, state)
    }
    expect([words(nothing), words(command(7405, { query: 'START_REPLICATION 0/0' }))]).toEqual([null, ['pg_basebackup', '7405']])
  })

  test('are frozen with what identifies them: pid, backend_start and query_start as the list says', () => {
    const state = possible('cancel')
    const rowOf = (told: State) =>
      listNamed('progress')
        .select(told)
        .rows.find(one => one.pid === 7400)!
    const row = rowOf(state)
    const target = actionById('cancel')!.freeze(row, state)
    expect(target).toMatchObject({
      pid: 7400,
      backend_start: row.backend_start,
      query_start: row.query_start,
      backend_type: 'autovacuum worker',
    })
    expect(row.query_start).not.toBeNull()
    expect(actionById('cancel')!.words(target as never, state)).toEqual(['7400'])
    const written = command(7400, { backend_xid: 4711n })(state)
    expect([row, rowOf(written)].map(one => actionById('cancel')!.freeze(one, state))).toMatchObject([
      { hasWritten: false },
      { hasWritten: true },
    ])
  })
})

describe('what forbids every action', () => {
  const judged = (id: string, change: Change) => {
    const before = possible(id)
    const target = frozen(before, id)
    expect(whyNotNow(actionById(id)!, target, before)).toBeNull()
    return whyNotNow(actionById(id)!, target, change(before))?.why ?? null
  }
  const place = (id: string) => frozen(possible(id), id).server

  test.each(ids)('%s: read-only mode', id => {
    const readOnly: Change = state => ({ ...state, settings: { ...state.settings, readOnly: true } })
    expect(judged(id, readOnly)).toBe('read-only mode: by --read-only, or by read_only in the configuration file')
    expect(why(id, readOnly(possible(id)))).toBe('read-only mode: by --read-only, or by read_only in the configuration file')
  })

  test.each(ids)('%s: its server is down, was never there, or is no longer watched', id => {
    const at = place(id)
    const down = server(at, { link: { state: 'down', word: 'DOWN', since: noon, why: 'connect ECONNREFUSED' } })
    const connecting = { state: 'connecting', word: 'CONNECTING', since: noon, why: null } as const
    expect(judged(id, down)).toBe(`${at} is DOWN: connect ECONNREFUSED`)
    expect(judged(id, server(at, { link: connecting, lastAnswerAt: null }))).toBe(`${at} is CONNECTING`)
    // A new connection is on its way to a server that is known to be there.
    expect(judged(id, server(at, { link: connecting }))).toBeNull()
    expect(
      judged(id, state => ({
        ...state,
        servers: Object.fromEntries(Object.entries(state.servers).filter(([key]) => key !== at)),
      })),
    ).toBe(`${at} is not watched`)
  })

  test.each(ids.filter(id => place(id) !== pooler))('%s: its server has another role than when one looked', id => {
    const at = place(id)
    const was = at === standby ? 'standby' : 'primary'
    const now = at === standby ? 'primary' : 'standby'
    expect(judged(id, server(at, { role: now }))).toBe(`${at} is a ${now} now and was a ${was}: look again`)
  })
})

let store: Store
let context: Context

beforeEach(() => {
  store = createAppStore(cluster())
  const never = () => expect.fail('nothing may be done')
  context = {
    store,
    quit: never,
    suspend: never,
    redraw: never,
    copy: never,
    poke: () => {},
    begin: never,
    stopQueue: () => false,
    unfinished: () => false,
    trailTrouble: () => null,
    settled: then => then(),
    switchCluster: never,
  }
})
const message = () => store.getState().view.message?.text
const dialog = () => store.getState().view.dialog

describe('read-only mode', () => {
  const readOnly = (state: State): State => ({ ...state, settings: { ...state.settings, readOnly: true } })

  test.each(ids)('the command of %s says so', id => {
    store.setState(readOnly(inFocus(possible(id), id)))
    const { command } = actionById(id)!
    perform(context, command)
    expect(dialog()).toBeNull()
    expect(message()).toBe(
      `${commandById(command)?.label}: read-only mode: by --read-only, or by read_only in the configuration file`,
    )
  })

  test('W says so', () => {
    store.setState(readOnly(cluster()))
    perform(context, 'terminateAwaited')
    expect([dialog(), message()]).toEqual([null, expect.stringMatching(/read-only mode/)])
  })

  test.each(ids)('the menu with %s offers nothing, and choosing says why', id => {
    store.setState(readOnly(inFocus(possible(id), id)))
    perform(context, 'act')
    const open = dialog()
    if (open?.kind !== 'menu') return expect.fail('no menu')
    const items = menuItems(store.getState(), open)
    expect(items.map(({ hint }) => hint)).toEqual(
      items.map(() => "can't: read-only mode: by --read-only, or by read_only in the configuration file"),
    )
    store.setState({
      ...store.getState(),
      view: { ...store.getState().view, dialog: { ...open, index: items.findIndex(item => item.id === id) } },
    })
    perform(context, 'choose')
    expect([dialog(), message()]).toEqual([
      null,
      `${actionById(id)!.label}: read-only mode: by --read-only, or by read_only in the configuration file`,
    ])
  })
})

describe('the menu of F9', () => {
  const toSessions = ['Cancel query', 'Terminate session']
  /** What can be done to the first row of each list; nothing can be done to rows of an empty one. */
  const offered: Readonly<Record<string, readonly string[]>> = {
    activity: toSessions,
    locks: [...toSessions, 'COMMIT PREPARED', 'ROLLBACK PREPARED'],
    progress: toSessions,
    replication: ['Terminate walsender', 'Pause WAL replay', 'Resume WAL replay'],
    slots: ['Drop slot'],
    chunks: ['Compress chunk', 'Decompress chunk'],
    hypertables: [],
    jobs: ['Run job now', 'Pause job', 'Resume job'],
    pools: [
      'PAUSE database',
      'RESUME database',
      'RELOAD configuration',
      'RECONNECT database',
      'DISABLE database',
      'ENABLE database',
      'PAUSE everything',
      'RESUME everything',
      'KILL database',
    ],
    clients: ['KILL_CLIENT'],
    poolServers: [],
    tables: ['VACUUM', 'VACUUM (ANALYZE)', 'ANALYZE', 'VACUUM (FREEZE)', 'VACUUM FULL', 'REINDEX TABLE', 'Exact bloat'],
    indexes: ['REINDEX INDEX', 'DROP INDEX', 'Exact bloat'],
    databases: [],
    tablespaces: [],
    events: [],
    health: [],
  }
  const lists = panels.flatMap(panel => panel.lists.map(list => list.id))

  test('every list of every pane has its word here', () => {
    expect(Object.keys(offered).sort()).toEqual([...lists].sort())
  })

  test.each(lists)('%s', id => {
    const state = cluster()
    const panel = panelOfList(id)
    store.setState({ ...state, view: { ...state.view, panel, list: { [panel]: id } } })
    perform(context, 'act')
    const open = dialog()
    if (offered[id]!.length === 0) {
      expect([open, message()]).toEqual([null, `Act: there is nothing to be done to a row of ${listNamed(id).title}`])
    } else {
      if (open?.kind !== 'menu') return expect.fail('no menu')
      expect(menuItems(store.getState(), open).map(({ label }) => label)).toEqual(offered[id])
    }
  })

  test('what can be done stands with its key and its help, what can not with the reason', () => {
    const hints = (id: string) => {
      store.setState(inFocus(possible(id), id))
      perform(context, 'act')
      const open = dialog()
      return open?.kind === 'menu' ? menuItems(store.getState(), open).map(({ hint, off }) => [off, hint]) : []
    }
    expect(hints('commitPrepared')).toEqual([
      [true, "can't: a prepared transaction has no session: F9 offers COMMIT PREPARED and ROLLBACK PREPARED"],
      [true, "can't: a prepared transaction has no session: F9 offers COMMIT PREPARED and ROLLBACK PREPARED"],
      [false, 'Commits a prepared transaction.'],
      [false, 'Rolls a prepared transaction back.'],
    ])
    expect(hints('compress')).toEqual([
      [false, 'z: Compresses the chunk, or the tagged ones one after the other.'],
      [true, "can't: it is not compressed"],
    ])
  })

  test('in an empty list it says that there is no row', () => {
    store.setState(without(primary, activity, {})(cluster()))
    perform(context, 'act')
    expect([dialog(), message()]).toEqual([null, 'Act: there is no row'])
  })

  test('each action has a command with a label and help, and every list that it names is one', () => {
    for (const { id, command, lists: on } of actions) {
      expect(commandById(command), id).toMatchObject({ label: expect.stringMatching(/./), help: expect.stringMatching(/\.$/) })
      for (const list of on) expect(lists, id).toContain(list)
    }
    // One command does one thing on a list.
    const pairs = actions.flatMap(({ command, lists: on }) => on.map(list => `${command} on ${list}`))
    expect(new Set(pairs).size).toBe(pairs.length)
  })

  test('a key that this list has no action for says so', () => {
    const state = cluster()
    store.setState({ ...state, view: { ...state.view, panel: 'chunks', list: { chunks: 'jobs' } } })
    perform(context, 'compress')
    expect(message()).toBe(`Compress: there is nothing of that kind to be done to a row of ${listOf(store.getState()).title}`)
  })
})

describe('several rows', () => {
  const subject = (id: string, state: State, count = 2): Subject => {
    const { list } = doable[id]!
    const [row] = subjectFor(state, id).rows
    const others = listNamed(list)
      .select(state)
      .rows.filter(other => other !== row)
    return { list, rows: [row!, ...others].slice(0, count), missing: 0 }
  }

  test.each(ids)('%s is done to one row, or to each: nothing in between', id => {
    const state = possible(id)
    const action = actionById(id)!
    const two = subject(id, state)
    // Where the list has one row only, the same counts twice.
    const judged = judge(action, two.rows.length > 1 ? two : { ...two, rows: [two.rows[0]!, two.rows[0]!] }, state)
    const one = 'it is done to one row at a time, and 2 are tagged; U takes the tags away'
    if (action.takes === 'one') expect(judged).toEqual({ why: one })
    else expect('targets' in judged && judged.targets.length).toBeGreaterThan(0)
  })

  const of = (...pids: readonly number[]) => {
    const state = cluster()
    const all = listNamed('activity').select(state).rows
    return { list: 'activity', rows: pids.map(pid => all.find(row => row.pid === pid)!), missing: 0 }
  }
  const labels = (judged: ReturnType<typeof judge>) =>
    'why' in judged ? judged.why : [judged.targets.map(({ label }) => label), judged.leftOut]

  test('those it can not be done to are left out, each with its reason', () => {
    expect(labels(judge(actionById('terminate')!, of(7302, 5101, 7305, 7304), cluster()))).toEqual([
      ['pid 7302', 'pid 7304'],
      [
        { label: 'pid 5101', why: 'it is the checkpointer, a process of the server itself' },
        { label: 'pid 7305', why: 'it is a parallel worker: act on its leader, pid 7304' },
      ],
    ])
  })

  test('a grave one is left out of a set, and is asked for by itself', () => {
    const walsender = judge(actionById('terminate')!, of(7302, 6001), cluster())
    expect(labels(walsender)).toEqual([['pid 7302'], [{ label: 'pid 6001', why: 'it must be confirmed by itself' }]])
    expect(labels(judge(actionById('terminate')!, of(6001), cluster()))).toEqual([['pid 6001'], []])
    expect(labels(judge(actionById('terminate')!, of(6001, 5101), cluster()))).toBe(
      'to none of the 2 tagged rows: it must be confirmed by itself',
    )
  })

  test('which are grave: walsenders, background workers, autovacuum against wraparound; the others are not', () => {
    const words = (change: Change) => {
      const target = actionById('terminate')!.freeze(subjectFor(change(cluster()), 'terminate').rows[0]!, change(cluster()))
      return isWhyNot(target) ? target.why : actionById('terminate')!.words(target, change(cluster()))
    }
    const worker = { backend_type: 'autovacuum worker' }
    expect([
      words(nothing),
      words(session({ backend_type: 'walsender', application_name: 'pg9' })),
      words(session({ backend_type: 'walsender', application_name: 'p\u001bg' })),
      words(session({ backend_type: 'logical replication worker' })),
      words(session({ ...worker, query: 'autovacuum: VACUUM public.t' })),
      words(session({ ...worker, query: 'autovacuum: VACUUM public.t (to prevent wraparound)' })),
    ]).toEqual([null, ['pg9', '7302'], ['7302'], ['7302'], null, ['7302']])
  })

  test('when none can be done to, the first reason is told', () => {
    expect(labels(judge(actionById('cancel')!, of(5101, 7301), cluster()))).toBe(
      'to none of the 2 tagged rows: it is the checkpointer, a process of the server itself',
    )
  })

  test('tagged ones that are no longer on the list are counted, and never made up for', () => {
    expect(labels(judge(actionById('terminate')!, { ...of(7302), missing: 2 }, cluster()))).toEqual([
      ['pid 7302'],
      [{ label: '2 tagged', why: 'no longer on the list' }],
    ])
    expect(labels(judge(actionById('terminate')!, { ...of(), missing: 2 }, cluster()))).toBe(
      'the tagged rows are no longer on the list; U takes the tags away',
    )
  })
})
