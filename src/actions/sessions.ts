// Cancel and terminate: of sessions in Activity, Locks and Progress, of walsenders in Replication.

import { caller, isIdleInTransaction, type Session, stateWord } from '../model/activity.ts'
import { duration } from '../model/format.ts'
import { freedBy } from '../model/freed.ts'
import type { LockWait } from '../model/locks.ts'
import type { ProgressRow } from '../model/progress.ts'
import { withoutPasswords } from '../model/redact.ts'
import type { ReplicationRow } from '../model/replication.ts'
import { drawable, is, raw, short, type Untrusted } from '../model/untrusted.ts'
import { ServerError, type WireRow } from '../server/deed.ts'
import { behindOn, namesOf, ownPids, waitsOf } from '../sessions.ts'
import { activity } from '../sql/activity.ts'
import { backendNow, cancelBackend, terminateBackend } from '../sql/deeds.ts'
import { locks } from '../sql/locks.ts'
import { showClients, showServers } from '../sql/pgbouncer.ts'
import { names } from '../sql/server.ts'
import { idsOf, whyUnknown } from '../store/selectors.ts'
import type { Frozen, State } from '../store/state.ts'
import { action, type Hands, type Line, type Question, type Report, type WhyNot, whyNot } from './action.ts'
import { ourRole, placeOf } from './guards.ts'
import { type Statement, written } from './statement.ts'
import { toType, typable } from './words.ts'

export type SessionTarget = Frozen & {
  readonly pid: number
  readonly backend_start: Untrusted | null
  readonly query_start: Untrusted | null
  readonly backend_type: Untrusted | null
  readonly leader_pid: number | null
  readonly usesysid: bigint | null
  readonly usename: Untrusted | null
  readonly datname: Untrusted | null
  readonly application_name: Untrusted | null
  readonly state: Untrusted | null
  readonly query: Untrusted | null
  readonly xactAgeSeconds: number | null
  readonly queryAgeSeconds: number | null
  /** In its own words: idle, active, restricted... */
  readonly doing: string
  /** The application really behind it, and the pooler in between. Not drawable. */
  readonly caller: string
  readonly pooler: string | null
  readonly hasWritten: boolean
  readonly own: boolean
  /** The watched standby that a walsender feeds. */
  readonly standby: string | null
}

function ofSession(row: Session, state: State): SessionTarget {
  const { pid, backend_start, query_start, backend_type, leader_pid, usesysid, usename, datname, application_name, query } = row
  const { xactAgeSeconds, queryAgeSeconds, pooler, own } = row
  return {
    ...placeOf(state, row.server),
    label: `pid ${pid}`,
    ...{ pid, backend_start, query_start, backend_type, leader_pid, usesysid, usename, datname, application_name, query },
    ...{ xactAgeSeconds, queryAgeSeconds, pooler, own },
    state: row.state,
    doing: drawable(stateWord(row)),
    caller: caller(row),
    hasWritten: row.backend_xid !== null,
    standby: null,
  }
}

/** A session as lists other than Activity tell of it. */
type Seen = Pick<
  LockWait,
  | ('server' | 'pid' | 'backend_start' | 'query_start' | 'backend_type' | 'leader_pid' | 'usesysid' | 'usename' | 'datname')
  | ('application_name' | 'client_addr' | 'client_port' | 'state' | 'query' | 'xactAgeSeconds' | 'queryAgeSeconds' | 'restricted')
  | 'backend_xid'
>

function ofWait(row: LockWait, state: State): SessionTarget | WhyNot {
  if (row.pid === 0) return whyNot('a prepared transaction has no session: F9 offers COMMIT PREPARED and ROLLBACK PREPARED')
  return ofSeen(row, state)
}

function ofProgress(row: ProgressRow, state: State): SessionTarget | WhyNot {
  return ofSeen({ ...row, leader_pid: null, queryAgeSeconds: row.elapsedSeconds }, state)
}

