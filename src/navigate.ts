// Moving about: rows, panes, servers, intervals, sorting, finding and filtering. What the commands of navigation do.

import type { Place } from './checks/check.ts'
import { itemsOf, matches, sortOf } from './panels/arrange.ts'
import { panels } from './panels/index.ts'
import type { AnyList, AnyRow } from './panels/panel.ts'
import { arrangedRows, listOf, panelOf, selectedIndex, viewOf } from './panels/shown.ts'
import { workLines } from './panels/works.ts'
import { idsOf } from './store/selectors.ts'
import type { State } from './store/state.ts'
import type { Store } from './store/store.ts'
import * as update from './store/updates.ts'

/** What moving about needs: the state, and a word to the poller that other samples are wanted now. */
type Moving = { readonly store: Store; readonly poke: () => void }

const intervalsMs = [100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000]
/** Lines between the tabs and the function bar, less those that tell of deeds: above stand the title, a line a server, the finding and the tabs. */
export const bodyRows = (state: State) => Math.max(1, state.view.size.rows - state.order.length - 4 - workLines(state).length)
/** A page moves by the rows of the table under its heading, less one for orientation. */
const pageRows = (state: State) => Math.max(1, bodyRows(state) - 2)

export function severalServers(state: State): true | string {
  return idsOf(state, 'postgres').length > 1 || 'there is one PostgreSQL server only'
}

export function showPanel({ store, poke }: Moving, id: string): void {
  update.showPanel(store, id)
  poke()
}

export function stepPanel(context: Moving, step: number): void {
  const at = panels.indexOf(panelOf(context.store.getState()))
  showPanel(context, panels[(at + step + panels.length) % panels.length]!.id)
}

export function stepServer(context: Moving, step: number): void {
  const state = context.store.getState()
  const ids = idsOf(state, 'postgres')
  const at = ids.indexOf(state.view.focus ?? '')
  focusServer(context, ids[(at + step + ids.length) % ids.length]!)
}

/** Shows another server. What was selected and tagged belongs to the one before: a pid means somebody else there. */
export function focusServer({ store, poke }: Moving, id: string): void {
  if (id === store.getState().view.focus) return
  for (const panel of panels.filter(({ scope }) => scope === 'server')) {
    for (const list of panel.lists) update.changeList(store, list.id, { selectedId: null, tagged: [], lastIndex: 0 })
  }
  update.setDetail(store, false)
  update.focusServer(store, id)
  poke()
}

/** Shows the row of another pane that a place names, whatever filter, fold or other server is in the way. */
export function goTo(context: Moving, place: Place): void {
  const { store, poke } = context
  const panel = panels.find(({ id }) => id === place.panel)
  const list = panel?.lists.find(({ id }) => id === place.list)
  if (!panel || !list) return
  const server = place.row?.server
  if (panel.scope === 'server' && typeof server === 'string') focusServer(context, server)
  update.showPanel(store, panel.id)
  update.focusList(store, panel.id, list.id)
  update.changeList(store, list.id, { filter: '' })
  poke()
  const fields = Object.entries(place.row ?? {})
  const { rows } = list.select(store.getState())
  const row = fields.length === 0 ? undefined : rows.find(one => fields.every(([name, value]) => one[name] === value))
  if (row) update.changeList(store, list.id, { selectedId: list.rowId(row), opened: openedTo(list, rows, row, store.getState()) })
  else if (fields.length > 0) update.say(store, 'it is not on this list any more', 'warning')
}

/** Rows of a folding tree that must be open for a row to be seen. */
function openedTo(list: AnyList, rows: readonly AnyRow[], row: AnyRow, state: State): readonly string[] {
  const { opened } = viewOf(state, list)
  if (!list.folds) return opened
  const nodeId = list.treeId ?? list.rowId
  const byNode = new Map(rows.map(one => [nodeId(one), one]))
  const above: string[] = []
  for (let id = list.parentId?.(row) ?? null; id !== null && above.length < rows.length; ) {
    const parent = byNode.get(id)
    if (!parent) break
    above.push(list.rowId(parent))
    id = list.parentId?.(parent) ?? null
  }
  return [...new Set([...opened, ...above])]
}

