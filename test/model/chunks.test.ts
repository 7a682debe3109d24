import { describe, expect, test } from 'vitest'
import { type ChunkPaneRow, chunkRows, hypertableRows, type JobPaneRow, jobRows } from '../../src/model/chunks.ts'
import { arrange } from '../../src/panels/arrange.ts'
import { chunksPanel } from '../../src/panels/chunks.ts'
import { chunkSizes, chunks, compressionStats, hypertables, jobs } from '../../src/sql/timescale.ts'
import type { State } from '../../src/store/state.ts'
import { freshListView } from '../../src/store/store.ts'
import { noon, type SampleOptions, type ServerOptions, sampleOf, stateOf } from '../support/state.ts'

type Row = Record<string, unknown>
type Facts = Parameters<typeof chunkRows>[0]

const metrics = {
  hypertable_schema: 'public',
  hypertable_name: 'metrics',
  qualified: 'public.metrics',
  num_chunks: 2,
  compression_enabled: true,
}
const own = { hypertable_schema: 'public', hypertable_name: 'metrics', chunk_schema: '_timescaledb_internal' }
const chunk = (name: string, more: Row = {}) => ({
  ...own,
  chunk_name: name,
  qualified: name,
  is_compressed: false,
  chunks_in_all: 2,
  ...more,
})
const size = (name: string, total: bigint, hypertable = 'public.metrics') => ({
  hypertable,
  chunk_schema: '_timescaledb_internal',
  chunk_name: name,
  total_bytes: total,
  table_bytes: total,
  index_bytes: 0n,
  toast_bytes: 0n,
})
const saved = (name: string, before: bigint | null, after: bigint | null, hypertable = 'public.metrics') => ({
  hypertable,
  chunk_schema: '_timescaledb_internal',
  chunk_name: name,
  before_compression_total_bytes: before,
  after_compression_total_bytes: after,
})

function facts(
  given: { [K in 'hypertables' | 'chunks' | 'sizes' | 'compression' | 'jobs']?: Row[] },
  skipped: SampleOptions['skipped'] = [],
  now = noon,
): Facts {
  const queries = { hypertables, chunks, sizes: chunkSizes, compression: compressionStats, jobs }
  const told = Object.entries(queries).map(([name, query]) => {
    const rows = given[name as keyof typeof given]
    return [name, rows ? sampleOf(query, rows, { skipped: name === 'sizes' ? skipped : [] }) : null]
  })
  return { server: 'ts', now, ...Object.fromEntries(told) }
}
const key = (text: string) => text as unknown as NonNullable<SampleOptions['skipped']>[number]['key']

