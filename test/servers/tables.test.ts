// Tables and indexes on real servers, compared with what plain SQL says of them.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { connect, withClient } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, type PostgresVersion, startPostgres, startStandby } from '../../src/lab/postgres.ts'
import { startTimescale } from '../../src/lab/timescale.ts'
import type { DatabasePaneRow, TablespacePaneRow } from '../../src/model/databases.ts'
import type { IndexPaneRow } from '../../src/model/indexes.ts'
import type { TablePaneRow } from '../../src/model/tables.ts'
import { tablesPanel } from '../../src/panels/tables.ts'
import { query } from '../../src/sql/query.ts'
import type { State } from '../../src/store/state.ts'
import { type Watching, watching } from '../support/watching.ts'

let folder: Folder
const ends: (() => unknown)[] = []

beforeAll(() => {
  folder = temporaryFolder('pgvigil-tables')
})
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})
afterAll(() => folder.remove())

function watch(conninfo: string): Watching {
  const started = watching([{ id: 'pg', conninfo }], tablesPanel.lists)
  ends.push(started.stop)
  return started
}

const listed = (state: State, id: string) => tablesPanel.lists.find(list => list.id === id)!.select(state)
const tablesOf = (state: State) => listed(state, 'tables').rows as unknown as readonly TablePaneRow[]
const indexesOf = (state: State) => listed(state, 'indexes').rows as unknown as readonly IndexPaneRow[]
const complete = (state: State) =>
  ['tables', 'tableSizes', 'indexes', 'indexSizes', 'databaseSizes', 'tablespaces', 'rowWidths'].every(
    id => state.servers.pg?.readings[id]?.sample,
  )
const look = (conninfo: string) => watch(conninfo).until(complete, 'all answers')
const as = (user: string, { port }: PostgresServer) => `host=127.0.0.1 port=${port} user=${user} dbname=postgres`

function named(rows: readonly TablePaneRow[], name: string): TablePaneRow {
  const row = rows.find(({ relname }) => String(relname) === name)
  if (!row) throw new Error(`${name} is not among ${rows.map(({ relname }) => relname).join(', ')}`)
  return row
}
function index(rows: readonly IndexPaneRow[], name: string): IndexPaneRow {
  const row = rows.find(({ indexrelname }) => String(indexrelname) === name)
  if (!row) throw new Error(`${name} is not among ${rows.map(({ indexrelname }) => indexrelname).join(', ')}`)
  return row
}

