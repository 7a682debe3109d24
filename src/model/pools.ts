// What PgBouncer's answers mean: pools with their rates and pauses, the clients and servers behind them, and one summary of a pooler.

import type { PoolDatabaseRow, PoolRow, PoolStatsRow } from '../sql/pgbouncer.ts'
import type { Untrusted } from '../sql/query.ts'
import { perSecond } from './format.ts'
import {
  allPaused,
  answers,
  configOf,
  consoleName,
  disabledMark,
  isOn,
  type Pooler,
  type PoolerState,
  pausedMark,
  plus,
  poolerState,
  seconds,
  secondsSince,
} from './pooler.ts'
import { is, raw } from './untrusted.ts'

export { type Pooler, seenMarks } from './pooler.ts'

/**
 * Rates of one database between the two last samples; null where there is no telling (first sample, restart, KILL). PgBouncer counts a query or
 * transaction when it begins and adds its time when it ends: the averages are good where many begin and end in an interval, and null where none ended.
 */
export type PoolRates = {
  readonly xactsPerSecond: number | null
  readonly queriesPerSecond: number | null
  readonly receivedBytesPerSecond: number | null
  readonly sentBytesPerSecond: number | null
  readonly avgXactMs: number | null
  readonly avgQueryMs: number | null
  /** Average wait for a server of those that got one. Null in session pooling before 1.23, which doesn't count them. */
  readonly avgWaitMs: number | null
}

/** A pool (database, user). The rates are those of its database: all its users together. */
export type PoolPaneRow = PoolRates & {
  readonly server: string
  readonly database: Untrusted
  /** Null: the database is paused or disabled and has no pool yet. */
  readonly user: Untrusted | null
  readonly pool_mode: Untrusted | null
  readonly cl_active: number | null
  readonly cl_waiting: number | null
  readonly cl_active_cancel_req: number | null
  readonly cl_waiting_cancel_req: number | null
  readonly sv_active: number | null
  readonly sv_active_cancel: number | null
  readonly sv_being_canceled: number | null
  readonly sv_idle: number | null
  readonly sv_used: number | null
  readonly sv_tested: number | null
  readonly sv_login: number | null
  /** How long the client at the head of the queue has waited; 0 when none waits. */
  readonly maxwaitSeconds: number | null
  /** Server connections of this pool, whatever they do. */
  readonly serversUsed: number | null
  /** How many it may have: pool size of the user (1.24+), of the database, or the default one, but never more than max_connections. */
  readonly serverLimit: number | null
  readonly reserve_pool_size: number | null
  /** Connections of the database, all users together, and their limit; 0: none. */
  readonly current_connections: number | null
  readonly max_connections: number | null
  /** By PAUSE of this database or of everything. Where poolerPauseKnown is false the latter can't be seen. */
  readonly paused: boolean
  readonly pausedBy: 'database' | 'pooler' | null
  /** Since we first saw it, so at least. */
  readonly pausedSeconds: number | null
  readonly disabled: boolean
  readonly disabledSeconds: number | null
  /** False before 1.19, which has no SHOW STATE. */
  readonly poolerPauseKnown: boolean
  /** Where its servers go. */
  readonly host: Untrusted | null
  readonly port: number | null
  /** The database there, when it is named differently. */
  readonly serverDatabase: Untrusted | null
}

/** Rows of list `pools`. `now` in epoch ms. */
export function poolRows(pooler: Pooler, now: number): PoolPaneRow[] {
  const pools = answers(pooler, 'showPools').filter(pool => !is(pool.database, consoleName))
  const databases = new Map(answers(pooler, 'showDatabases').map(database => [database.name, database]))
  const facts = {
    pooler,
    now,
    databases,
    rates: ratesByDatabase(pooler),
    state: poolerState(pooler),
    waiting: new Set(pools.filter(pool => isOn(pool.cl_waiting)).map(pool => pool.database)),
    config: configOf(pooler),
    userSizes: new Map(answers(pooler, 'showUsers').map(({ name, pool_size }) => [name, digits(pool_size)])),
  }
  const withPool = new Set(pools.map(pool => pool.database))
  const others = [...databases.values()].filter(
    ({ name, paused, disabled }) => !withPool.has(name) && !is(name, consoleName) && (isOn(paused) || isOn(disabled)),
  )
  return [...pools.map(pool => poolRow(facts, pool.database, pool)), ...others.map(({ name }) => poolRow(facts, name, null))]
}

type PoolFacts = {
  readonly pooler: Pooler
  readonly now: number
  readonly databases: ReadonlyMap<Untrusted, PoolDatabaseRow>
  readonly rates: ReadonlyMap<Untrusted, StatsDelta>
  readonly state: PoolerState
  /** Databases with clients in the queue. */
  readonly waiting: ReadonlySet<Untrusted>
  readonly config: ReadonlyMap<string, Untrusted | null>
  readonly userSizes: ReadonlyMap<Untrusted | null, number | null>
}

