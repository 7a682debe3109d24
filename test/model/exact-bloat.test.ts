import { expect, test } from 'vitest'
import { indexSentence, indexSpare, tableSentence } from '../../src/model/exact-bloat.ts'

const table = {
  table_len: '819200',
  tuple_count: '1234',
  tuple_len: '409600',
  dead_tuple_count: '300',
  dead_tuple_len: '81920',
  free_space: '245760',
}
const index = {
  index_size: '819200',
  internal_pages: '2',
  leaf_pages: '97',
  empty_pages: '0',
  deleted_pages: '0',
  avg_leaf_density: '45',
  fillfactor: '90',
  block_size: '8192',
}

test('a table tells what is free, dead and used of its heap', () => {
  expect(tableSentence(table)).toBe(
    'of a heap of 800 kB, 240 kB (30.0%) is free, 300 dead rows take 80.0 kB (10.0%), 1 234 live rows 400 kB (50.0%)',
  )
  expect(tableSentence({ ...table, table_len: '0' })).toBe('its heap is empty')
})

test('an index tells what a REINDEX would give back', () => {
  // 1 + 49 + 1 of 100 pages.
  expect(indexSpare(index)).toBe(49 * 8192)
  expect(indexSentence(index)).toBe(
    'its leaves are 45.0% full (90% when built anew): REINDEX would give back about 392 kB of 800 kB (49.0%)',
  )
  expect(indexSentence({ ...index, deleted_pages: '40', leaf_pages: '57', avg_leaf_density: '95' })).toBe(
    'its leaves are 95.0% full (90% when built anew), 40 of 100 pages are empty: REINDEX would give back about 320 kB of 800 kB (40.0%)',
  )
})

test('an index without entries has no density', () => {
  const empty = { ...index, index_size: '8192', leaf_pages: '0', internal_pages: '0', avg_leaf_density: 'NaN' }
  expect(indexSentence(empty)).toBe('it has no entries: REINDEX would give back about 0 B of 8.0 kB (0%)')
})
