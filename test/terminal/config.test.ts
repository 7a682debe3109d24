// The configuration file as a person meets it: clusters to choose from, one taken for another while running, and a file that is broken.

import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { connect } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { freePort } from '../../src/lab/process.ts'
import { type PgbouncerStub, startPgbouncerStub } from '../support/pgbouncer-stub.ts'
import { run } from '../support/run.ts'
import { build, endAll, node, program, start, startMonitor, type Terminal } from '../support/terminal.ts'
import { addHypertable, installStandIn } from '../support/timescale-standin.ts'

const password = `R1ght secret`
const pieces = /R1ght|secret/

let folder: Folder
let home: string
let server: PostgresServer
let console_: PgbouncerStub
let mute: Server
let admin: pg.Client
let places: Readonly<Record<string, string | number>>

beforeAll(async () => {
  build()
  folder = temporaryFolder()
  home = join(folder.path, 'home')
  mkdirSync(join(home, '.config', 'pgvigil'), { recursive: true })
  server = await startPostgres({
    version: 16,
    dir: folder.path,
    hba: 'host all keeper 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust',
    settings: { log_connections: true },
  })
  admin = await connect({ port: server.port, application_name: 'admin' })
  await admin.query('create database app')
  await admin.query('create database metrics')
  await admin.query(`create role keeper login password '${password}' in role pg_monitor`)
  const metrics = await connect({ port: server.port, database: 'metrics' })
  await installStandIn(metrics)
  await addHypertable(metrics, 'series', 1, 'postgres')
  await metrics.query('update standin.chunk set seconds = 20')
  await metrics.end()
  console_ = await startPgbouncerStub('1.25')
  paused(false)
  console_.show({
    POOLS: [
      {
        database: 'app',
        user: 'web',
        cl_active: 1,
        cl_waiting: 0,
        sv_active: 1,
        sv_idle: 0,
        sv_used: 0,
        sv_login: 0,
        maxwait: 0,
        maxwait_us: 0,
      },
    ],
    CONFIG: [{ key: 'admin_users', value: 'postgres' }],
  })
  console_.obey(text => {
    const pausing = text.startsWith('PAUSE')
    if (!pausing && !text.startsWith('RESUME')) return undefined
    paused(pausing)
    // A transaction is open, so there is no answer yet.
    return pausing ? new Promise(() => {}) : { tag: 'RESUME' }
  })
  mute = createServer(socket => socket.on('error', () => {}))
  await new Promise<void>(resolve => mute.listen(0, '127.0.0.1', resolve))
  places = { port: server.port, dead: await freePort(), mute: (mute.address() as AddressInfo).port, console: console_.port }
  await write(clusters)
})
afterEach(() => {
  endAll()
  paused(false)
})
afterAll(async () => {
  await console_?.stop()
  mute?.close()
  await admin?.end()
  await server?.stop('immediate')
  await folder?.remove()
})

const paused = (now: boolean) => console_.show({ DATABASES: [{ name: 'app', pool_size: 4, paused: now ? 1 : 0, disabled: 0 }] })

const usual = () => join(home, '.config', 'pgvigil', 'config.toml')
const clusters = `interval = "500ms"

[clusters.alpha]
servers = [
  { name = "eins", conninfo = "host=127.0.0.1 port={port} user=postgres" },
  { name = "zwei", conninfo = "host=127.0.0.1 port={port} user=postgres dbname=metrics" },
]
pgbouncers = [{ name = "drei", conninfo = "host=127.0.0.1 port={console} user=postgres" }]
timescale = "host=127.0.0.1 port={port} user=postgres dbname=metrics"

[clusters.beta]
read_only = true
interval = "2s"
panel = "locks"
servers = ["host=127.0.0.1 port={port} user=postgres dbname=app"]
thresholds = { connections_percent = 1 }

[clusters.down]
servers = [{ name = "gone", conninfo = "host=127.0.0.1 port={dead} user=postgres" }]

[clusters.frozen]
servers = [{ name = "ice", conninfo = "host=127.0.0.1 port={mute} user=postgres" }]

[clusters.nowhere]
servers = ["host=127.0.0.1 port={port} user=postgres dbname=nowhere"]

[clusters.vault]
servers = [{ name = "tresor", conninfo = "host=127.0.0.1 port={port} user=keeper dbname=app" }]
`

