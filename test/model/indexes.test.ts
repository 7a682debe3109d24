import { describe, expect, test } from 'vitest'
import { type IndexFacts, indexesLeftOut, indexRows, isInvalid, isLeftover } from '../../src/model/indexes.ts'
import { indexWidths } from '../../src/sql/index-widths.ts'
import { indexes, indexSizes } from '../../src/sql/indexes.ts'
import { noon, sampleOf } from '../support/state.ts'

type Given = Readonly<Record<string, unknown>>

/** An index on column 1 of table 1; its name is its oid's. */
function row(indexrelid: bigint, change: Given = {}): Given {
  return {
    indexrelid,
    indrelid: 1n,
    schemaname: 'public',
    relname: 't',
    indexrelname: `i${indexrelid}`,
    qualified: `public.i${indexrelid}`,
    relkind: 'i',
    amname: 'btree',
    idx_scan: 5n,
    indisunique: false,
    indisprimary: false,
    indisexclusion: false,
    indisvalid: true,
    indisready: true,
    indisreplident: false,
    building: false,
    columns: 'a',
    indkey: '1',
    indnkeyatts: 1,
    indclass: '1978',
    indcollation: '0',
    indoption: '0',
    indexes_in_all: 1,
    ...change,
  }
}
const two = { columns: 'a, b', indkey: '1 2', indnkeyatts: 2, indclass: '1978 1978', indcollation: '0 0', indoption: '0 0' }
const pkey = { indisunique: true, indisprimary: true, conname: 'pkey' }

function rowsOf(rows: readonly Given[], sizes: readonly Given[] | null = null, now = noon) {
  const facts = {
    server: 'a',
    now,
    indexes: sampleOf(indexes, rows),
    sizes: sizes === null ? null : sampleOf(indexSizes, sizes),
    unlockedSizes: null,
    widths: null,
    locked: null,
  } as unknown as IndexFacts
  return new Map(indexRows(facts).map(each => [each.indexrelid, each]))
}
const spare = (...rows: readonly Given[]) =>
  [...rowsOf(rows).values()].map(each =>
    each.duplicateOf !== null ? `duplicate of ${each.duplicateOf}` : each.prefixOf !== null ? `prefix of ${each.prefixOf}` : '',
  )

describe('bloat', () => {
  const tree = { relpages: 100n, reltuples: 20_000, n_live_tup: 10_000n, block_size: 8192 }
  const wide = {
    data_width_bytes: 8,
    null_share: 0,
    null_width_bytes: 0,
    distinct_keys: 10_000,
    deduplicates: false,
    fillfactor: 90,
  }
  const bloat = (change: Given = {}, width: Given | null = {}, pages: bigint | null = 100n) => {
    const [told] = indexRows({
      ...{ server: 'a', now: noon, unlockedSizes: null, locked: null },
      indexes: sampleOf(indexes, [row(7n, { ...tree, ...change })]),
      sizes: sampleOf(indexSizes, [{ indexrelid: 7n, total_bytes: pages === null ? null : pages * 8192n }]),
      widths: sampleOf(indexWidths, width === null ? [] : [{ indexrelid: 7n, ...wide, ...width }]),
    } as unknown as IndexFacts)
    return told!
  }
  // 20 bytes an entry, 7313 of a page for them: 28 leaves, one page above, the first.
  const needed = 30n

  test('is what a REINDEX would give back, by the rows there are now', () => {
    expect(bloat()).toMatchObject({ bloatEstimateBytes: (100n - needed) * 8192n, bloatEstimateRatio: 0.7, bloatProblem: null })
    expect(bloat({}, {}, 20n).bloatEstimateBytes).toBe(0n)
    expect(bloat({ n_live_tup: null }).bloatEstimateRatio).toBeCloseTo(0.43, 2)
    expect(bloat({ predicate: 'p' }).bloatEstimateRatio).toBeCloseTo(0.43, 2)
  })

  test('counts equal keys once, where they share an entry', () => {
    expect(bloat({}, { distinct_keys: 10, deduplicates: true }).bloatEstimateRatio).toBeGreaterThan(0.88)
    expect(bloat({}, { deduplicates: true }).bloatEstimateRatio).toBeCloseTo(0.7, 2)
  })

  test.each([
    ['only that of a btree can be estimated', { amname: 'gin' }, {}, 100n],
    ['it is invalid', { indisvalid: false }, {}, 100n],
    ['its size is not known', {}, {}, null],
    ['below 16 pages', {}, {}, 15n],
    ['not analyzed some minutes ago, or this role may not SELECT all its columns', {}, null, 100n],
    ['not analyzed some minutes ago, or this role may not SELECT all its columns', { n_live_tup: 0n, reltuples: null }, {}, 100n],
    [
      'not analyzed some minutes ago, or this role may not SELECT all its columns',
      {},
      { deduplicates: true, distinct_keys: null },
      100n,
    ],
  ])('is null and says: %s', (why, change, width, pages) => {
    expect(bloat(change, width, pages)).toMatchObject({ bloatEstimateBytes: null, bloatEstimateRatio: null, bloatProblem: why })
  })
})

