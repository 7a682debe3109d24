// Dialling a server as libpq would: hosts in order, TLS by sslmode, one deadline for all of it. What pg does with connection strings,
// environment variables and TLS modes is not what libpq does, so it is handed fields only, each of them decided here.

import { once } from 'node:events'
import { connect } from 'node:net'
import pg from 'pg'
import type { HostSpec, Target } from '../config/conninfo.ts'
import { readPassfile } from '../config/passfile.ts'
import { addressesOf } from './address.ts'
import { DialError, endsSearch, explain, otherKind, placeOf } from './dial-error.ts'
import { planTls, type TlsPlan } from './tls.ts'

export { DialError } from './dial-error.ts'

/** What the server said unasked: severity, SQLSTATE and text, raw. */
export type Notice = {
  readonly severity?: string | undefined
  readonly code?: string | undefined
  readonly message?: string | undefined
}

/** Why an open connection ended: the server's last word where it had one (57P01, 57P02), else the socket's error. */
export type Loss = { readonly message: string; readonly code: string | undefined }

export type DialOptions = {
  /** For everything together: names, TCP, TLS, authentication, session checks. Milliseconds. */
  readonly deadlineMs: number
  readonly onNotice?: (notice: Notice) => void
  /** Called at most once, when a connection that was handed out ends without hangUp. */
  readonly onError?: (loss: Loss) => void
}

export type Dialled = {
  readonly client: pg.Client
  readonly tls: 'plain' | 'unverified' | 'verified'
  readonly host: HostSpec
  /** The address that answered; null on a Unix socket. */
  readonly address: string | null
  /** What the server reports of its settings (server_version, in_hot_standby...), kept up to date while the connection lives. */
  readonly parameters: Readonly<Record<string, string>>
  /** Null if the server gave none. Of a pooled connection it is a number of PgBouncer's own making. */
  readonly backendPid: number | null
}

/** A deadline for connecting that leaves each host the connect_timeout it was given, where that is longer. Milliseconds. */
export const dialMs = ({ connectTimeoutMs, hosts }: Target, leastMs: number) =>
  Math.max(leastMs, (connectTimeoutMs ?? 0) * hosts.length)

type Way = 'plain' | 'tls'
type Place = { readonly spec: HostSpec; readonly address: string | null }
type Until = { readonly at: number; readonly totalMs: number }

/**
 * Connects. Hosts and their addresses are tried in order, each with its share of what is left of the deadline. As in libpq the next one is
 * tried when one can't be reached, is starting up (57P03) or not of the kind target_session_attrs asks for; anything else (a password is
 * wanted, no TLS, a bad certificate, the connection closed) ends the search. Throws DialError only.
 */
export async function dial(target: Target, options: DialOptions): Promise<Dialled> {
  const until: Until = { at: performance.now() + options.deadlineMs, totalMs: options.deadlineMs }
  const failures: DialError[] = []
  const passes = target.targetSessionAttrs === 'prefer-standby' ? (['standby', 'any'] as const) : [target.targetSessionAttrs]
  for (const [pass, attrs] of passes.entries()) {
    for (const [i, spec] of target.hosts.entries()) {
      const rounds = target.hosts.length * (passes.length - pass) - i
      const hostUntil = share(until, rounds, target.connectTimeoutMs)
      const result = await dialHost(target, spec, hostUntil, attrs, options)
      if (!(result instanceof DialError)) return result
      failures.push(result)
      if (endsSearch(result)) throw together(failures)
    }
  }
  throw together(failures)
}

/** Says goodbye if the socket still takes it, and closes it at once: nothing here waits for a server that may be frozen. */
export function hangUp(client: pg.Client): void {
  hungUp.add(client)
  const { stream } = client.connection
  if (stream.writable) stream.write(terminate)
  stream.destroy()
}

const hungUp = new WeakSet<pg.Client>()
const terminate = Buffer.from([0x58, 0, 0, 0, 4])

