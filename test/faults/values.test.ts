// Counters that begin anew, and roles that may see little: no figure is made up. F39, F40.

import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { connect, withClient } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { findPgbouncer, type PgbouncerServer, startPgbouncer } from '../../src/lab/pgbouncer.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { freePort } from '../../src/lab/process.ts'
import { skipped } from '../support/skipped.ts'
import { build, endAll, type Terminal } from '../support/terminal.ts'
import { lineOf, live, monitored, type Named, named, quits, sleep, wordOf } from '../support/under-fault.ts'

let folder: Folder
let server: PostgresServer
let name: Named

beforeAll(async () => {
  build()
  folder = temporaryFolder()
  server = await startPostgres({ version: 16, dir: folder.path })
  name = named(server)
})
afterEach(endAll)
afterAll(async () => {
  await server.stop('immediate')
  await folder.remove()
})

const noPooler = findPgbouncer() ? null : 'PgBouncer is not installed'
const nonsense = /NaN|Infinity|undefined|\bnull\b|Invalid Date|\[object/
/** The rate of transactions in the line of a server, as it stands there. */
const tps = (terminal: Terminal, of: { readonly id: string }) => / (\S+) tps/.exec(lineOf(terminal, of))?.[1] ?? null
const numberOf = (rate: string) => (rate === '–' ? null : Number(rate.replace('k', '')) * (rate.endsWith('k') ? 1000 : 1))

/** Every rate that the line shows until the end, looked at all the time. */
function watchRates(terminal: Terminal, of: { readonly id: string }): { seen: string[]; stop(): void } {
  const seen: string[] = []
  const timer = setInterval(() => {
    const rate = tps(terminal, of)
    if (rate !== null && rate !== seen.at(-1)) seen.push(rate)
    expect(terminal.screen().join('\n')).not.toMatch(nonsense)
  }, 10)
  return { seen, stop: () => clearInterval(timer) }
}

/** Some hundred transactions a second until stopped. */
function busy(client: pg.Client): () => Promise<void> {
  let ended = false
  const working = (async () => {
    while (!ended) {
      await client.query('select 1').catch(() => sleep(50))
      await sleep(2)
    }
  })()
  return async () => {
    ended = true
    await working
  }
}

describe('F39: counters that begin anew', () => {
  it('F39: pg_stat_reset(): no rate for a tick, never a negative one or a peak', async () => {
    const client = await connect({ port: server.port })
    const rest = busy(client)
    const terminal = await monitored([server.conninfo, '-i', '500ms'], [name])
    await sleep(4000)
    const usual = numberOf(tps(terminal, name)!)!
    const rates = watchRates(terminal, name)
    await withClient({ port: server.port }, other => other.query('select pg_stat_reset()'))
    await terminal.until(() => tps(terminal, name) === '–', 'no rate', 3000)
    await terminal.until(() => tps(terminal, name) !== '–', 'a rate', 3000)
    await sleep(3000)
    rates.stop()
    for (const rate of rates.seen.map(numberOf)) if (rate !== null) expect(rate).toBeLessThan(4 * usual + 50)
    await rest()
    await client.end()
    await quits(terminal)
  })

  it('F39: a crash, which sets counters back and says so nowhere: the first rate afterwards is –', async () => {
    // Few transactions before, many after: a rate over the crash would look like one.
    const terminal = await monitored([server.conninfo], [name])
    const victim = await connect({ port: server.port })
    const { rows } = await victim.query('select pg_backend_pid() as pid')
    const rates = watchRates(terminal, name)
    process.kill(rows[0].pid, 'SIGKILL')
    await terminal.until(() => wordOf(terminal, name) !== 'LIVE', 'not LIVE', 3000)
    const before = rates.seen.length
    await terminal.until(() => wordOf(terminal, name) === 'LIVE' && tps(terminal, name) !== null, 'LIVE again', 8000)
    expect(rates.seen.slice(before)[0] ?? tps(terminal, name)).toBe('–')
    await live(terminal, name, 5000)
    rates.stop()
    await quits(terminal)
  })

  it.skipIf(skipped('F39, a PgBouncer that is restarted', noPooler))('F39: a PgBouncer that is restarted: the same', async () => {
    const port = await freePort()
    const databases = { postgres: `host=127.0.0.1 port=${server.port}` }
    const begin = (): Promise<PgbouncerServer> => startPgbouncer({ dir: folder.path, databases, users: ['postgres'], port })
    let pooler = await begin()
    const through = () => connect({ port })
    let client = await through()
    let rest = busy(client)
    const pooled = named(pooler)
    const terminal = await monitored([server.conninfo, '--pgbouncer', pooler.conninfo], [name, pooled])
    await terminal.until(() => /\d tps/.test(lineOf(terminal, pooled)), 'a rate', 5000)
    const rates = watchRates(terminal, pooled)
    await rest()
    await pooler.stop()
    await terminal.until(() => wordOf(terminal, pooled) === 'DOWN', 'DOWN', 3000)
    const before = rates.seen.length
    pooler = await begin()
    client = await through()
    rest = busy(client)
    await terminal.until(() => wordOf(terminal, pooled) === 'LIVE' && tps(terminal, pooled) !== null, 'LIVE again', 8000)
    expect(rates.seen.slice(before)[0] ?? tps(terminal, pooled)).toBe('–')
    await terminal.until(() => /\d tps/.test(lineOf(terminal, pooled)), 'a rate again', 5000)
    rates.stop()
    await rest()
    await client.end()
    await pooler.stop()
    await quits(terminal)
  })
})

it('F40: a role without any right: the pages are there, say restricted, and call nobody idle or active', async () => {
  await withClient({ port: server.port }, client => client.query('create role nobody_much login'))
  const others = await Promise.all([1, 2, 3].map(() => connect({ port: server.port, application_name: 'hidden' })))
  for (const client of others) await client.query('begin')
  const terminal = await monitored([`postgres://nobody_much@127.0.0.1:${server.port}/postgres`], [name], { columns: 200 })
  await terminal.waitFor(/GRANT pg_monitor TO nobody_much/)
  await terminal.until(() => terminal.screen().filter(line => /hidden/.test(line)).length === 3, 'their rows')
  for (const line of terminal.screen().filter(line => /hidden/.test(line))) {
    expect(line).toMatch(/restricted/)
    expect(line).not.toMatch(/\bidle\b|\bactive\b/)
  }
  expect(lineOf(terminal, name)).toMatch(/– active +– waiting +– idle in xact/)
  for (const key of '234567') {
    terminal.write(key)
    await sleep(1300)
    expect(terminal.screen().join('\n')).not.toMatch(nonsense)
    expect(wordOf(terminal, name)).toBe('LIVE')
  }
  for (const client of others) await client.end()
  await quits(terminal)
})
