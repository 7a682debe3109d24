// What lasts for a while on a server (a pause of replay, a receiver that is down, a paused database) as marks with the time when they were first
// seen, and the events that its beginning and its end are.

import type { ShutdownRow } from '../sql/events.ts'
import type { ReceiverRow } from '../sql/replication.ts'
import type { PulseRow } from '../sql/server.ts'
import type { EventKind, EventLevel, NewEvent } from './event.ts'
import type { Link } from './link.ts'
import { inWords } from './outage.ts'
import { allPaused, seenMarks } from './pooler.ts'
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
/** From the first look without one until one is seen to last. */
const receiverDown = 'receiver down'
/** Another look without one, with none in between that lasted. */
const receiverLost = 'receiver lost'

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
    ...receiverMarks(server),
  ]
}

function receiverMarks({ readings, firstSeen }: Lasting): readonly string[] {
  const look = readings.receiver?.sample ?? null
  const down = firstSeen[receiverDown]
  const none = look !== null && look.rows.length === 0
  if (!none && (down === undefined || receiverLasts(readings))) return []
  const again = none && down !== undefined && look.at > down
  return again || receiverLost in firstSeen ? [receiverDown, receiverLost] : [receiverDown]
}

/** One that its sender refuses ends and is started anew every few seconds: that it is there once says nothing. */
function receiverLasts({ receiver, pulse }: Lasting['readings']): boolean {
  const pid = (told: Told | null | undefined) => (told?.rows[0] as ReceiverRow | undefined)?.pid
  const received = (told: Told | null | undefined) => (told?.rows[0] as PulseRow | undefined)?.receive_lsn ?? null
  const [was, now] = [received(pulse?.previous), received(pulse?.sample)]
  return pid(receiver?.previous) === pid(receiver?.sample) || (was !== null && now !== null && now > was)
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
  if (was === now || before.role !== after.role) return []
  const began = Object.keys(now).filter(mark => !(mark in was) && isKnown(before, mark))
  const ended = Object.keys(was).filter(mark => !(mark in now) && !isForgotten(before, after, mark))
  const since = (mark: string, marks: Lasting['firstSeen']) => marks[mark === receiverLost ? receiverDown : mark] as number
  const until = (mark: string) => (mark === receiverLost ? receiverSince(after, at) : at)
  return [
    ...began.flatMap(mark => told(beginning(mark, after), { server: after.id, at: since(mark, now) })),
    ...ended.flatMap(mark => {
      const end = until(mark)
      return told(ending(mark, (end - since(mark, was)) / 1000), { server: after.id, at: end })
    }),
  ]
}

/** A PgBouncer that is started anew has forgotten its pauses, so that what was told on another connection was ended by nobody that we know of. */
function isForgotten(before: Lasting, { kind, link }: Lasting, mark: string): boolean {
  return kind === 'pgbouncer' && (before.readings[toldBy(mark)]?.sample?.at ?? 0) < link.since
}

/** When the receiver that is there now was seen first, as far as the last two looks tell. */
function receiverSince({ readings }: Lasting, at: number): number {
  const { sample, previous } = readings.receiver ?? {}
  const first = previous?.rows.length ? previous : sample
  return first?.at ?? at
}

const told = (say: Say | null, place: Pick<NewEvent, 'server' | 'at'>): readonly NewEvent[] => (say ? [{ ...say, ...place }] : [])

/** Whether it had been looked at before it was seen. */
function isKnown({ readings }: Lasting, mark: string): boolean {
  // At the first look without one there was a look before it, or nobody knows when it went.
  if (mark === receiverLost) return Boolean(readings.receiver?.previous)
  return Boolean(readings[mark === stopping || mark === replayPaused ? 'pulse' : toldBy(mark)]?.sample)
}

/** The query of a PgBouncer that a mark comes from. */
const toldBy = (mark: string) => (mark === 'suspended' || mark === allPaused ? 'showState' : 'showDatabases')

/** What a mark of a PgBouncer's database is about: `paused:app`. */
function ofDatabase(mark: string): { readonly what: string; readonly name: string } {
  const colon = mark.indexOf(':')
  const name = mark.slice(colon + 1)
  return { what: mark.slice(0, colon), name: mark === allPaused ? 'everything' : drawable(untrusted(name)) }
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
      return null
    case receiverLost:
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
    case receiverDown:
      return null
    case replayPaused:
      return { kind: 'replay-resumed', level: 'ok', say: `WAL replay resumed ${after}` }
    case receiverLost:
      return { kind: 'receiver-back', level: 'ok', say: `WAL receiver back ${after}` }
    case 'suspended':
      return { kind: 'resumed', level: 'ok', say: `PgBouncer resumed ${after}` }
  }
  const { what, name } = ofDatabase(mark)
  return what === 'paused'
    ? { kind: 'resumed', level: 'ok', say: `${name} resumed ${after}` }
    : { kind: 'enabled', level: 'ok', say: `${name} enabled ${after}` }
}
