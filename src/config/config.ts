// Flags and environment -> one readonly Config: which servers, how often, how to draw.

import type { Capacity } from '../model/free-space.ts'
import { defaultThresholds, type Thresholds } from '../model/thresholds.ts'
import { type Flags, parseConninfo, resolveConninfo, type Target, uniqueIds } from './conninfo.ts'
import { configPath, type FileConfig, loadConfig } from './file.ts'
import { parseInterval } from './interval.ts'
import { type Env, type Machine, thisMachine } from './machine.ts'
import { nearest } from './nearest.ts'
import { orError, Refusal } from './refusal.ts'
import type { Cluster, NamedConninfo, Theme } from './schema.ts'

export { parseInterval } from './interval.ts'

/** A Target with the name it is called by on the screen and in JSON: unique among all servers and bouncers. `capacity`: of its tablespaces, by name. */
export type Server = Target & { readonly id: string; readonly capacity: Capacity }

export type Config = {
  /** PostgreSQL servers in the order given, the one of --timescale last if it is none of them. Empty if only bouncers are watched. */
  readonly servers: readonly Server[]
  readonly pgbouncers: readonly Server[]
  /** Id of the server that has the hypertables, or would have: --timescale, else the first. Null without any PostgreSQL server. */
  readonly timescaleId: string | null
  /** The cluster's name for the title line: given, else the id of the first server. */
  readonly cluster: string
  readonly intervalMs: number
  /** Id of the pane to open with; null: the usual one. Not checked here. */
  readonly panel: string | null
  /** Draw with ASCII only. */
  readonly ascii: boolean
  /** The terminal is to be told less. */
  readonly slowLink: boolean
  readonly readOnly: boolean
  readonly theme: Theme
  readonly thresholds: Thresholds
}

/** As the command line gives them. `conninfo` and `pgbouncer` in the order given. */
export type CliOptions = {
  readonly conninfo: readonly string[]
  readonly host?: string | undefined
  readonly port?: string | undefined
  readonly username?: string | undefined
  readonly dbname?: string | undefined
  readonly pgbouncer: readonly string[]
  readonly timescale?: string | undefined
  /** A cluster of the configuration file. */
  readonly cluster?: string | undefined
  /** Path of the configuration file. */
  readonly config?: string | undefined
  /** For the title line, where it is no cluster of the file. */
  readonly title?: string | undefined
  readonly interval?: string | undefined
  readonly panel?: string | undefined
  readonly ascii?: boolean | undefined
  readonly slowLink?: boolean | undefined
  readonly readOnly?: boolean | undefined
}

/** What the configuration file gives: its defaults, and the cluster that was chosen of it (null: the command line says which servers). */
export type FromFile = { readonly file: FileConfig | null; readonly cluster: Cluster | null }

const noFile: FromFile = { file: null, cluster: null }

/** The whole configuration, or one sentence that says what cannot be understood or is not supported. Never holds a password in the error. */
export function buildConfig(
  cli: CliOptions,
  env: Env,
  machine: Machine = thisMachine(),
  { file, cluster }: FromFile = noFile,
): Config | { readonly error: string } {
  return orError(() => {
    const { given, flags } = cluster ? ofCluster(cli, cluster, file) : whatWasGiven(cli)
    const target = ({ conninfo: text, what }: GivenServer, kind: Target['kind']) => {
      const conninfo = parseConninfo(text)
      if (isError(conninfo)) throw new Refusal(`${what}: ${conninfo.error}`)
      const resolved = resolveConninfo(conninfo, flags, env, machine, kind)
      if (isError(resolved)) throw new Refusal(text === '' ? resolved.error : `${what}: ${resolved.error}`)
      return resolved
    }
    const { servers, pgbouncers, timescale } = given
    const targets = servers.map(one => target(one, 'postgres'))
    const names = servers.map(({ name }) => name)
    const capacities = servers.map(({ capacity }) => capacity)
    const hypertables = timescale ? target(timescale, 'postgres') : null
    let timescaleAt = hypertables ? targets.findIndex(one => sameDatabase(one, hypertables)) : 0
    if (hypertables && timescaleAt < 0) {
      timescaleAt = targets.push(hypertables) - 1
      names.push(timescale?.name ?? null)
      capacities.push(timescale?.capacity)
    }
    const bouncers = pgbouncers.map(one => target(one, 'pgbouncer'))

    const ids = uniqueIds([...targets, ...bouncers], [...names, ...pgbouncers.map(({ name }) => name)])
    const named = (one: Target, i: number): Server => ({
      ...one,
      id: ids[i]!,
      capacity: { ...file?.capacity, ...cluster?.capacity, ...capacities[i] },
    })
    const intervalMs =
      cli.interval === undefined ? (cluster?.intervalMs ?? file?.intervalMs ?? 1000) : parseInterval(cli.interval)
    if (typeof intervalMs !== 'number') throw new Refusal(intervalMs.error)
    return {
      servers: targets.map(named),
      pgbouncers: bouncers.map((one, i) => named(one, targets.length + i)),
      timescaleId: targets.length > 0 ? ids[timescaleAt]! : null,
      cluster: cli.title || cluster?.name || ids[0]!,
      intervalMs,
      panel: cli.panel ?? cluster?.panel ?? file?.panel ?? null,
      ascii: lookOf(cli, env, file).ascii,
      slowLink: cli.slowLink ?? false,
      // What forbids acting is never taken back by somebody else.
      readOnly: (cli.readOnly ?? false) || (cluster?.readOnly ?? false) || (file?.readOnly ?? false),
      theme: cluster?.theme ?? lookOf(cli, env, file).theme,
      thresholds: { ...defaultThresholds, ...file?.thresholds, ...cluster?.thresholds },
    }
  })
}

