// Where a standby stands: its positions out of what both ends say, all at one moment, and from them the lag in bytes and in seconds.

import type { SenderRow, SlotRow } from '../sql/replication.ts'
import { lsn as lsnText } from './format.ts'
import { clockSkewSeconds, type LsnPoint, lagSeconds, lsnAt, senderStallSeconds } from './lag.ts'
import type { Member } from './standbys.ts'
import { is } from './untrusted.ts'

/** One way of WAL from a sender to a receiver, as far as it is known. */
export type Link = {
  readonly sender: Member | null
  readonly row: SenderRow | null
  readonly standby: Member | null
  /** false: perhaps another standby's row; then only the standby's own positions count. */
  readonly sure: boolean
  readonly slot: SlotRow | null
}

/** How far behind. null: not known. The seconds may be only an upper or a lower bound; the bytes never are. */
export type Lag = {
  readonly lagBytes: bigint | null
  readonly lagSeconds: number | null
  readonly lagIsUpperBound: boolean
  readonly lagIsLowerBound: boolean
}
export const unknownLag: Lag = { lagBytes: null, lagSeconds: null, lagIsUpperBound: false, lagIsLowerBound: false }

export type Progress = Lag & {
  /**
   * WAL written but not sent; sent but not written there; written but not flushed; flushed but not replayed. They add up to lagBytes; where a
   * position is hidden from this role its gaps are null and the bytes count as not sent.
   */
  readonly unsentBytes: bigint | null
  readonly writeGapBytes: bigint | null
  readonly flushGapBytes: bigint | null
  readonly replayGapBytes: bigint | null
  readonly sent_lsn: string | null
  readonly write_lsn: string | null
  readonly flush_lsn: string | null
  readonly replay_lsn: string | null
  /** The server whose position the lag is counted from. */
  readonly lagBehind: string | null
}

type Clock = { readonly epoch: number; readonly at: number }
type Standby = Pick<Member, 'answers' | 'pulse' | 'history' | 'receiver'>
type Primary = Pick<Member, 'id' | 'answers' | 'pulse' | 'history'>

/** What a lag is counted from: a position at a moment, and how it came about. */
type Mark = {
  readonly id: string
  readonly at: number
  readonly lsn: bigint
  readonly history: readonly LsnPoint[]
  readonly clock: Clock | null
}

const greater = (a: bigint, b: bigint) => (a > b ? a : b)
const clamped = (value: bigint, low: bigint, high: bigint) => greater(low, value < high ? value : high)

export function clockOf(member: Pick<Member, 'pulse'> | null): Clock | null {
  const row = member?.pulse?.rows[0]
  return member?.pulse && row ? { epoch: row.clock_epoch, at: member.pulse.at } : null
}

/** Positions and lag of one link. A link without a walsender never says 0: there the lag is true or null. */
export function progressOf(link: Link, root: Member | null): Progress {
  const { sender, row, standby, sure } = link
  const pulse = standby?.pulse?.rows[0] ?? null
  const theirs = positions(sure || !pulse ? row : null)
  const own = standby ? ownReplay(link, theirs.sent) : null
  const replay = greatest(theirs.replay, own)
  const mark = markOf(link, root, replay)
  if (!mark) return standby && !row ? aloneProgress(standby) : nowhere
  // The standby's word on what it received holds for its own moment: as a lower bound, not for the past.
  const received = standby?.pulse && (standby.pulse.at <= mark.at || theirs.flush === null) ? pulse?.receive_lsn : null
  const seen = { ...theirs, flush: greatest(theirs.flush, received), replay }
  if (replay === null) return seen.flush === null ? nowhere : { ...nowhere, ...chain(mark.lsn, seen, null) }
  const lag = lagBehind(mark, replay, pulse?.last_replay_epoch ?? null, stallOf(link, mark))
  const late = sender !== null && row !== null && !standby && lag.lagBytes !== 0n && silentSinceBefore(sender, row)
  return {
    ...chain(mark.lsn, seen, row ? null : 0n),
    ...lag,
    lagIsUpperBound: lag.lagIsUpperBound || (late && !lag.lagIsLowerBound),
    lagBehind: mark.id,
  }
}

/** A watched standby's lag from the servers' pulses alone; without its primary from its receiver, as far as that can tell. */
export function standbyLag(standby: Standby, primary: Primary | null): Lag {
  const own = standby.pulse?.rows[0]
  const mark = primary && standby.pulse && own?.lsn ? markAt(primary, standby.pulse.at, own.lsn, standsStill(standby)) : null
  return mark && own?.lsn ? lagBehind(mark, own.lsn, own.last_replay_epoch, null) : aloneLag(standby)
}

