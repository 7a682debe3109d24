// Tables with their sizes, how much they change, when they were last looked after and what they need. A table that others inherit from
// (partitioned, hypertable) stands for all of them.

import type { Untrusted } from '../sql/query.ts'
import type { RowWidthRow, TableRow } from '../sql/tables.ts'
import type { CompressedPartRow, HypertableRow } from '../sql/timescale.ts'
import { perSecond } from './format.ts'
import { type SizesTold, sizesOf } from './table-sizes.ts'
import { is, raw } from './untrusted.ts'

export type Skipped = { readonly key: Untrusted; readonly why: string; readonly code: string | null }

/** A sample as this file needs it. `at` in epoch ms; `skipped`: slices whose sizes could not be read. */
export type Told<Row> = { readonly at: number; readonly rows: readonly Row[]; readonly skipped: readonly Skipped[] }

/** What was heard of one database; null where nothing has been yet. `now` in epoch ms. `before`: the counters one sample earlier. */
export type TableFacts = {
  readonly server: string
  readonly now: number
  readonly tables: Told<TableRow> | null
  readonly before: Told<TableRow> | null
  readonly sizes: SizesTold
  readonly widths: Told<RowWidthRow> | null
  readonly hypertables: Told<HypertableRow> | null
  readonly compressed: Told<CompressedPartRow> | null
}

export type TablePaneRow = {
  readonly server: string
  readonly schemaname: Untrusted
  readonly relname: Untrusted
  readonly relid: bigint
  /** Quoted name for a command. */
  readonly qualified: Untrusted
  /** r table, m materialised view, p partitioned table. */
  readonly relkind: Untrusted
  readonly hypertable: boolean
  /** The continuous aggregate whose hypertable it is. */
  readonly view_schema: Untrusted | null
  readonly view_name: Untrusted | null
  /** The table it is a partition, chunk or child of. */
  readonly parentRelid: bigint | null
  /** How many partitions, chunks or children with rows of their own it stands for; then its figures are sums over them and itself. */
  readonly children: number
  readonly owner: Untrusted | null
  /** Our role has the owner's privileges. */
  readonly owned: boolean
  /** Our role may VACUUM and ANALYZE it. */
  readonly maintains: boolean
  /** Our role may REINDEX it. */
  readonly reindexes: boolean
  /** Null: not read yet, or not to be read now, see `locked` and `sizeProblem`. A chunk's compressed part is included. */
  readonly total_bytes: bigint | null
  /** With the maps of free space and visibility. */
  readonly heap_bytes: bigint | null
  readonly index_bytes: bigint | null
  readonly toast_bytes: bigint | null
  /** Somebody holds it in ACCESS EXCLUSIVE mode or waits to: it, an index of it, its TOAST table or one that it stands for. */
  readonly locked: boolean
  readonly sizeProblem: string | null
  readonly sizeAgeSeconds: number | null
  /** Null: nobody has counted, on a standby, or after the statistics were lost. */
  readonly n_live_tup: bigint | null
  readonly n_dead_tup: bigint | null
  /** Share of dead rows in all, 0..1; null where there are none at all. */
  readonly deadRatio: number | null
  readonly n_mod_since_analyze: bigint | null
  readonly n_ins_since_vacuum: bigint | null
  /** Between the last two samples; null across a reset of the statistics, and when a partition came or went. */
  readonly insertsPerSecond: number | null
  readonly updatesPerSecond: number | null
  readonly deletesPerSecond: number | null
  /** Share of updates since the statistics began that needed no index entry, 0..1. */
  readonly hotRatio: number | null
  readonly last_vacuum: Untrusted | null
  readonly last_autovacuum: Untrusted | null
  readonly last_analyze: Untrusted | null
  readonly last_autoanalyze: Untrusted | null
  readonly lastVacuumAgeSeconds: number | null
  readonly lastAutovacuumAgeSeconds: number | null
  readonly lastAnalyzeAgeSeconds: number | null
  readonly lastAutoanalyzeAgeSeconds: number | null
  /** The later of the two; null: never, as far as the statistics go. */
  readonly anyVacuumAgeSeconds: number | null
  readonly anyAnalyzeAgeSeconds: number | null
  readonly vacuum_count: bigint | null
  readonly autovacuum_count: bigint | null
  readonly analyze_count: bigint | null
  readonly autoanalyze_count: bigint | null
  readonly seq_scan: bigint | null
  /** Null: it has no index. */
  readonly idx_scan: bigint | null
  readonly seq_tup_read: bigint | null
  readonly lastSeqScanAgeSeconds: number | null
  /** age(relfrozenxid), in transactions. */
  readonly freezeAge: number | null
  readonly autovacuum_freeze_max_age: number | null
  /** Share of the age at which autovacuum freezes it whatever else, 0..1 and above. */
  readonly freezeRatio: number | null
  readonly multixactAge: number | null
  /** Autovacuum would take it at its next visit. `vacuumDueWhy`: dead rows, inserts or wraparound. */
  readonly vacuumDue: boolean | null
  readonly vacuumDueWhy: Untrusted | null
  readonly analyzeDue: boolean | null
  /** Of those it stands for, how many autovacuum would take or analyze. */
  readonly childrenDue: number | null
  /** Dead rows, rows inserted since the last vacuum, rows changed since the last analyze: above these it is due. Null for sums. */
  readonly vacuumThreshold: number | null
  readonly insertThreshold: number | null
  readonly analyzeThreshold: number | null
  /** Of the server and of the table. */
  readonly autovacuum_enabled: boolean | null
  /** Large, and read from end to end again and again. */
  readonly needsIndex: boolean
  /**
   * An estimate: how many bytes of its pages its rows would not need at the average width that ANALYZE found. Null where the statistics are not
   * to be read, for sums, and below 16 pages.
   */
  readonly bloatEstimateBytes: bigint | null
  readonly bloatEstimateRatio: number | null
}

