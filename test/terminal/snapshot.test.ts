// `pgvigil snapshot` as scripts use it: the fields of the contract with their types, lines, codes, and errors that stay on stderr.

import { spawn } from 'node:child_process'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { findPgbouncer, type PgbouncerServer, startPgbouncer } from '../../src/lab/pgbouncer.ts'
import { type PostgresServer, startPostgres, startStandby } from '../../src/lab/postgres.ts'
import { freePort } from '../../src/lab/process.ts'
import { run } from '../support/run.ts'
import { build, endAll, environment, node, program, start } from '../support/terminal.ts'

type Row = Record<string, unknown>
type Document = {
  format: number
  tool: { name: string; version: string }
  at: string
  cluster: string
  servers: { id: string; kind: string; role: string | null; link: string; error: string | null; version: string | null }[]
  panels: Record<string, { unavailable: { reason: string; remedy: string } | null; rows: Row[] }>
}

let folder: Folder
let primary: PostgresServer
let standby: PostgresServer
let pooler: PgbouncerServer | null = null
const clients: pg.Client[] = []
let nobody: string

beforeAll(async () => {
  build()
  folder = temporaryFolder()
  primary = await startPostgres({ version: 16, dir: folder.path })
  standby = await startStandby(primary, { dir: folder.path, name: 'standby', slot: 'standby' })
  const holder = await connect({ port: primary.port, application_name: 'holder' })
  await holder.query('create table t ()')
  await holder.query('begin; lock table t')
  const waiter = await connect({ port: primary.port, application_name: 'waiter' })
  waiter.query('select from t').catch(() => {})
  clients.push(holder, waiter)
  if (findPgbouncer()) {
    const databases = { app: `host=127.0.0.1 port=${primary.port} dbname=postgres` }
    pooler = await startPgbouncer({ dir: folder.path, databases, users: ['postgres'] })
    const pooled = await connect({ port: pooler.port, database: 'app', application_name: 'behind' })
    await pooled.query('begin')
    await pooled.query('select 1')
    clients.push(pooled)
  }
  nobody = `postgres://postgres@127.0.0.1:${await freePort()}/postgres`
})
afterEach(endAll)
afterAll(async () => {
  await standby.stop('immediate')
  await primary.stop('immediate')
  await pooler?.stop()
  for (const client of clients) await client.end().catch(() => {})
  await folder.remove()
})

const strings = () => [primary.conninfo, standby.conninfo, ...(pooler ? ['--pgbouncer', pooler.conninfo] : [])]