describe('indexes that another makes needless', () => {
  test('of equal ones the oldest stays, or the one that keeps a promise', () => {
    expect(spare(row(8n), row(7n))).toEqual(['duplicate of public.i7', ''])
    expect(spare(row(7n), row(8n, pkey))).toEqual(['duplicate of public.i8', ''])
    expect(spare(row(7n, { indisunique: true }), row(8n, pkey))).toEqual(['duplicate of public.i8', ''])
  })

  test.each<[string, Given]>([
    ['another table', { indrelid: 2n }],
    ['another method', { amname: 'hash' }],
    ['another column', { indkey: '2' }],
    ['another operator class', { indclass: '10042' }],
    ['another collation', { indcollation: '100' }],
    ['the other way round', { indoption: '3' }],
    ['a predicate', { predicate: 'x' }],
    ['an expression', { indkey: '0', expressions: 'x' }],
    ['not valid', { indisvalid: false }],
  ])('%s makes a difference', (_, change) => {
    expect(spare(row(7n), row(8n, change))).toEqual(['', ''])
  })

  test('one that begins with the same columns serves the same searches', () => {
    expect(spare(row(7n), row(8n, two))).toEqual(['prefix of public.i8', ''])
    expect(spare(row(7n, { predicate: 'x' }), row(8n, { ...two, predicate: 'x' }))).toEqual(['prefix of public.i8', ''])
  })

  test.each<[string, Given, Given]>([
    ['a unique one keeps its promise', { indisunique: true }, two],
    ['so does a replica identity', { indisreplident: true }, two],
    ['the column is not the first', { indkey: '2' }, two],
    ['a predicate is no prefix', { predicate: 'x' }, two],
    ['only B-trees are searched by their first columns', { amname: 'gist' }, { ...two, amname: 'gist' }],
    ['what is INCLUDEd is missing in the other', { indkey: '1 3' }, two],
    ['sorted the other way round', { indoption: '3' }, two],
  ])('but not when: %s', (_, short, long) => {
    expect(spare(row(7n, short), row(8n, long))).toEqual(['', ''])
  })
})

describe('unused', () => {
  const idle = { idx_scan: 0n }
  test.each<[string, Given, boolean | null]>([
    ['never scanned', idle, true],
    ['scanned', {}, false],
    ['unique', { ...idle, indisunique: true }, false],
    ['of a constraint', { ...idle, indisexclusion: true, conname: 'x' }, false],
    ['replica identity', { ...idle, indisreplident: true }, false],
    ['not valid', { ...idle, indisvalid: false }, false],
    ['not counted', { idx_scan: null }, null],
  ])('%s', (_, change, expected) => {
    expect(rowsOf([row(7n, change)]).get(7n)!.unused).toBe(expected)
  })
})

describe('of partitions and chunks', () => {
  test('the index of a partitioned table sums up those of its partitions, which can not be dropped alone', () => {
    const parent = row(7n, { relkind: 'I', idx_scan: 0n, indexes_in_all: 3 })
    const part = (id: bigint, scans: bigint) =>
      row(id, { indrelid: id, parent_indexrelid: 7n, parent_indrelid: 1n, idx_scan: scans })
    const rows = rowsOf(
      [parent, part(8n, 0n), part(9n, 4n)],
      [
        { indexrelid: 8n, locked: false, total_bytes: 10n },
        { indexrelid: 9n, locked: false, total_bytes: 20n },
      ],
    )
    expect(rows.get(7n)).toMatchObject({ children: 2, idx_scan: 4n, total_bytes: 30n, unused: false })
    expect(rows.get(8n)).toMatchObject({ parentIndexrelid: 7n, unused: false, total_bytes: 10n })
  })

  test('an index of a chunk belongs to the one of its hypertable that looks the same', () => {
    const rows = rowsOf([
      row(7n, { idx_scan: 0n, indexes_in_all: 3 }),
      row(8n, { indrelid: 2n, parent_indrelid: 1n, idx_scan: 9n, indkey: '3' }),
      row(9n, { indrelid: 2n, parent_indrelid: 1n, columns: 'b' }),
    ])
    expect(rows.get(7n)).toMatchObject({ children: 1, idx_scan: 9n, unused: false })
    expect(rows.get(8n)!.parentIndexrelid).toBe(7n)
    expect(rows.get(9n)!.parentIndexrelid).toBeNull()
  })

  test('sums are not known where the list is cut', () => {
    const rows = rowsOf([row(7n, { relkind: 'I', indexes_in_all: 5000 }), row(8n, { parent_indexrelid: 7n })])
    expect(rows.get(7n)).toMatchObject({ idx_scan: null, total_bytes: null, unused: null })
  })
})

test('an invalid one is told from one that is being built; what REINDEX CONCURRENTLY leaves has its name', () => {
  const rows = rowsOf([
    row(7n, { indisvalid: false, indexrelname: 'x' }),
    row(8n, { indisvalid: false, building: true, indexrelname: 'y_ccnew' }),
    row(9n, { indisvalid: false, indexrelname: 'y_ccold2' }),
    row(10n, { indexrelname: 'z_ccnew' }),
  ])
  expect([...rows.values()].map(each => [isInvalid(each), isLeftover(each)])).toEqual([
    [true, false],
    [false, false],
    [true, true],
    [false, false],
  ])
})

test('sizes that are locked or not read yet are null; ages go on', () => {
  const rows = rowsOf(
    [row(7n, { last_idx_scan_age_seconds: 3, stats_age_seconds: 60 }), row(8n, { indkey: '2' })],
    [{ indexrelid: 7n, locked: true, total_bytes: null }],
    noon + 2000,
  )
  expect(rows.get(7n)).toMatchObject({ total_bytes: null, locked: true, lastIdxScanAgeSeconds: 5, statsAgeSeconds: 62 })
  expect(rows.get(8n)).toMatchObject({ total_bytes: null, locked: false, lastIdxScanAgeSeconds: null })
  const cut = {
    server: 'a',
    now: noon,
    sizes: null,
    unlockedSizes: null,
    widths: null,
    locked: null,
    indexes: sampleOf(indexes, [row(7n, { indexes_in_all: 9 })]),
  }
  expect(indexesLeftOut(cut as unknown as IndexFacts)).toBe(8)
})
