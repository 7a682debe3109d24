// Cancel and terminate on real servers: what is done, what is left alone, and that the word on it is true.

import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { SessionTarget } from '../../src/actions/session-targets.ts'
import { connect, type Target } from '../../src/lab/client.ts'
import { temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, type PostgresVersion, startPostgres } from '../../src/lab/postgres.ts'
import type { Session } from '../../src/model/activity.ts'
import { untrusted } from '../../src/model/untrusted.ts'
import { activityList } from '../../src/panels/activity.ts'
import type { AnyRow } from '../../src/panels/panel.ts'
import type { Work } from '../../src/store/state.ts'
import { type Acting, type Asked, acting } from '../support/acting.ts'
import type { Watched } from '../support/watching.ts'

type Client = pg.Client & { readonly pid: number }

const folder = temporaryFolder('pgvigil-deeds')
afterAll(() => folder.remove())

let hands: Acting
const clients: Client[] = []
const frozen = new Set<number>()
afterEach(async () => {
  for (const pid of frozen) thaw(pid)
  hands?.stop()
  await Promise.all(clients.splice(0).map(client => client.end().catch(() => {})))
})

async function open(target: Target): Promise<Client> {
  const client = await connect({ application_name: 'victim', ...target })
  const { rows } = await client.query('SELECT pg_backend_pid() AS pid')
  const opened = Object.assign(client, { pid: rows[0].pid as number })
  clients.push(opened)
  return opened
}

/** Starts a statement that does not end by itself; resolves to the code of the error that ended it. */
const sleep = (client: Client, seconds = 600): Promise<string> =>
  client.query(`SELECT pg_sleep(${seconds})`).then(
    () => 'it came to its end',
    error => error.code ?? error.message,
  )

function freeze(pid: number): void {
  frozen.add(pid)
  process.kill(pid, 'SIGSTOP')
}
function thaw(pid: number): void {
  frozen.delete(pid)
  try {
    process.kill(pid, 'SIGCONT')
  } catch {
    // It has ended.
  }
}

const watch = (server: PostgresServer, user = 'postgres', ...more: Watched[]) =>
  acting([{ id: 'a', conninfo: as(server, user) }, ...more], [activityList])
const as = ({ conninfo, user }: PostgresServer, role: string) =>
  `${conninfo.replace(`${user}@`, `${role}@`)}?application_name=pgvigil`

/** The row of a session, once it is as wanted. */
const rowOf = (pid: number, ready: (row: Session) => boolean = () => true): Promise<AnyRow> =>
  hands.row(
    activityList,
    row => row.pid === pid && (row.usename !== null || row.kind !== 'client') && ready(row as unknown as Session),
    `pid ${pid}`,
  )
const active = (row: Session) => row.restricted || (row.state as unknown) === 'active'

/** The question; fails where there is none. */
function question(action: string, ...rows: AnyRow[]): Asked {
  const asked = hands.ask(action, rows)
  if (typeof asked === 'string') throw new Error(`no question: ${asked}`)
  return asked
}

/** The same question about targets that are something else. */
const changed = (asked: Asked, change: Partial<SessionTarget>): Asked => ({
  ...asked,
  targets: asked.targets.map(target => ({ ...target, ...change })),
})

const follows = ({ question: { follows } }: Asked) => follows.map(({ text }) => text)

