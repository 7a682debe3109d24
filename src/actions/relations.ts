// Tables and indexes as targets of maintenance: what is kept of them when the key is pressed, the rights that it takes.

import { sqlName } from '../model/sql-name.ts'
import type { TablePaneRow } from '../model/tables.ts'
import { drawable, exact, is, raw, type Untrusted } from '../model/untrusted.ts'
import { tablesOf } from '../relations.ts'
import { namesOf } from '../sessions.ts'
import { pulse } from '../sql/server.ts'
import { type TableRow, tables } from '../sql/tables.ts'
import { compressedParts } from '../sql/timescale.ts'
import { rowsOf } from '../store/selectors.ts'
import type { Frozen, State } from '../store/state.ts'
import { type Parts, type WhyNot, whyNot } from './action.ts'
import { ourRole, placeOf } from './guards.ts'

/** Somebody who holds a table or index for longer than this is not waited for, so that those who then stand behind us wait no longer. Milliseconds. */
export const lockTimeoutMs = 3000

export type TableTarget = Frozen &
  Pick<
    TablePaneRow,
    | ('relid' | 'qualified' | 'relname' | 'relkind' | 'hypertable' | 'children' | 'owner' | 'owned' | 'maintains' | 'reindexes')
    | 'idx_scan'
    | ('total_bytes' | 'heap_bytes' | 'index_bytes' | 'toast_bytes' | 'n_live_tup' | 'n_dead_tup')
    | ('anyVacuumAgeSeconds' | 'anyAnalyzeAgeSeconds' | 'bloatEstimateBytes')
  > & {
    /** Of the server. */
    readonly version: number
    readonly concurrently: string
  }

export function freezeTable(row: TablePaneRow, state: State): TableTarget {
  const { relid, qualified, relname, relkind, hypertable, children, owner, owned, maintains, reindexes, idx_scan } = row
  const { total_bytes, heap_bytes, index_bytes, toast_bytes, n_live_tup, n_dead_tup } = row
  const { anyVacuumAgeSeconds, anyAnalyzeAgeSeconds, bloatEstimateBytes } = row
  return {
    ...placeOf(state, row.server),
    label: labelOf(row),
    ...{ relid, qualified, relname, relkind, hypertable, children, owner, owned, maintains, reindexes, idx_scan },
    ...{ total_bytes, heap_bytes, index_bytes, toast_bytes, n_live_tup, n_dead_tup },
    ...{ anyVacuumAgeSeconds, anyAnalyzeAgeSeconds, bloatEstimateBytes },
    relations: [relid],
    version: state.servers[row.server]?.facts?.version ?? 0,
    concurrently: concurrently(state, row.server),
  }
}

/** Each chunk with the table that has its rows, where it is compressed. `missing`: such tables that are not listed. */
export function withCompressed(rows: readonly TablePaneRow[], state: State): Parts<TablePaneRow> {
  const [server] = rows.map(row => row.server)
  const partOf = new Map(rowsOf(state, server ?? '', compressedParts).map(part => [part.relid, part.compressed_relid]))
  if (partOf.size === 0) return { rows, missing: 0 }
  const listed = new Map(rowsOf(state, server ?? '', tables).map(table => [table.relid, table]))
  const parts = rows.map(row => {
    const relid = partOf.get(row.relid)
    const part = relid === undefined ? undefined : listed.get(relid)
    return { row, compressed: relid !== undefined, part }
  })
  return {
    rows: parts.flatMap(({ row, part }) => (part ? [row, ofCompressed(row, part)] : [row])),
    missing: parts.filter(({ compressed, part }) => compressed && !part).length,
  }
}

/** The list shows a chunk and its compressed part as one; of the part alone no size is known. */
function ofCompressed(row: TablePaneRow, part: TableRow): TablePaneRow {
  const { relid, relname, schemaname, qualified, owner, owned, maintains, reindexes, idx_scan, n_live_tup, n_dead_tup } = part
  const names = { relid, relname, schemaname, qualified, owner, owned, maintains, reindexes, idx_scan, n_live_tup, n_dead_tup }
  const sizes = { total_bytes: null, heap_bytes: null, index_bytes: null, toast_bytes: null }
  return { ...row, ...names, ...sizes, hypertable: false, children: 0, parentRelid: row.relid }
}

export const standbyRefuses = ({ role }: Frozen): WhyNot | null =>
  role === 'standby' ? whyNot('a standby is read-only: do it on the primary') : null

export const hasMaintain = (state: State, server: string) => (state.servers[server]?.facts?.version ?? 0) >= 170000

/**
 * What would give our role the right to VACUUM, ANALYZE or REINDEX a table: MAINTAIN from PostgreSQL 17 on, before only its owner's role. Drawable.
 * `owner` null: nobody's in particular.
 */