function ofSeen(row: Seen, state: State): SessionTarget | WhyNot {
  if (row.backend_start === null && !row.restricted) return whyNot('it has ended meanwhile')
  const behind = behindOn(state, row.server)(row)
  const { pid, backend_start, query_start, backend_type, leader_pid, usesysid, usename, datname, application_name, query } = row
  return {
    ...placeOf(state, row.server),
    label: `pid ${pid}`,
    ...{ pid, backend_start, query_start, backend_type, leader_pid, usesysid, usename, datname, application_name, query },
    xactAgeSeconds: row.xactAgeSeconds,
    queryAgeSeconds: row.queryAgeSeconds,
    state: row.state,
    doing: drawable(stateWord(row)),
    caller: caller({
      ...row,
      pooler: behind?.pooler ?? null,
      pooledClient: behind?.client ?? null,
      pooledLinked: behind?.linked ?? null,
    }),
    pooler: behind?.pooler ?? null,
    hasWritten: row.backend_xid !== null,
    own: ownPids(state, row.server).has(pid),
    standby: null,
  }
}

function ofWalsender(row: ReplicationRow, state: State): SessionTarget | WhyNot {
  if (row.pid === null) return whyNot('no walsender serves it now')
  const { server, pid, backend_start, usesysid, application_name, standby } = row
  return {
    ...placeOf(state, server),
    label: `pid ${pid}`,
    ...{ pid, backend_start, usesysid, application_name, standby },
    query_start: null,
    backend_type: 'walsender' as unknown as Untrusted,
    leader_pid: null,
    usename: usesysid === null ? null : (namesOf(state, server).roles.get(usesysid) ?? null),
    datname: null,
    state: null,
    query: null,
    xactAgeSeconds: null,
    queryAgeSeconds: null,
    doing: drawable(row.state),
    caller: row.client_addr === null ? '' : `${raw(row.client_addr)}:${row.client_port ?? ''}`,
    pooler: null,
    hasWritten: false,
    own: false,
    standby,
  }
}

// Processes that are the server itself. Those of extensions (background workers) have names of their own.
const auxiliary = new Set([
  'startup',
  'checkpointer',
  'background writer',
  'walwriter',
  'archiver',
  'logger',
  'stats collector',
  'walreceiver',
  'walsummarizer',
  'slotsync worker',
  'io worker',
  'autovacuum launcher',
  'logical replication launcher',
])
const isWalsender = ({ backend_type }: SessionTarget) => is(backend_type, 'walsender')
/** A walsender of a base backup is like a client: it can be cancelled, and cuts no standby off. */
const sendsBackup = (target: SessionTarget) =>
  isWalsender(target) && /^\s*BASE_BACKUP\b/i.test(target.query === null ? '' : raw(target.query))
const isAutovacuum = ({ backend_type }: SessionTarget) => is(backend_type, 'autovacuum worker')
const preventsWraparound = (target: SessionTarget) =>
  isAutovacuum(target) && target.query !== null && raw(target.query).includes('(to prevent wraparound)')
const isClient = ({ backend_type }: SessionTarget) => is(backend_type, 'client backend')

/** Whether a signal to it can be sent at all, and by us. */
function guardSignal(target: SessionTarget, state: State): WhyNot | null {
  const role = ourRole(state, target.server)
  if (target.own || ownPids(state, target.server).has(target.pid)) return whyNot("it is one of pgvigil's own sessions")
  const facts = state.servers[target.server]?.facts
  if (facts?.superuser === false && target.usesysid !== null && namesOf(state, target.server).superusers.has(target.usesysid)) {
    return whyNot(`only a superuser may signal a session of superuser ${drawable(target.usename)}, and ${role} is none`)
  }
  if (target.backend_start === null) {
    const roles = facts?.signalsBackends === false ? 'pg_monitor, pg_signal_backend' : 'pg_monitor'
    return whyNot(
      `restricted: GRANT ${roles} TO ${role}; (when it began can't be seen, so it can't be told from a later session of that pid)`,
    )
  }
  const type = target.backend_type === null ? '' : raw(target.backend_type)
  if (auxiliary.has(type)) return whyNot(`it is the ${drawable(type)}, a process of the server itself`)
  if (is(target.backend_type, 'parallel worker')) {
    return whyNot(`it is a parallel worker${target.leader_pid === null ? '' : `: act on its leader, pid ${target.leader_pid}`}`)
  }
  return guardPrivilege(target, state, role)
}

