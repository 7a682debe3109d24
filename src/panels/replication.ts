// Replication: who gets WAL from whom and how far behind it is, and the slots that hold WAL for them.

import { bytes, count, duration, lag } from '../model/format.ts'
import {
  type ReplicationRow,
  replicationRows,
  rivalPrimaries,
  type SlotListRow,
  slotRows,
  timelineOf,
} from '../model/replication.ts'
import type { Member } from '../model/standbys.ts'
import { drawable, is, raw, type Untrusted } from '../model/untrusted.ts'
import type { Query } from '../sql/query.ts'
import { conflicts, receiver, replicationSettings, senders, slots } from '../sql/replication.ts'
import { names } from '../sql/server.ts'
import { linkOf, picture, read, rowsOf } from '../store/selectors.ts'
import type { State } from '../store/state.ts'
import { membersOf } from './members.ts'
import { type Column, type DetailLine, type ListSpec, list, type Panel, type Selected, type Tone } from './panel.ts'

export { membersOf } from './members.ts'

/** Rows with what stands in the way: nothing at all to be had, or a part of it. */
function selected<Row>(
  state: State,
  needs: readonly Query[],
  rowsFrom: (members: readonly Member[]) => readonly Row[],
): Selected<Row> {
  const members = membersOf(state)
  if (members.length === 0)
    return { rows: [], unavailable: { reason: 'no PostgreSQL server is watched', remedy: 'give its conninfo' } }
  const { servers, now } = picture(state)
  const problems = members.flatMap(({ id, role, answers }) => {
    const link = linkOf(servers[id]!, now, state.settings.intervalMs)
    if (!answers) return link.state === 'connecting' ? [] : [`${drawable(id)} ${link.word}${link.why ? `: ${link.why}` : ''}`]
    return needs.flatMap(query => {
      if (query.needs?.role && query.needs.role !== role) return []
      const reading = read(state, id, query)
      if (reading.kind === 'failed') return [`${drawable(id)}: ${reading.error}`]
      if (reading.kind === 'stale') return [`${drawable(id)}: ${reading.why}`]
      return reading.kind === 'unavailable' && query.needs?.role === undefined ? [`${drawable(id)}: ${reading.reason}`] : []
    })
  })
  const rows = rowsFrom(members)
  const heard = members.some(member => member.senders || member.slots)
  if (!heard && rows.length === 0) {
    if (problems.length < members.length) return { rows, waiting: true }
    return { rows, unavailable: { reason: [...new Set(problems)].join('; '), remedy: 'see the state of each server above' } }
  }
  const notices = [...splitBrain(members), ...restricted(members), ...skewed(members), ...new Set(problems)]
  return { rows, ...(notices.length > 0 ? { notice: notices.join(' · ') } : {}) }
}

function splitBrain(members: readonly Member[]): readonly string[] {
  return rivalPrimaries(members).map(group => {
    const [newest] = group
    const told = group.map(member => `${drawable(member.id)} (timeline ${timelineOf(member) ?? '–'})`).join(' and ')
    return `TWO PRIMARIES of one system: ${told}; promoted last: ${drawable(newest!.id)}`
  })
}

function restricted(members: readonly Member[]): readonly string[] {
  const blind = members.filter(member => member.answers && !member.readsAllStats)
  if (blind.length === 0) return []
  const roles = [...new Set(blind.map(member => drawable(member.user)))].join(', ')
  return [`restricted on ${blind.map(member => drawable(member.id)).join(', ')}: GRANT pg_monitor TO ${roles}`]
}

/** Seconds of difference between two servers' clocks that are worth a word. */
const skewWorthNoting = 2

function skewed(members: readonly Member[]): readonly string[] {
  return replicationRows(members, 0).flatMap(({ standby, server, clockSkewSeconds: skew }) =>
    standby === null || skew === null || Math.abs(skew) <= skewWorthNoting
      ? []
      : [
          `clock skew ${duration(Math.abs(skew))}: ${drawable(standby)} is ${skew > 0 ? 'ahead of' : 'behind'} ${drawable(server)}`,
        ],
  )
}

/** A slot without a standby stands in brackets. */
const who = (row: ReplicationRow): string =>
  drawable(row.standby) ||
  drawable(row.application_name) ||
  (row.slot_name ? `(${drawable(row.slot_name)})` : row.pid ? `pid ${row.pid}` : '–')

