// Sessions that are told once: what is put together from whole rows and short ones is what the server would have told in full.

import { describe, expect, test } from 'vitest'
import { countsOf, createRoster, records } from '../../src/server/roster.ts'

const row = (pid: number, change: Partial<Record<string, string>> = {}) => {
  const fields = {
    pid: String(pid),
    leader: '',
    type: '"client backend"',
    datid: '5',
    usesysid: '10',
    application: 'web',
    addr: '10.0.0.7',
    port: '4711',
    backend: '"2026-11-26 07:00:00+00"',
    query: '"2026-11-26 07:10:00.5+00"',
    xact: '',
    change: '"2026-11-26 07:10:01.25+00"',
    state: 'idle',
    waitType: 'Client',
    wait: 'ClientRead',
    xid: '',
    xmin: '',
    id: '-42',
    text: '"select 1"',
    ...change,
  }
  return `(${Object.values(fields).join(',')})`
}
const at = Date.UTC(2026, 10, 26, 7, 11) / 1000
const answer = (sessions: string, clock = at, xids = '100') => ({
  sessions_clock: String(clock),
  sessions_at: String(clock),
  xids_since_3: xids,
  sessions,
})

describe('records', () => {
  test('numbers alone and composite values, quoted ones with line breaks', () => {
    expect(records('12\n(1,,"",x)\n7\n("a ""b"" \\\\ c,)\n(",y)')).toEqual([
      ['12'],
      ['1', null, '', 'x'],
      ['7'],
      ['a "b" \\ c,)\n(', 'y'],
    ])
    expect(records('')).toEqual([])
  })

  test.each(['(1,"abc', '(1,2', '("a"b)'])('%s is no answer', text => {
    expect(() => records(text)).toThrow(/breaks off/)
  })
})

describe('a roster', () => {
  test('asks for all at first, then for what has changed since', () => {
    const roster = createRoster(true)
    expect(roster.values(256).slice(0, 2)).toEqual([256, '-Infinity'])
    roster.rows(answer(row(1)), 256)
    expect(roster.values(256).slice(0, 2)).toEqual([256, at - 1])
    expect(roster.values(400).slice(0, 2)).toEqual([400, '-Infinity'])
  })

  test('tells every session in full in its turn', () => {
    const roster = createRoster(true)
    const turns = Array.from({ length: 64 }, () => roster.values(256)[2])
    expect(new Set(turns)).toEqual(new Set(Array.from({ length: 32 }, (_, i) => i)))
  })

  test('keeps what stands still, and moves its ages on by the server’s clock', () => {
    const roster = createRoster(true)
    roster.values(256)
    const [first] = roster.rows(answer(`${row(1, { xact: '"2026-11-26 07:05:00+00"' })}\n${row(2)}`), 256)!
    expect(first).toMatchObject({ pid: 1, state: 'idle', query: 'select 1', query_id: -42n, client_port: 4711, leader_pid: null })
    expect(first!.state_age_seconds).toBeCloseTo(58.75)
    expect(first!.xact_age_seconds).toBeCloseTo(360)
    roster.values(256)
    const later = roster.rows(answer('1', at + 10), 256)!
    expect(later).toHaveLength(1)
    expect(later[0]).toMatchObject({
      ...first,
      state_age_seconds: expect.closeTo(68.75),
      query_age_seconds: expect.any(Number),
      backend_age_seconds: expect.any(Number),
      xact_age_seconds: expect.closeTo(370),
    })
  })

  test('takes waits and xids of one that is at work', () => {
    const roster = createRoster(true)
    roster.values(256)
    roster.rows(answer(row(1, { state: 'active' })), 256)
    roster.values(256)
    const [now] = roster.rows(answer('(1,Lock,tuple,107,90)', at + 2, '98'), 256)!
    expect(now).toMatchObject({
      state: 'active',
      wait_event_type: 'Lock',
      wait_event: 'tuple',
      backend_xid: 107n,
      backend_xmin: 90n,
      backend_xmin_age: 11,
    })
    roster.values(256)
    expect(roster.rows(answer('(1,,,,)', at + 4), 256)![0]).toMatchObject({
      wait_event_type: null,
      backend_xmin: null,
      backend_xmin_age: null,
    })
  })

  test('xids wrap around', () => {
    const roster = createRoster(true)
    roster.values(256)
    // The next xid is 7, and 4294967290 is 13 before it; the special ones count as they do in age().
    expect(roster.rows(answer(row(1, { xmin: '4294967290' }), at, '4'), 256)![0]!.backend_xmin_age).toBe(13)
  })

  test('a pid that it doesn’t know, or a clock that was put back: all is asked again', () => {
    const roster = createRoster(true)
    roster.values(256)
    roster.rows(answer(row(1)), 256)
    roster.values(256)
    expect(roster.rows(answer('1\n2', at + 2), 256)).toBeNull()
    expect(roster.values(256)[1]).toBe('-Infinity')
    expect(roster.rows(answer(`${row(1)}\n${row(2)}`, at + 2), 256)).toHaveLength(2)
    roster.values(256)
    expect(roster.rows(answer('1\n2', at - 100), 256)).toBeNull()
    expect(roster.values(256)[1]).toBe('-Infinity')
    expect(roster.rows(answer(`${row(1)}\n${row(2)}`, at - 100), 256)).toHaveLength(2)
  })

  test('believes nothing where another server may have answered', () => {
    const roster = createRoster(false)
    roster.values(256)
    roster.rows(answer(row(1)), 256)
    expect(roster.values(256)[1]).toBe('-Infinity')
  })

  test('bytes of a text: what is no UTF-8 does no harm, passwords are not kept', () => {
    const roster = createRoster(true)
    roster.values(256)
    const texts = roster.rows(
      answer(
        [
          row(1, { text: '"\\\\303\\\\274ber \\\\\\\\\\\\\\\\d"' }),
          row(2, { text: '"a\\\\377b"' }),
          row(3, { text: '"cut \\\\303"' }),
          row(4, { text: `"alter role x password 'secret'"` }),
        ].join('\n'),
      ),
      256,
    )!
    expect(texts.map(({ query }) => query)).toEqual(['über \\\\d', 'a\uFFFDb', 'cut ', "alter role x password '***'"])
  })
})

test('counts are those that the server would count', () => {
  const roster = createRoster(true)
  roster.values(256)
  const nothing = { type: '', usesysid: '10', state: '', change: '', waitType: '', wait: '', text: '' }
  const rows = roster.rows(
    answer(
      [
        row(1, { state: 'active', xact: '"2026-11-26 07:10:30+00"' }),
        row(2, { state: 'active', waitType: 'Lock', xact: '"2026-11-26 07:10:00+00"' }),
        row(3, { state: '"idle in transaction"', xact: '"2026-11-26 07:09:00+00"' }),
        row(4, nothing),
        row(5, { ...nothing, datid: '' }),
        row(6, { type: 'checkpointer', datid: '', xact: '"2026-11-26 06:00:00+00"' }),
        row(7, { type: 'walwriter', datid: '' }),
        row(9, { state: 'active', xact: '"2026-11-26 05:00:00+00"' }),
      ].join('\n'),
    ),
    256,
  )!
  expect(countsOf(rows, 9)).toEqual({
    clients: 5,
    active: 2,
    waiting: 1,
    idle_in_transaction: 1,
    restricted: 1,
    oldest_xact_seconds: 120,
    ready_epoch: Date.UTC(2026, 10, 26, 7) / 1000,
  })
})