/** A file with the places filled in; its path. */
function write(text: string, path = usual(), mode = 0o600): string {
  writeFileSync(
    path,
    text.replace(/\{(\w+)\}/g, (whole, name: string) => String(places[name] ?? whole)),
  )
  chmodSync(path, mode)
  return path
}
const other = (name: string, text: string, mode?: number) => write(text, join(folder.path, name), mode)

const environmentOf = (more: Record<string, string> = {}) => ({ HOME: home, XDG_STATE_HOME: join(home, 'state'), ...more })
const monitor = (args: readonly string[] = [], env: Record<string, string> = {}) =>
  startMonitor(args, { columns: 140, env: environmentOf(env) })
const once = (args: readonly string[]) => run(args, environmentOf())

/** The chooser: that of the start, and that of `c`. */
async function choose(terminal: Terminal, name: string, key = 'c'): Promise<void> {
  terminal.write(key)
  await terminal.waitFor(/^ Cluster +type to narrow, Enter chooses, Esc closes/m)
  terminal.write(name)
  await terminal.waitFor(`Cluster: ${name}`)
  terminal.write('\r')
}
const titled = (terminal: Terminal, name: string) => terminal.waitFor(new RegExp(`^pgvigil  ${name} `))
const live = (terminal: Terminal, id: string) => terminal.waitFor(new RegExp(`^${id} +primary +LIVE .* tps`, 'm'))
const alpha = async (...more: readonly string[]) => {
  const terminal = monitor(['-c', 'alpha', ...more])
  await live(terminal, 'eins')
  await live(terminal, 'zwei')
  return terminal
}
const ours = async (database: string) => {
  const { rows } = await admin.query(
    `select count(*)::int as n from pg_stat_activity where application_name = 'pgvigil' and datname = $1`,
    [database],
  )
  return rows[0].n as number
}

