// PAUSE, RESUME, KILL and what else can be done to a PgBouncer: on the one that is installed, before a real PostgreSQL; and what only newer
// ones tell, on a console that plays them. PGVIGIL_TEST_PGBOUNCER names another program to be tested instead of the installed one.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { actionById } from '../../src/actions/index.ts'
import { poolActions } from '../../src/actions/pools.ts'
import * as deeds from '../../src/deeds.ts'
import { connect, withClient } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { findPgbouncer, type PgbouncerServer, startPgbouncer } from '../../src/lab/pgbouncer.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { activityList } from '../../src/panels/activity.ts'
import type { AnyRow } from '../../src/panels/panel.ts'
import { poolsPanel } from '../../src/panels/pools.ts'
import { workLines } from '../../src/panels/works.ts'
import { awaitedBy } from '../../src/sessions.ts'
import type { OwnPause, State, Work } from '../../src/store/state.ts'
import { type Acting, type Asked, acting } from '../support/acting.ts'
import { type PgbouncerStub, type StubVersion, startPgbouncerStub, type Taken } from '../support/pgbouncer-stub.ts'

const chosen = process.env.PGVIGIL_TEST_PGBOUNCER
// The first in PATH is taken.
if (chosen) process.env.PATH = [dirname(chosen), process.env.PATH ?? ''].join(delimiter)
const program = findPgbouncer()
/** Of the installed one: 18 for 1.18. */
const minor = program ? Number(/\b1\.(\d+)/.exec(execFileSync(program, ['--version'], { encoding: 'utf8' }))?.[1]) : 0

const list = (id: string) => poolsPanel.lists.find(one => one.id === id)!
const soon = { timeout: 10_000, interval: 20 }
const once = (check: () => unknown) => vi.waitFor(check, soon)

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

type Hold = { readonly user?: string; readonly postgres?: PostgresServer; readonly intervalMs?: number }

function pgvigil(port: number, { user = 'postgres', postgres, intervalMs }: Hold = {}): Acting {
  const console = `host=127.0.0.1 port=${port} user=${user} application_name=pgvigil`
  const started = acting(
    [...(postgres ? [{ id: 'pg', conninfo: postgres.conninfo }] : []), { id: 'pgb', kind: 'pgbouncer', conninfo: console }],
    [...poolsPanel.lists, ...(postgres ? [activityList] : [])],
    intervalMs,
  )
  ends.push(started.stop)
  return started
}

/** So rarely that what has happened since the question is not seen before the deed. */
const rarely = 60_000

const poolOf = (hands: Acting, database = 'app') =>
  hands.row(list('pools'), row => String(row.database) === database, `a pool of ${database}`)

/** The question that an action asks; fails where it can't be done. */
function question(hands: Acting, action: string, row: AnyRow): Asked {
  const asked = hands.ask(action, [row])
  if (typeof asked === 'string') throw new Error(`${action}: ${asked}`)
  return asked
}
const confirmed = async (hands: Acting, action: string, row: AnyRow, seconds?: number) =>
  (await hands.confirm(question(hands, action, row), seconds)).items[0]!

const pauses = (state: State) => state.pauses
const phaseIs = (phase: OwnPause['phase']) => (state: State) => state.pauses[0]?.phase === phase
const noPause = (state: State) => state.pauses.length === 0
const told = (state: State) =>
  workLines(state)
    .map(({ text }) => text.trim())
    .join(' ')
const workOf = (state: State, action: string) => state.works.findLast(work => work.action === action) as Work

/** What the trail says of an action: phase, outcome and words. */
const trail = (hands: Acting, action: string) =>
  hands
    .audit()
    .filter(line => line.action === action)
    .map(({ phase, outcome, detail }) => [phase, outcome, detail])

