import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { connect as dial } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type Lab, startLab } from '../../src/lab/lab.ts'
import { nodeBinary, packageRoot } from '../../src/lab/paths.ts'
import { findPgbouncer } from '../../src/lab/pgbouncer.ts'
import { type PostgresVersion, startPostgres, startStandby } from '../../src/lab/postgres.ts'
import { startTimescale, type TimescaleServer } from '../../src/lab/timescale.ts'

type Row = Record<string, unknown>

async function ask(conninfo: string, text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: conninfo })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

/** Pids of processes that run in the folder or on it. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .filter(pid => {
      try {
        return (
          readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder) || readlinkSync(`/proc/${pid}/cwd`).startsWith(folder)
        )
      } catch {
        return false
      }
    })
}

const soon = { timeout: 30_000, interval: 200 }

describe('the lab', () => {
  let lab: Lab
  beforeAll(async () => {
    lab = await startLab()
  })
  afterAll(() => lab?.stop())

  it('has a primary and a standby that streams through its slot', async () => {
    expect(await ask(lab.primary, 'SELECT pg_is_in_recovery() AS standby')).toEqual([{ standby: false }])
    expect(await ask(lab.standby, 'SELECT pg_is_in_recovery() AS standby')).toEqual([{ standby: true }])
    expect(await ask(lab.primary, 'SELECT application_name, state FROM pg_stat_replication')).toEqual([
      { application_name: 'standby1', state: 'streaming' },
    ])
    expect(await ask(lab.primary, 'SELECT slot_name, active FROM pg_replication_slots')).toEqual([
      { slot_name: 'standby_slot', active: true },
    ])
    const [statements] = await ask(lab.primary, 'SELECT count(*)::int AS n FROM pg_stat_statements')
    expect(statements!.n).toBeGreaterThan(0)
  })

  it.skipIf(!findPgbouncer())('has pools of several databases and users, one of them full at times', async () => {
    await vi.waitFor(async () => {
      const pools = await ask(lab.pgbouncer!, 'SHOW POOLS')
      const names = pools.map(({ database, user }) => `${database}/${user}`)
      expect(names).toEqual(expect.arrayContaining(['app/app_user', 'app/worker', 'reports/analyst', 'shop/shop_user']))
      expect(pools.find(({ database }) => database === 'shop')!.cl_waiting).toBeGreaterThan(0)
    }, soon)
  })

  it('has chunks compressed and not, of time and of integers, and jobs that ran and failed', async () => {
    const chunks = await ask(
      lab.timescale,
      'SELECT hypertable_name AS name, bool_or(is_compressed) AS some, bool_and(is_compressed) AS every FROM timescaledb_information.chunks GROUP BY 1',
    )
    expect(chunks).toEqual(
      expect.arrayContaining([
        { name: 'metrics', some: true, every: false },
        { name: 'sensor_readings', some: false, every: false },
        { name: 'counters', some: true, every: false },
      ]),
    )
    const jobs = await ask(
      lab.timescale,
      'SELECT DISTINCT last_run_status AS status FROM timescaledb_information.job_stats ORDER BY 1',
    )
    expect(jobs.map(job => job.status)).toEqual(['Failed', 'Success', null])
  })

  it('has a lock pile-up three levels deep, an advisory wait and a prepared transaction that blocks', async () => {
    const blockers = `SELECT pid, application_name AS name, wait_event AS event, pg_blocking_pids(pid) AS by FROM pg_stat_activity
      WHERE wait_event_type = 'Lock'`
    await vi.waitFor(async () => {
      const waits = await ask(lab.primary, blockers)
      const depth = (pid: unknown): number => {
        const wait = waits.find(one => one.pid === pid)
        return wait ? 1 + Math.max(...(wait.by as number[]).map(depth)) : 0
      }
      expect(Math.max(...waits.map(({ pid }) => depth(pid)))).toBeGreaterThanOrEqual(3)
      expect(waits.map(({ event }) => event)).toContain('advisory')
    }, soon)
    await vi.waitFor(async () => {
      expect(await ask(lab.primary, `${blockers} AND pg_blocking_pids(pid) = '{0}'`)).toMatchObject([{ name: 'order-service' }])
      expect(await ask(lab.primary, 'SELECT gid FROM pg_prepared_xacts')).toEqual([{ gid: 'xa-order-4711' }])
    }, soon)
  })

  it('has replay paused now and then, with a lag that grows', async () => {
    await vi.waitFor(async () => {
      expect(await ask(lab.standby, 'SELECT pg_get_wal_replay_pause_state() AS state')).toEqual([{ state: 'paused' }])
      const [lag] = await ask(lab.primary, 'SELECT pg_current_wal_lsn() - replay_lsn AS bytes FROM pg_stat_replication')
      expect(Number(lag!.bytes)).toBeGreaterThan(0)
    }, soon)
  })

  it('leaves nothing after stop()', async () => {
    expect(processesOf(lab.dir)).not.toEqual([])
    await lab.stop()
    expect(processesOf(lab.dir)).toEqual([])
    expect(existsSync(lab.dir)).toBe(false)
  })
})

describe('the lab without PgBouncer and without a workload', () => {
  it('says why there is none, and nobody is at work', async () => {
    const lab = await startLab({ pgbouncer: false, workload: false })
    try {
      expect(lab.pgbouncer).toBeNull()
      expect(lab.pgbouncerMissing).toMatch(/apt-get install pgbouncer/)
      const others = `SELECT FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`
      expect(await ask(lab.primary, others)).toEqual([])
    } finally {
      await lab.stop()
    }
  })
})

describe('an owner that ends', () => {
  let folder: Folder
  beforeAll(() => {
    folder = temporaryFolder('pgvigil-lab-test')
  })
  afterAll(() => folder.remove())

  function runOwner(): { child: ChildProcess; exit: Promise<number | string>; output: () => string } {
    const demo = join(packageRoot(), 'src', 'lab', 'demo.ts')
    const child = spawn(
      nodeBinary(),
      ['-e', `import(${JSON.stringify(demo)}).then(demo => demo.runServersOnly()).then(code => process.exit(code))`],
      {
        env: { ...process.env, TMPDIR: folder.path },
        stdio: ['pipe', 'pipe', 'pipe'],
      },
    )
    let text = ''
    for (const stream of [child.stdout!, child.stderr!]) stream.on('data', data => (text += data))
    const exit = new Promise<number | string>(resolve => child.once('exit', (code, signal) => resolve(signal ?? code ?? '')))
    return { child, exit, output: () => text }
  }
  const nothingLeft = () =>
    vi.waitFor(() => {
      expect(readdirSync(folder.path)).toEqual([])
      expect(processesOf(folder.path)).toEqual([])
    }, soon)

  it('by SIGKILL leaves no process and no folder', async () => {
    const { child, exit, output } = runOwner()
    await vi.waitFor(() => expect(output()).toContain('"timescale"'), soon)
    expect(readdirSync(folder.path)).toHaveLength(1)
    child.kill('SIGKILL')
    expect(await exit).toBe('SIGKILL')
    await nothingLeft()
  })

  it('by SIGTERM half way through the start, likewise, with exit code 143', async () => {
    const { child, exit, output } = runOwner()
    await vi.waitFor(() => expect(output()).toContain('streaming standby'), soon)
    child.kill('SIGTERM')
    expect(await exit).toBe(143)
    expect(output()).not.toContain('postgres://')
    await nothingLeft()
  })

  it('because its caller is gone (stdin closes), likewise', async () => {
    const { child, exit, output } = runOwner()
    await vi.waitFor(() => expect(output()).toContain('"timescale"'), soon)
    child.stdin!.end()
    expect(await exit).toBe(129)
    await nothingLeft()
  })
})

describe('PostgreSQL of any version', () => {
  it.each([13, 14, 15, 16, 17, 18] as const)(
    '%i starts, streams to a standby, and survives a crash',
    async (version: PostgresVersion) => {
      const folder = temporaryFolder('pgvigil-lab-test')
      try {
        const primary = await startPostgres({ version, dir: folder.path, settings: { work_mem: '5MB' } })
        expect(
          await ask(
            primary.conninfo,
            `SELECT current_setting('server_version_num')::int / 10000 AS major, current_setting('work_mem') AS mem`,
          ),
        ).toEqual([{ major: version, mem: '5MB' }])
        const standby = await startStandby(primary, { dir: folder.path, name: 'other', slot: 'other' })
        await ask(primary.conninfo, 'CREATE TABLE t AS SELECT 1 AS a')
        await vi.waitFor(async () => expect(await ask(standby.conninfo, 'SELECT a FROM t')).toEqual([{ a: 1 }]), soon)
        await standby.stop('immediate')
        await primary.kill()
        await expect(ask(primary.conninfo, 'SELECT 1')).rejects.toThrow(/ECONNREFUSED/)
        await primary.start()
        expect(await ask(primary.conninfo, 'SELECT 1 AS a')).toEqual([{ a: 1 }])
        await primary.stop('immediate')
      } finally {
        await folder.remove()
      }
    },
  )
})

describe('the front of TimescaleDB', () => {
  let folder: Folder
  let server: TimescaleServer
  const open = async (settings = {}) => {
    const client = new pg.Client({ connectionString: server.conninfo, ...settings })
    client.on('error', () => {})
    await client.connect()
    return client
  }
  beforeAll(async () => {
    folder = temporaryFolder('pgvigil-lab-test')
    server = await startTimescale({ dir: folder.path })
  })
  afterAll(async () => {
    await server?.stop()
    await folder.remove()
  })

  it('keeps settings and prepared statements of two clients apart', async () => {
    const [one, two] = [await open({ options: '-c statement_timeout=5s -c search_path=pg_catalog' }), await open()]
    await two.query(`SET TimeZone = 'Europe/Berlin'`)
    expect((await one.query('SHOW TimeZone')).rows).toEqual([{ TimeZone: 'GMT' }])
    expect((await two.query('SHOW TimeZone')).rows).toEqual([{ TimeZone: 'Europe/Berlin' }])
    expect((await one.query('SHOW search_path')).rows).toEqual([{ search_path: 'pg_catalog' }])
    expect((await two.query('SHOW search_path')).rows).toEqual([{ search_path: '"$user", public' }])
    for (const round of [1, 2]) {
      expect((await one.query({ name: 'same', text: 'SELECT $1::int AS a', values: [round] })).rows).toEqual([{ a: round }])
      expect((await two.query({ name: 'same', text: 'SELECT $1::text AS b', values: [`${round}`] })).rows).toEqual([
        { b: `${round}` },
      ])
    }
    await one.end()
    await two.end()
  })

  it('answers after errors of the simple and of the extended protocol, and refuses COPY FROM STDIN, of which PGlite would die', async () => {
    const client = await open()
    await expect(client.query('SELECT nope')).rejects.toMatchObject({ code: '42703' })
    await expect(client.query('SELECT nope WHERE $1 = 1', [1])).rejects.toMatchObject({ code: '42703' })
    await expect(client.query('COPY pg_class FROM STDIN')).rejects.toMatchObject({ code: '0A000' })
    expect((await client.query('SELECT $1::int AS a', [3])).rows).toEqual([{ a: 3 }])
    await client.end()
    await expect(open({ connectionString: server.conninfo.replace(/postgres$/, 'nope') })).rejects.toMatchObject({
      code: '3D000',
    })
  })

  it('lets nobody into a transaction of another, and rolls back when its owner dies', async () => {
    const [dying, other] = [await open(), await open()]
    await dying.query('BEGIN')
    await dying.query('CREATE TABLE unborn (a int)')
    const answer = other.query(`SELECT to_regclass('unborn') AS t`)
    const first = await Promise.race([answer.then(() => 'other'), dying.query('SELECT 1').then(() => 'owner')])
    expect(first).toBe('owner')
    ;(dying as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
    expect((await answer).rows).toEqual([{ t: null }])
    await other.end()
  })

  it('ignores a cancel request, and answers one that asks for TLS byte by byte', async () => {
    const socket = dial(server.port, '127.0.0.1')
    const answered = new Promise<string>(resolve => socket.once('data', data => resolve(data.toString())))
    for (const byte of [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]) socket.write(Uint8Array.of(byte))
    expect(await answered).toBe('N')
    const closed = new Promise(resolve => socket.once('close', resolve))
    socket.write(Uint8Array.of(0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 1, 0, 0, 0, 1))
    await closed
    expect(await ask(server.conninfo, 'SELECT 1 AS a')).toEqual([{ a: 1 }])
  })
})
