// Pools over a real connection, through poller and store: from consoles with the exact columns of four PgBouncer releases, and from the
// PgBouncer that is installed.

import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { connect, withClient } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { findPgbouncer, type PgbouncerServer, startPgbouncer } from '../../src/lab/pgbouncer.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import type { PoolClientPaneRow, PoolServerPaneRow } from '../../src/model/pooled.ts'
import type { PoolPaneRow } from '../../src/model/pools.ts'
import { poolsPanel } from '../../src/panels/pools.ts'
import type { State } from '../../src/store/state.ts'
import { type PgbouncerStub, type StubVersion, startPgbouncerStub } from '../support/pgbouncer-stub.ts'
import { type Watching, watching } from '../support/watching.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function stub(version: StubVersion, other?: Record<string, readonly string[]>): Promise<PgbouncerStub> {
  const started = await startPgbouncerStub(version, other)
  ends.push(started.stop)
  return started
}

function watch(port: number, user = 'dba', intervalMs = 100): Watching {
  const started = watching(
    [{ id: 'pgb', kind: 'pgbouncer', conninfo: `host=127.0.0.1 port=${port} user=${user}` }],
    poolsPanel.lists,
    intervalMs,
  )
  ends.push(started.stop)
  return started
}

const select = (state: State, id: string) => poolsPanel.lists.find(list => list.id === id)!.select(state)
const poolsIn = (state: State) => select(state, 'pools').rows as unknown as readonly PoolPaneRow[]
const heardTwice = (state: State) => Boolean(state.servers.pgb?.readings.showServers?.previous)

const app = {
  cl_active: 5,
  cl_waiting: 2,
  sv_active: 2,
  sv_idle: 1,
  sv_used: 0,
  sv_tested: 0,
  sv_login: 0,
  sv_active_cancel: 0,
  sv_being_canceled: 0,
}
const answers = {
  POOLS: [
    { database: 'app', user: 'web', ...app, maxwait: 3, maxwait_us: 500_000, pool_mode: 'transaction' },
    { database: 'pgbouncer', user: 'pgbouncer', cl_active: 1, cl_waiting: 0, maxwait: 0, maxwait_us: 0, pool_mode: 'statement' },
  ],
  DATABASES: [
    {
      name: 'app',
      host: '10.0.0.1',
      port: 5432,
      database: 'app',
      pool_size: 4,
      reserve_pool: 1,
      reserve_pool_size: 1,
      paused: 0,
      disabled: 0,
    },
    { name: 'odd-Name', pool_size: 4, paused: 1, disabled: 0 },
    { name: 'pgbouncer', pool_size: 2, paused: 0, disabled: 0 },
  ],
  STATS: [{ database: 'app', total_xact_count: '9007199254740993', total_query_count: '12', total_wait_time: '100' }],
  STATE: [
    { key: 'active', value: 'yes' },
    { key: 'paused', value: 'no' },
    { key: 'suspended', value: 'no' },
  ],
  CONFIG: [
    { key: 'default_pool_size', value: '20' },
    { key: 'max_client_conn', value: '100' },
  ],
  USERS: [{ name: 'web', pool_size: '' }],
  CLIENTS: [
    {
      type: 'C',
      database: 'app',
      user: 'web',
      state: 'active',
      addr: '10.0.0.7',
      port: 41000,
      ptr: '0xc1',
      link: '0x51',
      application_name: 'web-1',
    },
    {
      type: 'C',
      database: 'app',
      user: 'web',
      state: 'waiting',
      addr: '10.0.0.8',
      port: 41001,
      wait: 3,
      wait_us: 500_000,
      ptr: '0xc2',
      link: '',
    },
    {
      type: 'C',
      database: 'pgbouncer',
      user: 'dba',
      state: 'active',
      addr: '10.0.0.9',
      port: 41002,
      wait: 7,
      ptr: '0xc3',
      link: '',
    },
  ],
  SERVERS: [
    {
      type: 'S',
      database: 'app',
      user: 'web',
      state: 'active',
      addr: '10.0.0.1',
      port: 5432,
      ptr: '0x51',
      link: '0xc1',
      remote_pid: 777,
      close_needed: 0,
    },
  ],
}

