// Questions to the state that several readers ask. Pure.

import { ageMs } from '../model/format.ts'
import { smartStop } from '../model/lasting.ts'
import type { Query, RowOf } from '../sql/query.ts'
import type { Event, Link, Reading, Sample, ServerState, State, Work } from './state.ts'

/** The picture to draw: the live one, or the held one with the clock of that moment. */
export function picture(state: State): Pick<State, 'servers' | 'order' | 'now'> {
  return state.held ? { servers: state.held.servers, order: state.order, now: state.held.at } : state
}

/** A server may miss one whole tick before its data are called stale. Milliseconds. */
export function staleAfterMs(intervalMs: number): number {
  return 2 * intervalMs + 300
}

/**
 * The link with STALE told by the age of the data, whatever the connection still believes; and STOPPING where a smart stop waits for sessions to
 * end, while ours is still answered.
 */
export function linkOf(server: ServerState, now: number, intervalMs: number): Link {
  const { link, outage } = server
  if (link.state !== 'up' || server.lastAnswerAt === null) return link
  // A server that has just let us in again has answered then, whatever is shown of it.
  const heardAt = outage ? Math.max(server.lastAnswerAt, link.since) : server.lastAnswerAt
  if (now - heardAt > staleAfterMs(intervalMs)) return { state: 'stale', word: 'STALE', since: heardAt, why: 'no answer' }
  const stop = smartStop(server)
  if (!stop) return link
  const waits = stop.others > 0 ? `, waits for ${stop.others} session${stop.others === 1 ? '' : 's'} to end` : ''
  return { state: 'up', word: 'STOPPING', since: stop.since, why: `smart stop: no new connections${waits}` }
}

/** When the trouble began that a server is in; since when its link is as it is, where it is in none. Epoch ms. */
export const troubleSince = ({ outage, link }: ServerState) => outage?.since ?? link.since

/** What happened until the moment of the picture, oldest first. */
export function eventsOf({ events, held }: State): readonly Event[] {
  return held ? events.filter(({ at }) => at <= held.at) : events
}

/**
 * The moment that rows are worked out for: that of the newest answer while all servers answer, so that what the clock alone moves is worked out
 * with the next samples; this very moment as soon as one is silent and the age of its data counts.
 */
export function momentOf(state: State): number {
  const { servers, order, now } = picture(state)
  let newest = 0
  for (const id of order) {
    const server = servers[id]
    if (!server || server.lastAnswerAt === null || linkOf(server, now, state.settings.intervalMs).state !== 'up') return now
    newest = Math.max(newest, server.lastAnswerAt)
  }
  return newest
}

/** Age in milliseconds of what is shown of a server; null before the first answer. Never negative. */
export function dataAgeMs(server: ServerState, now: number): number | null {
  return server.lastAnswerAt === null ? null : Math.max(0, now - server.lastAnswerAt)
}

/** What a query of a server says at this moment, typed by the query. */
export function read<Q extends Query>(state: State, serverId: string, query: Q): Reading<RowOf<Q>> {
  const { servers, now } = picture(state)
  const server = servers[serverId]
  const entry = server?.readings[query.id]
  if (!server || !entry) return { kind: 'waiting' }
  const link = linkOf(server, now, state.settings.intervalMs)
  const { sample, previous, problem } = entry as {
    sample: Sample<RowOf<Q>> | null
    previous: Sample<RowOf<Q>> | null
    problem: typeof entry.problem
  }
  if (problem?.kind === 'unavailable') return problem
  if (!sample) return problem ? { kind: 'failed', error: problem.error } : { kind: 'waiting' }
  if (problem) return { kind: 'stale', sample, previous, since: sample.at, why: problem.error }
  if (link.state !== 'up') return { kind: 'stale', sample, previous, since: sample.at, why: link.why ?? link.word }
  if (state.held && now - sample.at > paceMs(query, state.settings.intervalMs)) {
    return { kind: 'stale', sample, previous, since: sample.at, why: 'this pane was not shown when the picture was held' }
  }
  return { kind: 'fresh', sample, previous }
}

/**
 * Why the rows of a query are no word on this moment; null: they are. Rows of what nobody asked for lately are as old as that. Drawable.
 */
export function whyUnknown(state: State, serverId: string, query: Query): string | null {
  const reading = read(state, serverId, query)
  switch (reading.kind) {
    case 'unavailable':
      return reading.reason
    case 'failed':
      return reading.error
    case 'waiting':
      return 'not read yet'
    case 'stale':
      return `not read for ${ageMs(picture(state).now - reading.since)}: ${reading.why}`
    case 'fresh':
      return picture(state).now - reading.sample.at > paceMs(query, state.settings.intervalMs) ? 'not read yet' : null
  }
}

/** How old a query's newest rows may be while it is asked all the time. */
function paceMs({ every }: Query, intervalMs: number): number {
  return staleAfterMs(intervalMs) + (every === 'tick' ? 0 : every * 1000)
}

/** The newest rows of a query, fresh or stale; empty where there are none. For joins, where absence is no news. */
export function rowsOf<Q extends Query>(state: State, serverId: string, query: Q): readonly RowOf<Q>[] {
  const reading = read(state, serverId, query)
  return reading.kind === 'fresh' || reading.kind === 'stale' ? reading.sample.rows : []
}

/** Ids of the servers of a kind, in the order given. */
export function idsOf(state: State, kind: ServerState['kind']): readonly string[] {
  const { servers, order } = picture(state)
  return order.filter(id => servers[id]?.kind === kind)
}

/** The queue that Esc stops: the one begun last that has not been stopped yet; of stopped ones one that still has something under way. Null: none. */
export function queueToStop(works: readonly Work[]): Work | null {
  const open = works.filter(work => work.queue && work.endedAt === null)
  const underWay = (work: Work) => work.items.some(item => item.begunAt !== null && !item.ended)
  return (
    open.findLast(({ stopping }) => stopping === 'no') ??
    open.findLast(work => work.stopping === 'after this' && underWay(work)) ??
    null
  )
}
