// Activity: who is doing what, for how long, waiting on what, and who is really behind it.

import { caller, isIdle, isIdleInTransaction, lastingSeconds, type Session, stateWord, urgency } from '../model/activity.ts'
import { count, duration } from '../model/format.ts'
import { drawable, is, raw, type Untrusted } from '../model/untrusted.ts'
import { sessionsOf } from '../sessions.ts'
import { activity, activityText } from '../sql/activity.ts'
import { showClients, showServers } from '../sql/pgbouncer.ts'
import { names, pulse } from '../sql/server.ts'
import { read, rowsOf } from '../store/selectors.ts'
import type { State } from '../store/state.ts'
import { type Column, type DetailLine, list, type Panel, type Selected, type Tone } from './panel.ts'
import { ageNotice, focusOf, noServer, notice, poolerNotices, restrictedNotice, sessionId, withoutRows } from './sessions.ts'
import { sqlBlock } from './sql-block.ts'

/** A transaction may sit idle, and one may run, so long before it is worth a colour. Seconds. */
const idleInTransactionWarning = 300
const longTransactionWarning = 3600

function select(state: State): Selected<Session> {
  const server = focusOf(state)
  if (!server) return { rows: [], unavailable: noServer }
  const reading = read(state, server.id, activity)
  if (reading.kind !== 'fresh' && reading.kind !== 'stale') return withoutRows(reading)!
  const rows = sessionsOf(state, server.id)
  const restricted = rows.filter(row => row.restricted && row.kind === 'client').length
  return {
    rows,
    ...notice(ageNotice(state, reading), restrictedNotice(restricted, server), ...poolerNotices(state)),
  }
}

/** A name, or the oid in parentheses where it is not known. */
export function nameOf(name: Untrusted | null, oid: bigint | null): string {
  return name !== null ? drawable(name) : oid === null ? '' : `(${oid})`
}

function stateTone(row: Session): Tone | undefined {
  if (row.restricted) return 'warning'
  if (isIdleInTransaction(row)) return (row.stateAgeSeconds ?? 0) > idleInTransactionWarning ? 'warning' : 'accent'
  return isIdle(row) ? 'dim' : undefined
}

function timeTone(row: Session): Tone | undefined {
  if (isIdle(row)) return 'dim'
  return row.kind === 'client' && (row.xactAgeSeconds ?? 0) > longTransactionWarning ? 'warning' : undefined
}

// An idle client waits for its application and a background process for work: that is no news in a list.
const waits = (row: Session) => (isIdle(row) || is(row.wait_event_type, 'Activity') ? null : row.wait_event_type)
const waitTone = (row: Session): Tone | undefined => (is(row.wait_event_type, 'Lock') ? 'critical' : undefined)

function queryLine(row: Session): string {
  const query = drawable(row.query).trim()
  if (row.own) return `(pgvigil itself) ${query}`
  return query === '' && row.kind === 'background' ? drawable(row.backend_type) : query
}

const seconds = (value: number | null) => (value === null ? '' : duration(value))

const columns: readonly Column<Session>[] = [
  { title: 'PID', width: 8, tree: true, text: row => String(row.pid), sortBy: row => row.pid },
  { title: 'USER', width: 7, wide: 14, text: row => nameOf(row.usename, row.usesysid) },
  { title: 'DB', width: 7, wide: 14, text: row => nameOf(row.datname, row.datid) },
  {
    title: 'CLIENT',
    width: 13,
    wide: 30,
    text: row => drawable(caller(row)),
    tone: row => (row.pooler !== null ? 'accent' : undefined),
  },
  { title: 'POOLER', width: 14, wide: 22, from: 170, text: row => (row.pooler === null ? '' : drawable(row.pooler)) },
  { title: 'STATE', width: 10, text: row => drawable(stateWord(row)), tone: stateTone },
  { title: 'WAIT', width: 7, text: row => drawable(waits(row)), tone: waitTone },
  {
    title: 'EVENT',
    width: 14,
    wide: 22,
    from: 100,
    text: row => (waits(row) === null ? '' : drawable(row.wait_event)),
    tone: waitTone,
  },
  {
    title: 'TIME',
    width: 6,
    align: 'right',
    text: row => seconds(lastingSeconds(row)),
    sortBy: urgency,
    descending: true,
    tone: timeTone,
  },
  age('XACT', 140, row => row.xactAgeSeconds),
  age('STMT', 150, row => row.queryAgeSeconds),
  age('SINCE', 170, row => row.stateAgeSeconds),
  {
    title: 'XMIN',
    width: 9,
    from: 190,
    align: 'right',
    text: row => (row.xminAgeXids === null ? '' : count(row.xminAgeXids)),
    sortBy: row => row.xminAgeXids,
    descending: true,
  },
  { title: 'QUERY', width: 12, grow: true, text: queryLine },
]

