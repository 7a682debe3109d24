// Indexes as targets: what is kept of one when the key is pressed.

import { bytes, compact } from '../model/format.ts'
import type { IndexPaneRow } from '../model/indexes.ts'
import { indexesOf, tablesOf } from '../relations.ts'
import { indexes } from '../sql/indexes.ts'
import type { Frozen, State } from '../store/state.ts'
import { placeOf } from './guards.ts'
import { concurrently, labelOf } from './relations.ts'

/** What an action needs of a row of the list of indexes. */
export type IndexSeen = Pick<
  IndexPaneRow,
  | ('server' | 'indexrelid' | 'indrelid' | 'qualified' | 'indexrelname' | 'table_qualified' | 'relkind' | 'owned' | 'maintains')
  | ('owner' | 'conname' | 'indisvalid' | 'indisready' | 'indisexclusion' | 'building' | 'total_bytes' | 'idx_scan' | 'children')
>

export type IndexTarget = Frozen & Omit<IndexSeen, 'server' | 'children'> & { readonly concurrently: string }

export function freezeIndex(row: IndexSeen, state: State): IndexTarget {
  const { indexrelid, indrelid, qualified, indexrelname, table_qualified, relkind, owned, maintains, owner, conname } = row
  const { indisvalid, indisready, indisexclusion, building, total_bytes, idx_scan } = row
  return {
    ...placeOf(state, row.server),
    label: labelOf(row),
    concurrently: concurrently(state, row.server),
    relations: [indrelid, indexrelid],
    ...{ indexrelid, indrelid, qualified, indexrelname, table_qualified, relkind, owned, maintains, owner, conname },
    ...{ indisvalid, indisready, indisexclusion, building, total_bytes, idx_scan },
  }
}

/** A newer list has no such index, and left none out. */
export function indexGone({ server, indexrelid }: IndexTarget, state: State, since: number): boolean {
  const sample = state.servers[server]?.readings[indexes.id]?.sample
  if (!sample || sample.at <= since) return false
  const rows = sample.rows as readonly { readonly indexrelid: bigint; readonly indexes_in_all: number }[]
  return rows.length >= (rows[0]?.indexes_in_all ?? 0) && !rows.some(row => row.indexrelid === indexrelid)
}

export const indexHead = ['INDEX', 'TABLE', 'SIZE', 'SCANS']

export const indexHit = (target: IndexTarget) => [
  target.label,
  labelOf({ qualified: target.table_qualified }),
  bytes(target.total_bytes),
  compact(target.idx_scan),
]

export const indexRecord = ({ indexrelid, qualified, table_qualified, total_bytes }: IndexTarget) => ({
  indexrelid,
  index: qualified,
  table: table_qualified,
  total_bytes,
})

/** The invalid indexes that deeds of ours have left behind, as the list of indexes would show them: those of the server in focus, else of one of them. */
export function leftIndexes(state: State): readonly IndexSeen[] {
  const { leftIndexes: all, view } = state
  const up = all.filter(({ server }) => state.servers[server]?.link.state !== 'down')
  const server = [...up, ...all].find(index => index.server === view.focus)?.server ?? (up[0] ?? all[0])?.server
  return all
    .filter(index => index.server === server)
    .map(index => {
      // The list may be older than what was left behind, and show it as being built.
      const listed = indexesOf(state, index.server).find(row => row.indexrelid === index.indexrelid)
      const { owned = true, owner = null } = tablesOf(state, index.server).find(row => row.relid === index.indrelid) ?? {}
      return { ...left, ...index, owned, owner, total_bytes: listed?.total_bytes ?? null }
    })
}

/** What is so of any index that a REINDEX has left behind. */
const left = {
  relkind: 'i' as unknown as IndexSeen['relkind'],
  maintains: true,
  conname: null,
  indisvalid: false,
  indisexclusion: false,
  building: false,
  idx_scan: null,
  children: 0,
}
