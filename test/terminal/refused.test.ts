// Servers that refuse us, and servers without a free connection. A password is never to be seen anywhere.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { findPgbouncer, type PgbouncerServer, startPgbouncer } from '../../src/lab/pgbouncer.ts'
import { type PostgresServer, startPostgres, startStandby } from '../../src/lab/postgres.ts'
import { run } from '../support/run.ts'
import { build, endAll, node, program, start, startMonitor } from '../support/terminal.ts'

const right = 'R1ght-secret'
const wrong = 'Wr0ng-secret'
const secret = /R1ght|Wr0ng|secret/

let folder: Folder
let server: PostgresServer
let standby: PostgresServer
let pooler: PgbouncerServer | null = null
let admin: pg.Client

beforeAll(async () => {
  build()
  folder = temporaryFolder()
  server = await startPostgres({
    version: 16,
    dir: folder.path,
    hba: [
      'host replication all 127.0.0.1/32 trust',
      'host all postgres 127.0.0.1/32 trust',
      'host all mon 127.0.0.1/32 scram-sha-256',
    ].join('\n'),
    settings: { max_connections: 12, superuser_reserved_connections: 2, reserved_connections: 0 },
  })
  admin = await connect({ port: server.port })
  await admin.query(`create role mon login password '${right}' in role pg_monitor`)
  standby = await startStandby(server, { dir: folder.path, name: 'standby', slot: null })
  if (findPgbouncer()) {
    const databases = { app: `host=127.0.0.1 port=${server.port} dbname=postgres` }
    pooler = await startPgbouncer({ dir: folder.path, databases, users: ['postgres'] })
  }
})
afterEach(endAll)
afterAll(async () => {
  await admin.end()
  await pooler?.stop()
  await standby.stop('immediate')
  await server.stop('immediate')
  await folder.remove()
})

const conninfo = (password: string, database = 'postgres') => `postgres://mon:${password}@127.0.0.1:${server.port}/${database}`

describe('refused for good', () => {
  it('by every server: one sentence each, status 1, no screen', async () => {
    const strings = [conninfo(wrong), conninfo(right, 'nowhere'), `host=no-such-host.invalid user=mon password=${wrong}`]
    const terminal = start('sh', ['-c', `${node} ${program} "$@"; echo status=$?`, 'sh', ...strings], { columns: 200 })
    await terminal.exit
    const written = terminal.bytes().toString()
    expect(written.split('\r\n')).toEqual([
      expect.stringMatching(/^pgvigil: 127\.0\.0\.1:\d+: password authentication failed for user "mon"$/),
      expect.stringMatching(/^pgvigil: 127\.0\.0\.1:\d+\/nowhere: database "nowhere" does not exist$/),
      expect.stringMatching(/^pgvigil: no-such-host\.invalid:5432: .*no-such-host\.invalid/),
      'status=1',
      '',
    ])
    expect(written).not.toMatch(/\x1b/)
    expect(written).not.toMatch(secret)
  })

  it('by one of two: the screen opens, shows DENIED with the reason, and the other LIVE; asked again after 30 s, not before', async () => {
    const denials = () => readFileSync(server.logFile, 'utf8').match(/password authentication failed/g)?.length ?? 0
    const before = denials()
    const terminal = startMonitor([conninfo(wrong), conninfo(right)])
    await terminal.waitFor(/^127\.0\.0\.1:\d+ +postgres +DENIED .*password authentication failed for user "mon"/m)
    await terminal.waitFor(/^127\.0\.0\.1:\d+\/postgres +primary +LIVE .* tps/m)
    // Every key asks the poller for what is new: none of them may make another attempt.
    for (const key of '12345123451') terminal.write(key)
    await terminal.waitFor(/DENIED [4-9]s/)
    expect(denials() - before).toBe(1)
    terminal.write('q')
    expect((await terminal.exit).code).toBe(0)
    expect(terminal.bytes().toString()).not.toMatch(secret)
  })

  it('a password on the command line is not seen in ps, once the program runs', async () => {
    const terminal = startMonitor([conninfo(right), `host=127.0.0.1 port=${server.port} user=mon password=${wrong}`])
    await terminal.waitFor(/LIVE/)
    expect(execFileSync('ps', ['-ww', '-o', 'args=', '-p', String(terminal.pid)], { encoding: 'utf8' })).toBe('pgvigil\n')
    expect(readFileSync(`/proc/${terminal.pid}/cmdline`, 'utf8')).not.toMatch(secret)
    terminal.write('q')
    expect((await terminal.exit).code).toBe(0)
  })

  it.each([
    ['an unknown option', [`--password=${wrong}`]],
    ['a string that is none', [`postgres://mon:${wrong}@[::1/x`]],
    ['an unknown keyword', [`password=${wrong} pasword=${right}`]],
    ['a number that is none', ['-p', wrong]],
  ])('%s: one sentence without it, status 2', async (_, args) => {
    const terminal = startMonitor(args, { columns: 400 })
    expect((await terminal.exit).code).toBe(2)
    const written = terminal.bytes().toString()
    expect(written).toMatch(/^pgvigil: [^\n\x1b]+\n$/)
    expect(written).not.toMatch(secret)
    const { code, stdout, stderr } = await run(['snapshot', '--json', ...args])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^pgvigil: [^\n\x1b]+\n$/)
    expect(stderr).not.toMatch(secret)
  })
})

