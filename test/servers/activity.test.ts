// Sessions of real servers: all kinds of processes, and the application behind a pooled backend.

import type { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { connect, type Target } from '../../src/lab/client.ts'
import { temporaryFolder } from '../../src/lab/folder.ts'
import { findPgbouncer, type PgbouncerServer, startPgbouncer } from '../../src/lab/pgbouncer.ts'
import { type PostgresServer, type PostgresVersion, startPostgres, startStandby } from '../../src/lab/postgres.ts'
import type { Session } from '../../src/model/activity.ts'
import { activityList } from '../../src/panels/activity.ts'
import type { State } from '../../src/store/state.ts'
import { type Watching, watching } from '../support/watching.ts'

const folder = temporaryFolder('pgvigil-activity-')
afterAll(() => folder.remove())

const rowsOf = (state: State) => activityList.select(state).rows as unknown as readonly Session[]
const column = (title: string) => activityList.columns.find(c => c.title === title)!
const cell = (row: Session, title: string) => column(title).text(row as never)

const focusServer = (state: State, focus: string): State => ({ ...state, view: { ...state.view, focus } })

const clients: Client[] = []
afterEach(async () => {
  await Promise.all(clients.splice(0).map(client => client.end().catch(() => {})))
})
async function session(target: Target): Promise<Client & { pid: number }> {
  const client = await connect(target)
  clients.push(client)
  const { rows } = await client.query('SELECT pg_backend_pid() AS pid')
  return Object.assign(client, { pid: rows[0].pid as number })
}

describe.each([13, 16, 18] as const)('PostgreSQL %i', (version: PostgresVersion) => {
  let server: PostgresServer
  let watch: Watching

  beforeAll(async () => {
    server = await startPostgres({ version, dir: folder.path, settings: { max_worker_processes: 8 } })
    const admin = await connect({ port: server.port })
    await admin.query('CREATE ROLE plain LOGIN; CREATE TABLE big AS SELECT i FROM generate_series(1, 100000) i')
    await admin.end()
    watch = watching([{ id: 'a', conninfo: `${server.conninfo}?application_name=pgvigil` }], [activityList])
  })
  afterAll(async () => {
    watch?.stop()
    await server?.stop('immediate')
  })

  /** The row of a session once it is as wanted. */
  async function until(pid: number, ready: (row: Session) => boolean, what: string, by = watch): Promise<Session> {
    const is = (row: Session) => row.pid === pid && ready(row)
    return rowsOf(await by.until(state => rowsOf(state).some(is), what)).find(is)!
  }

  test('every process is there, each of its kind, and our own is marked', async () => {
    const one = await session({ port: server.port, application_name: 'web-1' })
    await until(one.pid, row => row.usename !== null && row.state !== null, 'the names')
    const rows = rowsOf(watch.state())
    const { rows: truth } = await one.query('SELECT pid, backend_type, backend_start::text FROM pg_stat_activity ORDER BY pid')
    expect(
      rows
        .map(({ pid, backend_type, backend_start }) => ({ pid, backend_type, backend_start }))
        .toSorted((a, b) => a.pid - b.pid),
    ).toEqual(truth)
    expect(rows.filter(row => row.kind === 'client').map(row => row.application_name)).toEqual(
      expect.arrayContaining(['web-1', 'pgvigil']),
    )
    expect(rows.filter(row => row.own).map(row => row.application_name)).toEqual(['pgvigil'])
    expect(rows.find(row => row.pid === one.pid)).toMatchObject({
      server: 'a',
      datname: 'postgres',
      usename: 'postgres',
      client_addr: '127.0.0.1',
      state: 'idle',
      xactAgeSeconds: null,
      pooler: null,
      pooledClient: null,
    })
  })

  test('ages are the server`s: of the transaction, the query and the state', async () => {
    const one = await session({ port: server.port })
    await one.query('BEGIN')
    await one.query('SELECT pg_sleep(1.2)')
    const row = await until(one.pid, r => (r.state as unknown) === 'idle in transaction', 'an idle transaction')
    expect(row.xactAgeSeconds!).toBeGreaterThanOrEqual(1.2)
    expect(row.queryAgeSeconds!).toBeGreaterThanOrEqual(1.2)
    expect(row.queryAgeSeconds!).toBeLessThanOrEqual(row.xactAgeSeconds!)
    expect(row.stateAgeSeconds!).toBeLessThanOrEqual(row.queryAgeSeconds! - 1.1)
    expect(cell(row, 'STATE')).toBe('idle xact')
  })

  test('parallel workers hang under their leader', async () => {
    const one = await session({ port: server.port })
    await one.query(
      'SET max_parallel_workers_per_gather = 2; SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0',
    )
    const running = one.query('SELECT count(pg_sleep(0.0001)) FROM big').catch(() => {})
    const state = await watch.until(s => rowsOf(s).some(row => row.leader_pid === one.pid), 'a parallel worker')
    const worker = rowsOf(state).find(row => row.leader_pid === one.pid)!
    expect(worker).toMatchObject({ backend_type: 'parallel worker', kind: 'client' })
    expect(activityList.parentId!(worker as never)).toBe(String(one.pid))
    const admin = await session({ port: server.port })
    await admin.query('SELECT pg_terminate_backend($1)', [one.pid])
    await running
  })

  test('a lock on the catalogs of databases and roles hides no session', async () => {
    const [one, other] = [await session({ port: server.port }), await session({ port: server.port, application_name: 'witness' })]
    await until(one.pid, row => row.usename !== null, 'the names')
    await one.query('BEGIN; LOCK TABLE pg_authid, pg_database, pg_class')
    const at = Date.now()
    const state = await watch.until(
      s => (s.servers.a!.readings.activity!.sample?.at ?? 0) > at + 300,
      'samples taken under the lock',
    )
    expect(rowsOf(state).find(row => row.pid === other.pid)).toMatchObject({
      state: 'idle',
      usename: 'postgres',
      datname: 'postgres',
    })
    await one.query('ROLLBACK')
  })

  test('a query cut inside a character ends before it', async () => {
    const one = await session({ port: server.port })
    await one.query(`SELECT '${'ä'.repeat(700)}'`)
    const row = await until(one.pid, r => String(r.query).startsWith("SELECT 'ä"), 'the query')
    expect(String(row.query)).not.toContain('\ufffd')
  })

  test('a role without privileges: others are restricted, never idle, with the GRANT that helps', async () => {
    const conninfo = server.conninfo.replace('postgres@', 'plain@')
    const watcher = watching([{ id: 'a', conninfo: `${conninfo}?application_name=pgvigil` }], [activityList])
    try {
      const one = await session({ port: server.port, application_name: 'secret' })
      const row = await until(one.pid, r => r.usename !== null, 'a restricted row', watcher)
      expect(row).toMatchObject({
        restricted: true,
        state: null,
        backend_type: null,
        application_name: 'secret',
        usename: 'postgres',
      })
      expect(cell(row, 'STATE')).toBe('restricted')
      expect(activityList.idle!(row as never)).toBe(false)
      expect(activityList.select(watcher.state()).notice).toMatch(/^\d+ sessions restricted: GRANT pg_monitor TO plain;$/)
      expect(rowsOf(watcher.state()).find(r => r.own)).toMatchObject({ restricted: false })
    } finally {
      watcher.stop()
    }
  })
})

describe.skipIf(findPgbouncer() === null)('behind PgBouncer', () => {
  let [first, second] = [null, null] as unknown as [PostgresServer, PostgresServer]
  let pooler: PgbouncerServer
  let watch: Watching

  beforeAll(async () => {
    first = await startPostgres({ version: 16, dir: folder.path, name: 'first' })
    const admin = await connect({ port: first.port })
    await admin.query('CREATE ROLE web LOGIN; CREATE ROLE job LOGIN')
    await admin.end()
    second = await startStandby(first, { dir: folder.path, name: 'second', slot: null })
    pooler = await startPgbouncer({
      dir: folder.path,
      databases: {
        app: `host=127.0.0.1 port=${first.port} dbname=postgres`,
        local: `host=${first.socketDir ?? '127.0.0.1'} port=${first.port} dbname=postgres`,
        reports: `host=127.0.0.1 port=${second.port} dbname=postgres`,
      },
      users: ['web', 'job', 'postgres'],
    })
    const servers = [
      { id: 'first', conninfo: first.conninfo },
      { id: 'second', conninfo: second.conninfo },
      { id: 'pool', kind: 'pgbouncer' as const, conninfo: pooler.conninfo },
    ]
    watch = watching(servers, [activityList])
  })
  afterAll(async () => {
    watch?.stop()
    await pooler?.stop()
    await second?.stop('immediate')
    await first?.stop('immediate')
  })

  const on = (id: string) => (state: State) => rowsOf(focusServer(state, id))
  async function pooledAs(id: string, name: string, linked: boolean | null = true): Promise<Session> {
    const is = (row: Session) => (row.pooledClient?.application_name as unknown) === name && row.pooledLinked === linked
    return on(id)(await watch.until(state => on(id)(state).some(is), `${name} on ${id}`)).find(is)!
  }

  test('two users, two databases, TCP and a Unix socket, two servers: each backend names its own client', async () => {
    const cast = [
      { user: 'web', database: 'app', application_name: 'web-1', server: 'first' },
      { user: 'job', database: 'app', application_name: 'job-1', server: 'first' },
      { user: 'web', database: 'local', application_name: 'web-local', server: 'first' },
      { user: 'web', database: 'reports', application_name: 'report-1', server: 'second' },
    ]
    for (const { server, ...target } of cast) {
      const client = await session({ port: pooler.port, ...target })
      const { rows } = await client
        .query('BEGIN; SELECT pg_backend_pid() AS pid')
        .then(results => (results as never as { rows: { pid: number }[] }[])[1]!)
      const row = await pooledAs(server, target.application_name)
      const port = (client as never as { connection: { stream: { localPort: number } } }).connection.stream.localPort
      expect(row).toMatchObject({
        pid: rows[0]!.pid,
        pooler: 'pool',
        pooledClient: { addr: '127.0.0.1', port, application_name: target.application_name },
        usename: target.user,
      })
      expect(cell(row, 'CLIENT')).toBe(`${target.application_name}@127.0.0.1:${port}`)
      const others = watch.state()
      expect(
        on(server === 'first' ? 'second' : 'first')(others).some(
          r => (r.pooledClient?.application_name as unknown) === target.application_name,
        ),
      ).toBe(false)
    }
  })

  test('between transactions a pooled backend is unlinked, and a direct one never has a pooler', async () => {
    const client = await session({ port: pooler.port, user: 'web', database: 'app', application_name: 'shy' })
    const direct = await session({ port: first.port, application_name: 'direct' })
    await client.query('BEGIN')
    const { pid } = await pooledAs('first', 'shy')
    await client.query('COMMIT')
    const unlinked = (row: Session) => row.pid === pid && row.pooledLinked === false
    const rows = on('first')(await watch.until(state => on('first')(state).some(unlinked), 'an unlinked backend'))
    expect(cell(rows.find(unlinked)!, 'CLIENT')).toBe('unlinked')
    expect(rows.find(row => row.pid === direct.pid)).toMatchObject({ pooler: null, pooledClient: null })
    expect(rows.filter(row => row.kind !== 'client').every(row => row.pooler === null)).toBe(true)
  })

  test('the walsender stands apart', async () => {
    const state = await watch.until(s => on('first')(s).some(row => row.kind === 'walsender'), 'the walsender')
    const sender = on('first')(state).find(row => row.kind === 'walsender')!
    expect(activityList.group!(sender as never)).toEqual({ order: 1, title: 'walsenders' })
    expect(sender).toMatchObject({ backend_type: 'walsender', state: 'active' })
  })

  test('a pooler that is silent: its backends are still its own, but nobody claims to know the client', async () => {
    const client = await session({ port: pooler.port, user: 'web', database: 'app', application_name: 'mute' })
    await client.query('BEGIN')
    const { pid } = await pooledAs('first', 'mute')
    pooler.signal('SIGSTOP')
    try {
      const unknown = (row: Session) => row.pid === pid && row.pooler === 'pool' && row.pooledLinked === null
      const state = await watch.until(s => on('first')(s).some(unknown), 'an unknown client')
      expect(cell(on('first')(state).find(unknown)!, 'CLIENT')).toBe('unknown')
      expect(activityList.select(focusServer(state, 'first')).notice).toMatch(/^clients behind pool unknown: /)
    } finally {
      pooler.signal('SIGCONT')
    }
    await pooledAs('first', 'mute')
  })
})
