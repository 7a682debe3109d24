// Deeds as a person does them, key by key on a real screen, and what is left of them when pgvigil ends in the middle.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { AuditLine } from '../../src/audit.ts'
import { connect, withClient } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { findPgbouncer, type PgbouncerServer, startPgbouncer } from '../../src/lab/pgbouncer.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { run } from '../support/run.ts'
import { build, endAll, startMonitor, type Terminal } from '../support/terminal.ts'

/** Title, clipboard, colour, cursor, a C1 introducer, a question to the terminal, right-to-left, line breaks, and characters of odd widths. */
const hostile =
  '\x1b]0;PWNED\x07\x1b]52;c;UFdORUQ=\x07\x1b[45mRED\x1b[5;5HMOVED\u009b45mC1\x1b[6n\u202ertl\u2066\u200b\r\n\tTAB🙂漢字e\u0301'
/** The same where names may have 63 bytes. */
const name = '\x1b]0;PWNED\x07\x1b[45m\u009b45m\u202e\r\n\t🙂漢'

let folder: Folder
let server: PostgresServer
let pooler: PgbouncerServer | null = null
let admin: pg.Client
let states = 0
/** Of the test that runs: where its audit trail is. */
let state: string
const clients: pg.Client[] = []
let frozen: readonly number[] = []

beforeAll(async () => {
  build()
  folder = temporaryFolder()
  server = await startPostgres({ version: 16, dir: folder.path, hba: 'host all all 127.0.0.1/32 trust' })
  admin = await connect({ port: server.port, application_name: 'admin' })
  await admin.query(`create role ${pg.escapeIdentifier(name)} login superuser`)
  await admin.query(`create database ${pg.escapeIdentifier(name)}`)
  if (findPgbouncer()) {
    const databases = { '*': `host=127.0.0.1 port=${server.port}` }
    pooler = await startPgbouncer({ dir: folder.path, databases, users: ['postgres'], settings: { query_wait_timeout: 60 } })
  }
})
beforeEach(() => {
  state = join(folder.path, `state-${++states}`)
})
afterEach(async () => {
  for (const pid of frozen) process.kill(pid, 'SIGCONT')
  frozen = []
  pooler?.signal('SIGCONT')
  endAll()
  for (const client of clients.splice(0)) await client.end().catch(() => {})
  if (pooler) await console_('RESUME postgres').catch(() => {})
})
afterAll(async () => {
  await admin?.end()
  await pooler?.stop()
  await server?.stop('immediate')
  await folder?.remove()
})

async function session(application_name: string, port = server.port, more: { user?: string; database?: string } = {}) {
  const client = await connect({ port, application_name, ...more })
  clients.push(client)
  return client
}
const pidOf = async (client: pg.Client) => (await client.query('select pg_backend_pid() as pid')).rows[0].pid as number
const lives = async (pid: number) => {
  const { rows } = await admin.query('select from pg_stat_activity where pid = $1', [pid])
  return rows.length === 1
}
const console_ = (text: string) =>
  withClient({ port: pooler!.port, database: 'pgbouncer' }, async client => (await client.query(text)).rows)
const isPaused = async () => (await console_('SHOW DATABASES')).some(row => row.name === 'postgres' && row.paused === 1)

function monitor(more: readonly string[] = [], options: { columns?: number; rows?: number } = {}): Terminal {
  return startMonitor([server.conninfo, ...more], { columns: 120, rows: 40, ...options, env: { XDG_STATE_HOME: state } })
}

/** The monitor with one session on its list, by a filter. */
async function on(application_name: string, more: readonly string[] = []): Promise<Terminal> {
  const terminal = monitor(more)
  await terminal.waitFor(`${application_name}@`)
  terminal.write(`/${application_name}\r`)
  await terminal.waitFor(`filter: ${application_name}`)
  return terminal
}

