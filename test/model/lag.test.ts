import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { clockSkewSeconds, type LagInput, type LsnPoint, lagSeconds, lsnAt, senderStallSeconds } from '../../src/model/lag.ts'
import { standbyLag } from '../../src/model/positions.ts'
import { untrusted } from '../../src/model/untrusted.ts'

const start = 1_800_000_000_000
/** A primary that writes `rate` bytes a second, sampled each second for `seconds`, then idle for `idle` seconds. */
function ring(seconds: number, rate: number, idle = 0): LsnPoint[] {
  return Array.from({ length: seconds + idle + 1 }, (_, i) => ({
    at: start + i * 1000,
    lsn: 1_000_000n + BigInt(Math.min(i, seconds) * rate),
  }))
}
const ask = (history: readonly LsnPoint[], replayLsn: bigint, at: number, more: Partial<LagInput> = {}) =>
  lagSeconds({ history, replayLsn, at, primaryClock: null, lastReplayEpoch: null, senderStall: null, ...more })

describe('lagSeconds', () => {
  test.each([5, 12, 25])('replay paused for %i s under load', paused => {
    const history = ring(40, 1_000_000)
    const at = start + 40_000
    const lag = ask(history, 1_000_000n + BigInt((40 - paused) * 1_000_000 + 1), at)
    expect(lag?.bound).toBe('exact')
    expect(lag?.seconds).toBeCloseTo(paused, 3)
  })

  test('a position between two samples is placed between them, never outside', () => {
    const history = ring(3, 1000)
    expect(ask(history, 1_000_250n, start + 3000)?.seconds).toBeCloseTo(2.75)
    expect(ask(history, 1_000_999n, start + 3000)?.seconds).toBeCloseTo(2.001)
    // At the very end of what was there: the next byte came somewhere in the step, at the latest with the sample that shows it.
    expect(ask(history, 1_001_000n, start + 3000)?.seconds).toBeCloseTo(1)
  })

  test('an idle primary is 0 behind however long ago the last transaction was', () => {
    const history = ring(3, 1000, 30)
    const at = start + 33_000
    expect(ask(history, 1_003_000n, at, { primaryClock: { epoch: 900, at }, lastReplayEpoch: 870 })).toEqual({
      seconds: 0,
      bound: 'exact',
    })
  })

  test('a stall that begins after idleness does not start at the idle time', () => {
    const history = [...ring(3, 1000, 30), { at: start + 34_000, lsn: 1_004_000n }]
    const at = start + 34_000
    expect(ask(history, 1_003_000n, at, { primaryClock: { epoch: 900, at }, lastReplayEpoch: 869 })?.seconds).toBe(0)
    expect(ask(history, 1_003_000n, at + 1000, { primaryClock: { epoch: 900, at }, lastReplayEpoch: 869 })?.seconds).toBe(1)
  })

  test('older than all samples: the commit time of the last replayed transaction bounds it from above', () => {
    const history = ring(1, 1000)
    const at = start + 1000
    // The clock was read half a second before `at`.
    const primaryClock = { epoch: 5000, at: at - 500 }
    expect(ask(history, 999_000n, at, { primaryClock, lastReplayEpoch: 4988 })).toEqual({ seconds: 12.5, bound: 'upper' })
    // A clock that was set back can't make it less than what we saw with our own eyes.
    expect(ask(history, 999_000n, at, { primaryClock, lastReplayEpoch: 6000 })).toEqual({ seconds: 1, bound: 'upper' })
  })

  test('older than all samples: what the sender measured of the stall is the least, whatever a commit time allows', () => {
    const history = ring(1, 1000)
    const at = start + 1000
    expect(ask(history, 999_000n, at, { senderStall: 24.9 })).toEqual({ seconds: 24.9, bound: 'lower' })
    const primaryClock = { epoch: 5000, at }
    expect(ask(history, 999_000n, at, { senderStall: 24.9, primaryClock, lastReplayEpoch: 4945 })?.seconds).toBe(24.9)
    expect(ask(history, 999_000n, at, { senderStall: 0.2 })?.seconds).toBe(1)
  })

  test('older than all samples and no commit time: at least so many, or nothing while that says too little', () => {
    expect(ask(ring(1, 1000), 999_000n, start + 1000)).toBeNull()
    expect(ask(ring(1, 1000), 999_000n, start + 42_000)).toEqual({ seconds: 42, bound: 'lower' })
  })

  test('first sample after the start', () => {
    const [first] = ring(1, 1000)
    expect(ask([first as LsnPoint], 1_000_000n, start)).toEqual({ seconds: 0, bound: 'exact' })
    expect(ask([], 1_000_000n, start)).toBeNull()
  })

  test('after a gap in the samples the figure is an upper bound, not a guess', () => {
    const history = [
      { at: start, lsn: 1000n },
      { at: start + 600_000, lsn: 9000n },
    ]
    expect(ask(history, 5000n, start + 601_000)).toEqual({ seconds: 601, bound: 'upper' })
    const primaryClock = { epoch: 5000, at: start + 601_000 }
    expect(ask(history, 5000n, start + 601_000, { primaryClock, lastReplayEpoch: 4980 })).toEqual({ seconds: 20, bound: 'upper' })
  })

  test('never negative, never more than since the first sample, and no more for a later position', () => {
    const points = fc.array(fc.record({ step: fc.integer({ min: 1, max: 4000 }), bytes: fc.bigInt(0n, 1_000_000n) }), {
      minLength: 1,
      maxLength: 30,
    })
    fc.assert(
      fc.property(points, fc.bigInt(0n, 1_000_000n), fc.bigInt(0n, 1_000_000n), (steps, first, more) => {
        const history: LsnPoint[] = []
        for (const { step, bytes } of steps) {
          const last = history.at(-1) ?? { at: start, lsn: 0n }
          history.push({ at: last.at + step, lsn: last.lsn + bytes })
        }
        const at = history.at(-1)!.at
        const lag = ask(history, history[0]!.lsn + first, at)!
        const later = ask(history, history[0]!.lsn + first + more, at)!
        // At a sample's own position the step after it counts as not begun, hence the 4 s.
        expect(later.seconds).toBeLessThanOrEqual(lag.seconds + 4)
        expect(later.seconds).toBeGreaterThanOrEqual(0)
        expect(lag.seconds).toBeLessThanOrEqual((at - history[0]!.at) / 1000)
      }),
    )
  })
})

