// Indexes rebuilt without locking anybody out, one table or index after the other. What a REINDEX CONCURRENTLY that ends early leaves behind is
// an invalid index: it is named, and can be dropped from where it is named.

import { bytes } from '../model/format.ts'
import { type IndexPaneRow, isLeftover } from '../model/indexes.ts'
import type { TablePaneRow } from '../model/tables.ts'
import { drawable, is, raw, type Untrusted, untrusted } from '../model/untrusted.ts'
import { indexesOf } from '../relations.ts'
import { type DeedAnswer, type DeedSession, ServerError, type WireRow } from '../server/deed.ts'
import { sessionsOf } from '../sessions.ts'
import { activity } from '../sql/activity.ts'
import { indexes } from '../sql/indexes.ts'
import { locks } from '../sql/locks.ts'
import { indexByName, invalidIndexes } from '../sql/maintenance.ts'
import { progress } from '../sql/progress.ts'
import { names } from '../sql/server.ts'
import { tables } from '../sql/tables.ts'
import { rowsOf, whyUnknown } from '../store/selectors.ts'
import type { Frozen, LeftIndex, State } from '../store/state.ts'
import { action, type Hands, type Line, type Report, type WhyNot, whyNot } from './action.ts'
import { freezeIndex, type IndexTarget, indexGone, indexHead, indexHit, indexRecord } from './index-targets.ts'
import {
  awaitTable,
  changedSince,
  freezeTable,
  hasMaintain,
  leavesOf,
  locked,
  lockTimeoutMs,
  maintainGrant,
  ownersGrant,
  secondsSince,
  sessionWords,
  standbyRefuses,
  type TableTarget,
  tableGone,
} from './relations.ts'

/** What REINDEX is done to: a table or an index. */
type Rebuilt = Frozen & {
  readonly oid: bigint
  readonly qualified: Untrusted
  readonly tableOid: bigint
  readonly table: Untrusted
}

const ofTable = (target: TableTarget): Rebuilt => ({
  ...target,
  oid: target.relid,
  tableOid: target.relid,
  table: target.qualified,
})
const ofIndex = (target: IndexTarget): Rebuilt => ({
  ...target,
  oid: target.indexrelid,
  tableOid: target.indrelid,
  table: target.table_qualified,
})

/** The name stands as format('%I.%I') gave it. */
const reindexTable = ({ qualified, concurrently }: TableTarget) => `REINDEX TABLE ${concurrently}${raw(qualified)}`
const reindexIndex = ({ qualified, concurrently }: IndexTarget) => `REINDEX INDEX ${concurrently}${raw(qualified)}`

const ofWire = (row: WireRow): LeftIndex => ({
  indexrelid: BigInt(row.indexrelid ?? 0),
  indrelid: BigInt(row.indrelid ?? 0),
  qualified: untrusted(row.qualified ?? ''),
  indexrelname: untrusted(row.indexrelname ?? ''),
  table_qualified: untrusted(row.table_qualified ?? ''),
  indisready: row.indisready === 't',
})

async function rebuild(statement: string, target: Rebuilt, hands: Hands): Promise<Report> {
  const session = await hands.open({ lockTimeoutMs })
  const changed = await changedSince(session, target.oid, target.qualified)
  if (changed && !(await isRebuilt(session, target))) return changed
  const before = new Set((await session.run(invalidIndexes, [String(target.tableOid)])).rows.map(row => row.indexrelid))
  let begun: number | null = null
  try {
    await awaitTable(session, target.table)
    begun = hands.now()
    const { notices } = await session.runAlone(statement, null)
    return rebuilt(notices, secondsSince(begun, hands))
  } catch (error) {
    if (!(error instanceof ServerError)) throw error
    if (begun === null && error.code === '55P03') return locked(session, target.tableOid)
    const left = await leftBehind(target, before, session, hands)
    if (left === null) {
      const ask = `whether it left an invalid index on ${drawable(target.table)} could not be asked: see 6 Tables, F2 indexes`
      return { outcome: 'failed', say: `${failure(error, begun, hands)}; ${ask}` }
    }
    hands.leaves(left)
    return { outcome: 'failed', say: `${failure(error, begun, hands)}${leftWords(left)}` }
  }
}

/** Somebody has rebuilt the index meanwhile: it has another oid, and is what was shown all the same. */
async function isRebuilt(session: DeedSession, { tableOid, oid, qualified }: Rebuilt): Promise<boolean> {
  return oid !== tableOid && (await session.run(indexByName, [String(tableOid), raw(qualified)])).rows.length > 0
}