describe.each(['1.18', '1.21', '1.24', '1.25'] as const)('F22: PgBouncer %s', version => {
  test('gives pools, clients and servers with their links', async () => {
    const console = await stub(version)
    console.show(answers)
    const state = await watch(console.port).until(heardTwice, 'two rounds of answers')
    expect(state.servers.pgb?.facts?.version).toBe({ '1.18': 11800, '1.21': 12100, '1.24': 12401, '1.25': 12502 }[version])
    const pools = select(state, 'pools')
    expect(pools).toMatchObject({
      rows: [
        {
          server: 'pgb',
          database: 'app',
          user: 'web',
          cl_active: 5,
          cl_waiting: 2,
          sv_active: 2,
          sv_idle: 1,
          serversUsed: 3,
          serverLimit: 4,
          reserve_pool_size: 1,
          maxwaitSeconds: 3.5,
          pool_mode: 'transaction',
          paused: false,
          poolerPauseKnown: version !== '1.18',
        },
        { database: 'odd-Name', user: null, paused: true },
      ],
    })
    expect(pools.rows).toHaveLength(2)
    expect(pools.notice).toBeUndefined()
    const clients = select(state, 'clients').rows as unknown as readonly PoolClientPaneRow[]
    expect(
      clients.map(({ application_name, clientState, linkedTo, waitSeconds }) => [
        application_name,
        clientState,
        linkedTo,
        waitSeconds,
      ]),
    ).toEqual([
      ['web-1', 'active', 777, 0],
      [null, 'waiting', null, 3.5],
    ])
    const [server] = select(state, 'poolServers').rows as unknown as readonly PoolServerPaneRow[]
    expect(server).toMatchObject({
      remote_pid: 777,
      close_needed: false,
      client: { addr: '10.0.0.7', port: 41000, application_name: 'web-1' },
    })
  })

  test('is asked only what it knows', async () => {
    const console = await stub(version)
    console.show(answers)
    await watch(console.port).until(heardTwice, 'two rounds of answers')
    expect(console.heard.includes('SHOW STATE')).toBe(version !== '1.18')
    expect(console.heard.includes('SHOW USERS')).toBe(version === '1.24' || version === '1.25')
    expect(console.heard.every(text => /^SHOW [A-Z]+$/.test(text))).toBe(true)
  })

  test('gives rates between its totals, exact beyond 2^53, and none across a restart', async () => {
    const console = await stub(version)
    console.show(answers)
    const watched = watch(console.port)
    await watched.until(state => poolsIn(state)[0]?.xactsPerSecond === 0, 'a quiet interval')
    console.show({
      STATS: [{ database: 'app', total_xact_count: '9007199254740995', total_query_count: '16', total_wait_time: '100' }],
    })
    const state = await watched.until(state => (poolsIn(state)[0]?.xactsPerSecond ?? 0) > 0, 'a rate')
    const { sample, previous } = state.servers.pgb!.readings.showStats!
    const [row] = poolsIn(state)
    expect(row!.xactsPerSecond).toBeCloseTo(2 / ((sample!.at - previous!.at) / 1000), 6)
    expect(row!.queriesPerSecond).toBeCloseTo(row!.xactsPerSecond! * 2, 6)
    console.show({ STATS: [{ database: 'app', total_xact_count: '1', total_query_count: '1', total_wait_time: '0' }] })
    await watched.until(state => poolsIn(state)[0]?.xactsPerSecond === null, 'no rate across the restart')
  })
})

