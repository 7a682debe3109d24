// One size of the load: the monitor in a terminal of 200x50 beside psql and a bare count, all at the same time.

import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connect } from '../../src/lab/client.ts'
import { node, program, start, type Terminal } from '../support/terminal.ts'
import { type Load, type Role, type ServerCost, serverCost, startTap } from './load.ts'
import { cpuMs, lastChild, median, percentile, residentMb } from './process-cost.ts'

export const intervalMs = 2000
const size = { columns: 200, rows: 50 }

/** The top of pg_stat_activity, as somebody would watch it with psql. */
export const topOfActivity = `SELECT pid, usename, datname, application_name, client_addr, state, wait_event_type, wait_event,
  now() - xact_start AS xact_age, now() - query_start AS query_age, left(query, 60) AS query
  FROM pg_stat_activity WHERE pid <> pg_backend_pid() ORDER BY xact_start NULLS LAST LIMIT 45`
const floorText = 'SELECT count(*) FROM pg_stat_get_activity(NULL)'

/** Per refresh where nothing else is said. NaN: not measured. */
export type Cost = {
  readonly who: string
  readonly cpuMs: number
  readonly terminalBytes: number
  readonly serverMs: number
  readonly calls: number
  readonly receivedBytes: number
  readonly residentMb: number
  readonly firstFrameMs: number
}

export type SizeResult = {
  readonly sessions: number
  readonly costs: readonly Cost[]
  readonly floorMs: number
  readonly bytes: { readonly steady: number; readonly moving: number; readonly held: number; readonly key: number }
  readonly movingCpuMs: number
  readonly keyToFrameMs: { readonly p50: number; readonly p95: number; readonly max: number }
  readonly loopBlockedMs: { readonly p99: number; readonly max: number } | null
  readonly statements: ServerCost['statements']
  /** A fixed piece of work before each round: what the machine itself varies by. Milliseconds. */
  readonly calibration: { readonly median: number; readonly min: number; readonly max: number }
  readonly notes: readonly string[]
}

export type Plan = { readonly rounds: number; readonly refreshes: number; readonly starts: number; readonly keys: number }

/** The same work each time; what it takes tells how busy the machine is otherwise. */
export function calibrate(): number {
  const from = performance.now()
  let sum = 0
  for (let i = 0; i < 2e7; i++) sum = (sum + i * 31) % 1_000_003
  return sum < 0 ? Number.NaN : performance.now() - from
}

const found = (program: string) => ['/usr/bin', '/usr/local/bin', '/bin'].map(dir => join(dir, program)).find(existsSync) ?? null

type Running = {
  readonly who: string
  readonly role: Role
  readonly terminal: Terminal | null
  readonly pid: number
  readonly received: () => number
  readonly stop: () => Promise<void>
}

async function startVigil(load: Load, more: readonly string[] = []): Promise<Running> {
  const tap = await startTap(load.server.port)
  const terminal = start(node, [...more, program, load.conninfo('vigil', tap.port), '-i', '2s'], size)
  return {
    who: 'pgvigil',
    role: 'vigil',
    terminal,
    pid: terminal.pid,
    received: tap.bytes,
    stop: async () => {
      terminal.write('q')
      await Promise.race([terminal.exit, delay(3000)])
      tap.stop()
    },
  }
}

/** psql with \watch; without psql its statement by a client of ours, which then has no CPU and no terminal of its own. */
async function startTop(load: Load): Promise<Running> {
  const psql = found('psql')
  const tap = await startTap(load.server.port)
  if (psql === null)
    return { ...(await startLoop(load, 'top', topOfActivity, 'bare client, no psql here', tap.port)), received: tap.bytes }
  const terminal = start(psql, ['-X', '-P', 'pager=off', load.conninfo('top', tap.port)], size)
  await terminal.waitFor('postgres=>')
  terminal.write(`${topOfActivity.replaceAll('\n', ' ')} \\watch ${intervalMs / 1000}\r`)
  return {
    who: 'psql \\watch',
    role: 'top',
    terminal,
    pid: lastChild(terminal.pid),
    received: tap.bytes,
    stop: async () => {
      process.kill(lastChild(terminal.pid), 'SIGTERM')
      terminal.hangUp()
      tap.stop()
    },
  }
}

