// What an administrator, or an enemy, may have set on the role we log in as: no figure changes, and nobody else's function runs. F39.

import { readFileSync } from 'node:fs'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { connect } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { run } from '../support/run.ts'
import { build, endAll, startMonitor } from '../support/terminal.ts'

const settings: Readonly<Record<string, string>> = {
  datestyle: `'German'`,
  intervalstyle: `'sql_standard'`,
  extra_float_digits: '-15',
  timezone: `'Asia/Kolkata'`,
  bytea_output: `'escape'`,
  standard_conforming_strings: 'off',
  search_path: 'public, pg_catalog',
  statement_timeout: `'1ms'`,
  idle_session_timeout: `'400ms'`,
  default_transaction_isolation: `'serializable'`,
  lc_messages: `'C'`,
  client_min_messages: `'debug5'`,
}
/** What our queries call or could call; each would be heard of in the server's log. */
const hijacked = [
  'pg_is_in_recovery() returns bool',
  'pg_current_wal_insert_lsn() returns pg_lsn',
  'pg_current_wal_lsn() returns pg_lsn',
  'clock_timestamp() returns timestamptz',
  'now() returns timestamptz',
  'current_setting(text) returns text',
  'current_setting(text, boolean) returns text',
  'set_config(text, text, boolean) returns text',
  'pg_stat_get_activity(integer) returns setof record',
  'pg_blocking_pids(integer) returns integer[]',
  'host(inet) returns text',
  'version() returns text',
  'coalesced(text) returns text',
]

let folder: Folder
let server: PostgresServer
let holder: pg.Client

beforeAll(async () => {
  build()
  folder = temporaryFolder()
  server = await startPostgres({ version: 16, dir: folder.path, settings: { log_min_messages: 'warning' } })
  holder = await connect({ port: server.port, application_name: 'holder' })
  await holder.query('create role mon login in role pg_monitor')
  for (const signature of hijacked) {
    await holder
      .query(`create function public.${signature} language plpgsql as $$ begin raise warning 'HIJACKED'; return null; end $$`)
      .catch(() =>
        holder.query(`create function public.${signature} language plpgsql as $$ begin raise warning 'HIJACKED'; return; end $$`),
      )
  }
  for (const [name, value] of Object.entries(settings)) await holder.query(`alter role mon set ${name} = ${value}`)
  await holder.query('begin')
  await holder.query('select pg_catalog.now()')
})
afterEach(endAll)
afterAll(async () => {
  await holder.end()
  await server.stop('immediate')
  await folder.remove()
})

const conninfo = () => `postgres://mon@127.0.0.1:${server.port}/postgres`
const nonsense = /NaN|Infinity|undefined|Invalid|\[object|HIJACKED/

it('F39: the settings do what they are here for', async () => {
  const before = heard()
  const mon = await connect({ port: server.port, user: 'mon' })
  await expect(mon.query('select pg_sleep(0.05)')).rejects.toMatchObject({ code: '57014' })
  expect((await mon.query(`select current_date::text as today`)).rows[0].today).toMatch(/^\d\d\.\d\d\.\d{4}$/)
  await mon.query('select version()')
  await mon.end()
  await expect.poll(heard, { timeout: 5000 }).toBe(before + 1)
})

const heard = () => readFileSync(server.logFile, 'utf8').match(/WARNING: {2}HIJACKED/g)?.length ?? 0

it('F39: the screen is LIVE with right figures in every pane, for longer than the idle timeout', async () => {
  const before = heard()
  const terminal = startMonitor([conninfo()], { columns: 200, rows: 50 })
  await terminal.waitFor(/^127\.0\.0\.1:\d+ +primary +LIVE +2\/97 .* 1 idle in xact .* \d[\d.]* tps .*WAL \d/m)
  await terminal.waitFor(/holder@.*idle xact/)
  const sinceSeconds = () => Number(/oldest ([\d.]+)s/.exec(terminal.screen()[1]!)?.[1])
  const first = sinceSeconds()
  expect(first).toBeLessThan(60)
  for (const [key, shown] of Object.entries({ 2: 'OBJECT', 3: 'STANDBY', 4: 'HYPERTABLE', 5: 'MAXWAIT', 1: 'holder@' })) {
    terminal.write(key)
    await terminal.waitFor(shown)
    expect(terminal.screen().join('\n')).not.toMatch(nonsense)
  }
  await terminal.until(() => sinceSeconds() >= first + 2, 'two seconds of the oldest transaction', 6000)
  expect(terminal.bytes().toString()).not.toMatch(/STALE|DOWN|CONNECTING [1-9]/)
  expect(heard()).toBe(before)
  terminal.write('q')
  expect((await terminal.exit).code).toBe(0)
})

it('F39: the JSON document has numbers where numbers belong, and dates as everywhere', async () => {
  const before = heard()
  const { code, stdout, stderr } = await run(['snapshot', '--json', conninfo()])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).not.toMatch(nonsense)
  const { panels, servers } = JSON.parse(stdout)
  expect(servers).toMatchObject([{ role: 'primary', link: 'up', error: null }])
  const row = panels.activity.rows.find((one: { application_name: string }) => one.application_name === 'holder')
  expect(row.backend_start).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\+00$/)
  expect(Math.abs(Date.now() - Date.parse(row.backend_start.replace(' ', 'T').replace('+00', 'Z')))).toBeLessThan(120_000)
  expect(row.xactAgeSeconds).toBeTypeOf('number')
  expect(row.query).toBe('select pg_catalog.now()')
  for (const { unavailable } of [panels.activity, panels.locks, panels.replication, panels.slots]) expect(unavailable).toBeNull()
  expect(heard()).toBe(before)
})
