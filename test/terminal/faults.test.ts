// Servers that freeze, stop, drop us or never were: the screen says so with the age of its data, and nothing else is held up.

import { execFileSync } from 'node:child_process'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { build, endAll, startMonitor, type Terminal } from '../support/terminal.ts'

let folder: Folder
let server: PostgresServer
let other: PostgresServer
let frozen: readonly number[] = []

beforeAll(async () => {
  build()
  folder = temporaryFolder()
  server = await startPostgres({ version: 16, dir: folder.path })
  other = await startPostgres({ version: 18, dir: folder.path })
})
afterEach(async () => {
  thaw()
  endAll()
  if (!server.running()) await server.start()
})
afterAll(async () => {
  await server.stop('immediate')
  await other.stop('immediate')
  await folder.remove()
})

/** Stops the postmaster and all its children, as a hung machine or storage does. */
function freeze(): void {
  const children = execFileSync('pgrep', ['-P', String(server.pid())], { encoding: 'utf8' })
  frozen = [server.pid(), ...children.trim().split('\n').map(Number)]
  signalAll('SIGSTOP')
}

function thaw(): void {
  signalAll('SIGCONT')
  frozen = []
}

function signalAll(signal: NodeJS.Signals): void {
  for (const pid of frozen) {
    try {
      process.kill(pid, signal)
    } catch {
      // It has ended by itself.
    }
  }
}

const line = (terminal: Terminal, port: number) => terminal.screen().find(text => text.startsWith(`127.0.0.1:${port} `)) ?? ''
const word = (terminal: Terminal, port: number) => /^\S+ +\S+ +([A-Z]+)/.exec(line(terminal, port))?.[1]
/** Age of the data in seconds as the server's line tells it, null where it tells none. */
const age = (terminal: Terminal, port: number) => {
  const told = /(?:STALE|DOWN) ([\d.]+)s/.exec(line(terminal, port))?.[1]
  return told === undefined ? null : Number(told)
}

async function monitored(...more: string[]): Promise<Terminal> {
  const terminal = startMonitor([server.conninfo, other.conninfo, ...more])
  await terminal.until(() => word(terminal, server.port) === 'LIVE' && word(terminal, other.port) === 'LIVE', 'both LIVE')
  await terminal.waitFor('(pgvigil itself)')
  return terminal
}

async function ours(client: pg.Client): Promise<number[]> {
  const { rows } = await client.query(`select pid from pg_stat_activity where application_name = 'pgvigil'`)
  return rows.map(row => row.pid as number)
}

