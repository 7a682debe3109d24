// The Events pane of the real program, and what scripts get of it.

import { spawn } from 'node:child_process'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { connect } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { run } from '../support/run.ts'
import { build, endAll, environment, node, program, startMonitor } from '../support/terminal.ts'

let folder: Folder
let server: PostgresServer

beforeAll(async () => {
  build()
  folder = temporaryFolder()
  server = await startPostgres({ version: 16, dir: folder.path })
})
afterEach(endAll)
afterAll(async () => {
  await server.stop('immediate')
  await folder.remove()
})

async function killBackend(): Promise<void> {
  const victim = await connect({ port: server.port })
  const { rows } = await victim.query('select pg_backend_pid() as pid')
  process.kill(rows[0].pid, 'SIGKILL')
}

it('0 shows what happens, newest first; any pane tells of it for some seconds; s keeps the last notice', async () => {
  const terminal = startMonitor([server.conninfo], { columns: 80, rows: 24, env: { TZ: 'UTC' } })
  await terminal.waitFor(/pgvigil@127/)
  await killBackend()
  // On the pane that is shown, whichever it is.
  await terminal.waitFor(
    /\d\d:\d\d:\d\d 127\.0\.0\.1:\d+: server crashed|\d\d:\d\d:\d\d 127\.0\.0\.1:\d+: crashed, back, recovery took/,
    2500,
  )
  terminal.write('0')
  await terminal.waitFor(/back, recovery took (less than )?[\d.]+ s.*\n.* server crashed, sessions reset/, 7000)
  terminal.write('G\r')
  await terminal.waitFor(/in its own words +terminating connection because of crash of another/)
  terminal.write('s')
  await terminal.waitFor(/last notice +\d\d:\d\d:\d\d 57P02 terminating connection because/)
  terminal.write('q/crashed\r')
  await terminal.waitFor(/filter: crashed {2}\(1 of \d; Esc clears\)/)
})

it('DOWN says since when', async () => {
  const terminal = startMonitor([server.conninfo], { columns: 120, rows: 30, env: { TZ: 'UTC' } })
  await terminal.waitFor('(pgvigil itself)')
  await server.stop('fast')
  await terminal.waitFor(/DOWN \d+s +since \d\d:\d\d:\d\d: nothing listens at 127\.0\.0\.1/, 5000)
  await server.start()
  await terminal.waitFor(/back after [\d.]+ s, restarted/, 8000)
})

it('a single look has no history, and says so; with --count it has', async () => {
  const { stdout } = await run(['snapshot', '--json', '--panel', 'events', '-i', '200ms', server.conninfo])
  const { events } = JSON.parse(stdout).panels
  expect(events).toEqual({
    unavailable: { reason: expect.stringContaining('one look has no history'), remedy: expect.any(String) },
    rows: [],
  })

  const args = ['snapshot', '--json', '--panel', 'events', '-i', '300ms', '--count', '0', server.conninfo]
  const child = spawn(node, [program, ...args], { env: environment(), stdio: ['ignore', 'pipe', 'ignore'] })
  const looks: string[] = []
  let rest = ''
  const done = new Promise<Record<string, unknown>[]>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no event in ${looks.length} looks`)), 15_000)
    child.stdout.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      looks.push(...lines)
      if (looks.length === lines.length && lines.length > 0) void killBackend()
      const { rows, unavailable } = JSON.parse(looks.at(-1) ?? '{"panels":{"events":{"rows":[]}}}').panels.events
      if (rows.length < 2) return
      clearTimeout(late)
      expect(unavailable).toBeNull()
      resolve(rows)
    })
  })
  const rows = await done.finally(() => child.kill())
  expect(JSON.parse(looks[0]!).panels.events).toEqual({ unavailable: null, rows: [] })
  expect(rows.slice(0, 2)).toMatchObject([
    { server: `127.0.0.1:${server.port}`, kind: 'crash', level: 'critical', say: 'server crashed, sessions reset', times: 1 },
    { server: `127.0.0.1:${server.port}`, kind: 'back', level: 'ok' },
  ])
  expect(rows[0]!.at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
})
