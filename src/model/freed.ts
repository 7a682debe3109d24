// Whom the end of sessions or of a prepared transaction frees, out of the wait forest as it is now.

import { type LockWait, nodeId } from './locks.ts'
import { is, type Untrusted } from './untrusted.ts'

/** `gid` null: a session. */
export type Ending = { readonly pid: number; readonly gid: Untrusted | null }

/** Sessions held up by what ends, directly or through others. */
export type Freed = {
  readonly heldUp: number
  /** How long the one that has waited longest waits; null when nobody does, or it isn't known. */
  readonly longestWaitSeconds: number | null
  /** Of them: those that go on at once. */
  readonly atOnce: number
  /** Those that then wait for others that this frees, and for whom (pids, those freed at once). */
  readonly queued: number
  readonly queuedBehind: readonly number[]
  /** Those that somebody else holds up as well, and by whom (pids; 0: a prepared transaction). */
  readonly stay: number
  readonly stayBehind: readonly number[]
}

/** Who waits for whom: nodes by number, those that wait first. */
type Graph = {
  readonly waiters: readonly LockWait[]
  readonly numberOf: ReadonlyMap<string, number>
  readonly pids: readonly number[]
  /** Of each waiter, those that it waits for; and of each node, the waiters that wait for it. */
  readonly blockers: readonly (readonly number[])[]
  readonly waitedForBy: readonly (readonly number[])[]
}

// A question that is open asks again with every key, and several are held up by thousands.
const graphs = new WeakMap<readonly LockWait[], Graph>()
const known = new WeakMap<readonly LockWait[], Map<string, Freed>>()

export function freedBy(endings: readonly Ending[], waits: readonly LockWait[]): Freed {
  const results = known.get(waits) ?? new Map<string, Freed>()
  known.set(waits, results)
  const ids = endings.map(({ pid, gid }) => nodeId(pid, gid))
  const key = ids.join('\n')
  const freed = results.get(key) ?? compute(ids, graphOf(waits))
  results.set(key, freed)
  return freed
}

function compute(ids: readonly string[], graph: Graph): Freed {
  const { waiters, numberOf, pids, blockers, waitedForBy } = graph
  const ending = new Set(ids.flatMap(id => numberOf.get(id) ?? []))
  const heldUp = reach(ending, node => (waitedForBy[node] ?? []).filter(waiter => !ending.has(waiter)))
  const left = new Map(
    [...heldUp].map(waiter => {
      const own = blockers[waiter] ?? []
      // Behind the head of a queue for a row it takes that one's place, and waits for what that one had waited for.
      const heads = is(waiters[waiter]!.locktype, 'tuple') ? own.filter(node => ending.has(node)) : []
      const others = new Set([...own, ...heads.flatMap(head => blockers[head] ?? [])])
      return [waiter, [...others].filter(node => !ending.has(node) && node !== waiter)] as const
    }),
  )
  const outside = (node: number) => !heldUp.has(node)
  const waitingOn = new Map<number, number[]>()
  for (const [waiter, others] of left) {
    for (const node of others) {
      const those = waitingOn.get(node)
      if (those) those.push(waiter)
      else waitingOn.set(node, [waiter])
    }
  }
  const stays = reach([...waitingOn.keys()].filter(outside), node => waitingOn.get(node) ?? [])
  const first = new Set([...left].flatMap(([waiter, others]) => (others.length === 0 ? [waiter] : [])))
  const queued = [...left].filter(([waiter]) => !stays.has(waiter) && !first.has(waiter))
  const told = (nodes: Iterable<number>) => [...new Set([...nodes].map(node => pids[node]!))]
  const behind = new Set<number>()
  for (const [, others] of queued) for (const node of others) if (first.has(node)) behind.add(node)
  let longestWaitSeconds: number | null = null
  for (const waiter of heldUp) {
    const { waitSeconds } = waiters[waiter]!
    if (waitSeconds !== null && waitSeconds > (longestWaitSeconds ?? -1)) longestWaitSeconds = waitSeconds
  }
  return {
    heldUp: heldUp.size,
    longestWaitSeconds,
    atOnce: first.size,
    queued: queued.length,
    queuedBehind: told(behind),
    stay: stays.size,
    stayBehind: told([...waitingOn.keys()].filter(outside)),
  }
}

/** All that can be reached from some nodes, without these. */
function reach(from: Iterable<number>, next: (node: number) => readonly number[]): ReadonlySet<number> {
  const found = new Set<number>()
  const open = [...from]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    for (const other of next(node)) {
      if (found.has(other)) continue
      found.add(other)
      open.push(other)
    }
  }
  return found
}

function graphOf(waits: readonly LockWait[]): Graph {
  const built = graphs.get(waits)
  if (built) return built
  const waiters = waits.filter(row => row.pid !== 0 && row.blockedBy.length > 0)
  const numberOf = new Map<string, number>()
  const pids: number[] = []
  const node = (pid: number, gid: Untrusted | null) => {
    const id = nodeId(pid, gid)
    const number = numberOf.get(id) ?? pids.length
    if (number === pids.length) {
      numberOf.set(id, number)
      pids.push(pid)
    }
    return number
  }
  for (const row of waiters) node(row.pid, null)
  // Prepared transactions, 0 among the pids, are told apart by gid.
  const blockers = waiters.map(row => [
    ...row.blockedBy.filter(pid => pid !== 0).map(pid => node(pid, null)),
    ...row.blockedByGids.map(gid => node(0, gid)),
  ])
  const waitedForBy: number[][] = pids.map(() => [])
  for (const [waiter, those] of blockers.entries()) for (const blocker of those) waitedForBy[blocker]!.push(waiter)
  const graph = { waiters, numberOf, pids, blockers, waitedForBy }
  graphs.set(waits, graph)
  return graph
}
