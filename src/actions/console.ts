// What the deeds on a PgBouncer's console share: rights, quoting, and a look at how things stand on the deed's own connection.

import { configOf } from '../model/pooler.ts'
import { quotedName } from '../model/sql-name.ts'
import { drawable, is, raw, type Untrusted } from '../model/untrusted.ts'
import type { DeedSession, WireRow } from '../server/deed.ts'
import type { State } from '../store/state.ts'
import { type PoolTarget, type WhyNot, whyNot } from './action.ts'
import { placeOf } from './guards.ts'

export function poolTarget(state: State, server: string, database: Untrusted | null): PoolTarget {
  return {
    ...placeOf(state, server),
    label: drawable(database ?? server),
    database,
  }
}

/** The console takes no longer name: 63 bytes with its quotes, doubled ones counted (src/admin.c). And no name at all would mean everything. */
const longestWord = 63

/** Whether our user may do anything but look, and the console can be told of this database. */
export function guardConsole(target: PoolTarget, state: State): WhyNot | null {
  const known = state.servers[target.server]
  if (!known) return null
  const { database } = target
  if (database !== null && (is(database, '') || Buffer.byteLength(quotedName(raw(database))) > longestWord)) {
    return whyNot("the console can't be told this name: it is empty or too long")
  }
  return consoleRight(target.server, state)
}

/** Whether our user may do anything but look. */
export function consoleRight(server: string, state: State): WhyNot | null {
  const known = state.servers[server]
  if (!known) return null
  const admins = configOf(known).get('admin_users')
  // Over a Unix socket the account that PgBouncer runs as is an admin too, under the name pgbouncer.
  const maybeOwner = known.user === 'pgbouncer' && known.host.startsWith('/')
  if (admins === undefined || admins === null || maybeOwner) return null
  if (
    raw(admins)
      .split(/[\s,]+/)
      .includes(known.user)
  )
    return null
  const user = drawable(known.user)
  return whyNot(`${user} may only look: add it to admin_users in pgbouncer.ini (admin_users = ..., ${user}) and RELOAD`)
}

/** `PAUSE "app"`; without a name for everything. */
export function consoleCommand(verb: string, { database }: PoolTarget): string {
  return database === null ? verb : `${verb} ${quotedName(raw(database))}`
}

/** The row of SHOW DATABASES of a target; undefined: it is not there. Asked before a command too, since some make what they don't find. */
export async function databaseNow(session: DeedSession, { database }: PoolTarget): Promise<WireRow | undefined> {
  const { rows } = await session.run('SHOW DATABASES')
  return rows.find(row => row.name === (database === null ? null : raw(database)))
}

/** SHOW STATE's paused, from 1.19 on; null before. */
export async function allPausedNow(session: DeedSession, state: State, server: string): Promise<boolean | null> {
  if ((state.servers[server]?.facts?.version ?? 0) < 11900) return null
  const { rows } = await session.run('SHOW STATE')
  return rows.find(row => row.key === 'paused')?.value === 'yes'
}

/** Whether a target is paused, by the console's word of this moment; null: this version doesn't tell. One that is not there is not paused. */
export async function pausedNow(session: DeedSession, state: State, target: PoolTarget): Promise<boolean | null> {
  if (target.database === null) return allPausedNow(session, state, target.server)
  return (await databaseNow(session, target))?.paused === '1'
}

export const notThere = {
  outcome: 'already gone',
  say: 'already gone: PgBouncer has no such database any more; nothing was done',
} as const
