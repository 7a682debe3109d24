// A server with so many sessions as in an incident: one blocker, twenty that wait for it, some idle in transaction, a few at work, the rest
// idle after a long statement. And a tap between server and monitor that counts what goes through.

import { createServer, connect as dial, type Socket } from 'node:net'
import { availableParallelism, freemem } from 'node:os'
import type pg from 'pg'
import { connect } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, type PostgresVersion, startPostgres } from '../../src/lab/postgres.ts'

export type Load = {
  readonly server: PostgresServer
  readonly folder: Folder
  readonly sessions: number
  /** A connection of the superuser that is not part of the load. */
  readonly admin: pg.Client
  /** Conninfo of a role of its own for each that is measured, all of them with pg_monitor; through the tap where one is given. */
  conninfo(role: Role, port?: number): string
  /** Runs a statement in so many of the idle sessions, other ones each time. */
  stir(count: number): Promise<void>
  stop(): Promise<void>
}

export type Role = 'vigil' | 'floor' | 'top' | 'peer'
const roles: readonly Role[] = ['vigil', 'floor', 'top', 'peer']

/** What a session takes of memory in a server and in the process that holds it. Bytes, measured generously. */
const sessionBytes = 6 * 1024 * 1024

/** Why so many sessions can't be had on this machine; null: they can. */
export function whyNot(sessions: number): string | null {
  const needed = sessions * sessionBytes
  const free = freemem()
  return needed <= free ? null : `${sessions} sessions take about ${mb(needed)} MB, and ${mb(free)} MB are free`
}

const mb = (bytes: number) => Math.round(bytes / 1024 / 1024)

/** Text of about so many characters that is another for each n. */
const longText = (n: number, characters: number) =>
  `select ${n} as session, ${Array.from({ length: Math.ceil(characters / 24) }, (_, i) => `coalesce(${i}, ${n}) as column_${i}`).join(', ')}`

const waiters = 20

/** Starts the server and all sessions. With 50 there are as many of each kind as fit. */
export async function startLoad(sessions: number, version: PostgresVersion = 16): Promise<Load> {
  const folder = temporaryFolder('pgvigil-bench')
  const server = await startPostgres({
    version,
    dir: folder.path,
    settings: {
      max_connections: sessions + 40,
      shared_preload_libraries: 'pg_stat_statements',
      'pg_stat_statements.track_planning': true,
      autovacuum: false,
    },
  })
  const clients: pg.Client[] = []
  const admin = await connect({ port: server.port, application_name: 'bench admin' })
  await admin.query(`
    CREATE EXTENSION pg_stat_statements;
    CREATE TABLE hot (id int PRIMARY KEY, v int);
    INSERT INTO hot VALUES (1, 0);
    CREATE ROLE app LOGIN;
    GRANT ALL ON hot TO app;`)
  for (const role of roles) await admin.query(`CREATE ROLE bench_${role} LOGIN; GRANT pg_monitor TO bench_${role}`)
  const open = async (n: number) => {
    const client = await connect({ port: server.port, user: 'app', application_name: `web-${n}` })
    clients.push(client)
    return client
  }
  const idle: pg.Client[] = []
  const blocker = await open(0)
  await blocker.query('BEGIN')
  await blocker.query('UPDATE hot SET v = v + 1 WHERE id = 1')
  for (let n = 1; n < sessions; ) {
    const batch = await Promise.all(Array.from({ length: Math.min(50, sessions - n) }, (_, i) => open(n + i)))
    await Promise.all(
      batch.map(async (client, i) => {
        const number = n + i
        if (number <= waiters) {
          client.query(`UPDATE hot SET v = v + 1 WHERE id = 1 /* ${longText(number, 600)} */`).catch(() => {})
        } else if (number % 50 === 30) {
          client.query(`${longText(number, 1200)}, pg_sleep(36000)`).catch(() => {})
        } else if (number % 8 === 5) {
          await client.query('BEGIN')
          await client.query(longText(number, 1500))
        } else {
          await client.query(longText(number, 800))
          idle.push(client)
        }
      }),
    )
    n += batch.length
  }
  let next = 0
  return {
    server,
    folder,
    sessions,
    admin,
    conninfo: (role, port = server.port) => `postgres://bench_${role}@127.0.0.1:${port}/postgres?sslmode=disable`,
    stir: async count => {
      const some = Array.from({ length: Math.min(count, idle.length) }, () => idle[next++ % idle.length]!)
      await Promise.all(some.map(client => client.query(longText(next, 800))))
    },
    stop: async () => {
      await server.stop('immediate')
      for (const client of [...clients, admin]) void client.end().catch(() => {})
      await folder.remove()
    },
  }
}

export type Tap = { readonly port: number /** From the server, so far. */; bytes(): number; stop(): void }

/** A port that leads to another one and counts what comes back. */
export async function startTap(to: number): Promise<Tap> {
  let received = 0
  const open = new Set<Socket>()
  const server = createServer({ noDelay: true }, inward => {
    const outward = dial({ port: to, host: '127.0.0.1', noDelay: true })
    for (const [socket, other] of [
      [inward, outward],
      [outward, inward],
    ] as const) {
      open.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        open.delete(socket)
        other.destroy()
      })
    }
    outward.on('data', chunk => {
      received += chunk.length
    })
    inward.pipe(outward)
    outward.pipe(inward)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as { port: number }).port,
    bytes: () => received,
    stop: () => {
      server.close()
      for (const socket of open) socket.destroy()
    },
  }
}

export type ServerCost = {
  readonly calls: number
  readonly ms: number
  readonly statements: readonly { text: string; calls: number; ms: number }[]
}

/** What the statements of a role have cost the server since the statistics were reset, planning included. */
export async function serverCost(admin: pg.Client, role: Role): Promise<ServerCost> {
  const { rows } = await admin.query(
    `SELECT s.query AS text, s.calls::int AS calls, s.total_exec_time + s.total_plan_time AS ms
       FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid
      WHERE r.rolname = $1 ORDER BY 3 DESC`,
    [`bench_${role}`],
  )
  const statements = rows as { text: string; calls: number; ms: number }[]
  return {
    statements,
    calls: statements.reduce((sum, { calls }) => sum + calls, 0),
    ms: statements.reduce((sum, { ms }) => sum + ms, 0),
  }
}

/** Cores, as what the figures depend on. */
export const machine = () => `${availableParallelism()} cores, Node ${process.versions.node}`
