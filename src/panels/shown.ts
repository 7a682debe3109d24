// What is on the screen now: the pane, its list in focus, the rows in their order, the row in focus. Asked by the table and by the keys.

import { drawable } from '../model/untrusted.ts'
import { momentOf, picture } from '../store/selectors.ts'
import type { ListView, ServerState, State } from '../store/state.ts'
import { freshListView } from '../store/store.ts'
import { arrange, type Item, itemsOf, type Section } from './arrange.ts'
import { panels } from './index.ts'
import type { AnyList, AnyRow, Panel, Selected } from './panel.ts'

export function panelOf(state: State): Panel {
  return panels.find(panel => panel.id === state.view.panel) ?? panels[0]!
}

/** The list in focus of the pane shown. */
export function listOf(state: State): AnyList {
  const panel = panelOf(state)
  return panel.lists.find(list => list.id === state.view.list[panel.id]) ?? panel.lists[0]!
}

export function viewOf(state: State, list: AnyList): ListView {
  return state.view.perList[list.id] ?? freshListView
}

export type Arranged = {
  readonly selected: Selected<AnyRow>
  readonly sections: readonly Section[]
  readonly items: readonly Item[]
}

type Known = {
  events: State['events']
  servers: Readonly<Record<string, ServerState>>
  now: number
  focus: string | null
  view: ListView
  hideIdle: boolean
  arranged: Arranged
}
const cache = new WeakMap<AnyList, Known>()

/** Rows of a list in the order of the screen. Computed once for a picture: keys, table and bar ask for the same. */
export function arrangedRows(state: State, list: AnyList): Arranged {
  const { servers } = picture(state)
  const now = momentOf(state)
  const view = viewOf(state, list)
  const { events } = state
  const { focus, hideIdle } = state.view
  const known = cache.get(list)
  if (
    known &&
    known.servers === servers &&
    known.events === events &&
    known.now === now &&
    known.focus === focus &&
    known.view === view &&
    known.hideIdle === hideIdle
  ) {
    return known.arranged
  }
  const selected = list.select(state)
  const sections = arrange(list, selected.rows, view, hideIdle)
  const arranged = { selected, sections, items: itemsOf(sections) }
  cache.set(list, { events, servers, now, focus, view, hideIdle, arranged })
  return arranged
}

/** Index of the selected row among the items; when it is gone or none is selected, the place where the eye is: `fallback`, clamped. */
export function selectedIndex(items: readonly Item[], view: ListView, fallback: number): number {
  const index = view.selectedId === null ? -1 : items.findIndex(item => item.id === view.selectedId)
  return index >= 0 ? index : Math.min(Math.max(0, fallback), items.length - 1)
}

/** The row that the cursor is on; null in an empty list. */
export function selectedRow(state: State): { list: AnyList; item: Item } | null {
  const list = listOf(state)
  const view = viewOf(state, list)
  const { items } = arrangedRows(state, list)
  const item = items[selectedIndex(items, view, view.lastIndex)]
  return item ? { list, item } : null
}

/** Which of these servers keeps us waiting for its first answer, and why, in one sentence (drawable); null when none is known to be in trouble. */
export function silentServer(state: State, ids: readonly string[]): string | null {
  const { servers } = picture(state)
  const silent = ids
    .map(id => servers[id])
    .find(server => server && server.link.state !== 'up' && server.link.word !== 'CONNECTING')
  return silent ? `${drawable(silent.id)} is ${silent.link.word}${silent.link.why ? `: ${silent.link.why}` : ''}` : null
}
