// A cluster in which every action can be done to some row, and changes of it by which it can't: for tests of guards and questions.

import { isWhyNot } from '../../src/actions/action.ts'
import { actionById } from '../../src/actions/index.ts'
import type { ServerFacts } from '../../src/model/facts.ts'
import { untrusted } from '../../src/model/untrusted.ts'
import { panels } from '../../src/panels/index.ts'
import type { AnyList, AnyRow } from '../../src/panels/panel.ts'
import { activity } from '../../src/sql/activity.ts'
import { locks } from '../../src/sql/locks.ts'
import { showClients, showConfig, showDatabases, showState } from '../../src/sql/pgbouncer.ts'
import type { Query } from '../../src/sql/query.ts'
import { slots } from '../../src/sql/replication.ts'
import { pulse } from '../../src/sql/server.ts'
import { jobs } from '../../src/sql/timescale.ts'
import type { Entry, Frozen, ServerState, State, Subject } from '../../src/store/state.ts'
import { scene } from './scene.ts'
import { plainWords, type Words } from './scene-rows.ts'
import { sampleOf } from './state.ts'

export const primary = 'pg1:5432'
export const standby = 'pg2:5432'
export const pooler = 'pgb:6432'

/** What the servers say otherwise, or we know otherwise. */
export type Change = (state: State) => State
type Row = Readonly<Record<string, unknown>>

export const also =
  (...changes: readonly Change[]): Change =>
  state =>
    changes.reduce((changed, change) => change(changed), state)

export const server =
  (id: string, change: Partial<ServerState>): Change =>
  state => ({ ...state, servers: { ...state.servers, [id]: { ...(state.servers[id] as ServerState), ...change } } })

export const facts =
  (id: string, change: Partial<ServerFacts>): Change =>
  state =>
    server(id, { facts: { ...(state.servers[id]?.facts as ServerFacts), ...change } })(state)

/** Rows of a query's newest sample, made other ones. */
const told =
  (id: string, query: Query, change: (rows: readonly Row[]) => readonly Row[]): Change =>
  state => {
    const known = state.servers[id]?.readings[query.id] as Entry
    const sample = { ...known.sample!, rows: change(known.sample!.rows) }
    return server(id, { readings: { ...state.servers[id]?.readings, [query.id]: { ...known, sample } } })(state)
  }

const fits = (row: Row, which: Row) => Object.entries(which).every(([key, value]) => row[key] === value)

/** Those of the rows that have these values get those. */
export const rows = (id: string, query: Query, which: Row, change: Row): Change =>
  told(id, query, all => all.map(row => (fits(row, which) ? { ...row, ...change } : row)))

export const without = (id: string, query: Query, which: Row): Change =>
  told(id, query, all => all.filter(row => !fits(row, which)))

/** Rows more; columns left out are null. */
export const more = (id: string, query: Query, ...added: readonly Row[]): Change =>
  told(id, query, all => [...all, ...sampleOf(query, added).rows])

export const config = (key: string, value: string): Change => more(pooler, showConfig, { key, value })

/** So many milliseconds later: all samples are that much younger. */
export const later =
  (ms: number): Change =>
  state => {
    const newer = ({ sample, ...entry }: Entry): Entry => ({ ...entry, sample: sample && { ...sample, at: sample.at + ms } })
    const heard = (known: ServerState): ServerState => ({
      ...known,
      lastAnswerAt: known.lastAnswerAt === null ? null : known.lastAnswerAt + ms,
      readings: Object.fromEntries(Object.entries(known.readings).map(([id, entry]) => [id, newer(entry)])),
    })
    const servers = Object.fromEntries(Object.entries(state.servers).map(([id, known]) => [id, heard(known)]))
    return { ...state, now: state.now + ms, servers }
  }

/** The scene's cluster, with what a deed needs to know besides. */
export function cluster(panel = 'activity', words: Words = plainWords, columns = 80, lines = 24): State {
  const began = { query_start: '2026-11-23 11:55:48.000001+00' }
  return also(
    rows(primary, activity, {}, began),
    rows(primary, locks, {}, began),
    rows(primary, locks, { kind: 'held', pid: 0 }, { xact_start: '2026-11-23 10:30:00.5+00' }),
    rows(primary, slots, { slot_name: 'old_replica' }, { restart_lsn: 0x1_0000_0060n }),
    rows(standby, pulse, {}, { replay_pause: 'not paused', postmaster_start_epoch: 1 }),
    facts(pooler, { versionText: untrusted('PgBouncer 1.24.1') }),
    rows(pooler, showClients, {}, { id: 1n }),
    config('query_wait_timeout', '120'),
  )(scene('normal', panel, columns, lines, words))
}