const stateText = (row: ReplicationRow): string => drawable(row.state) || (row.restricted ? 'restricted' : '–')

const lagText = ({ lagSeconds, lagIsUpperBound, lagIsLowerBound }: ReplicationRow): string =>
  `${lagIsUpperBound ? '≤' : lagIsLowerBound ? '≥' : ''}${lag(lagSeconds)}`

/** A delay that was asked for is no lag to worry about. An upper bound may be far too high, so it only warns. */
function lagTone({ lagSeconds, lagIsUpperBound, applyDelaySeconds }: ReplicationRow): Tone | undefined {
  const late = (lagSeconds ?? 0) - (applyDelaySeconds ?? 0)
  return late > 30 && !lagIsUpperBound ? 'critical' : late > 5 ? 'warning' : undefined
}

const slotTone = (status: string | null): Tone | undefined =>
  status === 'lost' ? 'critical' : status === 'extended' || status === 'unreserved' ? 'warning' : undefined

/** What else a DBA has to know of the standby, the worst first. */
function notes(row: ReplicationRow): readonly string[] {
  const { retainedBytes, newConflicts, applyDelaySeconds, clockSkewSeconds, dataAgeSeconds } = row
  return [
    ...(dataAgeSeconds === null ? [] : [`as of ${duration(dataAgeSeconds)} ago`]),
    ...(row.wal_status === 'lost' ? ['slot lost'] : []),
    ...(row.receiver === 'down' ? ['receiver down'] : []),
    ...(row.state === 'disconnected' && retainedBytes !== null ? [`holds ${bytes(retainedBytes)}`] : []),
    ...(row.replayPaused ? ['paused'] : []),
    ...(row.replyOverdue ? [`no reply ${duration(row.replyAgeSeconds)}`] : []),
    ...(newConflicts ? [`${count(newConflicts)} cancelled by replay`] : []),
    ...(applyDelaySeconds ? [`delayed ${duration(applyDelaySeconds)} by setting`] : []),
    ...(clockSkewSeconds !== null && Math.abs(clockSkewSeconds) > skewWorthNoting
      ? [`clock ${clockSkewSeconds > 0 ? '+' : '-'}${duration(Math.abs(clockSkewSeconds))}`]
      : []),
    ...(row.kind === 'logical' ? ['logical'] : []),
  ]
}

function noteTone(row: ReplicationRow): Tone | undefined {
  if (row.wal_status === 'lost' || row.receiver === 'down' || row.state === 'disconnected') return 'critical'
  return row.replayPaused || row.replyOverdue || row.newConflicts || Math.abs(row.clockSkewSeconds ?? 0) > skewWorthNoting
    ? 'warning'
    : undefined
}

function size(title: string, value: (row: ReplicationRow) => bigint | null, from = 0): Column<ReplicationRow> {
  return { title, width: 7, align: 'right', from, text: row => bytes(value(row)), sortBy: value, descending: true }
}

const columns: readonly Column<ReplicationRow>[] = [
  { title: 'STANDBY', width: 15, wide: 24, text: who, tree: true },
  { title: 'APPLICATION', width: 12, wide: 20, from: 120, text: row => drawable(row.application_name) || '–' },
  { title: 'SENDER', width: 20, wide: 22, from: 160, text: row => (row.server === row.standby ? '–' : drawable(row.server)) },
  {
    title: 'SLOT',
    width: 16,
    wide: 24,
    from: 160,
    text: row => drawable(row.slot_name) || '–',
    tone: row => slotTone(row.wal_status),
  },
  {
    title: 'STATE',
    width: 12,
    text: stateText,
    tone: row => (row.state === 'disconnected' ? 'critical' : row.state === 'streaming' ? 'ok' : row.state ? 'warning' : 'dim'),
  },
  { title: 'SYNC', width: 5, text: row => drawable(row.sync_state) || '–' },
  {
    title: 'RECEIVER',
    width: 9,
    from: 120,
    text: row => drawable(row.receiver) || '–',
    tone: row => (row.receiver === 'down' ? 'critical' : undefined),
  },
  { title: 'LAG s', width: 7, align: 'right', text: lagText, sortBy: row => row.lagSeconds, descending: true, tone: lagTone },
  size('LAG B', row => row.lagBytes),
  size('UNSENT', row => row.unsentBytes),
  size('WRITE', row => row.writeGapBytes, 100),
  size('FLUSH', row => row.flushGapBytes, 100),
  size('REPLAY', row => row.replayGapBytes),
  { title: 'NOTE', width: 12, grow: true, text: row => notes(row).join(', '), tone: noteTone },
]

