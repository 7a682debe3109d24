// The configuration file: what it says, every fault with its line, and which cluster of it counts.

import { describe, expect, test } from 'vitest'
import { buildConfig, type CliOptions, chooseCluster } from '../../src/config/config.ts'
import { configPath, type FileConfig, parseConfig } from '../../src/config/file.ts'
import { exampleConfig, judgeConfig } from '../../src/config/judge.ts'
import type { Machine } from '../../src/config/machine.ts'
import { defaultThresholds } from '../../src/model/thresholds.ts'

const usual = '/home/me/.config/pgvigil/config.toml'

/** A machine with these files, readable by their owner alone unless said otherwise. */
const machineWith = (files: Readonly<Record<string, string>>, mode = 0o600): Machine => ({
  osUser: 'me',
  home: '/home/me',
  exists: () => false,
  mode: () => mode,
  readText: path => files[path] ?? null,
})

const read = (text: string, mode = 0o600) => parseConfig(text, 'f.toml', mode)
function good(text: string): FileConfig {
  const file = read(text)
  if ('errors' in file) throw new Error(file.errors.join('\n'))
  return file
}
const errors = (text: string, mode?: number) => {
  const file = read(text, mode)
  return 'errors' in file ? file.errors : []
}

const two = `
cluster = "b"
interval = "2s"
[thresholds]
lag_seconds = 10
transaction_seconds = 60
[clusters.a]
servers = ["host=a1", { name = "second", conninfo = "host=a2 port=5433" }]
pgbouncers = ["host=a1 port=6432"]
timescale = "host=a1 dbname=metrics"
read_only = true
theme = "light"
[clusters.a.thresholds]
lag_seconds = 30
[clusters.b]
servers = ["host=b1"]
interval = "500ms"
`

