// The signal to a session, and what became of it.

import { duration } from '../model/format.ts'
import { drawable, raw, type Untrusted } from '../model/untrusted.ts'
import { ServerError, type WireRow } from '../server/deed.ts'
import { backendNow, cancelBackend, terminateBackend } from '../sql/deeds.ts'
import type { Hands, Report } from './action.ts'
import type { SessionTarget } from './session-targets.ts'
import type { Statement } from './statement.ts'

export const terminateStatement = ({ pid, backend_start }: SessionTarget): Statement => ({
  text: terminateBackend,
  values: [pid, text(backend_start) ?? ''],
})
export const cancelStatement = ({ pid, backend_start, query_start }: SessionTarget): Statement => ({
  text: cancelBackend,
  values: [pid, text(backend_start) ?? '', text(query_start) ?? ''],
})

/** How long the outcome of a signal is waited for, and how often it is looked at. Milliseconds. */
const verify = { forMs: 4000, everyMs: 150 }

const wait = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

/** Asks on the deed's own connection; where none can be had, on the session that reads. */
async function asker(hands: Hands): Promise<(text: string, values: readonly (string | number)[]) => Promise<readonly WireRow[]>> {
  try {
    const session = await hands.open()
    return async (text, values) => (await session.run(text, values)).rows
  } catch (error) {
    // No slot is free, or a catalog that a new session needs is locked: then ending somebody is just what helps.
    const { code, message } = error as { code?: string | null; message: string }
    if (code !== '53300' && !(code === 'ETIMEDOUT' || /no answer within/.test(message))) throw error
    return async (text, values) => {
      const rows = await hands.lend(text, values)
      if (rows === null) throw error
      return rows
    }
  }
}

export async function signal(target: SessionTarget, statement: Statement, ofQuery: boolean, hands: Hands): Promise<Report> {
  const ask = await asker(hands)
  const [answer] = await ask(statement.text, statement.values)
  if (answer?.sent !== 't') return nothingDone(target, ask, ofQuery)
  const sentAt = hands.now()
  const sent = () => duration((hands.now() - sentAt) / 1000)
  hands.tell({ outcome: 'signal sent', say: 'signal sent' })
  try {
    while (hands.now() - sentAt < verify.forMs) {
      const [now] = await ask(backendNow, [target.pid])
      if (now && now.backend_start === null) {
        return {
          outcome: 'signal sent',
          say: 'signal sent; what became of it can no longer be seen (pg_read_all_stats is missing)',
        }
      }
      if (!now || now.backend_start !== text(target.backend_start)) {
        return { outcome: 'gone', say: `gone after ${sent()}${ofQuery ? ': the session has ended' : ''}` }
      }
      if (ofQuery && (now.query_start !== text(target.query_start) || !/^(active|fastpath)/.test(now.state ?? ''))) {
        return { outcome: 'gone', say: `gone: the query has ended after ${sent()}` }
      }
      hands.tell({ outcome: 'signal sent', say: `signal sent, still there after ${sent()}` })
      await wait(verify.everyMs)
    }
  } catch (error) {
    if (!(error instanceof ServerError)) throw error
    return { outcome: 'signal sent', say: `signal sent; what became of it is not known: ${drawable(error.message)}` }
  }
  return { outcome: 'still there', say: `signal sent, still there after ${sent()}: it has not obeyed yet` }
}

const text = (value: Untrusted | null) => (value === null ? null : raw(value))

/** The guard of the statement found nobody: gone, another query, or no longer to be seen. */
async function nothingDone(target: SessionTarget, ask: Awaited<ReturnType<typeof asker>>, ofQuery: boolean): Promise<Report> {
  const [now] = await ask(backendNow, [target.pid])
  if (!now) return { outcome: 'already gone', say: 'already gone: nothing was done' }
  if (now.backend_start === null) {
    return {
      outcome: 'refused',
      say: 'nothing was done: the session can no longer be told from others (pg_read_all_stats is missing)',
    }
  }
  if (now.backend_start !== text(target.backend_start)) {
    return { outcome: 'already gone', say: `already gone: pid ${target.pid} is another session now, which was left alone` }
  }
  return ofQuery
    ? { outcome: 'already gone', say: 'already gone: that query has ended; what the session does now was left alone' }
    : { outcome: 'failed', say: 'the server says that the signal could not be sent' }
}
