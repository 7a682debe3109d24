// A password that a server wants and nobody has given: asked for on the terminal, never shown anywhere, and used by all that connects.

import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, connect as dial, type Server } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { connect } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { freePort } from '../../src/lab/process.ts'
import { build, endAll, environment, node, program, start, startMonitor, type Terminal } from '../support/terminal.ts'

const password = `R1ght "secret' \\ pässwörd`
/** No piece of it may be seen either: an echo could be broken by a cursor movement. */
const pieces = /R1ght|secret|pässw|wörd|Wr0ng/

let folder: Folder
let home: string
let server: PostgresServer
let admin: pg.Client
/** Watches from the beginning with a wrong password in its connection string; the last test judges it. */
let denied: Terminal
const own: Terminal[] = []
const proxies: Server[] = []

beforeAll(async () => {
  build()
  folder = temporaryFolder()
  home = join(folder.path, 'home')
  mkdirSync(home)
  server = await startPostgres({
    version: 16,
    dir: folder.path,
    hba: 'host all postgres,worker 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256',
    settings: { log_connections: true, log_line_prefix: '%n ' },
  })
  admin = await connect({ port: server.port, application_name: 'admin' })
  await admin.query('create database app')
  for (const name of ['keeper', 'other', 'loser'])
    await admin.query(`create role ${name} login in role pg_monitor, pg_signal_backend`)
  await admin.query('create role worker login')
  for (const name of ['keeper', 'other']) await becomes(name, password)
  await becomes('loser', 'another')
  denied = startMonitor([at('loser:Wr0ng'), at('postgres')], { env: environmentOf() })
})
afterEach(async () => {
  for (const terminal of own.splice(0)) if (!terminal.ended()) process.kill(terminal.pid, 'SIGKILL')
  await becomes('keeper', password)
})
afterAll(async () => {
  endAll()
  for (const proxy of proxies) proxy.close()
  await admin?.end()
  await server?.stop('immediate')
  await folder?.remove()
})

async function becomes(role: string, text: string): Promise<void> {
  await admin.query(`alter role ${role} password ${pg.escapeLiteral(text)}`)
  // Its text would stand on the screens of others.
  await admin.query('select 1')
}
const at = (user: string, database = 'postgres', port = server.port) => `postgres://${user}@127.0.0.1:${port}/${database}`
const environmentOf = (more: Record<string, string> = {}) => ({ HOME: home, XDG_STATE_HOME: join(home, 'state'), ...more })
const promptFor = (user: string, port = server.port) => `Password for user ${user} at 127.0.0.1 port ${port}: `
const log = () => readFileSync(server.logFile, 'utf8')
const count = (text: string, piece: string) => text.split(piece).length - 1

function monitor(args: readonly string[], env: Record<string, string> = {}): Terminal {
  const terminal = startMonitor(args, { columns: 160, env: environmentOf(env) })
  own.push(terminal)
  return terminal
}

/** A command line in an interactive bash, whose prompt tells the status of the last one. */
function bash(command: string): Terminal {
  const shell = start('bash', ['--norc', '-i'], { columns: 160, env: environmentOf() })
  own.push(shell)
  shell.write(`PS1='status=$? > '; ${command}\r`)
  return shell
}
const pgvigil = `${node} ${program}`

/** What the shell finds afterwards: on which screen, with which cursor and terminal modes. */
async function expectSane(shell: Terminal): Promise<void> {
  expect(shell.alternateScreen()).toBe(false)
  expect(shell.cursorVisible()).toBe(true)
  shell.write('clear; stty -a\r')
  const modes = (await shell.waitFor(/isig.*echoke.*> $/ms)).input
  expect(modes).toMatch(/ icanon /)
  expect(modes).toMatch(/ echo /)
  expect(modes).toMatch(/^opost /m)
}

const unseen = (...texts: string[]) => {
  for (const text of texts) expect(text).not.toMatch(pieces)
}

