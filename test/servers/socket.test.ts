import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { parseConninfo, resolveConninfo, type Target } from '../../src/config/conninfo.ts'
import { temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres, startStandby } from '../../src/lab/postgres.ts'
import { addressesIn, namesToAsk } from '../../src/server/address.ts'
import { DialError, type Dialled, type DialOptions, dial, hangUp, type Loss } from '../../src/server/socket.ts'

const folder = temporaryFolder('socket-test')
const certificate = (name: string) => join(import.meta.dirname, 'certificates', `${name}.crt`)
const secret = "p@ss:w/ord é'x\\"

let server: PostgresServer

/** Replaces pg_hba.conf and the TLS settings, and waits until the server has read them. */
async function reconfigure(tls: string | null, hba = 'host all all all trust\nhost replication all all trust') {
  writeFileSync(join(server.dataDir, 'pg_hba.conf'), `local all all trust\n${hba}\n`)
  const settings =
    tls === null
      ? 'ssl = off'
      : `ssl = on\nssl_cert_file = '${tls}.crt'\nssl_key_file = 'server.key'\nssl_ca_file = 'authority.crt'`
  await admin(
    ...settings.split('\n').map(line => `ALTER SYSTEM SET ${line}`),
    // A backend forked before the reload has the old files: compare load times.
    'SELECT pg_reload_conf(), pg_sleep(0.01)',
  )
  await vi.waitFor(async () => {
    const [row] = await admin('SELECT current_setting($$ssl_cert_file$$) AS file, current_setting($$ssl$$) AS ssl')
    expect(row).toMatchObject(tls === null ? { ssl: 'off' } : { ssl: 'on', file: `${tls}.crt` })
  })
}

async function admin(...statements: string[]): Promise<Record<string, unknown>[]> {
  const { client } = await dial(target(`host=${server.socketDir} port=${server.port} user=postgres`), { deadlineMs: 5000 })
  try {
    let rows: Record<string, unknown>[] = []
    for (const statement of statements) rows = (await client.query(statement)).rows
    return rows
  } finally {
    hangUp(client)
  }
}

function target(text: string, env: Record<string, string> = {}, kind: Target['kind'] = 'postgres'): Target {
  const parsed = parseConninfo(text)
  const machine = { osUser: 'nobody', home: folder.path, exists: () => false, readText: () => null }
  const resolved = 'error' in parsed ? parsed : resolveConninfo(parsed, {}, env, machine, kind)
  if ('error' in resolved) throw new Error(resolved.error)
  return resolved
}

const tcp = () => `host=localhost port=${server.port} dbname=postgres`

async function failure(text: string | Target, options: Partial<DialOptions> = {}): Promise<DialError> {
  const error = await dial(typeof text === 'string' ? target(text) : text, { deadlineMs: 5000, ...options }).then(
    ({ client }) => {
      hangUp(client)
      return null
    },
    (error: unknown) => error,
  )
  if (!(error instanceof DialError)) throw new Error(`no DialError but ${String(error)}`)
  expect(JSON.stringify([error.message, error.stack])).not.toContain('ss:w')
  return error
}

