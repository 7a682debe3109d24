// The connections at both ends of a PgBouncer, and which of them belong together now.

import type { PoolClientRow } from '../sql/pgbouncer.ts'
import type { Untrusted } from '../sql/query.ts'
import { answers, consoleName, isOn, isText, type Pooler, seconds } from './pooler.ts'
import { is, raw } from './untrusted.ts'

/** What a client does, told the same for all versions: up to 1.24 PgBouncer calls an idle one active. */
export type ClientState = 'active' | 'idle' | 'waiting' | 'cancel'

export type PoolClientPaneRow = {
  readonly server: string
  readonly type: Untrusted | null
  readonly user: Untrusted | null
  readonly database: Untrusted | null
  /** As PgBouncer spells it. */
  readonly state: Untrusted | null
  /** idle: no server is linked and it waits for none. */
  readonly clientState: ClientState | null
  readonly addr: Untrusted | null
  readonly port: number | null
  readonly application_name: Untrusted | null
  /** How long it has waited for a server; 0 when it doesn't wait. */
  readonly waitSeconds: number | null
  readonly connect_time: Untrusted | null
  readonly request_time: Untrusted | null
  readonly ptr: Untrusted | null
  readonly link: Untrusted | null
  readonly remote_pid: number | null
  readonly tls: Untrusted | null
  readonly id: bigint | null
  readonly prepared_statements: number | null
  /** pid of the PostgreSQL backend that it has now. */
  readonly linkedTo: number | null
  /** Where that backend is. */
  readonly linkedServer: { readonly addr: Untrusted | null; readonly port: number | null } | null
}

/** Rows of list `clients`: the connections of the applications, without those to the console. */
export function poolClientRows(pooler: Pooler): PoolClientPaneRow[] {
  const servers = new Map(answers(pooler, 'showServers').map(server => [server.ptr, server]))
  return answers(pooler, 'showClients')
    .filter(client => !is(client.database, consoleName))
    .map(client => {
      const linked = isText(client.link) ? servers.get(client.link) : undefined
      // Both sides were read one after the other: only a pair that both agree on is one.
      const backend = linked && linked.link === client.ptr ? linked : null
      const { type, user, database, state, addr, port, application_name, connect_time, request_time } = client
      return {
        server: pooler.id,
        type,
        user,
        database,
        state,
        clientState: clientState(client),
        addr,
        port,
        application_name,
        waitSeconds: state === null ? null : is(state, 'waiting') ? seconds(client.wait, client.wait_us) : 0,
        connect_time,
        request_time,
        ptr: client.ptr,
        link: client.link,
        remote_pid: client.remote_pid,
        tls: client.tls,
        id: client.id,
        prepared_statements: client.prepared_statements,
        linkedTo: backend?.remote_pid || null,
        linkedServer: backend ? { addr: backend.addr, port: backend.port } : null,
      }
    })
}

function clientState({ state, link }: PoolClientRow): ClientState | null {
  if (state === null) return null
  if (raw(state).endsWith('cancel_req')) return 'cancel'
  if (raw(state).startsWith('waiting')) return 'waiting'
  if (is(state, 'idle') || (link !== null && !isText(link))) return 'idle'
  return 'active'
}

export type PoolServerPaneRow = {
  readonly server: string
  readonly type: Untrusted | null
  readonly user: Untrusted | null
  readonly database: Untrusted | null
  readonly state: Untrusted | null
  readonly addr: Untrusted | null
  readonly port: number | null
  readonly local_addr: Untrusted | null
  readonly local_port: number | null
  readonly remote_pid: number | null
  readonly application_name: Untrusted | null
  readonly connect_time: Untrusted | null
  readonly request_time: Untrusted | null
  /** It is closed as soon as its client lets go of it (RECONNECT, RELOAD, server_lifetime). */
  readonly close_needed: boolean | null
  readonly ptr: Untrusted | null
  readonly link: Untrusted | null
  readonly tls: Untrusted | null
  readonly id: bigint | null
  /** The client that has it now. */
  readonly client: {
    readonly addr: Untrusted | null
    readonly port: number | null
    readonly user: Untrusted | null
    readonly application_name: Untrusted | null
  } | null
}

/** Rows of list `poolServers`: the connections to PostgreSQL. */
export function poolServerRows(pooler: Pooler): PoolServerPaneRow[] {
  const clients = new Map(answers(pooler, 'showClients').map(client => [client.ptr, client]))
  return answers(pooler, 'showServers')
    .filter(server => !is(server.database, consoleName))
    .map(server => {
      const linked = isText(server.link) ? clients.get(server.link) : undefined
      const client = linked && linked.link === server.ptr ? linked : null
      const { type, user, database, state, addr, port, local_addr, local_port, remote_pid, application_name } = server
      return {
        server: pooler.id,
        type,
        user,
        database,
        state,
        addr,
        port,
        local_addr,
        local_port,
        remote_pid,
        application_name,
        connect_time: server.connect_time,
        request_time: server.request_time,
        close_needed: server.close_needed === null ? null : isOn(server.close_needed),
        ptr: server.ptr,
        link: server.link,
        tls: server.tls,
        id: server.id,
        client: client && {
          addr: client.addr,
          port: client.port,
          user: client.user,
          application_name: client.application_name,
        },
      }
    })
}