/** Rows of list `tables`. */
export function tableRows(facts: TableFacts): TablePaneRow[] {
  const { tables, before, widths, now } = facts
  if (tables === null) return []
  const parts = new Map(facts.compressed?.rows.map(row => [row.compressed_relid, row.relid]))
  const sizeOf = sizesOf(facts.sizes, parts)
  const earlier = new Map(before?.rows.map(row => [row.relid, row]))
  const widthOf = new Map(widths?.rows.map(row => [row.relid, row]))
  const hypertables = new Map(facts.hypertables?.rows.map(row => [raw(row.qualified), row]))
  const freeze = freezeWithParts(tables.rows, parts)
  const elapsed = Math.max(0, now - tables.at) / 1000
  const age = (seconds: number | null) => (seconds === null ? null : seconds + elapsed)
  const interval = before === null ? 0 : (tables.at - before.at) / 1000
  const shown = facts.compressed === null ? tables.rows : tables.rows.filter(row => !parts.has(row.relid) && !isShell(row))
  return shown.map(row => {
    const hypertable = hypertables.get(raw(row.qualified))
    const { heap, index, toast, at: sizedAt, locked, problem } = sizeOf(row.relid)
    const ages = {
      lastVacuumAgeSeconds: age(row.last_vacuum_age_seconds),
      lastAutovacuumAgeSeconds: age(row.last_autovacuum_age_seconds),
      lastAnalyzeAgeSeconds: age(row.last_analyze_age_seconds),
      lastAutoanalyzeAgeSeconds: age(row.last_autoanalyze_age_seconds),
    }
    const [live, dead] = isUnseen(row, heap) ? [null, null] : [row.n_live_tup, row.n_dead_tup]
    const total = heap === null || index === null || toast === null ? null : heap + index + toast
    return {
      server: facts.server,
      schemaname: row.schemaname,
      relname: row.relname,
      relid: row.relid,
      qualified: row.qualified,
      relkind: row.relkind,
      hypertable: hypertable !== undefined,
      view_schema: hypertable?.view_schema ?? null,
      view_name: hypertable?.view_name ?? null,
      parentRelid: row.parent_relid,
      children: row.children,
      owner: row.owner,
      owned: row.owned,
      maintains: row.maintains,
      reindexes: row.reindexes,
      total_bytes: total,
      heap_bytes: heap,
      index_bytes: index,
      toast_bytes: toast,
      locked,
      sizeProblem: total === null ? problem : null,
      sizeAgeSeconds: total === null || sizedAt === null ? null : Math.max(0, now - sizedAt) / 1000,
      n_live_tup: live,
      n_dead_tup: dead,
      deadRatio: share(dead, live),
      n_mod_since_analyze: row.n_mod_since_analyze,
      n_ins_since_vacuum: row.n_ins_since_vacuum,
      ...rates(row, earlier.get(row.relid), interval),
      hotRatio: row.n_tup_upd && row.n_tup_hot_upd !== null ? Number(row.n_tup_hot_upd) / Number(row.n_tup_upd) : null,
      last_vacuum: row.last_vacuum,
      last_autovacuum: row.last_autovacuum,
      last_analyze: row.last_analyze,
      last_autoanalyze: row.last_autoanalyze,
      ...ages,
      anyVacuumAgeSeconds: later(ages.lastVacuumAgeSeconds, ages.lastAutovacuumAgeSeconds),
      anyAnalyzeAgeSeconds: later(ages.lastAnalyzeAgeSeconds, ages.lastAutoanalyzeAgeSeconds),
      vacuum_count: row.vacuum_count,
      autovacuum_count: row.autovacuum_count,
      analyze_count: row.analyze_count,
      autoanalyze_count: row.autoanalyze_count,
      seq_scan: row.seq_scan,
      idx_scan: row.idx_scan,
      seq_tup_read: row.seq_tup_read,
      lastSeqScanAgeSeconds: age(row.last_seq_scan_age_seconds),
      freezeAge: freeze.get(row.relid)?.age ?? row.freeze_age,
      autovacuum_freeze_max_age: row.freeze_max_age,
      freezeRatio: freeze.get(row.relid)?.ratio ?? row.freeze_share,
      multixactAge: row.multixact_age,
      vacuumDue: row.standby ? null : row.vacuum_due !== null,
      vacuumDueWhy: row.vacuum_due,
      analyzeDue: row.standby ? null : (row.analyze_due ?? false),
      childrenDue: row.standby || row.children === 0 ? null : row.members_due,
      vacuumThreshold: row.vacuum_threshold,
      insertThreshold: row.insert_threshold,
      analyzeThreshold: row.analyze_threshold,
      autovacuum_enabled: row.autovacuum_enabled,
      needsIndex: needsIndex(row),
      ...bloatEstimate(row, widthOf.get(row.relid)),
    }
  })
}

