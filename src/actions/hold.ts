// A table taken for maintenance: not longer waited for than others can bear, and looked at again once it is had. And who held it.

import { duration } from '../model/format.ts'
import { conflicts } from '../model/lock-modes.ts'
import { sqlText } from '../model/sql-name.ts'
import { drawable, raw, type Untrusted, untrusted } from '../model/untrusted.ts'
import { type DeedSession, ServerError, type WireRow } from '../server/deed.ts'
import { relationHolders, relationNow } from '../sql/maintenance.ts'
import type { Hands, Report } from './action.ts'
import { sessionWords } from './relation-lines.ts'
import { lockTimeoutMs } from './relations.ts'

/** The modes of what we do, as pg_locks spells them. */
export type Mode = 'ShareUpdateExclusiveLock' | 'AccessExclusiveLock'
const inSql: Readonly<Record<Mode, string>> = {
  ShareUpdateExclusiveLock: 'SHARE UPDATE EXCLUSIVE',
  AccessExclusiveLock: 'ACCESS EXCLUSIVE',
}

export const secondsSince = (begun: number, hands: Hands) => duration((hands.now() - begun) / 1000)

/** What a relation is now: a row of relationNow, or why nothing is to be done to it. Throws ServerError. */
export async function lookAgain(session: DeedSession, oid: bigint, qualified: Untrusted): Promise<WireRow | Report> {
  const [now] = (await session.run(relationNow, [String(oid)])).rows
  if (!now) return { outcome: 'already gone', say: 'already gone: nothing was done' }
  if (now.qualified === raw(qualified)) return now
  return { outcome: 'refused', say: `nothing was done: it is called ${drawable(now.qualified)} now` }
}

export const isReport = (value: WireRow | Report): value is Report => 'outcome' in value

/**
 * A connection behind a pooler keeps no lock_timeout, and can't be cancelled: what would make others wait is not done there.
 */
export function whyShared(session: DeedSession): Report | null {
  if (session.pid !== null || session.single) return null
  const say =
    'nothing was done: this connection goes through a pooler, where no lock_timeout holds and nothing can be cancelled; connect to PostgreSQL itself'
  return { outcome: 'refused', say }
}

/**
 * Waits until the table could be had in a mode, for lockTimeoutMs at most, and lets it go again: the statement then finds it free, and the caller looks
 * once more at what it is. Null: it was to be had. lock_timeout stays. Throws ServerError.
 */
export async function awaitTable(session: DeedSession, oid: bigint, table: Untrusted, mode: Mode): Promise<Report | null> {
  if (session.pid !== null) await session.run(`SET lock_timeout = ${lockTimeoutMs}`)
  const lock = `BEGIN LOCK TABLE ONLY ${raw(table)} IN ${inSql[mode]} MODE; END`
  try {
    await session.run(`DO ${sqlText(lock)}`, [], lockTimeoutMs + 5000)
    return null
  } catch (error) {
    if (!(error instanceof ServerError) || error.kind !== 'refused' || error.code === '57014') throw error
    if (error.code === '55P03') return locked(session, oid, mode)
  }
  // What can't be locked by hand (a TOAST table, a materialised view, for lack of a right) is watched.
  const until = Date.now() + lockTimeoutMs
  while ((await holders(session, oid, mode)).length > 0) {
    if (Date.now() > until) return locked(session, oid, mode)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  return null
}

/** It has to wait for transactions older than itself, however long these last. */
export async function waitsLong(session: DeedSession): Promise<void> {
  if (session.pid !== null) await session.run('SET lock_timeout = 0')
}

async function holders(session: DeedSession, oid: bigint, mode: Mode): Promise<readonly WireRow[]> {
  const { rows } = await session.run(relationHolders, [String(oid)])
  return rows.filter(row => conflicts(untrusted(row.mode ?? ''), untrusted(mode)))
}

/** The table was not to be had in time; by whom, where somebody can still be named. */
export async function locked(session: DeedSession, oid: bigint, mode: Mode): Promise<Report> {
  const held = await holders(session, oid, mode).catch(() => [])
  const told = held.map(row => `${row.lock_pid === null ? 'a prepared transaction' : wireSession(row)} in ${drawable(row.mode)}`)
  const who = told.length === 0 ? '' : `: ${told.slice(0, 2).join(', ')}${told.length > 2 ? ` (+${told.length - 2})` : ''}`
  return { outcome: 'skipped', say: `skipped: locked for more than ${lockTimeoutMs / 1000} s${who}` }
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