describe('several clusters and none named', () => {
  it('are offered by name, and nothing is connected before one is chosen', async () => {
    const log = () => readFileSync(server.logFile, 'utf8').split('connection authorized').length
    const before = log()
    const terminal = monitor()
    await terminal.waitFor(/^ Cluster +type to narrow.*\n {2}alpha *\n {2}beta\n {2}down\n {2}frozen\n {2}nowhere\n {2}vault/m)
    terminal.write('\x1b[B')
    await terminal.until(() => /^ {2}beta/.test(terminal.lineOn(6) ?? ''), 'the second to be under the cursor')
    expect(log()).toBe(before)
    terminal.write('\r')
    await titled(terminal, 'beta')
    await terminal.waitFor(new RegExp(`^127\\.0\\.0\\.1:${server.port} +primary +LIVE .* tps`, 'm'))
    expect(await ours('app')).toBe(1)
    terminal.write('q')
    expect(await terminal.exit).toEqual({ code: 0, signal: 0 })
  })

  it('Esc leaves an empty screen that takes every key; c offers them again', async () => {
    const terminal = monitor()
    await terminal.waitFor('alpha')
    terminal.write('\x1b')
    await terminal.until(() => !terminal.screen().join('\n').includes('alpha'), 'the chooser to go')
    for (const key of [
      '2',
      '3',
      '4',
      '5',
      '1',
      '\r',
      'K',
      'C',
      '@',
      '\x1b',
      's',
      '\x1b',
      '\x1b[20~',
      '\x1b',
      '\x1bOR',
      'x\r',
      ' ',
      'U',
      'y',
      'p',
      'p',
      '+',
      'W',
    ])
      terminal.write(key)
    await choose(terminal, 'alpha')
    await live(terminal, 'eins')
    terminal.write('q')
    expect((await terminal.exit).code).toBe(0)
  })

  it('Ctrl-C ends it there, and so does q after Esc', async () => {
    const [one, another] = [monitor(), monitor()]
    await one.waitFor('alpha')
    one.write('\x03')
    expect(await one.exit).toEqual({ code: 130, signal: 0 })
    await another.waitFor('alpha')
    another.write('\x1b')
    await another.until(() => !another.screen().join('\n').includes('alpha'), 'the chooser to go')
    another.write('q')
    expect(await another.exit).toEqual({ code: 0, signal: 0 })
    for (const { alternateScreen, cursorVisible } of [one, another])
      expect({ alternate: alternateScreen(), cursor: cursorVisible() }).toEqual({ alternate: false, cursor: true })
  })

  it('the file says how the chooser looks', async () => {
    const file = other('looks.toml', `theme = "mono"\nascii = true\n${clusters}`)
    const terminal = monitor(['--config', file])
    await terminal.waitFor('alpha')
    terminal.write('\r')
    await live(terminal, 'eins')
    terminal.write('q')
    await terminal.exit
    expect(colours(terminal.bytes())).toEqual([])
    expect(terminal.bytes().toString()).toMatch(/^[\x00-\x7f]*$/)
  })

  it('the one that is chosen opens with its own pane', async () => {
    const terminal = monitor()
    await terminal.waitFor('alpha')
    terminal.write('beta')
    await terminal.waitFor('Cluster: beta')
    terminal.write('\r')
    await titled(terminal, 'beta')
    await terminal.waitFor('OBJECT', 3000)
  })

  it('none is asked for where one is usual, where the command line or the environment names a server', async () => {
    const file = other('usual.toml', `cluster = "beta"\n${clusters}`)
    await titled(monitor(['--config', file]), 'beta')
    await titled(monitor([server.conninfo]), `127.0.0.1:${server.port}`)
    const named = monitor([], { PGHOST: '127.0.0.1', PGPORT: String(server.port), PGUSER: 'postgres' })
    await titled(named, `127.0.0.1:${server.port}`)
    // The others of the file can be had from there.
    await choose(named, 'beta')
    await titled(named, 'beta')
  })

  it('snapshot and doctor ask nobody: one sentence, status 2, nothing on stdout', async () => {
    for (const command of ['snapshot', 'doctor']) {
      const { code, stdout, stderr } = await once([command])
      expect({ code, stdout, stderr }).toEqual({
        code: 2,
        stdout: '',
        stderr: `pgvigil: there are several clusters in ${usual()}: name one with -c (alpha, beta, down, frozen, nowhere, vault)\n`,
      })
    }
    const { code, stdout } = await once(['snapshot', '--json', '--panel', 'locks', '-c', 'alpha'])
    expect(code).toBe(0)
    const { cluster, servers } = JSON.parse(stdout)
    expect(cluster).toBe('alpha')
    expect(servers).toMatchObject([
      { id: 'eins', link: 'up' },
      { id: 'zwei', link: 'up' },
      { id: 'drei', kind: 'pgbouncer', link: 'up' },
    ])
  })
})

