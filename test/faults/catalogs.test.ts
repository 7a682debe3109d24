// Catalogs and tables that somebody has locked: new connections are impossible then, and ours goes on. F26-F28.

import type pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { connect } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { build, endAll } from '../support/terminal.ts'
import { monitored, type Named, named, ownPids, quits, sleep, staysUsable, watchSilence, wordOf } from '../support/under-fault.ts'

let folder: Folder
let server: PostgresServer
let other: PostgresServer
let name: Named
let otherName: Named
/** All connected before anything is locked. */
let looker: pg.Client
let locker: pg.Client
let worker: pg.Client

beforeAll(async () => {
  build()
  folder = temporaryFolder()
  server = await startPostgres({ version: 16, dir: folder.path })
  other = await startPostgres({ version: 13, dir: folder.path })
  name = named(server)
  otherName = named(other)
  looker = await connect({ port: server.port })
  locker = await connect({ port: server.port, application_name: 'locker' })
  worker = await connect({ port: server.port, application_name: 'worker' })
  for (const n of [1, 2, 3, 4]) await looker.query(`create table t${n} as select generate_series(1, ${n}000) i`)
  await worker.query('select pg_sleep(0)')
  await waits()
})
afterEach(async () => {
  await locker.query('rollback')
  endAll()
})
afterAll(async () => {
  for (const client of [looker, locker, worker]) await client.end()
  await server.stop('immediate')
  await other.stop('immediate')
  await folder.remove()
})

/** The longest that a statement of ours has waited for a lock until now, in milliseconds; 0 when none waits. */
async function waits(): Promise<number> {
  const { rows } = await looker.query(
    `select coalesce(max(extract(epoch from clock_timestamp() - l.waitstart)), 0)::float8 as seconds
       from pg_lock_status() l join pg_stat_get_activity(null) a on a.pid = l.pid
      where not l.granted and a.application_name = 'pgvigil'`,
  )
  return rows[0].seconds * 1000
}

/** Samples waits at 20 Hz while something runs; resolves to the longest. */
async function longestWait(work: Promise<unknown>): Promise<number> {
  let [ended, longest] = [false, 0]
  const done = work.finally(() => {
    ended = true
  })
  done.catch(() => {})
  while (!ended) {
    longest = Math.max(longest, await waits())
    await sleep(50)
  }
  await done
  return longest
}

it.each(['pg_database', 'pg_authid', 'pg_class'])(
  'F26 F28: %s locked in ACCESS EXCLUSIVE mode: sessions and waits go on, on the same connection; who locks it is told; no wait beyond 250 ms',
  async catalog => {
    const terminal = await monitored([server.conninfo, other.conninfo], [name, otherName])
    // What a monitor that runs has seen once.
    for (const [key, shown] of [
      ['2', /nobody waits for a lock/],
      ['1', /^ PID /m],
    ] as const) {
      terminal.write(key)
      await terminal.waitFor(shown)
      await sleep(1200)
    }
    const before = await ownPids(looker)
    const { rows } = await locker.query('select pg_backend_pid() as pid')
    await locker.query(`begin; lock table ${catalog}`)
    const lockedAt = performance.now()
    const silence = watchSilence(looker)
    const work = (async () => {
      await terminal.waitFor(
        new RegExp(`${catalog} is locked \\(ACCESS EXCLUSIVE\\) by pid ${rows[0].pid}, idle in transaction`),
        7000,
      )
      // What happens now is seen now.
      const working = worker.query('select pg_sleep(4)')
      await terminal.waitFor(/worker@.* active .*pg_sleep\(4\)/, 3000)
      await staysUsable(terminal, {
        others: [otherName],
        forMs: 9000 - (performance.now() - lockedAt),
        look: () => expect(wordOf(terminal, name)).toBe('LIVE'),
      })
      terminal.write('2')
      await terminal.waitFor(/BLOCKS|nobody waits for a lock/, 1000)
      await sleep(1500)
      expect(wordOf(terminal, name)).toBe('LIVE')
      terminal.write('1')
      await working
    })()
    expect(await longestWait(work)).toBeLessThanOrEqual(250)
    expect(Math.max(...(await silence.stop()))).toBeLessThanOrEqual(2000)
    expect(await ownPids(looker)).toEqual(before)

    await locker.query('rollback')
    await terminal.until(() => !/is locked/.test(terminal.screen().join('\n')), 'the end of it', 8000)
    await terminal.waitFor(/worker@/)
    await quits(terminal)
  },
)

it('F26: somebody waits for the catalog: the locks pane shows who for whom', async () => {
  const terminal = await monitored([server.conninfo], [name])
  await locker.query('begin; lock table pg_database')
  const waiting = worker.query('select count(*) from pg_database')
  terminal.write('2')
  await terminal.waitFor(/ 1 .*locker/, 4000)
  await terminal.waitFor(/worker/, 4000)
  await locker.query('rollback')
  await waiting
  await quits(terminal)
})

it('F27 F28: a table locked in ACCESS EXCLUSIVE mode: its size is "locked", all others are there, within 500 ms', async () => {
  const terminal = await monitored([server.conninfo, other.conninfo], [name, otherName])
  await locker.query('begin; lock table t3')
  const pressedAt = performance.now()
  terminal.write('6')
  const work = (async () => {
    await terminal.waitFor(/\.t1 [\s\S]*\.t3 |\.t3 [\s\S]*\.t1 /, 3000)
    expect(performance.now() - pressedAt).toBeLessThanOrEqual(500)
    await terminal.waitFor(/^.*\bt3 .*locked/m, 3000)
    const sized = (n: number) => new RegExp(`\\bt${n} .*\\d+(\\.\\d+)? [kM]B`)
    for (const n of [1, 2, 4]) await terminal.waitFor(sized(n), 3000)
    await sleep(3000)
    expect(wordOf(terminal, name)).toBe('LIVE')
  })()
  expect(await longestWait(work)).toBeLessThanOrEqual(250)
  terminal.write('1')
  await terminal.waitFor(/^ PID /m)
  await staysUsable(terminal, { others: [name, otherName], forMs: 2000 })
  await quits(terminal)
})
