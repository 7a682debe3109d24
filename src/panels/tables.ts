// Tables: how large they are, how much is dead, when they were last looked after and what is due. Partitioned tables and hypertables are one
// row until they are opened.

import { absent, bytes, compact, count, duration, percent, rate } from '../model/format.ts'
import { lockedCount, type TablePaneRow, tablesLeftOut } from '../model/tables.ts'
import { drawable, is, raw, type Untrusted, untrusted } from '../model/untrusted.ts'
import { tableFacts, tablesOf } from '../relations.ts'
import { databaseSizes, databases } from '../sql/databases.ts'
import { indexWidths } from '../sql/index-widths.ts'
import { indexes, indexSizes, unlockedIndexSizes } from '../sql/indexes.ts'
import { lockedRelations, rowWidths, tableSizes, tableSlices, tables, unlockedSizes } from '../sql/tables.ts'
import { compressedParts, hypertables } from '../sql/timescale.ts'
import { read, rowsOf } from '../store/selectors.ts'
import type { ServerState, State } from '../store/state.ts'
import { databasesList, tablespacesList } from './databases.ts'
import { indexesList, indexWords } from './indexes.ts'
import { type Column, type DetailLine, list, type Panel, type Selected, type Tone } from './panel.ts'
import { ageNotice, focusOf, noServer, notice, withoutRows } from './sessions.ts'

function select(state: State): Selected<TablePaneRow> {
  const server = focusOf(state)
  if (!server) return { rows: [], unavailable: noServer }
  const reading = read(state, server.id, tables)
  if (reading.kind !== 'fresh' && reading.kind !== 'stale') return withoutRows(reading)!
  const facts = tableFacts(state, server.id)
  const rows = tablesOf(state, server.id)
  const [more, locked] = [tablesLeftOut(facts), lockedCount(rows)]
  const unread = facts.sizes.round?.skipped[0]
  return {
    rows,
    ...(rows.length === 0 ? { empty: emptyWords(state, server) } : {}),
    ...notice(
      ageNotice(state, reading),
      more > 0 ? `the ${count(reading.sample.rows.length)} largest or most dead: ${count(more)} more are not listed` : null,
      locked > 0 ? `no size of ${locked} locked ${locked === 1 ? 'table until it is' : 'tables until they are'} free` : null,
      unread && unread.code !== '55P03' ? `not all sizes could be read: ${unread.why}` : null,
      reading.sample.rows[0]?.standby
        ? 'a standby counts no rows, changes or vacuums: see its primary; scans are those made here'
        : null,
    ),
  }
}

/** One database is looked into: its name, and how to look into another, the largest that there is. */
function emptyWords(state: State, { id, database, facts }: ServerState): string {
  const own = raw(facts?.database ?? untrusted(database))
  const sizeOf = new Map(rowsOf(state, id, databaseSizes).map(row => [raw(row.datname), row.total_bytes ?? 0n]))
  const others = rowsOf(state, id, databases)
    .filter(row => row.datallowconn && raw(row.datname) !== own && !raw(row.datname).startsWith('template'))
    .toSorted((a, b) => Number((sizeOf.get(raw(b.datname)) ?? 0n) - (sizeOf.get(raw(a.datname)) ?? 0n)))
  const other = others[0] ? drawable(others[0].datname) : 'NAME'
  const listed = others.length > 1 ? `; F2 lists the ${others.length} others` : ''
  return `The database ${drawable(untrusted(own))} has no table of its own. Another one is looked into with dbname=${other} in the connection string, or -d ${other}${listed}.`
}

const text = (value: Untrusted | null) => (value === null ? absent : drawable(value))

/** A continuous aggregate goes by its own name: the one of its hypertable says nothing. A chunk's schema says nothing either. */
function nameText(row: TablePaneRow): string {
  if (row.parentRelid !== null && is(row.schemaname, '_timescaledb_internal')) return drawable(row.relname)
  return `${drawable(row.view_schema ?? row.schemaname)}.${drawable(row.view_name ?? row.relname)}`
}

