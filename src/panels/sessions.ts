// What Activity and Locks share: the server in focus, and the words for data that are old or restricted.

import { ageMs } from '../model/format.ts'
import { sqlName } from '../model/sql-name.ts'
import { drawable, raw, type Untrusted } from '../model/untrusted.ts'
import { showClients, showServers } from '../sql/pgbouncer.ts'
import { idsOf, picture, read } from '../store/selectors.ts'
import type { Reading, ServerState, State } from '../store/state.ts'
import type { Absence, Selected } from './panel.ts'

/** The PostgreSQL server that is shown; null when none was given. */
export function focusOf(state: State): ServerState | null {
  const id = state.view.focus ?? idsOf(state, 'postgres')[0]
  return (id === undefined ? undefined : picture(state).servers[id]) ?? null
}

/** One session and no later one of the same pid. Where the role may not see when it began, the pid has to do. */
export function sessionId(pid: number, backend_start: Untrusted | null): string {
  return backend_start === null ? String(pid) : `${pid} ${raw(backend_start)}`
}

export const noServer: Absence = { reason: 'no PostgreSQL server was given', remedy: 'pgvigil CONNINFO' }

/** A line for each pooler that does not say who its clients are; none while all do, or have not been asked yet. */
export function poolerNotices(state: State): readonly string[] {
  return idsOf(state, 'pgbouncer').flatMap(id => {
    const silent = [read(state, id, showServers), read(state, id, showClients)].find(
      r => r.kind !== 'fresh' && r.kind !== 'waiting',
    )
    return silent ? [`clients behind ${drawable(id)} unknown: ${whyOf(silent)}`] : []
  })
}

function whyOf(reading: Reading<unknown>): string {
  if (reading.kind === 'unavailable') return reading.reason
  if (reading.kind === 'failed') return reading.error
  return reading.kind === 'stale' ? reading.why : ''
}

/** How old rows are that are not of this tick, and why; null for fresh ones. */
export function ageNotice(state: State, reading: Reading<unknown>): string | null {
  return reading.kind === 'stale' ? `as of ${ageMs(picture(state).now - reading.since)} ago: ${reading.why}` : null
}

/** What to say of sessions that our role may not look into. */
export function restrictedNotice(count: number, server: ServerState): string | null {
  if (count === 0) return null
  return `${count} ${count === 1 ? 'session' : 'sessions'} restricted: GRANT pg_monitor TO ${drawable(sqlName(server.user))};`
}

/** A list without rows to show, for the reasons a reading can have; null when there are rows. */
export function withoutRows(reading: Reading<unknown>): Selected<never> | null {
  switch (reading.kind) {
    case 'waiting':
      return { rows: [], waiting: true }
    case 'unavailable':
      return { rows: [], unavailable: reading }
    case 'failed':
      return { rows: [], unavailable: { reason: reading.error, remedy: 'it is asked again at the next tick' } }
    case 'fresh':
    case 'stale':
      return null
  }
}

export const notice = (...parts: readonly (string | null)[]): { notice?: string } => {
  const said = parts.filter(part => part !== null)
  return said.length > 0 ? { notice: said.join(' · ') } : {}
}
