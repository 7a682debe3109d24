// How far long commands are and when they end: each command by example, from samples made by hand.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ProgressAround, type ProgressRow, progressRows } from '../../src/model/progress.ts'
import { type ProgressMark, progressMarks } from '../../src/model/progress-pace.ts'
import { untrusted } from '../../src/model/untrusted.ts'
import { type ProgressSample, progress } from '../../src/sql/progress.ts'
import { noon, sampleOf } from '../support/state.ts'

type Told = Readonly<Record<string, unknown>>
const sample = (told: Told): ProgressSample => {
  const base = {
    role: 'command',
    pid: 7,
    block_size: 8192,
    backend_type: 'client backend',
    backend_start: 'b',
    query_start: 'q',
    relid: 1n,
  }
  return sampleOf(progress, [{ ...base, ...told }]).rows[0] as unknown as ProgressSample
}

const around = (change: Partial<ProgressAround> = {}): ProgressAround => ({
  server: 'a',
  names: { databases: new Map(), roles: new Map(), superusers: new Set(), privileges: new Set() },
  ownPids: new Set(),
  marks: {},
  indexes: [],
  blocksCount: () => 0,
  previous: null,
  ...change,
})

/** What is shown after each of these samples, one a second. */
function shown(told: readonly Told[], change: Partial<ProgressAround> = {}, everyMs = 1000): readonly ProgressRow[] {
  let marks: Readonly<Record<string, ProgressMark>> = {}
  let previous: ProgressAround['previous'] = null
  return told.map((one, i) => {
    const rows = [sample(one)]
    marks = progressMarks(marks, rows, noon + i * everyMs)
    const [row] = progressRows(rows, around({ marks, previous, ...change }))
    previous = { rows, secondsAgo: everyMs / 1000 }
    return row!
  })
}
const last = (told: readonly Told[], change: Partial<ProgressAround> = {}, everyMs = 1000) => shown(told, change, everyMs).at(-1)!

const vacuum = (change: Told) => ({
  kind: 'VACUUM',
  command: 'VACUUM',
  phase: 'scanning heap',
  heap_blks_total: 1000n,
  heap_blks_scanned: 0n,
  heap_blks_vacuumed: 0n,
  index_vacuum_count: 0n,
  num_dead_item_ids: 0n,
  dead_memory_used: 0n,
  dead_memory_max: 1000n,
  ...change,
})
const indexesOf = (blocks: number) => ({ indexes: [{ relid: 1n, index_blocks: [blocks] }] })

