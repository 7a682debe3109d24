// A PgBouncer that is paused while a transaction is open, and one that hangs. F23, and F1-F5 for a pooler. What is proved without a screen (F22,
// F24, F25) is in test/servers/pools, test/servers/deeds-pools and test/terminal/deeds.

import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { connect, withClient } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { findPgbouncer, type PgbouncerServer, startPgbouncer } from '../../src/lab/pgbouncer.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { freezePids, thaw } from '../support/freeze.ts'
import { skipped } from '../support/skipped.ts'
import { build, endAll, startMonitor } from '../support/terminal.ts'
import { ageOf, lineOf, live, monitored, type Named, named, quits, sleep, staysUsable, wordOf } from '../support/under-fault.ts'

const missing = findPgbouncer() ? null : 'PgBouncer is not installed'

describe.skipIf(skipped('F23 and other faults of a pooler', missing))('PgBouncer', () => {
  let folder: Folder
  let server: PostgresServer
  let pooler: PgbouncerServer
  let name: Named
  let pooled: Named
  let console: pg.Client

  beforeAll(async () => {
    build()
    folder = temporaryFolder()
    server = await startPostgres({ version: 16, dir: folder.path })
    const databases = { postgres: `host=127.0.0.1 port=${server.port}` }
    pooler = await startPgbouncer({ dir: folder.path, databases, users: ['postgres'] })
    name = named(server)
    pooled = named(pooler)
    console = await connect({ port: pooler.port, database: 'pgbouncer' })
  })
  afterEach(() => {
    thaw()
    endAll()
  })
  afterAll(async () => {
    await console.end()
    await pooler.stop()
    await server.stop('immediate')
    await folder.remove()
  })

  const env = () => ({ XDG_STATE_HOME: folder.path })
  const both = () => monitored([server.conninfo, '--pgbouncer', pooler.conninfo], [name, pooled], { env: env() })
  const consoles = async () => {
    const { rows } = await console.query('SHOW CLIENTS')
    return rows.filter(row => row.application_name === 'pgvigil').length
  }

  it('F23: PAUSE with a transaction open: pending and for how long, the screen goes on; RESUME within a second; no console is left hanging', async () => {
    const client = await connect({ port: pooler.port })
    await client.query('begin')
    const terminal = await both()
    terminal.write('5')
    await terminal.waitFor(/^ \S+ +postgres +postgres /m)
    terminal.write('P')
    await terminal.waitFor('PAUSE database: postgres?')
    terminal.write('y')
    await terminal.waitFor(/PAUSE of postgres on \S+ pending for [1-9]/)
    terminal.write('1')
    await terminal.waitFor(/^ PID /m)
    await staysUsable(terminal, { others: [name], forMs: 4000, look: () => expect(wordOf(terminal, pooled)).toBe('LIVE') })
    await terminal.waitFor(/pending for [4-9]/)
    terminal.write('5')
    await terminal.waitFor(/^ \S+ +postgres +postgres /m)
    terminal.write('R')
    await terminal.waitFor(/RESUME database: postgres\?/)
    const at = performance.now()
    terminal.write('y')
    await expect
      .poll(async () => (await console.query('SHOW DATABASES')).rows.find(row => row.name === 'postgres').paused, {
        timeout: 2000,
        interval: 20,
      })
      .toBe(0)
    expect(performance.now() - at).toBeLessThanOrEqual(1000)
    await client.query('commit')
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    await expect.poll(consoles, { timeout: 5000 }).toBeLessThanOrEqual(2)
    await client.end()
    await quits(terminal)
  })

  it('F1 F3 F5: one that hangs: marked with its age, the server and keys as ever, q ends it, LIVE again', async () => {
    const leaving = await both()
    const terminal = await both()
    freezePids(pooler.pid)
    const at = performance.now()
    await terminal.until(() => ageOf(terminal, pooled) !== null, 'an age', 4000)
    expect(performance.now() - at).toBeLessThanOrEqual(3000)
    await staysUsable(terminal, { others: [name], forMs: 6000 })
    await quits(leaving)
    thaw()
    expect(await live(terminal, pooled, 8000)).toBeLessThanOrEqual(6000)
    await expect.poll(consoles, { timeout: 10_000 }).toBeLessThanOrEqual(2)
    await quits(terminal)
  })

  it('F12: max_client_conn is reached: the console takes us, and says how it is', async () => {
    await console.query('SET max_client_conn = 5')
    const taken: pg.Client[] = []
    try {
      for (let n = 0; n < 8; n++) taken.push(await connect({ port: pooler.port }))
    } catch (error) {
      expect((error as Error).message).toContain('no more connections allowed')
    }
    const terminal = startMonitor(['--pgbouncer', pooler.conninfo], { columns: 160, env: env() })
    await live(terminal, pooled, 5000)
    await quits(terminal)
    for (const client of taken) await client.end()
    await console.query('SET max_client_conn = 100')
  })

  it('F39 F10: stopped: DOWN with what the system says, and nothing of it is taken for current', async () => {
    const dir = temporaryFolder()
    const other = await startPgbouncer({
      dir: dir.path,
      databases: { postgres: `host=127.0.0.1 port=${server.port}` },
      users: ['postgres'],
    })
    const it = named(other)
    const terminal = await monitored([server.conninfo, '--pgbouncer', other.conninfo], [name, it], { env: env() })
    await withClient({ port: other.port }, client => client.query('select 1'))
    await other.stop()
    await terminal.until(() => wordOf(terminal, it) === 'DOWN', 'DOWN', 3000)
    expect(lineOf(terminal, it)).toMatch(/nothing listens at/)
    expect(lineOf(terminal, it)).not.toMatch(/tps/)
    await staysUsable(terminal, { others: [name], forMs: 2000 })
    await sleep(100)
    await quits(terminal)
    await dir.remove()
  })
})
