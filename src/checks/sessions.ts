// Sessions that hold others up: open too long, waiting for locks, or keeping VACUUM from its work.

import { caller, isIdleInTransaction, type Session } from '../model/activity.ts'
import { count, duration } from '../model/format.ts'
import { type LockWait, objectWords } from '../model/locks.ts'
import { drawable, is, short } from '../model/untrusted.ts'
import { nameOf } from '../panels/activity.ts'
import { postgresFigures } from '../panels/summary.ts'
import { namesOf, sessionsOf, waitsOf } from '../sessions.ts'
import { activity } from '../sql/activity.ts'
import { preparedTransactions } from '../sql/health-limits.ts'
import { locks } from '../sql/locks.ts'
import { ourRole } from '../sql/query.ts'
import { senders, slots } from '../sql/replication.ts'
import { names, pulse } from '../sql/server.ts'
import { rowsOf, whyUnknown } from '../store/selectors.ts'
import type { ServerState, State } from '../store/state.ts'
import { type Check, type Found, levelOf, plural } from './check.ts'

/** Sessions of applications: not ours, no walsender (whose "query" lasts as long as its standby), no background process, no parallel worker. */
const clientsOf = (state: State, { id }: ServerState) =>
  sessionsOf(state, id).filter(({ kind, own, leader_pid }) => kind === 'client' && !own && leader_pid === null)

const placeOf = ({ server, pid, backend_start }: Pick<Session, 'server' | 'pid' | 'backend_start'>) => ({
  panel: 'activity',
  list: 'activity',
  row: { server, pid, backend_start },
})

function whoIs(session: Session): string {
  const from = short(caller(session), 40)
  return `pid ${session.pid} (${short(nameOf(session.usename, session.usesysid), 24)} in ${short(nameOf(session.datname, session.datid), 24)}${from ? `, ${from}` : ''})`
}

/** The session for which a figure is highest, and of how many it is too high. */
function longest(sessions: readonly Session[], figureOf: (session: Session) => number | null, least: number) {
  const known = sessions.flatMap(session => {
    const figure = figureOf(session)
    return figure === null ? [] : [{ session, figure }]
  })
  const [first] = known.toSorted((a, b) => b.figure - a.figure)
  return { first, many: known.filter(({ figure }) => figure >= least).length }
}

/** Where nothing was found among what can be seen, but not all can be seen. */
function hidden(state: State, server: ServerState, found: Found): Found {
  const restricted = postgresFigures(state, server.id).restricted ?? 0
  if (restricted === 0 || found.level !== 'ok') return found
  return {
    level: 'unknown',
    say: `${plural(restricted, 'session')} may not be looked into`,
    remedy: `GRANT pg_monitor TO ${ourRole};`,
  }
}

const more = (many: number) => (many > 1 ? ` (${many} in all)` : '')
const endIt = 'end it with K in 1 Activity, and see why the application leaves it open'

const transactions: Check = {
  id: 'long_transactions',
  title: 'Long transactions',
  why: 'An open transaction keeps its locks and keeps VACUUM from removing what is newer.',
  of: 'postgres',
  unit: 's',
  warning: 'transactionSeconds',
  critical: 'transactionCriticalSeconds',
  needs: [pulse],
  uses: [activity, names],
  look: (state, server) => {
    const { thresholds } = state.settings
    const known = postgresFigures(state, server.id).oldestTransactionSeconds
    const oldest = known ?? 0
    const level = levelOf(oldest, thresholds, transactions)
    if (level === 'ok') {
      const say = known === null ? 'no transaction is open' : `the oldest transaction is open for ${duration(oldest)}`
      return [hidden(state, server, { level, figure: oldest, say })]
    }
    const told = whyUnknown(state, server.id, activity) === null
    const { first, many } = longest(
      told ? clientsOf(state, server) : [],
      row => row.xactAgeSeconds,
      thresholds.transactionSeconds,
    )
    return [
      {
        level,
        figure: oldest,
        say: `the oldest transaction is open for ${duration(oldest)}${first ? `: ${whoIs(first.session)}${more(many)}` : ''}`,
        remedy: endIt,
        leadsTo: first ? placeOf(first.session) : { panel: 'activity', list: 'activity' },
      },
    ]
  },
}