// Left out where none is installed: Debian has it as the package pgbouncer.
describe.skipIf(!program)(program ? `PgBouncer 1.${minor} before a PostgreSQL` : 'PgBouncer, which is not installed', () => {
  let folder: Folder
  let postgres: PostgresServer
  let place: string
  let started = 0

  beforeAll(async () => {
    folder = temporaryFolder('pgvigil-deeds-pools')
    postgres = await startPostgres({ version: 16, dir: folder.path })
    await withClient(postgres, client => client.query('CREATE ROLE web LOGIN'))
    place = `host=127.0.0.1 port=${postgres.port} dbname=postgres`
  })
  afterAll(async () => {
    await postgres?.stop('immediate')
    await folder?.remove()
  })

  type Bouncer = Awaited<ReturnType<typeof bouncer>>
  type Setting = { settings?: Record<string, string | number>; databases?: Record<string, string> }

  /** A fresh one, with databases app and other unless said otherwise. */
  async function bouncer({ settings = {}, databases = { app: place, other: place } }: Setting = {}) {
    const dir = join(folder.path, `b${++started}`)
    const options = { dir, databases, users: ['web', 'watcher'], settings: { stats_users: 'watcher', ...settings } }
    const clients: pg.Client[] = []
    let server: PgbouncerServer = await startPgbouncer(options)
    ends.push(async () => {
      await server.stop()
      for (const client of clients) await client.end().catch(() => {})
    })
    const { port } = server
    const file = join(dir, 'pgbouncer', 'pgbouncer.ini')
    const console = (command: string) => withClient({ port, database: 'pgbouncer' }, client => client.query(command))
    return {
      port,
      console,
      signal: (name: NodeJS.Signals) => server.signal(name),
      /** Killed, and where it was. */
      kill: () => server.stop(),
      startAgain: async () => {
        server = await startPgbouncer({ ...options, port })
      },
      /** A client that has done something: its pool is there. */
      async client(database = 'app', application_name = 'web-1') {
        const client = await connect({ port, database, user: 'web', application_name })
        clients.push(client)
        await client.query('SELECT 1')
        return client
      },
      async rewrite(change: (ini: string) => string) {
        const before = readFileSync(file, 'utf8')
        const after = change(before)
        if (after === before) throw new Error('nothing was changed in pgbouncer.ini')
        writeFileSync(file, after)
      },
      async database(name: string): Promise<Record<string, unknown> | undefined> {
        return (await console('SHOW DATABASES')).rows.find(row => row.name === name)
      },
      /** Connections of pgvigil to the console. */
      async consoles(): Promise<number> {
        const { rows } = await console('SHOW CLIENTS')
        return rows.filter(row => row.database === 'pgbouncer' && row.application_name === 'pgvigil').length
      },
    }
  }

  /** The reading connection is all that pgvigil has left. */
  const noneHangs = (from: Bouncer) => once(async () => expect(await from.consoles()).toBe(1))

  /** A statement that may have to wait. */
  function sent(client: pg.Client, sql = 'SELECT 1') {
    const state = { answered: false, error: '' }
    client.query(sql).then(
      () => {
        state.answered = true
      },
      (error: Error) => {
        state.error = error.message
      },
    )
    return state
  }

  async function inTransaction(from: Bouncer, database = 'app', application_name = 'holder') {
    const client = await from.client(database, application_name)
    await client.query('BEGIN')
    const { rows } = await client.query('SELECT pg_backend_pid() AS pid')
    return { client, pid: rows[0].pid as number }
  }

  describe('PAUSE of a database', () => {
    test('takes effect at once where no transaction is open, and RESUME lets the clients go on', async () => {
      const pooler = await bouncer()
      const client = await pooler.client()
      const hands = pgvigil(pooler.port)
      const row = await poolOf(hands)
      const asked = question(hands, 'pause', row)
      expect(asked).toMatchObject({ words: null, sql: ['PAUSE "app"'], targets: [{ server: 'pgb', role: 'pgbouncer' }] })
      expect(asked.question.follows[0]).toEqual({ text: 'no transaction is open: it takes effect at once', tone: 'ok' })
      expect((await hands.confirm(asked, 60)).items).toMatchObject([
        { outcome: 'done', say: expect.stringMatching(/^paused after/) },
      ])
      expect(pauses(hands.state())).toMatchObject([{ server: 'pgb', database: 'app', by: 'PAUSE', phase: 'in force' }])
      expect(told(hands.state())).toMatch(/^PAUSED app on pgb for .*, resumes by itself in \d+s; R in 5 Pools resumes/)
      expect(hands.actor.unfinished()).toBe(true)
      const waits = sent(client)
      await hands.until(() => Number(hands.rows(list('pools'))[0]?.cl_waiting) === 1, 'the client to wait')
      expect(waits.answered).toBe(false)
      expect(await confirmed(hands, 'resume', row)).toMatchObject({ outcome: 'done', say: 'traffic flows again' })
      await once(() => expect(waits.answered).toBe(true))
      expect(pauses(hands.state())).toEqual([])
      expect(hands.actor.unfinished()).toBe(false)
      await noneHangs(pooler)
      const both = { server: 'pgb', role: 'pgbouncer', user: 'postgres', target: { database: 'app' }, osUser: 'tester' }
      expect(hands.audit()).toMatchObject([
        { ...both, phase: 'begun', action: 'pause', sql: 'PAUSE "app"', outcome: null },
        { ...both, phase: 'ended', action: 'pause', sql: 'PAUSE "app"', outcome: 'done' },
        { ...both, phase: 'begun', action: 'resume', sql: 'RESUME "app"', outcome: null },
        { ...both, phase: 'ended', action: 'resume', sql: 'RESUME "app"', outcome: 'done' },
      ])
    })

    test('waits for an open transaction and says for whom; RESUME ends it within a second, and no console hangs', async () => {
      const pooler = await bouncer()
      const holder = await inTransaction(pooler)
      const other = await pooler.client('app', 'web-2')
      const hands = pgvigil(pooler.port, { postgres })
      const row = await poolOf(hands)
      await hands.until(
        state => awaitedBy(state, 'pgb', null).some(({ session }) => session !== null),
        'the session behind the pooler',
      )
      const asked = question(hands, 'pause', row)
      expect(asked.question.follows[0]?.text).toBe('1 open transaction must end first; what begins meanwhile waits')
      expect(asked.question.hit.map(cells => cells.slice(0, 4))).toEqual([
        [String(holder.pid), 'app', expect.stringMatching(/^holder@127/), 'idle in transaction'],
      ])
      const work = hands.begin(asked, 60)
      const state = await hands.until(phaseIs('pending'), 'the pause to be pending')
      expect(awaitedBy(state, 'pgb', pauses(state)[0]!.database)).toMatchObject([
        {
          pid: holder.pid,
          client: expect.stringMatching(/^holder@127\.0\.0\.1:\d+$/),
          session: { pid: holder.pid, xactAgeSeconds: expect.any(Number) },
        },
      ])
      expect(told(state)).toMatch(
        new RegExp(`PAUSE of app on pgb pending for .*W terminates whom it waits for; waits for pid ${holder.pid} holder@`),
      )
      const waits = sent(other)
      await hands.until(() => Number(hands.rows(list('pools'))[0]?.cl_waiting) === 1, 'new work to wait')
      // The console that reads is another one than the one that waits.
      expect(await pooler.consoles()).toBe(2)
      expect(work().endedAt).toBeNull()

      const before = Date.now()
      expect(await confirmed(hands, 'resume', row)).toMatchObject({ outcome: 'done', say: 'traffic flows again' })
      expect(Date.now() - before).toBeLessThan(1000)
      await hands.until(() => work().endedAt !== null, 'the PAUSE to end')
      expect(work().items).toMatchObject([{ outcome: 'failed', say: 'resumed before it was in force' }])
      expect(pauses(hands.state())).toEqual([])
      await once(() => expect(waits.answered).toBe(true))
      await noneHangs(pooler)
      await holder.client.query('COMMIT')
      expect(trail(hands, 'pause')).toEqual([
        ['begun', null, null],
        ['ended', 'failed', 'resumed before it was in force'],
      ])
      expect(trail(hands, 'resume')).toEqual([
        ['begun', null, null],
        ['ended', 'done', 'traffic flows again'],
      ])
    })

    test('comes into force when the last transaction ends', async () => {
      const pooler = await bouncer()
      const [first, second] = [await inTransaction(pooler), await inTransaction(pooler)]
      const hands = pgvigil(pooler.port)
      const work = hands.begin(question(hands, 'pause', await poolOf(hands)), 60)
      await hands.until(phaseIs('pending'), 'the pause to be pending')
      await first.client.query('COMMIT')
      await hands.until(() => Number(hands.rows(list('pools'))[0]?.sv_active) === 1, 'one transaction to be left')
      expect(work().endedAt).toBeNull()
      expect(pauses(hands.state())).toMatchObject([{ phase: 'pending' }])
      // What it waits for goes on working.
      await second.client.query('SELECT 1')
      await second.client.query('COMMIT')
      await hands.until(() => work().endedAt !== null, 'the PAUSE to be in force')
      expect(work().items).toMatchObject([{ outcome: 'done' }])
      expect(pauses(hands.state())).toMatchObject([{ phase: 'in force' }])
      expect((await pooler.database('app'))?.paused).toBe(1)
      await noneHangs(pooler)
    })

    test('whose time is up while it is pending is resumed: traffic flows and the trail tells', async () => {
      const pooler = await bouncer()
      const holder = await inTransaction(pooler)
      const other = await pooler.client('app', 'web-2')
      const hands = pgvigil(pooler.port)
      const row = await poolOf(hands)
      const begun = Date.now()
      const work = hands.begin(question(hands, 'pause', row), 1)
      await hands.until(phaseIs('pending'), 'the pause to be pending')
      const waits = sent(other)
      await hands.until(noPause, 'the pause to be over')
      expect(Date.now() - begun).toBeGreaterThanOrEqual(1000)
      expect(Date.now() - begun).toBeLessThan(2500)
      expect(work().items).toMatchObject([{ outcome: 'failed', say: 'not in force within 1 s: it is resumed' }])
      await once(() => expect(waits.answered).toBe(true))
      await hands.until(state => workOf(state, 'resume')?.endedAt !== null, 'the RESUME to end')
      expect(trail(hands, 'pause').map(([phase, outcome]) => [phase, outcome])).toEqual([
        ['begun', null],
        ['ended', 'failed'],
      ])
      expect(trail(hands, 'resume')).toEqual([
        ['begun', null, null],
        ['ended', 'done', 'its time is up: traffic flows again'],
      ])
      await noneHangs(pooler)
      await holder.client.query('COMMIT')
      expect((await pooler.database('app'))?.paused).toBe(0)
    })

    test('whose time is up while it is in force is resumed', async () => {
      const pooler = await bouncer()
      const client = await pooler.client()
      const hands = pgvigil(pooler.port)
      expect(await confirmed(hands, 'pause', await poolOf(hands), 1)).toMatchObject({ outcome: 'done' })
      const waits = sent(client)
      await hands.until(noPause, 'the pause to be over')
      await once(() => expect(waits.answered).toBe(true))
      await hands.until(state => workOf(state, 'resume')?.endedAt !== null, 'the RESUME to end')
      expect(trail(hands, 'resume')).toEqual([
        ['begun', null, null],
        ['ended', 'done', 'its time is up: traffic flows again'],
      ])
      await noneHangs(pooler)
    })

    test('that somebody else resumes while it is pending has failed', async () => {
      const pooler = await bouncer()
      await inTransaction(pooler)
      const hands = pgvigil(pooler.port)
      const work = hands.begin(question(hands, 'pause', await poolOf(hands)), 60)
      await hands.until(phaseIs('pending'), 'the pause to be pending')
      await hands.until(() => hands.rows(list('pools'))[0]?.paused === true, 'PgBouncer to say so')
      await pooler.console('RESUME app')
      await hands.until(noPause, 'the RESUME of somebody else to be noticed')
      expect(work().items).toMatchObject([{ outcome: 'failed', say: expect.stringMatching(/^resumed by somebody else after/) }])
      await noneHangs(pooler)
      expect(trail(hands, 'pause').at(-1)?.slice(0, 2)).toEqual(['ended', 'failed'])
    })

    test('that somebody else resumes while it is in force is over', async () => {
      const pooler = await bouncer()
      await pooler.client()
      const hands = pgvigil(pooler.port)
      const row = await poolOf(hands)
      await confirmed(hands, 'pause', row, 60)
      await pooler.console('RESUME app')
      await hands.until(noPause, 'the RESUME of somebody else to be noticed')
      expect(hands.ask('resume', [row])).toBe('it is not paused')
      expect(hands.actor.unfinished()).toBe(false)
    })

    test('that is resumed by somebody else just before us: RESUME says so', async () => {
      const pooler = await bouncer()
      await pooler.client()
      const hands = pgvigil(pooler.port, { intervalMs: rarely })
      const row = await poolOf(hands)
      await confirmed(hands, 'pause', row, 60)
      await pooler.console('RESUME app')
      expect(await confirmed(hands, 'resume', row)).toMatchObject({
        outcome: 'already gone',
        say: 'it was not paused any more: somebody else has resumed it',
      })
      expect(pauses(hands.state())).toEqual([])
    })

    test('that is paused already, by pgvigil or by somebody else, is refused beforehand', async () => {
      const pooler = await bouncer()
      await pooler.client()
      await pooler.client('other')
      const hands = pgvigil(pooler.port)
      const [app, other] = [await poolOf(hands), await poolOf(hands, 'other')]
      expect(hands.ask('resume', [app])).toBe('it is not paused')
      await confirmed(hands, 'pause', app, 60)
      expect(hands.ask('pause', [app])).toBe('pgvigil has paused it already: R resumes it')
      await pooler.console('PAUSE other')
      await hands.until(() => hands.rows(list('pools')).every(row => row.paused), 'both to be paused')
      expect(hands.ask('pause', [other])).toBe('it is paused already: R resumes it')
      // What somebody else has paused can be resumed too, and that doesn't touch ours.
      expect(await confirmed(hands, 'resume', other)).toMatchObject({ outcome: 'done' })
      expect(pauses(hands.state())).toMatchObject([{ database: 'app', phase: 'in force' }])
    })

    test('is in force as soon as its own transactions have ended, whatever another PAUSE still waits for', async () => {
      const pooler = await bouncer()
      const [app, other] = [await inTransaction(pooler), await inTransaction(pooler, 'other')]
      const hands = pgvigil(pooler.port)
      const first = hands.begin(question(hands, 'pause', await poolOf(hands)), 60)
      const second = hands.begin(question(hands, 'pause', await poolOf(hands, 'other')), 60)
      await hands.until(state => pauses(state).length === 2, 'both pauses')
      await app.client.query('COMMIT')
      // PgBouncer answers none of them before all have what they wait for.
      await hands.until(() => first().endedAt !== null, 'the first PAUSE to be in force')
      expect(first().items).toMatchObject([{ outcome: 'done' }])
      expect(second().endedAt).toBeNull()
      expect(pauses(hands.state())).toMatchObject([
        { database: 'app', phase: 'in force' },
        { database: 'other', phase: 'pending' },
      ])
      await other.client.query('COMMIT')
      await hands.until(() => second().endedAt !== null, 'the second PAUSE to be in force')
    })

    test('is not called done by an answer that is for the PAUSE of somebody else', async () => {
      const pooler = await bouncer()
      await inTransaction(pooler)
      await pooler.client('other')
      const hands = pgvigil(pooler.port, { intervalMs: rarely })
      const work = hands.begin(question(hands, 'pause', await poolOf(hands)), 1)
      await hands.until(phaseIs('pending'), 'the pause to be pending')
      await once(async () => expect((await pooler.database('app'))?.paused).toBe(1))
      await pooler.console('RESUME app')
      // When this one is in force PgBouncer answers all that wait, ours too.
      await pooler.console('PAUSE other')
      await hands.until(() => work().endedAt !== null, 'the PAUSE to end')
      expect((await pooler.database('app'))?.paused).toBe(0)
      expect(work().items).toMatchObject([{ outcome: 'failed' }])
    })

    test('whose time is up while PgBouncer hangs is resumed as soon as it answers', async () => {
      const pooler = await bouncer()
      const holder = await inTransaction(pooler)
      const other = await pooler.client('app', 'web-2')
      const hands = pgvigil(pooler.port)
      hands.begin(question(hands, 'pause', await poolOf(hands)), 1)
      await hands.until(phaseIs('pending'), 'the pause to be pending')
      await once(async () => expect((await pooler.database('app'))?.paused).toBe(1))
      const waits = sent(other)
      pooler.signal('SIGSTOP')
      await hands.until(phaseIs('resuming'), 'its time to be up')
      pooler.signal('SIGCONT')
      await hands.until(noPause, 'the pause to be over')
      await once(() => expect(waits.answered).toBe(true))
      await noneHangs(pooler)
      await holder.client.query('COMMIT')
    })

    test('in session pooling the question warns, and it waits for a client that does nothing', async () => {
      const pooler = await bouncer({ databases: { app: `${place} pool_mode=session` } })
      const idle = await pooler.client()
      const { rows } = await idle.query('SELECT pg_backend_pid() AS pid')
      const hands = pgvigil(pooler.port, { postgres })
      const asked = question(hands, 'pause', await poolOf(hands))
      expect(asked.question.follows.map(({ text }) => text).join(' ')).toContain(
        'until each client with a connection disconnects',
      )
      const work = hands.begin(asked, 60)
      await hands.until(phaseIs('pending'), 'the pause to be pending')
      const state = await hands.until(s => deeds.awaitedSubject(s) !== null, 'the session that it waits for')
      expect(deeds.awaitedSubject(state)!.rows.map(({ pid }) => pid)).toEqual([rows[0].pid])
      await idle.end()
      await hands.until(() => work().endedAt !== null, 'the PAUSE to be in force')
      expect(work().items).toMatchObject([{ outcome: 'done' }])
    })
  })

  test('names with capitals and dashes, and the longest that the console takes; a longer one is refused beforehand', async () => {
    const longest = `L${'o'.repeat(60)}`
    const tooLong = `T${'o'.repeat(61)}`
    const pooler = await bouncer({ databases: { 'odd-Name': place, [longest]: place, [tooLong]: place } })
    for (const name of ['odd-Name', longest, tooLong]) await pooler.client(name)
    const hands = pgvigil(pooler.port)
    for (const name of ['odd-Name', longest]) {
      const row = await poolOf(hands, name)
      expect(await confirmed(hands, 'pause', row, 60)).toMatchObject({ outcome: 'done' })
      expect((await pooler.database(name))?.paused).toBe(1)
      expect(await confirmed(hands, 'resume', row)).toMatchObject({ outcome: 'done' })
    }
    expect(await confirmed(hands, 'disable', await poolOf(hands, 'odd-Name'))).toMatchObject({ outcome: 'done' })
    expect(hands.audit()[0]?.sql).toBe('PAUSE "odd-Name"')
    const row = await poolOf(hands, tooLong)
    for (const action of ['pause', 'resume', 'disable', 'enable', 'reconnect', 'kill']) {
      expect([action, hands.ask(action, [row])]).toEqual([action, "the console can't be told this name: it is empty or too long"])
    }
    // That is why: the console itself has no way to name it.
    await expect(pooler.console(`PAUSE "${tooLong}"`)).rejects.toThrow(/bad arguments/)
    expect(hands.ask('pauseAll', [row])).not.toBeTypeOf('string')
  })

  test('the seconds of a PAUSE must stay below query_wait_timeout', async () => {
    const pooler = await bouncer({ settings: { query_wait_timeout: 4 } })
    await pooler.client()
    const hands = pgvigil(pooler.port)
    const row = await poolOf(hands)
    await hands.until(state => Boolean(state.servers.pgb?.readings.showConfig?.sample), 'the settings')
    const keys: deeds.Acting = {
      store: hands.store,
      begin: hands.actor.begin,
      trailTrouble: () => null,
      settled: then => then(),
      poke: () => {},
    }
    const dialog = () => {
      const { dialog: open } = hands.state().view
      return open?.kind === 'confirm' ? open : null
    }
    const type = (text: string) => deeds.typeInto(keys, before => before + text)
    const backspace = () => deeds.typeInto(keys, before => before.slice(0, -1))
    deeds.ask(keys, actionById('pause')!, { list: 'pools', rows: [row], missing: 0 })
    deeds.keysAreThrough(hands.store)
    expect(dialog()?.seconds).toBe('2')
    backspace()
    deeds.yes(keys)
    expect(dialog()?.note).toBe('how many seconds may it last?')
    type('4')
    deeds.yes(keys)
    expect(dialog()?.note).toBe('less than 4 s: query_wait_timeout is 4 s: clients would be thrown out')
    deeds.enter(keys)
    expect(dialog()?.note).toMatch(/^Enter does nothing here/)
    expect(hands.state().works).toEqual([])
    backspace()
    type('3')
    deeds.yes(keys)
    expect(dialog()).toBeNull()
    const state = await hands.until(phaseIs('in force'), 'the pause')
    const [pause] = pauses(state)
    expect(pause!.deadlineAt! - pause!.since).toBeGreaterThan(2000)
    expect(pause!.deadlineAt! - pause!.since).toBeLessThanOrEqual(3000)
  })

  describe('PAUSE of everything', () => {
    test('takes the word all, holds every database, and RESUME of everything ends it', async () => {
      const pooler = await bouncer()
      const clients = [await pooler.client('app'), await pooler.client('other')]
      const hands = pgvigil(pooler.port)
      const row = await poolOf(hands)
      const asked = question(hands, 'pauseAll', row)
      expect(asked).toMatchObject({ words: ['all'], sql: ['PAUSE'] })
      expect((await hands.confirm(asked, 60)).items).toMatchObject([{ outcome: 'done' }])
      expect(pauses(hands.state())).toMatchObject([{ database: null, phase: 'in force' }])
      expect(told(hands.state())).toMatch(/^PAUSED everything on pgb for .*F9 in 5 Pools resumes/)
      const waits = clients.map(client => sent(client))
      await hands.until(() => hands.rows(list('pools')).every(one => one.cl_waiting === 1), 'both to wait')
      // Before 1.19 nothing that it shows says that everything is paused, so nothing may be claimed of it.
      await hands.until(() => hands.rows(list('pools')).every(one => one.paused === minor >= 19), 'what is known of it')
      if (minor >= 19) expect(hands.ask('pause', [row])).toMatch(/^everything is paused already/)
      else {
        expect(await confirmed(hands, 'pause', row, 60)).toMatchObject({
          outcome: 'refused',
          say: 'refused: already suspended/paused',
        })
        expect(pauses(hands.state())).toMatchObject([{ database: null }])
      }
      expect(hands.ask('pauseAll', [row])).toBe('pgvigil has paused it already: R resumes it')
      const end = question(hands, 'resumeAll', row)
      expect(end).toMatchObject({ words: ['all'], sql: ['RESUME'] })
      expect((await hands.confirm(end)).items).toMatchObject([{ outcome: 'done' }])
      await once(() => expect(waits.map(({ answered }) => answered)).toEqual([true, true]))
      expect(pauses(hands.state())).toEqual([])
      await noneHangs(pooler)
      expect(hands.audit().filter(({ action }) => action !== 'pause')).toMatchObject([
        { action: 'pauseAll', phase: 'begun', target: { database: '*' } },
        { action: 'pauseAll', phase: 'ended', outcome: 'done' },
        { action: 'resumeAll', phase: 'begun', target: { database: '*' } },
        { action: 'resumeAll', phase: 'ended', outcome: 'done' },
      ])
    })

    test('waits for open transactions of all databases; RESUME ends it and no console hangs', async () => {
      const pooler = await bouncer()
      const holders = [await inTransaction(pooler, 'app'), await inTransaction(pooler, 'other')]
      const late = await pooler.client('other', 'late')
      const hands = pgvigil(pooler.port)
      const row = await poolOf(hands)
      const work = hands.begin(question(hands, 'pauseAll', row), 60)
      const state = await hands.until(phaseIs('pending'), 'the pause to be pending')
      expect(new Set(awaitedBy(state, 'pgb', null).map(({ pid }) => pid))).toEqual(new Set(holders.map(({ pid }) => pid)))
      const waits = sent(late)
      expect(await confirmed(hands, 'resumeAll', row)).toMatchObject({ outcome: 'done' })
      await hands.until(() => work().endedAt !== null, 'the PAUSE to end')
      expect(work().items).toMatchObject([{ outcome: 'failed', say: 'resumed before it was in force' }])
      await once(() => expect(waits.answered).toBe(true))
      await noneHangs(pooler)
    })

    test('comes into force when the last transaction ends, and is resumed when its time is up', async () => {
      const pooler = await bouncer()
      const holder = await inTransaction(pooler)
      const hands = pgvigil(pooler.port)
      const work = hands.begin(question(hands, 'pauseAll', await poolOf(hands)), 2)
      await hands.until(phaseIs('pending'), 'the pause to be pending')
      await holder.client.query('COMMIT')
      await hands.until(() => work().endedAt !== null, 'the PAUSE to be in force')
      expect(work().items).toMatchObject([{ outcome: 'done' }])
      const waits = sent(holder.client)
      await hands.until(noPause, 'the pause to be over')
      await once(() => expect(waits.answered).toBe(true))
      await hands.until(state => workOf(state, 'resumeAll')?.endedAt !== null, 'the RESUME to end')
      expect(trail(hands, 'resumeAll')).toEqual([
        ['begun', null, null],
        ['ended', 'done', 'its time is up: traffic flows again'],
      ])
      await noneHangs(pooler)
    })

    test('whose time is up while it is pending is resumed', async () => {
      const pooler = await bouncer()
      const holder = await inTransaction(pooler)
      const other = await pooler.client('other')
      const hands = pgvigil(pooler.port)
      const work = hands.begin(question(hands, 'pauseAll', await poolOf(hands)), 1)
      await hands.until(phaseIs('pending'), 'the pause to be pending')
      const waits = sent(other)
      await hands.until(noPause, 'the pause to be over')
      expect(work().items).toMatchObject([{ outcome: 'failed', say: 'not in force within 1 s: it is resumed' }])
      await once(() => expect(waits.answered).toBe(true))
      await noneHangs(pooler)
      await holder.client.query('COMMIT')
    })

    test('that somebody else resumes while it is in force is over as soon as clients do something', async () => {
      const pooler = await bouncer()
      const client = await pooler.client()
      const hands = pgvigil(pooler.port)
      await confirmed(hands, 'pauseAll', await poolOf(hands), 60)
      await pooler.console('RESUME')
      // A short statement, as most are: none is under way when it is looked at.
      await client.query('SELECT 1')
      await hands.until(noPause, 'the RESUME of somebody else to be noticed')
    })
  })

  describe('a PgBouncer that is killed', () => {
    test('while a pause is in force: it is told, and the pause is over when it is there again', async () => {
      const pooler = await bouncer()
      await pooler.client()
      const hands = pgvigil(pooler.port)
      await confirmed(hands, 'pause', await poolOf(hands), 60)
      await pooler.kill()
      await hands.until(state => state.servers.pgb?.link.state === 'down', 'the loss to be noticed')
      expect(pauses(hands.state())).toMatchObject([{ phase: 'in force' }])
      await pooler.startAgain()
      await hands.until(noPause, 'the end of the pause to be noticed')
      expect((await pooler.database('app'))?.paused).toBe(0)
    })

    test('while a pause is pending whose time is up: the failure is told, and RESUME is tried again until it is known to be over', async () => {
      const pooler = await bouncer()
      await inTransaction(pooler)
      const hands = pgvigil(pooler.port)
      const work = hands.begin(question(hands, 'pause', await poolOf(hands)), 1)
      await hands.until(phaseIs('pending'), 'the pause to be pending')
      await pooler.kill()
      await hands.until(phaseIs('resuming'), 'its time to be up')
      await hands.until(state => Boolean(workOf(state, 'resume')?.endedAt), 'the RESUME to fail')
      expect(work().items).toMatchObject([{ outcome: 'failed' }])
      expect(trail(hands, 'resume')).toEqual([
        ['begun', null, null],
        ['ended', 'failed', expect.stringMatching(/^its time is up: nothing was done: no connection for it/)],
      ])
      expect(pauses(hands.state())).toMatchObject([{ phase: 'resuming' }])
      await pooler.startAgain()
      await hands.until(noPause, 'the pause to be over')
      expect((await pooler.database('app'))?.paused).toBe(0)
    })
  })

  describe('DISABLE, ENABLE and RECONNECT', () => {
    test('DISABLE refuses new clients and leaves the others alone; ENABLE lets them in again', async () => {
      const pooler = await bouncer()
      const client = await pooler.client()
      const hands = pgvigil(pooler.port)
      const row = await poolOf(hands)
      expect(hands.ask('enable', [row])).toBe('it is not disabled')
      const asked = question(hands, 'disable', row)
      expect(asked).toMatchObject({ words: null, sql: ['DISABLE "app"'], question: { hit: [['app', '1', '1']] } })
      expect((await hands.confirm(asked)).items).toMatchObject([{ outcome: 'done', say: 'new clients are refused until ENABLE' }])
      await expect(pooler.client('app', 'late')).rejects.toThrow(/is disabled/)
      await client.query('SELECT 1')
      await hands.until(() => hands.rows(list('pools'))[0]?.disabled === true, 'the state to be seen')
      expect(hands.ask('disable', [row])).toBe('it is disabled already; E enables it')
      expect(await confirmed(hands, 'enable', row)).toMatchObject({ outcome: 'done', say: 'new clients are let in again' })
      await pooler.client('app', 'late')
      expect(trail(hands, 'disable').map(([phase, outcome]) => [phase, outcome])).toEqual([
        ['begun', null],
        ['ended', 'done'],
      ])
      expect(trail(hands, 'enable').at(-1)?.slice(0, 2)).toEqual(['ended', 'done'])
    })

    test('RECONNECT closes what is idle at once, and the rest as its clients let go of it', async () => {
      const pooler = await bouncer()
      const client = await pooler.client()
      const pid = async () => (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid as number
      const first = await pid()
      const hands = pgvigil(pooler.port)
      const row = await poolOf(hands)
      expect(await confirmed(hands, 'reconnect', row)).toMatchObject({ outcome: 'done', say: 'no old connection is left' })
      await client.query('BEGIN')
      const second = await pid()
      expect(second).not.toBe(first)
      expect(await confirmed(hands, 'reconnect', row)).toMatchObject({
        outcome: 'signal sent',
        say: '1 old connection still in use: each is closed when its client lets go',
      })
      expect(await pid()).toBe(second)
      await client.query('COMMIT')
      expect(await pid()).not.toBe(second)
      expect(trail(hands, 'reconnect').map(([, outcome]) => outcome)).toEqual([null, 'done', null, 'signal sent'])
    })

    test.each([
      ['no other takes its place', []],
      ['* takes any name', ['*']],
    ])('a database that was taken out of the file meanwhile, where %s: nothing is done and nothing made', async (_, fallback) => {
      const others = Object.fromEntries(fallback.map(name => [name, place]))
      const pooler = await bouncer({ databases: { app: place, gone: place, ...others } })
      await pooler.client('gone')
      await pooler.console('DISABLE gone')
      const hands = pgvigil(pooler.port, { intervalMs: rarely })
      const row = await poolOf(hands, 'gone')
      const enable = question(hands, 'enable', row)
      await pooler.rewrite(ini => ini.replace(/^gone = .*\n/m, ''))
      await pooler.console('RELOAD')
      await once(async () => expect(await pooler.database('gone')).toBeUndefined())
      for (const asked of [enable, ...['pause', 'reconnect', 'kill'].map(action => question(hands, action, row))]) {
        const { items } = await hands.confirm(asked, asked.action.id === 'pause' ? 60 : undefined)
        expect([asked.action.id, items]).toMatchObject([
          asked.action.id,
          [{ outcome: 'already gone', say: 'already gone: PgBouncer has no such database any more; nothing was done' }],
        ])
        expect(await pooler.database('gone')).toBeUndefined()
        expect(pauses(hands.state())).toEqual([])
      }
      expect(trail(hands, 'kill').at(-1)?.slice(0, 2)).toEqual(['ended', 'already gone'])
      await once(async () => expect(await pooler.consoles()).toBe(1))
    })

    test('DISABLE of one that is gone, where * takes any name, makes none', async () => {
      const pooler = await bouncer({ databases: { gone: place, '*': place } })
      await pooler.client('gone')
      const hands = pgvigil(pooler.port, { intervalMs: rarely })
      const row = await poolOf(hands, 'gone')
      await pooler.rewrite(ini => ini.replace(/^gone = .*\n/m, ''))
      await pooler.console('RELOAD')
      await once(async () => expect(await pooler.database('gone')).toBeUndefined())
      expect(await confirmed(hands, 'disable', row)).toMatchObject({ outcome: 'already gone' })
      expect(await pooler.database('gone')).toBeUndefined()
    })

    test('RESUME of one that is gone does not speak of somebody who has resumed it', async () => {
      const pooler = await bouncer()
      await pooler.client()
      const hands = pgvigil(pooler.port, { intervalMs: rarely })
      const row = await poolOf(hands)
      await confirmed(hands, 'pause', row, 60)
      await pooler.rewrite(ini => ini.replace(/^app = .*\n/m, ''))
      await pooler.console('RELOAD')
      await once(async () => expect(await pooler.database('app')).toBeUndefined())
      expect(await confirmed(hands, 'resume', row)).toMatchObject({
        outcome: 'already gone',
        say: expect.stringContaining('no such database'),
      })
      expect(pauses(hands.state())).toEqual([])
    })

    // One that is not listed may be paused all the same (a database of * without clients), so it is watched until its time is up.
    test('a database of ours that is paused and taken out of the file: the pause is over with its time', async () => {
      const pooler = await bouncer()
      await pooler.client()
      const hands = pgvigil(pooler.port)
      await confirmed(hands, 'pause', await poolOf(hands), 4)
      await pooler.rewrite(ini => ini.replace(/^app = .*\n/m, ''))
      await pooler.console('RELOAD')
      await hands.until(noPause, 'the end of the pause')
    })
  })

  describe('KILL of a database', () => {
    test('takes its name, drops its clients, and leaves it paused until RESUME', async () => {
      const pooler = await bouncer()
      const [first, second] = [await pooler.client('app', 'web-1'), await pooler.client('app', 'web-2')]
      await first.query('BEGIN')
      const bystander = await pooler.client('other')
      const hands = pgvigil(pooler.port)
      const row = await poolOf(hands)
      await hands.until(() => hands.rows(list('clients')).length === 3, 'the clients')
      const asked = question(hands, 'kill', row)
      expect(asked).toMatchObject({ words: ['app'], sql: ['KILL "app"'] })
      expect(asked.question.hit.map(([client]) => client?.split('@')[0]).sort()).toEqual(['web-1', 'web-2'])
      expect(asked.question.follows.map(({ text }) => text)).toEqual([
        'its clients (2) are disconnected at once, transactions are cut off in the middle',
        'it stays PAUSED afterwards, until RESUME (R): new clients hang',
      ])
      expect((await hands.confirm(asked)).items).toMatchObject([
        { outcome: 'done', say: 'killed; it stays PAUSED until RESUME (R)' },
      ])
      await expect(first.query('SELECT 1')).rejects.toThrow()
      await expect(second.query('SELECT 1')).rejects.toThrow()
      await bystander.query('SELECT 1')
      expect((await pooler.database('app'))?.paused).toBe(1)
      expect(pauses(hands.state())).toMatchObject([{ database: 'app', by: 'KILL', phase: 'in force', deadlineAt: null }])
      expect(told(hands.state())).toMatch(/PAUSED app on pgb by KILL for .*, until RESUME: R in 5 Pools resumes/)
      expect(hands.actor.unfinished()).toBe(true)
      await hands.until(() => hands.rows(list('pools')).some(one => String(one.database) === 'app' && one.paused), 'the pause')
      expect(hands.ask('pause', [row])).toBe('pgvigil has paused it already: R resumes it')
      expect(await confirmed(hands, 'resume', row)).toMatchObject({ outcome: 'done' })
      expect(pauses(hands.state())).toEqual([])
      await pooler.client('app', 'web-3')
      expect(trail(hands, 'kill')).toEqual([
        ['begun', null, null],
        ['ended', 'done', 'killed; it stays PAUSED until RESUME (R)'],
      ])
    })

    test('ends a PAUSE of ours that waited for its clients', async () => {
      const pooler = await bouncer()
      await inTransaction(pooler)
      const hands = pgvigil(pooler.port)
      const row = await poolOf(hands)
      const work = hands.begin(question(hands, 'pause', row), 60)
      await hands.until(phaseIs('pending'), 'the pause to be pending')
      expect(await confirmed(hands, 'kill', row)).toMatchObject({ outcome: 'done' })
      await hands.until(() => work().endedAt !== null, 'the PAUSE to end')
      expect(pauses(hands.state())).toMatchObject([{ by: 'KILL', deadlineAt: null }])
      await noneHangs(pooler)
    })

    test('whose pause somebody else ends is told of no longer', async () => {
      const pooler = await bouncer()
      await pooler.client()
      const hands = pgvigil(pooler.port)
      await confirmed(hands, 'kill', await poolOf(hands))
      await hands.until(() => hands.rows(list('pools')).some(row => row.paused), 'the pause to be seen')
      await pooler.console('RESUME app')
      await hands.until(noPause, 'the RESUME of somebody else to be noticed')
    })
  })

  test('KILL_CLIENT: before 1.24 the reason is told beforehand, from then on the client is dropped', async () => {
    const pooler = await bouncer()
    const { client, pid } = await inTransaction(pooler, 'app', 'victim')
    const hands = pgvigil(pooler.port)
    const row = await hands.row(list('clients'), one => one.linkedTo === pid, 'the client')
    if (minor < 24) {
      expect(hands.ask('killClient', [row])).toBe(
        `this PgBouncer has no KILL_CLIENT (1.24 and later have); its server connection is pid ${pid}, which 1 Activity can terminate`,
      )
    } else {
      const asked = question(hands, 'killClient', row)
      expect(asked).toMatchObject({ words: null, sql: [`KILL_CLIENT ${row.id}`] })
      expect(asked.question.follows[0]?.text).toBe(`its transaction on pid ${pid} is cut off and rolled back`)
      expect((await hands.confirm(asked)).items).toMatchObject([{ outcome: 'gone', say: 'gone' }])
      await expect(client.query('SELECT 1')).rejects.toThrow()
    }
  })

  describe('F25: RELOAD', () => {
    test('of a file that is as before: no proof of anything', async () => {
      const pooler = await bouncer()
      await pooler.client()
      const hands = pgvigil(pooler.port)
      const asked = question(hands, 'reload', await poolOf(hands))
      expect(asked).toMatchObject({ words: null, sql: ['RELOAD'] })
      const say =
        'RELOAD accepted, nothing visible has changed; that is no proof: only its log says whether the whole file was read'
      expect((await hands.confirm(asked)).items).toMatchObject([{ outcome: 'signal sent', say }])
      expect(trail(hands, 'reload')).toEqual([
        ['begun', null, null],
        ['ended', 'signal sent', say],
      ])
    })

    test('of a changed file: what has changed', async () => {
      const pooler = await bouncer()
      await pooler.client()
      const hands = pgvigil(pooler.port)
      await pooler.rewrite(ini =>
        ini
          .replace(/^other = .*$/m, `fresh = ${place}`)
          .replace(/^app = .*$/m, `app = ${place} pool_size=3`)
          .replace(/^pool_mode.*$/m, 'pool_mode = session'),
      )
      const { outcome, say } = await confirmed(hands, 'reload', await poolOf(hands))
      expect(outcome).toBe('signal sent')
      expect(say).toMatch(/^RELOAD accepted; changed: /)
      for (const change of ['pool_mode transaction → session', 'database fresh added', 'database app changed']) {
        expect(say).toContain(change)
      }
      expect(say).toContain('only its log says whether the whole file was read')
    })

    test('of a broken file is never told as a success', async () => {
      const pooler = await bouncer()
      await pooler.client()
      const hands = pgvigil(pooler.port)
      await pooler.rewrite(ini => ini.replace(/^pool_mode/m, 'no_such_parameter = 1\npool_mode'))
      const { outcome, say } = await confirmed(hands, 'reload', await poolOf(hands))
      if (minor >= 25) expect([outcome, say]).toEqual(['refused', expect.stringMatching(/^refused: RELOAD failed/)])
      else {
        expect(outcome).toBe('signal sent')
        expect(say).toContain('only its log says whether the whole file was read')
        // What comes after the error has its default now.
        expect(say).toContain('pool_mode transaction → session')
      }
    })
  })

  describe('F25: rights', () => {
    test('a member of stats_users is told beforehand that it may only look, and how that is changed', async () => {
      const pooler = await bouncer()
      await pooler.client()
      const hands = pgvigil(pooler.port, { user: 'watcher' })
      const row = await poolOf(hands)
      await hands.until(state => Boolean(state.servers.pgb?.readings.showConfig?.sample), 'the settings')
      const onPools = poolActions.filter(({ lists }) => lists.includes('pools'))
      expect(onPools.length).toBeGreaterThan(8)
      for (const { id } of onPools) {
        expect([id, hands.ask(id, [row])]).toEqual([
          id,
          'watcher may only look: add it to admin_users in pgbouncer.ini (admin_users = ..., watcher) and RELOAD',
        ])
      }
    })

    test('one who was an admin until a moment ago is refused in the words of the server', async () => {
      const pooler = await bouncer({ settings: { stats_users: 'postgres' } })
      await pooler.client()
      const hands = pgvigil(pooler.port, { intervalMs: rarely })
      const row = await poolOf(hands)
      await pooler.rewrite(ini => ini.replace(/^admin_users = .*$/m, 'admin_users = somebody_else'))
      await pooler.console('RELOAD')
      expect(await confirmed(hands, 'pause', row, 60)).toMatchObject({ outcome: 'refused', say: 'refused: admin access needed' })
      expect(pauses(hands.state())).toEqual([])
      expect(trail(hands, 'pause')).toEqual([
        ['begun', null, null],
        ['ended', 'refused', 'refused: admin access needed'],
      ])
      await noneHangs(pooler)
      // After a deed all that is known is read afresh.
      await hands.until(() => typeof hands.ask('pause', [row]) === 'string', 'the settings to be read again')
      expect(hands.ask('pause', [row])).toMatch(/^postgres may only look/)
    })

    test('one who may not even look any more gets no connection, in the words of the server', async () => {
      const pooler = await bouncer()
      await pooler.client()
      const hands = pgvigil(pooler.port, { intervalMs: rarely })
      const row = await poolOf(hands)
      await pooler.rewrite(ini => ini.replace(/^admin_users = .*$/m, 'admin_users = somebody_else'))
      await pooler.console('RELOAD')
      expect(await confirmed(hands, 'pause', row, 60)).toMatchObject({
        outcome: 'failed',
        say: expect.stringMatching(/^nothing was done: no connection for it: .*not allowed/),
      })
      expect(pauses(hands.state())).toEqual([])
    })
  })

  describe('F24: the end of pgvigil', () => {
    test('resumes what is pending and what is in force within a second, and names both', async () => {
      const pooler = await bouncer()
      const holder = await inTransaction(pooler)
      const waits = sent(await pooler.client('other'))
      await once(() => expect(waits.answered).toBe(true))
      const hands = pgvigil(pooler.port)
      hands.begin(question(hands, 'pause', await poolOf(hands)), 60)
      await confirmed(hands, 'pause', await poolOf(hands, 'other'), 60)
      await hands.until(state => pauses(state).length === 2, 'both pauses')
      const before = Date.now()
      const lines = await hands.actor.letGo(false, 1000)
      expect(Date.now() - before).toBeLessThan(1000)
      expect(lines).toEqual(['pgvigil: pgb: app resumed', 'pgvigil: pgb: other resumed'])
      for (const name of ['app', 'other']) expect((await pooler.database(name))?.paused).toBe(0)
      await holder.client.query('COMMIT')
      expect(trail(hands, 'resume').toSorted()).toEqual([
        ['begun', null, null],
        ['begun', null, null],
        ['ended', 'done', 'pgvigil ended: traffic flows again'],
        ['ended', 'done', 'pgvigil ended: traffic flows again'],
      ])
      expect(trail(hands, 'pause').filter(([phase]) => phase === 'ended')).toEqual([
        ['ended', 'done', expect.stringMatching(/^paused after/)],
        ['ended', 'signal sent', 'pgvigil ended before it was in force'],
      ])
    })

    test('that is to leave it paused says what is STILL PAUSED and how it is resumed', async () => {
      const pooler = await bouncer({ databases: { 'odd-Name': place } })
      await pooler.client('odd-Name')
      const hands = pgvigil(pooler.port)
      await confirmed(hands, 'pause', await poolOf(hands, 'odd-Name'), 60)
      expect(await hands.actor.letGo(true, 1000)).toEqual([
        'pgvigil: pgb: odd-Name is STILL PAUSED as you wished; on its console: RESUME "odd-Name";',
      ])
      expect(hands.audit().map(({ action }) => action)).not.toContain('resume')
      expect((await pooler.database('odd-Name'))?.paused).toBe(1)
    })

    test('resumes a pause of everything', async () => {
      const pooler = await bouncer()
      const client = await pooler.client()
      const hands = pgvigil(pooler.port)
      await confirmed(hands, 'pauseAll', await poolOf(hands), 60)
      const waits = sent(client)
      expect(await hands.actor.letGo(false, 1000)).toEqual(['pgvigil: pgb: everything resumed'])
      await once(() => expect(waits.answered).toBe(true))
    })

    test('leaves what KILL has paused, and says so', async () => {
      const pooler = await bouncer()
      await pooler.client()
      const hands = pgvigil(pooler.port)
      await confirmed(hands, 'kill', await poolOf(hands))
      expect(await hands.actor.letGo(false, 1000)).toEqual([
        'pgvigil: pgb: app is STILL PAUSED after KILL; on its console: RESUME "app";',
      ])
      expect((await pooler.database('app'))?.paused).toBe(1)
    })

    test('of a pause that somebody else has just ended says that', async () => {
      const pooler = await bouncer()
      await pooler.client()
      const hands = pgvigil(pooler.port, { intervalMs: rarely })
      await confirmed(hands, 'pause', await poolOf(hands), 60)
      await pooler.console('RESUME app')
      expect(await hands.actor.letGo(false, 1000)).toEqual(['pgvigil: pgb: app was resumed already'])
    })

    test('does not wait for a PgBouncer that hangs: STILL PAUSED within about a second', async () => {
      const pooler = await bouncer()
      await pooler.client()
      const hands = pgvigil(pooler.port)
      await confirmed(hands, 'pause', await poolOf(hands), 60)
      pooler.signal('SIGSTOP')
      const before = Date.now()
      const lines = await hands.actor.letGo(false, 1000)
      expect(Date.now() - before).toBeLessThan(1500)
      expect(lines).toEqual([expect.stringMatching(/^pgvigil: pgb: app is STILL PAUSED: .*; on its console: RESUME "app";$/)])
      expect(trail(hands, 'resume')).toEqual([
        ['begun', null, null],
        ['ended', 'failed', expect.stringContaining('no answer')],
      ])
    })

    test('keeps a PAUSE that was confirmed at the last moment from being left behind', async () => {
      const pooler = await bouncer()
      await pooler.client()
      await pooler.client('other')
      const hands = pgvigil(pooler.port)
      await confirmed(hands, 'pause', await poolOf(hands), 60)
      const late = hands.begin(question(hands, 'pause', await poolOf(hands, 'other')), 60)
      const lines = await hands.actor.letGo(false, 1000)
      await hands.until(() => late().endedAt !== null, 'the late PAUSE to end')
      const named = lines.some(line => line.startsWith('pgvigil: pgb: other is STILL PAUSED'))
      expect((await pooler.database('other'))?.paused).toBe(named ? 1 : 0)
    })

    test('with a PgBouncer that is gone says that too', async () => {
      const pooler = await bouncer()
      await pooler.client()
      const hands = pgvigil(pooler.port)
      await confirmed(hands, 'pause', await poolOf(hands), 60)
      await pooler.kill()
      expect(await hands.actor.letGo(false, 1000)).toEqual([
        expect.stringMatching(
          /^pgvigil: pgb: app is STILL PAUSED: nothing was done: no connection for it: nothing listens at .*; on its console: RESUME "app";$/,
        ),
      ])
    })
  })

  test('W: those that a PAUSE waits for are terminated, and nobody else', async () => {
    const pooler = await bouncer()
    const holders = [await inTransaction(pooler, 'app', 'holder-1'), await inTransaction(pooler, 'app', 'holder-2')]
    const idle = await pooler.client('app', 'idle')
    const elsewhere = await inTransaction(pooler, 'other', 'elsewhere')
    const direct = await connect({ port: postgres.port, user: 'web', application_name: 'direct' })
    ends.push(() => direct.end())
    await direct.query('BEGIN')
    const hands = pgvigil(pooler.port, { postgres })
    const row = await poolOf(hands)
    expect(deeds.ableToTerminateAwaited(hands.state())).toBe("no PAUSE of pgvigil's waits for a session of a watched server")
    const pause = hands.begin(question(hands, 'pause', row), 60)
    await hands.until(phaseIs('pending'), 'the pause to be pending')
    const state = await hands.until(s => deeds.awaitedSubject(s)?.rows.length === 2, 'those that it waits for')
    expect(deeds.ableToTerminateAwaited(state)).toBe(true)
    const { list: of, rows } = deeds.awaitedSubject(state)!
    expect([of, rows.map(({ pid }) => pid).sort()]).toEqual(['activity', holders.map(({ pid }) => pid).sort()])
    const { items } = await hands.confirm(hands.ask('terminate', rows))
    expect(items.map(({ outcome }) => outcome)).toEqual(['gone', 'gone'])
    await hands.until(() => pause().endedAt !== null, 'the PAUSE to be in force')
    expect(pause().items).toMatchObject([{ outcome: 'done' }])
    expect(deeds.awaitedSubject(hands.state())).toBeNull()
    for (const { client } of holders) await expect(client.query('SELECT 1')).rejects.toThrow()
    for (const client of [elsewhere.client, direct]) await client.query('SELECT 1')
    const waits = sent(idle)
    expect(await confirmed(hands, 'resume', row)).toMatchObject({ outcome: 'done' })
    await once(() => expect(waits.answered).toBe(true))
  })
})

async function stub(version: StubVersion): Promise<PgbouncerStub> {
  const made = await startPgbouncerStub(version)
  ends.push(made.stop)
  made.show({
    POOLS: [{ database: 'app', user: 'web', ...quiet }],
    DATABASES: [{ name: 'app', pool_size: 4, paused: 0, disabled: 0 }],
    CONFIG: [{ key: 'admin_users', value: 'postgres' }],
    STATE: stateRows(false),
  })
  return made
}

const quiet = { cl_active: 1, cl_waiting: 0, sv_active: 0, sv_idle: 0, sv_used: 0, sv_login: 0, maxwait: 0, maxwait_us: 0 }
const stateRows = (paused: boolean) => [
  { key: 'active', value: paused ? 'no' : 'yes' },
  { key: 'paused', value: paused ? 'yes' : 'no' },
  { key: 'suspended', value: 'no' },
]

/** A PAUSE of everything as 1.19 and later have it: SHOW STATE tells of it, SHOW DATABASES does not. */
function pausable(console: PgbouncerStub) {
  let paused = false
  let answers: ((taken: Taken) => void)[] = []
  const change = (now: boolean) => {
    paused = now
    console.show({ STATE: stateRows(now) })
  }
  console.obey(text => {
    if (text === 'PAUSE') {
      if (paused) return { error: 'already suspended/paused' }
      change(true)
      return new Promise(resolve => answers.push(resolve))
    }
    if (text !== 'RESUME') return undefined
    if (!paused) return { error: 'pooler is not paused/suspended' }
    change(false)
    return { tag: 'RESUME' }
  })
  return {
    open: (count: number) => console.show({ POOLS: [{ database: 'app', user: 'web', ...quiet, sv_active: count }] }),
    /** PAUSE gets its answer. */
    answer: () => {
      for (const tell of answers) tell({ tag: 'PAUSE' })
      answers = []
    },
    /** By somebody else: who has asked for the PAUSE gets no answer, ever. */
    resume: () => change(false),
  }
}

describe.each(['1.21', '1.25'] as const)('a console of PgBouncer %s', version => {
  test('PAUSE of everything comes into force when no connection is left, whether it is answered or not', async () => {
    const console = await stub(version)
    const pooler = pausable(console)
    pooler.open(2)
    const hands = pgvigil(console.port)
    const row = await poolOf(hands)
    const work = hands.begin(question(hands, 'pauseAll', row), 60)
    await hands.until(phaseIs('pending'), 'the pause to be pending')
    await hands.until(() => hands.rows(list('pools'))[0]?.pausedBy === 'pooler', 'the pause to be seen')
    expect(hands.ask('pause', [row])).toBe('everything is paused already: RESUME of all ends that (F9)')
    pooler.open(1)
    await hands.until(() => hands.rows(list('pools'))[0]?.sv_active === 1, 'one transaction to be left')
    expect(work().endedAt).toBeNull()
    pooler.open(0)
    await hands.until(() => work().endedAt !== null, 'the PAUSE to be in force')
    expect(work().items).toMatchObject([{ outcome: 'done' }])
    await once(() => expect(console.connections()).toBe(1))
    expect(await confirmed(hands, 'resumeAll', row)).toMatchObject({ outcome: 'done', say: 'traffic flows again' })
    expect(pauses(hands.state())).toEqual([])
  })

  test('the answer to PAUSE is enough too', async () => {
    const console = await stub(version)
    const pooler = pausable(console)
    pooler.open(1)
    const hands = pgvigil(console.port)
    const work = hands.begin(question(hands, 'pauseAll', await poolOf(hands)), 60)
    await hands.until(phaseIs('pending'), 'the pause to be pending')
    await hands.until(() => console.heard.includes('PAUSE'), 'the PAUSE')
    pooler.answer()
    await hands.until(() => work().endedAt !== null, 'the PAUSE to be in force')
    expect(work().items).toMatchObject([{ outcome: 'done' }])
  })

  test('RESUME of everything by somebody else is seen while the PAUSE is pending, and its connection is closed', async () => {
    const console = await stub(version)
    const pooler = pausable(console)
    pooler.open(1)
    const hands = pgvigil(console.port)
    const work = hands.begin(question(hands, 'pauseAll', await poolOf(hands)), 60)
    await hands.until(() => hands.rows(list('pools'))[0]?.paused === true, 'the pause to be seen')
    expect(console.connections()).toBe(2)
    pooler.resume()
    await hands.until(noPause, 'the RESUME of somebody else to be noticed')
    expect(work().items).toMatchObject([{ outcome: 'failed', say: expect.stringMatching(/^resumed by somebody else after/) }])
    await once(() => expect(console.connections()).toBe(1))
  })

  test('and while it is in force, though no client does anything', async () => {
    const console = await stub(version)
    const pooler = pausable(console)
    const hands = pgvigil(console.port)
    expect(await confirmed(hands, 'pauseAll', await poolOf(hands), 60)).toMatchObject({ outcome: 'done' })
    pooler.resume()
    await hands.until(noPause, 'the RESUME of somebody else to be noticed')
  })

  test('RESUME that is taken and changes nothing is told so, and the pause is kept', async () => {
    const console = await stub(version)
    pausable(console)
    const hands = pgvigil(console.port)
    const row = await poolOf(hands)
    await confirmed(hands, 'pauseAll', row, 60)
    console.obey(text => (text === 'RESUME' ? { tag: 'RESUME' } : undefined))
    expect(await confirmed(hands, 'resumeAll', row)).toMatchObject({
      outcome: 'still there',
      say: 'PgBouncer took RESUME and still says paused',
    })
    expect(pauses(hands.state())).toMatchObject([{ database: null, phase: 'in force' }])
  })

  test('where nothing is paused RESUME of everything is refused beforehand', async () => {
    const console = await stub(version)
    const hands = pgvigil(console.port)
    const row = await poolOf(hands)
    await hands.until(state => Boolean(state.servers.pgb?.readings.showState?.sample), 'its state')
    expect(hands.ask('resumeAll', [row])).toBe('not everything is paused')
  })
})

test('1.25 refuses a broken file: its words are told', async () => {
  const console = await stub('1.25')
  console.obey(text => (text === 'RELOAD' ? { error: 'RELOAD failed, see logs for additional details' } : undefined))
  const hands = pgvigil(console.port)
  const say = 'refused: RELOAD failed, see logs for additional details'
  expect(await confirmed(hands, 'reload', await poolOf(hands))).toMatchObject({ outcome: 'refused', say })
  expect(trail(hands, 'reload')).toEqual([
    ['begun', null, null],
    ['ended', 'refused', say],
  ])
})

test('a name that is empty, or longer than the console takes, is refused beforehand', async () => {
  const console = await stub('1.25')
  const names = ['', 'x'.repeat(62), `${'"'.repeat(31)}`, 'é'.repeat(31)]
  console.show({
    POOLS: [...names, 'x'.repeat(61)].map(database => ({ database, user: 'web', ...quiet })),
    DATABASES: [...names, 'x'.repeat(61)].map(name => ({ name, paused: 0, disabled: 0 })),
  })
  const hands = pgvigil(console.port)
  for (const name of names) {
    const row = await poolOf(hands, name)
    for (const action of ['pause', 'resume', 'disable', 'enable', 'reconnect', 'kill']) {
      expect([name, action, hands.ask(action, [row])]).toEqual([
        name,
        action,
        "the console can't be told this name: it is empty or too long",
      ])
    }
  }
  expect(hands.ask('pause', [await poolOf(hands, 'x'.repeat(61))])).not.toBeTypeOf('string')
})

test('a console that hides its admin_users: the words of the server are told', async () => {
  const console = await stub('1.25')
  console.show({ CONFIG: [] })
  console.obey(text => (text.startsWith('SHOW') ? undefined : { error: 'admin access needed' }))
  const hands = pgvigil(console.port, { user: 'stranger' })
  const row = await poolOf(hands)
  for (const action of ['pause', 'pauseAll', 'reload', 'reconnect', 'disable', 'kill']) {
    const { items } = await hands.confirm(hands.ask(action, [row]), 60)
    expect([action, items]).toMatchObject([action, [{ outcome: 'refused', say: 'refused: admin access needed' }]])
  }
  expect(pauses(hands.state())).toEqual([])
  await once(() => expect(console.connections()).toBe(1))
})

describe('KILL_CLIENT', () => {
  const victim = {
    type: 'C',
    user: 'web',
    database: 'app',
    state: 'active',
    addr: '10.0.0.7',
    port: 41000,
    ptr: '0xc1',
    link: '0x51',
    connect_time: '2026-11-23 14:17:28 UTC',
    application_name: 'web-1',
    id: 7,
  }
  const backend = { type: 'S', user: 'web', database: 'app', state: 'active', ptr: '0x51', link: '0xc1', remote_pid: 777 }

  async function withVictim(version: StubVersion, hold: Hold = {}) {
    const console = await stub(version)
    console.show({ CLIENTS: [victim], SERVERS: [backend] })
    const hands = pgvigil(console.port, hold)
    const row = await hands.row(list('clients'), ({ linkedTo }) => linkedTo === 777, 'the client')
    return { console, hands, row }
  }

  test.each(['1.18', '1.21'] as const)('is not to be had in %s, and what can be done instead is told', async version => {
    const { hands, row } = await withVictim(version)
    expect(hands.ask('killClient', [row])).toBe(
      'this PgBouncer has no KILL_CLIENT (1.24 and later have); its server connection is pid 777, which 1 Activity can terminate',
    )
  })

  test.each(['1.24', '1.25'] as const)('drops the client in %s', async version => {
    const { console, hands, row } = await withVictim(version)
    console.obey(text => {
      if (text !== 'KILL_CLIENT 7') return undefined
      console.show({ CLIENTS: [] })
      return { tag: 'KILL' }
    })
    const asked = question(hands, 'killClient', row)
    expect(asked).toMatchObject({
      words: null,
      sql: ['KILL_CLIENT 7'],
      question: { hit: [['7', 'web', 'app', 'web-1@10.0.0.7:41000', 'active']] },
    })
    expect(asked.question.follows[0]?.text).toBe('its transaction on pid 777 is cut off and rolled back')
    expect((await hands.confirm(asked)).items).toMatchObject([{ outcome: 'gone', say: 'gone' }])
    expect(hands.audit()).toMatchObject([
      { phase: 'begun', action: 'killClient', sql: 'KILL_CLIENT 7', target: { id: '7', user: 'web', addr: '10.0.0.7' } },
      { phase: 'ended', outcome: 'gone' },
    ])
  })

  test.each([
    ['is gone', []],
    ['has left its number to another one', [{ ...victim, ptr: '0xc2' }]],
    ['has left its place and number to a later one', [{ ...victim, connect_time: '2026-11-23 14:20:00 UTC' }]],
  ])('a client that %s: nothing is done', async (_, rows) => {
    const { console, hands, row } = await withVictim('1.25', { intervalMs: rarely })
    console.show({ CLIENTS: rows })
    expect(await confirmed(hands, 'killClient', row)).toMatchObject({
      outcome: 'already gone',
      say: 'already gone: nothing was done',
    })
    expect(console.heard.filter(text => text.startsWith('KILL'))).toEqual([])
  })

  test('a client that stays is not called gone', async () => {
    const { console, hands, row } = await withVictim('1.25')
    console.obey(text => (text === 'KILL_CLIENT 7' ? { tag: 'KILL' } : undefined))
    expect(await confirmed(hands, 'killClient', row)).toMatchObject({ outcome: 'still there' })
  })

  test('is refused in the words of the server', async () => {
    const { console, hands, row } = await withVictim('1.25')
    console.obey(text => (text === 'KILL_CLIENT 7' ? { error: 'client not found' } : undefined))
    expect(await confirmed(hands, 'killClient', row)).toMatchObject({ outcome: 'refused', say: 'refused: client not found' })
  })

  test('a member of stats_users is refused beforehand, also where the server would let it', async () => {
    const { hands, row } = await withVictim('1.24', { user: 'watcher' })
    await hands.until(state => Boolean(state.servers.pgb?.readings.showConfig?.sample), 'the settings')
    expect(hands.ask('killClient', [row])).toMatch(/^watcher may only look: add it to admin_users/)
  })
})