/** On a standby nothing is known of vacuums; elsewhere no time means that there was none. */
const ageText = (row: TablePaneRow, seconds: number | null) =>
  seconds === null && row.n_live_tup !== null ? 'never' : duration(seconds)

function dueText(row: TablePaneRow): string {
  if (row.vacuumDue === null) return absent
  if (is(row.vacuumDueWhy, 'wraparound')) return 'FREEZE'
  if (row.children > 0 && row.childrenDue) return `${compact(row.childrenDue)} due`
  if (row.children === 0 && row.autovacuum_enabled === false) return 'off'
  return [row.vacuumDue ? 'vac' : '', row.analyzeDue ? 'ana' : ''].filter(Boolean).join(' ')
}

function dueTone(row: TablePaneRow): Tone | undefined {
  if (is(row.vacuumDueWhy, 'wraparound')) return 'critical'
  return dueText(row) === 'off' ? 'warning' : row.vacuumDue || row.analyzeDue ? 'accent' : undefined
}

/** A share of dead rows that a person should look at. */
const muchDead = 0.2
/** Beyond this age VACUUM itself hurries (vacuum_failsafe_age); at 2 147 483 648 writing ends. */
const failsafeAge = 1_600_000_000

const deadTone = (row: TablePaneRow): Tone | undefined => ((row.deadRatio ?? 0) >= muchDead ? 'warning' : undefined)

function freezeTone(row: TablePaneRow): Tone | undefined {
  if ((row.freezeAge ?? 0) >= failsafeAge) return 'critical'
  return (row.freezeRatio ?? 0) >= 1 ? 'warning' : undefined
}

const number = (
  title: string,
  width: number,
  value: (row: TablePaneRow) => number | bigint | null,
  format: (n: number | bigint | null) => string,
  more: Partial<Column<TablePaneRow>> = {},
): Column<TablePaneRow> => ({
  title,
  width,
  align: 'right',
  descending: true,
  text: row => format(value(row)),
  sortBy: value,
  ...more,
})

const rateOf = (title: string, value: (row: TablePaneRow) => number | null) =>
  number(title, 7, value, n => rate(n as number | null), { from: 140 })

const columns: readonly Column<TablePaneRow>[] = [
  { title: 'TABLE', width: 16, grow: true, tree: true, text: nameText },
  { title: 'OWNER', width: 10, from: 200, text: row => text(row.owner) },
  { title: 'DUE', width: 7, text: dueText, tone: dueTone, sortBy: dueRank, descending: true },
  number('SIZE', 8, row => row.total_bytes, bytes, {
    text: row => (row.total_bytes === null && row.locked ? 'locked' : bytes(row.total_bytes)),
    tone: row => (row.locked ? 'warning' : undefined),
  }),
  number('HEAP', 8, row => row.heap_bytes, bytes, { from: 160 }),
  number('INDEX', 8, row => row.index_bytes, bytes, { from: 160 }),
  number('TOAST', 8, row => row.toast_bytes, bytes, { from: 160 }),
  number('BLOAT~', 8, row => row.bloatEstimateBytes, bytes, { from: 180 }),
  number('LIVE', 6, row => row.n_live_tup, compact),
  number('DEAD', 6, row => row.n_dead_tup, compact),
  number(
    'DEAD%',
    6,
    row => row.deadRatio,
    n => percent(n as number | null),
    { tone: deadTone },
  ),
  number('VACUUM', 6, row => row.anyVacuumAgeSeconds, compact, { text: row => ageText(row, row.anyVacuumAgeSeconds) }),
  number('ANALYZE', 7, row => row.anyAnalyzeAgeSeconds, compact, {
    text: row => ageText(row, row.anyAnalyzeAgeSeconds),
    from: 100,
  }),
  number(
    'FREEZE',
    6,
    row => row.freezeRatio,
    n => percent(n as number | null),
    { tone: freezeTone },
  ),
  number('SEQ', 6, row => row.seq_scan, compact, { tone: row => (row.needsIndex ? 'warning' : undefined) }),
  number('IDX', 6, row => row.idx_scan, compact, {
    from: 100,
    text: row => (row.idx_scan === null ? 'none' : compact(row.idx_scan)),
  }),
  rateOf('INSERT', row => row.insertsPerSecond),
  rateOf('UPDATE', row => row.updatesPerSecond),
  rateOf('DELETE', row => row.deletesPerSecond),
]