test.each(['1.21', '1.25'] as const)('PgBouncer %s: a PAUSE of everything is seen, with its age, and its end', async version => {
  const console = await stub(version)
  console.show(answers)
  const watched = watch(console.port)
  await watched.until(heardTwice, 'two rounds of answers')
  console.show({ STATE: [{ key: 'paused', value: 'yes' }] })
  const paused = await watched.until(state => poolsIn(state)[0]?.paused === true, 'the pause')
  expect(poolsIn(paused)[0]).toMatchObject({ pausedBy: 'pooler' })
  await watched.until(state => (poolsIn(state)[0]?.pausedSeconds ?? 0) > 0.3, 'the pause to grow old')
  console.show({ STATE: [{ key: 'paused', value: 'no' }] })
  const resumed = await watched.until(state => poolsIn(state)[0]?.paused === false, 'the end of the pause')
  expect(resumed.servers.pgb?.firstSeen).not.toHaveProperty('paused:*')
})

test('a release with other columns still fills the pane', async () => {
  const console = await stub('1.25', {
    POOLS: ['brand_new#', 'user', 'database', 'cl_waiting#', 'sv_active#'],
    DATABASES: ['name', 'pool_mode', 'shiny'],
    STATS: ['database', 'total_xact_countN'],
    CLIENTS: ['database', 'addr'],
    SERVERS: ['database', 'state'],
  })
  console.show(answers)
  const state = await watch(console.port).until(heardTwice, 'two rounds of answers')
  expect(poolsIn(state)[0]).toMatchObject({
    database: 'app',
    cl_waiting: 2,
    cl_active: null,
    maxwaitSeconds: null,
    xactsPerSecond: 0,
    serverLimit: 20,
  })
  for (const list of poolsPanel.lists) {
    const { rows, notice, unavailable } = list.select(state)
    expect([list.id, notice, unavailable]).toEqual([list.id, undefined, undefined])
    expect(list.columns.map(column => column.text(rows[0]!)).join(' ')).not.toMatch(/null|undefined|NaN/)
    expect(JSON.stringify(list.detail?.(rows[0]!, state))).not.toMatch(/null|undefined|NaN/)
  }
})

