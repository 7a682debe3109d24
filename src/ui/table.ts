// The windowed table: only the rows that fit are formatted. A column's header, cell and sort come from its one declaration.

import { fit, width as widthOf } from '../model/untrusted.ts'
import type { Section } from '../panels/arrange.ts'
import type { AnyList, AnyRow, Column, Tone } from '../panels/panel.ts'
import { fitLine, type Line, type Look, ruled, type Span, span } from './spans.ts'

export type TableInput = {
  readonly list: AnyList
  readonly sections: readonly Section[]
  readonly columns: number
  readonly height: number
  readonly sort: { readonly column: Column<AnyRow>; readonly descending: boolean }
  /** Index among all items of the row under the cursor; -1 for none. */
  readonly selected: number
  /** False for a list that is shown but not in focus: its cursor is not drawn. */
  readonly focused: boolean
  readonly tagged: readonly string[]
  /** First display line shown last time, so that nothing jumps. */
  readonly top: number
  readonly rowTone: (row: AnyRow) => Tone | undefined
}

export type TableOutput = { readonly lines: readonly Line[]; readonly top: number }

type Placed = { readonly column: Column<AnyRow>; readonly width: number }

/** Header line and rows in exactly `height` lines of exactly `columns` cells. */
export function table(input: TableInput): TableOutput {
  const { list, sections, columns, height } = input
  const placed = place(list.columns, columns - 1)
  const display = sections.flatMap(section => [
    ...(section.title === '' ? [] : [{ title: section.title, item: null }]),
    ...section.items.map(item => ({ title: '', item })),
  ])
  const room = Math.max(0, height - 1)
  const cursor = displayIndex(sections, input.selected)
  const top = windowTop(input.top, cursor, room, display.length)
  const tagged = new Set(input.tagged)
  const lines: Line[] = [headerLine(placed, input.sort, columns, input.focused)]
  display.slice(top, top + room).forEach((entry, i) => {
    if (!entry.item) {
      lines.push(ruled([span(`─ ${entry.title} `, 'dim')], columns))
      return
    }
    const { row, id, branch } = entry.item
    const chosen = input.focused && top + i === cursor
    lines.push(rowLine(placed, row, branch, columns, chosen, tagged.has(id), input.rowTone(row)))
  })
  while (lines.length < height) lines.push(fitLine([], columns))
  return { lines: lines.slice(0, height), top }
}

/** The whole list as lines, without cursor and window: for output that is no screen. */
export function tableLines(list: AnyList, sections: readonly Section[], columns: number): readonly Line[] {
  const rows = sections.reduce((sum, section) => sum + section.items.length + (section.title === '' ? 0 : 1), 0)
  const column = list.columns.find(c => c.title === list.sort.column) ?? list.columns[0]!
  const sort = { column, descending: list.sort.descending }
  return table({
    list,
    sections,
    columns,
    height: rows + 1,
    sort,
    selected: -1,
    focused: false,
    tagged: [],
    top: 0,
    rowTone: () => undefined,
  }).lines
}

/** Columns that fit: those meant for this width, without the last ones when there is still no room; what is left goes to the growing one. */
export function place(columns: readonly Column<AnyRow>[], cells: number): readonly Placed[] {
  const wanted = columns.filter(column => (column.from ?? 0) <= cells + 1)
  while (wanted.length > 1 && needed(wanted) > cells) {
    const last = wanted.findLastIndex((column, i) => i > 0 && !column.grow)
    wanted.splice(last > 0 ? last : wanted.length - 1, 1)
  }
  const spare = Math.max(0, cells - needed(wanted))
  const wishes = wanted.map(column => (column.grow ? 0 : Math.max(0, (column.wide ?? 0) - column.width)))
  const wished = wishes.reduce((sum, wish) => sum + wish, 0)
  const given = Math.min(wished, Math.floor(spare / 2))
  const widened = wishes.map(wish => (wished === 0 ? 0 : Math.floor((wish * given) / wished)))
  const rest = spare - widened.reduce((sum, cells) => sum + cells, 0)
  return wanted.map((column, i) => ({ column, width: Math.min(cells, column.width + (column.grow ? rest : (widened[i] ?? 0))) }))
}

function needed(columns: readonly Column<AnyRow>[]): number {
  return columns.reduce((sum, column) => sum + column.width + 1, -1)
}

function headerLine(placed: readonly Placed[], sort: TableInput['sort'], columns: number, focused: boolean): Line {
  const look: Look = focused ? 'header' : 'strong'
  const cells: Span[] = [span(' ', look)]
  placed.forEach(({ column, width }, i) => {
    const sorted = column.title === sort.column.title
    const title = sorted ? `${column.title.slice(0, Math.max(1, width - 1))}${sort.descending ? '▼' : '▲'}` : column.title
    cells.push(span(fit(title, width, column.align) + (i < placed.length - 1 ? ' ' : ''), sorted && focused ? 'selected' : look))
  })
  return fitLine(cells, columns, look)
}

function rowLine(
  placed: readonly Placed[],
  row: AnyRow,
  branch: string,
  columns: number,
  chosen: boolean,
  tag: boolean,
  tone: Tone | undefined,
): Line {
  const cells: Span[] = [span(tag ? '*' : ' ', chosen ? 'selected' : tag ? 'accent' : undefined)]
  placed.forEach(({ column, width }, i) => {
    const text = column.tree ? indented(branch, column.text(row), width) : column.text(row)
    const look = chosen ? 'selected' : tag ? 'accent' : (tone ?? column.tone?.(row))
    cells.push(span(fit(text, width, column.align) + (i < placed.length - 1 ? ' ' : ''), look))
  })
  return fitLine(cells, columns, chosen ? 'selected' : undefined)
}

/** A row's text under its branches; where both have no room the branches give way, so that a pid is never cut short. */
function indented(branch: string, text: string, cells: number): string {
  const wide = widthOf(text)
  const room = wide > cells ? 2 : cells - wide
  return (branch.length <= room ? branch : branch.slice(-2).slice(0, room)) + text
}

function displayIndex(sections: readonly Section[], selected: number): number {
  let index = 0
  let items = 0
  for (const section of sections) {
    if (section.title !== '') index++
    if (selected < items + section.items.length) return index + (selected - items)
    items += section.items.length
    index += section.items.length
  }
  return -1
}

/** Moves the window as little as keeps the cursor inside, and never leaves room unused below. */
export function windowTop(before: number, cursor: number, height: number, total: number): number {
  let top = Math.min(before, Math.max(0, total - height))
  if (cursor >= 0) {
    if (cursor < top) top = cursor
    // The first item's section title comes into view with it.
    if (cursor <= 1) top = 0
    if (cursor >= top + height) top = cursor - height + 1
  }
  return Math.max(0, top)
}
