// A client of a pool disconnected: KILL_CLIENT, which 1.24 and later have.

import type { PoolClientPaneRow } from '../model/pooled.ts'
import { drawable, raw, type Untrusted } from '../model/untrusted.ts'
import type { WireRow } from '../server/deed.ts'
import { showClients, showConfig, showServers } from '../sql/pgbouncer.ts'
import type { State } from '../store/state.ts'
import { action, type PoolTarget, type WhyNot, whyNot } from './action.ts'
import { consoleRight, guardConsole, poolTarget } from './console.ts'

type ClientTarget = PoolTarget & {
  readonly id: bigint
  readonly ptr: Untrusted | null
  readonly connect_time: Untrusted | null
  readonly addr: Untrusted | null
  readonly port: number | null
  readonly user: Untrusted | null
  readonly application_name: Untrusted | null
  readonly doing: string
  readonly linkedTo: number | null
}

function freezeClient(row: PoolClientPaneRow, state: State): ClientTarget | WhyNot {
  const version = state.servers[row.server]?.facts?.version ?? 0
  if (row.id === null || version < 12400) {
    const pid = row.linkedTo === null ? '' : `; its server connection is pid ${row.linkedTo}, which 1 Activity can terminate`
    return whyNot(`this PgBouncer has no KILL_CLIENT (1.24 and later have)${pid}`)
  }
  const { id, ptr, connect_time, addr, port, user, application_name, linkedTo } = row
  return {
    ...poolTarget(state, row.server, row.database),
    label: `client ${id}`,
    ...{ id, ptr, connect_time, addr, port, user, application_name, linkedTo },
    doing: row.clientState ?? '',
  }
}

const sameClient = (target: ClientTarget) => (row: WireRow) =>
  row.id === String(target.id) &&
  row.ptr === (target.ptr === null ? null : raw(target.ptr)) &&
  row.connect_time === (target.connect_time === null ? null : raw(target.connect_time))

export const killClient = action<PoolClientPaneRow, ClientTarget>({
  id: 'killClient',
  command: 'terminate',
  label: 'KILL_CLIENT',
  help: 'Disconnects the client.',
  lists: ['clients'],
  takes: 'one',
  on: 'pgbouncer',
  right: (server, state) =>
    (state.servers[server]?.facts?.version ?? 0) < 12400
      ? whyNot('PgBouncer 1.24 and later have KILL_CLIENT')
      : consoleRight(server, state),
  freeze: freezeClient,
  guard: (target, state) => guardConsole({ ...target, database: null }, state),
  words: () => null,
  watches: ({ server }) => [showClients, showServers, showConfig].map(query => ({ server, query })),
  ask: ([target]) => ({
    head: ['ID', 'USER', 'DB', 'CLIENT', 'STATE'],
    hit: [
      [
        String(target!.id),
        drawable(target!.user),
        drawable(target!.database),
        [drawable(target!.application_name), `${drawable(target!.addr)}:${target!.port ?? ''}`].filter(Boolean).join('@'),
        target!.doing || '–',
      ],
    ],
    follows: [
      target!.linkedTo === null
        ? { text: 'it has no server connection now: no transaction of its is open' }
        : { text: `its transaction on pid ${target!.linkedTo} is cut off and rolled back`, tone: 'warning' },
    ],
  }),
  gone: (target, state, since) => {
    const sample = state.servers[target.server]?.readings[showClients.id]?.sample
    return !!sample && sample.at > since && !sample.rows.some(row => row.id === target.id && row.ptr === target.ptr)
  },
  sql: target => [`KILL_CLIENT ${target.id}`],
  record: ({ id, user, database, addr, port, application_name }) => ({
    id: String(id),
    user,
    database,
    addr,
    port,
    application_name,
  }),
  run: async (target, hands) => {
    const session = await hands.open()
    const there = async () => (await session.run('SHOW CLIENTS')).rows.some(sameClient(target))
    if (!(await there())) return { outcome: 'already gone', say: 'already gone: nothing was done' }
    await session.run(`KILL_CLIENT ${target.id}`)
    return (await there())
      ? { outcome: 'still there', say: 'PgBouncer took it, and the client is still there' }
      : { outcome: 'gone', say: 'gone' }
  },
})