/** Waits for what only the server itself says. */
async function until(what: string, ready: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 15_000; !(await ready()); ) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`)
    await new Promise(resolve => setTimeout(resolve, 30))
  }
}

/** What is true of a session, by somebody who sees all. */
async function truth(admin: Client, pid: number): Promise<{ state: string; query_start: string; query: string } | null> {
  const { rows } = await admin.query('SELECT state, query_start::text, query FROM pg_stat_activity WHERE pid = $1', [pid])
  return rows[0] ?? null
}

const trail = () => hands.audit().map(({ phase, action, outcome }) => [phase, action, outcome])

describe('PostgreSQL 16', () => {
  let server: PostgresServer
  let admin: Client

  beforeAll(async () => {
    server = await startPostgres({
      version: 16,
      dir: folder.path,
      settings: { archive_mode: true, archive_command: 'true', max_worker_processes: 8 },
    })
    admin = await open({ port: server.port, application_name: 'admin' })
    clients.splice(clients.indexOf(admin), 1)
    await admin.query('CREATE ROLE app LOGIN; CREATE ROLE revoked LOGIN')
    await admin.query('CREATE TABLE big AS SELECT i FROM generate_series(1, 100000) i')
  })
  afterAll(async () => {
    await admin?.end()
    await server?.stop('immediate')
  })

  const session = (target: Partial<Target> = {}) => open({ port: server.port, ...target })
  const gone = (pid: number) => until(`the end of ${pid}`, async () => (await truth(admin, pid)) === null)

  /** A receiver of WAL, as a standby is one; ended with the other clients. */
  async function receiver(application_name: string): Promise<void> {
    const options = { host: '127.0.0.1', port: server.port, user: 'postgres', application_name, replication: 'true' }
    const client = new pg.Client(options as pg.ClientConfig)
    client.on('error', () => {})
    await client.connect()
    clients.push(client as Client)
    const { rows } = await client.query('IDENTIFY_SYSTEM')
    client.query(`START_REPLICATION PHYSICAL ${rows[0].xlogpos}`).catch(() => {})
  }
  const walsender = () =>
    hands.row(activityList, ({ kind, state }) => kind === 'walsender' && state === 'active', 'a walsender that streams')

  describe('done', () => {
    test('terminate: the session is gone, and the trail tells who did what to whom', async () => {
      const victim = await session({ application_name: 'web-1' })
      await victim.query("SELECT 'the last query'")
      hands = watch(server)
      const row = await rowOf(victim.pid, ({ query }) => String(query).includes('last query'))
      const asked = question('terminate', row)
      const guard = `pid = ${victim.pid}`
      expect(asked.words).toBeNull()
      expect(asked.sql).toEqual([
        `SELECT pid, pg_catalog.pg_terminate_backend(pid) AS sent FROM pg_catalog.pg_stat_get_activity(${victim.pid}::int) WHERE backend_start = '${row.backend_start}'::timestamptz`,
      ])
      const { items } = await hands.confirm(asked)
      expect(items, guard).toMatchObject([{ label: `pid ${victim.pid}`, outcome: 'gone', ended: true }])
      expect(items[0]!.say).toMatch(/^gone after /)
      expect(await truth(admin, victim.pid)).toBeNull()
      const [begun, ended, ...more] = hands.audit()
      expect(more).toEqual([])
      expect(begun).toEqual({
        at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        phase: 'begun',
        id: expect.any(String),
        action: 'terminate',
        osUser: 'tester',
        sshClient: null,
        server: 'a',
        role: 'primary',
        user: 'postgres',
        sql: asked.sql[0],
        target: {
          pid: victim.pid,
          backend_start: row.backend_start,
          query_start: row.query_start,
          usename: 'postgres',
          datname: 'postgres',
          application_name: 'web-1',
          client: expect.stringMatching(/^web-1@127\.0\.0\.1:\d+$/),
          pooler: null,
          state: 'idle',
          query: "SELECT 'the last query'",
        },
        outcome: null,
        detail: null,
      })
      expect(ended).toEqual({ ...begun, at: expect.any(String), phase: 'ended', outcome: 'gone', detail: items[0]!.say })
      expect(Date.parse(ended!.at)).toBeGreaterThanOrEqual(Date.parse(begun!.at))
    })

    test('cancel: the query is gone, the session lives', async () => {
      const victim = await session()
      const ending = sleep(victim)
      hands = watch(server)
      const asked = question('cancel', await rowOf(victim.pid, active))
      const { items } = await hands.confirm(asked)
      expect(items).toMatchObject([{ outcome: 'gone', say: expect.stringMatching(/^gone: the query has ended after /) }])
      expect(await ending).toBe('57014')
      expect((await victim.query('SELECT pg_backend_pid() AS pid')).rows[0].pid).toBe(victim.pid)
      expect(trail()).toEqual([
        ['begun', 'cancel', null],
        ['ended', 'cancel', 'gone'],
      ])
    })

    test('the question tells the open transaction, with what it has written', async () => {
      const victim = await session()
      await victim.query('BEGIN; CREATE TABLE written (i int)')
      hands = watch(server)
      const row = await rowOf(
        victim.pid,
        ({ state, backend_xid }) => String(state) === 'idle in transaction' && backend_xid !== null,
      )
      const asked = question('terminate', row)
      expect(follows(asked)[0]).toMatch(/^its transaction, open for .*, is rolled back, with all that it has written; the client/)
      expect(asked.question.hit[0]).toEqual(expect.arrayContaining([String(victim.pid), 'postgres', 'idle xact']))
      expect((await hands.confirm(asked)).items).toMatchObject([{ outcome: 'gone' }])
      expect((await admin.query("SELECT to_regclass('written') AS written")).rows).toEqual([{ written: null }])
    })

    test('a deed has a connection of its own, and leaves none behind', async () => {
      const victim = await session()
      hands = watch(server)
      await hands.confirm(question('terminate', await rowOf(victim.pid)))
      expect(hands.state().ownPids.a).toEqual([])
      const ours = "SELECT count(*)::int AS ours FROM pg_stat_activity WHERE application_name = 'pgvigil'"
      await until('only the reading session', async () => (await admin.query(ours)).rows[0].ours === 1)
    })
  })

  describe('F34: already gone', () => {
    test.each(['terminate', 'cancel'])('%s: the target has ended since: nothing is done', async action => {
      const victim = await session()
      const ending = sleep(victim)
      hands = watch(server)
      const asked = question(action, await rowOf(victim.pid, active))
      await admin.query('SELECT pg_terminate_backend($1)', [victim.pid])
      await ending
      await gone(victim.pid)
      const { items } = await hands.confirm(asked)
      expect(items).toMatchObject([{ outcome: 'already gone', say: 'already gone: nothing was done' }])
      expect(trail().at(-1)).toEqual(['ended', action, 'already gone'])
    })

    test.each(['terminate', 'cancel'])('%s: the pid is another session`s by now, which lives', async action => {
      const victim = await session()
      const ending = sleep(victim)
      hands = watch(server)
      const asked = question(action, await rowOf(victim.pid, active))
      const before = await truth(admin, victim.pid)
      // Pids can't be made to come again in a test: a target that began earlier stands in for the session that had this one before.
      const earlier = changed(asked, { backend_start: untrusted('2026-01-01 00:00:00.000001+00') })
      const { items } = await hands.confirm(earlier)
      expect(items).toMatchObject([
        { outcome: 'already gone', say: `already gone: pid ${victim.pid} is another session now, which was left alone` },
      ])
      expect(await truth(admin, victim.pid)).toEqual(before)
      await hands.confirm(asked)
      expect(await ending).toBe(action === 'cancel' ? '57014' : '57P01')
    })

    test('a microsecond makes another session', async () => {
      const victim = await session()
      hands = watch(server)
      const asked = question('terminate', await rowOf(victim.pid))
      const start = String((asked.targets[0] as SessionTarget).backend_start)
      const [, digit] = /\.\d*(\d)\+00$/.exec(start) ?? []
      const next = start.replace(/\d\+00$/, digit === '9' ? '8+00' : `${Number(digit ?? 0) + 1}+00`)
      const { items } = await hands.confirm(changed(asked, { backend_start: untrusted(next) }))
      expect(items).toMatchObject([{ outcome: 'already gone' }])
      expect(await truth(admin, victim.pid)).not.toBeNull()
    })

    test('cancel: the session runs another query since, which goes on', async () => {
      const victim = await session()
      const first = sleep(victim, 601)
      hands = watch(server)
      const asked = question('cancel', await rowOf(victim.pid, active))
      await admin.query('SELECT pg_cancel_backend($1)', [victim.pid])
      expect(await first).toBe('57014')
      let ended = false
      const second = sleep(victim, 602).finally(() => {
        ended = true
      })
      await rowOf(victim.pid, row => active(row) && String(row.query).includes('602'))
      const before = await truth(admin, victim.pid)
      const { items } = await hands.confirm(asked)
      expect(items).toMatchObject([
        {
          outcome: 'already gone',
          say: 'already gone: that query has ended; what the session does now was left alone',
        },
      ])
      expect(await truth(admin, victim.pid)).toEqual(before)
      expect(before).toMatchObject({ state: 'active' })
      expect(ended).toBe(false)
      await hands.confirm(question('terminate', await rowOf(victim.pid)))
      await second
    })

    test('cancel: the query has ended by itself, the session is idle', async () => {
      const victim = await session()
      const ending = sleep(victim)
      hands = watch(server)
      const asked = question('cancel', await rowOf(victim.pid, active))
      await admin.query('SELECT pg_cancel_backend($1)', [victim.pid])
      await ending
      await until('an idle session', async () => (await truth(admin, victim.pid))?.state === 'idle')
      expect((await hands.confirm(asked)).items).toMatchObject([{ outcome: 'already gone' }])
      expect(await truth(admin, victim.pid)).toMatchObject({ state: 'idle' })
    })

    test('an open question learns it from newer samples', async () => {
      const victim = await session()
      const other = await session()
      const ending = sleep(victim)
      hands = watch(server)
      const cancel = question('cancel', await rowOf(victim.pid, active))
      const terminate = question('terminate', await rowOf(victim.pid))
      const [at, target] = [Date.now(), cancel.targets[0]!]
      const since = (asked: Asked) => asked.action.gone(target, hands.state(), at)
      const newer = (ready: (row: Session) => boolean) =>
        hands.until(
          ({ servers }) =>
            (servers.a!.readings.activity!.sample?.at ?? 0) > at &&
            hands.rows(activityList).some(row => row.pid === other.pid) &&
            ready(hands.rows(activityList).find(row => row.pid === victim.pid) as unknown as Session),
          'a newer sample',
        )
      await newer(row => row !== undefined)
      expect([since(cancel), since(terminate)]).toEqual([false, false])
      await admin.query('SELECT pg_cancel_backend($1)', [victim.pid])
      await ending
      await newer(row => String(row?.state) === 'idle')
      expect([since(cancel), since(terminate)]).toEqual([true, false])
      await admin.query('SELECT pg_terminate_backend($1)', [victim.pid])
      await newer(row => row === undefined)
      expect([since(cancel), since(terminate)]).toEqual([true, true])
    })
  })

  describe('F34: refused before the key is pressed', () => {
    test('cancel of what runs no query', async () => {
      const [idle, open] = [await session(), await session()]
      await open.query('BEGIN; SELECT 1')
      hands = watch(server)
      expect(hands.ask('cancel', [await rowOf(idle.pid, ({ state }) => String(state) === 'idle')])).toBe(
        'it is idle: there is no query to cancel',
      )
      const inTransaction = await rowOf(open.pid, ({ state }) => String(state) === 'idle in transaction')
      expect(hands.ask('cancel', [inTransaction])).toBe(
        'no effect while idle in transaction; K terminates the session (its transaction stays open until then)',
      )
      await open.query('SELECT 1/0').catch(() => {})
      const aborted = await rowOf(open.pid, ({ state }) => String(state) === 'idle in transaction (aborted)')
      expect(hands.ask('cancel', [aborted])).toMatch(/^no effect while idle in transaction;/)
      expect(hands.ask('terminate', [aborted])).toMatchObject({ words: null })
    })

    test('our own sessions: those that read, also for a second entry of the same server', async () => {
      hands = watch(server, 'postgres', { id: 'b', conninfo: `${server.conninfo}?application_name=pgvigil` })
      const ours = () => hands.rows(activityList).filter(row => row.application_name === 'pgvigil')
      await hands.until(() => ours().length === 2 && ours().every(row => row.own), 'two sessions of ours')
      for (const row of ours()) {
        expect(hands.ask('terminate', [row])).toBe("it is one of pgvigil's own sessions")
        expect(hands.ask('cancel', [row])).toBe("it is one of pgvigil's own sessions")
      }
      const other = await session({ application_name: 'pgvigil' })
      expect(hands.ask('terminate', [await rowOf(other.pid)])).toMatchObject({ targets: [{ own: false }] })
    })

    test('our own sessions: that of a deed under way, seen from either entry of the server', async () => {
      const victim = await session()
      hands = watch(server, 'postgres', { id: 'b', conninfo: `${server.conninfo}?application_name=pgvigil` })
      const asked = question('terminate', await rowOf(victim.pid))
      freeze(victim.pid)
      const work = hands.begin(asked)
      await hands.until(({ ownPids }) => ownPids.a?.length === 1, 'the connection of the deed')
      const pid = hands.state().ownPids.a![0]!
      for (const focus of ['a', 'b']) {
        hands.store.setState(state => ({ ...state, view: { ...state.view, focus } }))
        const row = await rowOf(pid)
        expect(row).toMatchObject({ server: focus, own: true })
        expect(hands.ask('terminate', [row])).toBe("it is one of pgvigil's own sessions")
      }
      thaw(victim.pid)
      await hands.until(() => work().endedAt !== null, 'the end of the deed')
      expect(work().items).toMatchObject([{ outcome: 'gone' }])
    })

    test('a walsender runs nothing to cancel, and to terminate it takes its name', async () => {
      await receiver('receiver-1')
      hands = watch(server)
      const row = await walsender()
      expect(hands.ask('cancel', [row])).toBe('a walsender runs no query that could be cancelled')
      const asked = question('terminate', row)
      expect(asked.words).toEqual(['receiver-1', String(row.pid)])
      expect(follows(asked)[0]).toMatch(/^receiver-1 is cut off from its WAL/)
      expect((await hands.confirm(asked)).items).toMatchObject([{ outcome: 'gone' }])
      await gone(row.pid as number)
    })

    test('a parallel worker, with the pid of its leader', async () => {
      const leader = await session()
      await leader.query(
        'SET max_parallel_workers_per_gather = 2; SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0',
      )
      const running = leader.query('SELECT count(pg_sleep(0.0001)) FROM big').catch(error => error.code)
      hands = watch(server)
      const worker = await hands.row(activityList, row => row.leader_pid === leader.pid, 'a parallel worker')
      for (const action of ['cancel', 'terminate']) {
        expect(hands.ask(action, [worker])).toBe(`it is a parallel worker: act on its leader, pid ${leader.pid}`)
      }
      const asked = question('cancel', await rowOf(leader.pid, active))
      expect((await hands.confirm(asked)).items).toMatchObject([{ outcome: 'gone' }])
      expect(await running).toBe('57014')
    })

    test('autovacuum: `y` for one that can wait, its pid for one that prevents wraparound', async () => {
      const victim = await session()
      const running = sleep(victim)
      hands = watch(server)
      const row = await rowOf(victim.pid, active)
      const worker = { ...row, backend_type: untrusted('autovacuum worker'), usesysid: null, usename: null, kind: 'background' }
      const ordinary = { ...worker, query: untrusted('autovacuum: VACUUM ANALYZE public.big') }
      const urgent = { ...worker, query: untrusted('autovacuum: VACUUM public.big (to prevent wraparound)') }
      for (const action of ['cancel', 'terminate']) {
        expect(question(action, ordinary).words).toBeNull()
        expect(follows(question(action, ordinary)).join()).not.toContain('wraparound')
        const asked = question(action, urgent)
        expect(asked.words).toEqual([String(victim.pid)])
        expect(asked.question.follows).toContainEqual({
          text: expect.stringMatching(/^autovacuum to prevent wraparound: it starts again at once/),
          tone: 'critical',
        })
      }
      // What a client writes into its query makes it no autovacuum.
      expect(question('cancel', { ...row, query: urgent.query }).words).toBeNull()
      await admin.query('SELECT pg_terminate_backend($1)', [victim.pid])
      await running
    })

    test('a background worker of an extension: its pid, and that it may be started again', async () => {
      const victim = await session()
      hands = watch(server)
      const worker = { ...(await rowOf(victim.pid)), backend_type: untrusted('TimescaleDB Background Worker Scheduler') }
      const asked = question('terminate', worker)
      expect(asked.words).toEqual([String(victim.pid)])
      expect(follows(asked)).toContain('a background worker: what started it may start it again')
    })

    test('in read-only mode nothing is done, also when it begins between question and confirmation', async () => {
      const victim = await session()
      hands = watch(server)
      const row = await rowOf(victim.pid)
      const asked = question('terminate', row)
      hands.store.setState(state => ({ ...state, settings: { ...state.settings, readOnly: true } }))
      expect(hands.ask('terminate', [row])).toBe('read-only mode: by --read-only, or by read_only in the configuration file')
      expect((await hands.confirm(asked)).items).toMatchObject([
        {
          outcome: 'refused',
          say: 'nothing was done: read-only mode: by --read-only, or by read_only in the configuration file',
        },
      ])
      expect(await truth(admin, victim.pid)).not.toBeNull()
    })

    test('a server that has changed its role since the question', async () => {
      const victim = await session()
      hands = watch(server)
      const asked = changed(question('terminate', await rowOf(victim.pid)), { role: 'standby' })
      expect((await hands.confirm(asked)).items).toMatchObject([
        { outcome: 'refused', say: 'nothing was done: a is a primary now and was a standby: look again' },
      ])
      expect(await truth(admin, victim.pid)).not.toBeNull()
    })
  })

  describe('F34: a session that does not obey', () => {
    test('it is still there, never gone; reading goes on, and another deed is done meanwhile', async () => {
      const [idle, busy, other] = [await session(), await session(), await session()]
      const running = sleep(busy)
      hands = watch(server)
      const terminate = question('terminate', await rowOf(idle.pid))
      const cancel = question('cancel', await rowOf(busy.pid, active))
      const quick = question('terminate', await rowOf(other.pid))
      freeze(idle.pid)
      freeze(busy.pid)
      const said: string[] = []
      const note = (work: Work) => {
        for (const { outcome, say } of work.items) if (outcome !== null) said.push(`${outcome}: ${say}`)
      }
      const at = Date.now()
      const works = [hands.begin(terminate), hands.begin(cancel)]
      const told = hands.store.subscribe(() => {
        for (const work of works) note(work())
      })
      await hands.until(() => works.every(work => work().items[0]!.outcome === 'signal sent'), 'the signals')
      expect((await hands.confirm(quick)).items).toMatchObject([{ outcome: 'gone' }])
      expect(works.map(work => work().endedAt)).toEqual([null, null])
      await hands.until(({ servers }) => (servers.a!.readings.activity!.sample?.at ?? 0) > at + 1000, 'samples meanwhile')
      await hands.until(() => works.every(work => work().endedAt !== null), 'the end of both')
      told()
      expect(Date.now() - at).toBeLessThan(5500)
      for (const work of works) {
        expect(work().endedAt! - work().at).toBeLessThan(5000)
        expect(work().items).toMatchObject([
          {
            outcome: 'still there',
            say: expect.stringMatching(/^signal sent, still there after [34]\S*: it has not obeyed yet$/),
            ended: true,
          },
        ])
      }
      expect(said.length).toBeGreaterThan(4)
      expect(said.filter(word => !/^(signal sent: signal sent|still there: signal sent, still there)/.test(word))).toEqual([])
      expect(
        trail()
          .filter(([phase]) => phase === 'ended')
          .toSorted(),
      ).toEqual([
        ['ended', 'cancel', 'still there'],
        ['ended', 'terminate', 'gone'],
        ['ended', 'terminate', 'still there'],
      ])
      expect(await truth(admin, idle.pid)).not.toBeNull()
      thaw(idle.pid)
      thaw(busy.pid)
      expect(await running).toBe('57014')
      await gone(idle.pid)
    })

    test('the deed`s own session ends before the outcome is known: the signal was sent, and that is all that is said', async () => {
      const victim = await session()
      hands = watch(server)
      const asked = question('terminate', await rowOf(victim.pid))
      freeze(victim.pid)
      const work = hands.begin(asked)
      await hands.until(() => work().items[0]!.outcome === 'signal sent', 'the signal')
      await admin.query('SELECT pg_terminate_backend($1)', [hands.state().ownPids.a![0]])
      await hands.until(() => work().endedAt !== null, 'the end of the deed')
      expect(work().items).toMatchObject([
        { outcome: 'signal sent', say: expect.stringMatching(/^signal sent; what became of it is not known: terminating/) },
      ])
      expect(trail().at(-1)).toEqual(['ended', 'terminate', 'signal sent'])
      thaw(victim.pid)
      await gone(victim.pid)
    })
  })

  describe('several tagged rows', () => {
    test('three, each with an outcome and two lines of the trail of its own', async () => {
      const [willing, deaf, late] = [await session(), await session(), await session()]
      hands = watch(server)
      const rows = [await rowOf(willing.pid), await rowOf(deaf.pid), await rowOf(late.pid)]
      const asked = question('terminate', ...rows)
      expect(asked.leftOut).toEqual([])
      expect(asked.question.hit.map(([pid]) => pid)).toEqual([willing, deaf, late].map(({ pid }) => String(pid)))
      expect(asked.sql).toHaveLength(3)
      await late.end()
      await gone(late.pid)
      freeze(deaf.pid)
      const { items } = await hands.confirm(asked)
      thaw(deaf.pid)
      expect(items.map(({ label, outcome }) => [label, outcome])).toEqual([
        [`pid ${willing.pid}`, 'gone'],
        [`pid ${deaf.pid}`, 'still there'],
        [`pid ${late.pid}`, 'already gone'],
      ])
      const lines = hands.audit()
      expect(lines).toHaveLength(6)
      const told = Map.groupBy(lines, ({ id }) => id)
      expect(
        [...told.values()].map(those => those.map(({ phase, target, outcome }) => [phase, target.pid, outcome])).toSorted(),
      ).toEqual(
        [
          [willing.pid, 'gone'],
          [deaf.pid, 'still there'],
          [late.pid, 'already gone'],
        ]
          .map(([pid, outcome]) => [
            ['begun', pid, null],
            ['ended', pid, outcome],
          ])
          .toSorted(),
      )
      for (const [i, { sql }] of lines.slice(0, 3).entries()) expect(sql).toBe(asked.sql[i])
    })

    test('what it can`t be done to is left out, with the reason', async () => {
      const [busy, idle] = [await session(), await session()]
      const running = sleep(busy)
      await receiver('receiver-2')
      hands = watch(server)
      const rows = [
        await rowOf(busy.pid, active),
        await rowOf(idle.pid),
        await hands.row(activityList, ({ own }) => own === true, 'our own session'),
        await walsender(),
      ]
      const own = rows[2]!.pid
      const cancel = question('cancel', ...rows)
      expect(cancel.targets.map(({ label }) => label)).toEqual([`pid ${busy.pid}`])
      expect(cancel.leftOut).toEqual([
        { label: `pid ${idle.pid}`, why: 'it is idle: there is no query to cancel' },
        { label: `pid ${own}`, why: "it is one of pgvigil's own sessions" },
        { label: `pid ${rows[3]!.pid}`, why: 'a walsender runs no query that could be cancelled' },
      ])
      expect((await hands.confirm(cancel)).items).toMatchObject([{ outcome: 'gone' }])
      expect(await running).toBe('57014')
      const terminate = question('terminate', ...rows)
      expect(terminate.leftOut).toEqual([
        { label: `pid ${own}`, why: "it is one of pgvigil's own sessions" },
        { label: `pid ${rows[3]!.pid}`, why: 'it must be confirmed by itself' },
      ])
      expect((await hands.confirm(terminate)).items.map(({ outcome }) => outcome)).toEqual(['gone', 'gone'])
      await gone(busy.pid)
      await gone(idle.pid)
      expect(await truth(admin, own as number)).not.toBeNull()
      expect(await truth(admin, rows[3]!.pid as number)).not.toBeNull()
      expect(hands.ask('cancel', rows.slice(2))).toBe("to none of the 2 tagged rows: it is one of pgvigil's own sessions")
    })
  })

  describe('a right that is taken away', () => {
    const grant = 'GRANT pg_read_all_stats, pg_signal_backend TO revoked'
    const revoke = 'REVOKE pg_read_all_stats FROM revoked'

    test('between question and confirmation: an open question does not call its target gone', async () => {
      await admin.query(grant)
      const victim = await session({ user: 'app' })
      const running = sleep(victim)
      hands = watch(server, 'revoked')
      const row = await rowOf(victim.pid, row => !row.restricted && active(row))
      const [cancel, terminate] = [question('cancel', row), question('terminate', row)]
      const at = Date.now()
      await admin.query(revoke)
      await rowOf(victim.pid, ({ restricted }) => restricted)
      expect(cancel.action.gone(cancel.targets[0]!, hands.state(), at)).toBe(false)
      expect(terminate.action.gone(terminate.targets[0]!, hands.state(), at)).toBe(false)
      expect(await truth(admin, victim.pid)).toMatchObject({ state: 'active' })
      await admin.query('SELECT pg_terminate_backend($1)', [victim.pid])
      await running
    })

    test('while the outcome is awaited: nobody claims that the session is gone', async () => {
      await admin.query(grant)
      const victim = await session({ user: 'app' })
      hands = watch(server, 'revoked')
      const asked = question('terminate', await rowOf(victim.pid, ({ restricted }) => !restricted))
      freeze(victim.pid)
      const work = hands.begin(asked)
      await hands.until(() => work().items[0]!.outcome === 'signal sent', 'the signal')
      await admin.query(revoke)
      await hands.until(() => work().endedAt !== null, 'the end of the deed')
      expect(await truth(admin, victim.pid)).not.toBeNull()
      expect(work().items).toMatchObject([{ outcome: expect.stringMatching(/^(signal sent|still there)$/) }])
      thaw(victim.pid)
      await gone(victim.pid)
    })
  })

  test('a catalog that new connections need is locked: its holder is terminated by the session that reads', async () => {
    const victim = await session()
    hands = watch(server)
    await rowOf(victim.pid)
    await victim.query('BEGIN; LOCK TABLE pg_authid, pg_database')
    const row = await rowOf(victim.pid, ({ state }) => String(state) === 'idle in transaction')
    const { items } = await hands.confirm(question('terminate', row))
    expect(items).toMatchObject([{ outcome: 'gone' }])
    await gone(victim.pid)
  })
})

