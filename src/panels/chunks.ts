// Chunks: what TimescaleDB has split the hypertables into, how much each takes and what compressing saved; and the jobs behind it.

import {
  type ChunkFacts,
  type ChunkPaneRow,
  chunkRows,
  chunksLeftOut,
  type HypertablePaneRow,
  hypertableRows,
  sizeTrouble,
} from '../model/chunks.ts'
import { absent, bytes, count, duration, percent } from '../model/format.ts'
import { drawable, is, raw, type Untrusted } from '../model/untrusted.ts'
import type { Query } from '../sql/query.ts'
import { chunkSizes, chunks, compressionStats, hypertables, jobs } from '../sql/timescale.ts'
import { idsOf, linkOf, picture, read } from '../store/selectors.ts'
import type { Reading, State } from '../store/state.ts'
import { jobColumns, jobDetail, jobsOf } from './jobs.ts'
import { type Column, type DetailLine, list, type Panel, type Selected } from './panel.ts'

/** Rows of the database with the hypertables, or why there are none. `main`: the query whose rows they are. */
function fromTimescale<Row>(state: State, main: Query, rowsOf: (facts: ChunkFacts) => Row[], notes: Notes): Selected<Row> {
  const { servers, now } = picture(state)
  const id = state.settings.timescaleId ?? idsOf(state, 'postgres')[0]
  const server = id === undefined ? undefined : servers[id]
  if (!server) {
    return {
      rows: [],
      unavailable: { reason: 'no PostgreSQL server is watched', remedy: 'name the database with --timescale CONNINFO' },
    }
  }
  const reading = read(state, server.id, main)
  if (reading.kind === 'unavailable') return { rows: [], unavailable: reading }
  if (reading.kind === 'failed') {
    const remedy = /permission denied/.test(reading.error)
      ? 'GRANT USAGE ON SCHEMA timescaledb_information and SELECT on its views to this role'
      : /"apache" licen[cs]e/.test(reading.error)
        ? communityRemedy
        : 'it is tried again'
    return { rows: [], unavailable: { reason: `${drawable(server.id)}: ${reading.error}`, remedy } }
  }
  if (reading.kind === 'waiting') {
    const { why } = linkOf(server, now, state.settings.intervalMs)
    return why === null
      ? { rows: [], waiting: true }
      : { rows: [], unavailable: { reason: `${drawable(server.id)}: ${why}`, remedy: 'it is tried again; look at the server' } }
  }
  const told = <R>(part: Reading<R>) => (part.kind === 'fresh' || part.kind === 'stale' ? part.sample : null)
  const facts: ChunkFacts = {
    server: server.id,
    now,
    hypertables: told(read(state, server.id, hypertables)),
    chunks: told(read(state, server.id, chunks)),
    sizes: told(read(state, server.id, chunkSizes)),
    compression: told(read(state, server.id, compressionStats)),
    jobs: told(read(state, server.id, jobs)),
  }
  const apache = is(server.facts?.timescaleLicense ?? null, 'apache')
  const notice = [
    ...(reading.kind === 'stale' ? [`${drawable(server.id)}: ${reading.why}`] : []),
    ...notes(facts, server.facts?.readsAllStats ?? true),
    ...(apache
      ? ["Apache licence: no compression, policies or continuous aggregates (timescaledb.license = 'timescale' has them)"]
      : []),
  ].join(' · ')
  const rows = rowsOf(facts)
  if (apache && main === jobs && rows.length === 0) {
    const reason = `${drawable(server.id)}: TimescaleDB runs under the Apache licence, which has no jobs or policies`
    return { rows, unavailable: { reason, remedy: communityRemedy } }
  }
  return notice === '' ? { rows } : { rows, notice }
}

const communityRemedy = "timescaledb.license = 'timescale' in postgresql.conf has them, for sessions that begin after a reload"

type Notes = (facts: ChunkFacts, readsAllStats: boolean) => readonly string[]

function chunkNotes(facts: ChunkFacts): readonly string[] {
  const more = chunksLeftOut(facts)
  const trouble = sizeTrouble(facts, drawable)
  return [
    ...(more > 0 ? [`the ${count(facts.chunks?.rows.length)} newest chunks: ${count(more)} older ones are not listed`] : []),
    ...(trouble ? [trouble] : []),
  ]
}