/** With what the server has passed over: an invalid index, that of an exclusion constraint. */
function rebuilt(notices: DeedAnswer['notices'], took: string): Report {
  const warnings = notices.filter(({ severity }) => severity === 'WARNING')
  const [first] = warnings
  if (!first) return { outcome: 'done', say: `done in ${took}` }
  const more = warnings.length > 1 ? ` (+${warnings.length - 1})` : ''
  return { outcome: 'skipped', say: `skipped in part: ${drawable(first.message)}${more}; all else took ${took}` }
}

function failure(error: ServerError, begun: number | null, hands: Hands): string {
  const words = drawable(error.message)
  if (error.kind === 'silent') return `${words}: whether it was done is not known`
  if (error.kind === 'lost') return `the connection was lost: ${words}`
  if (error.code !== '57014') return `failed: ${words}`
  const after = begun === null ? ' before it began' : ` after ${secondsSince(begun, hands)}`
  return hands.stopping() ? `cancelled${after}` : `cancelled by somebody else${after}: ${words}`
}

/** Invalid indexes that were not there before. Null: nobody could be asked. */
async function leftBehind(
  target: Rebuilt,
  before: ReadonlySet<string | null | undefined>,
  session: DeedSession,
  hands: Hands,
): Promise<readonly LeftIndex[] | null> {
  const values = [String(target.tableOid)]
  const own = await session.run(invalidIndexes, values).then(
    ({ rows }) => rows,
    () => null,
  )
  const rows = own ?? (await hands.lend(invalidIndexes, values).catch(() => null))
  return rows?.filter(row => !before.has(row.indexrelid)).map(ofWire) ?? null
}

function leftWords(left: readonly LeftIndex[]): string {
  if (left.length === 0) return '; nothing is left behind'
  const told = left.map(({ qualified }) => drawable(qualified)).join(', ')
  return `; left behind invalid: ${told}`
}

/** Transactions that are open now: a rebuild waits for those that write to the table, and at its end for all older snapshots. */
function waitLines(server: string, state: State): readonly Line[] {
  const unknown = whyUnknown(state, server, activity)
  if (unknown !== null) return [{ text: `whom it will have to wait for is not known: ${unknown}`, tone: 'warning' }]
  const database = state.servers[server]?.facts?.database ?? null
  const open = sessionsOf(state, server)
    .filter(session => !session.own && session.xactAgeSeconds !== null && session.datname === database)
    .filter(session => session.backend_xid !== null || session.backend_xmin !== null)
    .toSorted((a, b) => (b.xactAgeSeconds ?? 0) - (a.xactAgeSeconds ?? 0))
  const [oldest] = open
  if (!oldest) return [{ text: 'no transaction is open that it would have to wait for', tone: 'ok' }]
  const more = open.length > 1 ? ` and ${open.length - 1} more` : ''
  const words = sessionWords({ ...oldest, xactSeconds: oldest.xactAgeSeconds })
  return [{ text: `waits for transactions that are open now, as long as they last: ${words}${more}`, tone: 'warning' }]
}

function rebuildLines(
  targets: readonly (TableTarget | IndexTarget)[],
  indexBytes: readonly (bigint | null)[],
  state: State,
): readonly Line[] {
  const most = indexBytes.reduce((largest, size) => ((size ?? 0n) > (largest ?? 0n) ? size : largest), null)
  const each = targets.length === 1 ? '' : ', for the largest of them'
  if (targets[0]!.concurrently === '') {
    return [
      {
        text: 'the server has one session for all: CONCURRENTLY is not possible, and whoever asks it something waits',
        tone: 'warning',
      },
    ]
  }
  return [
    { text: 'reads and writes go on meanwhile; VACUUM, DDL and other index builds of the table wait' },
    ...waitLines(targets[0]!.server, state),
    { text: `takes up to ${bytes(most)} more on disk until it ends${each}: old and new stand side by side` },
    { text: 'Esc cancels; what it has built by then stays behind as an invalid index, which is named, and X drops it' },
    { text: `a table that somebody locks against it for more than ${lockTimeoutMs / 1000} s is skipped` },
  ]
}

const watchesOf = ({ server }: Frozen) => [tables, indexes, activity, names].map(query => ({ server, query }))
const watchesMeanwhile = ({ server }: Frozen) => [progress, locks, names].map(query => ({ server, query }))

const isTree = (row: TablePaneRow) => row.hypertable || is(row.relkind, 'p')

