// What holds during every fault: the other servers' data are no older than two intervals, keys are answered, and q ends it. Read from a real
// screen, and the age of the data from the servers themselves: when did our session there ask last?

import type pg from 'pg'
import { expect } from 'vitest'
import { connect } from '../../src/lab/client.ts'
import { type StartOptions, startMonitor, type Terminal } from './terminal.ts'

/** A server as the screen names it, and where a test asks it. */
export type Named = { readonly id: string; readonly port: number }

export const named = ({ port }: { readonly port: number }): Named => ({ id: `127.0.0.1:${port}`, port })

/** The server's own line at the top; '' when there is none. */
export const lineOf = (terminal: Terminal, { id }: { readonly id: string }) =>
  terminal.screen().find(text => text.startsWith(`${id} `)) ?? ''
/** The word for its link: LIVE, STALE, DOWN... */
export const wordOf = (terminal: Terminal, server: { readonly id: string }) =>
  /^\S+ +\S+ +([A-Z]+)/.exec(lineOf(terminal, server))?.[1] ?? null
/** Age of its data in seconds as the line tells it; null while it tells none. */
export function ageOf(terminal: Terminal, server: { readonly id: string }): number | null {
  const told = /^\S+ +\S+ +[A-Z]+ (?:(\d+)m)?(\d+)s/.exec(lineOf(terminal, server))
  return told === null ? null : 60 * Number(told[1] ?? 0) + Number(told[2])
}

/** The monitor, once all these servers are LIVE with figures. */
export async function monitored(
  conninfos: readonly string[],
  servers: readonly { readonly id: string }[],
  options: StartOptions = {},
  start = startMonitor,
): Promise<Terminal> {
  const terminal = start(conninfos, { columns: 160, rows: 40, ...options })
  for (const server of servers) await live(terminal, server, 10_000)
  return terminal
}

/** Waits until a server is LIVE with figures; resolves to how long that took, in milliseconds. */
export async function live(terminal: Terminal, server: { readonly id: string }, ms: number): Promise<number> {
  const from = performance.now()
  const there = () => wordOf(terminal, server) === 'LIVE' && / tps|servers/.test(lineOf(terminal, server))
  await terminal.until(there, `${server.id} LIVE`, ms)
  return performance.now() - from
}

export type Steady = {
  /** Watched by the terminal, and in no trouble. */
  readonly others: readonly Named[]
  readonly intervalMs?: number
  /** Where several monitors watch one server: the application_name of this one. */
  readonly application?: string
  /** How long to look. */
  readonly forMs?: number
  /** Asked again and again meanwhile. */
  readonly look?: () => void
}

/** What is allowed a key until its answer is on the screen; and one key in twenty, where the machine is busy with something else. Milliseconds. */
const keyMs = { usual: 200, most: 500 }

/**
 * For as long as asked: others LIVE, asked by us at least every two intervals, and every key answered within 200 ms. Begins and ends on the
 * Activity pane.
 */
export async function staysUsable(
  terminal: Terminal,
  { others, intervalMs = 1000, application = 'pgvigil', forMs = 4000, look }: Steady,
): Promise<void> {
  const until = performance.now() + forMs
  const clients = await Promise.all(others.map(({ port }) => connect({ port, application_name: 'looker' })))
  let ended = false
  const agesMs: number[] = []
  const words = new Set<string | null>()
  const watching = (async () => {
    while (!ended) {
      for (const other of others) words.add(wordOf(terminal, other))
      agesMs.push(...(await Promise.all(clients.map(client => silenceMs(client, application)))))
      look?.()
      await sleep(50)
    }
  })()
  const answersMs: number[] = []
  try {
    do {
      answersMs.push(...(await pressed(terminal)))
      await sleep(Math.min(2000, Math.max(0, until - performance.now())))
    } while (performance.now() < until)
  } finally {
    ended = true
    await watching
    await Promise.all(clients.map(client => client.end()))
  }
  const said = `keys were answered after ${answersMs.map(Math.round)} ms`
  const slow = answersMs.filter(ms => ms > keyMs.usual)
  expect(slow.length, said).toBeLessThanOrEqual(Math.ceil(answersMs.length / 20))
  expect(Math.max(...answersMs), said).toBeLessThanOrEqual(keyMs.most)
  if (others.length === 0) return
  expect([...words]).toEqual(['LIVE'])
  expect(Math.max(...agesMs), 'ms since a server that is well was asked last').toBeLessThanOrEqual(2 * intervalMs)
}

/** How long ago our session there has begun its last statement, in milliseconds by the server's clock; of several the longest. */
async function silenceMs(client: pg.Client, application: string): Promise<number> {
  const { rows } = await client.query(
    `select coalesce(max(extract(epoch from clock_timestamp() - query_start)), 9e9)::float8 as seconds
       from pg_stat_get_activity(null) where application_name = $1`,
    [application],
  )
  return rows[0].seconds * 1000
}

/** Looks from now on how long our session has been silent on a server; `stop` resolves to all that was seen, in milliseconds. */
export function watchSilence(client: pg.Client, application = 'pgvigil'): { stop(): Promise<readonly number[]> } {
  const seen: number[] = []
  let ended = false
  const looking = (async () => {
    while (!ended) {
      seen.push(await silenceMs(client, application))
      await sleep(50)
    }
  })()
  return {
    stop: async () => {
      ended = true
      await looking
      return seen
    },
  }
}

/** Help and back, another pane and back, the sort and back: how long each took, in milliseconds. */
async function pressed(terminal: Terminal): Promise<readonly number[]> {
  const heading = () => terminal.screen().find(text => /^ PID /.test(text)) ?? ''
  const sorted = heading()
  const keys: readonly (readonly [string, () => boolean])[] = [
    ['\x1bOP', () => /Help: lines/.test(terminal.screen().join('\n'))],
    ['q', () => heading() !== ''],
    ['3', () => /STANDBY/.test(terminal.screen().join('\n'))],
    ['1', () => heading() !== ''],
    ['>', () => heading() !== sorted && heading() !== ''],
    ['<', () => heading() === sorted],
    ['/pg', () => /filter: pg/i.test(terminal.screen().join('\n'))],
    ['\x15\r', () => !/filter: /i.test(terminal.screen().join('\n'))],
  ]
  const took: number[] = []
  for (const [key, shown] of keys) {
    const from = performance.now()
    terminal.write(key)
    await terminal.until(shown, `an answer to ${JSON.stringify(key)}`, 3000)
    took.push(performance.now() - from)
  }
  return took
}

/** q: the end within a second, with status 0 and the terminal as it was. */
export async function quits(terminal: Terminal): Promise<void> {
  const from = performance.now()
  terminal.write('q')
  expect(await terminal.exit).toEqual({ code: 0, signal: 0 })
  expect(performance.now() - from, 'ms until q had ended it').toBeLessThan(1000)
  // Its last bytes may come a moment later than the news of its end.
  await terminal.until(() => !terminal.alternateScreen() && terminal.cursorVisible(), 'the terminal as it was', 500)
}

/** Pids of our sessions on a server, oldest first. */
export async function ownPids(client: pg.Client, application = 'pgvigil'): Promise<readonly number[]> {
  const { rows } = await client.query(
    `select pid from pg_stat_get_activity(null) where application_name = $1 order by backend_start`,
    [application],
  )
  return rows.map(row => row.pid as number)
}

export const sleep = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms))
