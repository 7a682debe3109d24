// Flags and environment -> one readonly Config: which servers, how often, how to draw.

import { type Flags, parseConninfo, resolveConninfo, type Target, uniqueIds } from './conninfo.ts'
import { type Env, type Machine, thisMachine } from './machine.ts'
import { orError, Refusal } from './refusal.ts'

/** A Target with the name it is called by on the screen and in JSON: unique among all servers and bouncers. */
export type Server = Target & { readonly id: string }

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
  readonly readOnly: boolean
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
  readonly cluster?: string | undefined
  readonly interval?: string | undefined
  readonly panel?: string | undefined
  readonly ascii?: boolean | undefined
  readonly readOnly?: boolean | undefined
}

/** The whole configuration, or one sentence that says what cannot be understood or is not supported. Never holds a password in the error. */
export function buildConfig(cli: CliOptions, env: Env, machine: Machine = thisMachine()): Config | { readonly error: string } {
  return orError(() => {
    const { given, flags } = whatWasGiven(cli)
    const target = (text: string, kind: Target['kind'], what: string) => {
      const conninfo = parseConninfo(text)
      if (isError(conninfo)) throw new Refusal(`${what}: ${conninfo.error}`)
      const resolved = resolveConninfo(conninfo, flags, env, machine, kind)
      if (isError(resolved)) throw new Refusal(text === '' ? resolved.error : `${what}: ${resolved.error}`)
      return resolved
    }
    const nth = (word: string, list: readonly string[], i: number) => (list.length > 1 ? `${word} ${i + 1}` : word)
    const targets = given.map((text, i) => target(text, 'postgres', nth('connection string', given, i)))
    const timescale = cli.timescale === undefined ? null : target(cli.timescale, 'postgres', '--timescale')
    let timescaleAt = timescale ? targets.findIndex(one => sameDatabase(one, timescale)) : 0
    if (timescale && timescaleAt < 0) timescaleAt = targets.push(timescale) - 1
    const bouncers = cli.pgbouncer.map((text, i) => target(text, 'pgbouncer', nth('--pgbouncer', cli.pgbouncer, i)))

    const ids = uniqueIds([...targets, ...bouncers])
    const named = (one: Target, i: number): Server => ({ ...one, id: ids[i]! })
    const intervalMs = parseInterval(cli.interval ?? '1s')
    if (typeof intervalMs !== 'number') throw new Refusal(intervalMs.error)
    return {
      servers: targets.map(named),
      pgbouncers: bouncers.map((one, i) => named(one, targets.length + i)),
      timescaleId: targets.length > 0 ? ids[timescaleAt]! : null,
      cluster: cli.cluster || ids[0]!,
      intervalMs,
      panel: cli.panel ?? null,
      ascii: cli.ascii ?? !localeIsUtf8(env),
      readOnly: cli.readOnly ?? false,
    }
  })
}

const isError = (value: object): value is { readonly error: string } => 'error' in value

/**
 * The connection strings of the PostgreSQL servers. None given: one server from the flags and the environment, unless --pgbouncer or
 * --timescale says where to look and no -h, -p or -d does. A connection string is taken in -d too, as in psql.
 */
function whatWasGiven(cli: CliOptions): { given: readonly string[]; flags: Flags } {
  const inDbname = cli.dbname !== undefined && (cli.dbname.includes('=') || /^postgres(?:ql)?:\/\//.test(cli.dbname))
  if (inDbname && cli.conninfo.length > 0)
    throw new Refusal('-d holds a connection string besides those given without it: give it without -d too')
  const flags = { host: cli.host, port: cli.port, user: cli.username, database: inDbname ? undefined : cli.dbname }
  if (inDbname) return { given: [cli.dbname!], flags }
  const elsewhere = cli.pgbouncer.length > 0 || cli.timescale !== undefined
  if (cli.conninfo.length === 0 && (!elsewhere || cli.host || cli.port || cli.dbname)) return { given: [''], flags }
  return { given: cli.conninfo, flags }
}

function sameDatabase(a: Target, b: Target): boolean {
  const places = (target: Target) => JSON.stringify([target.hosts.map(({ host, port }) => [host, port]), target.database])
  return places(a) === places(b)
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, min: 60_000 }
const shortestMs = 100
const longestMs = 5 * 60_000

/** Milliseconds from "1s", "500ms", "0.5", "2" (seconds) or "1m": 100 ms to 5 minutes, whole milliseconds. */
export function parseInterval(text: string): number | { readonly error: string } {
  const parts = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|m|min)?\s*$/.exec(text)
  if (!parts) return { error: `the interval is a time such as 1s, 500ms, 0.5 or 1m, not "${text.slice(0, 20)}"` }
  const ms = Math.round(Number(parts[1]) * unitMs[parts[2] ?? 's']!)
  if (ms < shortestMs || ms > longestMs)
    return { error: `the interval must lie between 100ms and 5m, and "${text.slice(0, 20)}" does not` }
  return ms
}

/** As setlocale chooses: LC_ALL, else LC_CTYPE, else LANG, an empty one not counting. None at all is the C locale. */
export function localeIsUtf8(env: Env): boolean {
  return /utf-?8/i.test(env.LC_ALL || env.LC_CTYPE || env.LANG || '')
}
