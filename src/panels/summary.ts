// The figures of a server's line: small sums over what every server is asked anyway.

import { perSecond } from '../model/format.ts'
import { type PoolerSummary, poolerSummary } from '../model/pools.ts'
import { primaryOf, type StandbySummary, standbySummary } from '../model/replication.ts'
import { counters, pulse } from '../sql/server.ts'
import { picture, read } from '../store/selectors.ts'
import type { State } from '../store/state.ts'
import { membersOf } from './members.ts'

/** null: not known yet, or not to be seen by this role. Rates are over the last interval; null across a reset. */
export type PostgresFigures = {
  readonly clients: number | null
  /** Connections that ordinary roles can really use. */
  readonly usable: number | null
  readonly active: number | null
  readonly waiting: number | null
  readonly idleInTransaction: number | null
  readonly restricted: number | null
  readonly transactionsPerSecond: number | null
  /** Share of block reads found in shared buffers over the interval, 0..1; null when nothing was read. */
  readonly hitRatio: number | null
  readonly walBytesPerSecond: number | null
  readonly oldestTransactionSeconds: number | null
  /** Only of a standby. */
  readonly standby: StandbySummary | null
}

export function postgresFigures(state: State, id: string): PostgresFigures {
  const beat = read(state, id, pulse)
  const now = beat.kind === 'fresh' || beat.kind === 'stale' ? beat.sample.rows[0] : undefined
  return {
    clients: now?.clients ?? null,
    usable: picture(state).servers[id]?.facts?.usableConnections ?? null,
    // Sessions whose state this role may not see are no evidence that none is active.
    active: now ? (now.restricted > 0 && now.active === 0 ? null : now.active) : null,
    waiting: now ? (now.restricted > 0 && now.waiting === 0 ? null : now.waiting) : null,
    idleInTransaction: now ? (now.restricted > 0 && now.idle_in_transaction === 0 ? null : now.idle_in_transaction) : null,
    restricted: now?.restricted ?? null,
    oldestTransactionSeconds: now?.oldest_xact_seconds ?? null,
    walBytesPerSecond: walRate(state, id),
    standby: now?.in_recovery ? standbyOf(state, id) : null,
    ...databaseRates(state, id),
  }
}

function standbyOf(state: State, id: string): StandbySummary | null {
  const members = membersOf(state)
  const standby = members.find(member => member.id === id)
  return standby ? standbySummary(standby, primaryOf(standby, members)) : null
}

function databaseRates(state: State, id: string): Pick<PostgresFigures, 'transactionsPerSecond' | 'hitRatio'> {
  const reading = read(state, id, counters)
  // While the server answers, counters that can't be read now (a catalog is locked) tell no rate of now.
  const failing = picture(state).servers[id]?.readings[counters.id]?.problem != null
  if ((reading.kind !== 'fresh' && reading.kind !== 'stale') || failing) return { transactionsPerSecond: null, hitRatio: null }
  const [now, before] = [reading.sample.rows[0], reading.previous?.rows[0]]
  if (!now || !before || now.stats_epoch !== before.stats_epoch) return { transactionsPerSecond: null, hitRatio: null }
  const seconds = (reading.sample.at - (reading.previous?.at ?? 0)) / 1000
  const [hit, missed] = [perSecond(now.blks_hit, before.blks_hit, seconds), perSecond(now.blks_read, before.blks_read, seconds)]
  return {
    transactionsPerSecond: perSecond(now.xact, before.xact, seconds),
    hitRatio: hit === null || missed === null || hit + missed === 0 ? null : hit / (hit + missed),
  }
}

/** Bytes of WAL that a primary wrote per second over the last interval; of a standby, what it replayed. */
function walRate(state: State, id: string): number | null {
  const [before, now] = (picture(state).servers[id]?.lsnHistory ?? []).slice(-2)
  return before && now ? perSecond(now.lsn, before.lsn, (now.at - before.at) / 1000) : null
}

/** null figures while a PgBouncer has not answered. */
export function poolerFigures(state: State, id: string): PoolerSummary {
  const { servers, now } = picture(state)
  return poolerSummary(servers[id] ?? { id, readings: {}, firstSeen: {} }, now)
}
