// The live source of samples. Each server has a loop of its own, so that one that is slow, frozen or gone never holds up another:
// connect, then each interval ask what is wanted and due, one query after the other on one connection.

import type { Target } from './config/conninfo.ts'
import { leaveOut, lockNotAvailable, newRound, type Round } from './rounds.ts'
import { factsFromRow, pgbouncerFacts } from './server/facts.ts'
import { failureOf } from './server/failure.ts'
import { lookAtFileSystems } from './server/file-systems.ts'
import { openSession, type Part, type ReadResult, type Session } from './server/session.ts'
import { DialError, dialMs } from './server/socket.ts'
import { ServerError, type WireRow } from './server/wire.ts'
import { type StorageRow, storage } from './sql/databases.ts'
import { type ShutdownRow, shutdown } from './sql/events.ts'
import { showConfig, showVersion } from './sql/pgbouncer.ts'
import { pickVariant, type Query } from './sql/query.ts'
import { facts as factsQuery } from './sql/server.ts'
import type { Link, ServerFacts, SourceEvent, Want } from './store/state.ts'
import { createTurns, withoutValues } from './turns.ts'

export type PollerOptions = {
  readonly servers: readonly { readonly id: string; readonly target: Target }[]
  readonly receive: (event: SourceEvent) => void
  /** What the screen needs of a server now. Asked anew at each tick. */
  readonly wanted: (serverId: string) => readonly Want[]
  /** Newest sample's rows, for queries that run once per row of another; null before the first. */
  readonly rows: (serverId: string, queryId: string) => readonly Readonly<Record<string, unknown>>[] | null
  readonly intervalMs: () => number
  /** The one sanitiser: the poller reports errors as drawable text. */
  readonly drawable: (text: string) => string
}

export type Poller = {
  /** Asks at once for what is wanted now and not there yet, instead of at the next tick. */
  poke(): void
  /** Forgets what was asked of a server, so that all that is wanted of it is asked at once: something was done to it. */
  again(serverId: string): void
  /** A quick statement of somebody else's on the session that reads. Null: there is no session now. Throws ServerError. */
  lend(serverId: string, text: string, values: readonly (string | number)[]): Promise<readonly WireRow[] | null>
  /** Ends all loops and destroys all connections without waiting for any server. */
  stop(): void
}

/** No statement may take longer on a server; those of a tick are bounded by the interval besides. */
const longestStatementMs = 5000
/** What has a pace of its own and this one or a shorter one takes little time. Seconds. */
const quickEverySeconds = 5
/** A lent statement may stand behind one of those. Milliseconds. */
const lendMs = longestStatementMs + 3000
/** A server that answers, but slower than its bound, is given more time: so many times its bound at the most. */
const mostPatience = 4
/** In steady state a server is asked no more statements from one tick to the next, and one besides those of the tick. */
const statementsATick = 3
/** After a refusal of several statements as one each is asked by itself for so long. Milliseconds. */
const apartMs = 30_000
// With the jitter never more than 5 s: so soon after a server is back it is LIVE.
const retry = { firstMs: 250, capMs: 4000, jitter: 0.2, deniedMs: 30_000 }
/** After sessions that were lost sooner than this the next one is waited for, the longer the more there were in a row. Milliseconds. */
const lastingMs = 5000

export function startPoller(options: PollerOptions): Poller {
  const loops = new Map(options.servers.map(({ id, target }) => [id, serverLoop(id, target, options)]))
  return {
    poke: () => {
      for (const loop of loops.values()) loop.poke()
    },
    again: id => loops.get(id)?.again(),
    lend: async (id, text, values) => {
      const session = loops.get(id)?.session()
      return session ? session.lend(text, values, lendMs) : null
    },
    stop: () => {
      for (const loop of loops.values()) loop.stop()
    },
  }
}

type Loop = { poke(): void; again(): void; stop(): void; session(): Session | null }

