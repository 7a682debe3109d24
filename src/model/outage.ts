// The story of a server that we can't read: why our connection was lost, what became of the server, and how it came back. A loss alone says little
// (a fast stop and a terminated session end it with the same word), so it is told by what follows it.

import type { PulseRow } from '../sql/server.ts'
import type { EventKind, EventLevel, NewEvent } from './event.ts'
import { duration } from './format.ts'
import { isGone, type Link } from './link.ts'

/** From the first sign of trouble to the first answer after it. */
export type Outage = {
  /** Our clock in epoch ms. */
  readonly since: number
  /** SQLSTATE that our session was ended with, and the words; null: without a word, or there was no session yet. */
  readonly code: string | null
  readonly why: string | null
  /** The last kind of event that was told of it. */
  readonly told: EventKind | null
  readonly crashed: boolean
  /** Nobody listened in between: what answers later is another process. */
  readonly gone: boolean
}

/** What this file looks at of a server. */
export type Ailing = {
  readonly id: string
  readonly link: Link
  readonly outage: Outage | null
  /** server_version_num; null: not known. */
  readonly version: number | null
  /** A smart stop was seen before the connection ended. */
  readonly stopping: boolean
  readonly lastAnswerAt: number | null
}

type Told = { readonly outage: Outage | null; readonly events: readonly NewEvent[] }
/** `toldAs`: what counts as told by it, where that is more than its kind. */
type Say = { readonly kind: EventKind; readonly level: EventLevel; readonly say: string; readonly toldAs?: EventKind }

/** SQLSTATEs. */
const adminShutdown = '57P01'
const crashShutdown = '57P02'
const idleSessionTimeout = '57P05'
const replayConflict = '40001'

/** Seconds in a sentence: "1.9 s", "1m02s", "less than 0.1 s". */
export function inWords(seconds: number): string {
  if (seconds < 0.1) return 'less than 0.1 s'
  return seconds < 60 ? duration(seconds).replace(/s$/, ' s') : duration(seconds)
}

/** The link has another word, or another reason. */
export function linkChanged(server: Ailing, link: Link): Told {
  const { outage: before } = server
  if (link.state === 'up') return { outage: before, events: [] }
  const known = before ?? begun(server, link)
  // A session that was had for a moment, and ended before it told anything.
  const lost = link.word === 'CONNECTING' && link.code ? { code: link.code, why: link.why } : {}
  const outage: Outage = { ...known, ...lost, gone: known.gone || isGone(link) }
  const open = isOpen(outage, link) && server.link.word !== 'DOWN'
  const said = open
    ? null
    : outage.code === crashShutdown && !outage.crashed
      ? crashSay(outage, link, server.version)
      : phaseSay(outage, link)
  if (!said) return { outage, events: [] }
  const { toldAs, ...say } = said
  const at = outage.told === null ? outage.since : (link.at ?? link.since)
  const event = { ...say, server: server.id, at, detail: detailOf(outage, link) }
  return { outage: { ...outage, told: toldAs ?? say.kind, crashed: outage.crashed || say.kind === 'crash' }, events: [event] }
}

/** A listener that is just going away takes a connection and drops it: the next attempt tells what it was. */
const isOpen = ({ told }: Outage, { word, code }: Link) =>
  told === null && word === 'DOWN' && (!code || code === 'ECONNRESET' || code === 'EPIPE')

function begun({ stopping, lastAnswerAt }: Ailing, link: Link): Outage {
  const lost = link.word === 'CONNECTING' && link.why !== null
  return {
    // That nobody answers is noticed only after a while of silence.
    since: link.word === 'STALE' ? (lastAnswerAt ?? link.since) : link.since,
    code: lost ? (link.code ?? null) : null,
    why: lost ? link.why : null,
    told: stopping ? 'stop' : null,
    crashed: false,
    gone: false,
  }
}

