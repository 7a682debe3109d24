// What PgBouncer's admin console is asked (1.8 and later). Its SHOW commands gain and rename columns between versions, so the rows are
// read by column name: a column that a version lacks is null, one that is not listed here is passed over. Nearly all are nullable for that reason.
// The console speaks the simple protocol only, one command at a time, without comments, and is itself the database `pgbouncer`.

import { query, type RowOf } from './query.ts'

/** One row: "PgBouncer 1.21.0". */
export const showVersion = query({
  id: 'showVersion',
  on: 'pgbouncer',
  every: 30,
  columns: { version: 'text!' },
  variants: [{ from: 10000, text: 'SHOW VERSION' }],
})
export type VersionRow = RowOf<typeof showVersion>

/**
 * A row for each (database, user) since its first client. `cl_active` counts idle clients too, in every version. `maxwait` whole seconds that
 * the oldest client in the queue has waited, `maxwait_us` the microseconds on top.
 */
export const showPools = query({
  id: 'showPools',
  on: 'pgbouncer',
  every: 'tick',
  columns: {
    database: 'text!',
    user: 'text',
    cl_active: 'int',
    cl_waiting: 'int',
    cl_cancel_req: 'int',
    cl_active_cancel_req: 'int',
    cl_waiting_cancel_req: 'int',
    sv_active: 'int',
    sv_active_cancel: 'int',
    sv_being_canceled: 'int',
    sv_idle: 'int',
    sv_used: 'int',
    sv_tested: 'int',
    sv_login: 'int',
    maxwait: 'int',
    maxwait_us: 'int',
    pool_mode: 'text',
  },
  variants: [{ from: 10000, text: 'SHOW POOLS' }],
})
export type PoolRow = RowOf<typeof showPools>

/**
 * The databases of the configuration, and those made by `*`. `paused` is of PAUSE db alone (a global PAUSE leaves it 0, see showState) and is 1 from
 * the moment it is asked for. `reserve_pool` is called `reserve_pool_size` from 1.24 on. `max_connections` 0: no limit.
 */
export const showDatabases = query({
  id: 'showDatabases',
  on: 'pgbouncer',
  every: 'tick',
  columns: {
    name: 'text!',
    host: 'text',
    port: 'int',
    database: 'text',
    force_user: 'text',
    pool_size: 'int',
    min_pool_size: 'int',
    reserve_pool: 'int',
    reserve_pool_size: 'int',
    pool_mode: 'text',
    max_connections: 'int',
    current_connections: 'int',
    max_client_connections: 'int',
    current_client_connections: 'int',
    paused: 'int',
    disabled: 'int',
  },
  variants: [{ from: 10000, text: 'SHOW DATABASES' }],
})
export type PoolDatabaseRow = RowOf<typeof showDatabases>

/**
 * Totals of each database since PgBouncer started; times in microseconds. A query or transaction is counted when it begins, its time added when it ends.
 * Assignments of servers are counted from 1.23 on. A restart, and KILL of a database, begin them again.
 */
export const showStats = query({
  id: 'showStats',
  on: 'pgbouncer',
  every: 'tick',
  columns: {
    database: 'text!',
    total_server_assignment_count: 'big',
    total_xact_count: 'big',
    total_query_count: 'big',
    total_received: 'big',
    total_sent: 'big',
    total_xact_time: 'big',
    total_query_time: 'big',
    total_wait_time: 'big',
  },
  variants: [{ from: 10000, text: 'SHOW STATS' }],
})
export type PoolStatsRow = RowOf<typeof showStats>

/** Rows active, paused, suspended with yes or no: the pooler as a whole. Before 1.19 a global PAUSE can't be seen at all. */
export const showState = query({
  id: 'showState',
  on: 'pgbouncer',
  every: 'tick',
  columns: { key: 'text!', value: 'text' },
  variants: [{ from: 11900, text: 'SHOW STATE' }],
})
export type PoolerStateRow = RowOf<typeof showState>

/** What SHOW CLIENTS and SHOW SERVERS have in common. */
const socketColumns = {
  type: 'text',
  user: 'text',
  database: 'text',
  state: 'text',
  addr: 'text',
  port: 'int',
  local_addr: 'text',
  local_port: 'int',
  connect_time: 'text',
  request_time: 'text',
  wait: 'int',
  wait_us: 'int',
  close_needed: 'int',
  ptr: 'text',
  link: 'text',
  remote_pid: 'int',
  tls: 'text',
  application_name: 'text',
  prepared_statements: 'int',
  id: 'big',
} as const

/**
 * Connections of the applications. `link` is the `ptr` of the server a client has now, empty without one; in transaction pooling it has one
 * only during a transaction. `state` is active, waiting, and from 1.25 idle (before that an idle client says active). `remote_pid` is 0 over TCP.
 * `wait` whole seconds and `wait_us` the rest; it means something for state waiting alone. Times are text in the pooler's own zone.
 */
export const showClients = query({
  id: 'showClients',
  on: 'pgbouncer',
  every: 'tick',
  columns: socketColumns,
  variants: [{ from: 10000, text: 'SHOW CLIENTS' }],
})
export type PoolClientRow = RowOf<typeof showClients>

/**
 * Connections to PostgreSQL. `remote_pid` is the backend's pid on the server at `addr`:`port`, `local_port` its client_port there over TCP, `link` the
 * `ptr` of the client that has it now.
 */
export const showServers = query({
  id: 'showServers',
  on: 'pgbouncer',
  every: 'tick',
  columns: socketColumns,
  variants: [{ from: 10000, text: 'SHOW SERVERS' }],
})
export type PoolServerRow = RowOf<typeof showServers>

/** The settings: default_pool_size, max_client_conn, query_wait_timeout... */
export const showConfig = query({
  id: 'showConfig',
  on: 'pgbouncer',
  every: 30,
  columns: { key: 'text!', value: 'text' },
  variants: [{ from: 10000, text: 'SHOW CONFIG' }],
})
export type PoolConfigRow = RowOf<typeof showConfig>

/** From 1.24 on a user may have a pool size of its own, which goes before the database's: digits padded with blanks, or empty. */
export const showUsers = query({
  id: 'showUsers',
  on: 'pgbouncer',
  every: 30,
  columns: { name: 'text', pool_size: 'text', pool_mode: 'text' },
  variants: [{ from: 12400, text: 'SHOW USERS' }],
})
export type PoolUserRow = RowOf<typeof showUsers>
