// Whom the end of a session frees: by example, and against what would happen if it ended.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Ending, freedBy } from '../../src/model/freed.ts'
import type { LockWait } from '../../src/model/locks.ts'
import { untrusted } from '../../src/model/untrusted.ts'

/** A row of the forest as far as it counts here: who waits, for whom, for how long. */
const row = (
  pid: number,
  blockedBy: readonly number[] = [],
  waitSeconds: number | null = null,
  gid: string | null = null,
  blockedByGids: readonly string[] = blockedBy.includes(0) ? ['one'] : [],
) => ({ pid, blockedBy, blockedByGids, waitSeconds, gid, locktype: null }) as unknown as LockWait

const session = (pid: number): Ending => ({ pid, gid: null })
const prepared = (gid: string): Ending => ({ pid: 0, gid: untrusted(gid) })
const nobody = {
  heldUp: 0,
  longestWaitSeconds: null,
  atOnce: 0,
  queued: 0,
  queuedBehind: [],
  stay: 0,
  stayBehind: [],
}

describe('by example', () => {
  test('nobody waits for it', () => {
    expect(freedBy([session(1)], [])).toEqual(nobody)
    expect(freedBy([session(1)], [row(2, [3], 5), row(3)])).toEqual(nobody)
  })

  test('those that wait for it alone go on at once, and the one that has waited longest is told', () => {
    expect(freedBy([session(1)], [row(1), row(2, [1], 7), row(3, [1], 252), row(4, [1], null)])).toEqual({
      ...nobody,
      heldUp: 3,
      longestWaitSeconds: 252,
      atOnce: 3,
    })
  })

  test('a chain goes on one after the other: the first at once, the rest behind it', () => {
    expect(freedBy([session(1)], [row(1), row(2, [1], 9), row(3, [2], 8), row(4, [3], 7)])).toEqual({
      ...nobody,
      heldUp: 3,
      longestWaitSeconds: 9,
      atOnce: 1,
      queued: 2,
      queuedBehind: [2],
    })
  })

  test('in the queue of one lock whoever also waits for those before it comes after them', () => {
    expect(freedBy([session(1)], [row(1), row(2, [1], 3), row(3, [1, 2], 2), row(4, [1, 2, 3], 1)])).toMatchObject({
      heldUp: 3,
      atOnce: 1,
      queued: 2,
      queuedBehind: [2],
      stay: 0,
    })
  })

  test('who is held up by somebody else as well stays, and so do those behind it; the other is named', () => {
    expect(freedBy([session(1)], [row(1), row(9), row(2, [1], 4), row(3, [1, 9], 3), row(4, [3], 2)])).toEqual({
      ...nobody,
      heldUp: 3,
      longestWaitSeconds: 4,
      atOnce: 1,
      stay: 2,
      stayBehind: [9],
    })
  })

  test('ending one in the middle frees only those that wait for it alone', () => {
    const waits = [row(1), row(2, [1], 9), row(3, [2], 8), row(4, [1, 2], 7)]
    expect(freedBy([session(2)], waits)).toMatchObject({ heldUp: 2, atOnce: 1, stay: 1, stayBehind: [1] })
  })

  test('a set: what waits for any of them, and those of the set are not counted', () => {
    const waits = [row(1), row(2, [1], 9), row(3, [2], 8), row(4, [1, 2], 7), row(5, [1], 6)]
    expect(freedBy([session(1), session(2)], waits)).toMatchObject({ heldUp: 3, longestWaitSeconds: 8, atOnce: 3, stay: 0 })
  })

  test('a prepared transaction, told from others by its gid', () => {
    const waits = [row(0, [], null, 'one'), row(0, [], null, 'two'), row(7, [0], 5), row(8, [0], 5, null, ['two'])]
    expect(freedBy([prepared('one')], waits)).toMatchObject({ heldUp: 1, atOnce: 1, stay: 0 })
    const both = [...waits, row(9, [0], 5, null, ['one', 'two'])]
    expect(freedBy([prepared('one')], both)).toMatchObject({ heldUp: 2, atOnce: 1, stay: 1, stayBehind: [0] })
  })

  test('behind the head of the queue for a row its successor waits for the holder', () => {
    const tuple = (pid: number, blockedBy: readonly number[]) => ({ ...row(pid, blockedBy, 5), locktype: untrusted('tuple') })
    const waits = [row(1), row(2, [1], 9), tuple(3, [2]), tuple(4, [2, 3])]
    expect(freedBy([session(2)], waits)).toMatchObject({ heldUp: 2, atOnce: 0, queued: 0, stay: 2, stayBehind: [1] })
    expect(freedBy([session(1)], waits)).toMatchObject({ heldUp: 3, atOnce: 1, queued: 2, queuedBehind: [2] })
  })

  test('ending a session never takes a prepared transaction for it', () => {
    expect(freedBy([session(1)], [row(1), row(0, [], null, 'one'), row(7, [0, 1], 5)])).toMatchObject({
      heldUp: 1,
      stay: 1,
      stayBehind: [0],
    })
  })

  test('a ring behind it is counted once and comes to an end', () => {
    const freed = freedBy([session(1)], [row(1), row(2, [1, 3], 5), row(3, [2], 4)])
    expect(freed).toMatchObject({ heldUp: 2, atOnce: 0 })
    expect(freed.queued + freed.stay).toBe(2)
  })
})

