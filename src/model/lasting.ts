// What lasts for a while on a server (a pause of replay, a receiver that is down, a paused database) as marks with the time when they were first
// seen, and the events that its beginning and its end are.

import type { ShutdownRow } from '../sql/events.ts'
import type { PulseRow } from '../sql/server.ts'
import type { EventKind, EventLevel, NewEvent } from './event.ts'
import type { Link } from './link.ts'
import { inWords } from './outage.ts'
import { seenMarks } from './pooler.ts'
import { drawable, is, untrusted } from './untrusted.ts'

type Told = { readonly at: number; readonly rows: readonly Readonly<Record<string, unknown>>[] }

/** A server as far as this file looks at it; a ServerState is one. */
export type Lasting = {
  readonly id: string
  readonly kind: 'postgres' | 'pgbouncer'
  readonly role: 'primary' | 'standby' | null
  readonly link: Link
  readonly readings: Readonly<Record<string, { readonly sample: Told | null; readonly previous: Told | null } | undefined>>
  /** Epoch ms by mark. */
  readonly firstSeen: Readonly<Record<string, number>>
}

const stopping = 'stopping'
const replayPaused = 'replay paused'
const receiverDown = 'receiver down'

/** What is so now and whose beginning is worth remembering. */
export function marksOf(server: Lasting): readonly string[] {
  if (server.kind === 'pgbouncer') return seenMarks(server)
  const shut = server.readings.shutdown?.sample ?? null
  const row = shut?.rows[0] as ShutdownRow | undefined
  // The answer of a server that has been started anew since says nothing.
  const stops = shut !== null && shut.at >= server.link.since && row !== undefined && is(row.status, 'stopping')
  if (server.role !== 'standby') return stops ? [stopping] : []
  const pause = (server.readings.pulse?.sample?.rows[0] as PulseRow | undefined)?.replay_pause ?? null
  return [
    ...(stops ? [stopping] : []),
    ...(pause !== null && !is(pause, 'not paused') ? [replayPaused] : []),
    ...(server.readings.receiver?.sample?.rows.length === 0 ? [receiverDown] : []),
  ]
}

/** Since when a smart stop waits for sessions to end, and for how many besides ours; null: none does. */
export function smartStop(server: Lasting): { readonly since: number; readonly others: number } | null {
  const since = server.firstSeen[stopping]
  const row = server.readings.shutdown?.sample?.rows[0] as ShutdownRow | undefined
  return since === undefined || since < server.link.since || server.link.state !== 'up' || !row
    ? null
    : { since, others: row.others }
}

type Say = { readonly kind: EventKind; readonly level: EventLevel; readonly say: string }

/** What began and what ended between two looks. What was so at the first look of all did not begin then. */
export function lastingEvents(before: Lasting, after: Lasting, at: number): readonly NewEvent[] {
  const [was, now] = [before.firstSeen, after.firstSeen]
  // A standby that was promoted has neither receiver nor pause, and neither has ended.
  if (was === now && !(receiverDown in now)) return []
  if (before.role !== after.role) return []
  const began = Object.keys(now).filter(mark =>
    mark === receiverDown ? isConfirmed(before, after) : !(mark in was) && isKnown(before, mark),
  )
  const ended = Object.keys(was).filter(mark => !(mark in now) && (mark !== receiverDown || wasTold(before)))
  return [
    ...began.flatMap(mark => told(beginning(mark, after), { server: after.id, at: now[mark] as number })),
    ...ended.flatMap(mark => told(ending(mark, (at - (was[mark] as number)) / 1000), { server: after.id, at })),
  ]
}

const told = (say: Say | null, place: Pick<NewEvent, 'server' | 'at'>): readonly NewEvent[] => (say ? [{ ...say, ...place }] : [])

/** Whether it had been looked at before it was seen. */
function isKnown({ readings }: Lasting, mark: string): boolean {
  const ofPooler = mark === 'suspended' || mark === 'paused:*' ? 'showState' : 'showDatabases'
  return Boolean(readings[mark === stopping || mark === replayPaused ? 'pulse' : ofPooler]?.sample)
}

/** A receiver that is started anew is gone for a moment: it is lost when it had been seen and two looks in a row have not. */
function isConfirmed(before: Lasting, after: Lasting): boolean {
  const since = after.firstSeen[receiverDown] as number
  const [last, now] = [before.readings.receiver, after.readings.receiver?.sample]
  const second = before.firstSeen[receiverDown] === since && (last?.sample?.at ?? 0) <= since && (now?.at ?? 0) > since
  return second && Boolean(last?.previous)
}

function wasTold({ firstSeen, readings }: Lasting): boolean {
  return (readings.receiver?.sample?.at ?? 0) > (firstSeen[receiverDown] ?? Number.POSITIVE_INFINITY)
}

/** What a mark of a PgBouncer's database is about: `paused:app`. */
function ofDatabase(mark: string): { readonly what: string; readonly name: string } {
  const colon = mark.indexOf(':')
  const name = mark.slice(colon + 1)
  return { what: mark.slice(0, colon), name: mark === 'paused:*' ? 'everything' : drawable(untrusted(name)) }
}

function beginning(mark: string, server: Lasting): Say | null {
  switch (mark) {
    case stopping: {
      const others = smartStop(server)?.others ?? 0
      const waits = others === 0 ? '' : `, waits for ${others} session${others === 1 ? '' : 's'} to end`
      return { kind: 'stop', level: 'critical', say: `smart stop: no new connections${waits}` }
    }
    case replayPaused:
      return { kind: 'replay-paused', level: 'warning', say: 'WAL replay paused' }
    case receiverDown:
      return { kind: 'receiver-lost', level: 'critical', say: 'WAL receiver lost, nothing comes in' }
    case 'suspended':
      return { kind: 'suspended', level: 'critical', say: 'PgBouncer suspended' }
  }
  const { what, name } = ofDatabase(mark)
  return what === 'paused'
    ? { kind: 'paused', level: 'warning', say: `${name} paused` }
    : { kind: 'disabled', level: 'warning', say: `${name} disabled` }
}

function ending(mark: string, seconds: number): Say | null {
  const after = `after ${inWords(seconds)}`
  switch (mark) {
    case stopping:
      return null
    case replayPaused:
      return { kind: 'replay-resumed', level: 'ok', say: `WAL replay resumed ${after}` }
    case receiverDown:
      return { kind: 'receiver-back', level: 'ok', say: `WAL receiver back ${after}` }
    case 'suspended':
      return { kind: 'resumed', level: 'ok', say: `PgBouncer resumed ${after}` }
  }
  const { what, name } = ofDatabase(mark)
  return what === 'paused'
    ? { kind: 'resumed', level: 'ok', say: `${name} resumed ${after}` }
    : { kind: 'enabled', level: 'ok', say: `${name} enabled ${after}` }
}
