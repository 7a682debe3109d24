// From what was given (connection string, flags, service, environment) to a Target: whom to call and how, as libpq would decide.

import { isIP } from 'node:net'
import { type Conninfo, type Keyword, keywords, ruleOf } from './keywords.ts'
import type { Env, Machine } from './machine.ts'
import { orError, Refusal } from './refusal.ts'
import { readService } from './service.ts'

export type { Conninfo } from './keywords.ts'
export { parseConninfo } from './parse.ts'

const sslmodes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
export type SslMode = (typeof sslmodes)[number]

const sessionAttrs = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const
export type TargetSessionAttrs = (typeof sessionAttrs)[number]

const channelBindings = ['disable', 'prefer', 'require'] as const
export type ChannelBinding = (typeof channelBindings)[number]

/** `host`: a name, an IP address, or the directory of a Unix socket. `hostaddr`: the IP to dial instead of looking the name up. */
export type HostSpec = { readonly host: string; readonly hostaddr: string | null; readonly port: number }

/** Whom to call and how. Plain data with nothing left to default; holds a password, so never print it whole. */
export type Target = {
  readonly kind: 'postgres' | 'pgbouncer'
  /** At least one; tried in order. */
  readonly hosts: readonly [HostSpec, ...HostSpec[]]
  readonly user: string
  /** Null: look it up in the passfile when the server asks. */
  readonly password: string | null
  /** Path, or null when there is no home directory. */
  readonly passfile: string | null
  readonly database: string
  readonly applicationName: string
  readonly sslmode: SslMode
  readonly sslnegotiation: 'postgres' | 'direct'
  /** Of SCRAM to the TLS connection: not at all, where it is offered, or not without it. */
  readonly channelBinding: ChannelBinding
  /** Paths that need not exist, as for libpq; 'system' for the machine's own authorities; null: none. */
  readonly sslrootcert: string | null
  readonly sslcert: string | null
  readonly sslkey: string | null
  readonly sslcrl: string | null
  /** For each host; null: only the caller's deadline counts. */
  readonly connectTimeoutMs: number | null
  /** Idle time before TCP keepalive probes; null: none are sent. */
  readonly keepaliveIdleMs: number | null
  readonly targetSessionAttrs: TargetSessionAttrs
  /** Settings sent at the start of the session. */
  readonly options: Readonly<Record<string, string>>
}

/** -h -p -U -d: fill in what the connection string leaves out. An empty one counts as absent, as for psql. */
export type Flags = {
  readonly host?: string | undefined
  readonly port?: string | undefined
  readonly user?: string | undefined
  readonly database?: string | undefined
}

type Value = { readonly text: string; readonly from: string }
type Values = Partial<Record<Keyword, Value>>

/**
 * Merges as libpq does: connection string over flags over service file over environment over defaults. A PgBouncer console is always the
 * database `pgbouncer`, and settings meant for a database session (PGOPTIONS, PGTARGETSESSIONATTRS, PGDATABASE, -d) do not reach it.
 * The error is one sentence that names the keyword, variable or flag; it holds no value that could be secret.
 */
