// Runs checks on a state: which of them concern which server, and what to say where there is nothing to look at.

import { sqlName } from '../model/sql-name.ts'
import { drawable } from '../model/untrusted.ts'
import { ourRole, type Query } from '../sql/query.ts'
import { idsOf, linkOf, picture, read, whyUnknown } from '../store/selectors.ts'
import type { ServerState, State } from '../store/state.ts'
import { type Check, type Finding, type Found, type Level, severity } from './check.ts'

/** What checks find, in the order of the checks and then of the servers. */
export function run(state: State, checks: readonly Check[]): readonly Finding[] {
  const { servers, order } = picture(state)
  return checks.flatMap((check): readonly Finding[] => {
    if (check.of === 'cluster') {
      const told = check.look(state)
      const silent = idsOf(state, 'postgres').some(id => !isUp(state, id))
      if (told.length === 0 && silent)
        return [{ level: 'unknown', say: 'can not be told while not every server answers', unasked: true, check, server: null }]
      return told.map(found => {
        const server = found.server === null ? undefined : servers[found.server]
        return { ...(server ? withRole(found, server) : found), server: found.server, check }
      })
    }
    const { look } = check
    return order.flatMap(id => {
      const server = servers[id] as ServerState
      if (!concerns(check, server, state)) return []
      const found = absence(state, check, server) ?? look(state, server)
      return found.map(one => ({ ...withRole(one, server), check, server: id }))
    })
  })
}

/** Worst first; of one level in the order they were found in. A server that could not be asked may be in any trouble: that stands above warnings. */
export function bySeverity<F extends Pick<Finding, 'level' | 'unasked'>>(findings: readonly F[]): readonly F[] {
  const weight = ({ level, unasked }: F) => severity(level) + (unasked ? 1.5 : 0)
  return findings.toSorted((a, b) => weight(b) - weight(a))
}

const levels = ['critical', 'warning', 'unknown', 'ok'] as const

/** "2 critical, 1 warning, 40 ok": those that there are. */
export function counts(findings: readonly { readonly level: Level }[]): string {
  const told = levels.flatMap(level => {
    const n = findings.filter(found => found.level === level).length
    return n > 0 ? [`${n} ${level}`] : []
  })
  return told.join(', ') || 'nothing to check'
}

/** A server whose role nobody knows yet may have either. */
function concerns({ of }: Check, server: ServerState, state: State): boolean {
  if (of === 'server') return true
  if (of === 'pgbouncer') return server.kind === 'pgbouncer'
  if (server.kind !== 'postgres') return false
  if (of === 'timescale') return server.id === state.settings.timescaleId
  return of === 'postgres' || server.role === null || server.role === of
}

/** What is said instead of looking; null: there is something to look at. None at all where the check has no business. */
function absence(state: State, check: Check, server: ServerState): readonly Found[] | null {
  if (check.of === 'server') return null
  const { now } = picture(state)
  const link = linkOf(server, now, state.settings.intervalMs)
  if (link.state !== 'up') {
    // Until the first answer nobody knows whether it has hypertables at all.
    if (check.of === 'timescale' && server.lastAnswerAt === null) return []
    return [{ level: 'unknown', say: `not asked: ${link.word}${link.why ? `: ${link.why}` : ''}`, unasked: true }]
  }
  for (const query of check.needs) {
    if (query.on !== server.kind) continue
    if (query.needs?.extension && server.facts && server.facts.extensions[query.needs.extension] === undefined) return []
    const trouble = whyNot(state, server, query)
    if (trouble) return [trouble]
  }
  return null
}

/** Why a query of a server that is up says nothing of this moment, and what would help; null: it does. */
export function whyNot(state: State, server: ServerState, query: Query): Found | null {
  const reading = read(state, server.id, query)
  if (reading.kind === 'unavailable') return { level: 'unknown', say: reading.reason, remedy: reading.remedy }
  const why = whyUnknown(state, server.id, query)
  if (why === null) return null
  const problem = server.readings[query.id]?.problem
  const denied = problem?.kind === 'failed' && problem.code === '42501'
  const remedy = server.kind === 'pgbouncer' ? 'stats_users in pgbouncer.ini' : `GRANT pg_monitor TO ${ourRole};`
  return { level: 'unknown', say: why, ...(denied ? { remedy } : {}) }
}

function withRole(found: Found, server: ServerState): Found {
  return found.remedy?.includes(ourRole)
    ? { ...found, remedy: found.remedy.replaceAll(ourRole, drawable(sqlName(server.user))) }
    : found
}

/** Whether a server answers now. */
export function isUp(state: State, id: string): boolean {
  const { servers, now } = picture(state)
  const server = servers[id]
  return server !== undefined && linkOf(server, now, state.settings.intervalMs).state === 'up'
}

/** For checks of the whole cluster: the PostgreSQL servers that answer, but not to what is needed of them. */
export function unread(state: State, needs: readonly Query[]): readonly (Found & { readonly server: string })[] {
  return idsOf(state, 'postgres').flatMap(id => {
    if (!isUp(state, id)) return []
    const server = picture(state).servers[id] as ServerState
    const trouble = needs.map(query => whyNot(state, server, query)).find(found => found !== null)
    return trouble ? [{ ...trouble, server: id }] : []
  })
}

/** All that checks ask of servers, each query once. */
export function queriesOf(checks: readonly Check[]): readonly Query[] {
  return [...new Set(checks.flatMap(({ needs, uses = [] }) => [...needs, ...uses]))]
}