describe('typed at the prompt', () => {
  it('opens the screen, and is seen nowhere: terminal, command line, environment, log, trail', async () => {
    const terminal = monitor([at('keeper')])
    await terminal.waitFor(promptFor('keeper'))
    expect(terminal.bytes().toString()).toBe(promptFor('keeper'))
    terminal.write(`${password}\r`)
    await terminal.waitFor(/^127\.0\.0\.1:\d+ +primary +LIVE .* tps/m)
    expect(execFileSync('ps', ['-ww', '-o', 'args=', '-p', String(terminal.pid)], { encoding: 'utf8' })).toBe('pgvigil\n')
    unseen(readFileSync(`/proc/${terminal.pid}/cmdline`, 'utf8'), readFileSync(`/proc/${terminal.pid}/environ`, 'utf8'))
    terminal.write('q')
    expect(await terminal.exit).toEqual({ code: 0, signal: 0 })
    unseen(terminal.bytes().toString(), log())
  })

  it.each([
    ['with blanks at its ends', '  two words  '],
    ['with quotes and backslashes', `'"\\\\'$(x) %41 \\n`],
    ['of other scripts', 'пароль 漢字🙂 é'],
    ['with a tab', 'a\tb'],
    ['of a thousand characters', 'x'.repeat(999)],
  ])('%s', async (_, text) => {
    await becomes('keeper', text)
    const terminal = monitor([at('keeper')])
    await terminal.waitFor(promptFor('keeper'))
    terminal.write(`${text}\r`)
    const shown = () => terminal.screen().join('\n')
    await terminal.until(() => terminal.ended() ?? / LIVE /.test(shown()), 'the screen or the end')
    expect(shown()).toMatch(/ LIVE /)
  })

  it('is mended with Backspace, which takes a whole character, and begun anew with Ctrl-U', async () => {
    const terminal = monitor([at('keeper')])
    await terminal.waitFor(promptFor('keeper'))
    terminal.write(`nonsense\x15${password}ö🙂\x7f\x7f\r`)
    await terminal.waitFor(/ LIVE /)
  })

  it('a wrong one ends with status 1, what the server says and a sane terminal', async () => {
    const shell = bash(`${pgvigil} '${at('keeper')}'`)
    await shell.waitFor(promptFor('keeper'))
    shell.write('Wr0ng\r')
    await shell.waitFor('status=1 >')
    const said = shell.screen().join('\n')
    expect(said).toMatch(/^pgvigil: 127\.0\.0\.1:\d+: password authentication failed for user "keeper"$/m)
    unseen(shell.bytes().toString())
    expect(shell.bytes().toString()).not.toContain('\x1b[?1049h')
    await expectSane(shell)
  })

  it('an empty one is refused in words', async () => {
    const terminal = monitor([at('keeper')])
    await terminal.waitFor(promptFor('keeper'))
    terminal.write('\r')
    expect(await terminal.exit).toEqual({ code: 1, signal: 0 })
    expect(terminal.screen().join(' ')).toMatch(/password/)
    expect(terminal.screen().join(' ')).not.toMatch(/SASL|SCRAM-|undefined/)
  })

  it.each([
    ['Ctrl-C', '\x03', 130],
    ['Ctrl-D', '\x04', 130],
    ['Escape', '\x1b', 130],
    ['Ctrl-C in the middle', 'secret\x03', 130],
    ['SIGTERM', null, 143],
    ['SIGHUP', null, 129],
  ])('%s gives up: a sane terminal, and nothing was tried', async (name, keys, code) => {
    const shell = bash(`${pgvigil} '${at('keeper')}'`)
    await shell.waitFor(promptFor('keeper'))
    const before = count(log(), 'authentication failed')
    if (keys === null) {
      const [child] = readFileSync(`/proc/${shell.pid}/task/${shell.pid}/children`, 'utf8').trim().split(' ')
      process.kill(Number(child), name as NodeJS.Signals)
    } else shell.write(keys)
    await shell.waitFor(`status=${code} >`)
    await expectSane(shell)
    unseen(shell.bytes().toString())
    expect(shell.bytes().toString()).not.toContain('\x1b[?1049h')
    expect(count(log(), 'authentication failed')).toBe(before)
  })

  it('a user name is made harmless in the prompt', async () => {
    const terminal = monitor([
      '-h',
      '127.0.0.1',
      '-p',
      String(server.port),
      '-U',
      '\x1b]0;PWNED\x07\x1b[31mx\nKeeper',
      'postgres',
    ])
    await terminal.waitFor(/Password for user .*Keeper at/)
    expect(terminal.bytes().toString()).toMatch(/^[^\x00-\x1f\x7f]+$/)
    terminal.write('\x03')
    expect((await terminal.exit).code).toBe(130)
  })
})

