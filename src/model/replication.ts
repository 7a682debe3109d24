// Replication as rows: one for each standby, put together from both ends, and one for each slot. A standby that vanished stays on the
// list through its slot. Disconnected is never "0 behind": the lag is then what the primary's own WAL says, or unknown.

import type { SlotRow } from '../sql/replication.ts'
import { lsn as lsnText } from './format.ts'
import { clockSkewSeconds } from './lag.ts'
import { clockOf, type Lag, type Link, type Progress, progressOf, replyAgeSeconds, standbyLag, unknownLag } from './positions.ts'
import { type Member, type Pair, pairStandbys, slotNameOf, slotOf } from './standbys.ts'
import { is, raw, type Untrusted } from './untrusted.ts'

export type StandbySummary = Lag & {
  /** The receiver's status as the server words it; `down`: there is none; null: not read, or not to be seen by this role. */
  readonly receiver: string | null
  readonly replayPaused: boolean | null
}

export type ReplicationRow = Progress &
  StandbySummary & {
    /** The sender, or the standby itself when nobody watched sends to it. */
    readonly server: string
    readonly kind: 'physical' | 'logical'
    readonly application_name: Untrusted | null
    /** Id of the watched standby. */
    readonly standby: string | null
    /** The walsender's state as the server words it, or `disconnected`; null: not read yet, or not to be seen by this role. */
    readonly state: string | null
    /** The role we read it with may not see all of it. */
    readonly restricted: boolean
    readonly sync_state: string | null
    readonly sync_priority: number | null
    readonly slot_name: Untrusted | null
    readonly wal_status: string | null
    readonly retainedBytes: bigint | null
    readonly pid: number | null
    readonly usesysid: bigint | null
    readonly client_addr: Untrusted | null
    readonly client_port: number | null
    readonly backend_start: Untrusted | null
    /** Of what the standby receives. */
    readonly timeline: number | null
    /** The sender's own estimates: they stand still while replay does. */
    readonly writeLagSeconds: number | null
    readonly flushLagSeconds: number | null
    readonly replayLagSeconds: number | null
    /** Since the standby's last word to its sender, free of the difference of their clocks; null when that can't be told. */
    readonly replyAgeSeconds: number | null
    readonly replyOverdue: boolean
    /** The standby's clock less its sender's. */
    readonly clockSkewSeconds: number | null
    readonly applyDelaySeconds: number | null
    readonly xminAge: number | null
    /** Queries that replay cancelled on the standby: since its statistics began, and since the sample before. */
    readonly conflicts: bigint | null
    readonly newConflicts: bigint | null
    /** Age of the positions when the server they came from does not answer now. */
    readonly dataAgeSeconds: number | null
  }

const text = (value: Untrusted | null | undefined): string | null => (value === null || value === undefined ? null : raw(value))
/** wal_receiver_status_interval's default, for standbys that we can't ask. */
const statusIntervalSeconds = 10

/** All standbys and logical subscribers known from either end, and the slots of standbys that are gone. `now`: epoch ms, only for ages. */
export function replicationRows(members: readonly Member[], now: number): readonly ReplicationRow[] {
  const pairs = pairStandbys(members)
  const rows: ReplicationRow[] = []
  const usedSlots = new Set<SlotRow>()
  const add = (link: Link) => {
    if (link.slot) usedSlots.add(link.slot)
    rows.push(rowOf(link, members, now))
  }
  for (const sender of members) {
    for (const row of sender.senders?.rows ?? []) {
      if (is(row.state, 'backup')) continue
      const pair = pairs.find(p => p.sender === sender && p.row === row)
      add({ sender, row, standby: pair?.standby ?? null, sure: pair?.sure ?? true, slot: slotOf(sender, row) })
    }
  }
  for (const standby of members) {
    if (standby.role !== 'standby' || pairs.some(pair => pair.standby === standby)) continue
    const upstream = upstreamOf(standby, members, pairs)
    add({ sender: upstream?.sender ?? null, row: null, standby, sure: true, slot: upstream?.slot ?? null })
  }
  for (const sender of members) {
    for (const slot of sender.slots?.rows ?? []) {
      const holds = slot.restart_lsn !== null || is(slot.wal_status, 'lost')
      if (slot.active || slot.temporary || !holds || usedSlots.has(slot) || !is(slot.slot_type, 'physical')) continue
      add({ sender, row: null, standby: null, sure: true, slot })
    }
  }
  return rows
}