describe('vacuum', () => {
  test('percent of the phase, rate in blocks and bytes, and the time left of the scan alone while nothing is dead', () => {
    const rows = [0n, 100n, 200n].map(heap_blks_scanned => vacuum({ heap_blks_scanned }))
    expect(last(rows)).toMatchObject({
      done: 200,
      total: 1000,
      unit: 'blocks',
      percent: 20,
      ratePerSecond: 100,
      rateBytesPerSecond: 819_200,
    })
    expect(last(rows)).toMatchObject({ etaSeconds: 8, etaIsBound: false, commandPercent: null })
  })

  test('with dead tuples the indexes and the second pass lie ahead; without the indexes` size that is a lower bound', () => {
    const rows = [0n, 500n].map(heap_blks_scanned => vacuum({ heap_blks_scanned, num_dead_item_ids: heap_blks_scanned * 100n }))
    expect(last(rows, indexesOf(250)).etaSeconds).toBeCloseTo((500 + 250 + 1000) / 500)
    expect(last(rows, indexesOf(250))).toMatchObject({ etaIsBound: false, commandPercent: (100 * 500) / 2250 })
    expect(last(rows)).toMatchObject({ etaSeconds: 3, etaIsBound: true, commandPercent: null })
    // Without any index it is through with the scan.
    expect(last(rows, indexesOf(0))).toMatchObject({ etaSeconds: 1, etaIsBound: false, commandPercent: 50 })
  })

  test('memory that fills before the end of the scan means another pass through the indexes', () => {
    const half = (used: bigint) =>
      [0n, 500n].map(scanned =>
        vacuum({ heap_blks_scanned: scanned, num_dead_item_ids: scanned * 100n, dead_memory_used: scanned && used }),
      )
    const [one, two] = [900n, 400n].map(used => last(half(used), indexesOf(250)).etaSeconds!)
    expect(one! - two!).toBeCloseTo(250 / 500)
    expect(last(half(900n)).deadMemoryPercent).toBe(90)
  })

  test('indexes: before 17 the time they ought to take, counted from 17 on; overdue there is no telling', () => {
    const scan = [0n, 500n, 1000n].map(heap_blks_scanned => vacuum({ heap_blks_scanned }))
    const inIndexes = vacuum({ phase: 'vacuuming indexes', heap_blks_scanned: 1000n, num_dead_item_ids: 100_000n })
    const uncounted = shown([...scan, inIndexes, inIndexes, inIndexes], indexesOf(750))
    expect(uncounted.slice(3).map(({ etaSeconds, etaIsBound, percent }) => [etaSeconds, etaIsBound, percent])).toEqual([
      [expect.closeTo(1.5 + 2), false, null],
      [expect.closeTo(0.5 + 2), false, null],
      [null, false, null],
    ])
    const counted = (indexes_processed: bigint) => ({ ...inIndexes, indexes_total: 4n, indexes_processed })
    const row = last([...scan, counted(0n), counted(0n), counted(1n), counted(1n)], indexesOf(750))
    expect(row).toMatchObject({ percent: 25, unit: 'indexes', rateBytesPerSecond: null, stalledSeconds: null })
    expect(row.etaSeconds).toBeCloseTo(2 * 4 - 3 + 2)
    // By their sizes, in their order; several that are large are done at a time, the smallest first.
    const sizes = (...index_blocks: number[]) => ({ indexes: [{ relid: 1n, index_blocks }] })
    const auto = (processed: bigint) => ({ ...counted(processed), backend_type: 'autovacuum worker' })
    const told = (how: (processed: bigint) => Told) => [...scan, how(0n), how(0n), how(1n), how(1n)]
    expect(last(told(auto), sizes(300, 100, 100, 100)).etaSeconds).toBeCloseTo(2 * 2 - 3 + 2)
    expect(last(told(counted), sizes(300, 100, 100, 100)).etaSeconds).toBeCloseTo(2 * 6 - 3 + 2)
    expect(last(told(auto), sizes(500, 50, 50, 0)).etaSeconds).toBeNull()
  })

  test('the second pass through the indexes takes as long as the first', () => {
    const scan = [0n, 250n, 500n].map(heap_blks_scanned => vacuum({ heap_blks_scanned }))
    const first = vacuum({ phase: 'vacuuming indexes', heap_blks_scanned: 500n, num_dead_item_ids: 50_000n })
    const heap = [0n, 250n].map(heap_blks_vacuumed =>
      vacuum({ phase: 'vacuuming heap', heap_blks_scanned: 500n, heap_blks_vacuumed, index_vacuum_count: 1n }),
    )
    const through = { index_vacuum_count: 1n, heap_blks_vacuumed: 500n }
    const again = [750n, 1000n].map(heap_blks_scanned => vacuum({ heap_blks_scanned, ...through }))
    const second = vacuum({ ...first, ...through, heap_blks_scanned: 1000n })
    const rows = [...scan, ...Array<Told>(10).fill(first), ...heap, ...again, second, second]
    expect(last(rows, indexesOf(250)).etaSeconds).toBeCloseTo(10 - 1 + 2)
  })

  test('the second pass goes by its own pace, as far as the scan has come', () => {
    const scan = [0n, 100n].map(heap_blks_scanned => vacuum({ heap_blks_scanned }))
    const second = [100n, 300n].map(heap_blks_vacuumed =>
      vacuum({ phase: 'vacuuming heap', heap_blks_scanned: 1000n, heap_blks_vacuumed, index_vacuum_count: 1n }),
    )
    expect(last([...scan, ...second], indexesOf(250))).toMatchObject({
      percent: 30,
      ratePerSecond: 200,
      etaSeconds: 3.5,
      etaIsBound: false,
    })
    // Seen for the first time in this phase: the scan's pace has to do.
    expect(last([...scan, second[0]!], indexesOf(250))).toMatchObject({ ratePerSecond: null, etaSeconds: 9 })
  })

  test('a rate begins anew with each phase', () => {
    const rows = shown([
      vacuum({ heap_blks_scanned: 900n }),
      vacuum({ heap_blks_scanned: 1000n }),
      vacuum({ phase: 'vacuuming heap', heap_blks_scanned: 1000n, heap_blks_vacuumed: 5n }),
    ])
    expect(rows.map(({ ratePerSecond, percent }) => [ratePerSecond, percent])).toEqual([
      [null, 90],
      [100, 100],
      [null, 0.5],
    ])
  })

  test('phases that count nothing have neither percent nor time left', () => {
    for (const phase of ['initializing', 'truncating heap', 'performing final cleanup', 'cleaning up indexes']) {
      const row = last([vacuum({ phase }), vacuum({ phase })], indexesOf(10))
      expect([row.percent, row.ratePerSecond, row.etaSeconds, row.commandPercent], phase).toEqual([null, null, null, null])
    }
  })

  test('one that stands still: how long, no time left, and the rate sinks', () => {
    const still = shown([0n, 100n, ...Array<bigint>(12).fill(100n)].map(heap_blks_scanned => vacuum({ heap_blks_scanned })))
    expect(still.at(-1)).toMatchObject({ stalledSeconds: 12, etaSeconds: null })
    expect(still[5]!.etaSeconds).toBeGreaterThan(still[1]!.etaSeconds!)
    expect(still.at(-1)!.ratePerSecond).toBeLessThan(10)
  })

  test('another table, another statement or another session of the pid is another command', () => {
    const first = vacuum({ heap_blks_scanned: 500n })
    for (const other of [{ relid: 2n }, { query_start: 'r' }, { backend_start: 'c' }]) {
      expect(last([first, vacuum({ heap_blks_scanned: 600n, ...other })]).ratePerSecond, Object.keys(other)[0]).toBeNull()
    }
    expect(last([first, vacuum({ heap_blks_scanned: 600n })]).ratePerSecond).toBe(100)
  })

  test('the cost delay and its share of the last interval', () => {
    const rows = [100, 850].map(delay_ms => vacuum({ delay_ms }))
    expect(last(rows)).toMatchObject({ delayMs: 850, delayPercent: 75 })
    expect(last([vacuum({}), vacuum({})])).toMatchObject({ delayMs: null, delayPercent: null })
  })

  test('autovacuum, and whether it prevents wraparound', () => {
    const auto = { backend_type: 'autovacuum worker', query: 'autovacuum: VACUUM public.t' }
    expect(last([vacuum(auto)])).toMatchObject({ autovacuum: true, toPreventWraparound: false })
    expect(last([vacuum({ ...auto, query: `${auto.query} (to prevent wraparound)` })])).toMatchObject({
      toPreventWraparound: true,
    })
    expect(last([vacuum({ query: 'VACUUM t -- (to prevent wraparound)' })])).toMatchObject({
      autovacuum: false,
      toPreventWraparound: false,
    })
    expect(last([vacuum({ backend_type: null })])).toMatchObject({ autovacuum: null, toPreventWraparound: null })
  })

  test('percent never goes back in a phase, nor does that of the command, whatever the counters of a growing vacuum', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(400), fc.nat(300)), { minLength: 2, maxLength: 12 }),
        fc.nat(500),
        (steps, indexBlocks) => {
          let [scanned, dead] = [0, 0]
          const told = steps.map(([blocks, items]) => {
            scanned = Math.min(1000, scanned + blocks)
            dead += items
            return vacuum({ heap_blks_scanned: BigInt(scanned), num_dead_item_ids: BigInt(dead), dead_memory_used: BigInt(dead) })
          })
          const rows = shown(told, indexesOf(indexBlocks))
          for (const key of ['percent', 'commandPercent'] as const) {
            const figures = rows.map(row => row[key]!)
            expect(figures).toEqual(figures.toSorted((a, b) => a - b))
          }
          for (const { etaSeconds } of rows) expect(etaSeconds === null || etaSeconds >= 0).toBe(true)
        },
      ),
    )
  })
})