function poolRow(facts: PoolFacts, name: Untrusted, pool: PoolRow | null): PoolPaneRow {
  const { pooler, now, rates, state, config } = facts
  const database = facts.databases.get(name)
  const pool_mode = pool?.pool_mode ?? database?.pool_mode ?? config.get('pool_mode') ?? null
  const own = isOn(database?.paused)
  const disabled = isOn(database?.disabled)
  // A database without a pool has no connections: that is known, not missing.
  const figure = (value: number | null | undefined) => (pool === null ? 0 : (value ?? null))
  return {
    server: pooler.id,
    database: name,
    user: pool?.user ?? null,
    pool_mode,
    cl_active: figure(pool?.cl_active),
    cl_waiting: figure(pool?.cl_waiting),
    cl_active_cancel_req: figure(pool?.cl_active_cancel_req),
    cl_waiting_cancel_req: figure(pool?.cl_waiting_cancel_req ?? pool?.cl_cancel_req),
    sv_active: figure(pool?.sv_active),
    sv_active_cancel: figure(pool?.sv_active_cancel),
    sv_being_canceled: figure(pool?.sv_being_canceled),
    sv_idle: figure(pool?.sv_idle),
    sv_used: figure(pool?.sv_used),
    sv_tested: figure(pool?.sv_tested),
    sv_login: figure(pool?.sv_login),
    maxwaitSeconds: pool === null ? 0 : seconds(pool.maxwait, pool.maxwait_us),
    serversUsed: pool === null ? 0 : serversUsed(pool),
    serverLimit: serverLimit(facts, database, pool?.user ?? null),
    reserve_pool_size: database?.reserve_pool_size ?? database?.reserve_pool ?? null,
    current_connections: database?.current_connections ?? null,
    max_connections: database?.max_connections ?? null,
    paused: own || state.paused === true,
    pausedBy: state.paused === true ? 'pooler' : own ? 'database' : null,
    pausedSeconds: longest([
      own ? secondsSince(pooler, pausedMark(name), now) : null,
      state.paused === true ? secondsSince(pooler, allPaused, now) : null,
    ]),
    disabled,
    disabledSeconds: disabled ? secondsSince(pooler, disabledMark(name), now) : null,
    poolerPauseKnown: state.paused !== null,
    host: database?.host ?? null,
    port: database?.port ?? null,
    serverDatabase: database?.database && database.database !== name ? database.database : null,
    ...ratesOf(rates.get(name), pool_mode, facts.waiting.has(name)),
  }
}

function serversUsed(pool: PoolRow): number | null {
  if (pool.sv_active === null) return null
  const { sv_active_cancel, sv_being_canceled, sv_idle, sv_used, sv_tested, sv_login } = pool
  return [sv_active_cancel, sv_being_canceled, sv_idle, sv_used, sv_tested, sv_login].reduce<number>(
    (sum, n) => sum + (n ?? 0),
    pool.sv_active,
  )
}

function serverLimit(facts: PoolFacts, database: PoolDatabaseRow | undefined, user: Untrusted | null): number | null {
  const ofUser = user === null ? null : facts.userSizes.get(user)
  const size = ofUser ?? (database?.pool_size || digits(facts.config.get('default_pool_size')))
  const cap = database?.max_connections
  return size !== null && cap ? Math.min(size, cap) : size
}

type StatsDelta = { readonly current: PoolStatsRow; readonly previous: PoolStatsRow; readonly elapsedSeconds: number }

type Total = (typeof totals)[number] | 'total_server_assignment_count'

const totals = [
  'total_xact_count',
  'total_query_count',
  'total_received',
  'total_sent',
  'total_xact_time',
  'total_query_time',
  'total_wait_time',
] as const

// One counter that went back means that all of that database began again (restart, KILL): none of them can be compared then.
function ratesByDatabase(pooler: Pooler): ReadonlyMap<Untrusted, StatsDelta> {
  const heard = pooler.readings.showStats
  const before = new Map(((heard?.previous?.rows ?? []) as readonly PoolStatsRow[]).map(row => [row.database, row]))
  const elapsedSeconds = ((heard?.sample?.at ?? 0) - (heard?.previous?.at ?? 0)) / 1000
  const deltas = new Map<Untrusted, StatsDelta>()
  for (const current of answers(pooler, 'showStats')) {
    const previous = before.get(current.database)
    if (previous === undefined || totals.some(total => (current[total] ?? 0n) < (previous[total] ?? 0n))) continue
    deltas.set(current.database, { current, previous, elapsedSeconds })
  }
  return deltas
}

