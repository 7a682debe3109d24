import { describe, expect, test } from 'vitest'
import { lockedCount, type TableFacts, tableRows, tablesLeftOut } from '../../src/model/tables.ts'
import { untrusted } from '../../src/model/untrusted.ts'
import { rowWidths, type TableRow, tableSizes, tables } from '../../src/sql/tables.ts'
import { compressedParts } from '../../src/sql/timescale.ts'
import { noon, sampleOf } from '../support/state.ts'

type Given = Readonly<Record<string, unknown>>

function row(relid: bigint, change: Given = {}): Given {
  return {
    relid,
    schemaname: 'public',
    relname: `t${relid}`,
    qualified: `public.t${relid}`,
    relkind: 'r',
    children: 0,
    members: relid,
    relpages: 100n,
    reltuples: 5000,
    n_live_tup: 5000n,
    n_dead_tup: 0n,
    n_tup_ins: 5000n,
    n_tup_upd: 0n,
    n_tup_del: 0n,
    freeze_age: 10,
    freeze_max_age: 1000,
    freeze_share: 0.01,
    fillfactor: 100,
    analyze_due: false,
    members_due: 0,
    tables_in_all: 1,
    standby: false,
    block_size: 8192,
    ...change,
  }
}

const told = (rows: readonly Given[], at = noon) => sampleOf(tables, rows, { at }) as unknown as NonNullable<TableFacts['tables']>
const size = (relid: bigint, heap: bigint | null, change: Given = {}) => ({
  relid,
  locked: heap === null,
  heap_bytes: heap,
  index_bytes: heap === null ? null : 10n,
  toast_bytes: heap === null ? null : 1n,
  ...change,
})
type Sizes = TableFacts['sizes']
const sized = (at: number, ...rows: readonly Given[]) =>
  sampleOf(tableSizes, rows, { at }) as unknown as NonNullable<Sizes['round']>
const sizes = (...rows: readonly Given[]): Sizes & { round: NonNullable<Sizes['round']> } => ({
  round: sized(noon, ...rows),
  since: null,
  locked: null,
})

function facts(change: Partial<TableFacts>): TableFacts {
  return {
    server: 'a',
    now: noon,
    tables: null,
    before: null,
    sizes: { round: null, since: null, locked: null },
    widths: null,
    hypertables: null,
    compressed: null,
    ...change,
  }
}

const rowsOf = (change: Partial<TableFacts>) => new Map(tableRows(facts(change)).map(each => [each.relid, each]))
const one = (change: Given, more: Partial<TableFacts> = {}) => rowsOf({ tables: told([row(1n, change)]), ...more }).get(1n)!

