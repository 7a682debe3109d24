// VACUUM and ANALYZE of tables, one after the other. The server reports a table that it passes over with a WARNING and success: here that is
// "skipped".

import { bytes, count, duration, percent } from '../model/format.ts'
import type { TablePaneRow } from '../model/tables.ts'
import { is, raw } from '../model/untrusted.ts'
import { activity } from '../sql/activity.ts'
import { relationUsers } from '../sql/maintenance.ts'
import { progress, vacuumIndexes } from '../sql/progress.ts'
import { names } from '../sql/server.ts'
import { tables } from '../sql/tables.ts'
import type { State } from '../store/state.ts'
import { action, type Line, type Parts, type Question, type WhyNot, whyNot } from './action.ts'
import { commandLines, usersLines } from './relation-lines.ts'
import {
  branchesOf,
  freezeTable,
  largestOf,
  leavesOf,
  lockTimeoutMs,
  maintainGrant,
  maintenanceRight,
  standbyRefuses,
  type TableTarget,
  tableGone,
  withCompressed,
} from './relations.ts'
import { type Plan, runVacuum } from './vacuum-run.ts'
import { toType, typable } from './words.ts'

type Kind = {
  readonly id: string
  readonly command: string
  readonly label: string
  readonly help: string
  /** Of VACUUM; null: it is ANALYZE. */
  readonly options: readonly string[] | null
}

const kinds: readonly Kind[] = [
  { id: 'vacuum', command: 'vacuumOnly', label: 'VACUUM', help: "Frees dead rows' space for reuse.", options: [] },
  {
    id: 'vacuumAnalyze',
    command: 'vacuum',
    label: 'VACUUM (ANALYZE)',
    help: "Frees dead rows' space for reuse and gathers statistics for the planner.",
    options: ['ANALYZE'],
  },
  { id: 'analyze', command: 'analyze', label: 'ANALYZE', help: 'Gathers statistics for the planner.', options: null },
  {
    id: 'vacuumFreeze',
    command: 'vacuumFreeze',
    label: 'VACUUM (FREEZE)',
    help: 'Frees dead rows and freezes all others, against wraparound.',
    options: ['FREEZE'],
  },
  {
    id: 'vacuumFull',
    command: 'vacuumFull',
    label: 'VACUUM FULL',
    help: 'Writes the table anew without its free space. Nobody can even read it meanwhile.',
    options: ['FULL'],
  },
]

const isFull = ({ options }: Kind) => options?.includes('FULL') ?? false

/** A tree is done part by part, since a statement on its root passes over a locked partition without a word. Its root has statistics alone. */
const isTree = ({ relkind, hypertable }: Pick<TableTarget, 'relkind' | 'hypertable'>) => is(relkind, 'p') || hypertable

const rootOnly = 180000

/** The name stands as format('%I.%I') gave it. */
function statement({ options }: Kind, target: TableTarget): string {
  const name = raw(target.qualified)
  if (options === null) return `ANALYZE ${name}`
  if (isTree(target)) return `ANALYZE ${target.version >= rootOnly ? 'ONLY ' : ''}${name}`
  return `VACUUM ${options.length > 0 ? `(${options.join(', ')}) ` : ''}${name}`
}

/** What of a tree, or of a compressed chunk, a deed is done to. */
function partsOf({ options }: Kind, row: TablePaneRow, state: State): Parts<TablePaneRow> | null {
  if (options === null) return null
  if (!isTree(row)) return withCompressed([row], state)
  const leaves = leavesOf(row, state)
  const rows = withCompressed(leaves, state)
  // Up to 17 ANALYZE of the root goes through the whole tree; after it of one table alone.
  const version = state.servers[row.server]?.facts?.version ?? 0
  const roots = options.includes('ANALYZE') ? [...(version >= rootOnly ? branchesOf(row, state) : []), row] : []
  return { rows: [...rows.rows, ...roots], missing: rows.missing + Math.max(0, row.children - leaves.length) }
}

/** What is known before of a right that is missing: the server will pass the table over. */
function rightLines(targets: readonly TableTarget[], state: State): readonly Line[] {
  const lacking = targets.filter(({ maintains }) => !maintains)
  const [first] = lacking
  if (!first) return []
  const whom = targets.length === 1 ? 'the table' : lacking.length === 1 ? first.label : `${lacking.length} of them`
  const grant = maintainGrant(first.server, state, first.owner, first.qualified)
  return [{ text: `${whom} will be skipped: permission denied; ${grant}`, tone: 'critical' }]
}

function spaceLines(targets: readonly TableTarget[]): readonly Line[] {
  const most = largestOf(targets.map(({ total_bytes }) => total_bytes))
  const each = targets.length === 1 ? '' : ', for the largest of them'
  const how = 'table, indexes and TOAST are written anew beside the old ones'
  if (most === null) return [{ text: `takes as much again on its tablespace, which is not known: ${how}`, tone: 'warning' }]
  const unknown = targets.filter(({ total_bytes }) => total_bytes === null).length
  const more = unknown > 0 ? ` (${unknown} of unknown size)` : ''
  return [{ text: `takes up to ${bytes(most)} more on its tablespace until it ends${each}${more}: ${how}`, tone: 'warning' }]
}

