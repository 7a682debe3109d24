// What a question before maintenance says of others: who uses a table, whom a rebuild will wait for, whether autovacuum is at it.

import { isIdleInTransaction } from '../model/activity.ts'
import { duration } from '../model/format.ts'
import { drawable, is, type Untrusted } from '../model/untrusted.ts'
import { progressOf, sessionsOf } from '../sessions.ts'
import { activity } from '../sql/activity.ts'
import { relationUsers } from '../sql/maintenance.ts'
import { rowsOf, whyUnknown } from '../store/selectors.ts'
import type { Frozen, State } from '../store/state.ts'
import type { Line } from './action.ts'
import { ourRole } from './guards.ts'

/** Commands that are at work on these tables now: autovacuum gives way to whoever wants the table for a second, others are waited for. */
export function commandLines(targets: readonly Frozen[], state: State): readonly Line[] {
  const { server } = targets[0]!
  const wanted = new Set(targets.flatMap(({ relations = [] }) => relations))
  const { databaseOid = null } = state.servers[server]?.facts ?? {}
  const at = progressOf(state, server).filter(
    row => !row.own && row.datid === databaseOid && row.relid !== null && wanted.has(row.relid),
  )
  const [auto, others] = [true, false].map(is => at.filter(({ autovacuum }) => (autovacuum ?? false) === is)) as [
    typeof at,
    typeof at,
  ]
  const whom = targets.length === 1 ? 'it' : 'them'
  const pids = (rows: typeof at) => rows.map(({ pid }) => `pid ${pid}`).join(', ')
  const told = others.map(({ pid, command }) => `${drawable(command) || 'a command'} by pid ${pid}`).join(', ')
  return [
    ...(auto.length > 0
      ? [
          {
            text: `autovacuum is at work on ${whom} (${pids(auto)}): it is cancelled, and begins anew later`,
            tone: 'warning' as const,
          },
        ]
      : []),
    ...(told ? [{ text: `at work on ${whom} now: ${told}: it is waited for, but not for long`, tone: 'warning' as const }] : []),
  ]
}

/** Who uses these relations now: whom a lock that nobody can share would wait for. */
export function usersLines(targets: readonly Frozen[], state: State): readonly Line[] {
  const { server } = targets[0]!
  const what = targets.length === 1 ? 'it' : 'them'
  const unknown = whyUnknown(state, server, relationUsers)
  if (unknown !== null) return [{ text: `who uses ${what} now is not known: ${unknown}`, tone: 'warning' }]
  const using = new Set(rowsOf(state, server, relationUsers).flatMap(({ pids }) => pids))
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

/** Who has to end first: a rebuild waits for those that use the table, and for all snapshots older than itself. */
export function waitLines(targets: readonly Frozen[], state: State): readonly Line[] {
  const { server } = targets[0]!
  const facts = state.servers[server]?.facts
  const unknown = whyUnknown(state, server, activity) ?? whyUnknown(state, server, relationUsers)
  if (unknown !== null) return [{ text: `whom it will have to wait for is not known: ${unknown}`, tone: 'warning' }]
  const using = new Set(rowsOf(state, server, relationUsers).flatMap(({ pids }) => pids))
  // A vacuum's snapshot holds nobody up but where it is at work itself.
  const vacuums = new Set(progressOf(state, server).flatMap(({ kind, pid }) => (is(kind, 'VACUUM') ? [pid] : [])))
  const open = sessionsOf(state, server)
    .filter(session => !session.own && (using.has(session.pid) || !vacuums.has(session.pid)))
    .filter(
      session =>
        using.has(session.pid) ||
        (session.datname === (facts?.database ?? null) && (session.backend_xid !== null || session.backend_xmin !== null)),
    )
    .toSorted(
      (a, b) =>
        Number(isIdleInTransaction(b)) - Number(isIdleInTransaction(a)) || (b.xactAgeSeconds ?? 0) - (a.xactAgeSeconds ?? 0),
    )
  const told = [
    ...open.slice(0, 2).map(session => sessionWords({ ...session, xactSeconds: session.xactAgeSeconds })),
    ...(using.has(0) ? ['a prepared transaction'] : []),
  ]
  const more = open.length > 2 ? ` and ${open.length - 2} more` : ''
  const hidden: readonly Line[] =
    facts?.readsAllStats === false
      ? [{ text: `transactions of other roles can't be seen: GRANT pg_monitor TO ${ourRole(state, server)};`, tone: 'warning' }]
      : []
  if (told.length > 0)
    return [
      { text: `waits for transactions that are open now, as long as they last: ${told.join(', ')}${more}`, tone: 'warning' },
      ...hidden,
    ]
  return hidden.length > 0 ? hidden : [{ text: 'no transaction is open that it would have to wait for', tone: 'ok' }]
}