/** Who ought to feed a standby that no walsender serves: the owner of its slot, else the only one its receiver's words fit. */
function upstreamOf(
  standby: Member,
  members: readonly Member[],
  pairs: readonly Pair[],
): { sender: Member; slot: SlotRow | null } | null {
  const related = members.filter(other => other !== standby && sameSystem(other, standby))
  const wanted = slotNameOf(standby)
  const receiving = standby.receiver?.rows[0]
  const owners = related.flatMap(sender => {
    const slot = sender.slots?.rows.find(
      s => is(s.slot_type, 'physical') && !s.active && wanted !== null && is(s.slot_name, wanted),
    )
    return slot && !pairs.some(p => p.sender === sender && slotNameOf(p.standby) === wanted) ? [{ sender, slot }] : []
  })
  const owner = owners.find(({ sender }) => sender.role === 'primary') ?? owners[0]
  if (owner) return owner
  const primaries = related.filter(other => other.role === 'primary')
  const named = primaries.find(
    other => receiving && is(receiving.sender_host, other.host) && receiving.sender_port === other.port,
  )
  const sender = named ?? (!receiving && primaries.length === 1 ? primaries[0] : undefined)
  return sender ? { sender, slot: null } : null
}

/** The primary of a sender's or a standby's system; with two of them the one of the higher timeline. */
export function primaryOf<M extends Member>(of: Member, members: readonly M[]): M | null {
  const primaries = members.filter(other => other.role === 'primary' && sameSystem(other, of))
  return primaries.sort((a, b) => Number(b.answers) - Number(a.answers) || (timelineOf(b) ?? 0) - (timelineOf(a) ?? 0))[0] ?? null
}

/** The timeline that a primary writes on. */
export function timelineOf(primary: Member): number | null {
  const hex = text(primary.pulse?.rows[0]?.timeline)
  return hex === null ? null : Number.parseInt(hex, 16)
}

function sameSystem(a: Member, b: Member): boolean {
  return a.systemIdentifier !== null && a.systemIdentifier === b.systemIdentifier
}

function rowOf(link: Link, members: readonly Member[], now: number): ReplicationRow {
  const { sender, row, standby, slot } = link
  const receiver = standby ? receiverOf(standby) : null
  const state = stateOf(link, receiver)
  const progress = honest(
    progressOf(link, rootOf(link, members)),
    state === 'streaming' || (row !== null && state !== 'disconnected'),
  )
  const replyAge = replyAgeSeconds(link)
  // Whose sample the row's positions are: a walsender's row is its server's, without one the standby's own or the slot's.
  const told = (row ? sender : (standby ?? sender)) as Member
  const toldAt = (row ? told.senders : standby ? standby.pulse : told.slots)?.at ?? null
  return {
    server: (sender ?? told).id,
    kind: row && sender && text(slotOf(sender, row)?.slot_type) === 'logical' ? 'logical' : 'physical',
    application_name: row?.application_name ?? standby?.receiver?.rows[0]?.application_name ?? null,
    standby: standby?.id ?? null,
    state,
    restricted: !told.readsAllStats,
    sync_state: text(row?.sync_state),
    sync_priority: row?.sync_priority ?? null,
    ...progress,
    receiver,
    replayPaused: standby ? pausedOf(standby) : null,
    slot_name: slot?.slot_name ?? null,
    wal_status: text(slot?.wal_status),
    retainedBytes: slot ? retained(slot.restart_lsn, slot.current_lsn) : null,
    pid: row?.pid ?? null,
    usesysid: row?.usesysid ?? null,
    client_addr: row?.client_addr ?? null,
    client_port: row?.client_port ?? null,
    backend_start: row?.backend_start ?? null,
    timeline: standby?.receiver?.rows[0]?.received_tli ?? null,
    writeLagSeconds: row?.writeLagSeconds ?? null,
    flushLagSeconds: row?.flushLagSeconds ?? null,
    replayLagSeconds: row?.replayLagSeconds ?? null,
    replyAgeSeconds: replyAge,
    replyOverdue: replyAge !== null && replyAge > (standby?.settings?.statusIntervalSeconds || statusIntervalSeconds) + 2,
    clockSkewSeconds: clockSkewSeconds(clockOf(standby), clockOf(sender)),
    applyDelaySeconds: standby?.settings ? standby.settings.applyDelayMs / 1000 : null,
    xminAge: row?.xminAge ?? slot?.xminAge ?? null,
    conflicts: standby?.conflicts?.rows[0]?.conflicts ?? null,
    newConflicts: standby ? newConflicts(standby) : null,
    dataAgeSeconds: !told.answers && toldAt !== null ? Math.max(0, now - toldAt) / 1000 : null,
  }
}

/** The primary whose WAL a link carries: a walsender of a primary, and of logical decoding, knows best itself. */
function rootOf({ sender, standby, row }: Link, members: readonly Member[]): Member | null {
  if (sender?.role === 'primary' || (row && !standby && !sender)) return sender
  const of = sender ?? standby
  return of ? primaryOf(of, members) : null
}

