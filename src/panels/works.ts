// The lines that tell of deeds under way and of those just ended, and of pauses of ours: above the function bar, on every pane.

import { countsText, troubles, worstOf } from '../model/deed-words.ts'
import { ageMs, duration } from '../model/format.ts'
import { drawable, drawableLines, short, width } from '../model/untrusted.ts'
import { awaitedBy, progressOf, sessionsOf, waitsOf } from '../sessions.ts'
import { queueToStop } from '../store/selectors.ts'
import type { Outcome, OwnPause, State, Work, WorkItem } from '../store/state.ts'
import { nameOf } from './activity.ts'
import type { Tone } from './panel.ts'
import { progressWords } from './progress.ts'

export type WorkLine = { readonly text: string; readonly tone: Tone | undefined }

/** No deed takes more lines than this, and all together no more than a third of the screen. */
const linesEach = 3

/** Newest last, so that what is new stands next to the bar. */
export function workLines(state: State): readonly WorkLine[] {
  const { columns, rows } = state.view.size
  const told: readonly WorkLine[] = [
    ...state.pauses.map(pause => pauseLine(pause, state)),
    // A pause that is watched over has its own line.
    ...state.works.filter(work => !(work.endedAt === null && isPause(work, state))).map(work => workLine(work, state)),
    ...longMessage(state),
  ]
  const lines = told.flatMap(({ text, tone }) =>
    drawableLines(text, Math.max(20, columns - 2))
      .slice(0, linesEach)
      .map((line, i) => ({ text: i === 0 ? ` ${line}` : `   ${line}`, tone })),
  )
  const room = Math.max(1, Math.floor(rows / 3))
  return lines.length <= room ? lines : lines.slice(-room)
}

/** A word to the user that the bar has no room for. */
function longMessage({ view: { message, size, prompt } }: State): readonly WorkLine[] {
  return message && !prompt && !fitsBar(message.text, size.columns) ? [message] : []
}

/** Whether a message is told in the bar: a longer one stands above it, so that its end is not cut off. */
export const fitsBar = (text: string, columns: number) => width(text) <= columns

const isPause = ({ action, server }: Work, { pauses }: State) =>
  /^pause(All)?$/.test(action) && pauses.some(pause => pause.server === server)

function pauseLine(pause: OwnPause, state: State): WorkLine {
  const { server, database, by, phase, since, deadlineAt } = pause
  const now = Math.max(state.now, since)
  const what = `${database === null ? 'everything' : short(database, 24)} on ${drawable(server)}`
  const lasts = ageMs(now - since)
  const left = deadlineAt === null ? '' : `, resumes by itself in ${ageMs(Math.max(0, deadlineAt - now))}`
  const end = `${database === null ? 'F9' : 'R'} in 5 Pools resumes`
  if (by === 'KILL') return { text: `PAUSED ${what} by KILL for ${lasts}, until RESUME: ${end}`, tone: 'critical' }
  if (phase === 'resuming') return { text: `PAUSE of ${what}: its time is up, it is being resumed`, tone: 'warning' }
  if (phase === 'in force') return { text: `PAUSED ${what} for ${lasts}${left}; ${end}`, tone: 'critical' }
  const waits = awaitedBy(state, server, database)
  const whom = waits.slice(0, 4).map(({ pid, client, session }) => {
    const open = session?.xactAgeSeconds ?? null
    return `pid ${pid ?? '–'}${client ? ` ${short(client, 30)}` : ''}${open === null ? '' : ` open for ${duration(open)}`}`
  })
  const more = waits.length > 4 ? ` (+${waits.length - 4})` : ''
  const key = waits.some(({ session }) => session !== null) ? ', W terminates whom it waits for' : ''
  const waitsFor = waits.length === 0 ? 'its connections to close' : `${whom.join(', ')}${more}`
  return { text: `PAUSE of ${what} pending for ${lasts}${left}; ${end}${key}; waits for ${waitsFor}`, tone: 'warning' }
}

const tones: Readonly<Record<Outcome, Tone>> = {
  'signal sent': 'warning',
  gone: 'ok',
  'still there': 'warning',
  'already gone': 'warning',
  skipped: 'warning',
  refused: 'critical',
  failed: 'critical',
  done: 'ok',
}

