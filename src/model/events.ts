// What happened, told by two looks at a server: the one before a sample or a word of the link came in, and the one after it. Pure: times come with
// the samples, and what has to be remembered is in the looks (outage, firstSeen).

import type { SlotStateRow } from '../sql/events.ts'
import type { PoolStatsRow } from '../sql/pgbouncer.ts'
import type { CountersRow, NamesRow, PulseRow } from '../sql/server.ts'
import type { EventKind, EventLevel, NewEvent } from './event.ts'
import type { ServerFacts } from './facts.ts'
import { type Lasting, lastingEvents, smartStop } from './lasting.ts'
import { type Ailing, linkChanged, type Outage, poolerBack, serverBack } from './outage.ts'
import { drawable, is, raw } from './untrusted.ts'

/** A server as it is looked at here; a ServerState is one. */
export type Looked = Lasting & {
  readonly host: string
  readonly port: number
  readonly facts: Pick<ServerFacts, 'version' | 'systemIdentifier' | 'databaseOid' | 'database'> | null
  readonly outage: Outage | null
  /** Epoch ms; null before the first. */
  readonly lastAnswerAt: number | null
}

export type Story = { readonly outage: Outage | null; readonly events: readonly NewEvent[] }

const ailing = (server: Looked): Ailing => ({
  id: server.id,
  link: server.link,
  outage: server.outage,
  version: server.kind === 'postgres' ? (server.facts?.version ?? null) : null,
  stopping: smartStop(server) !== null,
  lastAnswerAt: server.lastAnswerAt,
})

/** The events between two looks, in their order, and the outage that goes on from here. */
export function storyOf(before: Looked, after: Looked): Story {
  if (before.link !== after.link) return linkChanged(ailing(before), after.link)
  const [query] = Object.entries(after.readings).find(([id, entry]) => entry?.sample !== before.readings[id]?.sample) ?? []
  const at = query === undefined ? null : (after.readings[query]?.sample?.at ?? null)
  if (at === null) return { outage: after.outage, events: [] }
  const { outage, events } = after.kind === 'pgbouncer' ? poolerStory(before, after) : serverStory(before, after)
  return { outage, events: [...events, ...lastingEvents(before, after, at)] }
}

/** The newest sample of a query when it has just come, with the one before it. */
function fresh<Row>(before: Looked, after: Looked, query: string) {
  const [was, now] = [before.readings[query]?.sample ?? null, after.readings[query]?.sample ?? null]
  if (now === null || now === was) return null
  return {
    at: now.at,
    rows: now.rows as readonly Row[],
    before: was as { readonly at: number; readonly rows: readonly Row[] } | null,
  }
}

function serverStory(before: Looked, after: Looked): Story {
  const beat = fresh<PulseRow>(before, after, 'pulse')
  const now = beat?.rows[0]
  const { outage } = after
  if (beat && now) {
    const was = beat.before?.rows[0] ?? null
    const back =
      outage && after.link.state === 'up' ? serverBack({ ...ailing(after), outage }, { before: was, now, at: beat.at }) : []
    const events = [...back, ...roleEvents(before, after, now, beat.at), ...reloadEvents(after, was, now, beat.at)]
    return { outage: after.link.state === 'up' ? null : outage, events }
  }
  return { outage, events: [...statisticsEvents(before, after), ...slotEvents(before, after)] }
}

function poolerStory(before: Looked, after: Looked): Story {
  const stats = fresh<PoolStatsRow>(before, after, 'showStats')
  const { outage, link } = after
  if (!stats || !outage || link.state !== 'up') return { outage, events: [] }
  const total = (rows: readonly PoolStatsRow[]) => rows.reduce((sum, row) => sum + (row.total_query_count ?? 0n), 0n)
  const wentBack = stats.before !== null && total(stats.rows) < total(stats.before.rows)
  return { outage: null, events: poolerBack({ ...ailing(after), outage }, stats.before !== null, wentBack) }
}

const event = (server: Looked, at: number, kind: EventKind, level: EventLevel, say: string): NewEvent => ({
  at,
  server: server.id,
  kind,
  level,
  say,
})

function roleEvents(before: Looked, after: Looked, pulse: PulseRow, at: number): readonly NewEvent[] {
  if (before.role === null || before.role === after.role) return []
  if (after.role === 'standby') return [event(after, at, 'demoted', 'warning', 'is a standby now, it was a primary')]
  const timeline = pulse.timeline === null ? '' : `, on timeline ${Number.parseInt(raw(pulse.timeline), 16)}`
  return [event(after, at, 'promoted', 'warning', `promoted: a primary now${timeline}`)]
}

/** Only of one and the same session: another one may have read the configuration at another time. */
function reloadEvents(server: Looked, was: PulseRow | null, now: PulseRow, at: number): readonly NewEvent[] {
  const same = was && was.own_pid === now.own_pid && was.postmaster_start_epoch === now.postmaster_start_epoch
  const loaded = was?.conf_load_epoch ?? null
  if (!same || loaded === null || now.conf_load_epoch === null || now.conf_load_epoch <= loaded) return []
  return [event(server, at, 'reload', 'info', 'configuration reloaded')]
}

