// What pgstattuple has measured, in a sentence.

import { bytes, count, percent } from './format.ts'

/** A row as it came: texts. */
type Told = Readonly<Record<string, string | null>>

/** A figure; NaN, as for the density of no leaves, is none. */
const figure = (row: Told, name: string) => {
  const value = Number(row[name] ?? Number.NaN)
  return Number.isFinite(value) ? value : 0
}

/** Of the row of exactTableBloat: its heap alone. What fillfactor keeps free counts as free. */
export function tableSentence(row: Told): string {
  const all = figure(row, 'table_len')
  const part = (name: string) => `${bytes(figure(row, name))}${all > 0 ? ` (${percent(figure(row, name) / all)})` : ''}`
  if (all === 0) return 'its heap is empty'
  return `of a heap of ${bytes(all)}, ${part('free_space')} is free, ${count(figure(row, 'dead_tuple_count'))} dead rows take ${part('dead_tuple_len')}, ${count(figure(row, 'tuple_count'))} live rows ${part('tuple_len')}`
}

/** Bytes that a REINDEX would give back: leaves filled as the fillfactor says, and as many pages above them less. */
export function indexSpare(row: Told): number {
  const [leaves, inner, size] = [figure(row, 'leaf_pages'), figure(row, 'internal_pages'), figure(row, 'index_size')]
  const share = Math.min(1, figure(row, 'avg_leaf_density') / figure(row, 'fillfactor'))
  const needed = 1 + Math.ceil(leaves * share) + Math.ceil(inner * share)
  return Math.max(0, size - needed * figure(row, 'block_size'))
}

/** Of the row of exactIndexBloat. */
export function indexSentence(row: Told): string {
  const [leaves, size] = [figure(row, 'leaf_pages'), figure(row, 'index_size')]
  const unused = figure(row, 'empty_pages') + figure(row, 'deleted_pages')
  const spare = indexSpare(row)
  const filled =
    leaves === 0
      ? 'it has no entries'
      : `its leaves are ${percent(figure(row, 'avg_leaf_density') / 100)} full (${figure(row, 'fillfactor')}% when built anew)`
  const empty = unused > 0 ? `, ${count(unused)} of ${count(size / Math.max(1, figure(row, 'block_size')))} pages are empty` : ''
  return `${filled}${empty}: REINDEX would give back about ${bytes(spare)} of ${bytes(size)}${size > 0 ? ` (${percent(spare / size)})` : ''}`
}