async function document(args: readonly string[], env = {}): Promise<Document> {
  const { code, stdout, stderr } = await run(['snapshot', '--json', ...args], env)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

const text = expect.any(String)
const number = expect.any(Number)
const truth = expect.any(Boolean)

describe('the document', () => {
  it('has rates of tables, locks and free space in a single look, and names a database without tables', async () => {
    const writer = await connect({ port: primary.port })
    await writer.query('create table written (i int)')
    let written = true
    const writing = (async () => {
      while (written) await writer.query('insert into written select generate_series(1, 10)')
    })()
    const { panels } = await document([primary.conninfo, '--panel', 'tables'])
    written = false
    await writing
    await writer.query('drop table written')
    await writer.end()
    const row = (name: string) => panels.tables?.rows.find(({ relname }) => relname === name)
    expect(row('written')?.insertsPerSecond).toBeGreaterThan(0)
    expect(row('written')?.deletesPerSecond).toBe(0)
    expect(row('t')).toMatchObject({ locked: true, total_bytes: null })
    expect(panels.tablespaces?.rows).toMatchObject([
      { freeBytes: number, freeOf: 'file system' },
      { freeBytes: number, freeOf: 'file system' },
    ])
    const empty = await run(['snapshot', '--panel', 'tables', primary.conninfo.replace(/postgres$/, 'template1')])
    expect(empty.stdout).toContain(
      'The database template1 has no table of its own. Another one is looked into with dbname=postgres',
    )
  })

  it('has the fields that scripts rely on, of every list', async () => {
    const doc = await document(strings())
    expect(doc).toMatchObject({ format: 1, tool: { name: 'pgvigil', version: text }, cluster: `127.0.0.1:${primary.port}` })
    expect(Math.abs(Date.now() - Date.parse(doc.at))).toBeLessThan(10_000)
    expect(doc.at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    expect(doc.servers.slice(0, 2)).toMatchObject([
      {
        id: `127.0.0.1:${primary.port}`,
        kind: 'postgres',
        role: 'primary',
        link: 'up',
        error: null,
        version: expect.stringMatching(/^16\./),
      },
      { id: `127.0.0.1:${standby.port}`, kind: 'postgres', role: 'standby', link: 'up', error: null, version: text },
    ])

    const { panels } = doc
    const from = (list: string, server: string) => panels[list]!.rows.filter(row => row.server === server)
    const [a, b] = doc.servers.map(server => server.id) as [string, string]
    const waiter = from('activity', a).find(row => row.application_name === 'waiter')
    expect(waiter).toMatchObject({
      pid: number,
      backend_type: 'client backend',
      backend_start: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\+00$/),
      datname: 'postgres',
      usename: 'postgres',
      client_addr: '127.0.0.1',
      client_port: number,
      state: 'active',
      wait_event_type: 'Lock',
      wait_event: 'relation',
      query: 'select from t',
      xactAgeSeconds: number,
      queryAgeSeconds: number,
      leader_pid: null,
      pooler: null,
      pooledClient: null,
    })
    expect(new Set(from('activity', b).map(row => row.backend_type))).toContain('walreceiver')

    const [root, hung] = from('locks', a)
    const holderPid = from('activity', a).find(row => row.application_name === 'holder')!.pid
    const lock = { pid: number, mode: 'AccessShareLock', locktype: 'relation', relation: text, query: 'select from t' }
    expect(root).toMatchObject({ pid: holderPid, depth: 0, rootPid: holderPid, blockedBy: [], blocksCount: 1, waitSeconds: null })
    expect(hung).toMatchObject({
      ...lock,
      pid: waiter!.pid,
      depth: 1,
      rootPid: holderPid,
      blockedBy: [holderPid],
      blocksCount: 0,
      waitSeconds: number,
    })

    expect(panels.replication!.rows).toMatchObject([
      {
        server: text,
        application_name: 'standby',
        standby: b,
        state: 'streaming',
        lagBytes: number,
        lagSeconds: number,
        sync_state: 'async',
        replayPaused: false,
      },
    ])
    const [sender] = panels.replication!.rows as Record<string, number>[]
    expect(sender!.unsentBytes! + sender!.writeGapBytes! + sender!.flushGapBytes! + sender!.replayGapBytes!).toBe(
      sender!.lagBytes,
    )
    expect(sender).toHaveProperty('receiver')
    expect(panels.slots!.rows).toMatchObject([
      {
        server: a,
        slot_name: 'standby',
        slot_type: 'physical',
        active: true,
        wal_status: 'reserved',
        restart_lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
        retainedBytes: number,
      },
    ])
    expect(panels.slots!.rows[0]).toHaveProperty('safe_wal_size', null)
    for (const list of ['chunks', 'hypertables', 'jobs']) {
      expect(panels[list]).toEqual({ unavailable: { reason: expect.stringContaining('timescaledb'), remedy: text }, rows: [] })
    }
    if (!pooler) return
    const mine = { database: 'app', user: 'postgres' }
    const pool = {
      ...mine,
      cl_active: 1,
      cl_waiting: 0,
      sv_active: 1,
      sv_idle: 0,
      maxwaitSeconds: 0,
      pool_mode: 'transaction',
      paused: false,
    }
    expect(panels.pools!.rows).toContainEqual(expect.objectContaining(pool))
    expect(panels.clients!.rows).toContainEqual(expect.objectContaining({ ...mine, application_name: 'behind' }))
    expect(panels.poolServers!.rows).toContainEqual(expect.objectContaining(mine))
    const behind = from('activity', a).find(row => row.pooler !== null)
    expect(behind).toMatchObject({ pooler: text, pooledClient: { addr: '127.0.0.1', port: number, application_name: 'behind' } })
  })

  it('no value is NaN, infinite or undefined, and nothing that is ours is a text where a number belongs', async () => {
    const { stdout } = await run(['snapshot', '--json', ...strings()])
    expect(stdout).not.toMatch(/NaN|Infinity|undefined|Invalid Date/)
    const { panels } = JSON.parse(stdout) as Document
    for (const { rows } of Object.values(panels)) {
      for (const row of rows) {
        for (const [field, value] of Object.entries(row)) {
          if (/(?:Seconds|Bytes|Count)$/.test(field) && value !== null) expect(value, field).toBeTypeOf('number')
        }
      }
    }
    expect(panels.activity!.rows.every(row => truth.asymmetricMatch(row.own))).toBe(true)
  })

  it.skipIf(!findPgbouncer())('a single look has rates, since it takes two samples', async () => {
    const doc = await document(['--panel', 'pools', '--pgbouncer', pooler!.conninfo])
    const pool = doc.panels.pools!.rows.find(row => row.database === 'app')
    const rates = Object.entries(pool!).filter(([field]) => field.endsWith('PerSecond'))
    expect(rates.length).toBeGreaterThan(0)
    for (const [field, value] of rates) expect(value, field).toBeTypeOf('number')
  })

  it('a server that is down is in it, and the code is 0', async () => {
    const doc = await document([primary.conninfo, nobody])
    expect(doc.servers[1]).toMatchObject({
      link: 'down',
      role: null,
      version: null,
      error: expect.stringContaining('nothing listens'),
    })
    expect(doc.panels.activity!.rows.length).toBeGreaterThan(0)
    const alone = await document([nobody, '--panel', 'activity'])
    expect(alone.panels.activity).toEqual({ unavailable: { reason: expect.stringContaining('DOWN'), remedy: text }, rows: [] })
  })

  it('--count 3 gives three lines, an interval apart; options before the word snapshot count too', async () => {
    const { code, stdout } = await run([
      '-i',
      '300ms',
      '--panel',
      'slots',
      'snapshot',
      '--json',
      '--count',
      '3',
      primary.conninfo,
    ])
    expect(code).toBe(0)
    const lines = stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(3)
    const documents = lines.map(line => JSON.parse(line) as Document)
    expect(Object.keys(documents[0]!.panels)).toEqual(['slots'])
    const times = documents.map(({ at }) => Date.parse(at))
    for (const i of [1, 2]) expect(times[i]! - times[i - 1]!).toBeGreaterThanOrEqual(290)
  })

  it('--count 0 goes on until it is stopped', async () => {
    const child = spawn(
      node,
      [program, 'snapshot', '--json', '--count', '0', '-i', '100ms', '--panel', 'slots', primary.conninfo],
      {
        env: environment(),
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    let lines = 0
    for await (const chunk of child.stdout) {
      lines += String(chunk).split('\n').length - 1
      if (lines === 4) child.kill('SIGTERM')
    }
    expect(lines).toBeGreaterThanOrEqual(4)
    if (child.exitCode === null) await new Promise(resolve => child.once('exit', resolve))
    expect(child.exitCode).toBe(143)
  })

  it('a reader that has seen enough is no error', async () => {
    const script = `${node} ${program} snapshot --json --count 0 -i 100ms '${primary.conninfo}' | head -c 100 >/dev/null; echo status=\${PIPESTATUS[0]}`
    const shell = start('bash', ['--norc', '-c', script], { columns: 200 })
    await shell.exit
    expect(shell.bytes().toString()).toMatch(/^status=(?:0|141)\r\n$/)
  })
})

describe('text', () => {
  it('prints tables with aligned columns, one for each server where a pane shows one, and no escape sequence', async () => {
    const { code, stdout, stderr } = await run(['snapshot', primary.conninfo, standby.conninfo])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f]/)
    const lines = stdout.split('\n')
    const heading = lines.findIndex(line => line.startsWith(' PID'))
    expect(lines[heading - 1]).toBe(`Activity @ 127.0.0.1:${primary.port}`)
    expect(stdout).toContain(`\nActivity @ 127.0.0.1:${standby.port}\n`)
    const at = lines[heading]!.indexOf('STATE')
    for (const name of ['holder', 'waiter']) {
      const row = lines.find(line => line.includes(`${name}@`))!
      expect(row.slice(at)).toMatch(/^(?:active|idle xact) /)
    }
    expect(stdout).toMatch(/\nReplication Standbys\n/)
    expect(lines.every(line => line.length <= 160)).toBe(true)
  })

  it('says why a list is empty', async () => {
    const { code, stdout } = await run(['snapshot', '--panel', 'activity', '--panel', 'chunks', nobody])
    expect(code).toBe(0)
    expect(stdout).toMatch(/Activity @ \S+\n {2}\S+ is DOWN: nothing listens/)
  })

  it('is ASCII only in a locale without UTF-8', async () => {
    const { stdout } = await run(['snapshot', primary.conninfo], { LANG: 'C' })
    expect(stdout).not.toMatch(/[^\x20-\x7e\n]/)
    expect(stdout).toContain('walwriter')
  })
})

describe('what is not understood: status 2, nothing on stdout, one line on stderr', () => {
  it.each([
    ['a pane', ['--panel', 'nothing']],
    ['a count', ['--count', 'x']],
    ['an interval', ['-i', 'soon']],
    ['an option', ['--jsn']],
    ['a connection string', ['host=a bogus=1']],
    ['a setting that is not supported', ['host=a sslmode=sometimes']],
    ['an option without its value', ['--panel']],
  ])('%s', async (_, args) => {
    const { code, stdout, stderr } = await run(['snapshot', '--json', ...args])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^pgvigil: [^\n]+\n$/)
  })
})
