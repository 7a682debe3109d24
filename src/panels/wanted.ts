// Which queries the screen needs of a server now: what every server is asked anyway, and what the lists in view ask for.

import { showDatabases, showPools, showState, showStats } from '../sql/pgbouncer.ts'
import type { Query } from '../sql/query.ts'
import { receiver } from '../sql/replication.ts'
import { counters, pulse } from '../sql/server.ts'
import type { State, Want } from '../store/state.ts'
import type { AnyList } from './panel.ts'
import { listOf, panelOf, selectedRow, viewOf } from './shown.ts'

/** What every server is asked, whatever is shown. */
export const always = { postgres: [pulse, counters, receiver], pgbouncer: [showPools, showDatabases, showStats, showState] }

/** The live screen: the lists of the pane shown. A cluster pane asks all its servers, another only the server in focus. */
export function wantedOnScreen(state: State, serverId: string): readonly Want[] {
  const panel = panelOf(state)
  const inFocus = panel.scope === 'cluster' || serverId === state.view.focus
  return wanted(state, serverId, needsOf(panel.lists), inFocus)
}

/** `snapshot`: the given lists of every server. */
export function wantedByLists(state: State, serverId: string, lists: readonly AnyList[]): readonly Want[] {
  return wanted(state, serverId, needsOf(lists), true)
}

/** `check`: the given queries of every server that they are for. */
export function wantedByQueries(state: State, serverId: string, queries: readonly Query[]): readonly Want[] {
  return wanted(state, serverId, queries, true)
}

const needsOf = (lists: readonly AnyList[]) => lists.flatMap(list => list.needs)

function wanted(state: State, serverId: string, needs: readonly Query[], inFocus: boolean): readonly Want[] {
  const server = state.servers[serverId]
  if (!server) return []
  const asked = needs.filter(query => query.on === server.kind && (query.on === 'pgbouncer' || inFocus))
  const queries = new Set<Query>([...always[server.kind], ...asked, ...watched(state, serverId)])
  const wants: Want[] = []
  for (const query of queries) {
    if (query.needs?.extension === 'timescaledb' && serverId !== state.settings.timescaleId) continue
    if (query.needs?.role && query.needs.role !== server.role) continue
    const params = (query.params ?? []).map(param => (param === 'queryBytes' ? state.settings.queryBytes : selectedPid(state)))
    if (params.every(value => value !== null)) wants.push({ query, params: params as (string | number)[] })
  }
  return wants
}

/** What an open question, or a pause of ours, needs to know of a server, whatever is shown. */
function watched({ view, pauses }: State, serverId: string): readonly Query[] {
  const watches = [
    ...(view.dialog?.kind === 'confirm' ? view.dialog.watches : []),
    ...pauses.filter(({ phase }) => phase === 'pending').flatMap(pause => pause.watches),
  ]
  return watches.filter(({ server }) => server === serverId).map(({ query }) => query)
}

/** The pid of the row that the user has chosen in a list of sessions: its whole query is wanted, for the detail and for copying. */
function selectedPid(state: State): number | null {
  const list = listOf(state)
  if (viewOf(state, list).selectedId === null || !list.needs.some(query => query.params?.includes('selectedPid'))) return null
  const pid = selectedRow(state)?.item.row.pid
  return typeof pid === 'number' && pid > 0 ? pid : null
}
