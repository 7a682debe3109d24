// The order of a list on the screen: filter, sort, groups, tree. Pure, and the same for the table, for the keys that move in it and
// for `snapshot`, so that what is shown and what is acted on can't differ.

import { drawable } from '../model/untrusted.ts'
import type { ListView } from '../store/state.ts'
import type { AnyList, AnyRow, Column } from './panel.ts'

export type Item = {
  readonly id: string
  readonly row: AnyRow
  /** The branches to draw before the tree column: '', '├ ', '│ └ '..., and ▸ or ▾ of a row that folds. */
  readonly branch: string
}

/** A section of rows with its title line ('' for none). */
export type Section = { readonly title: string; readonly items: readonly Item[] }

/** Sections in order. Rows that the filter leaves out or `hideIdle` hides are not in it; a child whose parent is left out stands alone. */
export function arrange(list: AnyList, rows: readonly AnyRow[], view: ListView, hideIdle: boolean): readonly Section[] {
  const shown = rows.filter(row => (!hideIdle || !list.idle?.(row)) && matches(list, row, view.filter))
  const sorted = sortRows(list, shown, view)
  const sections = new Map<string, { order: number; rows: AnyRow[] }>()
  for (const row of sorted) {
    const { order, title } = list.group?.(row) ?? { order: 0, title: '' }
    const section = sections.get(title)
    if (section) section.rows.push(row)
    else sections.set(title, { order, rows: [row] })
  }
  return [...sections]
    .sort(([, a], [, b]) => a.order - b.order)
    .map(([title, section]) => ({
      title,
      items: view.tree && list.parentId ? branches(list, section.rows, view) : flat(list, section.rows),
    }))
}

/** All items of all sections, top to bottom. */
export function itemsOf(sections: readonly Section[]): readonly Item[] {
  return sections.length === 1 ? sections[0]!.items : sections.flatMap(section => section.items)
}

/** True when the text of any column holds the words, whatever the case. An empty filter matches all. */
export function matches(list: AnyList, row: AnyRow, filter: string): boolean {
  if (filter === '') return true
  // What was typed or pasted is compared as it would be drawn, since that is what the user saw.
  const needle = drawable(filter).toLowerCase()
  return list.columns.some(column => column.text(row).toLowerCase().includes(needle))
}

/** The column a list is sorted by now, and the way. */
export function sortOf(list: AnyList, view: ListView): { column: Column<AnyRow>; descending: boolean } {
  const { column: title, descending } = view.sort ?? list.sort
  const column = list.columns.find(c => c.title === title) ?? list.columns[0]!
  return { column, descending }
}

function sortRows(list: AnyList, rows: readonly AnyRow[], view: ListView): readonly AnyRow[] {
  const { column, descending } = sortOf(list, view)
  const key = column.sortBy ?? column.text
  const sign = descending ? -1 : 1
  return rows
    .map(row => {
      const value = key(row)
      return { row, key: Number.isNaN(value) ? null : value, id: list.rowId(row) }
    })
    .sort((a, b) => {
      if (a.key === null || b.key === null) {
        if (a.key !== b.key) return a.key === null ? 1 : -1
      } else if (a.key !== b.key) return a.key < b.key ? -sign : sign
      return a.id < b.id ? -1 : a.id > b.id ? 1 : 0
    })
    .map(({ row }) => row)
}

function flat(list: AnyList, rows: readonly AnyRow[]): readonly Item[] {
  return rows.map(row => ({ id: list.rowId(row), row, branch: '' }))
}

/** Cells of branches after which deeper rows are not indented further: no column has more room. */
const deepestStem = 40

function branches(list: AnyList, rows: readonly AnyRow[], view: ListView): readonly Item[] {
  const nodeId = list.treeId ?? list.rowId
  const present = new Set(rows.map(nodeId))
  const children = new Map<string | null, AnyRow[]>()
  for (const row of rows) {
    const parent = list.parentId?.(row) ?? null
    const under = parent !== null && present.has(parent) && parent !== nodeId(row) ? parent : null
    const siblings = children.get(under)
    if (siblings) siblings.push(row)
    else children.set(under, [row])
  }
  const items: Item[] = []
  const opened = new Set(view.opened)
  const seen = new Set<string>()
  const hide = (id: string) => {
    const hidden = [...(children.get(id) ?? [])]
    for (let row = hidden.pop(); row; row = hidden.pop()) {
      if (seen.has(nodeId(row))) continue
      seen.add(nodeId(row))
      hidden.push(...(children.get(nodeId(row)) ?? []))
    }
  }
  // A stack and not recursion: a queue of thousands for one lock may be a chain as deep.
  const waiting: { row: AnyRow; stem: string; branch: string }[] = []
  const push = (parent: string | null, stem: string) => {
    const siblings = children.get(parent) ?? []
    for (let i = siblings.length - 1; i >= 0; i--) {
      const last = i === siblings.length - 1
      const under = stem.length < deepestStem ? `${stem}${last ? '  ' : '│ '}` : stem
      waiting.push({
        row: siblings[i]!,
        stem: parent === null ? '' : under,
        branch: parent === null ? '' : `${stem}${last ? '└ ' : '├ '}`,
      })
    }
  }
  push(null, '')
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const id = nodeId(next.row)
    if (seen.has(id)) continue
    seen.add(id)
    const rowId = list.rowId(next.row)
    const open = !list.folds || view.filter !== '' || opened.has(rowId)
    const mark = list.folds && children.has(id) ? (open ? '▾ ' : '▸ ') : ''
    items.push({ id: rowId, row: next.row, branch: next.branch + mark })
    if (open) push(id, next.stem)
    else hide(id)
  }
  // Rows that hang under each other in a ring have no root: they still have to be seen.
  for (const row of rows) if (!seen.has(nodeId(row))) items.push({ id: list.rowId(row), row, branch: '' })
  return items
}