describe('chunks', () => {
  test('have their sizes, what compressing saved, and the age of both', () => {
    const given = facts(
      {
        hypertables: [metrics],
        chunks: [chunk('c1', { is_compressed: true, range_end: '2026-11-22T00:00:00Z', end_age_seconds: 100 }), chunk('c2')],
        sizes: [size('c1', 250n), size('c2', 1000n)],
        compression: [saved('c1', 1000n, 250n)],
      },
      [],
      noon + 8000,
    )
    expect(chunkRows(given)).toMatchObject([
      {
        chunk_name: 'c1',
        total_bytes: 250n,
        savedRatio: 0.75,
        ageSeconds: 108,
        sizeAgeSeconds: 8,
        sizeLocked: false,
        range_end: '2026-11-22T00:00:00Z',
      },
      { chunk_name: 'c2', total_bytes: 1000n, savedRatio: null, ageSeconds: null },
    ])
  })

  test('of an integer dimension have integers for a range', () => {
    const row = chunk('c1', { range_start_integer: -1000n, range_end_integer: 0n })
    expect(chunkRows(facts({ chunks: [row] }))[0]).toMatchObject({ range_start: -1000n, range_end: 0n })
  })

  test('have no size before it was read, and that is no lock', () => {
    const [row] = chunkRows(facts({ hypertables: [metrics], chunks: [chunk('c1')] }))
    expect(row).toMatchObject({ total_bytes: null, sizeLocked: false, sizeProblem: null, sizeAgeSeconds: null })
  })

  test('of a hypertable that is locked have none, those of another do', () => {
    const other = { ...metrics, hypertable_name: 'other', qualified: 'public.other' }
    const rows = chunkRows(
      facts(
        {
          hypertables: [metrics, other],
          chunks: [chunk('c1'), chunk('o1', { hypertable_name: 'other' })],
          sizes: [size('o1', 5n, 'public.other')],
        },
        [{ key: key('public.metrics'), why: 'canceling statement due to lock timeout', code: '55P03' }],
      ),
    )
    expect(rows).toMatchObject([
      { chunk_name: 'c1', total_bytes: null, sizeLocked: true },
      { chunk_name: 'o1', total_bytes: 5n, sizeLocked: false, sizeProblem: null },
    ])
  })

  test('that this role may not look into say so, and are not locked', () => {
    const skipped = [{ key: key('public.metrics'), why: 'permission denied for schema x', code: '42501' }]
    const [row] = chunkRows(facts({ hypertables: [metrics], chunks: [chunk('c1')], sizes: [] }, skipped))
    expect(row).toMatchObject({ total_bytes: null, sizeLocked: false, sizeProblem: 'permission denied for schema x' })
  })

  test.each([
    ['compressed', true, []],
    ['decompressed', false, [saved('c1', 1000n, 250n)]],
  ])('%s since the sizes were read do not show the size of their other form', (_, is_compressed, compression) => {
    const given = facts({
      hypertables: [metrics],
      chunks: [chunk('c1', { is_compressed })],
      sizes: [size('c1', 1000n)],
      compression,
    })
    expect(chunkRows(given)[0]).toMatchObject({
      total_bytes: null,
      savedRatio: null,
      sizeProblem: expect.stringContaining('since'),
    })
  })

  test('that grew by compressing say so', () => {
    const given = facts({
      hypertables: [metrics],
      chunks: [chunk('c1', { is_compressed: true })],
      sizes: [size('c1', 500n)],
      compression: [saved('c1', 400n, 500n)],
    })
    expect(chunkRows(given)[0]?.savedRatio).toBe(-0.25)
  })

  test('with a name alike in another schema are not mixed up', () => {
    const given = facts({
      hypertables: [metrics],
      chunks: [chunk('c1'), chunk('c1', { chunk_schema: 'archive' })],
      sizes: [size('c1', 1n), { ...size('c1', 2n), chunk_schema: 'archive' }],
    })
    expect(chunkRows(given).map(row => row.total_bytes)).toEqual([1n, 2n])
  })
})