type Doable = {
  readonly list: string
  /** Of the list's rows the one it is done to. */
  readonly row: (row: AnyRow) => boolean
  /** What must be so before. */
  readonly given?: Change
}

const session = (pid: number) => (row: AnyRow) => row.pid === pid
const prepared = (row: AnyRow) => row.gid !== null && row.pid === 0
const pool = (database: string) => (row: AnyRow) => row.database === database
const ofStandby = (row: AnyRow) => row.standby === standby
const chunk = (compressed: boolean) => (row: AnyRow) => row.is_compressed === compressed
const job = (row: AnyRow) => row.job_id === 1000
const table = (row: AnyRow) => row.relid === 20_001n
const index = (oid: bigint) => (row: AnyRow) => row.indexrelid === oid

/** By action. */
export const doable: Readonly<Record<string, Doable>> = {
  cancel: { list: 'activity', row: session(7302) },
  terminate: { list: 'activity', row: session(7302) },
  terminateWalsender: { list: 'replication', row: ofStandby },
  commitPrepared: { list: 'locks', row: prepared },
  rollbackPrepared: { list: 'locks', row: prepared },
  pauseReplay: { list: 'replication', row: ofStandby },
  resumeReplay: { list: 'replication', row: ofStandby, given: rows(standby, pulse, {}, { replay_pause: 'paused' }) },
  dropSlot: { list: 'slots', row: row => row.slot_name === 'old_replica' },
  compress: { list: 'chunks', row: chunk(false) },
  decompress: { list: 'chunks', row: chunk(true) },
  runJob: { list: 'jobs', row: job },
  pauseJob: { list: 'jobs', row: job },
  resumeJob: { list: 'jobs', row: job, given: rows(primary, jobs, { job_id: 1000 }, { scheduled: false }) },
  vacuumAnalyze: { list: 'tables', row: table },
  vacuum: { list: 'tables', row: table },
  analyze: { list: 'tables', row: table },
  vacuumFreeze: { list: 'tables', row: table },
  vacuumFull: { list: 'tables', row: table },
  reindexTable: { list: 'tables', row: table },
  reindexIndex: { list: 'indexes', row: index(21_002n) },
  dropIndex: { list: 'indexes', row: index(21_006n) },
  exactBloat: {
    list: 'tables',
    row: row => row.relname === 'orders',
    given: facts(primary, { pgstattupleSchema: untrusted('public'), pgstattupleExecutes: true, pgstattupleInReach: true }),
  },
  pause: { list: 'pools', row: pool('shop') },
  resume: { list: 'pools', row: pool('billing') },
  reload: { list: 'pools', row: pool('shop') },
  reconnect: { list: 'pools', row: pool('shop') },
  disable: { list: 'pools', row: pool('shop') },
  enable: { list: 'pools', row: pool('shop'), given: rows(pooler, showDatabases, { name: 'shop' }, { disabled: 1 }) },
  pauseAll: { list: 'pools', row: pool('shop') },
  resumeAll: { list: 'pools', row: pool('shop'), given: rows(pooler, showState, { key: 'paused' }, { value: 'yes' }) },
  kill: { list: 'pools', row: pool('shop') },
  killClient: { list: 'clients', row: row => row.port === 45_946 },
}

export const listNamed = (id: string) => panels.flatMap(({ lists }) => lists).find(list => list.id === id) as AnyList
export const panelOfList = (id: string) => panels.find(({ lists }) => lists.some(list => list.id === id))!.id

/** On the pane and list where an action is, with its row under the cursor. */
export function inFocus(state: State, actionId: string): State {
  const { list, row: is } = doable[actionId]!
  const panel = panelOfList(list)
  const row = listNamed(list).select(state).rows.find(is) as AnyRow
  const selectedId = listNamed(list).rowId(row)
  return {
    ...state,
    view: {
      ...state.view,
      panel,
      list: { [panel]: list },
      perList: { [list]: { selectedId, sort: null, filter: '', tagged: [], tree: true, opened: [], lastIndex: 0 } },
    },
  }
}

/** The row of an action in a state, as its subject. `row`: another one of the list. */
export function subjectFor(state: State, actionId: string, row = doable[actionId]!.row): Subject {
  const { list } = doable[actionId]!
  const found = listNamed(list).select(state).rows.find(row)
  if (!found) throw new Error(`${list} has no such row for ${actionId}`)
  return { list, rows: [found], missing: 0 }
}

/** What is frozen of that row. */
export function frozen(state: State, actionId: string): Frozen {
  const target = actionById(actionId)!.freeze(subjectFor(state, actionId).rows[0]!, state)
  if (isWhyNot(target)) throw new Error(`${actionId}: ${target.why}`)
  return target
}

/** The cluster in which this action can be done. */
export const possible = (actionId: string): State => (doable[actionId]?.given ?? (state => state))(cluster())
