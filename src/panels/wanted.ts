// Which queries the screen needs of a server now: what every server is asked anyway, and what the lists in view ask for.

import { showDatabases, showPools, showState, showStats } from '../sql/pgbouncer.ts'
import type { Param, Query } from '../sql/query.ts'
import { receiver } from '../sql/replication.ts'
import { counters, pulse } from '../sql/server.ts'
import type { State, Want } from '../store/state.ts'
import type { AnyList } from './panel.ts'
import { listOf, panelOf, selectedRow, viewOf } from './shown.ts'

const always = { postgres: [pulse, counters, receiver], pgbouncer: [showPools, showDatabases, showStats, showState] }

/** The live screen: the lists of the pane shown. A cluster pane asks all its servers, another only the server in focus. */
export function wantedOnScreen(state: State, serverId: string): readonly Want[] {
  const panel = panelOf(state)
  const inFocus = panel.scope === 'cluster' || serverId === state.view.focus
  return wanted(state, serverId, panel.lists, inFocus)
}

/** `snapshot`: the given lists of every server. */
export function wantedByLists(state: State, serverId: string, lists: readonly AnyList[]): readonly Want[] {
  return wanted(state, serverId, lists, true)
}

function wanted(state: State, serverId: string, lists: readonly AnyList[], inFocus: boolean): readonly Want[] {
  const server = state.servers[serverId]
  if (!server) return []
  const asked = lists
    .flatMap(list => list.needs)
    .filter(query => query.on === server.kind && (query.on === 'pgbouncer' || inFocus))
  const queries = new Set<Query>([...always[server.kind], ...asked, ...watched(state, serverId)])
  const wants: Want[] = []
  for (const query of queries) {
    if (query.needs?.extension === 'timescaledb' && serverId !== state.settings.timescaleId) continue
    if (query.needs?.role && query.needs.role !== server.role) continue
    const params = (query.params ?? []).map(param => bound(param, state))
    if (params.every(value => value !== null)) wants.push({ query, params: params as (string | number)[] })
  }
  return wants
}

/** What an open question, a pause or another deed of ours needs to know of a server, whatever is shown. */
function watched({ view, pauses, works }: State, serverId: string): readonly Query[] {
  const watches = [
    ...works.filter(({ endedAt }) => endedAt === null).flatMap(work => work.watches),
    ...(view.dialog?.kind === 'confirm' ? view.dialog.watches : []),
    ...pauses.filter(({ phase }) => phase === 'pending').flatMap(pause => pause.watches),
  ]
  return watches.filter(({ server }) => server === serverId).map(({ query }) => query)
}

function bound(param: Param, state: State): number | string | null {
  switch (param) {
    case 'queryBytes':
      return state.settings.queryBytes
    case 'selectedPid':
      return selectedPid(state)
    case 'selectedQueryStart':
      return selectedPid(state) === null ? null : ((selectedRow(state)?.item.row.query_start as string | null) ?? '')
    case 'countSessions':
      return 1
  }
}

/** The pid of the row that the user has chosen in a list of sessions: its whole query is wanted, for the detail and for copying. */
function selectedPid(state: State): number | null {
  const list = listOf(state)
  if (viewOf(state, list).selectedId === null || !list.needs.some(query => query.params?.includes('selectedPid'))) return null
  const pid = selectedRow(state)?.item.row.pid
  return typeof pid === 'number' && pid > 0 ? pid : null
}
