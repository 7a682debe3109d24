// Sessions and waits of a server as panes and deeds see them alike: one place that puts samples, names and poolers together.

import { namesByOid, type Session, sessions } from './model/activity.ts'
import { behindBackends, type PoolerEnds } from './model/behind.ts'
import { type LockWait, lockForest } from './model/locks.ts'
import { poolServerRows } from './model/pooled.ts'
import { type ProgressRow, progressRows } from './model/progress.ts'
import { is, raw, type Untrusted, untrusted } from './model/untrusted.ts'
import { activity } from './sql/activity.ts'
import { locks } from './sql/locks.ts'
import { showClients, showServers } from './sql/pgbouncer.ts'
import { progress, vacuumIndexes } from './sql/progress.ts'
import { names, pulse } from './sql/server.ts'
import { idsOf, picture, read, rowsOf } from './store/selectors.ts'
import type { State } from './store/state.ts'

/**
 * Computed once for a picture: the pane, the guards of each key in the bar and an open question ask for the same, each of them for every
 * tagged row. Depends on the samples and on the backends of ours alone.
 */
export function perPicture<T>(compute: (state: State, serverId: string) => T): (state: State, serverId: string) => T {
  let known: { servers: State['servers']; now: number; own: State['ownPids']; results: Map<string, T> } | null = null
  return (state, serverId) => {
    const { servers, now } = picture(state)
    const own = state.ownPids
    if (known?.servers !== servers || known.now !== now || known.own !== own) known = { servers, now, own, results: new Map() }
    const { results } = known
    if (!results.has(serverId)) results.set(serverId, compute(state, serverId))
    return results.get(serverId) as T
  }
}

/** All processes of a server out of its newest sample, fresh or stale. */
export const sessionsOf = perPicture((state, serverId): readonly Session[] =>
  sessions(rowsOf(state, serverId, activity), {
    server: serverId,
    names: namesOf(state, serverId),
    ownPids: ownPids(state, serverId),
    pooledOf: behindOn(state, serverId),
  }),
)

/** The wait forest of a server out of its newest sample, fresh or stale. */
export const waitsOf = perPicture((state, serverId): readonly LockWait[] =>
  lockForest(serverId, rowsOf(state, serverId, locks), namesOf(state, serverId)),
)

/** Commands that report their progress, out of the newest sample, fresh or stale. */
export const progressOf = perPicture((state, serverId): readonly ProgressRow[] => {
  const reading = read(state, serverId, progress)
  if (reading.kind !== 'fresh' && reading.kind !== 'stale') return []
  const { sample, previous } = reading
  const waits = read(state, serverId, locks)
  const known = waits.kind === 'fresh' || waits.kind === 'stale'
  const blocks = new Map(waitsOf(state, serverId).map(row => [row.pid, row.blocksCount]))
  return progressRows(sample.rows, {
    server: serverId,
    names: namesOf(state, serverId),
    ownPids: ownPids(state, serverId),
    marks: picture(state).servers[serverId]?.progressMarks ?? {},
    indexes: rowsOf(state, serverId, vacuumIndexes),
    blocksCount: pid => (known ? (blocks.get(pid) ?? 0) : null),
    previous: previous && { rows: previous.rows, secondsAgo: (sample.at - previous.at) / 1000 },
  })
})

export const namesOf = perPicture((state, serverId) => namesByOid(rowsOf(state, serverId, names)))

/** Backends of ours on a server: those that read, also for another entry that names the same server, and those of deeds under way. */
export function ownPids(state: State, serverId: string): ReadonlySet<number> {
  const { servers } = picture(state)
  const started = (id: string) => rowsOf(state, id, pulse)[0]?.postmaster_start_epoch ?? null
  const here = servers[serverId]
  const same = idsOf(state, 'postgres').filter(id => {
    if (id === serverId) return true
    const other = servers[id]
    return (
      other?.facts?.systemIdentifier != null &&
      other.facts.systemIdentifier === here?.facts?.systemIdentifier &&
      started(id) !== null &&
      started(id) === started(serverId)
    )
  })
  return new Set(same.flatMap(id => [rowsOf(state, id, pulse)[0]?.own_pid ?? 0, ...(state.ownPids[id] ?? [])]))
}

/** Finds the pooler and the client behind a backend of a server, from what the PgBouncers said last. */
export const behindOn = perPicture((state, serverId): ReturnType<typeof behindBackends> => {
  const { servers } = picture(state)
  const known = idsOf(state, 'postgres').map(id => servers[id]!)
  const poolers = idsOf(state, 'pgbouncer').map((id): PoolerEnds => {
    const { host, port } = servers[id]!
    const [opened, clients] = [read(state, id, showServers), read(state, id, showClients)]
    return {
      id,
      host,
      port,
      // Whose a backend is holds as long as it lives; who is linked to it changes with each transaction.
      servers: opened.kind === 'fresh' || opened.kind === 'stale' ? opened.sample.rows : null,
      clients: opened.kind === 'fresh' && clients.kind === 'fresh' ? clients.sample.rows : null,
    }
  })
  return behindBackends(serverId, known, poolers)
})

/** A server connection that a PAUSE has to wait for, with the client that has it and, where its server is watched, the session behind it. */
export type Awaited = {
  readonly pid: number | null
  readonly database: Untrusted | null
  /** Not drawable. */
  readonly client: string
  readonly session: Session | null
}

/** What a PAUSE of a database (null: of everything) waits for now: the connections that a client has. */
export function awaitedBy(state: State, pooler: string, database: Untrusted | null): readonly Awaited[] {
  const known = state.servers[pooler]
  if (!known) return []
  const opened = poolServerRows(known).filter(
    row => (database === null || row.database === database) && (row.client !== null || is(row.state, 'active')),
  )
  // By the connection as SHOW SERVERS names it: several servers may stand behind one pooler, with the same pids.
  const behind = new Map<Untrusted, Session>()
  const pids = new Set(opened.map(row => row.remote_pid))
  for (const id of idsOf(state, 'postgres')) {
    const behindOf = behindOn(state, id)
    for (const session of sessionsOf(state, id)) {
      if (session.pooler !== pooler || !pids.has(session.pid)) continue
      const ptr = behindOf(session)?.ptr
      if (ptr) behind.set(ptr, session)
    }
  }
  return opened.map(({ remote_pid: pid, ptr, database, client }) => ({
    pid,
    database,
    client: client
      ? [raw(client.application_name ?? untrusted('')), `${client.addr === null ? '' : raw(client.addr)}:${client.port ?? ''}`]
          .filter(Boolean)
          .join('@')
      : '',
    session: (ptr && behind.get(ptr)) || null,
  }))
}
