// The whole way of a figure in a test: real connections, poller, store. Only the screen is missing.

import { parseConninfo, resolveConninfo, type Target } from '../../src/config/conninfo.ts'
import { thisMachine } from '../../src/config/machine.ts'
import { drawable } from '../../src/model/untrusted.ts'
import type { AnyList } from '../../src/panels/panel.ts'
import { paramsOf } from '../../src/panels/wanted.ts'
import { type Poller, startPoller } from '../../src/poller.ts'
import type { State } from '../../src/store/state.ts'
import { createAppStore, type Store } from '../../src/store/store.ts'
import { receive, setNow } from '../../src/store/updates.ts'
import { stateOf } from './state.ts'

export type Watched = { readonly id: string; readonly kind?: 'postgres' | 'pgbouncer'; readonly conninfo: string }

export type Watching = {
  readonly store: Store
  readonly poller: Poller
  readonly targets: ReadonlyMap<string, Target>
  state(): State
  /** Waits until the state is as wanted, with the clock moved on. Fails after 20 s with what the servers said. */
  until(ready: (state: State) => boolean, what: string): Promise<State>
  stop(): void
}

/** Asks the servers for what the lists need, every 100 ms unless said otherwise. The first PostgreSQL server is the TimescaleDB one. */
export function watching(servers: readonly Watched[], lists: readonly AnyList[], intervalMs = 100): Watching {
  const targets = servers.map(({ id, kind = 'postgres', conninfo }) => ({ id, kind, target: targetOf(conninfo, kind) }))
  const timescaleId = targets.find(({ kind }) => kind === 'postgres')?.id ?? null
  const store = createAppStore(
    stateOf(
      targets.map(({ id, kind, target: { hosts, user } }) => ({
        id,
        kind,
        lastAnswerAt: null,
        host: hosts[0].host,
        port: hosts[0].port,
        user,
      })),
      Date.now(),
      { intervalMs, timescaleId },
    ),
  )
  const queries = [...new Set(lists.flatMap(list => list.needs))]
  const poller = startPoller({
    servers: targets,
    receive: event => receive(store, event),
    wanted: id => {
      const state = store.getState()
      // Nothing is selected here, so what is asked of a selected row is not asked.
      return queries.flatMap(query => {
        const params = query.on === state.servers[id]?.kind ? paramsOf(state, id, query) : null
        return params ? [{ query, params }] : []
      })
    },
    rows: (id, query) => store.getState().servers[id]?.readings[query]?.sample?.rows ?? [],
    intervalMs: () => intervalMs,
    drawable,
  })
  const now = () => {
    setNow(store, Date.now(), null)
    return store.getState()
  }
  return {
    store,
    poller,
    targets: new Map(targets.map(({ id, target }) => [id, target])),
    state: now,
    stop: () => poller.stop(),
    until: (ready, what) =>
      new Promise((resolve, reject) => {
        const check = () => {
          const state = now()
          if (!ready(state)) return
          done()
          resolve(state)
        }
        const done = () => {
          clearInterval(again)
          clearTimeout(giveUp)
        }
        const again = setInterval(check, 20)
        const giveUp = setTimeout(() => {
          done()
          const said = Object.values(now().servers).map(({ id, link, readings }) => {
            const problems = Object.entries(readings).flatMap(([query, { problem }]) => (problem ? [{ query, problem }] : []))
            return JSON.stringify({ id, link, problems })
          })
          reject(new Error(`waited in vain for ${what}: ${said.join(' ')}`))
        }, 20_000)
        check()
      }),
  }
}

export function targetOf(conninfo: string, kind: 'postgres' | 'pgbouncer'): Target {
  const parsed = parseConninfo(conninfo)
  if ('error' in parsed) throw new Error(parsed.error)
  const target = resolveConninfo(parsed, {}, {}, thisMachine(), kind)
  if ('error' in target) throw new Error(target.error)
  return target
}