/** Sessions 1..n, each waiting for some of those with smaller numbers; 0 is one prepared transaction, which waits for nobody. */
const graph = fc
  .integer({ min: 1, max: 9 })
  .chain(n =>
    fc.record({
      waits: fc.tuple(
        ...Array.from({ length: n }, (_, i) => fc.subarray(Array.from({ length: i + 1 }, (_, j) => j))),
      ) as fc.Arbitrary<number[][]>,
      ending: fc.subarray(
        Array.from({ length: n + 1 }, (_, i) => i),
        { minLength: 1 },
      ),
    }),
  )
  .map(({ waits, ending }) => ({
    rows: [row(0, [], null, 'one'), ...waits.map((blockedBy, i) => row(i + 1, blockedBy, blockedBy.length > 0 ? i + 1 : null))],
    ending,
  }))

/** Ends them and lets everything go on, round by round: who waits for nobody any more finishes, and is waited for no longer. */
function simulated(rows: readonly LockWait[], ending: readonly number[]) {
  const waitsFor = new Map(rows.map(({ pid, blockedBy }) => [pid, new Set(blockedBy)]))
  const behind = (pid: number): number[] => rows.filter(({ blockedBy }) => blockedBy.includes(pid)).map(other => other.pid)
  const heldUp = new Set<number>()
  const visit = (pid: number) => {
    for (const other of behind(pid)) {
      if (ending.includes(other) || heldUp.has(other)) continue
      heldUp.add(other)
      visit(other)
    }
  }
  for (const pid of ending) visit(pid)
  // Whoever is not behind what ends is taken to stay as it is.
  const rounds: number[][] = []
  let gone = new Set(ending)
  for (;;) {
    const next = [...heldUp].filter(pid => !gone.has(pid) && [...waitsFor.get(pid)!].every(other => gone.has(other)))
    if (next.length === 0) break
    rounds.push(next)
    gone = new Set([...gone, ...next])
  }
  const [atOnce = []] = rounds
  const queued = rounds.slice(1).flat()
  const stay = [...heldUp].filter(pid => !gone.has(pid))
  const sorted = (pids: Iterable<number>) => [...new Set(pids)].sort((a, b) => a - b)
  const waitedFor = (pid: number) => [...waitsFor.get(pid)!].filter(other => !ending.includes(other))
  return {
    heldUp: heldUp.size,
    longestWaitSeconds: heldUp.size === 0 ? null : Math.max(...heldUp),
    atOnce: atOnce.length,
    queued: queued.length,
    queuedBehind: sorted(queued.flatMap(waitedFor).filter(pid => atOnce.includes(pid))),
    stay: stay.length,
    stayBehind: sorted(stay.flatMap(waitedFor).filter(pid => !heldUp.has(pid))),
  }
}

test('is what happens when they end and the rest goes on, whoever waits for whom', () => {
  fc.assert(
    fc.property(graph, ({ rows, ending }) => {
      const freed = freedBy(
        ending.map(pid => (pid === 0 ? prepared('one') : session(pid))),
        rows,
      )
      const sorted = (pids: readonly number[]) => [...pids].sort((a, b) => a - b)
      expect({ ...freed, queuedBehind: sorted(freed.queuedBehind), stayBehind: sorted(freed.stayBehind) }).toEqual(
        simulated(rows, ending),
      )
    }),
    { numRuns: 2000 },
  )
})

test('any graph, rings too: everybody held up goes on at once, later or not at all', () => {
  const anyGraph = fc.integer({ min: 1, max: 7 }).chain(n => {
    const pids = Array.from({ length: n }, (_, i) => i + 1)
    return fc.record({
      waits: fc.array(fc.subarray([0, ...pids]), { minLength: n, maxLength: n }),
      ending: fc.subarray(pids, { minLength: 1 }),
    })
  })
  fc.assert(
    fc.property(anyGraph, ({ waits, ending }) => {
      const rows = waits.map((blockedBy, i) =>
        row(
          i + 1,
          blockedBy.filter(pid => pid !== i + 1),
          1,
        ),
      )
      const freed = freedBy(ending.map(session), rows)
      expect(freed.atOnce + freed.queued + freed.stay).toBe(freed.heldUp)
      expect(freed.heldUp).toBeLessThanOrEqual(rows.length - ending.length)
    }),
    { numRuns: 1000 },
  )
})
