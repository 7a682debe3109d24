// Chunks of a TimescaleDB with a thousand of them, compared with what its own functions say.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { withClient } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { startPostgres } from '../../src/lab/postgres.ts'
import { startTimescale, type TimescaleServer } from '../../src/lab/timescale.ts'
import type { ChunkPaneRow, HypertablePaneRow, JobPaneRow } from '../../src/model/chunks.ts'
import { jsonText } from '../../src/model/json.ts'
import { chunksPanel } from '../../src/panels/chunks.ts'
import { type AnyList, list } from '../../src/panels/panel.ts'
import { pulse } from '../../src/sql/server.ts'
import type { State } from '../../src/store/state.ts'
import { type Watching, watching } from '../support/watching.ts'

let folder: Folder
const ends: (() => unknown)[] = []

beforeAll(() => {
  folder = temporaryFolder()
})
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})
afterAll(() => folder.remove())

function watch(conninfo: string, more: readonly AnyList[] = []): Watching {
  const started = watching([{ id: 'ts', conninfo }], [...chunksPanel.lists, ...more])
  ends.push(started.stop)
  return started
}
const rowsOf = <Row>(state: State, id: string) =>
  chunksPanel.lists.find(l => l.id === id)!.select(state).rows as unknown as readonly Row[]
const complete = (state: State) =>
  Boolean(state.servers.ts?.readings.compressionStats?.sample && state.servers.ts.readings.jobs?.sample)

