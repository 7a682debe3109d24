// What pgvigil may cost, in figures that don't depend on the machine: bytes, statements, rows. What depends on it is for `npm run bench`.

import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { build, endAll, startMonitor, type Terminal } from '../support/terminal.ts'
import { type Load, serverCost, startLoad, startTap, type Tap, whyNot } from './load.ts'

const intervalMs = 2000
let load: Load
let tap: Tap
let terminal: Terminal

const watch = async (sessions: number, more: readonly string[] = []) => {
  load = await startLoad(sessions)
  tap = await startTap(load.server.port)
  terminal = startMonitor([load.conninfo('vigil', tap.port), '-i', '2s', ...more], { columns: 200, rows: 50 })
  await terminal.waitFor(/web-\d+@/)
}
const unwatch = async () => {
  endAll()
  tap?.stop()
  await load?.stop()
}
/** What comes in so many refreshes, per refresh. */
async function perRefresh(refreshes: number, bytes: () => number): Promise<number> {
  const before = bytes()
  await delay(refreshes * intervalMs)
  return (bytes() - before) / refreshes
}
const drawn = () => terminal.bytes().length

beforeAll(build)

describe('200 sessions', () => {
  beforeAll(async () => {
    await watch(200)
    // Ages of less than ten seconds show their tenths.
    await delay(6 * intervalMs)
  })
  afterAll(unwatch)

  test('the terminal: at most 1.5 kB a refresh while only times move', async () => {
    expect(await perRefresh(5, drawn)).toBeLessThanOrEqual(1500)
  })

  test('the terminal: at most 500 bytes for a cursor that moves', async () => {
    terminal.write('g')
    const bytes: number[] = []
    for (let i = 0; i < 8; i++) {
      await delay(250)
      const from = drawn()
      terminal.write('j')
      await terminal.until(() => terminal.bytes(from).includes('46m'), 'the cursor in its new place')
      bytes.push(drawn() - from)
    }
    // A refresh may come with a key, and is another picture then.
    expect(bytes.toSorted((a, b) => a - b)[5]).toBeLessThanOrEqual(500)
  })

  test('the terminal: nothing while the picture is held', async () => {
    terminal.write('p')
    await terminal.waitFor('HOLD')
    await delay(500)
    expect(await perRefresh(3, drawn)).toBe(0)
    terminal.write('p')
    await terminal.until(() => !terminal.screen().join('\n').includes('HOLD'), 'the picture to go on')
  })

  test('the server: at most 40 kB and three statements a refresh, one of them with the sessions', async () => {
    await load.admin.query('SELECT pg_stat_statements_reset()')
    const received = await perRefresh(6, tap.bytes)
    expect(received).toBeLessThanOrEqual(40_000)
    const { calls, statements } = await serverCost(load.admin, 'vigil')
    expect(calls).toBeLessThanOrEqual(6 * 3)
    // The whole of one query by its pid is no scan of all.
    const scans = statements.filter(({ text }) => /pg_stat_get_activity\((?:NULL|\$\d+)\)/.test(text))
    expect(scans.map(one => one.calls)).toEqual([expect.toSatisfy((n: number) => n >= 5 && n <= 7)])
  })

  test('the server: what other panes ask is not asked', async () => {
    const { statements } = await serverCost(load.admin, 'vigil')
    const asked = statements.map(({ text }) => text).join('\n')
    expect(asked).toContain('pg_stat_get_activity')
    expect(asked).not.toMatch(
      /pg_lock_status|pg_stat_progress|pg_relation_size|pg_stat_user|pg_replication_slots|pg_stat_get_wal_senders/,
    )
  })

  test.each([
    ['2', 'Locks'],
    ['7', 'Progress'],
    ['3', 'Replication'],
  ])('the server: pane %s, %s: at most three statements a refresh on the average', async key => {
    terminal.write(key)
    await delay(1.5 * intervalMs)
    await load.admin.query('SELECT pg_stat_statements_reset()')
    await delay(4 * intervalMs)
    const { calls, statements } = await serverCost(load.admin, 'vigil')
    expect(calls, statements.map(one => `${one.calls} ${one.text.slice(0, 60)}`).join('\n')).toBeLessThanOrEqual(4 * 3 + 6)
    terminal.write('1')
    await delay(intervalMs)
  })

  test('the server: a selected row costs no statement more each time', async () => {
    terminal.write('jj')
    await delay(1.5 * intervalMs)
    await load.admin.query('SELECT pg_stat_statements_reset()')
    await delay(4 * intervalMs)
    expect((await serverCost(load.admin, 'vigil')).calls).toBeLessThanOrEqual(4 * 3)
  })
})

describe('over a slow link', () => {
  const steady = async () => {
    await delay(8 * intervalMs)
    return perRefresh(12, drawn)
  }
  test('--slow-link halves the bytes', async () => {
    await watch(200)
    const usual = await steady()
    await unwatch()
    await watch(200, ['--slow-link'])
    await terminal.waitFor('slow link')
    expect(await steady()).toBeLessThanOrEqual(usual / 2)
    await unwatch()
  })
})

describe.skipIf(whyNot(1000) !== null)('1000 sessions', () => {
  beforeAll(() => watch(1000))
  afterAll(unwatch)

  test('the server: at most 100 kB a refresh', async () => {
    await delay(2 * intervalMs)
    expect(await perRefresh(5, tap.bytes)).toBeLessThanOrEqual(100_000)
  })

  test('counts are those of the server', async () => {
    const { rows } = await load.admin.query(
      `SELECT count(*)::int AS clients, count(*) FILTER (WHERE state LIKE 'idle in transaction%')::int AS idle,
              count(*) FILTER (WHERE wait_event_type = 'Lock')::int AS waiting FROM pg_stat_activity WHERE backend_type = 'client backend'`,
    )
    const { clients, idle, waiting } = rows[0]
    await terminal.waitFor(new RegExp(` ${clients}/\\d+ .* ${waiting} waiting ${idle} idle in xact`))
  })
})