describe('the other commands', () => {
  const index = (change: Told) => ({
    kind: 'CREATE INDEX',
    command: 'CREATE INDEX CONCURRENTLY',
    index_relid: 2n,
    blocks_total: 0n,
    blocks_done: 0n,
    tuples_total: 0n,
    tuples_done: 0n,
    lockers_total: 0n,
    lockers_done: 0n,
    partitions_done: 0n,
    ...change,
  })

  test('an index: blocks of the scan, nothing while sorting, tuples of the tree; the time left is that of the phase at least', () => {
    const scan = (blocks_done: bigint) => index({ phase: 'building index: scanning table', blocks_total: 100n, blocks_done })
    const load = (tuples_done: bigint) =>
      index({
        phase: 'building index: loading tuples in tree',
        blocks_total: 100n,
        blocks_done: 100n,
        tuples_total: 9000n,
        tuples_done,
      })
    const rows = shown([
      scan(0n),
      scan(25n),
      index({ phase: 'building index: sorting live tuples', blocks_total: 100n, blocks_done: 100n }),
      load(0n),
      load(3000n),
    ])
    expect(rows.map(({ unit, percent, etaSeconds, etaIsBound }) => [unit, percent, etaSeconds, etaIsBound])).toEqual([
      ['blocks', 0, null, false],
      ['blocks', 25, 3, true],
      [null, null, null, false],
      ['tuples', 0, null, false],
      ['tuples', expect.closeTo(33.33), 2, true],
    ])
    expect(rows[4]).toMatchObject({ ratePerSecond: 3000, rateBytesPerSecond: null })
  })

  test('the first block of a scan is counted as the last one: that is not believed', () => {
    const scan = (blocks_done: bigint) => index({ phase: 'building index: scanning table', blocks_total: 100n, blocks_done })
    const rows = shown([100n, 100n, 2n, 60n, 100n].map(scan))
    expect(rows.map(({ percent }) => percent)).toEqual([null, null, 2, 60, 100])
    expect(rows.map(({ ratePerSecond }) => ratePerSecond)).toEqual([null, null, null, 58, expect.any(Number)])
  })

  test('an index of a kind that names no steps: after the scan it is not known', () => {
    const build = (blocks_done: bigint) => index({ phase: 'building index', blocks_total: 100n, blocks_done })
    expect(shown([build(50n), build(70n), build(100n)]).map(({ percent }) => percent)).toEqual([50, 70, null])
  })

  test('the next index, partition or child table begins anew', () => {
    const scan = (change: Told) =>
      index({ phase: 'building index: scanning table', blocks_total: 100n, blocks_done: 90n, ...change })
    for (const next of [{ index_relid: 3n }, { partitions_done: 1n }]) {
      expect(last([scan({ blocks_done: 80n }), scan({}), scan({ ...next, blocks_done: 95n })]).ratePerSecond).toBeNull()
    }
    const child = (relid: bigint, sample_blks_scanned: bigint) => ({
      kind: 'ANALYZE',
      command: 'ANALYZE',
      phase: 'acquiring inherited sample rows',
      sample_blks_total: 50n,
      sample_blks_scanned,
      current_child_table_relid: relid,
    })
    expect(last([child(4n, 10n), child(4n, 30n)])).toMatchObject({
      percent: 60,
      ratePerSecond: 20,
      etaSeconds: 1,
      etaIsBound: true,
    })
    expect(last([child(4n, 30n), child(5n, 40n)]).ratePerSecond).toBeNull()
    // A counter that goes back without any of these: also anew, and never a negative rate.
    expect(last([child(4n, 30n), child(4n, 10n)])).toMatchObject({ ratePerSecond: null, percent: 20 })
  })

  test('waiting for others: who, how many of them, and no time left', () => {
    const waiting = index({
      phase: 'waiting for old snapshots',
      lockers_total: 4n,
      lockers_done: 1n,
      current_locker_pid: 9,
      blocked_by: [9, 0, 7],
    })
    expect(last([waiting, waiting])).toMatchObject({
      unit: 'lockers',
      done: 1,
      total: 4,
      percent: 25,
      ratePerSecond: null,
      etaSeconds: null,
      stalledSeconds: null,
      blockedBy: [9, 0],
    })
    const rows = [
      sample(waiting),
      {
        ...sample({ pid: 9, kind: null, application_name: 'report', state: 'active', xact_age_seconds: 90 }),
        role: untrusted('other'),
      },
    ]
    const [row, ...none] = progressRows(rows, around({ blocksCount: pid => (pid === 7 ? 3 : null) }))
    expect(none).toEqual([])
    expect(row!.inTheWay).toEqual([
      expect.objectContaining({ pid: 9, application_name: 'report', xactAgeSeconds: 90, restricted: false }),
      expect.objectContaining({ pid: 0, application_name: null, state: null }),
    ])
    expect(row!.blocksCount).toBe(3)
  })

  test('VACUUM FULL and CLUSTER: blocks while reading, tuples while writing, indexes without a total', () => {
    const cluster = (change: Told) => ({
      kind: 'CLUSTER',
      command: 'VACUUM FULL',
      heap_blks_total: 10n,
      heap_blks_scanned: 10n,
      heap_tuples_scanned: 400n,
      heap_tuples_written: 100n,
      index_rebuild_count: 1n,
      ...change,
    })
    const of = (phase: string) => {
      const { unit, done, total, percent } = last([cluster({ phase })])
      return [unit, done, total, percent]
    }
    expect(of('seq scanning heap')).toEqual(['blocks', 10, 10, 100])
    expect(of('index scanning heap')).toEqual(['tuples', 400, null, null])
    expect(of('sorting tuples')).toEqual([null, null, null, null])
    expect(of('writing new heap')).toEqual(['tuples', 100, 400, 25])
    expect(of('rebuilding index')).toEqual(['indexes', 1, null, null])
  })

  test('COPY: of a file the whole command, of a client neither percent nor time left, but a rate', () => {
    const copy = (bytes_processed: bigint, bytes_total: bigint) => ({
      kind: 'COPY',
      command: 'COPY FROM',
      bytes_processed,
      bytes_total,
    })
    expect(last([copy(0n, 4000n), copy(1000n, 4000n)])).toMatchObject({
      percent: 25,
      commandPercent: 25,
      etaSeconds: 3,
      etaIsBound: false,
      rateBytesPerSecond: 1000,
    })
    expect(last([copy(0n, 0n), copy(1000n, 0n)])).toMatchObject({
      percent: null,
      commandPercent: null,
      etaSeconds: null,
      rateBytesPerSecond: 1000,
      total: null,
    })
  })

  test('a base backup: at least so long; without an estimate of its size only the rate', () => {
    const backup = (backup_streamed: bigint, backup_total: bigint | null) => ({
      kind: 'BASEBACKUP',
      command: 'BASE_BACKUP',
      relid: null,
      phase: 'streaming database files',
      backup_streamed,
      backup_total,
    })
    expect(last([backup(0n, 900n), backup(300n, 900n)])).toMatchObject({ etaSeconds: 2, etaIsBound: true, relation: null })
    expect(last([backup(0n, null), backup(300n, null)])).toMatchObject({
      percent: null,
      etaSeconds: null,
      rateBytesPerSecond: 300,
    })
    expect(last([backup(1000n, 900n)]).percent).toBe(100)
  })

  test('what a role may not see is null, never 0', () => {
    const hidden = {
      kind: 'CLUSTER',
      relid: null,
      backend_type: null,
      backend_start: null,
      query_start: null,
      query: untrusted('<insufficient privilege>'),
    }
    expect(last([hidden, hidden])).toMatchObject({
      restricted: true,
      command: null,
      kind: 'CLUSTER',
      relation: null,
      phase: null,
      percent: null,
      done: null,
      ratePerSecond: null,
      etaSeconds: null,
      elapsedSeconds: null,
      stalledSeconds: null,
    })
  })

  test('a relation of another database is its oid', () => {
    expect(last([vacuum({ relid: 24_001n })]).relation).toBe('24001')
  })
})

test('marks of commands that have ended are dropped', () => {
  const running = sample(vacuum({ heap_blks_scanned: 1n }))
  const marks = progressMarks({}, [running], noon)
  expect(Object.keys(marks)).toHaveLength(1)
  expect(progressMarks(marks, [], noon + 1000)).toEqual({})
})
