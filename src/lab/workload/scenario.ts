// What scenarios are made of: sessions that are all gone when a round ends, waiting, and rounds that go on for ever.

import type { Client } from 'pg'
import { connect, type Target } from '../client.ts'

/** Ports of the servers; `pooled` is the primary's own where there is no PgBouncer. */
export type Ports = { readonly primary: number; readonly standby: number; readonly pooled: number }

export const pause = (seconds: number) => new Promise<void>(resolve => setTimeout(resolve, seconds * 1000))
/** Evenly spread, so that clients don't march in step. */
export const between = (low: number, high: number) => low + Math.random() * (high - low)

/**
 * Repeats the round for ever. One that fails (a session was cancelled or terminated, a server is down: people try things in
 * a lab) is no reason to stop: the next one starts afresh.
 */
export async function forever(round: () => Promise<unknown>, firstAfterSeconds = 0): Promise<never> {
  await pause(firstAfterSeconds)
  for (;;) {
    try {
      await round()
    } catch {
      await pause(between(1, 2))
    }
  }
}

/** Opens the sessions, runs, and drops them whatever happened, also those that still wait for an answer. */
export async function withSessions(targets: readonly Target[], run: (...sessions: Client[]) => Promise<void>): Promise<void> {
  const sessions: Client[] = []
  try {
    for (const target of targets) sessions.push(await connect(target))
    await run(...sessions)
  } finally {
    for (const session of sessions)
      (session as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
  }
}
