// Whom the end of a session or of a prepared transaction frees, out of the wait forest as it is now.

import type { LockWait } from './locks.ts'
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

/** Prepared transactions are told apart by gid, but a waiter only says that it waits for one: with several it is said to stay. */
export function freedBy(endings: readonly Ending[], waits: readonly LockWait[]): Freed {
  const ending = new Set(endings.map(({ pid }) => pid))
  const survives = (pid: number) => !ending.has(pid) || (pid === 0 && otherPrepared(endings, waits))
  const waiters = waits.filter(row => row.pid !== 0 && row.blockedBy.length > 0)
  const heldUp = new Map<number, LockWait>()
  for (let grew = true; grew; ) {
    grew = false
    for (const row of waiters) {
      if (heldUp.has(row.pid) || ending.has(row.pid)) continue
      if (!row.blockedBy.some(pid => ending.has(pid) || heldUp.has(pid))) continue
      heldUp.set(row.pid, row)
      grew = true
    }
  }
  const rest = (row: LockWait) => row.blockedBy.filter(survives)
  const outside = (pid: number) => !heldUp.has(pid)
  const stays = new Set<number>()
  for (let grew = true; grew; ) {
    grew = false
    for (const row of heldUp.values()) {
      if (stays.has(row.pid) || !rest(row).some(pid => outside(pid) || stays.has(pid))) continue
      stays.add(row.pid)
      grew = true
    }
  }
  const atOnce = [...heldUp.values()].filter(row => rest(row).length === 0)
  const first = new Set(atOnce.map(({ pid }) => pid))
  const queued = [...heldUp.values()].filter(row => !stays.has(row.pid) && !first.has(row.pid))
  const waitSeconds = [...heldUp.values()].flatMap(row => (row.waitSeconds === null ? [] : [row.waitSeconds]))
  return {
    heldUp: heldUp.size,
    longestWaitSeconds: waitSeconds.length > 0 ? Math.max(...waitSeconds) : null,
    atOnce: atOnce.length,
    queued: queued.length,
    queuedBehind: [...new Set(queued.flatMap(rest).filter(pid => first.has(pid)))],
    stay: stays.size,
    stayBehind: [...new Set([...stays].flatMap(pid => rest(heldUp.get(pid)!)).filter(outside))],
  }
}

function otherPrepared(endings: readonly Ending[], waits: readonly LockWait[]): boolean {
  return waits.some(
    row => row.pid === 0 && !endings.some(({ gid }) => gid !== null && row.gid !== null && is(gid, row.gid as unknown as string)),
  )
}