describe('hypertables', () => {
  test('are the sums of their chunks', () => {
    const given = facts({
      hypertables: [metrics],
      chunks: [chunk('c1', { is_compressed: true }), chunk('c2')],
      sizes: [size('c1', 250n), size('c2', 9_007_199_254_740_993n)],
      compression: [saved('c1', 1000n, 250n)],
    })
    expect(hypertableRows(given)[0]).toMatchObject({
      num_chunks: 2,
      compressedChunks: 1,
      total_bytes: 9_007_199_254_741_243n,
      before_compression_total_bytes: 1000n,
      savedRatio: 0.75,
    })
  })

  test('without chunks take nothing; one younger than the sizes is unknown', () => {
    const empty = { ...metrics, num_chunks: 0 }
    expect(hypertableRows(facts({ hypertables: [empty], chunks: [], sizes: [] }))[0]?.total_bytes).toBe(0n)
    expect(hypertableRows(facts({ hypertables: [metrics], chunks: [], sizes: [] }))[0]?.total_bytes).toBeNull()
    expect(hypertableRows(facts({ hypertables: [empty], chunks: [] }))[0]?.total_bytes).toBeNull()
  })

  test('with a chunk of unknown size have no sum', () => {
    const given = facts({ hypertables: [metrics], chunks: [], sizes: [size('c1', 1n), { ...size('c2', 1n), total_bytes: null }] })
    expect(hypertableRows(given)[0]?.total_bytes).toBeNull()
  })

  test('that are locked have no sum, not that of what was read', () => {
    const skipped = [{ key: key('public.metrics'), why: 'canceling statement due to lock timeout', code: '55P03' }]
    expect(hypertableRows(facts({ hypertables: [metrics], chunks: [], sizes: [] }, skipped))[0]).toMatchObject({
      total_bytes: null,
      sizeLocked: true,
    })
  })

  test('of continuous aggregates count the chunks that are listed, unless some are not', () => {
    const aggregate = { ...metrics, num_chunks: null, view_name: 'hourly' }
    const all = facts({ hypertables: [aggregate], chunks: [chunk('c1'), chunk('c2', { is_compressed: true })] })
    expect(hypertableRows(all)[0]).toMatchObject({ num_chunks: 2, compressedChunks: 1 })
    const cut = facts({ hypertables: [aggregate], chunks: [chunk('c1', { chunks_in_all: 9 })] })
    expect(hypertableRows(cut)[0]).toMatchObject({ num_chunks: null, compressedChunks: null })
  })
})

describe('jobs', () => {
  const job = { job_id: 1000, scheduled: true, job_status: 'Scheduled', next_start_ago_seconds: -30 }
  const next = (more: Row, now = noon) => {
    const [row] = jobRows(facts({ jobs: [{ ...job, ...more }] }, [], now))
    return [row?.nextStartSeconds, row?.lateSeconds]
  }
  test('in time are not late', () => expect(next({})).toEqual([30, 0]))
  test('become late while no new answer comes', () => expect(next({}, noon + 40_000)).toEqual([-10, 10]))
  test('that run are not late', () => expect(next({ job_status: 'Running', next_start_ago_seconds: 90 })).toEqual([null, null]))
  test('that are paused are not late', () => expect(next({ scheduled: false, next_start_ago_seconds: 90 })).toEqual([null, null]))
  test('that have never run have no time', () => expect(next({ next_start_ago_seconds: null })).toEqual([null, null]))
})

