// The part between tabs and function bar: the pane's lists, and the detail of the row in focus.

import { drawable, drawableLines, fit, width } from '../model/untrusted.ts'
import { sortOf } from '../panels/arrange.ts'
import type { AnyList, AnyRow, DetailLine, Tone } from '../panels/panel.ts'
import { arrangedRows, listOf, panelOf, selectedIndex, selectedRow, silentServer, viewOf } from '../panels/shown.ts'
import { linkOf, picture } from '../store/selectors.ts'
import type { State } from '../store/state.ts'
import { fitLine, type Line, ruled, span } from './spans.ts'
import { table } from './table.ts'

/** What a drawing remembers from the one before: the first line shown of each list. */
export type Memory = { readonly tops: Record<string, number> }

/** Lists that are not in focus are shown too when the pane has at least so many lines. */
const roomForAll = 20

export function body(state: State, columns: number, height: number, memory: Memory): readonly Line[] {
  const panel = panelOf(state)
  const detail = state.view.detail ? detailLines(state, columns, Math.floor(height / 2)) : []
  const room = height - detail.length
  if (panel.lists.length === 1) return [...listLines(state, panel.lists[0]!, columns, room, memory, true), ...detail]
  const focused = listOf(state)
  if (room < roomForAll) {
    return [
      titles(state, panel.lists, focused, columns),
      ...listLines(state, focused, columns, room - 1, memory, true),
      ...detail,
    ]
  }
  const needs = panel.lists.map(list => listNeed(state, list))
  const heights = shares(needs, room, panel.lists.indexOf(focused))
  const lines = panel.lists.flatMap((list, i) => [
    titleLine(state, list, list === focused, columns),
    ...listLines(state, list, columns, heights[i]! - 1, memory, list === focused),
  ])
  while (lines.length < room) lines.push(fitLine([], columns))
  return [...lines, ...detail]
}

/** Lines that a list would take: its title, its header, its rows and section titles, what there is to say, and a blank line. */
function listNeed(state: State, list: AnyList): number {
  const { selected, sections, items } = arrangedRows(state, list)
  const headings = sections.filter(section => section.title !== '').length
  const notes = Number(selected.notice !== undefined) + Number(viewOf(state, list).filter !== '')
  return 3 + notes + headings + Math.max(items.length, selected.unavailable ? 3 : 1)
}

/** How many lines each list gets: all it needs where there is room, else the others their fair share and the one in focus the rest. */
export function shares(needs: readonly number[], room: number, focus = 0): readonly number[] {
  const total = needs.reduce((sum, need) => sum + need, 0)
  if (total <= room) return needs
  const fair = Math.floor(room / (needs.length + 1))
  const least = needs.map((need, i) => (i === focus ? 0 : Math.min(need, fair)))
  const rest = room - least.reduce((sum, height) => sum + height, 0)
  const favoured = Math.min(needs[focus]!, rest)
  let spare = rest - favoured
  return least.map((height, i) => {
    if (i === focus) return favoured
    const more = Math.min(spare, needs[i]! - height)
    spare -= more
    return height + more
  })
}

function titleLine(state: State, list: AnyList, focused: boolean, columns: number): Line {
  const { items } = arrangedRows(state, list)
  return fitLine([span(` ${list.title} ${items.length}`, focused ? 'title' : 'dim'), span(focused ? '' : '  F2', 'dim')], columns)
}

function titles(state: State, lists: readonly AnyList[], focused: AnyList, columns: number): Line {
  const spans = lists.flatMap(list => [
    span(' '),
    span(`${list.title} ${arrangedRows(state, list).items.length}`, list === focused ? 'title' : 'dim'),
    span(' '),
  ])
  return fitLine([...spans, span(' F2 next list', 'dim')], columns)
}

function listLines(
  state: State,
  list: AnyList,
  columns: number,
  height: number,
  memory: Memory,
  focused: boolean,
): readonly Line[] {
  const { selected, sections, items } = arrangedRows(state, list)
  const view = viewOf(state, list)
  const notes: Line[] = []
  if (selected.notice) notes.push(fitLine([span(` ${selected.notice}`, 'warning')], columns))
  if (view.filter !== '')
    notes.push(
      fitLine(
        [
          span(
            ` filter: ${drawable(view.filter)}  (${items.length} of ${selected.rows.length}${view.tagged.length > 0 ? `; ${view.tagged.length} tagged` : ''}; Esc clears)`,
            'accent',
          ),
        ],
        columns,
      ),
    )
  const room = height - notes.length
  const { servers, now } = picture(state)
  const rowTone = (row: AnyRow): Tone | undefined => {
    const server = servers[String(row.server)]
    if (server && !list.remembered && linkOf(server, now, state.settings.intervalMs).state !== 'up') return 'dim'
    return list.rowTone?.(row)
  }
  const drawn = table({
    list,
    sections,
    columns,
    height: room,
    sort: sortOf(list, view),
    selected: selectedIndex(items, view, view.lastIndex),
    focused,
    tagged: view.tagged,
    top: memory.tops[list.id] ?? 0,
    rowTone,
  })
  memory.tops[list.id] = drawn.top
  if (items.length > 0) return [...notes, ...drawn.lines]
  const words = absence(state, list, view.filter !== '' && selected.rows.length > 0, columns - 2)
  const lines = [...notes, drawn.lines[0] ?? [], ...words.map(line => fitLine([span(`  ${line.text}`, line.tone)], columns))]
  while (lines.length < height) lines.push(fitLine([], columns))
  return lines.slice(0, height)
}