/** Without a living link "0 behind" would only say that nobody wrote, or that we don't know. */
function honest(progress: Progress, linked: boolean): Progress {
  if (linked || (progress.lagBytes !== null && progress.lagBytes > 0n)) {
    return linked || progress.lagSeconds !== 0 ? progress : { ...progress, lagSeconds: null }
  }
  return {
    ...progress,
    ...unknownLag,
    unsentBytes: null,
    writeGapBytes: null,
    flushGapBytes: null,
    replayGapBytes: null,
    lagBehind: null,
  }
}

/** The standby's own word counts most: a primary may need wal_sender_timeout to notice that nobody listens. null: hidden from our roles. */
function stateOf({ sender, row, standby }: Link, receiver: string | null): string | null {
  if (receiver === 'down') return 'disconnected'
  if (row) return text(row.state) ?? receiver
  // No walsender that we see. A receiver that says streaming has somebody whom nobody watches, unless its sender is known and denies it.
  if (sender?.senders || !standby) return 'disconnected'
  return receiver === null || receiver === 'streaming' ? receiver : 'disconnected'
}

function receiverOf(standby: Pick<Member, 'answers' | 'receiver'>): string | null {
  if (!standby.answers || !standby.receiver) return null
  const row = standby.receiver.rows[0]
  return row ? text(row.status) : 'down'
}

/** A pause that is asked for counts, as in pg_is_wal_replay_paused(). */
function pausedOf(standby: Pick<Member, 'pulse'>): boolean | null {
  const pause = standby.pulse?.rows[0]?.replay_pause ?? null
  return pause === null ? null : !is(pause, 'not paused')
}

function newConflicts({ conflicts, conflictsBefore }: Member): bigint | null {
  const [now, before] = [conflicts?.rows[0]?.conflicts, conflictsBefore?.rows[0]?.conflicts]
  return now === undefined || before === undefined || now < before ? null : now - before
}

/**
 * A watched standby in one line, from the pulses (and its receiver where that is read): the same lag as in its row. `primary`: of the same
 * system, where one is watched. null: not a standby, or nothing heard from it yet.
 */
export function standbySummary(
  standby: Pick<Member, 'role' | 'answers' | 'pulse' | 'history' | 'receiver'>,
  primary: Pick<Member, 'id' | 'answers' | 'pulse' | 'history'> | null,
): StandbySummary | null {
  if (standby.role !== 'standby' || !standby.pulse) return null
  const receiver = receiverOf(standby)
  const lag = standbyLag(standby, primary)
  const told = receiver === 'down' && !lag.lagBytes ? unknownLag : lag
  return {
    ...(receiver === 'down' && told.lagSeconds === 0 ? { ...told, lagSeconds: null } : told),
    receiver,
    replayPaused: pausedOf(standby),
  }
}

/** Primaries that answer and belong to one system, a server that is watched by two databases counting once: more than one is a split brain. The one of the highest timeline, promoted last, first. */
export function rivalPrimaries(members: readonly Member[]): readonly (readonly Member[])[] {
  const systems = new Map<bigint, Member[]>()
  for (const member of members) {
    if (member.role !== 'primary' || !member.answers || member.systemIdentifier === null) continue
    const known = systems.get(member.systemIdentifier) ?? []
    if (!known.some(other => isSameServer(other, member))) systems.set(member.systemIdentifier, [...known, member])
  }
  const later = (a: Member, b: Member) => (timelineOf(b) ?? 0) - (timelineOf(a) ?? 0)
  return [...systems.values()].filter(group => group.length > 1).map(group => group.sort(later))
}

/** By its place, or, where it is watched by two names, by the moment of its start. */
const isSameServer = (a: Member, b: Member) => (a.host === b.host && a.port === b.port) || startOf(a) === startOf(b)
const startOf = (member: Member) => member.pulse?.rows[0]?.postmaster_start_epoch ?? member

export type SlotListRow = Omit<SlotRow, 'restart_lsn' | 'confirmed_flush_lsn' | 'current_lsn'> & {
  readonly server: string
  readonly restart_lsn: string | null
  readonly confirmed_flush_lsn: string | null
  /** WAL that the server keeps for it; null: never used, or lost. */
  readonly retainedBytes: bigint | null
}

/** Slots of all servers with the WAL they hold. */
export function slotRows(members: readonly Member[]): readonly SlotListRow[] {
  return members.flatMap(member =>
    (member.slots?.rows ?? []).map(({ restart_lsn, confirmed_flush_lsn, current_lsn, ...row }) => ({
      server: member.id,
      ...row,
      restart_lsn: restart_lsn === null ? null : lsnText(restart_lsn),
      confirmed_flush_lsn: confirmed_flush_lsn === null ? null : lsnText(confirmed_flush_lsn),
      retainedBytes: retained(restart_lsn, current_lsn),
    })),
  )
}

function retained(restart: bigint | null, current: bigint | null): bigint | null {
  if (restart === null || current === null) return null
  return current > restart ? current - restart : 0n
}
