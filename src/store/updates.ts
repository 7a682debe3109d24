// Every change of the state, by name. Each takes the store and what happened; nothing else writes.

import { sizeMarks } from '../model/databases.ts'
import { workBegun, workEnded } from '../model/deed-words.ts'
import { eventsWith, type NewEvent } from '../model/event.ts'
import { rivalsAfter, storyOf } from '../model/events.ts'
import { marksOf } from '../model/lasting.ts'
import { isSqlState, type Link } from '../model/link.ts'
import { lockMarks } from '../model/locked.ts'
import { progressMarks } from '../model/progress-pace.ts'
import type { ProgressSample } from '../sql/progress.ts'
import type { PulseRow } from '../sql/server.ts'
import type { LockedRelationRow } from '../sql/tables.ts'
import type {
  Confirm,
  Dialog,
  Entry,
  LeftIndex,
  ListView,
  LsnPoint,
  OwnPause,
  Prompt,
  Role,
  Sample,
  ServerState,
  SourceEvent,
  State,
  View,
  Work,
  WorkItem,
} from './state.ts'
import { freshListView, type Store } from './store.ts'

/** How far back a server's WAL positions are kept: longer replay lags are told by the servers' own timestamps. Milliseconds. */
const historyMs = 30 * 60_000
/** Points beyond this many are thinned, the older half first. */
const historyPoints = 4000

/** Something heard from a source of samples: the poller or a replay. What it means for the story of the server is told at once. */
export function receive(store: Store, event: SourceEvent): void {
  store.setState(state => {
    const id = event.kind === 'sample' ? event.sample.server : event.server
    const server = state.servers[id]
    if (!server) return state
    const next = heard(server, event)
    const { outage, events } = storyOf(server, next)
    const servers = { ...state.servers, [id]: outage === next.outage ? next : { ...next, outage } }
    const { rivals, events: ofAll } = rivalsAfter(state.rivals, Object.values(servers), momentOf(event) ?? state.now)
    return withEvents({ ...state, servers, rivals }, [...events, ...ofAll])
  })
}

/** Our clock in epoch ms; null: it has none. */
function momentOf(event: SourceEvent): number | null {
  if (event.kind === 'sample') return event.sample.at
  return event.kind === 'link' ? (event.link.at ?? event.link.since) : null
}

/** Puts events on the list, each in its place by its time. */
export function addEvents(store: Store, events: readonly NewEvent[]): void {
  store.setState(state => withEvents(state, events))
}

function withEvents(state: State, events: readonly NewEvent[]): State {
  if (events.length === 0) return state
  const { eventsTold } = state
  return { ...state, events: eventsWith(state.events, events, eventsTold), eventsTold: eventsTold + events.length }
}

function heard(server: ServerState, event: SourceEvent): ServerState {
  switch (event.kind) {
    case 'link':
      return { ...server, link: event.link, tls: event.tls ?? server.tls, lastNotice: noticeOf(event.link) ?? server.lastNotice }
    case 'facts':
      return { ...server, facts: event.facts }
    case 'fileSystems':
      return { ...server, fileSystems: event.fileSystems }
    case 'problem':
      return withEntry(server, event.query, entry => ({ ...entry, problem: event.problem }))
    case 'sample':
      return withSample(server, event.sample)
  }
}

/** That it can't take us just now (57P03) is no notice: it is what the link says for as long as it is so. */
function noticeOf({ code, why, since, at = since }: Link): ServerState['lastNotice'] {
  return code && code !== '57P03' && why !== null && isSqlState(code) ? { at, code, text: why } : null
}

function withSample(server: ServerState, sample: Sample): ServerState {
  const next = withEntry(
    { ...server, lastAnswerAt: Math.max(server.lastAnswerAt ?? 0, Math.round(sample.at)) },
    sample.query,
    entry => ({
      sample,
      // Counters of before this connection are no beginning for a rate: a crash sets them back, and says so nowhere.
      previous: entry.sample && server.link.state === 'up' && entry.sample.at < server.link.since ? null : entry.sample,
      problem: null,
    }),
  )
  const told = remembering(next, sample)
  return { ...told, firstSeen: kept(server.firstSeen, marksOf(told), sample.at) }
}

/** What is kept of samples beyond their own time. */
function remembering(server: ServerState, sample: Sample): ServerState {
  switch (sample.query) {
    case 'pulse':
      return withPulse(server, sample)
    case 'progress':
      return withProgress(server, sample)
    case 'lockedRelations':
      return withLocks(server, sample)
    default:
      return withFirstSizes(server, sample)
  }
}

