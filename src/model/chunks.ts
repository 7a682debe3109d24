// Chunks of hypertables with their sizes and what compressing saved, the hypertables summed up, and the jobs that look after them.

import type { Untrusted } from '../sql/query.ts'
import type { ChunkRow, ChunkSizeRow, CompressionRow, HypertableRow, JobRow } from '../sql/timescale.ts'
import { is, raw } from './untrusted.ts'

type Skipped = { readonly key: Untrusted; readonly why: string; readonly code: string | null }

/** A sample as this file needs it. `at` in epoch ms; `skipped`: hypertables (quoted names) whose run failed, and why in drawable text. */
export type Told<Row> = {
  readonly at: number
  readonly rows: readonly Row[]
  readonly skipped: readonly Skipped[]
}

/** What was heard of one database; null where nothing has been yet. `now` in epoch ms. */
export type ChunkFacts = {
  readonly server: string
  readonly now: number
  readonly hypertables: Told<HypertableRow> | null
  readonly chunks: Told<ChunkRow> | null
  readonly sizes: Told<ChunkSizeRow> | null
  readonly compression: Told<CompressionRow> | null
  readonly jobs: Told<JobRow> | null
}

export type ChunkPaneRow = {
  readonly server: string
  readonly hypertable_schema: Untrusted
  readonly hypertable_name: Untrusted
  readonly chunk_schema: Untrusted
  readonly chunk_name: Untrusted
  /** Quoted name for a command. */
  readonly qualified: Untrusted
  /** The continuous aggregate whose hypertable it is. */
  readonly view_schema: Untrusted | null
  readonly view_name: Untrusted | null
  readonly primary_dimension: Untrusted | null
  readonly primary_dimension_type: Untrusted | null
  /** ISO 8601 in UTC, or the integer of an integer dimension. The end is not in the chunk. */
  readonly range_start: Untrusted | bigint | null
  readonly range_end: Untrusted | bigint | null
  readonly is_compressed: boolean | null
  readonly chunk_tablespace: Untrusted | null
  readonly chunk_creation_time: Untrusted | null
  /** The compressed part included. Null: not read yet, or not to be read, see sizeProblem. */
  readonly total_bytes: bigint | null
  readonly table_bytes: bigint | null
  readonly index_bytes: bigint | null
  readonly toast_bytes: bigint | null
  /** The sizes of its hypertable could not be read for a lock. */
  readonly sizeLocked: boolean
  readonly sizeProblem: string | null
  readonly sizeAgeSeconds: number | null
  /** As TimescaleDB noted them when it compressed the chunk. */
  readonly before_compression_total_bytes: bigint | null
  readonly after_compression_total_bytes: bigint | null
  /** Share of the bytes that compressing saved, 0..1; negative when it grew. */
  readonly savedRatio: number | null
  /** Since its range ended; negative while it goes on, null for an integer dimension. */
  readonly ageSeconds: number | null
  readonly startAgeSeconds: number | null
}

/** Rows of list `chunks`. */
export function chunkRows(facts: ChunkFacts): ChunkPaneRow[] {
  const { chunks, sizes, compression, now } = facts
  const sizeOf = byChunk(sizes)
  const compressionOf = byChunk(compression)
  const parents = new Map(facts.hypertables?.rows.map(row => [pair(row.hypertable_schema, row.hypertable_name), row]))
  const problems = problemsOf(sizes)
  const unread = new Set(compression?.skipped.map(({ key }) => key))
  const elapsed = chunks === null ? 0 : seconds(now - chunks.at)
  return (chunks?.rows ?? []).map(chunk => {
    const { hypertable_schema, hypertable_name, chunk_schema, chunk_name } = chunk
    const parent = parents.get(pair(hypertable_schema, hypertable_name))
    const wasCompressed = compressionOf.get(pair(chunk_schema, chunk_name))
    const saving = chunk.is_compressed ? wasCompressed : undefined
    // Sizes and compression are read together, the list more often: what has changed its form in between has another size now.
    const comparable = compression !== null && parent !== undefined && !unread.has(parent.qualified)
    const changed = comparable && chunk.is_compressed !== (wasCompressed !== undefined)
    const size = changed ? undefined : sizeOf.get(pair(chunk_schema, chunk_name))
    const problem = changed || size || !parent ? null : (problems.get(parent.qualified) ?? null)
    return {
      server: facts.server,
      hypertable_schema,
      hypertable_name,
      chunk_schema,
      chunk_name,
      qualified: chunk.qualified,
      view_schema: parent?.view_schema ?? null,
      view_name: parent?.view_name ?? null,
      primary_dimension: chunk.primary_dimension,
      primary_dimension_type: chunk.primary_dimension_type,
      range_start: chunk.range_start ?? chunk.range_start_integer,
      range_end: chunk.range_end ?? chunk.range_end_integer,
      is_compressed: chunk.is_compressed,
      chunk_tablespace: chunk.chunk_tablespace,
      chunk_creation_time: chunk.chunk_creation_time,
      total_bytes: size?.total_bytes ?? null,
      table_bytes: size?.table_bytes ?? null,
      index_bytes: size?.index_bytes ?? null,
      toast_bytes: size?.toast_bytes ?? null,
      sizeLocked: problem !== null && isLock(problem),
      sizeProblem: changed ? changedSince : (problem?.why ?? null),
      sizeAgeSeconds: size && sizes ? seconds(now - sizes.at) : null,
      before_compression_total_bytes: saving?.before_compression_total_bytes ?? null,
      after_compression_total_bytes: saving?.after_compression_total_bytes ?? null,
      savedRatio: savedRatio(saving?.before_compression_total_bytes, saving?.after_compression_total_bytes),
      ageSeconds: chunk.end_age_seconds === null ? null : chunk.end_age_seconds + elapsed,
      startAgeSeconds: chunk.start_age_seconds === null ? null : chunk.start_age_seconds + elapsed,
    }
  })
}

