// A network that loses every packet of one server, and name servers that never answer. F7, F40.

import type pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { connect } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { type Network, noNamespaces, startNetwork } from '../support/network.ts'
import { skipped } from '../support/skipped.ts'
import { build, endAll } from '../support/terminal.ts'
import { ageOf, live, monitored, type Named, ownPids, quits, sleep, staysUsable, wordOf } from '../support/under-fault.ts'

const why = noNamespaces()

let folder: Folder
let server: PostgresServer
let other: PostgresServer
let network: Network
let name: Named
let otherName: Named
let client: pg.Client

beforeAll(async () => {
  build()
  folder = temporaryFolder()
  server = await startPostgres({ version: 16, dir: folder.path })
  other = await startPostgres({ version: 16, dir: folder.path, name: 'other' })
  network = await startNetwork([server, other], folder.path)
  name = { id: network.id(0), port: server.port }
  otherName = { id: network.id(1), port: other.port }
  client = await connect({ port: server.port })
})
afterEach(() => {
  network.heal(0)
  endAll()
})
afterAll(async () => {
  await client.end()
  network.stop()
  await server.stop('immediate')
  await other.stop('immediate')
  await folder.remove()
})

const conninfos = (application: string) => [network.conninfo(0, application), network.conninfo(1, application)]
const watched = (application: string, ...more: string[]) =>
  monitored([...conninfos(application), ...more], [name, otherName], {}, network.monitor)

const lost = why === null ? 'packets are lost' : `a relay passes nothing on, since packets can't be lost here (${why})`

it(`F7 F4: ${lost} for 30 s, during a query, while idle and while connecting: marked, keys and others as ever, LIVE soon after`, async () => {
  const leaving = await watched('leaving')
  const asking = await watched('asking', '-i', '200ms')
  const idle = await watched('idle', '-i', '5s')
  await sleep(1000)

  network.drop(0)
  const droppedAt = performance.now()
  const connecting = network.monitor(conninfos('connecting'), { columns: 160, rows: 40 })
  const marked = async (terminal: typeof asking, intervalMs: number) => {
    await terminal.until(() => ageOf(terminal, name) !== null, 'an age', 2 * intervalMs + 2000)
    return performance.now() - droppedAt
  }
  const [askingMs, , leavingMs] = await Promise.all([
    marked(asking, 200),
    live(connecting, otherName, 4000),
    marked(leaving, 1000),
  ])
  // Half a second of the interval, and a second of our own deadline, which is never shorter.
  expect(askingMs).toBeLessThanOrEqual(2 * 200 + 1000)
  expect(leavingMs).toBeLessThanOrEqual(3000)
  await connecting.until(() => wordOf(connecting, name) === 'DOWN' && ageOf(connecting, name) !== null, 'DOWN', 4000)
  await quits(leaving)
  await staysUsable(connecting, { others: [otherName], application: 'connecting', forMs: 4000 })
  expect(await marked(idle, 5000)).toBeLessThanOrEqual(11_000)
  await staysUsable(idle, { others: [otherName], application: 'idle', intervalMs: 5000, forMs: 1000 })
  const before = ageOf(asking, name)!
  await staysUsable(asking, {
    others: [otherName],
    application: 'asking',
    intervalMs: 200,
    forMs: 30_000 - (performance.now() - droppedAt),
  })
  expect(ageOf(asking, name)!).toBeGreaterThan(before)

  network.heal(0)
  const took = await Promise.all([live(asking, name, 8000), live(connecting, name, 8000), live(idle, name, 12_000)])
  expect(took[0]).toBeLessThanOrEqual(200 + 5000)
  expect(took[1]).toBeLessThanOrEqual(1000 + 5000)
  expect(took[2]).toBeLessThanOrEqual(5000 + 5000)
  // What was left behind of the three sessions is gone, too.
  for (const application of ['asking', 'connecting', 'idle']) {
    await expect.poll(async () => (await ownPids(client, application)).length, { timeout: 20_000 }).toBeLessThanOrEqual(2)
  }
  for (const terminal of [asking, connecting, idle]) await quits(terminal)
})

it('F7: lost again and again for a second: the picture goes on, and there is never more than one session at work', async () => {
  const terminal = await watched('again')
  for (let n = 0; n < 5; n++) {
    network.drop(0)
    await sleep(1000)
    network.heal(0)
    await sleep(1000)
    expect((await ownPids(client, 'again')).length).toBeLessThanOrEqual(2)
  }
  await live(terminal, name, 6000)
  await staysUsable(terminal, { others: [name, otherName], application: 'again', forMs: 1000 })
  await quits(terminal)
})

it.skipIf(skipped('F40, dead name servers', why && `no network namespaces: ${why}`))(
  'F40: no name server answers for six names: an address, a socket and localhost are LIVE within 3 s, no older than two intervals, and q ends it',
  async () => {
    const dead = Array.from({ length: 6 }, (_, i) => `host=dead${i}.example.com user=postgres`)
    const socket = `host=${other.socketDir} port=${other.port} user=postgres`
    const startedAt = performance.now()
    const terminal = network.monitor([...dead, network.conninfo(0, 'named'), socket, network.localhost(1)], {
      columns: 160,
      rows: 40,
    })
    const local = /postgres@(\S+?)\/postgres/.exec(network.localhost(1))![1]!
    const well = () => terminal.screen().filter(line => / primary +LIVE .* tps/.test(line))
    await terminal.until(() => well().length === 3, 'three LIVE servers', 6000)
    expect(performance.now() - startedAt).toBeLessThanOrEqual(3000)
    expect(terminal.screen().join('\n')).toContain(local)
    // The servers that answer stand behind those that don't: the pane of the first that does is chosen.
    terminal.write('\x1b[C'.repeat(6))
    await terminal.waitFor(/^ PID /m)
    await staysUsable(terminal, {
      others: [name],
      application: 'named',
      forMs: 12_000,
      look: () => expect(well()).toHaveLength(3),
    })
    expect(terminal.screen().filter(line => /^dead\d\.example\.com:5432 .*DOWN/.test(line))).toHaveLength(6)
    await quits(terminal)
  },
)
