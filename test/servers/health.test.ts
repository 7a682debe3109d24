// Checks on real servers: what makes each fire, and what makes it clear again; what a role with pg_monitor sees; and the command as cron runs it.

import { execFileSync, spawn } from 'node:child_process'
import { statSync, writeFileSync } from 'node:fs'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Finding } from '../../src/checks/check.ts'
import { checks } from '../../src/checks/index.ts'
import { run as findingsOf, queriesOf } from '../../src/checks/run.ts'
import { connect, withClient } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { findPgbouncer, type PgbouncerServer, startPgbouncer } from '../../src/lab/pgbouncer.ts'
import { type PostgresServer, type PostgresVersion, startPostgres, startStandby } from '../../src/lab/postgres.ts'
import { startTimescale, type TimescaleServer } from '../../src/lab/timescale.ts'
import type { Thresholds } from '../../src/model/thresholds.ts'
import type { AnyList } from '../../src/panels/panel.ts'
import type { State } from '../../src/store/state.ts'
import { checkNamed } from '../support/checks.ts'
import { run } from '../support/run.ts'
import { build, node, program } from '../support/terminal.ts'
import { type Watched, type Watching, watching } from '../support/watching.ts'

beforeAll(build)

let folder: Folder
beforeAll(() => {
  folder = temporaryFolder('pgvigil-health')
})
afterAll(() => folder.remove())

/** Asks for all that the checks need. */
const needs = [{ id: 'health', needs: queriesOf(checks) } as unknown as AnyList]
const watch = (servers: readonly Watched[]) => watching(servers, needs, 200)

const withThresholds = (state: State, thresholds: Partial<Thresholds>): State => ({
  ...state,
  settings: { ...state.settings, thresholds: { ...state.settings.thresholds, ...thresholds } },
})