const changedSince = 'compressed or decompressed since the sizes were read'

export type HypertablePaneRow = {
  readonly server: string
  readonly hypertable_schema: Untrusted
  readonly hypertable_name: Untrusted
  readonly qualified: Untrusted
  /** Of a continuous aggregate: its name; the hypertable holds what it materialised. */
  readonly view_schema: Untrusted | null
  readonly view_name: Untrusted | null
  readonly owner: Untrusted | null
  readonly num_dimensions: number | null
  readonly num_chunks: number | null
  readonly compression_enabled: boolean | null
  readonly primary_dimension: Untrusted | null
  readonly primary_dimension_type: Untrusted | null
  readonly time_interval: Untrusted | null
  readonly integer_interval: bigint | null
  /** Null while not all of its chunks are listed. */
  readonly compressedChunks: number | null
  /** Sum over all its chunks; null until read, or when it can't be. */
  readonly total_bytes: bigint | null
  readonly sizeLocked: boolean
  readonly sizeProblem: string | null
  readonly sizeAgeSeconds: number | null
  /** Of its compressed chunks together. */
  readonly before_compression_total_bytes: bigint | null
  readonly after_compression_total_bytes: bigint | null
  readonly savedRatio: number | null
}

/** Rows of list `hypertables`. */
export function hypertableRows(facts: ChunkFacts): HypertablePaneRow[] {
  const { hypertables, chunks, sizes, compression, now } = facts
  const problems = problemsOf(sizes)
  const listed = new Map<string, { chunks: number; compressed: number }>()
  for (const chunk of chunks?.rows ?? []) {
    const key = pair(chunk.hypertable_schema, chunk.hypertable_name)
    const counts = listed.get(key) ?? { chunks: 0, compressed: 0 }
    listed.set(key, { chunks: counts.chunks + 1, compressed: counts.compressed + (chunk.is_compressed ? 1 : 0) })
  }
  const complete = chunks !== null && chunksLeftOut(facts) === 0
  const total = sums(sizes, row => row.total_bytes)
  const before = sums(compression, row => row.before_compression_total_bytes)
  const after = sums(compression, row => row.after_compression_total_bytes)
  return (hypertables?.rows ?? []).map(row => {
    const { qualified } = row
    const counts = listed.get(pair(row.hypertable_schema, row.hypertable_name)) ?? { chunks: 0, compressed: 0 }
    const num_chunks = row.num_chunks ?? (complete ? counts.chunks : null)
    const problem = problems.get(qualified) ?? null
    // No row can mean no chunk, or a hypertable younger than the sizes.
    const total_bytes = sizes === null || problem !== null ? null : (total.get(qualified) ?? (num_chunks === 0 ? 0n : null))
    return {
      server: facts.server,
      hypertable_schema: row.hypertable_schema,
      hypertable_name: row.hypertable_name,
      qualified,
      view_schema: row.view_schema,
      view_name: row.view_name,
      owner: row.owner,
      num_dimensions: row.num_dimensions,
      num_chunks,
      compression_enabled: row.compression_enabled,
      primary_dimension: row.primary_dimension,
      primary_dimension_type: row.primary_dimension_type,
      time_interval: row.time_interval,
      integer_interval: row.integer_interval,
      compressedChunks: complete ? counts.compressed : null,
      total_bytes,
      sizeLocked: problem !== null && isLock(problem),
      sizeProblem: problem?.why ?? null,
      sizeAgeSeconds: total_bytes === null || sizes === null ? null : seconds(now - sizes.at),
      before_compression_total_bytes: before.get(qualified) ?? null,
      after_compression_total_bytes: after.get(qualified) ?? null,
      savedRatio: savedRatio(before.get(qualified), after.get(qualified)),
    }
  })
}

