// The lab: a cluster that lives. PostgreSQL 16 primary, streaming standby, PgBouncer, TimescaleDB and a workload, all on free
// loopback ports in one fresh folder, all gone after stop() or when this process ends.

import { type Folder, temporaryFolder } from './folder.ts'
import { nodeBinary, packageRoot } from './paths.ts'
import { findPgbouncer, type PgbouncerServer, startPgbouncer } from './pgbouncer.ts'
import { type PostgresServer, startPostgres } from './postgres.ts'
import { type ServerProcess, startProcess } from './process.ts'
import { startStandby } from './standby.ts'
import { startTimescale, type TimescaleServer } from './timescale.ts'
import { createSchema, logins } from './workload/schema.ts'

export type LabOptions = {
  /** Told what is being started, a line at a time. */
  readonly log?: (line: string) => void
  /** False: servers and data, but nobody at work. */
  readonly workload?: boolean
  /** False: as on a machine without PgBouncer. */
  readonly pgbouncer?: boolean
  /** Aborted: the start ends with what has been started so far stopped and removed. */
  readonly signal?: AbortSignal
}

export type Lab = {
  /** Conninfo strings. */
  readonly primary: string
  readonly standby: string
  /** Of the admin console; null: `pgbouncerMissing` says why. */
  readonly pgbouncer: string | null
  readonly pgbouncerMissing?: string
  readonly timescale: string
  /** For tests that hurt them. */
  readonly servers: {
    primary: PostgresServer
    standby: PostgresServer
    pgbouncer: PgbouncerServer | null
    timescale: TimescaleServer
  }
  readonly dir: string
  /** Stops and removes everything. May be called twice. */
  readonly stop: () => Promise<void>
}

/** Starts it all, in a few seconds. Fails with one sentence, and then nothing is left. */
export async function startLab(options: LabOptions = {}): Promise<Lab> {
  const { log = () => {}, workload = true, signal } = options
  const folder = temporaryFolder('pgvigil-lab')
  const stops: (() => Promise<void>)[] = []
  let stopping: Promise<void> | undefined
  const stop = () => {
    stopping ??= stopAll(stops, folder)
    return stopping
  }
  /** Whatever comes up after an abort goes down again at once. */
  const add = async <T extends { stop: (mode?: 'immediate') => Promise<void> }>(server: T): Promise<T> => {
    stops.push(() => server.stop('immediate'))
    signal?.throwIfAborted()
    return server
  }
  try {
    // What fails first ends the start; what is still on its way must have arrived before it can be stopped.
    const timescaleStart = startTimescale({ dir: folder.path, content: workload ? 'live' : 'filled' }).then(add)
    const clusterStart = startCluster(folder.path, options, log, add)
    await Promise.allSettled([timescaleStart, clusterStart])
    const [timescale, cluster] = [await timescaleStart, await clusterStart]
    if (workload) {
      log('workload')
      const pooled = cluster.pgbouncer ?? cluster.primary
      const work = await startWork(folder.path, [cluster.primary.port, cluster.standby.port, pooled.port])
      stops.push(() => work.end('SIGKILL'))
    }
    signal?.throwIfAborted()
    return {
      primary: cluster.primary.conninfo,
      standby: cluster.standby.conninfo,
      pgbouncer: cluster.pgbouncer?.conninfo ?? null,
      ...(cluster.pgbouncer
        ? {}
        : { pgbouncerMissing: 'PgBouncer is not installed on this machine (on Debian: apt-get install pgbouncer)' }),
      timescale: timescale.conninfo,
      servers: { ...cluster, timescale },
      dir: folder.path,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

type Add = <T extends { stop: (mode?: 'immediate') => Promise<void> }>(server: T) => Promise<T>

async function startCluster(dir: string, options: LabOptions, log: (line: string) => void, add: Add) {
  log('PostgreSQL 16 and TimescaleDB')
  const primary = await startPostgres({
    version: 16,
    dir,
    name: 'primary',
    settings: {
      cluster_name: 'primary',
      shared_preload_libraries: 'pg_stat_statements',
      max_prepared_transactions: 10,
      track_io_timing: true,
      // Bounds for the disk, also when somebody stops the standby.
      max_wal_size: '128MB',
      min_wal_size: '32MB',
      max_slot_wal_keep_size: '512MB',
      autovacuum_naptime: '20s',
      jit: false,
    },
  }).then(add)
  await createSchema(primary.port)
  log('streaming standby')
  const standby = await startStandby(primary, {
    dir,
    name: 'standby1',
    slot: 'standby_slot',
    settings: { cluster_name: 'standby1', max_standby_streaming_delay: '8s' },
  }).then(add)
  if (options.pgbouncer === false || !findPgbouncer()) {
    log('without PgBouncer, which is not installed')
    return { primary, standby, pgbouncer: null }
  }
  log('PgBouncer')
  const at = (database: string, more: string) => `host=127.0.0.1 port=${primary.port} dbname=${database} ${more}`
  const pgbouncer = await startPgbouncer({
    dir,
    databases: {
      app: at('app', 'pool_size=12'),
      // Small: in a rush its clients wait.
      shop: at('shop', 'pool_size=2'),
      reports: at('reports', 'pool_size=4'),
      postgres: at('postgres', 'pool_size=2'),
    },
    users: logins.map(login => login.user),
    settings: { max_client_conn: 200, server_idle_timeout: 60, log_connections: 0, log_disconnections: 0, log_stats: 0 },
  }).then(add)
  return { primary, standby, pgbouncer }
}

function startWork(dir: string, ports: readonly number[]): Promise<ServerProcess> {
  return startProcess({
    command: nodeBinary(),
    args: [`${packageRoot()}/src/lab/workload/main.ts`, ...ports.map(String)],
    cwd: dir,
    logFile: `${dir}/workload.log`,
    dropRoot: false,
  })
}

/** The last started is stopped first, so that nobody works on a server that goes away. */
async function stopAll(stops: (() => Promise<void>)[], folder: Folder): Promise<void> {
  for (const stop of stops.toReversed()) await stop()
  await folder.remove()
}
