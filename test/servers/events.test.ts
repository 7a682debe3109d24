// Real servers on a bad day, and the story that pgvigil tells of it: in order, once, with times that the servers' logs bear out.

import { readFileSync } from 'node:fs'
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buildConfig, type Config } from '../../src/config/config.ts'
import { connect, withClient } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { findPgbouncer, startPgbouncer } from '../../src/lab/pgbouncer.ts'
import { type PostgresServer, type PostgresVersion, startPostgres, startStandby } from '../../src/lab/postgres.ts'
import { type Event, sayOf } from '../../src/model/event.ts'
import { eventsPanel } from '../../src/panels/events.ts'
import { wantedByLists } from '../../src/panels/wanted.ts'
import { linkOf } from '../../src/store/selectors.ts'
import type { State } from '../../src/store/state.ts'
import { setNow } from '../../src/store/updates.ts'
import { watch } from '../../src/watch.ts'

const intervalMs = 250

/** A monitor as the live one polls, on whatever pane. */
function monitor(given: { readonly servers?: readonly string[]; readonly pgbouncers?: readonly string[] }) {
  const { servers = [], pgbouncers = [] } = given
  const config = buildConfig({ conninfo: servers, pgbouncer: pgbouncers, interval: `${intervalMs}ms` }, {}) as Config
  const { store, poller } = watch(config, 'events', 1000, (state, id) => wantedByLists(state, id, eventsPanel.lists))
  const state = (): State => {
    setNow(store, Date.now(), null)
    return store.getState()
  }
  /** The server's word on the screen. */
  const word = (id: string) => linkOf(state().servers[id]!, Date.now(), intervalMs).word
  let from = 0
  return {
    state,
    word,
    /** From now on only what happens now, even if it is counted with what was before. */
    begin: () => {
      from = Date.now()
    },
    events: (server?: string): readonly Event[] =>
      state().events.filter(event => event.at >= from && (server === undefined || event.server === server)),
    live: (id: string) => until(`${id} LIVE`, () => word(id) === 'LIVE' && state().servers[id]?.outage === null),
    stop: () => poller.stop(),
  }
}