describe('sizes', () => {
  test('are the sum of heap, indexes and TOAST, and not known before they are read', () => {
    expect(one({}, { sizes: sizes(size(1n, 100n)) })).toMatchObject({
      total_bytes: 111n,
      heap_bytes: 100n,
      locked: false,
      sizeProblem: null,
    })
    expect(one({})).toMatchObject({ total_bytes: null, locked: false, sizeProblem: 'not read yet' })
    expect(one({}, { sizes: sizes(size(2n, 100n)) })).toMatchObject({ total_bytes: null, sizeProblem: 'not read yet' })
  })

  test('of a partitioned table are those of all partitions, listed or not, at any depth', () => {
    const rows = rowsOf({
      tables: told([row(1n, { relkind: 'p', children: 2 }), row(2n, { relkind: 'p', children: 1, parent_relid: 1n })]),
      sizes: sizes(
        size(1n, 0n, { index_bytes: 0n, toast_bytes: 0n }),
        size(2n, 0n, { index_bytes: 0n, toast_bytes: 0n, parent_relid: 1n }),
        size(3n, 100n, { parent_relid: 1n }),
        size(4n, 200n, { parent_relid: 2n }),
      ),
    })
    expect(rows.get(1n)).toMatchObject({ total_bytes: 322n, heap_bytes: 300n, index_bytes: 20n, toast_bytes: 2n })
    expect(rows.get(2n)!.total_bytes).toBe(211n)
  })

  test('one that is locked makes the sum unknown, and no other', () => {
    const rows = rowsOf({
      tables: told([row(1n, { relkind: 'p', children: 2 }), row(2n, { parent_relid: 1n }), row(3n, { parent_relid: 1n })]),
      sizes: sizes(size(1n, 0n), size(2n, null, { parent_relid: 1n }), size(3n, 5n, { parent_relid: 1n })),
    })
    expect([...rows.values()].map(({ total_bytes, locked }) => [total_bytes, locked])).toEqual([
      [null, true],
      [null, true],
      [16n, false],
    ])
    expect(rows.get(1n)!.sizeProblem).toContain('of those it stands for one is locked')
    expect(lockedCount([...rows.values()])).toBe(1)
  })

  test('of a slice that failed say why', () => {
    const skipped = [{ key: untrusted('1 5'), why: 'canceling statement due to lock timeout', code: '55P03' }]
    const rows = rowsOf({
      tables: told([row(3n), row(7n)]),
      sizes: { ...sizes(), round: { ...sizes(size(7n, 1n)).round, skipped } },
    })
    expect(rows.get(3n)).toMatchObject({ total_bytes: null, locked: true, sizeProblem: expect.stringContaining('lock timeout') })
    expect(rows.get(7n)!.total_bytes).toBe(12n)
  })

  test('one that is locked now says so, whatever was read before', () => {
    const locked = new Set([1n])
    const told = one({}, { sizes: { ...sizes(size(1n, 100n)), locked } })
    expect(told).toMatchObject({ total_bytes: null, locked: true, sizeProblem: expect.stringContaining('as soon as it is free') })
    expect(one({}, { sizes: { ...sizes(), locked } })).toMatchObject({ locked: true })
    expect(one({}, { sizes: { ...sizes(size(1n, null)), locked: new Set() } })).toMatchObject({
      total_bytes: null,
      locked: false,
      sizeProblem: 'free again, and read in a moment',
    })
  })

  test('one that was locked is as large as it was read since then, and as old', () => {
    const round = sized(noon - 40_000, size(1n, null), size(2n, 7n))
    const rows = rowsOf({
      tables: told([row(1n), row(2n)]),
      sizes: { round, since: sized(noon - 1000, size(1n, 50n)), locked: new Set() },
    })
    expect(rows.get(1n)).toMatchObject({ total_bytes: 61n, locked: false, sizeAgeSeconds: 1 })
    expect(rows.get(2n)).toMatchObject({ total_bytes: 18n, sizeAgeSeconds: 40 })
    const later = { round: sized(noon, size(1n, 80n)), since: sized(noon - 1000, size(1n, 50n)), locked: new Set<bigint>() }
    expect(one({}, { sizes: later })).toMatchObject({ total_bytes: 91n, sizeAgeSeconds: 0 })
  })

  test('a sum is as old as the oldest of its parts', () => {
    const round = sized(noon - 40_000, size(1n, 0n), size(2n, 7n, { parent_relid: 1n }))
    const since = sized(noon - 1000, size(1n, 0n))
    expect(one({ children: 1 }, { sizes: { round, since, locked: null } }).sizeAgeSeconds).toBe(40)
  })
})

describe('TimescaleDB', () => {
  const internal = { schemaname: '_timescaledb_internal' }
  const rows = [
    row(1n, { children: 1 }),
    row(2n, { ...internal, parent_relid: 1n }),
    row(3n, { ...internal, relname: 'compress_hyper_2_9_chunk', freeze_age: 700, freeze_share: 0.7 }),
    row(4n, { ...internal, relname: '_compressed_hypertable_2' }),
  ]
  const measured = sizes(size(1n, 0n), size(2n, 50n, { parent_relid: 1n }), size(3n, 7n), size(4n, 0n))
  const parts = sampleOf(compressedParts, [{ relid: 2n, compressed_relid: 3n }]) as unknown as NonNullable<
    TableFacts['compressed']
  >

  test('a compressed part counts to its chunk and hypertable, in size and freeze age, and has no row', () => {
    const all = rowsOf({ tables: told(rows), sizes: measured, compressed: parts })
    expect([...all.keys()]).toEqual([1n, 2n])
    expect(all.get(2n)).toMatchObject({ total_bytes: 50n + 7n + 22n, freezeAge: 700, freezeRatio: 0.7 })
    expect(all.get(1n)).toMatchObject({ heap_bytes: 57n, freezeAge: 700 })
  })

  test('while nobody says whose they are, they are shown', () => {
    expect([...rowsOf({ tables: told(rows), sizes: measured }).keys()]).toEqual([1n, 2n, 3n, 4n])
  })
})

describe('changes', () => {
  const earlierBy = (change: Given) => told([row(1n, { n_tup_ins: 4000n, ...change })], noon - 10_000)

  test('per second between two samples', () => {
    expect(one({}, { before: earlierBy({}) })).toMatchObject({ insertsPerSecond: 100, updatesPerSecond: 0, deletesPerSecond: 0 })
  })

  test.each([
    ['there is one sample only', null],
    ['a counter went back', earlierBy({ n_tup_ins: 6000n })],
    ['the statistics were reset', earlierBy({ stats_reset: '2026-11-23 11:59:55+00' })],
    ['a partition came or went', earlierBy({ members: 77n })],
    ['the table is new', told([row(2n)], noon - 10_000)],
  ])('are not known when %s', (_, earlier) => {
    expect(one({}, { before: earlier }).insertsPerSecond).toBeNull()
  })
})