describe('no connection slot is free', () => {
  let server: PostgresServer

  beforeAll(async () => {
    server = await startPostgres({
      version: 16,
      dir: folder.path,
      name: 'full',
      settings: { max_connections: 8, superuser_reserved_connections: 2, max_wal_senders: 0 },
    })
  })
  afterAll(() => server?.stop('immediate'))

  test('cancel and terminate go through the session that reads', async () => {
    const admin = await open({ port: server.port })
    await admin.query('CREATE ROLE app LOGIN; CREATE ROLE operator LOGIN; GRANT pg_monitor, pg_signal_backend TO operator')
    const victim = await open({ port: server.port, user: 'app' })
    const running = sleep(victim)
    hands = watch(server, 'operator')
    const row = await rowOf(victim.pid, active)
    const cancel = question('cancel', row)
    for (let full = false; !full; ) {
      full = await open({ port: server.port, user: 'app' }).then(
        () => false,
        error => error.code === '53300' || Promise.reject(error),
      )
    }
    expect((await hands.confirm(cancel)).items).toMatchObject([{ outcome: 'gone' }])
    expect(await running).toBe('57014')
    await expect(open({ port: server.port, user: 'app' })).rejects.toMatchObject({ code: '53300' })
    const terminate = question('terminate', await rowOf(victim.pid))
    expect((await hands.confirm(terminate)).items).toMatchObject([{ outcome: 'gone' }])
    expect(await truth(admin, victim.pid)).toBeNull()
    expect(trail()).toEqual([
      ['begun', 'cancel', null],
      ['ended', 'cancel', 'gone'],
      ['begun', 'terminate', null],
      ['ended', 'terminate', 'gone'],
    ])
    await hands.until(({ servers }) => servers.a!.link.state === 'up', 'the reading session, unharmed')
  })
})