/** Quotes, a line break, an escape sequence, capitals: all of them possible names. */
const evil = 'T "1"\n\u001b[31m%I'
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`
const evilIndex = evil.replace('T ', 'I ')

const schema = `
  CREATE TABLE big (id int PRIMARY KEY, grp int, note text) WITH (autovacuum_enabled = off);
  INSERT INTO big SELECT i, i % 10, repeat('x', 100) FROM generate_series(1, 60000) i;
  DELETE FROM big WHERE id % 3 = 0;
  CREATE TABLE wide (id int PRIMARY KEY, t text);
  INSERT INTO wide SELECT i, string_agg(md5(i::text || j), '') FROM generate_series(1, 50) i, generate_series(1, 200) j GROUP BY i;
  CREATE TABLE due (id int) WITH (autovacuum_vacuum_threshold = 7, autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_threshold = 100000);
  INSERT INTO due SELECT i FROM generate_series(1, 1000) i;
  CREATE TABLE kept (id int) WITH (autovacuum_vacuum_insert_threshold = -1, autovacuum_freeze_max_age = 100000, fillfactor = 70);
  CREATE TABLE quiet (id int);
  INSERT INTO quiet SELECT i FROM generate_series(1, 10) i;
  CREATE SCHEMA "My S";
  CREATE TABLE "My S".${quoted(evil)} (id int PRIMARY KEY, ${quoted(evil)} text);
  INSERT INTO "My S".${quoted(evil)} VALUES (1, 'x');
  CREATE INDEX ${quoted(evilIndex)} ON "My S".${quoted(evil)} (${quoted(evil)});
  CREATE TABLE parted (id int, note text) PARTITION BY RANGE (id);
  CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (1000);
  CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (1000) TO (3000) PARTITION BY RANGE (id);
  CREATE TABLE parted_2a PARTITION OF parted_2 FOR VALUES FROM (1000) TO (2000);
  CREATE INDEX parted_id ON parted (id);
  INSERT INTO parted SELECT i, repeat('y', 50) FROM generate_series(0, 1999) i;
  CREATE MATERIALIZED VIEW seen AS SELECT grp, count(*) FROM big GROUP BY 1;
  CREATE TABLE said (a int, b int, c text, UNIQUE (a));
  CREATE INDEX said_b ON said (b);
  CREATE INDEX said_b_again ON said (b);
  CREATE INDEX said_b_desc ON said (b DESC);
  CREATE INDEX said_b_some ON said (b) WHERE a > 5;
  CREATE INDEX said_b_c ON said (b, c);
  CREATE INDEX said_a ON said (a);
  CREATE INDEX said_low ON said (lower(c));
  CREATE INDEX said_low_again   ON   said (  lower( c ) );
  CREATE INDEX said_hash ON said USING hash (b);
  INSERT INTO said VALUES (1, 1, 'A'), (2, 1, 'B');
  CREATE ROLE monitor LOGIN;
  GRANT pg_monitor TO monitor;
  CREATE ROLE nobody LOGIN`

/** The work of a session reaches the statistics when it ends, on 13 and 14 half a second later. */
async function untilCounted(server: PostgresServer, table: string, column: string, atLeast: number): Promise<void> {
  await withClient(server, async client => {
    for (let tries = 0; tries < 200; tries++) {
      const { rows } = await client.query(`SELECT ${column} AS n FROM pg_stat_user_tables WHERE relname = $1`, [table])
      if (Number(rows[0].n) >= atLeast) return
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    throw new Error(`${table} has not got ${atLeast} ${column}`)
  })
}

describe.each([13, 15, 16, 18] as PostgresVersion[])('PostgreSQL %i', version => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres({ version, dir: folder.path, settings: { autovacuum_naptime: '1h' } })
    await withClient(server, async client => {
      for (const statement of schema.split(';')) await client.query(statement)
      await client.query('CREATE DATABASE closed')
      await client.query('REVOKE CONNECT ON DATABASE closed FROM PUBLIC')
    })
    // What a session did before its own ANALYZE would be counted on top of it.
    await untilCounted(server, 'said', 'n_tup_ins', 2)
    await withClient(server, client => client.query('ANALYZE'))
    await withClient(server, client => client.query('DELETE FROM due WHERE id <= 18; SELECT count(*) FROM quiet'))
    await untilCounted(server, 'due', 'n_dead_tup', 18)
  })
  afterAll(() => server?.stop('immediate'))

  test('sizes, rows and scans are those that plain SQL tells', async () => {
    const rows = tablesOf(await look(server.conninfo))
    const { rows: truth } = await withClient(server, client =>
      client.query(`
        SELECT s.relid::int8, s.schemaname, s.relname, format('%I.%I', s.schemaname, s.relname) AS qualified,
               pg_total_relation_size(s.relid) AS total, pg_indexes_size(s.relid) AS index,
               pg_table_size(s.relid) - coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0) AS heap,
               s.n_live_tup, s.n_dead_tup, s.seq_scan, s.seq_tup_read, s.idx_scan, s.n_mod_since_analyze, age(c.relfrozenxid)::text AS age
          FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
         WHERE c.relkind <> 'p'`),
    )
    expect(truth.length).toBeGreaterThan(8)
    for (const expected of truth) {
      const row = rows.find(({ relid }) => String(relid) === expected.relid)!
      const told = {
        relid: row.relid,
        schemaname: row.schemaname,
        relname: row.relname,
        qualified: row.qualified,
        total: row.total_bytes,
        index: row.index_bytes,
        heap: row.heap_bytes,
        n_live_tup: row.n_live_tup,
        n_dead_tup: row.n_dead_tup,
        seq_scan: row.seq_scan,
        seq_tup_read: row.seq_tup_read,
        idx_scan: row.idx_scan,
        n_mod_since_analyze: row.n_mod_since_analyze,
        age: row.freezeAge,
      }
      expect(
        Object.fromEntries(Object.entries(told).map(([name, value]) => [name, value === null ? null : String(value)])),
      ).toEqual(expected)
      expect(row.locked).toBe(false)
    }
    expect(named(rows, 'wide').toast_bytes).toBeGreaterThan(100_000n)
    expect(named(rows, 'quiet').idx_scan).toBeNull()
    expect(named(rows, 'big').lastAnalyzeAgeSeconds).toBeGreaterThan(0)
    expect(named(rows, 'big').anyVacuumAgeSeconds).toBeNull()
    expect(rows.filter(row => String(row.schemaname) === 'pg_catalog')).toEqual([])
    expect(named(rows, evil).qualified).toBe(`"My S".${quoted(evil)}`)
  })

  test('what is due follows from the settings and from each table', async () => {
    const rows = tablesOf(await look(server.conninfo))
    // 7 + 0.01 x 1000 rows; 18 are dead.
    expect(named(rows, 'due')).toMatchObject({
      vacuumDue: true,
      vacuumDueWhy: 'dead rows',
      analyzeDue: false,
      analyzeThreshold: 100_100,
    })
    expect(named(rows, 'due').vacuumThreshold).toBeCloseTo(17, 6)
    expect(named(rows, 'quiet')).toMatchObject({ vacuumDue: false, analyzeDue: false, autovacuum_enabled: true })
    expect(named(rows, 'quiet').vacuumThreshold).toBeCloseTo(52, 6)
    expect(named(rows, 'quiet').insertThreshold).toBeCloseTo(1002, 6)
    expect(named(rows, 'kept')).toMatchObject({ insertThreshold: null, autovacuum_freeze_max_age: 100_000 })
    // Much is dead, but its autovacuum is off.
    expect(named(rows, 'big')).toMatchObject({ vacuumDue: false, autovacuum_enabled: false, n_dead_tup: 20_000n })
    expect(named(rows, 'big').deadRatio).toBeCloseTo(1 / 3, 2)
    expect(named(rows, 'big').freezeRatio).toBeCloseTo(Number(named(rows, 'big').freezeAge) / 200_000_000, 9)
    // A third of its pages, as far as one can tell from the average width.
    expect(named(rows, 'big').bloatEstimateRatio).toBeGreaterThan(0.28)
    expect(named(rows, 'big').bloatEstimateRatio).toBeLessThan(0.38)
  })

  test.runIf(version >= 18)('from 18 on a threshold has a limit, and what is frozen does not count for inserts', async () => {
    await withClient(server, async client => {
      await client.query(
        'CREATE TABLE capped (id int) WITH (autovacuum_vacuum_max_threshold = 3, autovacuum_vacuum_insert_threshold = 0)',
      )
      await client.query('INSERT INTO capped SELECT i FROM generate_series(1, 10000) i')
      // 18.4 marks the pages as frozen when it meets them frozen.
      await client.query('VACUUM (FREEZE) capped')
      await client.query('VACUUM (FREEZE) capped')
      await client.query('INSERT INTO capped SELECT i FROM generate_series(1, 10000) i')
      await client.query('ANALYZE capped')
      const { rows } = await client.query(
        `SELECT relallfrozen::float8 / relpages AS frozen FROM pg_class WHERE relname = 'capped'`,
      )
      const capped = named(tablesOf(await look(server.conninfo)), 'capped')
      expect(rows[0].frozen).toBeGreaterThan(0.4)
      expect(capped.vacuumThreshold).toBe(3)
      expect(capped.insertThreshold).toBeCloseTo(0.2 * 20_000 * (1 - rows[0].frozen), 3)
      await client.query('DROP TABLE capped')
    })
  })

  test('a partitioned table is one row with the sums, and its partitions hang under it', async () => {
    const state = await look(server.conninfo)
    const rows = tablesOf(state)
    const [parted, inner, one, two] = ['parted', 'parted_2', 'parted_1', 'parted_2a'].map(name => named(rows, name)) as [
      TablePaneRow,
      TablePaneRow,
      TablePaneRow,
      TablePaneRow,
    ]
    expect(parted).toMatchObject({ relkind: 'p', parentRelid: null, children: 2, n_live_tup: 2000n })
    expect(inner).toMatchObject({ relkind: 'p', parentRelid: parted.relid, children: 1, n_live_tup: 1000n })
    expect(one).toMatchObject({ parentRelid: parted.relid, children: 0 })
    expect(two).toMatchObject({ parentRelid: inner.relid, children: 0 })
    expect(parted.total_bytes).toBe((one.total_bytes ?? 0n) + (two.total_bytes ?? 0n))
    expect(parted.total_bytes).toBeGreaterThan(100_000n)
    expect(parted.freezeAge).toBe(Math.max(one.freezeAge ?? 0, two.freezeAge ?? 0))
    expect(index(indexesOf(state), 'parted_id')).toMatchObject({ relkind: 'I', children: 2, parentIndexrelid: null })
    expect(index(indexesOf(state), 'parted_1_id_idx').parentIndexrelid).toBe(index(indexesOf(state), 'parted_id').indexrelid)
  })

  test('indexes that say the same, that are unused, and that are needed whatever is scanned', async () => {
    const state = await look(server.conninfo)
    const rows = indexesOf(state)
    const said = rows.filter(row => String(row.relname) === 'said')
    expect(Object.fromEntries(said.map(row => [row.indexrelname, row.duplicateOf ?? row.prefixOf]))).toEqual({
      said_a_key: null,
      said_a: 'public.said_a_key',
      said_b: 'public.said_b_c',
      said_b_again: 'public.said_b',
      said_b_desc: null,
      said_b_some: null,
      said_b_c: null,
      said_low: null,
      said_low_again: 'public.said_low',
      said_hash: null,
    })
    expect(index(rows, 'said_b_again').duplicateOf).toBe('public.said_b')
    expect(index(rows, 'said_b').prefixOf).toBe('public.said_b_c')
    expect(index(rows, 'said_hash').unused).toBe(true)
    expect(index(rows, 'said_a_key')).toMatchObject({ unused: false, idx_scan: 0n, conname: 'said_a_key', indisunique: true })
    expect(index(rows, 'big_pkey')).toMatchObject({ unused: false, indisprimary: true })
    expect(index(rows, evilIndex).qualified).toBe(`"My S".${quoted(evilIndex)}`)
    const { rows: truth } = await withClient(server, client =>
      client.query(
        `SELECT indexrelid::int8 AS id, pg_total_relation_size(indexrelid) AS size, idx_scan FROM pg_stat_user_indexes`,
      ),
    )
    for (const { id, size, idx_scan } of truth) {
      const row = rows.find(({ indexrelid }) => String(indexrelid) === id)!
      expect([String(row.total_bytes), String(row.idx_scan)]).toEqual([size, idx_scan])
    }
    expect(listed(state, 'indexes').notice).toContain('unique ones and constraints never count')
  })

  test('a table that is locked costs only its own row, and nobody waits for it', async () => {
    const [holder, witness] = [await connect(server), await connect(server)]
    ends.push(
      () => holder.end(),
      () => witness.end(),
    )
    await holder.query('BEGIN; LOCK TABLE big, parted_1 IN ACCESS EXCLUSIVE MODE')
    const waits: string[] = []
    let spied = false
    const spy = async () => {
      while (!spied) {
        const { rows } = await witness.query(
          `SELECT l.relation::int8 AS oid FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.application_name = 'pgvigil'`,
        )
        waits.push(...rows.map(row => row.oid))
      }
    }
    const spying = spy()
    const state = await look(server.conninfo)
    spied = true
    await spying
    expect(waits).toEqual([])
    const rows = tablesOf(state)
    const unread = rows.filter(row => row.total_bytes === null).map(row => String(row.relname))
    expect(unread.sort()).toEqual(['big', 'parted', 'parted_1'])
    expect(named(rows, 'big')).toMatchObject({ locked: true, heap_bytes: null, n_dead_tup: 20_000n })
    expect(named(rows, 'parted').locked).toBe(true)
    expect(named(rows, 'wide').locked).toBe(false)
    expect(listed(state, 'tables').notice).toContain('no size of 2 locked tables')
  })

  test('so does one that somebody only waits to lock, and one whose index or TOAST table is locked', async () => {
    const [reader, writer, other] = [await connect(server), await connect(server), await connect(server)]
    ends.push(
      () => reader.end(),
      () => writer.end(),
      () => other.end(),
    )
    await reader.query('BEGIN; SELECT count(*) FROM quiet')
    const blocked = writer.query('BEGIN; LOCK TABLE quiet IN ACCESS EXCLUSIVE MODE').catch(() => {})
    const { rows: toast } = await other.query(`SELECT reltoastrelid::regclass::text AS name FROM pg_class WHERE relname = 'wide'`)
    await other.query('BEGIN')
    await other.query('REINDEX INDEX said_hash')
    await other.query(`REINDEX TABLE ${toast[0].name}`)
    await expect.poll(async () => (await other.query('SELECT FROM pg_locks WHERE NOT granted')).rowCount).toBe(1)
    const state = await look(server.conninfo)
    const unread = tablesOf(state).filter(row => row.total_bytes === null)
    expect(unread.map(row => String(row.relname)).sort()).toEqual(['quiet', 'said', 'wide'])
    expect(unread.every(row => row.locked)).toBe(true)
    const unreadIndexes = indexesOf(state).filter(row => row.total_bytes === null)
    expect(unreadIndexes.map(row => [String(row.indexrelname), row.locked])).toEqual([['said_hash', true]])
    await reader.query('ROLLBACK')
    await blocked
  })

  test('a lock shows at the next tick, and the size soon after it', async () => {
    const holder = await connect(server)
    ends.push(() => holder.end())
    await holder.query(
      'CREATE TABLE shrinks AS SELECT i, repeat(i::text, 20) AS t FROM generate_series(1, 20000) i; CREATE INDEX shrinks_i ON shrinks (i)',
    )
    const watched = watch(server.conninfo)
    const row = (state: State) => named(tablesOf(state), 'shrinks')
    const ofIndex = (state: State) => index(indexesOf(state), 'shrinks_i')
    const before = await watched.until(state => complete(state) && row(state).total_bytes !== null, 'its size')
    await holder.query('DELETE FROM shrinks WHERE i > 100; BEGIN; LOCK TABLE shrinks IN ACCESS EXCLUSIVE MODE')
    const since = performance.now()
    const locked = await watched.until(state => row(state).locked, 'the lock')
    expect(performance.now() - since).toBeLessThan(2000)
    expect(row(locked)).toMatchObject({ total_bytes: null, sizeProblem: expect.stringContaining('as soon as it is free') })
    expect(listed(locked, 'tables').notice).toContain('no size of 1 locked table until it is free')
    // The table's index is open to a size function meanwhile.
    expect(ofIndex(locked).total_bytes).not.toBeNull()
    await holder.query('COMMIT')
    await holder.query('VACUUM FULL shrinks')
    const freed = performance.now()
    const after = await watched.until(
      state => (row(state).total_bytes ?? 0n) > 0n && row(state).total_bytes! < row(before).total_bytes! / 2n,
      'its new size',
    )
    expect(performance.now() - freed).toBeLessThan(3000)
    expect(row(after)).toMatchObject({ locked: false, sizeProblem: null })
    const { rows } = await holder.query(`SELECT pg_total_relation_size('shrinks') AS all, pg_relation_size('shrinks_i') AS index`)
    expect(String(row(after).total_bytes)).toBe(rows[0].all)
    await holder.query('BEGIN; REINDEX INDEX shrinks_i')
    const reindexing = await watched.until(state => ofIndex(state).locked, 'the lock of its index')
    expect(ofIndex(reindexing).total_bytes).toBeNull()
    expect(row(reindexing)).toMatchObject({ total_bytes: null, locked: true })
    await holder.query('COMMIT')
    const again = await watched.until(
      state => !ofIndex(state).locked && ofIndex(state).total_bytes !== null && row(state).total_bytes !== null,
      'both sizes',
    )
    expect(String(ofIndex(again).total_bytes)).toBe(rows[0].index)
    await holder.query('DROP TABLE shrinks')
  })

  test('an index that a failed CONCURRENTLY left is invalid; one that is being built is not', async () => {
    const [client, reader, builder] = [await connect(server), await connect(server), await connect(server)]
    ends.push(
      () => client.end(),
      () => reader.end(),
      () => builder.end(),
    )
    await client.query('CREATE UNIQUE INDEX CONCURRENTLY big_twice ON big (grp)').catch(() => {})
    await reader.query('BEGIN; UPDATE said SET c = c WHERE a = 1')
    const building = builder.query('CREATE INDEX CONCURRENTLY said_new ON said (c)').catch(() => {})
    await expect.poll(async () => (await client.query(`SELECT FROM pg_class WHERE relname = 'said_new'`)).rowCount).toBe(1)
    for (const user of ['postgres', 'monitor', 'nobody']) {
      const rows = indexesOf(await look(as(user, server)))
      expect(index(rows, 'big_twice'), user).toMatchObject({ indisvalid: false, building: false, unused: false })
      expect(index(rows, 'said_new'), user).toMatchObject({ indisvalid: false, building: true })
    }
    await reader.query('ROLLBACK')
    await building
    const state = await look(server.conninfo)
    expect(index(indexesOf(state), 'said_new')).toMatchObject({ indisvalid: true, building: false })
    expect(listed(state, 'indexes').notice).toContain('1 invalid: DROP INDEX CONCURRENTLY or REINDEX')
    await client.query('DROP INDEX big_twice, said_new')
  })

  test('databases and tablespaces have the sizes that the functions tell, and say what is restricted', async () => {
    const state = await look(server.conninfo)
    const { rows: truth } = await withClient(server, client =>
      client.query('SELECT datname, pg_database_size(oid) AS size, age(datfrozenxid) AS age FROM pg_database'),
    )
    const databases = listed(state, 'databases').rows as unknown as readonly DatabasePaneRow[]
    expect(databases.map(row => String(row.datname)).sort()).toEqual(truth.map(row => row.datname).sort())
    for (const { datname, size, age } of truth) {
      const row = databases.find(other => String(other.datname) === datname)!
      expect(row.freezeAge).toBe(age)
      expect(Math.abs(Number(row.total_bytes) - Number(size)), datname).toBeLessThan(datname === 'postgres' ? 1_000_000 : 1)
    }
    const spaces = listed(state, 'tablespaces').rows as unknown as readonly TablespacePaneRow[]
    expect(spaces.map(row => String(row.spcname)).sort()).toEqual(['pg_default', 'pg_global'])
    expect(spaces.every(row => row.total_bytes !== null)).toBe(true)

    const plain = await look(as('nobody', server))
    const rows = listed(plain, 'databases').rows as unknown as readonly DatabasePaneRow[]
    expect(rows.filter(row => row.total_bytes === null).map(row => String(row.datname))).toEqual(['closed'])
    expect(listed(plain, 'databases').notice).toContain('GRANT pg_monitor TO nobody;')
    expect(named(tablesOf(plain), 'big')).toMatchObject({ owned: false, maintains: false, bloatEstimateBytes: null })
    expect(named(tablesOf(plain), 'big').total_bytes).toBe(named(tablesOf(state), 'big').total_bytes)
  })
})

test('rates are of the time between two samples, and unknown across a reset', async () => {
  const server = await startPostgres({ version: 16, dir: folder.path, name: 'rates' })
  ends.push(() => server.stop('immediate'))
  const insert = (rows: number) =>
    withClient(server, client => client.query(`INSERT INTO t SELECT 1 FROM generate_series(1, ${rows})`))
  await withClient(server, client => client.query('CREATE TABLE t (id int)'))
  await insert(1000)
  await untilCounted(server, 't', 'n_tup_ins', 1000)
  const watched = watch(server.conninfo)
  const sample = (state: State) => state.servers.pg?.readings.tables?.sample
  const before = sample(await watched.until(complete, 'the first rows'))!
  await insert(500)
  await untilCounted(server, 't', 'n_tup_ins', 1500)
  watched.poller.again('pg')
  const state = await watched.until(s => sample(s) !== before, 'the next rows')
  const seconds = (sample(state)!.at - before.at) / 1000
  expect(named(tablesOf(state), 't').insertsPerSecond).toBeCloseTo(500 / seconds, 3)
  await withClient(server, client => client.query('SELECT pg_stat_reset()'))
  watched.poller.again('pg')
  const after = await watched.until(s => sample(s) !== sample(state), 'the rows after')
  expect(named(tablesOf(after), 't').insertsPerSecond).toBeNull()
})

test('a slice that meets a lock is measured once more, and only then given up', async () => {
  const server = await startPostgres({ version: 16, dir: folder.path, name: 'retried' })
  ends.push(() => server.stop('immediate'))
  await withClient(server, client => client.query('CREATE TABLE t (id int)'))
  const ofKeys = query({
    id: 'keys',
    on: 'postgres',
    every: 60,
    columns: { key: 'text!' },
    variants: [{ from: 130000, text: `SELECT unnest(ARRAY['public.t', 'pg_class']) AS key` }],
  })
  const measured = (retryLocked: boolean) =>
    query({
      id: `measured${retryLocked}`,
      on: 'postgres',
      every: 60,
      forEach: { query: ofKeys, key: 'key', retryLocked },
      columns: { key: 'text!', bytes: 'big!' },
      variants: [
        {
          from: 130000,
          text: `
