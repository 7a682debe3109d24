import { describe, expect, test } from 'vitest'
import { showDatabases, showState } from '../../src/sql/pgbouncer.ts'
import type { Query } from '../../src/sql/query.ts'
import { counters, pulse } from '../../src/sql/server.ts'
import { linkOf, picture, read, rowsOf } from '../../src/store/selectors.ts'
import type { Problem, State } from '../../src/store/state.ts'
import { createAppStore, type Store } from '../../src/store/store.ts'
import * as update from '../../src/store/updates.ts'
import { factsOf, noon, sampleOf, stateOf } from '../support/state.ts'

const storeOf = (state: State = stateOf([{ id: 'a', lastAnswerAt: null }, { id: 'b' }])): Store => createAppStore(state)
const hear = (store: Store, query: Query, rows: readonly Readonly<Record<string, unknown>>[], at = noon, server = 'a') =>
  update.receive(store, { kind: 'sample', sample: sampleOf(query, rows, { at, server }) })
const beat = (store: Store, lsn: bigint | null, at: number, in_recovery = false) => hear(store, pulse, [{ lsn, in_recovery }], at)
const server = (store: Store, id = 'a') => store.getState().servers[id]!
const failed: Problem = { kind: 'failed', error: 'permission denied', code: '42501', at: noon }

describe('what a source reports', () => {
  test('a sample: the newest, the one before it, and when the server answered last', () => {
    const store = storeOf()
    hear(store, counters, [{ xact: 1n }], noon)
    expect(read(store.getState(), 'a', counters)).toMatchObject({ kind: 'fresh', previous: null })
    hear(store, counters, [{ xact: 5n }], noon + 1000.6)
    hear(store, counters, [{ xact: 9n }], noon + 2000)
    const { sample, previous } = server(store).readings.counters!
    expect([previous?.rows[0]?.xact, sample?.rows[0]?.xact]).toEqual([5n, 9n])
    expect(server(store).lastAnswerAt).toBe(noon + 2000)
    hear(store, pulse, [], noon + 1500)
    expect(server(store).lastAnswerAt).toBe(noon + 2000)
  })

  test('a problem keeps what was known; the next sample takes it away', () => {
    const store = storeOf()
    hear(store, counters, [{ xact: 1n }])
    update.receive(store, { kind: 'problem', server: 'a', query: 'counters', problem: failed })
    expect(read(store.getState(), 'a', counters)).toMatchObject({ kind: 'stale', why: 'permission denied', since: noon })
    expect(rowsOf(store.getState(), 'a', counters)).toHaveLength(1)
    hear(store, counters, [{ xact: 2n }], noon + 1000)
    expect(server(store).readings.counters?.problem).toBeNull()
    expect(server(store).readings.counters?.previous?.rows[0]?.xact).toBe(1n)
  })

  test('a problem without any sample is a failure, or an absence with its remedy', () => {
    const store = storeOf()
    expect(read(store.getState(), 'a', counters)).toEqual({ kind: 'waiting' })
    update.receive(store, { kind: 'problem', server: 'a', query: 'counters', problem: failed })
    expect(read(store.getState(), 'a', counters)).toEqual({ kind: 'failed', error: 'permission denied' })
    const absence = { kind: 'unavailable', reason: 'too old', remedy: 'upgrade' } as const
    update.receive(store, { kind: 'problem', server: 'a', query: 'counters', problem: absence })
    expect(read(store.getState(), 'a', counters)).toEqual(absence)
    expect(rowsOf(store.getState(), 'a', counters)).toEqual([])
  })

  test('what was counted before this connection is no beginning for a rate', () => {
    const store = storeOf()
    const link = { state: 'connecting', word: 'CONNECTING', since: noon, why: 'crash' } as const
    hear(store, counters, [{ xact: 9n }], noon)
    update.receive(store, { kind: 'link', server: 'a', link })
    update.receive(store, {
      kind: 'link',
      server: 'a',
      link: { ...link, state: 'up', word: 'LIVE', since: noon + 500, why: null },
    })
    hear(store, counters, [{ xact: 11n }], noon + 1000)
    expect(server(store).readings.counters).toMatchObject({ previous: null, sample: { at: noon + 1000 } })
    hear(store, counters, [{ xact: 12n }], noon + 2000)
    expect(server(store).readings.counters?.previous?.rows[0]?.xact).toBe(11n)
  })

  test('a link and facts', () => {
    const store = storeOf()
    const down = { state: 'down', word: 'DOWN', since: noon, why: 'connection refused' } as const
    update.receive(store, { kind: 'link', server: 'a', link: { ...down, state: 'up', word: 'LIVE', why: null }, tls: 'verified' })
    update.receive(store, { kind: 'link', server: 'a', link: down })
    expect(server(store)).toMatchObject({ link: down, tls: 'verified' })
    const facts = factsOf()
    update.receive(store, { kind: 'facts', server: 'a', facts })
    expect(server(store).facts).toBe(facts)
  })

  test('a server that is not ours changes nothing; another one’s state is not touched', () => {
    const store = storeOf()
    const before = store.getState()
    hear(store, counters, [], noon, 'stranger')
    expect(store.getState()).toBe(before)
    hear(store, counters, [])
    expect(store.getState().servers.b).toBe(before.servers.b)
  })
})

