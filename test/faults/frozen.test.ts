// A server that hangs: the screen says so with the age of its data, nothing else is held up, and when it goes on so do we. F1-F6, F8.

import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { freeze, freezePids, sockets, socketsTo, thaw } from '../support/freeze.ts'
import { build, endAll, startMonitor } from '../support/terminal.ts'
import {
  ageOf,
  lineOf,
  live,
  monitored,
  type Named,
  named,
  ownPids,
  quits,
  sleep,
  staysUsable,
  wordOf,
} from '../support/under-fault.ts'

let folder: Folder
let server: PostgresServer
let other: PostgresServer
let name: Named
let otherName: Named
let client: pg.Client

beforeAll(async () => {
  build()
  folder = temporaryFolder()
  server = await startPostgres({ version: 16, dir: folder.path })
  other = await startPostgres({ version: 18, dir: folder.path })
  name = named(server)
  otherName = named(other)
  client = await connect({ port: server.port })
})
afterEach(() => {
  thaw()
  endAll()
})
afterAll(async () => {
  await client.end()
  await server.stop('immediate')
  await other.stop('immediate')
  await folder.remove()
})

const both = (...more: string[]) => monitored([server.conninfo, other.conninfo, ...more], [name, otherName])

it('F1 F2 F3 F4 F5: frozen for a minute: marked with its age, others and keys as ever, few attempts, then LIVE again', async () => {
  const leaving = await both()
  const terminal = await both()
  await terminal.waitFor('(pgvigil itself)')

  freeze(server)
  const frozenAt = performance.now()
  // F1
  await terminal.until(() => ageOf(terminal, name) !== null, 'an age', 4000)
  expect(performance.now() - frozenAt).toBeLessThanOrEqual(3000)
  expect(terminal.screen().join('\n')).toContain('(pgvigil itself)')
  await terminal.waitFor(/as of .* ago/)
  for (let n = 0; n < 5; n++) {
    const before = ageOf(terminal, name)!
    await terminal.until(() => ageOf(terminal, name)! > before, 'an age that grows each second', 1500)
  }

  // F3: both have been frozen out by now.
  await quits(leaving)

  // F2 and F4
  const attempts = new Set<number>()
  let mostAtOnce = 0
  let mostListening = 0
  const look = () => {
    const mine = socketsTo(terminal.pid, server.port)
    for (const { localPort } of mine) attempts.add(localPort)
    mostAtOnce = Math.max(mostAtOnce, mine.length)
    // Also those that we have closed and nobody has taken; 0A is the listener itself.
    mostListening = Math.max(
      mostListening,
      sockets().filter(({ localPort, state }) => localPort === server.port && state !== '0A').length,
    )
    expect(['STALE', 'DOWN']).toContain(wordOf(terminal, name))
  }
  await staysUsable(terminal, { others: [otherName], forMs: 60_000 - (performance.now() - frozenAt), look })
  expect(mostAtOnce).toBeLessThanOrEqual(1)
  expect(attempts.size).toBeGreaterThan(5)
  expect(attempts.size).toBeLessThanOrEqual(16)
  // Our own client's, and those of the monitor that has quit.
  expect(mostListening).toBeLessThanOrEqual(16 + 4)
  const printed = terminal.bytes().length

  // F5
  thaw()
  expect(await live(terminal, name, 8000)).toBeLessThanOrEqual(6000)
  await sleep(10_000)
  expect((await ownPids(client)).length).toBeLessThanOrEqual(2)
  expect(terminal.bytes(printed).toString()).not.toMatch(/STALE|connection is closed/)
  await staysUsable(terminal, { others: [name, otherName], forMs: 1000 })
  await quits(terminal)
}, 150_000)

it('F5 at a short interval: LIVE within an interval and 5 s after the server goes on', async () => {
  const terminal = await both('-i', '200ms')
  freeze(server)
  // So long that attempts are as far apart as they get.
  await sleep(17_000)
  thaw()
  expect(await live(terminal, name, 8000)).toBeLessThanOrEqual(5200)
})

it('F6: our own backend alone is frozen: another session takes over', async () => {
  const terminal = await both()
  const [pid] = await ownPids(client)
  freezePids(pid!)
  const frozenAt = performance.now()
  await expect.poll(async () => (await ownPids(client)).some(one => one !== pid), { timeout: 3000, interval: 30 }).toBe(true)
  expect(performance.now() - frozenAt).toBeLessThanOrEqual(3000)
  await live(terminal, name, Math.max(0, 5000 - (performance.now() - frozenAt)))
  await staysUsable(terminal, { others: [otherName], forMs: 2000 })
  thaw()
  await expect.poll(async () => (await ownPids(client)).length, { timeout: 5000 }).toBe(1)
  await quits(terminal)
})

describe('a postmaster alone that is frozen, its backends not', () => {
  it('the session that there is goes on; a monitor started now says that there is no answer, and q ends it', async () => {
    const terminal = await both()
    freezePids(server.pid())
    await staysUsable(terminal, { others: [otherName], forMs: 3000, look: () => expect(wordOf(terminal, name)).toBe('LIVE') })
    const late = startMonitor([server.conninfo, other.conninfo])
    await late.waitFor(/DOWN .*no answer within [\d.]+ s while connecting/, 5000)
    expect(wordOf(late, otherName)).toBe('LIVE')
    expect(lineOf(late, name)).toContain('no answer')
    await quits(late)
    await quits(terminal)
  })
})

describe('F8: nothing of ours runs on for long on a server', () => {
  it('whatever the pane: the bound of each session is below 5 s, and after kill -9 none is active for 15 s', async () => {
    const terminal = await both('-i', '100ms')
    for (const key of '123456711') {
      terminal.write(key)
      await sleep(300)
    }
    // In the middle of statements: a frozen backend doesn't notice that we are gone.
    const pids = await ownPids(client)
    freezePids(...pids)
    await sleep(300)
    const { rows } = await client.query(`select state from pg_stat_get_activity(null) where pid = any($1)`, [pids])
    expect(rows).toHaveLength(1)
    process.kill(terminal.pid, 'SIGKILL')
    await terminal.exit
    thaw()
    await expect
      .poll(
        async () => {
          const { rows } = await client.query(
            `select count(*)::int as n from pg_stat_get_activity(null) where application_name = 'pgvigil' and state = 'active'`,
          )
          return rows[0].n
        },
        { timeout: 15_000 },
      )
      .toBe(0)
  })
})
