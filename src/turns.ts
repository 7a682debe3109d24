// When each query of a server is asked again: by its pace, once it was asked, and not for a while after it has met a lock.

import type { Query } from './sql/query.ts'
import type { Want } from './store/state.ts'

export type Turns = {
  /** Whether its time has come. */
  due(want: Want): boolean
  /** True when it is due, and then it counts as asked. */
  take(want: Want): boolean
  /** It has been asked before, with these values. */
  asked(want: Want): boolean
  /** It counts as asked now. */
  began(want: Want): void
  /** It has waited for a lock in vain. */
  metLock(want: Want): void
  /** All of it is due again. `anew`: on a new session, where nobody has met a lock yet. */
  forget(anew?: boolean): void
}

/** Each row whose detail was opened is a want of its own: they are not kept for ever. */
const rememberedWants = 500
/** What has waited for a lock in vain is not asked again for so long: what needs no lock must not wait behind it at each tick. Milliseconds. */
const lockedPauseMs = 2000

export const withoutValues = (query: Query): Want => ({ query, params: [] })

const keyOf = ({ query, params }: Want) => `${query.id} ${params.join(' ')}`

export function createTurns(intervalMs: () => number): Turns {
  /** When each was last begun, by query and values. */
  const begunAt = new Map<string, number>()
  const heldBackUntil = new Map<string, number>()
  const due = (want: Want) => {
    const key = keyOf(want)
    if (Date.now() < (heldBackUntil.get(key) ?? 0)) return false
    const last = begunAt.get(key)
    if (last === undefined) return true
    const { every } = want.query
    // A poke comes between two ticks: what was asked within this interval is not asked again.
    return Date.now() - last >= (every === 'tick' ? intervalMs() * 0.9 : every * 1000 - 50)
  }
  const began = (want: Want) => {
    if (begunAt.size > rememberedWants) begunAt.clear()
    begunAt.set(keyOf(want), Date.now())
  }
  return {
    due,
    began,
    take: want => {
      const now = due(want)
      if (now) began(want)
      return now
    },
    asked: want => begunAt.has(keyOf(want)),
    metLock: want => heldBackUntil.set(keyOf(want), Date.now() + lockedPauseMs),
    forget: (anew = false) => {
      begunAt.clear()
      if (anew) heldBackUntil.clear()
    },
  }
}