function ratesOf(delta: StatsDelta | undefined, poolMode: Untrusted | null, waiting: boolean): PoolRates {
  const per = (total: (typeof totals)[number]) =>
    delta ? perSecond(delta.current[total], delta.previous[total], delta.elapsedSeconds) : null
  const average = (time: Total, count: Total) => {
    const spent = difference(delta, time)
    const events = difference(delta, count)
    return !spent || !events ? null : Number(spent) / Number(events) / 1000
  }
  const assignments =
    delta && delta.current.total_server_assignment_count !== null
      ? 'total_server_assignment_count'
      : is(poolMode, 'transaction')
        ? 'total_xact_count'
        : is(poolMode, 'statement')
          ? 'total_query_count'
          : null
  return {
    xactsPerSecond: per('total_xact_count'),
    queriesPerSecond: per('total_query_count'),
    receivedBytesPerSecond: per('total_received'),
    sentBytesPerSecond: per('total_sent'),
    avgXactMs: average('total_xact_time', 'total_xact_count'),
    avgQueryMs: average('total_query_time', 'total_query_count'),
    avgWaitMs: assignments === null ? null : (average('total_wait_time', assignments) ?? noWait(delta, assignments, waiting)),
  }
}

/** 0 when servers were given out without any wait; null when that can't be told from a queue that doesn't move. */
function noWait(delta: StatsDelta | undefined, count: Total, waiting: boolean): 0 | null {
  const sure = count === 'total_server_assignment_count' || !waiting
  return sure && difference(delta, 'total_wait_time') === 0n && difference(delta, count) ? 0 : null
}

function difference(delta: StatsDelta | undefined, total: Total): bigint | null {
  const [current, previous] = [delta?.current[total], delta?.previous[total]]
  return typeof current === 'bigint' && typeof previous === 'bigint' && current >= previous ? current - previous : null
}

export type PoolerSummary = {
  /** cl_active of all pools: idle clients are among them. */
  readonly clientsActive: number | null
  readonly clientsWaiting: number | null
  readonly serversUsed: number | null
  /** Sum of the pools' limits, that of a database with max_connections counted once. */
  readonly serverLimit: number | null
  /** The longest wait of all pools. */
  readonly maxwaitSeconds: number | null
  readonly xactsPerSecond: number | null
  /** `database` '*': everything is paused. `since`: epoch ms when we first saw it. */
  readonly paused: readonly { readonly database: Untrusted | '*'; readonly since: number }[]
  readonly disabled: readonly Untrusted[]
  readonly suspended: boolean
}

/** One line's worth of a pooler; figures are null until SHOW POOLS has been answered. `now` in epoch ms. */
export function poolerSummary(pooler: Pooler, now: number): PoolerSummary {
  const rows = poolRows(pooler, now)
  const asked = pooler.readings.showPools?.sample
  const state = poolerState(pooler)
  const limits = new Map<Untrusted, number | null>()
  const rates = new Map<Untrusted, number | null>()
  for (const { database, serverLimit, max_connections, xactsPerSecond } of rows) {
    const sum = limits.has(database) ? plus(limits.get(database) ?? null, serverLimit) : serverLimit
    limits.set(database, sum !== null && max_connections ? Math.min(sum, max_connections) : sum)
    rates.set(database, xactsPerSecond)
  }
  const since = (mark: string) => pooler.firstSeen[mark] ?? now
  const add = (values: readonly (number | null)[]) => (asked ? values.reduce(plus, 0) : null)
  const databases = answers(pooler, 'showDatabases').filter(({ name }) => !is(name, consoleName))
  return {
    clientsActive: add(rows.map(row => row.cl_active)),
    clientsWaiting: add(rows.map(row => row.cl_waiting)),
    serversUsed: add(rows.map(row => row.serversUsed)),
    serverLimit: add([...limits.values()]),
    maxwaitSeconds: asked ? longest(rows.map(row => row.maxwaitSeconds)) : null,
    xactsPerSecond: rates.size > 0 ? add([...rates.values()]) : null,
    paused: [
      ...(state.paused === true ? [{ database: '*' as const, since: since(allPaused) }] : []),
      ...databases.filter(({ paused }) => isOn(paused)).map(({ name }) => ({ database: name, since: since(pausedMark(name)) })),
    ],
    disabled: databases.filter(({ disabled }) => isOn(disabled)).map(({ name }) => name),
    suspended: state.suspended,
  }
}

function longest(values: readonly (number | null)[]): number | null {
  const known = values.filter(value => value !== null)
  return known.length > 0 ? Math.max(...known) : null
}

/** PgBouncer pads numbers given as text with blanks; an empty one is none. */
function digits(value: Untrusted | null | undefined): number | null {
  const text = value ? raw(value).trim() : ''
  return /^\d+$/.test(text) ? Number(text) : null
}