/** Pages of which the statistics have never seen a row: they were reset or lost, and their zeros say nothing. */
const isUnseen = (row: TableRow, heapBytes: bigint | null) =>
  row.n_live_tup === 0n && row.n_dead_tup === 0n && row.n_tup_ins === 0n && ((heapBytes ?? 0n) > 0n || (row.relpages ?? 0n) > 0n)

/** From where on a table is large enough for an index to matter. */
const largeBytes = 8 * 1024 * 1024
const manyScans = 20n
const manyRowsEach = 10_000

function needsIndex({ relpages, block_size, seq_scan, idx_scan, seq_tup_read }: TableRow): boolean {
  if (seq_scan === null || seq_tup_read === null || seq_scan < manyScans) return false
  const large = Number(relpages ?? 0n) * block_size >= largeBytes
  return large && seq_scan > (idx_scan ?? 0n) && Number(seq_tup_read) / Number(seq_scan) >= manyRowsEach
}

function rates(row: TableRow, before: TableRow | undefined, seconds: number) {
  // Other members, or statistics begun anew: the difference is no work of this interval.
  const same = before !== undefined && before.members === row.members && before.stats_reset === row.stats_reset
  const per = (name: 'n_tup_ins' | 'n_tup_upd' | 'n_tup_del') => (same ? perSecond(row[name], before[name], seconds) : null)
  return {
    insertsPerSecond: per('n_tup_ins'),
    updatesPerSecond: per('n_tup_upd'),
    deletesPerSecond: per('n_tup_del'),
  }
}

const aligned = (bytes: number) => Math.ceil(bytes / 8) * 8
/** Of a page and of a row, and the pointer to a row. Bytes. */
const [pageHeader, rowHeader, rowPointer] = [24, 23, 4]

function bloatEstimate(row: TableRow, width: RowWidthRow | undefined) {
  const rows = row.n_live_tup !== null && row.n_live_tup > 0n ? Number(row.n_live_tup) : row.reltuples
  const pages = Number(row.relpages ?? 0n)
  if (!width || row.children > 0 || rows === null || pages === 0) return { bloatEstimateBytes: null, bloatEstimateRatio: null }
  const header = aligned(rowHeader + (width.has_nulls ? Math.ceil(width.columns / 8) : 0))
  const usable = ((row.block_size - pageHeader) * row.fillfactor) / 100
  const needed = Math.ceil((rows * (header + aligned(width.data_width_bytes) + rowPointer)) / usable)
  const spare = Math.max(0, pages - needed)
  return { bloatEstimateBytes: BigInt(spare) * BigInt(row.block_size), bloatEstimateRatio: spare / pages }
}

/** Autovacuum has to freeze the compressed part of a chunk too: the older of the two counts, for its hypertable as well. */
function freezeWithParts(rows: readonly TableRow[], parts: ReadonlyMap<bigint, bigint>) {
  const out = new Map<bigint, { readonly age: number; readonly ratio: number }>()
  if (parts.size === 0) return out
  const byId = new Map(rows.map(row => [row.relid, row]))
  for (const [partId, chunkId] of parts) {
    const part = byId.get(partId)
    if (!part || part.freeze_age === null || part.freeze_share === null) continue
    for (let row = byId.get(chunkId); row; row = row.parent_relid === null ? undefined : byId.get(row.parent_relid)) {
      const known = out.get(row.relid) ?? { age: row.freeze_age ?? 0, ratio: row.freeze_share ?? 0 }
      out.set(row.relid, { age: Math.max(known.age, part.freeze_age), ratio: Math.max(known.ratio, part.freeze_share) })
    }
  }
  return out
}

/** The empty table that TimescaleDB hangs compressed chunks under. */
const isShell = (row: TableRow) =>
  is(row.schemaname, '_timescaledb_internal') && raw(row.relname).startsWith('_compressed_hypertable_')

function share(part: bigint | null, rest: bigint | null): number | null {
  if (part === null || rest === null || part + rest === 0n) return null
  return Number(part) / Number(part + rest)
}

function later(a: number | null, b: number | null): number | null {
  return a === null ? b : b === null ? a : Math.min(a, b)
}

/** How many tables exist beyond those listed. */
export function tablesLeftOut({ tables }: TableFacts): number {
  return Math.max(0, (tables?.rows[0]?.tables_in_all ?? 0) - (tables?.rows.length ?? 0))
}

/** How many of the rows can't tell their size for a lock, those of what they stand for apart. */
export function lockedCount(rows: readonly TablePaneRow[]): number {
  return rows.filter(row => row.locked && row.children === 0).length
}
