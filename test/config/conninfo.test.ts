import { describe, expect, test } from 'vitest'
import { type Flags, parseConninfo, resolveConninfo, serverId, type Target, uniqueIds } from '../../src/config/conninfo.ts'
import type { Machine } from '../../src/config/machine.ts'

const files: Record<string, string> = {
  '/home/me/.pg_service.conf':
    '# mine\n[app]\nhost=svc\nport=6000\nuser=svcuser\nport=7000\ndbname=svcdb\n\n[odd]\nhost = x\n[twice]\nservice=app\n[typo]\nhots=x\n',
  '/etc/postgresql-common/pg_service.conf': '[global]\nhost=global\n',
  '/srv/pg_service.conf': '[sys]\nhost=sys\n[app]\nhost=never\n',
}

const machine: Machine = {
  osUser: 'me',
  home: '/home/me',
  exists: path => path === '/tmp/.s.PGSQL.5433',
  readText: path => files[path] ?? null,
}

type Circumstances = { flags?: Flags; env?: Record<string, string>; kind?: Target['kind']; on?: Partial<Machine> }

function attempt(text: string, { flags = {}, env = {}, kind = 'postgres', on = {} }: Circumstances = {}) {
  const parsed = parseConninfo(text)
  return 'error' in parsed ? parsed : resolveConninfo(parsed, flags, env, { ...machine, ...on }, kind)
}

function resolve(text: string, circumstances?: Circumstances): Target {
  const target = attempt(text, circumstances)
  if ('error' in target) throw new Error(target.error)
  return target
}

const place = (target: Target) =>
  target.hosts.map(({ host, hostaddr, port }) => `${host}${hostaddr ? `=${hostaddr}` : ''}:${port}`).join(' ')

test('with nothing given, the defaults of libpq', () => {
  expect(resolve('')).toEqual({
    kind: 'postgres',
    hosts: [{ host: '/var/run/postgresql', hostaddr: null, port: 5432 }],
    user: 'me',
    password: null,
    passfile: '/home/me/.pgpass',
    database: 'me',
    applicationName: 'pgvigil',
    sslmode: 'prefer',
    sslnegotiation: 'postgres',
    channelBinding: 'prefer',
    sslrootcert: '/home/me/.postgresql/root.crt',
    sslcert: '/home/me/.postgresql/postgresql.crt',
    sslkey: '/home/me/.postgresql/postgresql.key',
    sslcrl: '/home/me/.postgresql/root.crl',
    connectTimeoutMs: null,
    keepaliveIdleMs: 10_000,
    targetSessionAttrs: 'any',
    options: {},
  })
})

describe('precedence', () => {
  const env = { PGHOST: 'env', PGPORT: '1', PGUSER: 'envuser', PGDATABASE: 'envdb', PGSERVICE: 'app' }
  const flags = { host: 'flag', port: '2', user: 'flaguser', database: 'flagdb' }
  test.each<[string, string, Circumstances, string]>([
    ['conninfo over flags', 'host=given port=3 user=givenuser dbname=givendb', { env, flags }, 'given:3 givenuser givendb'],
    ['flags over service and environment', '', { env, flags }, 'flag:2 flaguser flagdb'],
    ['service over environment', '', { env }, 'svc:6000 svcuser svcdb'],
    ['environment over defaults', '', { env: { ...env, PGSERVICE: '' } }, 'env:1 envuser envdb'],
    ['a service named in the conninfo', 'service=app user=u', { env: { PGUSER: 'envuser' } }, 'svc:6000 u svcdb'],
    ['each field on its own', 'port=9', { env: { PGHOST: 'env' }, flags: { user: 'flaguser' } }, 'env:9 flaguser flaguser'],
    ['an empty flag counts as absent', '', { env: { PGHOST: 'env' }, flags: { host: '' } }, 'env:5432 me me'],
    [
      'an empty value in the conninfo hides the environment',
      "host='' user='' dbname=''",
      { env: { PGHOST: 'env', PGUSER: 'x', PGDATABASE: 'y' } },
      '/var/run/postgresql:5432 me me',
    ],
    ['the database is the user', 'user=app', {}, '/var/run/postgresql:5432 app app'],
  ])('%s', (_, text, circumstances, expected) => {
    const target = resolve(text, circumstances)
    expect(`${place(target)} ${target.user} ${target.database}`).toBe(expected)
  })
})