describe.skipIf(!findPgbouncer())('the installed PgBouncer before a PostgreSQL', () => {
  let folder: Folder
  let postgres: PostgresServer
  let bouncer: PgbouncerServer
  const clients: pg.Client[] = []

  beforeAll(async () => {
    folder = temporaryFolder()
    postgres = await startPostgres({ version: 16, dir: folder.path })
    await withClient(postgres, client =>
      client.query('CREATE ROLE web LOGIN; CREATE ROLE watcher LOGIN; CREATE ROLE nobody LOGIN'),
    )
    const place = `host=127.0.0.1 port=${postgres.port} dbname=postgres`
    bouncer = await startPgbouncer({
      dir: folder.path,
      databases: { app: `${place} pool_size=2`, 'odd-Name': place, capped: `${place} max_db_connections=7` },
      users: ['web', 'watcher', 'nobody'],
      settings: { stats_users: 'watcher', default_pool_size: 15 },
    })
  })
  afterEach(async () => {
    await Promise.all(clients.splice(0).map(client => client.end().catch(() => {})))
  })
  afterAll(async () => {
    await bouncer?.stop()
    await postgres?.stop('immediate')
    await folder?.remove()
  })

  async function client(database: string, application_name: string): Promise<pg.Client> {
    const opened = await connect({ port: bouncer.port, database, user: 'web', application_name })
    clients.push(opened)
    return opened
  }
  const console = (command: string) => withClient({ port: bouncer.port, database: 'pgbouncer' }, c => c.query(command))
  const row = (state: State, database: string) => poolsIn(state).find(pool => String(pool.database) === database)

  test('a full pool: who has which backend, who waits and how long', async () => {
    const open = await Promise.all([client('app', 'web-1'), client('app', 'web-2')])
    for (const each of open) await each.query('BEGIN')
    const late = await client('app', 'web-3')
    const waits = late.query('SELECT 1')
    const watched = watch(bouncer.port, 'watcher')
    const state = await watched.until(s => (row(s, 'app')?.maxwaitSeconds ?? 0) > 1, 'a waiting client')
    expect(row(state, 'app')).toMatchObject({
      user: 'web',
      cl_waiting: 1,
      sv_active: 2,
      serversUsed: 2,
      serverLimit: 2,
      paused: false,
    })
    expect(select(state, 'pools').notice).toBeUndefined()
    const seen = select(state, 'clients').rows as unknown as readonly PoolClientPaneRow[]
    const pids = await withClient(postgres, c =>
      c.query<{ name: string; pid: number }>(
        `SELECT application_name AS name, pid FROM pg_stat_activity WHERE usename = 'web' AND state = 'idle in transaction'`,
      ),
    )
    const linked = Object.fromEntries(seen.map(c => [String(c.application_name), c.linkedTo]))
    expect(linked).toEqual({ 'web-3': null, ...Object.fromEntries(pids.rows.map(({ name, pid }) => [name, pid])) })
    expect(pids.rows).toHaveLength(2)
    expect(seen.find(c => String(c.application_name) === 'web-3')?.clientState).toBe('waiting')
    const servers = select(state, 'poolServers').rows as unknown as readonly PoolServerPaneRow[]
    expect(new Set(servers.map(({ remote_pid, client: c }) => `${remote_pid} ${c?.application_name}`))).toEqual(
      new Set(pids.rows.map(({ name, pid }) => `${pid} ${name}`)),
    )
    for (const each of open) await each.query('COMMIT')
    await waits
    await watched.until(s => row(s, 'app')?.cl_waiting === 0 && row(s, 'app')?.maxwaitSeconds === 0, 'the queue to be served')
  })

  test('averages of what ended in the interval', async () => {
    // PgBouncer counts a query when it begins and its time when it ends: many short ones make an honest average.
    const busy = await client('capped', 'busy')
    let stopped = false
    const work = (async () => {
      while (!stopped) await busy.query('SELECT pg_sleep(0.02)')
    })()
    const watched = watch(bouncer.port, 'watcher', 1000)
    const state = await watched.until(s => (row(s, 'capped')?.avgQueryMs ?? 0) > 0, 'an average')
    stopped = true
    await work
    expect(row(state, 'capped')?.avgQueryMs).toBeGreaterThan(18)
    expect(row(state, 'capped')?.avgQueryMs).toBeLessThan(60)
    expect(row(state, 'capped')?.queriesPerSecond).toBeGreaterThan(10)
    expect(row(state, 'capped')?.queriesPerSecond).toBeLessThan(51)
    expect(row(state, 'capped')).toMatchObject({ serverLimit: 7, max_connections: 7 })
  })

  test('a paused, a disabled database and a PAUSE of everything', async () => {
    const watched = watch(bouncer.port, 'watcher')
    await console('PAUSE "odd-Name"')
    const paused = await watched.until(s => (row(s, 'odd-Name')?.pausedSeconds ?? 0) > 0.2, 'the pause')
    expect(row(paused, 'odd-Name')).toMatchObject({ user: null, paused: true, pausedBy: 'database', cl_active: 0 })
    await console('RESUME "odd-Name"')
    await watched.until(s => row(s, 'odd-Name') === undefined, 'its end')
    await console('DISABLE "odd-Name"')
    await watched.until(s => row(s, 'odd-Name')?.disabled === true, 'the database to be disabled')
    await console('ENABLE "odd-Name"')
    const pooled = await client('app', 'idle')
    await pooled.query('SELECT 1')
    await console('PAUSE')
    // From 1.19 on it can be told; before, nothing may be claimed either way.
    await watched.until(s => row(s, 'app')?.serversUsed === 0, 'the pause of everything')
    const state = await watched.until(s => row(s, 'app')?.paused === row(s, 'app')?.poolerPauseKnown, 'what is known of it')
    expect(row(state, 'app')?.poolerPauseKnown).toBe((state.servers.pgb?.facts?.version ?? 0) >= 11900)
    await console('RESUME')
  })

  test('a user who may not look at the console', async () => {
    const state = await watch(bouncer.port, 'nobody').until(s => s.servers.pgb?.link.state === 'down', 'the refusal')
    expect(select(state, 'pools').unavailable).toMatchObject({
      reason: expect.stringContaining('not allowed'),
      remedy: expect.stringContaining('stats_users'),
    })
  })
})