describe('TimescaleDB with a thousand chunks', () => {
  let server: TimescaleServer
  const schema = `
    CREATE TABLE hours (t timestamptz NOT NULL, v int);
    SELECT create_hypertable('hours', 't', chunk_time_interval => interval '1 hour');
    INSERT INTO hours SELECT timestamptz '2026-01-01 00:00+00' + i * interval '1 hour', i FROM generate_series(0, 999) i;
    CREATE SCHEMA "My S";
    CREATE TABLE "My S"."T ""1" (t timestamp NOT NULL, device int, v float8);
    SELECT create_hypertable('"My S"."T ""1"', 't', chunk_time_interval => interval '1 day');
    INSERT INTO "My S"."T ""1" SELECT timestamp '2026-03-01' + i * interval '1 minute', i % 5, i FROM generate_series(0, 5 * 1440 - 1) i;
    ALTER TABLE "My S"."T ""1" SET (timescaledb.compress, timescaledb.compress_segmentby = 'device');
    SELECT compress_chunk(c) FROM show_chunks('"My S"."T ""1"', older_than => timestamp '2026-03-04') c;
    CREATE TABLE numbers (k bigint NOT NULL, v text);
    SELECT create_hypertable('numbers', 'k', chunk_time_interval => 1000);
    INSERT INTO numbers SELECT i, 'x' FROM generate_series(-500, 2500) i;
    SELECT add_retention_policy('hours', interval '10 years');
    CREATE MATERIALIZED VIEW days WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', t) AS day, sum(v) FROM hours GROUP BY 1`

  beforeAll(async () => {
    server = await startTimescale({ dir: folder.path })
    await withClient(server, async client => {
      for (const text of schema.split(';')) await client.query(text)
    })
  })
  afterAll(() => server?.stop())

  test('lists each with the size that chunks_detailed_size tells, the compressed ones too', async () => {
    const state = await watch(server.conninfo).until(complete, 'all answers')
    const truth = await withClient(server, async client => {
      const { rows } = await client.query(
        `SELECT format('%I.%I', h.hypertable_schema, h.hypertable_name) AS name FROM timescaledb_information.hypertables h
         UNION ALL SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)
                     FROM timescaledb_information.continuous_aggregates`,
      )
      const sizes = new Map<string, string>()
      for (const { name } of rows) {
        const of = await client.query('SELECT chunk_schema, chunk_name, total_bytes::text FROM chunks_detailed_size($1)', [name])
        for (const row of of.rows) sizes.set(`${row.chunk_schema}.${row.chunk_name}`, row.total_bytes)
      }
      return sizes
    })
    const rows = rowsOf<ChunkPaneRow>(state, 'chunks')
    expect(rows.length).toBeGreaterThan(1000 + 5 + 4)
    expect(new Map(rows.map(row => [`${row.chunk_schema}.${row.chunk_name}`, String(row.total_bytes)]))).toEqual(truth)
    const compressed = rows.filter(row => row.is_compressed)
    expect(compressed).toHaveLength(3)
    for (const row of compressed) {
      expect(String(row.hypertable_name)).toBe('T "1')
      expect(row.savedRatio).toBeGreaterThan(0)
      expect(row.total_bytes).toBeGreaterThan(0n)
    }
    expect(chunksPanel.lists[0]!.select(state).notice).toBeUndefined()
  })

  test('gives ranges as ISO 8601 in UTC, and as integers where the dimension is one', async () => {
    const state = await watch(server.conninfo).until(complete, 'all answers')
    const rows = rowsOf<ChunkPaneRow>(state, 'chunks')
    const first = (name: string) => {
      const [row] = rows
        .filter(r => String(r.hypertable_name) === name)
        .sort((a, b) => (b.startAgeSeconds ?? 0) - (a.startAgeSeconds ?? 0))
      return JSON.parse(jsonText(row))
    }
    expect(first('hours')).toMatchObject({
      range_start: '2026-01-01T00:00:00Z',
      range_end: '2026-01-01T01:00:00Z',
      is_compressed: false,
    })
    expect(first('T "1')).toMatchObject({
      range_start: '2026-03-01T00:00:00Z',
      range_end: '2026-03-02T00:00:00Z',
      is_compressed: true,
    })
    const numbers = rows.filter(r => String(r.hypertable_name) === 'numbers').map(r => JSON.parse(jsonText(r)).range_start)
    expect(numbers.sort((a, b) => a - b)).toEqual([-1000, 0, 1000, 2000])
  })

  test('sums up the hypertables, those of continuous aggregates too', async () => {
    const state = await watch(server.conninfo).until(complete, 'all answers')
    const rows = rowsOf<HypertablePaneRow>(state, 'hypertables')
    const told = Object.fromEntries(rows.map(row => [String(row.view_name ?? row.hypertable_name), row]))
    expect(Object.keys(told).sort()).toEqual(['T "1', 'days', 'hours', 'numbers'])
    expect(told.hours).toMatchObject({
      num_chunks: 1000,
      compressedChunks: 0,
      compression_enabled: false,
      time_interval: '01:00:00',
      savedRatio: null,
    })
    expect(told['T "1']).toMatchObject({
      hypertable_schema: 'My S',
      num_chunks: 5,
      compressedChunks: 3,
      compression_enabled: true,
    })
    expect(told.numbers).toMatchObject({ integer_interval: 1000n, primary_dimension_type: 'bigint' })
    expect(told.days?.num_chunks).toBeGreaterThan(0)
    const sum = await withClient(server, client =>
      client
        .query(`SELECT total_bytes::text FROM hypertable_detailed_size('"My S"."T ""1"')`)
        .then(({ rows: [row] }) => BigInt(row.total_bytes)),
    )
    // The hypertable itself, empty, has files of its own that no chunk has.
    expect(told['T "1']?.total_bytes).toBeGreaterThan(sum - 100_000n)
    expect(told['T "1']?.total_bytes).toBeLessThanOrEqual(sum)
  })

  test('shows the jobs as job_stats does, each once', async () => {
    const state = await watch(server.conninfo).until(complete, 'all answers')
    const rows = rowsOf<JobPaneRow>(state, 'jobs')
    const truth = await withClient(server, client =>
      client.query('SELECT job_id, proc_name FROM timescaledb_information.jobs ORDER BY 1'),
    )
    expect(rows.map(({ job_id, proc_name }) => ({ job_id, proc_name }))).toEqual(truth.rows)
    expect(rows.find(row => String(row.proc_name) === 'policy_retention')).toMatchObject({
      hypertable_name: 'hours',
      scheduled: true,
      job_status: 'Scheduled',
      last_run_status: null,
      lateSeconds: null,
    })
  })

  test('does not read sizes with the tick', async () => {
    const beats = list({ ...chunksPanel.lists[0]!, needs: [pulse] })
    const watched = watch(server.conninfo, [beats])
    const before = await watched.until(complete, 'all answers')
    const { chunkSizes, chunks } = before.servers.ts!.readings
    let last = before.servers.ts!.readings.pulse?.sample
    for (let i = 0; i < 10; i++) {
      const state = await watched.until(s => s.servers.ts?.readings.pulse?.sample !== last, 'the next tick')
      last = state.servers.ts!.readings.pulse?.sample
    }
    const after = watched.state().servers.ts!.readings
    expect(after.chunkSizes?.sample).toBe(chunkSizes?.sample)
    expect(after.chunks?.sample).toBe(chunks?.sample)
  })
})

test('a PostgreSQL without TimescaleDB says so, and what to do', async () => {
  const postgres = await startPostgres({ version: 16, dir: folder.path })
  ends.push(() => postgres.stop('immediate'))
  const state = await watch(postgres.conninfo).until(s => Boolean(s.servers.ts?.readings.jobs?.problem), 'an answer')
  for (const each of chunksPanel.lists) {
    expect(each.select(state).unavailable).toMatchObject({
      reason: 'the extension timescaledb is not installed in this database',
      remedy: expect.stringContaining('--timescale CONNINFO'),
    })
  }
})
