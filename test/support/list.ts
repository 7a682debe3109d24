// A list of hand-made rows, for what holds of every list.

import type { AnyList, AnyRow, Column } from '../../src/panels/panel.ts'

export type Row = {
  readonly id: string
  readonly name?: string
  readonly size?: number | bigint | null
  readonly parent?: string | null
  readonly group?: string
  readonly idle?: boolean
}

const row = (given: AnyRow) => given as unknown as Row

export const nameColumn: Column<AnyRow> = { title: 'NAME', width: 8, tree: true, text: given => row(given).name ?? row(given).id }
export const sizeColumn: Column<AnyRow> = {
  title: 'SIZE',
  width: 6,
  align: 'right',
  descending: true,
  text: given => String(row(given).size ?? '–'),
  sortBy: given => row(given).size ?? null,
}

/** Columns NAME (text, the tree's) and SIZE (a number or null), sorted by NAME; `change` replaces parts. */
export function listOfRows(change: Partial<AnyList> = {}): AnyList {
  return {
    id: 'things',
    title: 'Things',
    needs: [],
    select: () => ({ rows: [] }),
    columns: [nameColumn, sizeColumn],
    rowId: given => row(given).id,
    sort: { column: 'NAME', descending: false },
    empty: 'nothing',
    idle: given => row(given).idle ?? false,
    ...change,
  }
}

export const treeOfRows = (change: Partial<AnyList> = {}) =>
  listOfRows({ parentId: given => row(given).parent ?? null, ...change })

export const rowsOf = (...rows: readonly Row[]) => rows as unknown as readonly AnyRow[]
