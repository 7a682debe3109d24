// Which queries go to which server, and when rows are worked out anew.

import { describe, expect, test } from 'vitest'
import { panels } from '../../src/panels/index.ts'
import { arrangedRows, listOf } from '../../src/panels/shown.ts'
import { wantedByLists, wantedOnScreen } from '../../src/panels/wanted.ts'
import { activity } from '../../src/sql/activity.ts'
import { lockedRelations, tables } from '../../src/sql/tables.ts'
import type { Sample, State, View } from '../../src/store/state.ts'
import { freshListView } from '../../src/store/store.ts'
import { noon, sampleOf, stateOf } from '../support/state.ts'

const rows = [
  { pid: 7, backend_type: 'client backend', state: 'active', query: 'select 7' },
  { pid: 8, backend_type: 'client backend', state: 'active', query_start: 'then', query: 'select 8' },
]
const base = stateOf(
  [
    { id: 'a', role: 'primary', samples: [sampleOf(activity, rows)] },
    { id: 'b', role: 'standby' },
    { id: 'p', kind: 'pgbouncer' },
  ],
  noon,
  { timescaleId: 'b', queryBytes: 400 },
)
const on = (change: Partial<View>, state: State = base): State => ({ ...state, view: { ...state.view, ...change } })
const asked = (state: State, id: string) => wantedOnScreen(state, id).map(({ query }) => query.id)

describe('on the screen', () => {
  test('every server is always asked how it is, whatever is shown', () => {
    for (const { id: panel } of panels) {
      expect(asked(on({ panel }), 'a')).toEqual(expect.arrayContaining(['pulse', 'counters']))
      expect(asked(on({ panel }), 'b')).toEqual(expect.arrayContaining(['pulse', 'counters', 'receiver']))
      expect(asked(on({ panel }), 'p')).toEqual(expect.arrayContaining(['showPools', 'showDatabases', 'showStats', 'showState']))
    }
  })

  test('who locks a catalog is asked while something waits for locks in vain', () => {
    const problem = (code: string, at: number) => ({
      ...base,
      servers: {
        ...base.servers,
        a: {
          ...base.servers.a!,
          readings: { names: { sample: null, previous: null, problem: { kind: 'failed' as const, error: 'x', code, at } } },
        },
      },
    })
    expect(asked(base, 'a')).not.toContain('catalogLocks')
    expect(asked(problem('55P03', noon - 1000), 'a')).toContain('catalogLocks')
    expect(asked(problem('55P03', noon - 60_000), 'a')).not.toContain('catalogLocks')
    expect(asked(problem('42501', noon), 'a')).not.toContain('catalogLocks')
  })

  test('a pane of one server asks the one in focus, and the poolers in front of it', () => {
    const state = on({ panel: 'activity', focus: 'a' })
    expect(asked(state, 'a')).toContain('activity')
    expect(asked(state, 'b')).not.toContain('activity')
    expect(asked(state, 'p')).toEqual(expect.arrayContaining(['showClients', 'showServers']))
    expect(asked(on({ panel: 'activity', focus: 'b' }), 'b')).toContain('activity')
  })

  test('a pane of the cluster asks all, each for what its role has', () => {
    const state = on({ panel: 'replication' })
    expect(asked(state, 'a')).toEqual(expect.arrayContaining(['senders', 'slots']))
    expect(asked(state, 'b')).toEqual(expect.arrayContaining(['senders', 'slots', 'receiver', 'conflicts']))
    expect(asked(state, 'a')).not.toContain('receiver')
    expect(asked(state, 'a')).not.toContain('conflicts')
  })

  test('TimescaleDB is asked of its own server alone, and only while its pane is shown', () => {
    expect(asked(on({ panel: 'chunks' }), 'b')).toEqual(expect.arrayContaining(['hypertables', 'chunks', 'jobs']))
    expect(asked(on({ panel: 'chunks' }), 'a')).not.toContain('hypertables')
    expect(asked(on({ panel: 'locks' }), 'b')).not.toContain('hypertables')
  })

  test('what has rates is asked a second time soon, and then at its own pace', () => {
    const pace = (samples: readonly Sample[], intervalMs = 2000) => {
      const state = on({ panel: 'tables' }, stateOf([{ id: 'a', role: 'primary', samples }], noon, { intervalMs }))
      return wantedOnScreen(state, 'a').find(({ query }) => query.id === 'tables')?.query.every
    }
    const sample = sampleOf(tables, [])
    expect([pace([]), pace([sample]), pace([sample, sample])]).toEqual([2, 2, 10])
    expect(pace([sample], 100)).toBe(1)
  })

  test('what was unlocked is asked for while there is such', () => {
    const seen = (at: number, relation?: bigint) =>
      sampleOf(lockedRelations, relation === undefined ? [] : [{ database: 5n, relation }], { at })
    const wants = (lockMarks: Record<string, number>, at: number) =>
      wantedOnScreen(on({ panel: 'tables' }, stateOf([{ id: 'a', lockMarks, samples: [seen(at)] }])), 'a')
        .filter(({ query }) => query.params?.includes('unlockedRelations'))
        .map(({ query, params }) => [query.id, ...params])
    expect(wants({}, noon)).toEqual([])
    expect(wants({ 7: noon }, noon)).toEqual([])
    expect(wants({ 7: noon - 1000 }, noon)).toEqual([
      ['unlockedSizes', '7'],
      ['unlockedIndexSizes', '7'],
    ])
  })

  test('each query once, with its values', () => {
    for (const { id: panel } of panels) {
      const ids = asked(on({ panel }), 'a')
      expect(new Set(ids).size).toBe(ids.length)
    }
    expect(wantedOnScreen(base, 'a').find(({ query }) => query.id === 'activity')?.params).toEqual([400])
  })

  test('a whole query only of the session whose detail is open', () => {
    const text = (state: State) => wantedOnScreen(state, 'a').find(({ query }) => query.id === 'activityText')?.params
    expect(text(base)).toBeUndefined()
    const perList = { activity: { ...freshListView, selectedId: arrangedRows(base, listOf(base)).items[1]!.id } }
    expect(text(on({ detail: true, perList }))).toEqual([8, 'then'])
    expect(text(on({ detail: true, panel: 'pools' }))).toBeUndefined()
  })

  test('an unknown server wants nothing', () => {
    expect(wantedOnScreen(base, 'stranger')).toEqual([])
  })
})