/** `datid=stats_reset ...` as a map; databases that come and go are no reset. */
const epochsOf = (row: CountersRow | undefined) =>
  new Map(
    (row?.stats_epoch === null || row === undefined ? '' : raw(row.stats_epoch))
      .split(' ')
      .map(pair => pair.split('=') as [string, string]),
  )

function statisticsEvents(before: Looked, after: Looked): readonly NewEvent[] {
  const counted = fresh<CountersRow>(before, after, 'counters')
  const [was, now] = [counted?.before?.rows[0], counted?.rows[0]]
  if (!counted?.before || !was || !now) return []
  const [old, young] = [epochsOf(was), epochsOf(now)]
  // Up to 14 a database has no entry at all before its first session, so that one from nothing is no reset.
  const lazy = (after.facts?.version ?? 0) < 150_000
  const reset = [...young].filter(
    ([datid, epoch]) => old.has(datid) && old.get(datid) !== epoch && !(lazy && old.get(datid) === '-'),
  )
  if (counted.before.at < after.link.since) {
    const lost = now.xact < was.xact || reset.some(([, epoch]) => epoch === '-')
    return lost ? [event(after, counted.at, 'stats-reset', 'info', 'statistics lost, counters begin anew')] : []
  }
  const names = reset.filter(([, epoch]) => epoch !== '-').map(([datid]) => databaseName(after, datid))
  if (names.length === 0) return []
  const some = names.length > 3 ? `${names.slice(0, 3).join(', ')} (+${names.length - 3})` : names.join(', ')
  return [event(after, counted.at, 'stats-reset', 'info', `statistics reset in ${some}`)]
}

/** Drawable. */
function databaseName({ facts, readings }: Looked, datid: string): string {
  if (datid === '0') return 'shared objects'
  if (facts && String(facts.databaseOid) === datid && facts.database !== null) return drawable(facts.database)
  const names = (readings.names?.sample?.rows ?? []) as readonly NamesRow[]
  const known = names.find(({ kind, oid }) => is(kind, 'database') && String(oid) === datid)
  return known ? drawable(known.name) : `database ${datid}`
}

function slotEvents(before: Looked, after: Looked): readonly NewEvent[] {
  const slots = fresh<SlotStateRow>(before, after, 'slotStates')
  if (!slots?.before) return []
  const lost = (rows: readonly SlotStateRow[]) => rows.filter(({ wal_status }) => is(wal_status, 'lost'))
  const known = new Set(lost(slots.before.rows).map(({ slot_name }) => raw(slot_name)))
  return lost(slots.rows)
    .filter(({ slot_name }) => !known.has(raw(slot_name)))
    .map(({ slot_name, invalidation_reason }) => {
      const why = invalidation_reason === null ? '' : ` (${drawable(invalidation_reason)})`
      return event(
        after,
        slots.at,
        'slot-lost',
        'critical',
        `slot ${drawable(slot_name)} lost${why}: who needs it must be built anew`,
      )
    })
}

/**
 * Primaries of one system beside each other: who they are now, and what to tell of it. A server counts once it answers as such, and until it says
 * otherwise or nobody listens there: a connection that breaks, or a crash, ends nothing.
 */
export function rivalsAfter(
  before: readonly string[],
  servers: readonly Looked[],
  at: number,
): { readonly rivals: readonly string[]; readonly events: readonly NewEvent[] } {
  const counts = ({ role, link, outage, id }: Looked) =>
    role === 'primary' && ((link.state === 'up' && outage === null) || (before.includes(id) && !outage?.gone))
  const groups = Map.groupBy(
    servers.filter(server => server.facts?.systemIdentifier != null && counts(server)),
    server => server.facts?.systemIdentifier,
  )
  const now = [...groups.values()].filter(group => new Set(group.map(({ host, port }) => `${host} ${port}`)).size > 1).flat()
  const ids = now.map(({ id }) => id)
  if (ids.length === before.length && ids.every(id => before.includes(id))) return { rivals: before, events: [] }
  const fresh = now.filter(({ id }) => !before.includes(id))
  if (fresh.length > 0) {
    const latest = now.toSorted((a, b) => timelineOf(b) - timelineOf(a))[0] as Looked
    const others = ids.filter(id => id !== latest.id).map(id => drawable(id))
    const say = `two primaries: ${others.join(', ')} ${others.length > 1 ? 'are' : 'is'} a primary of the same cluster too`
    return { rivals: ids, events: [event(latest, at, 'two-primaries', 'critical', say)] }
  }
  const left = servers.find(({ id, role, outage }) => before.includes(id) && role === 'primary' && !outage?.gone)
  if (ids.length > 0 || !left) return { rivals: ids, events: [] }
  return { rivals: ids, events: [event(left, at, 'one-primary', 'ok', 'the only primary again')] }
}

function timelineOf({ readings }: Looked): number {
  const timeline = (readings.pulse?.sample?.rows[0] as PulseRow | undefined)?.timeline ?? null
  return timeline === null ? 0 : Number.parseInt(raw(timeline), 16)
}
