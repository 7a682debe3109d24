// Indexes rebuilt without locking anybody out, one table or index after the other. What a REINDEX CONCURRENTLY that ends early leaves behind is
// an invalid index: it is named, and can be dropped from where it is named.

import { bytes } from '../model/format.ts'
import { type IndexPaneRow, isLeftover } from '../model/indexes.ts'
import type { TablePaneRow } from '../model/tables.ts'
import { drawable, is, raw, type Untrusted, untrusted } from '../model/untrusted.ts'
import { indexesOf } from '../relations.ts'
import { type DeedAnswer, type DeedSession, ServerError, type WireRow } from '../server/deed.ts'
import { activity } from '../sql/activity.ts'
import { backendNow } from '../sql/deeds.ts'
import { indexes } from '../sql/indexes.ts'
import { locks } from '../sql/locks.ts'
import { indexByName, invalidIndexes, relationUsers } from '../sql/maintenance.ts'
import { progress } from '../sql/progress.ts'
import { names } from '../sql/server.ts'
import { tables } from '../sql/tables.ts'
import { rowsOf } from '../store/selectors.ts'
import type { Frozen, LeftIndex, State } from '../store/state.ts'
import { action, type Hands, type Line, type Report, type WhyNot, whyNot } from './action.ts'
import { awaitTable, isReport, lookAgain, secondsSince, waitsLong, whyShared } from './hold.ts'
import { freezeIndex, type IndexTarget, indexGone, indexHead, indexHit, indexRecord } from './index-targets.ts'
import { commandLines, waitLines } from './relation-lines.ts'
import {
  freezeTable,
  hasMaintain,
  largestOf,
  leavesOf,
  lockTimeoutMs,
  maintainGrant,
  ownersGrant,
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

/** Somebody has rebuilt the index meanwhile: it has another oid, and is what was shown all the same. */
async function isRebuilt(session: DeedSession, { tableOid, oid, qualified }: Rebuilt): Promise<boolean> {
  return oid !== tableOid && (await session.run(indexByName, [String(tableOid), raw(qualified)])).rows.length > 0
}

/** Why nothing is to be done to it after all; null: it is what was shown. Throws ServerError. */
async function whyChanged(session: DeedSession, target: Rebuilt): Promise<Report | null> {
  const now = await lookAgain(session, target.oid, target.qualified)
  if (isReport(now)) return (await isRebuilt(session, target)) ? null : now
  return target.oid === target.tableOid && now.indexes === '0' ? { outcome: 'skipped', say: 'skipped: it has no index' } : null
}

const shareUpdate = 'ShareUpdateExclusiveLock'

async function rebuild(statement: string, target: Rebuilt, hands: Hands): Promise<Report> {
  const session = await hands.open({ lockTimeoutMs })
  const shared = whyShared(session)
  if (shared) return shared
  const first = await whyChanged(session, target)
  if (first) return first
  // By name too: what is invalid already may come out of it under another name.
  const keyOf = ({ indexrelid, qualified }: WireRow) => `${indexrelid} ${qualified}`
  const before = new Set((await session.run(invalidIndexes, [String(target.tableOid)])).rows.map(keyOf))
  let begun: number | null = null
  try {
    const held = await awaitTable(session, target.tableOid, target.table, shareUpdate)
    if (held) return held
    // Somebody who held it may have given its name to another one.
    const changed = await whyChanged(session, target)
    if (changed) return changed
    await waitsLong(session)
    begun = hands.now()
    const { notices } = await session.runAlone(statement, null)
    return rebuilt(notices, secondsSince(begun, hands))
  } catch (error) {
    if (!(error instanceof ServerError)) throw error
    if (error.kind !== 'refused') {
      hands.close()
      const on = await goesOn(session.pid, hands)
      if (on) return { outcome: 'failed', say: `${failure(error, begun, hands)}; ${on}` }
    }
    const left = await leftBehind(target, row => !before.has(keyOf(row)), error.kind === 'refused' ? session : null, hands)
    if (left === null) {
      const ask = `whether it left an invalid index on ${drawable(target.table)} could not be asked: see 6 Tables, F2 indexes`
      return { outcome: 'failed', say: `${failure(error, begun, hands)}; ${ask}` }
    }
    hands.leaves(left)
    return { outcome: 'failed', say: `${failure(error, begun, hands)}${leftWords(left)}` }
  }
}

/** A server may go on with what it was asked for when the connection is gone. Null: it doesn't, or nobody could be asked. */
async function goesOn(pid: number | null, hands: Hands): Promise<string | null> {
  const rows = pid === null ? null : await hands.lend(backendNow, [pid]).catch(() => null)
  if (!rows || !/^active/.test(rows[0]?.state ?? '')) return null
  return `it goes on on the server as pid ${pid}: see 7 Progress, where it can be cancelled`
}

/** With what the server has passed over: an invalid index, that of an exclusion constraint. */
function rebuilt(notices: DeedAnswer['notices'], took: string): Report {
  const [first] = notices
  if (!first) return { outcome: 'done', say: `done in ${took}` }
  const more = notices.length > 1 ? ` (+${notices.length - 1})` : ''
  return { outcome: 'skipped', say: `skipped in part: ${drawable(first.message)}${more}; all else took ${took}` }
}

function failure(error: ServerError, begun: number | null, hands: Hands): string {
  const words = drawable(error.message)
  if (error.kind === 'silent') return `${words}: whether it was done is not known`
  if (error.kind === 'lost') return `the connection was lost: ${words}`
  if (error.code !== '57014') return `failed: ${words}${error.detail ? ` (${drawable(error.detail)})` : ''}`
  const after = begun === null ? ' before it began' : ` after ${secondsSince(begun, hands)}`
  return hands.stopping() ? `cancelled${after}` : `cancelled by somebody else${after}: ${words}`
}

/** Invalid indexes that were not there before. Null: nobody could be asked. */
async function leftBehind(
  target: Rebuilt,
  isNew: (row: WireRow) => boolean,
  session: DeedSession | null,
  hands: Hands,
): Promise<readonly LeftIndex[] | null> {
  const values = [String(target.tableOid)]
  const own = await session?.run(invalidIndexes, values).then(
    ({ rows }) => rows,
    () => null,
  )
  const rows = own ?? (await hands.lend(invalidIndexes, values).catch(() => null))
  return rows?.filter(isNew).map(ofWire) ?? null
}

function leftWords(left: readonly LeftIndex[]): string {
  if (left.length === 0) return '; nothing is left behind'
  return `; left behind invalid: ${left.map(({ qualified }) => drawable(qualified)).join(', ')}`
}

function rebuildLines(
  targets: readonly (TableTarget | IndexTarget)[],
  indexBytes: readonly (bigint | null)[],
  state: State,
): readonly Line[] {
  if (targets[0]!.concurrently === '') {
    return [
      {
        text: 'the server has one session for all: CONCURRENTLY is not possible, and whoever asks it something waits',
        tone: 'warning',
      },
    ]
  }
  const most = largestOf(indexBytes)
  const each = targets.length === 1 ? '' : ', for the largest of them'
  const space = most !== null ? `up to ${bytes(most)} more` : 'as much again, which is not known,'
  return [
    { text: 'reads and writes go on meanwhile; VACUUM, DDL and other index builds of the table wait' },
    ...waitLines(targets, state),
    ...commandLines(targets, state),
    { text: `takes ${space} on disk until it ends${each}: old and new stand side by side` },
    { text: 'Esc cancels; what it has built by then stays behind as an invalid index, which is named, and X drops it' },
    { text: `a table that somebody locks against it for more than ${lockTimeoutMs / 1000} s is skipped` },
  ]
}

const watchesOf = ({ server }: Frozen) =>
  [tables, indexes, activity, names, relationUsers, progress].map(query => ({ server, query }))
const watchesMeanwhile = ({ server }: Frozen) => [progress, locks, names].map(query => ({ server, query }))

const isTree = (row: TablePaneRow) => row.hypertable || is(row.relkind, 'p')

/** What is missing for REINDEX, which the owner of a database may not do as such; null: nothing. */
function reindexRight(server: string, state: State): WhyNot | null {
  const others = rowsOf(state, server, tables).filter(({ reindexes }) => !reindexes)
  if (others.length === 0) return null
  return whyNot(hasMaintain(state, server) ? maintainGrant(server, state, null, null) : ownersGrant(others, server, state))
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
  expand: (row, state) => {
    if (!isTree(row)) return null
    const rows = leavesOf(row, state)
    return { rows, missing: Math.max(0, row.children - rows.length) }
  },
  freeze: freezeTable,
  guard: (target, state) => {
    const refused = standbyRefuses(target)
    if (refused) return refused
    if (target.hypertable || is(target.relkind, 'p'))
      return whyNot(`it has no ${target.hypertable ? 'chunk' : 'partition'} that is listed`)
    if (target.idx_scan === null && target.index_bytes === 0n && target.toast_bytes === 0n) return whyNot('it has no index')
    return target.reindexes ? null : whyNot(`no right: ${maintainGrant(target.server, state, target.owner, target.qualified)}`)
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
  expand: (row, state) => {
    if (row.children === 0) return null
    const rows = indexLeaves(row, state)
    return { rows, missing: Math.max(0, row.children - rows.length) }
  },
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
    return target.maintains
      ? null
      : whyNot(`no right: ${maintainGrant(target.server, state, target.owner, target.table_qualified)}`)
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