test('a snapshot asks every server for all lists, whichever is in focus', () => {
  const lists = panels.flatMap(panel => panel.lists)
  for (const id of ['a', 'b']) {
    const ids = wantedByLists(base, id, lists).map(({ query }) => query.id)
    expect(ids).toEqual(expect.arrayContaining(['activity', 'locks', 'senders', 'slots']))
    expect(ids).not.toContain('activityText')
  }
})

describe('rows of a list', () => {
  const list = () => listOf(base)

  test('are worked out once for a picture', () => {
    expect(arrangedRows(base, list())).toBe(arrangedRows(on({ detail: true }), list()))
  })

  test('anew when the clock moves: what was fresh may be old', () => {
    expect(arrangedRows(base, list()).selected.notice).toBeUndefined()
    expect(arrangedRows({ ...base, now: noon + 60_000 }, list()).selected.notice).toMatch(/as of 1m00s ago/)
  })

  test('anew for another server, filter, or picture', () => {
    expect(arrangedRows(base, list()).items).toHaveLength(2)
    expect(arrangedRows(on({ focus: 'b' }), list()).items).toHaveLength(0)
    expect(arrangedRows(on({ perList: { activity: { ...freshListView, filter: 'select 8' } } }), list()).items).toHaveLength(1)
    expect(arrangedRows(on({ hideIdle: true }), list()).items).toHaveLength(2)
    const held = { at: noon, servers: stateOf([{ id: 'a' }]).servers }
    expect(arrangedRows({ ...base, held }, list()).items).toHaveLength(0)
  })
})
