// A prepared transaction that holds others up: to be committed or rolled back, in the database where it was prepared.

import { duration } from '../model/format.ts'
import type { LockWait } from '../model/locks.ts'
import { sqlText } from '../model/sql-name.ts'
import { drawable, raw, type Untrusted } from '../model/untrusted.ts'
import { namesOf, waitsOf } from '../sessions.ts'
import { preparedNow } from '../sql/deeds.ts'
import { locks } from '../sql/locks.ts'
import type { Frozen, State } from '../store/state.ts'
import { type Action, action, type Hands, type Report, type WhyNot, whyNot } from './action.ts'
import { ourRole, placeOf } from './guards.ts'
import { freesLines } from './sessions.ts'
import { toType, typable } from './words.ts'

type PreparedTarget = Frozen & {
  readonly gid: Untrusted
  readonly prepared: Untrusted
  readonly datname: Untrusted | null
  readonly usesysid: bigint | null
  readonly usename: Untrusted | null
  readonly ageSeconds: number | null
}

function freeze(row: LockWait, state: State): PreparedTarget | WhyNot {
  if (row.gid === null || row.xact_start === null) {
    return whyNot(
      row.pid === 0 ? 'which transaction it is can no longer be told' : 'it is a session, and no prepared transaction',
    )
  }
  return {
    ...placeOf(state, row.server),
    label: `prepared transaction ${drawable(row.gid)}`,
    gid: row.gid,
    prepared: row.xact_start,
    datname: row.datname,
    usesysid: row.usesysid,
    usename: row.usename,
    ageSeconds: row.xactAgeSeconds,
  }
}

function guard(target: PreparedTarget, state: State): WhyNot | null {
  if (target.role === 'standby') return whyNot('a standby can end no prepared transaction: do it on the primary')
  if (target.datname === null) return whyNot('the name of its database is not known')
  const facts = state.servers[target.server]?.facts
  const owner = target.usesysid
  if (!facts || facts.superuser || owner === null) return null
  const { roles, privileges } = namesOf(state, target.server)
  // Being a member is not enough: it takes the very role, or a superuser.
  const ours = state.servers[target.server]?.user
  const name = roles.get(owner)
  if (name !== undefined && raw(name) === ours) return null
  return whyNot(
    `only its owner ${drawable(target.usename)} or a superuser may end it${privileges.has(owner) ? `: connect as ${drawable(target.usename)}` : `, and ${ourRole(state, target.server)} is neither`}`,
  )
}

const statement = (verb: 'COMMIT' | 'ROLLBACK', { gid }: PreparedTarget) => `${verb} PREPARED ${sqlText(raw(gid))}`

async function run(verb: 'COMMIT' | 'ROLLBACK', target: PreparedTarget, hands: Hands): Promise<Report> {
  const session = await hands.open({ database: raw(target.datname!) })
  const values = [raw(target.gid), raw(target.prepared)]
  if ((await session.run(preparedNow, values)).rows.length === 0) {
    return { outcome: 'already gone', say: 'already gone: somebody has committed it or rolled it back; nothing was done' }
  }
  // Behind a pooler too it must not stand in a transaction, where the server refuses it.
  await session.runAlone(statement(verb, target))
  const left = (await session.run(preparedNow, values)).rows.length > 0
  return left
    ? { outcome: 'still there', say: 'the server took it, and still lists the transaction' }
    : { outcome: 'done', say: verb === 'COMMIT' ? 'committed' : 'rolled back' }
}

const shared = (verb: 'COMMIT' | 'ROLLBACK'): Omit<Action<LockWait, PreparedTarget>, 'id' | 'command' | 'label' | 'help'> => ({
  lists: ['locks'],
  takes: 'one',
  on: 'postgres',
  right: (server, state) =>
    state.servers[server]?.facts?.superuser === false
      ? whyNot('only those that our own role has prepared: all takes a superuser')
      : null,
  freeze,
  guard,
  words: target => [toType(typable(target.gid) ?? verb)],
  watches: ({ server }) => [{ server, query: locks }],
  ask: ([target], state) => ({
    head: ['GID', 'DB', 'OWNER', 'PREPARED', 'FOR'],
    hit: [
      [
        drawable(target!.gid),
        drawable(target!.datname),
        drawable(target!.usename),
        drawable(target!.prepared),
        duration(target!.ageSeconds),
      ],
    ],
    follows: [
      {
        text:
          verb === 'COMMIT'
            ? 'its changes become visible to all: right only if the transaction manager decided to commit'
            : 'its changes are lost: right only if the transaction manager did not commit its other parts',
        tone: 'critical',
      },
      ...freesLines([{ pid: 0, gid: target!.gid }], target!.server, state),
    ],
  }),
  gone: (target, state, since) => {
    const sample = state.servers[target.server]?.readings[locks.id]?.sample
    return !!sample && sample.at > since && !waitsOf(state, target.server).some(row => row.pid === 0 && row.gid === target.gid)
  },
  sql: target => [`-- in database ${raw(target.datname ?? target.gid)}`, statement(verb, target)],
  record: ({ gid, prepared, datname, usename }) => ({ gid, prepared, datname, usename }),
  run: (target, hands) => run(verb, target, hands),
})

export const preparedActions = [
  action<LockWait, PreparedTarget>({
    ...shared('COMMIT'),
    id: 'commitPrepared',
    command: 'commitPrepared',
    label: 'COMMIT PREPARED',
    help: 'Commits a prepared transaction.',
  }),
  action<LockWait, PreparedTarget>({
    ...shared('ROLLBACK'),
    id: 'rollbackPrepared',
    command: 'rollbackPrepared',
    label: 'ROLLBACK PREPARED',
    help: 'Rolls a prepared transaction back.',
  }),
]