describe('what it says', () => {
  test('clusters with their servers, names, thresholds over those of the file, read_only', () => {
    const file = good(two)
    const [a, b] = file.clusters
    const config = buildConfig({ conninfo: [], pgbouncer: [] }, {}, machineWith({}), { file, cluster: a! })
    expect(config).toMatchObject({
      servers: [{ id: 'a1:5432' }, { id: 'second', hosts: [{ host: 'a2', port: 5433 }] }, { id: 'a1:5432/metrics' }],
      pgbouncers: [{ id: 'a1:6432', kind: 'pgbouncer' }],
      timescaleId: 'a1:5432/metrics',
      cluster: 'a',
      intervalMs: 2000,
      readOnly: true,
      theme: 'light',
      thresholds: { ...defaultThresholds, lagSeconds: 30, transactionSeconds: 60 },
    })
    expect(buildConfig({ conninfo: [], pgbouncer: [] }, {}, machineWith({}), { file, cluster: b! })).toMatchObject({
      cluster: 'b',
      intervalMs: 500,
      readOnly: false,
      theme: 'dark',
      thresholds: { lagSeconds: 10 },
    })
  })

  test('what tablespaces may hold: of a server over its cluster over the file', () => {
    const file = good(`
capacity = { pg_default = "100GB", cold = "4TB" }
[clusters.a]
servers = ["host=a1", { name = "second", conninfo = "host=a2", capacity = { pg_default = "1.5GB", "Odd name" = "512 MB" } }]
[clusters.a.capacity]
cold = "2TB"
`)
    const config = buildConfig({ conninfo: [], pgbouncer: [] }, {}, machineWith({}), { file, cluster: file.clusters[0]! })
    const gigabyte = 1024 ** 3
    expect('servers' in config && config.servers.map(({ capacity }) => capacity)).toEqual([
      { pg_default: 100 * gigabyte, cold: 2048 * gigabyte },
      { pg_default: 1.5 * gigabyte, cold: 2048 * gigabyte, 'Odd name': gigabyte / 2 },
    ])
    const direct = buildConfig({ conninfo: ['host=b'], pgbouncer: [] }, {}, machineWith({}), { file, cluster: null })
    expect(direct).toMatchObject({ servers: [{ capacity: { cold: 4096 * gigabyte } }] })
  })

  test.each(['5', '"10 gb"', '"0GB"', '"-1GB"', '"1PB"', '"9999999999TB"', 'true', '["1GB"]'])(
    'a capacity of %s is refused in one sentence',
    value => {
      expect(errors(`[clusters.a]\nservers = ["host=a"]\n[clusters.a.capacity]\nfast = "1GB"\ncold = ${value}`)).toEqual([
        'f.toml:5: capacity of cold is a size such as "200GB" (kB, MB, GB, TB)',
      ])
    },
  )

  test('a capacity names tablespaces', () => {
    expect(errors('capacity = "8GB"')).toEqual([
      'f.toml:1: capacity names tablespaces, as in { pg_default = "200GB" }, and is not a string',
    ])
  })

  test('flags go before it, but nothing takes read_only back', () => {
    const file = good(two)
    const cli = { conninfo: [], pgbouncer: [], interval: '5s', username: 'me2', readOnly: false }
    expect(buildConfig(cli, {}, machineWith({}), { file, cluster: file.clusters[0]! })).toMatchObject({
      intervalMs: 5000,
      readOnly: true,
      servers: [{ user: 'me2' }, { user: 'me2' }, { user: 'me2' }],
    })
  })

  test('an empty file is none', () => {
    expect(good('')).toMatchObject({ clusters: [] })
  })

  test('the example is a good one, and names every key', () => {
    const file = good(exampleConfig)
    expect(file.clusters.map(({ name }) => name)).toEqual(['production', 'staging'])
    for (const key of [
      'interval',
      'theme',
      'ascii',
      'read_only',
      'panel',
      'cluster',
      'thresholds',
      'servers',
      'pgbouncers',
      'timescale',
    ]) {
      expect(exampleConfig).toMatch(new RegExp(`^(# )?(\\[)?(clusters\\.production\\.)?${key}\\b`, 'm'))
    }
    const seen = good(exampleConfig.replace(/^# (?=(ascii|read_only|panel|cluster) = )/gm, ''))
    expect(seen).toMatchObject({ ascii: true, readOnly: true, panel: 'locks', cluster: 'production' })
  })
})

describe('every fault has its line', () => {
  test.each<[string, readonly string[]]>([
    ['intervall = "1s"', ['f.toml:1: unknown key "intervall" (did you mean "interval"?)']],
    ['\n\nread-only = true', ['f.toml:3: unknown key "read-only" (did you mean "read_only"?)']],
    ['servers = ["host=a"]', ['f.toml:1: unknown key "servers" here: it belongs in [clusters.NAME]']],
    ['lag_seconds = 1', ['f.toml:1: unknown key "lag_seconds" here: it belongs in a thresholds table']],
    ['interval = "1h"', ['f.toml:1: interval is a time such as "1s", "500ms" or "1m": 100ms to 5m']],
    ['theme = "blue"', ['f.toml:1: theme is one of dark, light, mono']],
    ['read_only = "yes"', ['f.toml:1: read_only is true or false, not a string']],
    ['cluster = "x"\n[clusters.y]\nservers = ["host=a"]', ['f.toml:1: there is no [clusters.x]']],
    ['[clusters.a]\nread_only = true', ['f.toml:1: names no server: servers = ["host=..."]']],
    ['[clusters.a]\nservers = "host=a"', ['f.toml:2: servers is a list of connection strings in [ ], not a string']],
    ['[clusters.a]\nservers = [\n "host=a",\n 5,\n]', ['f.toml:4: is a connection string, or { name = ..., conninfo = ... }']],
    [
      '[clusters.a]\nservers = [\n "host=a",\n { nam = "x", conninfo = "host=b" },\n]',
      ['f.toml:4: unknown key "nam" (did you mean "name"?)'],
    ],
    ['[clusters.a]\nservers = [ { name = "x" } ]', ['f.toml:2: has no conninfo']],
    [
      '[clusters.a]\nservers = [{ name = "x", conninfo = "host=a" }]\npgbouncers = [{ name = "x", conninfo = "host=b" }]',
      ['f.toml:3: another server of the cluster is named "x" too'],
    ],
    [
      '[clusters.a]\nservers = ["host=a"]\n[clusters.a.thresholds]\nlag_second = 3',
      ['f.toml:4: unknown key "lag_second" (did you mean "lag_seconds"?)'],
    ],
    ['[thresholds]\nconnections_percent = 120', ['f.toml:2: connections_percent is a number from 1 to 100']],
    ['thresholds = 3', ['f.toml:1: thresholds is a table, not a number']],
    ['a = [1,\nb = 2', ['f.toml:2: this is no TOML: invalid value']],
  ])('%j', (text, expected) => {
    expect(errors(text)).toEqual(expected)
  })

  test('all of them, in the order of the lines', () => {
    const lines = errors('theme = 1\n[clusters.b]\nservers = ["host=a"]\npanell = "x"\n[clusters.c]\n').map(
      text => text.split(':')[1],
    )
    expect(lines).toEqual(['1', '4', '5'])
  })

  test('a password in a file that others may read', () => {
    const text = '[clusters.a]\nservers = ["host=a", "host=b password=geheim"]'
    expect(errors(text, 0o600)).toEqual([])
    expect(errors(text, 0o640)).toEqual(['f.toml:2: holds a password, and others may read this file: chmod 600 it'])
    expect(errors('[clusters.a]\nservers = ["postgres://me:geheim@h/x"]', 0o644)).toHaveLength(1)
    expect(errors('[clusters.a]\nservers = ["postgres://me@h/x", "host=password"]', 0o644)).toEqual([])
  })

  test('a connection string that is none is told with its line, and no value of it', () => {
    const file = '[clusters.a]\nservers = [\n  "host=a",\n  "hots=b password=geheim",\n]'
    const judged = judgeConfig(undefined, {}, machineWith({ [usual]: file }))
    expect(judged).toEqual({
      error: `${usual}:4: cluster a, servers[2]: unknown connection keyword "hots" (did you mean "host"?)`,
    })
  })
})

describe('which servers are meant', () => {
  const choose = (
    cli: Partial<CliOptions>,
    env: Record<string, string> = {},
    text: string | null = two.replace('cluster = "b"', ''),
  ) => {
    const choice = chooseCluster(
      { conninfo: [], pgbouncer: [], ...cli },
      env,
      machineWith(text === null ? {} : { [usual]: text }),
    )
    return 'error' in choice ? choice.error : (choice.cluster?.name ?? choice.choose.map(({ name }) => name))
  }

  test('the command line and variables that name a server go before the file', () => {
    expect(choose({ conninfo: ['host=x'] })).toEqual([])
    expect(choose({ host: 'x' })).toEqual([])
    expect(choose({ dbname: 'x' })).toEqual([])
    expect(choose({ pgbouncer: ['host=x'] })).toEqual([])
    for (const name of ['PGHOST', 'PGHOSTADDR', 'PGSERVICE']) expect(choose({}, { [name]: 'x' })).toEqual([])
    expect(choose({}, { PGUSER: 'x' })).toEqual(['a', 'b'])
  })

  test('else the one named, the only one, or one to be chosen', () => {
    expect(choose({ cluster: 'a' })).toBe('a')
    expect(choose({ cluster: 'a' }, { PGHOST: 'x' })).toBe('a')
    expect(choose({})).toEqual(['a', 'b'])
    expect(choose({}, {}, two)).toBe('b')
    expect(choose({}, {}, '[clusters.one]\nservers = ["host=a"]')).toBe('one')
    expect(choose({}, {}, null)).toEqual([])
  })

  test('refused in one sentence', () => {
    expect(choose({ cluster: 'aa' })).toBe(`there is no cluster "aa" in ${usual}; there are a, b`)
    expect(choose({ cluster: 'production1' }, {}, exampleConfig)).toContain('(did you mean production?)')
    expect(choose({ cluster: 'a' }, {}, null)).toBe(`-c a: there is no configuration file ${usual}`)
    expect(choose({ cluster: 'a', conninfo: ['host=x'] })).toContain('leave connection strings')
    expect(choose({ config: '/nowhere.toml' })).toBe('/nowhere.toml: there is no such file')
    expect(choose({}, {}, 'nonsense')).toContain(`${usual}:1: this is no TOML`)
    // Also where the command line names the servers: nothing is started on a broken file.
    expect(choose({ conninfo: ['host=x'] }, {}, 'themes = 1')).toContain(`${usual}:1: unknown key`)
  })
})

test('where it is looked for', () => {
  expect(configPath({}, { home: '/home/me' })).toBe(usual)
  expect(configPath({ XDG_CONFIG_HOME: '/etc/x' }, { home: '/home/me' })).toBe('/etc/x/pgvigil/config.toml')
  expect(configPath({ XDG_CONFIG_HOME: 'relative' }, { home: '/home/me' })).toBe(usual)
  expect(configPath({}, { home: null })).toBe(null)
})
