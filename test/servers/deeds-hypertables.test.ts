// Maintenance of hypertables on a real TimescaleDB: chunk by chunk, the compressed parts with them. It has one session for all, so nothing here
// is CONCURRENTLY.

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { withClient } from '../../src/lab/client.ts'
import { temporaryFolder } from '../../src/lab/folder.ts'
import { startTimescale, type TimescaleServer } from '../../src/lab/timescale.ts'
import { type AnyList, list } from '../../src/panels/panel.ts'
import { tablesPanel } from '../../src/panels/tables.ts'
import { pulse } from '../../src/sql/server.ts'
import type { Work } from '../../src/store/state.ts'
import { type Acting, type Asked, acting } from '../support/acting.ts'

const [tables, indexes] = tablesPanel.lists as readonly [AnyList, AnyList]
/** Read of every server whatever is shown. */
const beat = list({ ...tables, needs: [pulse] })
const folder = temporaryFolder('pgvigil-hypertables')
let server: TimescaleServer
let hands: Acting

beforeAll(async () => {
  server = await startTimescale({ dir: folder.path })
  await withClient(server, async client => {
    for (const text of [
      'CREATE TABLE readings (t timestamptz NOT NULL, device int, v float8)',
      "SELECT create_hypertable('readings', 't', chunk_time_interval => interval '1 day')",
      "INSERT INTO readings SELECT timestamptz '2026-01-01 00:00+00' + i * interval '1 hour', i % 7, i FROM generate_series(0, 71) i",
      'ALTER TABLE readings SET (timescaledb.compress)',
      "SELECT compress_chunk(c) FROM show_chunks('readings') c LIMIT 1",
    ])
      await client.query(text)
  })
})
afterEach(() => hands?.stop())
afterAll(async () => {
  await server?.stop()
  await folder.remove()
})

const said = ({ items }: Work) => items.map(({ outcome, say }) => `${outcome}: ${say.replace(/ in .*/, '')}`)

test('VACUUM (ANALYZE) goes through the chunks, the compressed part and the root; REINDEX through the chunks', async () => {
  hands = acting([{ id: 'ts', conninfo: server.conninfo }], [tables, indexes, beat])
  const ready = () => {
    const row = hands.rows(tables).find(one => one.relname === 'readings')
    const asked = row && hands.ask('vacuumAnalyze', [row])
    return row?.hypertable === true && typeof asked === 'object' && asked.sql.length === 5
  }
  await hands.until(ready, 'the hypertable with its chunks')
  const row = hands.rows(tables).find(one => one.relname === 'readings')!
  const vacuum = hands.ask('vacuumAnalyze', [row]) as Asked
  expect(vacuum.sql).toEqual([
    ...['chunk', 'chunk', 'chunk', 'part'].map(() =>
      expect.stringMatching(/^VACUUM \(ANALYZE\) _timescaledb_internal\.(_hyper|compress_hyper)_\S+$/),
    ),
    'ANALYZE public.readings',
  ])
  expect(vacuum.sql.filter(text => text.includes('compress_hyper'))).toHaveLength(1)
  expect(said(await hands.confirm(vacuum))).toEqual(Array(5).fill('done: done'))
  const rebuild = hands.ask('reindexTable', [row]) as Asked
  expect(rebuild.sql).toEqual(Array(3).fill(expect.stringMatching(/^REINDEX TABLE _timescaledb_internal\._hyper_\S+_chunk$/)))
  expect(rebuild.question.follows[0]!.text).toContain('one session for all')
  expect(said(await hands.confirm(rebuild))).toEqual(Array(3).fill('done: done'))
})
