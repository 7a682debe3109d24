// Every change of the state, by name. Each takes the store and what happened; nothing else writes.

import { sizeMarks } from '../model/databases.ts'
import { seenMarks } from '../model/pools.ts'
import { progressMarks } from '../model/progress-pace.ts'
import type { ProgressSample } from '../sql/progress.ts'
import type { PulseRow } from '../sql/server.ts'
import type {
  Confirm,
  Dialog,
  Entry,
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

/** Something heard from a source of samples: the poller or a replay. */
export function receive(store: Store, event: SourceEvent): void {
  store.setState(state => {
    const id = event.kind === 'sample' ? event.sample.server : event.server
    const server = state.servers[id]
    if (!server) return state
    return { ...state, servers: { ...state.servers, [id]: heard(server, event) } }
  })
}

function heard(server: ServerState, event: SourceEvent): ServerState {
  switch (event.kind) {
    case 'link':
      return { ...server, link: event.link, tls: event.tls ?? server.tls }
    case 'facts':
      return { ...server, facts: event.facts }
    case 'problem':
      return withEntry(server, event.query, entry => ({ ...entry, problem: event.problem }))
    case 'sample':
      return withSample(server, event.sample)
  }
}

function withSample(server: ServerState, sample: Sample): ServerState {
  const next = withEntry(
    { ...server, lastAnswerAt: Math.max(server.lastAnswerAt ?? 0, Math.round(sample.at)) },
    sample.query,
    entry => ({
      sample,
      previous: entry.sample,
      problem: null,
    }),
  )
  const told =
    sample.query === 'pulse'
      ? withPulse(next, sample)
      : sample.query === 'progress'
        ? withProgress(next, sample)
        : withFirstSizes(next, sample)
  return server.kind === 'pgbouncer' ? { ...told, firstSeen: kept(server.firstSeen, seenMarks(told), sample.at) } : told
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

export function addWork(store: Store, work: Work): void {
  store.setState(state => ({ ...state, works: [...state.works, work] }))
}

export function changeWork(store: Store, id: number, change: Partial<Work>): void {
  store.setState(state => ({ ...state, works: state.works.map(work => (work.id === id ? { ...work, ...change } : work)) }))
}

export function changeWorkItem(store: Store, id: number, index: number, change: Partial<WorkItem>): void {
  store.setState(state => ({
    ...state,
    works: state.works.map(work =>
      work.id === id ? { ...work, items: work.items.map((item, i) => (i === index ? { ...item, ...change } : item)) } : work,
    ),
  }))
}

/** An index that a deed had left behind is gone. */
export function forgetLeftIndex(store: Store, server: string, indexrelid: bigint): void {
  const without = (item: WorkItem): WorkItem =>
    item.left ? { ...item, left: item.left.filter(index => index.indexrelid !== indexrelid) } : item
  store.setState(state => ({
    ...state,
    works: state.works.map(work => (work.server === server ? { ...work, items: work.items.map(without) } : work)),
  }))
}

/** Deeds that have ended are no longer told of. */
export function dismissWorks(store: Store): void {
  store.setState(state => ({ ...state, works: state.works.filter(work => work.endedAt === null) }))
}

function stillTold(works: readonly Work[], now: number): readonly Work[] {
  const told = works.filter(({ endedAt, items }) => {
    const well = items.every(({ outcome }) => outcome === 'gone' || outcome === 'done' || outcome === 'signal sent')
    const leaves = items.some(({ left }) => left && left.length > 0)
    return endedAt === null || leaves || now - endedAt < (well ? toldMs.well : toldMs.trouble)
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