const counted = async (client: pg.Client) => {
  const { rows } = await client.query(`select count(*)::int as n from pg_stat_activity where application_name = 'pgvigil'`)
  return rows[0].n as number
}

describe('connections', () => {
  it('one to each server, whatever the pane, and none is left', async () => {
    const standbyAdmin = await connect({ port: standby.port })
    const consoles = pooler ? ['--pgbouncer', pooler.conninfo] : []
    const terminal = startMonitor([conninfo(right), standby.conninfo, ...consoles])
    await terminal.waitFor(/primary +LIVE[\s\S]*standby +LIVE/)
    const panes = { 1: '(pgvigil itself)', 2: /OBJECT/, 3: /STANDBY/, 4: /HYPERTABLE/, 5: /MAXWAIT/ }
    for (const [key, shown] of Object.entries(panes)) {
      const before = terminal.screen()[0]
      terminal.write(key)
      await terminal.waitFor(shown)
      // The clock of the title has moved on: the pane has been asked for.
      await terminal.until(() => terminal.screen()[0] !== before, 'another second')
      expect(await counted(admin)).toBe(1)
      expect(await counted(standbyAdmin)).toBe(1)
    }
    if (pooler) {
      const console = await connect({ port: pooler.port, database: 'pgbouncer' })
      const { rows } = await console.query('SHOW CLIENTS')
      expect(rows.filter(row => row.application_name === 'pgvigil')).toHaveLength(1)
      await console.end()
    }
    terminal.write('q')
    await terminal.exit
    await expect.poll(() => counted(admin)).toBe(0)
    await expect.poll(() => counted(standbyAdmin)).toBe(0)
    await standbyAdmin.end()
  })

  it('all others taken: it goes on; started when full: FULL with what the server says, LIVE when one is free', async () => {
    const running = startMonitor([conninfo(right)])
    await running.waitFor(/LIVE .* tps/)
    const taken: pg.Client[] = []
    for (;;) {
      try {
        taken.push(await connect({ port: server.port, application_name: 'taker', user: 'postgres' }))
      } catch (error) {
        expect((error as { code: string }).code).toBe('53300')
        break
      }
    }
    const late = startMonitor([conninfo(right)])
    await late.waitFor(/FULL .*(?:remaining connection slots are reserved|too many clients)/)
    await late.waitFor(/GRANT pg_use_reserved_connections TO mon/)
    const clock = () => /\d\d:\d\d:\d\d/.exec(running.screen()[0]!)?.[0]
    for (let n = 0; n < 2; n++) {
      const before = clock()
      await running.until(() => clock() !== before, 'another second')
      expect(running.screen()[1]).toContain('LIVE')
    }
    for (const client of taken) await client.end()
    await late.waitFor(/LIVE .* tps/, 7000)
  })
})