function age(title: string, from: number, value: (row: Session) => number | null): Column<Session> {
  return { title, width: 6, from, align: 'right', text: row => seconds(value(row)), sortBy: value, descending: true }
}

function detail(row: Session, state: State): readonly DetailLine[] {
  const lines: DetailLine[] = [
    { name: 'pid', value: `${row.pid}${row.own ? ' (this session is pgvigil itself)' : ''}` },
    { name: 'backend_type', value: row.restricted ? 'restricted' : drawable(row.backend_type) },
    { name: 'database', value: nameOf(row.datname, row.datid) },
    { name: 'user', value: nameOf(row.usename, row.usesysid) },
    { name: 'application_name', value: drawable(row.application_name) },
    { name: 'client', value: drawable(caller(row)) },
    ...(row.pooler === null ? [] : pooledLines(row)),
    {
      name: 'state',
      value: row.restricted ? 'restricted' : `${drawable(row.state)}${ago(row.stateAgeSeconds)}`,
      ...toned(stateTone(row)),
    },
    {
      name: 'waits on',
      value: [row.wait_event_type, row.wait_event].map(drawable).filter(Boolean).join(': '),
      ...toned(waitTone(row)),
    },
    {
      name: 'transaction',
      value: `${seconds(row.xactAgeSeconds)}${row.backend_xid === null ? '' : ` (xid ${row.backend_xid})`}`,
    },
    { name: 'query', value: seconds(row.queryAgeSeconds) },
    {
      name: 'holds back VACUUM',
      value: row.xminAgeXids === null ? '' : `${count(row.xminAgeXids)} transactions (xmin ${row.backend_xmin})`,
    },
    { name: 'connected since', value: `${drawable(row.backend_start)}${ago(row.backendAgeSeconds)}` },
    { name: 'parallel leader', value: row.leader_pid === null ? '' : String(row.leader_pid) },
    { name: 'query_id', value: row.query_id === null ? '' : String(row.query_id) },
  ]
  const shown = lines.filter(line => 'title' in line || line.value !== '')
  const query = fullText(row, state)
  return query === null || raw(query) === '' ? shown : [...shown, { title: 'query', block: sqlBlock(query) }]
}

function pooledLines(row: Session): readonly DetailLine[] {
  const at = [row.client_addr === null ? '' : drawable(row.client_addr), row.client_port].join(':')
  return [
    { name: 'pooler', value: drawable(row.pooler) },
    { name: 'from the pooler', value: row.client_port === -1 ? 'local' : at },
  ]
}

const ago = (value: number | null) => (value === null ? '' : ` for ${duration(value)}`)
const toned = (tone: Tone | undefined) => (tone ? { tone } : {})

/**
 * The query of a session as long as it could be read: the text asked for on its own when it is of the same process and still begins as the row
 * says, else the row's own, cut one. Not drawable.
 */
export function fullText(
  row: {
    readonly server: string
    readonly pid: number
    readonly backend_start: Untrusted | null
    readonly query: Untrusted | null
  },
  state: State,
): Untrusted | null {
  const full = rowsOf(state, row.server, activityText).find(text => text.pid === row.pid)
  if (!full?.query || !row.query || !row.backend_start || !full.backend_start) return row.query
  const same = raw(full.backend_start) === raw(row.backend_start) && raw(full.query).startsWith(raw(row.query))
  return same ? full.query : row.query
}

/** The query as it is copied: whole where it is short enough for the list or has been read whole. */
export function copiedQuery(row: Parameters<typeof fullText>[0], state: State): string | { readonly cut: string } {
  const query = fullText(row, state)
  if (query === null) return ''
  const mayBeCut = query === row.query && Buffer.byteLength(raw(query)) > state.settings.queryBytes - 4
  return mayBeCut ? { cut: raw(query) } : raw(query)
}

const sections = {
  client: { order: 0, title: '' },
  walsender: { order: 1, title: 'walsenders' },
  background: { order: 2, title: 'background' },
}

export const activityList = list<Session>({
  id: 'activity',
  title: 'Activity',
  needs: [activity, pulse, names, showServers, showClients, activityText],
  select,
  columns,
  rowId: row => sessionId(row.pid, row.backend_start),
  treeId: row => String(row.pid),
  sort: { column: 'TIME', descending: true },
  group: row => sections[row.kind],
  parentId: row => (row.leader_pid === null ? null : String(row.leader_pid)),
  detail,
  empty: 'no sessions',
  copy: copiedQuery,
  idle: isIdle,
  rowTone: row => (row.kind === 'background' || row.own ? 'dim' : undefined),
})

export const activityPanel: Panel = { id: 'activity', key: '1', title: 'Activity', scope: 'server', lists: [activityList] }
