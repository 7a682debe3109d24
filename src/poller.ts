// The live source of samples. Each server has a loop of its own, so that one that is slow, frozen or gone never holds up another:
// connect, then each interval ask what is wanted and due, one query after the other on one connection.

import type { Target } from './config/conninfo.ts'
import { factsFromRow, pgbouncerFacts } from './server/facts.ts'
import { openSession, ReadError, type ReadResult, type Session } from './server/session.ts'
import { DialError } from './server/socket.ts'
import { showConfig, showVersion } from './sql/pgbouncer.ts'
import { pickVariant, type Query, type Untrusted } from './sql/query.ts'
import { facts as factsQuery } from './sql/server.ts'
import type { Link, LinkWord, Sample, ServerFacts, SourceEvent, Want } from './store/state.ts'

export type PollerOptions = {
  readonly servers: readonly { readonly id: string; readonly target: Target }[]
  readonly receive: (event: SourceEvent) => void
  /** What the screen needs of a server now. Asked anew at each tick. */
  readonly wanted: (serverId: string) => readonly Want[]
  /** Newest sample's rows, for queries that run once per row of another. */
  readonly rows: (serverId: string, queryId: string) => readonly Readonly<Record<string, unknown>>[]
  readonly intervalMs: () => number
  /** The one sanitiser: the poller reports errors as drawable text. */
  readonly drawable: (text: string) => string
}

export type Poller = {
  /** Asks at once for what is wanted now and not there yet, instead of at the next tick. */
  poke(): void
  /** Ends all loops and destroys all connections without waiting for any server. */
  stop(): void
}

/** Reads that have their own pace (heavy ones) may take this long on the server; everything else is bounded by the interval. */
const heavyStatementMs = 5000
/** Each row whose detail was opened is a want of its own: they are not kept for ever. */
const rememberedWants = 500
const retry = { firstMs: 250, capMs: 5000, jitter: 0.2, deniedMs: 30_000 }

export function startPoller(options: PollerOptions): Poller {
  const loops = options.servers.map(({ id, target }) => serverLoop(id, target, options))
  return {
    poke: () => {
      for (const loop of loops) loop.poke()
    },
    stop: () => {
      for (const loop of loops) loop.stop()
    },
  }
}