function hypertableNotes(facts: ChunkFacts): readonly string[] {
  const trouble = sizeTrouble(facts, drawable)
  return trouble ? [trouble] : []
}

const text = (value: Untrusted | null) => (value === null ? absent : drawable(value))

/** A continuous aggregate goes by its own name: the one of its hypertable says nothing. */
const shownName = (row: { hypertable_name: Untrusted; view_name: Untrusted | null }) =>
  drawable(row.view_name ?? row.hypertable_name)
const shownSchema = (row: { hypertable_schema: Untrusted; view_schema: Untrusted | null }) =>
  drawable(row.view_schema ?? row.hypertable_schema)

/** 2026-11-23 14:00, or the integer as it is. */
function bound(value: Untrusted | bigint | null): string {
  if (value === null) return absent
  return typeof value === 'bigint' ? String(value) : drawable(value).replace('T', ' ').slice(0, 16)
}

function size(row: { total_bytes: bigint | null; sizeLocked: boolean }): string {
  return row.total_bytes === null && row.sizeLocked ? 'locked' : bytes(row.total_bytes)
}

const yesNo = (value: boolean | null) => (value === null ? absent : value ? 'yes' : 'no')

/** Moments and integers can't be compared: all integers come before all moments. */
function rangeKey(bound: Untrusted | bigint | null, ageSeconds: number | null): number | bigint | null {
  return typeof bound === 'bigint' ? bound - 2n ** 70n : ageSeconds === null ? null : -ageSeconds
}

/** Blank where there is nothing to tell of a row. */
function sized<Row>(
  title: string,
  from: number,
  value: (row: Row) => bigint | null,
  applies: (row: Row) => boolean,
): Column<Row> {
  const text = (row: Row) => (applies(row) ? bytes(value(row)) : '')
  return { title, width: 8, align: 'right', descending: true, from, text, sortBy: value }
}

const chunkColumns: readonly Column<ChunkPaneRow>[] = [
  { title: 'SCHEMA', width: 12, wide: 16, from: 160, text: shownSchema },
  { title: 'HYPERTABLE', width: 12, grow: true, text: shownName },
  { title: 'CHUNK', width: 22, wide: 28, text: row => drawable(row.chunk_name) },
  {
    title: 'RANGE START',
    width: 16,
    text: row => bound(row.range_start),
    sortBy: row => rangeKey(row.range_start, row.startAgeSeconds),
    descending: true,
  },
  {
    title: 'RANGE END',
    width: 16,
    from: 100,
    text: row => bound(row.range_end),
    sortBy: row => rangeKey(row.range_end, row.ageSeconds),
    descending: true,
  },
  { title: 'CREATED', width: 16, from: 160, text: row => bound(row.chunk_creation_time) },
  {
    title: 'TABLESPACE',
    width: 10,
    from: 160,
    text: row => (row.chunk_tablespace === null ? '' : drawable(row.chunk_tablespace)),
  },
  { title: 'COMPR', width: 5, text: row => yesNo(row.is_compressed), tone: row => (row.is_compressed ? 'ok' : undefined) },
  sized(
    'TABLE',
    200,
    row => row.table_bytes,
    row => row.total_bytes !== null,
  ),
  sized(
    'INDEX',
    200,
    row => row.index_bytes,
    row => row.total_bytes !== null,
  ),
  sized(
    'TOAST',
    200,
    row => row.toast_bytes,
    row => row.total_bytes !== null,
  ),
  sized(
    'BEFORE',
    120,
    row => row.before_compression_total_bytes,
    row => row.is_compressed === true,
  ),
  sized(
    'AFTER',
    120,
    row => row.after_compression_total_bytes,
    row => row.is_compressed === true,
  ),
  {
    title: 'SAVED',
    width: 6,
    align: 'right',
    text: row => (row.is_compressed ? percent(row.savedRatio) : ''),
    sortBy: row => row.savedRatio,
    descending: true,
    tone: row => (row.savedRatio !== null && row.savedRatio < 0 ? 'warning' : undefined),
  },
  {
    title: 'SIZE',
    width: 8,
    align: 'right',
    text: size,
    sortBy: row => row.total_bytes,
    descending: true,
    tone: row => (row.sizeLocked ? 'warning' : undefined),
  },
]