test('lsnAt: on the line between samples, the newest after them, nothing before them', () => {
  const history = ring(2, 1000)
  expect(lsnAt(history, start - 1)).toBeNull()
  expect(lsnAt(history, start)).toBe(1_000_000n)
  expect(lsnAt(history, start + 500)).toBe(1_000_500n)
  expect(lsnAt(history, start + 9000)).toBe(1_002_000n)
  expect(lsnAt([], start)).toBeNull()
  // Beyond 2^53 to the last byte.
  const far = 0xffff_0000_0000_0000n
  expect(
    lsnAt(
      [
        { at: 0, lsn: far },
        { at: 1000, lsn: far + 7n },
      ],
      1000,
    ),
  ).toBe(far + 7n)
})

test('clock skew compares each clock with ours at its own moment', () => {
  expect(clockSkewSeconds({ epoch: 1300.04, at: 1_000_000 }, { epoch: 990, at: 990_000 })).toBe(300)
  expect(clockSkewSeconds({ epoch: 700, at: 1_000_000 }, { epoch: 990, at: 990_000 })).toBe(-300)
  expect(clockSkewSeconds(null, { epoch: 990, at: 990_000 })).toBeNull()
})

test('a stall is what the sender measures while it grows at one position; else it is left over', () => {
  const word = (replay_lsn: bigint | null, replayLagSeconds: number | null) => ({ replay_lsn, replayLagSeconds })
  expect(senderStallSeconds(word(7n, 12.1), word(7n, 11.1))).toBe(12.1)
  expect(senderStallSeconds(word(7n, 12.1), null)).toBeNull()
  expect(senderStallSeconds(word(7n, 12.1), word(7n, 12.1))).toBeNull()
  expect(senderStallSeconds(word(8n, 12.1), word(7n, 11.1))).toBeNull()
  expect(senderStallSeconds(word(7n, 12.1), word(7n, null))).toBeNull()
  expect(senderStallSeconds(word(null, 12.1), word(null, 11.1))).toBeNull()
})

describe('a standby whose replay is paused right after a sample of its primary', () => {
  const history = [
    { at: 1000, lsn: 100n },
    { at: 3000, lsn: 2100n },
  ]
  const primary = { id: 'p', answers: true, history, pulse: null }
  const lagOf = (replay_pause: string) =>
    standbyLag(
      {
        answers: true,
        history: [],
        receiver: null,
        pulse: { at: 2000, rows: [{ lsn: 300n, last_replay_epoch: null, replay_pause: untrusted(replay_pause) }] },
      } as unknown as Parameters<typeof standbyLag>[0],
      primary as unknown as Parameters<typeof standbyLag>[1],
    )

  test('is behind by what the primary has written since, as its next sample tells', () => {
    expect(lagOf('paused')).toMatchObject({ lagBytes: 800n, lagIsUpperBound: false })
    expect(lagOf('paused').lagSeconds).toBeCloseTo(0.8)
  })

  test('where replay goes on that may have been written and replayed later: nothing is claimed', () => {
    for (const word of ['not paused', 'pause requested']) expect(lagOf(word)).toMatchObject({ lagBytes: 0n, lagSeconds: 0 })
  })
})