/** Numbers of all colours that were asked for. */
const colours = (bytes: Buffer) =>
  [...bytes.toString('latin1').matchAll(/\x1b\[([\d;]*)m/g)]
    .flatMap(match => match[1]!.split(';').map(Number))
    .filter(n => (n >= 30 && n <= 38) || (n >= 40 && n <= 48) || (n >= 90 && n <= 107))

describe('what a cluster says', () => {
  it('names, interval, pane, thresholds and read_only are on the screen; K is forbidden with the reason', async () => {
    const terminal = monitor(['-c', 'beta'])
    await terminal.waitFor(/^pgvigil {2}beta {2}READ-ONLY .*every 2s/)
    await terminal.waitFor('OBJECT')
    await terminal.waitFor(/^· 127\.0\.0\.1:\d+: \d+ of 97 connections are taken/m)
    terminal.write('1')
    await terminal.waitFor('admin@')
    terminal.write('/admin\r')
    await terminal.waitFor('filter: admin')
    terminal.write('K')
    await terminal.waitFor(/^Terminate: .*read-only/m)
    terminal.write('\x1b[20~')
    await terminal.waitFor(/can't: .*read-only/)
    terminal.write('\x1b')
    expect((await alpha()).screen().slice(0, 4).join('\n')).toMatch(
      /^pgvigil {2}alpha {2}.*every 500ms[\s\S]*\neins [\s\S]*\nzwei [\s\S]*\ndrei +pgbouncer +LIVE/,
    )
  })

  it('flags go before it, but none takes read_only back', async () => {
    const terminal = monitor(['-c', 'beta', '-i', '1s', '--panel', 'activity', '-U', 'postgres'])
    await terminal.waitFor(/^pgvigil {2}beta {2}READ-ONLY .*every 1s/)
    await terminal.waitFor('admin@')
  })

  it('theme = "mono" gives no colour, light another one', async () => {
    const mono = other(
      'mono.toml',
      '[clusters.one]\ntheme = "mono"\nservers = ["host=127.0.0.1 port={port} user=postgres", "host=127.0.0.1 port={dead}"]',
    )
    const light = other('light.toml', readFileSync(mono, 'utf8').replace('mono', 'light'))
    const seen = await Promise.all(
      [mono, light].map(async file => {
        const terminal = monitor(['--config', file])
        await terminal.waitFor(/ LIVE [\s\S]* DOWN /)
        terminal.write('K')
        await terminal.waitFor(/LIVE .* tps/)
        terminal.write('q')
        await terminal.exit
        return colours(terminal.bytes())
      }),
    )
    expect(seen[0]).toEqual([])
    expect(seen[1]).toContain(34)
    expect(seen[1]).not.toContain(36)
  })

  it('hostile names of clusters and servers are harmless in the chooser, the title and the list', async () => {
    const name = '\\u001b]0;PWNED\\u0007\\u001b[45mx\\u202e'
    const file = other(
      'hostile.toml',
      `[clusters."${name}"]\nservers = [{ name = "${name}", conninfo = "host=127.0.0.1 port={port} user=postgres" }]\n[clusters.b]\nservers = ["host=b"]`,
    )
    const terminal = monitor(['--config', file])
    await terminal.waitFor(/^ {2}␛\]0;PWNED/m)
    terminal.write('\r')
    await terminal.waitFor(/^pgvigil {2}␛\]0;PWNED/)
    await terminal.waitFor(/^␛\]0;PWNED\S* +primary +LIVE/m)
    expect(terminal.title()).toBe('')
    expect(terminal.bytes().toString()).not.toMatch(/\x1b\]|\x1b\[45m|\u202e/)
  })
})