SELECT $1::text AS key, pg_relation_size($1::text::regclass) AS bytes
  FROM pg_sleep(CASE WHEN $1::text = 'pg_class' THEN 0.5 ELSE 0 END)`,
        },
      ],
    })
  const [once, again] = [measured(false), measured(true)]
  const holder = await connect(server)
  ends.push(() => holder.end())
  await holder.query('BEGIN; LOCK TABLE t')
  const watched = watching(
    [{ id: 'pg', conninfo: server.conninfo }],
    [{ ...tablesPanel.lists[0]!, needs: [ofKeys, once, again] }],
  )
  ends.push(watched.stop)
  const sample = (state: State, { id }: { id: string }) => state.servers.pg?.readings[id]?.sample
  const told = (state: State, of: { id: string }) => [
    sample(state, of)?.rows.map(({ key }) => key),
    sample(state, of)?.skipped.map(({ key, code }) => [key, code]),
  ]
  const first = await watched.until(state => Boolean(sample(state, once)), 'the first round')
  expect(told(first, once)).toEqual([['pg_class'], [['public.t', '55P03']]])
  // Now it is the turn of the one that tries again: the lock goes while it is busy elsewhere.
  const asleep = () =>
    withClient(server, client =>
      client.query(`SELECT FROM pg_stat_activity WHERE application_name = 'pgvigil' AND wait_event = 'PgSleep'`),
    )
  await expect.poll(async () => (await asleep()).rowCount, { timeout: 5000, interval: 20 }).toBe(1)
  await holder.query('ROLLBACK')
  const second = await watched.until(state => Boolean(sample(state, again)), 'the second round')
  expect(told(second, again)).toEqual([['pg_class', 'public.t'], []])
})

test('a standby says what it does not count, and gives it as not known', async () => {
  const primary = await startPostgres({ version: 16, dir: folder.path, name: 'upstream' })
  ends.push(() => primary.stop('immediate'))
  await withClient(primary, client => client.query('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)'))
  const standby = await startStandby(primary, { dir: folder.path, name: 'downstream', slot: 'downstream' })
  ends.push(() => standby.stop('immediate'))
  const state = await look(standby.conninfo)
  const nothing = { n_live_tup: null, n_dead_tup: null, vacuumDue: null, analyzeDue: null, anyVacuumAgeSeconds: null }
  expect(named(tablesOf(state), 't')).toMatchObject({ ...nothing, seq_scan: 0n })
  expect(named(tablesOf(state), 't').total_bytes).toBeGreaterThan(0n)
  expect(listed(state, 'tables').notice).toContain('see its primary')
})

test('of many tables the largest are listed, and a partitioned one tells the sums over all of its own', async () => {
  const server = await startPostgres({ version: 16, dir: folder.path, name: 'many' })
  ends.push(() => server.stop('immediate'))
  await withClient(server, async client => {
    await client.query(`DO $$ BEGIN FOR i IN 1..1900 LOOP
      EXECUTE format('CREATE TABLE flat_%s ()', i);
      IF i % 100 = 0 THEN COMMIT; END IF; END LOOP; END $$`)
    await client.query('CREATE TABLE part (id int, t text) PARTITION BY RANGE (id)')
    await client.query(`DO $$ BEGIN FOR i IN 0..199 LOOP
      EXECUTE format('CREATE TABLE part_%s PARTITION OF part FOR VALUES FROM (%s) TO (%s)', i, i, i + 1);
      IF i % 50 = 0 THEN COMMIT; END IF; END LOOP; END $$`)
    await client.query(`INSERT INTO part SELECT i, repeat('x', 50) FROM generate_series(0, 199) i`)
  })
  const state = await look(server.conninfo)
  const rows = tablesOf(state)
  expect(rows).toHaveLength(2000)
  expect(listed(state, 'tables').notice).toContain('101 more are not listed')
  const truth = await withClient(server, async client => {
    const { rows } = await client.query(
      `SELECT sum(pg_total_relation_size(c.oid)) AS size FROM pg_class c WHERE relname LIKE 'part\\_%' AND relkind = 'r'`,
    )
    return rows[0].size
  })
  expect(String(named(rows, 'part').total_bytes)).toBe(truth)
  expect(named(rows, 'part')).toMatchObject({ children: 200, n_live_tup: 200n })
})

test('hypertables are one row each: chunks hang under it, their compressed parts counted in, internals left out', async () => {
  const server = await startTimescale({ dir: folder.path })
  ends.push(() => server.stop())
  await withClient(server, async client => {
    for (const text of [
      'CREATE TABLE hours (t timestamptz NOT NULL, v int)',
      `SELECT create_hypertable('hours', 't', chunk_time_interval => interval '1 day')`,
      `INSERT INTO hours SELECT timestamptz '2026-01-01 00:00+00' + i * interval '1 minute', i FROM generate_series(0, 4 * 1440 - 1) i`,
      'ALTER TABLE hours SET (timescaledb.compress)',
      `SELECT compress_chunk(c) FROM show_chunks('hours', older_than => timestamptz '2026-01-03') c`,
      'CREATE TABLE plain (id int PRIMARY KEY)',
    ]) {
      await client.query(text)
    }
  })
  const ofTimescale = (s: State) => ['compressedParts', 'hypertables'].every(id => s.servers.pg?.readings[id]?.sample)
  const state = await watch(server.conninfo).until(s => complete(s) && ofTimescale(s), 'all answers')
  const rows = tablesOf(state)
  expect(rows.filter(row => row.parentRelid === null).map(row => String(row.relname))).toEqual(
    expect.arrayContaining(['hours', 'plain']),
  )
  expect(rows).toHaveLength(6)
  expect(named(rows, 'hours')).toMatchObject({ hypertable: true, children: 4 })
  const truth = await withClient(server, async client => {
    const chunks = await client.query(`SELECT chunk_name, total_bytes::text AS bytes FROM public.chunks_detailed_size('hours')`)
    const all = await client.query(`SELECT hypertable_size('hours')::text AS bytes`)
    return { chunks: new Map(chunks.rows.map(row => [row.chunk_name, row.bytes])), all: all.rows[0].bytes }
  })
  const chunks = rows.filter(row => row.parentRelid === named(rows, 'hours').relid)
  expect(new Map(chunks.map(row => [String(row.relname), String(row.total_bytes)]))).toEqual(truth.chunks)
  expect(String(named(rows, 'hours').total_bytes)).toBe(truth.all)
  const roots = indexesOf(state).filter(row => row.parentIndexrelid === null)
  expect(roots.map(row => [String(row.indexrelname), row.children]).sort()).toEqual([
    ['hours_t_idx', 4],
    ['plain_pkey', 0],
  ])
})
