import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ReplicationRow, SlotListRow } from '../../src/model/replication.ts'
import { untrusted, width } from '../../src/model/untrusted.ts'
import type { Selected } from '../../src/panels/panel.ts'
import { replicationPanel } from '../../src/panels/replication.ts'
import { postgresFigures } from '../../src/panels/summary.ts'
import { conflicts, receiver, replicationSettings, senders, slots } from '../../src/sql/replication.ts'
import { pulse } from '../../src/sql/server.ts'
import type { LsnPoint, Sample, State } from '../../src/store/state.ts'
import { noon, type ServerOptions, sampleOf, stateOf } from '../support/state.ts'

const [standbys, slotList] = replicationPanel.lists
const select = (state: State) => standbys!.select(state) as unknown as Selected<ReplicationRow>
const rowsOf = (state: State) => select(state).rows
const slotRowsOf = (state: State) => slotList!.select(state).rows as unknown as readonly SlotListRow[]

const MB = 1_000_000n
/** The primary's position now; it wrote 1 MB in each second of the last minute. */
const current = 1000n * MB
const written: readonly LsnPoint[] = [
  ...Array.from({ length: 60 }, (_, i) => ({ at: noon - 500 - (59 - i) * 1000, lsn: current - MB / 2n - BigInt(59 - i) * MB })),
  { at: noon, lsn: current },
]
/** A server's clock, in seconds: an hour off ours, so that no test passes by mixing them. */
const clock = noon / 1000 + 3600

type Row = Readonly<Record<string, unknown>>
const facts = { systemIdentifier: 7n, readsAllStats: true } as ServerOptions['facts']
const samples = (server: string, all: Record<string, readonly Row[]>, at = noon): Sample[] =>
  [pulse, senders, slots, receiver, conflicts, replicationSettings].flatMap(query => {
    const rows = all[query.id]
    return rows ? [sampleOf(query, rows, { server, at })] : []
  })

const pulseOf = (row: Row) => ({
  in_recovery: false,
  clock_epoch: clock,
  postmaster_start_epoch: 0,
  own_pid: 1,
  clients: 1,
  active: 1,
  waiting: 0,
  idle_in_transaction: 0,
  restricted: 0,
  ...row,
})
const senderOf = (row: Row = {}) => {
  const seen = row.seen === undefined ? current : row.seen
  return {
    pid: 100,
    application_name: 'walreceiver',
    state: 'streaming',
    sent_lsn: seen,
    write_lsn: seen,
    flush_lsn: seen,
    replay_lsn: seen,
    sync_state: 'async',
    sync_priority: 0,
    current_lsn: current,
    clock_epoch: clock,
    reply_epoch: clock,
    backend_start: '2026-11-23 10:00:00.000001+00',
    ...row,
  }
}
const slotOf = (row: Row) => ({
  slot_type: 'physical',
  temporary: false,
  active: false,
  wal_status: 'reserved',
  current_lsn: current,
  ...row,
})
const settingsOf = (row: Row = {}) => ({
  statusIntervalSeconds: 10,
  senderTimeoutMs: 60_000,
  applyDelayMs: 0,
  hot_standby_feedback: false,
  max_slot_wal_keep_size: '-1',
  ...row,
})
const receiverOf = (row: Row = {}) => ({
  pid: 50,
  status: 'streaming',
  received_tli: 1,
  latest_end_lsn: current,
  last_msg_send_epoch: clock,
  last_msg_receipt_epoch: clock,
  sender_host: '10.0.0.1',
  sender_port: 5432,
  application_name: 'walreceiver',
  clock_epoch: clock,
  ...row,
})

function primary(all: Record<string, readonly Row[]> = {}, more: Partial<ServerOptions> = {}): ServerOptions {
  const id = more.id ?? 'p'
  const asked = {
    pulse: [pulseOf({ lsn: current, timeline: '00000001' })],
    senders: [],
    slots: [],
    replicationSettings: [settingsOf()],
    ...all,
  }
  return { id, role: 'primary', host: '10.0.0.1', facts: facts!, lsnHistory: written, samples: samples(id, asked), ...more }
}

