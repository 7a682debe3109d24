// VACUUM and ANALYZE of tables, one after the other. The server reports a table that it passes over with a WARNING and success: here that is
// "skipped".

import { bytes, count, duration, percent } from '../model/format.ts'
import type { TablePaneRow } from '../model/tables.ts'
import { drawable, is, raw } from '../model/untrusted.ts'
import { type DeedAnswer, type DeedSession, ServerError } from '../server/deed.ts'
import { activity } from '../sql/activity.ts'
import { oldestSnapshot, relationNow, relationUsers } from '../sql/maintenance.ts'
import { progress, vacuumIndexes } from '../sql/progress.ts'
import { names } from '../sql/server.ts'
import { tables } from '../sql/tables.ts'
import type { State } from '../store/state.ts'
import { action, type Hands, type Line, type Report, type WhyNot, whyNot } from './action.ts'
import {
  changedSince,
  freezeTable,
  holderWords,
  isShared,
  leavesOf,
  lockTimeoutMs,
  maintainGrant,
  maintenanceRight,
  secondsSince,
  standbyRefuses,
  type TableTarget,
  tableGone,
  usersLines,
  wireSession,
} from './relations.ts'
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

/** Names stand as format('%I.%I') gave them. What a chunk's compressed part is goes with it. */
function statement({ options }: Kind, target: TableTarget): string {
  const name = raw(target.qualified)
  if (options === null) return `ANALYZE ${name}`
  if (isTree(target)) return `ANALYZE ${target.version >= rootOnly ? 'ONLY ' : ''}${name}`
  const names = [target.qualified, ...(target.compressedPart === null ? [] : [target.compressedPart])].map(raw)
  return `VACUUM ${options.length > 0 ? `(${options.join(', ')}) ` : ''}${names.join(', ')}`
}

/** What of a tree a deed is done to. */
function partsOf({ options }: Kind, row: TablePaneRow, state: State): readonly TablePaneRow[] | null {
  if (options === null || !isTree(row)) return null
  const leaves = leavesOf(row, state)
  return options.includes('ANALYZE') ? [...leaves, row] : leaves
}

const permission = 'permission denied'

/** What is known before of a right that is missing: the server will pass the table over. */
function rightLines(targets: readonly TableTarget[], state: State): readonly Line[] {
  const lacking = targets.filter(({ maintains }) => !maintains)
  const [first] = lacking
  if (!first) return []
  const whom = targets.length === 1 ? 'the table' : lacking.length === 1 ? first.label : `${lacking.length} of them`
  const grant = maintainGrant(first.server, state, first.owner, first.qualified)
  return [{ text: `${whom} will be skipped: ${permission}; ${grant}`, tone: 'critical' }]
}

function spaceLines(targets: readonly TableTarget[]): readonly Line[] {
  const sizes = targets.map(({ total_bytes }) => total_bytes)
  const most = sizes.reduce((largest, size) => ((size ?? 0n) > (largest ?? 0n) ? size : largest), null)
  const unknown = sizes.some(size => size === null)
  const each = targets.length === 1 ? '' : ', for the largest of them'
  const text = `takes up to ${bytes(most)} more on its tablespace until it ends${each}: table, indexes and TOAST are written anew beside the old ones`
  return [
    {
      text: unknown ? `${targets.length === 1 ? 'its size is' : 'some sizes are'} not known: ${text}` : text,
      tone: 'warning',
    },
  ]
}

