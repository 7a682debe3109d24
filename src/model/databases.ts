// Databases and tablespaces: how large they are and how fast they grow.

import type { DatabaseRow, DatabaseSizeRow, TablespaceRow } from '../sql/databases.ts'
import type { Untrusted } from '../sql/query.ts'
import { type Disks, type FreeSpace, freeSpaces } from './free-space.ts'
import type { Told } from './tables.ts'
import { raw } from './untrusted.ts'

/** A size as pgvigil first saw it. `at` in epoch ms. */
export type FirstSize = { readonly at: number; readonly bytes: bigint }

/** The sizes in a sample that are worth remembering, by a key that is good for `firstSizes`. */
export function sizeMarks(
  query: string,
  rows: readonly Readonly<Record<string, unknown>>[],
): readonly (readonly [string, bigint])[] {
  const nameOf = query === 'databaseSizes' ? 'datname' : query === 'tablespaces' ? 'spcname' : null
  if (nameOf === null) return []
  return rows.flatMap(row => (typeof row.total_bytes === 'bigint' ? [[`${query} ${row[nameOf]}`, row.total_bytes] as const] : []))
}

/** What was heard of one server; null where nothing has been yet. `now` in epoch ms. */
export type DatabaseFacts = {
  readonly server: string
  readonly now: number
  readonly databases: Told<DatabaseRow> | null
  readonly sizes: Told<DatabaseSizeRow> | null
  readonly tablespaces: Told<TablespaceRow> | null
  readonly firstSizes: Readonly<Record<string, FirstSize>>
  readonly disks: Disks
}

export type DatabasePaneRow = {
  readonly server: string
  readonly oid: bigint
  readonly datname: Untrusted
  readonly owner: Untrusted | null
  /** The tablespace of what names none. */
  readonly tablespace: Untrusted | null
  readonly datallowconn: boolean
  /** -1: no limit. */
  readonly datconnlimit: number
  /** Null: not read yet, or not to be read, see sizeProblem. */
  readonly total_bytes: bigint | null
  readonly sizeProblem: string | null
  readonly sizeAgeSeconds: number | null
  /** Since pgvigil first saw its size; null until there are two. Negative when it shrank. */
  readonly growthBytesPerHour: number | null
  /** How long that is. */
  readonly growthSeconds: number | null
  /** Of its tablespace: as in list `tablespaces`. */
  readonly freeBytes: bigint | null
  readonly freeOf: FreeSpace['freeOf']
  readonly capacityBytes: bigint | null
  readonly freeProblem: string | null
  readonly numbackends: number | null
  /** age(datfrozenxid), in transactions. */
  readonly freezeAge: number | null
  readonly autovacuum_freeze_max_age: number
  readonly freezeRatio: number | null
  readonly multixactAge: number | null
  readonly deadlocks: bigint | null
  readonly temp_bytes: bigint | null
  readonly stats_reset: Untrusted | null
}

/** Rows of list `databases`. */
export function databaseRows(facts: DatabaseFacts): DatabasePaneRow[] {
  const { databases, sizes, now } = facts
  const sizeOf = new Map(sizes?.rows.map(row => [raw(row.datname), row.total_bytes]))
  const skipped = new Map(sizes?.skipped.map(({ key, why }) => [raw(key), why]))
  const free = freeSpaces(facts.tablespaces?.rows ?? [], facts.disks)
  return (databases?.rows ?? []).map(row => {
    const name = raw(row.datname)
    const total = sizeOf.get(name) ?? null
    return {
      server: facts.server,
      oid: row.oid,
      datname: row.datname,
      owner: row.owner,
      tablespace: row.tablespace,
      datallowconn: row.datallowconn,
      datconnlimit: row.datconnlimit,
      total_bytes: total,
      sizeProblem:
        total !== null
          ? null
          : row.measurable
            ? (skipped.get(name) ?? 'not read yet')
            : 'needs CONNECT on it, or pg_read_all_stats',
      sizeAgeSeconds: total === null || sizes === null ? null : Math.max(0, now - sizes.at) / 1000,
      ...growth(facts.firstSizes[`databaseSizes ${name}`], total, sizes?.at),
      ...((row.tablespace === null ? undefined : free.get(raw(row.tablespace))) ?? unread),
      numbackends: row.numbackends,
      freezeAge: row.freeze_age,
      autovacuum_freeze_max_age: row.freeze_max_age,
      freezeRatio: row.freeze_age === null ? null : row.freeze_age / row.freeze_max_age,
      multixactAge: row.multixact_age,
      deadlocks: row.deadlocks,
      temp_bytes: row.temp_bytes,
      stats_reset: row.stats_reset,
    }
  })
}

export type TablespacePaneRow = {
  readonly server: string
  readonly oid: bigint
  readonly spcname: Untrusted
  readonly owner: Untrusted | null
  /** Null: in the data directory. */
  readonly location: Untrusted | null
  readonly total_bytes: bigint | null
  readonly sizeProblem: string | null
  readonly sizeAgeSeconds: number | null
  readonly growthBytesPerHour: number | null
  readonly growthSeconds: number | null
} & FreeSpace

/** Rows of list `tablespaces`. */
export function tablespaceRows(facts: DatabaseFacts): TablespacePaneRow[] {
  const { tablespaces, now } = facts
  const free = freeSpaces(tablespaces?.rows ?? [], facts.disks)
  return (tablespaces?.rows ?? []).map(row => ({
    server: facts.server,
    oid: row.oid,
    spcname: row.spcname,
    owner: row.owner,
    location: row.location === null || raw(row.location) === '' ? null : row.location,
    total_bytes: row.total_bytes,
    sizeProblem: row.total_bytes === null ? 'needs CREATE on it, or pg_read_all_stats' : null,
    sizeAgeSeconds: row.total_bytes === null || tablespaces === null ? null : Math.max(0, now - tablespaces.at) / 1000,
    ...growth(facts.firstSizes[`tablespaces ${raw(row.spcname)}`], row.total_bytes, tablespaces?.at),
    ...(free.get(raw(row.spcname)) ?? unread),
  }))
}

const unread: FreeSpace = { freeBytes: null, freeOf: null, capacityBytes: null, freeProblem: 'not read yet' }

function growth(first: FirstSize | undefined, bytes: bigint | null, at: number | undefined) {
  const seconds = first === undefined || at === undefined ? 0 : (at - first.at) / 1000
  if (first === undefined || bytes === null || seconds <= 0) return { growthBytesPerHour: null, growthSeconds: null }
  return { growthBytesPerHour: (Number(bytes - first.bytes) / seconds) * 3600, growthSeconds: seconds }
}
