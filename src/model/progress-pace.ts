// How fast long commands go on and when they may be through, from what we saw ourselves: a mark for each command is carried from sample to
// sample. Servers don't say when a phase began, nor how fast it goes.

import type { ProgressSample } from '../sql/progress.ts'
import { type Step, stepKey, stepOf } from './progress-step.ts'
import { is, raw } from './untrusted.ts'

/** What is remembered of a command between samples. Times in epoch ms of our clock. */
export type ProgressMark = {
  readonly step: string
  /** When it was first seen in this step. */
  readonly since: number
  readonly at: number
  readonly done: number | null
  /** When `done` last grew. */
  readonly movedAt: number
  /** Work and seconds of this step seen so far, the older the less they count: the rate is one by the other. */
  readonly work: number
  readonly seconds: number
  /** Of a vacuum: blocks scanned while we looked, and in how many seconds. */
  readonly scanned: number
  readonly scanSeconds: number
  /** The beginning of this step was seen, not only the middle of it. */
  readonly whole: boolean
  /** How long its last pass through the indexes took; null: none was seen from beginning to end. */
  readonly indexSeconds: number | null
}

/** What was seen so long ago counts for little more than a third. Seconds. */
const memorySeconds = 20
/** Without a step forward for so long there is no telling when it ends. Seconds. */
export const stalledAfterSeconds = 10

/** The same command: a pid is given out again, a session runs one after the other, VACUUM goes from table to table. */
export function operationId(row: ProgressSample): string {
  const text = (value: ProgressSample['backend_start']) => (value === null ? '' : raw(value))
  return [row.pid, text(row.backend_start), text(row.query_start), text(row.kind), row.relid].join(' ')
}

/** Marks of all commands of a sample, those of ended ones dropped. */
export function progressMarks(
  before: Readonly<Record<string, ProgressMark>>,
  rows: readonly ProgressSample[],
  at: number,
): Readonly<Record<string, ProgressMark>> {
  const running = rows.filter(row => is(row.role, 'command'))
  return Object.fromEntries(running.map(row => [operationId(row), marked(before[operationId(row)], row, at)]))
}

function marked(before: ProgressMark | undefined, row: ProgressSample, at: number): ProgressMark {
  const step = stepKey(row)
  const { done } = stepOf(row)
  const scan = { scanned: before?.scanned ?? 0, scanSeconds: before?.scanSeconds ?? 0 }
  if (!before || before.step !== step || (done !== null && before.done !== null && done < before.done)) {
    const indexSeconds = before?.whole && wasInIndexes(before) ? (at - before.since) / 1000 : (before?.indexSeconds ?? null)
    return { step, since: at, at, done, movedAt: at, work: 0, seconds: 0, ...scan, whole: before !== undefined, indexSeconds }
  }
  const elapsed = (at - before.at) / 1000
  if (elapsed <= 0) return before
  if (done === null || before.done === null) return { ...before, at, done, movedAt: at }
  const fade = Math.exp(-elapsed / memorySeconds)
  const moved = done - before.done
  const isScan = is(row.kind, 'VACUUM') && is(row.phase, 'scanning heap')
  return {
    ...before,
    at,
    done,
    movedAt: moved > 0 ? at : before.movedAt,
    work: before.work * fade + moved,
    seconds: before.seconds * fade + elapsed,
    ...(isScan ? { scanned: scan.scanned + moved, scanSeconds: scan.scanSeconds + elapsed } : {}),
  }
}

const wasInIndexes = ({ step }: ProgressMark) => step.includes('|vacuuming indexes|')

/**
 * The step as far as it can be believed. While an index is built the first block of the scan is counted as if it were the last (13 to 18): what is
 * through without ever having been seen to grow isn't known.
 */
export function seenStep(row: ProgressSample, mark: ProgressMark | undefined): Step {
  const step = stepOf(row)
  const grew = mark !== undefined && mark.work > 0
  return is(row.kind, 'CREATE INDEX') && step.unit === 'blocks' && step.done === step.total && !grew
    ? { ...step, done: null }
    : step
}