const nowhere: Progress = {
  ...unknownLag,
  unsentBytes: null,
  writeGapBytes: null,
  flushGapBytes: null,
  replayGapBytes: null,
  sent_lsn: null,
  write_lsn: null,
  flush_lsn: null,
  replay_lsn: null,
  lagBehind: null,
}

/**
 * What a standby had replayed when its sender was read: between its samples, and no more than had been sent to it. What it has reached by
 * its own sample, less than a tick later, counts as reached.
 */
function ownReplay({ sender, row, standby }: Link, sent: bigint | null): bigint | null {
  const newest = standby?.pulse?.rows[0]?.lsn ?? null
  const at = row ? sender?.senders?.at : undefined
  const limit = sent ?? row?.current_lsn ?? null
  if (at === undefined || newest === null || limit === null) return newest
  if (newest >= limit) return limit
  return lsnAt(standby?.history ?? [], at) ?? (row?.replay_lsn ? null : newest)
}

/** The sender's row carries the sender's own position of the same instant; any other server's has to be taken from its samples. */
function markOf({ sender, row, standby }: Link, root: Member | null, replayed: bigint | null): Mark | null {
  if (row && sender?.senders && (!root || root === sender || !root.answers)) {
    const { at } = sender.senders
    const lsn = row.current_lsn
    if (lsn === null) return null
    return {
      id: sender.id,
      at,
      lsn,
      history: [...sender.history.filter(point => point.at < at), { at, lsn }],
      clock: clockOf(sender),
    }
  }
  const at = row ? sender?.senders?.at : standby?.answers ? standby.pulse?.at : undefined
  return root && at !== undefined ? markAt(root, at, replayed, standby !== null && standsStill(standby)) : null
}

/** Replay is paused: what the primary goes on to write is not replayed by the time it is seen. */
function standsStill({ pulse }: Pick<Member, 'pulse'>): boolean {
  return is(pulse?.rows[0]?.replay_pause ?? null, 'paused')
}

/**
 * A server's position at a moment, out of its samples. For a standby that has replayed all of the sample before that moment nothing newer is
 * counted: it may have been written later, and replayed too; unless it stands still. null when the server does not answer: then where it is now is unknown.
 */
function markAt(primary: Primary, wanted: number, replayed: bigint | null, still: boolean): Mark | null {
  const { id, history } = primary
  const [first] = history
  if (!primary.answers || !first) return null
  const at = Math.max(wanted, first.at)
  const before = history.findLast(point => point.at <= at) as LsnPoint
  const between = lsnAt(history, at) as bigint
  const counted = replayed === null || replayed < before.lsn || (still && between > replayed)
  const lsn = counted ? between : replayed
  return { id, at, lsn, history, clock: clockOf(primary) }
}

/** What the sender measured, where it speaks of the WAL that the lag is counted from. A standby that we watch tells more itself. */
function stallOf({ sender, row, standby }: Link, mark: Mark): number | null {
  if (!sender || !row || standby || mark.id !== sender.id) return null
  return senderStallSeconds(row, sender.sendersBefore?.rows.find(other => other.pid === row.pid) ?? null)
}

function lagBehind(mark: Mark, replayed: bigint, lastReplayEpoch: number | null, senderStall: number | null): Lag {
  const lagBytes = greater(0n, mark.lsn - replayed)
  if (lagBytes === 0n) return { ...unknownLag, lagBytes, lagSeconds: 0 }
  const lag = lagSeconds({
    history: mark.history,
    replayLsn: replayed,
    at: mark.at,
    primaryClock: mark.clock,
    lastReplayEpoch,
    senderStall,
  })
  return {
    lagBytes,
    lagSeconds: lag?.seconds ?? null,
    lagIsUpperBound: lag?.bound === 'upper',
    lagIsLowerBound: lag?.bound === 'lower',
  }
}

type Positions = {
  readonly sent: bigint | null
  readonly write: bigint | null
  readonly flush: bigint | null
  readonly replay: bigint | null
}

function positions(row: SenderRow | null): Positions {
  return {
    sent: row?.sent_lsn ?? null,
    write: row?.write_lsn ?? null,
    flush: row?.flush_lsn ?? null,
    replay: row?.replay_lsn ?? null,
  }
}

function greatest(...values: readonly (bigint | null | undefined)[]): bigint | null {
  return values.reduce<bigint | null>(
    (best, value) => (value === null || value === undefined ? best : best === null ? value : greater(best, value)),
    null,
  )
}

/**
 * Each position at most the one before it and at least the one after it: the two ends were read at different moments, and what was sent the
 * sender knows best. A hidden position stands where the next known one does, and its gap is `hidden`.
 */
