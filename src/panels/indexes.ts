// Indexes: how large, how much used; which are invalid, unused or said twice.

import { absent, bytes, compact, count, duration, percent } from '../model/format.ts'
import { type IndexPaneRow, indexesLeftOut, isInvalid, isLeftover } from '../model/indexes.ts'
import { drawable, is, raw, type Untrusted } from '../model/untrusted.ts'
import { indexesOf, indexFacts } from '../relations.ts'
import { indexWidths } from '../sql/index-widths.ts'
import { indexes, indexSizes, unlockedIndexSizes } from '../sql/indexes.ts'
import { lockedRelations, tableSlices } from '../sql/tables.ts'
import { read } from '../store/selectors.ts'
import type { State } from '../store/state.ts'
import { type Column, type DetailLine, list, type Selected, type Tone } from './panel.ts'
import { ageNotice, focusOf, noServer, notice, withoutRows } from './sessions.ts'

function select(state: State): Selected<IndexPaneRow> {
  const server = focusOf(state)
  if (!server) return { rows: [], unavailable: noServer }
  const reading = read(state, server.id, indexes)
  if (reading.kind !== 'fresh' && reading.kind !== 'stale') return withoutRows(reading)!
  const rows = indexesOf(state, server.id)
  const more = indexesLeftOut(indexFacts(state, server.id))
  const invalid = rows.filter(isInvalid).length
  const unused = rows.filter(row => row.unused).length
  const since = rows[0] ? statsWords(rows[0]) : ''
  return {
    rows,
    ...notice(
      ageNotice(state, reading),
      more > 0 ? `the ${count(rows.length)} largest: ${count(more)} more are not listed` : null,
      invalid > 0 ? `${invalid} invalid: DROP INDEX CONCURRENTLY or REINDEX` : null,
      unused > 0 ? `unused: not scanned ${since}; unique ones and constraints never count` : null,
      unused > 0 && server.role === 'standby' ? 'only scans on this standby are counted' : null,
    ),
  }
}

/** Since when scans are counted. */
const statsWords = (row: IndexPaneRow) =>
  row.statsAgeSeconds === null
    ? 'since the statistics began (never reset)'
    : `in ${duration(row.statsAgeSeconds)} (since stats_reset)`

const text = (value: Untrusted | null) => (value === null ? absent : drawable(value))
const tableText = (row: IndexPaneRow) => `${drawable(row.schemaname)}.${drawable(row.relname)}`

function kindText(row: IndexPaneRow): string {
  if (row.indisprimary) return 'pkey'
  if (row.indisexclusion) return 'exclude'
  return row.conname !== null ? 'unique c' : row.indisunique ? 'unique' : ''
}

/** The worst that is to be said of it, in a word. */
function stateText(row: IndexPaneRow): string {
  if (row.building) return 'building'
  if (isInvalid(row)) return 'INVALID'
  if (row.duplicateOf !== null) return 'duplicate'
  if (row.prefixOf !== null) return 'prefix'
  return row.unused ? 'unused' : ''
}

const stateRank = ['', 'building', 'unused', 'prefix', 'duplicate', 'INVALID']

function stateTone(row: IndexPaneRow): Tone | undefined {
  const state = stateText(row)
  return state === 'INVALID' ? 'critical' : state === '' || state === 'building' ? undefined : 'warning'
}

const columns: readonly Column<IndexPaneRow>[] = [
  { title: 'INDEX', width: 14, grow: true, tree: true, text: row => drawable(row.indexrelname) },
  { title: 'TABLE', width: 16, wide: 30, text: tableText },
  { title: 'COLUMNS', width: 16, wide: 30, from: 120, text: row => text(row.columns) },
  { title: 'METHOD', width: 6, from: 140, text: row => drawable(row.amname) },
  { title: 'KIND', width: 8, from: 90, text: kindText },
  {
    title: 'STATE',
    width: 9,
    text: stateText,
    tone: stateTone,
    sortBy: row => stateRank.indexOf(stateText(row)),
    descending: true,
  },
  {
    title: 'SIZE',
    width: 8,
    align: 'right',
    descending: true,
    text: row => (row.total_bytes === null && row.locked ? 'locked' : bytes(row.total_bytes)),
    sortBy: row => row.total_bytes,
    tone: row => (row.locked ? 'warning' : undefined),
  },
  {
    title: 'BLOAT~',
    width: 8,
    align: 'right',
    from: 110,
    descending: true,
    text: row => bytes(row.bloatEstimateBytes),
    sortBy: row => row.bloatEstimateBytes,
  },
  {
    title: 'LAST',
    width: 6,
    align: 'right',
    from: 100,
    text: row => duration(row.lastIdxScanAgeSeconds),
    sortBy: row => row.lastIdxScanAgeSeconds,
  },
  {
    title: 'SCANS',
    width: 7,
    align: 'right',
    descending: true,
    text: row => compact(row.idx_scan),
    sortBy: row => row.idx_scan,
  },
]

