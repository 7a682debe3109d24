// Every key that the function bar or the help names, pressed in a real terminal on a real server.

import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { connect } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { build, endAll, startMonitor, type Terminal } from '../support/terminal.ts'

let folder: Folder
let server: PostgresServer
let second: PostgresServer
const clients: pg.Client[] = []
let terminal: Terminal

/** Sessions that stand still, so that the list has known rows: worker 1 to 6, each with a query that names it. */
beforeAll(async () => {
  build()
  folder = temporaryFolder()
  server = await startPostgres({ version: 16, dir: folder.path })
  second = await startPostgres({ version: 13, dir: folder.path })
  for (let n = 1; n <= 6; n++) {
    const client = await connect({ port: server.port, application_name: `worker${n}` })
    await client.query(`begin`)
    await client.query(`select 'task ${n}'`)
    clients.push(client)
  }
})
afterAll(async () => {
  for (const client of clients) await client.end()
  await server.stop('immediate')
  await second.stop('immediate')
  await folder.remove()
})
beforeEach(async () => {
  terminal = startMonitor([server.conninfo, second.conninfo], { columns: 160, rows: 40 })
  await terminal.waitFor(/worker1@[\s\S]*worker6@|worker6@[\s\S]*worker1@/)
})
afterEach(endAll)

const heading = () => terminal.screen().find(line => /^ PID/.test(line)) ?? ''
const bottom = () => terminal.screen().at(-1) ?? ''
const pidOf = async (n: number) => {
  const { rows } = await clients[n - 1]!.query('select pg_backend_pid() as pid')
  return String(rows[0].pid)
}
/** The row under the cursor: the one on cyan. */
const selected = () => terminal.lineOn(6) ?? ''
/** The lines of the list that name a worker, from above. */
const workers = () => terminal.screen().flatMap(line => /worker(\d)@/.exec(line)?.[1] ?? [])

it('opens with servers, tabs and function keys', async () => {
  // The first answer of the second server may come a moment after the first one's.
  await terminal.waitFor(/LIVE +1\/97 /)
  const lines = terminal.screen()
  expect(lines[1]).toMatch(/^127\.0\.0\.1:\d+ +primary +LIVE +7\/97 /)
  expect(lines[2]).toMatch(/^127\.0\.0\.1:\d+ +primary +LIVE +1\/97 /)
  expect(lines.join('\n')).toMatch(
    /^1 Activity {2}2 Locks {2}3 Replication {2}4 Chunks {2}5 Pools {2}6 Tables {2}7 Progress {2}9 Health {2}0 Events +@ 127/m,
  )
  expect(bottom()).toMatch(/^F1Help F2List F3Find F4Filter F5Tree F6Sort F9Act CCancel KTerminate EnterDetail .*F10Quit *$/)
})

describe('function keys of each terminal', () => {
  it.each([
    ['xterm', '\x1bOP', '\x1bOS', '\x1b[17~', '\x1b[21~'],
    ['the Linux console', '\x1b[[A', '\x1b[[D', '\x1b[17~', '\x1b[21~'],
    ['rxvt', '\x1b[11~', '\x1b[14~', '\x1b[17~', '\x1b[21~'],
  ])('%s: F1 helps, F4 filters, F6 sorts, F10 quits', async (_, f1, f4, f6, f10) => {
    terminal.write(f1)
    await terminal.waitFor(/Help: lines 1-/)
    terminal.write('\x1b')
    await gone('Help: lines')
    terminal.write(f4)
    await terminal.waitFor(/Filter: _/)
    terminal.write('\x1b')
    await gone('Filter: _')
    terminal.write(f6)
    await terminal.waitFor(/descending now/)
    terminal.write('\x1b')
    await gone('descending now')
    terminal.write(f10)
    expect(await terminal.exit).toEqual({ code: 0, signal: 0 })
  })
})

const gone = (text: string) => terminal.until(() => !terminal.screen().join('\n').includes(text), `${text} to be gone`)