describe('age', () => {
  test('a server is stale when more than two ticks have passed since its last answer, whatever its link says', () => {
    const state = stateOf([{ id: 'a', lastAnswerAt: noon }])
    expect(linkOf(state.servers.a!, noon + 2300, 1000).word).toBe('LIVE')
    expect(linkOf(state.servers.a!, noon + 2301, 1000)).toMatchObject({ state: 'stale', word: 'STALE', since: noon })
  })

  test('a reading of a server that is not up is stale, with the reason', () => {
    const store = storeOf()
    hear(store, counters, [{ xact: 1n }])
    update.receive(store, {
      kind: 'link',
      server: 'a',
      link: { state: 'down', word: 'DOWN', since: noon, why: 'connection refused' },
    })
    expect(read(store.getState(), 'a', counters)).toMatchObject({ kind: 'stale', since: noon, why: 'connection refused' })
  })
})

describe('role and WAL history', () => {
  test('the role is what the last pulse says', () => {
    const store = storeOf()
    expect(server(store).role).toBeNull()
    beat(store, 100n, noon, true)
    expect(server(store).role).toBe('standby')
    beat(store, 200n, noon + 1000)
    expect(server(store).role).toBe('primary')
    hear(store, pulse, [], noon + 2000)
    expect(server(store).role).toBe('primary')
  })

  test('a change of role begins the history anew', () => {
    const store = storeOf()
    for (let i = 0; i < 5; i++) beat(store, BigInt(100 + i), noon + i * 1000, true)
    expect(server(store).lsnHistory).toHaveLength(5)
    beat(store, 200n, noon + 5000)
    expect(server(store).lsnHistory).toEqual([{ at: noon + 5000, lsn: 200n }])
  })

  test('a beat without a position keeps the history as it is', () => {
    const store = storeOf()
    beat(store, 100n, noon)
    beat(store, null, noon + 1000)
    expect(server(store).lsnHistory).toEqual([{ at: noon, lsn: 100n }])
  })

  test('half an hour is kept, in order', () => {
    const store = storeOf()
    for (let i = 0; i < 100; i++) beat(store, BigInt(i), noon + i * 60_000)
    const { lsnHistory } = server(store)
    expect(lsnHistory).toHaveLength(31)
    expect(lsnHistory[0]?.at).toBe(noon + 69 * 60_000)
    expect(lsnHistory.at(-1)?.lsn).toBe(99n)
  })

  test('ten beats a second stay within bounds: the older half is thinned, the newest points and the oldest one remain', () => {
    const store = storeOf()
    for (let i = 0; i < 17_000; i++) beat(store, BigInt(i), noon + i * 100)
    const { lsnHistory } = server(store)
    expect(lsnHistory.length).toBeLessThanOrEqual(4000)
    expect(lsnHistory[0]?.lsn).toBe(0n)
    expect(lsnHistory.slice(-1000).map(p => p.lsn)).toEqual(Array.from({ length: 1000 }, (_, i) => BigInt(16_000 + i)))
    expect(lsnHistory.every((p, i) => i === 0 || p.at > lsnHistory[i - 1]!.at)).toBe(true)
  })
})