describe('when it is asked for', () => {
  it('-w: never; what is missing and how to give it is said, status 1', async () => {
    const terminal = monitor(['-w', at('keeper')])
    expect(await terminal.exit).toEqual({ code: 1, signal: 0 })
    expect(terminal.bytes().toString()).toMatch(
      /^pgvigil: 127\.0\.0\.1:\d+: 127\.0\.0\.1 port \d+ wants a password for keeper and none was given; give one with PGPASSWORD/,
    )
  })

  it('-W: before anything is connected, also where nobody wants one', async () => {
    const came = () => count(log(), 'connection authorized: user=postgres database=app')
    const before = came()
    const terminal = monitor(['-W', at('postgres', 'app')])
    await terminal.waitFor(promptFor('postgres'))
    expect(came()).toBe(before)
    terminal.write('whatever\r')
    await terminal.waitFor(/ LIVE /)
    expect(came()).toBeGreaterThan(before)
  })

  it('once for the same user at the same place, whatever the database; again for another user', async () => {
    const terminal = monitor([at('keeper'), at('keeper', 'app'), at('other'), at('postgres')])
    await terminal.waitFor(promptFor('keeper'))
    terminal.write(`${password}\r`)
    await terminal.waitFor(promptFor('other'))
    terminal.write(`${password}\r`)
    await terminal.until(() => terminal.screen().filter(line => / LIVE /.test(line)).length === 4, 'all four')
    expect(count(terminal.bytes().toString(), 'Password for user')).toBe(2)
  })

  it('also of a server that is slower than one that wants none', async () => {
    const proxy = createServer(socket => {
      const forward = dial(server.port, '127.0.0.1').on('error', () => socket.destroy())
      socket.on('error', () => {}).on('close', () => forward.destroy())
      forward.pipe(socket)
      setTimeout(() => socket.pipe(forward), 250)
    })
    await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
    proxies.push(proxy)
    const { port } = proxy.address() as AddressInfo
    const terminal = monitor([at('postgres'), at('keeper', 'postgres', port)])
    await terminal.waitFor(/Password for user|LIVE[\s\S]*DENIED/)
    expect(terminal.screen().join('\n')).toContain(promptFor('keeper', port).trim())
    terminal.write(`${password}\r`)
    await terminal.until(() => terminal.screen().filter(line => / LIVE /.test(line)).length === 2, 'both')
  })

  it('of several hosts for the one that asks', async () => {
    const dead = await freePort()
    const terminal = monitor([`postgres://keeper@127.0.0.1:${dead},127.0.0.1:${server.port}/postgres`])
    await terminal.waitFor(/Password for user keeper at .*:/)
    expect(terminal.screen()[0]).toContain(promptFor('keeper').trim())
    terminal.write(`${password}\r`)
    await terminal.waitFor(/ LIVE /)
  })

  it('not at all when PGPASSWORD or a password file knows it', async () => {
    const passfile = join(home, '.pgpass')
    writeFileSync(passfile, `127.0.0.1:${server.port}:*:keeper:${password.replace(/[\\:]/g, '\\$&')}\n`, { mode: 0o600 })
    onTestFinished(() => writeFileSync(passfile, ''))
    for (const terminal of [monitor([at('keeper')]), monitor([at('other')], { PGPASSWORD: password })]) {
      await terminal.waitFor(/ LIVE /)
      expect(terminal.bytes().toString()).not.toContain('Password')
      unseen(terminal.bytes().toString())
    }
    const { stdout } = await without(['snapshot', '--json', '--panel', 'activity', at('keeper')])
    expect(JSON.parse(stdout).servers).toMatchObject([{ link: 'up' }])
  })

  it('with a word about the password file when others may read it', async () => {
    const passfile = join(home, 'open')
    writeFileSync(passfile, '*:*:*:*:secret\n')
    chmodSync(passfile, 0o644)
    const terminal = monitor([at('keeper')], { PGPASSFILE: passfile })
    await terminal.waitFor(promptFor('keeper'))
    expect(terminal.screen().join('\n')).toContain(`the password file ${passfile} is not used: others may read it (chmod 600 it)`)
  })
})

/** The program in a session of its own, that is without any terminal to ask on. */
function without(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(node, [program, ...args], {
      env: environment(environmentOf(env)),
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const said = { stdout: '', stderr: '' }
    child.stdout.on('data', chunk => (said.stdout += chunk))
    child.stderr.on('data', chunk => (said.stderr += chunk))
    child.on('error', reject)
    child.on('close', code => resolve({ code, ...said }))
  })
}

