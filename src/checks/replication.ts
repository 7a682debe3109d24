// Replication: whether each standby streams, how far it is behind, and the slots that hold WAL for those that are gone.

import { bytes, duration, lag } from '../model/format.ts'
import { type ReplicationRow, replicationRows, slotRows } from '../model/replication.ts'
import { drawable, is, raw, short } from '../model/untrusted.ts'
import { membersOf } from '../panels/members.ts'
import type { Query } from '../sql/query.ts'
import { ourRole } from '../sql/query.ts'
import { conflicts, receiver, replicationSettings, senders, slots } from '../sql/replication.ts'
import { pulse } from '../sql/server.ts'
import { idsOf, picture, read, rowsOf } from '../store/selectors.ts'
import type { ServerState, State } from '../store/state.ts'
import { type Check, type Found, levelOf, plural } from './check.ts'
import { isUp, unread } from './run.ts'

let known: { readonly servers: State['servers']; readonly now: number; readonly rows: readonly ReplicationRow[] } | null = null

/** Standbys as the Replication pane has them, computed once for a picture. */
export function replicationOf(state: State): readonly ReplicationRow[] {
  const { servers, now } = picture(state)
  if (known?.servers !== servers || known.now !== now) known = { servers, now, rows: replicationRows(membersOf(state), now) }
  return known.rows
}

const nameOf = (row: ReplicationRow): string =>
  drawable(row.standby) ||
  short(row.application_name ?? '', 40) ||
  (row.slot_name ? `slot ${short(row.slot_name, 40)}` : `pid ${row.pid ?? '–'}`)

/** A row with what it is of: the standby where it is watched, else the server that sends to it. */
const of = (row: ReplicationRow) => ({ server: row.standby ?? row.server, object: nameOf(row) })
const placeOf = (row: ReplicationRow) => ({
  panel: 'replication',
  list: 'replication',
  row: row.standby === null ? { server: row.server, slot_name: row.slot_name, pid: row.pid } : { standby: row.standby },
})

type Told = Found & { readonly server: string | null }

/** One finding for each standby of whom there is something to say. */
function eachStandby(state: State, needs: readonly Query[], say: (row: ReplicationRow) => Found | null): readonly Told[] {
  const told = replicationOf(state).flatMap(row => {
    const found = say(row)
    return found === null ? [] : [{ ...found, ...of(row) }]
  })
  return [...unread(state, needs), ...told]
}

const standbyState: Check = {
  id: 'replication_state',
  title: 'Standbys stream',
  why: 'A standby that is not connected falls behind, cannot take over, and its slot fills the disk of the primary.',
  of: 'cluster',
  unit: '',
  needs: [senders, slots],
  uses: [receiver, replicationSettings, pulse],
  look: state => {
    const told = eachStandby(state, [senders, slots], row => {
      const { state: word, retainedBytes } = row
      const from = row.server === row.standby ? '' : ` from ${drawable(row.server)}`
      const leadsTo = placeOf(row)
      if (word === 'streaming') return { level: 'ok', say: `streaming${from}`, leadsTo }
      if (word === null) {
        const grant = row.restricted ? { remedy: `GRANT pg_monitor TO ${ourRole};` } : {}
        return {
          level: 'unknown',
          say: row.restricted ? 'its state is not to be seen by this role' : 'its state is not known yet',
          ...grant,
        }
      }
      if (word !== 'disconnected') return { level: 'warning', say: `${drawable(word)}${from}: not streaming yet`, leadsTo }
      const holds =
        retainedBytes === null ? '' : `; its slot ${short(row.slot_name ?? '', 40)} holds ${bytes(retainedBytes)} of WAL`
      return {
        level: 'critical',
        say: `standby disconnected${from}${holds}`,
        remedy: 'start the standby, or see to the way between them; if it is gone for good, drop its slot in 3 Replication (F9)',
        leadsTo,
      }
    })
    if (told.length > 0) return told
    return idsOf(state, 'postgres')
      .filter(id => isUp(state, id) && picture(state).servers[id]?.role === 'primary')
      .map(server => ({ level: 'ok' as const, server, say: 'no standby is connected, and no slot waits for one' }))
  },
}

/** An upper bound counts only while replay does not move, and never as critical: after a time without writes it may be far too high. */
function isDoubtful(state: State, row: ReplicationRow): boolean {
  const history = row.standby === null ? [] : (picture(state).servers[row.standby]?.lsnHistory ?? [])
  const [before, now] = history.slice(-2)
  return !before || !now || now.lsn > before.lsn
}

const isExact = ({ lagSeconds, lagIsUpperBound, lagIsLowerBound }: ReplicationRow) =>
  lagSeconds !== null && !lagIsUpperBound && !lagIsLowerBound

/**
 * What the sender has measured of a stall, for a standby that nobody watches: its replay_lag, as of the standby's last reply, while WAL waits and its position has stood
 * still between two samples. Without such a stall it may be left over from another one: null.
 */
