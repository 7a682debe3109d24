// A query that runs once for each row of another: what is through of it, and what is not yet.

import type { Untrusted } from './sql/query.ts'

export type Round = {
  keys: string[]
  rows: Readonly<Record<string, unknown>>[]
  skipped: { key: Untrusted; why: string; code: string | null }[]
  tookMs: number
  /** Keys whose run met a lock and is still to be done once more, or was. */
  retried: Set<string>
}

/** SQLSTATE of a lock_timeout. */
export const lockNotAvailable = '55P03'

export const newRound = (keys: readonly string[]): Round => ({
  keys: [...keys],
  rows: [],
  skipped: [],
  tookMs: 0,
  retried: new Set(),
})

/** The run of a key was refused: it is done once more at the end, where it met a lock and that helps, or left out. `why`: drawable. */
export function leaveOut(round: Round, key: string, why: string, code: string | null, retryLocked: boolean): void {
  if (retryLocked && code === lockNotAvailable && !round.retried.has(key)) {
    round.retried.add(key)
    round.keys.push(key)
  } else round.skipped.push({ key: key as unknown as Untrusted, why, code })
}