it('F3 finds, a typed pid filters, Esc shows all again', async () => {
  terminal.write('\x1bORworker4')
  await terminal.until(() => selected().includes('worker4@'), 'the cursor on worker4')
  terminal.write('\r')
  await gone('Find:')
  expect(selected()).toContain('worker4@')
  const pid = await pidOf(2)
  terminal.write(`/${pid}\r`)
  await terminal.until(() => workers().join() === '2', 'worker2 alone')
  expect(terminal.screen().join('\n')).toMatch(new RegExp(`filter: ${pid} +\\(1 of \\d+; Esc clears\\)`))
  terminal.write('\x1b')
  await terminal.until(() => workers().length === 6, 'all of them')
})

it('every byte of a filter that comes in one chunk counts, Backspace and Ctrl-U too', async () => {
  terminal.write('\x1bOSworker55\x7f\r')
  await terminal.until(() => workers().join() === '5', 'worker5 alone')
  terminal.write('/')
  await terminal.waitFor('Filter: worker5_')
  terminal.write('\x15worker6\r')
  await terminal.until(() => workers().join() === '6', 'worker6 alone')
})

it('keys in one chunk are each counted', async () => {
  terminal.write('g')
  const order = () => terminal.screen().filter(line => /^ \d+ /.test(line))
  await terminal.until(() => selected() === order()[0], 'the cursor on the first row')
  terminal.write('pjjj')
  await terminal.waitFor('HOLD')
  await terminal.until(() => selected() === order()[3], 'the cursor on the fourth row')
  terminal.write('\x1b[A\x1b[Ak')
  await terminal.until(() => selected() === order()[0], 'the cursor on the first row again')
  terminal.write('\x1b[F')
  await terminal.until(() => selected() === order().at(-1), 'the cursor on the last row')
})

it('sorts with > < and I and from the menu', async () => {
  const sortedBy = () => /(\S+)([▲▼])/.exec(heading())?.slice(1).join(' ')
  await terminal.until(() => sortedBy() === 'TIME ▼', 'the usual order')
  terminal.write('I')
  await terminal.until(() => sortedBy() === 'TIME ▲', 'the order turned round')
  terminal.write('>')
  await terminal.until(() => sortedBy()?.startsWith('XACT '), 'the next column')
  terminal.write('<<')
  await terminal.until(() => sortedBy() !== undefined && !/TIME|XACT/.test(sortedBy()!), 'the column before')
  terminal.write('\x1b[17~')
  await terminal.waitFor('CLIENT')
  terminal.write('client\r')
  await terminal.until(() => sortedBy()?.startsWith('CLIENT'), 'the chosen column')
  if (sortedBy() === 'CLIENT ▼') terminal.write('I')
  await terminal.until(() => workers().join('') === '123456', 'them in order')
  terminal.write('I')
  await terminal.until(() => workers().join('') === '654321', 'them in the other order')
})

it('tags with Space and moves on; U takes the tags away', async () => {
  terminal.write('/worker\r')
  await terminal.until(() => workers().length === 6, 'the workers')
  terminal.write('p')
  await terminal.waitFor('HOLD')
  terminal.write('g  ')
  const tagged = () => terminal.screen().filter(line => line.startsWith('*'))
  await terminal.until(() => tagged().length === 2, 'two tags')
  expect(selected()).not.toMatch(/^\*/)
  terminal.write('U')
  await terminal.until(() => tagged().length === 0, 'no tag')
})

it('p holds the picture while polling goes on, p again lets it go', async () => {
  terminal.write('p')
  await terminal.waitFor(/HOLD \d\d:\d\d:\d\d/)
  const client = await connect({ port: server.port, application_name: 'latecomer' })
  const before = terminal.screen()
  const asked = async () =>
    (await client.query(`select max(query_start)::text as at from pg_stat_activity where application_name = 'pgvigil'`)).rows[0]
      .at
  const from = await asked()
  await new Promise(resolve => setTimeout(resolve, 2500))
  expect(await asked()).not.toBe(from)
  // Not even the clock moves: a held picture costs the link nothing.
  expect(terminal.screen()).toEqual(before)
  terminal.write('p')
  await terminal.waitFor('latecomer')
  expect(terminal.screen()[0]).not.toContain('HOLD')
  await client.end()
})

