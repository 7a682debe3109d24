import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildConfig, type Config } from '../../src/config/config.ts'
import { connect, withClient } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres, startStandby } from '../../src/lab/postgres.ts'
import type { ReplicationRow, SlotListRow } from '../../src/model/replication.ts'
import type { Selected } from '../../src/panels/panel.ts'
import { replicationPanel } from '../../src/panels/replication.ts'
import { postgresFigures } from '../../src/panels/summary.ts'
import { wantedByLists } from '../../src/panels/wanted.ts'
import type { State } from '../../src/store/state.ts'
import { setNow } from '../../src/store/updates.ts'
import { watch } from '../../src/watch.ts'

const [standbys, slots] = replicationPanel.lists

/** A monitor on the given servers, as the live one polls them: one loop each, one interval a second. */
function monitor(...conninfo: string[]) {
  const config = buildConfig({ conninfo, pgbouncer: [], interval: '1s' }, {}) as Config
  const { store, poller } = watch(config, 'replication', 1000, (state, id) => wantedByLists(state, id, replicationPanel.lists))
  const state = (): State => {
    setNow(store, Date.now(), null)
    return store.getState()
  }
  const look = () => standbys!.select(state()) as unknown as Selected<ReplicationRow>
  return {
    state,
    look,
    rows: () => look().rows,
    slots: () => slots!.select(state()).rows as unknown as readonly SlotListRow[],
    stop: () => poller.stop(),
  }
}
type Monitor = ReturnType<typeof monitor>

