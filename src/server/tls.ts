// libpq's sslmode and its files as Node's TLS options.

import { readFile, stat } from 'node:fs/promises'
import { isIP } from 'node:net'
import * as tls from 'node:tls'
import type { HostSpec, Target } from '../config/conninfo.ts'
import { DialError } from './dial-error.ts'

export type TlsPlan = { readonly options: tls.ConnectionOptions; readonly verified: boolean }

/**
 * What to verify and with which files, read anew at each dial so that a renewed certificate is taken up. `allow` and `prefer` verify nothing
 * (libpq would check against a root certificate that is there, and go on in plaintext if that fails); `require` verifies the chain if there is
 * a root certificate; `verify-ca` the chain; `verify-full` the name too. Throws a permanent DialError for a file that is needed and unusable.
 */
export async function planTls(target: Target, spec: HostSpec): Promise<TlsPlan> {
  const { sslmode } = target
  const wanted = sslmode === 'verify-ca' || sslmode === 'verify-full'
  const ca =
    target.sslrootcert === 'system'
      ? systemAuthorities()
      : wanted || sslmode === 'require'
        ? await readIfThere(target.sslrootcert)
        : null
  if (wanted && ca === null) {
    throw new DialError(
      `sslmode=${sslmode} needs a root certificate, and ${target.sslrootcert ?? 'sslrootcert'} does not exist`,
      null,
      true,
    )
  }
  const cert = await readIfThere(target.sslcert)
  const key = cert === null ? null : await readKey(target.sslkey)
  const crl = ca === null ? null : await readIfThere(target.sslcrl)
  return {
    verified: ca !== null,
    options: {
      rejectUnauthorized: ca !== null,
      ...(ca !== null && { ca }),
      ...(crl !== null && { crl }),
      ...(cert !== null && key !== null && { cert, key }),
      ...(isIP(spec.host) === 0 && { servername: spec.host }),
      // The dialled host is always an address: the name that counts is the one the user gave.
      checkServerIdentity: (_dialled, peer) => (sslmode === 'verify-full' ? nameMismatch(spec.host, peer) : undefined),
    },
  }
}

/** As libpq: without any alternative name in the certificate an address may stand in the common name. */
function nameMismatch(host: string, peer: tls.PeerCertificate): Error | undefined {
  if (isIP(host) !== 0 && !peer.subjectaltname && peer.subject.CN === host) return undefined
  return tls.checkServerIdentity(host, peer)
}

// getCACertificates came with Node 22.15; before it only the authorities that Node brings along are known.
function systemAuthorities(): string[] {
  return [...(tls.getCACertificates?.('system') ?? tls.rootCertificates)]
}

async function readIfThere(path: string | null): Promise<Buffer | null> {
  if (path === null) return null
  try {
    return await readFile(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    throw new DialError(`the file ${path} cannot be read (${code ?? 'error'})`, code ?? null, true)
  }
}

async function readKey(path: string | null): Promise<Buffer> {
  const key = await readIfThere(path)
  if (path === null || key === null)
    throw new DialError(`there is a client certificate, but its private key ${path ?? 'sslkey'} does not exist`, null, true)
  const { mode, uid } = await stat(path)
  if ((mode & (uid === 0 ? 0o037 : 0o077)) !== 0) {
    throw new DialError(`the private key ${path} is not used: others may read it (chmod 600 it)`, null, true)
  }
  return key
}