/** Units of the step per second; null before two samples of it. */
export function ratePerSecond(mark: ProgressMark | undefined): number | null {
  return mark && mark.seconds > 0 ? mark.work / mark.seconds : null
}

/** How long the counter has stood still; null where it counts what takes its time each (indexes, lockers). */
export function stalledSeconds({ done, unit }: Step, mark: ProgressMark | undefined): number | null {
  const fine = unit === 'blocks' || unit === 'bytes' || unit === 'tuples'
  return mark && fine && done !== null ? (mark.at - mark.movedAt) / 1000 : null
}

/** `bound`: more is to come that nobody can tell, so that it takes at least this. */
export type TimeLeft = { readonly seconds: number; readonly bound: boolean }

/** Blocks of each of a vacuumed table's indexes, in the order in which they are vacuumed. Null: not known. */
type IndexBlocks = readonly number[] | null

const sumOf = (blocks: readonly number[]) => blocks.reduce((sum, n) => sum + n, 0)

/** Seconds until the command is through; null when it can't be known. */
export function timeLeft(row: ProgressSample, mark: ProgressMark | undefined, indexes: IndexBlocks): TimeLeft | null {
  const step = stepOf(row)
  if (!mark || (stalledSeconds(step, mark) ?? 0) >= stalledAfterSeconds) return null
  if (is(row.kind, 'VACUUM')) return vacuumTimeLeft(row, mark, indexes)
  const seconds = step.unit === 'lockers' ? null : stepTimeLeft(step, mark)
  return seconds === null || (seconds === 0 && !step.isAll) ? null : { seconds, bound: !step.isAll }
}

function stepTimeLeft({ done, total }: Step, mark: ProgressMark): number | null {
  const rate = ratePerSecond(mark)
  if (done === null || total === null || !rate) return null
  return Math.max(0, total - done) / rate
}

/**
 * A vacuum scans the heap, then goes through the indexes and once more through the blocks that have dead items; as often as the memory for
 * these fills. What lies ahead is taken to go as fast, block by block, as the scan did.
 */
function vacuumTimeLeft(row: ProgressSample, mark: ProgressMark, indexes: IndexBlocks): TimeLeft | null {
  const indexBlocks = indexes && sumOf(indexes)
  const heap = heapOf(row)
  if (!heap) return null
  const hasIndexes = indexBlocks === null ? null : indexBlocks > 0
  const pace = mark.scanSeconds > 0 && mark.scanned > 0 ? mark.scanned / mark.scanSeconds : null
  const unscanned = heap.total - heap.scanned
  if (is(row.phase, 'scanning heap')) {
    const rate = ratePerSecond(mark)
    if (!rate) return null
    const dirty = blocksWithDead(heap.dead, heap.scanned - heap.vacuumed, heap.total - heap.vacuumed)
    // From 14 on so few blocks are left to the next vacuum; without indexes dead items are gone with the scan.
    if (heap.dead === 0 || hasIndexes === false || dirty < 0.02 * heap.total) return { seconds: unscanned / rate, bound: false }
    const passes = Math.max(1, Math.ceil(heap.memory * (1 + unscanned / Math.max(1, heap.scanned - heap.vacuumed))))
    return { seconds: (unscanned + passes * (indexBlocks ?? 0) + dirty) / rate, bound: hasIndexes === null }
  }
  const perPass = heap.scanned / Math.max(1, heap.passes + (is(row.phase, 'vacuuming indexes') ? 1 : 0))
  const ahead = unscanned > 0 ? 2 * unscanned + Math.ceil(unscanned / Math.max(1, perPass)) * (indexBlocks ?? 0) : 0
  const rest = ahead === 0 ? 0 : pace === null ? null : ahead / pace
  if (is(row.phase, 'vacuuming indexes')) {
    const inIndexes = indexTimeLeft(row, mark, indexes, pace)
    if (pace === null || rest === null || inIndexes === null) return null
    const dirty = blocksWithDead(heap.dead, heap.scanned - heap.vacuumed, heap.scanned - heap.vacuumed)
    return { seconds: inIndexes + dirty / pace + rest, bound: false }
  }
  if (is(row.phase, 'vacuuming heap')) {
    const now = stepTimeLeft(stepOf(row), mark) ?? (pace === null ? null : (heap.scanned - heap.vacuumed) / pace)
    return now === null ? null : { seconds: now + (rest ?? 0), bound: rest === null }
  }
  return null
}

