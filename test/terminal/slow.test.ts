// A terminal that is slow or reads nothing at all: polling and deeds go on, nothing piles up, and the newest picture comes when it reads again.

import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { residentMb } from '../bench/process-cost.ts'
import { build, endAll, startMonitor, type Terminal } from '../support/terminal.ts'

let folder: Folder
let server: PostgresServer
let admin: pg.Client

beforeAll(async () => {
  build()
  folder = temporaryFolder()
  server = await startPostgres({ version: 16, dir: folder.path })
  admin = await connect({ port: server.port, application_name: 'admin' })
})
afterAll(async () => {
  await admin.end()
  await server.stop('immediate')
  await folder.remove()
})
afterEach(endAll)

const monitor = async (more: readonly string[] = []) => {
  const env = { XDG_STATE_HOME: folder.path }
  const terminal = startMonitor([server.conninfo, '-i', '200ms', ...more], { columns: 200, rows: 50, env })
  await terminal.waitFor('admin@')
  return terminal
}

/** Stops reading, and lets so many pictures be made that the way to the terminal is full. */
async function stall(terminal: Terminal): Promise<void> {
  terminal.reads(false)
  for (let i = 0; i < 30; i++) {
    // Another pane is another picture as a whole.
    terminal.write('\t')
    await delay(40)
  }
}

/** When our session of that monitor last asked something. */
async function lastAsked(): Promise<number> {
  const { rows } = await admin.query(
    `SELECT extract(epoch FROM max(query_start))::float8 AS at FROM pg_stat_activity WHERE application_name = 'pgvigil'`,
  )
  return rows[0].at
}

const clockOf = (terminal: Terminal) => /(\d\d):(\d\d):(\d\d)\s*$/.exec(terminal.screen()[0] ?? '')
const shownAt = (terminal: Terminal) => {
  const [, h, m, s] = clockOf(terminal) ?? []
  return Number(h) * 3600 + Number(m) * 60 + Number(s)
}
const secondsOfDay = () => {
  const now = new Date()
  return now.getHours() * 3600 + now.getMinutes() * 60 + now.getSeconds()
}

describe('a terminal that reads nothing', () => {
  it('is waited for by nobody: the servers are asked as ever, and the newest picture comes when it reads again', async () => {
    const terminal = await monitor()
    await stall(terminal)
    const asked = await lastAsked()
    const memory = residentMb(terminal.pid)
    await delay(3000)
    expect(await lastAsked()).toBeGreaterThan(asked + 2)
    expect(residentMb(terminal.pid) - memory).toBeLessThan(30)
    const before = terminal.bytes().length
    terminal.reads(true)
    await terminal.until(() => Math.abs(secondsOfDay() - shownAt(terminal)) <= 1, 'the time of now on the screen')
    // What had been on its way, and one picture: not thirty.
    expect(terminal.bytes().length - before).toBeLessThan(120_000)
    await terminal.waitFor('slow link')
  })

  it('holds up no deed', async () => {
    const victim = await connect({ port: server.port, application_name: 'victim' })
    const pid: number = (await victim.query('select pg_backend_pid() as pid')).rows[0].pid
    const terminal = await monitor()
    await terminal.waitFor('victim@')
    terminal.write('/victim\r')
    await terminal.waitFor('filter: victim')
    terminal.write('K')
    await terminal.waitFor(`pid ${pid}?`)
    terminal.reads(false)
    for (let i = 0; i < 12; i++) {
      terminal.resize(200 - (i % 2), 50)
      await delay(60)
    }
    terminal.write('y')
    await until(async () => (await admin.query('SELECT FROM pg_stat_activity WHERE pid = $1', [pid])).rowCount === 0)
    terminal.reads(true)
    await terminal.waitFor(/gone/)
    await victim.end().catch(() => {})
  })

  it('keeps nobody from ending', async () => {
    const terminal = await monitor()
    await stall(terminal)
    const from = performance.now()
    terminal.write('q')
    await until(() => ended(terminal.pid))
    expect(performance.now() - from).toBeLessThan(2000)
    terminal.reads(true)
    expect((await terminal.exit).code).toBe(0)
  })
})

/** Asks every 20 ms; fails after 5 s. */
async function until(ask: () => boolean | Promise<boolean>): Promise<void> {
  for (const from = performance.now(); !(await ask()); await delay(20)) {
    if (performance.now() - from > 5000) throw new Error(`waited in vain: ${ask}`)
  }
}

/** Gone, or a corpse: its terminal may not have been read to its end. */
function ended(pid: number): boolean {
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return true
  }
}