function chunkDetail(row: ChunkPaneRow): readonly DetailLine[] {
  const view = row.view_name === null ? '' : `, of continuous aggregate ${text(row.view_schema)}.${drawable(row.view_name)}`
  return [
    { name: 'chunk', value: drawable(row.qualified) },
    { name: 'hypertable', value: `${drawable(row.hypertable_schema)}.${drawable(row.hypertable_name)}${view}` },
    { name: 'dimension', value: `${text(row.primary_dimension)} ${text(row.primary_dimension_type)}` },
    { name: 'range_start', value: row.range_start === null ? absent : String(bigOrText(row.range_start)) },
    { name: 'range_end', value: row.range_end === null ? absent : `${bigOrText(row.range_end)} (not in it)` },
    {
      name: 'age',
      value:
        row.ageSeconds === null
          ? 'integer dimension'
          : row.ageSeconds < 0
            ? `current: ends in ${duration(-row.ageSeconds)}`
            : `ended ${duration(row.ageSeconds)} ago`,
    },
    { name: 'is_compressed', value: yesNo(row.is_compressed) },
    ...(row.is_compressed
      ? [
          {
            name: 'compressing it',
            value: `${bytes(row.before_compression_total_bytes)} became ${bytes(row.after_compression_total_bytes)}: ${percent(row.savedRatio)} saved`,
          },
        ]
      : []),
    ...sizeLines(row),
    ...(row.total_bytes === null
      ? []
      : [
          {
            name: 'of it',
            value: `table ${bytes(row.table_bytes)}, indexes ${bytes(row.index_bytes)}, TOAST ${bytes(row.toast_bytes)}`,
          },
        ]),
    { name: 'chunk_tablespace', value: row.chunk_tablespace === null ? 'default' : drawable(row.chunk_tablespace) },
    { name: 'created', value: text(row.chunk_creation_time) },
  ]
}

const bigOrText = (value: Untrusted | bigint) => (typeof value === 'bigint' ? String(value) : drawable(value))

function sizeLines(row: Pick<ChunkPaneRow, 'total_bytes' | 'sizeProblem' | 'sizeAgeSeconds'>): readonly DetailLine[] {
  if (row.total_bytes !== null) {
    return [
      {
        name: 'size',
        value: `${bytes(row.total_bytes)} (${count(row.total_bytes)} bytes), read ${duration(row.sizeAgeSeconds)} ago`,
      },
    ]
  }
  return [
    row.sizeProblem === null
      ? { name: 'size', value: 'not read yet' }
      : { name: 'size', value: row.sizeProblem, tone: 'warning' },
  ]
}

const hypertableColumns: readonly Column<HypertablePaneRow>[] = [
  { title: 'SCHEMA', width: 12, wide: 16, from: 120, text: shownSchema },
  { title: 'HYPERTABLE', width: 18, grow: true, text: shownName },
  { title: 'OWNER', width: 9, wide: 14, text: row => text(row.owner) },
  { title: 'DIMENSION', width: 12, from: 100, text: row => text(row.primary_dimension) },
  {
    title: 'DIMS',
    width: 4,
    align: 'right',
    text: row => String(row.num_dimensions ?? absent),
    sortBy: row => row.num_dimensions,
  },
  { title: 'INTERVAL', width: 9, align: 'right', text: row => interval(row) },
  { title: 'KIND', width: 10, from: 160, text: row => (row.view_name === null ? 'hypertable' : 'aggregate') },
  {
    title: 'CHUNKS',
    width: 6,
    align: 'right',
    descending: true,
    text: row => String(row.num_chunks ?? absent),
    sortBy: row => row.num_chunks,
  },
  {
    title: 'COMPR',
    width: 6,
    align: 'right',
    descending: true,
    text: row => (row.compression_enabled === false && !row.compressedChunks ? 'off' : String(row.compressedChunks ?? absent)),
    sortBy: row => row.compressedChunks,
  },
  sized(
    'BEFORE',
    120,
    row => row.before_compression_total_bytes,
    row => row.compressedChunks !== 0,
  ),
  sized(
    'AFTER',
    120,
    row => row.after_compression_total_bytes,
    row => row.compressedChunks !== 0,
  ),
  {
    title: 'SAVED',
    width: 6,
    align: 'right',
    descending: true,
    text: row => (row.compressedChunks === 0 ? '' : percent(row.savedRatio)),
    sortBy: row => row.savedRatio,
    tone: row => (row.savedRatio !== null && row.savedRatio < 0 ? 'warning' : undefined),
  },
  {
    title: 'SIZE',
    width: 8,
    align: 'right',
    descending: true,
    text: size,
    sortBy: row => row.total_bytes,
    tone: row => (row.sizeLocked ? 'warning' : undefined),
  },
]

