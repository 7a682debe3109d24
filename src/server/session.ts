// One reading connection of one server: opened with safe settings, asked one query at a time.

import type { Target } from '../config/conninfo.ts'
import type { ActivityRow } from '../sql/activity.ts'
import type { Chosen, Query } from '../sql/query.ts'
import { type DecodedRow, decodeRow } from './decode.ts'
import { countsOf, createRoster } from './roster.ts'
import { DialError } from './socket.ts'
import { local, noIdleTimeout, openWire, ServerError, safeSettings, type WireRow } from './wire.ts'

/** A query with its text for this server and its values. */
export type Part = {
  readonly query: Query
  readonly picked: Chosen
  readonly values: readonly (string | number)[]
}

export type ReadResult = { readonly rows: readonly DecodedRow[]; readonly at: number; readonly tookMs: number }

export type Session = {
  readonly tls: 'plain' | 'unverified' | 'verified'
  /** Runs one text. `at` is our clock in epoch ms at the middle of the round trip. Throws ServerError only. */
  read(query: Query, text: string, values: readonly (string | number)[], deadlineMs: number): Promise<ReadResult>
  /**
   * Several queries of one row each (those with `packed` or `oneRow`) as one statement: a result for each, in their order. Where sessions are
   * read too, what `pulse` counts of them is counted by their rows. Throws ServerError only; when refused, who is to blame is not known.
   */
  readTogether(parts: readonly Part[], deadlineMs: number): Promise<readonly ReadResult[]>
  /** Runs a statement of somebody else's in between; rows as they came. Throws ServerError only. */
  lend(text: string, values: readonly (string | number)[], deadlineMs: number): Promise<WireRow[]>
  /** Bounds each statement on the server, in milliseconds; sent only when it differs from what is set. PgBouncer has none: no effect. */
  limitStatements(ms: number, deadlineMs: number): Promise<void>
  /** How the connection has ended; null while it is there. */
  lost(): ServerError | null
  close(): void
}

/** No statement waits for a lock longer than this, so that we never stand in a queue that others then stand behind. Milliseconds. */
const lockTimeoutMs = 200

const settings = [
  ...safeSettings,
  `SET lock_timeout = ${lockTimeoutMs}`,
  `SET default_transaction_read_only = on`,
  `SET max_parallel_workers_per_gather = 0`,
  `SET jit = off`,
]

/** Whoever shares a session waits for our transaction; should we be stopped in the middle of one, the server ends it. Milliseconds. */
const patience = `SET idle_in_transaction_session_timeout = 5000`

