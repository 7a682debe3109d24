// Where a connection string leads: each form is resolved and dialled by us and, where the machine has a psql, given to psql too. Both must come
// to the same server, as the same user, in the same database.

import { execFile } from 'node:child_process'
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readdirSync, readSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { delimiter, join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { buildConfig, type CliOptions } from '../../src/config/config.ts'
import { type Machine, thisMachine } from '../../src/config/machine.ts'
import { withClient } from '../../src/lab/client.ts'
import { temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres, startStandby } from '../../src/lab/postgres.ts'
import { freePort } from '../../src/lab/process.ts'
import { startPoller } from '../../src/poller.ts'
import { DialError, dial, hangUp } from '../../src/server/socket.ts'
import type { Link } from '../../src/store/state.ts'

const folder = temporaryFolder('conninfo')
const home = join(folder.path, 'home')
const secret = `p@ss:w/ord é'x\\ %"#?&=`
const oddRole = `us er@x:y/z'`
const oddDatabase = `d b=1/ü?`
const account = thisMachine().osUser ?? 'postgres'

/** Debian's psql in PATH is a script that chooses a server of its own, so the programs behind it are looked for first. */
function findPsql(): string | null {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [...versions.map(version => join(debian, version, 'bin')), ...(process.env.PATH ?? '').split(delimiter)]
  return folders.map(bin => join(bin, 'psql')).find(path => existsSync(path) && !isScript(path)) ?? null
}
function isScript(path: string): boolean {
  const file = openSync(path, 'r')
  const start = Buffer.alloc(2)
  readSync(file, start)
  closeSync(file)
  return start.toString() === '#!'
}
const psqlPath = findPsql()

const hasIpv6 = Object.values(networkInterfaces()).some(list => list?.some(({ address }) => address === '::1'))
/** A socket's path may have 107 bytes. */
const hasSockets = Buffer.byteLength(join(folder.path, 'standby', '.s.PGSQL.65535')) <= 107

let alpha: PostgresServer
let beta: PostgresServer
let standby: PostgresServer
const listeners: { server: Server; sockets: Set<Socket> }[] = []

/** What the forms call {…}: ports in small letters, socket directories in capitals, percent-encoded with a %. */
let places: Readonly<Record<string, string>>
const filled = (text: string) => text.replace(/\{([%\w]+)\}/g, (_, name: string) => places[name] ?? `{${name}?}`)

/** A port that takes connections and does with each what it is told. */
async function listener(meet: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    meet(socket)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  listeners.push({ server, sockets })
  return (server.address() as AddressInfo).port
}

/** A server that is far away: its first answer takes a while. */
const later = (ms: number, port: number) => (socket: Socket) => {
  setTimeout(() => {
    const server = connect({ host: '127.0.0.1', port }).on('error', () => socket.destroy())
    socket.pipe(server).pipe(socket)
    socket.on('close', () => server.destroy())
  }, ms)
}

beforeAll(async () => {
  const listen_addresses = hasIpv6 ? '127.0.0.1,::1' : '127.0.0.1'
  const hba = (rule: string) =>
    [`local all keeper ${rule}`, 'local all all trust', `host all keeper all ${rule}`, 'host all,replication all all trust'].join(
      '\n',
    )
  const settings = { listen_addresses, password_encryption: 'scram-sha-256' }
  ;[alpha, beta] = await Promise.all([
    startPostgres({
      version: 16,
      dir: folder.path,
      name: 'alpha',
      hba: hba('scram-sha-256'),
      settings: { ...settings, cluster_name: 'alpha' },
    }),
    // A version that doesn't report whether it is a standby: there target_session_attrs has to be asked for.
    startPostgres({
      version: 13,
      dir: folder.path,
      name: 'beta',
      hba: hba('trust'),
      settings: { ...settings, cluster_name: 'beta' },
    }),
  ])
  for (const { port } of [alpha, beta]) {
    await withClient({ port }, async client => {
      const [role, database] = [pg.escapeIdentifier(oddRole), pg.escapeIdentifier(oddDatabase)]
      const make = (statement: string) =>
        client.query(statement).catch((error: { code?: string }) => {
          // The account may be called as one of them is.
          if (error.code !== '42710' && error.code !== '42P04') throw error
        })
      for (const name of ['mon', 'reader', role, pg.escapeIdentifier(account)]) await make(`create role ${name} login`)
      for (const name of ['app', 'mon', database, pg.escapeIdentifier(account)]) await make(`create database ${name}`)
      await client.query(`create role keeper login password ${pg.escapeLiteral(secret)}`)
      await client.query('alter role reader set default_transaction_read_only = on')
    })
  }
  standby = await startStandby(alpha, { dir: folder.path, name: 'standby', slot: null, settings: { cluster_name: 'standby' } })
  await withClient({ port: alpha.port }, client =>
    vi.waitFor(async () => {
      const { rows } = await client.query('select replay_lsn = pg_current_wal_lsn() as through from pg_stat_replication')
      expect(rows).toEqual([{ through: true }])
    }, 10_000),
  )
  const directories = Object.entries({ A: alpha, B: beta, S: standby }).map(
    ([name, { socketDir }]) => [name, socketDir ?? '(none)'] as const,
  )
  places = {
    a: String(alpha.port),
    b: String(beta.port),
    s: String(standby.port),
    dead: String(await freePort()),
    mute: String(await listener(() => {})),
    shut: String(await listener(socket => socket.destroy())),
    slow: String(await listener(later(3000, alpha.port))),
    home,
    ...Object.fromEntries(
      directories.flatMap(([name, path]) => [
        [name, path],
        [`%${name}`, encodeURIComponent(path)],
      ]),
    ),
    secret: encodeURIComponent(secret),
    quoted: secret.replace(/[\\']/g, '\\$&'),
    account,
  }
  files()
})
afterAll(async () => {
  for (const { server, sockets } of listeners) {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  await standby?.stop('immediate')
  await Promise.all([alpha, beta].map(server => server?.stop('immediate')))
  await folder.remove()
})

function files(): void {
  mkdirSync(join(home, 'system'), { recursive: true })
  const write = (name: string, mode: number, ...lines: string[]) => {
    writeFileSync(join(home, name), lines.map(line => `${filled(line)}\n`).join(''))
    chmodSync(join(home, name), mode)
  }
  const escaped = secret.replace(/[\\:]/g, '\\$&')
  write(
    '.pgpass',
    0o600,
    '# ours',
    `127.0.0.1:{b}:*:keeper:wrong`,
    `127.0.0.1:{a}:*:keeper:${escaped}`,
    `{A}:{a}:postgres:keeper:${escaped}`,
    `\\:\\:1:{a}:*:keeper:${escaped}`,
  )
  write('pass', 0o600, `*:*:app:*:${escaped}`, '*:*:*:*:wrong')
  write('open', 0o644, `*:*:*:*:${escaped}`)
  write(
    '.pg_service.conf',
    0o644,
    '# ours',
    '[alpha]',
    'host=127.0.0.1',
    'port={a}',
    'user=mon',
    'dbname=app',
    '',
    '[pair]',
    'host=127.0.0.1,127.0.0.1',
    'port={a},{s}',
    'user=mon',
    'dbname=app',
    'target_session_attrs=standby',
    '[socket]',
    'host={B}',
    'port={b}',
    'user=mon',
    'dbname=app',
  )
  write(
    'system/pg_service.conf',
    0o644,
    '[beta]',
    'host=127.0.0.1',
    'port={b}',
    'user=mon',
    '[alpha]',
    'host=127.0.0.1',
    'port={b}',
    'user=postgres',
  )
  write('other.conf', 0o644, '[alpha]', 'host=127.0.0.1', 'port={b}', 'user=mon', 'dbname=app')
}

type Env = Readonly<Record<string, string>>

/** A command line as psql's; its environment has nothing but HOME and what is given. */
async function ours(words: readonly string[], env: Env): Promise<{ came: string } | { refused: string } | { failed: string }> {
  const config = buildConfig(optionsOf(words), env, machine)
  if ('error' in config) return { refused: config.error }
  const [server] = config.servers
  try {
    const { client } = await dial(server!, { deadlineMs: 8000 })
    const { rows } = await client.query(whereQuery)
    hangUp(client)
    return { came: rows[0].here }
  } catch (error) {
    if (!(error instanceof DialError)) throw error
    return { failed: error.message }
  }
}

const machine: Machine = { ...thisMachine(), home }
const whereQuery = `select concat_ws(' ', current_setting('cluster_name'), current_user, current_database(), nullif(current_setting('geqo'), 'on')) as here`

function optionsOf(words: readonly string[]): CliOptions {
  const names = { '-h': 'host', '-p': 'port', '-U': 'username', '-d': 'dbname' } as const
  const options: Record<string, string> = {}
  const conninfo: string[] = []
  for (let i = 0; i < words.length; i++) {
    const name = names[words[i] as keyof typeof names]
    if (name) options[name] = words[++i]!
    else conninfo.push(words[i]!)
  }
  return { ...options, conninfo, pgbouncer: [] }
}

/** Where psql comes to; null: it fails. */
function psqls(words: readonly string[], env: Env): Promise<string | null> {
  return new Promise(resolve => {
    execFile(
      psqlPath!,
      ['-X', '-A', '-t', '-w', '-c', whereQuery, ...words],
      { env: { HOME: home, PATH: '/usr/bin:/bin', PGSYSCONFDIR: join(home, 'none'), ...env } },
      (error, stdout) => resolve(error ? null : stdout.trimEnd()),
    )
  })
}

type Form = readonly [words: string, expected: string, env?: Env]

/** Words of a form; one with blanks is in ⟨⟩. */
const wordsOf = (text: string) => [...text.matchAll(/⟨([^⟩]*)⟩|(\S+)/g)].map(([, quoted, plain]) => filled(quoted ?? plain!))

const nameOf = (text: string, env: Env) => [...Object.entries(env).map(([name, value]) => `${name}=${value}`), text].join(' ')
const filledIn = (env: Env) => Object.fromEntries(Object.entries(env).map(([name, value]) => [name, filled(value)]))

function whyNot(text: string): string | null {
  if (!hasIpv6 && text.includes('::1')) return 'this machine has no ::1'
  if (!hasSockets && /\{%?[ABS]\}/.test(text)) return 'the path of the temporary folder is too long for a socket'
  return null
}

const forms: readonly Form[] = [
  // Flags, a database's name, the environment.
  ['-h 127.0.0.1 -p {a} -U mon app', 'alpha mon app'],
  ['-h 127.0.0.1 -p {b} -U mon -d app', 'beta mon app'],
  ['-h 127.0.0.1 -p {a} -U mon', 'alpha mon mon'],
  ['-h 127.0.0.1 -p {a}', 'alpha {account} {account}'],
  ['-h localhost -p {b} -U mon', 'beta mon mon'],
  ['-h {A} -p {a} -U mon app', 'alpha mon app'],
  ['', 'alpha mon app', { PGHOST: '127.0.0.1', PGPORT: '{a}', PGUSER: 'mon', PGDATABASE: 'app' }],
  ['', 'beta mon mon', { PGHOST: '{B}', PGPORT: '{b}', PGUSER: 'mon' }],
  ['-p {b}', 'beta mon app', { PGHOST: '127.0.0.1', PGPORT: '{a}', PGUSER: 'mon', PGDATABASE: 'app' }],
  ['postgres', 'alpha mon postgres', { PGHOST: '127.0.0.1', PGPORT: '{a}', PGUSER: 'mon', PGDATABASE: 'app' }],
  ['-U mon', 'alpha mon mon', { PGHOSTADDR: '127.0.0.1', PGPORT: '{a}' }],
  ['-h db.example -U mon', 'alpha mon mon', { PGHOSTADDR: '127.0.0.1', PGPORT: '{a}' }],
  ['-h 127.0.0.1 -p {a} -U mon', 'alpha mon mon off', { PGOPTIONS: '-c geqo=off' }],
  ['-h 127.0.0.1 -p {a} -U mon', 'alpha mon mon', { PGCLIENTENCODING: 'LATIN1', PGAPPNAME: 'x', PGTZ: 'UTC' }],
  // The environment's database is a name, whatever it looks like.
  ['⟨host=127.0.0.1 port={a} user=mon dbname=app⟩', 'alpha mon app', { PGDATABASE: 'host=127.0.0.1 port={b}' }],

  // keyword=value
  ['⟨host=127.0.0.1 port={b} user=mon dbname=app⟩', 'beta mon app'],
  ['⟨  host = 127.0.0.1  port= {b}\tuser =mon⟩', 'beta mon mon'],
  [`⟨host='127.0.0.1' port='{a}' user='mon' dbname='app'⟩`, 'alpha mon app'],
  [`⟨host=127.0.0.1 port={a} user='us er@x:y/z\\'' dbname='d b=1/ü?'⟩`, `alpha ${oddRole} ${oddDatabase}`],
  ["⟨host=127.0.0.1 port={a} user=us\\ er@x:y/z\\' dbname=d\\ b=1/ü?⟩", `alpha ${oddRole} ${oddDatabase}`],
  ['⟨port={a} user=mon host=127.0.0.1 port={b}⟩', 'beta mon mon'],
  ['-h 127.0.0.1 -p {a} -U postgres ⟨port={b} user=mon⟩', 'beta mon mon'],
  ['-h 127.0.0.1 -p {a} -d ⟨user=mon dbname=app⟩', 'alpha mon app'],
  [`⟨host=127.0.0.1 port={a} user=mon options='-c geqo=off'⟩`, 'alpha mon mon off'],
  ['⟨host={A} port={a} user=mon⟩', 'alpha mon mon'],
  [`⟨host=127.0.0.1 port={a} user='' dbname=''⟩`, 'alpha {account} {account}', { PGUSER: 'mon', PGDATABASE: 'app' }],
  ['⟨hostaddr=127.0.0.1 port={a} user=mon⟩', 'alpha mon mon'],
  ['⟨host=db.example hostaddr=127.0.0.1 port={a} user=mon⟩', 'alpha mon mon'],
  ['⟨host=::1 port={b} user=mon⟩', 'beta mon mon'],
  ['⟨host=db.example hostaddr=::1 port={a} user=mon⟩', 'alpha mon mon'],

  // URI
  ['postgresql://mon@127.0.0.1:{a}/app', 'alpha mon app'],
  ['postgres://mon@127.0.0.1:{b}', 'beta mon mon'],
  ['-d postgres://mon@127.0.0.1:{b}/app', 'beta mon app'],
  ['postgres://mon@[::1]:{a}/app', 'alpha mon app'],
  ['postgresql://us%20er%40x%3Ay%2Fz%27@127.0.0.1:{a}/d%20b%3D1%2F%C3%BC%3F', `alpha ${oddRole} ${oddDatabase}`],
  ['postgresql://mon@{%A}:{a}/app', 'alpha mon app'],
  ['postgresql:///app?host={B}&port={b}&user=mon', 'beta mon app'],
  ['postgresql://mon@localhost:{a}/app?hostaddr=127.0.0.1&connect_timeout=5', 'alpha mon app'],
  ['postgresql://mon@127.0.0.1:{a}/app?options=-c%20geqo%3Doff', 'alpha mon app off'],
  ['postgresql://127.0.0.1?port={a}', 'alpha mon app', { PGUSER: 'mon', PGDATABASE: 'app' }],
  ['-p {b} -U mon postgresql://127.0.0.1/app', 'beta mon app'],

  // Several hosts, the first of them dead or mute.
  ['⟨host=127.0.0.1,127.0.0.1 port={dead},{b} user=mon⟩', 'beta mon mon'],
  ['-h 127.0.0.1,127.0.0.1 -p {dead},{a} -U mon', 'alpha mon mon'],
  ['⟨host={A}/nowhere,{B} port={b} user=mon⟩', 'beta mon mon'],
  ['postgres://mon@127.0.0.1:{dead},127.0.0.1:{b},127.0.0.1:{a}/app', 'beta mon app'],
  ['postgres://mon@127.0.0.1:{a},127.0.0.1:{b}/app', 'alpha mon app'],
  ['⟨hostaddr=127.0.0.1,127.0.0.1 port={dead},{a} user=mon⟩', 'alpha mon mon'],
  ['⟨host=127.0.0.1,127.0.0.1 port={mute},{a} user=mon connect_timeout=2⟩', 'alpha mon mon'],
  ['postgres://mon@127.0.0.1:{mute},127.0.0.1:{b}', 'beta mon mon', { PGCONNECT_TIMEOUT: '2' }],

  // The root certificate is missed where there is somebody who could show a certificate.
  ['postgres://mon@127.0.0.1:{dead},{%B}:{b}/app?sslmode=verify-full&sslrootcert={home}/none', 'beta mon app'],

  // The kind of session that is wanted.
  ['postgres://mon@127.0.0.1:{s},127.0.0.1:{a}/app', 'standby mon app'],
  ['postgres://mon@127.0.0.1:{s},127.0.0.1:{a}/app?target_session_attrs=any', 'standby mon app'],
  ['postgres://mon@127.0.0.1:{s},127.0.0.1:{a}/app?target_session_attrs=read-write', 'alpha mon app'],
  ['postgres://mon@127.0.0.1:{s},127.0.0.1:{b}/app?target_session_attrs=read-write', 'beta mon app'],
  ['postgres://mon@127.0.0.1:{s},127.0.0.1:{a}/app?target_session_attrs=primary', 'alpha mon app'],
  ['postgres://mon@127.0.0.1:{b},127.0.0.1:{a},127.0.0.1:{s}/app?target_session_attrs=standby', 'standby mon app'],
  ['postgres://mon@127.0.0.1:{a},127.0.0.1:{s}/app?target_session_attrs=read-only', 'standby mon app'],
  ['postgres://reader@127.0.0.1:{a},127.0.0.1:{s}/app?target_session_attrs=read-only', 'alpha reader app'],
  ['postgres://reader@127.0.0.1:{b},127.0.0.1:{s}/app?target_session_attrs=read-only', 'beta reader app'],
  ['postgres://mon@127.0.0.1:{a},127.0.0.1:{s}/app?target_session_attrs=prefer-standby', 'standby mon app'],
  ['postgres://mon@127.0.0.1:{dead},127.0.0.1:{b},127.0.0.1:{a}/app?target_session_attrs=prefer-standby', 'beta mon app'],
  ['⟨host=127.0.0.1,127.0.0.1 port={s},{a} user=mon dbname=app⟩', 'alpha mon app', { PGTARGETSESSIONATTRS: 'read-write' }],

  // Services.
  ['service=alpha', 'alpha mon app'],
  ['', 'alpha mon app', { PGSERVICE: 'alpha' }],
  ['⟨service=alpha dbname=postgres⟩', 'alpha mon postgres'],
  ['postgresql:///?service=alpha', 'alpha mon app'],
  ['postgresql:///postgres?service=alpha', 'alpha mon postgres'],
  ['-U postgres service=alpha', 'alpha postgres app', { PGUSER: 'x', PGPORT: '{b}', PGHOST: '{B}' }],
  ['service=pair', 'standby mon app'],
  ['service=socket', 'beta mon app'],
  ['service=alpha', 'beta mon app', { PGSERVICEFILE: '{home}/other.conf' }],
  ['service=beta', 'beta mon mon', { PGSYSCONFDIR: '{home}/system' }],
  ['service=alpha', 'alpha mon app', { PGSYSCONFDIR: '{home}/system' }],

  // Passwords.
  ['postgres://keeper:{secret}@127.0.0.1:{a}/app', 'alpha keeper app', { PGPASSFILE: '/dev/null' }],
  [`⟨host=127.0.0.1 port={a} user=keeper dbname=app password='{quoted}'⟩`, 'alpha keeper app', { PGPASSWORD: 'wrong' }],
  ['postgres://keeper@127.0.0.1:{a}/app', 'alpha keeper app', { PGPASSWORD: secret, PGPASSFILE: '{home}/none' }],
  ['postgres://keeper@127.0.0.1:{a}/app', 'alpha keeper app'],
  ['postgres://keeper@[::1]:{a}/app', 'alpha keeper app'],
  ['postgres://keeper@{%A}:{a}/postgres', 'alpha keeper postgres'],
  ['postgres://keeper@db.example:{a}/app?hostaddr=127.0.0.1', 'alpha keeper app', { PGPASSFILE: '{home}/pass' }],
  ['postgres://keeper@127.0.0.1:{a}/app?passfile={home}/pass', 'alpha keeper app', { PGPASSFILE: '{home}/open' }],
  ['postgres://keeper@127.0.0.1:{dead},127.0.0.1:{a}/app', 'alpha keeper app'],
  [`⟨host=127.0.0.1 port={a} user=keeper dbname=app password=''⟩`, 'alpha keeper app', { PGPASSWORD: 'wrong' }],

  // TLS is asked for, and there is none.
  ['⟨host=127.0.0.1 port={a} user=mon sslmode=disable⟩', 'alpha mon mon'],
  ['⟨host=127.0.0.1 port={a} user=mon sslmode=allow⟩', 'alpha mon mon'],
  ['⟨host=127.0.0.1 port={a} user=mon sslmode=prefer⟩', 'alpha mon mon'],
  ['postgres://mon@127.0.0.1:{a}/app', 'alpha mon app', { PGSSLMODE: 'prefer' }],
  ['⟨host={A} port={a} user=mon sslmode=require⟩', 'alpha mon mon'],
  ['⟨host={A} port={a} user=mon sslmode=verify-full sslrootcert={home}/none⟩', 'alpha mon mon'],
  ['⟨host=127.0.0.1 port={a} user=keeper dbname=app channel_binding=prefer gssencmode=disable⟩', 'alpha keeper app'],
]

const compared = psqlPath === null ? 'no psql on this machine: by the table alone' : 'as psql does'

describe(`leads to the same server, user and database, ${compared}`, () => {
  for (const [text, expected, env = {}] of forms) {
    test(nameOf(text, env), async ({ skip }) => {
      const why = whyNot(nameOf(text, env))
      if (why !== null) skip(why)
      const [words, around] = [wordsOf(text), filledIn(env)]
      const [we, psql] = await Promise.all([ours(words, around), psqlPath === null ? filled(expected) : psqls(words, around)])
      expect({ we, psql }).toEqual({ we: { came: filled(expected) }, psql: filled(expected) })
    })
  }
})

/** psql fails too, unless it is said that this is something that it can do and we can't. */
const refusals: readonly (readonly [words: string, sentence: string | RegExp, env?: Env, psql?: 'psql can'])[] = [
  ['⟨host=127.0.0.1,127.0.0.1 port={a},{b},{s}⟩', 'connection string: there are 3 ports but 2 hosts'],
  ['⟨host=127.0.0.1,127.0.0.1 hostaddr=127.0.0.1 port={a}⟩', 'connection string: there are 2 hosts but 1 hostaddr values'],
  ['-h 127.0.0.1 -p {a},{b} -U mon', 'there are 2 ports but 1 host'],
  ['⟨hostaddr=localhost port={a} user=mon⟩', 'connection string: hostaddr: an IP address is needed, not a name'],
  ['-h 127.0.0.1 -p 70000', '-p is a number from 1 to 65535'],
  ['-h 127.0.0.1', 'PGPORT is a number from 1 to 65535', { PGPORT: 'five' }],
  ['⟨hots=127.0.0.1 port={a}⟩', 'connection string: unknown connection keyword "hots" (did you mean "host"?)'],
  [
    '⟨host=127.0.0.1 port={a} password=two words⟩',
    /^connection string: the word at character \d+ has no "=" after it \(a value with spaces needs single quotes\)$/,
  ],
  [`⟨host=127.0.0.1 port={a} password='never closed⟩`, /^connection string: the quote opened at character \d+ is never closed$/],
  ['postgres://mon@127.0.0.1:{a}/app?hots=x', 'connection string: unknown connection keyword "hots" (did you mean "host"?)'],
  [
    'postgres://mon@127.0.0.1:{a}/%zz',
    'connection string: dbname contains a "%" without two hexadecimal digits: write %25 for the sign itself',
  ],
  ['postgres://mon@[::1:{a}/app', /^connection string: the "\[" at character \d+ is never closed$/],
  ['postgres://mon:p@ss@127.0.0.1:{a}/app', /^connection string: the host and port part is not host:port/],
  ['service=nowhere', 'connection string: the service "nowhere" is defined in no service file'],
  ['', 'the service "beta" is defined in no service file', { PGSERVICE: 'beta' }],
  [
    'service=alpha',
    'connection string: the service file /nowhere/file (PGSERVICEFILE) does not exist',
    { PGSERVICEFILE: '/nowhere/file' },
  ],
  [
    'postgres://mon@127.0.0.1:{a}/app?sslmode=full',
    'connection string: sslmode is one of disable, allow, prefer, require, verify-ca, verify-full',
  ],
  [
    '-h 127.0.0.1 -p {a} -U mon',
    'PGSSLMODE: sslmode is one of disable, allow, prefer, require, verify-ca, verify-full',
    { PGSSLMODE: 'on' },
  ],
  [
    'postgres://mon@127.0.0.1:{a}/app?target_session_attrs=master',
    'connection string: target_session_attrs is one of any, read-write, read-only, primary, standby, prefer-standby',
  ],
  [
    'postgres://mon@127.0.0.1:{a}/app?channel_binding=yes',
    'connection string: channel_binding is one of disable, prefer, require',
  ],
  ['-h 127.0.0.1 -p {a} -U mon', 'PGCONNECT_TIMEOUT: connect_timeout is a whole number', { PGCONNECT_TIMEOUT: '5s' }],
  ['postgres://mon@127.0.0.1:{a}/app?gssencmode=require', /^connection string: gssencmode other than disable is not supported/],
  ['postgres://mon@127.0.0.1:{a}/app?require_auth=none', /^connection string: require_auth is not supported/, {}, 'psql can'],
  [
    'postgres://mon@127.0.0.1:{a}/app?load_balance_hosts=random',
    /^connection string: load_balance_hosts other than disable is not supported/,
    {},
    'psql can',
  ],
  ['postgres://mon@127.0.0.1:{a}/app?requirepeer=x', /^connection string: requirepeer is not supported/, {}, 'psql can'],
  [
    'postgres://mon@127.0.0.1:{a}/app?client_encoding=LATIN1',
    /^connection string: client_encoding other than auto is not supported/,
    {},
    'psql can',
  ],
  [
    `⟨host=127.0.0.1 port={a} user=mon options='-d 5'⟩`,
    'connection string: options: only settings of the form "-c name=value" are supported in options',
    {},
    'psql can',
  ],
  [
    '⟨host=@abstract port={a} user=mon⟩',
    'connection string: host: sockets in the abstract namespace ("@...") are not supported',
    {},
    'psql can',
  ],
]

describe('is refused before connecting, by a sentence that names what is wrong', () => {
  for (const [text, sentence, env = {}, can] of refusals) {
    test(nameOf(text, env), async () => {
      const [words, around] = [wordsOf(text), filledIn(env)]
      expect(await ours(words, around)).toEqual({
        refused: typeof sentence === 'string' ? sentence : expect.stringMatching(sentence),
      })
      if (psqlPath !== null && can === undefined) expect(await psqls(words, around)).toBeNull()
    })
  }
})

const failures: readonly (readonly [words: string, sentence: RegExp, env?: Env])[] = [
  ['postgres://keeper:wrong@127.0.0.1:{a}/app', /password authentication failed for user "keeper"/],
  [
    'postgres://keeper@127.0.0.1:{a}/app',
    /127\.0\.0\.1 port \d+ wants a password for keeper and none was given/,
    { PGPASSFILE: '{home}/none' },
  ],
  [
    'postgres://keeper@127.0.0.1:{a}/app',
    /the password file .*\/open is not used: others may read it \(chmod 600 it\)/,
    { PGPASSFILE: '{home}/open' },
  ],
  [
    'postgres://keeper@127.0.0.1:{a}/app',
    /the password file .*\/system is not used: it is not a plain file/,
    { PGPASSFILE: '{home}/system' },
  ],
  // The first that answers decides, also when the next one would let us in.
  ['postgres://keeper:wrong@127.0.0.1:{a},127.0.0.1:{b}/app', /password authentication failed/],
  [
    'postgres://keeper@127.0.0.1:{a},127.0.0.1:{b}/app',
    /wants a password for keeper and none was given/,
    { PGPASSFILE: '{home}/none' },
  ],
  [
    'postgres://mon@127.0.0.1:{a},{%B}:{b}/app?sslmode=require',
    /127\.0\.0\.1 port \d+ does not offer TLS, and sslmode asks for it/,
  ],
  [
    'postgres://mon@127.0.0.1:{a},{%B}:{b}/app?sslmode=verify-full&sslrootcert={home}/none',
    /needs a root certificate, and .*\/none does not exist/,
  ],
  ['postgres://mon@127.0.0.1:{shut},127.0.0.1:{b}/app', /127\.0\.0\.1 port \d+ closed the connection without a word/],
  ['postgres://mon@127.0.0.1:{a},127.0.0.1:{b}/nowhere', /database "nowhere" does not exist/],
  [
    'postgres://mon@127.0.0.1:{a},127.0.0.1:{b}/app?target_session_attrs=standby',
    /is not a standby, and target_session_attrs=standby; .*is not a standby/,
  ],
  [
    'postgres://mon@127.0.0.1:{s}/app?target_session_attrs=read-write',
    /the session is read-only, and target_session_attrs=read-write/,
  ],
  ['postgres://mon@127.0.0.1:{s}/app?target_session_attrs=primary', /the server is a standby, and target_session_attrs=primary/],
  [
    'postgres://mon@127.0.0.1:{b}/app?target_session_attrs=read-only',
    /the session is not read-only, and target_session_attrs=read-only/,
  ],
  ['⟨host=127.0.0.1,127.0.0.1 port={dead} user=mon⟩', /nothing listens at 127\.0\.0\.1 port \d+ \(connection refused\)/],
  ['⟨host={A}/nowhere port={a} user=mon⟩', /there is no server at the socket .*\/nowhere\/\.s\.PGSQL\.\d+/],
  ['postgres://mon@127.0.0.1:{mute}?connect_timeout=2', /no answer within 2\.0 s while connecting to 127\.0\.0\.1 port \d+/],
  ['postgres://mon@127.0.0.1:{a}/app', /does not offer TLS, and sslmode asks for it/, { PGSSLMODE: 'require' }],
  ['postgres://mon@127.0.0.1:{a}/app?sslmode=verify-ca', /sslmode=verify-ca needs a root certificate/],
  ['postgres://keeper@127.0.0.1:{a}/app?channel_binding=require', /channel_binding=require, and the connection has no TLS/],
  ['postgres://mon@127.0.0.1:{a}/app?channel_binding=require', /channel_binding=require, and the server let us in without it/],
]

describe(`leads nowhere, and it says why, ${compared}`, () => {
  for (const [text, sentence, env = {}] of failures) {
    test(nameOf(text, env), async ({ skip }) => {
      const why = whyNot(nameOf(text, env))
      if (why !== null) skip(why)
      const [words, around] = [wordsOf(text), filledIn(env)]
      const [we, psql] = await Promise.all([ours(words, around), psqlPath === null ? null : psqls(words, around)])
      expect({ we, psql }).toEqual({ we: { failed: expect.stringMatching(sentence) }, psql: null })
      expect(JSON.stringify(we)).not.toMatch(/wrong|p@ss/)
    })
  }
})

test('a connect_timeout that is longer than our usual patience is waited for, by the one who watches too', async () => {
  const links: Link[] = []
  const config = buildConfig(optionsOf([filled('postgres://mon@127.0.0.1:{slow}/app?connect_timeout=10')]), {}, machine)
  if ('error' in config) throw new Error(config.error)
  const poller = startPoller({
    servers: [{ id: 'slow', target: config.servers[0]! }],
    receive: event => void (event.kind === 'link' && links.push(event.link)),
    wanted: () => [],
    rows: () => null,
    intervalMs: () => 1000,
    drawable: String,
  })
  try {
    await expect.poll(() => links.at(-1)?.word, { timeout: 9000 }).not.toBe('CONNECTING')
    expect(links.at(-1)).toMatchObject({ word: 'LIVE' })
  } finally {
    poller.stop()
  }
})
