// Text that other people's sessions and objects carry: none of its bytes acts on the terminal, every row stays on its line. F31-F33.

import type { Socket } from 'node:net'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { findPgbouncer, type PgbouncerServer, startPgbouncer } from '../../src/lab/pgbouncer.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { run } from '../support/run.ts'
import { build, endAll, startMonitor, type Terminal } from '../support/terminal.ts'
import { rawSession } from '../support/wire.ts'

/** Title, clipboard, colour, cursor, a C1 introducer, a question to the terminal, right-to-left, line breaks, and characters of odd widths. */
const hostile =
  '\x1b]0;PWNED\x07\x1b]52;c;UFdORUQ=\x07\x1b[45mRED\x1b[5;5HMOVED\u009b45mC1\x1b[6n\u202ertl\u2066\u200b\r\n\tTAB🙂👩‍👩‍👧漢字e\u0301\u0e33'
/** The same where names may have 63 bytes. */
const name = '\x1b]0;PWNED\x07\x1b[45m\u009b45m\u202e\r\n\t🙂漢'

let folder: Folder
let server: PostgresServer
let pooler: PgbouncerServer | null = null
const clients: pg.Client[] = []
const sockets: Socket[] = []

async function session(user: string, database: string, text: string): Promise<pg.Client> {
  const client = await connect({ port: server.port, user, database, application_name: `app ${name}` })
  await client.query('begin')
  await client.query(text)
  clients.push(client)
  return client
}

beforeAll(async () => {
  build()
  folder = temporaryFolder()
  server = await startPostgres({
    version: 16,
    dir: folder.path,
    settings: { max_prepared_transactions: 5, wal_level: 'logical' },
    hba: 'host all all 127.0.0.1/32 trust',
  })
  const admin = await connect({ port: server.port })
  const quoted = pg.escapeIdentifier(name)
  await admin.query(`create role ${quoted} login superuser`)
  await admin.query(`create database ${quoted}`)
  await admin.query(`create database ascii encoding 'SQL_ASCII' locale 'C' template template0`)
  // First, since it waits for every transaction that is open.
  await admin.query(`select pg_create_logical_replication_slot('slot', 'pgoutput')`)
  await session(name, name, `select 1 /*${hostile}*/`)
  await session('postgres', 'postgres', `create table ${quoted} ()`)
  await clients.at(-1)!.query('commit; begin')
  await clients.at(-1)!.query(`lock table ${quoted} /*${hostile}*/`)
  const waiter = await connect({ port: server.port })
  waiter.query(`select from ${quoted} /*${hostile}*/`).catch(() => {})
  clients.push(waiter)
  await admin.query(`begin; lock table pg_description; prepare transaction ${pg.escapeLiteral(name)}`)
  await admin.end()
  // A broken sequence in the middle, and one cut off at the end.
  const broken = Buffer.concat([
    Buffer.from('select 1 /* caf'),
    Buffer.from([0xe9, 0x20, 0xff, 0xfe, 0x9b]),
    Buffer.from(' \x1b[45m */ --'),
    Buffer.from([0xe6, 0xbc]),
  ])
  sockets.push(await rawSession(server.port, { user: 'postgres', database: 'ascii', application_name: 'broken' }, broken))
  if (findPgbouncer()) {
    const databases = { '*': `host=127.0.0.1 port=${server.port}` }
    pooler = await startPgbouncer({ dir: folder.path, databases, users: ['postgres'] })
    // Before its first query a client's application_name is passed on as it came.
    sockets.push(await rawSession(pooler.port, { user: 'postgres', database: 'postgres', application_name: `pooled ${name}` }))
    const pooled = await connect({ port: pooler.port, database: name })
    await pooled.query('begin')
    await pooled.query(`select 2 /*${hostile}*/`)
    clients.push(pooled)
  }
})
afterEach(endAll)
afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  await pooler?.stop()
  await server.stop('immediate')
  await folder.remove()
})

const strings = () => [server.conninfo, ...(pooler ? ['--pgbouncer', pooler.conninfo] : [])]