export function resolveConninfo(
  given: Conninfo,
  flags: Flags,
  env: Env,
  machine: Machine,
  kind: Target['kind'] = 'postgres',
): Target | { readonly error: string } {
  return orError(() => {
    const values = merge(given, flags, env, machine, kind)
    const text = (keyword: Keyword) => values[keyword]?.text ?? ''
    const user = text('user') || machine.osUser
    if (!user) throw new Refusal('this account has no name: say whom to connect as (-U or user=)')
    const rootCert = text('sslrootcert')
    const inHome = (name: string) => (machine.home === null ? null : `${machine.home}/.postgresql/${name}`)
    const sslmode = oneOf(values.sslmode, 'sslmode', sslmodes, rootCert === 'system' ? 'verify-full' : 'prefer')
    if (rootCert === 'system' && sslmode !== 'verify-full') throw new Refusal('sslrootcert=system needs sslmode=verify-full')
    const sslnegotiation = oneOf(values.sslnegotiation, 'sslnegotiation', ['postgres', 'direct'], 'postgres')
    if (sslnegotiation === 'direct' && ['disable', 'allow', 'prefer'].includes(sslmode)) {
      throw new Refusal('sslnegotiation=direct needs sslmode=require, verify-ca or verify-full')
    }
    const certificate = text('sslcertmode') !== 'disable'
    const connectTimeout = integer(values.connect_timeout, 'connect_timeout') ?? 0
    const idleSeconds = integer(values.keepalives_idle, 'keepalives_idle') ?? 0
    for (const unused of ['keepalives_interval', 'keepalives_count', 'tcp_user_timeout'] as const) integer(values[unused], unused)
    return {
      kind,
      hosts: hostsOf(values, machine),
      user,
      password: text('password') || null,
      passfile: text('passfile') || (machine.home === null ? null : `${machine.home}/.pgpass`),
      database: text('dbname') || (kind === 'pgbouncer' ? 'pgbouncer' : user),
      applicationName: text('application_name') || text('fallback_application_name') || 'pgvigil',
      sslmode,
      sslnegotiation,
      channelBinding: oneOf(values.channel_binding, 'channel_binding', channelBindings, 'prefer'),
      sslrootcert: rootCert || inHome('root.crt'),
      sslcert: certificate ? text('sslcert') || inHome('postgresql.crt') : null,
      sslkey: certificate ? text('sslkey') || inHome('postgresql.key') : null,
      sslcrl: text('sslcrl') || inHome('root.crl'),
      connectTimeoutMs: connectTimeout > 0 ? connectTimeout * 1000 : null,
      keepaliveIdleMs: integer(values.keepalives, 'keepalives') === 0 ? null : idleSeconds > 0 ? idleSeconds * 1000 : 10_000,
      targetSessionAttrs: oneOf(values.target_session_attrs, 'target_session_attrs', sessionAttrs, 'any'),
      options: optionsOf(values.options),
    }
  })
}

function merge(given: Conninfo, flags: Flags, env: Env, machine: Machine, kind: Target['kind']): Values {
  const values: Values = {}
  const take = (from: (keyword: Keyword) => string, source: Conninfo) => {
    for (const [keyword, text] of Object.entries(source) as [Keyword, string][]) values[keyword] ??= { text, from: from(keyword) }
  }
  take(keyword => keyword, given)
  if (kind === 'pgbouncer') {
    if (given.dbname && given.dbname !== 'pgbouncer') {
      throw new Refusal(
        'the console of a PgBouncer is always the database "pgbouncer": leave dbname out, and name the machine with host=',
      )
    }
    if (given.options) throw new Refusal('options is not supported for the console of a PgBouncer')
    if (given.target_session_attrs && given.target_session_attrs !== 'any') {
      throw new Refusal('target_session_attrs is not supported for the console of a PgBouncer')
    }
    for (const [keyword, text] of [
      ['dbname', 'pgbouncer'],
      ['options', ''],
      ['target_session_attrs', 'any'],
    ] as const) {
      values[keyword] = { text, from: keyword }
    }
  }
  const named: Conninfo = {
    ...(flags.host && { host: flags.host }),
    ...(flags.port && { port: flags.port }),
    ...(flags.user && { user: flags.user }),
    ...(flags.database && { dbname: flags.database }),
  }
  const flagOf: Partial<Record<Keyword, string>> = { host: '-h', port: '-p', user: '-U', dbname: '-d' }
  take(keyword => flagOf[keyword] ?? keyword, named)
  const service = given.service ?? env.PGSERVICE
  if (service) take(keyword => `${keyword} (of service "${service}")`, readService(service, env, machine))
  for (const keyword of Object.keys(keywords) as Keyword[]) {
    const name = ruleOf(keyword).env
    const text = name === undefined ? undefined : env[name]
    if (name !== undefined && text !== undefined) values[keyword] ??= { text, from: name }
  }
  refuseUnsupported(values)
  return values
}

function refuseUnsupported(values: Values): void {
  for (const [keyword, value] of Object.entries(values) as [Keyword, Value][]) {
    const { only, why } = ruleOf(keyword)
    if (value.text === '' || only === undefined || only.includes(value.text)) continue
    const but = only.length > 0 ? ` other than ${only[0]}` : ''
    throw new Refusal(`${value.from}${but} is not supported${why ? `: ${why}` : ''}`)
  }
}