async function until<T>(
  what: string,
  ask: () => T | null | undefined | false | Promise<T | null | undefined | false>,
  ms = 20_000,
): Promise<T> {
  const deadline = Date.now() + ms
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

let folder: Folder
let primary: PostgresServer
let standby: PostgresServer
let both: Monitor

beforeAll(async () => {
  folder = temporaryFolder('pgvigil-replication')
  primary = await startPostgres({ version: 16, dir: folder.path })
  standby = await startStandby(primary, { dir: folder.path, name: 'standby1', slot: 'standby_slot' })
  await on(primary, 'create table load (t text)', 'create role plain login')
  both = monitor(primary.conninfo, standby.conninfo)
  await until('both ends', () => both.rows()[0]?.receiver === 'streaming')
})

afterAll(async () => {
  both?.stop()
  await standby?.stop('immediate')
  await primary?.stop('immediate')
  await folder?.remove()
})

const idOf = (server: PostgresServer) => `127.0.0.1:${server.port}`

async function on(server: PostgresServer, ...sql: string[]): Promise<string> {
  return withClient({ port: server.port }, async client => {
    let last = ''
    for (const text of sql) last = String(Object.values((await client.query({ text, rowMode: 'array' })).rows[0] ?? [''])[0])
    return last
  })
}

/** About 1 MB of WAL a second from one session, until stopped. */
async function underLoad<T>(run: () => Promise<T>): Promise<T> {
  const client = await connect({ port: primary.port })
  let loading = true
  const load = (async () => {
    while (loading) {
      await client.query("insert into load select repeat('x', 500) from generate_series(1, 20)")
      await new Promise(resolve => setTimeout(resolve, 10))
    }
  })()
  try {
    return await run()
  } finally {
    loading = false
    await load
    await client.end()
  }
}

const gaps = (row: ReplicationRow) =>
  [row.unsentBytes, row.writeGapBytes, row.flushGapBytes, row.replayGapBytes].reduce<bigint>((sum, gap) => sum + (gap ?? 0n), 0n)

async function bytesBehind(): Promise<bigint> {
  const replayed = await on(standby, 'select pg_last_wal_replay_lsn()')
  return BigInt(await on(primary, `select pg_wal_lsn_diff(pg_current_wal_lsn(), '${replayed}')::int8`))
}

/** The standby's line in the header, which has only the pulses to go by. */
const line = (m: Monitor) => postgresFigures(m.state(), idOf(standby)).standby!

/** Whatever a test before has left behind: replay goes on, and all of it has been replayed. */
async function caughtUp() {
  await on(standby, 'select pg_wal_replay_resume()')
  await until('caught up', () => both.rows()[0]!.lagBytes === 0n && line(both).lagBytes === 0n && !both.rows()[0]!.replayPaused)
}

describe('a primary and its standby', () => {
  test('one row from both ends', () => {
    const [row, ...others] = both.rows()
    expect(others).toEqual([])
    expect(row).toMatchObject({
      server: idOf(primary),
      standby: idOf(standby),
      application_name: 'standby1',
      state: 'streaming',
      sync_state: 'async',
      receiver: 'streaming',
      replayPaused: false,
      slot_name: 'standby_slot',
      timeline: 1,
      lagBytes: 0n,
      lagSeconds: 0,
    })
    expect(both.slots()).toMatchObject([
      { server: idOf(primary), slot_name: 'standby_slot', active: true, wal_status: 'reserved' },
    ])
  })

  test.each([5, 12])('replay paused for %i s under load', async seconds => {
    await caughtUp()
    let paused = 0
    await underLoad(async () => {
      const since = 'select extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())'
      await until('the load on the standby', async () => Number(await on(standby, since)) < 0.2)
      await on(standby, 'select pg_wal_replay_pause()')
      paused = await until(
        'the pause',
        async () => (await on(standby, 'select pg_get_wal_replay_pause_state()')) === 'paused' && Date.now(),
      )
      await until('the pause on the screen', () => both.rows()[0]?.replayPaused)
      while (Date.now() - paused < seconds * 1000) {
        const row = both.rows()[0]!
        const truth = (Date.now() - paused) / 1000
        expect(Math.abs(row.lagSeconds! - truth)).toBeLessThan(1.5)
        expect(Math.abs(line(both).lagSeconds! - truth)).toBeLessThan(1.5)
        expect(row.lagIsUpperBound).toBe(false)
        expect(gaps(row)).toBe(row.lagBytes)
        expect(row.replayPaused).toBe(true)
        await new Promise(resolve => setTimeout(resolve, 200))
      }
    })
    await until('exact bytes in the row', async () => both.rows()[0]!.lagBytes === (await bytesBehind()), 5000)
    await until('exact bytes in the line', async () => line(both).lagBytes === (await bytesBehind()), 5000)
    expect(await bytesBehind()).toBeGreaterThan(500_000n)

    // Started only now: two samples one second apart have to do.
    const late = monitor(primary.conninfo, standby.conninfo)
    const first = await until('a first lag', () => late.rows().find(row => row.lagSeconds))
    expect(first.lagIsUpperBound).toBe(true)
    expect(Math.abs(first.lagSeconds! - (Date.now() - paused) / 1000)).toBeLessThan(1.5)
    late.stop()

    await caughtUp()
    expect([both.rows()[0]!.lagSeconds, line(both).lagSeconds]).toEqual([0, 0])
  })

  test('an idle primary: 0 behind all the time', async () => {
    await caughtUp()
    const since = 'select extract(epoch from now() - pg_last_xact_replay_timestamp())'
    await until('idleness', async () => {
      expect(line(both)).toMatchObject({ lagSeconds: 0, lagBytes: 0n })
      // What a background process of the primary writes now and then may be seen on its way.
      const row = both.rows()[0]!
      expect(row.state).toBe('streaming')
      expect(row.lagSeconds).toBeLessThan(0.1)
      expect(row.lagBytes! < 10_000n).toBe(true)
      return Number(await on(standby, since)) > 12
    })
  })

  test('a standby whose clock is 300 s off: the same lag, and the difference noted', async () => {
    await on(standby, 'select pg_wal_replay_pause()')
    await on(primary, "insert into load select repeat('x', 500) from generate_series(1, 200)")
    const truth = await until('some lag', () => (both.rows()[0]!.lagSeconds ?? 0) > 2 && both.rows()[0])
    for (const off of [300, -300]) {
      const selected = standbys!.select(skewed(both.state(), idOf(standby), off)) as unknown as Selected<ReplicationRow>
      const row = selected.rows[0]!
      expect(Math.abs(row.lagSeconds! - truth.lagSeconds!)).toBeLessThan(1.5)
      expect(row).toMatchObject({ lagBytes: truth.lagBytes, replyOverdue: false })
      expect(Math.abs(row.clockSkewSeconds! - off)).toBeLessThan(2)
      expect(selected.notice).toMatch(/^clock skew (5m00s|4m59s|300s|299s)/)
      const figures = postgresFigures(skewed(both.state(), idOf(standby), off), idOf(standby)).standby!
      expect(Math.abs(figures.lagSeconds! - truth.lagSeconds!)).toBeLessThan(1.5)
    }
    await on(standby, 'select pg_wal_replay_resume()')
    await until('caught up', () => both.rows()[0]!.lagBytes === 0n)
  })

  test('a role without privileges: the lag is there, nothing is called down, the GRANT is named', async () => {
    const [p, s] = [primary, standby].map(server => `postgres://plain@127.0.0.1:${server.port}/postgres`)
    const plain = monitor(p!, s!)
    const alone = monitor(s!)
    await until(
      'both ends',
      () => plain.look().notice && plain.rows()[0]?.lagBytes === 0n && plain.state().servers[idOf(standby)]!.readings.receiver,
    )
    expect(plain.look().notice).toContain('GRANT pg_monitor TO plain')
    expect(plain.rows()).toMatchObject([
      { standby: idOf(standby), state: null, receiver: null, lagBytes: 0n, lagSeconds: 0, restricted: true },
    ])
    await until('the standby alone', () => alone.state().servers[idOf(standby)]?.readings.receiver?.sample)
    expect(alone.rows()).toMatchObject([{ server: idOf(standby), state: null, receiver: null, lagBytes: null, lagSeconds: null }])
    plain.stop()
    alone.stop()
  })

  test('a receiver that finds nobody: down within two ticks, never 0 behind, from either end', async () => {
    const alone = monitor(standby.conninfo)
    const away = monitor(primary.conninfo)
    await until('the other two', () => alone.rows()[0]?.receiver === 'streaming' && away.rows()[0]?.state === 'streaming')
    const conninfo = await on(standby, 'show primary_conninfo')
    await on(
      standby,
      `alter system set primary_conninfo = 'host=127.0.0.1 port=1 user=postgres application_name=standby1'`,
      'select pg_reload_conf()',
    )
    await until('no receiver', async () => (await on(standby, 'select count(*) from pg_stat_wal_receiver')) === '0')
    await until('down', () => both.rows()[0]?.receiver === 'down' && line(both).receiver === 'down', 3500)
    await until('down, seen from the standby alone', () => alone.rows()[0]?.receiver === 'down', 3500)
    await until('gone, seen from the primary alone', () => away.rows()[0]?.state === 'disconnected', 3500)
    const written = Date.now()
    await on(primary, "insert into load select repeat('x', 500) from generate_series(1, 200)")
    for (let looks = 0; looks < 20; looks++) {
      for (const row of [...both.rows(), ...alone.rows(), ...away.rows()]) {
        expect(row.state).toBe('disconnected')
        expect(row.lagSeconds).not.toBe(0)
        expect(row.lagBytes).not.toBe(0n)
      }
      expect(line(both).lagSeconds).not.toBe(0)
      expect(line(alone)).toMatchObject({ receiver: 'down', lagSeconds: null })
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    const row = await until('the true bytes', async () => {
      const truth = await bytesBehind()
      return both.rows().find(({ lagBytes }) => lagBytes === truth)
    })
    expect(gaps(row)).toBe(row.lagBytes)
    expect(Math.abs(both.rows()[0]!.lagSeconds! - (Date.now() - written) / 1000)).toBeLessThan(1.5)
    expect(both.rows()).toHaveLength(1)
    expect(both.rows()[0]).toMatchObject({ standby: idOf(standby), slot_name: 'standby_slot', server: idOf(primary) })
    expect(both.rows()[0]!.retainedBytes! > 0n).toBe(true)
    expect(away.rows()).toMatchObject([{ application_name: null, slot_name: 'standby_slot', standby: null, lagBytes: null }])
    alone.stop()
    away.stop()
    await on(standby, `alter system set primary_conninfo = '${conninfo.replaceAll("'", "''")}'`, 'select pg_reload_conf()')
    await until('streaming again', () => both.rows()[0]?.state === 'streaming' && both.rows()[0]!.lagBytes === 0n)
  })

  test('a standby that is stopped stays on the list with the WAL that its slot holds', async () => {
    await standby.stop()
    await until('gone', () => both.rows()[0]?.state === 'disconnected')
    const restart = await on(primary, "select restart_lsn from pg_replication_slots where slot_name = 'standby_slot'")
    await on(primary, "insert into load select repeat('x', 500) from generate_series(1, 2000)")
    const held = await until('what it holds', async () => {
      const truth = BigInt(await on(primary, `select pg_wal_lsn_diff(pg_current_wal_lsn(), '${restart}')::int8`))
      return both.rows()[0]?.retainedBytes === truth && truth
    })
    expect(held).toBeGreaterThan(1_000_000n)
    expect(both.rows()).toMatchObject([
      { standby: idOf(standby), slot_name: 'standby_slot', lagSeconds: null, lagBytes: null, receiver: null },
    ])
    expect(both.slots()).toMatchObject([{ active: false, active_pid: null, retainedBytes: held }])
    await standby.start()
    await until('back', () => both.rows()[0]?.state === 'streaming' && both.rows()[0]!.lagBytes === 0n)
  })

  test('a cascade hangs under the standby that feeds it and is counted from the primary', async () => {
    const leaf = await startStandby(primary, { dir: folder.path, name: 'leaf', slot: null })
    try {
      await on(standby, "select pg_create_physical_replication_slot('leaf_slot')")
      await on(
        leaf,
        `alter system set primary_conninfo = 'host=127.0.0.1 port=${standby.port} user=postgres application_name=leaf'`,
        `alter system set primary_slot_name = 'leaf_slot'`,
        'select pg_reload_conf()',
      )
      const three = monitor(primary.conninfo, standby.conninfo, leaf.conninfo)
      const leafRow = () => three.rows().find(row => row.standby === idOf(leaf))
      await until(
        'the leaf under the standby',
        () => leafRow()?.server === idOf(standby) && leafRow()?.receiver === 'streaming' && three.rows().length === 2,
      )
      await on(standby, 'select pg_wal_replay_pause()')
      await on(primary, "insert into load select repeat('x', 500) from generate_series(1, 200)")
      await until(
        'the pause above holds up nothing below',
        () => leafRow()?.lagBytes === 0n && (three.rows().find(row => row.standby === idOf(standby))!.lagSeconds ?? 0) > 2,
      )
      expect(leafRow()).toMatchObject({ slot_name: 'leaf_slot', state: 'streaming', lagBehind: idOf(primary) })
      await on(standby, 'select pg_wal_replay_resume()')
      three.stop()
    } finally {
      await leaf.stop('immediate')
      await until(
        'the slot to be let go',
        async () => (await on(standby, 'select count(*) from pg_replication_slots where active')) === '0',
      )
      await on(standby, "select pg_drop_replication_slot('leaf_slot')")
    }
  })

  test('a promotion: roles within two ticks, no lag of a primary, both primaries named', async () => {
    await on(standby, 'select pg_promote(true, 30)')
    await until('two primaries', () => both.look().notice?.includes('TWO PRIMARIES'), 3500)
    expect(both.look().notice).toContain(`${idOf(standby)} (timeline 2) and ${idOf(primary)} (timeline 1)`)
    expect(postgresFigures(both.state(), idOf(standby)).standby).toBeNull()
    await until('only the slot', () => both.rows().length === 1 && both.rows()[0]!.application_name === null)
    expect(both.rows()).toMatchObject([
      { server: idOf(primary), state: 'disconnected', standby: null, slot_name: 'standby_slot' },
    ])
    expect(Object.values(both.state().servers[idOf(standby)]!.readings).map(entry => entry.problem?.kind)).not.toContain('failed')
  })
})

/** The state as it were with a server's clock off by so many seconds: in all that this server says of its own clock. */
function skewed(state: State, id: string, seconds: number): State {
  const shift = (row: Readonly<Record<string, unknown>>, ...names: string[]) => ({
    ...row,
    ...Object.fromEntries(names.map(name => [name, typeof row[name] === 'number' ? row[name] + seconds : row[name]])),
  })
  const shifted = (server: string, query: string, ...names: string[]) => {
    const entry = state.servers[server]!.readings[query]!
    const moved = (sample: typeof entry.sample) => sample && { ...sample, rows: sample.rows.map(row => shift(row, ...names)) }
    return { [query]: { ...entry, sample: moved(entry.sample), previous: moved(entry.previous) } }
  }
  const server = (other: string, readings: object) => ({
    [other]: { ...state.servers[other]!, readings: { ...state.servers[other]!.readings, ...readings } },
  })
  return {
    ...state,
    servers: {
      ...server(idOf(primary), shifted(idOf(primary), 'senders', 'reply_epoch')),
      ...server(id, {
        ...shifted(id, 'pulse', 'clock_epoch'),
        ...shifted(id, 'receiver', 'clock_epoch', 'last_msg_receipt_epoch'),
      }),
    },
  }
}
