// The monitor on a whole cluster at a short interval, with one random fault after the other: is it alive, is its memory flat, are its handles
// as many as before?

import { readdirSync } from 'node:fs'
import type pg from 'pg'
import { connect, withClient } from '../../src/lab/client.ts'
import { temporaryFolder } from '../../src/lab/folder.ts'
import { findPgbouncer, type PgbouncerServer, startPgbouncer } from '../../src/lab/pgbouncer.ts'
import { type PostgresServer, startPostgres, startStandby } from '../../src/lab/postgres.ts'
import { freeze, freezePids, residentMb, thaw } from '../support/freeze.ts'
import { build, type Terminal } from '../support/terminal.ts'
import { live, monitored, type Named, named, ownPids, sleep } from '../support/under-fault.ts'

export type SoakOptions = {
  readonly seconds: number
  /** The same seed makes the same faults, as far as time allows. */
  readonly seed: number
  readonly intervalMs: number
  readonly say: (line: string) => void
}

export type Soaked = {
  readonly faults: number
  /** Growth of the resident memory once it is warm, by least squares. MB a minute. */
  readonly slopeMbPerMinute: number
  readonly residentMb: { readonly warm: number; readonly end: number; readonly most: number }
  /** File descriptors with everything LIVE, before the first fault and after the last one. */
  readonly handles: { readonly before: number; readonly after: number; readonly most: number }
  /** How long q took at the end, and what it ended with. */
  readonly quitMs: number
  readonly exitCode: number
}

type Cluster = {
  readonly primary: PostgresServer
  readonly standby: PostgresServer
  pooler: PgbouncerServer | null
  readonly restartPooler: () => Promise<void>
}

/** Runs it to its end. Throws when the monitor ended by itself, or a server is not LIVE again within 15 s of the last fault. */
export async function soak({ seconds, seed, intervalMs, say }: SoakOptions): Promise<Soaked> {
  build()
  const random = seeded(seed)
  const folder = temporaryFolder('pgvigil-soak')
  const primary = await startPostgres({ version: 16, dir: folder.path })
  const standby = await startStandby(primary, { dir: folder.path, name: 'standby', slot: 'standby' })
  const databases = { postgres: `host=127.0.0.1 port=${primary.port}` }
  const startPooler = (port?: number) =>
    startPgbouncer({ dir: folder.path, databases, users: ['postgres'], ...(port ? { port } : {}) })
  const cluster: Cluster = {
    primary,
    standby,
    pooler: findPgbouncer() ? await startPooler() : null,
    restartPooler: async () => {
      const { port } = cluster.pooler!
      await cluster.pooler!.stop()
      cluster.pooler = await startPooler(port)
    },
  }
  const names: Named[] = [primary, standby, ...(cluster.pooler ? [cluster.pooler] : [])].map(named)
  const consoles = cluster.pooler ? ['--pgbouncer', cluster.pooler.conninfo] : []
  const args = [primary.conninfo, standby.conninfo, ...consoles, '-i', `${intervalMs}ms`]
  const terminal = await monitored(args, names)
  const ended = () => {
    if (terminal.ended()) throw new Error(`it ended: ${JSON.stringify(terminal.ended())}\n${terminal.screen().join('\n')}`)
  }
  try {
    await sleep(2000)
    const before = handles(terminal.pid)
    const samples: { at: number; mb: number }[] = []
    let most = before
    const from = performance.now()
    const watching = setInterval(() => {
      if (terminal.ended()) return
      samples.push({ at: (performance.now() - from) / 60_000, mb: residentMb(terminal.pid) })
      most = Math.max(most, handles(terminal.pid))
    }, 500)
    let faults = 0
    while (performance.now() - from < seconds * 1000) {
      ended()
      const kinds = faultsOf(cluster)
      const [what, cause] = kinds[Math.floor(random() * kinds.length)]!
      const at = performance.now()
      say(`${((at - from) / 1000).toFixed(0)} s: ${what} (${samples.at(-1)?.mb.toFixed(0) ?? '–'} MB)`)
      // A server that is just in trouble can't be given more of it.
      await cause(random).catch(error => say(`  ${(error as Error).message}`))
      thaw()
      faults += 1
      while (performance.now() - at < 5000) {
        await fumble(terminal, random)
        await sleep(random() * 800)
      }
    }
    await ensureRunning(cluster)
    terminal.resize(160, 40)
    for (const name of names) await live(terminal, name, 15_000)
    await sleep(2000)
    clearInterval(watching)
    ended()
    const after = handles(terminal.pid)
    const warm = samples.filter(({ at }) => at > Math.min(2, seconds / 60 / 3))
    const quitAt = performance.now()
    terminal.write('\x1b')
    await sleep(100)
    terminal.write('q')
    const { code } = await terminal.exit
    return {
      faults,
      slopeMbPerMinute: slope(warm),
      residentMb: { warm: warm[0]!.mb, end: samples.at(-1)!.mb, most: Math.max(...samples.map(({ mb }) => mb)) },
      handles: { before, after, most },
      quitMs: performance.now() - quitAt - 100,
      exitCode: code,
    }
  } finally {
    thaw()
    if (!terminal.ended()) process.kill(terminal.pid, 'SIGKILL')
    await cluster.pooler?.stop()
    await standby.stop('immediate')
    await primary.stop('immediate')
    await folder.remove()
  }
}