describe('hosts', () => {
  test.each<[string, string]>([
    ['host=a,b port=1,2', 'a:1 b:2'],
    ['host=a,b port=1', 'a:1 b:1'],
    ['host=a,b port=,2', 'a:5432 b:2'],
    ['host=a, port=1', 'a:1 /var/run/postgresql:1'],
    ['port=5433', '/tmp:5433'],
    ['host=/srv/sock port=5433', '/srv/sock:5433'],
    ['host=a hostaddr=10.0.0.1', 'a=10.0.0.1:5432'],
    ['hostaddr=10.0.0.1,10.0.0.2 port=1', '10.0.0.1=10.0.0.1:1 10.0.0.2=10.0.0.2:1'],
    ['postgresql://[::1]:5433,[::2]', '::1:5433 ::2:5432'],
    ['postgresql://%2Fsrv:7/d', '/srv:7'],
  ])('%s', (text, expected) => {
    expect(place(resolve(text))).toBe(expected)
  })
})

describe('values', () => {
  test.each<[string, Circumstances, Partial<Target>]>([
    ['connect_timeout=3', {}, { connectTimeoutMs: 3000 }],
    ['connect_timeout=0', { env: { PGCONNECT_TIMEOUT: '9' } }, { connectTimeoutMs: null }],
    ['', { env: { PGCONNECT_TIMEOUT: '9' } }, { connectTimeoutMs: 9000 }],
    ['keepalives=0', {}, { keepaliveIdleMs: null }],
    ['keepalives_idle=30 keepalives_interval=5 keepalives_count=3 tcp_user_timeout=1000', {}, { keepaliveIdleMs: 30_000 }],
    ['application_name=mine', { env: { PGAPPNAME: 'env' } }, { applicationName: 'mine' }],
    ['fallback_application_name=f', {}, { applicationName: 'f' }],
    ['fallback_application_name=f', { env: { PGAPPNAME: 'env' } }, { applicationName: 'env' }],
    ['passfile=/x/pass', { env: { PGPASSFILE: '/y' } }, { passfile: '/x/pass' }],
    ["password=''", { env: { PGPASSWORD: 'env' } }, { password: null }],
    ['', { env: { PGPASSWORD: 'env' } }, { password: 'env' }],
    ['sslrootcert=system', {}, { sslmode: 'verify-full', sslrootcert: 'system' }],
    [
      'sslmode=verify-ca sslrootcert=/ca.pem sslcert=/c.pem sslkey=/k.pem sslcrl=/crl',
      {},
      { sslmode: 'verify-ca', sslrootcert: '/ca.pem', sslcert: '/c.pem', sslkey: '/k.pem', sslcrl: '/crl' },
    ],
    ['sslcertmode=disable', {}, { sslcert: null, sslkey: null }],
    [
      '',
      { env: { PGSSLMODE: 'require', PGREQUIREPEER: '', PGTARGETSESSIONATTRS: 'primary' } },
      { sslmode: 'require', targetSessionAttrs: 'primary' },
    ],
    ['sslmode=require sslnegotiation=direct', {}, { sslnegotiation: 'direct' }],
    ["options='-c geqo=off -cjit=on --work-mem=4MB'", {}, { options: { geqo: 'off', jit: 'on', work_mem: '4MB' } }],
    ["options='-c search_path=a\\\\ b'", {}, { options: { search_path: 'a b' } }],
    ['client_encoding=UTF8 gssencmode=disable channel_binding=prefer krbsrvname=x', { env: { PGCLIENTENCODING: 'LATIN1' } }, {}],
    ['', { on: { home: null } }, { passfile: null, sslrootcert: null, sslcert: null }],
  ])('%s %j', (text, circumstances, expected) => {
    expect(resolve(text, circumstances)).toMatchObject(expected)
  })
})