async function until<T>(what: string, ask: () => T | Promise<T> | null | undefined | false, ms = 20_000): Promise<T> {
  const deadline = Date.now() + ms
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

let folder: Folder
let primary: PostgresServer
let standby: PostgresServer
let both: ReturnType<typeof monitor>

const idOf = (server: PostgresServer) => `127.0.0.1:${server.port}`
const settings = { log_line_prefix: '%n ' }
const on = (server: PostgresServer, sql: string) => withClient({ port: server.port }, client => client.query(sql))

/** When the newest line of the server's log with these words was written, epoch ms. */
function logged(server: PostgresServer, words: RegExp): number {
  const lines = readFileSync(server.logFile, 'utf8').split('\n')
  const line = lines.findLast(text => words.test(text))
  if (!line) throw new Error(`no line of the log has ${words}`)
  return Number(/^(\d+\.\d+) /.exec(line)?.[1]) * 1000
}

/** A backend dies as the OOM killer ends it. */
async function killBackend(server: PostgresServer): Promise<void> {
  const victim = await connect({ port: server.port })
  const { rows } = await victim.query('select pg_backend_pid() as pid')
  process.kill(rows[0].pid, 'SIGKILL')
}

beforeAll(async () => {
  folder = temporaryFolder('pgvigil-events')
  primary = await startPostgres({
    version: 16,
    dir: folder.path,
    settings: { ...settings, max_connections: 12, max_wal_size: '2GB', checkpoint_timeout: '1h' },
  })
  standby = await startStandby(primary, { dir: folder.path, name: 'standby1', slot: 'standby_slot', settings })
  await on(
    primary,
    `create table load (id bigint, t text); create index on load (t); create role app login; create role shut login`,
  )
  both = monitor({ servers: [primary.conninfo, standby.conninfo] })
  await both.live(idOf(primary))
  await both.live(idOf(standby))
})
afterAll(async () => {
  both?.stop()
  await standby?.stop('immediate')
  await primary?.stop('immediate')
  await folder?.remove()
})
beforeEach(async () => {
  for (const server of [primary, standby]) if (!server.running()) await server.start()
  await both.live(idOf(primary))
  await both.live(idOf(standby))
  // What came before is over: the counters have been read since, and no receiver is on its way back any more.
  for (const server of [primary, standby]) {
    const { link, readings } = both.state().servers[idOf(server)]!
    const at = readings.counters?.sample?.at ?? 0
    await until('another look at the counters', () => {
      const sample = both.state().servers[idOf(server)]?.readings.counters?.sample
      return sample && sample.at > Math.max(at, link.since)
    })
  }
  await until('the standby streams', () => both.state().servers[idOf(standby)]?.firstSeen['receiver down'] === undefined)
  both.begin()
})

const told = (events: readonly Event[]) => events.map(({ kind }) => kind)

describe('a primary', () => {
  const of = () => both.events(idOf(primary))

  test('crashes: told within two seconds, and what recovery took is what the log says', async () => {
    // WAL to be replayed, so that there is something to measure.
    await on(primary, `checkpoint; insert into load select i, md5(i::text) from generate_series(1, 400000) i`)
    await killBackend(primary)
    const killedAt = Date.now()
    const crash = await until('the crash', () => of().find(({ kind }) => kind === 'crash'), 2000)
    expect(crash).toMatchObject({ level: 'critical', say: 'server crashed, sessions reset' })
    expect(crash.detail).toBe('terminating connection because of crash of another server process')
    expect(Math.abs(crash.at - killedAt)).toBeLessThan(500)
    const back = await until('back', () => of().find(({ kind }) => kind === 'back'))
    const from = logged(primary, /terminating any other active server processes/)
    const to = logged(primary, /database system is ready to accept connections/)
    expect(crash.at - from).toBeLessThan(300)
    const took = Number(/^back, recovery took ([\d.]+) s$/.exec(back.say)?.[1])
    expect(Math.abs(took * 1000 - (to - from)), back.say).toBeLessThan(250)
    // A moment after it was ready, which is no later than we ask again.
    expect(back.at).toBeGreaterThanOrEqual(to - 50)
    expect(back.at - to).toBeLessThan(5500)
    await until('the counters', () => told(of()).includes('stats-reset'))
    expect(told(of())).toEqual(['crash', 'back', 'stats-reset'])
    expect(both.state().servers[idOf(primary)]?.lastNotice).toMatchObject({ code: '57P02', text: crash.detail })
  })

  test('is stopped fast and started: STOPPING or DOWN, and back with the time it was away', async () => {
    const words = new Set<string>()
    const watchWords = setInterval(() => words.add(both.word(idOf(primary))), 10)
    await primary.stop('fast')
    const stoppedAt = logged(primary, /received fast shutdown request/)
    await until('DOWN', () => both.word(idOf(primary)) === 'DOWN')
    await primary.start()
    const back = await until('back', () => of().find(({ kind }) => kind === 'back'))
    clearInterval(watchWords)
    const [first] = of()
    expect(first).toMatchObject({ kind: 'stop', detail: expect.stringContaining('due to administrator command') })
    expect(first?.say).toMatch(/^(fast stop: sessions ended, shutting down|stopped \(fast\), sessions ended)$/)
    expect(Math.abs(first!.at - stoppedAt)).toBeLessThan(300)
    expect(told(of()).filter(kind => kind !== 'starting')).toEqual(
      first?.say.startsWith('fast') ? ['stop', 'down', 'back'] : ['stop', 'back'],
    )
    const away = Number(/^back after ([\d.]+) s, restarted/.exec(back.say)?.[1])
    expect(Math.abs(away * 1000 - (back.at - first!.at))).toBeLessThan(150)
    expect([...words].filter(word => !['LIVE', 'CONNECTING', 'STOPPING', 'DOWN', 'STARTING'].includes(word))).toEqual([])
    expect(words).toContain('DOWN')
  })

  test('is stopped smart: STOPPING while somebody holds it up, our session goes last, and does not hold it up', async () => {
    const other = await connect({ port: primary.port })
    const stopping = primary.stop('smart')
    await until('STOPPING', () => both.word(idOf(primary)) === 'STOPPING', 4000)
    expect(of().map(({ say }) => say)).toEqual(['smart stop: no new connections, waits for 1 session to end'])
    // Its data are as fresh as ever meanwhile.
    const { lastAnswerAt } = both.state().servers[idOf(primary)]!
    await until('another answer', () => (both.state().servers[idOf(primary)]!.lastAnswerAt ?? 0) > (lastAnswerAt ?? 0))
    expect(primary.running()).toBe(true)
    await other.end()
    await stopping
    expect(readFileSync(primary.logFile, 'utf8')).toContain('received smart shutdown request')
    await until('DOWN', () => both.word(idOf(primary)) === 'DOWN')
    await primary.start()
    await until('back', () => told(of()).includes('back'))
    expect(told(of()).filter(kind => kind !== 'starting')).toEqual(['stop', 'down', 'back'])
  })

  test('is stopped at once and started: recovery is told with it', async () => {
    await primary.stop('immediate')
    await until('DOWN', () => both.word(idOf(primary)) === 'DOWN')
    await primary.start()
    const back = await until('back', () => of().find(({ kind }) => kind === 'back'))
    expect(of()[0]).toMatchObject({ kind: 'stop', say: 'stopped at once (immediate), sessions ended' })
    expect(back.say).toMatch(/^back after [\d.]+ s, restarted, recovery took ([\d.]+|less than 0\.1) s$/)
  })

  test('loses its postmaster', async () => {
    await primary.kill()
    await until('the crash', () => told(of()).includes('crash'))
    expect(of()[0]?.say).toBe('server crashed: its postmaster died')
    await primary.start()
    await until('back', () => told(of()).some(kind => kind === 'back' || kind === 'restart'))
    expect(told(of()).filter(kind => kind !== 'stats-reset' && kind !== 'starting')).toEqual(['crash', 'back'])
  })

  test('ends our session fifty times: one event that counts no more than the deaths', async () => {
    const killer = await connect({ port: primary.port })
    const begunAt = Date.now()
    let deaths = 0
    for (let n = 0; n < 50; n++) {
      const { rowCount } = await killer.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgvigil' and pid <> pg_backend_pid()`,
      )
      deaths += rowCount ?? 0
      await new Promise(resolve => setTimeout(resolve, 60))
    }
    await killer.end()
    await both.live(idOf(primary))
    await until('the event', () => of().length > 0)
    expect(told(of())).toEqual(['terminated'])
    const [event] = of()
    expect(event!.times).toBeGreaterThanOrEqual(1)
    expect(event!.times).toBeLessThanOrEqual(deaths)
    expect(event!.since).toBeGreaterThanOrEqual(begunAt - 100)
    expect(sayOf(event!)).toMatch(/^our session was ended by an administrator(, \d+ times since \d\d:\d\d:\d\d)?$/)
  })

  test('is reloaded, and has its statistics reset', async () => {
    await on(primary, 'select pg_reload_conf()')
    await until('the reload', () => told(of()).includes('reload'))
    await on(primary, 'select pg_stat_reset()')
    const reset = await until('the reset', () => of().find(({ kind }) => kind === 'stats-reset'))
    expect(reset.say).toBe('statistics reset in postgres')
    await on(primary, 'create database another')
    await new Promise(resolve => setTimeout(resolve, 4 * intervalMs))
    expect(told(of())).toEqual(['reload', 'stats-reset'])
  })

  test('has no connection free for an ordinary role, and lets another in no more', async () => {
    const id = idOf(primary)
    const sessions = await Promise.all(Array.from({ length: 8 }, () => connect({ port: primary.port, user: 'app' })))
    const full = monitor({ servers: [`host=127.0.0.1 port=${primary.port} user=app dbname=postgres`] })
    await until('FULL', () => full.word(id) === 'FULL')
    expect(full.events()).toMatchObject([
      { kind: 'full', level: 'critical', say: expect.stringContaining('remaining connection slots'), detail: null },
    ])
    await Promise.all(sessions.map(session => session.end()))
    await full.live(id)
    expect(full.events().at(-1)?.say).toMatch(/^up after [\d.]+ s$/)
    full.begin()
    await on(primary, `alter role app nologin; select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'`)
    await until('DENIED', () => full.word(id) === 'DENIED')
    expect(full.events()).toMatchObject([{ kind: 'denied', say: 'refuses us: role "app" is not permitted to log in' }])
    full.stop()
    await on(primary, 'alter role app login')
  })
})