/** `at`: what it had replayed; it has received `received`. */
function standby(
  id: string,
  at: bigint,
  all: Record<string, readonly Row[]> = {},
  more: Partial<ServerOptions> & { pulse?: Row } = {},
): ServerOptions {
  const { pulse: own = {}, ...rest } = more
  const asked = {
    pulse: [
      pulseOf({
        in_recovery: true,
        lsn: at,
        receive_lsn: current,
        replay_pause: 'not paused',
        last_replay_epoch: clock - 12,
        ...own,
      }),
    ],
    senders: [],
    slots: [],
    receiver: [receiverOf()],
    conflicts: [],
    replicationSettings: [settingsOf()],
    ...all,
  }
  return {
    id,
    role: 'standby',
    host: id,
    facts: facts!,
    lsnHistory: [{ at: noon, lsn: at }],
    samples: samples(id, asked),
    ...rest,
  }
}

const sum = (row: ReplicationRow) => row.unsentBytes! + row.writeGapBytes! + row.flushGapBytes! + row.replayGapBytes!

describe('one row from both ends', () => {
  test("the standby's own newer position counts: the primary hears of it only every 10 s when idle", () => {
    const [row] = rowsOf(stateOf([primary({ senders: [senderOf({ replay_lsn: current - 5n * MB })] }), standby('s', current)]))
    expect(row).toMatchObject({
      server: 'p',
      standby: 's',
      state: 'streaming',
      receiver: 'streaming',
      lagBytes: 0n,
      lagSeconds: 0,
    })
  })

  test('phases add up to the lag, in order, whatever the two ends say', () => {
    const sender = senderOf({
      sent_lsn: current - 1n * MB,
      write_lsn: current - 3n * MB,
      flush_lsn: current - 4n * MB,
      replay_lsn: current - 20n * MB,
    })
    const [row] = rowsOf(
      stateOf([
        primary({ senders: [sender] }),
        standby('s', current - 12n * MB, {}, { pulse: { receive_lsn: current - 5n * MB } }),
      ]),
    )
    expect(row).toMatchObject({ lagBytes: 12n * MB, lagSeconds: 12, lagIsUpperBound: false, unsentBytes: 1n * MB })
    expect(sum(row!)).toBe(row!.lagBytes)
    expect([row!.writeGapBytes, row!.flushGapBytes, row!.replayGapBytes].every(gap => gap !== null && gap >= 0n)).toBe(true)
  })

  test('whatever the two ends say at whatever moments: no phase below 0, and their sum is the lag', () => {
    const position = fc.bigInt(current - 70n * MB, current)
    const ends = fc.record({
      sent: fc.array(position, { minLength: 4, maxLength: 4 }),
      received: position,
      replayed: position,
      progress: fc.bigInt(0n, 5n * MB),
      at: fc.integer({ min: -1500, max: 1500 }),
    })
    fc.assert(
      fc.property(ends, ({ sent, received, replayed, progress, at }) => {
        const [sent_lsn, write_lsn, flush_lsn, replay_lsn] = [...sent].sort((a, b) => (a < b ? 1 : -1))
        const own = standby(
          's',
          replayed,
          {},
          {
            pulse: { receive_lsn: received },
            lsnHistory: [
              { at: noon + at - 1000, lsn: replayed - progress },
              { at: noon + at, lsn: replayed },
            ],
          },
        )
        const state = stateOf([
          primary({ senders: [senderOf({ sent_lsn, write_lsn, flush_lsn, replay_lsn })] }),
          { ...own, samples: own.samples!.map(sample => ({ ...sample, at: noon + at })) },
        ])
        const row = rowsOf(state)[0]!
        expect(sum(row)).toBe(row.lagBytes)
        for (const gap of [row.unsentBytes, row.writeGapBytes, row.flushGapBytes, row.replayGapBytes])
          expect(gap! >= 0n).toBe(true)
        expect(row.lagSeconds === 0 || row.lagBytes! > 0n).toBe(true)
      }),
    )
  })

  test('a standby read later than its primary can be ahead of what we know of it: 0, never negative', () => {
    const [row] = rowsOf(stateOf([primary({ senders: [senderOf()] }), standby('s', current + 3n * MB)]))
    expect(row).toMatchObject({ lagBytes: 0n, lagSeconds: 0, unsentBytes: 0n, replayGapBytes: 0n })
  })

  test('a position of a later moment is taken back to the moment of the primary', () => {
    const behind = { senders: [senderOf({ replay_lsn: current - 10n * MB })] }
    const later = (lsn: bigint) =>
      standby(
        's',
        lsn,
        {},
        {
          lsnHistory: [
            { at: noon - 500, lsn: current - 10n * MB },
            { at: noon + 500, lsn },
          ],
        },
      )
    expect(rowsOf(stateOf([primary(behind), later(current - 2n * MB)]))[0]).toMatchObject({ lagBytes: 6n * MB, lagSeconds: 6 })
    // All of it half a second later: that is no lag worth showing.
    expect(rowsOf(stateOf([primary(behind), later(current)]))[0]).toMatchObject({ lagBytes: 0n, lagSeconds: 0 })
    // But nobody replays what had not been sent.
    const held = { senders: [senderOf({ seen: current - 10n * MB })] }
    expect(rowsOf(stateOf([primary(held), later(current)]))[0]).toMatchObject({ lagBytes: 10n * MB, unsentBytes: 10n * MB })
  })

  test('from the pulses alone: what the primary wrote since its last sample is no lag of a standby that had all before', () => {
    const figures = (at: number, lsn: bigint) => {
      const own = standby('s', lsn)
      return postgresFigures(stateOf([primary(), { ...own, samples: own.samples!.map(sample => ({ ...sample, at })) }]), 's')
        .standby
    }
    expect(figures(noon - 200, current - MB / 2n)).toMatchObject({ lagBytes: 0n, lagSeconds: 0 })
    expect(figures(noon + 400, current - 1n)).toMatchObject({ lagBytes: 1n })
    expect(figures(noon - 250, current - 12n * MB)).toMatchObject({ lagBytes: 12n * MB - MB / 4n, lagSeconds: 11.75 })
  })

  test('a standby just started: received less than replayed', () => {
    const [row] = rowsOf(
      stateOf([
        primary({ senders: [senderOf({ seen: null })] }),
        standby('s', current - 2n * MB, {}, { pulse: { receive_lsn: current - 9n * MB } }),
      ]),
    )
    expect(row).toMatchObject({ lagBytes: 2n * MB, unsentBytes: 2n * MB, replayGapBytes: 0n })
  })

  test('a position beyond all samples: the commit time bounds the lag, by the clock of the primary alone', () => {
    const late = standby('s', current - 900n * MB, {}, { pulse: { last_replay_epoch: clock - 900, clock_epoch: clock + 300 } })
    const state = stateOf([primary({ senders: [senderOf({ seen: current - 900n * MB })] }), late])
    expect(rowsOf(state)[0]).toMatchObject({ lagBytes: 900n * MB, lagSeconds: 900, lagIsUpperBound: true, clockSkewSeconds: 300 })
    expect(postgresFigures(state, 's').standby).toMatchObject({ lagBytes: 900n * MB, lagSeconds: 900, lagIsUpperBound: true })
  })

  test('a pause that is asked for is a pause', () => {
    const state = stateOf([
      primary({ senders: [senderOf()] }),
      standby('s', current, {}, { pulse: { replay_pause: 'pause requested' } }),
    ])
    expect(rowsOf(state)[0]).toMatchObject({ replayPaused: true })
  })

  test('conflicts of the last interval; none across a reset', () => {
    const told = (before: bigint, now: bigint) => {
      const server = standby('s', current, { conflicts: [{ conflicts: before }] })
      return stateOf([
        primary({ senders: [senderOf()] }),
        { ...server, samples: [...server.samples!, sampleOf(conflicts, [{ conflicts: now }], { server: 's' })] },
      ])
    }
    expect(rowsOf(told(3n, 5n))[0]).toMatchObject({ conflicts: 5n, newConflicts: 2n })
    expect(rowsOf(told(3n, 1n))[0]).toMatchObject({ conflicts: 1n, newConflicts: null })
  })
})