function workLine(work: Work, state: State): WorkLine {
  const [only] = work.items
  const head = `${work.label} on ${drawable(work.server)}`
  if (work.items.length === 1 && only) {
    const running = only.ended || (only.outcome !== null && !work.queue) ? only.say : runningText(work, only, state)
    const place = only.label === drawable(work.server) ? '' : ` on ${drawable(work.server)}`
    return {
      text: `${work.label} ${only.label}${place}: ${running}${leftText(work, state)}`,
      tone: only.outcome === null ? undefined : tones[only.outcome],
    }
  }
  return {
    text: `${head}: ${work.queue ? queueText(work, state) : allText(work.items)}${troubles(work.items)}${leftText(work, state)}`,
    tone: worstTone(work.items),
  }
}

/** What it has left behind, and is there still, can be dropped. */
function leftText({ server, items }: Work, { leftIndexes }: State): string {
  const mine = new Set(items.flatMap(item => item.left ?? []))
  const left = leftIndexes.filter(index => index.server === server && mine.has(index.indexrelid))
  return left.length === 0 ? '' : `; X drops ${left.length === 1 ? 'it' : 'them'}`
}

/** Of a deed with one target: how long and how far, and what Esc would do. */
function runningText(work: Work, { begunAt, say }: WorkItem, state: State): string {
  if (work.queue && begunAt === null) {
    if (work.stopping !== 'no') return 'will not begin'
    return `waits until the one before it on this server has ended${isNext(work, state) ? '; Esc takes it back' : ''}`
  }
  const far = farText(work, state) || say
  const key = work.stopping === 'now' ? '; is being cancelled' : isNext(work, state) ? '; Esc cancels it' : ''
  return `under way for ${ageMs(state.now - (begunAt ?? work.at))}${far && `: ${far}`}${work.queue ? key : ''}`
}

const isNext = (work: Work, { works }: State) => queueToStop(works)?.id === work.id

function allText(items: readonly WorkItem[]): string {
  const waiting = items.filter(item => item.outcome === null).length
  const parts = [countsText(items), waiting > 0 ? `${waiting} under way` : ''].filter(part => part !== '')
  return `${items.length} in all: ${parts.join(', ')}`
}

function queueText(work: Work, state: State): string {
  const { items, stopping, endedAt } = work
  const { now } = state
  const ended = items.filter(item => item.ended)
  const current = items.find(item => item.begunAt !== null && !item.ended)
  const told = `${countsText(ended) || '0 done'} of ${items.length}`
  if (endedAt !== null) return told
  const far = farText(work, state)
  const doing = current ? `; now ${current.label} for ${ageMs(now - (current.begunAt ?? now))}${far && `: ${far}`}` : ''
  const keys = {
    no: items.length - ended.length > 1 ? 'Esc stops' : 'Esc cancels it',
    'after this': 'stops after it; Esc again cancels it',
    now: 'is being cancelled',
  }
  return `${told}${doing}${stopping === 'no' && !isNext(work, state) ? '' : `; ${keys[stopping]}`}`
}

/** How far the one under way is, or whom it waits for, as its server tells; '' when there is nothing to tell. */
function farText({ pid, server }: Work, state: State): string {
  if (pid === null) return ''
  const command = progressOf(state, server).find(row => row.pid === pid)
  if (command) return progressWords(command)
  const waits = waitsOf(state, server).find(row => row.pid === pid)?.blockedBy ?? []
  const sessions = new Map(sessionsOf(state, server).map(session => [session.pid, session]))
  const told = waits.slice(0, 3).map(blocker => {
    const session = sessions.get(blocker)
    const open = session?.xactAgeSeconds ?? null
    const whose = session ? [nameOf(session.usename, session.usesysid), drawable(session.application_name)].filter(Boolean) : []
    const who = blocker === 0 ? 'a prepared transaction' : [`pid ${blocker}`, whose.join('/')].filter(Boolean).join(' ')
    return `${who}${open === null ? '' : ` open for ${duration(open)}`}`
  })
  return told.length > 0 ? `waits for ${told.join(', ')}` : ''
}

function worstTone(items: readonly WorkItem[]): Tone | undefined {
  const worst = worstOf(items)
  return worst ? tones[worst] : undefined
}
