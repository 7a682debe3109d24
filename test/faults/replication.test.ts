// A standby that is promoted, whose queries are cancelled, whose receiver is down or hangs, whose clock is wrong. F17-F21.

import { execFileSync } from 'node:child_process'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { connect, withClient } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres, startStandby } from '../../src/lab/postgres.ts'
import { childNamed, freezePids, thaw } from '../support/freeze.ts'
import { skipped } from '../support/skipped.ts'
import { build, endAll, type Terminal } from '../support/terminal.ts'
import { lineOf, live, monitored, type Named, named, ownPids, quits, sleep, staysUsable, wordOf } from '../support/under-fault.ts'

let folder: Folder
let primary: PostgresServer
let standby: PostgresServer
let primaryName: Named
let standbyName: Named
let admin: pg.Client

beforeAll(async () => {
  build()
  folder = temporaryFolder()
  primary = await startPostgres({ version: 16, dir: folder.path })
  admin = await connect({ port: primary.port })
  await admin.query('create table rows as select generate_series(1, 1000) i')
  standby = await startStandby(primary, {
    dir: folder.path,
    name: 'standby',
    slot: 'standby',
    settings: { max_standby_streaming_delay: 0, log_line_prefix: '%a %p ', wal_retrieve_retry_interval: '200ms' },
  })
  primaryName = named(primary)
  standbyName = named(standby)
})
afterEach(() => {
  thaw()
  endAll()
})
afterAll(async () => {
  await admin.end()
  await standby.stop('immediate')
  await primary.stop('immediate')
  await folder.remove()
})

const both = (...more: string[]) => monitored([primary.conninfo, standby.conninfo, ...more], [primaryName, standbyName])
const usable = { others: [] as Named[], forMs: 2000 }

async function pane3(terminal: Terminal): Promise<void> {
  terminal.write('3')
  await terminal.waitFor(/STANDBY/)
}

/** The standby's row in the list of standbys. */
const row = (terminal: Terminal) =>
  terminal
    .screen()
    .find(text => /^ /.test(text) && text.includes(standbyName.id) && /streaming|disconnected|catchup/.test(text)) ?? ''

async function written(bytes: number): Promise<void> {
  await admin.query(`select pg_logical_emit_message(false, 'x', repeat('x', ${bytes}))`)
  await admin.query('select pg_switch_wal()')
}

it('F18: our statement is cancelled by a conflict with replay (40001): the standby stays LIVE, the next tick is there', async () => {
  const terminal = await both('-i', '100ms')
  await withClient({ port: standby.port }, async client => {
    const cancelled = () =>
      readFileSync(standby.logFile, 'utf8').match(/^pgvigil \d+ ERROR: {2}canceling statement due to conflict with recovery/gm)
        ?.length ?? 0
    const printed = terminal.bytes().length
    const [pid] = await ownPids(client)
    // Our backend stands still most of the time, so that its statements last, and each vacuum on the primary ends what has a snapshot here.
    const until = performance.now() + 30_000
    while (performance.now() < until && cancelled() === 0) {
      freezePids(pid!)
      await admin.query('update rows set i = i where i <= 10')
      await admin.query('vacuum rows')
      await sleep(20)
      thaw()
      await sleep(1)
    }
    expect(cancelled()).toBeGreaterThan(0)
    await staysUsable(terminal, { others: [primaryName, standbyName], intervalMs: 300, forMs: 2000 })
    expect(terminal.bytes(printed).toString()).not.toMatch(/DOWN|CONNECTING/)
    expect(await ownPids(client)).toEqual([pid])
  })
  await quits(terminal)
})

it('F18: the conflict that ends the session, as far as it can be caused at will (pg_terminate_backend): another within 2 s', async () => {
  const terminal = await both()
  await withClient({ port: standby.port }, async client => {
    await sleep(5000)
    const [pid] = await ownPids(client)
    await client.query('select pg_terminate_backend($1)', [pid])
    await expect
      .poll(async () => (await ownPids(client)).some(other => other !== pid), { timeout: 2000, interval: 20 })
      .toBe(true)
    await live(terminal, standbyName, 2000)
  })
  await quits(terminal)
})