describe('not connected', () => {
  test('a receiver that is down outweighs a walsender that has not noticed', () => {
    const state = stateOf([primary({ senders: [senderOf()] }), standby('s', current, { receiver: [] })])
    expect(rowsOf(state)).toMatchObject([{ state: 'disconnected', receiver: 'down', lagBytes: null, lagSeconds: null }])
    expect(postgresFigures(state, 's').standby).toMatchObject({ receiver: 'down', lagBytes: null, lagSeconds: null })
  })

  test("without a walsender the lag is counted from the primary's own WAL", () => {
    const slot = slotOf({ slot_name: 'one', restart_lsn: current - 9n * MB })
    const gone = standby(
      's',
      current - 7n * MB,
      { receiver: [], replicationSettings: [settingsOf({ primary_slot_name: 'one' })] },
      { pulse: { receive_lsn: current - 6n * MB } },
    )
    const [row, ...others] = rowsOf(stateOf([primary({ slots: [slot] }), gone]))
    expect(others).toEqual([])
    expect(row).toMatchObject({
      server: 'p',
      standby: 's',
      state: 'disconnected',
      slot_name: 'one',
      retainedBytes: 9n * MB,
      lagBytes: 7n * MB,
      lagSeconds: 7,
      unsentBytes: 6n * MB,
    })
    expect(sum(row!)).toBe(row!.lagBytes)
  })

  test('a standby that does not answer: its last position is no news', () => {
    const silent = standby('s', current, {}, { link: { state: 'down', word: 'DOWN', since: noon, why: 'refused' } })
    expect(rowsOf(stateOf([primary(), silent]))).toMatchObject([
      { standby: 's', state: 'disconnected', receiver: null, lagBytes: null, lagSeconds: null },
    ])
  })

  test('slots nobody uses: a lost one and one that holds WAL are standbys that are gone; one never used is none', () => {
    const state = stateOf([
      primary({
        slots: [
          slotOf({ slot_name: 'gone', restart_lsn: current - 5n * MB }),
          slotOf({ slot_name: 'lost', wal_status: 'lost', invalidation_reason: 'wal_removed' }),
          slotOf({ slot_name: 'new' }),
          slotOf({ slot_name: 'subscriber', slot_type: 'logical', plugin: 'pgoutput', restart_lsn: current - 5n * MB }),
          slotOf({ slot_name: 'backup', temporary: true, restart_lsn: current }),
        ],
      }),
    ])
    expect(rowsOf(state)).toMatchObject([
      {
        application_name: null,
        slot_name: 'gone',
        state: 'disconnected',
        retainedBytes: 5n * MB,
        lagBytes: null,
        lagSeconds: null,
      },
      { application_name: null, slot_name: 'lost', state: 'disconnected', retainedBytes: null, wal_status: 'lost' },
    ])
    expect(slotRowsOf(state).map(slot => slot.slot_name)).toEqual(['gone', 'lost', 'new', 'subscriber', 'backup'])
    expect(slotRowsOf(state)[0]).toMatchObject({ server: 'p', restart_lsn: '0/3B4E7EC0', retainedBytes: 5n * MB, active: false })
  })

  test('a promoted standby has no lag, whatever its functions still return', () => {
    const promoted = { ...standby('s', current - 50n * MB), role: 'primary' as const }
    const alone = {
      ...promoted,
      samples: samples('s', {
        pulse: [pulseOf({ lsn: current, timeline: '0000000A', postmaster_start_epoch: 7 })],
        senders: [],
        slots: [],
      }),
    }
    const state = stateOf([primary(), alone])
    expect(rowsOf(state)).toEqual([])
    expect(postgresFigures(state, 's').standby).toBeNull()
    expect(select(state).notice).toBe('TWO PRIMARIES of one system: s (timeline 10) and p (timeline 1); promoted last: s')
    // The same server watched by another name.
    const twice = { ...primary(), id: 'q', host: 'elsewhere' }
    expect(select(stateOf([primary(), twice])).notice).toBeUndefined()
  })
})

