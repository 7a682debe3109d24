// The wait forest of real servers, each pile-up compared with pg_blocking_pids as psql would give it.

import type { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { connect, type Target } from '../../src/lab/client.ts'
import { temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, type PostgresVersion, startPostgres, startStandby } from '../../src/lab/postgres.ts'
import type { LockWait } from '../../src/model/locks.ts'
import { raw } from '../../src/model/untrusted.ts'
import { locksList } from '../../src/panels/locks.ts'
import type { State } from '../../src/store/state.ts'
import { type Watching, watching } from '../support/watching.ts'

const rowsOf = (state: State) => locksList.select(state).rows as unknown as readonly LockWait[]
const object = locksList.columns.find(({ title }) => title === 'OBJECT')!
const folder = temporaryFolder('pgvigil-locks-')
afterAll(() => folder.remove())

type Actor = Client & { readonly pid: number }

/** Sessions of a test on one server; all are ended with it. */
function cast(target: Target) {
  let actors: Actor[] = []
  let pending: Promise<unknown>[] = []
  return {
    async session(application_name = 'cast', other: Partial<Target> = {}): Promise<Actor> {
      const client = await connect({ ...target, application_name, ...other })
      const { rows } = await client.query('SELECT pg_backend_pid() AS pid')
      const actor = Object.assign(client, { pid: rows[0].pid as number })
      actors.push(actor)
      return actor
    },
    /** Starts a statement that will wait. */
    begin(client: Client, sql: string) {
      pending.push(client.query(sql).catch(() => {}))
    },
    async end() {
      const admin = await connect(target)
      await admin.query('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) pid', [actors.map(({ pid }) => pid)])
      const prepared = await admin.query("SELECT format('ROLLBACK PREPARED %L', gid) AS sql FROM pg_prepared_xacts")
      for (const { sql } of prepared.rows) await admin.query(sql)
      await admin.end()
      await Promise.all([...pending, ...actors.map(actor => actor.end().catch(() => {}))])
      actors = []
      pending = []
    },
  }
}

/** What the server says, of all that wait for a lock. */
async function blockingPids(admin: Client): Promise<Record<number, number[]>> {
  const { rows } = await admin.query(
    "SELECT pid, pg_blocking_pids(pid) AS by FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND backend_type <> 'startup'",
  )
  return Object.fromEntries(rows.map(({ pid, by }) => [pid, [...new Set(by as number[])].sort((a, b) => a - b)]))
}

const waits = (rows: readonly LockWait[]) =>
  Object.fromEntries(rows.filter(row => row.blockedBy.length > 0).map(row => [row.pid, row.blockedBy.toSorted((a, b) => a - b)]))

const find = (rows: readonly LockWait[], pid: number) => {
  const row = rows.find(r => r.pid === pid)
  if (!row) throw new Error(`no row of ${pid} among ${rows.map(r => r.pid)}`)
  return row
}

describe.each([13, 16, 18] as const)('PostgreSQL %i', (version: PostgresVersion) => {
  let server: PostgresServer
  let admin: Client
  let watch: Watching
  let play: ReturnType<typeof cast>

  beforeAll(async () => {
    server = await startPostgres({ version, dir: folder.path, settings: { max_prepared_transactions: 5, max_connections: 120 } })
    admin = await connect({ port: server.port })
    await admin.query('CREATE TABLE hot (id int PRIMARY KEY, v int); INSERT INTO hot SELECT i, 0 FROM generate_series(1, 10) i')
    await admin.query('CREATE DATABASE other')
    await admin.query('CREATE ROLE plain LOGIN')
    watch = watching([{ id: 'a', conninfo: `${server.conninfo}?application_name=pgvigil` }], [locksList])
    play = cast({ port: server.port })
  })
  afterAll(async () => {
    watch?.stop()
    await admin?.end()
    await server?.stop('immediate')
  })
  afterEach(async () => {
    await play.end()
    await watch.until(state => rowsOf(state).length === 0, 'an empty forest')
  })

  /** Rows once so many sessions wait, after they were found to be what the server says. */
  async function forest(waiting: number, seenBy = watch): Promise<readonly LockWait[]> {
    const state = await seenBy.until(
      s => rowsOf(s).filter(row => row.blockedBy.length > 0).length === waiting,
      `${waiting} waiting sessions`,
    )
    const rows = rowsOf(state)
    expect(waits(rows)).toEqual(await blockingPids(admin))
    expect(new Set(rows.map(row => `${row.pid} ${row.gid}`)).size).toBe(rows.length)
    return rows
  }

  test('a row: the second waiter waits for the first, and neither is the root', async () => {
    const [a, b, c] = [await play.session('holder'), await play.session(), await play.session()]
    await a.query('BEGIN; UPDATE hot SET v = 1 WHERE id = 1')
    play.begin(b, 'UPDATE hot SET v = 2 WHERE id = 1')
    await forest(1)
    play.begin(c, 'UPDATE hot SET v = 3 WHERE id = 1')
    const rows = await forest(2)
    expect(rows.map(row => row.pid)).toEqual([a.pid, b.pid, c.pid])
    const root = find(rows, a.pid)
    expect(root).toMatchObject({
      server: 'a',
      depth: 0,
      rootPid: a.pid,
      blockedBy: [],
      blocksCount: 2,
      waitSeconds: null,
      mode: null,
    })
    expect(root).toMatchObject({
      usename: 'postgres',
      datname: 'postgres',
      application_name: 'holder',
      state: 'idle in transaction',
    })
    expect(root.held).toMatchObject({ mode: 'ExclusiveLock', locktype: 'transactionid', rowRelation: 'public.hot' })
    expect(find(rows, b.pid)).toMatchObject({
      depth: 1,
      rootPid: a.pid,
      blocksCount: 1,
      mode: 'ShareLock',
      locktype: 'transactionid',
    })
    expect(find(rows, b.pid)).toMatchObject({
      relation: null,
      rowRelation: 'public.hot',
      query: 'UPDATE hot SET v = 2 WHERE id = 1',
    })
    expect(find(rows, c.pid)).toMatchObject({
      depth: 2,
      parentPid: b.pid,
      locktype: 'tuple',
      mode: 'ExclusiveLock',
      relation: 'public.hot',
    })
    const waited = find(rows, b.pid).waitSeconds! + find(rows, c.pid).waitSeconds!
    expect(root.waitedSecondsTotal).toBeCloseTo(waited, 6)
    expect(find(rows, b.pid).waitIsBound).toBe(version < 14)
  })

  test('a table locked SHARE: a reader beside it is no part of it', async () => {
    const [a, b, d] = [await play.session(), await play.session(), await play.session()]
    await a.query('BEGIN; LOCK TABLE hot IN SHARE MODE')
    await d.query('BEGIN; SELECT * FROM hot')
    play.begin(b, 'UPDATE hot SET v = 1 WHERE id = 1')
    const rows = await forest(1)
    expect(rows.map(row => row.pid)).toEqual([a.pid, b.pid])
    expect(find(rows, b.pid)).toMatchObject({ mode: 'RowExclusiveLock', locktype: 'relation', relation: 'public.hot' })
    expect(find(rows, a.pid).held).toMatchObject({ mode: 'ShareLock', relation: 'public.hot' })
  })

  test('DDL behind an idle transaction, and a reader behind the DDL', async () => {
    const [d, b, c] = [await play.session(), await play.session(), await play.session()]
    await d.query('BEGIN; SELECT * FROM hot')
    play.begin(b, 'ALTER TABLE hot ADD COLUMN w int')
    await forest(1)
    play.begin(c, 'SELECT * FROM hot')
    const rows = await forest(2)
    expect(rows.map(({ pid, depth, blocksCount }) => [pid, depth, blocksCount])).toEqual([
      [d.pid, 0, 2],
      [b.pid, 1, 1],
      [c.pid, 2, 0],
    ])
    expect(find(rows, b.pid).mode).toBe('AccessExclusiveLock')
  })

  test('advisory locks', async () => {
    const [a, b] = [await play.session(), await play.session()]
    await a.query('SELECT pg_advisory_lock(-7)')
    play.begin(b, 'SELECT pg_advisory_lock(-7)')
    const rows = await forest(1)
    expect(find(rows, b.pid)).toMatchObject({ locktype: 'advisory', mode: 'ExclusiveLock', relation: null, parentPid: a.pid })
    expect(rows.map(row => object.text(row as never))).toEqual(['advisory -7', 'advisory -7'])
  })

  test('two prepared transactions are two roots with their gids', async () => {
    const [a, b, c, d] = [await play.session(), await play.session(), await play.session(), await play.session()]
    await a.query('BEGIN; UPDATE hot SET v = 1 WHERE id = 1')
    await a.query("PREPARE TRANSACTION 'first'")
    await d.query('BEGIN; UPDATE hot SET v = 1 WHERE id = 2')
    await d.query("PREPARE TRANSACTION 'it''s second'")
    play.begin(b, 'UPDATE hot SET v = 2 WHERE id = 1')
    play.begin(c, 'UPDATE hot SET v = 2 WHERE id = 2')
    const rows = await forest(2)
    const roots = rows.filter(row => row.depth === 0)
    expect(roots.map(row => row.pid)).toEqual([0, 0])
    expect(find(rows, b.pid)).toMatchObject({ blockedBy: [0], rootPid: 0, rootGid: 'first', depth: 1 })
    expect(find(rows, c.pid)).toMatchObject({ blockedBy: [0], rootPid: 0, rootGid: "it's second", depth: 1 })
    for (const root of roots) {
      expect(root).toMatchObject({ blocksCount: 1, blockedBy: [], usename: 'postgres', datname: 'postgres', waitSeconds: null })
      expect(root.xactAgeSeconds).toBeGreaterThanOrEqual(0)
    }
    expect(new Set(roots.map(row => locksList.rowId(row as never))).size).toBe(2)
  })

  test('a prepared transaction and a session that share a table hold up the same DDL', async () => {
    const [a, b, c] = [await play.session(), await play.session(), await play.session()]
    await a.query('BEGIN; UPDATE hot SET v = 1 WHERE id = 1')
    await a.query("PREPARE TRANSACTION 'mine'")
    await b.query('BEGIN; UPDATE hot SET v = 1 WHERE id = 2')
    play.begin(c, 'BEGIN; LOCK TABLE hot IN SHARE MODE')
    const rows = await forest(1)
    expect(find(rows, c.pid).blockedBy.toSorted()).toEqual([0, b.pid].toSorted())
    expect(
      rows
        .filter(row => row.depth === 0)
        .map(row => row.pid)
        .toSorted(),
    ).toEqual([0, b.pid].toSorted())
  })

  test('three levels, one after the other', async () => {
    const [a, b, c, d] = [await play.session(), await play.session(), await play.session(), await play.session()]
    await a.query('BEGIN; UPDATE hot SET v = 1 WHERE id = 1')
    await b.query('BEGIN; UPDATE hot SET v = 1 WHERE id = 2')
    await c.query('BEGIN; UPDATE hot SET v = 1 WHERE id = 3')
    play.begin(b, 'UPDATE hot SET v = 1 WHERE id = 1')
    play.begin(c, 'UPDATE hot SET v = 1 WHERE id = 2')
    play.begin(d, 'UPDATE hot SET v = 1 WHERE id = 3')
    const rows = await forest(3)
    expect(rows.map(({ pid, depth, blocksCount, rootPid }) => [pid, depth, blocksCount, rootPid])).toEqual([
      [a.pid, 0, 3, a.pid],
      [b.pid, 1, 2, a.pid],
      [c.pid, 2, 1, a.pid],
      [d.pid, 3, 0, a.pid],
    ])
  })

  test('60 that wait for one row are one flat tree, each once', async () => {
    const root = await play.session()
    await root.query('BEGIN; UPDATE hot SET v = 1 WHERE id = 1')
    for (const client of await Promise.all(Array.from({ length: 60 }, () => play.session()))) {
      play.begin(client, 'UPDATE hot SET v = 2 WHERE id = 1')
    }
    const rows = await forest(60)
    expect(rows).toHaveLength(61)
    expect(rows[0]).toMatchObject({ pid: root.pid, blocksCount: 60, depth: 0 })
    expect(rows[1]).toMatchObject({ blocksCount: 59, depth: 1, locktype: 'transactionid' })
    expect(rows.slice(2).map(row => row.depth)).toEqual(new Array(59).fill(2))
    expect(rows.every(row => row.rootPid === root.pid)).toBe(true)
  })

  test('a relation of another database is an oid, even where ours has one with that oid', async () => {
    const [a, b] = [await play.session('a', { database: 'other' }), await play.session('b', { database: 'other' })]
    await a.query('BEGIN; LOCK TABLE pg_description IN SHARE MODE')
    play.begin(b, 'BEGIN; LOCK TABLE pg_description')
    const rows = await forest(1)
    expect(find(rows, b.pid)).toMatchObject({ relation: '2609', lockDatname: 'other', datname: 'other' })
    expect(rows.map(row => object.text(row as never))).toEqual(['2609 in other', '2609 in other'])
  })

  test('a shared relation has a name from every database', async () => {
    const [a, b] = [await play.session('a', { database: 'other' }), await play.session('b', { database: 'other' })]
    await a.query('BEGIN; LOCK TABLE pg_tablespace IN SHARE MODE')
    play.begin(b, 'BEGIN; LOCK TABLE pg_tablespace')
    expect(find(await forest(1), b.pid).relation).toBe('pg_tablespace')
  })

  test('a pile-up on pg_class is still told, with oids for names', async () => {
    const [a, b] = [await play.session(), await play.session()]
    await a.query('SELECT 1')
    play.begin(b, 'SELECT 1')
    await a.query('BEGIN; LOCK TABLE pg_class, pg_database, pg_authid')
    play.begin(b, 'SELECT count(*) FROM pg_class')
    const state = await watch.until(s => rowsOf(s).some(row => row.pid === b.pid && row.depth === 1), 'the waiter')
    const rows = rowsOf(state)
    expect(find(rows, b.pid)).toMatchObject({ blockedBy: [a.pid], relation: '1259', mode: 'AccessShareLock' })
    expect(find(rows, a.pid)).toMatchObject({ usename: 'postgres', state: 'idle in transaction' })
    await a.query('ROLLBACK')
  })

  test('a role without privileges sees who waits for whom, and a grant for the rest', async () => {
    const conninfo = server.conninfo.replace('postgres@', 'plain@')
    const restricted = watching([{ id: 'a', conninfo: `${conninfo}?application_name=pgvigil` }], [locksList])
    try {
      const [a, b] = [await play.session(), await play.session()]
      await a.query('BEGIN; UPDATE hot SET v = 1 WHERE id = 1')
      play.begin(b, 'UPDATE hot SET v = 2 WHERE id = 1')
      await restricted.until(({ servers }) => Boolean(servers.a?.readings.names?.sample), 'names')
      const rows = await forest(1, restricted)
      expect(find(rows, a.pid)).toMatchObject({ restricted: true, state: null, blocksCount: 1, usename: 'postgres' })
      expect(find(rows, b.pid)).toMatchObject({ restricted: true, locktype: 'transactionid', blockedBy: [a.pid] })
      expect(locksList.select(restricted.state()).notice).toMatch(/restricted: GRANT pg_monitor TO plain;/)
    } finally {
      restricted.stop()
    }
  })
})

describe('a standby', () => {
  let primary: PostgresServer
  let standby: PostgresServer
  let play: ReturnType<typeof cast>
  let watch: Watching

  beforeAll(async () => {
    primary = await startPostgres({ version: 16, dir: folder.path, name: 'primary' })
    const admin = await connect({ port: primary.port })
    await admin.query('CREATE TABLE hot (id int); INSERT INTO hot VALUES (1)')
    await admin.end()
    standby = await startStandby(primary, {
      dir: folder.path,
      name: 'standby',
      slot: 'standby_slot',
      settings: { max_standby_streaming_delay: -1 },
    })
    play = cast({ port: standby.port })
    watch = watching([{ id: 'a', conninfo: `${standby.conninfo}?application_name=pgvigil` }], [locksList])
  })
  afterAll(async () => {
    watch?.stop()
    await play?.end()
    await standby?.stop('immediate')
    await primary?.stop('immediate')
  })

  test('replay waits for a query, and queries wait for replay', async () => {
    const holder = await play.session('report')
    const startup = (await holder.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'")).rows[0].pid as number
    await holder.query('BEGIN; SELECT * FROM hot')
    const writer = await connect({ port: primary.port })
    await writer.query('BEGIN; LOCK TABLE hot; CREATE TABLE more (id int); COMMIT')
    await writer.query('BEGIN; LOCK TABLE hot; SELECT txid_current(); SELECT pg_switch_wal()')
    const first = rowsOf(
      await watch.until(state => rowsOf(state).some(row => row.pid === startup && row.depth === 1), 'replay that waits'),
    )
    expect(first.map(row => row.pid)).toEqual([holder.pid, startup])
    expect(find(first, startup)).toMatchObject({ blockedBy: [holder.pid], mode: 'AccessExclusiveLock', relation: 'public.hot' })
    await holder.query('COMMIT')
    const late = await play.session('late')
    play.begin(late, 'SELECT * FROM hot')
    const then = rowsOf(
      await watch.until(state => rowsOf(state).some(row => row.pid === late.pid && row.depth === 1), 'a query behind replay'),
    )
    expect(find(then, late.pid).blockedBy).toEqual([startup])
    expect(raw(find(then, startup).backend_type!)).toBe('startup')
    expect(find(then, startup)).toMatchObject({ depth: 0, blocksCount: 1, held: { mode: 'AccessExclusiveLock' } })
    await writer.query('ROLLBACK')
    await writer.end()
    await watch.until(state => rowsOf(state).length === 0, 'an end of it')
  })

  test('a snapshot conflict is replay that waits, without blockers that anybody could name', async () => {
    const reader = await play.session('report')
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM hot')
    const writer = await connect({ port: primary.port })
    await writer.query('DELETE FROM hot')
    await writer.query('VACUUM hot')
    const rows = rowsOf(await watch.until(state => rowsOf(state).length > 0, 'the conflict'))
    expect(rows).toHaveLength(1)
    expect(rows[0]).toMatchObject({ depth: 0, backend_type: 'startup', blockedBy: [], waitSeconds: null, blocksCount: 0 })
    const query = locksList.columns.find(({ title }) => title === 'QUERY')!
    expect(query.text(rows[0] as never)).toBe('replay of WAL waits for queries here: RecoveryConflictSnapshot')
    await reader.query('COMMIT')
    await writer.end()
    await watch.until(state => rowsOf(state).length === 0, 'an end of it')
  })
})
