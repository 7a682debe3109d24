// Indexes: how much they are used, which are invalid, and which say nothing that another does not say.

import type { IndexWidthRow } from '../sql/index-widths.ts'
import type { IndexRow, IndexSizeRow } from '../sql/indexes.ts'
import type { Untrusted } from '../sql/query.ts'
import { type IndexBloat, indexBloat } from './index-bloat.ts'
import { newest } from './locked.ts'
import type { Told } from './tables.ts'
import { is, raw } from './untrusted.ts'

/** What was heard of one database; null where nothing has been yet. `now` in epoch ms. */
export type IndexFacts = {
  readonly server: string
  readonly now: number
  readonly indexes: Told<IndexRow> | null
  readonly sizes: Told<IndexSizeRow> | null
  /** Of those that had been locked, read since. */
  readonly unlockedSizes: Told<IndexSizeRow> | null
  readonly widths: Told<IndexWidthRow> | null
  /** Relations that are locked now; null: not known. */
  readonly locked: ReadonlySet<bigint> | null
}

export type IndexPaneRow = {
  readonly server: string
  readonly schemaname: Untrusted
  readonly relname: Untrusted
  readonly indexrelname: Untrusted
  readonly indexrelid: bigint
  readonly indrelid: bigint
  /** Quoted names for a command: of the index and of its table. */
  readonly qualified: Untrusted
  readonly table_qualified: Untrusted
  /** i index, I index of a partitioned table. */
  readonly relkind: Untrusted
  /** Of the partitioned table or hypertable, the index that this one is a part of. */
  readonly parentIndexrelid: bigint | null
  /** How many indexes of partitions or chunks it stands for; then its figures are sums over them and itself. */
  readonly children: number
  /** Our role has the privileges of its table's owner. */
  readonly owned: boolean
  /** Our role may REINDEX it. */
  readonly maintains: boolean
  readonly owner: Untrusted | null
  /** btree, gin... */
  readonly amname: Untrusted
  /** Its columns, quoted; an expression goes by the name PostgreSQL gave it. `keyColumns` without those only INCLUDEd. */
  readonly columns: Untrusted | null
  readonly keyColumns: Untrusted | null
  /** Null: not read yet, or not to be read now. */
  readonly total_bytes: bigint | null
  readonly locked: boolean
  readonly sizeAgeSeconds: number | null
  readonly idx_scan: bigint | null
  readonly last_idx_scan: Untrusted | null
  readonly lastIdxScanAgeSeconds: number | null
  readonly indisunique: boolean
  readonly indisprimary: boolean
  readonly indisexclusion: boolean
  /** The constraint that it enforces. */
  readonly conname: Untrusted | null
  /** It has a WHERE. */
  readonly partial: boolean
  readonly indisvalid: boolean
  /** An invalid one that is ready still costs each write. */
  readonly indisready: boolean
  /** Somebody is building it: it is not valid yet, and nothing is wrong. */
  readonly building: boolean
  /** Not scanned since the statistics began, and free to be dropped: not unique, no constraint, no replica identity. Null: not known. */
  readonly unused: boolean | null
  /** The index (quoted name) that has the same columns, operator classes, predicate and method. */
  readonly duplicateOf: Untrusted | null
  /** The index that begins with all of its columns. */
  readonly prefixOf: Untrusted | null
  readonly stats_reset: Untrusted | null
  /** How long scans have been counted; null: since the server was made, or since it crashed. */
  readonly statsAgeSeconds: number | null
} & IndexBloat