describe('a cluster', () => {
  let primary: PostgresServer
  let standby: PostgresServer
  let pooler: PgbouncerServer | null = null
  let hands: Watching
  let root: pg.Client
  const open: pg.Client[] = []

  beforeAll(async () => {
    primary = await startPostgres({
      version: 16,
      dir: folder.path,
      name: 'primary',
      settings: {
        wal_level: 'logical',
        max_connections: 40,
        max_prepared_transactions: 4,
        archive_mode: 'on',
        archive_command: 'true',
        deadlock_timeout: '50ms',
        logging_collector: 'on',
        log_destination: 'csvlog',
        autovacuum_naptime: '1h',
      },
    })
    await withClient(primary, async client => {
      await client.query('CREATE ROLE web LOGIN')
      await client.query('CREATE DATABASE app')
    })
    standby = await startStandby(primary, {
      dir: folder.path,
      name: 'standby1',
      slot: 'standby_slot',
      settings: { max_standby_streaming_delay: '0', archive_mode: 'off', hot_standby_feedback: 'off' },
    })
    if (findPgbouncer()) {
      pooler = await startPgbouncer({
        dir: folder.path,
        databases: { app: `host=127.0.0.1 port=${primary.port} dbname=app pool_size=1` },
        users: ['web', 'postgres'],
        settings: { max_client_conn: 10 },
      })
    }
    hands = watch([
      { id: 'a', conninfo: primary.conninfo },
      { id: 'b', conninfo: standby.conninfo },
      ...(pooler ? [{ id: 'p', kind: 'pgbouncer' as const, conninfo: pooler.conninfo }] : []),
    ])
    root = await connect({ port: primary.port })
  })
  afterEach(async () => {
    for (const client of open.splice(0)) await client.end().catch(() => {})
  })
  afterAll(async () => {
    hands?.stop()
    await root?.end().catch(() => {})
    await pooler?.stop()
    await standby?.stop('immediate')
    await primary?.stop('immediate')
  })

  const session = async (port = primary.port, database = 'postgres', user = 'postgres') => {
    const client = await connect({ port, database, user, application_name: 'tester' })
    open.push(client)
    return client
  }
  const found = (state: State, id: string, thresholds: Partial<Thresholds> = {}): readonly Finding[] =>
    findingsOf(withThresholds(state, thresholds), [checkNamed(id)])
  const told = (findings: readonly Finding[]) => findings.map(({ level, server, say }) => `${level} ${server} ${say}`).join('\n')
  /** What has a slow pace is asked again at once, as a key would have it. */
  const now = async (server: string) => hands.poller.again(server)

  /** Waits until the check says this; all that it says, on failure. */
  async function until(id: string, wanted: RegExp, thresholds: Partial<Thresholds> = {}, server = 'a'): Promise<string> {
    await now(server)
    let last = ''
    let asked = Date.now()
    const ready = (state: State) => {
      if (Date.now() - asked > 1000) {
        asked = Date.now()
        hands.poller.again(server)
      }
      last = told(found(state, id, thresholds))
      return wanted.test(last)
    }
    await hands.until(ready, `${id} ${wanted}`).catch(error => {
      throw new Error(`${id} says: ${last}\n${error.message}`)
    })
    return last
  }

  test('everything is quiet at first', async () => {
    const state = await hands.until(
      state =>
        findingsOf(state, checks).every(({ level, check }) => level === 'ok' || ['log_errors', 'disk_space'].includes(check.id)),
      'all quiet',
    )
    expect(findingsOf(state, checks).length).toBeGreaterThan(50)
  })

  test('idle replication and an idle standby are no alarm', async () => {
    await new Promise(resolve => setTimeout(resolve, 1500))
    expect(told(found(hands.state(), 'replication_state'))).toBe('ok b streaming from a')
    expect(told(found(hands.state(), 'replication_lag'))).toMatch(/^ok b lags 0\.\ds/)
  })

  test('long_queries: not the walsender, which runs as long as its standby', async () => {
    const { rows } = await root.query(
      `SELECT extract(epoch FROM now() - query_start)::float8 AS age FROM pg_stat_activity WHERE backend_type = 'walsender' AND state = 'active'`,
    )
    expect(rows[0].age).toBeGreaterThan(1)
    expect(told(found(hands.state(), 'long_queries', { querySeconds: 1 }))).toMatch(/^ok a .*\nok b /)
    const busy = await session()
    const query = busy.query('SELECT pg_sleep(3)')
    await until('long_queries', /^warning a pid \d+ \(postgres in postgres, tester@127\.0\.0\.1:\d+\) has been running for/m, {
      querySeconds: 1,
    })
    await query
    await until('long_queries', /^ok a /m, { querySeconds: 1 })
  })

  test('replay_paused, replication_lag, replication_lag_bytes', async () => {
    await withClient(standby, client => client.query('SELECT pg_wal_replay_pause()'))
    await root.query('CREATE TABLE lagging AS SELECT i FROM generate_series(1, 50000) i')
    await until('replay_paused', /^warning b replay is paused/, {}, 'b')
    await until('replication_lag', /^warning b lags .*: replay is paused/, { lagSeconds: 1 })
    await until('replication_lag_bytes', /^warning b /, { lagBytes: 500_000 })
    await withClient(standby, client => client.query('SELECT pg_wal_replay_resume()'))
    await until('replay_paused', /^ok b/, {}, 'b')
    await until('replication_lag', /^ok b/, { lagSeconds: 1 })
    await until('replication_lag_bytes', /^ok b/, { lagBytes: 500_000 })
  })

  test('wal_receiver', async () => {
    const change = (text: string) =>
      withClient(standby, async client => {
        await client.query(text)
        await client.query('SELECT pg_reload_conf()')
      })
    await change(`ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1 application_name=standby1'`)
    await until('wal_receiver', /^critical b the WAL receiver is down/, {}, 'b')
    await until('replication_state', /^critical b standby disconnected from a; its slot standby_slot holds/)
    await change('ALTER SYSTEM RESET primary_conninfo')
    await until('wal_receiver', /^ok b/, {}, 'b')
    await until('replication_state', /^ok b streaming from a$/)
  })

  test('standby_conflicts', async () => {
    await root.query('CREATE TABLE contested AS SELECT i FROM generate_series(1, 1000) i')
    const reader = await session(standby.port)
    await hands.until(() => true, 'a tick')
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
    for (let tries = 0; ; tries++) {
      const there = await reader.query('SELECT count(*) FROM contested').then(
        () => true,
        () => false,
      )
      if (there || tries > 50) break
      await reader.query('ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ')
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    await root.query('DELETE FROM contested')
    await root.query('VACUUM contested')
    await until('standby_conflicts', /^warning b \d+ quer(y|ies) cancelled by replay just now/, {}, 'b')
    await until('standby_conflicts', /^ok b none just now; [1-9]/, {}, 'b')
  })

  test('replication_slots: a logical one that nobody reads, and one that holds too much', async () => {
    await root.query(`SELECT pg_create_logical_replication_slot('orphan', 'test_decoding')`)
    await until('replication_slots', /^warning a slot orphan is read by nobody/)
    await root.query('CREATE TABLE more AS SELECT i FROM generate_series(1, 20000) i')
    await until('replication_slots', /^critical a slot orphan is not in use and holds/, {
      slotBytes: 1000,
      slotCriticalBytes: 100_000,
    })
    await root.query(`SELECT pg_drop_replication_slot('orphan')`)
    await until('replication_slots', /^ok a 1 slot/)
  })

  test('connections: real ones, of those that can be had', async () => {
    for (let i = 0; i < 30; i++) await session()
    await until('connections', /^warning a 3\d of 37 connections are taken/)
    for (const client of open.splice(0)) await client.end()
    await until('connections', /^ok a /)
  })

  test('idle_in_transaction, long_transactions, xmin_horizon', async () => {
    const idle = await session()
    await idle.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
    await idle.query('SELECT count(*) FROM pg_class')
    for (let i = 0; i < 8; i++) await root.query('SELECT txid_current()')
    await until(
      'idle_in_transaction',
      /^warning a pid \d+ \(postgres in postgres, tester@.*\) has been idle in its transaction for/,
      { idleInTransactionSeconds: 0.5 },
    )
    await until('long_transactions', /^warning a the oldest transaction is open for .*: pid \d+ \(postgres/, {
      transactionSeconds: 0.5,
    })
    await until('xmin_horizon', /^warning a VACUUM is held back \d+ transactions by pid \d+ \(postgres/, { xminAge: 5 })
    await idle.query('COMMIT')
    await until('idle_in_transaction', /^ok a/, { idleInTransactionSeconds: 0.5 })
    await until('xmin_horizon', /^ok a/, { xminAge: 5 })
    await until('long_transactions', /^ok a/, { transactionSeconds: 0.5 })
  })

  test('lock_waits names the root', async () => {
    const [holder, waiter] = [await session(), await session()]
    await holder.query('CREATE TABLE wanted ()')
    await holder.query('BEGIN')
    await holder.query('LOCK TABLE wanted')
    const waits = waiter.query('SELECT FROM wanted')
    const { rows } = await holder.query('SELECT pg_backend_pid() AS pid')
    await until(
      'lock_waits',
      new RegExp(
        `^warning a 1 waits for locks, the longest .*: pid \\d+ on wanted, held up by pid ${rows[0].pid} \\(postgres/tester, `,
      ),
    )
    await holder.query('COMMIT')
    await waits
    await until('lock_waits', /^ok a/)
  })

  test('prepared_transactions hold back VACUUM too', async () => {
    await root.query('BEGIN; CREATE TABLE prepared_one (); ')
    await root.query(`PREPARE TRANSACTION 'xa-1'`)
    for (let i = 0; i < 8; i++) await root.query('SELECT txid_current()')
    await until('prepared_transactions', /^warning a 1 prepared transaction, the oldest for .*: xa-1 \(postgres in postgres\)/, {
      preparedSeconds: 0.1,
    })
    await until('xmin_horizon', /^warning a .* by the prepared transaction xa-1/, { xminAge: 5 })
    await root.query(`ROLLBACK PREPARED 'xa-1'`)
    await until('prepared_transactions', /^ok a there are none/)
  })

  test('deadlocks', async () => {
    await root.query('CREATE TABLE dead (id int PRIMARY KEY); INSERT INTO dead VALUES (1), (2)')
    const [one, two] = [await session(), await session()]
    const watching = until('deadlocks', /^warning a 1 deadlock just now in postgres; 1 since/)
    for (const client of [one, two]) await client.query('BEGIN')
    await one.query('SELECT FROM dead WHERE id = 1 FOR UPDATE')
    await two.query('SELECT FROM dead WHERE id = 2 FOR UPDATE')
    await Promise.allSettled([
      one.query('SELECT FROM dead WHERE id = 2 FOR UPDATE'),
      two.query('SELECT FROM dead WHERE id = 1 FOR UPDATE'),
    ])
    for (const client of [one, two]) await client.query('ROLLBACK')
    await one.end()
    await two.end()
    await watching
    await until('deadlocks', /^ok a none just now; 1 since/)
  })

  test('rollbacks, temp_files, cache_hit', async () => {
    const busy = await session()
    const rolled = until('rollbacks', /^warning a .* of all transactions, most of them in postgres/)
    for (let i = 0; i < 300; i++) await busy.query('BEGIN; SELECT txid_current(); ROLLBACK')
    await busy.end()
    await rolled
    await until('rollbacks', /^ok a/)
    const sorting = await session()
    const temp = until('temp_files', /^warning a .* a minute, most of it in postgres/, { tempBytesPerMinute: 1e6 })
    await sorting.query(`SET work_mem = '64kB'`)
    await sorting.query('SELECT count(*) FROM (SELECT md5(i::text) FROM generate_series(1, 200000) i ORDER BY 1) x')
    await sorting.end()
    await temp
    await until('temp_files', /^ok a/)
    const reading = await session()
    await reading.query(`CREATE TABLE large AS SELECT i, repeat('x', 500) FROM generate_series(1, 90000) i`)
    const missed = until('cache_hit', /^warning a [\d.]+% of [\d.k]+ blocks were in shared_buffers/, { cacheHitPercent: 90 })
    await reading.query('SELECT count(*) FROM large')
    await reading.end()
    await missed
    await until('cache_hit', /^ok a/)
  })

  test('checkpoints_forced', async () => {
    for (let i = 0; i < 21; i++) await root.query('CHECKPOINT')
    await until('checkpoints_forced', /^warning a \d+ of \d+ were requested, by WAL or by hand/)
    await root.query(`SELECT pg_stat_reset_shared('bgwriter')`)
    await until('checkpoints_forced', /^ok a/)
  })

  test('archiving and archive_backlog', async () => {
    const command = async (text: string) => {
      await root.query(`ALTER SYSTEM SET archive_command = '${text}'`)
      await root.query('SELECT pg_reload_conf()')
    }
    await command('false')
    await root.query('CREATE TABLE archived (); SELECT pg_switch_wal()')
    await until('archiving', /^critical a archiving fails: [0-9A-F]{24} failed/)
    await until('archive_backlog', /^warning a 1 files wait/, { archiveFiles: 1 })
    await command('')
    await until('archiving', /^warning a archive_mode is on without an archive_command/)
    await command('true')
    await root.query('CREATE TABLE archived_too (); SELECT pg_switch_wal()')
    await until('archiving', /^ok a the last file was archived/)
    await until('archive_backlog', /^ok a 0 files/, { archiveFiles: 1 })
  })

  test('wal_space, freeze_age, multixact_age: the figures of the server, against thresholds', async () => {
    const [one, two] = [await session(), await session()]
    await root.query('CREATE TABLE shared (id int PRIMARY KEY); INSERT INTO shared VALUES (1)')
    for (const client of [one, two]) await client.query('BEGIN; SELECT FROM shared WHERE id = 1 FOR SHARE')
    for (const client of [one, two]) await client.query('COMMIT')
    await until('wal_space', /^warning a pg_wal holds/, { walPercent: 1 })
    await until('wal_space', /^ok a/)
    await until('freeze_age', /^critical a the oldest transaction not frozen is \d+ old/, { freezeAge: 5, freezeCriticalAge: 10 })
    await until('freeze_age', /^ok a/)
    await until('multixact_age', /^warning a the oldest multixact is [1-9]\d* old/, { multixactAge: 1 })
    await until('multixact_age', /^ok a/)
  })

  test('dead_rows and maintenance_overdue', async () => {
    await root.query('CREATE TABLE worn (id int) WITH (autovacuum_enabled = off)')
    await root.query('INSERT INTO worn SELECT i FROM generate_series(1, 60000) i')
    await root.query('ANALYZE worn')
    const busy = await session()
    await busy.query('DELETE FROM worn WHERE id % 2 = 0')
    await busy.end()
    await until('dead_rows', /^warning a \d tables? with many dead rows: .*worn 50\.0%/)
    await until('maintenance_overdue', /^warning a 1 table overdue: worn \(VACUUM, ANALYZE\); autovacuum is off for 1/)
    await root.query('VACUUM ANALYZE')
    await until('dead_rows', /^ok a/)
    await until('maintenance_overdue', /^ok a/)
  })

  test('invalid_indexes, duplicate_indexes, unused_indexes, missing_indexes', async () => {
    await root.query(
      `CREATE TABLE goods (id int, name text); INSERT INTO goods SELECT i / 2, repeat('x', 80) FROM generate_series(1, 90000) i`,
    )
    await root.query('CREATE UNIQUE INDEX CONCURRENTLY goods_id ON goods (id)').catch(() => {})
    await until('invalid_indexes', /^warning a 1 index invalid: goods_id/)
    await root.query('DROP INDEX goods_id')
    await until('invalid_indexes', /^ok a/)
    await root.query('CREATE INDEX goods_1 ON goods (id); CREATE INDEX goods_2 ON goods (id); ANALYZE goods')
    await until('duplicate_indexes', /^ok a 1 index: goods_2 is as public\.goods_1/)
    await until('unused_indexes', /^ok a [12] index(es)? not scanned/)
    await root.query('DROP INDEX goods_1; DROP INDEX goods_2')
    await until('duplicate_indexes', /^ok a none/)
    const busy = await session()
    for (let i = 0; i < 25; i++) await busy.query('SELECT count(*) FROM goods')
    await busy.end()
    await until('missing_indexes', /^ok a \d+ tables?: .*goods \(\d+ scans, no index at all\)/)
  })

  test('sequences and password_expiry', async () => {
    await root.query('CREATE SEQUENCE short MAXVALUE 10')
    for (let i = 0; i < 9; i++) await root.query(`SELECT nextval('short')`)
    await until('sequences', /^warning a 1 sequence: short 88\.9% of the numbers used/)
    await root.query('CREATE TABLE small (id smallserial); DROP SEQUENCE short')
    await root.query(`SELECT setval('small_id_seq', 32000)`)
    await until('sequences', /^critical a 1 sequence: small_id_seq 97\.\d%/)
    await root.query('DROP TABLE small')
    await until('sequences', /^ok a/)
    await root.query(
      `CREATE ROLE leaving LOGIN PASSWORD 'x' VALID UNTIL '${new Date(Date.now() + 10 * 86_400_000).toISOString()}'`,
    )
    await until('password_expiry', /^warning a leaving expires in 9d23h/)
    await root.query(`ALTER ROLE leaving VALID UNTIL 'infinity'`)
    await until('password_expiry', /^ok a none expires/)
  })

  test('settings, pending_restart, memory_settings', async () => {
    const set = async (...texts: readonly string[]) => {
      for (const text of texts) await root.query(`ALTER SYSTEM ${text}`)
      await root.query('SELECT pg_reload_conf()')
    }
    await set('SET track_counts = off', 'SET max_connections = 41', `SET work_mem = '1GB'`)
    await until('settings', /^critical a track_counts = off/)
    await until('pending_restart', /^warning a max_connections: changed in the file/)
    await until('memory_settings', /^warning a 37 connections times work_mem 1\.0 GB is 37\.0 GB/)
    await set('RESET track_counts', 'RESET max_connections', 'RESET work_mem')
    await until('settings', /^ok a/)
    await until('pending_restart', /^ok a/)
    await until(
      'memory_settings',
      /^ok a 37 connections times work_mem 4\.0 MB is 148 MB, effective_cache_size 4\.0 GB, shared_buffers 32\.0 MB/,
    )
  })

  test('log_errors: read from the server', async () => {
    await root.query('SELECT pg_rotate_logfile()')
    for (let i = 0; i < 12; i++) await connect({ port: primary.port, database: 'nowhere' }).catch(() => {})
    await until('log_errors', /^warning a \d+ lines in the last hour: .*FATAL \d+x/)
    expect(told(found(hands.state(), 'log_errors'))).toContain('FATAL: database "nowhere" does not exist')
    await until('log_errors', /^ok a/, { logErrors: 1000 })
  })

  test('log_errors: the GRANT that it gives is what it takes', async () => {
    await root.query('CREATE ROLE reader LOGIN')
    const look = async () => {
      const eyes = watch([{ id: 'a', conninfo: `host=127.0.0.1 port=${primary.port} user=reader dbname=postgres` }])
      try {
        const state = await eyes.until(
          state => found(state, 'log_errors').every(({ say }) => !/not read yet|not asked/.test(say)),
          'a look',
        )
        return found(state, 'log_errors')[0]!
      } finally {
        eyes.stop()
      }
    }
    const before = await look()
    expect(before.level).toBe('unknown')
    expect(before.remedy).toMatch(
      /^GRANT pg_monitor TO reader; GRANT EXECUTE ON FUNCTION pg_catalog\.pg_current_logfile\(text\), pg_catalog\.pg_read_binary_file/,
    )
    await root.query(before.remedy!)
    expect((await look()).say).toMatch(/ in the last hour/)
  })

  describe.skipIf(!findPgbouncer())('pools', () => {
    test('pool_wait, pool_saturation, pool_clients', async () => {
      const [first, second] = [await session(pooler!.port, 'app', 'web'), await session(pooler!.port, 'app', 'web')]
      await first.query('BEGIN')
      const waits = second.query('SELECT 1')
      await until('pool_wait', /^warning p 1 client waits for a server, the longest .* \(app\/web\)/, {}, 'p')
      await until('pool_saturation', /^warning p servers at work: app\/web 1 of 1, and 1 client in the queue/, {}, 'p')
      await first.query('COMMIT')
      await waits
      await until('pool_wait', /^ok p/, {}, 'p')
      await until('pool_saturation', /^ok p/, {}, 'p')
      for (let i = 0; i < 6; i++) await session(pooler!.port, 'app', 'web')
      await until('pool_clients', /^warning p 8 of 10 clients/, { poolPercent: 80 }, 'p')
      for (const client of open.splice(0)) await client.end()
      await until('pool_clients', /^ok p/, { poolPercent: 80 }, 'p')
    })

    test('pool_paused', async () => {
      const console = await session(pooler!.port, 'pgbouncer')
      await console.query('PAUSE app')
      await until('pool_paused', /^critical p app PAUSED for/, {}, 'p')
      await console.query('RESUME app')
      await console.query('DISABLE app')
      await until('pool_paused', /^warning p disabled: app/, {}, 'p')
      await console.query('ENABLE app')
      await until('pool_paused', /^ok p/, {}, 'p')
    })
  })

  test('visibility: a role that sees nothing of others, and pg_monitor', async () => {
    await root.query('CREATE ROLE plain LOGIN; CREATE ROLE mon LOGIN; GRANT pg_monitor TO mon')
    const other = await session()
    await other.query('SELECT 1')
    for (const [user, level] of [
      ['plain', 'unknown'],
      ['mon', 'ok'],
    ] as const) {
      const eyes = watch([{ id: 'a', conninfo: `host=127.0.0.1 port=${primary.port} user=${user} dbname=postgres` }])
      try {
        const state = await eyes.until(
          state => findingsOf(state, checks).every(({ say }) => !/not read yet|not asked/.test(say)),
          'a look',
        )
        const [seen] = found(state, 'visibility')
        expect(seen?.level).toBe(level)
        if (user === 'plain') expect(seen?.remedy).toBe('GRANT pg_monitor TO plain;')
      } finally {
        eyes.stop()
      }
    }
  })

  test('connectivity and replication_state: the standby is stopped', async () => {
    await standby.stop('fast')
    await until('connectivity', /^critical b is DOWN: nothing listens/m)
    await until(
      'replication_state',
      /^critical a standby disconnected from a; its slot standby_slot holds|^critical b standby disconnected from a; its slot standby_slot/m,
    )
    await standby.start()
    await until('connectivity', /^ok b answers/m)
    await until('replication_state', /^ok b streaming from a$/)
  })

  test('one_primary: the standby is promoted while the primary runs', async () => {
    await until('one_primary', /^ok null primary: a/)
    await withClient(standby, client => client.query('SELECT pg_promote()'))
    await until(
      'one_primary',
      /^critical null b \(timeline 2\) and a \(timeline 1\) are primaries of one cluster; promoted last: b/,
      {},
      'b',
    )
  })
})

describe('TimescaleDB', () => {
  let server: TimescaleServer
  let hands: Watching
  beforeAll(async () => {
    server = await startTimescale({ dir: folder.path, content: 'filled' })
    hands = watch([{ id: 't', conninfo: server.conninfo }])
  })
  afterAll(async () => {
    hands?.stop()
    await server?.stop()
  })

  test('jobs_failed, chunks_compression, chunks_retention', async () => {
    const of = (state: State, id: string, thresholds: Partial<Thresholds> = {}) =>
      findingsOf(withThresholds(state, thresholds), [checkNamed(id)]).map(({ level, say }) => `${level} ${say}`)[0] ?? ''
    const state = await hands.until(
      state => of(state, 'chunks_compression') !== '' && !/not read/.test(of(state, 'chunks_compression')),
      'jobs and chunks',
    )
    expect(of(state, 'jobs_failed')).toMatch(/^warning 1 job failed: \d+ export_archive/)
    expect(of(state, 'chunks_compression')).toMatch(/^ok /)
    expect(of(state, 'chunks_retention')).toMatch(/^ok /)
    await withClient(server, async client => {
      await client.query(`CREATE TABLE late (at timestamptz NOT NULL, v int)`)
      await client.query(`SELECT create_hypertable('late', 'at', chunk_time_interval => interval '1 day')`)
      await client.query(`INSERT INTO late SELECT now() - interval '1 day' * i, i FROM generate_series(10, 12) i`)
      await client.query(`ALTER TABLE late SET (timescaledb.compress)`)
      await client.query(`SELECT add_compression_policy('late', interval '5 days')`)
      await client.query(`SELECT add_retention_policy('late', interval '8 days')`)
    })
    hands.poller.again('t')
    const later = await hands.until(state => /^warning/.test(of(state, 'chunks_compression')), 'late chunks')
    expect(of(later, 'chunks_compression')).toMatch(
      /^warning [23] chunks should have been compressed already, the oldest [56]d.* ago: late/,
    )
    expect(of(later, 'chunks_retention')).toMatch(
      /^warning [123] chunks? should have been dropped already, the oldest [23]d.* ago: late/,
    )
    expect(of(later, 'chunks_retention', { chunkOverdueSeconds: 10 * 86_400 })).toMatch(/^ok/)
  })
})

describe.each([13, 14, 15, 16, 17, 18] as PostgresVersion[])('PostgreSQL %i', version => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres({ version, dir: folder.path, name: `v${version}` })
    await withClient(server, client =>
      client.query(
        'CREATE ROLE mon LOGIN; GRANT pg_monitor TO mon; CREATE ROLE plain LOGIN; CREATE TABLE t (id serial PRIMARY KEY)',
      ),
    )
  })
  afterAll(() => server?.stop('immediate'))

  test.each(['postgres', 'mon', 'plain'])(
    'as %s no check fails; what takes more rights is unknown with the GRANT',
    async user => {
      const hands = watch([{ id: 'a', conninfo: `host=127.0.0.1 port=${server.port} user=${user} dbname=postgres` }])
      const held = await connect({ port: server.port })
      try {
        const state = await hands.until(
          state =>
            findingsOf(state, checks).length > 30 &&
            findingsOf(state, checks).every(({ say }) => !/not read yet|not counted yet|not asked/.test(say)),
          'a look',
        )
        const findings = findingsOf(state, checks)
        const unknown = findings.filter(({ level }) => level === 'unknown')
        const withoutLog = unknown.filter(({ check }) => check.id !== 'log_errors' && check.id !== 'disk_space')
        expect(
          findings
            .filter(({ level }) => level === 'warning' || level === 'critical')
            .map(({ check, say }) => `${check.id} ${say}`),
        ).toEqual([])
        for (const { check, remedy } of withoutLog) expect(remedy, check.id).toMatch(new RegExp(`^GRANT .* TO ${user};$`))
        const ids = withoutLog.map(({ check }) => check.id)
        if (user === 'postgres') expect(ids).toEqual([])
        if (user === 'mon') expect(ids).toEqual(['sequences'])
        if (user === 'plain')
          expect(ids).toEqual(expect.arrayContaining(['visibility', 'long_queries', 'wal_space', 'archive_backlog']))
      } finally {
        hands.stop()
        await held.end()
      }
    },
  )
})

