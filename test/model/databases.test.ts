import { describe, expect, test } from 'vitest'
import { type DatabaseFacts, databaseRows, sizeMarks, tablespaceRows } from '../../src/model/databases.ts'
import { untrusted } from '../../src/model/untrusted.ts'
import { databaseSizes, databases, tablespaces } from '../../src/sql/databases.ts'
import { createAppStore } from '../../src/store/store.ts'
import { receive } from '../../src/store/updates.ts'
import { noon, sampleOf, stateOf } from '../support/state.ts'

const hour = 3_600_000
const database = (datname: string, change: Readonly<Record<string, unknown>> = {}) => ({
  oid: 5n,
  datname,
  measurable: true,
  freeze_age: 50,
  freeze_max_age: 200,
  ...change,
})

function facts(change: Partial<DatabaseFacts> & { sized?: readonly Readonly<Record<string, unknown>>[]; at?: number }) {
  const { sized, at = noon, ...more } = change
  return {
    server: 'a',
    now: noon + 1000,
    databases: sampleOf(databases, [database('app'), database('closed', { measurable: false }), database('new')]),
    sizes: sized ? sampleOf(databaseSizes, sized, { at }) : null,
    tablespaces: null,
    firstSizes: {},
    ...more,
  } as unknown as DatabaseFacts
}

describe('databases', () => {
  test('a size that is not there says why', () => {
    const rows = databaseRows(facts({ sized: [{ datname: 'app', total_bytes: 100n }, { datname: 'closed' }] }))
    expect(rows.map(({ total_bytes, sizeProblem, sizeAgeSeconds }) => [total_bytes, sizeProblem, sizeAgeSeconds])).toEqual([
      [100n, null, 1],
      [null, 'needs CONNECT on it, or pg_read_all_stats', null],
      [null, 'not read yet', null],
    ])
    expect(rows[0]!.freezeRatio).toBe(0.25)
  })

  test('a size that could not be read says what the server said', () => {
    const given = facts({ sized: [] })
    const skipped = [{ key: untrusted('app'), why: 'canceling statement due to statement timeout', code: '57014' }]
    const [app] = databaseRows({ ...given, sizes: { ...given.sizes!, skipped } })
    expect(app!.sizeProblem).toContain('statement timeout')
  })

  test.each([
    ['grew', 300n, 100],
    ['shrank', 50n, -25],
    ['stayed', 100n, 0],
  ])('%s since it was first seen', (_, now, expected) => {
    const firstSizes = { 'databaseSizes app': { at: noon - 2 * hour, bytes: 100n } }
    const [app] = databaseRows(facts({ sized: [{ datname: 'app', total_bytes: now }], firstSizes }))
    expect(app).toMatchObject({ growthBytesPerHour: expected, growthSeconds: 7200 })
  })

  test('growth takes two looks', () => {
    const firstSizes = { 'databaseSizes app': { at: noon, bytes: 100n } }
    const [app] = databaseRows(facts({ sized: [{ datname: 'app', total_bytes: 100n }], firstSizes }))
    expect(app!.growthBytesPerHour).toBeNull()
  })

  test('ids that are no transactions have no age', () => {
    const rows = sampleOf(databases, [database('template0', { freeze_age: null })])
    expect(databaseRows(facts({ databases: rows as unknown as DatabaseFacts['databases'] }))[0]!.freezeRatio).toBeNull()
  })
})

test('a tablespace says where it is, what is restricted, and that free space is not to be had', () => {
  const rows = sampleOf(tablespaces, [
    { oid: 1663n, spcname: 'pg_default', location: '', total_bytes: 7n },
    { oid: 9n, spcname: 'fast', location: '/mnt/fast' },
  ])
  const told = tablespaceRows(facts({ tablespaces: rows as unknown as DatabaseFacts['tablespaces'] }))
  expect(
    told.map(({ location, total_bytes, sizeProblem, freeBytes }) => [location, total_bytes, sizeProblem, freeBytes]),
  ).toEqual([
    [null, 7n, null, null],
    ['/mnt/fast', null, 'needs CREATE on it, or pg_read_all_stats', null],
  ])
  expect(told[0]!.freeProblem).toContain('df')
})

test('the store remembers the first size of each, and nothing else', () => {
  expect(sizeMarks('tables', [{ total_bytes: 1n }])).toEqual([])
  expect(
    sizeMarks('databaseSizes', [
      { datname: 'app', total_bytes: 1n },
      { datname: 'closed', total_bytes: null },
    ]),
  ).toEqual([['databaseSizes app', 1n]])
  const store = createAppStore(stateOf([{ id: 'a' }]))
  const sized = (bytes: bigint, at: number) =>
    receive(store, { kind: 'sample', sample: sampleOf(databaseSizes, [{ datname: 'app', total_bytes: bytes }], { at }) })
  sized(100n, noon)
  sized(200n, noon + hour)
  expect(store.getState().servers.a!.firstSizes).toEqual({ 'databaseSizes app': { at: noon, bytes: 100n } })
})
