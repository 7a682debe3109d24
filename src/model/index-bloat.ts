// How large a B-tree would be if it were built anew, by the statistics of its columns.

import type { IndexWidthRow } from '../sql/index-widths.ts'
import type { IndexRow } from '../sql/indexes.ts'
import { is } from './untrusted.ts'

export type IndexBloat = {
  readonly bloatEstimateBytes: bigint | null
  /** Share of its pages, 0..1. */
  readonly bloatEstimateRatio: number | null
  /** Why there is no estimate. */
  readonly bloatProblem: string | null
}

/** An index smaller than that is not worth a word. Pages. */
const fewPages = 16

/** `stands`: for those of partitions or chunks; `bytes`: of the index, as it was read last; `widths`: of all indexes, null before they were read. */
export function indexBloat(
  row: IndexRow,
  stands: boolean,
  bytes: bigint | null,
  widths: ReadonlyMap<bigint, IndexWidthRow> | null,
): IndexBloat {
  const none = (bloatProblem: string): IndexBloat => ({ bloatEstimateBytes: null, bloatEstimateRatio: null, bloatProblem })
  if (stands) return none('see each of those it stands for')
  if (!is(row.amname, 'btree')) return none('only that of a btree can be estimated')
  if (!row.indisvalid) return none('it is invalid')
  if (bytes === null) return none('its size is not known')
  const pages = Number(bytes) / row.block_size
  if (pages < fewPages) return none(`below ${fewPages} pages`)
  if (widths === null) return none('the statistics of its columns are not read yet')
  const width = widths.get(row.indexrelid)
  // A partial index has rows of its own number, told by VACUUM and ANALYZE only.
  const live = row.predicate === null && row.n_live_tup !== null && row.n_live_tup > 0n ? Number(row.n_live_tup) : null
  const rows = live ?? row.reltuples
  const needed = width && rows !== null && rows > 0 ? pagesNeeded(rows, width, row.block_size) : null
  if (needed === null) return none('not analyzed some minutes ago, or this role may not SELECT all its columns')
  const spare = Math.max(0, Math.round(pages) - needed)
  return { bloatEstimateBytes: BigInt(spare) * BigInt(row.block_size), bloatEstimateRatio: spare / pages, bloatProblem: null }
}

const aligned = (bytes: number) => Math.ceil(bytes / 8) * 8
/** Of a page (with what a B-tree keeps at its end), of an entry, of one with nulls, the pointer to an entry, a row's address in a shared one. Bytes. */
const [pageOverhead, entryHeader, nullHeader, pointer, address] = [24 + 16, 8, 16, 4, 6]
/** Addresses take six bytes each, entries multiples of eight. */
const averagePadding = 3
/** Pages above the leaves are filled so far. */
const innerFill = 0.7

/**
 * Pages that a REINDEX would need: leaves filled as the fillfactor says, one key a page for its upper bound, the pages above, the first page. Equal keys
 * share an entry of a tenth of a page at the most, as a build makes them.
 *
 * Measured against REINDEX on PostgreSQL 13, 16 and 18, fresh after ANALYZE: without duplicates, or with few keys, within 2 %; one column of any spread within 10 %; several
 * columns within 20 %. These are taken to be independent, so where one follows from another too little is told to be given back. An index
 * that pg_upgrade brought from before 13 shares no entries until it is rebuilt: then too much is. Null: ANALYZE has found no number of keys.
 */
export function pagesNeeded(rows: number, width: IndexWidthRow, blockSize: number): number | null {
  const plain = aligned(entryHeader + width.data_width_bytes)
  const withNulls = aligned(nullHeader + width.null_width_bytes)
  const entry = plain * (1 - width.null_share) + withNulls * width.null_share
  if (width.deduplicates && width.distinct_keys === null) return null
  const keys = Math.min(rows, width.distinct_keys ?? rows)
  const nulls = rows * width.null_share
  // A row with nothing but nulls is like all others of the kind.
  const nullKeys = nulls === 0 ? 0 : width.null_width_bytes === 0 ? 1 : keys * width.null_share
  const bytes = width.deduplicates
    ? sharedBytes(rows - nulls, keys - nullKeys, plain, blockSize) + sharedBytes(nulls, nullKeys, withNulls, blockSize)
    : rows * (entry + pointer)
  const leafSpace = blockSize - pageOverhead - (blockSize * (100 - width.fillfactor)) / 100 - (entry + pointer)
  const leaves = Math.max(1, Math.ceil(bytes / leafSpace))
  const fanout = Math.max(2, ((blockSize - pageOverhead) * innerFill) / (entry + pointer))
  let pages = leaves + 1
  for (let level = leaves; level > 1; ) {
    level = Math.ceil(level / fanout)
    pages += level
  }
  return pages
}

/** An entry for each key, and an address for each row of those that have several; in as many entries as a tenth of a page holds. */
function sharedBytes(rows: number, given: number, entry: number, blockSize: number): number {
  if (rows < 1) return 0
  const keys = Math.min(rows, Math.max(1, given))
  const most = Math.max(1, Math.floor((Math.floor(blockSize / 80) * 8 - pointer - entry) / address))
  const entries = keys * Math.max(1, Math.ceil(rows / keys / most))
  const several = Math.min(keys, rows - keys)
  return entries * (entry + pointer) + several * averagePadding + Math.min(address * rows, 2 * address * (rows - keys))
}
