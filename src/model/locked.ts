// Which tables are locked at this moment, whatever their sizes were read, and which were until a moment ago.

import type { IndexSizeRow } from '../sql/indexes.ts'
import type { LockedRelationRow, TableSizeRow } from '../sql/tables.ts'

/** When relations of a database were last seen locked, by oid; epoch ms. */
export type LockMarks = Readonly<Record<string, number>>

/** Sizes are read each minute, in a round that may take a while: after this one has begun for certain. Milliseconds. */
const rememberedMs = 150_000
/** More are left to the next round. */
const mostRelations = 200

export function lockMarks(before: LockMarks, rows: readonly LockedRelationRow[], database: bigint | null, at: number): LockMarks {
  const now = rows.filter(row => row.database === database).map(({ relation }) => [String(relation), at] as const)
  const kept = Object.entries(before).filter(([, seen]) => at - seen < rememberedMs)
  if (now.length === 0 && kept.length === Object.keys(before).length) return before
  return { ...Object.fromEntries(kept), ...Object.fromEntries(now) }
}

/** Oids of those that were locked a moment ago and are no longer, the latest of them, in one text; null: there are none. */
export function unlockedRelations(marks: LockMarks, lookedAt: number): string | null {
  const free = Object.entries(marks).filter(([, seen]) => seen < lookedAt)
  const latest = free.toSorted(([, a], [, b]) => b - a).slice(0, mostRelations)
  return latest.length === 0
    ? null
    : latest
        .map(([oid]) => oid)
        .sort()
        .join(' ')
}

/** Relations of a database that are locked now. */
export function lockedNow(rows: readonly LockedRelationRow[], database: bigint | null): ReadonlySet<bigint> {
  return new Set(rows.filter(row => row.database === database).map(({ relation }) => relation))
}

/** Those, and the tables whose index, TOAST table or its index they are: a size function would stand behind the lock. */
export function lockedTables(
  relations: ReadonlySet<bigint>,
  tables: readonly TableSizeRow[],
  indexes: readonly IndexSizeRow[],
): ReadonlySet<bigint> {
  if (relations.size === 0) return relations
  const has = (oid: bigint | null) => oid !== null && relations.has(oid)
  return new Set([
    ...relations,
    ...indexes.filter(({ indexrelid }) => has(indexrelid)).map(({ indrelid }) => indrelid),
    ...tables.filter(row => has(row.toast_relid) || has(row.toast_index_relid)).map(({ relid }) => relid),
  ])
}

/** Rows of the last round, those read since in their places; with when each was read. */
export function newest<Row>(
  round: { readonly at: number; readonly rows: readonly Row[] } | null,
  since: { readonly at: number; readonly rows: readonly Row[] } | null,
  idOf: (row: Row) => bigint,
): ReadonlyMap<bigint, { readonly row: Row; readonly at: number }> {
  const out = new Map<bigint, { row: Row; at: number }>()
  for (const sample of [round, since]) {
    for (const row of sample?.rows ?? []) {
      const known = out.get(idOf(row))
      if (sample && (!known || known.at < sample.at)) out.set(idOf(row), { row, at: sample.at })
    }
  }
  return out
}