function dueRank(row: TablePaneRow): number | null {
  if (row.vacuumDue === null) return null
  if (is(row.vacuumDueWhy, 'wraparound')) return 4
  return (row.vacuumDue ? 2 : 0) + (row.analyzeDue ? 1 : 0)
}

const kinds: Readonly<Record<string, string>> = { r: 'table', m: 'materialised view', p: 'partitioned table' }

function detail(row: TablePaneRow, state: State): readonly DetailLine[] {
  const kind = row.hypertable ? 'hypertable' : (kinds[raw(row.relkind)] ?? raw(row.relkind))
  const stands = row.children > 0 ? `, stands for ${count(row.children)} ${row.hypertable ? 'chunks' : 'children'}: sums` : ''
  const shown: readonly { name: string; value: string; tone?: Tone | undefined }[] = [
    { name: 'table', value: drawable(row.qualified) },
    { name: 'kind', value: `${kind}${stands}` },
    { name: 'owner', value: `${text(row.owner)}${row.maintains ? '' : '; this role may not VACUUM it'}` },
    { name: 'size', value: sizeWords(row), tone: row.total_bytes === null ? 'warning' : undefined },
    { name: 'bloat, estimated', value: bloatWords(row) },
    { name: 'rows', value: rowsWords(row), tone: deadTone(row) },
    {
      name: 'changes',
      value: `${rate(row.insertsPerSecond)} inserted, ${rate(row.updatesPerSecond)} updated (${percent(row.hotRatio)} HOT since the statistics began), ${rate(row.deletesPerSecond)} deleted`,
    },
    { name: 'autovacuum', value: dueWords(row), tone: dueTone(row) },
    {
      name: 'vacuum',
      value: lastWords(row.lastVacuumAgeSeconds, row.vacuum_count, row.lastAutovacuumAgeSeconds, row.autovacuum_count),
    },
    {
      name: 'analyze',
      value: lastWords(row.lastAnalyzeAgeSeconds, row.analyze_count, row.lastAutoanalyzeAgeSeconds, row.autoanalyze_count),
    },
    {
      name: 'freeze age',
      value: `${count(row.freezeAge)} of ${count(row.autovacuum_freeze_max_age)} transactions (${percent(row.freezeRatio)}), multixact age ${count(row.multixactAge)}`,
      tone: freezeTone(row),
    },
    { name: 'scans', value: scanWords(row), tone: row.needsIndex ? 'warning' : undefined },
  ]
  const lines = shown.map(({ name, value, tone }) => ({ name, value, ...(tone ? { tone } : {}) }))
  return [...lines, { title: 'indexes', block: indexWords(state, row.server, row.relid) }]
}

function sizeWords(row: TablePaneRow): string {
  if (row.total_bytes === null) return row.sizeProblem ?? 'not read yet'
  return `${bytes(row.total_bytes)} (${count(row.total_bytes)} bytes): heap ${bytes(row.heap_bytes)}, indexes ${bytes(row.index_bytes)}, TOAST ${bytes(row.toast_bytes)}; read ${duration(row.sizeAgeSeconds)} ago`
}