export function stepInterval({ store, poke }: Moving, step: number): void {
  const { intervalMs } = store.getState().settings
  const next = step > 0 ? intervalsMs.find(ms => ms > intervalMs) : intervalsMs.findLast(ms => ms < intervalMs)
  if (next === undefined) {
    update.say(store, step > 0 ? 'this is the longest interval' : 'this is the shortest interval', 'warning')
    return
  }
  update.setIntervalMs(store, next)
  poke()
}

export function sortBy(store: Store, step: number): void {
  const list = listOf(store.getState())
  const { column } = sortOf(list, viewOf(store.getState(), list))
  const next = list.columns[(list.columns.indexOf(column) + step + list.columns.length) % list.columns.length]!
  update.changeList(store, list.id, { sort: { column: next.title, descending: next.descending ?? false } })
}

export function move({ store, poke }: Moving, to: (index: number, length: number, page: number) => number): void {
  const state = store.getState()
  const list = listOf(state)
  const view = viewOf(state, list)
  const { items } = arrangedRows(state, list)
  if (items.length === 0) return
  const index = selectedIndex(items, view, view.lastIndex)
  const next = Math.min(items.length - 1, Math.max(0, to(index, items.length, pageRows(state))))
  update.changeList(store, list.id, { selectedId: items[next]!.id, lastIndex: next })
  if (state.view.detail) poke()
}

/** Closes what is open before the list. False: nothing is. */
export function back(store: Store): boolean {
  const state = store.getState()
  const list = listOf(state)
  if (state.view.detail) update.setDetail(store, false)
  else if (viewOf(state, list).filter !== '') update.changeList(store, list.id, { filter: '' })
  else if (state.held) update.toggleHold(store)
  else return false
  return true
}

export function openPrompt({ store }: Moving, kind: 'find' | 'filter'): void {
  const state = store.getState()
  const { filter } = viewOf(state, listOf(state))
  update.setPrompt(store, { kind, text: kind === 'filter' ? filter : '' })
}

export function cancelPrompt(store: Store): void {
  const state = store.getState()
  if (state.view.prompt?.kind === 'filter') update.changeList(store, listOf(state).id, { filter: '' })
  update.setPrompt(store, null)
}

/** The prompt's text has changed: a filter works at once, a search goes to the first row that matches from here on. */
export function promptChanged(context: Moving, text: string): void {
  const { store } = context
  const { prompt } = store.getState().view
  if (!prompt) return
  update.setPrompt(store, { ...prompt, text })
  if (prompt.kind === 'filter') update.changeList(store, listOf(store.getState()).id, { filter: text })
  else findFrom(context, 0)
}

export function findFrom({ store }: Moving, offset: number): void {
  const state = store.getState()
  const { prompt } = state.view
  if (prompt?.kind !== 'find' || prompt.text === '') return
  const list = listOf(state)
  const view = viewOf(state, list)
  const { sections } = arrangedRows(state, list)
  const items = itemsOf(sections)
  const start = selectedIndex(items, view, view.lastIndex) + offset
  for (let i = 0; i < items.length; i++) {
    const index = (Math.max(0, start) + i) % items.length
    if (matches(list, items[index]!.row, prompt.text)) {
      update.changeList(store, list.id, { selectedId: items[index]!.id, lastIndex: index })
      return
    }
  }
  update.say(store, 'no row has this text', 'warning')
}

/** Remembers where the selected row stands now: should it vanish, the cursor stays at that place and not where a key put it long ago. */
export function followSelected(store: Store): void {
  const state = store.getState()
  const list = listOf(state)
  const view = viewOf(state, list)
  const index = arrangedRows(state, list).items.findIndex(item => item.id === view.selectedId)
  if (index >= 0 && index !== view.lastIndex) update.changeList(store, list.id, { lastIndex: index })
}
