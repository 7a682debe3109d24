// Deeds on the wait forest of a real server: whom the end of a session or of a prepared transaction frees, as the question told it and as
// pg_blocking_pids says afterwards; and prepared transactions committed and rolled back.

import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { SessionTarget } from '../../src/actions/session-targets.ts'
import { connect, type Target } from '../../src/lab/client.ts'
import { temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import type { LockWait } from '../../src/model/locks.ts'
import { locksList } from '../../src/panels/locks.ts'
import type { AnyRow } from '../../src/panels/panel.ts'
import type { Frozen } from '../../src/store/state.ts'
import { type Acting, type Asked, acting } from '../support/acting.ts'

type Client = pg.Client & { readonly pid: number }

const folder = temporaryFolder('pgvigil-deeds')
let server: PostgresServer
let admin: Client
let hands: Acting
let clients: Client[] = []
let pending: Promise<string>[] = []

async function open(target: Partial<Target> = {}): Promise<Client> {
  const client = await connect({ port: server.port, application_name: 'cast', ...target })
  const { rows } = await client.query('SELECT pg_backend_pid() AS pid')
  const opened = Object.assign(client, { pid: rows[0].pid as number })
  clients.push(opened)
  return opened
}
const several = (count: number) => Promise.all(Array.from({ length: count }, () => open()))

/** Starts a statement that will wait; resolves to 'done' or the code of the error that ended it. */
function start(client: Client, sql: string): Promise<string> {
  const ending = client.query(sql).then(
    () => 'done',
    error => (error.code ?? error.message) as string,
  )
  pending.push(ending)
  return ending
}

beforeAll(async () => {
  server = await startPostgres({
    version: 16,
    dir: folder.path,
    settings: { max_prepared_transactions: 10, deadlock_timeout: '10s' },
  })
  admin = await open({ application_name: 'admin' })
  clients = []
  await admin.query('CREATE DATABASE other')
  await admin.query('CREATE ROLE app LOGIN; CREATE ROLE member LOGIN IN ROLE app, pg_monitor')
  for (const database of ['postgres', 'other']) {
    const client = await open({ database })
    await client.query('CREATE TABLE hot (id int PRIMARY KEY, v int); INSERT INTO hot SELECT i, 0 FROM generate_series(1, 5) i')
    await client.query('GRANT ALL ON hot TO app')
    await client.end()
  }
  clients = []
})
afterEach(async () => {
  hands?.stop()
  await admin.query('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) pid', [clients.map(({ pid }) => pid)])
  const { rows } = await admin.query("SELECT gid, database, format('ROLLBACK PREPARED %L', gid) AS sql FROM pg_prepared_xacts")
  for (const { database, sql } of rows) {
    const client = await connect({ port: server.port, database })
    await client.query(sql)
    await client.end()
  }
  await Promise.all([...pending, ...clients.map(client => client.end().catch(() => {}))])
  clients = []
  pending = []
})
afterAll(async () => {
  await admin?.end()
  await server?.stop('immediate')
  await folder.remove()
})

function watch(user = 'postgres'): void {
  const conninfo = server.conninfo.replace(`${server.user}@`, `${user}@`)
  hands = acting([{ id: 'a', conninfo: `${conninfo}?application_name=pgvigil` }], [locksList])
}

/** What the server says of all that wait for a lock. */
async function blockingPids(): Promise<Record<string, readonly number[]>> {
  const { rows } = await admin.query(
    "SELECT pid, pg_blocking_pids(pid) AS by FROM pg_stat_activity WHERE wait_event_type = 'Lock' ORDER BY pid",
  )
  return Object.fromEntries(rows.map(({ pid, by }) => [pid, [...new Set(by as number[])].toSorted((a, b) => a - b)]))
}

/** The same once nothing changes any more. */
async function settled(): Promise<Record<string, readonly number[]>> {
  for (let [last, since] = ['', Date.now()]; ; await new Promise(resolve => setTimeout(resolve, 50))) {
    const now = await blockingPids()
    if (JSON.stringify(now) !== last) [last, since] = [JSON.stringify(now), Date.now()]
    else if (Date.now() - since > 250) return now
  }
}

/** Waits for what only the server itself says. */
async function until(what: string, ready: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 15_000; !(await ready()); ) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}: ${JSON.stringify(await blockingPids())}`)
    await new Promise(resolve => setTimeout(resolve, 30))
  }
}
const waiting = (count: number) => until(`${count} that wait`, async () => Object.keys(await blockingPids()).length === count)
/** Null when the session is gone. */
const stateOf = async ({ pid }: Client): Promise<string | null> =>
  (await admin.query('SELECT state FROM pg_stat_activity WHERE pid = $1', [pid])).rows[0]?.state ?? null

const forest = () => hands.rows(locksList) as unknown as readonly LockWait[]

/** The row of a session, or of a prepared transaction by its gid, once the forest shows what the server says. */
async function rowOf(who: Client | string): Promise<AnyRow> {
  const truth = JSON.stringify(await settled())
  const shown = () =>
    JSON.stringify(
      Object.fromEntries(
        forest()
          .filter(row => row.blockedBy.length > 0)
          .map(row => [row.pid, row.blockedBy.toSorted((a, b) => a - b)]),
      ),
    )
  await hands.until(() => shown() === truth, `the forest ${truth}`)
  const is = (row: AnyRow) => (typeof who === 'string' ? row.pid === 0 && row.gid === who : row.pid === who.pid)
  return hands.row(locksList, row => is(row) && row.usename !== null, `the row of ${typeof who === 'string' ? who : who.pid}`)
}

function question(action: string, ...rows: AnyRow[]): Asked {
  const asked = hands.ask(action, rows)
  if (typeof asked === 'string') throw new Error(`no question: ${asked}`)
  return asked
}

const follows = ({ question: { follows } }: Asked) => follows.map(({ text }) => text)

/** What a question promises, in figures and pids. */
function promised(asked: Asked) {
  const text = follows(asked).join('\n')
  const find = (pattern: RegExp) => pattern.exec(text)?.slice(1) ?? []
  const pids = (list = '') => [...list.matchAll(/\d+|a prepared transaction/g)].map(([pid]) => (/\d/.test(pid) ? Number(pid) : 0))
  const [frees = '0', atOnce = '0'] = find(/^frees (\d+) sessions?.*: (\d+) at once$/m)
  const [queued = '0', behind] = find(/^(\d+) of them then waits? for (.*), whose turn comes first$/m)
  const [stay = '0', by] = find(/^(\d+) sessions? still blocked afterwards, by (.*)$/m)
  return {
    frees: Number(frees),
    atOnce: Number(atOnce),
    queued: Number(queued),
    queuedBehind: pids(behind),
    stay: Number(stay),
    stayBehind: pids(by),
  }
}

/** Confirms a question and compares what it promised with what the server says then. */
async function keepsItsWord(asked: Asked, held: readonly Client[]): Promise<void> {
  const before = await blockingPids()
  const told = promised(asked)
  const { items } = await hands.confirm(asked)
  expect(items.map(({ outcome }) => outcome).filter(outcome => !['gone', 'done'].includes(String(outcome)))).toEqual([])
  const after = await settled()
  const pids = held.map(({ pid }) => pid).filter(pid => String(pid) in before)
  const blocked = pids.filter(pid => String(pid) in after)
  // Those that hold up the rest and wait for nobody.
  const roots = new Set(blocked.flatMap(pid => after[pid]!).filter(pid => !(pid in after)))
  expect(
    { ...told, behind: [...told.queuedBehind, ...told.stayBehind].toSorted() },
    JSON.stringify({ before, after }),
  ).toMatchObject({
    atOnce: pids.length - blocked.length,
    behind: [...roots].toSorted(),
  })
  expect(told.frees).toBe(told.atOnce + told.queued)
  expect(told.queued + told.stay).toBe(blocked.length)
}

describe('whom the end of a session frees', () => {
  /** Takes a row and keeps it, or waits for it. */
  const take = (id: number) => `BEGIN; UPDATE hot SET v = v + 1 WHERE id = ${id}`

  test('a tree of two levels: the first at once, the second when the first is through', async () => {
    const [root, middle, leaf] = (await several(3)) as [Client, Client, Client]
    await root.query(take(1))
    await middle.query(take(2))
    start(middle, 'UPDATE hot SET v = v + 1 WHERE id = 1')
    start(leaf, take(2))
    watch()
    await waiting(2)
    const asked = question('terminate', await rowOf(root))
    expect(asked.targets).toMatchObject([{ pid: root.pid }])
    expect(follows(asked)).toEqual([
      expect.stringMatching(/^its transaction, open for .*, is rolled back/),
      expect.stringMatching(/^frees 2 sessions, the oldest has waited \S+: 1 at once$/),
      expect.stringMatching(new RegExp(`^1 of them then waits? for ${middle.pid}, whose turn comes first$`)),
    ])
    await keepsItsWord(asked, [middle, leaf])
  })

  test('in the middle of it: what it holds itself', async () => {
    const [root, middle, leaf] = (await several(3)) as [Client, Client, Client]
    await root.query(take(1))
    await middle.query(take(2))
    start(middle, 'UPDATE hot SET v = v + 1 WHERE id = 1')
    start(leaf, take(2))
    watch()
    await waiting(2)
    const asked = question('terminate', await rowOf(middle))
    expect(asked.targets).toMatchObject([{ pid: middle.pid }])
    expect(promised(asked)).toMatchObject({ frees: 1, atOnce: 1, stay: 0 })
    await keepsItsWord(asked, [leaf])
    expect(await stateOf(root)).toBe('idle in transaction')
  })

  test('a leaf: nobody waits for it', async () => {
    const [root, leaf] = (await several(2)) as [Client, Client]
    await root.query(take(1))
    const ending = start(leaf, take(1))
    watch()
    await waiting(1)
    const asked = question('cancel', await rowOf(leaf))
    expect(follows(asked).at(-1)).toBe('nobody waits for it')
    await keepsItsWord(asked, [])
    expect(await ending).toBe('57014')
  })

  /** A holder of a row and five that wait for it, in the order of their turn. */
  async function hotRow(): Promise<{ root: Client; queue: readonly Client[] }> {
    const [root, ...queue] = (await several(6)) as [Client, ...Client[]]
    await root.query(take(1))
    for (const [i, client] of queue.entries()) {
      start(client, take(1))
      await waiting(i + 1)
    }
    return { root, queue }
  }

  test('a hot row with five that wait: one at once, four behind it', async () => {
    const { root, queue } = await hotRow()
    watch()
    const asked = question('terminate', await rowOf(root))
    expect(promised(asked)).toEqual({
      frees: 5,
      atOnce: 1,
      queued: 4,
      queuedBehind: [queue[0]!.pid],
      stay: 0,
      stayBehind: [],
    })
    await keepsItsWord(asked, queue)
  })

  test('a hot row: the end of the first in the queue frees nobody, the holder of the row is still there', async () => {
    const { queue } = await hotRow()
    watch()
    await keepsItsWord(question('terminate', await rowOf(queue[0]!)), queue.slice(1))
  })

  test('a hot row: holder and first in the queue together', async () => {
    const { root, queue } = await hotRow()
    watch()
    const [first, ...rest] = queue as [Client, ...Client[]]
    await keepsItsWord(question('terminate', await rowOf(root), await rowOf(first)), rest)
  })

  test('two roots on one that waits: one of them frees nobody, both together do', async () => {
    const [one, other, waiter] = (await several(3)) as [Client, Client, Client]
    await one.query('BEGIN; LOCK TABLE hot IN SHARE MODE')
    await other.query('BEGIN; LOCK TABLE hot IN SHARE MODE')
    start(waiter, take(1))
    watch()
    await waiting(1)
    const both = question('terminate', await rowOf(one), await rowOf(other))
    expect(promised(both)).toMatchObject({ frees: 1, atOnce: 1, stay: 0 })
    const asked = question('terminate', await rowOf(one))
    expect(follows(asked).slice(1)).toEqual([
      'frees nobody: 1 session it holds up is held up by others too',
      `1 session still blocked afterwards, by ${other.pid}`,
    ])
    await keepsItsWord(asked, [waiter])
    await keepsItsWord(question('terminate', await rowOf(other)), [waiter])
  })

  test('two tagged roots, both at once', async () => {
    const [one, other, waiter] = (await several(3)) as [Client, Client, Client]
    await one.query('BEGIN; LOCK TABLE hot IN SHARE MODE')
    await other.query('BEGIN; LOCK TABLE hot IN SHARE MODE')
    start(waiter, take(1))
    watch()
    await waiting(1)
    await keepsItsWord(question('terminate', await rowOf(one), await rowOf(other)), [waiter])
  })

  test('DDL behind an idle transaction, and readers behind the DDL', async () => {
    const [idle, ddl, ...readers] = (await several(4)) as [Client, Client, ...Client[]]
    await idle.query('BEGIN; SELECT * FROM hot')
    start(ddl, 'BEGIN; LOCK TABLE hot')
    await waiting(1)
    for (const reader of readers) start(reader, 'BEGIN; SELECT * FROM hot')
    watch()
    await waiting(3)
    const asked = question('terminate', await rowOf(idle))
    expect(promised(asked)).toMatchObject({ frees: 3, atOnce: 1, queued: 2, queuedBehind: [ddl.pid] })
    const middle = question('cancel', await rowOf(ddl))
    expect(promised(middle)).toMatchObject({ frees: 2, atOnce: 2, stay: 0 })
    await keepsItsWord(middle, readers)
  })

  test('cancel of a root that runs a query: what it frees, and what is said of its locks', async () => {
    const [root, waiter] = (await several(2)) as [Client, Client]
    await root.query('BEGIN; LOCK TABLE hot')
    const ending = start(root, 'SELECT pg_sleep(600)')
    start(waiter, take(1))
    await waiting(1)
    await until('its query', async () => (await stateOf(root)) === 'active')
    watch()
    const asked = question('cancel', await rowOf(root))
    await keepsItsWord(asked, [waiter])
    expect(await ending).toBe('57014')
    expect(await stateOf(root)).toBe('idle in transaction (aborted)')
    // The error has ended the transaction on the server, and its locks with it.
    expect(follows(asked).join()).not.toMatch(/keeps its locks/)
  })

  test('a row of the forest that is another session by now is left alone', async () => {
    const [root, waiter] = (await several(2)) as [Client, Client]
    await root.query(take(1))
    start(waiter, take(1))
    watch()
    await waiting(1)
    const asked = question('terminate', await rowOf(root))
    const targets = asked.targets.map(
      target => ({ ...target, backend_start: '2026-01-01 00:00:00.000001+00' }) as unknown as SessionTarget,
    )
    expect((await hands.confirm({ ...asked, targets })).items).toMatchObject([{ outcome: 'already gone' }])
    expect(Object.keys(await blockingPids())).toEqual([String(waiter.pid)])
  })
})

describe('a prepared transaction', () => {
  type Given = { database?: string; user?: string; id?: number }

  /** Prepares a transaction that holds a row and has written it, and lets a session wait for the row. */
  async function prepare(gid: string, { database = 'postgres', user = 'postgres', id = 1 }: Given = {}): Promise<Client> {
    const writer = await open({ database, user })
    const { rows } = await writer.query("SELECT format('PREPARE TRANSACTION %L', $1::text) AS sql", [gid])
    await writer.query(`BEGIN; UPDATE hot SET v = v + 100 WHERE id = ${id}`)
    await writer.query(rows[0].sql)
    const waiter = await open({ database })
    start(waiter, `BEGIN; SELECT * FROM hot WHERE id = ${id} FOR UPDATE`)
    return waiter
  }
  async function value(database = 'postgres', id = 1): Promise<number> {
    const client = await open({ database })
    const { rows } = await client.query('SELECT v FROM hot WHERE id = $1', [id])
    return rows[0].v
  }
  const listed = async () => (await admin.query('SELECT gid FROM pg_prepared_xacts ORDER BY gid')).rows.map(({ gid }) => gid)

  test.each([
    { action: 'commitPrepared', verb: 'COMMIT', say: 'committed', written: 100 },
    { action: 'rollbackPrepared', verb: 'ROLLBACK', say: 'rolled back', written: 0 },
  ])('$verb PREPARED, with its trail', async ({ action, verb, say, written }) => {
    const before = await value()
    const waiter = await prepare('order-17')
    watch()
    await waiting(1)
    const row = await rowOf('order-17')
    const asked = question(action, row)
    expect(asked.words).toEqual(['order-17'])
    expect(asked.sql).toEqual(['-- in database postgres', `${verb} PREPARED 'order-17'`])
    expect(asked.question.hit[0]!.slice(0, 3)).toEqual(['order-17', 'postgres', 'postgres'])
    expect(asked.question.follows[0]).toMatchObject({ tone: 'critical', text: expect.stringContaining('transaction manager') })
    await keepsItsWord(asked, [waiter])
    expect(await listed()).toEqual([])
    expect(await value()).toBe(before + written)
    const [begun, ended, ...more] = hands.audit()
    expect(more).toEqual([])
    expect(begun).toMatchObject({
      phase: 'begun',
      action,
      server: 'a',
      role: 'primary',
      user: 'postgres',
      sql: `-- in database postgres\n${verb} PREPARED 'order-17'`,
      target: { gid: 'order-17', prepared: row.xact_start, datname: 'postgres', usename: 'postgres' },
      outcome: null,
      detail: null,
    })
    expect(ended).toEqual({ ...begun, at: expect.any(String), phase: 'ended', outcome: 'done', detail: say })
  })

  test.each(['commitPrepared', 'rollbackPrepared'])('%s in another database than the one that is read', async action => {
    const before = await value('other')
    const waiter = await prepare('elsewhere', { database: 'other' })
    watch()
    await waiting(1)
    const asked = question(action, await rowOf('elsewhere'))
    expect(asked.sql[0]).toBe('-- in database other')
    await keepsItsWord(asked, [waiter])
    expect(await value('other')).toBe(before + (action === 'commitPrepared' ? 100 : 0))
    expect(await listed()).toEqual([])
  })

  test.each([
    { what: 'with quotes', gid: `it's "17"`, typed: `it's "17"`, sql: `ROLLBACK PREPARED 'it''s "17"'` },
    {
      what: 'with a backslash and SQL',
      gid: `back\\slash'; DROP TABLE hot; --`,
      typed: `back\\slash'; DROP TABLE hot; --`,
      sql: `ROLLBACK PREPARED 'back\\slash''; DROP TABLE hot; --'`,
    },
    // What can't be typed as it is shown is confirmed by the verb.
    { what: 'of two lines', gid: 'two\nlines\u001b[31m', typed: 'ROLLBACK', sql: "ROLLBACK PREPARED 'two\nlines\u001b[31m'" },
    {
      what: 'longer than a name',
      gid: `long-${'x'.repeat(190)}`,
      typed: 'ROLLBACK',
      sql: `ROLLBACK PREPARED 'long-${'x'.repeat(190)}'`,
    },
  ])('a gid $what', async ({ gid, typed, sql }) => {
    await prepare(gid)
    watch()
    await waiting(1)
    const asked = question('rollbackPrepared', await rowOf(gid))
    expect(asked.words).toEqual([typed])
    expect(asked.sql[1]).toBe(sql)
    expect(asked.question.hit.flat().join()).not.toMatch(/[\n\u001b]/)
    expect((await hands.confirm(asked)).items).toMatchObject([{ outcome: 'done', say: 'rolled back' }])
    expect(await listed()).toEqual([])
    expect((await admin.query("SELECT to_regclass('hot')::text AS hot")).rows).toEqual([{ hot: 'hot' }])
    expect(hands.audit()[0]).toMatchObject({ target: { gid } })
  })

  test.each(['commitPrepared', 'rollbackPrepared'])('%s: somebody was first: nothing is done', async action => {
    const before = await value()
    await prepare('late')
    watch()
    await waiting(1)
    const asked = question(action, await rowOf('late'))
    await admin.query("ROLLBACK PREPARED 'late'")
    expect((await hands.confirm(asked)).items).toMatchObject([
      { outcome: 'already gone', say: 'already gone: somebody has committed it or rolled it back; nothing was done' },
    ])
    expect(hands.audit().map(({ phase, outcome }) => [phase, outcome])).toEqual([
      ['begun', null],
      ['ended', 'already gone'],
    ])
    expect(await value()).toBe(before)
  })

  test('another transaction of the same gid, prepared since, is left alone', async () => {
    await prepare('again')
    watch()
    await waiting(1)
    const asked = question('commitPrepared', await rowOf('again'))
    await admin.query("ROLLBACK PREPARED 'again'")
    await prepare('again', { id: 2 })
    expect((await hands.confirm(asked)).items).toMatchObject([{ outcome: 'already gone' }])
    expect(await listed()).toEqual(['again'])
  })

  test('an open question learns from newer samples that it is gone', async () => {
    await prepare('watched')
    watch()
    await waiting(1)
    const asked = question('commitPrepared', await rowOf('watched'))
    const [target, at] = [asked.targets[0] as Frozen, Date.now()]
    await hands.until(({ servers }) => (servers.a!.readings.locks!.sample?.at ?? 0) > at, 'a newer sample')
    expect(asked.action.gone(target, hands.state(), at)).toBe(false)
    await admin.query("ROLLBACK PREPARED 'watched'")
    await hands.until(state => asked.action.gone(target, state, at), 'the news')
  })

  test('its owner may, a member of the owner may not: the server says the same', async () => {
    await prepare('of app', { user: 'app' })
    await waiting(1)
    watch('member')
    const row = await rowOf('of app')
    for (const action of ['commitPrepared', 'rollbackPrepared']) {
      expect(hands.ask(action, [row])).toBe('only its owner app or a superuser may end it: connect as app')
    }
    const member = await open({ user: 'member' })
    await expect(member.query("COMMIT PREPARED 'of app'")).rejects.toMatchObject({ code: '42501' })
    await expect(member.query("ROLLBACK PREPARED 'of app'")).rejects.toMatchObject({ code: '42501' })
    expect(await listed()).toEqual(['of app'])
    hands.stop()
    watch('app')
    const asked = question('rollbackPrepared', await rowOf('of app'))
    expect((await hands.confirm(asked)).items).toMatchObject([{ outcome: 'done' }])
    expect(await listed()).toEqual([])
  })

  test('a superuser`s is refused to others, and his right to it can be lost', async () => {
    await prepare('of postgres')
    await waiting(1)
    watch('member')
    expect(hands.ask('commitPrepared', [await rowOf('of postgres')])).toBe(
      'only its owner postgres or a superuser may end it, and member is neither',
    )
    hands.stop()
    await admin.query('ALTER ROLE member SUPERUSER')
    watch('member')
    const asked = question('commitPrepared', await rowOf('of postgres'))
    hands.poller.stop()
    await admin.query('ALTER ROLE member NOSUPERUSER')
    expect((await hands.confirm(asked)).items).toMatchObject([
      { outcome: 'refused', say: expect.stringMatching(/^refused: permission denied to finish prepared transaction/) },
    ])
    expect(await listed()).toEqual(['of postgres'])
  })

  test('what it is not: no session to end, and no session is one', async () => {
    const waiter = await prepare('neither')
    watch()
    await waiting(1)
    const [row, session] = [await rowOf('neither'), await rowOf(waiter)]
    expect(hands.ask('terminate', [row])).toBe(
      'a prepared transaction has no session: F9 offers COMMIT PREPARED and ROLLBACK PREPARED',
    )
    expect(hands.ask('commitPrepared', [session])).toBe('it is a session, and no prepared transaction')
    const { action, targets } = question('commitPrepared', row)
    const guarded = (change: object) => action.guard({ ...(targets[0] as Frozen), ...change }, hands.state())
    expect(guarded({})).toBeNull()
    expect(guarded({ role: 'standby' })).toEqual({ why: 'a standby can end no prepared transaction: do it on the primary' })
    expect(guarded({ datname: null })).toEqual({ why: 'the name of its database is not known' })
  })

  test('with a session beside it that holds up the same: who stays blocked, and by whom', async () => {
    const holder = await open()
    await holder.query('BEGIN; UPDATE hot SET v = v WHERE id = 2')
    const writer = await open()
    await writer.query('BEGIN; UPDATE hot SET v = v WHERE id = 1')
    await writer.query("PREPARE TRANSACTION 'beside'")
    const waiter = await open()
    start(waiter, 'BEGIN; LOCK TABLE hot IN SHARE MODE')
    watch()
    await waiting(1)
    const asked = question('rollbackPrepared', await rowOf('beside'))
    expect(promised(asked)).toMatchObject({ frees: 0, stay: 1, stayBehind: [holder.pid] })
    const other = question('terminate', await rowOf(holder))
    expect(follows(other).at(-1)).toBe('1 session still blocked afterwards, by a prepared transaction')
    await keepsItsWord(asked, [waiter])
  })

  test('two of them, each with somebody behind it: only its own is freed', async () => {
    const first = await prepare('first', { id: 1 })
    const second = await prepare('second', { id: 2 })
    watch()
    await waiting(2)
    await keepsItsWord(question('rollbackPrepared', await rowOf('first')), [first])
    await keepsItsWord(question('rollbackPrepared', await rowOf('second')), [second])
  })
  test('two of them that hold up the same: one alone frees nobody', async () => {
    for (const id of [1, 2]) {
      const writer = await open()
      await writer.query(`BEGIN; UPDATE hot SET v = v WHERE id = ${id}`)
      await writer.query(`PREPARE TRANSACTION 'part ${id}'`)
    }
    const waiter = await open()
    start(waiter, 'BEGIN; LOCK TABLE hot IN SHARE MODE')
    watch()
    await waiting(1)
    await keepsItsWord(question('rollbackPrepared', await rowOf('part 1')), [waiter])
    await keepsItsWord(question('rollbackPrepared', await rowOf('part 2')), [waiter])
  })
})