/** Signals to sessions of other roles that are no superusers. */
function signalRight(server: string, state: State): WhyNot | null {
  const facts = state.servers[server]?.facts
  if (!facts || facts.superuser) return null
  const lacking = [...(facts.readsAllStats ? [] : ['pg_monitor']), ...(facts.signalsBackends ? [] : ['pg_signal_backend'])]
  return lacking.length === 0 ? null : whyNot(`GRANT ${lacking.join(', ')} TO ${ourRole(state, server)};`)
}

function guardPrivilege(target: SessionTarget, state: State, role: string): WhyNot | null {
  const facts = state.servers[target.server]?.facts
  if (!facts || facts.superuser) return null
  const { privileges } = namesOf(state, target.server)
  if (isAutovacuum(target)) {
    if (facts.signalsAutovacuum) return null
    return whyNot(
      facts.version >= 180000
        ? `no right: GRANT pg_signal_autovacuum_worker TO ${role}; (to signal an autovacuum worker)`
        : 'only a superuser may signal an autovacuum worker',
    )
  }
  if (target.usesysid === null) return whyNot(`only a superuser may signal a process of the server, and ${role} is none`)
  if (privileges.has(target.usesysid) || facts.signalsBackends) return null
  return whyNot(`no right: GRANT pg_signal_backend TO ${role}; (to signal sessions of ${drawable(target.usename)})`)
}

function guardCancel(target: SessionTarget, state: State): WhyNot | null {
  const general = guardSignal(target, state)
  if (general) return general
  if (isWalsender(target) && !sendsBackup(target)) return whyNot('a walsender runs no query that could be cancelled')
  if (isIdleInTransaction(target)) {
    return whyNot('no effect while idle in transaction; K terminates the session (its transaction stays open until then)')
  }
  if (is(target.state, 'idle')) return whyNot('it is idle: there is no query to cancel')
  return target.query_start === null ? whyNot('it runs no query') : null
}

/** Grave for what comes back by itself, or what others depend on. */
function gravity(target: SessionTarget): readonly string[] | null {
  const pid = toType(String(target.pid))
  if (isWalsender(target) && !sendsBackup(target)) {
    const name = typable(target.application_name)
    return name === null ? [pid] : [toType(name), pid]
  }
  return preventsWraparound(target) || !(isClient(target) || isAutovacuum(target) || sendsBackup(target)) ? [pid] : null
}

const seconds = (value: number | null) => (value === null ? '' : duration(value))
const dash = (text: string) => text || '–'

function hit(targets: readonly SessionTarget[]): Pick<Question, 'head' | 'hit'> {
  return {
    head: ['PID', 'USER', 'DB', 'CLIENT', 'STATE', 'XACT', 'STMT', 'QUERY'],
    hit: targets.map(target => [
      String(target.pid),
      dash(short(target.usename ?? '', 16)),
      dash(short(target.datname ?? '', 16)),
      dash(short(target.caller, 40)),
      dash(isClient(target) ? target.doing : drawable(target.backend_type)),
      dash(seconds(target.xactAgeSeconds)),
      dash(seconds(target.queryAgeSeconds)),
      drawable(target.query === null ? null : withoutPasswords(raw(target.query))).trim(),
    ]),
  }
}

const number = (count: number, one: string, many = `${one}s`) => `${count} ${count === 1 ? one : many}`
const pidList = (pids: readonly number[]) => {
  const told = pids.slice(0, 6).map(pid => (pid === 0 ? 'a prepared transaction' : String(pid)))
  return `${told.join(', ')}${pids.length > 6 ? ` (+${pids.length - 6})` : ''}`
}