describe('a standby', () => {
  const of = () => both.events(idOf(standby))

  test('has its replay paused and resumed', async () => {
    await on(standby, 'select pg_wal_replay_pause()')
    await until('paused', () => told(of()).includes('replay-paused'))
    await on(standby, 'select pg_wal_replay_resume()')
    const resumed = await until('resumed', () => of().find(({ kind }) => kind === 'replay-resumed'))
    expect(resumed.say).toMatch(/^WAL replay resumed after [\d.]+ s$/)
    expect(told(of())).toEqual(['replay-paused', 'replay-resumed'])
  })

  test('loses its receiver, and gets it back', async () => {
    await on(standby, `alter system set primary_conninfo = 'host=127.0.0.1 port=1 user=postgres'`)
    await on(standby, 'select pg_reload_conf()')
    const lost = await until('lost', () => of().find(({ kind }) => kind === 'receiver-lost'))
    await on(standby, 'alter system reset primary_conninfo')
    await on(standby, 'select pg_reload_conf()')
    const back = await until('back', () => of().find(({ kind }) => kind === 'receiver-back'))
    expect(told(of())).toEqual(['reload', 'receiver-lost', 'reload', 'receiver-back'])
    expect(Math.abs(Number(/after ([\d.]+) s/.exec(back.say)?.[1]) * 1000 - (back.at - lost.at))).toBeLessThan(150)
  })

  test('has a receiver that its sender refuses, again and again: lost once, and back when it lasts', async () => {
    const one = monitor({ servers: [standby.conninfo] })
    try {
      await one.live(idOf(standby))
      await until('the receiver', () => one.state().servers[idOf(standby)]?.readings.receiver?.sample?.rows.length)
      await on(standby, `alter system set primary_slot_name = 'missing'`)
      await on(standby, 'select pg_reload_conf()')
      await until('lost', () => told(one.events()).includes('receiver-lost'))
      // It is started anew every five seconds (wal_retrieve_retry_interval): two or three times meanwhile.
      await new Promise(resolve => setTimeout(resolve, 12_000))
      expect(told(one.events())).toEqual(['reload', 'receiver-lost'])
      await on(primary, `select pg_create_physical_replication_slot('missing')`)
      await until('back', () => told(one.events()).includes('receiver-back'))
      expect(told(one.events())).toEqual(['reload', 'receiver-lost', 'receiver-back'])
    } finally {
      one.stop()
      await on(standby, `alter system set primary_slot_name = 'standby_slot'`)
      await on(standby, 'select pg_reload_conf()')
    }
    const free = `select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = 'missing' and not active`
    await until('the slot to be free', async () => (await on(primary, free)).rowCount)
  })

  test('crashes: recovery took at most what we saw of it', async () => {
    await killBackend(standby)
    const back = await until('back', () => of().find(({ kind }) => kind === 'back'))
    expect(of()[0]?.kind).toBe('crash')
    expect(back.say).toMatch(/^back, recovery took (at most [\d.]+|less than 0\.1) s$/)
  })

  test('is promoted on the same session: one event, and two primaries until the old one is stopped', async () => {
    const { promotedPid, session } = await withClient({ port: standby.port }, async client => {
      const ours = `select pid from pg_stat_activity where application_name = 'pgvigil'`
      const before = (await client.query(ours)).rows[0].pid as number
      await client.query('select pg_promote()')
      await until('promoted', () => told(of()).includes('promoted'), 3000)
      return { session: before, promotedPid: (await client.query(ours)).rows[0].pid as number }
    })
    expect(promotedPid).toBe(session)
    await until('two primaries', () => told(both.events()).includes('two-primaries'))
    expect(of()).toMatchObject([
      { kind: 'promoted', say: 'promoted: a primary now, on timeline 2' },
      { kind: 'two-primaries', say: `two primaries: ${idOf(primary)} is a primary of the same cluster too` },
    ])
    await primary.stop('fast')
    await until('one primary', () => told(of()).includes('one-primary'))
    expect(told(of())).toEqual(['promoted', 'two-primaries', 'one-primary'])
  })
})