describe('a standby whose primary nobody watches', () => {
  test('idle and streaming: 0', () => {
    const state = stateOf([standby('s', current, {}, { pulse: { last_replay_epoch: clock - 900 } })])
    expect(rowsOf(state)).toMatchObject([
      { server: 's', standby: 's', state: 'streaming', lagBytes: 0n, lagSeconds: 0, lagIsUpperBound: false },
    ])
  })

  test('behind: the bytes it has heard of, and at most so many seconds by the clock of its primary', () => {
    // Its own clock is 300 s ahead and plays no part; the sender's last word is 2 s old.
    const heard = receiverOf({ clock_epoch: clock + 302, last_msg_receipt_epoch: clock + 300, last_msg_send_epoch: clock })
    const state = stateOf([standby('s', current - 4n * MB, { receiver: [heard] }, { pulse: { last_replay_epoch: clock - 10 } })])
    expect(rowsOf(state)[0]).toMatchObject({ lagBytes: 4n * MB, replayGapBytes: 4n * MB, lagSeconds: 12, lagIsUpperBound: true })
  })

  test.each([
    ['no receiver', []],
    ['a receiver hidden from the role', [{ pid: 50, clock_epoch: clock }]],
    ['a link silent for longer than any living one', [receiverOf({ last_msg_receipt_epoch: clock - 61 })]],
  ])('%s: no lag, not 0', (_, rows) => {
    const state = stateOf([standby('s', current, { receiver: rows })])
    expect(rowsOf(state)[0]).toMatchObject({ lagBytes: null, lagSeconds: null, replayGapBytes: null })
    expect(postgresFigures(state, 's').standby).toMatchObject({ lagBytes: null, lagSeconds: null })
  })

  test('its primary is watched but does not answer: not 0 behind where that was last', () => {
    const dead = primary({}, { link: { state: 'down', word: 'DOWN', since: noon, why: 'refused' } })
    const state = stateOf([dead, standby('s', current, { receiver: [] })])
    expect(rowsOf(state)).toMatchObject([{ standby: 's', state: 'disconnected', lagBytes: null, lagSeconds: null }])
    expect(select(state).notice).toContain('p DOWN: refused')
  })
})

