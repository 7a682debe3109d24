// One reading connection of one server: opened with safe settings, asked one query at a time, every wait with a deadline of our own.

import type { Client } from 'pg'
import type { Target } from '../config/conninfo.ts'
import type { Query } from '../sql/query.ts'
import { type DecodedRow, decodeRow, textOnly } from './decode.ts'
import { DialError, dial, hangUp } from './socket.ts'

/**
 * Why a read gave no rows. `refused`: the server answered with an error and the session goes on. `silent`: no answer before the deadline;
 * the session has been destroyed. `lost`: the connection ended; the text is the server's last word where it had one.
 */
export class ReadError extends Error {
  readonly kind: 'refused' | 'silent' | 'lost'
  readonly code: string | null
  constructor(kind: ReadError['kind'], message: string, code: string | null) {
    super(message)
    this.kind = kind
    this.code = code
  }
}

export type ReadResult = { readonly rows: readonly DecodedRow[]; readonly at: number; readonly tookMs: number }

export type Session = {
  readonly tls: 'plain' | 'unverified' | 'verified'
  /** Runs one text. `at` is our clock in epoch ms at the middle of the round trip. Throws ReadError only. */
  read(query: Query, text: string, values: readonly (string | number)[], deadlineMs: number): Promise<ReadResult>
  /** Bounds each statement on the server, in milliseconds; sent only when it differs from what is set. PgBouncer has none: no effect. */
  limitStatements(ms: number, deadlineMs: number): Promise<void>
  close(): void
}

/** No statement waits for a lock longer than this, so that we never stand in a queue that others then stand behind. Milliseconds. */
const lockTimeoutMs = 200

// What a role, database or server may have set otherwise would change what we read (dates, intervals, floats, names) or let somebody
// else's function run as us (search_path); the rest keeps us cheap and harmless.
const settings = [
  `SET search_path = pg_catalog`,
  `SET datestyle = 'ISO, YMD'`,
  `SET intervalstyle = 'postgres'`,
  `SET timezone = 'UTC'`,
  `SET extra_float_digits = 1`,
  `SET bytea_output = 'hex'`,
  `SET standard_conforming_strings = on`,
  `SET lock_timeout = ${lockTimeoutMs}`,
  `SET idle_in_transaction_session_timeout = 0`,
  `SET default_transaction_read_only = on`,
  `SET client_min_messages = 'warning'`,
  `SET max_parallel_workers_per_gather = 0`,
  `SET jit = off`,
  `SELECT set_config('idle_session_timeout', '0', false) WHERE current_setting('idle_session_timeout', true) IS NOT NULL`,
]

/** Whoever shares a session waits for our transaction; should we be stopped in the middle of one, the server ends it. Milliseconds. */
const patience = `SET idle_in_transaction_session_timeout = 5000`

const local = (setting: string) => setting.replace('SET', 'SET LOCAL')

/**
 * False behind a PgBouncer and its like, which hand out keys of their own: there a setting would stay with a backend that others get next. And where the
 * backend is no process (PGlite), which has one session for all who connect.
 */
const isOurs = (pid: string | null | undefined, keyPid: number | null) => pid !== '0' && pid === String(keyPid)

