// Cancel and terminate: of sessions in Activity, Locks and Progress, of walsenders in Replication. What is kept of them: session-targets.ts.

import { isIdleInTransaction } from '../model/activity.ts'
import { duration } from '../model/format.ts'
import { freedBy } from '../model/freed.ts'
import { withoutPasswords } from '../model/redact.ts'
import type { ReplicationRow } from '../model/replication.ts'
import { drawable, is, raw, short, type Untrusted } from '../model/untrusted.ts'
import { namesOf, ownPids, waitsOf } from '../sessions.ts'
import { activity } from '../sql/activity.ts'
import { locks } from '../sql/locks.ts'
import { showClients, showServers } from '../sql/pgbouncer.ts'
import { names } from '../sql/server.ts'
import { idsOf, whyUnknown } from '../store/selectors.ts'
import type { State } from '../store/state.ts'
import { action, type Hands, type Line, type Question, type WhyNot, whyNot } from './action.ts'
import { ourRole } from './guards.ts'
import {
  freeze,
  isAutovacuum,
  isClient,
  isWalsender,
  ofWalsender,
  preventsWraparound,
  type SessionRow,
  type SessionTarget,
  sendsBackup,
} from './session-targets.ts'
import { cancelStatement, signal, terminateStatement } from './signal.ts'
import { written } from './statement.ts'
import { toType, typable } from './words.ts'

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

const record = (target: SessionTarget) => {
  const { pid, backend_start, query_start, usename, datname, application_name, caller, pooler, state, query } = target
  return { pid, backend_start, query_start, usename, datname, application_name, client: caller, pooler, state, query }
}

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