describe('rows', () => {
  test('share of dead ones', () => {
    expect(one({ n_dead_tup: 5000n }).deadRatio).toBe(0.5)
    expect(one({ n_live_tup: 0n, n_dead_tup: 0n }).deadRatio).toBeNull()
  })

  test('zeros of statistics that have seen nothing of a table with pages are no figures', () => {
    const zeros = { n_live_tup: 0n, n_dead_tup: 0n, n_tup_ins: 0n }
    expect(one(zeros)).toMatchObject({ n_live_tup: null, n_dead_tup: null, deadRatio: null })
    expect(one({ ...zeros, relpages: 0n })).toMatchObject({ n_live_tup: 0n })
    expect(one({ ...zeros, relpages: 0n }, { sizes: sizes(size(1n, 8192n)) })).toMatchObject({ n_live_tup: null })
    expect(one({ ...zeros, n_tup_ins: 5n })).toMatchObject({ n_live_tup: 0n })
  })
})

test('ages go on between two samples; the later of vacuum and autovacuum counts', () => {
  const aged = one({ last_vacuum_age_seconds: 100, last_autovacuum_age_seconds: 40 }, { now: noon + 5000 })
  expect(aged).toMatchObject({ lastVacuumAgeSeconds: 105, lastAutovacuumAgeSeconds: 45, anyVacuumAgeSeconds: 45 })
  expect(aged.anyAnalyzeAgeSeconds).toBeNull()
})

describe('what is due', () => {
  test('is what the server works out, and not known of a standby', () => {
    expect(one({ vacuum_due: 'inserts', analyze_due: true })).toMatchObject({
      vacuumDue: true,
      vacuumDueWhy: 'inserts',
      analyzeDue: true,
    })
    expect(one({})).toMatchObject({ vacuumDue: false, analyzeDue: false, childrenDue: null })
    expect(one({ standby: true, analyze_due: null })).toMatchObject({ vacuumDue: null, analyzeDue: null })
    expect(one({ children: 3, members_due: 2 }).childrenDue).toBe(2)
  })
})

describe('an index seems to be missing', () => {
  const scanned = { relpages: 2000n, seq_scan: 100n, seq_tup_read: 5_000_000n, idx_scan: 5n }

  test.each<[string, Partial<Record<keyof TableRow, unknown>>, boolean]>([
    ['large, read from end to end again and again', {}, true],
    ['and without any index', { idx_scan: null }, true],
    ['small', { relpages: 100n }, false],
    ['rarely read', { seq_scan: 5n }, false],
    ['mostly found by index', { idx_scan: 1000n }, false],
    ['left after a few rows each time', { seq_tup_read: 10_000n }, false],
    ['not counted', { seq_scan: null, seq_tup_read: null }, false],
  ])('%s', (_, change, expected) => {
    expect(one({ ...scanned, ...change }).needsIndex).toBe(expected)
  })
})

describe('the estimate of bloat', () => {
  const widths = (data_width_bytes: number, has_nulls = false) =>
    sampleOf(rowWidths, [{ relid: 1n, data_width_bytes, has_nulls, columns: 9 }]) as unknown as NonNullable<TableFacts['widths']>

  test('is what the rows would not need of the pages', () => {
    // 24 + 72 + 4 bytes a row: 81 in a page of 8168, so 5000 rows need 62 pages of the 100.
    expect(one({}, { widths: widths(70) })).toMatchObject({ bloatEstimateBytes: 38n * 8192n, bloatEstimateRatio: 0.38 })
    // A bitmap for 9 columns takes the header to 32; a fillfactor of 50 takes half of each page.
    expect(one({}, { widths: widths(70, true) }).bloatEstimateRatio).toBeCloseTo(0.33, 2)
    expect(one({ fillfactor: 50, relpages: 200n }, { widths: widths(70) }).bloatEstimateRatio).toBeCloseTo(0.385, 2)
  })

  test('is never negative, and null where it can not be told', () => {
    expect(one({ n_live_tup: 1_000_000n }, { widths: widths(70) }).bloatEstimateBytes).toBe(0n)
    expect(one({})).toMatchObject({ bloatEstimateBytes: null, bloatEstimateRatio: null })
    expect(one({ children: 2 }, { widths: widths(70) }).bloatEstimateBytes).toBeNull()
    expect(one({ n_live_tup: null, reltuples: null }, { widths: widths(70) }).bloatEstimateBytes).toBeNull()
    expect(one({ n_live_tup: 0n, reltuples: 5000 }, { widths: widths(70) }).bloatEstimateRatio).toBe(0.38)
  })
})

test('how many the limit left out', () => {
  expect(tablesLeftOut(facts({ tables: told([row(1n, { tables_in_all: 10_000 })]) }))).toBe(9999)
  expect(tablesLeftOut(facts({}))).toBe(0)
})
