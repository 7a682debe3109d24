// An event: something that happened to a server, or that we did to it, with its time and a sentence.

import { clock } from './format.ts'

export type EventKind =
  | 'crash'
  | 'stop'
  | 'down'
  | 'silent'
  | 'starting'
  | 'denied'
  | 'full'
  | 'terminated'
  | 'lost'
  | 'back'
  | 'restart'
  | 'replaced'
  | 'promoted'
  | 'demoted'
  | 'two-primaries'
  | 'one-primary'
  | 'receiver-lost'
  | 'receiver-back'
  | 'replay-paused'
  | 'replay-resumed'
  | 'slot-lost'
  | 'paused'
  | 'resumed'
  | 'disabled'
  | 'enabled'
  | 'suspended'
  | 'stats-reset'
  | 'reload'
  | 'alert'
  | 'alert-over'
  | 'deed-begun'
  | 'deed-ended'

/** `ok`: something is well again; `info`: good to know. */
export type EventLevel = 'ok' | 'info' | 'warning' | 'critical'

/** An event that is not on the list yet. */
export type NewEvent = {
  /** Our clock in epoch ms of its first sign. */
  readonly at: number
  /** Id of the server. */
  readonly server: string
  readonly kind: EventKind
  readonly level: EventLevel
  /** What happened, as a DBA would say it, without the server's name. Drawable. */
  readonly say: string
  /** The server's or the system's own words. Drawable. */
  readonly detail?: string | null
}

export type Event = NewEvent & {
  /** Counts up in the order in which events were told. */
  readonly id: number
  readonly detail: string | null
  /** How often it happened one after the other, with nothing else of its server in between. `since` is the first time then, `at` the last. */
  readonly times: number
  readonly since: number
}

/** More are not kept: the oldest go. */
export const mostEvents = 1000
/** What can happen again and again must not push everything else off the list. */
const folding: readonly EventKind[] = ['terminated', 'lost']
/** Within this time of each other they are one event. Milliseconds. */
const foldMs = 600_000

/** The list with new events in their place: oldest first, `told` being how many were told before. */
export function eventsWith(events: readonly Event[], given: readonly NewEvent[], told: number): readonly Event[] {
  let list = events
  for (const [i, event] of given.entries()) list = withOne(list, event, told + i + 1)
  return list.slice(-mostEvents)
}

function withOne(events: readonly Event[], { detail = null, ...exact }: NewEvent, id: number): readonly Event[] {
  const given = { ...exact, at: Math.round(exact.at) }
  const last = events.findLast(({ server }) => server === given.server)
  const same = last?.kind === given.kind && (given.kind === 'lost' || last.say === given.say)
  if (last && same && folding.includes(given.kind) && given.at - last.at < foldMs) {
    const again: Event = { ...last, ...given, detail, times: last.times + 1 }
    return placed(
      events.filter(event => event !== last),
      again,
    )
  }
  return placed(events, { ...given, detail, id, times: 1, since: given.at })
}

/** What is understood only later has its place where it happened. */
function placed(events: readonly Event[], event: Event): readonly Event[] {
  const before = events.findLastIndex(({ at }) => at <= event.at)
  return events.toSpliced(before + 1, 0, event)
}

/** The whole sentence. */
export function sayOf({ say, times, since }: Pick<Event, 'say' | 'times' | 'since'>): string {
  return times > 1 ? `${say}, ${times} times since ${clock(since)}` : say
}