test('one server under two names is one primary; a name that moves to a server promoted long ago is told as another server', async () => {
  const old = await startPostgres({ version: 15, dir: folder.path, settings })
  const next = await startStandby(old, { dir: folder.path, name: 'next', slot: 'next', settings })
  let target = old.port
  const through = new Set<Socket>()
  const name = createServer(client => {
    const server = connectTcp(target, '127.0.0.1')
    for (const socket of [client, server]) {
      through.add(socket)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => [client, server].map(other => other.destroy()))
    }
    client.pipe(server).pipe(client)
  })
  await new Promise<void>(resolve => name.listen(0, '127.0.0.1', resolve))
  const { port } = name.address() as AddressInfo
  const one = monitor({ servers: [`host=127.0.0.1 port=${port} user=postgres`, `host=localhost port=${old.port} user=postgres`] })
  const id = `127.0.0.1:${port}`
  try {
    await one.live(id)
    await one.live(`localhost:${old.port}`)
    await new Promise(resolve => setTimeout(resolve, 1500))
    expect(told(one.events())).toEqual([])
    await old.stop('fast')
    await until('DOWN', () => one.word(id) !== 'LIVE')
    await on(next, 'select pg_promote()')
    target = next.port
    for (const socket of through) socket.destroy()
    await until('another', () => one.events(id).find(({ kind }) => kind === 'replaced'))
    await new Promise(resolve => setTimeout(resolve, 1500))
    expect(one.events(id).at(-1)?.say).toBe(`another server answers here: 127.0.0.1:${next.port}`)
  } finally {
    one.stop()
    name.close()
    for (const socket of through) socket.destroy()
    await next.stop('immediate')
    if (old.running()) await old.stop('immediate')
  }
})