const idleInTransaction: Check = {
  id: 'idle_in_transaction',
  title: 'Idle in transaction',
  why: 'A session that does nothing in its transaction holds locks for nobody.',
  of: 'postgres',
  unit: 's',
  warning: 'idleInTransactionSeconds',
  critical: 'transactionCriticalSeconds',
  needs: [activity],
  uses: [names],
  look: (state, server) => {
    const { thresholds } = state.settings
    const idle = clientsOf(state, server).filter(isIdleInTransaction)
    const { first, many } = longest(idle, row => row.stateAgeSeconds, thresholds.idleInTransactionSeconds)
    if (!first) return [hidden(state, server, { level: 'ok', say: 'nobody is idle in a transaction', figure: 0 })]
    const level = levelOf(first.figure, thresholds, idleInTransaction)
    const say = `${whoIs(first.session)} has been idle in its transaction for ${duration(first.figure)}${more(many)}`
    const found: Found = { level, figure: first.figure, say, leadsTo: placeOf(first.session) }
    return [
      hidden(
        state,
        server,
        level === 'ok' ? found : { ...found, remedy: `${endIt}; idle_in_transaction_session_timeout does it by itself` },
      ),
    ]
  },
}

const queries: Check = {
  id: 'long_queries',
  title: 'Long queries',
  why: 'A query that runs far longer than usual takes processor and disk from all others.',
  of: 'postgres',
  unit: 's',
  warning: 'querySeconds',
  needs: [activity],
  uses: [names],
  look: (state, server) => {
    const { thresholds } = state.settings
    const running = clientsOf(state, server).filter(row => is(row.state, 'active') || is(row.state, 'fastpath function call'))
    const { first, many } = longest(running, row => row.queryAgeSeconds, thresholds.querySeconds)
    if (!first) return [hidden(state, server, { level: 'ok', say: 'no query is running', figure: 0 })]
    const level = levelOf(first.figure, thresholds, queries)
    const say = `${whoIs(first.session)} has been running for ${duration(first.figure)}${more(many)}`
    const found: Found = { level, figure: first.figure, say, leadsTo: placeOf(first.session) }
    return [
      hidden(state, server, level === 'ok' ? found : { ...found, remedy: 'see what it waits for in 1 Activity; C cancels it' }),
    ]
  },
}

const lockWaits: Check = {
  id: 'lock_waits',
  title: 'Waits for locks',
  why: 'Sessions queue behind whoever holds a lock, and those who come later queue behind them.',
  of: 'postgres',
  unit: 's',
  warning: 'lockWaitSeconds',
  critical: 'lockWaitCriticalSeconds',
  needs: [pulse],
  uses: [locks, names],
  look: (state, server) => {
    const { thresholds } = state.settings
    const waiting = postgresFigures(state, server.id).waiting ?? 0
    if (whyUnknown(state, server.id, locks) !== null) {
      if (waiting === 0) return [hidden(state, server, { level: 'ok', say: 'nobody waits for a lock', figure: 0 })]
      const say = `${waiting} ${waiting === 1 ? 'waits' : 'wait'} for locks`
      return [{ level: 'warning', say, figure: null, leadsTo: { panel: 'locks', list: 'locks' } }]
    }
    const rows = waitsOf(state, server.id)
    const waits = rows.filter(({ waitSeconds }) => waitSeconds !== null)
    const [longestWait] = waits.toSorted((a, b) => (b.waitSeconds ?? 0) - (a.waitSeconds ?? 0))
    if (!longestWait) return [{ level: 'ok', say: 'nobody waits for a lock', figure: 0 }]
    const figure = longestWait.waitSeconds ?? 0
    const level = levelOf(figure, thresholds, lockWaits)
    const root = rows.find(({ depth, pid, gid }) => depth === 0 && pid === longestWait.rootPid && gid === longestWait.rootGid)
    return [
      {
        level,
        figure,
        say: `${waits.length} ${waits.length === 1 ? 'waits' : 'wait'} for locks, the longest ${duration(figure)}: pid ${longestWait.pid}${onWhat(longestWait)}, held up by ${rootWords(root, longestWait)}`,
        ...(level === 'ok' ? {} : { remedy: 'look at the root in 2 Locks: C cancels its query, K ends it' }),
        leadsTo: {
          panel: 'locks',
          list: 'locks',
          row: root ? { pid: root.pid, gid: root.gid, depth: 0 } : { pid: longestWait.pid },
        },
      },
    ]
  },
}

function onWhat(row: LockWait): string {
  const what = short(objectWords(row), 40)
  return what ? ` on ${what}` : ''
}

function rootWords(root: LockWait | undefined, { rootPid, rootGid }: LockWait): string {
  if (rootPid === 0) return `the prepared transaction ${short(rootGid ?? '', 40)}`
  const by = root
    ? ` (${short(nameOf(root.usename, root.usesysid), 24)}${root.application_name ? `/${short(root.application_name, 24)}` : ''}, ${drawable(root.state) || 'state not known'})`
    : ''
  return `pid ${rootPid}${by}`
}