describe('c', () => {
  it('watches another cluster in place of this one, and this one again; nothing of the other is left', async () => {
    const terminal = await alpha()
    await choose(terminal, 'beta')
    await titled(terminal, 'beta')
    await terminal.waitFor(new RegExp(`^127\\.0\\.0\\.1:${server.port} +primary +LIVE .* tps`, 'm'))
    expect(terminal.screen().join('\n')).not.toMatch(/eins|zwei|drei/)
    await expect.poll(() => ours('postgres')).toBe(0)
    await expect.poll(() => console_.connections()).toBe(0)
    expect(await ours('app')).toBe(1)
    terminal.write('c')
    await terminal.waitFor(/beta +watched now/)
    terminal.write('\x1b')
    await choose(terminal, 'alpha')
    await live(terminal, 'eins')
    await expect.poll(() => ours('app')).toBe(0)
    expect(await ours('postgres')).toBe(1)
    expect(terminal.screen()[0]).not.toContain('READ-ONLY')
    terminal.write('q')
    expect(await terminal.exit).toEqual({ code: 0, signal: 0 })
    await expect.poll(() => ours('postgres')).toBe(0)
  })

  it.each([
    ['down', /^gone +postgres +DOWN .*nothing listens at 127\.0\.0\.1 port/m],
    ['frozen', /^ice +postgres +(CONNECTING|DOWN)/m],
  ])('to one whose server is %s: it says so, and the way back is open', async (name, shown) => {
    const terminal = await alpha()
    await choose(terminal, name)
    await titled(terminal, name)
    await terminal.waitFor(shown)
    await choose(terminal, 'alpha')
    await titled(terminal, 'alpha')
    await live(terminal, 'eins')
  })

  it('to one that refuses for good: the reason, and what was watched is watched on', async () => {
    const terminal = await alpha()
    await choose(terminal, 'nowhere')
    await terminal.waitFor(/database "nowhere" does not exist/)
    await titled(terminal, 'alpha')
    const clock = terminal.screen()[0]
    await terminal.until(() => terminal.screen()[0] !== clock, 'the clock to go on')
    await live(terminal, 'eins')
  })

  it('to another one while one is still being opened: the last counts, or is refused in words', async () => {
    const terminal = await alpha()
    await choose(terminal, 'frozen')
    await choose(terminal, 'beta')
    const [first] = await terminal.waitFor(/^pgvigil {2}(?:beta|frozen) |another cluster is just being opened/)
    if (first.includes('being opened')) return
    const clocks = new Set<string>()
    await terminal.until(() => clocks.add(terminal.screen()[0]!.slice(-8)).size > 3, 'some seconds')
    expect(terminal.screen()[0]).toMatch(/^pgvigil {2}beta /)
    expect(await ours('app')).toBe(1)
    expect(await ours('postgres')).toBe(0)
  })

  it('without clusters says that there are none', async () => {
    const terminal = monitor(['--config', other('empty.toml', 'interval = "1s"'), server.conninfo])
    await terminal.waitFor(/LIVE/)
    terminal.write('c')
    await terminal.waitFor('the configuration file names no cluster')
  })

  describe('to one that wants a password', () => {
    const prompt = () => `Password for user keeper at 127.0.0.1 port ${server.port}: `

    it('asks for it where the screen was before, shows nothing of it, and opens the cluster; and back', async () => {
      const terminal = await alpha()
      await choose(terminal, 'vault')
      await terminal.waitFor(prompt().trim())
      expect(terminal.alternateScreen()).toBe(false)
      expect(terminal.cursorVisible()).toBe(true)
      terminal.write(`${password}\r`)
      await titled(terminal, 'vault')
      await live(terminal, 'tresor')
      expect(terminal.alternateScreen()).toBe(true)
      expect(terminal.cursorVisible()).toBe(false)
      expect(terminal.screen().join('\n')).not.toContain('Password')
      await choose(terminal, 'alpha')
      await live(terminal, 'eins')
      terminal.write('q')
      expect(await terminal.exit).toEqual({ code: 0, signal: 0 })
      expect(terminal.bytes().toString()).not.toMatch(pieces)
    })

    it.each([
      ['given up', '\x03', 'no password, no cluster'],
      ['wrong', 'Wr0ng\r', 'password authentication failed for user "keeper"'],
    ])('%s: what was watched is watched on', async (_, keys, said) => {
      const terminal = await alpha()
      await choose(terminal, 'vault')
      await terminal.waitFor(prompt().trim())
      terminal.write(keys)
      await titled(terminal, 'alpha')
      await terminal.waitFor(said)
      await live(terminal, 'eins')
      // Keys are keys again.
      terminal.write('2')
      await terminal.waitFor('OBJECT')
      expect(terminal.bytes().toString()).not.toContain('Wr0ng')
    })

    it('never with -w', async () => {
      const terminal = await alpha('-w')
      await choose(terminal, 'vault')
      await terminal.waitFor(/wants a password for keeper and none was given/)
      await titled(terminal, 'alpha')
      expect(terminal.bytes().toString()).not.toContain('Password for user')
    })

    it('SIGTERM at the prompt ends it with a sane terminal', async () => {
      const shell = start('bash', ['--norc', '-i'], { columns: 140, env: environmentOf() })
      shell.write(`PS1='status=$? > '; ${node} ${program} -c alpha\r`)
      await live(shell, 'eins')
      await choose(shell, 'vault')
      await shell.waitFor(prompt().trim())
      const [child] = readFileSync(`/proc/${shell.pid}/task/${shell.pid}/children`, 'utf8').trim().split(' ')
      process.kill(Number(child), 'SIGTERM')
      await shell.waitFor('status=143 >')
      expect(shell.alternateScreen()).toBe(false)
      expect(shell.cursorVisible()).toBe(true)
      shell.write('clear; stty -a\r')
      const modes = (await shell.waitFor(/isig.*echoke.*> $/ms)).input
      expect(modes).toMatch(/ icanon /)
      expect(modes).toMatch(/ echo /)
    })
  })

  describe('while something of ours is not finished here', () => {
    const refused = 'a pause or a queue of pgvigil is not finished here: end it first'

    /** Pauses the database of the console. */
    async function pause(terminal: Terminal): Promise<void> {
      terminal.write('5')
      await terminal.waitFor(/^ drei +app +web /m)
      terminal.write('P')
      await terminal.waitFor('PAUSE database: app?')
      terminal.write('y')
    }

    it('a pause: is refused; after RESUME it is not', async () => {
      const terminal = await alpha()
      await pause(terminal)
      await terminal.waitFor(/PAUSE of app on drei/)
      await choose(terminal, 'beta')
      await terminal.waitFor(refused)
      await titled(terminal, 'alpha')
      terminal.write('R')
      await terminal.waitFor('RESUME database: app?')
      terminal.write('y')
      await terminal.waitFor('RESUME database app on drei: traffic flows again')
      await choose(terminal, 'beta')
      await titled(terminal, 'beta')
    })

    it('a queue: is refused', async () => {
      const terminal = await alpha()
      terminal.write('4')
      await terminal.waitFor(/_hyper_\d+_1_chunk/)
      terminal.write('z')
      await terminal.waitFor(/^.*Compress.*\?/m)
      terminal.write('y')
      await terminal.waitFor(/Compress chunk _hyper\S+ on zwei: under way/)
      await choose(terminal, 'beta')
      await terminal.waitFor(refused)
      await titled(terminal, 'alpha')
    })

    it('a deed whose outcome is not known yet: its end is in the trail', async () => {
      const victim = await connect({ port: server.port, application_name: 'victim' })
      const { pid } = (await victim.query('select pg_backend_pid() as pid')).rows[0]
      process.kill(pid, 'SIGSTOP')
      onTestFinished(async () => {
        process.kill(pid, 'SIGCONT')
        await victim.end().catch(() => {})
      })
      const terminal = await alpha()
      await terminal.waitFor('victim@')
      terminal.write('/victim\r')
      await terminal.waitFor('filter: victim')
      terminal.write('K')
      await terminal.waitFor(`Terminate session: pid ${pid}?`)
      terminal.write('y')
      await terminal.waitFor(/Terminate session pid \d+ on eins: under way/)
      await choose(terminal, 'beta')
      await terminal.waitFor(/^pgvigil {2}beta|not finished here/)
      process.kill(terminal.pid, 'SIGTERM')
      expect(await terminal.exit).toEqual({ code: 143, signal: 0 })
      const trail = readFileSync(join(home, 'state', 'pgvigil', 'audit.jsonl'), 'utf8')
        .trimEnd()
        .split('\n')
      const lines = trail.map(line => JSON.parse(line)).filter(({ target }) => target.pid === pid)
      expect(lines).toMatchObject([
        { phase: 'begun' },
        { phase: 'ended', outcome: expect.stringMatching(/^(signal sent|still there)$/) },
      ])
    })

    it('a pause that is confirmed while the other cluster is being opened: is not begun, or this one stays', async () => {
      const terminal = await alpha()
      terminal.write('5')
      await terminal.waitFor(/^ drei +app +web /m)
      const before = console_.heard.length
      await choose(terminal, 'frozen')
      terminal.write('P')
      await terminal.waitFor('PAUSE database: app?')
      terminal.write('y')
      await terminal.waitFor(/^pgvigil {2}frozen |not finished here: end it first/)
      if (console_.heard.slice(before).includes('PAUSE "app"')) {
        await titled(terminal, 'alpha')
        await terminal.waitFor(/PAUSE of app on drei/)
      }
    })
  })
})