/** Rows of list `indexes`. */
export function indexRows(facts: IndexFacts): IndexPaneRow[] {
  const { indexes, locked, now } = facts
  if (indexes === null) return []
  const sizeOf = newest(facts.sizes, facts.unlockedSizes, row => row.indexrelid)
  const isLocked = ({ indexrelid }: IndexRow) => locked?.has(indexrelid) ?? sizeOf.get(indexrelid)?.row.locked ?? false
  const elapsed = Math.max(0, now - indexes.at) / 1000
  const age = (seconds: number | null) => (seconds === null ? null : seconds + elapsed)
  const spare = needless(indexes.rows)
  const widthOf = facts.widths && new Map(facts.widths.rows.map(width => [width.indexrelid, width]))
  const complete = indexesLeftOut(facts) === 0
  const parentOf = parents(indexes.rows)
  const members = Map.groupBy(indexes.rows, row => parentOf.get(row.indexrelid) ?? null)
  return indexes.rows.map(row => {
    const leaves = leavesOf(row, members)
    const parentIndexrelid = parentOf.get(row.indexrelid) ?? null
    const stands = leaves.length > 1 || leaves[0] !== row
    const known = !stands || complete
    const measured = leaves.map(leaf => (isLocked(leaf) ? undefined : sizeOf.get(leaf.indexrelid)))
    const bytes = known ? total(measured.map(size => size?.row.total_bytes ?? null)) : null
    const measuredAt = Math.min(...measured.map(size => size?.at ?? now))
    const scans = known ? total(leaves.map(leaf => leaf.idx_scan)) : null
    const last = leaves.reduce<IndexRow | null>(
      (newest, leaf) =>
        leaf.last_idx_scan_age_seconds !== null &&
        leaf.last_idx_scan_age_seconds < (newest?.last_idx_scan_age_seconds ?? Number.POSITIVE_INFINITY)
          ? leaf
          : newest,
      null,
    )
    const { duplicateOf = null, prefixOf = null } = spare.get(row.indexrelid) ?? {}
    return {
      server: facts.server,
      schemaname: row.schemaname,
      relname: row.relname,
      indexrelname: row.indexrelname,
      indexrelid: row.indexrelid,
      indrelid: row.indrelid,
      qualified: row.qualified,
      table_qualified: row.table_qualified,
      relkind: row.relkind,
      parentIndexrelid,
      children: leaves.filter(leaf => leaf !== row).length,
      owned: row.owned,
      maintains: row.maintains,
      owner: row.owner,
      amname: row.amname,
      columns: row.columns,
      keyColumns: row.key_columns,
      total_bytes: bytes,
      locked: leaves.some(isLocked),
      ...indexBloat(row, stands, bytes, widthOf),
      sizeAgeSeconds: bytes === null ? null : Math.max(0, now - measuredAt) / 1000,
      idx_scan: scans,
      last_idx_scan: last?.last_idx_scan ?? null,
      lastIdxScanAgeSeconds: age(last?.last_idx_scan_age_seconds ?? null),
      indisunique: row.indisunique,
      indisprimary: row.indisprimary,
      indisexclusion: row.indisexclusion,
      conname: row.conname,
      partial: row.predicate !== null,
      indisvalid: row.indisvalid,
      indisready: row.indisready,
      building: row.building,
      unused: scans === null ? null : scans === 0n && droppable(row) && parentIndexrelid === null && row.indisvalid,
      duplicateOf,
      prefixOf,
      stats_reset: row.stats_reset,
      statsAgeSeconds: age(row.stats_age_seconds),
    }
  })
}

/** Left behind by a CONCURRENTLY that failed. */
export const isInvalid = (row: Pick<IndexPaneRow, 'indisvalid' | 'building'>) => !row.indisvalid && !row.building

/** What a REINDEX CONCURRENTLY that failed has left: the index it was to replace, or be replaced by, stands beside it. */
export const isLeftover = (row: Pick<IndexPaneRow, 'indisvalid' | 'building' | 'indexrelname'>) =>
  isInvalid(row) && /_cc(new|old)\d*$/.test(raw(row.indexrelname))

/** Whether it only makes reading faster: others keep promises. */
const droppable = (row: IndexRow) => !row.indisunique && !row.indisexclusion && !row.indisreplident && row.conname === null