/** Waits for words that may stand on several lines. */
const reads = (terminal: Terminal, wanted: string | RegExp, ms?: number) => {
  const text = () => terminal.screen().join(' ').replace(/\s+/g, ' ')
  const is = typeof wanted === 'string' ? () => text().includes(wanted) : () => wanted.test(text())
  return terminal.until(is, String(wanted), ms)
}

const trail = (): AuditLine[] =>
  readFileSync(join(state, 'pgvigil', 'audit.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
const audit = (...args: readonly string[]) => run(['audit', ...args], { XDG_STATE_HOME: state })

describe('on a session', () => {
  it('K asks, y does it: gone on the server, on the screen and in the trail', async () => {
    const pid = await pidOf(await session('victim'))
    const terminal = await on('victim')
    terminal.write('K')
    await terminal.waitFor(`Terminate session: pid ${pid}?`)
    await terminal.waitFor(/server +127\.0\.0\.1:\d+ +primary +as postgres/)
    await reads(terminal, new RegExp(`pg_terminate_backend[\\s\\S]*pg_stat_get_activity\\(${pid}::int\\)`))
    expect(await lives(pid)).toBe(true)
    terminal.write('y')
    await reads(terminal, `Terminate session pid ${pid} on 127.0.0.1:${server.port}: gone after`)
    expect(await lives(pid)).toBe(false)
    await terminal.until(() => !terminal.screen().some(line => line.includes('victim@')), 'the row to go')
    expect(trail().map(({ phase, action, outcome, target }) => [phase, action, outcome, target.pid])).toEqual([
      ['begun', 'terminate', null, pid],
      ['ended', 'terminate', 'gone', pid],
    ])
    // One takes the filter away, the next one the report.
    terminal.write('\x1b')
    await terminal.waitFor('admin@')
    terminal.write('\x1b')
    await terminal.until(() => !terminal.screen().join('\n').includes('gone after'), 'Esc to close the report')
  })

  it('C on one that is idle in transaction says that it has no effect and offers K', async () => {
    const client = await session('sleeper')
    await client.query('begin')
    const pid = await pidOf(client)
    const terminal = await on('sleeper')
    terminal.write('C')
    await reads(terminal, 'no effect while idle in transaction; K terminates the session')
    terminal.write('K')
    await terminal.waitFor(`Terminate session: pid ${pid}?`)
    terminal.write('\x1b')
    await terminal.waitFor('sleeper@')
    expect(await lives(pid)).toBe(true)
  })

  it('C on a running query ends the query, and the session lives', async () => {
    const client = await session('runner')
    const pid = await pidOf(client)
    const ended = client.query('select pg_sleep(600)').then(
      () => 'done',
      (error: Error) => error.message,
    )
    const terminal = await on('runner')
    terminal.write('C')
    await terminal.waitFor(`Cancel query: pid ${pid}?`)
    terminal.write('y')
    await reads(terminal, 'gone: the query has ended')
    expect(await ended).toBe('canceling statement due to user request')
    expect(await lives(pid)).toBe(true)
  })

  it('Enter does nothing, whether it was typed ahead or comes afterwards; y typed ahead does nothing either', async () => {
    const pid = await pidOf(await session('stayer'))
    const terminal = await on('stayer')
    terminal.write('K\r\ry\r')
    await terminal.waitFor(`Terminate session: pid ${pid}?`)
    await terminal.waitFor('Enter does nothing here: y does it, Esc leaves it')
    terminal.write('n')
    await terminal.waitFor('stayer@')
    terminal.write('K')
    await terminal.waitFor('y does it')
    terminal.write('\r')
    await terminal.waitFor('Enter does nothing here: y does it, Esc leaves it')
    expect(await lives(pid)).toBe(true)
  })

  it('what is pasted does nothing, on the list as in the question', async () => {
    const pid = await pidOf(await session('unmoved'))
    const terminal = await on('unmoved')
    expect(terminal.bytes().toString()).toContain('\x1b[?2004h')
    terminal.write('\x1b[200~K\x1b[201~')
    terminal.write('\x1b[200~y\rKy\x1b[201~\x1bOP')
    // Help comes after all of it was taken.
    await terminal.waitFor('Help: lines')
    terminal.write('q')
    await terminal.waitFor('unmoved@')
    expect(terminal.screen().join('\n')).not.toContain('Terminate session')
    terminal.write('K')
    await terminal.waitFor('y does it')
    terminal.write('\x1b[200~y\x1b[201~\r')
    await terminal.waitFor('Enter does nothing here')
    expect(terminal.screen().join('\n')).toContain(`Terminate session: pid ${pid}?`)
    expect(await lives(pid)).toBe(true)
    terminal.write('n')
    await terminal.waitFor('unmoved@')
    terminal.write('q')
    await terminal.exit
    expect(terminal.bytes().toString()).toMatch(/\x1b\[\?2004l(?![\s\S]*\x1b\[\?2004h)/)
  })

  it('when it ends by itself while the question is open, the question says so and y does nothing', async () => {
    const client = await session('goer')
    const pid = await pidOf(client)
    const terminal = await on('goer')
    terminal.write('K')
    await terminal.waitFor(`Terminate session: pid ${pid}?`)
    await client.end()
    await reads(terminal, 'already gone: it ended while this question was open')
    terminal.write('y')
    await reads(terminal, 'already gone: there is nothing left to do it to')
    expect(terminal.screen().join('\n')).toContain(`Terminate session: pid ${pid}?`)
    terminal.write('\x1b')
    await terminal.until(() => !terminal.screen().join('\n').includes('already gone'), 'Esc to close it')
    expect((await audit('--json')).stdout).toBe('')
  })

  it('--read-only: K says so, F9 offers nothing', async () => {
    const pid = await pidOf(await session('safe'))
    const terminal = await on('safe', ['--read-only'])
    terminal.write('K')
    await reads(terminal, 'Terminate: read-only mode: by --read-only, or by read_only in the configuration file')
    expect(terminal.screen()[0]).toContain('READ-ONLY')
    terminal.write('\x1b[20~')
    await terminal.waitFor(/Terminate session +can't: read-only mode/)
    terminal.write('Term\r')
    await reads(terminal, 'Terminate session: read-only mode')
    expect(await lives(pid)).toBe(true)
  })
})

describe.skipIf(!findPgbouncer())('F23 F24: a PAUSE', () => {
  /** The monitor with a PAUSE that waits for a transaction of ours (`pending`), or is in force. */
  async function paused(how: 'pending' | 'in force'): Promise<Terminal & { readonly client: pg.Client }> {
    const client = await session('worker', pooler!.port)
    await client.query(how === 'pending' ? 'begin' : 'select 1')
    const terminal = monitor(['--pgbouncer', pooler!.conninfo])
    await terminal.waitFor(how === 'pending' ? 'worker@' : 'unlinked')
    terminal.write('5')
    await terminal.waitFor(/^ 127\S+ +postgres +postgres /m)
    terminal.write('P')
    await terminal.waitFor('PAUSE database: postgres?')
    await reads(terminal, how === 'pending' ? '1 open transaction must end first' : 'it takes effect at once')
    terminal.write('y')
    await reads(
      terminal,
      how === 'pending' ? /PAUSE of postgres on \S+ pending for .* waits for pid \d+/ : /PAUSED postgres on \S+ for/,
    )
    expect(await isPaused()).toBe(true)
    return { ...terminal, client }
  }
  const lastWords = (terminal: Terminal) => {
    const text = terminal.bytes().toString()
    return text.slice(text.lastIndexOf('\x1b[?1049l'))
  }

  it('that is pending: the screen lives; q asks, Esc stays, r resumes and quits', async () => {
    const terminal = await paused('pending')
    terminal.write('1')
    await terminal.waitFor('worker@')
    await terminal.waitFor('PAUSE of postgres')
    terminal.write('q')
    await terminal.waitFor('Leave what is not finished?')
    await terminal.waitFor('postgres PAUSE is pending for')
    terminal.write('\x1b')
    await terminal.waitFor('worker@')
    terminal.write('q')
    await terminal.waitFor('Leave what is not finished?')
    terminal.write('r')
    expect(await terminal.exit).toEqual({ code: 0, signal: 0 })
    expect(lastWords(terminal)).toMatch(/pgvigil: 127\S+: postgres resumed\r?\n/)
    expect(await isPaused()).toBe(false)
    await terminal.client.query('commit')
    expect((await terminal.client.query('select 7 as n')).rows).toEqual([{ n: 7 }])
    expect(trail().map(({ phase, action }) => `${phase} ${action}`)).toEqual(
      expect.arrayContaining(['begun pause', 'begun resume', 'ended resume']),
    )
  })

  it('l leaves it and says how to end it', async () => {
    const terminal = await paused('in force')
    terminal.write('\x03')
    await terminal.waitFor('Leave what is not finished?')
    terminal.write('l')
    expect(await terminal.exit).toEqual({ code: 130, signal: 0 })
    expect(lastWords(terminal)).toMatch(/postgres is STILL PAUSED as you wished; on its console: RESUME "postgres";/)
    expect(await isPaused()).toBe(true)
  })

  it.each([
    ['SIGTERM', 143, 'pending'],
    ['SIGTERM', 143, 'in force'],
    ['SIGHUP', 129, 'pending'],
    ['SIGINT', 130, 'in force'],
  ] as const)(
    '%s: status %d, terminal first, then the pause that is %s is resumed within a second',
    async (signal, code, how) => {
      const terminal = await paused(how)
      const at = performance.now()
      process.kill(terminal.pid, signal)
      expect(await terminal.exit).toEqual({ code, signal: 0 })
      expect(performance.now() - at).toBeLessThan(1500)
      expect(terminal.alternateScreen()).toBe(false)
      expect(terminal.cursorVisible()).toBe(true)
      expect(lastWords(terminal)).toMatch(/pgvigil: 127\S+: postgres resumed\r?\n/)
      expect(await isPaused()).toBe(false)
      expect(trail().at(-1)).toMatchObject({ phase: 'ended', action: 'resume', outcome: 'done' })
    },
  )

  it('of a PgBouncer that is frozen by then: STILL PAUSED, within a second or so', async () => {
    const terminal = await paused('pending')
    pooler!.signal('SIGSTOP')
    const at = performance.now()
    process.kill(terminal.pid, 'SIGTERM')
    expect(await terminal.exit).toEqual({ code: 143, signal: 0 })
    expect(performance.now() - at).toBeLessThan(2000)
    expect(lastWords(terminal)).toMatch(/postgres is STILL PAUSED.*; on its console: RESUME "postgres";/)
    const resumes = trail().filter(({ action }) => action === 'resume')
    expect(resumes).toMatchObject([{ phase: 'begun' }, { phase: 'ended', outcome: 'failed' }])
  })

  it('kill -9 in the middle of it: the trail has its beginning, and says that no end is recorded', async () => {
    const terminal = await paused('pending')
    process.kill(terminal.pid, 'SIGKILL')
    await terminal.exit
    expect(trail()).toMatchObject([
      { phase: 'begun', action: 'pause', sql: 'PAUSE "postgres"', target: { database: 'postgres' }, role: 'pgbouncer' },
    ])
    const told = await audit()
    expect(told).toMatchObject({ code: 0, stderr: '' })
    expect(told.stdout).toMatch(/ pause +postgres +– +no end is recorded: pgvigil was ended in the middle, or it goes on\n$/)
  })
})

describe('pgvigil audit', () => {
  it('prints the records of the last hour as JSON lines, or as a table', async () => {
    const old = { at: '2020-01-01T00:00:00.000Z', phase: 'begun', id: 'old', action: 'cancel', server: 'x', target: { pid: 1 } }
    mkdirSync(join(state, 'pgvigil'), { recursive: true })
    const fresh = { ...old, id: 'new', at: new Date().toISOString() }
    writeFileSync(join(state, 'pgvigil', 'audit.jsonl'), `${JSON.stringify(old)}\n${JSON.stringify(fresh)}\n`)
    const json = await audit('--json', '--since', '1h')
    expect([
      json.code,
      json.stderr,
      json.stdout
        .trimEnd()
        .split('\n')
        .map(line => JSON.parse(line)),
    ]).toEqual([0, '', [fresh]])
    const table = await audit()
    expect([table.code, table.stdout.match(/ cancel /g)?.length]).toEqual([0, 2])
    const later = await audit('--since', '2100-01-01')
    expect([later.code, later.stdout]).toEqual([0, `nothing is recorded since then in ${state}/pgvigil/audit.jsonl\n`])
  })

  it('without a file there is nothing, and that is no failure', async () => {
    expect(await audit('--json')).toEqual({ code: 0, signal: null, stdout: '', stderr: '' })
    expect(await audit()).toEqual({
      code: 0,
      signal: null,
      stdout: `nothing is recorded in ${state}/pgvigil/audit.jsonl\n`,
      stderr: '',
    })
  })

  it('a --since that is none, or an option that is none, ends with 2 and an empty stdout', async () => {
    for (const args of [['--since', 'yesterday\x1b[2J'], ['--since', ''], ['--since'], ['--nonsense']]) {
      const told = await audit(...args)
      expect([told.code, told.stdout]).toEqual([2, ''])
      expect(told.stderr).toMatch(/^pgvigil: [^\x1b\n]*\n$/)
    }
  })

  it('lines that are no records are counted on stderr, and the rest is printed', async () => {
    mkdirSync(join(state, 'pgvigil'), { recursive: true })
    writeFileSync(join(state, 'pgvigil', 'audit.jsonl'), 'broken\n{"at":"2026-01-01T00:00:00Z","id":"1","phase":"begun"}\n')
    const told = await audit('--json')
    expect([told.code, told.stdout]).toEqual([0, '{"at":"2026-01-01T00:00:00Z","id":"1","phase":"begun"}\n'])
    expect(told.stderr).toMatch(/^pgvigil: 1 lines? of .*audit\.jsonl .*\n$/)
  })

  it('a trail that can not be read ends with 1', async () => {
    mkdirSync(join(state, 'pgvigil', 'audit.jsonl'), { recursive: true })
    const told = await audit()
    expect([told.code, told.stdout]).toEqual([1, ''])
    expect(told.stderr).toMatch(/^pgvigil: the audit trail can't be read: EISDIR/)
  })
})

describe('hostile text in questions', () => {
  /** What we and Ink write on purpose. Anything else in the stream is somebody else's. */
  const ours =
    /\x1b\[(?:\?(?:1049|25|2004|2026)[hl]|\d*[BCDKX]|(?:\d+;\d+)?H|2J|(?:(?:0|1|7|3[0-7]|4[0126-7]|90)(?:;(?!45)\d+)*)?m)/g
  const harmful = /[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g

  function expectHarmless(terminal: Terminal): void {
    const text = terminal.bytes().toString()
    // Colours that the hostile text asks for are none of ours, so that they can be told apart.
    expect(text).not.toMatch(/\x1b\[45m/)
    const left = text.replace(ours, '').replaceAll('\r\n', '')
    expect([...left.matchAll(harmful)].map(([match]) => `U+${match.codePointAt(0)!.toString(16)}`)).toEqual([])
    expect(left).not.toMatch(/[\n\t]/)
    expect(terminal.title()).toBe('')
  }

  it('of sessions, in the question, the menu, the report and the trail', async () => {
    const client = await session(`app ${name}`, server.port, { user: name, database: name })
    const pid = await pidOf(client)
    await client.query('begin')
    await client.query(`select 1 /*${hostile}*/`)
    const terminal = monitor([], { columns: 100 })
    await terminal.waitFor(`${pid} `)
    terminal.write(`/${pid}\r`)
    await terminal.waitFor(`filter: ${pid}`)
    terminal.write('\x1b[20~')
    await terminal.waitFor(`Act on ${pid}`)
    terminal.write('\x1b')
    await terminal.until(() => !terminal.screen().join('\n').includes('Act on'), 'the menu to close')
    terminal.write('K')
    await terminal.waitFor(new RegExp(`pid ${pid} +user ␛\\]0;PWNED`))
    await reads(terminal, /select 1 \/\*␛\]0;PWNED␇/)
    expectHarmless(terminal)
    terminal.write('y')
    await reads(terminal, 'gone after')
    expectHarmless(terminal)
    expect(trail()[0]!.target).toMatchObject({ usename: name, query: `select 1 /*${hostile}*/` })
    expect(readFileSync(join(state, 'pgvigil', 'audit.jsonl'), 'utf8').replaceAll('\n', '')).not.toMatch(harmful)
    for (const args of [[], ['--json']]) {
      const told = await audit(...args)
      expect(told.stdout).toContain('PWNED')
      expect(told.stdout.replaceAll('\n', '')).not.toMatch(harmful)
    }
  })

  it.skipIf(!findPgbouncer())(
    'of a PgBouncer: a database, its clients, what a PAUSE waits for; such a name is not asked for',
    async () => {
      const client = await session('plain', pooler!.port, { database: name })
      await client.query('begin')
      await client.query(`select 2 /*${hostile}*/`)
      const terminal = monitor(['--pgbouncer', pooler!.conninfo], { columns: 100 })
      await terminal.waitFor('plain@')
      terminal.write('5/PWNED\r')
      await terminal.waitFor('filter: PWNED')
      await terminal.waitFor(/^ 127\S+ +␛\]0;PWNED/m)
      terminal.write('P')
      await terminal.waitFor(/PAUSE database: ␛\]0;PWNED/)
      await terminal.waitFor('1 open transaction must end first')
      expectHarmless(terminal)
      terminal.write('y')
      await reads(terminal, /PAUSE of ␛\]0;PWNED.* pending for/)
      terminal.write('R')
      await terminal.waitFor(/RESUME database: ␛\]0;PWNED/)
      terminal.write('y')
      await reads(terminal, 'traffic flows again')
      terminal.write('K')
      await terminal.waitFor(/KILL database: ␛\]0;PWNED/)
      await terminal.waitFor('type KILL to do it')
      expectHarmless(terminal)
      terminal.write('\x1b')
      await terminal.waitFor('filter: PWNED')
      terminal.write('q')
      expect((await terminal.exit).code).toBe(0)
    },
  )
})

describe('a server that is frozen', () => {
  it('a deed on it is under way, and every key is answered meanwhile; then it says that nothing is known of it', async () => {
    const pid = await pidOf(await session('held'))
    const terminal = await on('held')
    terminal.write('K')
    await terminal.waitFor(`Terminate session: pid ${pid}?`)
    const children = execFileSync('pgrep', ['-P', String(server.pid())], { encoding: 'utf8' })
    frozen = [server.pid(), ...children.trim().split('\n').map(Number)]
    for (const one of frozen) process.kill(one, 'SIGSTOP')
    terminal.write('y')
    await reads(terminal, /Terminate session pid \d+ on \S+: under way for/)
    for (const [keys, shown] of [
      ['\x1bOP', /Help: lines/],
      ['q', /^ PID/m],
      ['3', /STANDBY/],
      ['1', /^ PID/m],
    ] as const) {
      const pressedAt = performance.now()
      terminal.write(keys)
      await terminal.waitFor(shown, 1000)
      expect(performance.now() - pressedAt).toBeLessThan(200)
      expect(terminal.screen().join('\n')).toContain('under way')
    }
    await reads(terminal, /Terminate session pid \d+ on \S+: .*(nothing was done|not known|no answer)/, 20_000)
    expect(terminal.screen().join('\n')).not.toMatch(/Terminate session pid \d+ on \S+: .*gone/)
    expect(trail().map(({ phase, outcome }) => [phase, outcome])).toEqual([
      ['begun', null],
      ['ended', expect.stringMatching(/^(?:failed|refused)$/)],
    ])
  })
})