function share(until: Until, parts: number, limitMs: number | null): Until {
  const left = Math.max(0, until.at - performance.now()) / parts
  const ms = limitMs === null ? left : Math.min(left, limitMs)
  return { at: performance.now() + ms, totalMs: parts > 1 || limitMs !== null ? ms : until.totalMs }
}

/** One error of several: every reason in words, the code of a server's answer before that of a socket. */
function together(failures: readonly DialError[]): DialError {
  const telling = failures.find(endsSearch) ?? failures.findLast(failure => failure.fromServer) ?? failures[failures.length - 1]!
  if (failures.length === 1) return telling
  const words = [...new Set(failures.map(failure => failure.message))].join('; ')
  const permanent = failures.every(failure => failure.permanent)
  return new DialError(words, telling.code, permanent, telling.fromServer, telling.wants)
}

/** One host of the list, all its addresses. A failure is returned, so that the next host can be tried. */
async function dialHost(
  target: Target,
  spec: HostSpec,
  until: Until,
  attrs: Target['targetSessionAttrs'],
  options: DialOptions,
): Promise<Dialled | DialError> {
  let addresses: readonly (string | null)[] = [null]
  try {
    if (!spec.host.startsWith('/')) {
      addresses = spec.hostaddr
        ? [spec.hostaddr]
        : await beforeDeadline(addressesOf(spec.host), until, `looking up "${spec.host}"`)
    }
  } catch (error) {
    return explain(error, spec, null)
  }
  const failures: DialError[] = []
  const consoleOf = target.kind === 'pgbouncer' ? target.user : null
  for (const [i, address] of addresses.entries()) {
    const place = { spec, address }
    const addressUntil = share(until, addresses.length - i, null)
    try {
      const dialled = await dialAddress(target, place, addressUntil, options)
      const mismatch = await sessionMismatch(dialled, attrs, addressUntil)
      if (mismatch === null) return dialled
      hangUp(dialled.client)
      failures.push(new DialError(`${placeOf(spec, address)}: ${mismatch}`, otherKind, false))
    } catch (error) {
      const failure = explain(error, spec, address, consoleOf)
      failures.push(failure)
      if (endsSearch(failure)) break
    }
  }
  return together(failures)
}

/**
 * One address, by the ways sslmode allows. Plaintext follows TLS only where the server says it has no TLS or its pg_hba.conf turns encrypted
 * connections away, and only for `prefer`, which verifies nothing; never after a failed verification.
 */
async function dialAddress(target: Target, place: Place, until: Until, options: DialOptions): Promise<Dialled> {
  const { sslmode } = target
  if (place.address === null || sslmode === 'disable') return attempt(target, place, null, until, options)
  const plan = await planTls(target, place.spec).catch(async error => {
    // What is wrong with our own TLS files counts only where there is somebody to talk to.
    await reached(place, until)
    throw error
  })
  if (sslmode !== 'allow' && sslmode !== 'prefer') return attempt(target, place, plan, until, options)
  const [first, second]: [Way, Way] = sslmode === 'allow' ? ['plain', 'tls'] : ['tls', 'plain']
  const by = (way: Way) => attempt(target, place, way === 'tls' ? plan : null, until, options)
  try {
    return await by(first)
  } catch (error) {
    const { code, message } = error as { code?: string | null; message: string }
    const noTls = first === 'tls' && /does not support SSL/.test(message)
    // 28000 is pg_hba.conf's refusal; PgBouncer says 08P01 "SSL required".
    const otherWay = code === '28000' || (first === 'plain' && code === '08P01')
    if (!noTls && !otherWay) throw error
    try {
      return await by(second)
    } catch (secondError) {
      // Without TLS on offer the first refusal of `allow` is the one that explains, and the answer "no TLS" is no refusal of `prefer`.
      if (noTls) throw secondError
      const refusals = [error, secondError].filter(one => !/does not support SSL/.test((one as Error).message))
      throw together(refusals.map(one => explain(one, place.spec, place.address)))
    }
  }
}

