// Why a server can't be read now, in a DBA's word.

import type { LinkWord } from '../model/link.ts'
import { DialError } from './dial-error.ts'
import { ServerError } from './wire.ts'

export type Failure = { readonly word: LinkWord; readonly why: string; readonly code: string | null; readonly at: number }

/**
 * Told by SQLSTATE where there is one. 57P03 stands for starting, recovering and stopping alike, and its text is in the server's language: where it
 * is not English, how our session ended before (`before`, a SQLSTATE) tells. A session that was ended is CONNECTING, whatever ended one that had
 * `served`: what it means is told by the next attempt. `why` may quote the server (raw text), `at` is our clock in epoch ms. A bug is thrown on.
 */
export function failureOf(error: unknown, before: string | null, served: boolean): Failure {
  if (!(error instanceof DialError || error instanceof ServerError)) throw error
  const { message: why, code } = error
  const at = error instanceof ServerError ? error.at : Date.now()
  return { word: wordOf(error, before, served), why, code, at }
}

function wordOf(error: DialError | ServerError, before: string | null, served: boolean): LinkWord {
  if (error.code === '53300') return 'FULL'
  if (error.code === '57P03') return notNow(error.message, before)
  if (error instanceof DialError) return error.permanent ? 'DENIED' : 'DOWN'
  return error.kind === 'lost' && (served || /^57P0[12]$/.test(error.code ?? '')) ? 'CONNECTING' : 'DOWN'
}

function notNow(message: string, before: string | null): LinkWord {
  if (/shutting down/.test(message)) return 'STOPPING'
  if (/in recovery mode/.test(message)) return 'RECOVERY'
  if (/starting up|accepting connections/.test(message)) return 'STARTING'
  return before === '57P01' ? 'STOPPING' : before === '57P02' ? 'RECOVERY' : 'STARTING'
}