export function maintainGrant(server: string, state: State, owner: Untrusted | null, table: Untrusted | null): string {
  const role = ourRole(state, server)
  if (hasMaintain(state, server)) {
    const one = table === null ? '' : ` (or GRANT MAINTAIN ON ${drawable(table)} TO ${role};)`
    return `GRANT pg_maintain TO ${role};${one}`
  }
  return ownerGrant(server, state, owner, table)
}

/** The owner's role, given to ours. */
export function ownerGrant(server: string, state: State, owner: Untrusted | null, table: Untrusted | null): string {
  const role = ourRole(state, server)
  // Before it is known who is a superuser nobody's role is to be given away.
  if (owner === null || namesOf(state, server).roles.size === 0)
    return `it takes its owner${owner === null ? '' : ` (${drawable(owner)})`}`
  const grant = `GRANT ${drawable(sqlName(raw(owner)))} TO ${role};`
  const less = table === null ? '' : `: ALTER TABLE ${drawable(table)} OWNER TO ${role}; gives less`
  return isSuperuser(server, state, owner) ? `${grant} (its owner, a superuser${less})` : grant
}

function isSuperuser(server: string, state: State, owner: Untrusted): boolean {
  const { roles, superusers } = namesOf(state, server)
  return [...roles].some(([oid, name]) => name === owner && superusers.has(oid))
}

/** What of a server's tables our role may not maintain, with what would help; null: nothing. */
export function maintenanceRight(server: string, state: State): WhyNot | null {
  const others = rowsOf(state, server, tables).filter(({ maintains }) => !maintains)
  if (others.length === 0) return null
  if (hasMaintain(state, server)) return whyNot(maintainGrant(server, state, null, null))
  return whyNot(ownersGrant(others, server, state))
}

/** The roles of several owners, given to ours; never one of a superuser. Drawable. */
export function ownersGrant(of: readonly { readonly owner: Untrusted | null }[], server: string, state: State): string {
  if (namesOf(state, server).roles.size === 0) return 'it takes the owner of each'
  const owners = [...new Set(of.flatMap(({ owner }) => (owner === null ? [] : [owner])))]
  const [above, others] = [true, false].map(superuser =>
    owners.filter(owner => isSuperuser(server, state, owner) === superuser).map(owner => drawable(sqlName(raw(owner)))),
  ) as [string[], string[]]
  const grant = others.length > 0 ? `it takes the owner: GRANT ${others.join(', ')} TO ${ourRole(state, server)};` : ''
  const none = above.length > 0 ? `what superuser ${above.join(', ')} owns takes a superuser, or an owner of its own` : ''
  return [grant, none].filter(Boolean).join(' ')
}

/** A newer list has no such table, and left none out. */
export function tableGone({ server, relid }: TableTarget, state: State, since: number): boolean {
  const sample = state.servers[server]?.readings[tables.id]?.sample
  if (!sample || sample.at <= since) return false
  const rows = sample.rows as readonly { readonly relid: bigint; readonly tables_in_all: number }[]
  return rows.length >= (rows[0]?.tables_in_all ?? 0) && !rows.some(row => row.relid === relid)
}

/** Partitions, chunks and what else of a table's tree has rows of its own, as far as they are listed. */
export function leavesOf(row: TablePaneRow, state: State): readonly TablePaneRow[] {
  const byParent = Map.groupBy(tablesOf(state, row.server), table => table.parentRelid)
  const below = (relid: bigint): readonly TablePaneRow[] =>
    (byParent.get(relid) ?? []).flatMap(table => [...(is(table.relkind, 'p') ? [] : [table]), ...below(table.relid)])
  return below(row.relid)
}

/** The largest of the sizes that are known; null: none is. Bytes. */
export function largestOf(sizes: readonly (bigint | null)[]): bigint | null {
  return sizes.reduce((largest, size) => (largest === null || (size ?? 0n) > largest ? size : largest), null)
}

/** "CONCURRENTLY "; '' where the server has one session for all (PGlite): there it fails, and nobody could be locked out. */
export const concurrently = (state: State, server: string): string =>
  rowsOf(state, server, pulse)[0]?.own_pid === 0 ? '' : 'CONCURRENTLY '

/** A chunk goes by its own name: the schema of all chunks says nothing. */
export const labelOf = ({ qualified }: { readonly qualified: Untrusted }) =>
  exact(qualified).replace(/^_timescaledb_internal\./, '')

/** The partitioned tables below a partitioned table. */
export function branchesOf(row: TablePaneRow, state: State): readonly TablePaneRow[] {
  const byParent = Map.groupBy(tablesOf(state, row.server), table => table.parentRelid)
  const below = (relid: bigint): readonly TablePaneRow[] =>
    (byParent.get(relid) ?? []).flatMap(table => (is(table.relkind, 'p') ? [table, ...below(table.relid)] : []))
  return below(row.relid)
}