const line = (name: string, value: string | number | bigint | boolean | Untrusted | null, tone?: Tone): DetailLine => ({
  name,
  value: value === null ? '–' : typeof value === 'boolean' ? (value ? 'yes' : 'no') : drawable(String(value)),
  ...(tone ? { tone } : {}),
})

function detail(row: ReplicationRow, state: State): readonly DetailLine[] {
  const users = rowsOf(state, row.server, names)
  const user = users.find(({ kind, oid }) => is(kind, 'role') && oid === row.usesysid)
  const at = (position: string | null, gap: bigint | null) => `${position ?? '–'}  ${bytes(gap)} behind the step before`
  const exact = row.lagBytes === null ? '' : `  ${bytes(row.lagBytes)} (${count(row.lagBytes)} bytes)`
  return [
    line('way of the WAL', `${row.server === row.standby ? 'a server that is not watched' : row.server} → ${who(row)}`),
    line('application_name', row.application_name),
    line('state', stateText(row), row.state === 'disconnected' ? 'critical' : undefined),
    line('receiver', row.receiver, row.receiver === 'down' ? 'critical' : undefined),
    line('replay paused', row.replayPaused, row.replayPaused ? 'warning' : undefined),
    line('lag', `${lagText(row)}${exact}${row.lagBehind ? ` behind ${row.lagBehind}` : ''}`, lagTone(row)),
    line('sent', at(row.sent_lsn, row.unsentBytes)),
    line('written', at(row.write_lsn, row.writeGapBytes)),
    line('flushed', at(row.flush_lsn, row.flushGapBytes)),
    line('replayed', at(row.replay_lsn, row.replayGapBytes)),
    line(
      "sender's estimates",
      `write ${duration(row.writeLagSeconds)}, flush ${duration(row.flushLagSeconds)}, replay ${duration(row.replayLagSeconds)} (still while replay stands still)`,
    ),
    line(
      'last reply',
      row.replyAgeSeconds === null ? null : `${duration(row.replyAgeSeconds)} ago`,
      row.replyOverdue ? 'warning' : undefined,
    ),
    line('sync', row.sync_state === null ? null : `${row.sync_state}, priority ${row.sync_priority ?? '–'}`),
    line(
      'slot',
      row.slot_name === null ? null : `${raw(row.slot_name)}, ${row.wal_status ?? '–'}, holds ${bytes(row.retainedBytes)} of WAL`,
      slotTone(row.wal_status),
    ),
    line('timeline', row.timeline),
    line('delay by setting', row.applyDelaySeconds ? duration(row.applyDelaySeconds) : 'none'),
    line('cancelled by replay', row.conflicts === null ? null : `${count(row.conflicts)} since the statistics began`),
    line(
      'oldest snapshot',
      row.xminAge === null ? null : `${count(row.xminAge)} transactions old (holds back vacuum on the primary)`,
    ),
    line('clock', row.clockSkewSeconds === null ? null : `${row.clockSkewSeconds} s ahead of the sender's`),
    line(
      'client',
      row.client_addr === null ? null : `${raw(row.client_addr)}:${row.client_port ?? ''}, role ${user ? raw(user.name) : '–'}`,
    ),
    line(
      'walsender',
      row.pid === null ? null : `pid ${row.pid}, since ${row.backend_start === null ? '–' : raw(row.backend_start)}`,
    ),
  ]
}

/** Watched standbys and slots keep their row through a reconnect; others are their walsender. */
const rowId = (row: ReplicationRow): string =>
  row.standby !== null
    ? `standby ${row.standby}`
    : row.slot_name !== null
      ? `${row.server} slot ${raw(row.slot_name)}`
      : `${row.server} pid ${row.pid}`

const replication: ListSpec<ReplicationRow> = {
  id: 'replication',
  title: 'Standbys',
  needs: [senders, slots, receiver, conflicts, replicationSettings, names],
  select: state => selected(state, [senders, slots, receiver], members => replicationRows(members, picture(state).now)),
  columns,
  rowId,
  parentId: row => (row.server === row.standby ? null : `standby ${row.server}`),
  sort: { column: 'STANDBY', descending: false },
  detail,
  empty: 'No standby is connected, and no slot waits for one.',
  copy: row => (row.application_name ? raw(row.application_name) : row.slot_name ? raw(row.slot_name) : who(row)),
  rowTone: row => (row.dataAgeSeconds === null ? undefined : 'dim'),
}