type Random = () => number
type Fault = readonly [what: string, cause: (random: Random) => Promise<unknown>]

function faultsOf(cluster: Cluster): readonly Fault[] {
  const { primary, standby } = cluster
  const causes: readonly (readonly [string, (server: PostgresServer, random: Random) => Promise<unknown>])[] = [
    [
      'frozen',
      async (server, random) => {
        freeze(server)
        await sleep(500 + random() * 4000)
      },
    ],
    [
      'our backend frozen',
      async (server, random) => {
        const pids = await withClient({ port: server.port }, client => ownPids(client))
        freezePids(...pids)
        await sleep(500 + random() * 4000)
      },
    ],
    ['crash of a backend', crash],
    ['fast restart', server => server.restart('fast')],
    ['immediate restart', server => server.restart('immediate')],
    ['our sessions terminated, five times', terminateOurs],
  ]
  const servers = causes.flatMap(([what, cause]): readonly Fault[] => [
    [`primary: ${what}`, random => cause(primary, random)],
    [`standby: ${what}`, random => cause(standby, random)],
  ])
  const poolers: readonly Fault[] = [
    [
      'pooler: frozen',
      async random => {
        freezePids(cluster.pooler!.pid)
        await sleep(500 + random() * 4000)
      },
    ],
    ['pooler: restart', () => cluster.restartPooler()],
  ]
  return [
    ...servers,
    ...(cluster.pooler ? poolers : []),
    ['primary: statistics reset', () => query(primary, 'select pg_stat_reset()')],
    ['primary: pg_database locked', () => query(primary, 'begin; lock table pg_database; select pg_sleep(3); rollback')],
    ['standby: replay paused', () => query(standby, 'select pg_wal_replay_pause(), pg_sleep(2), pg_wal_replay_resume()')],
  ]
}

const query = (server: PostgresServer, text: string) => withClient({ port: server.port }, client => client.query(text))

async function crash(server: PostgresServer): Promise<void> {
  const victim: pg.Client = await connect({ port: server.port })
  const { rows } = await victim.query('select pg_backend_pid() as pid')
  process.kill(rows[0].pid, 'SIGKILL')
}

async function terminateOurs(server: PostgresServer): Promise<void> {
  await withClient({ port: server.port }, async client => {
    for (let n = 0; n < 5; n++) {
      for (const pid of await ownPids(client)) await client.query('select pg_terminate_backend($1)', [pid])
      await sleep(300)
    }
  })
}

async function ensureRunning({ primary, standby }: Cluster): Promise<void> {
  for (const server of [primary, standby]) if (!server.running()) await server.start()
}

/** Keys and sizes as they come: none of these keys does anything to a server. */
async function fumble(terminal: Terminal, random: Random): Promise<void> {
  const keys = [
    '1',
    '2',
    '3',
    '4',
    '5',
    '6',
    '7',
    'j',
    'k',
    '>',
    '<',
    '\t',
    '\r',
    '\x1b',
    '\x1bOP',
    'p',
    'i',
    '@',
    '\x0c',
    '\x1b[6~',
  ]
  if (random() < 0.2) terminal.resize(1 + Math.floor(random() * 220), 1 + Math.floor(random() * 60))
  terminal.write(keys[Math.floor(random() * keys.length)]!)
}

const handles = (pid: number) => readdirSync(`/proc/${pid}/fd`).length

function slope(samples: readonly { readonly at: number; readonly mb: number }[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const [at, mb] = [mean(samples.map(s => s.at)), mean(samples.map(s => s.mb))]
  const over = samples.reduce((sum, s) => sum + (s.at - at) * (s.mb - mb), 0)
  return over / samples.reduce((sum, s) => sum + (s.at - at) ** 2, 0)
}

/** Numbers in [0, 1) that a seed decides (mulberry32). */
export function seeded(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
