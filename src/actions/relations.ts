// Tables and indexes as targets of maintenance: what is kept of them when the key is pressed, the rights that it takes, who is in the way.

import { duration } from '../model/format.ts'
import { conflicts } from '../model/lock-modes.ts'
import { sqlName, sqlText } from '../model/sql-name.ts'
import type { TablePaneRow } from '../model/tables.ts'
import { drawable, raw, type Untrusted, untrusted } from '../model/untrusted.ts'
import { tablesOf } from '../relations.ts'
import { type DeedSession, ServerError, type WireRow } from '../server/deed.ts'
import { namesOf, sessionsOf } from '../sessions.ts'
import { relationHolders, relationNow, relationUsers } from '../sql/maintenance.ts'
import { pulse } from '../sql/server.ts'
import { tables } from '../sql/tables.ts'
import { compressedParts } from '../sql/timescale.ts'
import { rowsOf, whyUnknown } from '../store/selectors.ts'
import type { Frozen, State } from '../store/state.ts'
import { type Hands, type Line, type Report, type WhyNot, whyNot } from './action.ts'
import { ourRole, placeOf } from './guards.ts'

/** Somebody who holds a table or index for longer than this is not waited for, so that those who then stand behind us wait no longer. Milliseconds. */
export const lockTimeoutMs = 3000

export type TableTarget = Frozen &
  Pick<
    TablePaneRow,
    | ('relid' | 'qualified' | 'relname' | 'relkind' | 'hypertable' | 'children' | 'owner' | 'owned' | 'maintains' | 'idx_scan')
    | ('total_bytes' | 'heap_bytes' | 'index_bytes' | 'toast_bytes' | 'n_live_tup' | 'n_dead_tup')
    | ('anyVacuumAgeSeconds' | 'anyAnalyzeAgeSeconds' | 'bloatEstimateBytes')
  > & {
    /** Where a compressed chunk has its rows. */
    readonly compressedPart: Untrusted | null
    /** Of the server. */
    readonly version: number
    readonly concurrently: string
  }

export function freezeTable(row: TablePaneRow, state: State): TableTarget {
  const { relid, qualified, relname, relkind, hypertable, children, owner, owned, maintains, idx_scan } = row
  const { total_bytes, heap_bytes, index_bytes, toast_bytes, n_live_tup, n_dead_tup } = row
  const { anyVacuumAgeSeconds, anyAnalyzeAgeSeconds, bloatEstimateBytes } = row
  return {
    ...placeOf(state, row.server),
    label: labelOf(row),
    ...{ relid, qualified, relname, relkind, hypertable, children, owner, owned, maintains, idx_scan },
    ...{ total_bytes, heap_bytes, index_bytes, toast_bytes, n_live_tup, n_dead_tup },
    ...{ anyVacuumAgeSeconds, anyAnalyzeAgeSeconds, bloatEstimateBytes },
    compressedPart: compressedPart(row, state),
    version: state.servers[row.server]?.facts?.version ?? 0,
    concurrently: concurrently(state, row.server),
  }
}