const interval = (row: HypertablePaneRow) =>
  row.time_interval !== null ? drawable(row.time_interval) : row.integer_interval !== null ? String(row.integer_interval) : absent

function hypertableDetail(row: HypertablePaneRow): readonly DetailLine[] {
  return [
    { name: 'hypertable', value: drawable(row.qualified) },
    ...(row.view_name === null ? [] : [{ name: 'of aggregate', value: `${text(row.view_schema)}.${drawable(row.view_name)}` }]),
    { name: 'owner', value: text(row.owner) },
    { name: 'dimension', value: `${text(row.primary_dimension)} ${text(row.primary_dimension_type)}` },
    { name: 'a chunk spans', value: interval(row) },
    { name: 'num_dimensions', value: String(row.num_dimensions ?? absent) },
    { name: 'num_chunks', value: `${row.num_chunks ?? absent}, compressed ${row.compressedChunks ?? absent}` },
    { name: 'compression_enabled', value: yesNo(row.compression_enabled) },
    {
      name: 'compressed chunks',
      value: `${bytes(row.before_compression_total_bytes)} became ${bytes(row.after_compression_total_bytes)}: ${percent(row.savedRatio)} saved`,
    },
    ...sizeLines(row),
  ]
}

const name = (server: string, ...parts: readonly (Untrusted | number)[]) => JSON.stringify([server, ...parts])

export const chunksPanel: Panel = {
  id: 'chunks',
  key: '4',
  title: 'Chunks',
  scope: 'cluster',
  lists: [
    list<ChunkPaneRow>({
      id: 'chunks',
      title: 'chunks',
      needs: [hypertables, chunks, chunkSizes, compressionStats],
      select: state => fromTimescale(state, chunks, chunkRows, chunkNotes),
      columns: chunkColumns,
      rowId: row => name(row.server, row.chunk_schema, row.chunk_name),
      sort: { column: 'RANGE START', descending: true },
      detail: chunkDetail,
      empty: 'No chunk: the hypertables hold no rows.',
      copy: row => raw(row.qualified),
    }),
    list<HypertablePaneRow>({
      id: 'hypertables',
      title: 'hypertables',
      needs: [hypertables, chunks, chunkSizes, compressionStats],
      select: state => fromTimescale(state, hypertables, hypertableRows, hypertableNotes),
      columns: hypertableColumns,
      rowId: row => name(row.server, row.hypertable_schema, row.hypertable_name),
      sort: { column: 'SIZE', descending: true },
      detail: hypertableDetail,
      empty: 'TimescaleDB is installed, but this database has no hypertable: SELECT create_hypertable(...) makes one.',
      copy: row => raw(row.qualified),
    }),
    list({
      id: 'jobs',
      title: 'jobs',
      needs: [jobs],
      select: state => fromTimescale(state, jobs, jobsOf.rows, jobsOf.notes),
      columns: jobColumns,
      rowId: row => name(row.server, row.job_id),
      sort: { column: 'JOB', descending: false },
      detail: jobDetail,
      empty: 'No job: add_compression_policy, add_retention_policy and others make them.',
      copy: row => String(row.job_id),
    }),
  ],
}
