// One connection, one statement at a time, each with a deadline of our own: what a reading session and a deed have in common.

import type { Client } from 'pg'
import type { Target } from '../config/conninfo.ts'
import { textOnly } from './decode.ts'
import { dial, hangUp, type Loss, type Notice } from './socket.ts'

/**
 * Why a statement gave no answer. `refused`: the server answered with an error and the session goes on. `silent`: no answer before the
 * deadline; the session has been destroyed. `lost`: the connection ended; the text is the server's last word where it had one. `at`: our clock
 * in epoch ms when that was heard, which may have been before the statement.
 */
export class ServerError extends Error {
  readonly kind: 'refused' | 'silent' | 'lost'
  readonly code: string | null
  /** The server's DETAIL; null: none. */
  readonly detail: string | null
  readonly at = Date.now()
  constructor(kind: ServerError['kind'], message: string, code: string | null, detail: string | null = null) {
    super(message)
    this.kind = kind
    this.code = code
    this.detail = detail
  }
}

/** The code of an error of ours: the connection was closed before the statement was sent. */
export const unsent = 'unsent'

/** A row as it came: every value is the text that the server sent. */
export type WireRow = Readonly<Record<string, string | null>>

export type Wire = {
  readonly tls: 'plain' | 'unverified' | 'verified'
  readonly parameters: Readonly<Record<string, string>>
  /**
   * Runs one text; the deadline null waits for as long as it takes. With `apart` (a BEGIN and settings) the statement is a transaction of its
   * own, after which nothing of the settings is left. With a `name` the server keeps the text (and its plan) under it for the next time. Throws ServerError only.
   */
  run(
    text: string,
    values: readonly (string | number)[],
    deadlineMs: number | null,
    apart?: readonly string[] | null,
    name?: string | null,
  ): Promise<WireRow[]>
  /** pg_backend_pid(), and whether that backend is ours alone: false behind a pooler, where a SET would stay with whoever comes next. */
  backend(deadlineMs: number): Promise<{ readonly pid: number; readonly ours: boolean }>
  /** How the connection has ended; null while it is there, or when we have closed it. */
  lost(): ServerError | null
  close(): void
}

/** What a role, database or server may have set otherwise would change what we read, or let somebody else's function run as us (search_path). */
export const safeSettings = [
  `SET search_path = pg_catalog`,
  `SET datestyle = 'ISO, YMD'`,
  `SET intervalstyle = 'postgres'`,
  `SET timezone = 'UTC'`,
  `SET extra_float_digits = 1`,
  `SET bytea_output = 'hex'`,
  `SET standard_conforming_strings = on`,
  `SET client_min_messages = 'warning'`,
  `SET idle_in_transaction_session_timeout = 0`,
]

/** Where that setting exists (14+): a session of ours is not to be ended for being idle. */
export const noIdleTimeout = `SELECT set_config('idle_session_timeout', '0', false) WHERE current_setting('idle_session_timeout', true) IS NOT NULL`

/** A setting for the transaction only. */
export const local = (setting: string) => setting.replace('SET', 'SET LOCAL')

export type WireListeners = {
  readonly onNotice?: (notice: Notice) => void
  /** Called once, when the connection ends and we have not closed it. */
  readonly onLost?: () => void
}

/** Connects within the deadline. Throws DialError. */
export async function openWire(target: Target, deadlineMs: number, listeners: WireListeners = {}): Promise<Wire> {
  let lost: ServerError | null = null
  const onError = ({ message, code }: Loss) => {
    lost = new ServerError('lost', message, code ?? null)
    listeners.onLost?.()
  }
  const { onNotice = () => {} } = listeners
  const { client, tls, parameters, backendPid } = await dial(target, { deadlineMs, onNotice, onError })
  let closed = false
  const close = () => {
    closed = true
    hangUp(client)
  }
  /** One statement after the other, so that each has its deadline to itself. */
  let before: Promise<unknown> = Promise.resolve()
  const run: Wire['run'] = (text, values, deadline, apart = null, name = null) => {
    const mine = before.then(() => runNow(text, values, deadline, apart, name))
    before = mine.catch(() => {})
    return mine
  }
  async function runNow(...[text, values, deadline, apart, name]: Parameters<Wire['run']>): Promise<WireRow[]> {
    if (closed) throw new ServerError('lost', 'the connection is closed', unsent)
    try {
      const answer = apart ? sendApart(client, text, values, apart) : send(client, text, values, name)
      return await (deadline === null ? answer : withDeadline(answer, deadline))
    } catch (error) {
      if (error instanceof Silence) {
        close()
        throw new ServerError('silent', `no answer within ${((deadline as number) / 1000).toFixed(1)} s`, null)
      }
      const { code = null, message, detail = null } = error as { code?: string; message: string; detail?: string }
      if (isRefusal(error)) throw new ServerError('refused', message, code, detail)
      close()
      throw lost ?? new ServerError('lost', message, code)
    }
  }
  return {
    tls,
    parameters,
    run,
    close,
    lost: () => lost,
    async backend(deadline) {
      const [row] = await run('SELECT pg_catalog.pg_backend_pid() AS pid', [], deadline)
      // A PgBouncer and its like hand out keys of their own; and where the backend is no process (PGlite) one session is shared by all.
      return { pid: Number(row?.pid ?? 0), ours: row?.pid !== '0' && row?.pid === String(backendPid) }
    },
  }
}

/**
 * A server's error after which the session goes on. The severity is in the server's language (lc_messages: FEHLER, ERREUR), so what ends a session
 * is told by SQLSTATE where it is no English word; PgBouncer, always English, gives all its errors one class.
 */
export function isRefusal(error: unknown): boolean {
  const { severity, code = '' } = error as { severity?: string; code?: string }
  if (severity === undefined || severity === 'FATAL' || severity === 'PANIC') return false
  return severity === 'ERROR' || !/^(57P|08|25P03|25P04)/.test(code)
}

async function sendApart(client: Client, text: string, values: readonly (string | number)[], apart: readonly string[]) {
  await send(client, apart.join('; '), [])
  try {
    const rows = await send(client, text, values)
    await client.query('COMMIT')
    return rows
  } catch (error) {
    // When the connection is lost this fails too, and what it was lost by is what counts.
    await client.query('ROLLBACK').catch(() => {})
    throw error
  }
}

/** Without values the simple protocol is used: the only one that PgBouncer's console understands. */
async function send(
  client: Client,
  text: string,
  values: readonly (string | number)[],
  name: string | null = null,
): Promise<WireRow[]> {
  const query = { text, types: textOnly, ...(name === null ? {} : { name }) }
  const result = await client.query(values.length > 0 ? { ...query, values: [...values] } : query)
  return Array.isArray(result) ? [] : result.rows
}

class Silence extends Error {}

function withDeadline<T>(work: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Silence()), ms)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