describe('the pane', () => {
  const select = (state: State, id = 'chunks') => chunksPanel.lists.find(list => list.id === id)!.select(state)
  const sample = (query: Parameters<typeof sampleOf>[0], rows: Row[], options: SampleOptions = {}) =>
    sampleOf(query, rows, options)
  const server = (more: Partial<ServerOptions>): ServerOptions => ({ id: 'ts', ...more })
  const ts = { timescaleId: 'ts' }

  test('without the extension gives the reason and the remedy', () => {
    const problem = {
      kind: 'unavailable',
      reason: 'the extension timescaledb is not installed in this database',
      remedy: 'CREATE EXTENSION timescaledb;',
    } as const
    const state = stateOf([server({ problems: { chunks: problem, jobs: problem } })], noon, ts)
    expect(select(state).unavailable).toMatchObject({ reason: problem.reason, remedy: problem.remedy })
    expect(select(state, 'jobs').unavailable?.remedy).toBe('CREATE EXTENSION timescaledb;')
  })

  test('without any PostgreSQL server says how to name one', () => {
    expect(select(stateOf([{ id: 'pgb', kind: 'pgbouncer' }])).unavailable?.remedy).toContain('--timescale')
  })

  test('shows the database that was named, and the first one when none was', () => {
    const servers = [
      server({ id: 'a', samples: [sample(chunks, [chunk('of a')])] }),
      server({ id: 'b', samples: [sample(chunks, [chunk('of b')])] }),
    ]
    expect(select(stateOf(servers, noon, { timescaleId: 'b' })).rows).toMatchObject([{ server: 'b', chunk_name: 'of b' }])
    expect(select(stateOf(servers)).rows).toMatchObject([{ server: 'a' }])
  })

  test('with the Apache licence says what is missing and shows what is there', () => {
    const told = { timescaleLicense: 'apache', readsAllStats: true } as unknown as NonNullable<ServerOptions['facts']>
    const state = stateOf([server({ facts: told, samples: [sample(chunks, [chunk('c1')])] })], noon, ts)
    expect(select(state).rows).toHaveLength(1)
    expect(select(state).notice).toMatch(/Apache licence.*timescaledb.license = 'timescale'/)
  })

  test('with the Apache licence there are no jobs, for a reason; a refusal that names it has the same remedy', () => {
    const facts = { timescaleLicense: 'apache', readsAllStats: true } as unknown as NonNullable<ServerOptions['facts']>
    const empty = stateOf([server({ facts, samples: [sample(jobs, [])] })], noon, ts)
    expect(select(empty, 'jobs').unavailable).toMatchObject({
      reason: 'ts: TimescaleDB runs under the Apache licence, which has no jobs or policies',
      remedy: expect.stringContaining("timescaledb.license = 'timescale'"),
    })
    const own = stateOf([server({ facts, samples: [sample(jobs, [{ job_id: 3 }])] })], noon, ts)
    expect(select(own, 'jobs').unavailable).toBeUndefined()
    const error = 'functionality not supported under the current "apache" license. Learn more at https://timescale.com/.'
    const refused = server({ problems: { jobs: { kind: 'failed', error, code: '0A000', at: noon } } })
    expect(select(stateOf([refused], noon, ts), 'jobs').unavailable?.remedy).toContain("timescaledb.license = 'timescale'")
  })

  test('says that chunks were left out, and that sizes are locked', () => {
    const sizes = sample(chunkSizes, [], {
      skipped: [{ key: key('public.metrics'), why: 'canceling statement due to lock timeout', code: '55P03' }],
    })
    const samples = [sample(hypertables, [metrics]), sample(chunks, [chunk('c1', { chunks_in_all: 7001 })]), sizes]
    const { notice, rows } = select(stateOf([server({ samples })], noon, ts))
    expect(notice).toContain('7 000 older ones are not listed')
    expect(notice).toContain('no sizes of public.metrics: locked')
    const column = chunksPanel.lists[0]!.columns.find(({ title }) => title === 'SIZE')!
    expect(column.text(rows[0]!)).toBe('locked')
  })

  test('of the newest chunks first, those by time come before those by number', () => {
    const rows = [
      chunk('old', { start_age_seconds: 900 }),
      chunk('large', { range_start: null, range_start_integer: 9_000_000_000_000_000n, start_age_seconds: null }),
      chunk('new', { start_age_seconds: -900 }),
      chunk('small', { range_start: null, range_start_integer: 100n, start_age_seconds: null }),
    ]
    const list = chunksPanel.lists.find(({ id }) => id === 'chunks')!
    const shown = list.select(stateOf([server({ samples: [sample(chunks, rows)] })], noon, ts)).rows
    const [section] = arrange(list, shown, freshListView, false)
    expect(section!.items.map(({ row }) => row.chunk_name)).toEqual(['new', 'old', 'large', 'small'])
  })

  test('says that running jobs are not to be seen by a role without pg_read_all_stats', () => {
    const told = { timescaleLicense: 'timescale', readsAllStats: false } as unknown as NonNullable<ServerOptions['facts']>
    const state = stateOf([server({ facts: told, samples: [sample(jobs, [{ job_id: 1 }])] })], noon, ts)
    expect(select(state, 'jobs').notice).toContain('GRANT pg_read_all_stats')
  })

  test('keeps old rows of a server that is gone, and says so', () => {
    const link = { state: 'down', word: 'DOWN', since: noon, why: 'connection refused' } as const
    const state = stateOf([server({ link, samples: [sample(chunks, [chunk('c1')])] })], noon, ts)
    expect(select(state)).toMatchObject({ rows: [{ chunk_name: 'c1' }], notice: expect.stringContaining('connection refused') })
  })

  test('a failed job stands out, its last error in the detail; one that is not to be seen says why', () => {
    const list = chunksPanel.lists.find(({ id }) => id === 'jobs')!
    const failed = { job_id: 7, last_run_status: 'Failed', total_failures: 3n, err_message: 'disk full', sqlerrcode: '53100' }
    const [seen, unseen] = [failed, { ...failed, err_message: null }].map(row => {
      const state = stateOf([server({ samples: [sample(jobs, [row])] })], noon, ts)
      const [shown] = list.select(state).rows
      expect(list.columns.find(({ title }) => title === 'LAST')!.tone!(shown!)).toBe('critical')
      return JSON.stringify(list.detail!(shown!, state))
    })
    expect(seen).toContain('disk full')
    expect(unseen).toContain('not to be seen')
  })

  test('draws hostile names harmlessly in every column and detail line', () => {
    const evil = '\u001b]0;PWNED\u0007\u202e\nx'
    const names = {
      hypertable_schema: evil,
      hypertable_name: evil,
      owner: evil,
      primary_dimension: evil,
      view_schema: evil,
      view_name: evil,
    }
    const samples = [
      sample(hypertables, [{ ...names, qualified: evil, time_interval: evil }]),
      sample(chunks, [{ ...chunk(evil), ...names, chunk_schema: evil, qualified: evil, chunk_tablespace: evil }]),
      sample(jobs, [
        {
          ...names,
          job_id: 1,
          proc_name: evil,
          proc_schema: evil,
          application_name: evil,
          config: evil,
          err_message: evil,
          total_failures: 1n,
        },
      ]),
    ]
    const state = stateOf([server({ samples })], noon, ts)
    for (const list of chunksPanel.lists) {
      const [row] = list.select(state).rows
      const lines = (list.detail?.(row!, state) ?? []).flatMap(line =>
        'name' in line ? [line.name, line.value] : [line.title, ...line.block],
      )
      const drawn = [...list.columns.map(column => column.text(row!)), ...lines].join('')
      expect(drawn).not.toMatch(/[\p{Cc}\p{Cf}]/u)
      expect(drawn).toContain('PWNED')
    }
  })

  test.each(chunksPanel.lists.map(list => [list.id, list] as const))('%s fits 80, 100, 120, 160 and 200 cells', (_, list) => {
    for (const cells of [80, 100, 120, 160, 200]) {
      const shown = list.columns.filter(column => (column.from ?? 0) <= cells)
      expect(shown.reduce((sum, column) => sum + column.width + 1, 0)).toBeLessThanOrEqual(cells)
    }
  })

  test('rows have the fields that scripts rely on', () => {
    const state = stateOf(
      [server({ samples: [sample(hypertables, [metrics]), sample(chunks, [chunk('c1')]), sample(jobs, [{ job_id: 1 }])] })],
      noon,
      ts,
    )
    const fields: (keyof ChunkPaneRow)[] = [
      'server',
      'hypertable_schema',
      'hypertable_name',
      'chunk_schema',
      'chunk_name',
      'range_start',
      'range_end',
      'is_compressed',
      'total_bytes',
      'sizeLocked',
    ]
    for (const field of fields) expect(select(state).rows[0]).toHaveProperty(field)
    const ofJobs: (keyof JobPaneRow)[] = [
      'server',
      'job_id',
      'application_name',
      'proc_schema',
      'proc_name',
      'hypertable_schema',
      'hypertable_name',
      'schedule_interval',
      'scheduled',
      'job_status',
      'last_run_status',
      'last_run_started_at',
      'last_successful_finish',
      'next_start',
      'total_runs',
      'total_successes',
      'total_failures',
      'lateSeconds',
    ]
    for (const field of ofJobs) expect(select(state, 'jobs').rows[0]).toHaveProperty(field)
  })
})