test.each([13, 18] as PostgresVersion[])(
  'the words of PostgreSQL %i for a crash and an immediate stop are told apart',
  async version => {
    const server = await startPostgres({ version, dir: folder.path, settings })
    const one = monitor({ servers: [server.conninfo] })
    const id = idOf(server)
    try {
      await one.live(id)
      one.begin()
      await killBackend(server)
      await until('back', () => told(one.events()).includes('back'))
      expect(told(one.events()).filter(kind => kind !== 'stats-reset')).toEqual(['crash', 'back'])
      one.begin()
      await server.stop('immediate')
      await until('DOWN', () => one.word(id) === 'DOWN')
      expect(one.events().map(({ kind }) => kind)).toEqual(['stop'])
    } finally {
      one.stop()
      await server.stop('immediate')
    }
  },
)

test('a slot that falls too far behind is told of as lost', async () => {
  const server = await startPostgres({
    version: 17,
    dir: folder.path,
    settings: { ...settings, max_slot_wal_keep_size: '16MB', max_wal_size: '32MB', min_wal_size: '32MB' },
  })
  const one = monitor({ servers: [server.conninfo] })
  try {
    await on(server, `select pg_create_physical_replication_slot('left_behind', true); create table load (t text)`)
    await until('the slot', () => one.state().servers[idOf(server)]?.readings.slotStates?.sample?.rows.length === 1)
    await on(server, `insert into load select repeat('x', 1000) from generate_series(1, 90000)`)
    await on(server, 'checkpoint')
    const lost = await until('lost', () => one.events().find(({ kind }) => kind === 'slot-lost'))
    expect(lost).toMatchObject({ level: 'critical', say: 'slot left_behind lost (wal_removed): who needs it must be built anew' })
  } finally {
    one.stop()
    await server.stop('immediate')
  }
})

test.skipIf(!findPgbouncer())('a PgBouncer is paused, resumed and restarted', async () => {
  const options = { dir: folder.path, databases: { shop: `host=127.0.0.1 port=${standby.port} dbname=postgres` }, users: ['app'] }
  let pooler = await startPgbouncer(options)
  const one = monitor({ pgbouncers: [pooler.conninfo] })
  const id = `127.0.0.1:${pooler.port}`
  const say = (command: string) => withClient({ port: pooler.port, database: 'pgbouncer' }, client => client.query(command))
  try {
    await until('its databases', () => one.state().servers[id]?.readings.showDatabases?.sample)
    await say('PAUSE shop')
    await until('paused', () => told(one.events()).includes('paused'))
    await say('RESUME shop')
    await until('resumed', () => told(one.events()).includes('resumed'))
    await pooler.stop()
    await until('DOWN', () => one.word(id) === 'DOWN')
    pooler = await startPgbouncer({ ...options, port: pooler.port })
    const back = await until('back', () => one.events().find(({ kind }) => kind === 'back'))
    expect(told(one.events())).toEqual(['paused', 'resumed', 'down', 'back'])
    expect(back.say).toMatch(/^back after [\d.]+ s, restarted$/)
    await say('PAUSE shop')
    await until('paused again', () => told(one.events()).at(-1) === 'paused')
    pooler.signal('SIGKILL')
    await until('its end', () => !pooler.running())
    pooler = await startPgbouncer({ ...options, port: pooler.port })
    await until('back again', () => /^(back|restart|lost)$/.test(told(one.events()).at(-1) ?? ''))
    await new Promise(resolve => setTimeout(resolve, 4 * intervalMs))
    expect(told(one.events()).filter(kind => kind === 'resumed')).toHaveLength(1)
  } finally {
    one.stop()
    await pooler.stop()
  }
})
