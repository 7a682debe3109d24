// The Health pane and the header on whole scenes: order, folding, where Enter leads, and texts that servers have chosen.

import { describe, expect, test } from 'vitest'
import { checks } from '../../src/checks/index.ts'
import { run } from '../../src/checks/run.ts'
import { type Context, perform } from '../../src/commands.ts'
import { findings } from '../../src/panels/finding.ts'
import { healthPanel } from '../../src/panels/health.ts'
import { arrangedRows, listOf, selectedRow } from '../../src/panels/shown.ts'
import type { State } from '../../src/store/state.ts'
import { createAppStore } from '../../src/store/store.ts'
import * as update from '../../src/store/updates.ts'
import { scene } from '../support/scene.ts'
import { plainWords, type Words } from '../support/scene-rows.ts'

type Row = { id: string; level: string; server: string | null; say: string; advice: boolean }
const rowsOf = (state: State) => arrangedRows(state, healthPanel.lists[0]!).items.map(({ row }) => row as unknown as Row)
const bad = scene('normal', 'health', 120, 40)

test('the worst first, advice above what is fine, and the counts above them', () => {
  const levels = rowsOf(bad).map(({ level, advice }) => (advice ? 'advice' : level))
  const order = ['critical', 'warning', 'unknown', 'advice', 'ok']
  expect(levels.map(level => order.indexOf(level))).toEqual(levels.map(level => order.indexOf(level)).toSorted((a, b) => a - b))
  const { notice, rows } = healthPanel.lists[0]!.select(bad)
  const count = (level: string) => (rows as unknown as Row[]).filter(row => row.level === level).length
  expect(notice).toBe(
    `${count('critical')} critical, ${count('warning')} warning, ${count('unknown')} unknown, ${count('ok')} ok`,
  )
})

test('a server that is down is one line, not one for each check', () => {
  const rows = rowsOf(scene('stale', 'health', 120, 40)).filter(({ server }) => server === 'pg2:5432')
  expect(rows.filter(({ level }) => level === 'critical').map(({ id }) => id)).toEqual(['connectivity'])
  expect(rows.some(({ say }) => say.startsWith('not asked'))).toBe(false)
})

test('what the header says is among what Health says', () => {
  const said = rowsOf(bad).map(({ say }) => say)
  for (const { say } of findings(bad))
    expect(said.some(one => say.includes(one) || one.startsWith(say.replace(/^[^:]+:\d+: |; \d shows it$/g, '')))).toBe(true)
})

test('no text that a server has chosen comes through undrawable', () => {
  const evil = '\u001b]0;PWNED\u0007\u009b31m\u202e\n'
  const words = Object.fromEntries(Object.entries(plainWords).map(([key, value]) => [key, `${value}${evil}`])) as unknown as Words
  const found = run(scene('normal', 'health', 120, 40, words), checks)
  expect(found.length).toBeGreaterThan(50)
  for (const { say, remedy = '', object = '', check } of found)
    for (const text of [say, remedy, object]) expect(text, check.id).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
})

describe('Enter', () => {
  function opened(id: string) {
    const store = createAppStore(bad)
    const context = { store, poke: () => {} } as unknown as Context
    const index = rowsOf(bad).findIndex(row => row.id === id)
    const item = arrangedRows(bad, healthPanel.lists[0]!).items[index]!
    update.changeList(store, 'health', { selectedId: item.id, lastIndex: index })
    perform(context, 'detail')
    return { store, context, item }
  }

  test('explains first: why it matters, its limits, what to do', () => {
    const { store, item } = opened('replication_slots')
    expect(store.getState().view).toMatchObject({ panel: 'health', detail: true })
    const told = JSON.stringify(healthPanel.lists[0]!.detail!(item.row, store.getState()))
    expect(told).toContain('A slot that nobody reads keeps WAL until the disk is full')
    expect(told).toContain('1.0 GB / 10.0 GB')
    expect(told).toContain('drop it in 3 Replication')
    expect(told).toContain('3 Replication: Enter again goes there')
  })

  test.each([
    ['replication_slots', 'replication', 'slots', { slot_name: 'old_replica' }],
    ['long_transactions', 'activity', 'activity', { pid: 7304 }],
    ['lock_waits', 'locks', 'locks', { pid: 7301, depth: 0 }],
    ['pool_paused', 'pools', 'pools', { database: 'billing' }],
    ['dead_rows', 'tables', 'tables', { relname: 'orders' }],
    ['invalid_indexes', 'tables', 'indexes', { indexrelname: 'orders_status_ccnew' }],
    ['jobs_failed', 'chunks', 'jobs', { job_id: 1001 }],
    ['replication_lag', 'replication', 'replication', { standby: 'pg2:5432' }],
  ])('again: %s leads to %s, %s, and the row', (id, panel, list, row) => {
    const { store, context } = opened(id)
    perform(context, 'detail')
    const state = store.getState()
    expect([state.view.panel, listOf(state).id, state.view.detail]).toEqual([panel, list, false])
    expect(selectedRow(state)?.item.row).toMatchObject(row)
  })

  test('again: puts the server into focus, and takes away a filter that hides the row', () => {
    const { store, context } = opened('long_transactions')
    update.focusServer(store, 'pg2:5432')
    update.changeList(store, 'activity', { filter: 'nothing has this' })
    perform(context, 'detail')
    expect(store.getState().view.focus).toBe('pg1:5432')
    expect(selectedRow(store.getState())?.item.row).toMatchObject({ pid: 7304 })
  })

  test('where a finding leads nowhere Enter closes the detail', () => {
    const { store, context } = opened('password_expiry')
    perform(context, 'detail')
    expect(store.getState().view).toMatchObject({ panel: 'health', detail: false })
  })
})
