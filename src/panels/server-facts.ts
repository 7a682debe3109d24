// What is known of a server itself: for its detail on the screen, and for the head of what `doctor` says of it.

import { ageMs, clock } from '../model/format.ts'
import { drawable } from '../model/untrusted.ts'
import { pulse } from '../sql/server.ts'
import { dataAgeMs, linkOf, picture, rowsOf, troubleSince } from '../store/selectors.ts'
import type { ServerState, State } from '../store/state.ts'
import type { DetailLine, Tone } from './panel.ts'

const tlsWords = { plain: 'plain', unverified: 'TLS unverified', verified: 'TLS verified' } as const

/** "plain", "TLS unverified" or "TLS verified"; "–" before the first connection. */
export const tlsWord = ({ tls }: ServerState) => (tls === null ? '–' : tlsWords[tls])

/** What our role is there, in words. Drawable. */
export function roleWords(server: ServerState): string {
  const { facts, kind, user } = server
  const name = drawable(user)
  if (!facts || kind === 'pgbouncer') return name
  if (facts.superuser) return `${name} (superuser)`
  const has = [...(facts.readsAllStats ? ['reads all statistics'] : []), ...(facts.signalsBackends ? ['signals sessions'] : [])]
  return `${name} (${has.length > 0 ? has.join(', ') : 'sees its own sessions only'})`
}

export function serverFacts(state: State, id: string): readonly DetailLine[] {
  const { servers, now } = picture(state)
  const server = servers[id]
  if (!server) return []
  const { facts, kind, lastNotice } = server
  const link = linkOf(server, now, state.settings.intervalMs)
  const since = link.state === 'up' ? link.since : troubleSince(server)
  const age = dataAgeMs(server, now)
  const entry = server.readings[kind === 'postgres' ? pulse.id : 'showPools']
  const line = (name: string, value: string | null | undefined, tone?: Tone): DetailLine[] =>
    value ? [{ name, value, ...(tone ? { tone } : {}) }] : []
  return [
    ...line('server', drawable(id), 'accent'),
    ...line('kind', kind === 'pgbouncer' ? 'PgBouncer' : (server.role ?? 'PostgreSQL')),
    ...line('version', drawable(facts?.versionText)),
    ...line('place', `${drawable(server.host)}${server.host.startsWith('/') ? ', port ' : ':'}${server.port}`),
    ...line('database', drawable(kind === 'pgbouncer' ? null : (facts?.database ?? server.database))),
    ...line('role', roleWords(server)),
    ...line('connection', tlsWord(server), server.tls === 'unverified' ? 'warning' : undefined),
    ...line(
      'link',
      `${link.word} since ${clock(since)} (${ageMs(now - since)})${link.why ? `: ${link.why}` : ''}`,
      link.word === 'LIVE' ? 'ok' : 'warning',
    ),
    ...line('last notice', lastNotice && `${clock(lastNotice.at)} ${lastNotice.code} ${lastNotice.text}`),
    ...line('last answer', age === null ? null : `${ageMs(age)} ago, took ${(entry?.sample?.tookMs ?? 0).toFixed(1)} ms`),
    ...line('our session', kind === 'postgres' ? `pid ${rowsOf(state, id, pulse)[0]?.own_pid ?? '–'}` : null),
    ...line('connections for all', facts?.usableConnections === null ? null : String(facts?.usableConnections ?? '')),
    ...line('cluster_name', drawable(facts?.clusterName)),
    ...line('system identifier', facts?.systemIdentifier === null ? null : String(facts?.systemIdentifier ?? '')),
    ...line('extensions', Object.keys(facts?.extensions ?? {}).join(', ')),
  ]
}
