// Exact bloat: what pgstattuple says, of the very relation that was looked at, and what stands in the way.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { connect, withClient } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, type PostgresVersion, startPostgres, startStandby } from '../../src/lab/postgres.ts'
import type { AnyRow } from '../../src/panels/panel.ts'
import { tablesPanel } from '../../src/panels/tables.ts'
import { type Acting, type Asked, acting } from '../support/acting.ts'

const [tablesList, indexesList] = tablesPanel.lists as [(typeof tablesPanel.lists)[0], (typeof tablesPanel.lists)[0]]

let folder: Folder
const ends: (() => unknown)[] = []
beforeAll(() => {
  folder = temporaryFolder('pgvigil-deeds-bloat')
})
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})
afterAll(() => folder.remove())

const evil = 'T "1"\n\u001b[31m%I'
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`

const schema = `
  CREATE TABLE half (id int PRIMARY KEY, t text) WITH (autovacuum_enabled = off);
  INSERT INTO half SELECT i, repeat('x', 50) FROM generate_series(1, 40000) i;
  DELETE FROM half WHERE id % 2 = 0;
  CREATE INDEX half_hash ON half USING hash (t);
  CREATE TABLE ${quoted(evil)} (id int PRIMARY KEY);
  INSERT INTO ${quoted(evil)} SELECT i FROM generate_series(1, 1000) i;
  CREATE TABLE parted (id int) PARTITION BY RANGE (id);
  CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
  CREATE TABLE slow (id int);
  CREATE ROLE monitor LOGIN; GRANT pg_monitor TO monitor; CREATE ROLE nobody LOGIN;
  CREATE SCHEMA "My Ext"; CREATE EXTENSION pgstattuple SCHEMA "My Ext"; GRANT USAGE ON SCHEMA "My Ext" TO PUBLIC`

describe.each([13, 16, 18] as PostgresVersion[])('PostgreSQL %i', version => {
  let server: PostgresServer
  let hands: Acting
  beforeAll(async () => {
    server = await startPostgres({ version, dir: folder.path })
    await withClient(server, client => client.query(schema))
    await withClient(server, client => client.query('VACUUM half'))
  })
  afterAll(() => server?.stop('immediate'))

  async function act(user: string, conninfo = `host=127.0.0.1 port=${server.port} user=${user} dbname=postgres`): Promise<void> {
    hands = acting([{ id: 'pg', conninfo }], tablesPanel.lists)
    ends.push(() => hands.stop())
    await hands.until(
      ({ servers }) =>
        ['tables', 'tableSizes', 'indexes', 'indexSizes', 'pulse'].every(
          id => id === 'pulse' || servers.pg?.readings[id]?.sample,
        ),
      'all answers',
    )
  }
  const table = (name: string) => hands.row(tablesList, row => String(row.relname) === name, name)
  const ofIndex = (name: string) => hands.row(indexesList, row => String(row.indexrelname) === name, name)
  const ask = async (...rows: readonly Promise<AnyRow>[]) => hands.ask('exactBloat', await Promise.all(rows))
  const done = async (...rows: readonly Promise<AnyRow>[]) => (await hands.confirm(await ask(...rows))).items
  const figures = (text: string) =>
    withClient(server, async client => (await client.query(text)).rows[0] as Record<string, string | number>)

  test('is what pgstattuple says of a table and of an index, whatever their names, one after the other', async () => {
    await act('monitor')
    const asked = (await ask(table('half'), ofIndex('half_pkey'), table(evil))) as Asked
    expect(asked.sql).toHaveLength(3)
    expect(asked.sql[0]).toContain(
      `LATERAL "My Ext".pgstattuple(c.oid::pg_catalog.regclass) s WHERE c.oid = 'public.half'::pg_catalog.regclass`,
    )
    expect(asked.words).toBeNull()
    expect(asked.question.follows[0]!.text).toContain('it reads all of each')
    const [half, index, odd] = (await hands.confirm(asked)).items
    expect([half, index, odd].map(item => item!.outcome)).toEqual(['done', 'done', 'done'])
    const truth = await figures(`SELECT * FROM "My Ext".pgstattuple('half')`)
    expect(truth.free_percent).toBeGreaterThan(30)
    expect(half!.say).toContain(`(${Number(truth.free_percent).toFixed(1)}%) is free`)
    expect(half!.say).toContain('20 000 live rows')
    const leaves = await figures(`SELECT * FROM "My Ext".pgstatindex('half_pkey')`)
    expect(index!.say).toContain(`its leaves are ${Number(leaves.avg_leaf_density).toFixed(1)}% full (90% when built anew)`)
    const saved = /give back about .* \((\d+)(\.\d)?%\)/.exec(index!.say)![1]
    expect(Number(saved)).toBeGreaterThan(45)
    expect(odd!.say).toContain('1 000 live rows')
    expect(hands.audit().filter(({ phase }) => phase === 'ended')).toHaveLength(3)
    // And it is true.
    await withClient(server, client => client.query('REINDEX INDEX half_pkey'))
    const after = await figures(`SELECT pg_relation_size('half_pkey') AS bytes`)
    expect(Number(after.bytes) / Number(leaves.index_size)).toBeCloseTo(1 - Number(saved) / 100, 1)
  })

  test('without EXECUTE, or USAGE of the schema, the GRANT is told, and it is enough', async () => {
    await withClient(server, client => client.query('REVOKE USAGE ON SCHEMA "My Ext" FROM PUBLIC'))
    await act('nobody')
    const told: string[] = []
    for (let tries = 0; tries < 3; tries++) {
      const asked = await ask(table('half'))
      if (typeof asked !== 'string') break
      told.push(asked)
      await withClient(server, client => client.query(/GRANT .*;/.exec(asked)![0]))
      hands.poller.again('pg')
      const half = () => hands.rows(tablesList).filter(row => String(row.relname) === 'half')
      await hands.until(() => half().length > 0 && hands.ask('exactBloat', half()) !== asked, 'the right')
    }
    expect(told).toEqual([
      'no EXECUTE on pgstattuple: GRANT pg_stat_scan_tables TO nobody;',
      'no USAGE on the schema of pgstattuple: GRANT USAGE ON SCHEMA "My Ext" TO nobody;',
    ])
    expect((await done(table('half')))[0]!.outcome).toBe('done')
    await withClient(server, client =>
      client.query('REVOKE pg_stat_scan_tables FROM nobody; GRANT USAGE ON SCHEMA "My Ext" TO PUBLIC'),
    )
  })

  test('where it is not installed that is told', async () => {
    await withClient(server, client => client.query('CREATE DATABASE bare'))
    await withClient({ ...server, database: 'bare' }, client => client.query('CREATE TABLE t (id int)'))
    await act('', `host=127.0.0.1 port=${server.port} user=postgres dbname=bare`)
    expect(await ask(table('t'))).toBe(
      'pgstattuple is not installed in this database; a superuser can do it: CREATE EXTENSION pgstattuple;',
    )
  })

  test('what has no pages, or is no B-tree, is refused beforehand', async () => {
    await act('postgres')
    expect(await ask(table('parted'))).toBe('it stands for others: o opens it, then measure each of them')
    expect(await ask(ofIndex('half_hash'))).toBe('pgstattuple measures only B-trees, and this is a hash index')
  })

  test('a relation that was dropped, or whose name another one has, is not read', async () => {
    await withClient(server, client => client.query('CREATE TABLE one (id int); CREATE TABLE two (id int)'))
    await act('postgres')
    const [one, two] = [await ask(table('one')), await ask(table('two'))]
    await withClient(server, client => client.query('DROP TABLE one; ALTER TABLE two RENAME TO three; CREATE TABLE two (id int)'))
    expect((await hands.confirm(one)).items).toMatchObject([
      { outcome: 'already gone', say: expect.stringContaining('does not exist') },
    ])
    expect((await hands.confirm(two)).items).toMatchObject([
      { outcome: 'already gone', say: 'already gone: another relation has its name; nothing was read' },
    ])
    await withClient(server, client => client.query('DROP TABLE two, three'))
  })

  test('one that is locked is skipped after three seconds', async () => {
    const holder = await connect(server)
    ends.push(() => holder.end())
    await act('postgres')
    const asked = await ask(table('half'))
    await holder.query('BEGIN; LOCK TABLE half IN ACCESS EXCLUSIVE MODE')
    const since = performance.now()
    expect((await hands.confirm(asked)).items).toMatchObject([
      { outcome: 'skipped', say: expect.stringMatching(/^skipped: locked by somebody for more than 3 s/) },
    ])
    expect(performance.now() - since).toBeLessThan(6000)
    await holder.query('ROLLBACK')
  })

  test('Esc ends a long one, and the next one of the queue does not begin', async () => {
    await withClient(server, client =>
      client.query(`
        CREATE OR REPLACE FUNCTION "My Ext".pgstattuple(reloid regclass, OUT table_len bigint, OUT tuple_count bigint, OUT tuple_len bigint, OUT tuple_percent float8,
          OUT dead_tuple_count bigint, OUT dead_tuple_len bigint, OUT dead_tuple_percent float8, OUT free_space bigint, OUT free_percent float8)
        AS $$ BEGIN PERFORM pg_sleep(60); END $$ LANGUAGE plpgsql`),
    )
    await act('postgres')
    const work = hands.begin(await ask(table('slow'), table('half')))
    const sleeping = () =>
      withClient(
        server,
        async client => (await client.query(`SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'`)).rowCount,
      )
    await expect.poll(sleeping).toBe(1)
    hands.actor.stopQueue()
    hands.actor.stopQueue()
    await hands.until(() => work().endedAt !== null, 'the queue to end')
    expect(work().items).toMatchObject([{ outcome: 'failed', say: 'cancelled: it is as before' }, { outcome: 'skipped' }])
    expect(await sleeping()).toBe(0)
    await withClient(server, client => client.query('DROP EXTENSION pgstattuple; CREATE EXTENSION pgstattuple SCHEMA "My Ext"'))
  })
})

test('a standby can be measured too', async () => {
  const primary = await startPostgres({ version: 16, dir: folder.path, name: 'upstream' })
  ends.push(() => primary.stop('immediate'))
  await withClient(primary, client =>
    client.query('CREATE EXTENSION pgstattuple; CREATE TABLE t AS SELECT generate_series(1, 500) AS id'),
  )
  const replica = await startStandby(primary, { dir: folder.path, name: 'downstream', slot: 'downstream' })
  ends.push(() => replica.stop('immediate'))
  const hands = acting([{ id: 'pg', conninfo: replica.conninfo }], tablesPanel.lists)
  ends.push(() => hands.stop())
  const row = await hands.row(tablesList, ({ relname, total_bytes }) => String(relname) === 't' && total_bytes !== null, 't')
  const { items } = await hands.confirm(hands.ask('exactBloat', [row]))
  expect(items).toMatchObject([{ outcome: 'done', say: expect.stringContaining('500 live rows') }])
})
