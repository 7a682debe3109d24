// Which queries the screen needs of a server now: what every server is asked anyway, and what the lists in view ask for.

import { unlockedRelations } from '../model/locked.ts'
import { catalogLocks } from '../sql/catalogs.ts'
import type { Param, Query } from '../sql/query.ts'
import { lockedRelations } from '../sql/tables.ts'
import type { ServerState, State, Want } from '../store/state.ts'
import { always } from './always.ts'
import type { AnyList } from './panel.ts'
import { listOf, panelOf, selectedRow, viewOf } from './shown.ts'

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
  const locked = metLock(server, state.now) ? [catalogLocks] : []
  const queries = new Set<Query>([...always[server.kind], ...locked, ...asked, ...watched(state, serverId)])
  const wants: Want[] = []
  for (const query of queries) {
    if (query.needs?.extension === 'timescaledb' && serverId !== state.settings.timescaleId) continue
    if (query.needs?.role && query.needs.role !== server.role) continue
    if (query.needs?.superuser && !server.facts?.superuser) continue
    const params = paramsOf(state, serverId, query)
    if (params) wants.push({ query: soonTwice(query, server, state.settings.intervalMs), params })
  }
  return wants
}

/** The statistics of a busy backend come once a second. Milliseconds. */
const leastRateMs = 1000

/** Rates need two samples, and nobody waits a whole pace for the second. */
function soonTwice(query: Query, { readings }: ServerState, intervalMs: number): Query {
  const soon = query.rates && query.every !== 'tick' && !readings[query.id]?.previous
  return soon ? { ...query, every: Math.max(leastRateMs, intervalMs) / 1000 } : query
}

/** The values that a query is asked with now; null: it isn't asked. */
export function paramsOf(state: State, serverId: string, query: Query): readonly (string | number)[] | null {
  const params = (query.params ?? []).map(param => paramOf(param, state, serverId))
  return params.every(value => value !== null) ? params : null
}

function paramOf(param: Param, state: State, serverId: string): string | number | null {
  switch (param) {
    case 'queryBytes':
      return state.settings.queryBytes
    case 'selectedPid':
      return selectedPid(state)
    case 'selectedQueryStart':
      return selectedPid(state) === null ? null : ((selectedRow(state)?.item.row.query_start as string | null) ?? '')
    case 'countSessions':
      return 1
    case 'askedRelations':
      return askedRelations(state, serverId)
    case 'unlockedRelations': {
      const { lockMarks = {}, readings = {} } = state.servers[serverId] ?? {}
      return unlockedRelations(lockMarks, readings[lockedRelations.id]?.sample?.at ?? 0)
    }
  }
}

/** Tables and indexes that the open question is about, as an array of oids. */
function askedRelations({ view: { dialog } }: State, serverId: string): string | null {
  if (dialog?.kind !== 'confirm') return null
  const oids = dialog.targets.filter(({ server }) => server === serverId).flatMap(({ relations = [] }) => relations)
  return oids.length > 0 ? `{${oids.join(',')}}` : null
}

/** So long after something of ours has waited for a lock in vain it is asked who locks catalogs. Milliseconds. */
const lockedLatelyMs = 12_000

const metLock = ({ readings }: ServerState, now: number) =>
  Object.values(readings).some(
    ({ problem }) => problem?.kind === 'failed' && problem.code === '55P03' && now - problem.at < lockedLatelyMs,
  )

/** What an open question, a pause or another deed of ours needs to know of a server, whatever is shown. */
function watched({ view, pauses, works }: State, serverId: string): readonly Query[] {
  const watches = [
    ...works.filter(({ endedAt }) => endedAt === null).flatMap(work => work.watches),
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