/** What would put it right; null where nothing is wrong. Drawable. */
function remedy(row: IndexPaneRow): string | null {
  if (!isInvalid(row)) return null
  const index = drawable(row.qualified)
  if (is(row.relkind, 'I')) return `a partition has no such index: CREATE INDEX on it and ALTER INDEX ${index} ATTACH PARTITION`
  const drop = `DROP INDEX CONCURRENTLY ${index};`
  return isLeftover(row) ? drop : `${drop} or REINDEX INDEX CONCURRENTLY ${index};`
}

function detail(row: IndexPaneRow): readonly DetailLine[] {
  const invalid = isInvalid(row)
  const cost = row.indisready ? 'it still costs each write' : 'no write keeps it up'
  const why = isLeftover(row)
    ? 'left by a REINDEX CONCURRENTLY that failed'
    : 'a CREATE INDEX CONCURRENTLY failed, or its build was cut off'
  const lines: readonly { name: string; value: string; tone?: Tone | undefined }[] = [
    { name: 'index', value: drawable(row.qualified) },
    { name: 'table', value: drawable(row.table_qualified) },
    { name: 'columns', value: `${drawable(row.amname)} (${text(row.columns)})${row.partial ? ' with a WHERE' : ''}` },
    {
      name: 'kind',
      value: row.conname === null ? kindText(row) || 'plain' : `${kindText(row)}: constraint ${drawable(row.conname)}`,
    },
    {
      name: 'state',
      value: row.building ? 'being built' : invalid ? `INVALID: ${why}; ${cost}` : 'valid',
      tone: invalid ? 'critical' : undefined,
    },
    { name: 'remedy', value: remedy(row) ?? '', tone: 'accent' },
    {
      name: 'duplicate of',
      value: row.duplicateOf === null ? '' : `${drawable(row.duplicateOf)}: same columns, operator classes, predicate and method`,
      tone: 'warning',
    },
    {
      name: 'prefix of',
      value:
        row.prefixOf === null
          ? ''
          : `${drawable(row.prefixOf)}: that one begins with the same columns and serves the same searches`,
      tone: 'warning',
    },
    {
      name: 'size',
      value: row.total_bytes === null ? (row.locked ? 'locked: read as soon as it is free' : 'not read yet') : sizeWords(row),
    },
    { name: 'bloat, estimated', value: bloatWords(row) },
    { name: 'scans', value: scanWords(row), tone: row.unused ? 'warning' : undefined },
  ]
  return lines.filter(({ value }) => value !== '').map(({ name, value, tone }) => ({ name, value, ...(tone ? { tone } : {}) }))
}

const sizeWords = (row: IndexPaneRow) =>
  `${bytes(row.total_bytes)} (${count(row.total_bytes)} bytes), read ${duration(row.sizeAgeSeconds)} ago`

function bloatWords(row: IndexPaneRow): string {
  if (row.bloatEstimateBytes === null) return `not to be estimated: ${row.bloatProblem}`
  return `${bytes(row.bloatEstimateBytes)} (${percent(row.bloatEstimateRatio)} of its pages) beyond what it would take when built anew, by the statistics of its columns; Exact bloat (F9) measures it`
}

function scanWords(row: IndexPaneRow): string {
  const last = row.lastIdxScanAgeSeconds === null ? '' : `, the last ${duration(row.lastIdxScanAgeSeconds)} ago`
  const here = row.unused ? '; each server counts its own scans: look at the standbys too before you drop it' : ''
  return `${count(row.idx_scan)} ${statsWords(row)}${last}${here}`
}

/** The indexes of a table, a line each, for its detail. Drawable. */
export function indexWords(state: State, server: string, relid: bigint): readonly string[] {
  const rows = indexesOf(state, server).filter(row => row.indrelid === relid)
  if (rows.length === 0) return [read(state, server, indexes).kind === 'waiting' ? 'not read yet' : 'none listed']
  return rows
    .toSorted((a, b) => (raw(a.indexrelname) < raw(b.indexrelname) ? -1 : 1))
    .map(row => {
      const more = [kindText(row), stateText(row), remedy(row) ?? ''].filter(Boolean).join(', ')
      const last = row.lastIdxScanAgeSeconds === null ? '' : `, last ${duration(row.lastIdxScanAgeSeconds)} ago`
      return `${drawable(row.indexrelname)} ${drawable(row.amname)} (${text(row.columns)})  ${bytes(row.total_bytes)}, ${count(row.idx_scan)} scans${last}${more ? `, ${more}` : ''}`
    })
}

const rowId = (server: string, indexrelid: bigint) => `${server} ${indexrelid}`

export const indexesList = list<IndexPaneRow>({
  id: 'indexes',
  title: 'indexes',
  needs: [indexes, lockedRelations, tableSlices, indexSizes, unlockedIndexSizes, indexWidths],
  select,
  columns,
  rowId: row => rowId(row.server, row.indexrelid),
  parentId: row => (row.parentIndexrelid === null ? null : rowId(row.server, row.parentIndexrelid)),
  folds: true,
  sort: { column: 'SIZE', descending: true },
  detail,
  empty: 'No table of this database has an index.',
  copy: row => raw(row.qualified),
})
