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
/** What goes and comes again: from the third time on it is counted, by turns too. */
const repeating: readonly EventKind[] = [
  'reload',
  'silent',
  'back',
  'paused',
  'resumed',
  'disabled',
  'enabled',
  'receiver-lost',
  'receiver-back',
  'replay-paused',
  'replay-resumed',
]
const unfolded = 2

/** What a server words at length is cut. Code points. */
const longest = { say: 300, detail: 2000 }

/** The list with new events in their place: oldest first, `told` being how many were told before. */
export function eventsWith(events: readonly Event[], given: readonly NewEvent[], told: number): readonly Event[] {
  let list = events
  for (const [i, event] of given.entries()) list = withOne(list, event, told + i + 1)
  return list.slice(-mostEvents)
}

function withOne(events: readonly Event[], exact: NewEvent, id: number): readonly Event[] {
  const given = { ...exact, at: Math.round(exact.at), say: cut(exact.say, longest.say) }
  // What is said already is not said again.
  const detail = exact.detail && !given.say.includes(exact.detail) ? cut(exact.detail, longest.detail) : null
  const last = events.findLast(({ server }) => server === given.server)
  const same = last?.kind === given.kind && (given.kind === 'lost' || last.say === given.say)
  if (last && same && folding.includes(given.kind) && given.at - last.at < foldMs) {
    const again: Event = { ...last, ...given, detail, times: last.times + 1 }
    return placed(
      events.filter(event => event !== last),
      again,
    )
  }
  const before = repeatsOf(events, given)
  const times = before.reduce((sum, event) => sum + event.times, 0)
  const [first, latest] = [before.at(-1), before[0]]
  if (first && latest && times >= unfolded) {
    const again: Event = { ...latest, ...given, detail, times: times + 1, since: first.since }
    return placed(
      events.filter(event => !before.includes(event)),
      again,
    )
  }
  return placed(events, { ...given, detail, id, times: 1, since: given.at })
}

/** Newest first: the same as this in the run of its server that it goes on with, in which nothing but such things came and went. */
function repeatsOf(events: readonly Event[], given: NewEvent): readonly Event[] {
  if (!repeating.includes(given.kind)) return []
  const found: Event[] = []
  let { at } = given
  for (const event of events.toReversed()) {
    if (event.server !== given.server) continue
    if (!repeating.includes(event.kind) || at - event.at >= foldMs) break
    if (topicOf(event) === topicOf(given)) found.push(event)
    at = event.at
  }
  return found
}

/** How long it took differs each time. */
const topicOf = ({ kind, say }: NewEvent) => `${kind} ${say.replace(/ after (less than )?\d[\ddhms.]*( s)?(?=,|$)/, '')}`

function cut(text: string, most: number): string {
  const points = text.length > most ? [...text] : []
  return points.length > most ? `${points.slice(0, most - 1).join('')}…` : text
}

/** What is understood only later has its place where it happened. */
function placed(events: readonly Event[], event: Event): readonly Event[] {
  const before = events.findLastIndex(({ at }) => at <= event.at)
  return events.toSpliced(before + 1, 0, event)
}

const away: readonly EventKind[] = ['crash', 'stop', 'down', 'silent', 'starting', 'denied', 'full']
const endedBy: Readonly<Partial<Record<EventKind, readonly EventKind[]>>> = {
  back: away,
  restart: away,
  replaced: away,
  'one-primary': ['two-primaries'],
  'receiver-back': ['receiver-lost'],
  'replay-resumed': ['replay-paused'],
  resumed: ['paused', 'suspended'],
  enabled: ['disabled'],
}

/** What a sentence is about, without what became of it. */
const subjectOf = (say: string) => say.replace(/ (paused|suspended|resumed|disabled|enabled)( after .*)?$/, '')

/** Whether what is told later ends what an earlier event began. */
export function ends(later: NewEvent, earlier: NewEvent): boolean {
  if (!endedBy[later.kind]?.includes(earlier.kind)) return false
  if (later.kind === 'one-primary') return true
  if (later.server !== earlier.server) return false
  return !/^(resumed|enabled)$/.test(later.kind) || subjectOf(later.say) === subjectOf(earlier.say)
}

/** The whole sentence. */
export function sayOf({ say, times, since }: Pick<Event, 'say' | 'times' | 'since'>): string {
  return times > 1 ? `${say}, ${times} times since ${clock(since)}` : say
}
