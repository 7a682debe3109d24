// Long commands of real servers, each compared with its view at the same moment.

import pg, { type Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { connect, type Target } from '../../src/lab/client.ts'
import { temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, type PostgresVersion, startPostgres } from '../../src/lab/postgres.ts'
import type { ProgressRow } from '../../src/model/progress.ts'
import { raw } from '../../src/model/untrusted.ts'
import { progressList } from '../../src/panels/progress.ts'
import type { State } from '../../src/store/state.ts'
import { acting } from '../support/acting.ts'
import { type Watching, watching } from '../support/watching.ts'

const rowsOf = (state: State) => progressList.select(state).rows as unknown as readonly ProgressRow[]
const folder = temporaryFolder('pgvigil-progress-')
afterAll(() => folder.remove())

type Actor = Client & { readonly pid: number }
const actors: Actor[] = []
const pending: Promise<unknown>[] = []

async function actor(target: Target): Promise<Actor> {
  const client = await connect(target)
  const { rows } = await client.query('SELECT pg_backend_pid() AS pid')
  const made = Object.assign(client, { pid: rows[0].pid as number })
  actors.push(made)
  return made
}

/** Starts a statement that takes its time. */
function begin(client: Client, sql: string): Promise<string> {
  const running = client.query(sql).then(
    () => 'done',
    error => (error as Error).message,
  )
  pending.push(running)
  return running
}

/** A table of which every third row is dead, with an index and without TOAST. */
const worn = (rows: number) => `DROP TABLE IF EXISTS worn;
  CREATE TABLE worn (id int PRIMARY KEY, pad char(200)) WITH (autovacuum_enabled = off);
  INSERT INTO worn SELECT i, 'x' FROM generate_series(1, ${rows}) i; DELETE FROM worn WHERE id % 3 = 0`

const slowFunction =
  "CREATE OR REPLACE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.001); RETURN $1; END'"

const text = (value: ProgressRow['phase']) => (value === null ? null : raw(value))

describe.each([13, 15, 16, 17, 18] as const)('PostgreSQL %i', (version: PostgresVersion) => {
  let server: PostgresServer
  let admin: Client
  let watch: Watching

  beforeAll(async () => {
    const settings = {
      autovacuum: 'off',
      max_prepared_transactions: 2,
      ...(version >= 18 ? { track_cost_delay_timing: 'on' } : {}),
    }
    server = await startPostgres({ version, dir: folder.path, settings })
    admin = await connect({ port: server.port })
    await admin.query('CREATE ROLE plain LOGIN; CREATE ROLE monitor LOGIN; GRANT pg_monitor TO monitor')
    await admin.query('CREATE DATABASE other')
    await admin.query(`CREATE TABLE big (id int PRIMARY KEY, pad text) WITH (autovacuum_enabled = off);
      INSERT INTO big SELECT i, repeat('x', 200) FROM generate_series(1, 60000) i; DELETE FROM big WHERE id % 3 = 0;
      CREATE TABLE "odd ""name" (id int); INSERT INTO "odd ""name" SELECT generate_series(1, 1000)`)
    watch = watching([{ id: 'a', conninfo: server.conninfo.replace('postgres@', 'monitor@') }], [progressList])
  })
  afterEach(async () => {
    await admin.query('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) pid', [actors.map(({ pid }) => pid)])
    await Promise.all([...pending.splice(0), ...actors.splice(0).map(client => client.end().catch(() => {}))])
  })
  afterAll(async () => {
    watch?.stop()
    await admin?.end()
    await server?.stop('immediate')
  })

  const session = (application_name = 'cron', database = 'postgres') => actor({ port: server.port, application_name, database })

  /** The row of a session once it is as wanted. */
  async function until(
    pid: number,
    what: string,
    ready: (row: ProgressRow) => boolean = () => true,
    by = watch,
  ): Promise<ProgressRow> {
    const is = (row: ProgressRow) => row.pid === pid && ready(row)
    return rowsOf(await by.until(state => rowsOf(state).some(is), what)).find(is)!
  }

  /** All that was shown of a session until its command ended. */
  async function followed(
    pid: number,
    running: Promise<unknown>,
    by = watch,
  ): Promise<readonly (ProgressRow & { readonly at: number })[]> {
    const seen: (ProgressRow & { readonly at: number })[] = []
    const stop = by.store.subscribe(state => {
      const at = state.servers.a?.readings.progress?.sample?.at ?? 0
      const row = rowsOf(state).find(one => one.pid === pid)
      if (row && seen.at(-1)?.at !== at) seen.push({ ...row, at })
    })
    await running
    stop()
    return seen
  }

  function neverBack(seen: readonly ProgressRow[]) {
    const highest = new Map<string, number>()
    for (const row of seen) {
      const step = [
        row.phase,
        row.relation,
        row.index,
        row.unit,
        row.phase && text(row.phase) === 'scanning heap' ? 0 : row.index_vacuum_count,
      ].join()
      if (row.percent === null) continue
      expect(row.percent, step).toBeGreaterThanOrEqual(highest.get(step) ?? 0)
      expect(row.percent).toBeLessThanOrEqual(100)
      highest.set(step, row.percent)
    }
  }

  test('a throttled VACUUM: what the view says at the same moment, percent that never goes back, cost delay', async () => {
    const one = await session('cron: vacuum')
    await admin.query(worn(20_000))
    await one.query("SET vacuum_cost_delay = '10ms'; SET vacuum_cost_limit = 5")
    const running = begin(one, 'VACUUM (TRUNCATE off) worn')
    const whole = followed(one.pid, running)
    await until(one.pid, 'blocks scanned', row => (row.heap_blks_scanned ?? 0) > 100)
    const view = async () => (await admin.query(`SELECT * FROM pg_stat_progress_vacuum WHERE pid = ${one.pid}`)).rows[0]
    const before = await view()
    const asOf = Date.now()
    const row = await until(one.pid, 'a newer sample', () => watch.state().servers.a!.readings.progress!.sample!.at > asOf)
    const after = await view()
    expect(row).toMatchObject({
      command: 'VACUUM',
      kind: 'VACUUM',
      relation: 'public.worn',
      datname: 'postgres',
      usename: 'postgres',
      application_name: 'cron: vacuum',
      heap_blks_total: Number(before.heap_blks_total),
      autovacuum: false,
      toPreventWraparound: false,
      restricted: false,
      blocksCount: 0,
      blockedBy: [],
    })
    expect(text(row.phase)).toBe(before.phase)
    for (const counter of ['heap_blks_scanned', 'heap_blks_vacuumed', 'index_vacuum_count'] as const) {
      expect(row[counter], counter).toBeGreaterThanOrEqual(Number(before[counter]))
      if (after) expect(row[counter], counter).toBeLessThanOrEqual(Number(after[counter]))
    }
    expect(row.num_dead_item_ids).toBeGreaterThanOrEqual(Number(before.num_dead_item_ids ?? before.num_dead_tuples))
    if (version >= 18) {
      expect(row.delayMs).toBeGreaterThan(0)
      expect(row.delayMs).toBeGreaterThanOrEqual(before.delay_time)
    } else expect(row.delayMs).toBeNull()
    expect(await running).toBe('done')
    const seen = await whole
    neverBack(seen)
    expect([...new Set(seen.map(({ phase }) => text(phase)))]).toEqual(
      expect.arrayContaining(['scanning heap', 'vacuuming heap']),
    )
    expect(seen.filter(({ ratePerSecond }) => ratePerSecond !== null && ratePerSecond > 0).length).toBeGreaterThan(
      seen.length / 3,
    )
    const shares = seen.flatMap(({ commandPercent }) => (commandPercent === null ? [] : [commandPercent]))
    expect(shares).toEqual(shares.toSorted((a, b) => a - b))
  })

  test.runIf(version === 16)(
    'the time left of a vacuum is within a factor of two in its second half',
    async () => {
      const one = await session()
      await admin.query(worn(90_000))
      await one.query("SET vacuum_cost_delay = '10ms'; SET vacuum_cost_limit = 5")
      const running = begin(one, 'VACUUM (TRUNCATE off) worn')
      const seen = await followed(one.pid, running)
      const [first, end] = [seen[0]!.at, seen.at(-1)!.at]
      const half = seen.filter(({ at }) => at > (first + end) / 2 && at < end - 1000)
      const told = half.filter(({ etaSeconds }) => etaSeconds !== null)
      expect(end - first).toBeGreaterThan(10_000)
      expect(told.length).toBeGreaterThan(half.length * 0.8)
      for (const { at, etaSeconds, phase } of told) {
        const left = (end - at) / 1000
        expect(etaSeconds! / left, `${text(phase)}, ${left} s before the end`).toBeGreaterThan(0.5)
        expect(etaSeconds! / left, `${text(phase)}, ${left} s before the end`).toBeLessThan(2)
      }
    },
    90_000,
  )

  test('ANALYZE, of a table with an awkward name', async () => {
    const one = await session()
    await one.query("SET vacuum_cost_delay = '20ms'; SET vacuum_cost_limit = 1")
    void begin(one, 'ANALYZE "odd ""name"')
    const row = await until(one.pid, 'ANALYZE', ({ phase }) => text(phase) === 'acquiring sample rows')
    expect(row).toMatchObject({ command: 'ANALYZE', relation: 'public."odd ""name"', unit: 'blocks', total: 5 })
  })

  test('CREATE INDEX blocked by a writer names it, and what it blocks is counted', async () => {
    const [writer, one, reader] = [await session('writer'), await session(), await session('late')]
    await writer.query('BEGIN; UPDATE big SET pad = pad WHERE id = 1')
    void begin(one, 'CREATE INDEX CONCURRENTLY big_pad ON big (pad)')
    const row = await until(one.pid, 'the writer in the way', ({ current_locker_pid }) => current_locker_pid === writer.pid)
    expect(row).toMatchObject({
      command: 'CREATE INDEX CONCURRENTLY',
      phase: 'waiting for writers before build',
      relation: 'public.big',
      index: 'public.big_pad',
      unit: 'lockers',
      done: 0,
      total: 1,
      blockedBy: [writer.pid],
      etaSeconds: null,
      inTheWay: [
        { pid: writer.pid, application_name: 'writer', usename: 'postgres', state: 'idle in transaction', query: /UPDATE big/ },
      ].map(holder => ({ ...holder, query: expect.stringMatching(holder.query) })),
    })
    void begin(reader, 'ALTER TABLE big ADD COLUMN late int')
    await until(one.pid, 'a session held up', ({ blocksCount }) => blocksCount === 1)
  })

  test('CREATE INDEX is found with its phases', async () => {
    const one = await session()
    await admin.query(slowFunction)
    const running = begin(one, 'CREATE INDEX big_slow ON big (slow(id)) WHERE id < 1200')
    const whole = followed(one.pid, running)
    const row = await until(one.pid, 'the scan', ({ phase }) => text(phase) === 'building index: scanning table')
    expect(row).toMatchObject({ command: 'CREATE INDEX', relation: 'public.big', index: null, unit: 'blocks' })
    expect(await running).toBe('done')
    neverBack(await whole)
    await admin.query('DROP INDEX big_slow')
  })

  test('REINDEX CONCURRENTLY that waits for an old snapshot names who holds it; cancelled from elsewhere it is gone', async () => {
    const [holder, one] = [await session('report'), await session()]
    await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1')
    const running = begin(one, 'REINDEX INDEX CONCURRENTLY big_pkey')
    const row = await until(one.pid, 'the old snapshot', ({ phase }) => text(phase) === 'waiting for old snapshots')
    const waiting = await until(one.pid, 'its holder', ({ current_locker_pid }) => current_locker_pid === holder.pid)
    expect(row).toMatchObject({ command: 'REINDEX CONCURRENTLY', relation: 'public.big' })
    expect(waiting).toMatchObject({ blockedBy: [holder.pid], inTheWay: [{ pid: holder.pid, application_name: 'report' }] })
    expect(progressList.columns.find(({ title }) => title === 'WAITS')!.text(waiting as never)).toBe(String(holder.pid))
    await admin.query('SELECT pg_cancel_backend($1)', [one.pid])
    expect(await running).toMatch(/canceling statement/)
    await watch.until(state => rowsOf(state).every(({ pid }) => pid !== one.pid), 'its end')
    await admin.query('DROP INDEX IF EXISTS big_pkey_ccnew')
  })

  test('VACUUM FULL and CLUSTER are told apart', async () => {
    await admin.query(slowFunction)
    await admin.query(`DROP TABLE IF EXISTS slowly; CREATE TABLE slowly AS SELECT generate_series(1, 300) AS i;
      CREATE INDEX slowly_i ON slowly (i); CREATE INDEX slowly_slow ON slowly (slow(i))`)
    for (const [sql, command] of [
      ['VACUUM FULL slowly', 'VACUUM FULL'],
      ['CLUSTER slowly USING slowly_i', 'CLUSTER'],
    ] as const) {
      const one = await session()
      const running = begin(one, sql)
      const whole = followed(one.pid, running)
      const row = await until(one.pid, 'the new index', ({ phase }) => text(phase) === 'rebuilding index')
      expect(row).toMatchObject({ command, kind: 'CLUSTER', relation: 'public.slowly', percent: null })
      expect(await running).toBe('done')
      const seen = await whole
      expect(new Set(seen.map(({ command }) => command))).toEqual(new Set([command]))
      neverBack(seen)
    }
  })

  test('COPY TO has no total, and no percent', async context => {
    if (version < 14) context.skip()
    const one = await session()
    void begin(one, "COPY (SELECT i, pg_sleep(0.001) FROM generate_series(1, 100000) i) TO PROGRAM 'cat > /dev/null'")
    const row = await until(one.pid, 'rows', ({ tuples_processed }) => (tuples_processed ?? 0) > 100)
    expect(row).toMatchObject({ command: 'COPY TO', relation: null, unit: 'bytes', total: null, percent: null, etaSeconds: null })
    expect((await until(one.pid, 'a rate', r => (r.rateBytesPerSecond ?? 0) > 0)).commandPercent).toBeNull()
  })

  test('a command in another database: its relation is an oid', async () => {
    const one = await session('elsewhere', 'other')
    await one.query(
      "CREATE TABLE IF NOT EXISTS t AS SELECT generate_series(1, 20000) AS i; SET vacuum_cost_delay = '20ms'; SET vacuum_cost_limit = 1",
    )
    const { rows } = await one.query("SELECT 't'::regclass::oid AS oid")
    void begin(one, 'VACUUM t')
    const row = await until(one.pid, 'the vacuum', ({ relation }) => relation !== null)
    expect(row).toMatchObject({ datname: 'other', relation: String(rows[0].oid) })
  })

  test('locks on catalogs hide no command, only the name', async () => {
    const [one, locker] = [await session(), await session('locker')]
    await one.query("SET vacuum_cost_delay = '20ms'; SET vacuum_cost_limit = 2")
    void begin(one, 'VACUUM (DISABLE_PAGE_SKIPPING) big')
    await until(one.pid, 'the vacuum', ({ relation }) => text(relation) === 'public.big')
    await locker.query('BEGIN; LOCK pg_class, pg_database, pg_authid, pg_am')
    const row = await until(one.pid, 'the oid', ({ relation, datname }) => /^\d+$/.test(text(relation) ?? '') && datname !== null)
    expect(row).toMatchObject({ command: 'VACUUM', datname: 'postgres', usename: 'postgres' })
    const at = Date.now() + 500
    await watch.until(state => (state.servers.a!.readings.progress!.sample?.at ?? 0) > at, 'samples under the lock')
    await locker.query('ROLLBACK')
    await until(one.pid, 'the name again', ({ relation }) => text(relation) === 'public.big')
  })

  test('cancelled from the list it ends, and what the session runs by then is left alone', async () => {
    const hands = acting([{ id: 'a', conninfo: server.conninfo }], [progressList])
    try {
      const one = await session('cron')
      await one.query("SET vacuum_cost_delay = '20ms'; SET vacuum_cost_limit = 1")
      const vacuum = 'VACUUM (DISABLE_PAGE_SKIPPING) big'
      const running = begin(one, vacuum)
      const shown = (row: { readonly pid?: unknown; readonly usename?: unknown }) => row.pid === one.pid && row.usename !== null
      const asked = hands.ask('cancel', [await hands.row(progressList, shown, 'the vacuum')])
      if (typeof asked === 'string') return expect.fail(asked)
      expect(asked).toMatchObject({ words: null, targets: [{ pid: one.pid, query: vacuum }] })
      const work = await hands.confirm(asked)
      expect(work.items).toMatchObject([{ outcome: 'gone' }])
      expect(await running).toMatch(/canceling statement/)
      const next = begin(one, vacuum)
      await until(one.pid, 'the next vacuum')
      expect((await hands.confirm(asked)).items).toMatchObject([{ outcome: 'already gone' }])
      const again = await hands.row(progressList, shown, 'the next vacuum')
      expect((await hands.confirm(hands.ask('terminate', [again]))).items).toMatchObject([{ outcome: 'gone' }])
      expect(await next).toMatch(/terminat/)
    } finally {
      hands.stop()
    }
  })

  test('a base backup: how far, at least how long, and it can be cancelled', async () => {
    const hands = acting([{ id: 'a', conninfo: server.conninfo }], [progressList])
    const config = { host: '127.0.0.1', port: server.port, user: 'postgres', application_name: 'backup', replication: 'database' }
    const backup = new pg.Client(config as pg.ClientConfig)
    backup.on('error', () => {})
    try {
      await backup.connect()
      const running = begin(
        backup,
        version < 15
          ? "BASE_BACKUP LABEL 'x' PROGRESS FAST MAX_RATE 2048"
          : "BASE_BACKUP (LABEL 'x', PROGRESS, CHECKPOINT 'fast', MAX_RATE 2048)",
      )
      const streams = ({ application_name, phase, ratePerSecond }: Partial<Record<string, unknown>>) =>
        application_name === 'backup' && phase === 'streaming database files' && (ratePerSecond as number) > 0
      const row = await hands.row(progressList, streams, 'the stream')
      expect(row).toMatchObject({
        command: 'BASE_BACKUP',
        relation: null,
        unit: 'bytes',
        backend_type: 'walsender',
        etaIsBound: true,
      })
      expect(row.percent).toBeGreaterThan(0)
      expect(row.etaSeconds).toBeGreaterThan(0)
      const work = await hands.confirm(hands.ask('cancel', [row]))
      expect(work.items).toMatchObject([{ outcome: 'gone' }])
      expect(await running).toMatch(/cancel/)
    } finally {
      await backup.end().catch(() => {})
      hands.stop()
    }
  })

  test('a plain role sees that there is something, restricted, with the GRANT', async () => {
    const conninfo = server.conninfo.replace('postgres@', 'plain@')
    const by = watching([{ id: 'a', conninfo }], [progressList])
    try {
      const one = await session()
      await one.query("SET vacuum_cost_delay = '20ms'; SET vacuum_cost_limit = 1")
      void begin(one, 'VACUUM (DISABLE_PAGE_SKIPPING) big')
      const row = await until(one.pid, 'a restricted row', ({ datname }) => datname !== null, by)
      expect(row).toMatchObject({
        restricted: true,
        command: null,
        kind: 'VACUUM',
        relation: null,
        phase: null,
        percent: null,
        ratePerSecond: null,
        etaSeconds: null,
        datname: 'postgres',
        usename: 'postgres',
      })
      expect(progressList.select(by.state()).notice).toBe('1 session restricted: GRANT pg_monitor TO plain;')
    } finally {
      by.stop()
    }
  })
})
