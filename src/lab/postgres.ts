// A real PostgreSQL of any version, on a free loopback port, for the lab and for tests.

import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type PostgresVersion, postgresBinaries } from './binaries.ts'
import { connect } from './client.ts'
import { serverFolder } from './folder.ts'
import { freePort, runToEnd, type ServerProcess, startProcess, trouble } from './process.ts'

export type { PostgresVersion } from './binaries.ts'
export { startStandby } from './standby.ts'

export type Settings = Readonly<Record<string, string | number | boolean>>

export type PostgresOptions = {
  readonly version: PostgresVersion
  /** Folder of the lab or test; the server makes its own below it. See temporaryFolder(). */
  readonly dir: string
  /** Name of the folder below `dir`; two servers of one `dir` need two names. */
  readonly name?: string
  /** A free one when left out. */
  readonly port?: number
  readonly settings?: Settings
  /** Replaces pg_hba.conf (trust for everybody from loopback). */
  readonly hba?: string
  /** The superuser made by initdb. */
  readonly user?: string
}

export type StopMode = 'smart' | 'fast' | 'immediate'

export type PostgresServer = {
  readonly version: PostgresVersion
  /** postgres://postgres@127.0.0.1:PORT/postgres */
  readonly conninfo: string
  readonly port: number
  readonly user: string
  readonly dataDir: string
  readonly logFile: string
  /** Folder of the Unix socket; null where its path would be longer than the system allows. */
  readonly socketDir: string | null
  /** Of the postmaster; another one after restart() or start(). */
  readonly pid: () => number
  readonly running: () => boolean
  readonly stop: (mode?: StopMode) => Promise<void>
  /** Starts it again after stop() or kill(), on the same port. */
  readonly start: () => Promise<void>
  readonly restart: (mode?: StopMode) => Promise<void>
  /** SIGKILL of the postmaster: a crash. */
  readonly kill: () => Promise<void>
}

/** Makes a database cluster and starts it. Fails with what the server complained of. */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const { version, dir, name = `pg${version}`, settings = {}, hba, user = 'postgres' } = options
  const native = postgresBinaries(version, dir)
  const home = join(dir, name)
  const dataDir = join(home, 'data')
  serverFolder(home)
  await runToEnd({
    command: join(native, 'bin', 'initdb'),
    args: ['-D', dataDir, '-U', user, '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'],
    cwd: home,
    logFile: join(home, 'initdb.log'),
    dropRoot: true,
  })
  configure(dataDir, {
    listen_addresses: '127.0.0.1',
    synchronous_commit: 'off',
    shared_buffers: '32MB',
    // In the data directory and not in /dev/shm, where a crash would leave it behind.
    dynamic_shared_memory_type: 'mmap',
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...settings,
  })
  if (hba !== undefined) writeFileSync(join(dataDir, 'pg_hba.conf'), hba)
  return openServer({ version, native, home, user, port: options.port })
}

export type ServerHome = {
  readonly version: PostgresVersion
  readonly native: string
  /** Holds data/, the log and the socket. */
  readonly home: string
  readonly user: string
  readonly port: number | undefined
}

/** Starts the server of a data directory that is already there; used for standbys too. */
export async function openServer({ version, native, home, user, port }: ServerHome): Promise<PostgresServer> {
  const dataDir = join(home, 'data')
  const logFile = join(home, 'server.log')
  let chosen = port ?? (await freePort())
  // 107 bytes is what a socket address can hold; the lock file beside it is not bound by that.
  const socketDir = Buffer.byteLength(join(home, '.s.PGSQL.65535')) <= 107 ? home : null
  let child: ServerProcess

  const launch = async () => {
    child = await startProcess({
      command: join(native, 'bin', 'postgres'),
      args: ['-D', dataDir, '-p', String(chosen), '-c', `unix_socket_directories=${socketDir ?? ''}`],
      cwd: home,
      logFile,
      dropRoot: true,
    })
    await answering(child, chosen, user)
  }
  await launch().catch(async error => {
    // Somebody took the free port between our look and the server's bind.
    if (port !== undefined || !/Address already in use/.test(child.output())) throw error
    chosen = await freePort()
    await launch()
  })
  const signals = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const
  const stop = (mode: StopMode = 'fast') => child.end(signals[mode])
  const start = async () => {
    for (let tries = 0; ; tries += 1) {
      try {
        return await launch()
      } catch (error) {
        // After a crash the server's children notice only in a moment that they are orphans.
        if (tries > 50 || !/pre-existing shared memory block/.test(child.output())) throw error
        await new Promise(resolve => setTimeout(resolve, 100))
      }
    }
  }
  return {
    version,
    conninfo: `postgres://${encodeURIComponent(user)}@127.0.0.1:${chosen}/postgres`,
    port: chosen,
    user,
    dataDir,
    logFile,
    socketDir,
    pid: () => child.pid,
    running: () => child.running(),
    stop,
    start,
    restart: async mode => {
      await stop(mode)
      await start()
    },
    kill: () => child.end('SIGKILL'),
  }
}

/** Appends settings to postgresql.conf; the last of a name wins. */
export function configure(dataDir: string, settings: Settings): void {
  const quote = (value: string | number | boolean) => `'${String(value).replaceAll("'", "''")}'`
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${quote(value)}\n`)
  appendFileSync(join(dataDir, 'postgresql.conf'), lines.join(''))
}

/** Waits until the server takes connections: also a standby, which first has to be consistent. */
async function answering(child: ServerProcess, port: number, user: string): Promise<void> {
  const deadline = Date.now() + 60_000
  for (;;) {
    if (!child.running()) throw new Error(`PostgreSQL did not start: ${trouble(child)}`)
    // A "no" about the role or from pg_hba.conf is an answer of a server that is up.
    const state = await connect({ port, user }).then(
      async client => {
        await client.end()
        return 'up'
      },
      (error: { code?: string; message: string }) => (/^(28|3D)/.test(error.code ?? '') ? 'up' : error.message),
    )
    if (state === 'up') return
    if (Date.now() > deadline) {
      await child.end('SIGKILL')
      throw new Error(`PostgreSQL does not answer on port ${port}: ${state}`)
    }
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}
