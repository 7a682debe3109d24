// Sessions as a DBA asks about them: who, for how long, waiting on what, and who is really behind them.

import type { ActivityRow } from '../sql/activity.ts'
import type { NamesRow } from '../sql/server.ts'
import type { Behind, PooledClient } from './behind.ts'
import { is, raw, type Untrusted } from './untrusted.ts'

/** A server process. Ages in seconds; null where there is no such thing, or where our role may not see it (`restricted`). */
export type Session = {
  readonly server: string
  readonly pid: number
  readonly leader_pid: number | null
  readonly backend_type: Untrusted | null
  readonly backend_start: Untrusted | null
  readonly query_start: Untrusted | null
  readonly datid: bigint | null
  /** null: no database, or a name not known to us. */
  readonly datname: Untrusted | null
  readonly usesysid: bigint | null
  readonly usename: Untrusted | null
  readonly application_name: Untrusted | null
  readonly client_addr: Untrusted | null
  readonly client_port: number | null
  readonly state: Untrusted | null
  readonly wait_event_type: Untrusted | null
  readonly wait_event: Untrusted | null
  readonly query: Untrusted | null
  readonly query_id: bigint | null
  readonly xactAgeSeconds: number | null
  readonly queryAgeSeconds: number | null
  readonly stateAgeSeconds: number | null
  readonly backendAgeSeconds: number | null
  readonly backend_xid: bigint | null
  readonly backend_xmin: bigint | null
  /** Transactions since backend_xmin: how much the session holds back VACUUM. */
  readonly xminAgeXids: number | null
  /** The PgBouncer that opened this connection; null for a direct one. */
  readonly pooler: string | null
  /** The application linked to it now. */
  readonly pooledClient: PooledClient | null
  /** true and false as PgBouncer says; null: direct, or not known at this moment. */
  readonly pooledLinked: boolean | null
  readonly kind: 'client' | 'walsender' | 'background'
  /** One of ours: the session that reads, or that of a deed. */
  readonly own: boolean
  /** Our role may not see the state, waits and query. */
  readonly restricted: boolean
}

export type Names = {
  readonly databases: ReadonlyMap<bigint, Untrusted>
  readonly roles: ReadonlyMap<bigint, Untrusted>
  readonly superusers: ReadonlySet<bigint>
  /** Roles whose privileges ours has. */
  readonly privileges: ReadonlySet<bigint>
}

/** The names behind oids, as last read. */
export function namesByOid(rows: readonly NamesRow[]): Names {
  const [databases, roles] = [new Map<bigint, Untrusted>(), new Map<bigint, Untrusted>()]
  for (const { kind, oid, name } of rows) (is(kind, 'database') ? databases : roles).set(oid, name)
  const those = (has: (row: NamesRow) => boolean | null) => new Set(rows.filter(has).map(({ oid }) => oid))
  return { databases, roles, superusers: those(row => row.is_superuser), privileges: those(row => row.has_privileges) }
}

/** What sessions are told of beside their own rows. */
export type Surroundings = {
  readonly server: string
  readonly names: Names
  readonly ownPids: ReadonlySet<number>
  readonly pooledOf: (row: ActivityRow) => Behind | null
}

/** All processes of a server. */
export function sessions(rows: readonly ActivityRow[], around: Surroundings): readonly Session[] {
  const byPid = new Map(rows.map(row => [row.pid, row]))
  return rows.map(row => {
    const leader = row.leader_pid === null ? undefined : byPid.get(row.leader_pid)
    const pooled = around.pooledOf(row)
    return {
      server: around.server,
      pid: row.pid,
      leader_pid: row.leader_pid,
      backend_type: row.backend_type,
      backend_start: row.backend_start,
      query_start: row.query_start,
      datid: row.datid,
      datname: row.datid === null ? null : (around.names.databases.get(row.datid) ?? null),
      usesysid: row.usesysid,
      usename: row.usesysid === null ? null : (around.names.roles.get(row.usesysid) ?? null),
      application_name: row.application_name,
      client_addr: row.client_addr,
      client_port: row.client_port,
      state: row.state,
      wait_event_type: row.wait_event_type,
      wait_event: row.wait_event,
      query: row.query,
      query_id: row.query_id,
      xactAgeSeconds: age(row.xact_age_seconds),
      queryAgeSeconds: age(row.query_age_seconds),
      stateAgeSeconds: age(row.state_age_seconds),
      backendAgeSeconds: age(row.backend_age_seconds),
      backend_xid: row.backend_xid,
      backend_xmin: row.backend_xmin,
      xminAgeXids: row.backend_xmin_age,
      pooler: pooled?.pooler ?? null,
      pooledClient: pooled?.client ?? null,
      pooledLinked: pooled?.linked ?? null,
      kind: kindOf(leader ?? row),
      own: around.ownPids.has(row.pid),
      restricted: row.backend_type === null,
    }
  })
}

