// Where there is no terminal, or one of few abilities: one plain line, or a screen that keeps to them. F38.

import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { run } from '../support/run.ts'
import { build, endAll, node, program, start, startMonitor } from '../support/terminal.ts'

let folder: Folder
let server: PostgresServer
let session: pg.Client

beforeAll(async () => {
  build()
  folder = temporaryFolder()
  server = await startPostgres({ version: 16, dir: folder.path })
  session = await connect({ port: server.port, application_name: 'greeter' })
  await session.query(`select 'grüß 漢字 🙂 – │'`)
})
afterEach(endAll)
afterAll(async () => {
  await session.end()
  await server.stop('immediate')
  await folder.remove()
})

/** Runs the monitor by a shell in a terminal; what it wrote there and its exit status. */
async function inShell(redirection: string, env: Record<string, string> = {}): Promise<{ text: string; status: number }> {
  const terminal = start('sh', ['-c', `${node} ${program} '${server.conninfo}' ${redirection}; echo status=$?`], { env })
  await terminal.exit
  const text = terminal.bytes().toString()
  return { text, status: Number(/status=(\d+)/.exec(text)?.[1]) }
}

describe('F38: one line that names snapshot, status 2, no escape sequence', () => {
  it('stdout into a pipe', async () => {
    const result = await run([server.conninfo])
    expect(result).toMatchObject({ code: 2, stdout: '' })
    expect(result.stderr).toMatch(/^pgvigil: stdout is not a terminal;[^\n\x1b]*pgvigil snapshot\n$/)
  })

  it.each([
    ['a pipe behind it', '| cat >&2', 'stdout is not a terminal'],
    ['stdout closed', '>&-', 'stdout is not a terminal'],
    ['stdin closed', '<&-', 'stdin is not a terminal'],
    ['stdin from nowhere', '</dev/null', 'stdin is not a terminal'],
  ])('%s', async (_, redirection, why) => {
    const { text, status } = await inShell(redirection)
    expect(text).toMatch(new RegExp(`^pgvigil: ${why};[^\\n\\x1b]*pgvigil snapshot\\r\\nstatus=\\d+\\r\\n$`))
    if (!redirection.startsWith('|')) expect(status).toBe(2)
  })

  it('TERM=dumb', async () => {
    const { text, status } = await inShell('', { TERM: 'dumb' })
    expect(text).toMatch(/^pgvigil: TERM is dumb;[^\n\x1b]*pgvigil snapshot\r\n/)
    expect(status).toBe(2)
  })
})

it.each(['CI', 'CONTINUOUS_INTEGRATION'])('F38: %s in the environment changes nothing', async name => {
  const terminal = startMonitor([server.conninfo], { env: { [name]: 'true' } })
  await terminal.waitFor(/LIVE .* tps/)
  expect(terminal.alternateScreen()).toBe(true)
  terminal.write('q')
  expect(await terminal.exit).toEqual({ code: 0, signal: 0 })
})

/** Numbers of all SGR sequences that were written. */
const renditions = (bytes: Buffer) =>
  new Set([...bytes.toString('latin1').matchAll(/\x1b\[([\d;]*)m/g)].flatMap(match => match[1]!.split(';').map(Number)))

const isColor = (n: number) => (n >= 30 && n <= 49) || (n >= 90 && n <= 107)

describe('F38: colours', () => {
  it('are used otherwise', async () => {
    const terminal = startMonitor([server.conninfo])
    await terminal.waitFor(/LIVE .* tps/)
    expect([...renditions(terminal.bytes())].filter(isColor)).not.toEqual([])
  })

  it('none with NO_COLOR, in no pane, and the cursor is seen all the same', async () => {
    const terminal = startMonitor([server.conninfo], { env: { NO_COLOR: '1' } })
    await terminal.waitFor('(pgvigil itself)')
    terminal.write('2345\x1bOPq1\r')
    await terminal.waitFor('backend_type')
    const used = renditions(terminal.bytes())
    expect([...used].filter(isColor)).toEqual([])
    expect(used).toContain(7)
  })
})

it.each([
  ['LANG=C', { LANG: 'C' }],
  ['no locale at all', { LANG: undefined }],
  ['LC_ALL=POSIX over LANG', { LC_ALL: 'POSIX', LANG: 'de_DE.UTF-8' }],
])('F38: %s: not a byte beyond ASCII, whatever a session says', async (_, env) => {
  const terminal = startMonitor([server.conninfo, '--panel', 'activity'], { columns: 200, rows: 50, env })
  await terminal.waitFor(/greeter@.*select 'gr\?\? \?\?\?\? \? - \|'/)
  terminal.write('2345\x1bOPq1\r')
  await terminal.waitFor('backend_type')
  terminal.write('q')
  await terminal.exit
  expect(terminal.bytes().filter(byte => byte > 0x7f)).toHaveLength(0)
})
