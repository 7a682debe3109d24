// The estimate of a B-tree's bloat against the truth: what a REINDEX gives back, and what pgstatindex says.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { withClient } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, type PostgresVersion, startPostgres } from '../../src/lab/postgres.ts'
import type { IndexPaneRow } from '../../src/model/indexes.ts'
import { indexesList } from '../../src/panels/indexes.ts'
import { watching } from '../support/watching.ts'

let folder: Folder
beforeAll(() => {
  folder = temporaryFolder('pgvigil-bloat')
})
afterAll(() => folder.remove())

// Unique and repeated keys of all widths, nulls, expressions, several columns, parts of a table, options of an index.
const schema = `
  CREATE EXTENSION pgstattuple;
  CREATE TABLE t (id int8, ref int4, few int2, name text, mail text, maybe text, num numeric, u uuid, zip int4) WITH (autovacuum_enabled = off);
  SELECT setseed(0.5);
  INSERT INTO t SELECT i, (random() * i / 10)::int, i % 7, 'user_' || (random() * 1e6)::int, md5(i::text) || '@ex.org',
                       CASE WHEN i % 5 = 0 THEN 'x' || i END, (random() * 1000)::numeric(8,2), md5(i::text)::uuid, (random() * random() * 20000)::int
                  FROM generate_series(1, 100000) i;
  CREATE UNIQUE INDEX b_id ON t (id);
  CREATE INDEX b_ref ON t (ref);
  CREATE INDEX b_few ON t (few);
  CREATE INDEX b_name ON t (name);
  CREATE INDEX b_mail ON t (mail);
  CREATE INDEX b_maybe ON t (maybe);
  CREATE INDEX b_num ON t (num);
  CREATE INDEX b_u ON t (u);
  CREATE INDEX b_zip ON t (zip);
  CREATE INDEX b_several ON t (few, zip);
  CREATE INDEX b_include ON t (few) INCLUDE (zip);
  CREATE INDEX b_part ON t (name) WHERE few = 3;
  CREATE INDEX b_expression ON t (lower(mail));
  CREATE INDEX b_loose ON t (u) WITH (fillfactor = 60);
  CREATE INDEX b_single ON t (few) WITH (deduplicate_items = off);
  CREATE INDEX b_hash ON t USING hash (u);
  CREATE TABLE churned (id int8 PRIMARY KEY, k text, few int) WITH (autovacuum_enabled = off);
  CREATE INDEX churned_k ON churned (k);
  CREATE INDEX churned_few ON churned (few);
  INSERT INTO churned SELECT i, md5(i::text), i % 100 FROM generate_series(1, 30000) i;
  UPDATE churned SET k = md5(k);
  UPDATE churned SET few = few + 1 WHERE id % 3 = 0;
  CREATE ROLE monitor LOGIN; GRANT pg_monitor TO monitor; CREATE ROLE nobody LOGIN`

/** How far off the estimate of an index's new size may be. */
const tolerance = (name: string) =>
  name === 'b_several' ? 0.2 : /_(id|mail|num|u|include|loose|single|expression)$/.test(name) ? 0.02 : 0.12

describe.each([13, 16, 18] as PostgresVersion[])('PostgreSQL %i', version => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres({ version, dir: folder.path })
    await withClient(server, client => client.query(schema))
    for (const text of ['VACUUM ANALYZE t', 'VACUUM ANALYZE churned']) await withClient(server, client => client.query(text))
  })
  afterAll(() => server?.stop('immediate'))

  async function look(user: string): Promise<ReadonlyMap<string, IndexPaneRow>> {
    const watched = watching(
      [{ id: 'pg', conninfo: `host=127.0.0.1 port=${server.port} user=${user} dbname=postgres` }],
      [indexesList],
    )
    try {
      const state = await watched.until(
        ({ servers }) => ['indexes', 'indexSizes', 'indexWidths'].every(id => servers.pg?.readings[id]?.sample),
        'all answers',
      )
      const rows = indexesList.select(state).rows as unknown as readonly IndexPaneRow[]
      return new Map(rows.map(row => [String(row.indexrelname), row]))
    } finally {
      watched.stop()
    }
  }

  async function compare() {
    const told = await look('postgres')
    let estimated = 0
    for (const [name, { total_bytes, bloatEstimateBytes, bloatEstimateRatio, bloatProblem }] of told) {
      if (bloatEstimateBytes === null) {
        expect(bloatProblem, name).toBe(name === 'b_hash' ? 'only that of a btree can be estimated' : 'below 16 pages')
        continue
      }
      estimated++
      const { rows } = await withClient(server, async client => {
        const density = await client.query('SELECT avg_leaf_density, deleted_pages FROM pgstatindex($1)', [name])
        await client.query(`REINDEX INDEX ${name}`)
        const size = await client.query('SELECT pg_relation_size($1::regclass) AS bytes', [name])
        return { rows: [{ ...density.rows[0], ...size.rows[0] }] }
      })
      const [before, after] = [Number(total_bytes), Number(rows[0].bytes)]
      const off = (before - Number(bloatEstimateBytes)) / after - 1
      // An estimate is never below nothing: what is not bloated may be told to need all it has.
      expect(Math.abs(off), `${name}: ${before} -> ${after}, estimated ${bloatEstimateBytes}`).toBeLessThan(
        tolerance(name) + (3 * 8192) / after,
      )
      // Leaves that are 90 % full are a fresh index's.
      const full = rows[0].avg_leaf_density / (name === 'b_loose' ? 60 : 90)
      if (name !== 'b_several' && Number(rows[0].deleted_pages) === 0)
        expect(Math.abs(1 - full - bloatEstimateRatio!), name).toBeLessThan(0.2)
    }
    return estimated
  }

  test('a fresh one and a churned one', async () => {
    expect(await compare()).toBeGreaterThan(14)
  })

  test('after half of the rows were deleted', async () => {
    await withClient(server, client => client.query('DELETE FROM t WHERE id % 2 = 0'))
    await withClient(server, client => client.query('VACUUM ANALYZE t'))
    await expect
      .poll(
        () =>
          withClient(
            server,
            async client =>
              (await client.query(`SELECT n_live_tup::int AS n FROM pg_stat_user_tables WHERE relname = 't'`)).rows[0].n,
          ),
        { timeout: 20_000 },
      )
      .toBeLessThan(60_000)
    expect((await look('postgres')).get('b_id')!.bloatEstimateRatio).toBeCloseTo(0.5, 1)
    expect(await compare()).toBeGreaterThan(10)
  })

  test.each(['monitor', 'nobody'])('%s may not SELECT and gets the reason, and the GRANT is enough', async user => {
    const why = 'not analyzed some minutes ago, or this role may not SELECT all its columns'
    expect((await look(user)).get('b_mail')).toMatchObject({ bloatEstimateBytes: null, bloatProblem: why })
    await withClient(server, client => client.query(`GRANT SELECT ON t TO ${user}`))
    const told = await look(user)
    expect(told.get('b_mail')!.bloatEstimateBytes).not.toBeNull()
    // Statistics of an expression are its owner's.
    expect(told.get('b_expression')!.bloatProblem).toBe(why)
  })
})
