// What of a session is kept when the key is pressed, as each list tells of it.

import { caller, type Session, stateWord } from '../model/activity.ts'
import type { LockWait } from '../model/locks.ts'
import type { ProgressRow } from '../model/progress.ts'
import type { ReplicationRow } from '../model/replication.ts'
import { drawable, is, raw, type Untrusted } from '../model/untrusted.ts'
import { behindOn, namesOf, ownPids } from '../sessions.ts'
import type { Frozen, State } from '../store/state.ts'
import { type WhyNot, whyNot } from './action.ts'
import { placeOf } from './guards.ts'

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

export function ofWalsender(row: ReplicationRow, state: State): SessionTarget | WhyNot {
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

export type SessionRow = Session | LockWait | ProgressRow

/** Rows of the three lists are told apart by what only one of them has. */
export function freeze(row: SessionRow, state: State): SessionTarget | WhyNot {
  if ('phase' in row) return ofProgress(row, state)
  return 'rootPid' in row ? ofWait(row, state) : ofSession(row, state)
}

export const isWalsender = ({ backend_type }: SessionTarget) => is(backend_type, 'walsender')
/** A walsender of a base backup is like a client: it can be cancelled, and cuts no standby off. */
export const sendsBackup = (target: SessionTarget) =>
  isWalsender(target) && /^\s*BASE_BACKUP\b/i.test(target.query === null ? '' : raw(target.query))
export const isAutovacuum = ({ backend_type }: SessionTarget) => is(backend_type, 'autovacuum worker')
export const preventsWraparound = (target: SessionTarget) =>
  isAutovacuum(target) && target.query !== null && raw(target.query).includes('(to prevent wraparound)')
export const isClient = ({ backend_type }: SessionTarget) => is(backend_type, 'client backend')
