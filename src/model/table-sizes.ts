// Sizes of tables together with those of what they stand for.

import type { TableSizeRow } from '../sql/tables.ts'
import { newest } from './locked.ts'
import type { Skipped, Told } from './tables.ts'
import { raw } from './untrusted.ts'

/** Bytes; null as soon as one of those it stands for is not known. `at`: when the oldest of them was read, in epoch ms. */
export type TableSize = {
  readonly heap: bigint | null
  readonly index: bigint | null
  readonly toast: bigint | null
  readonly at: number | null
  readonly locked: boolean
  readonly problem: string | null
}

/**
 * What was read of sizes: in the last round, and since then of those that had been locked. `locked`: tables that are locked now; null: not known,
 * then it counts what was so when they were read.
 */
export type SizesTold = {
  readonly round: Told<TableSizeRow> | null
  readonly since: Told<TableSizeRow> | null
  readonly locked: ReadonlySet<bigint> | null
}

const unread: TableSize = { heap: null, index: null, toast: null, at: null, locked: false, problem: 'not read yet' }

/** `parts`: the table of a chunk's compressed part, and whose it is. */
export function sizesOf(told: SizesTold, parts: ReadonlyMap<bigint, bigint>): (relid: bigint) => TableSize {
  const { round, since, locked } = told
  const read = newest(round, since, row => row.relid)
  const members = new Map<bigint, bigint[]>()
  for (const { row } of read.values()) {
    const owner = parts.get(row.relid) ?? row.parent_relid
    if (owner === null) continue
    const known = members.get(owner)
    if (known) known.push(row.relid)
    else members.set(owner, [row.relid])
  }
  const ranges = (round?.skipped ?? []).map(skipped => ({ skipped, range: raw(skipped.key).split(' ').map(BigInt) }))
  const skippedAt = (relid: bigint) => ranges.find(({ range: [from, to] }) => relid >= from! && relid <= to!)?.skipped
  return relid => {
    const sum = { heap: 0n, index: 0n, toast: 0n }
    let oldest = Number.POSITIVE_INFINITY
    const waiting = [relid]
    const seen = new Set<bigint>()
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      if (seen.has(id)) continue
      seen.add(id)
      const { row, at } = read.get(id) ?? { row: undefined, at: 0 }
      if (locked?.has(id) || !row || row.heap_bytes === null || row.index_bytes === null || row.toast_bytes === null) {
        return withoutSize(row, skippedAt(id), id === relid, locked === null ? null : locked.has(id))
      }
      oldest = Math.min(oldest, at)
      sum.heap += row.heap_bytes
      sum.index += row.index_bytes
      sum.toast += row.toast_bytes
      waiting.push(...(members.get(id) ?? []))
    }
    return { ...sum, at: oldest, locked: false, problem: null }
  }
}

function withoutSize(
  row: TableSizeRow | undefined,
  skipped: Skipped | undefined,
  itself: boolean,
  lockedNow: boolean | null,
): TableSize {
  const whose = itself ? '' : 'of those it stands for one is '
  const was = row?.locked || skipped?.code === '55P03'
  if (lockedNow ?? row?.locked) {
    return { ...unread, locked: true, problem: `${whose}locked in ACCESS EXCLUSIVE mode: read as soon as it is free` }
  }
  if (lockedNow === false && was) return { ...unread, problem: `${whose}free again, and read in a moment` }
  if (skipped) return { ...unread, locked: skipped.code === '55P03', problem: `${whose}not to be read: ${skipped.why}` }
  return { ...unread, problem: row ? 'dropped since' : 'not read yet' }
}