describe('a server in trouble between question and confirmation', () => {
  let server: PostgresServer

  beforeAll(async () => {
    server = await startPostgres({ version: 16, dir: folder.path, name: 'trouble' })
  })
  afterAll(async () => {
    await server?.stop('immediate')
  })

  /** A session, watched, and the question whether to terminate it. */
  async function asked(): Promise<{ victim: Client; asked: Asked }> {
    const victim = await open({ port: server.port })
    hands = watch(server)
    return { victim, asked: question('terminate', await rowOf(victim.pid)) }
  }

  test('frozen: failed, with a sentence that says that nothing was done', async () => {
    const { victim, asked: target } = await asked()
    const { rows } = await victim.query('SELECT pid FROM pg_stat_activity')
    freeze(server.pid())
    for (const { pid } of rows) freeze(pid as number)
    const work = await hands.confirm(target)
    expect(work.items).toMatchObject([{ outcome: 'failed', say: expect.stringMatching(/nothing was done/) }])
    expect(work.endedAt! - work.at).toBeLessThan(14_000)
    expect(trail().at(-1)).toEqual(['ended', 'terminate', 'failed'])
    for (const pid of [...frozen]) thaw(pid)
    expect((await victim.query('SELECT 1 AS alive')).rows).toEqual([{ alive: 1 }])
  })

  test('restarted: nothing is done to what runs there now', async () => {
    const { asked: target } = await asked()
    const before = target.targets[0]!.started
    await server.restart('fast')
    const next = await open({ port: server.port })
    await hands.until(
      ({ servers }) =>
        servers.a!.link.state === 'up' && servers.a!.readings.pulse!.sample!.rows[0]!.postmaster_start_epoch !== before,
      'the server to be back',
    )
    const now = changed(target, {
      pid: next.pid,
      backend_start: (await rowOf(next.pid)).backend_start as SessionTarget['backend_start'],
    })
    expect((await hands.confirm(now)).items).toMatchObject([
      { outcome: 'refused', say: 'nothing was done: the server was restarted since, or another one answers there' },
    ])
    expect(trail()).toEqual([
      ['begun', 'terminate', null],
      ['ended', 'terminate', 'refused'],
    ])
    expect((await next.query('SELECT 1 AS alive')).rows).toEqual([{ alive: 1 }])
    expect(hands.state().ownPids.a).toEqual([])
  })

  test('stopped, and we don`t know yet: failed; once we know, the keys say so', async () => {
    const { asked: target } = await asked()
    const row = hands.rows(activityList).find(({ pid }) => pid === (target.targets[0] as SessionTarget).pid) as AnyRow
    // Nobody looks any more: what is known stays as it was.
    const blind = watch(server)
    await blind.until(({ servers }) => servers.a!.link.state === 'up' && servers.a!.role !== null, 'a second monitor')
    blind.poller.stop()
    await server.stop('fast')
    try {
      expect((await blind.confirm(target)).items).toMatchObject([
        {
          outcome: 'failed',
          say: expect.stringMatching(/^nothing was done: no connection for it: nothing listens at 127\.0\.0\.1/),
        },
      ])
      expect(blind.audit().map(({ phase, outcome }) => [phase, outcome])).toEqual([
        ['begun', null],
        ['ended', 'failed'],
      ])
    } finally {
      blind.stop()
    }
    await hands.until(({ servers }) => servers.a!.link.word === 'DOWN', 'the word DOWN')
    expect(hands.ask('terminate', [row])).toMatch(/^a is DOWN: nothing listens at 127\.0\.0\.1/)
    expect((await hands.confirm(target)).items).toMatchObject([
      { outcome: 'refused', say: expect.stringMatching(/^nothing was done: a is DOWN: /) },
    ])
    await server.start()
  })
})

