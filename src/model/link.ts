// The state of the connection to a server, in a DBA's word.

export type LinkWord = 'LIVE' | 'STALE' | 'DOWN' | 'CONNECTING' | 'STARTING' | 'RECOVERY' | 'STOPPING' | 'DENIED' | 'FULL'

/** `since`: our clock in epoch ms when the word last changed. `why`: the server's or the system's reason, drawable; null while all is well. */
export type Link = {
  readonly state: 'connecting' | 'up' | 'stale' | 'down'
  readonly word: LinkWord
  readonly since: number
  /** When it was reported; left out: when the word changed. */
  readonly at?: number
  readonly why: string | null
  /** SQLSTATE, or the system's word for it (ECONNREFUSED). Null or left out: none was told. */
  readonly code?: string | null
  /** The place that asked for a password when none was known. */
  readonly wants?: string
}

/** Nobody listens where the server was. */
export const isGone = ({ code }: Pick<Link, 'code'>) => code === 'ECONNREFUSED' || code === 'ENOENT'

/** A code that only a server gives: errnos of five letters have no digit. */
export const isSqlState = (code: string | null | undefined) => /^(?=.*\d)[0-9A-Z]{5}$/.test(code ?? '')