function hostsOf(values: Values, machine: Machine): Target['hosts'] {
  const list = (keyword: 'host' | 'hostaddr' | 'port') => (values[keyword]?.text ? values[keyword].text.split(',') : [])
  const [hosts, addresses, ports] = [list('host'), list('hostaddr'), list('port')]
  const count = addresses.length || hosts.length || 1
  if (hosts.length > 0 && hosts.length !== count)
    throw new Refusal(`there are ${hosts.length} hosts but ${count} hostaddr values`)
  if (ports.length > 1 && ports.length !== count)
    throw new Refusal(`there are ${ports.length} ports but ${count} host${count > 1 ? 's' : ''}`)
  const specs = Array.from({ length: count }, (_, i): HostSpec => {
    const portText = (ports.length > 1 ? ports[i] : ports[0])?.trim() || '5432'
    const port = /^\d{1,5}$/.test(portText) ? Number(portText) : 0
    if (port < 1 || port > 65535) throw new Refusal(`${values.port?.from ?? 'port'} is a number from 1 to 65535`)
    const hostaddr = addresses[i] || null
    if (hostaddr !== null && isIP(hostaddr) === 0)
      throw new Refusal(`${values.hostaddr?.from ?? 'hostaddr'}: an IP address is needed, not a name`)
    const host = hosts[i] || hostaddr || socketDirectory(port, machine)
    if (host.startsWith('@'))
      throw new Refusal(`${values.host?.from ?? 'host'}: sockets in the abstract namespace ("@...") are not supported`)
    return { host, hostaddr: host.startsWith('/') ? null : hostaddr, port }
  })
  return specs as [HostSpec, ...HostSpec[]]
}

/** libpq has one such directory built in, Debian's and Red Hat's or that of a build from source: take the one where a server listens. */
function socketDirectory(port: number, machine: Machine): string {
  const directories = ['/var/run/postgresql', '/tmp']
  return directories.find(directory => machine.exists(`${directory}/.s.PGSQL.${port}`)) ?? directories[0]!
}

function oneOf<T extends string>(value: Value | undefined, keyword: Keyword, allowed: readonly T[], fallback: T): T {
  if (value === undefined) return fallback
  const found = allowed.find(word => word === value.text)
  if (found === undefined) throw new Refusal(`${both(value, keyword)} is one of ${allowed.join(', ')}`)
  return found
}

const both = (value: Value, keyword: Keyword) => (value.from === keyword ? keyword : `${value.from}: ${keyword}`)

function integer(value: Value | undefined, keyword: Keyword): number | null {
  if (value === undefined || value.text === '') return null
  if (!/^\s*[+-]?\d{1,9}\s*$/.test(value.text)) throw new Refusal(`${both(value, keyword)} is a whole number`)
  return Number(value.text)
}

/** `-c name=value`, `-cname=value` and `--name=value`; a backslash keeps the next character, as the server reads it. */
function optionsOf(value: Value | undefined): Record<string, string> {
  const options: Record<string, string> = {}
  const words = (value?.text ?? '').match(/(?:\\.|[^\s\\])+/gs)?.map(word => word.replace(/\\(.)/gs, '$1')) ?? []
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!
    const setting = word === '-c' ? (words[++i] ?? '') : word.startsWith('--') || word.startsWith('-c') ? word.slice(2) : ''
    const pair = /^([A-Za-z_][\w.-]*)=(.*)$/s.exec(setting)
    if (!pair) throw new Refusal(`${value?.from}: only settings of the form "-c name=value" are supported in options`)
    options[pair[1]!.replaceAll('-', '_')] = pair[2]!
  }
  return options
}

/** `host:port` of the first host; an IPv6 address in brackets, a Unix socket as its directory. */
export function serverId(target: Target): string {
  const { host, port } = target.hosts[0]
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`
}

/**
 * An id for each, in order: its name, where it has one; else a second one at the same host and port gets `host:port/dbname`, and `#2`, `#3`...
 * if that is taken too.
 */
export function uniqueIds(targets: readonly Target[], names: readonly (string | null)[] = []): readonly string[] {
  const taken = new Set<string>(names.filter(name => name !== null))
  return targets.map((target, i) => {
    const name = names[i] ?? null
    if (name !== null) return name
    let id = serverId(target)
    if (taken.has(id)) id = `${id}/${target.database}`
    const base = id
    for (let n = 2; taken.has(id); n++) id = `${base}#${n}`
    taken.add(id)
    return id
  })
}