/** An index of a chunk is like one of its hypertable, and only TimescaleDB's own catalog says more than that. */
function parents(rows: readonly IndexRow[]): ReadonlyMap<bigint, bigint> {
  const looks = (row: IndexRow) =>
    [
      row.columns,
      row.amname,
      row.indclass,
      row.indoption,
      row.indisunique,
      row.expressions !== null,
      row.predicate !== null,
    ].join('|')
  const byTable = Map.groupBy(rows, row => row.indrelid)
  const out = new Map<bigint, bigint>()
  for (const row of rows) {
    const above = row.parent_indrelid === null ? [] : (byTable.get(row.parent_indrelid) ?? [])
    const parent = row.parent_indexrelid ?? above.find(other => looks(other) === looks(row))?.indexrelid
    if (parent !== undefined) out.set(row.indexrelid, parent)
  }
  return out
}

/** Those with storage of their own: itself unless it is of a partitioned table, and all that it stands for. */
function leavesOf(row: IndexRow, members: ReadonlyMap<bigint | null, readonly IndexRow[]>): readonly IndexRow[] {
  const below = (members.get(row.indexrelid) ?? []).flatMap(member => leavesOf(member, members))
  return is(row.relkind, 'I') ? below : [row, ...below]
}

function total(values: readonly (bigint | null)[]): bigint | null {
  return values.reduce<bigint | null>((sum, value) => (sum === null || value === null ? null : sum + value), 0n)
}

type Needless = { readonly duplicateOf?: Untrusted; readonly prefixOf?: Untrusted }

/** Those that another index of the table makes needless. Of equal ones that which keeps a promise stays, else the oldest. */
function needless(rows: readonly IndexRow[]): ReadonlyMap<bigint, Needless> {
  const out = new Map<bigint, Needless>()
  for (const [, all] of Map.groupBy(
    rows.filter(row => row.indisvalid),
    row => row.indrelid,
  )) {
    if (all.length < 2) continue
    for (const [, same] of Map.groupBy(all, likeness)) {
      const [keep, ...others] = same.toSorted((a, b) => rank(b) - rank(a) || (a.indexrelid < b.indexrelid ? -1 : 1))
      for (const other of others) out.set(other.indexrelid, { duplicateOf: keep!.qualified })
    }
    for (const row of all) {
      if (out.has(row.indexrelid) || !droppable(row)) continue
      const longer = all.find(other => other !== row && beginsWith(other, row))
      if (longer) out.set(row.indexrelid, { prefixOf: longer.qualified })
    }
  }
  return out
}

const rank = (row: IndexRow) =>
  (row.indisprimary ? 16 : 0) +
  (row.conname !== null ? 8 : 0) +
  (row.indisunique ? 4 : 0) +
  (row.indisreplident ? 2 : 0) +
  // A partition's index that belongs to its parent's can't be dropped alone.
  (row.parent_indexrelid !== null ? 1 : 0)

const likeness = (row: IndexRow) =>
  [row.amname, row.indkey, row.indnkeyatts, row.indclass, row.indcollation, row.indoption, row.expressions, row.predicate].join(
    '|',
  )

const words = (text: Untrusted) => raw(text).split(' ')

/** Every search that the short one helps, the long one helps too: B-trees alone are searched by their first columns. */
function beginsWith(long: IndexRow, short: IndexRow): boolean {
  const n = short.indnkeyatts
  if (!is(long.amname, 'btree') || !is(short.amname, 'btree') || long.indnkeyatts <= n) return false
  if (short.expressions !== null || short.predicate !== long.predicate) return false
  const alike = (name: 'indkey' | 'indclass' | 'indcollation' | 'indoption') => {
    const [theirs, ours] = [words(long[name]), words(short[name])]
    return ours.slice(0, n).every((word, i) => word === theirs[i])
  }
  const all = new Set(words(long.indkey))
  return (
    alike('indkey') &&
    alike('indclass') &&
    alike('indcollation') &&
    alike('indoption') &&
    words(short.indkey).every(word => all.has(word))
  )
}

/** How many indexes exist beyond those listed. */
export function indexesLeftOut({ indexes }: IndexFacts): number {
  return Math.max(0, (indexes?.rows[0]?.indexes_in_all ?? 0) - (indexes?.rows.length ?? 0))
}