/** Whether an address takes connections at all. Rejects with Node's error or a DialError. */
async function reached({ spec, address }: Place, until: Until): Promise<void> {
  const socket = connect({ host: address ?? spec.host, port: spec.port })
  try {
    await beforeDeadline(once(socket, 'connect'), until, `connecting to ${placeOf(spec, address)}`)
  } finally {
    socket.destroy()
  }
}

/** One connection attempt. Rejects with pg's, Node's or the server's error, or a DialError; the socket is destroyed whenever it rejects. */
async function attempt(target: Target, place: Place, plan: TlsPlan | null, until: Until, options: DialOptions): Promise<Dialled> {
  const bound = { offered: false }
  const client = newClient(target, place, plan, bound)
  const parameters: Record<string, string> = {}
  let farewell: Loss | null = null
  let handedOut = false
  const heard = (said: Notice) => {
    if (said.severity === 'FATAL' || said.severity === 'PANIC' || said.code?.startsWith('57P')) {
      farewell = { message: said.message ?? 'the server ended the connection', code: said.code }
    }
  }
  // Both before anything can happen: an 'error' event nobody listens to ends the process, and pg sends one per cause and one per socket.
  client.on('error', (error: Error & { code?: string }) => {
    if (!handedOut || hungUp.has(client)) return
    hungUp.add(client)
    client.connection.stream.destroy()
    options.onError?.(farewell ?? { message: error.message, code: error.code })
  })
  client.on('notice', notice => {
    heard(notice)
    options.onNotice?.(notice)
  })
  client.connection.on('errorMessage', heard)
  client.connection.on('authenticationSASL', ({ mechanisms }: { mechanisms: readonly string[] }) => {
    bound.offered = plan !== null && mechanisms.includes('SCRAM-SHA-256-PLUS')
  })
  client.connection.on('parameterStatus', ({ parameterName, parameterValue }) => {
    parameters[parameterName] = parameterValue
  })
  containParser(client.connection.stream)
  client.connection.on('sslconnect', () => containParser(client.connection.stream))
  try {
    await beforeDeadline(client.connect(), until, `connecting to ${placeOf(place.spec, place.address)}`)
  } catch (error) {
    hangUp(client)
    throw farewell && !isServerError(error) ? Object.assign(new Error(), farewell, { severity: 'FATAL' }) : error
  }
  if (target.channelBinding === 'require' && !bound.offered) {
    hangUp(client)
    throw unbound(place, 'the server let us in without it')
  }
  handedOut = true
  return {
    client,
    tls: plan === null ? 'plain' : plan.verified ? 'verified' : 'unverified',
    host: place.spec,
    address: place.address,
    parameters,
    backendPid: (client as unknown as { processID: number | null }).processID,
  }
}

/** channel_binding=require, and the server does otherwise: nothing of a password has been sent then. */
const unbound = ({ spec, address }: Place, why: string) =>
  new DialError(`${placeOf(spec, address)}: channel_binding=require, and ${why}`, null, true)

const isServerError = (error: unknown) => (error as { severity?: string }).severity !== undefined

/** pg's parser throws at messages it does not know (GSSAPI authentication, say), inside a 'data' event: make that a socket error. */
function containParser(stream: pg.Connection['stream']): void {
  const emit = stream.emit
  stream.emit = function contained(this: typeof stream, ...args: Parameters<typeof emit>) {
    if (args[0] !== 'data') return emit.apply(this, args)
    try {
      return emit.apply(this, args)
    } catch (error) {
      this.destroy(error as Error)
      return true
    }
  } as typeof emit
}

/**
 * pg fills what it is not given from PG* variables (PGOPTIONS, PGREPLICATION, PGSSLMODE...), so nothing is left out; and what may not be sent
 * is taken out again: a PgBouncer ends the connection at any startup parameter but user, database, application_name and client_encoding.
 */
