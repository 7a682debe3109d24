// Databases and tablespaces of the server in focus.

import {
  type DatabaseFacts,
  type DatabasePaneRow,
  databaseRows,
  type TablespacePaneRow,
  tablespaceRows,
} from '../model/databases.ts'
import { absent, bytes, count, duration, percent } from '../model/format.ts'
import { sqlName } from '../model/sql-name.ts'
import { drawable, raw, type Untrusted } from '../model/untrusted.ts'
import { databaseSizes, databases, storage, tablespaces } from '../sql/databases.ts'
import type { Query } from '../sql/query.ts'
import { picture, read } from '../store/selectors.ts'
import type { Reading, State } from '../store/state.ts'
import { type Column, type DetailLine, list, type Selected, type Tone } from './panel.ts'
import { ageNotice, focusOf, noServer, notice, withoutRows } from './sessions.ts'

const told = <Row>(reading: Reading<Row>) => (reading.kind === 'fresh' || reading.kind === 'stale' ? reading.sample : null)

type Sized = Pick<
  DatabasePaneRow & TablespacePaneRow,
  | 'total_bytes'
  | 'sizeProblem'
  | 'sizeAgeSeconds'
  | 'growthBytesPerHour'
  | 'growthSeconds'
  | 'freeBytes'
  | 'freeOf'
  | 'capacityBytes'
  | 'freeProblem'
>

function select<Row extends Sized>(state: State, main: Query, rowsFrom: (facts: DatabaseFacts) => Row[]): Selected<Row> {
  const server = focusOf(state)
  if (!server) return { rows: [], unavailable: noServer }
  const reading = read(state, server.id, main)
  if (reading.kind !== 'fresh' && reading.kind !== 'stale') return withoutRows(reading)!
  const rows = rowsFrom({
    server: server.id,
    now: picture(state).now,
    databases: told(read(state, server.id, databases)),
    sizes: told(read(state, server.id, databaseSizes)),
    tablespaces: told(read(state, server.id, tablespaces)),
    firstSizes: server.firstSizes,
    disks: { fileSystems: server.fileSystems, capacity: server.capacity, user: drawable(sqlName(server.user)) },
  })
  const hidden = rows.filter(row => row.sizeProblem?.startsWith('needs ')).length
  const unfree = rows.every(row => row.freeBytes === null)
    ? rows.find(row => row.freeProblem !== 'not read yet')?.freeProblem
    : null
  const grant = `GRANT pg_monitor TO ${drawable(sqlName(server.user))};`
  return {
    rows,
    ...notice(
      ageNotice(state, reading),
      hidden > 0 ? `${hidden} sizes restricted: ${grant}` : null,
      unfree ? `FREE is not known: ${unfree}` : null,
    ),
  }
}

const text = (value: Untrusted | null) => (value === null ? absent : drawable(value))
const restricted = (row: Sized) => row.sizeProblem?.startsWith('needs ') ?? false
const sizeText = (row: Sized) => (restricted(row) ? 'restr.' : bytes(row.total_bytes))
const sizeTone = (row: Sized): Tone | undefined => (restricted(row) ? 'warning' : undefined)

function growthText(row: Sized): string {
  if (row.growthBytesPerHour === null) return absent
  return `${row.growthBytesPerHour > 0 ? '+' : ''}${bytes(Math.round(row.growthBytesPerHour))}`
}

const sizeColumns = [
  {
    title: 'SIZE',
    width: 8,
    align: 'right',
    descending: true,
    text: sizeText,
    sortBy: (row: Sized) => row.total_bytes,
    tone: sizeTone,
  },
  {
    title: 'GROWTH/H',
    width: 9,
    align: 'right',
    descending: true,
    text: growthText,
    sortBy: (row: Sized) => row.growthBytesPerHour,
  },
  {
    title: 'FREE',
    width: 8,
    align: 'right',
    text: (row: Sized) => bytes(row.freeBytes),
    sortBy: (row: Sized) => row.freeBytes,
    tone: freeTone,
  },
] satisfies readonly Column<Sized>[]

const connectionsText = (row: DatabasePaneRow) =>
  `${row.numbackends ?? absent}${row.datconnlimit < 0 ? '' : `/${row.datconnlimit}`}`

const databaseColumns: readonly Column<DatabasePaneRow>[] = [
  { title: 'DATABASE', width: 16, grow: true, text: row => drawable(row.datname) },
  { title: 'OWNER', width: 10, wide: 16, text: row => text(row.owner) },
  { title: 'TABLESPACE', width: 12, from: 100, text: row => text(row.tablespace) },
  {
    title: 'FREEZE',
    width: 6,
    align: 'right',
    descending: true,
    text: row => percent(row.freezeRatio),
    sortBy: row => row.freezeRatio,
    tone: freezeTone,
  },
  ...sizeColumns,
  {
    title: 'CONNS',
    width: 7,
    align: 'right',
    descending: true,
    text: connectionsText,
    sortBy: row => row.numbackends,
    tone: row => (row.datconnlimit >= 0 && (row.numbackends ?? 0) >= row.datconnlimit ? 'warning' : undefined),
  },
]