type Holder = { readonly age: number; readonly who: string; readonly place?: NonNullable<Found['leadsTo']> }

const xminHorizon: Check = {
  id: 'xmin_horizon',
  title: 'What holds back VACUUM',
  why: 'VACUUM removes nothing that the oldest snapshot could still see, in any table: dead rows pile up.',
  of: 'primary',
  unit: '',
  warning: 'xminAge',
  critical: 'xminCriticalAge',
  needs: [activity, slots, senders, preparedTransactions],
  uses: [names],
  look: (state, server) => {
    const [oldest] = horizon(state, server).toSorted((a, b) => b.age - a.age)
    if (!oldest) return [hidden(state, server, { level: 'ok', say: 'nothing holds it back', figure: 0 })]
    const level = levelOf(oldest.age, state.settings.thresholds, xminHorizon)
    return [
      {
        level,
        figure: oldest.age,
        say: `VACUUM is held back ${count(oldest.age)} transactions by ${oldest.who}`,
        ...(level === 'ok' ? {} : { remedy: 'end it, roll it back, drop the slot, or end the query on the standby' }),
        ...(oldest.place ? { leadsTo: oldest.place } : {}),
      },
    ]
  },
}

/** All that VACUUM must respect, each with its age in transactions. */
function horizon(state: State, server: ServerState): readonly Holder[] {
  const { id } = server
  const sessions = sessionsOf(state, id).flatMap((session): Holder[] =>
    session.xminAgeXids === null || session.own || session.kind === 'walsender'
      ? []
      : [{ age: session.xminAgeXids, who: whoIs(session), place: placeOf(session) }],
  )
  const feedback = rowsOf(state, id, senders).flatMap((row): Holder[] =>
    row.xminAge === null
      ? []
      : [
          {
            age: row.xminAge,
            who: `a query on the standby ${short(row.application_name ?? '', 40)} (hot_standby_feedback)`,
            place: { panel: 'replication', list: 'replication', row: { server: id, pid: row.pid } },
          },
        ],
  )
  const held = rowsOf(state, id, slots).flatMap((row): Holder[] => {
    const age = Math.max(row.xminAge ?? -1, row.catalogXminAge ?? -1)
    const place = { panel: 'replication', list: 'slots', row: { server: id, slot_name: row.slot_name } }
    return age < 0 ? [] : [{ age, who: `the slot ${short(row.slot_name, 40)}${row.active ? '' : ', which nobody uses'}`, place }]
  })
  const prepared = rowsOf(state, id, preparedTransactions).map(
    (row): Holder => ({ age: row.xid_age, who: `the prepared transaction ${short(row.gid, 40)}` }),
  )
  return [...sessions, ...feedback, ...held, ...prepared]
}

const prepared: Check = {
  id: 'prepared_transactions',
  title: 'Prepared transactions',
  why: 'One that its coordinator has forgotten keeps locks and holds back VACUUM until somebody ends it by name, through restarts too.',
  of: 'primary',
  unit: 's',
  warning: 'preparedSeconds',
  needs: [preparedTransactions],
  uses: [names],
  look: (state, server) => {
    const rows = rowsOf(state, server.id, preparedTransactions)
    const [oldest] = rows.toSorted((a, b) => b.prepared_age_seconds - a.prepared_age_seconds)
    if (!oldest) return [{ level: 'ok', say: 'there are none', figure: 0 }]
    const level = levelOf(oldest.prepared_age_seconds, state.settings.thresholds, prepared)
    const { databases, roles } = namesOf(state, server.id)
    const whose = `${short(nameOf(roles.get(oldest.ownerid) ?? null, oldest.ownerid), 24)} in ${short(nameOf(databases.get(oldest.dbid) ?? null, oldest.dbid), 24)}`
    return [
      {
        level,
        figure: oldest.prepared_age_seconds,
        say: `${plural(rows.length, 'prepared transaction')}, the oldest for ${duration(oldest.prepared_age_seconds)}: ${short(oldest.gid, 40)} (${whose})`,
        ...(level === 'ok'
          ? {}
          : { remedy: 'ask its coordinator; else COMMIT PREPARED or ROLLBACK PREPARED with its name, in its database' }),
      },
    ]
  },
}

export const sessionChecks: readonly Check[] = [transactions, idleInTransaction, queries, lockWaits, xminHorizon, prepared]
