// Sizes of tables together with those of what they stand for.

import type { TableSizeRow } from '../sql/tables.ts'
import type { Skipped, Told } from './tables.ts'
import { raw } from './untrusted.ts'

/** Bytes; null as soon as one of those it stands for is not known. */
export type TableSize = {
  readonly heap: bigint | null
  readonly index: bigint | null
  readonly toast: bigint | null
  readonly locked: boolean
  readonly problem: string | null
}

const unread: TableSize = { heap: null, index: null, toast: null, locked: false, problem: 'not read yet' }

/** `parts`: the table of a chunk's compressed part, and whose it is. */
export function sizesOf(told: Told<TableSizeRow> | null, parts: ReadonlyMap<bigint, bigint>): (relid: bigint) => TableSize {
  if (told === null) return () => unread
  const rows = new Map(told.rows.map(row => [row.relid, row]))
  const members = new Map<bigint, bigint[]>()
  for (const row of told.rows) {
    const owner = parts.get(row.relid) ?? row.parent_relid
    if (owner === null) continue
    const known = members.get(owner)
    if (known) known.push(row.relid)
    else members.set(owner, [row.relid])
  }
  const ranges = told.skipped.map(skipped => ({ skipped, range: raw(skipped.key).split(' ').map(BigInt) }))
  const skippedAt = (relid: bigint) => ranges.find(({ range: [from, to] }) => relid >= from! && relid <= to!)?.skipped
  return relid => {
    const sum = { heap: 0n, index: 0n, toast: 0n }
    const waiting = [relid]
    const seen = new Set<bigint>()
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      if (seen.has(id)) continue
      seen.add(id)
      const row = rows.get(id)
      if (!row || row.heap_bytes === null || row.index_bytes === null || row.toast_bytes === null) {
        return withoutSize(row, skippedAt(id), id === relid)
      }
      sum.heap += row.heap_bytes
      sum.index += row.index_bytes
      sum.toast += row.toast_bytes
      waiting.push(...(members.get(id) ?? []))
    }
    return { ...sum, locked: false, problem: null }
  }
}

function withoutSize(row: TableSizeRow | undefined, skipped: Skipped | undefined, itself: boolean): TableSize {
  const whose = itself ? '' : 'of those it stands for one is '
  if (row?.locked)
    return { ...unread, locked: true, problem: `${whose}locked in ACCESS EXCLUSIVE mode: tried again within a minute` }
  if (skipped) return { ...unread, locked: skipped.code === '55P03', problem: `${whose}not to be read: ${skipped.why}` }
  return { ...unread, problem: row ? 'dropped since' : 'not read yet' }
}
