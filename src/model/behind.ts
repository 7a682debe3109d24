// Which application is really behind a backend: a backend that PgBouncer opened belongs to one of its server connections, and that
// one, while it is linked, to one of its clients.

import type { PoolClientRow, PoolServerRow } from '../sql/pgbouncer.ts'
import type { Untrusted } from '../sql/query.ts'
import { raw } from './untrusted.ts'

/** Where we reach a server, as it was given to us: a host name, an address, or the directory of a Unix socket. */
export type Endpoint = { readonly id: string; readonly host: string; readonly port: number }

/** What a PgBouncer said last. null: not known now (no answer, no right), which is not the same as no rows. */
export type PoolerEnds = Endpoint & {
  readonly servers: readonly PoolServerRow[] | null
  readonly clients: readonly PoolClientRow[] | null
}

export type PooledClient = {
  readonly addr: Untrusted | null
  readonly port: number | null
  readonly application_name: Untrusted | null
}

/** A backend's pooler and the client linked to it now. `client` null with `linked` false: nobody; with `linked` null: somebody, or not known. */
export type Behind = {
  readonly pooler: string
  /** Of the server connection in SHOW SERVERS. */
  readonly ptr: Untrusted | null
  readonly client: PooledClient | null
  readonly linked: boolean | null
}

/** What of a backend tells whose it is. */
export type Backend = { readonly pid: number; readonly client_addr: Untrusted | null; readonly client_port: number | null }

type Candidate = { readonly pooler: PoolerEnds; readonly server: PoolServerRow }

/**
 * A function that finds the pooler of a backend of the PostgreSQL server `id`; it gives null for a direct connection. `known` are all PostgreSQL
 * servers we watch, `id` among them: a pid alone means nothing where several stand behind one pooler.
 *
 * The pid (SHOW SERVERS.remote_pid) must be confirmed: over TCP by the port that both ends of the connection see, over a Unix socket by the
 * server that the pooler says it dialled. A client counts as linked only when server and client name each other; between two transactions
 * they may not.
 */
export function behindBackends(
  id: string,
  known: readonly Endpoint[],
  poolers: readonly PoolerEnds[],
): (backend: Backend) => Behind | null {
  const here = known.find(endpoint => endpoint.id === id)
  const byPid = new Map<number, Candidate[]>()
  const clients = new Map<PoolerEnds, Map<string, PoolClientRow>>()
  for (const pooler of poolers) {
    clients.set(pooler, new Map((pooler.clients ?? []).map(client => [text(client.ptr), client])))
    for (const server of pooler.servers ?? []) {
      // 0 until the pooler has logged in.
      if (!server.remote_pid) continue
      const same = byPid.get(server.remote_pid)
      if (same) same.push({ pooler, server })
      else byPid.set(server.remote_pid, [{ pooler, server }])
    }
  }
  return backend => {
    if (!here) return null
    const found = byPid.get(backend.pid)?.find(({ pooler, server }) => belongs(backend, server, pooler, here, known))
    return found ? { pooler: found.pooler.id, ptr: found.server.ptr, ...linkOf(found, clients.get(found.pooler)!) } : null
  }
}

function belongs(
  backend: Backend,
  server: PoolServerRow,
  pooler: PoolerEnds,
  here: Endpoint,
  known: readonly Endpoint[],
): boolean {
  const unix = text(server.addr).startsWith('unix')
  // What the pooler calls local is local to the pooler's machine.
  const dialled = unix || isLocal(text(server.addr)) ? pooler.host : text(server.addr)
  const named = known.filter(endpoint => endpoint.port === server.port && sameHost(endpoint.host, dialled))
  const namesHere = named.some(endpoint => endpoint.id === here.id)
  if (named.length > 0 && !namesHere) return false
  if (backend.client_port === null) return namesHere
  // Reached through a tunnel our server has another port than the pooler knows; then the pid must do where no other server is watched.
  if (unix) return backend.client_port === -1 && (namesHere || server.port === here.port || known.length === 1)
  if (backend.client_port < 0) return false
  if (backend.client_port === server.local_port) return true
  // Behind address translation both the address and the port differ from what the pooler sees as its own.
  return namesHere && text(backend.client_addr) !== text(server.local_addr)
}

function linkOf({ pooler, server }: Candidate, clients: ReadonlyMap<string, PoolClientRow>): Pick<Behind, 'client' | 'linked'> {
  if (!pooler.clients) return { client: null, linked: null }
  if (text(server.link) === '') return { client: null, linked: false }
  const client = clients.get(text(server.link))
  if (!client || text(client.link) !== text(server.ptr)) return { client: null, linked: null }
  return { client: { addr: client.addr, port: client.port, application_name: client.application_name }, linked: true }
}

function sameHost(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase() || (isLocal(a) && isLocal(b))
}

// A Unix socket's directory, or no host at all, is this machine too.
function isLocal(host: string): boolean {
  return host === '' || host.startsWith('/') || host.startsWith('@') || /^(localhost|127\.\d+\.\d+\.\d+|::1)$/i.test(host)
}

const text = (value: Untrusted | null) => (value === null ? '' : raw(value))