function senderStall(state: State, row: ReplicationRow): number | null {
  if (row.standby !== null || !row.lagBytes || isExact(row)) return null
  const reading = read(state, row.server, senders)
  if (reading.kind !== 'fresh' || !reading.previous) return null
  const [now, before] = [reading.sample, reading.previous].map(({ rows }) => rows.find(({ pid }) => pid === row.pid))
  return now && before && now.replay_lsn !== null && now.replay_lsn === before.replay_lsn ? now.replayLagSeconds : null
}

const lagTime: Check = {
  id: 'replication_lag',
  title: 'Standbys keep up',
  why: 'What a standby has not replayed is not seen by its readers, and lost or waited for when it takes over.',
  of: 'cluster',
  unit: 's',
  warning: 'lagSeconds',
  critical: 'lagCriticalSeconds',
  needs: [pulse],
  uses: [senders, slots, receiver, replicationSettings],
  look: state =>
    eachStandby(state, [], row => {
      const { lagBytes, applyDelaySeconds } = row
      const stalled = senderStall(state, row)
      const lagIsUpperBound = stalled === null && row.lagIsUpperBound
      const seconds = stalled === null ? row.lagSeconds : Math.max(stalled, row.lagIsLowerBound ? (row.lagSeconds ?? 0) : 0)
      if (row.restricted && lagBytes === null)
        return { level: 'unknown', say: 'its lag is not to be seen by this role', remedy: `GRANT pg_monitor TO ${ourRole};` }
      if (seconds === null && lagBytes === null)
        return row.state === 'disconnected' ? null : { level: 'unknown', say: 'its lag is not known' }
      if (seconds === null) return { level: 'ok', say: `${bytes(lagBytes)} behind, since when is not known yet`, figure: null }
      const late = Math.max(0, seconds - (applyDelaySeconds ?? 0))
      const doubtful = lagIsUpperBound && isDoubtful(state, row)
      const told = doubtful ? 'ok' : levelOf(late, state.settings.thresholds, lagTime)
      const level = lagIsUpperBound && told === 'critical' ? 'warning' : told
      const bound = lagIsUpperBound ? 'at most ' : row.lagIsLowerBound || stalled !== null ? 'at least ' : ''
      const why = row.replayPaused ? 'replay is paused' : row.receiver === 'down' ? 'nothing comes in' : 'replay is behind'
      return {
        level,
        figure: seconds,
        say: `lags ${bound}${lag(seconds)} (${bytes(lagBytes)})${level === 'ok' ? '' : `: ${why}`}${applyDelaySeconds ? `, delayed ${duration(applyDelaySeconds)} by setting` : ''}`,
        ...(level === 'ok'
          ? {}
          : { remedy: 'see its gaps in 3 Replication: unsent is the network, replay the standby itself or its queries' }),
        leadsTo: placeOf(row),
      }
    }),
}

const lagBytesCheck: Check = {
  id: 'replication_lag_bytes',
  title: 'WAL behind on standbys',
  why: 'Bytes tell of a lag that no clock can tell of, and how much there is still to do.',
  of: 'cluster',
  unit: 'B',
  warning: 'lagBytes',
  critical: 'lagCriticalBytes',
  needs: [pulse],
  uses: [senders, slots, receiver, replicationSettings],
  look: state =>
    eachStandby(state, [], row => {
      if (row.lagBytes === null) return null
      const figure = Number(row.lagBytes)
      return {
        level: levelOf(figure, state.settings.thresholds, lagBytesCheck),
        figure,
        say: `${bytes(figure)} of WAL not replayed`,
        leadsTo: placeOf(row),
      }
    }),
}

/** A healthy link that is idle says something at least so often (wal_receiver_timeout). Seconds. */
const silentAfter = 60

const receiverCheck: Check = {
  id: 'wal_receiver',
  title: 'WAL receiver',
  why: 'Without a receiver nothing reaches the standby, and positions that stand still look like no lag at all.',
  of: 'standby',
  unit: '',
  needs: [receiver],
  look: (state, server) => {
    const row = rowsOf(state, server.id, receiver)[0]
    const leadsTo = { panel: 'replication', list: 'replication', row: { standby: server.id } }
    if (!row) {
      return [
        {
          level: 'critical',
          say: 'the WAL receiver is down, nothing comes in',
          remedy: "see its log: primary_conninfo, the primary's pg_hba.conf, a lost slot, WAL that is gone already",
          leadsTo,
        },
      ]
    }
    if (row.status === null)
      return [
        { level: 'unknown', say: 'the state of the WAL receiver is not to be seen', remedy: `GRANT pg_monitor TO ${ourRole};` },
      ]
    const silent = row.last_msg_receipt_epoch === null ? 0 : row.clock_epoch - row.last_msg_receipt_epoch
    if (!is(row.status, 'streaming')) return [{ level: 'warning', say: `the WAL receiver is ${drawable(row.status)}`, leadsTo }]
    if (silent > silentAfter) return [{ level: 'warning', say: `the sender has been silent for ${duration(silent)}`, leadsTo }]
    return [{ level: 'ok', say: 'the WAL receiver streams' }]
  },
}

