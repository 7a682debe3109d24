// Servers that crash, stop, start, throw us out and have no room for us. F9-F12.

import { chownSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { serverAccount } from '../../src/lab/paths.ts'
import { findPgbouncer, type PgbouncerServer, startPgbouncer } from '../../src/lab/pgbouncer.ts'
import { configure, type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { childNamed, freezePids, residentMb, thaw } from '../support/freeze.ts'
import { build, endAll, startMonitor } from '../support/terminal.ts'
import {
  lineOf,
  live,
  monitored,
  type Named,
  named,
  quits,
  sleep,
  staysUsable,
  watchSilence,
  wordOf,
} from '../support/under-fault.ts'

let folder: Folder
let server: PostgresServer
let other: PostgresServer
let name: Named
let otherName: Named

beforeAll(async () => {
  build()
  folder = temporaryFolder()
  server = await startPostgres({ version: 16, dir: folder.path })
  other = await startPostgres({ version: 14, dir: folder.path })
  name = named(server)
  otherName = named(other)
})
afterEach(async () => {
  thaw()
  endAll()
  if (!server.running()) await server.start()
})
afterAll(async () => {
  await server.stop('immediate')
  await other.stop('immediate')
  await folder.remove()
})

const both = (...more: string[]) => monitored([server.conninfo, other.conninfo, ...more], [name, otherName])

it('F9: kill -9 of a backend: what the server said last is told, LIVE soon after it takes connections again, three times over', async () => {
  const terminal = await both()
  for (let n = 0; n < 3; n++) {
    const victim = await connect({ port: server.port })
    const { rows } = await victim.query('select pg_backend_pid() as pid')
    const before = terminal.bytes().length
    process.kill(rows[0].pid, 'SIGKILL')
    const killedAt = performance.now()
    // In the line of the server, as its last word or as its refusal to let us in while it recovers.
    await terminal.until(
      () => /because of crash of another server process/.test(terminal.bytes(before).toString()),
      'the reason',
      2000,
    )
    expect(performance.now() - killedAt).toBeLessThanOrEqual(2000)
    await accepts()
    expect(await live(terminal, name, 6000)).toBeLessThanOrEqual(5000)
    expect(terminal.ended()).toBeNull()
    terminal.write('0')
    const crashes = () => terminal.screen().filter(line => /server crashed/.test(line)).length
    await terminal.until(() => crashes() === n + 1, 'one event for each crash', 3000)
    terminal.write('1')
    await terminal.waitFor(/^ PID /m)
  }
  await staysUsable(terminal, { others: [otherName], forMs: 1000 })
  await quits(terminal)
})

/** Waits until the server takes a connection. */
async function accepts(): Promise<void> {
  for (;;) {
    const client = await connect({ port: server.port }).catch(() => null)
    if (client) return void (await client.end())
    await sleep(20)
  }
}

describe('F10: stop and start', () => {
  it('F10: fast and immediate, twenty in turn: DOWN, then LIVE within an interval and 5 s; memory as before', async () => {
    const terminal = await both()
    const restart = async (n: number) => {
      await server.stop(n % 2 === 0 ? 'fast' : 'immediate')
      await terminal.until(() => wordOf(terminal, name) !== 'LIVE', 'not LIVE', 4000)
      await server.start()
      expect(await live(terminal, name, 8000)).toBeLessThanOrEqual(6000)
    }
    // What it takes once, it takes in the first ones.
    for (let n = 0; n < 4; n++) await restart(n)
    await sleep(2000)
    const before = residentMb(terminal.pid)
    for (let n = 0; n < 16; n++) await restart(n)
    expect(terminal.ended()).toBeNull()
    expect(residentMb(terminal.pid) - before, 'MB more than before').toBeLessThanOrEqual(20)
    await quits(terminal)
  }, 240_000)

  it('F10: stopped: DOWN with what the system says, others and keys as ever, old data in view', async () => {
    const terminal = await both()
    await terminal.waitFor('(pgvigil itself)')
    await server.stop('fast')
    await terminal.waitFor(/DOWN .*nothing listens at 127\.0\.0\.1/, 3000)
    expect(terminal.screen().join('\n')).toContain('(pgvigil itself)')
    await staysUsable(terminal, { others: [otherName] })
    await quits(terminal)
  })

  it('F10: while it shuts down and can not end: STOPPING; while it starts and can not end: STARTING or RECOVERY', async () => {
    const terminal = await both()
    // A fast stop waits for the checkpointer, a start for the startup process.
    freezePids(childNamed(server.pid(), 'checkpointer')!)
    const stopped = server.stop('fast')
    await terminal.until(() => wordOf(terminal, name) === 'STOPPING', 'STOPPING', 4000)
    expect(lineOf(terminal, name)).toContain('the database system is shutting down')
    await staysUsable(terminal, { others: [otherName], forMs: 1500 })
    thaw()
    await stopped
    await server.start()
    await live(terminal, name, 6000)

    // Recovery asks an archive that takes its time.
    await server.stop('fast')
    configure(server.dataDir, { restore_command: 'sleep 3; false' })
    const signal = join(server.dataDir, 'recovery.signal')
    writeFileSync(signal, '', { mode: 0o600 })
    const account = serverAccount()
    if (account) chownSync(signal, account.uid, account.gid)
    const started = server.start()
    const word = () => wordOf(terminal, name)
    await terminal.until(() => word() === 'STARTING' || word() === 'RECOVERY', 'STARTING', 6000)
    expect(lineOf(terminal, name)).toMatch(/the database system is (starting up|not yet accepting|in recovery)/)
    await staysUsable(terminal, { others: [otherName], forMs: 1000 })
    await started
    expect(await live(terminal, name, 8000)).toBeLessThanOrEqual(6000)
    await quits(terminal)
  })

  it('F10: a smart stop while somebody is connected: our session goes on as long as the server does', async () => {
    const terminal = await both()
    const holder = await connect({ port: server.port })
    const stopped = server.stop('smart')
    const silence = watchSilence(holder)
    await staysUsable(terminal, { others: [otherName], forMs: 2000 })
    expect(Math.max(...(await silence.stop()))).toBeLessThanOrEqual(2000)
    expect(['LIVE', 'STOPPING']).toContain(wordOf(terminal, name))
    const late = startMonitor([server.conninfo, other.conninfo])
    await late.until(() => wordOf(late, name) === 'STOPPING', 'STOPPING', 4000)
    // It waits for all sessions, ours too.
    await quits(late)
    await quits(terminal)
    await holder.end()
    await stopped
  })

  it('F10: down at the start: the screen opens, says so, and comes up with the server', async () => {
    await server.stop('fast')
    const terminal = startMonitor([server.conninfo])
    await terminal.until(() => wordOf(terminal, name) === 'DOWN', 'DOWN', 3000)
    expect(terminal.alternateScreen()).toBe(true)
    await server.start()
    expect(await live(terminal, name, 8000)).toBeLessThanOrEqual(6000)
    await terminal.waitFor('(pgvigil itself)')
    await quits(terminal)
  })
})

it('F11: our sessions terminated 500 times at random moments: alive, no storm of connections, LIVE again', async () => {
  const terminal = await both('-i', '100ms')
  const client = await connect({ port: server.port })
  const seen = new Set<number>()
  let deaths = 0
  const from = performance.now()
  for (let n = 0; n < 500; n++) {
    const { rows } = await client.query(
      `with ours as materialized (select pid from pg_stat_get_activity(null) where application_name = 'pgvigil')
       select pid from ours where pg_terminate_backend(pid)`,
    )
    for (const { pid } of rows) seen.add(pid)
    deaths += rows.length
    await sleep(Math.random() * 60)
  }
  const seconds = (performance.now() - from) / 1000
  expect(terminal.ended()).toBeNull()
  expect(deaths).toBeGreaterThan(3)
  // At once, after 0.25, 0.5, 1, 2 s, and then every 4 s or so.
  expect(seen.size).toBeLessThanOrEqual(5 + seconds / 3)
  await live(terminal, name, 6000)
  await staysUsable(terminal, { others: [name, otherName], intervalMs: 500, forMs: 1000 })
  await quits(terminal)
  await client.end()
})

describe('F12: connection slots', () => {
  let small: PostgresServer
  let smallName: Named
  let pooler: PgbouncerServer | null = null
  let admin: pg.Client
  const taken: pg.Client[] = []

  beforeAll(async () => {
    const settings = { max_connections: 14, superuser_reserved_connections: 3, reserved_connections: 2 }
    small = await startPostgres({ version: 16, dir: folder.path, name: 'small', settings })
    smallName = named(small)
    admin = await connect({ port: small.port })
    await admin.query(`create role mon login in role pg_monitor`)
    await admin.query(`create role kept login in role pg_monitor, pg_use_reserved_connections`)
    if (findPgbouncer()) {
      const databases = { app: `host=127.0.0.1 port=${small.port} dbname=postgres` }
      pooler = await startPgbouncer({ dir: folder.path, databases, users: ['postgres', 'mon'] })
    }
  })
  afterAll(async () => {
    await admin.end()
    await pooler?.stop()
    await small.stop('immediate')
  })

  const as = (user: string) => `postgres://${user}@127.0.0.1:${small.port}/postgres`
  /** Takes all that ordinary roles can have. */
  async function fill(): Promise<void> {
    await admin.query(`do $$ begin if to_regrole('app') is null then create role app login; end if; end $$`)
    for (;;) {
      try {
        taken.push(await connect({ port: small.port, user: 'app', application_name: 'taker' }))
      } catch (error) {
        expect((error as { code: string }).code).toBe('53300')
        return
      }
    }
  }

  it('F12: taken after the start, for a minute: not a tick is lost; started when full: FULL with the GRANT that helps; one session a server', async () => {
    const consoles = pooler ? ['--pgbouncer', pooler.conninfo] : []
    const terminal = await monitored([as('mon'), other.conninfo, ...consoles], [smallName, otherName])
    await fill()
    const full = performance.now()

    const late = startMonitor([as('mon'), other.conninfo], { columns: 110 })
    await late.waitFor(/FULL .*remaining connection slots are reserved/)
    await late.waitFor(/! \S+ is FULL: GRANT pg_use_reserved_connections TO mon \(16\+, reserved_connections > 0\)/)
    expect(wordOf(late, otherName)).toBe('LIVE')
    await quits(late)
    // Whoever has that right is let in.
    const reserved = await monitored([as('kept')], [smallName])
    await quits(reserved)

    const counts = new Set<number>()
    const ages: number[] = []
    const sampling = setInterval(async () => {
      const { rows } = await admin.query(
        `select extract(epoch from clock_timestamp() - query_start)::float8 as age, count(*) over ()::int as n
           from pg_stat_get_activity(null) where application_name = 'pgvigil'`,
      )
      counts.add(rows[0]?.n ?? 0)
      ages.push(...rows.map(row => row.age))
    }, 100)
    await staysUsable(terminal, {
      others: [otherName],
      forMs: 60_000 - (performance.now() - full),
      look: () => expect(wordOf(terminal, smallName)).toBe('LIVE'),
    })
    clearInterval(sampling)
    expect([...counts]).toEqual([1])
    // A tick that was lost would be a silence of two intervals.
    expect(Math.max(...ages)).toBeLessThanOrEqual(1.6)
    if (pooler) {
      const console = await connect({ port: pooler.port, database: 'pgbouncer' })
      const { rows } = await console.query('SHOW CLIENTS')
      expect(rows.filter(row => row.application_name === 'pgvigil')).toHaveLength(1)
      await console.end()
    }
    for (const client of taken.splice(0)) await client.end()
    await quits(terminal)
  })
})