// Who may do what is the server's to say; pgvigil says the same before the key is pressed.
describe.each([13, 16, 18] as const)('roles on PostgreSQL %i', (version: PostgresVersion) => {
  let server: PostgresServer
  let admin: Client

  beforeAll(async () => {
    server = await startPostgres({ version, dir: folder.path, name: `roles${version}`, settings: { autovacuum_naptime: 1 } })
    admin = await open({ port: server.port, application_name: 'admin' })
    clients.splice(clients.indexOf(admin), 1)
    await admin.query(`
      CREATE ROLE app LOGIN; CREATE ROLE risen LOGIN;
      CREATE ROLE nothing LOGIN; CREATE ROLE poor LOGIN;
      CREATE ROLE monitor LOGIN IN ROLE pg_monitor; CREATE ROLE looker LOGIN IN ROLE pg_monitor;
      CREATE ROLE operator LOGIN IN ROLE pg_monitor, pg_signal_backend;
      CREATE ROLE revoked LOGIN IN ROLE pg_monitor, pg_signal_backend;
      CREATE ROLE signaller LOGIN IN ROLE pg_signal_backend; CREATE ROLE blind LOGIN IN ROLE pg_signal_backend;
      CREATE ROLE member LOGIN IN ROLE app;
      CREATE ROLE shy LOGIN NOINHERIT IN ROLE app, pg_signal_backend, pg_read_all_stats`)
  })
  afterAll(async () => {
    await admin?.end()
    await server?.stop('immediate')
  })

  const functions = { cancel: 'pg_cancel_backend', terminate: 'pg_terminate_backend' } as const
  const codes = { cancel: '57014', terminate: '57P01' } as const
  /** What the server says to the bare function; null: it does it. */
  async function serverSays(user: string, action: keyof typeof functions, pid: number): Promise<string | null> {
    const client = await connect({ port: server.port, user })
    const said = await client.query(`SELECT ${functions[action]}($1)`, [pid]).then(
      () => null,
      error => error.code as string,
    )
    await client.end()
    return said
  }

  test.each([
    { user: 'nothing', app: /^restricted: GRANT pg_monitor, pg_signal_backend TO nothing;/, own: null },
    { user: 'monitor', app: /^no right: GRANT pg_signal_backend TO monitor; \(to signal sessions of app\)$/, own: null },
    { user: 'operator', app: null, own: null },
    // The bare function would do it, but to a pid, not to a session: when it began can't be seen.
    { user: 'signaller', app: /^restricted: GRANT pg_monitor TO signaller;/, own: null, serverWould: true },
    { user: 'member', app: null, own: null },
    { user: 'shy', app: /^(restricted|no right): GRANT /, own: null },
  ])('$user', async ({ user, app, own, serverWould = false }) => {
    hands = watch(server, user)
    let queries = 0
    const cast = [
      { of: 'app', says: app },
      { of: user, says: own },
      { of: 'postgres', says: /./ },
    ]
    for (const { of, says } of cast) {
      const victim = await open({ port: server.port, user: of, application_name: `of ${of}` })
      for (const action of ['cancel', 'terminate'] as const) {
        const seconds = 600 + ++queries
        const running = sleep(victim, seconds)
        // A restricted row does not say what it runs.
        const now = async () => (await truth(admin, victim.pid))?.query.includes(String(seconds)) === true
        await until('the query', now)
        const row = await rowOf(victim.pid, row => row.restricted || (active(row) && String(row.query).includes(String(seconds))))
        const asked = hands.ask(action, [row])
        if (says === null) {
          expect(asked, `${action} of ${of}`).toBeTypeOf('object')
          expect((await hands.confirm(asked)).items, `${action} of ${of}`).toMatchObject([{ outcome: 'gone' }])
          expect(await running).toBe(codes[action])
        } else {
          expect(asked, `${action} of ${of}`).toMatch(says)
          if (!serverWould || of === 'postgres') expect(await serverSays(user, action, victim.pid)).toBe('42501')
          await admin.query('SELECT pg_cancel_backend($1)', [victim.pid])
          await running
        }
      }
    }
  })

  test.each(['nothing', 'monitor', 'operator', 'signaller', 'member'])(
    'a superuser`s session is refused to %s as what it is, without a GRANT that would not help',
    async user => {
      hands = watch(server, user)
      const row = await rowOf(admin.pid)
      expect(hands.ask('terminate', [row])).toBe(
        `only a superuser may signal a session of superuser postgres, and ${user} is none`,
      )
    },
  )

  test.each(['poor', 'looker', 'blind'])('the GRANT that is named to %s is enough', async user => {
    const victim = await open({ port: server.port, user: 'app' })
    const running = sleep(victim)
    hands = watch(server, user)
    const why = hands.ask('cancel', [await rowOf(victim.pid, active)])
    const [grant] = /GRANT [^;]*;/.exec(String(why)) ?? []
    await admin.query(grant ?? `-- ${why}`)
    hands.poller.again('a')
    const row = () => hands.rows(activityList).find(({ pid }) => pid === victim.pid) as AnyRow
    await hands.until(() => typeof hands.ask('cancel', [row()]) !== 'string', 'the right')
    expect((await hands.confirm(hands.ask('cancel', [row()]))).items).toMatchObject([{ outcome: 'gone' }])
    expect(await running).toBe('57014')
  })

  test.each(['cancel', 'terminate'] as const)(
    '%s: a right to look is taken away meanwhile: refused, never called gone',
    async action => {
      await admin.query('GRANT pg_monitor TO revoked')
      const victim = await open({ port: server.port, user: 'app' })
      const running = sleep(victim)
      hands = watch(server, 'revoked')
      const asked = question(action, await rowOf(victim.pid, row => !row.restricted && active(row)))
      await admin.query('REVOKE pg_monitor FROM revoked')
      const before = await truth(admin, victim.pid)
      expect((await hands.confirm(asked)).items).toMatchObject([
        {
          outcome: 'refused',
          say: 'nothing was done: the session can no longer be told from others (pg_read_all_stats is missing)',
        },
      ])
      expect(await truth(admin, victim.pid)).toEqual(before)
      expect(trail().at(-1)).toEqual(['ended', action, 'refused'])
      await admin.query('SELECT pg_terminate_backend($1)', [victim.pid])
      await running
    },
  )

  test('a role that has become a superuser`s meanwhile: refused, in the server`s words', async () => {
    const victim = await open({ port: server.port, user: 'risen' })
    hands = watch(server, 'operator')
    const asked = question('terminate', await rowOf(victim.pid))
    // What we know of roles is not read anew.
    hands.poller.stop()
    await admin.query('ALTER ROLE risen SUPERUSER')
    const { items } = await hands.confirm(asked)
    await admin.query('ALTER ROLE risen NOSUPERUSER')
    expect(items).toMatchObject([
      {
        outcome: 'refused',
        say: expect.stringMatching(
          /^refused: (permission denied to terminate process|must be a superuser to terminate superuser process)/,
        ),
      },
    ])
    expect(hands.audit().at(-1)).toMatchObject({ phase: 'ended', outcome: 'refused', detail: items[0]!.say })
    expect((await victim.query('SELECT 1 AS alive')).rows).toEqual([{ alive: 1 }])
  })

  test('processes of the server itself', async () => {
    hands = watch(server)
    const expected = ['autovacuum launcher', 'background writer', 'checkpointer', 'logical replication launcher', 'walwriter']
    if (version === 18) expected.push('io worker')
    const background = () =>
      hands
        .rows(activityList)
        .filter(({ kind, backend_type }) => kind === 'background' && String(backend_type) !== 'autovacuum worker')
    await hands.until(() => background().length >= expected.length, 'the processes')
    expect([...new Set(background().map(({ backend_type }) => String(backend_type)))].toSorted()).toEqual(expected.toSorted())
    for (const row of background()) {
      for (const action of ['cancel', 'terminate']) {
        expect(hands.ask(action, [row])).toBe(`it is the ${row.backend_type}, a process of the server itself`)
      }
    }
  })

  test('an autovacuum worker', async () => {
    await admin.query(`
      CREATE TABLE slow (i int) WITH (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1,
        autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0)`)
    // Its statistics reach the server at the latest when it ends.
    const writer = await open({ port: server.port })
    await writer.query('INSERT INTO slow SELECT generate_series(1, 100000)')
    await writer.query('DELETE FROM slow')
    await writer.end()
    hands = watch(server, 'operator')
    const isWorker = (row: AnyRow) => String(row.backend_type) === 'autovacuum worker' && String(row.query).includes('slow')
    const worker = await hands.row(activityList, isWorker, 'an autovacuum worker')
    for (const action of ['cancel', 'terminate'] as const) {
      expect(hands.ask(action, [worker])).toBe(
        version === 18
          ? 'no right: GRANT pg_signal_autovacuum_worker TO operator; (to signal an autovacuum worker)'
          : 'only a superuser may signal an autovacuum worker',
      )
      expect(await serverSays('operator', action, worker.pid as number)).toBe('42501')
    }
    if (version === 18) {
      await admin.query('CREATE ROLE vacuumer LOGIN IN ROLE pg_monitor, pg_signal_autovacuum_worker')
      hands.stop()
      hands = watch(server, 'vacuumer')
      const asked = question('cancel', await hands.row(activityList, isWorker, 'the worker'))
      expect((await hands.confirm(asked)).items).toMatchObject([{ outcome: 'gone' }])
    }
    hands.stop()
    hands = watch(server)
    const asked = question('terminate', await hands.row(activityList, isWorker, 'a worker again'))
    expect((await hands.confirm(asked)).items).toMatchObject([{ outcome: 'gone' }])
    await admin.query('DROP TABLE slow')
  })
})
