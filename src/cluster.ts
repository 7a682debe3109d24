// One cluster being watched, from its opening to its end: the store, the poller that fills it and the hands that act on it.

import { type Actor, createActor } from './actions/perform.ts'
import { openAudit } from './audit.ts'
import type { Server } from './config/config.ts'
import { thisMachine } from './config/machine.ts'
import { drawable } from './model/untrusted.ts'
import { wantedOnScreen } from './panels/wanted.ts'
import { type Asking, type AskPassword, firstPlace, withPasswords } from './password.ts'
import type { Poller } from './poller.ts'
import type { State } from './store/state.ts'
import type { Store } from './store/store.ts'
import { type Watched, watch } from './watch.ts'

/** Bytes of each query's text that lists read: more than a row of a wide terminal shows. */
const listQueryBytes = 256
/** Before the screen opens, servers that refuse for good get this long to say so. Milliseconds. */
const openingMs = 1000

export type Cluster = {
  readonly store: Store
  readonly poller: Poller
  readonly actor: Actor
  readonly trailTrouble: () => string | null
}

/** Watching begins at once. */
export function startCluster(config: Watched, panel: string): Cluster {
  const { store, poller } = watch(config, panel, listQueryBytes, wantedOnScreen)
  const audit = openAudit(process.env, thisMachine())
  const targets = new Map([...config.servers, ...config.pgbouncers].map(server => [server.id, server]))
  const targetOf = (id: string) => targets.get(id) as Server
  const actor = createActor({ store, targetOf, lend: poller.lend, audit, again: poller.again })
  return { store, poller, actor, trailTrouble: audit.trouble }
}

/**
 * Watches a cluster once it is worth a screen, with the passwords that had to be asked for. A list of sentences when every server refused
 * for good, null when the person gave up at a password.
 */
export async function openCluster(
  config: Watched,
  panel: string,
  asking: Asking,
  ask: AskPassword,
): Promise<Cluster | readonly string[] | null> {
  const given = asking === 'first' ? await withPasswords(config, firstPlace, ask) : config
  if (given === null) return null
  const cluster = startCluster(given, panel)
  const refused = await opening(cluster.store)
  const wanting = wantingPassword(cluster.store.getState())
  if (wanting.size > 0 && asking === 'when wanted') {
    cluster.poller.stop()
    const known = await withPasswords(given, server => wanting.get(server.id), ask)
    return known === null ? null : openCluster(known, panel, 'never', ask)
  }
  if (refused === null) return cluster
  cluster.poller.stop()
  return refused
}

/** Server ids, and the place that asked. */
const wantingPassword = ({ order, servers }: State) =>
  new Map(
    order.flatMap(id => {
      const place = servers[id]?.link.wants
      return place === undefined ? [] : [[id, place]]
    }),
  )

/**
 * Waits until some server gives reason to open the screen, and all have said whether they want a password. A sentence a server when every one
 * has refused for good; null otherwise.
 */
function opening(store: Store): Promise<readonly string[] | null> {
  return new Promise(resolve => {
    const timer = setTimeout(() => done(null), openingMs)
    const unsubscribe = store.subscribe(look)
    function look() {
      const links = Object.values(store.getState().servers).map(server => server.link)
      if (links.length === 0) done(null)
      else if (links.every(link => link.word === 'DENIED')) done(refusals(store.getState()))
      else if (links.every(link => link.word !== 'CONNECTING')) done(null)
    }
    function done(result: readonly string[] | null) {
      clearTimeout(timer)
      unsubscribe()
      resolve(result)
    }
    look()
  })
}

export function refusals(state: State): readonly string[] {
  return state.order.map(id => `pgvigil: ${drawable(id)}: ${state.servers[id]?.link.why ?? 'refused'}`)
}

/** All servers have refused for good and none was ever there: the same as refusing before the screen opened. */
export function neverLive(state: State): boolean {
  const servers = Object.values(state.servers)
  return servers.length > 0 && servers.every(server => server.link.word === 'DENIED' && server.lastAnswerAt === null)
}