function chain(current: bigint, seen: Positions, hidden: 0n | null): Omit<Progress, keyof Lag | 'lagBehind'> {
  const complete = seen.sent !== null && seen.write !== null
  const top = complete ? clamped(seen.sent, 0n, current) : current
  const replay = clamped(seen.replay ?? 0n, 0n, top)
  const flush = clamped(seen.flush ?? replay, replay, top)
  const write = complete ? clamped(seen.write, flush, top) : flush
  const sent = complete ? top : flush
  return {
    unsentBytes: current - sent,
    writeGapBytes: complete ? sent - write : hidden,
    flushGapBytes: complete && seen.flush !== null ? write - flush : hidden,
    replayGapBytes: seen.replay === null ? null : seen.flush === null ? hidden : flush - replay,
    sent_lsn: seen.sent === null ? null : lsnText(sent),
    write_lsn: seen.write === null ? null : lsnText(write),
    flush_lsn: seen.flush === null ? null : lsnText(flush),
    replay_lsn: seen.replay === null ? null : lsnText(replay),
  }
}

/** Without the primary: what the receiver has heard of its end of WAL. Commit times and the sender's messages tell the same host's clock. */
function aloneLag(standby: Standby): Lag {
  const own = standby.pulse?.rows[0]
  const heard = standby.answers ? standby.receiver?.rows[0] : undefined
  const end = endHeard(standby)
  if (!own || own.lsn === null || !heard || end === null) return unknownLag
  const lagBytes = greater(0n, end - own.lsn)
  if (lagBytes === 0n) return { ...unknownLag, lagBytes, lagSeconds: 0 }
  const { last_msg_send_epoch: sent, last_msg_receipt_epoch: received, clock_epoch: clock } = heard
  if (sent === null || received === null || own.last_replay_epoch === null) return { ...unknownLag, lagBytes }
  return {
    ...unknownLag,
    lagBytes,
    lagSeconds: Math.max(0, sent + (clock - received) - own.last_replay_epoch),
    lagIsUpperBound: true,
  }
}

/** A link silent for longer than this is no news of the primary any more (wal_receiver_timeout's default). Seconds. */
const silentSeconds = 60

/** The sender's end of WAL as far as a streaming receiver has heard of it lately; null: no such receiver, or hidden from this role. */
function endHeard(standby: Standby): bigint | null {
  const heard = standby.receiver?.rows[0]
  if (!heard || !is(heard.status, 'streaming') || heard.last_msg_receipt_epoch === null) return null
  if (heard.clock_epoch - heard.last_msg_receipt_epoch > silentSeconds) return null
  return greatest(heard.latest_end_lsn, standby.pulse?.rows[0]?.receive_lsn)
}

function aloneProgress(standby: Member): Progress {
  const own = standby.pulse?.rows[0]
  const lag = aloneLag(standby)
  const seen = { sent: null, write: null, flush: own?.receive_lsn ?? null, replay: own?.lsn ?? null }
  const known = chain(endHeard(standby) ?? greatest(seen.flush, seen.replay) ?? 0n, seen, null)
  return lag.lagBytes === null
    ? { ...nowhere, flush_lsn: known.flush_lsn, replay_lsn: known.replay_lsn }
    : { ...known, ...lag, lagBehind: null }
}

/** Nothing was heard from this walsender's standby between the last two samples: its positions may be older than they look. */
function silentSinceBefore(sender: Member, row: SenderRow): boolean {
  const before = sender.sendersBefore?.rows.find(other => other.pid === row.pid)
  return before !== undefined && before.reply_epoch !== null && before.reply_epoch === row.reply_epoch
}

/**
 * Seconds since a standby's last word to its sender. reply_time is the standby's clock: where we watch it, the difference of the clocks is
 * taken out. Elsewhere a word between two samples bounds the age; what is beyond the sender's timeout can only be a wrong clock: null.
 */
export function replyAgeSeconds({ sender, row, standby }: Link): number | null {
  if (!sender?.senders || !row || row.reply_epoch === null) return null
  const age = row.clock_epoch - row.reply_epoch
  const skew = standby?.answers ? clockSkewSeconds(clockOf(standby), clockOf(sender)) : null
  if (skew !== null) return Math.max(0, age + skew)
  const before = sender.sendersBefore?.rows.find(other => other.pid === row.pid)
  if (before && sender.sendersBefore && before.reply_epoch !== row.reply_epoch) {
    return Math.min(Math.max(0, age), (sender.senders.at - sender.sendersBefore.at) / 1000)
  }
  const timeout = sender.settings?.senderTimeoutMs ?? 60_000
  return age < 0 || (timeout > 0 && age > timeout / 1000 + 5) ? null : age
}