describe('a file that is broken', () => {
  const broken =
    '\n[clusters.alpha]\nservres = ["host=127.0.0.1"]\n[clusters.beta]\nservers = ["host=127.0.0.1 sslmode=full password=geheim"]\n'

  it.each([
    ['the monitor', []],
    ['the monitor on a server that was named', ['host=127.0.0.1']],
    ['snapshot', ['snapshot', '--json']],
    ['doctor', ['doctor']],
  ])('%s: file, line, sentence and suggestion, status 2, nothing else', async (_, args) => {
    const file = other('broken.toml', broken)
    const terminal = start(node, [program, ...args, '--config', file], { columns: 300, env: environmentOf() })
    expect(await terminal.exit).toEqual({ code: 2, signal: 0 })
    const written = terminal.bytes().toString()
    expect(written.split('\r\n')).toEqual([
      expect.stringMatching(new RegExp(`^pgvigil: ${file}:2: names no server`)),
      `pgvigil: ${file}:3: unknown key "servres" (did you mean "servers"?)`,
      '',
    ])
  })

  it('a connection string in it that is none: with its line, without the password', async () => {
    const file = other('strings.toml', broken.replace('servres', 'servers'))
    const { code, stdout, stderr } = await once(['snapshot', '-c', 'beta', '--config', file])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toBe(
      `pgvigil: ${file}:5: cluster beta, servers[1]: sslmode is one of disable, allow, prefer, require, verify-ca, verify-full\n`,
    )
  })

  it('a pane that is none: with its line and the one that was meant', async () => {
    const file = other('pane.toml', '[clusters.alpha]\nservers = ["host=127.0.0.1"]\n\npanel = "lokcs"\n')
    const judged = await once(['config', '--check', '--config', file])
    expect(judged).toMatchObject({ code: 2, stdout: '' })
    expect(judged.stderr).toMatch(new RegExp(`^pgvigil: ${file}:4: .*lokcs.*locks`))
  })

  it.each([
    [
      '-c with a name that is none',
      ['-c', 'alpah'],
      /^pgvigil: there is no cluster "alpah" in \S+config\.toml \(did you mean alpha\?\)$/,
    ],
    [
      '-c and a connection string',
      ['-c', 'alpha', 'host=x'],
      /^pgvigil: -c names a cluster of the configuration file: leave connection strings/,
    ],
    ['--config that is not there', ['--config', '/nowhere.toml'], /^pgvigil: \/nowhere\.toml: there is no such file$/],
    ['--config that can not be read', ['--config', '/'], /^pgvigil: \/: /],
  ])('%s: one sentence, status 2', async (_, args, sentence) => {
    const terminal = monitor(args)
    expect(await terminal.exit).toEqual({ code: 2, signal: 0 })
    const [line, ...rest] = terminal.bytes().toString().split('\r\n')
    expect(line).toMatch(sentence)
    expect(rest).toEqual([''])
    const { code, stdout, stderr } = await once(['snapshot', ...args])
    expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: `${line}\n` })
  })
})