function serverLoop(id: string, target: Target, options: PollerOptions): Loop {
  const { receive, drawable } = options
  let session: Session | null = null
  let facts: ServerFacts | null = null
  let stopped = false
  let wake: (() => void) | null = null
  const turns = createTurns(options.intervalMs)
  let link: Link = { state: 'connecting', word: 'CONNECTING', since: Date.now(), why: null }
  // Rounds of `forEach` queries that are not through yet, by query.
  const rounds = new Map<string, Round>()
  /** SQLSTATE that the last session ended with. */
  let endedBy: string | null = null
  let patience = 1
  let slowestMs = 0
  // Statements of the last tick.
  let askedByTick = 0
  // Until then nothing is asked together: one of the statements was refused, and the others must not wait for it.
  let apartUntil = 0

  const leastAnswerMs = () => Math.max(1000, 1.5 * options.intervalMs())
  const answerMs = () => Math.min(longestStatementMs, leastAnswerMs() * patience)
  const statementMs = () => Math.round(answerMs() * 0.8)
  const connectMs = () => dialMs(target, Math.min(5000, Math.max(1500, 2 * options.intervalMs())))

  function report(next: Omit<Link, 'since' | 'at'>, tls?: Session['tls'], at = Date.now()): void {
    link = { ...next, at, since: next.word === link.word ? link.since : at }
    receive({ kind: 'link', server: id, link, ...(tls ? { tls } : {}) })
  }

  function pause(ms: number): Promise<void> {
    if (stopped) return Promise.resolve()
    return new Promise(resolve => {
      const timer = setTimeout(done, ms)
      function done() {
        clearTimeout(timer)
        wake = null
        resolve()
      }
      wake = done
    })
  }

  async function connect(): Promise<boolean> {
    try {
      const opened = await openSession(target, connectMs(), statementMs(), () => wake?.())
      if (stopped) {
        opened.close()
        return false
      }
      session = opened
      turns.forget(true)
      rounds.clear()
      apartUntil = 0
      await readFacts()
      report({ state: 'up', word: 'LIVE', why: null }, opened.tls)
      return true
    } catch (error) {
      session?.close()
      session = null
      if (!stopped) reportFailure(error, false)
      return false
    }
  }

  function reportFailure(error: unknown, served: boolean): void {
    const { word, why, code, at } = failureOf(error, endedBy, served)
    const wants = error instanceof DialError ? error.wants : null
    if (word === 'CONNECTING') endedBy = code
    const state = word === 'CONNECTING' ? 'connecting' : 'down'
    report({ state, word, why: drawable(why), code, ...(wants ? { wants } : {}) }, undefined, at)
  }

  async function readFacts(): Promise<void> {
    const [current, bounds] = [session as Session, answerMs()]
    turns.began(withoutValues(factsQuery))
    askedByTick++
    if (target.kind === 'pgbouncer') {
      // A console that refuses one of these can still be asked for its pools.
      const rowsOr = async (query: Query) => {
        try {
          return (await current.read(query, query.variants[0]!.text, [], bounds)).rows
        } catch (error) {
          if (error instanceof ServerError && error.kind === 'refused') return []
          throw error
        }
      }
      facts = pgbouncerFacts(await rowsOr(showVersion), await rowsOr(showConfig))
    } else {
      const { rows } = await current.read(factsQuery, factsQuery.variants[0]!.text, [], bounds)
      facts = factsFromRow(rows[0])
    }
    receive({ kind: 'facts', server: id, facts })
  }

  async function tick(): Promise<void> {
    askedByTick = 0
    if (target.kind === 'postgres' && turns.due(withoutValues(factsQuery))) {
      try {
        await readFacts()
      } catch (error) {
        if (!(error instanceof ServerError) || error.kind !== 'refused') throw error
      }
    }
    slowestMs = 0
    const wants = options.wanted(id).filter(want => want.query.every === 'tick' && take(want))
    const parts = Date.now() < apartUntil ? [] : wants.flatMap(partOf)
    const apart = parts.length > 0 ? await readTogether(parts) : []
    for (const want of wants) {
      if (!parts.some(({ query }) => query === want.query) || apart.includes(want.query)) await readWant(want)
    }
    if (slowestMs < leastAnswerMs() / 3) patience = 1
  }

  /** What has a pace of its own is asked between two ticks, a statement at a time, so that a tick waits for one of them at the most. */
  async function betweenTicks(until: () => number, poked = false): Promise<void> {
    let mayAsk = poked ? Number.POSITIVE_INFINITY : Math.max(1, statementsATick - askedByTick)
    for (const want of options.wanted(id)) {
      if (want.query.every === 'tick' || !turns.due(want)) continue
      if (stopped || (Date.now() >= until() && !want.query.forEach)) return
      // What is asked again takes its turn; what is asked for the first time, or after a key, is waited for.
      if (turns.asked(want) && !want.query.forEach && mayAsk-- <= 0) continue
      if (!want.query.forEach) {
        take(want)
        await readWant(want)
      } else if (!(await continueEach(want, until))) return
    }
  }

  const take = (want: Want) => !stopped && turns.take(want)

  /** What can be asked in one statement with others. */
  function partOf({ query, params }: Want): readonly Part[] {
    const picked = pickVariant(query, facts as ServerFacts)
    return 'text' in picked && (query.oneRow || picked.packed) ? [{ query, picked, values: params }] : []
  }

  /** Returns the queries that have to be asked one by one after all: one of them was refused, and for a while it will be again. */
  async function readTogether(parts: readonly Part[]): Promise<readonly Query[]> {
    try {
      const current = session as Session
      await current.limitStatements(statementMs(), answerMs())
      askedByTick++
      const results = await current.readTogether(parts, answerMs())
      slowestMs = Math.max(slowestMs, ...results.map(({ tookMs }) => tookMs))
      for (const [i, { query }] of parts.entries()) {
        receive({ kind: 'sample', sample: { server: id, query: query.id, skipped: [], ...results[i]! } })
      }
      return []
    } catch (error) {
      if (!(error instanceof ServerError) || error.kind !== 'refused') throw error
      if (error.code !== '55000') apartUntil = Date.now() + apartMs
      return parts.map(({ query }) => query)
    }
  }

  async function readWant(want: Want): Promise<void> {
    const { query, params } = want
    const text = textOf(query)
    if (text === null) return
    try {
      const result = await ask(query, text, params)
      receive({ kind: 'sample', sample: { server: id, query: query.id, skipped: [], ...result } })
      if (query === storage) void lookAround(result.rows as readonly StorageRow[])
      if (query.id === shutdown.id) leaveLast(result.rows[0] as ShutdownRow | undefined)
    } catch (error) {
      refusedOrThrow(query, error)
      if ((error as ServerError).code === lockNotAvailable) turns.metLock(want)
    }
  }

  /** Beside the readings, and never in their way. */
  async function lookAround(rows: readonly StorageRow[]): Promise<void> {
    const fileSystems = await lookAtFileSystems(target, rows, Date.now)
    if (!stopped) receive({ kind: 'fileSystems', server: id, fileSystems })
  }

  /** A smart stop waits for all sessions to end: ours is of use while others hold it up, and must not be what holds it up. */
  function leaveLast(row: ShutdownRow | undefined): void {
    if (!row || (row.status as unknown) !== 'stopping' || row.others > 0) return
    throw new ServerError('lost', 'the server is shutting down (smart stop), and our session was the last', '57P03')
  }

  /** The text for this server; null when there is none, which has been reported then. */
  function textOf(query: Query): string | null {
    const picked = pickVariant(query, facts as ServerFacts)
    if ('text' in picked) return picked.text
    const problem = { kind: 'unavailable', reason: picked.unavailable, remedy: picked.remedy } as const
    receive({ kind: 'problem', server: id, query: query.id, problem })
    return null
  }

  function refusedOrThrow(query: Query, error: unknown): void {
    if (!(error instanceof ServerError) || error.kind !== 'refused') throw error
    if (error.code === '57014' && isQuick(query)) {
      patience = Math.min(mostPatience, patience * 2)
      slowestMs = Number.POSITIVE_INFINITY
    }
    // The role of a server can change between two words of a statement (55000); the next tick sees the new role.
    if (error.code === '55000') return
    const problem = { kind: 'failed', error: drawable(error.message), code: error.code, at: Date.now() } as const
    receive({ kind: 'problem', server: id, query: query.id, problem })
  }

  async function ask(query: Query, text: string, values: readonly (string | number)[]): Promise<ReadResult> {
    const current = session as Session
    const quick = isQuick(query)
    if (query.every === 'tick') askedByTick++
    await current.limitStatements(quick ? statementMs() : longestStatementMs, answerMs())
    const result = await current.read(query, text, values, quick ? answerMs() : longestStatementMs + 500)
    if (quick) slowestMs = Math.max(slowestMs, result.tookMs)
    return result
  }

  /** Goes on with a query that runs once for each row of another; false when the next tick is due before it is through. */
  async function continueEach(want: Want, until: () => number): Promise<boolean> {
    const { query } = want
    const { query: over, key, retryLocked = false } = query.forEach as NonNullable<Query['forEach']>
    const text = textOf(query)
    if (text === null) return take(want)
    const objects = options.rows(id, over.id)
    if (!objects) return true
    const round = rounds.get(query.id) ?? newRound(objects.map(row => row[key] as string))
    rounds.set(query.id, round)
    do {
      const value = round.keys.shift()
      if (value === undefined) break
      try {
        const { rows, tookMs } = await ask(query, text, [value])
        round.rows.push(...rows)
        round.tookMs += tookMs
      } catch (error) {
        if (!(error instanceof ServerError) || error.kind !== 'refused') throw error
        leaveOut(round, value, drawable(error.message), error.code, retryLocked)
      }
    } while (!stopped && Date.now() < until())
    if (round.keys.length > 0) return false
    rounds.delete(query.id)
    take(want)
    const { rows, skipped, tookMs } = round
    receive({ kind: 'sample', sample: { server: id, query: query.id, rows, skipped, tookMs, at: Date.now() } })
    return true
  }

  async function run(): Promise<void> {
    let failures = 0
    let lasted = true
    let openedAt = 0
    const backOff = () => sleepWhole(spread(Math.min(retry.capMs, retry.firstMs * 2 ** failures++)))
    while (!stopped) {
      if (!session) {
        if (!(await connect())) {
          if (link.word === 'DENIED') await sleepWhole(spread(retry.deniedMs))
          else await backOff()
          continue
        }
        // It takes us: what failed before counts no more, unless it drops us again and again.
        if (lasted) failures = 0
        openedAt = Date.now()
      }
      try {
        await tick()
        const endedAt = Date.now()
        const nextAt = () => endedAt + options.intervalMs()
        await betweenTicks(nextAt)
        // A poke asks for what is new on the screen and leaves the beat of the ticks as it is; a shorter interval counts at once.
        while (!stopped && Date.now() < nextAt()) {
          await pause(nextAt() - Date.now())
          const lost = session?.lost()
          if (lost) throw lost
          if (Date.now() >= nextAt()) break
          await tick()
          await betweenTicks(nextAt, true)
        }
      } catch (error) {
        session?.close()
        session = null
        if (stopped) return
        if (!(error instanceof ServerError)) throw error
        if (error.kind === 'silent') patience = Math.min(mostPatience, patience * 2)
        if (error.kind === 'silent') report({ state: 'stale', word: 'STALE', why: error.message })
        else reportFailure(error, true)
        // A session that has served is made good at once; a server that takes us and drops us again and again is not stormed.
        lasted = Date.now() - openedAt >= lastingMs
        if (lasted) failures = 0
        else await backOff()
      }
    }
  }

  /** Waits out a pause between attempts: a key pressed meanwhile must not make more attempts. */
  async function sleepWhole(ms: number): Promise<void> {
    const until = Date.now() + ms
    while (!stopped && Date.now() < until) await pause(until - Date.now())
  }

  receive({ kind: 'link', server: id, link })
  void run()
  return {
    poke: () => wake?.(),
    again: () => {
      turns.forget()
      wake?.()
    },
    session: () => session,
    stop: () => {
      stopped = true
      session?.close()
      wake?.()
    },
  }
}

/** What is asked so often is bounded as the queries of a tick are: a server that hangs is to be noticed as soon in the middle of it. */
function isQuick({ every, light }: Query): boolean {
  return light === true || every === 'tick' || every <= quickEverySeconds
}

function spread(ms: number): number {
  return ms * (1 + retry.jitter * (2 * Math.random() - 1))
}
