// A maintenance window key by key on a real screen: VACUUM, ANALYZE, REINDEX, what was passed over and why, what was left behind, and what the
// shell is told of it when pgvigil ends in the middle.

import { join } from 'node:path'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { connect } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { build, endAll, startMonitor, type Terminal } from '../support/terminal.ts'

let folder: Folder
let server: PostgresServer
let admin: pg.Client
const clients: pg.Client[] = []

beforeAll(async () => {
  build()
  folder = temporaryFolder()
  server = await startPostgres({ version: 17, dir: folder.path, settings: { autovacuum: false } })
  admin = await connect({ port: server.port })
  await admin.query(`
    CREATE ROLE watcher LOGIN; GRANT pg_monitor TO watcher;
    CREATE TABLE "Odd ""name"" \u001b[31m" (id int PRIMARY KEY, v text);
    INSERT INTO "Odd ""name"" \u001b[31m" SELECT i, repeat('x', 200) FROM generate_series(1, 20000) i;
    CREATE TABLE small_one (id int PRIMARY KEY)`)
})
afterEach(async () => {
  endAll()
  for (const client of clients.splice(0)) await client.end().catch(() => {})
})
afterAll(async () => {
  await admin?.end()
  await server?.stop('immediate')
  await folder?.remove()
})

async function onTables(user = 'postgres', columns = 160): Promise<Terminal> {
  const terminal = startMonitor([server.conninfo.replace('postgres@', `${user}@`), '--panel', 'tables'], {
    columns,
    rows: 40,
    env: { XDG_STATE_HOME: join(folder.path, 'state') },
  })
  await terminal.waitFor(/Odd "name" ␛\[31m.+ MB/)
  return terminal
}

const question = (terminal: Terminal) => terminal.waitFor('does it')
const vacuums = async () =>
  (await admin.query(`SELECT pg_stat_get_vacuum_count(oid)::int AS n FROM pg_class WHERE relname LIKE 'Odd %' AND relkind = 'r'`))
    .rows[0].n

it('v vacuums the table under the cursor, whatever its name holds, and no other', async () => {
  const terminal = await onTables()
  const before = await vacuums()
  terminal.write('v')
  await question(terminal)
  expect(terminal.screen().join('\n')).toContain('SQL       VACUUM (ANALYZE) public."Odd ""name"" ␛[31m"')
  terminal.write('y')
  await terminal.waitFor(/VACUUM \(ANALYZE\) public\."Odd ""name"" ␛\[31m" on \S+: done in /)
  await terminal.until(async () => (await vacuums()) === before + 1, 'one vacuum')
  terminal.write('x')
  await question(terminal)
  terminal.write('y')
  await terminal.waitFor(/REINDEX TABLE public\."Odd .+: done in /)
})

it('v as a role without the right: skipped, with the GRANT', async () => {
  const terminal = await onTables('watcher')
  const before = await vacuums()
  terminal.write('v')
  await question(terminal)
  expect(terminal.screen().join('\n')).toContain('will be skipped: permission denied; GRANT pg_maintain TO watcher;')
  terminal.write('y')
  await terminal.waitFor(/: skipped: permission denied; GRANT pg_maintain TO watcher;/)
  terminal.write('x')
  await terminal.waitFor('Reindex: no right: GRANT pg_maintain TO watcher;')
  expect(await vacuums()).toBe(before)
})

it('VACUUM FULL takes the name; tagged tables are done one after the other', async () => {
  const terminal = await onTables()
  terminal.write(' ')
  terminal.write('\u001b[B')
  terminal.write(' ')
  terminal.write('a')
  await question(terminal)
  terminal.write('y')
  await terminal.waitFor(/ANALYZE on \S+: 2 done of 2/)
  terminal.write('\u001b[B')
  await terminal.until(() => terminal.lineOn(6)?.includes('small_one'), 'the cursor on small_one')
  terminal.write(':')
  await terminal.waitFor('Commands')
  terminal.write('Vacuum full\r')
  await terminal.waitFor('type small_one to do it')
  expect(terminal.screen().join('\n')).toMatch(/until it ends everybody who reads or writes the table waits/)
  terminal.write('y')
  await terminal.waitFor('to do it: y')
  terminal.write('\u007fsmall_one')
  await terminal.waitFor(/VACUUM FULL public\.small_one on \S+: done in /)
})

it('REINDEX names whom it waits for; cancelled by Esc, what it leaves is named and X drops it', async () => {
  const terminal = await onTables()
  const holder = await connect({ port: server.port, application_name: 'month-end' })
  clients.push(holder)
  await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class')
  const { pid } = (await holder.query('SELECT pg_backend_pid() AS pid')).rows[0]
  terminal.write('x')
  await question(terminal)
  terminal.write('y')
  await terminal.waitFor(new RegExp(`under way for .+ waits for pid ${pid} \\(postgres/month-end`))
  terminal.write('\u001b')
  await terminal.waitFor(/cancelled after .+left behind invalid: .+X drops/s)
  await holder.query('COMMIT')
  terminal.write('X')
  const [, words] = await terminal.waitFor(/type (.+) to do it/)
  terminal.write(words!)
  await terminal.until(
    async () => (await admin.query('SELECT FROM pg_index WHERE NOT indisvalid')).rows.length === 0,
    'no invalid index',
  )
  await terminal.until(() => !terminal.screen().join('\n').includes('X drops'), 'nothing to be dropped')
})

it('q in the middle of a REINDEX asks; r cancels it, and the shell is told what is left behind', async () => {
  const terminal = await onTables()
  const holder = await connect({ port: server.port, application_name: 'month-end' })
  clients.push(holder)
  await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class')
  terminal.write('x')
  await question(terminal)
  terminal.write('y')
  await terminal.waitFor(/waiting for old snapshots/)
  terminal.write('q')
  await terminal.waitFor('cancels what is under way and quits')
  terminal.write('r')
  expect((await terminal.exit).code).toBe(0)
  const { rows } = await admin.query(`SELECT indexrelid::regclass::text AS name FROM pg_index WHERE NOT indisvalid`)
  expect(rows.length).toBeGreaterThan(0)
  const told = terminal.screen().join('')
  for (let i = 0; i < rows.length; i++) expect(told).toContain('is left behind: DROP INDEX CONCURRENTLY')
  await holder.query('COMMIT')
  for (const { name } of rows) await admin.query(`DROP INDEX ${name}`)
})