/** Whom it frees, in sentences. */
export function freesLines(
  endings: readonly { pid: number; gid: Untrusted | null }[],
  server: string,
  state: State,
): readonly Line[] {
  const unknown = whyUnknown(state, server, locks)
  if (unknown !== null) return [{ text: `whom it frees is not known: ${unknown}`, tone: 'warning' }]
  const freed = freedBy(endings, waitsOf(state, server))
  if (freed.heldUp === 0) return [{ text: 'nobody waits for it', tone: 'dim' }]
  const longest = freed.longestWaitSeconds === null ? '' : `, the oldest has waited ${duration(freed.longestWaitSeconds)}`
  const frees = freed.heldUp - freed.stay
  return [
    frees === 0
      ? {
          text: `frees nobody: ${number(freed.heldUp, 'session')} it holds up ${freed.heldUp === 1 ? 'is' : 'are'} held up by others too`,
          tone: 'warning',
        }
      : { text: `frees ${number(frees, 'session')}${longest}: ${freed.atOnce} at once`, tone: 'ok' },
    ...(freed.queued > 0
      ? [
          {
            text: `${freed.queued} of them then ${freed.queued === 1 ? 'waits' : 'wait'} for ${pidList(freed.queuedBehind)}, whose turn comes first`,
          },
        ]
      : []),
    ...(freed.stay > 0
      ? [
          {
            text: `${number(freed.stay, 'session')} still blocked afterwards, by ${pidList(freed.stayBehind)}`,
            tone: 'warning' as const,
          },
        ]
      : []),
  ]
}

function poolerLines(targets: readonly SessionTarget[]): readonly Line[] {
  const pooled = targets.filter(({ pooler }) => pooler !== null)
  const [first] = pooled
  if (!first) return []
  const whom =
    first.caller === 'unlinked'
      ? 'no client has it now'
      : `the client that has it now (${drawable(first.caller)}) is disconnected too`
  return [
    {
      text:
        pooled.length === 1
          ? `${targets.length > 1 ? `${first.label} ` : ''}belongs to PgBouncer ${drawable(first.pooler)}: ${whom}`
          : `${pooled.length} belong to PgBouncer: the clients that have them now are disconnected too`,
      tone: 'warning',
    },
  ]
}

function askCancel(targets: readonly SessionTarget[], state: State): Question {
  const several = targets.length > 1
  return {
    ...hit(targets),
    follows: [
      {
        text: `${several ? 'their queries end' : 'its query ends'} with an error; an open transaction is rolled back (to its last savepoint, where it has one) and stays open, aborted, until the client ends it`,
      },
      ...targets.filter(preventsWraparound).map(wraparoundLine),
      ...targets.filter(sendsBackup).map(backupLine),
      ...freesLines(
        targets.map(({ pid }) => ({ pid, gid: null })),
        targets[0]!.server,
        state,
      ),
    ],
  }
}

const wraparoundLine = (): Line => ({
  text: 'autovacuum to prevent wraparound: it starts again at once, and putting it off brings the server nearer to a stop',
  tone: 'critical',
})

const backupLine = (): Line => ({ text: 'the base backup fails: what was taken of it is of no use', tone: 'warning' })

function askTerminate(targets: readonly SessionTarget[], state: State): Question {
  const { server } = targets[0]!
  const walsender = targets.find(target => isWalsender(target) && !sendsBackup(target))
  if (walsender) {
    const who = drawable(walsender.standby) || drawable(walsender.application_name)
    return {
      ...hit(targets),
      follows: [
        {
          text: `${who || 'the receiver'} is cut off from its WAL and falls behind until it connects again by itself`,
          tone: 'critical',
        },
        { text: 'commits that wait for a synchronous standby wait meanwhile', tone: 'warning' },
      ],
    }
  }
  const open = targets.filter(target => target.xactAgeSeconds !== null)
  const oldest = Math.max(...open.map(target => target.xactAgeSeconds ?? 0))
  const changes = targets.some(({ hasWritten }) => hasWritten) ? ', with all that it has written' : ''
  return {
    ...hit(targets),
    follows: [
      open.length === 0
        ? { text: `${targets.length > 1 ? 'no transaction of theirs is' : 'no transaction is'} open; the client is disconnected` }
        : {
            text:
              targets.length === 1
                ? `its transaction, open for ${duration(oldest)}, is rolled back${changes}; the client is disconnected`
                : `${number(open.length, 'open transaction')} ${open.length === 1 ? 'is' : 'are'} rolled back, the oldest of ${duration(oldest)}; the clients are disconnected`,
          },
      ...poolerLines(targets),
      ...targets.filter(preventsWraparound).map(wraparoundLine),
      ...targets.filter(sendsBackup).map(backupLine),
      ...(targets.some(target => !isClient(target) && !isAutovacuum(target) && !isWalsender(target))
        ? [{ text: 'a background worker: what started it may start it again', tone: 'warning' as const }]
        : []),
      ...freesLines(
        targets.map(({ pid }) => ({ pid, gid: null })),
        server,
        state,
      ),
    ],
  }
}