// A parallel worker is of its leader's kind; one whose leader has just gone worked for a client. A process whose type we may not see is a
// client's when it has a role.
function kindOf(row: ActivityRow): Session['kind'] {
  const type = row.backend_type
  if (type === null) return row.usesysid === null ? 'background' : 'client'
  if (is(type, 'client backend') || is(type, 'parallel worker')) return 'client'
  return is(type, 'walsender') ? 'walsender' : 'background'
}

// Between reading the clock and the row a session may have begun something: that is new, not negative.
const age = (seconds: number | null) => (seconds === null ? null : Math.max(0, seconds))

type Doing = Pick<Session, 'kind' | 'state' | 'restricted' | 'xactAgeSeconds' | 'queryAgeSeconds' | 'stateAgeSeconds'>

/** A client that does nothing and holds nothing. A session we may not look into is never called idle. */
export function isIdle(session: Doing): boolean {
  return session.kind === 'client' && is(session.state, 'idle')
}

/** In a transaction and doing nothing: it holds its locks and its snapshot. */
export function isIdleInTransaction(session: { readonly state: Untrusted | null }): boolean {
  return session.state !== null && raw(session.state).startsWith('idle in transaction')
}

/** How long what the session does has been going on: the transaction, else the query; of an idle one how long it has been idle. Seconds. */
export function lastingSeconds(session: Doing): number | null {
  if (isIdle(session)) return session.stateAgeSeconds
  // The last query of a background process says nothing of what it does now.
  if (session.kind === 'background') return session.xactAgeSeconds
  return session.xactAgeSeconds ?? session.queryAgeSeconds
}

/** What to sort by so that the longest-running work comes first and the idle sessions last; null: nothing is going on, or we can't know. */
export function urgency(session: Doing): number | null {
  const seconds = lastingSeconds(session)
  return seconds !== null && isIdle(session) ? seconds - 1e12 : seconds
}

const stateWords = new Map([
  ['idle in transaction', 'idle xact'],
  ['idle in transaction (aborted)', 'aborted'],
  ['fastpath function call', 'fastpath'],
])

/** The state in at most ten cells; '' for a background process. Drawable once sanitised. */
export function stateWord(session: { readonly state: Untrusted | null; readonly restricted: boolean }): Untrusted | string {
  if (session.restricted) return 'restricted'
  return session.state === null ? '' : (stateWords.get(raw(session.state)) ?? session.state)
}

// With application_name_add_host PgBouncer appends " - host:port".
const addedHost = / - (?:\S+|\[\S+\]):\d+$/

type Caller = Pick<Session, 'application_name' | 'client_addr' | 'client_port' | 'pooler' | 'pooledClient' | 'pooledLinked'>

/** The application really behind a session: its name as it gave it, without what a pooler appended; '' when it gave none. Not drawable. */
export function callerName(session: Caller): string {
  const name = session.pooler === null ? session.application_name : (session.pooledClient?.application_name ?? null)
  return name === null ? '' : raw(name).replace(addedHost, '')
}

/** Where the application really is: "10.0.0.7:45946", "[::1]:45946", "local" over a Unix socket, '' when not to be seen. Not drawable. */
function callerPlace(session: Caller): string {
  const { addr, port } = session.pooledClient ?? { addr: session.client_addr, port: session.client_port }
  if (session.pooler !== null && session.pooledClient === null) return ''
  if (port === -1 || is(addr, 'unix')) return 'local'
  if (addr === null) return ''
  const host = raw(addr).includes(':') ? `[${raw(addr)}]` : raw(addr)
  return port === null ? host : `${host}:${port}`
}

/** Both in one: "web-1@10.0.0.7:45946". `unlinked`: no client has this pooled connection now; `unknown`: one may have. Not drawable. */
export function caller(session: Caller): string {
  if (session.pooler !== null && session.pooledClient === null) return session.pooledLinked === false ? 'unlinked' : 'unknown'
  const [name, place] = [callerName(session), callerPlace(session)]
  return name && place ? `${name}@${place}` : name || place
}
