// The contract of a pane. A pane has one list or several (Pools: pools, clients, servers); each list is a record: what it asks for,
// how its rows come about, and its columns. A row is plain data and is what `snapshot --json` prints for the list.

import type { Place } from '../checks/check.ts'
import type { Query } from '../sql/query.ts'
import type { State } from '../store/state.ts'

/** Colour that means something; the theme decides what it looks like, and with NO_COLOR it is lost without loss of meaning. */
export type Tone = 'dim' | 'ok' | 'warning' | 'critical' | 'accent'

export type Column<Row> = {
  /** Unique in the list; the sort menu and the header show it. */
  readonly title: string
  /** Cells. The one column with `grow` takes what is left (at least its width). */
  readonly width: number
  readonly grow?: boolean
  /** Cells it takes where there is room for more: up to half of what is spare goes to such columns, the rest to the growing one. */
  readonly wide?: number
  readonly align?: 'left' | 'right'
  /** Only drawn when the terminal has at least so many columns. */
  readonly from?: number
  /** Drawable text: server text must have gone through drawable(). */
  readonly text: (row: Row) => string
  /** What to sort by when it is not the text; null sorts last either way. */
  readonly sortBy?: (row: Row) => number | bigint | string | null
  /** The direction of the first press; numbers usually want descending. */
  readonly descending?: boolean
  readonly tone?: (row: Row) => Tone | undefined
  /** The tree's branches are drawn before this column's text. */
  readonly tree?: boolean
}

export type Absence = { readonly reason: string; readonly remedy: string }

export type Selected<Row> = {
  readonly rows: readonly Row[]
  /** Nothing can be shown, and why (drawable); JSON gives it as `unavailable`. */
  readonly unavailable?: Absence
  /** Rows are shown, but something is wrong or restricted (drawable, one line). */
  readonly notice?: string
  /** What to say when there are no rows and nothing is wrong, where there is more to say than the list always says. Drawable. */
  readonly empty?: string
  /** Samples have not come yet. */
  readonly waiting?: boolean
}

/** A line of the detail pane: a name with its value, or a block of text (SQL) that is wrapped. */
export type DetailLine =
  | { readonly name: string; readonly value: string; readonly tone?: Tone }
  | { readonly title: string; readonly block: readonly string[] }

export type ListSpec<Row> = {
  /** Also the key under `panels` in JSON: activity, locks, slots, poolServers... */
  readonly id: string
  readonly title: string
  readonly needs: readonly Query[]
  readonly select: (state: State) => Selected<Row>
  readonly columns: readonly Column<Row>[]
  /** What a row is, whatever becomes of it: selection and tags hold to this. A pid alone is none, it is given to another session later. */
  readonly rowId: (row: Row) => string
  readonly sort: { readonly column: string; readonly descending: boolean }
  /** Sections: rows of a smaller group number stand above, under the group's title; '' draws no title. */
  readonly group?: (row: Row) => { readonly order: number; readonly title: string }
  /** The row this one hangs under, by its treeId; null for a root. Siblings follow the sort. */
  readonly parentId?: (row: Row) => string | null
  /** A row's children are hidden until it is opened; a filter looks among them too. */
  readonly folds?: true
  /** What rows name their parent by, where that is not the rowId. */
  readonly treeId?: (row: Row) => string
  readonly detail?: (row: Row, state: State) => readonly DetailLine[]
  /** Where Enter goes on to once the detail is open. */
  readonly leadsTo?: (row: Row) => Place | null
  /** What to draw when there are no rows and nothing is wrong. */
  readonly empty: string
  /** What `y` copies: raw text (a query, a name); as `cut` when only its beginning is there until the row is selected. */
  readonly copy?: (row: Row, state: State) => string | { readonly cut: string }
  /** Rows that `i` hides. */
  readonly idle?: (row: Row) => boolean
  /**
   * Its rows are what pgvigil remembers and not what a server says now: they are as good as ever while their server doesn't answer, and a single
   * look has none of them, for this reason.
   */
  readonly remembered?: Absence
  /** A row's tone as a whole (dim for background processes). */
  readonly rowTone?: (row: Row) => Tone | undefined
}

export type Panel = {
  readonly id: string
  readonly key: string
  readonly title: string
  /** `server`: shows the PostgreSQL server in focus. `cluster`: all of them. */
  readonly scope: 'server' | 'cluster'
  /** The first is the pane's main list. Rows of a list are known to that list alone. */
  readonly lists: readonly AnyList[]
}

/** A list whose row type is its own affair: the table only hands its rows back to it. */
export type AnyRow = Readonly<Record<string, unknown>>
export type AnyList = ListSpec<AnyRow>

/** Declares a list and forgets its row type, so that lists of all kinds stand in one registry. */
export function list<Row>(spec: ListSpec<Row>): AnyList {
  return spec as unknown as AnyList
}