function watches({ server }: SessionTarget, state: State) {
  const poolers = idsOf(state, 'pgbouncer').flatMap(id => [showServers, showClients].map(query => ({ server: id, query })))
  return [...[activity, locks, names].map(query => ({ server, query })), ...poolers]
}

/** A newer reading of all sessions has no such session (or, for a cancel, another query). */
function goneFrom(target: SessionTarget, state: State, since: number, ofQuery: boolean): boolean {
  const sample = state.servers[target.server]?.readings[activity.id]?.sample
  if (!sample || sample.at <= since) return false
  const now = (sample.rows as readonly Pick<SessionTarget, 'pid' | 'backend_start' | 'query_start' | 'state'>[]).find(
    row => row.pid === target.pid,
  )
  // A session that can no longer be seen is not gone for that.
  if (now && now.backend_start === null) return false
  if (!now || now.backend_start !== target.backend_start) return true
  return ofQuery && (now.query_start !== target.query_start || !isRunning(now.state))
}

const isRunning = (state: Untrusted | null) => is(state, 'active') || is(state, 'fastpath function call')

/** How long the outcome of a signal is waited for, and how often it is looked at. Milliseconds. */
const verify = { forMs: 4000, everyMs: 150 }

const wait = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

/** Asks on the deed's own connection; where none can be had, on the session that reads. */
async function asker(hands: Hands): Promise<(text: string, values: readonly (string | number)[]) => Promise<readonly WireRow[]>> {
  try {
    const session = await hands.open()
    return async (text, values) => (await session.run(text, values)).rows
  } catch (error) {
    // No slot is free, or a catalog that a new session needs is locked: then ending somebody is just what helps.
    const { code, message } = error as { code?: string | null; message: string }
    if (code !== '53300' && !(code === 'ETIMEDOUT' || /no answer within/.test(message))) throw error
    return async (text, values) => {
      const rows = await hands.lend(text, values)
      if (rows === null) throw error
      return rows
    }
  }
}

async function signal(target: SessionTarget, statement: Statement, ofQuery: boolean, hands: Hands): Promise<Report> {
  const ask = await asker(hands)
  const [answer] = await ask(statement.text, statement.values)
  if (answer?.sent !== 't') return nothingDone(target, ask, ofQuery)
  const sentAt = hands.now()
  const sent = () => duration((hands.now() - sentAt) / 1000)
  hands.tell({ outcome: 'signal sent', say: 'signal sent' })
  try {
    while (hands.now() - sentAt < verify.forMs) {
      const [now] = await ask(backendNow, [target.pid])
      if (now && now.backend_start === null) {
        return {
          outcome: 'signal sent',
          say: 'signal sent; what became of it can no longer be seen (pg_read_all_stats is missing)',
        }
      }
      if (!now || now.backend_start !== text(target.backend_start)) {
        return { outcome: 'gone', say: `gone after ${sent()}${ofQuery ? ': the session has ended' : ''}` }
      }
      if (ofQuery && (now.query_start !== text(target.query_start) || !/^(active|fastpath)/.test(now.state ?? ''))) {
        return { outcome: 'gone', say: `gone: the query has ended after ${sent()}` }
      }
      hands.tell({ outcome: 'signal sent', say: `signal sent, still there after ${sent()}` })
      await wait(verify.everyMs)
    }
  } catch (error) {
    if (!(error instanceof ServerError)) throw error
    return { outcome: 'signal sent', say: `signal sent; what became of it is not known: ${drawable(error.message)}` }
  }
  return { outcome: 'still there', say: `signal sent, still there after ${sent()}: it has not obeyed yet` }
}

