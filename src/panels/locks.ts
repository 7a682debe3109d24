// Locks: who holds up whom. Roots on top, the one that holds up most first, and under each those that wait for it.

import { caller, isIdleInTransaction, stateWord } from '../model/activity.ts'
import { duration } from '../model/format.ts'
import { type LockWait, nodeId, objectWords } from '../model/locks.ts'
import { drawable, is, raw } from '../model/untrusted.ts'
import { behindOn, waitsOf } from '../sessions.ts'
import { activityText } from '../sql/activity.ts'
import { locks } from '../sql/locks.ts'
import { showClients, showServers } from '../sql/pgbouncer.ts'
import { names, pulse } from '../sql/server.ts'
import { read, rowsOf } from '../store/selectors.ts'
import type { State } from '../store/state.ts'
import { copiedQuery, fullText, nameOf } from './activity.ts'
import { type Column, type DetailLine, list, type Panel, type Selected, type Tone } from './panel.ts'
import { ageNotice, focusOf, noServer, notice, restrictedNotice, sessionId, withoutRows } from './sessions.ts'
import { sqlBlock } from './sql-block.ts'

/** A wait that a person should look at. Seconds. */
const longWait = 30

function select(state: State): Selected<LockWait> {
  const server = focusOf(state)
  if (!server) return { rows: [], unavailable: noServer }
  const reading = read(state, server.id, locks)
  if (reading.kind !== 'fresh' && reading.kind !== 'stale') return withoutRows(reading)!
  const restricted = rowsOf(state, server.id, pulse)[0]?.restricted ?? 0
  return {
    rows: waitsOf(state, server.id),
    ...notice(ageNotice(state, reading), restrictedNotice(restricted, server)),
  }
}

const isPrepared = (row: LockWait) => row.pid === 0
const isReplay = (row: LockWait) => is(row.backend_type, 'startup')
/** A row of which nothing but the pid is known: it ended between two readings. */
const isGone = (row: LockWait) => !isPrepared(row) && row.backend_start === null && !row.restricted && !isReplay(row)

function who(row: LockWait): string {
  if (isPrepared(row) || row.application_name === null || is(row.application_name, '')) return nameOf(row.usename, row.usesysid)
  return `${nameOf(row.usename, row.usesysid)}/${drawable(row.application_name)}`
}

function stateText(row: LockWait): string {
  if (row.cycle) return 'ring'
  if (isPrepared(row)) return 'prepared'
  if (isReplay(row)) return 'replay'
  return isGone(row) ? 'gone' : drawable(stateWord(row))
}

function stateTone(row: LockWait): Tone | undefined {
  if (row.restricted || row.cycle) return 'warning'
  if (row.blocksCount === 0) return undefined
  return isPrepared(row) || isIdleInTransaction(row) ? 'critical' : undefined
}

/** What it does, or what it is when it has no query. */
function queryText(row: LockWait): string {
  if (isPrepared(row)) return `prepared transaction ${drawable(row.gid)}`
  if (isReplay(row)) {
    const snapshot = row.blockedBy.length === 0 && row.locktype === null && row.wait_event !== null
    return snapshot ? `replay of WAL waits for queries here: ${drawable(row.wait_event)}` : 'replay of WAL'
  }
  return drawable(row.query).trim()
}

const shownLock = (row: LockWait) => (row.locktype !== null ? row : row.held)
const shortMode = (row: LockWait) => drawable(shownLock(row)?.mode).replace(/Lock$/, '')
const objectText = (row: LockWait) => {
  const lock = shownLock(row)
  return lock ? drawable(objectWords(lock)) : ''
}
const waitText = (row: LockWait) => (row.waitSeconds === null ? '' : `${row.waitIsBound ? '≤' : ''}${duration(row.waitSeconds)}`)
const seconds = (value: number | null) => (value === null ? '' : duration(value))

const columns: readonly Column<LockWait>[] = [
  { title: 'PID', width: 11, tree: true, text: row => (isPrepared(row) ? 'prepared' : String(row.pid)), sortBy: row => row.pid },
  {
    title: 'BLOCKS',
    width: 7,
    align: 'right',
    text: row => (row.blocksCount === 0 ? '' : String(row.blocksCount)),
    sortBy: row => row.blocksCount,
    descending: true,
    tone: row => (row.depth === 0 && row.blocksCount > 0 ? 'critical' : undefined),
  },
  {
    title: 'HELD UP',
    width: 7,
    from: 100,
    align: 'right',
    text: row => (row.blocksCount === 0 ? '' : duration(row.waitedSecondsTotal)),
    sortBy: row => row.waitedSecondsTotal,
    descending: true,
  },
  {
    title: 'WAIT',
    width: 6,
    align: 'right',
    text: waitText,
    sortBy: row => row.waitSeconds,
    descending: true,
    tone: row => ((row.waitSeconds ?? 0) > longWait ? 'warning' : undefined),
  },
  { title: 'MODE', width: 8, wide: 15, text: shortMode },
  { title: 'OBJECT', width: 12, wide: 30, text: objectText },
  { title: 'USER/APP', width: 9, wide: 24, text: who },
  { title: 'DB', width: 10, wide: 14, from: 120, text: row => nameOf(row.datname, row.datid) },
  { title: 'STATE', width: 9, text: stateText, tone: stateTone },
  {
    title: 'XACT',
    width: 6,
    from: 120,
    align: 'right',
    text: row => seconds(row.xactAgeSeconds),
    sortBy: row => row.xactAgeSeconds,
    descending: true,
  },
  { title: 'QUERY', width: 8, grow: true, text: queryText },
]

