// Every query that we ask PostgreSQL, on every version that we support, as a superuser, with pg_monitor only and with no rights at all:
// it runs with the settings of our sessions, gives exactly the columns that its rows are typed by, and each value decodes.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect, withClient } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, type PostgresVersion, startPostgres, startStandby } from '../../src/lab/postgres.ts'
import { decodeRow, textOnly } from '../../src/server/decode.ts'
import * as activity from '../../src/sql/activity.ts'
import * as catalogs from '../../src/sql/catalogs.ts'
import * as databases from '../../src/sql/databases.ts'
import * as events from '../../src/sql/events.ts'
import * as healthCounters from '../../src/sql/health-counters.ts'
import * as healthLimits from '../../src/sql/health-limits.ts'
import * as healthLog from '../../src/sql/health-log.ts'
import * as healthSettings from '../../src/sql/health-settings.ts'
import * as healthWal from '../../src/sql/health-wal.ts'
import * as indexWidths from '../../src/sql/index-widths.ts'
import * as indexes from '../../src/sql/indexes.ts'
import * as locks from '../../src/sql/locks.ts'
import * as maintenance from '../../src/sql/maintenance.ts'
import * as progress from '../../src/sql/progress.ts'
import { pickVariant, type Query } from '../../src/sql/query.ts'
import * as replication from '../../src/sql/replication.ts'
import * as server from '../../src/sql/server.ts'
import * as tables from '../../src/sql/tables.ts'

const isQuery = (value: unknown): value is Query => typeof value === 'object' && value !== null && 'variants' in value
const queries = [
  activity,
  catalogs,
  databases,
  events,
  healthCounters,
  healthLimits,
  healthLog,
  healthSettings,
  healthWal,
  indexWidths,
  indexes,
  locks,
  maintenance,
  progress,
  replication,
  server,
  tables,
].flatMap(file => Object.values(file).filter(isQuery))

let folder: Folder
beforeAll(() => {
  folder = temporaryFolder('pgvigil-sql')
})
afterAll(() => folder.remove())

describe.each([13, 14, 15, 16, 17, 18] as PostgresVersion[])('PostgreSQL %i', version => {
  let primary: PostgresServer
  let standby: PostgresServer
  beforeAll(async () => {
    primary = await startPostgres({
      version,
      dir: folder.path,
      settings: { max_prepared_transactions: 4, logging_collector: true, log_destination: 'stderr,csvlog' },
    })
    await withClient(primary, client =>
      client.query(
        `CREATE ROLE monitor LOGIN; GRANT pg_monitor TO monitor; CREATE ROLE nobody_much LOGIN;
         CREATE TABLE wide (id int PRIMARY KEY, t text) WITH (autovacuum_vacuum_threshold = 7, autovacuum_enabled = off);
         INSERT INTO wide SELECT i, repeat('x', 50) FROM generate_series(1, 5000) i;
         CREATE INDEX ON wide (lower(t)) WHERE id > 5;
         CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
         CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
         ANALYZE`,
      ),
    )
    standby = await startStandby(primary, { dir: folder.path, name: `standby${version}`, slot: 'standby_slot' })
  })
  afterAll(async () => {
    await standby?.stop('immediate')
    await primary?.stop('immediate')
  })

  for (const user of ['postgres', 'monitor', 'nobody_much']) {
    const allowed = queries.filter(query => !query.needs?.superuser || user === 'postgres')
    test.each(allowed.map(query => [query.id, query] as const))(`${user}: %s`, async (_, query) => {
      // A backend that waits for another: otherwise the query for locks would have nothing to join.
      const holder = await connect({ port: primary.port })
      const waiter = await connect({ port: primary.port })
      waiter.on('error', () => {})
      await holder.query('SELECT pg_advisory_lock(4711)')
      waiter.query('SELECT pg_advisory_lock(4711)').catch(() => {})
      try {
        const onStandby = query.needs?.role === 'standby'
        const answer = await asked(onStandby ? standby : primary, user, query)
        if ('remedy' in answer) {
          // What a role may not call is not even tried, and what would help is said: on 13 to 18 a superuser may all.
          expect(user).not.toBe('postgres')
          expect(answer.remedy).toMatch(/^GRANT (pg_monitor|EXECUTE ON FUNCTION pg_catalog\.)/)
          return
        }
        const { fields, rows } = answer
        expect([...fields].sort()).toEqual(Object.keys(query.columns).sort())
        for (const row of rows) decodeRow(query, row)
        // What a primary is asked may be asked of a standby too: its role can change between two ticks.
        if (!query.needs?.role) expect(await asked(standby, user, query)).toMatchObject({ fields })
      } finally {
        await holder.end()
        await waiter.end()
      }
    })
  }

  function textOf(query: Query): string {
    const picked = pickVariant(query, { version: version * 10000, extensions: {}, available: [] })
    if (!('text' in picked)) throw new Error(picked.unavailable)
    return picked.text
  }

  /** Of what a query is run for each of: the key of the first. */
  async function firstKey(client: Awaited<ReturnType<typeof connect>>, { query, key }: NonNullable<Query['forEach']>) {
    const { rows } = await client.query({ text: textOf(query), types: textOnly })
    expect(rows.length, `${query.id} has no row`).toBeGreaterThan(0)
    return rows[0][key] as string
  }

  async function asked(where: PostgresServer, user: string, query: Query) {
    const client = await connect({ port: where.port, user })
    try {
      await client.query(
        "SET search_path = pg_catalog; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET default_transaction_read_only = on",
      )
      const { functions } = query.needs ?? {}
      const callable = functions ? (await client.query(textOf(server.facts))).rows[0].callable.split(' ') : undefined
      const picked = pickVariant(query, { version: version * 10000, extensions: {}, available: [], functions: callable })
      if ('remedy' in picked) return picked
      const { text } = picked
      const params = (query.params ?? []).map(
        param =>
          ({
            queryBytes: 400,
            selectedPid: 1,
            selectedQueryStart: '',
            countSessions: 1,
            askedRelations: '{1259}',
            unlockedRelations: '1259',
          })[param],
      )
      const values = query.forEach ? [(await firstKey(client, query.forEach)) ?? ''] : params
      const { fields, rows } = await client.query({ text, values, types: textOnly })
      return { fields: fields.map(field => field.name), rows }
    } finally {
      await client.end()
    }
  }
})

test('there are queries to test', () => {
  expect(queries.length).toBeGreaterThan(8)
})