function compressedPart({ server, relid }: TablePaneRow, state: State): Untrusted | null {
  const part = rowsOf(state, server, compressedParts).find(row => row.relid === relid)
  if (!part) return null
  return rowsOf(state, server, tables).find(row => row.relid === part.compressed_relid)?.qualified ?? null
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
  if (owner === null) return `GRANT its owner TO ${role};`
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

export function ownersGrant(of: readonly { readonly owner: Untrusted | null }[], server: string, state: State): string {
  const owners = [...new Set(of.map(({ owner }) => drawable(sqlName(raw(owner ?? untrusted(''))))))]
  return `it takes the owner: GRANT ${owners.join(', ')} TO ${ourRole(state, server)};`
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
    (byParent.get(relid) ?? []).flatMap(table => [...(raw(table.relkind) === 'p' ? [] : [table]), ...below(table.relid)])
  return below(row.relid)
}

/** "CONCURRENTLY "; '' where the server has one session for all (PGlite): there it fails, and nobody could be locked out. */
export const concurrently = (state: State, server: string): string =>
  rowsOf(state, server, pulse)[0]?.own_pid === 0 ? '' : 'CONCURRENTLY '

/** A chunk goes by its own name: the schema of all chunks says nothing. */
export const labelOf = ({ qualified }: { readonly qualified: Untrusted }) =>
  drawable(qualified).replace(/^_timescaledb_internal\./, '')

/** Who uses these relations now: whom a lock that nobody can share would wait for. */
export function usersLines(relids: readonly bigint[], server: string, state: State, what: string): readonly Line[] {
  const unknown = whyUnknown(state, server, relationUsers)
  if (unknown !== null) return [{ text: `who uses ${what} now is not known: ${unknown}`, tone: 'warning' }]
  const wanted = new Set(relids)
  const using = new Set(
    rowsOf(state, server, relationUsers)
      .filter(({ relid }) => wanted.has(relid))
      .flatMap(({ pids }) => pids),
  )
  if (using.size === 0) return [{ text: `nobody uses ${what} at this moment`, tone: 'ok' }]
  const known = new Map(sessionsOf(state, server).map(session => [session.pid, session]))
  const told = [...using].map(pid => {
    const session = known.get(pid)
    if (pid === 0) return 'a prepared transaction'
    return session ? sessionWords({ ...session, xactSeconds: session.xactAgeSeconds }) : `pid ${pid}`
  })
  const more = told.length > 4 ? ` (+${told.length - 4})` : ''
  const [one, verb] = told.length === 1 ? ['session', 'uses'] : ['sessions', 'use']
  return [{ text: `${told.length} ${one} ${verb} ${what} now: ${told.slice(0, 4).join(', ')}${more}`, tone: 'warning' }]
}

/** "pid 4711 (app/psql, idle in transaction, open for 4m12s)". Drawable. */
export function sessionWords(session: {
  readonly pid: number | null
  readonly usename: Untrusted | null
  readonly application_name: Untrusted | null
  readonly state: Untrusted | null
  readonly xactSeconds: number | null
}): string {
  const { pid, usename, application_name, state, xactSeconds } = session
  const who = [usename, application_name].map(drawable).filter(Boolean).join('/')
  const open = xactSeconds === null ? '' : `open for ${duration(xactSeconds)}`
  return `pid ${pid ?? '–'} (${[who, drawable(state), open].filter(Boolean).join(', ')})`
}

/** A session as relationHolders and oldestSnapshot tell of it. */
export function wireSession(row: WireRow): string {
  const text = (value: string | null | undefined) => (value == null ? null : untrusted(value))
  return sessionWords({
    pid: row.pid == null ? null : Number(row.pid),
    usename: text(row.usename),
    application_name: text(row.application_name),
    state: text(row.state),
    xactSeconds: row.xact_seconds == null ? null : Number(row.xact_seconds),
  })
}

/** Why nothing is to be done to a relation after all: it is gone, or goes by another name. Null: it is what was shown. Throws ServerError. */
export async function changedSince(session: DeedSession, oid: bigint, qualified: Untrusted): Promise<Report | null> {
  const [now] = (await session.run(relationNow, [String(oid)])).rows
  if (!now) return { outcome: 'already gone', say: 'already gone: nothing was done' }
  return now.qualified === raw(qualified)
    ? null
    : { outcome: 'refused', say: `nothing was done: it is called ${drawable(now.qualified)} now` }
}

/** Those who hold a relation in a mode that keeps ours out. '' where nobody can be named any more. Never throws. */
export async function holderWords(session: DeedSession, oid: bigint, wanted: string): Promise<string> {
  try {
    const { rows } = await session.run(relationHolders, [String(oid)])
    const held = rows.filter(({ mode }) => conflicts(untrusted(mode ?? ''), untrusted(wanted)))
    const told = held.map(row =>
      row.lock_pid === null ? `a prepared transaction (${row.mode})` : `${wireSession(row)} in ${drawable(row.mode)}`,
    )
    return told.length === 0 ? '' : `: ${told.slice(0, 2).join(', ')}${told.length > 2 ? ` (+${told.length - 2})` : ''}`
  } catch {
    return ''
  }
}

/** What a connection behind a pooler, or of a server with one session for all, can't be given. */
export const isShared = (session: DeedSession) => session.pid === null

export const secondsSince = (begun: number, hands: Hands) => duration((hands.now() - begun) / 1000)

/**
 * Whoever holds the table against us is not waited for longer than others. The statement itself has no such bound, since it has to wait for
 * transactions older than it, and what it would leave behind at its end is an invalid index. Throws ServerError 55P03.
 */
export async function awaitTable(session: DeedSession, table: Untrusted): Promise<void> {
  const lock = `BEGIN LOCK TABLE ${raw(table)} IN SHARE UPDATE EXCLUSIVE MODE; END`
  try {
    await session.run(`DO ${sqlText(lock)}`, [], lockTimeoutMs + 5000)
  } catch (error) {
    // What can't be locked by hand (a TOAST table, a materialised view, for lack of a right) is left to the statement.
    if (!(error instanceof ServerError) || error.kind !== 'refused' || /^(55P03|57014)$/.test(error.code ?? '')) throw error
  }
  if (!isShared(session)) await session.run('SET lock_timeout = 0')
}

/** The table was not to be had in time. */
export async function locked(session: DeedSession, tableOid: bigint): Promise<Report> {
  const who = await holderWords(session, tableOid, 'ShareUpdateExclusiveLock')
  return { outcome: 'skipped', say: `skipped: locked for more than ${lockTimeoutMs / 1000} s${who}` }
}