describe('refused before connecting, in one sentence that names it', () => {
  test.each<[string, Circumstances, string]>([
    ['host=a,b port=1,2,3', {}, 'there are 3 ports but 2 hosts'],
    ['host=a,b hostaddr=10.0.0.1', {}, 'there are 2 hosts but 1 hostaddr values'],
    ['hostaddr=db1', {}, 'hostaddr: an IP address is needed, not a name'],
    ['port=0', {}, 'port is a number from 1 to 65535'],
    ['', { env: { PGPORT: 'abc' } }, 'PGPORT is a number from 1 to 65535'],
    ['', { flags: { port: '70000' } }, '-p is a number from 1 to 65535'],
    ['host=@abstract', {}, 'host: sockets in the abstract namespace ("@...") are not supported'],
    ['sslmode=full', {}, 'sslmode is one of disable, allow, prefer, require, verify-ca, verify-full'],
    ['', { env: { PGSSLMODE: '' } }, 'PGSSLMODE: sslmode is one of disable, allow, prefer, require, verify-ca, verify-full'],
    ['sslrootcert=system sslmode=require', {}, 'sslrootcert=system needs sslmode=verify-full'],
    ['sslnegotiation=direct', {}, 'sslnegotiation=direct needs sslmode=require, verify-ca or verify-full'],
    ['connect_timeout=5s', {}, 'connect_timeout is a whole number'],
    [
      'target_session_attrs=master',
      {},
      'target_session_attrs is one of any, read-write, read-only, primary, standby, prefer-standby',
    ],
    ['client_encoding=LATIN1', {}, 'client_encoding other than auto is not supported: the connection always uses UTF8'],
    [
      '',
      { env: { PGGSSENCMODE: 'require' } },
      'PGGSSENCMODE other than disable is not supported: there is no GSSAPI encryption here',
    ],
    ['channel_binding=yes', {}, 'channel_binding is one of disable, prefer, require'],
    ['', { env: { PGREQUIREPEER: 'postgres' } }, 'PGREQUIREPEER is not supported: the owner of a Unix socket cannot be checked'],
    ['replication=database', {}, 'replication other than false is not supported: a monitor opens no replication connection'],
    ['sslpassword=secret', {}, 'sslpassword is not supported: use a client key without a passphrase'],
    ["options='-d 5'", {}, 'options: only settings of the form "-c name=value" are supported in options'],
    ['service=nosuch', {}, 'the service "nosuch" is defined in no service file'],
    [
      'service=odd',
      {},
      'line 10 of the service file /home/me/.pg_service.conf does not start with a connection keyword and "=" (did you mean "host="?)',
    ],
    ['service=twice', {}, 'line 12 of the service file /home/me/.pg_service.conf names another service, which no service may'],
    ['service=app', { env: { PGSERVICEFILE: '/none' } }, 'the service file /none (PGSERVICEFILE) does not exist'],
    ['', { on: { osUser: null } }, 'this account has no name: say whom to connect as (-U or user=)'],
  ])('%s %j', (text, circumstances, sentence) => {
    expect(attempt(text, circumstances)).toEqual({ error: sentence })
  })
})

test('service files: the user first, then the system, PGSYSCONFDIR in its place', () => {
  expect(place(resolve('service=global'))).toBe('global:5432')
  expect(place(resolve('service=sys', { env: { PGSYSCONFDIR: '/srv' } }))).toBe('sys:5432')
  expect(place(resolve('service=app', { env: { PGSYSCONFDIR: '/srv' } }))).toBe('svc:6000')
  expect(place(resolve('service=app', { env: { PGSERVICEFILE: '/srv/pg_service.conf' } }))).toBe('never:5432')
})

describe('the console of a PgBouncer', () => {
  const kind = 'pgbouncer'
  test('is the database pgbouncer, and session settings of the environment do not reach it', () => {
    const env = { PGDATABASE: 'app', PGOPTIONS: '-c geqo=off', PGTARGETSESSIONATTRS: 'primary', PGUSER: 'adm' }
    expect(resolve('host=b port=6432', { kind, env, flags: { database: 'app' } })).toMatchObject({
      kind: 'pgbouncer',
      database: 'pgbouncer',
      user: 'adm',
      options: {},
      targetSessionAttrs: 'any',
    })
    expect(resolve('postgres://b:6432/pgbouncer', { kind }).database).toBe('pgbouncer')
  })
  test.each([
    ['dbname=app', /^the console of a PgBouncer is always the database "pgbouncer"/],
    ['bouncer-host', /name the machine with host=/],
    ["options='-c geqo=off'", /^options is not supported for the console/],
    ['target_session_attrs=primary', /^target_session_attrs is not supported for the console/],
  ])('%s is refused', (text, sentence) => {
    expect(attempt(text, { kind })).toEqual({ error: expect.stringMatching(sentence) })
  })
})

test('ids: host and port, then the database, then a number; an IPv6 address in brackets', () => {
  expect(serverId(resolve('host=::1 port=1'))).toBe('[::1]:1')
  expect(serverId(resolve('host=a,b'))).toBe('a:5432')
  expect(serverId(resolve(''))).toBe('/var/run/postgresql:5432')
  const targets = ['host=a', 'host=a dbname=x', 'host=a dbname=x', 'host=a dbname=x', 'host=a port=1', 'host=a'].map(text =>
    resolve(text),
  )
  expect(uniqueIds(targets)).toEqual(['a:5432', 'a:5432/x', 'a:5432/x#2', 'a:5432/x#3', 'a:1', 'a:5432/me'])
})
