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

export function freedBy(endings: readonly Ending[], waits: readonly LockWait[]): Freed {
  const ending = new Set(endings.map(({ pid, gid }) => nodeId(pid, gid)))
  const waiters = waits.filter(row => row.pid !== 0 && row.blockedBy.length > 0)
  const byId = new Map(waiters.map(row => [nodeId(row.pid, null), row]))
  const heldUp = new Map<string, LockWait>()
  for (let grew = true; grew; ) {
    grew = false
    for (const [id, row] of byId) {
      if (heldUp.has(id) || ending.has(id)) continue
      if (!blockers(row).some(blocker => ending.has(blocker) || heldUp.has(blocker))) continue
      heldUp.set(id, row)
      grew = true
    }
  }
  /** What it waits for afterwards. Behind the head of a queue for a row it takes that one's place, and waits for what it had waited for. */
  const rest = (row: LockWait): readonly string[] => {
    const own = blockers(row)
    const inherited = is(row.locktype, 'tuple')
      ? own.flatMap(id => (ending.has(id) && byId.has(id) ? blockers(byId.get(id)!) : []))
      : []
    return [...new Set([...own, ...inherited])].filter(id => !ending.has(id))
  }
  const left = new Map([...heldUp].map(([id, row]) => [id, rest(row)]))
  const outside = (id: string) => !heldUp.has(id)
  const stays = new Set<string>()
  for (let grew = true; grew; ) {
    grew = false
    for (const [id, others] of left) {
      if (stays.has(id) || !others.some(other => outside(other) || stays.has(other))) continue
      stays.add(id)
      grew = true
    }
  }
  const first = new Set([...left].filter(([, others]) => others.length === 0).map(([id]) => id))
  const queued = [...left].filter(([id]) => !stays.has(id) && !first.has(id))
  const waitSeconds = [...heldUp.values()].flatMap(row => (row.waitSeconds === null ? [] : [row.waitSeconds]))
  const pids = (ids: readonly string[]) => [...new Set(ids.map(id => (id.startsWith('0:') ? 0 : Number(id))))]
  return {
    heldUp: heldUp.size,
    longestWaitSeconds: waitSeconds.length > 0 ? Math.max(...waitSeconds) : null,
    atOnce: first.size,
    queued: queued.length,
    queuedBehind: pids(queued.flatMap(([, others]) => others.filter(id => first.has(id)))),
    stay: stays.size,
    stayBehind: pids([...stays].flatMap(id => left.get(id)!.filter(outside))),
  }
}

/** By the names of the wait forest's nodes: prepared transactions are told apart by gid. */
function blockers(row: LockWait): readonly string[] {
  return [
    ...row.blockedBy.filter(pid => pid !== 0).map(pid => nodeId(pid, null)),
    ...row.blockedByGids.map(gid => nodeId(0, gid)),
  ]
}
