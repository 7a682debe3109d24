// The connection of one deed of the user: opened when it is needed, closed after it, never shared with reads. A slow deed holds up nobody.

import type { Target } from '../config/conninfo.ts'
import type { Notice } from './socket.ts'
import { local, noIdleTimeout, openWire, safeSettings, type WireRow } from './wire.ts'

export { DialError } from './dial-error.ts'
export { dialMs } from './socket.ts'
export { ServerError, unsent, type WireRow } from './wire.ts'

export type DeedAnswer = {
  readonly rows: readonly WireRow[]
  /** What the server said besides: WARNINGs of a statement that did less than it was asked for. Raw. */
  readonly notices: readonly Notice[]
}

export type DeedSession = {
  /** Of our backend; null where it is not ours alone (a pooler, a console). */
  readonly pid: number | null
  /** The server has one session for all (PGlite): nobody else can be at work in it. */
  readonly single: boolean
  /** Runs one statement; the deadline null waits for as long as it takes. Throws ServerError only. */
  run(text: string, values?: readonly (string | number)[], deadlineMs?: number | null): Promise<DeedAnswer>
  /** As run(), for a statement that must not stand in a transaction (CALL of a procedure that commits). */
  runAlone(text: string, deadlineMs?: number | null): Promise<DeedAnswer>
  close(): void
}

export type DeedOptions = {
  readonly deadlineMs: number
  /** Another database of the same server. */
  readonly database?: string | undefined
  /** No statement waits longer for a lock; 0: as long as it takes. Milliseconds. */
  readonly lockTimeoutMs?: number | undefined
}

/** How long a statement that should be quick may take. Milliseconds. */
export const quickMs = 5000

/** Connects and makes the session safe. Throws DialError or ServerError. */
export async function openDeed(target: Target, { deadlineMs, database, lockTimeoutMs = 0 }: DeedOptions): Promise<DeedSession> {
  const notices: Notice[] = []
  const wire = await openWire(database === undefined ? target : { ...target, database }, deadlineMs, {
    onNotice: notice => void notices.push(notice),
  })
  let pid: number | null = null
  let single = false
  let apart: readonly string[] | null = null
  const settings = [
    ...safeSettings,
    'SET default_transaction_read_only = off',
    'SET statement_timeout = 0',
    `SET lock_timeout = ${lockTimeoutMs}`,
  ]
  const run = async (text: string, values: readonly (string | number)[], deadline: number | null, around = apart) => {
    notices.length = 0
    const rows = await wire.run(text, values, deadline, around)
    return { rows, notices: [...notices] }
  }
  if (target.kind === 'postgres') {
    try {
      const backend = await wire.backend(deadlineMs)
      if (backend.ours) {
        pid = backend.pid
        await wire.run([...settings, noIdleTimeout].join('; '), [], deadlineMs)
      } else {
        single = backend.pid === 0
        apart = ['BEGIN', ...settings.map(local)]
      }
    } catch (error) {
      wire.close()
      throw error
    }
  }
  return {
    pid,
    single,
    run: (text, values = [], deadline = quickMs) => run(text, values, deadline),
    runAlone: (text, deadline = quickMs) => run(text, [], deadline, null),
    close: wire.close,
  }
}