/** Connects, looks how the server sees the connection, and hangs up. */
async function connection(text: string | Target): Promise<{ tls: Dialled['tls']; ssl: boolean; user: string }> {
  const { client, tls } = await dial(typeof text === 'string' ? target(text) : text, { deadlineMs: 5000 })
  try {
    const { rows } = await client.query('SELECT ssl, current_user AS "user" FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
    return { tls, ...rows[0] }
  } finally {
    hangUp(client)
  }
}

beforeAll(async () => {
  server = await startPostgres({ version: 16, dir: folder.path })
  for (const name of ['good', 'wrong', 'expired', 'self', 'authority'])
    copyFileSync(certificate(name), join(server.dataDir, `${name}.crt`))
  // Written through the server, so that the key belongs to the account the server runs as.
  const key = readFileSync(join(import.meta.dirname, 'certificates', 'server.key'), 'utf8')
  await admin(
    `COPY (SELECT unnest(string_to_array(rtrim($$${key}$$, E'\\n'), E'\\n'))) TO '${join(server.dataDir, 'server.key')}'`,
  )
  chmodSync(join(server.dataDir, 'server.key'), 0o600)
  for (const name of ['client.crt', 'server.key'])
    copyFileSync(join(import.meta.dirname, 'certificates', name), join(folder.path, name))
  chmodSync(join(folder.path, 'server.key'), 0o600)
  const quoted = `E'${secret.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  await admin(
    `CREATE ROLE scram_user LOGIN PASSWORD ${quoted}`,
    `SET password_encryption = md5; CREATE ROLE md5_user LOGIN PASSWORD ${quoted}`,
    `CREATE ROLE clear_user LOGIN PASSWORD ${quoted}`,
    'CREATE ROLE tls_user LOGIN',
    'CREATE ROLE reader LOGIN; ALTER ROLE reader SET default_transaction_read_only = on',
  )
})
afterAll(async () => {
  await server?.stop('immediate')
  await folder.remove()
})

// Nothing here may write to stderr: it would tear the screen.
const warnings: unknown[] = []
const onWarning = (warning: unknown) => warnings.push(warning)
let stderr: ReturnType<typeof vi.spyOn>
beforeAll(() => {
  process.on('warning', onWarning)
  stderr = vi.spyOn(process.stderr, 'write')
})
afterAll(() => {
  process.off('warning', onWarning)
  expect(warnings).toEqual([])
  expect(stderr).not.toHaveBeenCalled()
})

const modes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const

// What psql 15 does, with p plain, t TLS, v TLS and verified, - refused; but where prefer finds a certificate its root certificate does not
// cover, psql goes on in plaintext and we stay encrypted.
describe.each<[certificate: string | null, outcomes: Record<string, string>]>([
  [null, { none: 'ppp---', authority: 'ppp---' }],
  ['good', { none: 'pptt--', authority: 'pptvvv', other: 'ppt---' }],
  ['self', { none: 'pptt--', authority: 'ppt---', self: 'pptvvv' }],
  ['wrong', { none: 'pptt--', authority: 'pptvv-', other: 'ppt---' }],
  ['expired', { none: 'pptt--', authority: 'ppt---' }],
])('sslmode against a server with certificate: %s', (name, outcomes) => {
  beforeAll(() => reconfigure(name))
  test.each(Object.entries(outcomes))('root certificate: %s', async (root, expected) => {
    let seen = ''
    for (const mode of modes) {
      const text = `${tcp()} user=postgres sslmode=${mode}${root === 'none' ? '' : ` sslrootcert=${certificate(root)}`}`
      const result = await connection(text).catch((error: unknown) => error)
      if (result instanceof DialError) {
        expect(result.permanent).toBe(true)
        expect(result.message).not.toContain('Node.js')
        seen += '-'
      } else {
        const { tls, ssl } = result as Awaited<ReturnType<typeof connection>>
        expect(ssl).toBe(tls !== 'plain')
        seen += { plain: 'p', unverified: 't', verified: 'v' }[tls]
      }
    }
    expect(seen).toBe(expected)
  })
})

describe('with TLS on offer', () => {
  beforeAll(() => reconfigure('good'))

  test('the name counts that was given, not the address that was dialled', async () => {
    const verify = `port=${server.port} user=postgres sslmode=verify-full sslrootcert=${certificate('authority')}`
    expect(await connection(`host=127.0.0.1 ${verify}`)).toMatchObject({ tls: 'verified' })
    expect(await connection(`host=localhost hostaddr=127.0.0.1 ${verify}`)).toMatchObject({ tls: 'verified' })
    expect(await failure(`host=db.example hostaddr=127.0.0.1 ${verify}`)).toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
      message: expect.stringContaining('db.example'),
    })
  })

  test('a client certificate and its key', async () => {
    await reconfigure('good', 'hostssl all all all cert')
    const key = join(folder.path, 'server.key')
    const text = `${tcp()} user=tls_user sslmode=require sslcert=${join(folder.path, 'client.crt')} sslkey=${key}`
    expect(await connection(text)).toMatchObject({ user: 'tls_user', ssl: true })
    expect(await failure(`${tcp()} user=tls_user sslmode=require`)).toMatchObject({
      code: '28000',
      permanent: true,
      fromServer: true,
    })
    chmodSync(key, 0o644)
    expect(await failure(text)).toMatchObject({ permanent: true, message: expect.stringContaining('others may read it') })
    chmodSync(key, 0o600)
  })

  test.each([
    ['hostssl', { disable: null, allow: true, prefer: true, require: true }],
    ['hostnossl', { disable: false, allow: false, prefer: false, require: null }],
  ])('allow and prefer go the other way when pg_hba.conf has %s lines only', async (kind, expected) => {
    await reconfigure('good', `${kind} all all all trust`)
    for (const [mode, ssl] of Object.entries(expected)) {
      const text = `${tcp()} user=postgres sslmode=${mode}`
      if (ssl === null) expect(await failure(text)).toMatchObject({ code: '28000', permanent: true })
      else expect(await connection(text)).toMatchObject({ ssl })
    }
  })
})

describe('passwords', () => {
  beforeAll(async () => {
    await reconfigure(
      'good',
      ['scram_user scram-sha-256', 'md5_user md5', 'clear_user password']
        .map(line => `host all ${line.replace(' ', ' all ')}`)
        .join('\n'),
    )
  })
  const quoted = `'${secret.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`

  test.each(['scram_user', 'md5_user', 'clear_user'])('of %s: given in every way', async user => {
    const uri = `postgres://${user}:${encodeURIComponent(secret)}@localhost:${server.port}/postgres`
    expect(await connection(uri)).toMatchObject({ user })
    expect(await connection(`${tcp()} user=${user} password=${quoted} sslmode=disable`)).toMatchObject({ user })
    expect(await connection(target(`${tcp()} user=${user}`, { PGPASSWORD: secret }))).toMatchObject({ user })
    const passfile = join(folder.path, 'pass')
    writeFileSync(passfile, `localhost:${server.port}:*:${user}:${secret.replace(/[\\:]/g, '\\$&')}\n`)
    chmodSync(passfile, 0o600)
    expect(await connection(target(`${tcp()} user=${user}`, { PGPASSFILE: passfile }))).toMatchObject({ user })
    chmodSync(passfile, 0o644)
    expect(await failure(target(`${tcp()} user=${user}`, { PGPASSFILE: passfile }))).toMatchObject({
      permanent: true,
      code: '28P01',
      message: expect.stringContaining(`${passfile} is not used: others may read it`),
    })
  })

  test.each(['scram_user', 'md5_user', 'clear_user'])('of %s: wrong or missing', async user => {
    expect(await failure(`${tcp()} user=${user} password=${quoted.replace('x', 'y')}`)).toMatchObject({
      permanent: true,
      code: '28P01',
      fromServer: true,
      message: expect.stringContaining('password authentication failed'),
    })
    expect(await failure(`${tcp()} user=${user}`)).toMatchObject({
      permanent: true,
      code: '28P01',
      fromServer: false,
      message: expect.stringContaining(`wants a password for ${user} and none was given`),
    })
  })

  test('channel_binding=require: only with SCRAM over TLS, and no password is sent otherwise', async () => {
    const asked = (user: string, more: string) => `${tcp()} user=${user} password=${quoted} channel_binding=require ${more}`
    expect(await connection(asked('scram_user', 'sslmode=require'))).toMatchObject({ user: 'scram_user', ssl: true })
    const without = [
      [asked('scram_user', 'sslmode=disable'), 'the connection has no TLS'],
      [asked('md5_user', 'sslmode=require'), 'the server does not offer it'],
      [asked('clear_user', 'sslmode=require'), 'the server does not offer it'],
    ] as const
    for (const [text, why] of without) {
      expect(await failure(text)).toMatchObject({
        permanent: true,
        fromServer: false,
        message: expect.stringContaining(`channel_binding=require, and ${why}`),
      })
    }
  })

  test('PGPASSWORD of our own process is not used without being in the target', async () => {
    vi.stubEnv('PGPASSWORD', secret)
    expect(await failure(`${tcp()} user=scram_user`)).toMatchObject({ message: expect.stringContaining('none was given') })
    vi.unstubAllEnvs()
  })
})

describe('without TLS', () => {
  beforeAll(() => reconfigure(null))

  test('what the caller gets', async () => {
    const { client, ...rest } = await dial(
      target(`${tcp()} user=postgres application_name=mine options='-c work_mem=5MB -c datestyle=SQL,\\\\ DMY'`),
      { deadlineMs: 5000 },
    )
    const { rows } = await client.query(
      `SELECT pg_backend_pid() AS pid, current_setting('application_name') AS app, current_setting('work_mem') AS mem, current_setting('datestyle') AS style`,
    )
    hangUp(client)
    expect(rest).toMatchObject({
      tls: 'plain',
      host: { host: 'localhost', port: server.port },
      address: '127.0.0.1',
      parameters: { server_encoding: 'UTF8', in_hot_standby: 'off', server_version: expect.stringMatching(/^16/) },
    })
    expect(rows[0]).toEqual({ pid: rest.backendPid, app: 'mine', mem: '5MB', style: 'SQL, DMY' })
  })

  test('a Unix socket, where sslmode does not count', async () => {
    const text = `host=${server.socketDir} port=${server.port} user=postgres sslmode=verify-full`
    expect(await connection(text)).toMatchObject({ tls: 'plain', ssl: false })
  })

  test.each<[string, Partial<DialError>]>([
    ['dbname=nosuch user=postgres', { code: '3D000', permanent: true, fromServer: true }],
    ['user=nosuch dbname=postgres', { code: '28000', permanent: true, fromServer: true }],
    [
      'port=1',
      { code: 'ECONNREFUSED', permanent: false, message: 'nothing listens at localhost (127.0.0.1) port 1 (connection refused)' },
    ],
    ['host=nosuch.invalid', { code: 'ENOTFOUND', permanent: true, message: 'there is no host named "nosuch.invalid"' }],
    [
      `host=${'x'.repeat(300)}`,
      { permanent: true, message: expect.stringContaining('there is no host named') as unknown as string },
    ],
    ['host=/nosuch port=1', { code: 'ENOENT', permanent: false, message: 'there is no server at the socket /nosuch/.s.PGSQL.1' }],
  ])('%s', async (text, expected) => {
    expect(await failure(`host=localhost port=${server.port} ${text}`)).toMatchObject(expected)
  })

  test('hosts are tried in order; a refusal of the server ends the search', async () => {
    const hosts = `host=localhost,localhost port=1,${server.port}`
    const { client, host } = await dial(target(`${hosts} user=postgres`), { deadlineMs: 5000 })
    hangUp(client)
    expect(host.port).toBe(server.port)
    expect(await failure(`host=localhost,localhost port=${server.port},1 user=nosuch`)).toMatchObject({
      code: '28000',
      message: expect.not.stringContaining('port 1'),
    })
    expect(await failure('host=localhost,localhost port=1,2')).toMatchObject({
      message: expect.stringMatching(/port 1 .*; .*port 2 /),
      permanent: false,
    })
  })

  test('target_session_attrs among a primary, its standby and a read-only session', async () => {
    const standby = await startStandby(server, { dir: folder.path, name: 'standby', slot: null })
    try {
      const both = `host=127.0.0.1,127.0.0.1 port=${server.port},${standby.port}`
      const chosen = async (text: string) => {
        const { client, host } = await dial(target(text), { deadlineMs: 5000 })
        hangUp(client)
        return host.port === standby.port ? 'standby' : 'primary'
      }
      const reversed = `host=127.0.0.1,127.0.0.1 port=${standby.port},${server.port}`
      expect(await chosen(`${both} user=postgres target_session_attrs=standby`)).toBe('standby')
      expect(await chosen(`${both} user=postgres target_session_attrs=prefer-standby`)).toBe('standby')
      expect(await chosen(`${both} user=postgres target_session_attrs=read-only`)).toBe('standby')
      expect(await chosen(`${reversed} user=postgres target_session_attrs=primary`)).toBe('primary')
      expect(await chosen(`${reversed} user=postgres target_session_attrs=read-write`)).toBe('primary')
      expect(await chosen(`${both} user=reader dbname=postgres target_session_attrs=read-only`)).toBe('primary')
      const primaryOnly = `host=127.0.0.1 port=${server.port} dbname=postgres`
      expect(await chosen(`${primaryOnly} user=postgres target_session_attrs=prefer-standby`)).toBe('primary')
      expect(await failure(`${primaryOnly} user=postgres target_session_attrs=standby`)).toMatchObject({
        permanent: false,
        message: expect.stringContaining('not a standby'),
      })
      expect(await failure(`${primaryOnly} user=reader target_session_attrs=read-write`)).toMatchObject({
        permanent: false,
        message: expect.stringContaining('read-only'),
      })
    } finally {
      await standby.stop('immediate')
    }
  })

  test('one deadline covers a frozen server, and each host has its share', async () => {
    process.kill(server.pid(), 'SIGSTOP')
    try {
      const begun = performance.now()
      expect(await failure(`${tcp()} user=postgres`, { deadlineMs: 400 })).toMatchObject({ code: 'ETIMEDOUT', permanent: false })
      expect(performance.now() - begun).toBeLessThan(800)
      const second = `host=localhost,localhost port=${server.port},1`
      expect(await failure(second, { deadlineMs: 400 })).toMatchObject({
        message: expect.stringMatching(/no answer within 0\.2 s.*port 1 /),
      })
    } finally {
      process.kill(server.pid(), 'SIGCONT')
    }
  })

  describe('a connection that ends', () => {
    let losses: Loss[] = []
    beforeEach(() => {
      losses = []
    })
    const open = () => dial(target(`${tcp()} user=postgres`), { deadlineMs: 5000, onError: loss => losses.push(loss) })
    const closed = ({ client }: Dialled) => new Promise(resolve => client.once('end', resolve))

    test('is told of once, with the last word of the server', async () => {
      const idle = await open()
      const ended = closed(idle)
      await admin(`SELECT pg_terminate_backend(${idle.backendPid})`)
      await ended
      expect(losses).toEqual([{ message: 'terminating connection due to administrator command', code: '57P01' }])
    })

    test('in a query too', async () => {
      const busy = await open()
      const ended = closed(busy)
      const query = busy.client.query('SELECT pg_sleep(60)').catch((error: { code: string }) => error.code)
      await vi.waitFor(async () =>
        expect(await admin(`SELECT FROM pg_stat_activity WHERE pid = ${busy.backendPid} AND state = 'active'`)).toHaveLength(1),
      )
      await admin(`SELECT pg_terminate_backend(${busy.backendPid})`)
      expect(await query).toBe('57P01')
      await ended
      expect(losses).toEqual([{ message: 'terminating connection due to administrator command', code: '57P01' }])
    })

    test('in a crash of another backend, whose reason comes as a notice only', async () => {
      const survivor = await open()
      const victim = await dial(target(`${tcp()} user=postgres`), { deadlineMs: 5000 })
      const ended = closed(survivor)
      process.kill(victim.backendPid!, 'SIGKILL')
      await ended
      expect(losses).toEqual([{ message: expect.stringContaining('crash of another server process'), code: '57P02' }])
      await vi.waitFor(async () => hangUp((await open()).client), { timeout: 20_000, interval: 100 })
    })

    test('by hangUp is not told of, and the session is gone from the server', async () => {
      const idle = await open()
      const busy = await open()
      const query = busy.client.query('SELECT 1').then(
        () => 'answered',
        () => 'rejected',
      )
      hangUp(idle.client)
      hangUp(idle.client)
      hangUp(busy.client)
      expect(await query).toBe('rejected')
      await vi.waitFor(async () =>
        expect(await admin(`SELECT FROM pg_stat_activity WHERE pid IN (${idle.backendPid}, ${busy.backendPid})`)).toEqual([]),
      )
      expect(losses).toEqual([])
    })
  })
})

test('servers before 14 do not report in_hot_standby, and are asked', async () => {
  const old = await startPostgres({ version: 13, dir: folder.path })
  try {
    const text = `host=127.0.0.1 port=${old.port} user=postgres target_session_attrs`
    for (const attrs of ['primary', 'read-write', 'any', 'prefer-standby']) {
      const { client, parameters } = await dial(target(`${text}=${attrs}`), { deadlineMs: 5000 })
      hangUp(client)
      expect(parameters).not.toHaveProperty('in_hot_standby')
    }
    for (const attrs of ['standby', 'read-only'])
      expect((await failure(`${text}=${attrs}`)).message).toContain(`target_session_attrs=${attrs}`)
  } finally {
    await old.stop('immediate')
  }
})

describe('servers that are none', () => {
  const isTlsRequest = (data: string | Uint8Array) => Buffer.from(data as Uint8Array).readInt32BE(4) === 80877103

  /** A listener that treats each connection as told; `port` of it. */
  async function listener(greet: (socket: net.Socket) => void): Promise<{ port: number; close: () => void }> {
    const sockets: net.Socket[] = []
    const listening = net.createServer(socket => {
      sockets.push(socket.on('error', () => {}))
      greet(socket)
    })
    await new Promise<void>(resolve => listening.listen(0, '127.0.0.1', resolve))
    return {
      port: (listening.address() as net.AddressInfo).port,
      close: () => {
        for (const socket of sockets) socket.destroy()
        listening.close()
      },
    }
  }

  test.each<[string, (socket: net.Socket) => void, Partial<DialError>]>([
    ['silence', () => {}, { code: 'ETIMEDOUT', permanent: false }],
    [
      'hanging up',
      socket => void socket.end(),
      { permanent: false, message: expect.stringContaining('closed the connection without a word') },
    ],
    [
      'another protocol',
      socket => void socket.write('SSH-2.0-OpenSSH_9.2\r\n'),
      { permanent: false, message: expect.stringContaining('neither yes nor no') },
    ],
    ['TLS promised, silence after', socket => void socket.once('data', () => socket.write('S')), { code: 'ETIMEDOUT' }],
    [
      'GSSAPI authentication, at which the library throws',
      socket => {
        socket.on('data', data => {
          socket.write(isTlsRequest(data) ? 'N' : Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 7]))
        })
      },
      { permanent: true, message: expect.stringContaining('GSSAPI') },
    ],
  ])('%s', async (_, greet, expected) => {
    const stub = await listener(greet)
    try {
      expect(await failure(`host=127.0.0.1 port=${stub.port} user=u`, { deadlineMs: 500 })).toMatchObject(expected)
    } finally {
      stub.close()
    }
  })

  test('a PgBouncer is sent nothing but user, database, application_name and client_encoding, whatever PG* says', async () => {
    for (const [name, value] of Object.entries({
      PGOPTIONS: '-c geqo=off',
      PGREPLICATION: 'database',
      PGAPPNAME: 'x',
      PGSSLMODE: 'require',
      PGSSLNEGOTIATION: 'direct',
    }))
      vi.stubEnv(name, value)
    let startup = ''
    const stub = await listener(socket => {
      socket.on('data', data => {
        if (isTlsRequest(data)) socket.end('N')
        else {
          startup = Buffer.from(data as Uint8Array)
            .subarray(8)
            .toString()
          socket.end()
        }
      })
    })
    try {
      await failure(target(`host=127.0.0.1 port=${stub.port} user=adm`, {}, 'pgbouncer'), { deadlineMs: 500 })
      const words = startup.split('\0')
      expect(words.filter((_, i) => i % 2 === 0 && words[i])).toEqual(['user', 'database', 'application_name', 'client_encoding'])
      expect(words.filter((_, i) => i % 2 === 1 && words[i])).toEqual(['adm', 'pgbouncer', 'pgvigil', 'UTF8'])
    } finally {
      stub.close()
      vi.unstubAllEnvs()
    }
  })
})