function follows(kind: Kind, targets: readonly TableTarget[], state: State): readonly Line[] {
  const [first] = targets as readonly [TableTarget]
  const parents = targets.filter(target => target.children > 0 && !isTree(target))
  const lines: readonly Line[] = [
    ...rightLines(targets, state),
    ...(isFull(kind)
      ? [
          {
            text: 'until it ends everybody who reads or writes the table waits, and so does whoever comes after',
            tone: 'critical' as const,
          },
          ...usersLines(targets, state),
          ...spaceLines(targets),
          { text: 'index-only scans read the whole table after it, until a VACUUM: v' },
        ]
      : [{ text: 'reads and writes go on meanwhile; DDL, another VACUUM and index builds wait' }]),
    ...commandLines(targets, state),
    ...(parents.length > 0
      ? [
          {
            text:
              first.version >= rootOnly
                ? 'with the tables that inherit from it'
                : 'without the tables that inherit from it: tag these for them',
          },
        ]
      : []),
    { text: `a table that somebody locks against it for more than ${lockTimeoutMs / 1000} s is skipped; Esc cancels` },
  ]
  return lines
}

const plan = (kind: Kind, target: TableTarget): Plan => ({
  statement: statement(kind, target),
  mode: isFull(kind) ? 'AccessExclusiveLock' : 'ShareUpdateExclusiveLock',
  frees: kind.options !== null && !isFull(kind) && !isTree(target),
})

const dash = (text: string) => text || '–'
const ago = (seconds: number | null) => (seconds === null ? 'never' : duration(seconds))

/** From how many columns of the terminal on there is room for all figures beside a name. */
const roomy = 110

function hit(targets: readonly TableTarget[], columns: number): Pick<Question, 'head' | 'hit'> {
  const figures: readonly (readonly [head: string, always: boolean, text: (target: TableTarget) => string])[] = [
    ['SIZE', true, target => bytes(target.total_bytes)],
    ['HEAP', false, target => bytes(target.heap_bytes)],
    ['INDEX', false, target => bytes(target.index_bytes)],
    ['LIVE', false, target => count(target.n_live_tup)],
    ['DEAD', true, target => count(target.n_dead_tup)],
    ['DEAD%', true, target => dash(percent(deadShare(target)))],
    ['VACUUM', true, target => ago(target.anyVacuumAgeSeconds)],
    ['ANALYZE', false, target => ago(target.anyAnalyzeAgeSeconds)],
  ]
  const shown = figures.filter(([, always]) => always || columns >= roomy || targets.length === 1)
  return {
    head: ['TABLE', ...shown.map(([head]) => head)],
    hit: targets.map(target => [target.label, ...shown.map(([, , text]) => text(target))]),
  }
}

const vacuumAction = (kind: Kind) =>
  action<TablePaneRow, TableTarget>({
    id: kind.id,
    command: kind.command,
    label: kind.label,
    help: kind.help,
    lists: ['tables'],
    takes: 'queue',
    on: 'postgres',
    right: maintenanceRight,
    expand: (row, state) => partsOf(kind, row, state),
    freeze: freezeTable,
    guard: target => standbyRefuses(target) ?? emptyTree(kind, target),
    words: target => (isFull(kind) ? [toType(typable(target.relname) ?? String(target.relid))] : null),
    ...(isFull(kind) ? { wordsForSeveral: (targets: readonly TableTarget[]) => [`${targets.length} tables`] } : {}),
    watches: ({ server }) =>
      [tables, names, progress, ...(isFull(kind) ? [relationUsers, activity] : [])].map(query => ({ server, query })),
    watchesMeanwhile: ({ server }) => [progress, vacuumIndexes, names].map(query => ({ server, query })),
    ask: (targets, state) => ({ ...hit(targets, state.view.size.columns), follows: follows(kind, targets, state) }),
    gone: tableGone,
    sql: target => [statement(kind, target)],
    record: ({ relid, qualified, total_bytes, n_dead_tup }) => ({ relid, table: qualified, total_bytes, n_dead_tup }),
    run: (target, hands) => runVacuum(plan(kind, target), target, hands),
  })

/** A tree that no part is listed of: there is nothing to vacuum. */
function emptyTree({ options }: Kind, target: TableTarget): WhyNot | null {
  if (!isTree(target) || options === null || options.includes('ANALYZE')) return null
  return whyNot(`it has no ${target.hypertable ? 'chunk' : 'partition'} that is listed`)
}

function deadShare({ n_live_tup, n_dead_tup }: TableTarget): number | null {
  if (n_live_tup === null || n_dead_tup === null || n_live_tup + n_dead_tup === 0n) return null
  return Number(n_dead_tup) / Number(n_live_tup + n_dead_tup)
}

export const vacuumActions = kinds.map(vacuumAction)