function newClient(target: Target, place: Place, plan: TlsPlan | null, bound: { readonly offered: boolean }): pg.Client {
  const { spec, address } = place
  const config = {
    host: address ?? spec.host,
    port: spec.port,
    user: target.user,
    database: target.database,
    password: () => {
      if (target.channelBinding !== 'require' || bound.offered) return passwordFor(target, place)
      throw unbound(place, plan === null ? 'the connection has no TLS' : 'the server does not offer it')
    },
    application_name: target.applicationName,
    ssl: plan === null ? false : { ...plan.options },
    sslnegotiation: plan === null ? 'postgres' : target.sslnegotiation,
    enableChannelBinding: plan !== null && target.channelBinding !== 'disable',
    scramMaxIterations: 1_000_000,
    keepAlive: target.keepaliveIdleMs !== null,
    keepAliveInitialDelayMillis: target.keepaliveIdleMs ?? 0,
  }
  const client = new pg.Client(config as pg.ClientConfig)
  const startup = (
    client as unknown as { connectionParameters: { options: string | undefined; replication: string | undefined } }
  ).connectionParameters
  const settings = Object.entries(target.options).map(([name, value]) => `-c ${name}=${value.replace(/[\s\\]/g, '\\$&')}`)
  startup.options = target.kind === 'postgres' && settings.length > 0 ? settings.join(' ') : undefined
  startup.replication = undefined
  return client
}

/** Asked for only when the server wants a password, so a password file may come and go between attempts. */
async function passwordFor(target: Target, { spec, address }: Place): Promise<string> {
  if (target.password !== null) return target.password
  const key = { host: spec.host, port: spec.port, database: target.database, user: target.user }
  const { password, problem } =
    target.passfile === null ? { password: null, problem: null } : await readPassfile(target.passfile, key)
  if (password !== null) return password
  const remedy = problem ?? 'give one with PGPASSWORD, a password file, or password= in the connection string'
  throw new DialError(
    `${placeOf(spec, address)} wants a password for ${target.user} and none was given; ${remedy}`,
    '28P01',
    true,
    false,
    placeOf(spec, address),
  )
}

/** Null if the session is of the wanted kind, else what it is. Servers before 14 do not report it, so they are asked. */
async function sessionMismatch(
  { client, parameters, host, address }: Dialled,
  attrs: Target['targetSessionAttrs'],
  until: Until,
): Promise<string | null> {
  if (attrs === 'any' || attrs === 'prefer-standby') return null
  const ask = async (text: string) => {
    const result = await beforeDeadline(
      client.query({ text, rowMode: 'array' }),
      until,
      `asking ${placeOf(host, address)} for its role`,
    )
    return String(result.rows[0]?.[0])
  }
  try {
    const standby = parameters.in_hot_standby ?? ((await ask('SELECT pg_catalog.pg_is_in_recovery()')) === 'true' ? 'on' : 'off')
    if (attrs === 'primary') return standby === 'on' ? 'the server is a standby, and target_session_attrs=primary' : null
    if (attrs === 'standby') return standby === 'on' ? null : 'the server is not a standby, and target_session_attrs=standby'
    const readOnly =
      standby === 'on' || (parameters.default_transaction_read_only ?? (await ask('SHOW transaction_read_only'))) === 'on'
    if (attrs === 'read-write') return readOnly ? 'the session is read-only, and target_session_attrs=read-write' : null
    return readOnly ? null : 'the session is not read-only, and target_session_attrs=read-only'
  } catch (error) {
    hangUp(client)
    throw error
  }
}

function beforeDeadline<T>(work: Promise<T>, until: Until, doing: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () =>
      reject(new DialError(`no answer within ${(until.totalMs / 1000).toFixed(1)} s while ${doing}`, 'ETIMEDOUT', false))
    const timer = setTimeout(late, Math.max(0, until.at - performance.now()))
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