describe('a walsender whose standby nobody watches', () => {
  const told = (now: Row, before: Row | null = null, all: Record<string, readonly Row[]> = {}) => {
    const server = primary({ senders: [senderOf(before ?? now)], ...all })
    const later = before ? [sampleOf(senders, [senderOf(now)], { server: 'p', at: noon + 1000 })] : []
    return stateOf(
      [{ ...server, lsnHistory: [...written, { at: noon + 1000, lsn: current }], samples: [...server.samples!, ...later] }],
      noon + 1000,
    )
  }

  test('under load its word is fresh; on a silent link what it said is an upper bound', () => {
    const behind = { seen: current - 4n * MB }
    expect(rowsOf(told({ ...behind, reply_epoch: clock }, { ...behind, reply_epoch: clock - 1 }))[0]).toMatchObject({
      lagSeconds: 5,
      lagIsUpperBound: false,
    })
    expect(rowsOf(told({ ...behind, reply_epoch: clock - 3 }, { ...behind, reply_epoch: clock - 3 }))[0]).toMatchObject({
      lagBytes: 4n * MB,
      lagSeconds: 5,
      lagIsUpperBound: true,
    })
  })

  test('a stall older than all samples is as long as the sender measures it, while that grows', () => {
    const stalled = (replayLagSeconds: number) => ({ seen: current - 900n * MB, sent_lsn: current, replayLagSeconds })
    expect(rowsOf(told(stalled(912.1), stalled(911.1)))[0]).toMatchObject({
      lagBytes: 900n * MB,
      lagSeconds: 912.1,
      lagIsUpperBound: false,
      lagIsLowerBound: true,
    })
    // Left over from another position; what our own samples say is more.
    expect(rowsOf(told(stalled(0.001), stalled(0.001)))[0]).toMatchObject({ lagSeconds: 60.5, lagIsLowerBound: true })
  })

  test('a frozen receiver: no reply for longer than the status interval; a lag by the sender that is NULL is not 0', () => {
    const [row] = rowsOf(told({ seen: current - 4n * MB, reply_epoch: clock - 14, writeLagSeconds: null }))
    expect(row).toMatchObject({ replyAgeSeconds: 14, replyOverdue: true, writeLagSeconds: null })
    expect(rowsOf(told({ reply_epoch: clock - 9.9 }))[0]).toMatchObject({ replyOverdue: false })
  })

  test('a clock that is off gives no reply age, rather than a wrong one', () => {
    expect(rowsOf(told({ reply_epoch: clock + 300 }))[0]).toMatchObject({ replyAgeSeconds: null, replyOverdue: false })
    expect(rowsOf(told({ reply_epoch: clock - 300 }))[0]).toMatchObject({ replyAgeSeconds: null, replyOverdue: false })
    expect(rowsOf(told({ reply_epoch: clock - 299 }, { reply_epoch: clock - 300 }))[0]).toMatchObject({ replyAgeSeconds: 1 })
  })

  test('a role without privileges: unknown, not disconnected and not 0', () => {
    const blind = { pid: 100, application_name: 'a', current_lsn: current, clock_epoch: clock }
    const state = stateOf([{ ...primary({ senders: [blind] }), user: 'mon', facts: { ...facts!, readsAllStats: false } }])
    expect(rowsOf(state)).toMatchObject([{ state: null, restricted: true, lagBytes: null, lagSeconds: null, unsentBytes: null }])
    expect(select(state).notice).toBe('restricted on p: GRANT pg_monitor TO mon')
  })

  test('base backups are no standbys; logical subscribers and receivers that never replay are told apart', () => {
    const state = told({}, null, {
      senders: [
        senderOf({ pid: 1, state: 'backup', seen: null }),
        senderOf({ pid: 2, application_name: 'sub', seen: current - MB }),
        senderOf({
          pid: 3,
          application_name: 'pg_receivewal',
          replay_lsn: null,
          sent_lsn: current - MB,
          write_lsn: current - MB,
          flush_lsn: current - 2n * MB,
        }),
      ],
      slots: [slotOf({ slot_name: 'sub', slot_type: 'logical', active: true, active_pid: 2, restart_lsn: current - 9n * MB })],
    })
    expect(rowsOf(state)).toMatchObject([
      { kind: 'logical', application_name: 'sub', slot_name: 'sub', lagBytes: MB, retainedBytes: 9n * MB },
      {
        kind: 'physical',
        application_name: 'pg_receivewal',
        lagBytes: null,
        lagSeconds: null,
        unsentBytes: MB,
        flushGapBytes: MB,
        replayGapBytes: null,
      },
    ])
  })
})

