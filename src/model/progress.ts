// Long commands as a DBA asks about them: which, on what, how far, how fast, how long yet, and who is in the way.

import type { ProgressSample, VacuumIndexesRow } from '../sql/progress.ts'
import type { Names } from './activity.ts'
import {
  operationId,
  type ProgressMark,
  ratePerSecond,
  seenStep,
  stalledSeconds,
  timeLeft,
  vacuumPercent,
} from './progress-pace.ts'
import { percentOf, type Unit } from './progress-step.ts'
import { is, raw, type Untrusted, untrusted } from './untrusted.ts'

/** A session that the command waits for. */
export type InTheWay = {
  /** 0: a prepared transaction. */
  readonly pid: number
  readonly usesysid: bigint | null
  readonly usename: Untrusted | null
  readonly application_name: Untrusted | null
  readonly state: Untrusted | null
  readonly xactAgeSeconds: number | null
  readonly query: Untrusted | null
  readonly restricted: boolean
}

/** A command that reports its progress. null: the server doesn't say, or our role may not see it (`restricted`). */
export type ProgressRow = {
  readonly server: string
  readonly pid: number
  readonly backend_type: Untrusted | null
  readonly backend_start: Untrusted | null
  readonly query_start: Untrusted | null
  readonly datid: bigint | null
  readonly datname: Untrusted | null
  readonly usesysid: bigint | null
  readonly usename: Untrusted | null
  readonly application_name: Untrusted | null
  readonly client_addr: Untrusted | null
  readonly client_port: number | null
  readonly state: Untrusted | null
  readonly wait_event_type: Untrusted | null
  readonly wait_event: Untrusted | null
  /** Null: it has written nothing yet. */
  readonly backend_xid: bigint | null
  readonly query: Untrusted | null
  /** As the server names it: VACUUM, VACUUM FULL, REINDEX CONCURRENTLY, BASE_BACKUP... */
  readonly command: Untrusted | null
  /** The view it is in, which is known also where the command is not: VACUUM, CLUSTER, CREATE INDEX... */
  readonly kind: Untrusted | null
  readonly relid: bigint | null
  /** Its name in our database, else its oid. */
  readonly relation: Untrusted | null
  readonly index: Untrusted | null
  /** Of an inheritance tree or a partitioned table: the table it is at. */
  readonly childRelation: Untrusted | null
  readonly phase: Untrusted | null
  readonly done: number | null
  readonly total: number | null
  readonly unit: Unit | null
  readonly block_size: number
  /** Of the phase (of this index, partition or pass): never less than before. */
  readonly percent: number | null
  /** Of the whole command, where that can be told. */
  readonly commandPercent: number | null
  /** In `unit`, over the last seconds. */
  readonly ratePerSecond: number | null
  readonly rateBytesPerSecond: number | null
  readonly etaSeconds: number | null
  /** It takes at least `etaSeconds`: later phases can't be told. */
  readonly etaIsBound: boolean
  /** How long the counter has stood still. */
  readonly stalledSeconds: number | null
  /** Since the statement began; of autovacuum since it began this table. */
  readonly elapsedSeconds: number | null
  readonly xactAgeSeconds: number | null
  readonly index_vacuum_count: number | null
  readonly num_dead_item_ids: number | null
  /** How full the space for dead tuples is: a full one costs another pass through all indexes. */
  readonly deadMemoryPercent: number | null
  /** Slept so far because of vacuum_cost_delay; null without track_cost_delay_timing (18). */
  readonly delayMs: number | null
  /** Of the time between the last two samples. */
  readonly delayPercent: number | null
  readonly heap_blks_total: number | null
  readonly heap_blks_scanned: number | null
  readonly heap_blks_vacuumed: number | null
  readonly tuples_processed: number | null
  readonly tuples_excluded: number | null
  readonly tuples_skipped: number | null
  readonly partitions_total: number | null
  readonly partitions_done: number | null
  readonly child_tables_total: number | null
  readonly child_tables_done: number | null
  readonly tablespaces_total: number | null
  readonly tablespaces_streamed: number | null
  readonly index_rebuild_count: number | null
  readonly current_locker_pid: number | null
  /** All that it waits for, each once; 0 is a prepared transaction. */
  readonly blockedBy: readonly number[]
  /** Who these are, and the current locker. */
  readonly inTheWay: readonly InTheWay[]
  /** Sessions that wait for it, directly or through others; null: not known. */
  readonly blocksCount: number | null
  readonly autovacuum: boolean | null
  /** Autovacuum that must not be put off. */
  readonly toPreventWraparound: boolean | null
  readonly own: boolean
  readonly restricted: boolean
}

/** What commands are told of beside their own samples. */
export type ProgressAround = {
  readonly server: string
  readonly names: Names
  readonly ownPids: ReadonlySet<number>
  readonly marks: Readonly<Record<string, ProgressMark>>
  readonly indexes: readonly VacuumIndexesRow[]
  /** Sessions that wait for a session; null: not known. */
  readonly blocksCount: (pid: number) => number | null
  /** The sample before. */
  readonly previous: { readonly rows: readonly ProgressSample[]; readonly secondsAgo: number } | null
}

export function progressRows(rows: readonly ProgressSample[], around: ProgressAround): readonly ProgressRow[] {
  const sessions = new Map(rows.map(row => [row.pid, row]))
  return rows.filter(row => is(row.role, 'command')).map(row => progressRow(row, sessions, around))
}