describe('snapshot and doctor', () => {
  const output = () => join(home, 'output')

  it.each([
    ['snapshot --json --panel activity', /^\{\s*"format": 1,[\s\S]*"link": "up"/],
    ['doctor', /^127\.0\.0\.1:\d+ +primary +PostgreSQL 16/],
  ])('%s asks on the terminal, wherever stdin, stdout and stderr lead', async (command, expected) => {
    const shell = bash(`${pgvigil} ${command} '${at('keeper')}' </dev/null >${output()} 2>${output()}.err`)
    await shell.waitFor(promptFor('keeper').trim())
    shell.write(`${password}\r`)
    await shell.waitFor('status=0 >')
    expect(readFileSync(output(), 'utf8')).toMatch(expected)
    expect(readFileSync(`${output()}.err`, 'utf8')).toBe('')
    unseen(shell.bytes().toString(), readFileSync(output(), 'utf8'))
    await expectSane(shell)
  })

  it.each([
    ['Ctrl-C', '\x03', 130],
    ['SIGTERM', null, 143],
  ])('%s at the prompt: nothing is printed, the terminal is sane', async (name, keys, code) => {
    const shell = bash(`${pgvigil} snapshot '${at('keeper')}' </dev/null >${output()} 2>&1`)
    await shell.waitFor(promptFor('keeper').trim())
    if (keys === null) {
      const [child] = readFileSync(`/proc/${shell.pid}/task/${shell.pid}/children`, 'utf8').trim().split(' ')
      process.kill(Number(child), name as NodeJS.Signals)
    } else shell.write(keys)
    await shell.waitFor(`status=${code} >`)
    expect(readFileSync(output(), 'utf8')).toBe('')
    await expectSane(shell)
  })

  it('a wrong one: the document says what the server said', async () => {
    const shell = bash(`${pgvigil} snapshot --json --panel activity '${at('keeper')}' >${output()}`)
    await shell.waitFor(promptFor('keeper').trim())
    shell.write('Wr0ng\r')
    await shell.waitFor('status=0 >')
    const { servers } = JSON.parse(readFileSync(output(), 'utf8'))
    expect(servers).toMatchObject([{ link: 'down', error: 'password authentication failed for user "keeper"' }])
    unseen(shell.bytes().toString(), readFileSync(output(), 'utf8'))
  })

  it('-w, or no terminal: nobody is asked, and the document says that a password is wanted', async () => {
    const shell = bash(`${pgvigil} snapshot -w --json --panel activity '${at('keeper')}' >${output()}`)
    await shell.waitFor('status=0 >')
    expect(shell.bytes().toString()).not.toContain('Password')
    const { code, stdout, stderr } = await without(['snapshot', '--json', '--panel', 'activity', at('keeper')])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    for (const text of [readFileSync(output(), 'utf8'), stdout])
      expect(JSON.parse(text).servers[0].error).toMatch(/wants a password for keeper and none was given/)
  })
})

it('a deed has a connection of its own, with the password that was typed', async () => {
  const victim = await connect({ port: server.port, application_name: 'victim', user: 'worker' })
  onTestFinished(() => victim.end().catch(() => {}))
  const { rows } = await victim.query('select pg_backend_pid() as pid')
  const terminal = monitor([at('keeper')])
  await terminal.waitFor(promptFor('keeper'))
  terminal.write(`${password}\r`)
  await terminal.waitFor('victim@')
  terminal.write('/victim\r')
  await terminal.waitFor('filter: victim')
  terminal.write('K')
  await terminal.waitFor(`Terminate session: pid ${rows[0].pid}?`)
  terminal.write('y')
  await terminal.waitFor(/Terminate session pid \d+ on [\d.:]+: gone after/)
  unseen(terminal.bytes().toString())
  expect(readFileSync(join(home, 'state', 'pgvigil', 'audit.jsonl'), 'utf8')).toMatch(/"outcome":"gone"/)
})

it('a wrong password beside a server that is fine: DENIED on the screen, and tried again after 30 s, not before', async () => {
  await denied.waitFor(/^127\.0\.0\.1:\d+ +postgres +DENIED .*password authentication failed for user "loser"/m)
  await denied.waitFor(/^127\.0\.0\.1:\d+\/postgres +primary +LIVE /m)
  const attempts = () =>
    [...log().matchAll(/^([\d.]+) FATAL: +password authentication failed for user "loser"/gm)].map(([, time]) => Number(time))
  await denied.until(() => attempts().length > 1, 'a second attempt', 45_000)
  const [first, ...others] = attempts()
  for (const [i, time] of others.entries()) expect(time - [first!, ...others][i]!).toBeGreaterThan(23.9)
  unseen(denied.bytes().toString(), log())
  denied.write('q')
  expect(await denied.exit).toEqual({ code: 0, signal: 0 })
  const trail = join(home, 'state', 'pgvigil')
  for (const file of readdirSync(trail)) unseen(readFileSync(join(trail, file), 'utf8'))
})
