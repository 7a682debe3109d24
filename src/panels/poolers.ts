// What the lists of the Pools pane share: rows of every PgBouncer with a word on each that gives none, and the look of their cells.

import { absent, clock } from '../model/format.ts'
import type { Pooler } from '../model/pools.ts'
import { drawable, type Untrusted } from '../model/untrusted.ts'
import type { Query } from '../sql/query.ts'
import { idsOf, linkOf, picture, read } from '../store/selectors.ts'
import type { State } from '../store/state.ts'
import type { Absence, Selected, Tone } from './panel.ts'

/** Rows of every PgBouncer, with a word on each that gives none or old ones. `main` is the query whose rows they are. */
export function fromPoolers<Row>(
  state: State,
  main: Query,
  needs: readonly Query[],
  rowsOf: (pooler: Pooler, now: number) => Row[],
): Selected<Row> {
  const { servers, now } = picture(state)
  const ids = idsOf(state, 'pgbouncer')
  if (ids.length === 0) {
    return {
      rows: [],
      unavailable: {
        reason: state.settings.noPooler ?? 'no PgBouncer is watched',
        remedy: 'name its admin console with --pgbouncer CONNINFO',
      },
    }
  }
  const rows: Row[] = []
  const troubles: string[] = []
  let absence: Absence | null = null
  let heard = false
  for (const id of ids) {
    const pooler = servers[id]
    const reading = read(state, id, main)
    if (!pooler || reading.kind === 'waiting') {
      const link = pooler ? linkOf(pooler, now, state.settings.intervalMs) : null
      if (link?.why) absence ??= { reason: `${drawable(id)}: ${link.why}`, remedy: remedyFor(link.why) }
    } else if (reading.kind === 'failed' || reading.kind === 'unavailable') {
      const reason = reading.kind === 'failed' ? reading.error : reading.reason
      absence ??= {
        reason: `${drawable(id)}: ${reason}`,
        remedy: reading.kind === 'failed' ? remedyFor(reason) : reading.remedy,
      }
    } else {
      heard = true
      rows.push(...rowsOf(pooler, now))
      if (reading.kind === 'stale') troubles.push(`${drawable(id)}: as of ${clock(reading.since)}, ${reading.why}`)
      for (const query of needs) {
        const side = read(state, id, query)
        if (query === main) continue
        if (side.kind === 'failed') troubles.push(`${drawable(id)}: ${queryText(query)}: ${side.error}`)
        else if (side.kind === 'stale' && reading.kind === 'fresh') {
          troubles.push(`${drawable(id)}: ${queryText(query)} is of ${clock(side.since)}, ${side.why}`)
        }
      }
    }
  }
  if (!heard) return absence ? { rows, unavailable: absence } : { rows, waiting: true }
  if (absence) troubles.push(absence.reason)
  return troubles.length > 0 ? { rows, notice: troubles.join(' · ') } : { rows }
}

function remedyFor(reason: string): string {
  return /not allowed|admin access needed/.test(reason)
    ? 'add the user to stats_users in pgbouncer.ini and RELOAD'
    : 'it is tried again; look at the PgBouncer and at its conninfo'
}

const queryText = (query: Query) => query.variants[0]?.text ?? query.id

export const text = (value: Untrusted | null) => (value === null ? absent : drawable(value))
export const figure = (value: number | null) => (value === null ? absent : String(value))
export function address(addr: Untrusted | null, port: number | null): string {
  if (addr === null) return absent
  const host = drawable(addr)
  return `${host.includes(':') ? `[${host}]` : host}:${port ?? absent}`
}

/** A wait that an application feels, and one that a DBA has to end. */
export const waitTone = (seconds: number | null): Tone | undefined =>
  seconds === null || seconds < 1 ? undefined : seconds < 10 ? 'warning' : 'critical'

/** A row's identity of several parts, none of which can run into the next. */
export const id = (...parts: readonly (string | number | bigint | Untrusted | null)[]) =>
  JSON.stringify(parts.map(part => String(part)))