test.each([
  ['127.0.0.1 localhost\n::1 localhost ip6-localhost\n', 'localhost', ['::1', '127.0.0.1']],
  ['10.0.0.1\tDB1.example db1 # db2\n', 'db1', ['10.0.0.1']],
  ['10.0.0.1 DB1.example\n', 'db1.EXAMPLE', ['10.0.0.1']],
  ['10.0.0.1 db1 # db2\n#10.0.0.2 db2\n', 'db2', []],
  ['', 'localhost', ['::1', '127.0.0.1']],
  ['not-an-address db1\n', 'db1', []],
])('hosts file %j, name %s', (text, name, addresses) => {
  expect(addressesIn(text, name)).toEqual(addresses)
})

test.each([
  ['', 'db1', ['db1']],
  ['nameserver 10.0.0.1\n', 'db1.example', ['db1.example']],
  ['domain example\n', 'db1', ['db1.example', 'db1']],
  ['search a.example b.example\n', 'db1', ['db1.a.example', 'db1.b.example', 'db1']],
  ['search a.example\n', 'db1.b', ['db1.b', 'db1.b.a.example']],
  ['search a.example\noptions timeout:1 ndots:5\n', 'db1.b', ['db1.b.a.example', 'db1.b']],
  ['search a.example\n', 'db1.', ['db1.']],
])('resolv.conf %j, name %s', (text, name, names) => {
  expect(namesToAsk(text, name)).toEqual(names)
})