function serverLoop(id: string, target: Target, options: PollerOptions): { poke(): void; stop(): void } {
  const { receive, drawable } = options
  let session: Session | null = null
  let facts: ServerFacts | null = null
  let stopped = false
  let wake: (() => void) | null = null
  // When each want was last begun, by query and values: what says whether it is due.
  const begunAt = new Map<string, number>()
  let link: Link = { state: 'connecting', word: 'CONNECTING', since: Date.now(), why: null }
  // A server that answers, but slower than its bound, is given more time, up to the most a statement of ours may take.
  let patience = 1

  const answerMs = () => Math.min(5000, Math.max(1000, 1.5 * options.intervalMs()) * patience)
  const statementMs = () => Math.round(answerMs() * 0.8)
  const connectMs = () => Math.min(5000, Math.max(1500, 2 * options.intervalMs()))

  function report(next: Omit<Link, 'since'>, tls?: Session['tls']): void {
    link = { ...next, since: next.word === link.word ? link.since : Date.now() }
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
      const opened = await openSession(target, connectMs(), statementMs())
      if (stopped) {
        opened.close()
        return false
      }
      session = opened
      begunAt.clear()
      await readFacts()
      report({ state: 'up', word: 'LIVE', why: null }, opened.tls)
      return true
    } catch (error) {
      session?.close()
      session = null
      if (!stopped) reportFailure(error)
      return false
    }
  }

  function reportFailure(error: unknown): void {
    const { word, why } = failureOf(error)
    report({ state: 'down', word, why: drawable(why) })
  }

  async function readFacts(): Promise<void> {
    const [current, bounds] = [session as Session, answerMs()]
    begunAt.set(factsQuery.id, Date.now())
    if (target.kind === 'pgbouncer') {
      const version = await current.read(showVersion, showVersion.variants[0]!.text, [], bounds)
      const config = await current.read(showConfig, showConfig.variants[0]!.text, [], bounds)
      facts = pgbouncerFacts(version.rows, config.rows)
    } else {
      const { rows } = await current.read(factsQuery, factsQuery.variants[0]!.text, [], bounds)
      facts = factsFromRow(rows[0])
    }
    receive({ kind: 'facts', server: id, facts })
  }

  async function tick(): Promise<void> {
    if (target.kind === 'postgres' && due(factsQuery, factsQuery.id)) {
      try {
        await readFacts()
      } catch (error) {
        if (!(error instanceof ReadError) || error.kind !== 'refused') throw error
      }
    }
    let refused = false
    for (const want of options.wanted(id)) {
      if (stopped) return
      const key = `${want.query.id} ${want.params.join(' ')}`
      if (!due(want.query, key)) continue
      if (begunAt.size > rememberedWants) begunAt.clear()
      begunAt.set(key, Date.now())
      refused = !(await readWant(want)) || refused
    }
    if (!refused) patience = 1
  }

  function due(query: Query, key: string): boolean {
    const last = begunAt.get(key)
    if (last === undefined) return true
    // A poke comes between two ticks: what was asked within this interval is not asked again.
    const paceMs = query.every === 'tick' ? options.intervalMs() * 0.9 : query.every * 1000 - 50
    return Date.now() - last >= paceMs
  }

  /** False when the server was too slow for its own bound. */
  async function readWant(want: Want): Promise<boolean> {
    const { query } = want
    const picked = pickVariant(query, facts as ServerFacts)
    if ('unavailable' in picked) {
      receive({
        kind: 'problem',
        server: id,
        query: query.id,
        problem: { kind: 'unavailable', reason: picked.unavailable, remedy: picked.remedy },
      })
      return true
    }
    try {
      const sample = query.forEach ? await readEach(query, picked.text) : await readOnce(query, picked.text, want.params)
      receive({ kind: 'sample', sample })
    } catch (error) {
      if (!(error instanceof ReadError) || error.kind !== 'refused') throw error
      // The role of a server can change between two words of a statement (55000); the next tick sees the new role.
      if (error.code === '55000') return true
      receive({
        kind: 'problem',
        server: id,
        query: query.id,
        problem: { kind: 'failed', error: drawable(error.message), code: error.code, at: Date.now() },
      })
      if (error.code === '57014') {
        patience = Math.min(5, patience * 2)
        return false
      }
    }
    return true
  }

  async function ask(query: Query, text: string, values: readonly (string | number)[]): Promise<ReadResult> {
    const current = session as Session
    const heavy = query.every !== 'tick'
    await current.limitStatements(heavy ? heavyStatementMs : statementMs(), answerMs())
    return current.read(query, text, values, heavy ? heavyStatementMs + 500 : answerMs())
  }

  async function readOnce(query: Query, text: string, values: readonly (string | number)[]): Promise<Sample> {
    return { server: id, query: query.id, skipped: [], ...(await ask(query, text, values)) }
  }

  async function readEach(query: Query, text: string): Promise<Sample> {
    const { query: over, key } = query.forEach as NonNullable<Query['forEach']>
    const rows: Readonly<Record<string, unknown>>[] = []
    const skipped: { key: Untrusted; why: string }[] = []
    let tookMs = 0
    for (const row of options.rows(id, over.id)) {
      const value = row[key] as string
      try {
        const result = await ask(query, text, [value])
        rows.push(...result.rows)
        tookMs += result.tookMs
      } catch (error) {
        if (!(error instanceof ReadError) || error.kind !== 'refused') throw error
        skipped.push({ key: value as unknown as Untrusted, why: drawable(error.message) })
      }
    }
    return { server: id, query: query.id, rows, skipped, at: Date.now(), tookMs }
  }

  async function run(): Promise<void> {
    let failures = 0
    while (!stopped) {
      if (!session && !(await connect())) {
        if (link.word === 'DENIED') await sleepWhole(spread(retry.deniedMs))
        else await sleepWhole(spread(Math.min(retry.capMs, retry.firstMs * 2 ** failures++)))
        continue
      }
      failures = 0
      try {
        await tick()
        const endedAt = Date.now()
        // A poke asks for what is new on the screen and leaves the beat of the ticks as it is; a shorter interval counts at once.
        while (!stopped && Date.now() < endedAt + options.intervalMs()) {
          await pause(endedAt + options.intervalMs() - Date.now())
          if (Date.now() < endedAt + options.intervalMs()) await tick()
        }
      } catch (error) {
        session?.close()
        session = null
        if (stopped) return
        if (!(error instanceof ReadError)) throw error
        if (error.kind === 'silent') report({ state: 'stale', word: 'STALE', why: error.message })
        else report({ state: 'connecting', word: 'CONNECTING', why: drawable(error.message) })
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
    stop: () => {
      stopped = true
      session?.close()
      wake?.()
    },
  }
}

function spread(ms: number): number {
  return ms * (1 + retry.jitter * (2 * Math.random() - 1))
}

/** The state of the link in a DBA's word, told by SQLSTATE where there is one. */
function failureOf(error: unknown): { word: LinkWord; why: string } {
  const { message, code = null } = error as { message: string; code?: string | null }
  if (code === '53300') return { word: 'FULL', why: message }
  if (code === '57P03') {
    if (/shutting down/.test(message)) return { word: 'STOPPING', why: message }
    return { word: /recovery/.test(message) ? 'RECOVERY' : 'STARTING', why: message }
  }
  if (error instanceof DialError && error.permanent) return { word: 'DENIED', why: message }
  if (error instanceof DialError || error instanceof ReadError) return { word: 'DOWN', why: message }
  throw error
}
