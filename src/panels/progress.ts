// Progress: what runs long and says how far it is: vacuum, analyze, building and rebuilding of indexes and tables, COPY, base backups.

import { caller } from '../model/activity.ts'
import { absent, byteRate, bytes, compact, count, duration, percent, rate } from '../model/format.ts'
import type { InTheWay, ProgressRow } from '../model/progress.ts'
import { stalledAfterSeconds } from '../model/progress-pace.ts'
import { drawable, is, raw } from '../model/untrusted.ts'
import { behindOn, progressOf } from '../sessions.ts'
import { activityText } from '../sql/activity.ts'
import { locks } from '../sql/locks.ts'
import { showClients, showServers } from '../sql/pgbouncer.ts'
import { progress, vacuumIndexes } from '../sql/progress.ts'
import { names, pulse } from '../sql/server.ts'
import { read } from '../store/selectors.ts'
import type { State } from '../store/state.ts'
import { copiedQuery, fullText, nameOf } from './activity.ts'
import { type Column, type DetailLine, list, type Panel, type Selected, type Tone } from './panel.ts'
import { ageNotice, focusOf, noServer, notice, restrictedNotice, sessionId, withoutRows } from './sessions.ts'
import { sqlBlock } from './sql-block.ts'

function select(state: State): Selected<ProgressRow> {
  const server = focusOf(state)
  if (!server) return { rows: [], unavailable: noServer }
  const reading = read(state, server.id, progress)
  if (reading.kind !== 'fresh' && reading.kind !== 'stale') return withoutRows(reading)!
  const rows = progressOf(state, server.id)
  const restricted = rows.filter(row => row.restricted).length
  return { rows, ...notice(ageNotice(state, reading), restrictedNotice(restricted, server)) }
}

/** The command in a word; of one we may not look into what it can be. */
function commandText(row: ProgressRow): string {
  if (row.autovacuum) return row.toPreventWraparound ? 'autovacuum !' : is(row.kind, 'ANALYZE') ? 'autoanalyze' : 'autovacuum'
  if (row.command !== null) return drawable(row.command)
  return is(row.kind, 'CLUSTER') ? 'CLUSTER/FULL' : drawable(row.kind)
}

function phaseText(row: ProgressRow): string {
  if (row.restricted) return 'restricted'
  return drawable(row.phase)
    .replace(/^building index: /, '')
    .replace(/^index validation: /, 'validation: ')
}

const withoutPublic = (name: string) => name.replace(/^public\./, '')
/** The table, or the one of its partitions it is at; a relation of another database is its oid. */
function relationText(row: ProgressRow): string {
  return withoutPublic(drawable(row.childRelation ?? row.relation))
}

const isStalled = (row: ProgressRow) => (row.stalledSeconds ?? 0) >= stalledAfterSeconds
const isBlocked = (row: ProgressRow) => row.blockedBy.length > 0

function waitsForText(row: ProgressRow): string {
  const [first, ...more] = row.inTheWay
  if (!first) return ''
  return `${first.pid === 0 ? 'prepared' : first.pid}${more.length > 0 ? ` +${more.length}` : ''}`
}

function leftText(row: ProgressRow): string {
  if (row.etaSeconds === null) return absent
  return `${row.etaIsBound ? '≥' : ''}${duration(row.etaSeconds)}`
}

function rateText(row: ProgressRow): string {
  if (row.rateBytesPerSecond !== null) return byteRate(row.rateBytesPerSecond)
  return row.unit === 'tuples' ? rate(row.ratePerSecond) : absent
}

/** How far a command is, for a line that names it already: phase, share, time left, who is in the way. Drawable. */
export function progressWords(row: ProgressRow): string {
  const share = row.percent === null ? '' : ` ${ratio(row.percent)}`
  const left = row.etaSeconds === null ? '' : `${leftText(row)} left`
  const [first, ...more] = row.inTheWay
  const waits = first ? `waits for ${holderWords(first)}${more.length > 0 ? ` (+${more.length})` : ''}` : ''
  return [`${phaseText(row)}${share}`, left, waits].filter(Boolean).join(', ')
}

