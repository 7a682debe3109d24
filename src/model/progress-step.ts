// Of a long command the step it is in: the pair of counters that tells how far it is there, and what makes the next step another one.

import type { ProgressSample } from '../sql/progress.ts'
import { is, raw } from './untrusted.ts'

export type Unit = 'blocks' | 'bytes' | 'tuples' | 'lockers' | 'indexes' | 'statistics'

export type Step = {
  /** null: the server doesn't count in this phase. */
  readonly done: number | null
  /** null: the server doesn't know how much there is. */
  readonly total: number | null
  readonly unit: Unit | null
  /** With this step the command is through. */
  readonly isAll: boolean
}

type Counts = readonly [done: bigint | null, total: bigint | null]

const uncounted: Step = { done: null, total: null, unit: null, isAll: false }

// A total of 0 is one that is not known yet, or an empty table.
function step(unit: Unit, [done, total]: Counts, isAll = false): Step {
  return { done: done === null ? null : Number(done), total: total === null || total <= 0n ? null : Number(total), unit, isAll }
}

export function stepOf(row: ProgressSample): Step {
  if (row.kind === null) return uncounted
  switch (raw(row.kind)) {
    case 'VACUUM':
      return vacuumStep(row)
    case 'ANALYZE':
      return analyzeStep(row)
    case 'CLUSTER':
      return clusterStep(row)
    case 'CREATE INDEX':
      return indexStep(row)
    case 'COPY':
      return step('bytes', [row.bytes_processed, row.bytes_total], true)
    case 'BASEBACKUP':
      return is(row.phase, 'streaming database files') ? step('bytes', [row.backup_streamed, row.backup_total]) : uncounted
    default:
      return uncounted
  }
}

function vacuumStep(row: ProgressSample): Step {
  if (is(row.phase, 'scanning heap')) return step('blocks', [row.heap_blks_scanned, row.heap_blks_total])
  // What was scanned up to now is what this pass vacuums.
  if (is(row.phase, 'vacuuming heap')) return step('blocks', [row.heap_blks_vacuumed, row.heap_blks_scanned])
  if (is(row.phase, 'vacuuming indexes') || is(row.phase, 'cleaning up indexes')) {
    return row.indexes_total ? step('indexes', [row.indexes_processed, row.indexes_total]) : uncounted
  }
  return uncounted
}

function analyzeStep(row: ProgressSample): Step {
  if (is(row.phase, 'acquiring sample rows') || is(row.phase, 'acquiring inherited sample rows')) {
    return step('blocks', [row.sample_blks_scanned, row.sample_blks_total])
  }
  return is(row.phase, 'computing extended statistics')
    ? step('statistics', [row.ext_stats_computed, row.ext_stats_total])
    : uncounted
}

function clusterStep(row: ProgressSample): Step {
  if (is(row.phase, 'seq scanning heap')) return step('blocks', [row.heap_blks_scanned, row.heap_blks_total])
  if (is(row.phase, 'index scanning heap')) return step('tuples', [row.heap_tuples_scanned, null])
  if (is(row.phase, 'writing new heap')) return step('tuples', [row.heap_tuples_written, row.heap_tuples_scanned])
  return is(row.phase, 'rebuilding index') ? step('indexes', [row.index_rebuild_count, null]) : uncounted
}

function indexStep(row: ProgressSample): Step {
  const phase = row.phase === null ? '' : raw(row.phase)
  if (phase.startsWith('waiting for ')) return step('lockers', [row.lockers_done, row.lockers_total])
  if (phase.endsWith('sorting tuples') || /: sorting (live|dead) tuples$/.test(phase)) return uncounted
  if (phase.endsWith(': loading tuples in tree')) return step('tuples', [row.tuples_done, row.tuples_total])
  const blocks = step('blocks', [row.blocks_done, row.blocks_total])
  // Kinds of index that name no steps go on after the scan without counting.
  return phase === 'building index' && blocks.total !== null && blocks.done === blocks.total ? uncounted : blocks
}

/** The same text as long as the counters of the step go on: another phase, pass, index, partition or child table begins anew. */
export function stepKey(row: ProgressSample): string {
  const { unit } = stepOf(row)
  const pass = is(row.phase, 'scanning heap') ? null : row.index_vacuum_count
  return [
    row.command,
    row.phase,
    unit,
    pass,
    row.index_relid,
    row.partitions_done,
    row.current_child_table_relid,
    row.index_rebuild_count,
  ].join('|')
}

/** In percent, 100 at most; null where either figure is unknown. */
export function percentOf({ done, total }: Pick<Step, 'done' | 'total'>): number | null {
  return done === null || total === null ? null : Math.min(100, (100 * done) / total)
}
