// Why a connection could not be made, in words a person can act on, and whether trying again soon makes any sense.

import type { HostSpec } from '../config/conninfo.ts'

/**
 * `code`: SQLSTATE or errno or TLS code, or null. `permanent`: nothing but a change of configuration will help (wrong password, no such
 * database, bad certificate, unknown host), so retry slowly. `fromServer`: the server said so itself. The message may quote the server
 * (raw text) and never holds a password.
 */
export class DialError extends Error {
  readonly code: string | null
  readonly permanent: boolean
  readonly fromServer: boolean
  /** The place that asked for a password, which nobody has given: that would help at once. */
  readonly wants: string | null
  constructor(message: string, code: string | null, permanent: boolean, fromServer = false, wants: string | null = null) {
    super(message)
    this.name = 'DialError'
    this.code = code
    this.permanent = permanent
    this.fromServer = fromServer
    this.wants = wants
  }
}

// A server that answers lets us in or not, whatever its reason: the password, the database, a trigger at login. What passes by itself: it is
// starting or stopping (57), full (53), in trouble with its connections or itself (08, 58, XX). 08P01 comes from PgBouncer: not allowed, no such
// database, a startup parameter it does not know; "no more connections allowed" (max_client_conn) passes, and so does a database that is paused.
const passingStates = /^(57|53|08|58|XX)/
const passing08P01 = /no more connections|shutting down|server login|connect(ion)? (failed|timeout)|pause/i

/** The code of a session that is not of the kind asked for (target_session_attrs). */
export const otherKind = 'other kind'

// libpq goes on to the next host when one can't be reached, is starting up, or its session is of another kind; all else is an answer.
const unreachable = new Set([
  ...['ECONNREFUSED', 'ENOENT', 'ECONNABORTED', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'EACCES', 'EPERM'],
  ...['ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'EINVAL', '57P03', otherKind],
])

/** No other host or address is tried after it. */
export const endsSearch = ({ code }: DialError) => code === null || !unreachable.has(code)

const permanentErrnos = new Set(['ENOTFOUND', 'EACCES', 'EPERM'])

/** Codes of Node's certificate checks are words of OpenSSL, not errnos. */
const certificateCode =
  /^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS_CERT|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH|CRL_)/

/** How a place is written in messages: "db1:5432", "the socket /tmp/.s.PGSQL.5432". */
export function placeOf(spec: HostSpec, address: string | null): string {
  if (spec.host.startsWith('/')) return `the socket ${spec.host}/.s.PGSQL.${spec.port}`
  const name = address !== null && address !== spec.host ? `${spec.host} (${address})` : spec.host
  return `${name} port ${spec.port}`
}

/** Turns whatever pg, Node or the server came up with into a DialError. `consoleUser`: who asked for a PgBouncer console; else null. */
export function explain(error: unknown, spec: HostSpec, address: string | null, consoleUser: string | null = null): DialError {
  if (error instanceof DialError) return error
  const { code = null, severity, message = String(error) } = error as { code?: string; severity?: string; message?: string }
  const place = placeOf(spec, address)
  if (severity !== undefined) {
    const permanent = code === '08P01' ? !passing08P01.test(message) : !passingStates.test(code ?? 'XX')
    const why =
      consoleUser !== null && message === 'not allowed'
        ? `: ${consoleUser} is neither in admin_users nor in stats_users`
        : consoleUser !== null && code === '3D000'
          ? ': this is a PostgreSQL server, and no PgBouncer'
          : ''
    return new DialError(message + why, code, permanent, true)
  }
  const plain = (words: string, permanent = permanentErrnos.has(code ?? '')) => new DialError(words, code, permanent)
  // Node's advice on how to run Node is cut off.
  const words = message.replace(/; if the root CA.*/s, '').trim()
  if (code !== null && certificateCode.test(code)) return plain(`the TLS certificate of ${place} is not accepted: ${words}`, true)
  if (code?.startsWith('ERR_SSL_') || code?.startsWith('ERR_OSSL_')) return plain(`TLS with ${place} failed: ${words}`, true)
  // What can't be a name at all: too long, or with bytes that no name has.
  const noName = code === 'EINVAL' && (error as NodeJS.ErrnoException).syscall === 'getaddrinfo'
  if (noName) return plain(`there is no host named "${spec.host}"`, true)
  switch (code) {
    case 'ENOTFOUND':
      return plain(`there is no host named "${spec.host}"`)
    case 'EAI_AGAIN':
      return plain(`the name server does not answer for "${spec.host}"`)
    case 'ECONNREFUSED':
      return plain(`nothing listens at ${place} (connection refused)`)
    case 'ENOENT':
      return plain(`there is no server at ${place}`)
    case 'EACCES':
    case 'EPERM':
      return plain(`access to ${place} is denied by the system`)
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
      return plain(`${place} cannot be reached (${code})`)
  }
  if (/does not support SSL/.test(message))
    return new DialError(`${place} does not offer TLS, and sslmode asks for it`, null, true)
  if (/error establishing an SSL connection/.test(message)) {
    return plain(`${place} answered the request for TLS with neither yes nor no: it is in trouble, or no PostgreSQL server`)
  }
  if (/Unknown authenticationOk message type/.test(message)) {
    return new DialError(`${place} asks for a kind of authentication that is not supported (GSSAPI, SSPI or another)`, null, true)
  }
  if (/^SASL:/.test(message)) return new DialError(`authentication with ${place} failed: ${message}`, null, true)
  if (/terminated unexpectedly/.test(message)) return plain(`${place} closed the connection without a word`)
  return plain(`${place}: ${words}`)
}
