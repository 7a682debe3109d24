import { describe, expect, test } from 'vitest'
import { buildConfig, type CliOptions, type Config, localeIsUtf8, parseInterval } from '../../src/config/config.ts'

const machine = { osUser: 'me', home: '/home/me', exists: () => false, readText: () => null }
const build = (cli: Partial<CliOptions>, env: Record<string, string> = {}) =>
  buildConfig({ conninfo: [], pgbouncer: [], ...cli }, env, machine)

function good(cli: Partial<CliOptions>, env?: Record<string, string>): Config {
  const config = build(cli, env)
  if ('error' in config) throw new Error(config.error)
  return config
}

const ids = (config: Config) =>
  [...config.servers, ...config.pgbouncers].map(({ id, kind, database }) => `${kind} ${id} ${database}`)

describe('which servers', () => {
  test.each<[string, Partial<CliOptions>, string[], string | null]>([
    ['nothing given: the default server', {}, ['postgres /var/run/postgresql:5432 me'], '/var/run/postgresql:5432'],
    ['flags only', { host: 'h', port: '1', username: 'u', dbname: 'd' }, ['postgres h:1 d'], 'h:1'],
    ['several', { conninfo: ['host=a', 'host=b'], dbname: 'd' }, ['postgres a:5432 d', 'postgres b:5432 d'], 'a:5432'],
    ['a database name', { conninfo: ['app'], host: 'h' }, ['postgres h:5432 app'], 'h:5432'],
    ['a connection string in -d', { dbname: 'host=a dbname=x' }, ['postgres a:5432 x'], 'a:5432'],
    ['only bouncers', { pgbouncer: ['host=b port=6432'] }, ['pgbouncer b:6432 pgbouncer'], null],
    [
      'bouncer and a flag that names a server',
      { host: 'h', pgbouncer: ['port=6432'] },
      ['postgres h:5432 me', 'pgbouncer h:6432 pgbouncer'],
      'h:5432',
    ],
    ['bouncer and -U only', { username: 'u', pgbouncer: ['host=b'] }, ['pgbouncer b:5432 pgbouncer'], null],
    ['only --timescale', { timescale: 'host=t' }, ['postgres t:5432 me'], 't:5432'],
    [
      '--timescale elsewhere comes last',
      { conninfo: ['host=a'], timescale: 'host=t dbname=ts' },
      ['postgres a:5432 me', 'postgres t:5432 ts'],
      't:5432',
    ],
    [
      '--timescale the same',
      { conninfo: ['host=a', 'host=b dbname=x'], timescale: 'postgres://b/x' },
      ['postgres a:5432 me', 'postgres b:5432 x'],
      'b:5432',
    ],
    [
      '--timescale in another database',
      { conninfo: ['host=a'], timescale: 'host=a dbname=x' },
      ['postgres a:5432 me', 'postgres a:5432/x x'],
      'a:5432/x',
    ],
    [
      'ids unique across kinds',
      { conninfo: ['host=a'], pgbouncer: ['host=a'] },
      ['postgres a:5432 me', 'pgbouncer a:5432/pgbouncer pgbouncer'],
      'a:5432',
    ],
  ])('%s', (_, cli, expected, timescaleId) => {
    const config = good(cli)
    expect(ids(config)).toEqual(expected)
    expect(config.timescaleId).toBe(timescaleId)
  })
})

test('the rest has defaults', () => {
  expect(good({ conninfo: ['host=a'] }, { LANG: 'C.UTF-8' })).toMatchObject({
    cluster: 'a:5432',
    intervalMs: 1000,
    panel: null,
    ascii: false,
    readOnly: false,
  })
  expect(
    good({ title: 'prod', interval: '500ms', panel: 'locks', ascii: true, readOnly: true }, { LANG: 'C.UTF-8' }),
  ).toMatchObject({
    cluster: 'prod',
    intervalMs: 500,
    panel: 'locks',
    ascii: true,
    readOnly: true,
  })
  expect(good({ pgbouncer: ['host=b'] }).cluster).toBe('b:5432')
})

test.each<[Partial<CliOptions>, string]>([
  [{ conninfo: ['hots=a'] }, 'connection string: unknown connection keyword "hots" (did you mean "host"?)'],
  [{ conninfo: ['host=a', 'port=x'] }, 'connection string 2: port is a number from 1 to 65535'],
  [
    { pgbouncer: ['dbname=x'] },
    '--pgbouncer: the console of a PgBouncer is always the database "pgbouncer": leave dbname out, and name the machine with host=',
  ],
  [{ timescale: 'sslmode=x' }, '--timescale: sslmode is one of disable, allow, prefer, require, verify-ca, verify-full'],
  [{ port: 'x' }, '-p is a number from 1 to 65535'],
  [{ interval: 'soon' }, 'the interval is a time such as 1s, 500ms, 0.5 or 1m, not "soon"'],
  [{ conninfo: ['a'], dbname: 'host=b' }, '-d holds a connection string besides those given without it: give it without -d too'],
])('refuses %j', (cli, sentence) => {
  expect(build(cli)).toEqual({ error: sentence })
})

test.each<[string, number | null]>([
  ['1s', 1000],
  ['500ms', 500],
  ['0.5', 500],
  ['.25', 250],
  ['2', 2000],
  ['1m', 60_000],
  ['1.5 s', 1500],
  ['5m', 300_000],
  ['100ms', 100],
  ['99ms', null],
  ['0', null],
  ['301', null],
  ['6m', null],
  ['-1', null],
  ['', null],
  ['1h', null],
  ['1e3', null],
  ['Infinity', null],
])('interval %j', (text, ms) => {
  expect(parseInterval(text)).toEqual(ms ?? { error: expect.stringMatching(/^the interval /) })
})

test.each<[Record<string, string>, boolean]>([
  [{}, false],
  [{ LANG: 'en_GB.UTF-8' }, true],
  [{ LANG: 'C.utf8' }, true],
  [{ LANG: 'C' }, false],
  [{ LANG: 'de_DE.ISO-8859-1' }, false],
  [{ LANG: 'en_GB.UTF-8', LC_ALL: 'C' }, false],
  [{ LANG: 'en_GB.UTF-8', LC_CTYPE: 'POSIX' }, false],
  [{ LANG: 'C', LC_CTYPE: 'UTF-8' }, true],
  [{ LC_ALL: '', LC_CTYPE: '', LANG: 'C.UTF-8' }, true],
])('locale %j is UTF-8: %s', (env, utf8) => {
  expect(localeIsUtf8(env)).toBe(utf8)
})