async function startLoop(load: Load, role: Role, text: string, who: string, port = load.server.port): Promise<Running> {
  const client = await connect({ port, user: `bench_${role}`, application_name: who })
  const timer = setInterval(() => void client.query(text).catch(() => {}), intervalMs)
  return {
    who,
    role,
    terminal: null,
    pid: 0,
    received: () => Number.NaN,
    stop: async () => {
      clearInterval(timer)
      await client.end()
    },
  }
}

async function startPeer(load: Load): Promise<Running | null> {
  const peer = found('pg_activity')
  if (peer === null) return null
  const tap = await startTap(load.server.port)
  const terminal = start(peer, [load.conninfo('peer', tap.port), '--refresh', '2'], size)
  return {
    who: 'pg_activity',
    role: 'peer',
    terminal,
    pid: lastChild(terminal.pid),
    received: tap.bytes,
    stop: async () => {
      terminal.write('q')
      await Promise.race([terminal.exit, delay(3000)])
      tap.stop()
    },
  }
}

/** What one of them has cost so far. */
async function reading(load: Load, one: Running) {
  const { calls, ms, statements } = await serverCost(load.admin, one.role)
  return {
    at: performance.now(),
    cpu: one.pid === 0 ? Number.NaN : cpuMs(one.pid),
    bytes: one.terminal === null ? Number.NaN : one.terminal.bytes().length,
    received: one.received(),
    calls,
    ms,
    statements,
  }
}

/** Runs for so many refreshes and tells what one of them has cost each. */
async function round(load: Load, running: readonly Running[], refreshes: number) {
  const readAll = async () => {
    const all: Awaited<ReturnType<typeof reading>>[] = []
    for (const one of running) all.push(await reading(load, one))
    return all
  }
  const before = await readAll()
  await delay(refreshes * intervalMs)
  const after = await readAll()
  return after.map((now, i) => {
    const then = before[i]!
    const per = (value: number) => value / ((now.at - then.at) / intervalMs)
    return {
      cpuMs: per(now.cpu - then.cpu),
      bytes: per(now.bytes - then.bytes),
      received: per(now.received - then.received),
      calls: per(now.calls - then.calls),
      ms: per(now.ms - then.ms),
      statements: now.statements.map(statement => {
        const old = then.statements.find(({ text }) => text === statement.text)
        return { text: statement.text, calls: per(statement.calls - (old?.calls ?? 0)), ms: per(statement.ms - (old?.ms ?? 0)) }
      }),
    }
  })
}

/** Milliseconds from the start of the process to rows of the load on the screen. */
async function firstFrames(starts: number, begin: () => Promise<Running>): Promise<number> {
  const took: number[] = []
  for (let i = 0; i < starts; i++) {
    const from = performance.now()
    const running = await begin()
    await running.terminal!.waitFor(/web-\d+/, 20_000)
    took.push(performance.now() - from)
    await running.stop()
  }
  return median(took)
}

/** Moves the cursor and waits for the line that is drawn in its colour. */
async function keys(terminal: Terminal, count: number) {
  const took: number[] = []
  const bytes: number[] = []
  terminal.write('g')
  await delay(300)
  for (let i = 0; i < count; i++) {
    // Any phase between two ticks.
    await delay(90 + (i % 7) * 53)
    const from = terminal.bytes().length
    const at = performance.now()
    terminal.write(i % 30 < 15 ? 'j' : 'k')
    await terminal.until(() => terminal.bytes(from).includes('46m'), 'a frame after a key', 3000)
    took.push(performance.now() - at)
    await delay(25)
    bytes.push(terminal.bytes().length - from)
  }
  return { took, bytes: median(bytes) }
}