/** Connects and applies the settings, all within one deadline. Throws DialError (socket.ts) or ReadError. */
export async function openSession(target: Target, deadlineMs: number, statementMs: number): Promise<Session> {
  const startedAt = Date.now()
  let lastWord: { message: string; code: string | null } | null = null
  const listen = (word: { message?: string | undefined; code?: string | undefined }) => {
    if (word.message) lastWord = { message: word.message, code: word.code ?? null }
  }
  const { client, tls, parameters, backendPid } = await dial(target, { deadlineMs, onNotice: listen, onError: listen })
  let closed = false
  let setStatementMs: number | null = null
  /** The settings, where they may last for a transaction only: then each read is one. */
  let eachTime: readonly string[] | null = null
  const close = () => {
    closed = true
    hangUp(client)
  }

  async function run(
    text: string,
    values: readonly (string | number)[],
    deadline: number,
  ): Promise<Record<string, string | null>[]> {
    if (closed) throw new ReadError('lost', 'the connection is closed', null)
    try {
      return await withDeadline(eachTime ? sendApart(text, values, eachTime) : send(client, text, values), deadline)
    } catch (error) {
      if (error instanceof Silence) {
        close()
        throw new ReadError('silent', `no answer within ${(deadline / 1000).toFixed(1)} s`, null)
      }
      const { code = null, message } = error as { code?: string; message: string }
      if (isRefusal(error)) throw new ReadError('refused', message, code)
      close()
      throw new ReadError('lost', lastWord?.message ?? message, lastWord?.code ?? code)
    }
  }

  async function sendApart(text: string, values: readonly (string | number)[], local: readonly string[]) {
    const limit = `SET LOCAL statement_timeout = ${setStatementMs}`
    await send(client, ['BEGIN READ ONLY', ...local, limit].join('; '), [])
    try {
      return await send(client, text, values)
    } finally {
      // When the connection is lost this fails too, and what it was lost by is what counts.
      await client.query('COMMIT').catch(() => {})
    }
  }

  const session: Session = {
    tls,
    close,
    async read(query, text, values, deadline) {
      const begun = Date.now()
      const t0 = performance.now()
      const wire = await run(text, values, deadline)
      const tookMs = performance.now() - t0
      try {
        return { rows: wire.map(row => decodeRow(query, row)), at: begun + tookMs / 2, tookMs }
      } catch (error) {
        throw new ReadError('refused', (error as Error).message, null)
      }
    },
    async limitStatements(ms, deadline) {
      if (target.kind === 'pgbouncer' || Math.round(ms) === setStatementMs) return
      if (!eachTime) await run(`SET statement_timeout = ${Math.round(ms)}`, [], deadline)
      setStatementMs = Math.round(ms)
    },
  }
  if (target.kind === 'postgres') {
    try {
      const left = () => Math.max(50, deadlineMs - (Date.now() - startedAt))
      // A SQL_ASCII database holds bytes of any encoding: asked for UTF8 it refuses whole results, so take the bytes as they are.
      const encoding = parameters.server_encoding === 'SQL_ASCII' ? [`SET client_encoding = 'SQL_ASCII'`] : []
      const [backend] = await run('SELECT pg_catalog.pg_backend_pid() AS pid', [], left())
      setStatementMs = Math.round(statementMs)
      if (isOurs(backend?.pid, backendPid)) {
        await run([...settings, ...encoding, `SET statement_timeout = ${setStatementMs}`].join('; '), [], left())
      } else {
        eachTime = [...settings.filter(text => text.startsWith('SET')), ...encoding, patience].map(local)
        await run('SELECT 1', [], left())
      }
    } catch (error) {
      close()
      if (!(error instanceof ReadError) || error.kind === 'silent') throw error
      // PgBouncer's console knows no SQL, and no other server calls SQL an invalid command.
      if (error.code === '08P01' && error.message.startsWith('invalid command')) {
        throw new DialError('this is the console of a PgBouncer: name it with --pgbouncer', error.code, true, true)
      }
      if (eachTime === null) throw error
      const why = `a pooler is in front of this server, and it does not let us keep our settings apart from others': ${error.message}; connect to PostgreSQL itself`
      throw new ReadError(error.kind, why, error.code)
    }
  }
  return session
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

/** Without values the simple protocol is used: the only one that PgBouncer's console understands. */
async function send(
  client: Client,
  text: string,
  values: readonly (string | number)[],
): Promise<Record<string, string | null>[]> {
  const result = await client.query(
    values.length > 0 ? { text, values: [...values], types: textOnly } : { text, types: textOnly },
  )
  return Array.isArray(result) ? [] : result.rows
}

class Silence extends Error {}

function withDeadline<T>(work: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Silence()), ms)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