/** Who it is and for how long, without what he runs. */
function holderWords(holder: InTheWay): string {
  if (holder.pid === 0) return 'a prepared transaction'
  const open = holder.xactAgeSeconds === null ? '' : `, open for ${duration(holder.xactAgeSeconds)}`
  return `pid ${holder.pid} (${who(holder)}, ${holder.restricted ? 'restricted' : drawable(holder.state)}${open})`
}

/** "1.2 GB/3.4 GB", "12k/31k tuples", "1/4 lockers". Blocks as the bytes they are. */
function doneText({ done, total, unit, block_size }: ProgressRow): string {
  if (done === null || unit === null) return ''
  const unitBytes = unit === 'bytes' ? 1 : unit === 'blocks' ? block_size : null
  const shown = (n: number) => (unitBytes === null ? compact(n) : bytes(n * unitBytes))
  const word = unitBytes === null ? ` ${unit}` : ''
  return `${total === null ? shown(done) : `${shown(done)}/${shown(total)}`}${word}`
}

function who(row: Pick<ProgressRow, 'usename' | 'usesysid' | 'application_name'>): string {
  const user = nameOf(row.usename, row.usesysid)
  return row.application_name === null || is(row.application_name, '') ? user : `${user}/${drawable(row.application_name)}`
}

const ratio = (value: number | null) => (value === null ? absent : percent(value / 100))
const waitTone = (row: ProgressRow): Tone | undefined =>
  isBlocked(row) ? 'critical' : row.inTheWay.length > 0 ? 'warning' : undefined

const columns: readonly Column<ProgressRow>[] = [
  { title: 'PID', width: 7, text: row => String(row.pid), sortBy: row => row.pid },
  {
    title: 'COMMAND',
    width: 12,
    wide: 25,
    text: commandText,
    tone: row => (row.toPreventWraparound ? 'warning' : row.autovacuum ? 'dim' : undefined),
  },
  { title: 'RELATION', width: 10, grow: true, text: relationText },
  { title: 'INDEX', width: 16, from: 180, text: row => withoutPublic(drawable(row.index)) },
  { title: 'DB', width: 10, from: 150, text: row => nameOf(row.datname, row.datid) },
  { title: 'USER/APP', width: 14, wide: 20, from: 140, text: who },
  { title: 'PHASE', width: 14, wide: 34, text: phaseText, tone: row => (row.restricted ? 'warning' : undefined) },
  {
    title: 'EVENT',
    width: 13,
    from: 170,
    text: row => drawable(row.wait_event),
    tone: row => (is(row.wait_event_type, 'Lock') ? 'critical' : 'dim'),
  },
  { title: 'WAITS', width: 7, text: waitsForText, tone: waitTone },
  {
    title: 'BLOCKS',
    width: 6,
    from: 100,
    align: 'right',
    text: row => (row.blocksCount === null ? absent : row.blocksCount === 0 ? '' : String(row.blocksCount)),
    sortBy: row => row.blocksCount,
    descending: true,
    tone: row => (row.blocksCount ? 'warning' : undefined),
  },
  { title: 'DONE', width: 17, from: 130, align: 'right', text: row => doneText(row), sortBy: row => row.done, descending: true },
  { title: 'PCT', width: 5, align: 'right', text: row => ratio(row.percent), sortBy: row => row.percent, descending: true },
  {
    title: 'ALL',
    width: 5,
    from: 100,
    align: 'right',
    text: row => ratio(row.commandPercent),
    sortBy: row => row.commandPercent,
    descending: true,
  },
  {
    title: 'RATE',
    width: 9,
    align: 'right',
    text: rateText,
    sortBy: row => row.rateBytesPerSecond ?? row.ratePerSecond,
    descending: true,
    tone: row => (isStalled(row) ? 'warning' : undefined),
  },
  {
    title: 'TIME',
    width: 6,
    from: 90,
    align: 'right',
    text: row => duration(row.elapsedSeconds),
    sortBy: row => row.elapsedSeconds,
    descending: true,
  },
  { title: 'LEFT', width: 6, align: 'right', text: leftText, sortBy: row => row.etaSeconds },
]

