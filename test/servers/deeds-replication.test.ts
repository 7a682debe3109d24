// Replay paused and resumed, slots dropped, walsenders terminated: on primaries with a standby, of the oldest, the usual and the newest version.

import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { connect, withClient } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres, startStandby } from '../../src/lab/postgres.ts'
import { bytes } from '../../src/model/format.ts'
import { type AnyList, type AnyRow, list } from '../../src/panels/panel.ts'
import { replicationPanel } from '../../src/panels/replication.ts'
import { pulse } from '../../src/sql/server.ts'
import type { State, Work } from '../../src/store/state.ts'
import { type Acting, type Asked, acting } from '../support/acting.ts'

const [replication, slots] = replicationPanel.lists as readonly [AnyList, AnyList]
/** Read of every server whatever is shown. */
const beat = list({ ...replication, needs: [pulse] })

const running: Acting[] = []

afterEach(() => {
  for (const hands of running.splice(0)) hands.stop()
})

const outcomes = ({ items }: Work) => items.map(({ outcome }) => outcome)
const says = ({ items }: Work) => items.map(({ say }) => say)

/** Asks until the answer is as wanted. */
async function eventually<T>(what: string, ask: () => Promise<T>, isSo: (answer: T) => boolean): Promise<T> {
  const deadline = Date.now() + 20_000
  for (;;) {
    const answer = await ask()
    if (isSo(answer)) return answer
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}: ${JSON.stringify(answer)}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

describe.each([16, 13, 18] as const)('PostgreSQL %i', version => {
  let folder: Folder
  let primary: PostgresServer
  let standby: PostgresServer
  const open: pg.Client[] = []

  beforeAll(async () => {
    folder = temporaryFolder('pgvigil-replay')
    primary = await startPostgres({
      version,
      dir: folder.path,
      name: 'primary',
      settings: { wal_level: 'logical', wal_keep_size: '64MB' },
    })
    standby = await startStandby(primary, {
      dir: folder.path,
      name: 'replica',
      slot: 'replica_slot',
      settings: { wal_retrieve_retry_interval: '100ms', max_standby_streaming_delay: -1 },
    })
    await on(
      primary,
      'CREATE TABLE load (t text)',
      'CREATE ROLE watcher LOGIN',
      'GRANT pg_monitor TO watcher',
      'CREATE DATABASE other',
    )
  })
  afterEach(async () => {
    for (const client of open.splice(0)) await client.end().catch(() => {})
    if (standby.running()) await on(standby, 'SELECT pg_wal_replay_resume()')
  })
  afterAll(async () => {
    await standby?.stop('immediate')
    await primary?.stop('immediate')
    await folder?.remove()
  })

  type Row = Readonly<Record<string, unknown>>
  async function on(server: { port: number }, ...texts: readonly string[]): Promise<readonly Row[]> {
    return withClient({ port: server.port }, async client => {
      let rows: readonly Row[] = []
      for (const text of texts) rows = (await client.query<Row>(text)).rows
      return rows
    })
  }
  const load = (rows: number) => on(primary, `INSERT INTO load SELECT repeat('x', 500) FROM generate_series(1, ${rows})`)
  const isPaused = async () => (await on(standby, 'SELECT pg_is_wal_replay_paused() AS paused'))[0]!.paused
  const loaded = async (server: PostgresServer) => Number((await on(server, 'SELECT count(*) FROM load'))[0]!.count)
  /** What was granted a moment ago has come to the standby too. */
  const arrived = async () => {
    const [{ lsn } = { lsn: '' }] = await on(primary, 'SELECT pg_current_wal_insert_lsn()::text AS lsn')
    const reached = `SELECT pg_last_wal_replay_lsn() >= '${lsn}'::pg_lsn AS reached`
    await eventually(
      'the standby',
      () => on(standby, reached),
      rows => rows[0]!.reached === true,
    )
  }

  type Servers = Readonly<Record<string, PostgresServer>>
  function act(servers: Servers = { primary, replica: standby }, user = 'postgres'): Acting {
    const watched = Object.entries(servers).map(([id, { conninfo }]) => ({
      id,
      conninfo: conninfo.replace('postgres@', `${user}@`),
    }))
    const hands = acting(watched, [replication, slots, beat])
    running.push(hands)
    return hands
  }

  /** All servers have said all that a question needs. */
  const heard = ({ servers }: State) =>
    Object.values(servers).every(
      ({ readings, role }) => role !== null && readings.replicationSettings?.sample && readings.names?.sample,
    )

  async function standbyRow(hands: Acting, is: (row: AnyRow) => boolean = () => true, name = 'replica'): Promise<AnyRow> {
    await hands.until(heard, 'all answers')
    return hands.row(replication, row => row.standby === name && row.pid !== null && is(row), `the row of ${name}`)
  }
  async function slotRow(hands: Acting, name: string, is: (row: AnyRow) => boolean = () => true): Promise<AnyRow> {
    await hands.until(heard, 'all answers')
    return hands.row(slots, row => row.slot_name === name && is(row), `slot ${name}`)
  }

  const physical = `SELECT pg_create_physical_replication_slot('spare', true)`
  const unused = `SELECT pg_create_physical_replication_slot('spare')`
  const logical = `SELECT pg_create_logical_replication_slot('spare', 'test_decoding')`
  const spare = async () =>
    (await on(primary, `SELECT restart_lsn::text AS at FROM pg_replication_slots WHERE slot_name = 'spare'`)) as { at: string }[]
  const noSpare = () =>
    on(primary, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'spare'`)
  async function makeSpare(create = physical, database = 'postgres'): Promise<void> {
    await noSpare()
    await withClient({ port: primary.port, database }, client => client.query(create))
  }

  const walsenders = () =>
    on(primary, `SELECT pid FROM pg_stat_replication WHERE application_name = 'replica' AND state = 'streaming'`) as Promise<
      { pid: number }[]
    >

  describe('replay', () => {
    test('is paused and resumed, which the standby itself confirms', async () => {
      const hands = act()
      const row = await standbyRow(hands, ({ replayPaused }) => replayPaused === false)
      expect(hands.ask('resumeReplay', [row])).toBe('replay is not paused')
      const pause = hands.ask('pauseReplay', [row])
      expect(pause).toMatchObject({
        words: null,
        targets: [{ server: 'replica', role: 'standby' }],
        sql: ['SELECT pg_catalog.pg_wal_replay_pause()'],
        question: { hit: [['replica', 'replica', expect.any(String)]] },
      })
      expect((await hands.confirm(pause)).items).toMatchObject([
        { outcome: 'done', say: expect.stringContaining('replay is paused') },
      ])
      expect(await isPaused()).toBe(true)
      const before = await loaded(standby)
      await load(10)
      const paused = await standbyRow(hands, ({ replayPaused, lagBytes }) => replayPaused === true && (lagBytes as bigint) > 0n)
      expect(await loaded(standby)).toBe(before)
      expect(hands.ask('pauseReplay', [paused])).toBe('replay is paused already; R resumes it')

      const resume = hands.ask('resumeReplay', [paused])
      expect(resume).toMatchObject({ words: null, sql: ['SELECT pg_catalog.pg_wal_replay_resume()'] })
      expect((await hands.confirm(resume)).items).toMatchObject([{ outcome: 'done', say: 'replay goes on' }])
      expect(await isPaused()).toBe(false)
      await eventually(
        'the rows',
        () => loaded(standby),
        count => count === before + 10,
      )
      expect(hands.audit().map(({ phase, action, server, role, outcome }) => [phase, action, server, role, outcome])).toEqual([
        ['begun', 'pauseReplay', 'replica', 'standby', null],
        ['ended', 'pauseReplay', 'replica', 'standby', 'done'],
        ['begun', 'resumeReplay', 'replica', 'standby', null],
        ['ended', 'resumeReplay', 'replica', 'standby', 'done'],
      ])
    })

    const revoke = ['pause', 'resume'].map(verb => `REVOKE EXECUTE ON FUNCTION pg_catalog.pg_wal_replay_${verb}() FROM watcher`)

    test('takes EXECUTE: refused beforehand with the GRANT, with it done', async () => {
      await on(primary, ...revoke)
      await arrived()
      const hands = act(undefined, 'watcher')
      const row = await standbyRow(hands, ({ replayPaused }) => replayPaused === false)
      const grants: string[] = []
      for (const [action, verb, replayPaused] of [
        ['pauseReplay', 'pause', false],
        ['resumeReplay', 'resume', true],
      ] as const) {
        if (replayPaused) await on(standby, 'SELECT pg_wal_replay_pause()')
        const why = hands.ask(action, [await standbyRow(hands, row => row.replayPaused === replayPaused)])
        expect(why).toContain(`GRANT EXECUTE ON FUNCTION pg_catalog.pg_wal_replay_${verb}() TO watcher;`)
        grants.push(/GRANT .*;/.exec(why as string)![0])
      }
      await on(standby, 'SELECT pg_wal_replay_resume()')
      await on(primary, ...grants)
      await arrived()
      hands.poller.again('replica')
      await hands.until(
        ({ servers }) => servers.replica!.facts!.pausesReplay && servers.replica!.facts!.resumesReplay,
        'the right',
      )
      await standbyRow(hands, ({ replayPaused }) => replayPaused === false)
      expect(outcomes(await hands.confirm(hands.ask('pauseReplay', [row])))).toEqual(['done'])
      expect(await isPaused()).toBe(true)
      await standbyRow(hands, ({ replayPaused }) => replayPaused === true)
      expect(outcomes(await hands.confirm(hands.ask('resumeReplay', [row])))).toEqual(['done'])
      expect(await isPaused()).toBe(false)
      await standbyRow(hands, ({ replayPaused }) => replayPaused === false)

      const asked = hands.ask('pauseReplay', [row])
      hands.poller.stop()
      await on(primary, ...revoke)
      await arrived()
      const late = await hands.confirm(asked)
      expect(outcomes(late)).toEqual(['refused'])
      expect(says(late)[0]).toBe('refused: permission denied for function pg_wal_replay_pause')
      expect(await isPaused()).toBe(false)
    })

    test('a role that may pause and not resume is told so: a GRANT would not come through to a paused standby', async () => {
      await on(primary, ...revoke, 'GRANT EXECUTE ON FUNCTION pg_catalog.pg_wal_replay_pause() TO watcher')
      await arrived()
      const hands = act(undefined, 'watcher')
      const asked = hands.ask('pauseReplay', [await standbyRow(hands, ({ replayPaused }) => replayPaused === false)])
      const told = typeof asked === 'string' ? asked : asked.question.follows.map(({ text }) => text).join('\n')
      expect(told).toContain('GRANT EXECUTE ON FUNCTION pg_catalog.pg_wal_replay_resume() TO watcher;')
    })

    test('of a standby that is not watched can not be paused, and the key says what is missing', async () => {
      const hands = act({ primary })
      await hands.until(heard, 'all answers')
      const row = await hands.row(replication, ({ application_name }) => application_name === 'replica', 'the walsender')
      expect(row.standby).toBeNull()
      const why = 'the standby itself is not watched: name its conninfo to pgvigil too'
      expect(hands.ask('pauseReplay', [row])).toBe(why)
      expect(hands.ask('resumeReplay', [row])).toBe(why)
    })

    test('paused by somebody else in between: it stays paused, and nothing is broken', async () => {
      const hands = act()
      const asked = hands.ask('pauseReplay', [await standbyRow(hands, ({ replayPaused }) => replayPaused === false)])
      hands.poller.stop()
      await on(standby, 'SELECT pg_wal_replay_pause()')
      expect(outcomes(await hands.confirm(asked))).toEqual(['done'])
      expect(await isPaused()).toBe(true)
    })

    // Before 14 a standby says "paused" as soon as it was asked.
    test.runIf(version >= 14)('held up by a conflict: asked for and not called paused before it is', async () => {
      const reader = await connect({ port: standby.port })
      open.push(reader)
      await reader.query('BEGIN; SELECT count(*) FROM load')
      await on(primary, 'BEGIN; LOCK TABLE load IN ACCESS EXCLUSIVE MODE; COMMIT')
      const replaying = `SELECT wait_event_type FROM pg_stat_activity WHERE backend_type = 'startup'`
      await eventually(
        'replay to wait',
        () => on(standby, replaying),
        rows => rows[0]?.wait_event_type === 'Lock',
      )
      const hands = act()
      const pause = hands.ask('pauseReplay', [await standbyRow(hands, ({ replayPaused }) => replayPaused === false)])
      const work = hands.begin(pause)
      await hands.until(() => outcomes(work())[0] === 'signal sent', 'the first word')
      expect(work().items).toMatchObject([{ ended: false, say: expect.stringContaining('"pause requested"') }])
      await hands.until(() => work().endedAt !== null, 'the last word')
      expect(work().items).toMatchObject([
        { outcome: 'signal sent', say: 'asked for; after 4 s the standby still says "pause requested"' },
      ])
      await reader.query('ROLLBACK')
      const state = 'SELECT pg_get_wal_replay_pause_state() AS state'
      await eventually(
        'the pause',
        () => on(standby, state),
        rows => rows[0]!.state === 'paused',
      )
    })
  })

  describe('the standby has become something else in between', () => {
    // What the deed's connection finds out has nothing to do with the version: one is enough.
    let tries = 0
    test.runIf(version === 16)('promoted: nothing is done, and that is said', async () => {
      const other = await startStandby(primary, { dir: folder.path, name: `promoted${++tries}`, slot: null })
      try {
        const hands = act({ primary, promoted: other })
        const asked = hands.ask('pauseReplay', [await standbyRow(hands, undefined, 'promoted')])
        hands.poller.stop()
        await on(other, 'SELECT pg_promote(true, 30)')
        // Not heard of yet: the deed's own connection finds out.
        const work = await hands.confirm(asked)
        expect(work.items).toMatchObject([{ outcome: 'refused', say: 'nothing was done: the server is a primary now' }])
        expect(hands.audit()).toMatchObject([{ phase: 'begun' }, { phase: 'ended', outcome: 'refused' }])
        // Heard of, while the question was open.
        const later = act({ primary, promoted: other })
        await later.until(({ servers }) => servers.promoted?.role === 'primary', 'the news')
        const known = await later.confirm(asked)
        expect(known.items).toMatchObject([
          { outcome: 'refused', say: 'nothing was done: promoted is a primary now and was a standby: look again' },
        ])
        expect(later.audit).toThrow('ENOENT')
      } finally {
        await other.stop('immediate')
      }
    })

    test.runIf(version === 16)('restarted: nothing is done, and that is said', async () => {
      const hands = act()
      const asked = hands.ask('pauseReplay', [await standbyRow(hands, ({ replayPaused }) => replayPaused === false)])
      hands.poller.stop()
      await standby.restart()
      const work = await hands.confirm(asked)
      expect(work.items).toMatchObject([
        { outcome: 'refused', say: expect.stringMatching(/^nothing was done: the server was restarted since/) },
      ])
      expect(await isPaused()).toBe(false)
      await eventually('the standby to be back', walsenders, rows => rows.length === 1)
    })
  })

  describe('a slot', () => {
    test.each([
      ['physical', physical, 'postgres'],
      ['logical, of another database', logical, 'other'],
    ])('%s: dropped, with the WAL that this frees', async (_kind, create, database) => {
      await makeSpare(create, database)
      await load(4000)
      const hands = act()
      const row = await slotRow(hands, 'spare', ({ retainedBytes }) => (retainedBytes as bigint) > 1_000_000n)
      const asked = hands.ask('dropSlot', [row]) as Asked
      const held = bytes(row.retainedBytes as bigint)
      expect(asked).toMatchObject({ words: ['spare'], sql: [expect.stringMatching(/pg_drop_replication_slot.*'spare'/)] })
      expect(asked.question.follows[0]).toEqual({ text: `frees ${held} of WAL, with the next checkpoints`, tone: 'ok' })
      expect(asked.question.follows.map(({ text }) => text).join()).not.toContain('primary_slot_name')
      const work = await hands.confirm(asked)
      expect(work.items).toMatchObject([{ outcome: 'done', say: `dropped: ${held} of WAL can go with the next checkpoints` }])
      expect(await spare()).toEqual([])
      await hands.until(() => !hands.rows(slots).some(({ slot_name }) => slot_name === 'spare'), 'the list without it')
      expect(hands.audit()).toMatchObject([
        {
          phase: 'begun',
          action: 'dropSlot',
          server: 'primary',
          role: 'primary',
          target: { slot_name: 'spare', restart_lsn: row.restart_lsn },
        },
        { phase: 'ended', outcome: 'done' },
      ])
    })

    test('that was never used holds no WAL, and is dropped too', async () => {
      await makeSpare(unused)
      const hands = act()
      const asked = hands.ask('dropSlot', [await slotRow(hands, 'spare')]) as Asked
      expect(asked.question.follows[0]).toMatchObject({ text: 'it holds no WAL' })
      expect((await hands.confirm(asked)).items).toMatchObject([{ outcome: 'done', say: 'dropped' }])
      expect(await spare()).toEqual([])
    })

    test('in use is refused beforehand', async () => {
      const hands = act()
      const row = await slotRow(hands, 'replica_slot', ({ active }) => active === true)
      expect(hands.ask('dropSlot', [row])).toBe('the slot is in use: terminate its walsender first, or take its standby away')
    })

    test('that somebody has taken into use in between is left alone', async () => {
      await makeSpare()
      const hands = act()
      const asked = hands.ask('dropSlot', [await slotRow(hands, 'spare')])
      hands.poller.stop()
      const pid = await streamFrom('spare')
      const work = await hands.confirm(asked)
      expect(work.items).toMatchObject([{ outcome: 'refused', say: `nothing was done: the slot is in use now, by pid ${pid}` }])
      expect(await spare()).toHaveLength(1)
    })

    test.each([
      ['moved on', `SELECT pg_replication_slot_advance('spare', pg_current_wal_lsn())`],
      ['was made anew under the same name', physical],
    ])('that %s in between is left alone', async (_what, change) => {
      await makeSpare()
      const [before] = await spare()
      const hands = act()
      const asked = hands.ask('dropSlot', [await slotRow(hands, 'spare')])
      hands.poller.stop()
      await load(100)
      // The new one reserves from the last checkpoint's position on.
      await on(primary, 'CHECKPOINT')
      if (change === physical) await makeSpare()
      else await on(primary, change)
      const [after] = await spare()
      expect(after!.at).not.toBe(before!.at)
      const work = await hands.confirm(asked)
      expect(work.items).toMatchObject([
        { outcome: 'refused', say: 'nothing was done: the slot has moved on since you looked at it' },
      ])
      expect(await spare()).toEqual([after])
    })

    test('that somebody dropped in between is already gone, and the open question sees it', async () => {
      await makeSpare()
      const hands = act()
      const asked = hands.ask('dropSlot', [await slotRow(hands, 'spare')]) as Asked
      const since = Date.now()
      const gone = () => asked.action.gone(asked.targets[0]!, hands.state(), since)
      expect(gone()).toBe(false)
      await noSpare()
      await hands.until(gone, 'the slot to vanish')
      expect((await hands.confirm(asked)).items).toMatchObject([
        { outcome: 'already gone', say: 'already gone: nothing was done' },
      ])
      expect(hands.audit()).toMatchObject([{ phase: 'begun' }, { phase: 'ended', outcome: 'already gone' }])
    })

    test('takes REPLICATION: refused beforehand with the statement that gives it, with it done', async () => {
      await makeSpare()
      await on(primary, 'ALTER ROLE watcher NOREPLICATION')
      const hands = act({ primary }, 'watcher')
      const row = await slotRow(hands, 'spare')
      const why = hands.ask('dropSlot', [row])
      expect(why).toBe('no right: ALTER ROLE watcher REPLICATION; (to drop slots)')
      await on(primary, /ALTER .*;/.exec(why as string)![0])
      const mayDrop = () => {
        hands.poller.again('primary')
        return hands.until(({ servers }) => servers.primary!.facts!.hasReplication, 'the right')
      }
      await mayDrop()
      const asked = hands.ask('dropSlot', [row])
      await on(primary, 'ALTER ROLE watcher NOREPLICATION')
      const refused = await hands.confirm(asked)
      expect(outcomes(refused)).toEqual(['refused'])
      expect(says(refused)[0]).toMatch(/^refused: .*replication slots?/)
      expect(await spare()).toHaveLength(1)
      await on(primary, 'ALTER ROLE watcher REPLICATION')
      await mayDrop()
      expect(outcomes(await hands.confirm(asked))).toEqual(['done'])
      expect(await spare()).toEqual([])
    })

    test('that a watched standby is set to use: the question warns that it must then be rebuilt', async () => {
      await makeSpare()
      const hands = act()
      await slotRow(hands, 'replica_slot', ({ active }) => active === true)
      await standby.stop()
      try {
        const row = await slotRow(hands, 'replica_slot', ({ active }) => active === false)
        const asked = hands.ask('dropSlot', [row]) as Asked
        expect(asked.words).toEqual(['replica_slot'])
        expect(asked.question.follows).toContainEqual({
          text: expect.stringMatching(/^standby replica is set to use it \(primary_slot_name\).*must be rebuilt$/),
          tone: 'critical',
        })
        const other = hands.ask('dropSlot', [await slotRow(hands, 'spare')]) as Asked
        expect(other.question.follows.map(({ tone }) => tone)).not.toContain('critical')
        const left = await hands.row(replication, ({ slot_name, pid }) => slot_name === 'replica_slot' && pid === null, 'it')
        expect(hands.ask('terminateWalsender', [left])).toBe('no walsender serves it now')
      } finally {
        await standby.start()
        await eventually('the standby to be back', walsenders, rows => rows.length === 1)
      }
    })
  })

  /** A client that streams from a slot, as pg_receivewal would; its pid. */
  async function streamFrom(slot: string): Promise<number> {
    const settings = {
      host: '127.0.0.1',
      port: primary.port,
      user: 'postgres',
      database: 'postgres',
      ssl: false,
      replication: 'true',
    }
    const client = new pg.Client(settings)
    client.on('error', () => {})
    await client.connect()
    open.push(client)
    const [{ at } = { at: '' }] = await spare()
    // It goes on for as long as the client lives.
    client.query(`START_REPLICATION SLOT ${slot} PHYSICAL ${at}`).catch(() => {})
    const active = `SELECT active_pid FROM pg_replication_slots WHERE slot_name = '${slot}' AND active`
    const [row] = await eventually(
      'the slot to be in use',
      () => on(primary, active),
      rows => rows.length === 1,
    )
    return row!.active_pid as number
  }

  describe('a walsender', () => {
    test('is terminated after its application_name was typed; the standby connects again', async () => {
      const hands = act()
      const row = await standbyRow(hands)
      const asked = hands.ask('terminateWalsender', [row]) as Asked
      expect(asked.words).toEqual(['replica', String(row.pid)])
      expect(asked.targets).toMatchObject([{ server: 'primary', role: 'primary', pid: row.pid }])
      expect(asked.question.follows[0]).toMatchObject({ text: expect.stringMatching(/^replica is cut off/), tone: 'critical' })
      const work = await hands.confirm(asked)
      expect(work.items).toMatchObject([{ outcome: 'gone', say: expect.stringMatching(/^gone after /) }])
      const [sender] = await eventually('a new walsender', walsenders, rows => rows.length === 1 && rows[0]!.pid !== row.pid)
      await standbyRow(hands, ({ pid, state }) => pid === sender!.pid && state === 'streaming')
      expect(hands.audit()).toMatchObject([
        { phase: 'begun', action: 'terminateWalsender', target: { pid: row.pid, application_name: 'replica' } },
        { phase: 'ended', outcome: 'gone' },
      ])
    })

    test('that was replaced in between is already gone, and the new one lives', async () => {
      const hands = act()
      const row = await standbyRow(hands)
      const asked = hands.ask('terminateWalsender', [row])
      hands.poller.stop()
      await on(primary, `SELECT pg_terminate_backend(${row.pid})`)
      const [sender] = await eventually('a new walsender', walsenders, rows => rows.length === 1 && rows[0]!.pid !== row.pid)
      expect(outcomes(await hands.confirm(asked))).toEqual(['already gone'])
      expect(await walsenders()).toEqual([sender])
    })

    test('of a superuser can not be terminated by a role that is none, whatever it was granted', async () => {
      await on(primary, 'GRANT pg_signal_backend TO watcher')
      try {
        const hands = act({ primary }, 'watcher')
        await hands.until(heard, 'all answers')
        const row = await hands.row(replication, ({ application_name }) => application_name === 'replica', 'the walsender')
        expect(hands.ask('terminateWalsender', [row])).toBe(
          'only a superuser may signal a session of superuser postgres, and watcher is none',
        )
      } finally {
        await on(primary, 'REVOKE pg_signal_backend FROM watcher')
      }
    })
  })
})
