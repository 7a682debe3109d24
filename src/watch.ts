// From a configuration to what runs: the state to start with and the poller that fills it. For the live monitor and for snapshot.

import type { Config, Server } from './config/config.ts'
import { watchLocalDisks } from './local-disk.ts'
import { drawable } from './model/untrusted.ts'
import { type Poller, startPoller } from './poller.ts'
import type { State, Want } from './store/state.ts'
import { createAppStore, createState, type Store } from './store/store.ts'
import { receive } from './store/updates.ts'

/** What to watch; `noPooler` says why there is no PgBouncer where its absence has a reason, `clusters` what else there is to be watched. */
export type Watched = Config & { readonly noPooler?: string | undefined; readonly clusters?: readonly string[] }

export type Watch = { readonly store: Store; readonly poller: Poller }

/** `queryBytes`: how much of each query's text lists read. `wanted`: what is asked of a server now. Polling begins at once. */
export function watch(
  config: Watched,
  panel: string,
  queryBytes: number,
  wanted: (state: State, serverId: string) => readonly Want[],
): Watch {
  const servers: readonly Server[] = [...config.servers, ...config.pgbouncers]
  const seeds = servers.map(({ id, kind, hosts, user, database, capacity }) => ({
    id,
    kind,
    host: hosts[0].host,
    port: hosts[0].port,
    user,
    database,
    capacity,
  }))
  const settings = {
    intervalMs: config.intervalMs,
    ascii: config.ascii,
    color: !process.env.NO_COLOR && config.theme !== 'mono',
    theme: config.theme,
    slowLink: config.slowLink ? ('asked' as const) : ('no' as const),
    thresholds: config.thresholds,
    readOnly: config.readOnly,
    cluster: config.cluster,
    clusters: config.clusters ?? [],
    timescaleId: config.timescaleId,
    noPooler: config.noPooler ?? null,
    queryBytes,
  }
  const store = createAppStore(createState(seeds, settings, panel, Date.now()))
  watchLocalDisks(store)
  const poller = startPoller({
    servers: servers.map(server => ({ id: server.id, target: server })),
    receive: event => receive(store, event),
    wanted: id => wanted(store.getState(), id),
    rows: (id, query) => store.getState().servers[id]?.readings[query]?.sample?.rows ?? null,
    intervalMs: () => store.getState().settings.intervalMs,
    drawable,
  })
  return { store, poller }
}