/** Beyond this age VACUUM itself hurries (vacuum_failsafe_age). */
const failsafeAge = 1_600_000_000

function freezeTone(row: DatabasePaneRow): Tone | undefined {
  if ((row.freezeAge ?? 0) >= failsafeAge) return 'critical'
  return (row.freezeRatio ?? 0) > 1.1 ? 'warning' : undefined
}

/** Shares of a file system or capacity from where on a person should look, and act. */
const [littleFree, hardlyFree] = [0.1, 0.03]

function freeTone({ freeBytes, capacityBytes }: Sized): Tone | undefined {
  if (freeBytes === null || !capacityBytes) return undefined
  const share = Number(freeBytes) / Number(capacityBytes)
  return share < hardlyFree ? 'critical' : share < littleFree ? 'warning' : undefined
}

/** What a growth of now says nothing about. */
const tooFarHours = 24 * 365

function freeWords({ freeBytes, freeOf, capacityBytes, freeProblem, growthBytesPerHour }: Sized): string {
  if (freeBytes === null) return `not known: ${freeProblem ?? 'not read yet'}`
  const whose = freeOf === 'capacity' ? 'configured capacity' : 'file system'
  const hours = (growthBytesPerHour ?? 0) > 0 && freeBytes > 0n ? Number(freeBytes) / growthBytesPerHour! : null
  const full = hours === null || hours > tooFarHours ? '' : `; full in ${duration(hours * 3600)} if it goes on growing like this`
  return `${bytes(freeBytes)} of the ${bytes(capacityBytes)} of its ${whose}${full}`
}

function sizeLines(row: Sized): readonly DetailLine[] {
  const size =
    row.total_bytes === null
      ? { name: 'size', value: row.sizeProblem ?? 'not read yet', tone: 'warning' as const }
      : {
          name: 'size',
          value: `${bytes(row.total_bytes)} (${count(row.total_bytes)} bytes), read ${duration(row.sizeAgeSeconds)} ago`,
        }
  const growth =
    row.growthSeconds === null
      ? 'known once its size has been read twice'
      : `${growthText(row)} an hour, over ${duration(row.growthSeconds)}`
  const tone = freeTone(row)
  return [size, { name: 'growth', value: growth }, { name: 'free', value: freeWords(row), ...(tone ? { tone } : {}) }]
}

function databaseDetail(row: DatabasePaneRow): readonly DetailLine[] {
  return [
    { name: 'database', value: drawable(row.datname) },
    { name: 'owner', value: text(row.owner) },
    { name: 'tablespace', value: text(row.tablespace) },
    ...sizeLines(row),
    {
      name: 'connections',
      value: `${row.numbackends ?? absent}${row.datconnlimit < 0 ? ', no limit of its own' : ` of ${row.datconnlimit}`}${row.datallowconn ? '' : ', none allowed'}`,
    },
    {
      name: 'freeze age',
      value: `${count(row.freezeAge)} of ${count(row.autovacuum_freeze_max_age)} transactions (${percent(row.freezeRatio)}), multixact age ${count(row.multixactAge)}`,
      ...(freezeTone(row) ? { tone: freezeTone(row)! } : {}),
    },
    { name: 'deadlocks', value: count(row.deadlocks) },
    { name: 'temporary files', value: bytes(row.temp_bytes) },
    { name: 'counted since', value: row.stats_reset === null ? 'the statistics began' : drawable(row.stats_reset) },
  ]
}

const tablespaceColumns: readonly Column<TablespacePaneRow>[] = [
  { title: 'TABLESPACE', width: 16, text: row => drawable(row.spcname) },
  { title: 'OWNER', width: 10, wide: 16, text: row => text(row.owner) },
  {
    title: 'LOCATION',
    width: 20,
    grow: true,
    text: row => (row.location === null ? 'the data directory' : drawable(row.location)),
  },
  ...sizeColumns,
]

function tablespaceDetail(row: TablespacePaneRow): readonly DetailLine[] {
  return [
    { name: 'tablespace', value: drawable(row.spcname) },
    { name: 'owner', value: text(row.owner) },
    { name: 'location', value: row.location === null ? 'the data directory' : drawable(row.location) },
    ...sizeLines(row),
  ]
}

export const databasesList = list<DatabasePaneRow>({
  id: 'databases',
  title: 'databases',
  needs: [databases, databaseSizes, tablespaces, storage],
  select: state => select(state, databases, databaseRows),
  columns: databaseColumns,
  rowId: row => `${row.server} ${row.oid}`,
  sort: { column: 'SIZE', descending: true },
  detail: databaseDetail,
  empty: 'No database.',
  copy: row => raw(row.datname),
})

export const tablespacesList = list<TablespacePaneRow>({
  id: 'tablespaces',
  title: 'tablespaces',
  needs: [tablespaces, storage],
  select: state => select(state, tablespaces, tablespaceRows),
  columns: tablespaceColumns,
  rowId: row => `${row.server} ${row.oid}`,
  sort: { column: 'SIZE', descending: true },
  detail: tablespaceDetail,
  empty: 'No tablespace.',
  copy: row => raw(row.spcname),
})
