// How far a standby is behind, in seconds that are true: from the moment at which the primary's own WAL passed the standby's position,
// all on our clock. The servers' lag columns stand still while replay does, and grow on an idle primary; clocks of two hosts are never
// subtracted from each other.

/** A WAL position and our clock in epoch ms when it was read. */
export type LsnPoint = { readonly at: number; readonly lsn: bigint }

/** `upper`: at most so many seconds. `lower`: at least so many. */
export type Lag = { readonly seconds: number; readonly bound: 'exact' | 'upper' | 'lower' }

export type LagInput = {
  /** Positions of the primary, oldest first. */
  readonly history: readonly LsnPoint[]
  /** What the standby had replayed at the moment `at` (our clock, epoch ms). */
  readonly replayLsn: bigint
  readonly at: number
  /** The primary's clock in epoch seconds, as read at our `at`; null when it is not known. */
  readonly primaryClock: { readonly epoch: number; readonly at: number } | null
  /** pg_last_xact_replay_timestamp in epoch seconds: by the PRIMARY's clock, so it compares with no other. */
  readonly lastReplayEpoch: number | null
  /** What the sender itself has measured of a stall (senderStallSeconds); null: nothing that can be relied on. */
  readonly senderStall: number | null
}

/** Between two samples further apart than this, a line says too little of when a position was passed. Milliseconds. */
const longestStepMs = 5000
/** "At least 0.2 s" of what may be an hour is worse than no figure. Seconds. */
const leastBound = 5

/**
 * Seconds since the primary passed the replayed position; 0 when it has written nothing beyond it. null when nothing is known of the primary, or
 * too little: a lower bound of a few seconds.
 *
 * A position older than the whole history gives a lower bound, and what the sender measured of the stall a better one; the commit time of the
 * last replayed transaction gives an upper one (it overstates by the time the primary was idle before).
 */
export function lagSeconds(input: LagInput): Lag | null {
  const { history, replayLsn, at } = input
  if (history.length === 0) return null
  const index = history.findIndex(point => point.lsn > replayLsn)
  if (index < 0) return { seconds: 0, bound: 'exact' }
  const after = history[index] as LsnPoint
  const before = history[index - 1]
  const atLeast = Math.max(0, at - after.at) / 1000
  const atMost = sinceLastReplay(input)
  if (!before) {
    if (input.senderStall !== null) {
      return { seconds: Math.max(atLeast, Math.min(input.senderStall, atMost ?? input.senderStall)), bound: 'lower' }
    }
    if (atMost !== null) return { seconds: Math.max(atLeast, atMost), bound: 'upper' }
    return atLeast >= leastBound ? { seconds: atLeast, bound: 'lower' } : null
  }
  // Written between the two samples; at the very end of what was there before, the next byte can't be placed between them.
  if (after.at - before.at > longestStepMs) {
    const sinceBefore = Math.max(0, at - before.at) / 1000
    return { seconds: Math.max(atLeast, Math.min(sinceBefore, atMost ?? sinceBefore)), bound: 'upper' }
  }
  const passedAt = replayLsn === before.lsn ? after.at : between(before, after, replayLsn)
  const passed = Math.max(0, at - passedAt) / 1000
  return { seconds: Math.max(atLeast, Math.min(passed, atMost ?? passed)), bound: 'exact' }
}

/** One standby as its walsender told of it: pg_stat_replication's replay_lsn and replay_lag. */
export type SenderWord = { readonly replay_lsn: bigint | null; readonly replayLagSeconds: number | null }

/**
 * A stall as the sender measures it, at most one of the standby's replies old: replay_lag, when it has grown between two samples while
 * replay_lsn stood still. A replay_lag that stands still too may be left over from another position: null.
 */
export function senderStallSeconds(now: SenderWord, before: SenderWord | null): number | null {
  if (before === null || now.replay_lsn === null || now.replay_lsn !== before.replay_lsn) return null
  if (now.replayLagSeconds === null || before.replayLagSeconds === null) return null
  return now.replayLagSeconds > before.replayLagSeconds ? now.replayLagSeconds : null
}

function between(before: LsnPoint, after: LsnPoint, lsn: bigint): number {
  return before.at + (Number(lsn - before.lsn) / Number(after.lsn - before.lsn)) * (after.at - before.at)
}

function sinceLastReplay({ primaryClock, lastReplayEpoch, at }: LagInput): number | null {
  if (!primaryClock || lastReplayEpoch === null) return null
  return Math.max(0, primaryClock.epoch + (at - primaryClock.at) / 1000 - lastReplayEpoch)
}

/**
 * The position at a moment (epoch ms), on a line between the samples around it. After the newest sample: the newest, which is a lower bound.
 * null before the first sample, and without any.
 */
export function lsnAt(history: readonly LsnPoint[], at: number): bigint | null {
  const index = history.findLastIndex(point => point.at <= at)
  const before = history[index]
  if (!before) return null
  const after = history[index + 1]
  if (!after || after.lsn <= before.lsn) return before.lsn
  const share = Math.round(((at - before.at) / (after.at - before.at)) * 1_000_000)
  return before.lsn + ((after.lsn - before.lsn) * BigInt(share)) / 1_000_000n
}

/**
 * Seconds by which one server's clock is ahead of another's, each compared with ours at the middle of its own round trip. null when
 * either is not known.
 */
export function clockSkewSeconds(
  server: { readonly epoch: number; readonly at: number } | null,
  reference: { readonly epoch: number; readonly at: number } | null,
): number | null {
  if (!server || !reference) return null
  return Math.round((server.epoch - server.at / 1000 - (reference.epoch - reference.at / 1000)) * 10) / 10
}