const detailOf = (outage: Outage, link: Link) =>
  [...new Set([outage.why, link.why])].filter(words => words !== null).join('; ') || null

const crash: Say = { kind: 'crash', level: 'critical', say: 'server crashed, sessions reset' }

/** Up to 13 an immediate stop says of itself that it is a crash: there what follows decides. */
function crashSay(outage: Outage, link: Link, version: number | null): Say | null {
  if (version === null || version >= 140_000 || link.word === 'RECOVERY' || link.word === 'STARTING') return crash
  if (link.word === 'CONNECTING') return null
  if (!isGone(link) || outage.told === 'down') return phaseSay(outage, link)
  return { kind: 'stop', level: 'critical', say: 'stopped at once (immediate), or crashed for good', toldAs: 'down' }
}

/** What the new word adds to what was told of this outage; null: nothing. */
function phaseSay(outage: Outage, link: Link): Say | null {
  const { told, code } = outage
  const why = link.why ?? 'no answer'
  switch (link.word) {
    case 'STALE':
      return told === null ? { kind: 'silent', level: 'warning', say: why } : null
    case 'STOPPING':
      if (told === 'stop') return null
      return {
        kind: 'stop',
        level: 'critical',
        say: code === adminShutdown ? 'fast stop: sessions ended, shutting down' : 'shutting down',
      }
    case 'RECOVERY':
      return told === 'crash' ? null : { ...crash, say: 'server crashed, in recovery' }
    case 'STARTING':
      return told === 'crash' || told === 'starting' ? null : { kind: 'starting', level: 'warning', say: 'starting up' }
    case 'DENIED':
      return told === 'denied' ? null : { kind: 'denied', level: 'critical', say: `refuses us: ${why}` }
    case 'FULL':
      return told === 'full' ? null : { kind: 'full', level: 'critical', say: `no connection is free: ${why}` }
    case 'DOWN':
      return downSay(outage, link, why)
    case 'CONNECTING':
      return told === null ? endSay(outage) : null
    default:
      return null
  }
}

/** Of a session that was ended with 57P01: what the words tell beyond the code, where they are English. */
function endSay({ code, why }: Outage): Say | null {
  if (code !== adminShutdown || why === null) return null
  const critical = { level: 'critical', toldAs: 'down' } as const
  if (/postmaster exit/.test(why)) return { ...critical, kind: 'crash', say: 'server crashed: its postmaster died' }
  return /immediate/.test(why) ? { ...critical, kind: 'stop', say: 'stopped at once (immediate), sessions ended' } : null
}

function downSay({ told, code }: Outage, link: Link, why: string): Say | null {
  if (told === null && code === adminShutdown && isGone(link)) {
    return { kind: 'stop', level: 'critical', say: 'stopped (fast), sessions ended', toldAs: 'down' }
  }
  // A silent server that can't be reached either is silent still.
  if (told === 'down' || (told !== null && !isGone(link))) return null
  return { kind: 'down', level: 'critical', say: `down: ${why}` }
}

/** Before and now, as the server tells it. */
type Beats = { readonly before: PulseRow | null; readonly now: PulseRow; readonly at: number }