describe('the command', () => {
  let primary: PostgresServer
  let standby: PostgresServer
  let pooler: PgbouncerServer | null = null
  let servers: readonly string[]
  beforeAll(async () => {
    primary = await startPostgres({ version: 16, dir: folder.path, name: 'cprimary' })
    standby = await startStandby(primary, {
      dir: folder.path,
      name: 'cstandby',
      slot: 'cstandby_slot',
      settings: { wal_receiver_status_interval: '1s' },
    })
    if (findPgbouncer())
      pooler = await startPgbouncer({
        dir: folder.path,
        databases: { app: `host=127.0.0.1 port=${primary.port} dbname=postgres` },
        users: ['postgres'],
      })
    servers = [primary.conninfo, standby.conninfo, ...(pooler ? ['--pgbouncer', pooler.conninfo] : [])]
  })
  afterAll(async () => {
    await pooler?.stop()
    await standby?.stop('immediate')
    await primary?.stop('immediate')
  })

  test('a healthy cluster: exit code 0, within 3 seconds, a ✓ for each', async () => {
    const begun = performance.now()
    const { code, stdout, stderr } = await run(['check', ...servers])
    const took = performance.now() - begun
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).not.toMatch(/^[⚠✗]/m)
    expect(stdout.match(/^✓/gm)!.length).toBeGreaterThan(50)
    expect(took).toBeLessThan(3000)
  })

  test('from cron: no terminal, no TERM, no HOME, no locale: it works, and prints no escape sequence', async () => {
    const result = await new Promise<{ code: number | null; out: string }>(resolve => {
      const child = spawn(node, [program, 'check', ...servers], {
        env: {},
        detached: true,
        cwd: '/',
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      const chunks: Buffer[] = []
      for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => chunks.push(chunk))
      child.on('close', code => resolve({ code, out: Buffer.concat(chunks).toString('latin1') }))
    })
    expect(result.code).toBe(0)
    expect(result.out).not.toMatch(/[^\x20-\x7e\n]/)
    expect(result.out).toMatch(/^ok {7}replication_state/m)
  })

  test('json has every check with its server, nagios one line, openmetrics an end', async () => {
    const { code, stdout } = await run(['check', '--json', ...servers])
    expect(code).toBe(0)
    const document = JSON.parse(stdout)
    expect(document).toMatchObject({ format: 1, exitCode: 0 })
    const ids = new Set(document.checks.map(({ id }: { id: string }) => id))
    for (const { id, of } of checks) if (of !== 'timescale' && (of !== 'pgbouncer' || pooler)) expect(ids, id).toContain(id)
    for (const entry of document.checks)
      expect(entry).toMatchObject({
        id: expect.any(String),
        title: expect.any(String),
        level: expect.stringMatching(/^(ok|unknown)$/),
        say: expect.any(String),
      })
    const nagios = await run(['check', '--format', 'nagios', ...servers])
    expect(nagios.code).toBe(0)
    expect(nagios.stdout).toMatch(/^PGVIGIL OK - [^\n]* \| [^\n]*'connections [^\n]*\n$/)
    const metrics = await run(['check', '--format', 'openmetrics', '--only', 'connections', ...servers])
    expect(metrics.stdout).toMatch(/^pgvigil_check_level\{[^\n]*check="connections"[^\n]*\} 0$/m)
    expect(metrics.stdout).toMatch(/# EOF\n$/)
  })

  test('a server that refuses us is unknown with the reason: exit code 3, and the others are checked', async () => {
    const { code, stdout } = await run([
      'check',
      '--json',
      primary.conninfo,
      `host=127.0.0.1 port=${primary.port} user=postgres dbname=nowhere`,
    ])
    expect(code).toBe(3)
    const { checks: entries } = JSON.parse(stdout)
    const refused = entries.filter(({ say }: { say: string }) => /database "nowhere" does not exist/.test(say))
    expect(refused.length).toBeGreaterThan(20)
    expect(new Set(refused.map(({ level }: { level: string }) => level))).toEqual(new Set(['unknown']))
    expect(entries.filter(({ level }: { level: string }) => level === 'ok').length).toBeGreaterThan(20)
  })

  test('what is not understood: exit code 3, nothing on stdout, one line on stderr', async () => {
    for (const args of [['--only', 'nothing'], ['--format', 'xml'], ['--bogus'], ['host=a bogus=1'], ['-i', 'soon']]) {
      const { code, stdout, stderr } = await run(['check', ...args])
      expect({ code, stdout }, args.join(' ')).toEqual({ code: 3, stdout: '' })
      expect(stderr).toMatch(/^pgvigil: [^\n]+\n$/)
    }
  })

  test('disk_space: of servers on this machine, as df has it', async () => {
    const { stdout } = await run(['check', '--json', '--only', 'disk_space', primary.conninfo])
    const [entry] = JSON.parse(stdout).checks
    const df = execFileSync('df', ['--output=pcent', primary.dataDir]).toString()
    expect(Math.abs(entry.figure - Number(/(\d+)%/.exec(df)![1]))).toBeLessThan(2)
    expect(entry.say).toContain(primary.dataDir)
    const elsewhere = await run([
      'check',
      '--json',
      '--only',
      'disk_space',
      `host=localhost port=${primary.port} user=nobody_at_all dbname=postgres`,
    ])
    expect(elsewhere.code).toBe(3)
  })

  test('before and after a maintenance window: what has changed is told, and the file is for its owner alone', async () => {
    const env = { XDG_STATE_HOME: `${folder.path}/state` }
    const nothing = await run(['check', '--after-maintenance', ...servers], env)
    expect(nothing).toMatchObject({ code: 3, stdout: '' })
    expect(nothing.stderr).toMatch(/^pgvigil: nothing was saved before the window/)
    await withClient(primary, client => client.query(`CREATE DATABASE dropped`))
    const before = await run(['check', '--before-maintenance', ...servers], env)
    expect(before.code).toBe(0)
    expect(before.stdout).toMatch(/^by hand: stakeholders are notified/m)
    const path = /^saved for --after-maintenance: (.*)$/m.exec(before.stdout)![1]!
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const same = await run(['check', '--after-maintenance', ...servers], env)
    expect(same.code).toBe(0)
    expect(same.stdout).toMatch(/^compared with what was saved \d+s ago/m)
    expect(same.stdout).toMatch(/^✓ after_standbys .*streaming to cstandby$/m)
    await withClient(primary, async client => {
      await client.query(`ALTER SYSTEM SET work_mem = '64MB'`)
      await client.query('SELECT pg_reload_conf()')
      await client.query('DROP DATABASE dropped')
      await client.query(`SELECT pg_create_physical_replication_slot('left_behind')`)
    })
    await standby.stop('fast')
    await primary.restart()
    try {
      const after = await run(['check', '--after-maintenance', ...servers], env)
      expect(after.code).toBe(2)
      expect(after.stdout).toMatch(/^✓ after_settings .*advice: work_mem default became 65536 kB$/m)
      expect(after.stdout).toMatch(/^✓ after_version .*advice: restarted since$/m)
      expect(after.stdout).toMatch(/^⚠ after_objects .*databases gone: dropped$/m)
      expect(after.stdout).toMatch(/^⚠ after_slots .*new: left_behind$/m)
      expect(after.stdout).toMatch(/^✗ after_standbys .*not back: cstandby$/m)
    } finally {
      await standby.start()
      await withClient(primary, async client => {
        await client.query('ALTER SYSTEM RESET work_mem')
        await client.query('SELECT pg_reload_conf()')
        await client.query(`SELECT pg_drop_replication_slot('left_behind')`)
      })
    }
  })

  test('replication_lag of a standby that only its primary is asked about', async () => {
    const file = `${folder.path}/lag.toml`
    writeFileSync(file, '[thresholds]\nlag_seconds = 2\n', { mode: 0o600 })
    const check = () => run(['check', '--config', file, '--only', 'replication_lag', primary.conninfo])
    expect((await check()).stdout).toMatch(/^✓ replication_lag .*cstandby: lags 0\.0s/m)
    await withClient(standby, client => client.query('SELECT pg_wal_replay_pause()'))
    await withClient(primary, client => client.query('CREATE TABLE unseen AS SELECT i FROM generate_series(1, 1000) i'))
    await new Promise(resolve => setTimeout(resolve, 4500))
    const stalled = await check()
    await withClient(standby, client => client.query('SELECT pg_wal_replay_resume()'))
    expect(stalled.code).toBe(1)
    expect(stalled.stdout).toMatch(/^⚠ replication_lag .*cstandby: lags at least \d\.\ds/m)
  })

  test('before a window a lag of a second is a finding', async () => {
    await withClient(standby, client => client.query('SELECT pg_wal_replay_pause()'))
    await withClient(primary, client =>
      client.query('CREATE TABLE IF NOT EXISTS late AS SELECT i FROM generate_series(1, 1000) i'),
    )
    await new Promise(resolve => setTimeout(resolve, 1500))
    const { code, stdout } = await run(['check', '--before-maintenance', '--json', ...servers], {
      XDG_STATE_HOME: `${folder.path}/state`,
    })
    await withClient(standby, client => client.query('SELECT pg_wal_replay_resume()'))
    expect(code).toBe(1)
    const lag = JSON.parse(stdout).checks.find(({ id }: { id: string }) => id === 'replication_lag')
    expect(lag).toMatchObject({ level: 'warning', warningFrom: 1 })
  })

  test('thresholds come from the configuration file', async () => {
    const file = `${folder.path}/check.toml`
    writeFileSync(file, '[thresholds]\nconnections_percent = 1\nwal_percent = 1\n', { mode: 0o600 })
    const { code, stdout } = await run(['check', '--config', file, '--only', 'connections,wal_space', primary.conninfo])
    expect(code).toBe(1)
    expect(stdout).toMatch(/^⚠ connections .*\d of 97 connections are taken$/m)
  })

  test('the standby is stopped: exit code 2, named, as one that is watched and by its primary alone', async () => {
    await standby.stop('fast')
    const both = await run(['check', ...servers])
    expect(both.code).toBe(2)
    expect(both.stdout).toMatch(new RegExp(`^✗ connectivity +127\\.0\\.0\\.1:${standby.port} +is DOWN`, 'm'))
    expect(both.stdout).toMatch(/^✗ replication_state .*cstandby_slot/m)
    const alone = await run(['check', '--format', 'nagios', primary.conninfo])
    expect(alone.code).toBe(2)
    expect(alone.stdout).toMatch(/^PGVIGIL CRITICAL - .*replication_state .*cstandby_slot/)
    await standby.start()
  })
})