it('+ and - change the interval', async () => {
  terminal.write('+')
  await terminal.waitFor('every 2s')
  terminal.write('--')
  await terminal.waitFor('every 500ms')
})

it('digits and Tab go through the panes', async () => {
  const titles = { 2: ' PID  ', 3: 'STANDBY', 4: 'HYPERTABLE', 5: 'MAXWAIT', 1: 'CLIENT' }
  for (const [key, word] of Object.entries(titles)) {
    terminal.write(key)
    await terminal.waitFor(word)
  }
  terminal.write('1\t\t')
  await terminal.waitFor('STANDBY')
  terminal.write('\x1b[Z')
  await terminal.waitFor(/nobody waits|OBJECT/)
})

it('@ and Right put another server into focus', async () => {
  await terminal.waitFor(`@ 127.0.0.1:${server.port}`)
  terminal.write('\x1b[C')
  await terminal.waitFor(`@ 127.0.0.1:${second.port}`)
  await terminal.until(() => workers().length === 0, 'the other server')
  terminal.write('@')
  await terminal.waitFor(new RegExp(`127.0.0.1:${server.port} +primary`))
  terminal.write(`${server.port}\r`)
  await terminal.until(() => workers().length === 6, 'the first server again')
})

it('Enter shows all that is known of the row, Esc closes it', async () => {
  terminal.write('\x1bORworker3\r')
  await terminal.until(() => selected().includes('worker3@'), 'the cursor on worker3')
  terminal.write('\r')
  await terminal.waitFor(/application_name +worker3$/m)
  terminal.write('\x1b')
  await gone('application_name')
})

it('9 shows Health: Enter explains a check, Enter again goes to the row it is about', async () => {
  terminal.write('9')
  await terminal.waitFor(/ok +connectivity +127\.0\.0\.1:\d+ +answers: PostgreSQL 16/)
  await terminal.waitFor(/idle_in_transaction +127\.0\.0\.1:\d+ +pid \d+ \(postgres in postgres, worker\d@/)
  terminal.write('\x1bOR')
  await terminal.waitFor(/Find: _/)
  // Of whichever server comes first by its name the other one has nobody.
  terminal.write('postgres in postgres, worker\r\r')
  await terminal.waitFor(/why it matters[\s\S]*holds locks for nobody/)
  const [, pid] = await terminal.waitFor(/found\s+pid (\d+) /)
  terminal.write('\r')
  await terminal.waitFor(/^ PID +USER/m)
  await terminal.until(() => selected().includes(` ${pid} `), 'the cursor on the session')
})

it('y copies the query: one OSC 52 with its base64, and nothing else to the clipboard', async () => {
  terminal.write('\x1bORworker3\r')
  await terminal.until(() => selected().includes('worker3@'), 'the cursor on worker3')
  const before = terminal.bytes().length
  terminal.write('y')
  await terminal.waitFor(/copied: select 'task 3'/)
  const written = terminal.bytes(before).toString('latin1')
  const sequences = written.match(/\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/g)
  expect(sequences).toEqual([`\x1b]52;c;${Buffer.from(`select 'task 3'`).toString('base64')}\x07`])
})

it('says why a key can do nothing here', async () => {
  terminal.write('5')
  await terminal.waitFor('MAXWAIT')
  terminal.write('y')
  await terminal.waitFor('Copy: there is no row')
})

it(': lists the commands and runs one', async () => {
  terminal.write(':slow')
  await terminal.until(
    () => /^ +Slower +Asks the servers less often/m.test(terminal.screen().slice(6, 8).join('\n')),
    'the command',
  )
  terminal.write('\r')
  await terminal.waitFor('every 2s')
})
