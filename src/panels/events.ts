// Events: what happened to the servers and what we did to them while pgvigil watched, newest first.

import { type Event, type EventLevel, sayOf } from '../model/event.ts'
import { clock, day } from '../model/format.ts'
import { drawable } from '../model/untrusted.ts'
import { eventsOf } from '../store/selectors.ts'
import type { State } from '../store/state.ts'
import { always } from './always.ts'
import { type DetailLine, type ListSpec, list, type Panel, type Selected, type Tone } from './panel.ts'

/** `at` and `since`: ISO 8601, UTC. */
export type EventRow = Pick<Event, 'id' | 'server' | 'kind' | 'level' | 'say' | 'times' | 'detail'> & {
  readonly at: string
  readonly since: string
}

function select(state: State): Selected<EventRow> {
  const rows = eventsOf(state).map((event): EventRow => {
    const { id, server, kind, level, times, detail, at, since } = event
    return { id, at: iso(at), server, kind, level, say: sayOf(event), times, since: iso(since), detail }
  })
  return { rows }
}

const iso = (ms: number) => new Date(ms).toISOString()
const timeOf = (row: EventRow) => clock(Date.parse(row.at))

const tones: Readonly<Record<EventLevel, Tone | undefined>> = {
  ok: 'ok',
  info: undefined,
  warning: 'warning',
  critical: 'critical',
}
const tone = (row: EventRow) => tones[row.level]

function detail(row: EventRow): readonly DetailLine[] {
  const at = Date.parse(row.at)
  return [
    { name: 'time', value: `${day(at)} ${clock(at)} (${row.at})` },
    { name: 'server', value: drawable(row.server) },
    { name: 'kind', value: row.kind },
    { name: 'what happened', value: row.say, ...(tone(row) ? { tone: tone(row) as Tone } : {}) },
    ...(row.times > 1 ? [{ name: 'first time', value: `${day(Date.parse(row.since))} ${clock(Date.parse(row.since))}` }] : []),
    ...(row.detail === null ? [] : [{ name: 'in its own words', value: row.detail }]),
  ]
}

const events: ListSpec<EventRow> = {
  id: 'events',
  title: 'Events',
  needs: [...always.postgres, ...always.pgbouncer],
  select,
  columns: [
    { title: 'DATE', width: 10, from: 140, text: row => day(Date.parse(row.at)), sortBy: row => row.at, descending: true },
    {
      title: 'TIME',
      width: 8,
      text: timeOf,
      // Two of the same moment stand in the order in which they were told.
      sortBy: row => `${row.at} ${String(row.id).padStart(9, '0')}`,
      descending: true,
    },
    { title: 'SERVER', width: 15, wide: 26, text: row => drawable(row.server) },
    { title: 'KIND', width: 14, from: 120, text: row => row.kind, tone },
    { title: 'EVENT', width: 48, grow: true, text: row => row.say, tone },
  ],
  rowId: row => String(row.id),
  sort: { column: 'TIME', descending: true },
  detail,
  empty: 'Nothing has happened while pgvigil watched.',
  copy: row => `${day(Date.parse(row.at))} ${timeOf(row)} ${drawable(row.server)}: ${row.say}`,
  remembered: {
    reason: 'events are told by what changes while pgvigil watches: one look has no history',
    remedy: 'look on for a while: pgvigil snapshot --count N, or the live screen',
  },
}

export const eventsPanel: Panel = { id: 'events', key: '0', title: 'Events', scope: 'cluster', lists: [list(events)] }

/** How long an event is told of above the panes. Milliseconds. */
const toldMs = 12_000

/** The newest event that is worth a word on every pane, for some seconds; null: there is none. Its deeds are told of where they go on. */
export function freshEvent(state: State): Event | null {
  const { now } = state
  return (
    eventsOf(state).findLast(({ level, kind, at }) => level !== 'info' && !kind.startsWith('deed') && now - at < toldMs) ?? null
  )
}