describe('a frozen server', () => {
  it('is STALE or DOWN with an age that grows; the other is LIVE, keys are answered; LIVE again after it goes on', async () => {
    const terminal = await monitored()
    freeze()
    const frozenAt = performance.now()
    await terminal.until(() => age(terminal, server.port) !== null, 'an age', 3200)
    expect(performance.now() - frozenAt).toBeLessThan(3000)
    // Old data stay in view, marked as such.
    expect(terminal.screen().join('\n')).toContain('(pgvigil itself)')
    await terminal.waitFor(/as of .* ago/)

    const otherWords = new Set<string | undefined>()
    let last = age(terminal, server.port)!
    for (let n = 0; n < 5; n++) {
      const before = last
      last = await terminal.until(
        () => {
          otherWords.add(word(terminal, other.port))
          const now = age(terminal, server.port)
          return now !== null && now > before && now
        },
        'an age that grows',
        2500,
      )
    }
    expect([...otherWords]).toEqual(['LIVE'])

    for (const [keys, shown] of [
      ['\x1bOP', /Help: lines/],
      ['q', /^ PID/m],
      ['3', /STANDBY/],
      ['1', /^ PID/m],
      ['/walwriter', /filter: walwriter|Filter: walwriter/],
    ] as const) {
      const pressedAt = performance.now()
      terminal.write(keys)
      await terminal.waitFor(shown, 300)
      expect(performance.now() - pressedAt).toBeLessThan(300)
    }

    thaw()
    const thawedAt = performance.now()
    await terminal.until(() => word(terminal, server.port) === 'LIVE', 'LIVE again', 7000)
    expect(performance.now() - thawedAt).toBeLessThan(6500)
    const client = await connect({ port: server.port })
    expect((await ours(client)).length).toBeLessThanOrEqual(2)
    await client.end()
  })

  it('q ends within a second with status 0', async () => {
    const terminal = await monitored()
    freeze()
    await terminal.until(() => age(terminal, server.port) !== null, 'an age', 4000)
    const pressedAt = performance.now()
    terminal.write('q')
    expect(await terminal.exit).toEqual({ code: 0, signal: 0 })
    expect(performance.now() - pressedAt).toBeLessThan(1000)
    expect(terminal.alternateScreen()).toBe(false)
  })

  it('when it is only our own backend, another session takes over', async () => {
    const terminal = await monitored()
    const client = await connect({ port: server.port })
    const [pid] = await ours(client)
    frozen = [pid!]
    signalAll('SIGSTOP')
    const stoppedAt = performance.now()
    for (;;) {
      const pids = await ours(client)
      if (pids.some(one => one !== pid)) break
      expect(performance.now() - stoppedAt).toBeLessThan(5000)
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    await terminal.until(() => word(terminal, server.port) === 'LIVE', 'LIVE', 3000)
    await client.end()
  })
})

describe('a server that goes and comes', () => {
  it('stopped and started: DOWN with what the system says, then LIVE, and never an end', async () => {
    const terminal = await monitored()
    await server.stop('fast')
    await terminal.until(() => word(terminal, server.port) === 'DOWN', 'DOWN', 3000)
    await terminal.waitFor(/nothing listens at 127\.0\.0\.1/)
    expect(terminal.screen().join('\n')).toContain('(pgvigil itself)')
    await server.start()
    await terminal.until(() => word(terminal, server.port) === 'LIVE', 'LIVE again', 7000)
  })

  it('each kind of stop in turn: the process lives, and its memory stays what it was', async () => {
    const terminal = await monitored()
    const before = residentMb(terminal.pid)
    for (const mode of ['fast', 'immediate', 'fast', 'immediate'] as const) {
      await server.stop(mode)
      await terminal.until(() => word(terminal, server.port) !== 'LIVE', 'not LIVE', 4000)
      await server.start()
      await terminal.until(() => word(terminal, server.port) === 'LIVE', 'LIVE again', 7000)
    }
    expect(terminal.ended()).toBeNull()
    expect(residentMb(terminal.pid) - before).toBeLessThan(60)
  })

  it('our session terminated 50 times: alive, LIVE again, and no storm of connections', async () => {
    const terminal = await monitored('-i', '100ms')
    const client = await connect({ port: server.port })
    const seen = new Set<number>()
    for (let n = 0; n < 50; n++) {
      for (const pid of await ours(client)) seen.add(pid)
      await client.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgvigil'`)
      await new Promise(resolve => setTimeout(resolve, 40))
    }
    expect(terminal.ended()).toBeNull()
    // In two seconds: at once, after 0.25, 0.5, 1 and 2 s.
    expect(seen.size).toBeGreaterThan(1)
    expect(seen.size).toBeLessThanOrEqual(6)
    await terminal.until(() => word(terminal, server.port) === 'LIVE', 'LIVE again', 7000)
    await terminal.until(() => /tps/.test(line(terminal, server.port)), 'figures', 3000)
    await client.end()
  })

  it('down at the start: the screen opens, says so, and comes up with the server', async () => {
    await server.stop('fast')
    const terminal = startMonitor([server.conninfo])
    await terminal.until(() => word(terminal, server.port) === 'DOWN', 'DOWN', 3000)
    expect(terminal.alternateScreen()).toBe(true)
    await server.start()
    await terminal.until(() => word(terminal, server.port) === 'LIVE', 'LIVE', 7000)
    await terminal.waitFor('(pgvigil itself)')
  })
})

function residentMb(pid: number): number {
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024
}