/** What is missing for REINDEX, which the owner of a database may not do as such; null: nothing. */
function reindexRight(server: string, state: State): WhyNot | null {
  const grants = hasMaintain(state, server)
  const others = rowsOf(state, server, tables).filter(({ owned, maintains }) => !(grants ? maintains : owned))
  if (others.length === 0) return null
  return whyNot(grants ? maintainGrant(server, state, null, null) : ownersGrant(others, server, state))
}

const reindexTableAction = action<TablePaneRow, TableTarget>({
  id: 'reindexTable',
  command: 'reindex',
  label: 'REINDEX TABLE',
  help: 'Rebuilds its indexes CONCURRENTLY, each partition or chunk by itself.',
  lists: ['tables'],
  takes: 'queue',
  on: 'postgres',
  right: reindexRight,
  expand: (row, state) => (isTree(row) ? leavesOf(row, state) : null),
  freeze: freezeTable,
  guard: (target, state) => {
    const refused = standbyRefuses(target)
    if (refused) return refused
    if (target.hypertable || is(target.relkind, 'p'))
      return whyNot(`it has no ${target.hypertable ? 'chunk' : 'partition'} that is listed`)
    if (target.idx_scan === null && target.index_bytes === 0n) return whyNot('it has no index')
    const may = hasMaintain(state, target.server) ? target.maintains : target.owned
    return may ? null : whyNot(`no right: ${maintainGrant(target.server, state, target.owner, target.qualified)}`)
  },
  words: () => null,
  watches: watchesOf,
  watchesMeanwhile,
  ask: (targets, state) => ({
    head: ['TABLE', 'SIZE', 'INDEXES'],
    hit: targets.map(target => [target.label, bytes(target.total_bytes), bytes(target.index_bytes)]),
    follows: rebuildLines(
      targets,
      targets.map(({ index_bytes }) => index_bytes),
      state,
    ),
  }),
  gone: tableGone,
  sql: target => [reindexTable(target)],
  record: ({ relid, qualified, index_bytes }) => ({ relid, table: qualified, index_bytes }),
  run: (target, hands) => rebuild(reindexTable(target), ofTable(target), hands),
})

/** The indexes of partitions or chunks that an index stands for. */
function indexLeaves(row: IndexPaneRow, state: State): readonly IndexPaneRow[] {
  const byParent = Map.groupBy(indexesOf(state, row.server), index => index.parentIndexrelid)
  const below = (oid: bigint): readonly IndexPaneRow[] =>
    (byParent.get(oid) ?? []).flatMap(index => [...(is(index.relkind, 'I') ? [] : [index]), ...below(index.indexrelid)])
  return below(row.indexrelid)
}

const reindexIndexAction = action<IndexPaneRow, IndexTarget>({
  id: 'reindexIndex',
  command: 'reindex',
  label: 'REINDEX INDEX',
  help: 'Rebuilds the index CONCURRENTLY: beside the old one, then in its place.',
  lists: ['indexes'],
  takes: 'queue',
  on: 'postgres',
  right: reindexRight,
  expand: (row, state) => (row.children > 0 ? indexLeaves(row, state) : null),
  freeze: freezeIndex,
  guard: (target, state) => {
    const refused = standbyRefuses(target)
    if (refused) return refused
    if (is(target.relkind, 'I')) return whyNot('no partition has a part of it')
    if (target.building) return whyNot('it is being built')
    if (isLeftover(target))
      return whyNot('a REINDEX has left it behind, and the index it was made for stands beside it: drop it (F9)')
    if (target.indisexclusion) {
      return whyNot('CONCURRENTLY is not possible for an exclusion constraint; REINDEX INDEX by hand locks writers out')
    }
    const may = hasMaintain(state, target.server) ? target.maintains : target.owned
    return may ? null : whyNot(`no right: ${maintainGrant(target.server, state, target.owner, target.table_qualified)}`)
  },
  words: () => null,
  watches: watchesOf,
  watchesMeanwhile,
  ask: (targets, state) => ({
    head: indexHead,
    hit: targets.map(indexHit),
    follows: rebuildLines(
      targets,
      targets.map(({ total_bytes }) => total_bytes),
      state,
    ),
  }),
  gone: indexGone,
  sql: target => [reindexIndex(target)],
  record: indexRecord,
  run: (target, hands) => rebuild(reindexIndex(target), ofIndex(target), hands),
})

export const reindexActions = [reindexTableAction, reindexIndexAction]