function detail(row: ProgressRow, state: State): readonly DetailLine[] {
  const lines: readonly { name: string; value: string; tone?: Tone }[] = [
    { name: 'command', value: commandLine(row), ...(row.toPreventWraparound ? { tone: 'warning' as const } : {}) },
    { name: 'pid', value: `${row.pid}${row.own ? ' (one of pgvigil itself)' : ''}` },
    { name: 'relation', value: relationLine(row) },
    { name: 'index', value: withoutPublic(drawable(row.index)) },
    { name: 'phase', value: row.restricted ? 'restricted' : drawable(row.phase) },
    ...row.inTheWay.map(holder => ({
      name: holder.pid === row.current_locker_pid ? 'locker' : 'blocked by',
      value: holderLine(holder),
      tone: 'warning' as const,
    })),
    { name: 'done', value: doneLine(row) },
    { name: 'of the command', value: row.commandPercent === null ? '' : ratio(row.commandPercent) },
    { name: 'goes', value: rateText(row) === absent ? '' : rateText(row) },
    stalledLine(row),
    { name: 'time left', value: leftLine(row) },
    { name: 'runs for', value: row.elapsedSeconds === null ? '' : duration(row.elapsedSeconds) },
    {
      name: 'holds up',
      value: row.blocksCount ? `${row.blocksCount} ${row.blocksCount === 1 ? 'session' : 'sessions'}: 2 Locks names them` : '',
      tone: 'warning',
    },
    { name: 'dead tuples', value: deadLine(row) },
    { name: 'passes', value: passesLine(row) },
    { name: 'cost delay', value: delayLine(row) },
    { name: 'heap', value: heapLine(row) },
    { name: 'rows', value: rowsLine(row) },
    { name: 'partitions', value: ofAll(row.partitions_done, row.partitions_total) },
    { name: 'child tables', value: ofAll(row.child_tables_done, row.child_tables_total) },
    { name: 'tablespaces', value: ofAll(row.tablespaces_streamed, row.tablespaces_total) },
    { name: 'database', value: nameOf(row.datname, row.datid) },
    { name: 'user', value: nameOf(row.usename, row.usesysid) },
    { name: 'application_name', value: drawable(row.application_name) },
    { name: 'client', value: clientText(row, state) },
    { name: 'waits on', value: [row.wait_event_type, row.wait_event].map(drawable).filter(Boolean).join(': ') },
    { name: 'connected since', value: drawable(row.backend_start) },
  ]
  const shown = lines.filter(line => line.value !== '')
  const query = fullText(row, state)
  return query === null || raw(query) === '' ? shown : [...shown, { title: 'query', block: sqlBlock(query) }]
}

function commandLine(row: ProgressRow): string {
  const command = row.command === null ? commandText(row) : drawable(row.command)
  if (row.toPreventWraparound)
    return `${command} by autovacuum, to prevent wraparound: it comes back at once when it is cancelled`
  return row.autovacuum ? `${command} by autovacuum` : command
}

function relationLine(row: ProgressRow): string {
  const name = withoutPublic(drawable(row.relation))
  const known =
    row.relid !== null && name === String(row.relid) ? `oid ${name} (names are known of the connected database only)` : name
  return row.childRelation === null ? known : `${known}, now ${withoutPublic(drawable(row.childRelation))}`
}

function doneLine(row: ProgressRow): string {
  const text = doneText(row)
  const exact = row.unit === 'blocks' ? ` (${count(row.done)}${row.total === null ? '' : ` of ${count(row.total)}`} blocks)` : ''
  return text === '' ? '' : `${row.percent === null ? '' : `${ratio(row.percent)} of the phase: `}${text}${exact}`
}