type Heap = {
  readonly total: number
  readonly scanned: number
  readonly vacuumed: number
  readonly dead: number
  readonly passes: number
  /** Share of the space for dead items that is used. */
  readonly memory: number
}

function heapOf(row: ProgressSample): Heap | null {
  if (!row.heap_blks_total || row.heap_blks_scanned === null) return null
  const memory = row.dead_memory_max ? Number(row.dead_memory_used ?? 0n) / Number(row.dead_memory_max) : 0
  return {
    total: Number(row.heap_blks_total),
    scanned: Number(row.heap_blks_scanned),
    vacuumed: Math.min(Number(row.heap_blks_vacuumed ?? 0n), Number(row.heap_blks_scanned)),
    dead: Number(row.num_dead_item_ids ?? 0n),
    passes: Number(row.index_vacuum_count ?? 0n),
    memory,
  }
}

/** Of so many blocks those with dead items, if these lie about as evenly as in the ones that were looked at. */
function blocksWithDead(dead: number, lookedAt: number, blocks: number): number {
  return lookedAt > 0 ? blocks * (1 - Math.exp(-dead / lookedAt)) : 0
}

/**
 * Nobody counts the blocks of an index that is vacuumed, and they may cost twenty times what those of the scan did (dirty ones, cost delay). Through
 * so many indexes as are counted (17) the rest goes by their sizes; else it takes as long as the pass before, or goes as the scan did. Null: it is
 * overdue by that, and there is no telling.
 */
function indexTimeLeft(row: ProgressSample, mark: ProgressMark, indexes: IndexBlocks, pace: number | null): number | null {
  const elapsed = (mark.at - mark.since) / 1000
  const { done, total } = stepOf(row)
  const left = (expected: number | null) => (expected === null || expected <= elapsed ? null : expected - elapsed)
  if (done !== null && total !== null && done > 0) {
    const sizes = indexes?.length === total ? (inParallel(row, indexes) ? indexes.toSorted((a, b) => a - b) : indexes) : null
    const share = sizes ? sumOf(sizes.slice(0, done)) / sumOf(sizes) : done / total
    return left((mark.movedAt - mark.since) / 1000 / share)
  }
  return left(mark.indexSeconds ?? (pace !== null && indexes ? sumOf(indexes) / pace : null))
}

/** min_parallel_index_scan_size, as it is by default. Blocks. */
const parallelBlocks = 64

/** Several indexes at a time, the smallest through first: what VACUUM does by itself, and autovacuum never. */
const inParallel = (row: ProgressSample, indexes: readonly number[]) =>
  !is(row.backend_type, 'autovacuum worker') && indexes.filter(blocks => blocks >= parallelBlocks).length > 1

/**
 * How much of a vacuum is done, in percent: blocks of the scan, of the passes through the indexes, and of the second pass through the heap. null where
 * the indexes' size isn't known, or while they are cleaned up, which nobody counts.
 */
export function vacuumPercent(row: ProgressSample, indexes: IndexBlocks): number | null {
  const indexBlocks = indexes && sumOf(indexes)
  const heap = heapOf(row)
  if (!heap || indexBlocks === null) return null
  if (indexBlocks === 0) return is(row.phase, 'scanning heap') ? (100 * heap.scanned) / heap.total : null
  const inIndexes = is(row.phase, 'vacuuming indexes')
  if (!inIndexes && !is(row.phase, 'scanning heap') && !is(row.phase, 'vacuuming heap')) return null
  const { done, total } = stepOf(row)
  const part = inIndexes && done !== null && total !== null ? done / total : 0
  const through = heap.scanned + heap.vacuumed + (heap.passes + part) * indexBlocks
  const all = 2 * heap.total + Math.max(1, heap.passes + (inIndexes ? 1 : 0)) * indexBlocks
  return Math.min(100, (100 * through) / all)
}