describe('which walsender is whose', () => {
  const named = (name: string, slot: string | null = null) => ({
    receiver: [receiverOf({ application_name: name, slot_name: slot })],
    replicationSettings: [settingsOf({ primary_slot_name: slot })],
  })
  const pairsOf = (state: State) => rowsOf(state).map(row => [row.pid, row.standby, row.lagBytes])

  test('the slot decides, also against equal names', () => {
    const state = stateOf([
      primary({
        senders: [senderOf({ pid: 1, seen: current - MB }), senderOf({ pid: 2, seen: current - 2n * MB })],
        slots: [slotOf({ slot_name: 'a', active: true, active_pid: 2 }), slotOf({ slot_name: 'b', active: true, active_pid: 1 })],
      }),
      standby('x', current - 2n * MB, named('walreceiver', 'a')),
      standby('y', current - MB, named('walreceiver', 'b')),
    ])
    expect(pairsOf(state)).toEqual([
      [1, 'y', MB],
      [2, 'x', 2n * MB],
    ])
  })

  test('then the name, through a tunnel too, unless it is the name of all that have none', () => {
    const tunnel = (name: string, port: number) => ({
      receiver: [receiverOf({ application_name: name, sender_port: port })],
      replicationSettings: [settingsOf()],
    })
    const state = stateOf([
      primary({
        senders: [
          senderOf({ pid: 1, application_name: 'one', seen: current - MB }),
          senderOf({ pid: 2, application_name: 'two' }),
        ],
      }),
      standby('x', current, tunnel('two', 6000)),
      standby('y', current - MB, tunnel('one', 5432)),
    ])
    expect(pairsOf(state)).toEqual([
      [1, 'y', MB],
      [2, 'x', 0n],
    ])
  })

  test('several that look alike: as many rows as standbys, and each lag is its own', () => {
    const state = stateOf([
      primary({ senders: [senderOf({ pid: 1, seen: current }), senderOf({ pid: 2, seen: current - 8n * MB })] }),
      standby('x', current - 8n * MB, named('walreceiver')),
      standby('y', current, named('walreceiver')),
    ])
    expect(pairsOf(state)).toEqual([
      [1, 'y', 0n],
      [2, 'x', 8n * MB],
    ])
    // Their places changed since the primary heard of them: the walsenders' words must not make the late one look caught up.
    const crossed = stateOf([
      primary({ senders: [senderOf({ pid: 1, seen: current }), senderOf({ pid: 2, seen: current })] }),
      standby('x', current - 8n * MB, named('walreceiver')),
      standby('y', current - 3n * MB, named('walreceiver')),
    ])
    expect(new Set(rowsOf(crossed).map(row => `${row.standby} ${row.lagBytes}`))).toEqual(new Set(['x 8000000', 'y 3000000']))
  })

  test('a walsender left over from before a reconnect is not taken for the standby', () => {
    const state = stateOf([
      primary({
        senders: [
          senderOf({ pid: 1, seen: current - 40n * MB, backend_start: '2026-11-23 10:00:00+00' }),
          senderOf({ pid: 2, seen: current, backend_start: '2026-11-23 11:59:00+00' }),
        ],
      }),
      standby('x', current, named('walreceiver')),
    ])
    expect(pairsOf(state)).toEqual([
      [1, null, 40n * MB],
      [2, 'x', 0n],
    ])
  })

  test('another system is another system, whatever the names', () => {
    const other = standby('x', current, named('walreceiver'), { facts: { ...facts!, systemIdentifier: 8n } })
    expect(pairsOf(stateOf([primary({ senders: [senderOf({ pid: 1 })] }), other]))).toEqual([
      [1, null, 0n],
      [null, 'x', 0n],
    ])
  })

  test('a standby of a standby: its row names its sender and is counted from the primary', () => {
    const state = stateOf([
      primary({ senders: [senderOf({ pid: 1, application_name: 'mid', seen: current - 3n * MB })] }),
      standby('mid', current - 3n * MB, {
        ...named('mid'),
        senders: [senderOf({ pid: 9, application_name: 'leaf', seen: current - 5n * MB, current_lsn: current - 3n * MB })],
      }),
      standby('leaf', current - 5n * MB, { receiver: [receiverOf({ application_name: 'leaf', sender_host: 'mid' })] }),
    ])
    const leaf = rowsOf(state).find(row => row.standby === 'leaf')!
    expect(leaf).toMatchObject({ server: 'mid', lagBytes: 5n * MB, lagSeconds: 5, lagBehind: 'p' })
    expect(sum(leaf)).toBe(5n * MB)
    expect(standbys!.parentId!(leaf)).toBe(standbys!.rowId(rowsOf(state).find(row => row.standby === 'mid')!))
  })
})