const replayPaused: Check = {
  id: 'replay_paused',
  title: 'Replay goes on',
  why: 'A pause that somebody forgot makes readers see the past and a take-over wait.',
  of: 'standby',
  unit: '',
  needs: [pulse],
  look: (state, server) => {
    const pause = rowsOf(state, server.id, pulse)[0]?.replay_pause ?? null
    if (pause === null || is(pause, 'not paused')) return [{ level: 'ok', say: 'replay is not paused' }]
    return [
      {
        level: 'warning',
        say: is(pause, 'paused') ? 'replay is paused' : 'a pause of replay is asked for',
        remedy: 'SELECT pg_wal_replay_resume(); (R in 3 Replication)',
        leadsTo: { panel: 'replication', list: 'replication', row: { standby: server.id } },
      },
    ]
  },
}

const conflictsCheck: Check = {
  id: 'standby_conflicts',
  title: 'Queries cancelled by replay',
  why: 'Readers of the standby get errors because VACUUM on the primary removes rows that they still need.',
  of: 'standby',
  unit: '',
  rate: true,
  needs: [conflicts],
  look: (state, server) => {
    const row = replicationOf(state).find(({ standby }) => standby === server.id)
    const fresh = row?.newConflicts ?? null
    const all = rowsOf(state, server.id, conflicts)[0]?.conflicts ?? null
    const since = all === null ? '' : `${all} since the statistics began`
    if (!fresh) return [{ level: 'ok', say: `none just now; ${since}`, figure: 0 }]
    return [
      {
        level: 'warning',
        figure: Number(fresh),
        say: `${plural(Number(fresh), 'query', 'queries')} cancelled by replay just now; ${since}`,
        remedy: 'hot_standby_feedback = on, or a longer max_standby_streaming_delay, on the standby',
        leadsTo: { panel: 'replication', list: 'replication', row: { standby: server.id } },
      },
    ]
  },
}

const slotsCheck: Check = {
  id: 'replication_slots',
  title: 'Replication slots',
  why: 'A slot that nobody reads keeps WAL until the disk is full; one that has lost WAL has lost its standby.',
  of: 'postgres',
  unit: 'B',
  warning: 'slotBytes',
  critical: 'slotCriticalBytes',
  needs: [slots],
  look: (state, server) => {
    const rows = slotRows(membersOf(state)).filter(row => row.server === server.id)
    const told = rows.map(row => ({ ...slotFound(state, row, server), figure: Number(row.retainedBytes ?? 0n) }))
    const bad = told.filter(({ level }) => level !== 'ok')
    if (bad.length > 0) return bad
    const most = Math.max(0, ...told.map(({ figure }) => figure))
    return [
      {
        level: 'ok',
        figure: most,
        say: rows.length === 0 ? 'no slots' : `${plural(rows.length, 'slot')}, holding ${bytes(most)} of WAL at most`,
      },
    ]
  },
}

function slotFound(state: State, row: ReturnType<typeof slotRows>[number], server: ServerState): Found {
  const object = short(row.slot_name, 40)
  const place = { panel: 'replication', list: 'slots', row: { server: server.id, slot_name: row.slot_name } }
  const held = row.retainedBytes === null ? 'no WAL' : `${bytes(row.retainedBytes)} of WAL`
  const found = (level: Found['level'], say: string, remedy?: string): Found => ({
    level,
    object,
    say: `slot ${object} ${say}`,
    leadsTo: place,
    ...(remedy ? { remedy } : {}),
  })
  if (is(row.wal_status, 'lost') || row.invalidation_reason !== null) {
    const why = row.invalidation_reason === null ? '' : ` (${drawable(row.invalidation_reason)})`
    return found(
      'critical',
      `is lost${why}: what it was for must be built anew`,
      'drop it in 3 Replication (F9) and make the standby or subscriber anew',
    )
  }
  if (is(row.wal_status, 'unreserved'))
    return found('critical', `is about to be lost: it holds ${held}`, 'start its standby or subscriber now')
  const size = levelOf(Number(row.retainedBytes ?? 0n), state.settings.thresholds, slotsCheck)
  if (size !== 'ok')
    return found(
      size,
      `${row.active ? '' : 'is not in use and '}holds ${held}`,
      'start its standby or subscriber, or drop it in 3 Replication (F9)',
    )
  const idle = !row.active && !row.temporary && !row.synced && row.restart_lsn !== null && is(row.slot_type, 'logical')
  if (idle)
    return found('warning', `is read by nobody and holds ${held}`, 'start its subscriber, or drop it in 3 Replication (F9)')
  if (is(row.wal_status, 'extended')) return found('warning', `holds ${held}, more than max_wal_size`)
  return found('ok', `${raw(row.slot_type)}, holds ${held}`)
}

export const replicationChecks: readonly Check[] = [
  standbyState,
  lagTime,
  lagBytesCheck,
  receiverCheck,
  replayPaused,
  conflictsCheck,
  slotsCheck,
]