/** The first pulse after an outage: what it was, and how long it took. Times by the server's clock are brought to ours. */
export function serverBack(server: Ailing & { readonly outage: Outage }, beats: Beats): readonly NewEvent[] {
  const { outage, id, link } = server
  const { before, now } = beats
  const back = { server: id, at: link.since, detail: outage.why }
  const away = inWords((link.since - outage.since) / 1000)
  if (before === null) {
    return outage.told === null ? [] : [{ ...back, kind: 'back', level: 'ok', say: `up after ${away}` }]
  }
  const younger = now.postmaster_start_epoch - before.postmaster_start_epoch
  if (younger < -0.001) {
    return [
      {
        ...back,
        kind: 'replaced',
        level: 'warning',
        say: `back after ${away}: another server, that started earlier, answers here`,
      },
    ]
  }
  const restarted = younger > 0.001
  const recovered = !restarted && before.ready_epoch !== null && now.ready_epoch !== null && now.ready_epoch > before.ready_epoch
  if (restarted) return [restartSay(outage, now, away, back)]
  if (outage.crashed || outage.code === crashShutdown || recovered) {
    const missed: readonly NewEvent[] = outage.crashed ? [] : [{ ...back, ...crash, at: outage.since }]
    return [...missed, { ...back, kind: 'back', level: 'ok', say: `back, ${recoveryText(outage, beats, away)}` }]
  }
  if (outage.told === null) return [lossSay(outage, away, back)]
  const say =
    outage.told === 'silent'
      ? `answers again after ${away}`
      : `back after ${away}${outage.gone ? ', the server itself went on' : ''}`
  return [{ ...back, kind: 'back', level: 'ok', say }]
}

type Back = Pick<NewEvent, 'server' | 'at' | 'detail'>

/** What starting took is worth a word where it was long, and always after a server that had no time to write its data. Seconds. */
const longStart = 1

function restartSay(outage: Outage, now: PulseRow, away: string, back: Back): NewEvent {
  const start = now.ready_epoch === null ? null : now.ready_epoch - now.postmaster_start_epoch
  const unclean = outage.crashed || outage.code === crashShutdown || /immediate|postmaster exit/.test(outage.why ?? '')
  const took =
    start !== null && (unclean || start >= longStart) ? `, ${unclean ? 'recovery' : 'its start'} took ${inWords(start)}` : ''
  if (outage.told === null) return { ...back, kind: 'restart', level: 'warning', say: `restarted, away for ${away}${took}` }
  return { ...back, kind: 'back', level: 'ok', say: `back after ${away}, restarted${took}` }
}

/** From the crash to the moment when the server took writes again; where that can't be told, to the moment when it let us in. */
function recoveryText({ code, since }: Outage, { now, at }: Beats, away: string): string {
  const ready = now.ready_epoch === null ? null : now.ready_epoch * 1000 + (at - now.clock_epoch * 1000)
  if (ready === null) return `recovery took ${/^less/.test(away) ? '' : 'at most '}${away}`
  if (code !== crashShutdown || ready < since) return `recovered, away for ${away}`
  return `recovery took ${inWords((ready - since) / 1000)}`
}

function lossSay({ code, why, since }: Outage, away: string, back: Back): NewEvent {
  const ended = (by: string): NewEvent => ({
    ...back,
    at: since,
    kind: 'terminated',
    level: 'warning',
    say: `our session was ended ${by}`,
  })
  switch (code) {
    case adminShutdown:
      return ended('by an administrator')
    case idleSessionTimeout:
      return ended('by idle_session_timeout')
    case replayConflict:
      return ended('by replay: conflict with recovery')
    default:
      return {
        ...back,
        at: since,
        kind: 'lost',
        level: 'warning',
        say: `connection lost${why ? ` (${why})` : ''}, back after ${away}`,
      }
  }
}

/** The first answer of a PgBouncer after an outage. `fresh`: its counters went back. */
export function poolerBack(server: Ailing & { readonly outage: Outage }, known: boolean, fresh: boolean): readonly NewEvent[] {
  const { outage, id, link } = server
  const back = { server: id, at: link.since, detail: outage.why }
  const away = inWords((link.since - outage.since) / 1000)
  const restarted = known && (outage.gone || fresh)
  if (!known) return outage.told === null ? [] : [{ ...back, kind: 'back', level: 'ok', say: `up after ${away}` }]
  if (outage.told !== null)
    return [{ ...back, kind: 'back', level: 'ok', say: `back after ${away}${restarted ? ', restarted' : ''}` }]
  return restarted
    ? [{ ...back, kind: 'restart', level: 'warning', say: `restarted, away for ${away}` }]
    : [lossSay(outage, away, back)]
}