describe('the list', () => {
  test('fits 80 cells, hostile names and all, and every row has an id of its own', () => {
    const evil = untrusted('x\u001b]0;title\u0007\u202e\nx')
    const state = stateOf([
      primary({
        senders: [
          senderOf({ pid: 1, application_name: evil, state: evil, sync_state: evil }),
          senderOf({ pid: 2, application_name: evil }),
        ],
        slots: [slotOf({ slot_name: 'lost', wal_status: 'lost' }), slotOf({ slot_name: 'held', restart_lsn: 1n })],
      }),
    ])
    const rows = standbys!.select(state).rows
    expect(rows).toHaveLength(4)
    expect(new Set(rows.map(standbys!.rowId)).size).toBe(4)
    for (const list of replicationPanel.lists) {
      const columns = list.columns.filter(column => (column.from ?? 0) <= 80)
      expect(columns.reduce((cells, column) => cells + column.width + 1, 0)).toBeLessThanOrEqual(80)
    }
    for (const row of rows) {
      for (const column of standbys!.columns) expect(column.text(row)).not.toMatch(/[\p{C}\n]/u)
      for (const line of standbys!.detail!(row, state)) if ('value' in line) expect(line.value).not.toMatch(/[\p{C}\n]/u)
      expect(width(standbys!.columns[0]!.text(row))).toBeGreaterThan(0)
    }
  })

  test('alarms are for what needs a DBA: late, gone, lost; a delay that was asked for is none', () => {
    const tone = (title: string, state: State) =>
      standbys!.columns.find(column => column.title === title)!.tone?.(standbys!.select(state).rows[0]!)
    const late = (bytes: bigint, applyDelayMs = 0) =>
      stateOf([
        primary({ senders: [senderOf({ seen: current - bytes })] }),
        standby('s', current - bytes, { replicationSettings: [settingsOf({ applyDelayMs })] }),
      ])
    expect(tone('LAG s', late(2n * MB))).toBeUndefined()
    expect(tone('LAG s', late(6n * MB))).toBe('warning')
    expect(tone('LAG s', late(31n * MB))).toBe('critical')
    expect(tone('LAG s', late(31n * MB, 30_000))).toBeUndefined()
    const gone = stateOf([primary({ slots: [slotOf({ slot_name: 'gone', restart_lsn: 1n })] })])
    expect([tone('STATE', gone), tone('NOTE', gone)]).toEqual(['critical', 'critical'])
  })

  test('nothing heard yet is no empty list; all servers down has a reason', () => {
    expect(
      select(stateOf([{ id: 'p', link: { state: 'connecting', word: 'CONNECTING', since: noon, why: null } }])),
    ).toMatchObject({ waiting: true })
    const down = { state: 'down', word: 'DOWN', since: noon, why: 'refused' } as const
    expect(select(stateOf([{ id: 'p', link: down }])).unavailable?.reason).toBe('p DOWN: refused')
    expect(select(stateOf([{ id: 'pool', kind: 'pgbouncer' }])).unavailable?.reason).toContain('no PostgreSQL server')
  })

  test('rows of a server that no longer answers are kept, with their age', () => {
    const silent = primary({ senders: [senderOf()] }, { lastAnswerAt: noon - 7000 })
    const state = stateOf([{ ...silent, samples: silent.samples!.map(sample => ({ ...sample, at: noon - 7000 })) }])
    expect(rowsOf(state)).toMatchObject([{ application_name: 'walreceiver', dataAgeSeconds: 7 }])
    expect(standbys!.rowTone!(standbys!.select(state).rows[0]!)).toBe('dim')
  })
})