function progressRow(row: ProgressSample, sessions: ReadonlyMap<number, ProgressSample>, around: ProgressAround): ProgressRow {
  const id = operationId(row)
  const mark = around.marks[id]
  const step = seenStep(row, mark)
  const sized = is(row.kind, 'VACUUM') && row.relid !== null ? around.indexes.find(({ relid }) => relid === row.relid) : undefined
  const indexes = sized ? sized.index_blocks : null
  const blockedBy = (row.blocked_by ?? []).filter(pid => pid !== row.pid)
  const waits = blockedBy.length > 0 || is(row.wait_event_type, 'Lock')
  const left = waits ? null : timeLeft(row, mark, indexes)
  const rate = step.done === null || step.unit === 'lockers' ? null : ratePerSecond(mark)
  const percent = percentOf(step)
  const restricted = row.phase === null && row.relid === null && row.backend_type === null
  const autovacuum = row.backend_type === null ? null : is(row.backend_type, 'autovacuum worker')
  return {
    server: around.server,
    pid: row.pid,
    backend_type: row.backend_type,
    backend_start: row.backend_start,
    query_start: row.query_start,
    datid: row.datid,
    datname: row.datid === null ? null : (around.names.databases.get(row.datid) ?? null),
    usesysid: row.usesysid,
    usename: row.usesysid === null ? null : (around.names.roles.get(row.usesysid) ?? null),
    application_name: row.application_name,
    client_addr: row.client_addr,
    client_port: row.client_port,
    state: row.state,
    wait_event_type: row.wait_event_type,
    wait_event: row.wait_event,
    backend_xid: row.backend_xid,
    query: row.query,
    command: restricted ? null : row.command,
    kind: row.kind,
    relid: row.relid,
    relation: nameOrOid(row.relation_name, row.relid),
    index: nameOrOid(row.index_name, row.index_relid),
    childRelation: nameOrOid(row.child_name, row.current_child_table_relid),
    phase: row.phase,
    done: step.done,
    total: step.total,
    unit: step.unit,
    block_size: row.block_size,
    percent,
    commandPercent: step.isAll ? percent : is(row.kind, 'VACUUM') ? vacuumPercent(row, indexes) : null,
    ratePerSecond: rate,
    rateBytesPerSecond:
      rate === null ? null : step.unit === 'blocks' ? rate * row.block_size : step.unit === 'bytes' ? rate : null,
    etaSeconds: left?.seconds ?? null,
    etaIsBound: left?.bound ?? false,
    stalledSeconds: stalledSeconds(step, mark),
    elapsedSeconds: positive(row.query_age_seconds),
    xactAgeSeconds: positive(row.xact_age_seconds),
    index_vacuum_count: figure(row.index_vacuum_count),
    num_dead_item_ids: figure(row.num_dead_item_ids),
    deadMemoryPercent: row.dead_memory_max ? (100 * Number(row.dead_memory_used ?? 0n)) / Number(row.dead_memory_max) : null,
    delayMs: row.delay_ms,
    delayPercent: delayPercent(row, id, around),
    heap_blks_total: figure(row.heap_blks_total),
    heap_blks_scanned: figure(row.heap_blks_scanned),
    heap_blks_vacuumed: figure(row.heap_blks_vacuumed),
    tuples_processed: figure(row.tuples_processed),
    tuples_excluded: figure(row.tuples_excluded),
    tuples_skipped: figure(row.tuples_skipped),
    partitions_total: figure(row.partitions_total),
    partitions_done: figure(row.partitions_done),
    child_tables_total: figure(row.child_tables_total),
    child_tables_done: figure(row.child_tables_done),
    tablespaces_total: figure(row.tablespaces_total),
    tablespaces_streamed: figure(row.tablespaces_streamed),
    index_rebuild_count: figure(row.index_rebuild_count),
    current_locker_pid: row.current_locker_pid,
    blockedBy,
    inTheWay: whomItAwaits(row.current_locker_pid, blockedBy).map(pid => inTheWay(pid, sessions.get(pid), around.names)),
    blocksCount: around.blocksCount(row.pid),
    autovacuum,
    toPreventWraparound: autovacuum === null ? null : autovacuum && (row.query === null ? null : preventsWraparound(row.query)),
    own: around.ownPids.has(row.pid),
    restricted,
  }
}

/** The locker comes first, but for one that the view still tells of when the command waits for others by now. */
function whomItAwaits(locker: number | null, blockedBy: readonly number[]): readonly number[] {
  if (locker === null || (blockedBy.length > 0 && !blockedBy.includes(locker))) return blockedBy
  return [...new Set([locker, ...blockedBy])]
}

const figure = (value: bigint | null) => (value === null ? null : Number(value))
const positive = (seconds: number | null) => (seconds === null ? null : Math.max(0, seconds))
const preventsWraparound = (query: Untrusted) => raw(query).includes('(to prevent wraparound)')

function nameOrOid(name: Untrusted | null, oid: bigint | null): Untrusted | null {
  return name ?? (oid === null ? null : untrusted(String(oid)))
}

function inTheWay(pid: number, session: ProgressSample | undefined, names: Names): InTheWay {
  const usesysid = session?.usesysid ?? null
  return {
    pid,
    usesysid,
    usename: usesysid === null ? null : (names.roles.get(usesysid) ?? null),
    application_name: session?.application_name ?? null,
    state: session?.state ?? null,
    xactAgeSeconds: positive(session?.xact_age_seconds ?? null),
    query: session?.query ?? null,
    restricted: session !== undefined && session.backend_type === null,
  }
}

function delayPercent(row: ProgressSample, id: string, { previous }: ProgressAround): number | null {
  const before = previous?.rows.find(other => is(other.role, 'command') && operationId(other) === id)
  if (!previous || row.delay_ms === null || before?.delay_ms == null || previous.secondsAgo <= 0) return null
  const slept = row.delay_ms - before.delay_ms
  return slept < 0 ? null : Math.min(100, slept / 10 / previous.secondsAgo)
}