describe('pgvigil config', () => {
  it('--check: what is in a good file, also in the usual place or that of XDG_CONFIG_HOME', async () => {
    const told = 'ok; clusters: alpha (2 servers, 1 PgBouncers, TimescaleDB), beta (1 servers, 0 PgBouncers)'
    expect(await once(['config', '--check'])).toMatchObject({
      code: 0,
      stderr: '',
      stdout: expect.stringContaining(`${usual()}: ${told}`),
    })
    mkdirSync(join(folder.path, 'xdg', 'pgvigil'), { recursive: true })
    const elsewhere = other('xdg/pgvigil/config.toml', '[clusters.only]\nservers = ["service=x"]')
    const { code, stderr } = await run(['config', '--check'], environmentOf({ XDG_CONFIG_HOME: join(folder.path, 'xdg') }))
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: `pgvigil: ${elsewhere}:2: cluster only, servers[1]: the service "x" is defined in no service file\n`,
    })
  })

  it('--check: every error of a bad one, and no password', async () => {
    const file = other('bad.toml', 'theme = "blue"\n[clusters.a]\nservers = ["host=h password=geheim"]\ninterval = 0\n', 0o644)
    const { code, stdout, stderr } = await once(['config', '--check', '--config', file])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr.split('\n')).toEqual([
      `pgvigil: ${file}:1: theme is one of dark, light, mono`,
      `pgvigil: ${file}:3: holds a password, and others may read this file: chmod 600 it`,
      `pgvigil: ${file}:4: interval is a time such as "1s", "500ms" or "1m": 100ms to 5m`,
      '',
    ])
  })

  it('--example prints a file that --check takes, but for the service that it names', async () => {
    const { code, stdout } = await once(['config', '--example'])
    expect(code).toBe(0)
    const file = other('example.toml', stdout)
    writeFileSync(join(home, '.pg_service.conf'), '[staging]\nhost=127.0.0.1\n')
    expect(await once(['config', '--check', '--config', file])).toMatchObject({ code: 0, stderr: '' })
  })

  it('neither: one sentence, status 2', async () => {
    expect(await once(['config'])).toMatchObject({ code: 2, stdout: '', stderr: 'pgvigil: config needs --example or --check\n' })
  })
})