export type JobPaneRow = Omit<JobRow, 'next_start_ago_seconds' | 'last_run_ago_seconds' | 'last_run_duration_seconds'> & {
  readonly server: string
  readonly lastRunAgoSeconds: number | null
  readonly lastRunDurationSeconds: number | null
  /** Until it starts; negative when it should have. Null: paused, running now, or no time is set yet. */
  readonly nextStartSeconds: number | null
  /** How far behind its schedule it is; 0 while in time. */
  readonly lateSeconds: number | null
}

/** Rows of list `jobs`. */
export function jobRows(facts: ChunkFacts): JobPaneRow[] {
  const elapsed = facts.jobs === null ? 0 : seconds(facts.now - facts.jobs.at)
  return (facts.jobs?.rows ?? []).map(job => {
    const { next_start_ago_seconds, last_run_ago_seconds, last_run_duration_seconds, ...rest } = job
    const waits = job.scheduled === true && !is(job.job_status, 'Running') && next_start_ago_seconds !== null
    const next = waits ? -(next_start_ago_seconds + elapsed) : null
    return {
      server: facts.server,
      ...rest,
      lastRunAgoSeconds: last_run_ago_seconds === null ? null : last_run_ago_seconds + elapsed,
      lastRunDurationSeconds: last_run_duration_seconds,
      nextStartSeconds: next,
      lateSeconds: next === null ? null : Math.max(0, -next),
    }
  })
}

/** How many chunks exist beyond those listed. */
export function chunksLeftOut({ chunks }: ChunkFacts): number {
  return Math.max(0, (chunks?.rows[0]?.chunks_in_all ?? 0) - (chunks?.rows.length ?? 0))
}

/** Hypertables whose sizes could not be read, in one sentence; null when all could. Names have gone through `drawable`. */
export function sizeTrouble({ sizes }: ChunkFacts, drawable: (text: Untrusted) => string): string | null {
  const [first, ...others] = sizes?.skipped ?? []
  if (!first) return null
  const more = others.length > 0 ? ` and ${others.length} more` : ''
  const why = isLock(first) ? 'locked, tried again within a minute' : first.why
  const remedy = /permission denied for schema/.test(first.why) ? ' (GRANT USAGE ON SCHEMA)' : ''
  return `no sizes of ${drawable(first.key)}${more}: ${why}${remedy}`
}

/** lock_timeout ended the wait. */
const isLock = ({ code }: Skipped) => code === '55P03'

function problemsOf(sizes: Told<ChunkSizeRow> | null): ReadonlyMap<Untrusted, Skipped> {
  return new Map(sizes?.skipped.map(skipped => [skipped.key, skipped]))
}

type OfChunk = { readonly hypertable: Untrusted; readonly chunk_schema: Untrusted; readonly chunk_name: Untrusted }

function byChunk<Row extends OfChunk>(told: Told<Row> | null): ReadonlyMap<string, Row> {
  return new Map(told?.rows.map(row => [pair(row.chunk_schema, row.chunk_name), row]))
}

/** Sums by hypertable; one size missing makes the sum unknown. */
function sums<Row extends OfChunk>(
  told: Told<Row> | null,
  value: (row: Row) => bigint | null,
): ReadonlyMap<Untrusted, bigint | null> {
  const out = new Map<Untrusted, bigint | null>()
  for (const row of told?.rows ?? []) {
    const sum = out.get(row.hypertable)
    const bytes = value(row)
    out.set(row.hypertable, sum === undefined ? bytes : sum === null || bytes === null ? null : sum + bytes)
  }
  return out
}

function savedRatio(before: bigint | null | undefined, after: bigint | null | undefined): number | null {
  return !before || after === null || after === undefined ? null : 1 - Number(after) / Number(before)
}

/** A key of two names, neither of which can hold the NUL between them. */
const pair = (schema: Untrusted, name: Untrusted) => `${raw(schema)}\0${raw(name)}`

const seconds = (ms: number) => Math.max(0, ms) / 1000