function follows(kind: Kind, targets: readonly TableTarget[], state: State): readonly Line[] {
  const [first] = targets as readonly [TableTarget]
  const { server } = first
  const parents = targets.filter(target => target.children > 0 && !isTree(target))
  const lines: readonly Line[] = [
    ...rightLines(targets, state),
    ...(isFull(kind)
      ? [
          {
            text: 'until it ends everybody who reads or writes the table waits, and so does whoever comes after',
            tone: 'critical' as const,
          },
          ...usersLines(
            targets.map(({ relid }) => relid),
            server,
            state,
            targets.length === 1 ? 'it' : 'them',
          ),
          ...spaceLines(targets),
          { text: 'index-only scans read the whole table after it, until a VACUUM: v' },
        ]
      : [{ text: 'reads and writes go on meanwhile; DDL, another VACUUM and index builds wait' }]),
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

async function run(kind: Kind, target: TableTarget, hands: Hands): Promise<Report> {
  const session = await hands.open({ lockTimeoutMs })
  if (isFull(kind) && isShared(session)) {
    return {
      outcome: 'refused',
      say: 'nothing was done: this connection is shared with others (a pooler), so no lock_timeout can bound the wait; connect to PostgreSQL itself',
    }
  }
  const changed = await changedSince(session, target.relid, target.qualified)
  if (changed) return changed
  const before = await vacuums(session, target)
  const begun = hands.now()
  try {
    const { notices } = await session.runAlone(statement(kind, target), null)
    const took = secondsSince(begun, hands)
    return skipped(notices, target, took, hands.state()) ?? (await done(kind, target, session, took, before, notices))
  } catch (error) {
    if (!(error instanceof ServerError) || error.kind !== 'refused') throw error
    if (error.code === '57014' && hands.stopping()) {
      return {
        outcome: 'failed',
        say: `cancelled after ${secondsSince(begun, hands)}${isFull(kind) ? ': the table is as before' : ''}`,
      }
    }
    if (error.code === '42P01' || error.code === '3F000')
      return { outcome: 'already gone', say: `already gone: ${drawable(error.message)}` }
    if (error.code !== '55P03') throw error
    const mode = isFull(kind) ? 'AccessExclusiveLock' : 'ShareUpdateExclusiveLock'
    const who = await holderWords(session, target.relid, mode)
    return { outcome: 'skipped', say: `skipped: locked for more than ${lockTimeoutMs / 1000} s${who}` }
  }
}

type Notices = DeedAnswer['notices']

// The words of 13 to 18, where the server speaks English; the code tells of locks and of tables that are gone.
const skipWords = /skipping|permission denied|only .+ can (vacuum|analyze)/
const rightWords = /permission denied|only .+ can (vacuum|analyze)/

/** What the server passed over; null: nothing. */
function skipped(notices: Notices, target: TableTarget, took: string, state: State): Report | null {
  const warnings = notices.filter(({ severity, code }) => severity === 'WARNING' || /^(55P03|42P01)$/.test(code ?? ''))
  const those = warnings.filter(
    ({ code, message = '' }) => code === '55P03' || code === '42P01' || skipWords.test(message) || !target.maintains,
  )
  const [first] = those
  if (!first) return null
  const words = drawable(first.message)
  const more = those.length > 1 ? ` (+${those.length - 1})` : ''
  const rest = those.length === 1 && target.compressedPart !== null ? `; the other part took ${took}` : ''
  if (first.code === '55P03') return { outcome: 'skipped', say: `skipped: lock not available: ${words}${more}${rest}` }
  if (first.code === '42P01') return { outcome: 'skipped', say: `skipped: ${words}${more}${rest}` }
  const denied = rightWords.test(first.message ?? '') || !target.maintains
  if (!denied) return { outcome: 'skipped', say: `skipped: ${words}${more}${rest}` }
  const grant = maintainGrant(target.server, state, target.owner, target.qualified)
  return { outcome: 'skipped', say: `skipped: ${permission}${more}${rest}; ${grant} (server: ${words})` }
}

/** How often the table was vacuumed, as the statistics count it; null: not to be told. */
async function vacuums(session: DeedSession, { relid }: TableTarget): Promise<string | null> {
  return (await session.run(relationNow, [String(relid)])).rows[0]?.vacuums ?? null
}

/** The statistics of 13 and 14 come by way of another process. Milliseconds. */
const statistics = { forMs: 1500, everyMs: 100 }

/** It is done, and what it could not do: dead rows that somebody may still see stay. */
async function done(
  kind: Kind,
  target: TableTarget,
  session: DeedSession,
  took: string,
  before: string | null,
  notices: Notices,
): Promise<Report> {
  const warning = notices.find(({ severity }) => severity === 'WARNING')?.message
  const also = warning ? `; WARNING: ${drawable(warning)}` : ''
  const say = `done in ${took}${also}`
  if (kind.options === null || isFull(kind) || isTree(target) || before === null) return { outcome: 'done', say }
  try {
    const until = Date.now() + statistics.forMs
    for (;;) {
      const [now] = (await session.run(relationNow, [String(target.relid)])).rows
      const dead = Number(now?.dead ?? 0)
      if (now?.vacuums !== before) {
        if (dead === 0) return { outcome: 'done', say }
        return { outcome: 'done', say: `${say}; ${await remaining(dead, session)}`, remark: true }
      }
      if (Date.now() > until) return { outcome: 'done', say }
      await new Promise(resolve => setTimeout(resolve, statistics.everyMs))
    }
  } catch {
    // It is done all the same.
    return { outcome: 'done', say }
  }
}

async function remaining(dead: number, session: DeedSession): Promise<string> {
  const [oldest] = (await session.run(oldestSnapshot)).rows
  const stay = `${count(dead)} dead ${dead === 1 ? 'row stays' : 'rows stay'}: somebody may still see them`
  if (!oldest) return stay
  const name = drawable(oldest.name)
  const who =
    oldest.kind === 'slot' ? `slot ${name}` : oldest.kind === 'prepared' ? `prepared transaction ${name}` : wireSession(oldest)
  return `${stay} (the oldest snapshot: ${who})`
}

const dash = (text: string) => text || '–'
const ago = (seconds: number | null) => (seconds === null ? 'never' : duration(seconds))

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
      [tables, names, ...(isFull(kind) ? [relationUsers, activity] : [])].map(query => ({ server, query })),
    watchesMeanwhile: ({ server }) => [progress, vacuumIndexes, names].map(query => ({ server, query })),
    ask: (targets, state) => ({
      head: ['TABLE', 'SIZE', 'HEAP', 'INDEX', 'LIVE', 'DEAD', 'DEAD%', 'VACUUM', 'ANALYZE'],
      hit: targets.map(target => [
        target.label,
        bytes(target.total_bytes),
        bytes(target.heap_bytes),
        bytes(target.index_bytes),
        count(target.n_live_tup),
        count(target.n_dead_tup),
        dash(percent(deadShare(target))),
        ago(target.anyVacuumAgeSeconds),
        ago(target.anyAnalyzeAgeSeconds),
      ]),
      follows: follows(kind, targets, state),
    }),
    gone: tableGone,
    sql: target => [statement(kind, target)],
    record: ({ relid, qualified, total_bytes, n_dead_tup }) => ({ relid, table: qualified, total_bytes, n_dead_tup }),
    run: (target, hands) => run(kind, target, hands),
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