function withLocks(server: ServerState, { rows, at }: Sample): ServerState {
  const marks = lockMarks(server.lockMarks, rows as readonly LockedRelationRow[], server.facts?.databaseOid ?? null, at)
  return marks === server.lockMarks ? server : { ...server, lockMarks: marks }
}

function withEntry(server: ServerState, query: string, change: (entry: Entry) => Entry): ServerState {
  const entry = server.readings[query] ?? { sample: null, previous: null, problem: null }
  return { ...server, readings: { ...server.readings, [query]: change(entry) } }
}

/** The role is what the server says now. Positions of another role are another kind of figure, so the history begins anew with it. */
function withPulse(server: ServerState, sample: Sample): ServerState {
  const pulse = sample.rows[0] as PulseRow | undefined
  if (!pulse) return server
  const role: Role = pulse.in_recovery ? 'standby' : 'primary'
  const history = role === server.role ? server.lsnHistory : []
  return { ...server, role, lsnHistory: pulse.lsn === null ? history : remembered(history, { at: sample.at, lsn: pulse.lsn }) }
}

function withProgress(server: ServerState, { rows, at }: Sample): ServerState {
  return { ...server, progressMarks: progressMarks(server.progressMarks, rows as readonly ProgressSample[], at) }
}

function withFirstSizes(server: ServerState, sample: Sample): ServerState {
  const fresh = sizeMarks(sample.query, sample.rows).filter(([key]) => !(key in server.firstSizes))
  if (fresh.length === 0) return server
  const firsts = Object.fromEntries(fresh.map(([key, bytes]) => [key, { at: sample.at, bytes }]))
  return { ...server, firstSizes: { ...server.firstSizes, ...firsts } }
}

function remembered(history: readonly LsnPoint[], point: LsnPoint): readonly LsnPoint[] {
  const first = history.findIndex(p => point.at - p.at <= historyMs)
  const recent = first < 0 ? [] : history.slice(first)
  const thinned = recent.length < historyPoints ? recent : recent.filter((_, i) => i >= historyPoints / 2 || i % 2 === 0)
  return [...thinned, point]
}

function kept(before: Readonly<Record<string, number>>, marks: readonly string[], at: number): Readonly<Record<string, number>> {
  const known = Object.keys(before)
  if (known.length === marks.length && marks.every(mark => mark in before)) return before
  return Object.fromEntries(marks.map(mark => [mark, before[mark] ?? at]))
}

/** The clock moved on. Milliseconds since the epoch. */
export function setNow(store: Store, now: number, cost: State['cost']): void {
  store.setState(state => ({ ...state, now, cost, view: expired(state.view, now), works: stillTold(state.works, now) }))
}

function expired(view: View, now: number): View {
  return view.message && now >= view.message.until ? { ...view, message: null } : view
}

export function setSize(store: Store, columns: number, rows: number): void {
  setView(store, { size: { columns, rows } })
}

export function setIntervalMs(store: Store, intervalMs: number): void {
  store.setState(state => ({ ...state, settings: { ...state.settings, intervalMs } }))
}

export function setSlowLink(store: Store, slowLink: State['settings']['slowLink']): void {
  store.setState(state => ({ ...state, settings: { ...state.settings, slowLink } }))
}

/** Holds the picture as it is, or lets it go on. */
export function toggleHold(store: Store): void {
  store.setState(state => ({ ...state, held: state.held ? null : { at: state.now, servers: state.servers } }))
}

export function showPanel(store: Store, panel: string): void {
  setView(store, { panel, detail: false, detailTop: 0, dialog: null })
}

export function focusServer(store: Store, focus: string): void {
  setView(store, { focus, detailTop: 0, dialog: null })
}

export function focusList(store: Store, panel: string, list: string): void {
  store.setState(state => ({
    ...state,
    view: { ...state.view, list: { ...state.view.list, [panel]: list }, detail: false, detailTop: 0 },
  }))
}

export function setDetail(store: Store, detail: boolean): void {
  setView(store, { detail, detailTop: 0 })
}

export function scrollDetail(store: Store, detailTop: number): void {
  setView(store, { detailTop: Math.max(0, detailTop) })
}

export function setDialog(store: Store, dialog: Dialog | null): void {
  setView(store, { dialog })
}

export function setPrompt(store: Store, prompt: Prompt | null): void {
  setView(store, { prompt })
}

export function setHideIdle(store: Store, hideIdle: boolean): void {
  setView(store, { hideIdle })
}