/** Why there is nothing to see, and what would help. */
function absence(state: State, list: AnyList, filtered: boolean, cells: number): readonly { text: string; tone: Tone }[] {
  const { selected } = arrangedRows(state, list)
  if (selected.unavailable) {
    return [
      ...wrap(selected.unavailable.reason, cells - 2).map(text => ({ text, tone: 'warning' as const })),
      ...wrap(`remedy: ${selected.unavailable.remedy}`, cells - 2).map(text => ({ text, tone: 'accent' as const })),
    ]
  }
  if (filtered) return [{ text: 'no row matches the filter; Esc clears it', tone: 'dim' }]
  if (selected.waiting) {
    const silent = silentServer(state, panelOf(state).scope === 'server' && state.view.focus ? [state.view.focus] : state.order)
    if (silent === null) return [{ text: 'waiting for the first answer', tone: 'dim' }]
    return wrap(`waiting for the first answer: ${silent}`, cells - 2).map(text => ({ text, tone: 'warning' as const }))
  }
  return wrap(selected.empty ?? list.empty, cells - 2).map(text => ({ text, tone: 'dim' as const }))
}

function detailLines(state: State, columns: number, height: number): readonly Line[] {
  const chosen = selectedRow(state)
  const told = chosen && isThere(state) ? tellRow(chosen.list, chosen.item.row, state) : gone
  const all = told.flatMap(line => detailLine(line, columns))
  const room = Math.max(1, height - 1)
  const top = Math.min(state.view.detailTop, Math.max(0, all.length - room))
  const shown = all.slice(top, top + room)
  const more = all.length > room ? `  lines ${top + 1}-${top + shown.length} of ${all.length}, Shift-Up Shift-Down` : ''
  const head = ruled([span('─ detail ', 'accent'), span(more === '' ? '' : `${more} `, 'dim')], columns)
  return [head, ...shown]
}

/** The row whose detail was opened is still on the list: the cursor moves on when it is not, the detail must not become another row's. */
function isThere(state: State): boolean {
  const list = listOf(state)
  const { selectedId } = viewOf(state, list)
  return selectedId === null || arrangedRows(state, list).items.some(({ id }) => id === selectedId)
}

const gone: readonly DetailLine[] = [
  { title: 'The row is no longer on the list: it has ended, or the filter hides it.', block: [] },
]

/** A list without a detail of its own tells all its columns. */
function tellRow(list: AnyList, row: AnyRow, state: State): readonly DetailLine[] {
  return list.detail?.(row, state) ?? list.columns.map(column => ({ name: column.title, value: column.text(row) }))
}

const nameWidth = 24

/** A line of a detail as the screen has it: a name beside its value, a block under its title. */
export function detailLine(line: DetailLine, columns: number): readonly Line[] {
  if ('block' in line) {
    const rows = line.block.flatMap(text => wrap(text, columns - 4))
    return [fitLine([span(`  ${line.title}`, 'dim')], columns), ...rows.map(text => fitLine([span(`    ${text}`)], columns))]
  }
  return wrap(line.value, Math.max(10, columns - nameWidth - 3)).map((text, i) =>
    fitLine([span(`  ${fit(i === 0 ? line.name : '', nameWidth)} `, 'dim'), span(text, line.tone)], columns),
  )
}

/** Breaks a drawable text into lines of at most so many cells, at blanks where it can. Always at least one line. */
export function wrap(text: string, cells: number): string[] {
  const limit = Math.max(1, cells)
  const out: string[] = []
  for (const given of drawableLines(text)) {
    let rest = given
    while (width(rest) > limit) {
      let end = 0
      let used = 0
      let blank = -1
      for (const character of rest) {
        const w = width(character)
        if (used + w > limit) break
        used += w
        end += character.length
        if (character === ' ') blank = end
      }
      const cut = blank > limit / 3 ? blank : Math.max(1, end)
      out.push(rest.slice(0, cut).trimEnd())
      rest = rest.slice(cut)
    }
    out.push(rest)
  }
  return out.length > 0 ? out : ['']
}