const slotNote = (row: SlotListRow): string =>
  [
    ...(row.invalidation_reason === null ? [] : [drawable(row.invalidation_reason)]),
    ...(row.conflicting ? ['conflicting'] : []),
    ...(row.inactiveSeconds === null || row.active ? [] : [`inactive ${duration(row.inactiveSeconds)}`]),
    ...(row.temporary ? ['temporary'] : []),
    ...(row.plugin === null ? [] : [`${drawable(row.plugin)} in ${drawable(row.database)}`]),
  ].join(', ')

const slotsList: ListSpec<SlotListRow> = {
  id: 'slots',
  title: 'Slots',
  needs: [slots],
  select: state => selected(state, [slots], slotRows),
  columns: [
    { title: 'SLOT', width: 22, wide: 24, text: row => drawable(row.slot_name) },
    { title: 'SERVER', width: 20, from: 100, text: row => drawable(row.server) },
    { title: 'TYPE', width: 8, text: row => drawable(row.slot_type) },
    { title: 'ACTIVE', width: 6, text: row => (row.active ? 'yes' : 'no'), tone: row => (row.active ? 'ok' : 'warning') },
    {
      title: 'STATUS',
      width: 10,
      text: row => drawable(row.wal_status) || '–',
      tone: row => slotTone(row.wal_status && raw(row.wal_status)),
    },
    {
      title: 'HOLDS',
      width: 8,
      align: 'right',
      text: row => bytes(row.retainedBytes),
      sortBy: row => row.retainedBytes,
      descending: true,
    },
    { title: 'SAFE', width: 8, align: 'right', text: row => bytes(row.safe_wal_size), sortBy: row => row.safe_wal_size },
    {
      title: 'XMIN AGE',
      width: 9,
      align: 'right',
      from: 120,
      text: row => count(row.xminAge),
      sortBy: row => row.xminAge,
      descending: true,
    },
    {
      title: 'NOTE',
      width: 11,
      grow: true,
      text: slotNote,
      tone: row => (row.invalidation_reason === null ? undefined : 'critical'),
    },
  ],
  rowId: row => `${row.server} ${raw(row.slot_name)}`,
  sort: { column: 'HOLDS', descending: true },
  detail: row => [
    line('slot', `${raw(row.slot_name)} on ${row.server}`),
    line('type', row.plugin === null ? row.slot_type : `${raw(row.slot_type)}, ${raw(row.plugin)} in ${drawable(row.database)}`),
    line('active', row.active ? `yes, pid ${row.active_pid ?? '–'}` : 'no'),
    line('inactive since', row.inactive_since === null ? null : `${raw(row.inactive_since)} (${duration(row.inactiveSeconds)})`),
    line('wal_status', row.wal_status, slotTone(row.wal_status && raw(row.wal_status))),
    line('holds', row.retainedBytes === null ? null : `${bytes(row.retainedBytes)} (${count(row.retainedBytes)} bytes)`),
    line('restart_lsn', row.restart_lsn),
    line('confirmed_flush_lsn', row.confirmed_flush_lsn),
    line(
      'safe_wal_size',
      row.safe_wal_size === null ? 'no limit is set (max_slot_wal_keep_size), or lost' : bytes(row.safe_wal_size),
    ),
    line('xmin', row.xminAge === null ? null : `${count(row.xminAge)} transactions old`),
    line('catalog_xmin', row.catalogXminAge === null ? null : `${count(row.catalogXminAge)} transactions old`),
    line('temporary', row.temporary),
    line('invalidation_reason', row.invalidation_reason, row.invalidation_reason === null ? undefined : 'critical'),
    line('conflicting', row.conflicting),
    line('failover', row.failover),
    line('synced', row.synced),
  ],
  empty: 'There are no replication slots.',
  copy: row => raw(row.slot_name),
}

export const replicationPanel: Panel = {
  id: 'replication',
  key: '3',
  title: 'Replication',
  scope: 'cluster',
  lists: [list(replication), list(slotsList)],
}