function bloatWords(row: TablePaneRow): string {
  if (row.bloatEstimateBytes === null) {
    return row.children > 0
      ? 'see each of those it stands for'
      : 'not to be estimated: below 16 pages or not analyzed some minutes ago, or this role may not SELECT all its columns'
  }
  return `${bytes(row.bloatEstimateBytes)} (${percent(row.bloatEstimateRatio)} of its pages) beyond what its rows need at their average width; Exact bloat (F9) measures it`
}

function rowsWords(row: TablePaneRow): string {
  if (row.n_live_tup === null)
    return 'not known: the statistics have never seen a row of it (a standby, a reset, a crash, an upgrade)'
  return `${count(row.n_live_tup)} live, ${count(row.n_dead_tup)} dead (${percent(row.deadRatio)}), as counted by the statistics`
}

function dueWords(row: TablePaneRow): string {
  if (row.vacuumDue === null) return 'runs on the primary'
  if (row.children > 0) return `${count(row.childrenDue)} of those it stands for are due`
  const why = is(row.vacuumDueWhy, 'wraparound') ? 'vacuum is due: against wraparound' : null
  const enabled = row.autovacuum_enabled ? null : 'off for this table (autovacuum, track_counts or autovacuum_enabled)'
  const due = [row.vacuumDue ? `vacuum (${text(row.vacuumDueWhy)})` : '', row.analyzeDue ? 'analyze' : ''].filter(Boolean)
  const verdict = why ?? enabled ?? (due.length > 0 ? `due: ${due.join(', ')}` : 'nothing is due')
  const limit = (n: number | null) => count(n === null ? null : Math.floor(n))
  const inserts =
    row.insertThreshold === null ? '' : `, ${count(row.n_ins_since_vacuum)} of ${limit(row.insertThreshold)} inserted`
  return `${verdict}; ${count(row.n_dead_tup)} of ${limit(row.vacuumThreshold)} dead${inserts}, ${count(row.n_mod_since_analyze)} of ${limit(row.analyzeThreshold)} changed since analyze`
}

function lastWords(byHand: number | null, times: bigint | null, auto: number | null, autoTimes: bigint | null): string {
  const one = (who: string, age: number | null, n: bigint | null) =>
    age === null ? `never ${who}` : `${duration(age)} ago ${who} (${count(n)} times)`
  return times === null ? absent : `${one('by hand', byHand, times)}, ${one('by autovacuum', auto, autoTimes)}`
}

function scanWords(row: TablePaneRow): string {
  const each =
    row.seq_scan && row.seq_tup_read !== null ? ` of ${count(Number(row.seq_tup_read) / Number(row.seq_scan))} rows each` : ''
  const last = row.lastSeqScanAgeSeconds === null ? '' : `, the last ${duration(row.lastSeqScanAgeSeconds)} ago`
  const byIndex = row.idx_scan === null ? 'no index' : `${count(row.idx_scan)} by index`
  const verdict = row.needsIndex ? ': it seems to need an index for what is searched' : ''
  return `${count(row.seq_scan)} sequential${each}${last}, ${byIndex}${verdict}`
}

const rowId = (server: string, relid: bigint) => `${server} ${relid}`

const tablesList = list<TablePaneRow>({
  id: 'tables',
  title: 'tables',
  needs: [
    tables,
    lockedRelations,
    tableSlices,
    tableSizes,
    unlockedSizes,
    indexes,
    indexSizes,
    unlockedIndexSizes,
    indexWidths,
    rowWidths,
    hypertables,
    compressedParts,
  ],
  select,
  columns,
  rowId: row => rowId(row.server, row.relid),
  parentId: row => (row.parentRelid === null ? null : rowId(row.server, row.parentRelid)),
  folds: true,
  sort: { column: 'SIZE', descending: true },
  detail,
  empty: 'This database has no table of its own.',
  copy: row => raw(row.qualified),
})

export const tablesPanel: Panel = {
  id: 'tables',
  key: '6',
  title: 'Tables',
  scope: 'server',
  lists: [tablesList, indexesList, databasesList, tablespacesList],
}