/** Connects and applies the settings, all within one deadline. `onLost` is called when the session ends by itself. Throws DialError (socket.ts) or ServerError. */
export async function openSession(
  target: Target,
  deadlineMs: number,
  statementMs: number,
  onLost: () => void = () => {},
): Promise<Session> {
  const startedAt = Date.now()
  const wire = await openWire(target, deadlineMs, { onLost })
  let setStatementMs: number | null = null
  /** The settings, where they may last for a transaction only: then each read is one. */
  let eachTime: readonly string[] | null = null
  let roster = createRoster(true)
  // What is asked at each tick is planned once: planning takes the server half as long as answering does.
  const names = new Map<string, string>()
  const nameOf = (text: string) => {
    const name = names.get(text) ?? `pgvigil_${names.size}`
    names.set(text, name)
    return name
  }
  const apart = () => eachTime && ['BEGIN READ ONLY', ...eachTime, `SET LOCAL statement_timeout = ${setStatementMs}`]

  const session: Session = {
    tls: wire.tls,
    close: wire.close,
    lost: wire.lost,
    async read(query, text, values, deadline) {
      const begun = Date.now()
      const t0 = performance.now()
      const rows = await wire.run(text, values, deadline, apart())
      const tookMs = performance.now() - t0
      try {
        return { rows: rows.map(row => decodeRow(query, row)), at: begun + tookMs / 2, tookMs }
      } catch (error) {
        throw new ServerError('refused', (error as Error).message, null)
      }
    },
    async readTogether(parts, deadline) {
      const begun = Date.now()
      const t0 = performance.now()
      const counted = parts.some(({ picked }) => picked.packed)
      const valuesOf = ({ query, picked, values }: Part) =>
        picked.packed ? roster.values(Number(values[0])) : counted && query.params?.includes('countSessions') ? [0] : values
      const ask = async () => {
        const { text, values } = joined(
          parts.map(part => ({ text: part.picked.packed ?? part.picked.text, values: valuesOf(part) })),
        )
        const [row] = await wire.run(text, values, deadline, apart(), eachTime ? null : nameOf(text))
        if (!row) throw new ServerError('refused', 'no row came back', null)
        return row
      }
      const bytes = Number(parts.find(({ picked }) => picked.packed)?.values[0])
      try {
        let row = await ask()
        let sessions: readonly ActivityRow[] | null = counted ? roster.rows(row, bytes) : []
        if (sessions === null) {
          row = await ask()
          sessions = roster.rows(row, bytes)
        }
        const tookMs = performance.now() - t0
        const rowsOf = ({ query, picked }: Part): readonly DecodedRow[] => {
          if (picked.packed) return sessions ?? []
          const decoded = decodeRow(query, row)
          return [
            counted && query.params?.includes('countSessions')
              ? { ...decoded, ...countsOf(sessions ?? [], Number(decoded.own_pid)) }
              : decoded,
          ]
        }
        return parts.map(part => ({ rows: rowsOf(part), at: begun + tookMs / 2, tookMs }))
      } catch (error) {
        throw error instanceof ServerError ? error : new ServerError('refused', (error as Error).message, null)
      }
    },
    lend: (text, values, deadline) => wire.run(text, values, deadline, apart()),
    async limitStatements(ms, deadline) {
      if (target.kind === 'pgbouncer' || Math.round(ms) === setStatementMs) return
      if (!eachTime) await wire.run(`SET statement_timeout = ${Math.round(ms)}`, [], deadline)
      setStatementMs = Math.round(ms)
    },
  }
  if (target.kind === 'postgres') {
    try {
      const left = () => Math.max(50, deadlineMs - (Date.now() - startedAt))
      // A SQL_ASCII database holds bytes of any encoding: asked for UTF8 it refuses whole results, so take the bytes as they are.
      const encoding = wire.parameters.server_encoding === 'SQL_ASCII' ? [`SET client_encoding = 'SQL_ASCII'`] : []
      const { ours } = await wire.backend(left())
      setStatementMs = Math.round(statementMs)
      if (ours) {
        const all = [...settings, ...encoding, noIdleTimeout, `SET statement_timeout = ${setStatementMs}`]
        await wire.run(all.join('; '), [], left())
      } else {
        eachTime = [...settings, ...encoding, patience].map(local)
        roster = createRoster(false)
        await wire.run('SELECT 1', [], left(), apart())
      }
    } catch (error) {
      wire.close()
      if (!(error instanceof ServerError) || error.kind === 'silent') throw error
      // PgBouncer's console knows no SQL, and no other server calls SQL an invalid command.
      if (error.code === '08P01' && error.message.startsWith('invalid command')) {
        throw new DialError('this is the console of a PgBouncer: name it with --pgbouncer', error.code, true, true)
      }
      if (eachTime === null) throw error
      const why = `a pooler is in front of this server, and it does not let us keep our settings apart from others': ${error.message}; connect to PostgreSQL itself`
      throw new ServerError(error.kind, why, error.code)
    }
  }
  return session
}

/** Texts of one row each side by side in one statement, with the numbers of their values moved on. */
function joined(parts: readonly { readonly text: string; readonly values: readonly (string | number)[] }[]) {
  if (parts.length === 1) return parts[0]!
  const values: (string | number)[] = []
  const from = parts.map((part, i) => {
    const moved = part.text.replace(/\$(\d+)/g, (_, n: string) => `$${Number(n) + values.length}`)
    values.push(...part.values)
    return `(${moved}) part${i}`
  })
  return { text: `SELECT * FROM ${from.join(', ')}`, values }
}