function detail(row: LockWait, state: State): readonly DetailLine[] {
  const behind = behindOn(state, row.server)(row)
  const lines: readonly { name: string; value: string; tone?: Tone }[] = [
    { name: 'pid', value: isPrepared(row) ? `0: prepared transaction ${drawable(row.gid)}` : String(row.pid) },
    { name: 'backend_type', value: isGone(row) ? 'ended between two readings' : drawable(row.backend_type) },
    {
      name: 'holds up',
      value: row.blocksCount === 0 ? '' : `${sessionsWord(row.blocksCount)}, ${duration(row.waitedSecondsTotal)} of waiting`,
    },
    { name: 'waits', value: row.waitSeconds === null ? '' : waitText(row) },
    { name: 'for', value: row.blockedBy.map(pid => (pid === 0 ? 'a prepared transaction' : String(pid))).join(', ') },
    {
      name: 'wants',
      value: row.locktype === null ? '' : `${drawable(row.mode)} on ${drawable(row.locktype)}: ${drawable(objectWords(row))}`,
    },
    {
      name: 'holds',
      value: row.held ? `${drawable(row.held.mode)} on ${drawable(row.held.locktype)}: ${drawable(objectWords(row.held))}` : '',
    },
    { name: 'ring', value: row.cycle ? 'they wait for each other: PostgreSQL ends one of them after deadlock_timeout' : '' },
    {
      name: 'root',
      value: row.depth === 0 ? '' : row.rootPid === 0 ? `prepared transaction ${drawable(row.rootGid)}` : String(row.rootPid),
    },
    { name: 'database', value: nameOf(row.datname, row.datid) },
    { name: 'user', value: nameOf(row.usename, row.usesysid) },
    { name: 'application_name', value: drawable(row.application_name) },
    { name: 'client', value: isPrepared(row) ? '' : drawable(caller(pooledRow(row, behind))) },
    { name: 'pooler', value: behind ? drawable(behind.pooler) : '' },
    {
      name: 'state',
      value: row.restricted
        ? 'restricted'
        : `${drawable(row.state)}${row.stateAgeSeconds === null ? '' : ` for ${duration(row.stateAgeSeconds)}`}`,
    },
    { name: isPrepared(row) ? 'prepared since' : 'transaction', value: seconds(row.xactAgeSeconds) },
    { name: 'waits on', value: [row.wait_event_type, row.wait_event].map(drawable).filter(Boolean).join(': ') },
    { name: 'connected since', value: drawable(row.backend_start) },
    {
      name: 'remedy',
      value: isPrepared(row)
        ? `in database ${nameOf(row.datname, row.datid)}: COMMIT PREPARED or ROLLBACK PREPARED '${gidLiteral(row)}';`
        : '',
    },
  ]
  const shown = lines.filter(line => line.value !== '')
  const query = fullText(row, state)
  return query === null || raw(query) === '' ? shown : [...shown, { title: 'query', block: sqlBlock(query) }]
}

const sessionsWord = (count: number) => `${count} ${count === 1 ? 'session' : 'sessions'}`
const gidLiteral = (row: LockWait) => drawable(row.gid).replaceAll("'", "''")

function pooledRow(row: LockWait, behind: ReturnType<ReturnType<typeof behindOn>>) {
  const { application_name, client_addr, client_port } = row
  const [pooler, pooledClient, pooledLinked] = [behind?.pooler ?? null, behind?.client ?? null, behind?.linked ?? null]
  return { application_name, client_addr, client_port, pooler, pooledClient, pooledLinked }
}

export const locksList = list<LockWait>({
  id: 'locks',
  title: 'Locks',
  needs: [locks, pulse, names, showServers, showClients, activityText],
  select,
  columns,
  rowId: row => (row.gid === null ? sessionId(row.pid, row.backend_start) : nodeId(0, row.gid)),
  treeId: row => nodeId(row.pid, row.gid),
  sort: { column: 'BLOCKS', descending: true },
  parentId: row => (row.parentPid === null ? null : nodeId(row.parentPid, row.parentGid)),
  detail,
  empty: 'nobody waits for a lock',
  copy: (row, state) => (row.gid !== null ? raw(row.gid) : copiedQuery(row, state)),
})

export const locksPanel: Panel = { id: 'locks', key: '2', title: 'Locks', scope: 'server', lists: [locksList] }