it('F19: the receiver is down: said within two intervals, the lag is never 0, its bytes come from the primary', async () => {
  const terminal = await both()
  await terminal.until(() => /lag 0/.test(lineOf(terminal, standbyName)), 'lag 0')
  const client = await connect({ port: standby.port })
  const { rows } = await client.query(`select current_setting('primary_conninfo') as good`)
  const alter = async (value: string) => {
    await client.query(`alter system set primary_conninfo = '${value}'`)
    await client.query('select pg_reload_conf()')
  }
  try {
    await alter(rows[0].good.replace(/port=\d+/, 'port=1'))
    await expect
      .poll(async () => (await client.query('select from pg_stat_wal_receiver')).rowCount, { timeout: 5000, interval: 10 })
      .toBe(0)
    const goneAt = performance.now()
    await terminal.until(() => /receiver down/.test(lineOf(terminal, standbyName)), 'receiver down', 4000)
    expect(performance.now() - goneAt).toBeLessThanOrEqual(2000)
    await written(100_000)
    await pane3(terminal)
    await terminal.waitFor(/receiver down/)
    await terminal.until(() => /lag \S+ \d/.test(lineOf(terminal, standbyName)), 'bytes of the primary', 4000)
    const shown = new Set<string>()
    for (let n = 0; n < 30; n++) {
      shown.add(/lag (\S+ \S+ ?[kMG]?B?)/.exec(lineOf(terminal, standbyName))?.[1] ?? '')
      await sleep(100)
    }
    for (const lag of shown) expect(lag).not.toMatch(/^[≤≥]?0(?:\.0)?s|^\S+ 0 B/)
    expect(row(terminal)).not.toMatch(/streaming/)
    terminal.write('1')
    await terminal.waitFor(/^ PID /m)
    await staysUsable(terminal, { others: [primaryName, standbyName], forMs: 1000 })
  } finally {
    await client.query('alter system reset primary_conninfo')
    await client.query('select pg_reload_conf()')
    await client.end()
  }
  await terminal.until(() => !/receiver down/.test(lineOf(terminal, standbyName)), 'the receiver again', 15_000)
  await quits(terminal)
})

it('F20: the receiver hangs: the primary’s view warns of the age of its last reply within 15 s; lags that are NULL are –', async () => {
  const terminal = await both()
  await pane3(terminal)
  await terminal.until(() => /streaming/.test(row(terminal)), 'streaming', 20_000)
  freezePids(childNamed(standby.pid(), 'walreceiver')!)
  const frozenAt = performance.now()
  await written(100_000)
  await terminal.until(() => /no reply \d+s/.test(row(terminal)), 'the age of the reply', 17_000)
  expect(performance.now() - frozenAt).toBeLessThanOrEqual(15_000)
  expect(row(terminal)).not.toMatch(/null|NaN|undefined/)
  expect(wordOf(terminal, primaryName)).toBe('LIVE')
  const { rows } = await admin.query('select write_lag, sent_lsn - write_lsn as behind from pg_stat_replication')
  expect(Number(rows[0].behind)).toBeGreaterThan(0)
  terminal.write('\r')
  await terminal.waitFor(/last reply +\d+s ago/)
  terminal.write('\x1b')
  await sleep(200)
  terminal.write('1')
  await terminal.waitFor(/^ PID /m)
  await staysUsable(terminal, { others: [primaryName, standbyName], forMs: 1000 })
  thaw()
  await quits(terminal)
})