/** Changes what the user has chosen in one list. */
export function changeList(store: Store, listId: string, change: Partial<ListView>): void {
  store.setState(state => ({
    ...state,
    view: {
      ...state.view,
      ...(change.selectedId === undefined ? {} : { detailTop: 0 }),
      perList: { ...state.view.perList, [listId]: { ...(state.view.perList[listId] ?? freshListView), ...change } },
    },
  }))
}

/** A line for the user, shown for some seconds. Drawable text. */
export function say(store: Store, text: string, tone: 'ok' | 'warning' = 'ok'): void {
  setView(store, { message: { text, tone, until: store.getState().now + 4000 + 40 * Math.max(0, text.length - 60) } })
}

/** Changes the question that is open, if one is. */
export function changeConfirm(store: Store, change: Partial<Confirm>): void {
  const { dialog } = store.getState().view
  if (dialog?.kind === 'confirm') setDialog(store, { ...dialog, ...change })
}

/** A backend of ours for a deed is there, or is gone again. */
export function setOwnPid(store: Store, server: string, pid: number, there: boolean): void {
  store.setState(state => {
    const others = (state.ownPids[server] ?? []).filter(other => other !== pid)
    return { ...state, ownPids: { ...state.ownPids, [server]: there ? [...others, pid] : others } }
  })
}

/** How long an ended deed is told of when all went well, and when something didn't. Milliseconds. */
const toldMs = { well: 15_000, trouble: 60_000 }

/** A deed begins, which is an event. */
export function addWork(store: Store, work: Work): void {
  store.setState(state => withEvents({ ...state, works: [...state.works, work] }, [workBegun(work)]))
}

/** Changes a deed; its end is an event. */
export function changeWork(store: Store, id: number, change: Partial<Work>): void {
  store.setState(state => {
    const works = state.works.map(work => (work.id === id ? { ...work, ...change } : work))
    const ended = change.endedAt ? works.filter(work => work.id === id) : []
    return withEvents(
      { ...state, works },
      ended.map(work => workEnded(work, change.endedAt as number)),
    )
  })
}

export function changeWorkItem(store: Store, id: number, index: number, change: Partial<WorkItem>): void {
  store.setState(state => ({
    ...state,
    works: state.works.map(work =>
      work.id === id ? { ...work, items: work.items.map((item, i) => (i === index ? { ...item, ...change } : item)) } : work,
    ),
  }))
}

/** A deed has left invalid indexes behind. */
export function addLeftIndexes(store: Store, server: string, left: readonly LeftIndex[]): void {
  const those = new Set(left.map(({ indexrelid }) => indexrelid))
  store.setState(state => ({
    ...state,
    leftIndexes: [
      ...state.leftIndexes.filter(index => index.server !== server || !those.has(index.indexrelid)),
      ...left.map(index => ({ ...index, server })),
    ],
  }))
}

/** An index that a deed had left behind is gone, or is valid by now. */
export function forgetLeftIndex(store: Store, server: string, indexrelid: bigint): void {
  store.setState(state => ({
    ...state,
    leftIndexes: state.leftIndexes.filter(index => index.server !== server || index.indexrelid !== indexrelid),
  }))
}

/** Deeds that have ended are no longer told of. */
export function dismissWorks(store: Store): void {
  store.setState(state => ({ ...state, works: state.works.filter(work => work.endedAt === null) }))
}

function stillTold(works: readonly Work[], now: number): readonly Work[] {
  const told = works.filter(({ endedAt, items }) => {
    const well = items.every(({ outcome }) => outcome === 'gone' || outcome === 'done' || outcome === 'signal sent')
    return endedAt === null || now - endedAt < (well ? toldMs.well : toldMs.trouble)
  })
  return told.length === works.length ? works : told
}

export function addPause(store: Store, pause: OwnPause): void {
  store.setState(state => ({ ...state, pauses: [...state.pauses.filter(({ id }) => id !== pause.id), pause] }))
}

export function changePause(store: Store, id: number, change: Partial<OwnPause>): void {
  store.setState(state => ({ ...state, pauses: state.pauses.map(pause => (pause.id === id ? { ...pause, ...change } : pause)) }))
}

export function dropPause(store: Store, id: number): void {
  store.setState(state => ({ ...state, pauses: state.pauses.filter(pause => pause.id !== id) }))
}

function setView(store: Store, change: Partial<View>): void {
  store.setState(state => ({ ...state, view: { ...state.view, ...change } }))
}