describe('marks', () => {
  const paused = (store: Store, names: readonly string[], at: number) =>
    hear(
      store,
      showDatabases,
      names.map(name => ({ name, paused: 1 })),
      at,
      'p',
    )
  const pooler = () => storeOf(stateOf([{ id: 'a' }, { id: 'p', kind: 'pgbouncer' }]))

  test('a pause is dated from when it was first seen, and forgotten when it ends', () => {
    const store = pooler()
    paused(store, ['app'], noon)
    paused(store, ['app', 'shop'], noon + 1000)
    expect(server(store, 'p').firstSeen).toEqual({ 'paused:app': noon, 'paused:shop': noon + 1000 })
    const before = server(store, 'p').firstSeen
    paused(store, ['app', 'shop'], noon + 2000)
    expect(server(store, 'p').firstSeen).toBe(before)
    paused(store, ['shop'], noon + 3000)
    paused(store, ['app', 'shop'], noon + 4000)
    expect(server(store, 'p').firstSeen).toEqual({ 'paused:app': noon + 4000, 'paused:shop': noon + 1000 })
  })

  test('a pause of everything is seen in another answer than that of databases', () => {
    const store = pooler()
    paused(store, ['app'], noon)
    hear(store, showState, [{ key: 'paused', value: 'yes' }], noon + 1000, 'p')
    expect(server(store, 'p').firstSeen).toEqual({ 'paused:app': noon, 'paused:*': noon + 1000 })
  })
})

describe('the held picture', () => {
  test('stays as it was while samples come in, and goes on with the newest', () => {
    const store = storeOf()
    hear(store, counters, [{ xact: 1n }])
    update.toggleHold(store)
    update.setNow(store, noon + 60_000, null)
    hear(store, counters, [{ xact: 2n }], noon + 60_000)
    const xact = () => rowsOf(store.getState(), 'a', counters)[0]?.xact
    expect(xact()).toBe(1n)
    expect(picture(store.getState()).now).toBe(noon)
    // The held picture does not grow old: what was fresh then is shown as fresh.
    expect(read(store.getState(), 'a', counters).kind).toBe('fresh')
    expect(server(store).readings.counters?.sample?.rows[0]?.xact).toBe(2n)
    update.toggleHold(store)
    expect(xact()).toBe(2n)
  })
})

describe('the user’s choices', () => {
  test('are kept for each list by itself; a selection scrolls the detail back', () => {
    const store = storeOf()
    update.scrollDetail(store, 7)
    update.changeList(store, 'locks', { filter: 'x' })
    expect(store.getState().view.detailTop).toBe(7)
    update.changeList(store, 'locks', { selectedId: '1' })
    expect(store.getState().view).toMatchObject({
      detailTop: 0,
      perList: { locks: { filter: 'x', selectedId: '1', sort: null } },
    })
    expect(store.getState().view.perList.activity).toBeUndefined()
    update.scrollDetail(store, -3)
    expect(store.getState().view.detailTop).toBe(0)
  })

  test('a message goes when its time is over by the clock of the state', () => {
    const store = storeOf()
    update.say(store, 'copied')
    update.setNow(store, noon + 3999, null)
    expect(store.getState().view.message?.text).toBe('copied')
    update.setNow(store, noon + 4000, null)
    expect(store.getState().view.message).toBeNull()
  })

  test('another pane closes the detail and any dialog', () => {
    const store = storeOf()
    update.setDetail(store, true)
    update.setDialog(store, { kind: 'help', top: 3 })
    update.showPanel(store, 'locks')
    expect(store.getState().view).toMatchObject({ panel: 'locks', detail: false, detailTop: 0, dialog: null })
  })
})
