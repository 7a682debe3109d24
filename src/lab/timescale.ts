// TimescaleDB 2.23 (PostgreSQL 17.5, built for WASM, one process) on a free loopback port.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { nodeBinary, packageRoot } from './paths.ts'
import { freePort, startProcess, trouble } from './process.ts'

export type TimescaleServer = {
  /** postgres://postgres@127.0.0.1:PORT/postgres: its only role and database. */
  readonly conninfo: string
  readonly port: number
  readonly pid: number
  readonly stop: () => Promise<void>
}

/**
 * Starts it with the extension created. `filled`: with the lab's hypertables and policies; `live`: also with rows that keep
 * coming and jobs that run. It has one backend: clients take turns, a transaction holds the others back; no COPY FROM STDIN, no timeouts.
 */
export async function startTimescale(options: {
  dir: string
  content?: 'empty' | 'filled' | 'live'
  port?: number
}): Promise<TimescaleServer> {
  const { dir, content = 'empty', port = await freePort() } = options
  const home = join(dir, 'timescale')
  mkdirSync(home, { recursive: true, mode: 0o700 })
  const logFile = join(home, 'server.log')
  const child = await startProcess({
    command: nodeBinary(),
    args: [join(packageRoot(), 'src', 'lab', 'timescale-server.ts'), String(port), content],
    cwd: home,
    logFile,
    dropRoot: false,
  })
  const deadline = Date.now() + 60_000
  while (!/^ready$/m.test(child.output())) {
    if (!child.running()) throw new Error(`TimescaleDB did not start: ${trouble(child)}`)
    if (Date.now() > deadline) {
      await child.end('SIGKILL')
      throw new Error('TimescaleDB did not start within 60 s')
    }
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  return {
    conninfo: `postgres://postgres@127.0.0.1:${port}/postgres`,
    port,
    pid: child.pid,
    stop: () => child.end('SIGTERM', 2000),
  }
}