const compiler = ['cc', 'gcc', 'clang'].find(name => {
  try {
    execFileSync(name, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})

/** Every clock that tells the time of day goes wrong by so many seconds; intervals are what they were. */
const wrongClock = `
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long skew(void) { const char *s = getenv("WRONG_CLOCK"); return s ? atol(s) : 0; }
int clock_gettime(clockid_t id, struct timespec *t) {
  int r = syscall(SYS_clock_gettime, id, t);
  if (r == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) t->tv_sec += skew();
  return r;
}
int gettimeofday(struct timeval *t, void *zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  t->tv_sec = now.tv_sec;
  t->tv_usec = now.tv_nsec / 1000;
  return 0;
}
time_t time(time_t *t) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (t) *t = now.tv_sec;
  return now.tv_sec;
}
`

describe.skipIf(skipped('F21, a wrong clock', compiler ? null : 'no C compiler to make it so'))(
  "F21: the standby's clock is wrong",
  () => {
    let library: string
    beforeAll(() => {
      library = join(folder.path, 'wrong-clock.so')
      writeFileSync(`${library}.c`, wrongClock)
      execFileSync(compiler!, ['-shared', '-fPIC', '-O1', '-o', library, `${library}.c`])
      chmodSync(library, 0o755)
    })

    async function restarted(seconds: number): Promise<void> {
      await standby.stop('fast')
      Object.assign(process.env, { LD_PRELOAD: library, WRONG_CLOCK: String(seconds) })
      try {
        await standby.start()
      } finally {
        delete process.env.LD_PRELOAD
        delete process.env.WRONG_CLOCK
      }
    }

    it.each([300, -300])('F21: by %d s, and an idle primary: no lag, nothing negative, the skew is noted', async seconds => {
      await restarted(seconds)
      const off = await withClient({ port: standby.port }, async client => {
        const { rows } = await client.query('select extract(epoch from clock_timestamp())::float8 as now')
        return rows[0].now - Date.now() / 1000
      })
      expect(Math.abs(off - seconds)).toBeLessThan(2)
      const terminal = await both()
      await pane3(terminal)
      await terminal.until(() => /streaming/.test(row(terminal)), 'streaming', 20_000)
      await terminal.waitFor(/clock skew (?:4m5[89]s|5m0[0-2]s)/)
      await terminal.waitFor(seconds > 0 ? /is ahead of/ : /is behind/)
      const lags = new Set<string>()
      for (let n = 0; n < 50; n++) {
        lags.add(/lag (\S+ \S+ \S*)/.exec(lineOf(terminal, standbyName))?.[1] ?? '')
        const negative = terminal
          .screen()
          .filter(text => text.includes(standbyName.id) && /[ ≤≥]-\d/.test(text.replace(/clock -\S+/, '')))
        expect(negative).toEqual([])
        await sleep(100)
      }
      for (const lag of lags) expect(lag).toMatch(/^[≤≥]?(?:0\.\ds|0s|1(?:\.0)?s) |^\S+ 0 B/)
      await quits(terminal)
      await restarted(0)
    })
  },
)

it('F17: promotion: the role changes within two intervals and a second, on the same session, without an error', async () => {
  const terminal = await both()
  const client = await connect({ port: standby.port })
  const before = await ownPids(client)
  const printed = terminal.bytes().length
  const promoted = client.query('select pg_promote(false)')
  const looker = await connect({ port: standby.port, application_name: 'looker' })
  await expect
    .poll(async () => (await looker.query('select pg_is_in_recovery() as standby')).rows[0].standby, {
      timeout: 20_000,
      interval: 10,
    })
    .toBe(false)
  const flippedAt = performance.now()
  await terminal.until(() => / primary +LIVE/.test(lineOf(terminal, standbyName)), 'the new role', 5000)
  expect(performance.now() - flippedAt).toBeLessThanOrEqual(3000)
  await promoted
  await staysUsable(terminal, { ...usable, others: [primaryName, standbyName] })
  expect(await ownPids(client)).toEqual(before)
  expect(terminal.bytes(printed).toString()).not.toMatch(/STALE|DOWN|CONNECTING|recovery is (?:not )?in progress|55000/)
  terminal.write('0')
  await terminal.waitFor(/promoted: a primary now/, 3000)
  expect(terminal.screen().filter(line => /promoted: a primary now/.test(line))).toHaveLength(1)
  await client.end()
  await looker.end()
  await quits(terminal)
})