/** How things are drawn before a cluster has been chosen. */
export const lookOf = (cli: Pick<CliOptions, 'ascii'>, env: Env, file: FileConfig | null): Pick<Config, 'ascii' | 'theme'> => ({
  ascii: cli.ascii ?? file?.ascii ?? !localeIsUtf8(env),
  theme: file?.theme ?? 'dark',
})

/** `what` names it in an error. */
type GivenServer = NamedConninfo & { readonly what: string }
type GivenServers = {
  readonly servers: readonly GivenServer[]
  readonly pgbouncers: readonly GivenServer[]
  readonly timescale: GivenServer | null
}

function ofCluster(cli: CliOptions, cluster: Cluster, file: FileConfig | null): { given: GivenServers; flags: Flags } {
  const { name, servers, pgbouncers, timescale } = cluster
  const where = (list: string, i: number | null) =>
    `${file?.path}:${file?.line('clusters', name, list, ...(i === null ? [] : [i]))}: cluster ${name}, ${list}${i === null ? '' : `[${i + 1}]`}`
  return {
    given: {
      servers: servers.map((one, i) => ({ ...one, what: where('servers', i) })),
      pgbouncers: pgbouncers.map((one, i) => ({ ...one, what: where('pgbouncers', i) })),
      timescale: timescale ? { ...timescale, what: where('timescale', null) } : null,
    },
    flags: { host: undefined, port: undefined, user: cli.username, database: undefined },
  }
}

/** Which servers to watch: those of the command line, a cluster of the file, or one of several that somebody has to choose. */
export type Choice = FromFile & { readonly choose: readonly Cluster[] }

/** Variables with which psql would go to a server of their own. */
const namesServer = ['PGHOST', 'PGHOSTADDR', 'PGSERVICE'] as const

/**
 * The configuration file (--config, else the usual one) and what of it counts. The command line goes before the file, and so do variables
 * that name a server; without either the file's clusters are taken: the one named (-c, or `cluster =`), the only one, or one to be chosen.
 */
export function chooseCluster(cli: CliOptions, env: Env, machine: Machine = thisMachine()): Choice | { readonly error: string } {
  const file = loadConfig(cli.config, env, machine)
  if (file && 'errors' in file) return { error: file.errors.join('\n') }
  const direct =
    cli.conninfo.length > 0 ||
    cli.pgbouncer.length > 0 ||
    [cli.host, cli.port, cli.dbname, cli.timescale].some(flag => flag !== undefined)
  const clusters = file?.clusters ?? []
  if (cli.cluster !== undefined) {
    if (direct)
      return {
        error:
          '-c names a cluster of the configuration file: leave connection strings, -h, -p, -d, --pgbouncer and --timescale out',
      }
    const found = clusters.find(({ name }) => name === cli.cluster)
    if (found) return { file, cluster: found, choose: [] }
    const path = file?.path ?? configPath(env, machine)
    if (!file) return { error: `-c ${cli.cluster}: there is no configuration file${path ? ` ${path}` : ''}` }
    const near = nearest(
      cli.cluster,
      clusters.map(({ name }) => name),
    )
    const meant = near
      ? ` (did you mean ${near}?)`
      : clusters.length > 0
        ? `; there are ${clusters.map(({ name }) => name).join(', ')}`
        : ''
    return { error: `there is no cluster "${cli.cluster}" in ${path}${meant}` }
  }
  const asPsql = namesServer.some(name => env[name])
  if (direct || asPsql || clusters.length === 0) return { file, cluster: null, choose: [] }
  const named = clusters.find(({ name }) => name === file?.cluster) ?? (clusters.length === 1 ? clusters[0] : undefined)
  return named ? { file, cluster: named, choose: [] } : { file, cluster: null, choose: clusters }
}

const isError = (value: object): value is { readonly error: string } => 'error' in value

/**
 * The connection strings of the PostgreSQL servers. None given: one server from the flags and the environment, unless --pgbouncer or
 * --timescale says where to look and no -h, -p or -d does. A connection string is taken in -d too, as in psql.
 */
function whatWasGiven(cli: CliOptions): { given: GivenServers; flags: Flags } {
  const inDbname = cli.dbname !== undefined && (cli.dbname.includes('=') || /^postgres(?:ql)?:\/\//.test(cli.dbname))
  if (inDbname && cli.conninfo.length > 0)
    throw new Refusal('-d holds a connection string besides those given without it: give it without -d too')
  const flags = { host: cli.host, port: cli.port, user: cli.username, database: inDbname ? undefined : cli.dbname }
  const elsewhere = cli.pgbouncer.length > 0 || cli.timescale !== undefined
  const usual = cli.conninfo.length === 0 && (!elsewhere || cli.host || cli.port || cli.dbname)
  const texts = inDbname ? [cli.dbname!] : usual ? [''] : cli.conninfo
  const numbered = (word: string, list: readonly string[]) =>
    list.map((conninfo, i) => ({ name: null, conninfo, what: list.length > 1 ? `${word} ${i + 1}` : word }))
  const timescale = cli.timescale === undefined ? null : { name: null, conninfo: cli.timescale, what: '--timescale' }
  return {
    given: { servers: numbered('connection string', texts), pgbouncers: numbered('--pgbouncer', cli.pgbouncer), timescale },
    flags,
  }
}

function sameDatabase(a: Target, b: Target): boolean {
  const places = (target: Target) => JSON.stringify([target.hosts.map(({ host, port }) => [host, port]), target.database])
  return places(a) === places(b)
}

/** As setlocale chooses: LC_ALL, else LC_CTYPE, else LANG, an empty one not counting. None at all is the C locale. */
export function localeIsUtf8(env: Env): boolean {
  return /utf-?8/i.test(env.LC_ALL || env.LC_CTYPE || env.LANG || '')
}