const text = (value: Untrusted | null) => (value === null ? null : raw(value))

/** The guard of the statement found nobody: gone, another query, or no longer to be seen. */
async function nothingDone(target: SessionTarget, ask: Awaited<ReturnType<typeof asker>>, ofQuery: boolean): Promise<Report> {
  const [now] = await ask(backendNow, [target.pid])
  if (!now) return { outcome: 'already gone', say: 'already gone: nothing was done' }
  if (now.backend_start === null) {
    return {
      outcome: 'refused',
      say: 'nothing was done: the session can no longer be told from others (pg_read_all_stats is missing)',
    }
  }
  if (now.backend_start !== text(target.backend_start)) {
    return { outcome: 'already gone', say: `already gone: pid ${target.pid} is another session now, which was left alone` }
  }
  return ofQuery
    ? { outcome: 'already gone', say: 'already gone: that query has ended; what the session does now was left alone' }
    : { outcome: 'failed', say: 'the server says that the signal could not be sent' }
}

const record = (target: SessionTarget) => {
  const { pid, backend_start, query_start, usename, datname, application_name, caller, pooler, state, query } = target
  return { pid, backend_start, query_start, usename, datname, application_name, client: caller, pooler, state, query }
}

const terminateStatement = ({ pid, backend_start }: SessionTarget): Statement => ({
  text: terminateBackend,
  values: [pid, text(backend_start) ?? ''],
})
const cancelStatement = ({ pid, backend_start, query_start }: SessionTarget): Statement => ({
  text: cancelBackend,
  values: [pid, text(backend_start) ?? '', text(query_start) ?? ''],
})

const shared = { on: 'postgres' as const, right: signalRight, watches, record, words: gravity, takes: 'all' as const }

const cancelSpec = {
  ...shared,
  id: 'cancel',
  command: 'cancel',
  label: 'Cancel query',
  help: 'Cancels the query it runs (pg_cancel_backend); the session stays.',
  guard: guardCancel,
  ask: askCancel,
  gone: (target: SessionTarget, state: State, since: number) => goneFrom(target, state, since, true),
  sql: (target: SessionTarget) => [written(cancelStatement(target))],
  run: (target: SessionTarget, hands: Hands) => signal(target, cancelStatement(target), true, hands),
}

const terminateSpec = {
  ...shared,
  id: 'terminate',
  command: 'terminate',
  label: 'Terminate session',
  help: 'Ends the session (pg_terminate_backend); its transaction is rolled back.',
  guard: guardSignal,
  ask: askTerminate,
  gone: (target: SessionTarget, state: State, since: number) => goneFrom(target, state, since, false),
  sql: (target: SessionTarget) => [written(terminateStatement(target))],
  run: (target: SessionTarget, hands: Hands) => signal(target, terminateStatement(target), false, hands),
}

type SessionRow = Session | LockWait | ProgressRow

/** Rows of the three lists are told apart by what only one of them has. */
function freeze(row: SessionRow, state: State): SessionTarget | WhyNot {
  if ('phase' in row) return ofProgress(row, state)
  return 'rootPid' in row ? ofWait(row, state) : ofSession(row, state)
}

const lists = ['activity', 'locks', 'progress']

export const sessionActions = [
  action<SessionRow, SessionTarget>({ ...cancelSpec, lists, freeze }),
  action<SessionRow, SessionTarget>({ ...terminateSpec, lists, freeze }),
  action<ReplicationRow, SessionTarget>({
    ...terminateSpec,
    id: 'terminateWalsender',
    label: 'Terminate walsender',
    help: 'Ends the walsender; the standby connects again by itself.',
    takes: 'one',
    lists: ['replication'],
    freeze: ofWalsender,
  }),
]