function stalledLine(row: ProgressRow): { name: string; value: string; tone: Tone } {
  return { name: 'stands still', value: isStalled(row) ? `for ${duration(row.stalledSeconds)}` : '', tone: 'warning' }
}

function leftLine(row: ProgressRow): string {
  if (row.restricted) return ''
  if (row.etaSeconds !== null)
    return row.etaIsBound ? `${leftText(row)}: what comes after this phase can't be told` : leftText(row)
  if (isBlocked(row)) return `${absent} while it is blocked`
  return `${absent} ${isStalled(row) ? 'while it stands still' : row.total === null ? "(the server doesn't say how much there is to do)" : ''}`.trim()
}

function holderLine(holder: InTheWay): string {
  if (holder.pid === 0) return 'a prepared transaction (2 Locks names it)'
  if (holder.restricted) return `${holder.pid} ${nameOf(holder.usename, holder.usesysid)} (restricted)`
  const xact = holder.xactAgeSeconds === null ? '' : `, transaction for ${duration(holder.xactAgeSeconds)}`
  const query = drawable(holder.query).trim()
  return `${holder.pid} ${who(holder)} ${drawable(holder.state)}${xact}${query === '' ? '' : `: ${query}`}`
}

function deadLine(row: ProgressRow): string {
  if (row.num_dead_item_ids === null) return ''
  const memory =
    row.deadMemoryPercent === null ? '' : `, ${ratio(row.deadMemoryPercent)} of the memory for them (maintenance_work_mem)`
  return `${count(row.num_dead_item_ids)}${memory}`
}

function passesLine(row: ProgressRow): string {
  const passes = row.index_vacuum_count
  return passes === null ? '' : passes === 0 ? 'none through the indexes yet' : `${passes} through the indexes`
}

function delayLine(row: ProgressRow): string {
  if (row.delayMs === null) return ''
  return `slept ${duration(row.delayMs / 1000)}${row.delayPercent === null ? '' : `, ${ratio(row.delayPercent)} of the last interval`}`
}

function heapLine(row: ProgressRow): string {
  if (row.heap_blks_total === null) return ''
  const vacuumed = row.heap_blks_vacuumed === null ? '' : `, ${count(row.heap_blks_vacuumed)} vacuumed`
  return `${count(row.heap_blks_scanned)} of ${count(row.heap_blks_total)} blocks scanned${vacuumed}`
}

function rowsLine(row: ProgressRow): string {
  if (row.tuples_processed === null) return ''
  const skipped = row.tuples_skipped ? `, ${count(row.tuples_skipped)} skipped` : ''
  const excluded = row.tuples_excluded ? `, ${count(row.tuples_excluded)} excluded by WHERE` : ''
  return `${count(row.tuples_processed)}${excluded}${skipped}`
}

function clientText(row: ProgressRow, state: State): string {
  const behind = behindOn(state, row.server)(row)
  const pooled = { pooler: behind?.pooler ?? null, pooledClient: behind?.client ?? null, pooledLinked: behind?.linked ?? null }
  return drawable(caller({ ...row, ...pooled }))
}

const ofAll = (done: number | null, total: number | null) => (total ? `${count(done)} of ${count(total)}` : '')

export const progressList = list<ProgressRow>({
  id: 'progress',
  title: 'Progress',
  needs: [progress, vacuumIndexes, locks, pulse, names, showServers, showClients, activityText],
  select,
  columns,
  rowId: row => sessionId(row.pid, row.backend_start),
  sort: { column: 'TIME', descending: true },
  detail,
  empty: 'nothing runs that reports its progress (vacuum, analyze, index builds, CLUSTER, COPY, base backup)',
  copy: copiedQuery,
  rowTone: row => (row.own ? 'dim' : undefined),
})

export const progressPanel: Panel = { id: 'progress', key: '7', title: 'Progress', scope: 'server', lists: [progressList] }