export async function measure(load: Load, plan: Plan): Promise<SizeResult> {
  const notes: string[] = []
  const calibrations: number[] = []
  const vigilFirst = await firstFrames(plan.starts, () => startVigil(load))
  const running = [await startVigil(load), await startTop(load), await startLoop(load, 'floor', floorText, 'count(*)')]
  const peer = await startPeer(load)
  if (peer) running.push(peer)
  else notes.push('pg_activity is not installed here')
  const vigil = running[0]!
  const screen = vigil.terminal!
  await screen.waitFor(/web-\d+/, 20_000)
  await delay(3 * intervalMs)
  await load.admin.query('SELECT pg_stat_statements_reset()')
  const rounds: Awaited<ReturnType<typeof round>>[] = []
  for (let i = 0; i < plan.rounds; i++) {
    calibrations.push(calibrate())
    rounds.push(await round(load, running, plan.refreshes))
  }
  const of = (who: number, figure: 'cpuMs' | 'bytes' | 'received' | 'calls' | 'ms') =>
    median(rounds.map(one => one[who]![figure]))
  const costs = running.map(
    (one, i): Cost => ({
      who: one.who,
      cpuMs: of(i, 'cpuMs'),
      terminalBytes: of(i, 'bytes'),
      serverMs: of(i, 'ms'),
      calls: of(i, 'calls'),
      receivedBytes: of(i, 'received'),
      residentMb: one.pid === 0 ? Number.NaN : residentMb(one.pid),
      firstFrameMs: i === 0 ? vigilFirst : Number.NaN,
    }),
  )
  const pressed = await keys(screen, plan.keys)
  screen.write('p')
  await delay(intervalMs)
  const [held] = await round(load, [vigil], 3)
  screen.write('pg')
  const stirring = setInterval(() => void load.stir(Math.ceil(load.sessions / 8)).catch(() => {}), intervalMs / 8)
  await delay(intervalMs)
  const [moving] = await round(load, [vigil], plan.refreshes)
  clearInterval(stirring)
  for (const one of running) await one.stop()
  return {
    sessions: load.sessions,
    costs,
    floorMs: of(2, 'ms'),
    bytes: { steady: of(0, 'bytes'), moving: moving!.bytes, held: held!.bytes, key: pressed.bytes },
    movingCpuMs: moving!.cpuMs,
    keyToFrameMs: { p50: median(pressed.took), p95: percentile(pressed.took, 0.95), max: Math.max(...pressed.took) },
    loopBlockedMs: await loopBlocked(load),
    statements: rounds.at(-1)![0]!.statements.filter(({ calls }) => calls > 0),
    calibration: { median: median(calibrations), min: Math.min(...calibrations), max: Math.max(...calibrations) },
    notes,
  }
}

/** A run of its own, since the measuring costs CPU: ten seconds with keys and everything moving. */
async function loopBlocked(load: Load): Promise<SizeResult['loopBlockedMs']> {
  const file = join(load.folder.path, 'loop.json')
  process.env.PGVIGIL_LOOP_FILE = file
  const terminal = start(
    node,
    ['--import', join(import.meta.dirname, 'loop-delay.mjs'), program, load.conninfo('vigil'), '-i', '2s'],
    { ...size, env: { PGVIGIL_LOOP_FILE: file } },
  )
  await terminal.waitFor(/web-\d+/, 20_000)
  await delay(4000)
  for (let i = 0; i < 20; i++) {
    await load.stir(Math.ceil(load.sessions / 10))
    terminal.write('j')
    await delay(500)
  }
  terminal.write('q')
  await Promise.race([terminal.exit, delay(3000)])
  if (!existsSync(file)) return null
  const told = JSON.parse(readFileSync(file, 'utf8'))
  rmSync(file)
  return told
}