/** What we write on purpose: modes, renditions that are ours, moves of the cursor, erasing. Anything else in the stream is somebody else's. */
const ours =
  /\x1b\[(?:\?(?:1049|25|2004|2026)[hl]|\d*[BCDKX]|(?:\d+;\d+)?H|2J|(?:(?:0|1|7|3[0-7]|4[0126-7]|90)(?:;(?!45)\d+)*)?m)/g
const harmful = /[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|\x1b/g

function expectHarmless(terminal: Terminal): void {
  const text = terminal.bytes().toString()
  // Colours that the hostile text asks for are none of ours, so that they can be told apart.
  expect(text).not.toMatch(/\x1b\[45m|\x1b\[5;5HMOVED/)
  const left = text.replace(ours, '').replaceAll('\r\n', '')
  expect([...left.matchAll(harmful)].map(([match]) => `U+${match.codePointAt(0)!.toString(16)}`)).toEqual([])
  expect(left).not.toMatch(/[\n\t]/)
  expect(terminal.title()).toBe('')
}

describe('on the screen', () => {
  it('F31: every pane, every list, detail, help and prompt: harmless, on one line, columns aligned', async () => {
    const terminal = startMonitor(strings(), { columns: 200, rows: 50 })
    await terminal.waitFor(/␛\]0;PWNED/)
    await terminal.waitFor('(pgvigil itself)')
    terminal.write('p')
    await terminal.waitFor('HOLD')

    const heading = terminal.screen().findIndex(line => line.startsWith(' PID'))
    const start = terminal.screen()[heading]!.indexOf('STATE')
    const rows = terminal
      .screen()
      .map((_, row) => row)
      .filter(row => /^ \d+ /.test(terminal.screen()[row]!) && row > heading)
    const cells = terminal.screen(start, start + 9)
    const states = rows.map(row => cells[row]!.trim())
    expect(states.length).toBeGreaterThanOrEqual(pooler ? 11 : 9)
    for (const state of states) expect(state).toMatch(/^(?:active|idle|idle xact|)$/)
    // A row is one line: the whole text with its line breaks is beside its own pid.
    const shown = terminal.screen().filter(line => line.includes('␛]0;PWNED'))
    expect(shown.length).toBeGreaterThanOrEqual(3)
    for (const line of shown) expect(line).toMatch(/^ \d+ /)
    terminal.write('p')

    const panes: readonly (readonly [string, RegExp])[] = [
      ['2', /OBJECT[\s\S]*␛/],
      ['3', /STANDBY/],
      ['l', /slot/],
      ['4', /HYPERTABLE/],
      ['5', pooler ? /MAXWAIT[\s\S]*␛/ : /MAXWAIT/],
      ['l', /F2/],
      ['l', /F2/],
      ['9', /LEVEL[\s\S]*␛/],
      ['1', /PID[\s\S]*␛/],
      ['/PWNED\r', /filter: PWNED/],
      ['\r', /application_name/],
      ['y', /copied: /],
    ]
    for (const [keys, wanted] of panes) {
      const before = terminal.bytes().length
      terminal.write(keys)
      await terminal.waitFor(wanted)
      if (keys !== 'y') {
        expectHarmless(terminal)
        continue
      }
      // The one OSC is ours: base64 of the query as it is.
      const copied = /\x1b\]52;c;([A-Za-z0-9+/=]+)\x07/.exec(terminal.bytes(before).toString())
      expect(Buffer.from(copied![1]!, 'base64').toString()).toContain(hostile)
    }
    terminal.write('q')
    expect((await terminal.exit).code).toBe(0)
  })

  it('F31: names in connection strings and in the errors they cause', async () => {
    const nowhere = `postgres://postgres@127.0.0.1:${server.port}/${encodeURIComponent(`no${name}`)}`
    const terminal = startMonitor([nowhere, server.conninfo], { columns: 200, rows: 50 })
    await terminal.waitFor(/DENIED .*database "no␛\]0;PWNED␇␛\[45m/)
    await terminal.waitFor(/LIVE .* tps/)
    expectHarmless(terminal)
    terminal.write('q')
    await terminal.exit
    const alone = startMonitor([nowhere], { columns: 400 })
    expect((await alone.exit).code).toBe(1)
    expect(alone.bytes().toString()).toMatch(/^pgvigil: [^\r\n]*"no␛\]0;PWNED␇[^\r\n]* does not exist\r?\n$/)
    expect(alone.bytes().toString()).not.toMatch(/\x1b/)
  })

  it('F33: a session whose text is no UTF-8 hides no other, also seen from its own SQL_ASCII database', async () => {
    for (const database of ['postgres', 'ascii']) {
      const terminal = startMonitor([`postgres://postgres@127.0.0.1:${server.port}/${database}`], { columns: 200, rows: 50 })
      await terminal.waitFor('(pgvigil itself)')
      await terminal.waitFor(/broken@.*select 1 \/\* caf/)
      await terminal.waitFor(/␛\]0;PWNED␇/)
      await terminal.waitFor(/walwriter/)
      expect(terminal.screen()[1]).toMatch(/LIVE/)
      terminal.write('/broken\r\r')
      await terminal.waitFor(/application_name +broken/)
      const text = terminal.bytes().toString().replace(ours, '')
      expect(text.replaceAll('\r\n', '')).not.toMatch(harmful)
      terminal.write('q')
      expect((await terminal.exit).code).toBe(0)
    }
  })
})

describe('in snapshot', () => {
  it('F32: JSON escapes what is not printable and loses nothing', async () => {
    const { code, stdout, stderr } = await run(['snapshot', '--json', ...strings()])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.replaceAll('\n', '')).not.toMatch(harmful)
    expect(stdout).toContain('\\u001b]0;PWNED\\u0007')
    const { panels } = JSON.parse(stdout) as { panels: Record<string, { rows: Record<string, unknown>[] }> }
    const evil = panels.activity!.rows.filter(row => row.usename === name)
    expect(evil).toMatchObject([{ datname: name, query: `select 1 /*${hostile}*/` }])
    expect(panels.activity!.rows.some(row => row.application_name === 'broken')).toBe(true)
    expect(panels.locks!.rows).toContainEqual(expect.objectContaining({ depth: 1, relation: expect.stringContaining('PWNED') }))
    if (pooler) expect(panels.pools!.rows).toContainEqual(expect.objectContaining({ database: name }))
  })

  it('F32: text mode prints no control character but line ends', async () => {
    const { code, stdout, stderr } = await run(['snapshot', ...strings()])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.replaceAll('\n', '')).not.toMatch(harmful)
    expect(stdout).toContain('␛]0;PWNED␇')
  })
})
