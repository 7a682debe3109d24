import { describe, expect, test } from 'vitest'
import { type DatabaseFacts, databaseRows, sizeMarks, tablespaceRows } from '../../src/model/databases.ts'
import type { FileSystems, FileSystemsTrouble } from '../../src/model/free-space.ts'
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
    disks: { fileSystems: null, capacity: {}, user: 'monitor' },
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

test('a tablespace says where it is and what is restricted', () => {
  const rows = sampleOf(tablespaces, [
    { oid: 1663n, spcname: 'pg_default', location: '', total_bytes: 7n },
    { oid: 9n, spcname: 'fast', location: '/mnt/fast' },
  ])
  const told = tablespaceRows(facts({ tablespaces: rows as unknown as DatabaseFacts['tablespaces'] }))
  expect(
    told.map(({ location, total_bytes, sizeProblem, freeProblem }) => [location, total_bytes, sizeProblem, freeProblem]),
  ).toEqual([
    [null, 7n, null, 'not read yet'],
    ['/mnt/fast', null, 'needs CREATE on it, or pg_read_all_stats', 'not read yet'],
  ])
})

describe('free space', () => {
  const gigabyte = 1024n ** 3n
  const spaces = sampleOf(tablespaces, [
    { oid: 1663n, spcname: 'pg_default', location: '', total_bytes: 7n * gigabyte },
    { oid: 1664n, spcname: 'pg_global', location: '', total_bytes: gigabyte },
    { oid: 9n, spcname: 'fast', location: '/mnt/fast', total_bytes: 3n * gigabyte },
    { oid: 10n, spcname: 'hidden', location: '/mnt/hidden' },
  ]) as unknown as DatabaseFacts['tablespaces']
  const on = (free: bigint, total: bigint) => ({ freeBytes: free * gigabyte, totalBytes: total * gigabyte })
  const seen = (trouble: FileSystemsTrouble | null, given: FileSystems['spaces'] = {}): FileSystems => ({
    at: noon,
    trouble,
    spaces: given,
  })
  const told = (fileSystems: FileSystems | null, capacity: Record<string, number> = {}) =>
    tablespaceRows(facts({ tablespaces: spaces, disks: { fileSystems, capacity, user: 'monitor' } }))
  const free = (...given: Parameters<typeof told>) =>
    told(...given).map(({ freeBytes, freeOf, capacityBytes }) => [
      freeBytes === null ? null : Number(freeBytes) / Number(gigabyte),
      freeOf,
      capacityBytes === null ? null : Number(capacityBytes) / Number(gigabyte),
    ])
  const nothing = [null, null, null]

  test('of the file system, for a database that of its tablespace', () => {
    const disks = {
      fileSystems: seen(null, { 1663: on(20n, 100n), 1664: on(20n, 100n), 9: on(5n, 10n) }),
      capacity: {},
      user: 'monitor',
    }
    expect(free(disks.fileSystems)).toEqual([[20, 'file system', 100], [20, 'file system', 100], [5, 'file system', 10], nothing])
    const rows = sampleOf(databases, [database('app', { tablespace: 'fast' }), database('other', { tablespace: 'pg_default' })])
    const told = databaseRows(facts({ databases: rows as unknown as DatabaseFacts['databases'], tablespaces: spaces, disks }))
    expect(told.map(({ freeBytes }) => freeBytes)).toEqual([5n * gigabyte, 20n * gigabyte])
  })

  test('of a configured capacity what is left of it, and beyond it less than nothing', () => {
    const of = (n: number) => n * Number(gigabyte)
    const capacity = { pg_default: of(10), fast: of(2), hidden: of(5) }
    expect(free(seen({ kind: 'remote' }), capacity)).toEqual([
      [2, 'capacity', 10],
      [2, 'capacity', 10],
      [-1, 'capacity', 2],
      [null, null, 5],
    ])
    expect(told(seen({ kind: 'remote' }), capacity)[3]!.freeProblem).toBe('its capacity is configured, but its size is not known')
  })

  test('of both that which ends sooner', () => {
    const capacity = { pg_default: 10 * Number(gigabyte), fast: 100 * Number(gigabyte) }
    const [inside, , fast] = free(seen(null, { 1663: on(20n, 100n), 9: on(5n, 10n) }), capacity)
    expect([inside, fast]).toEqual([
      [2, 'capacity', 10],
      [5, 'file system', 10],
    ])
  })

  test.each([
    [{ kind: 'remote' }, 'on another machine'],
    [{ kind: 'restricted' }, 'needs data_directory: GRANT pg_monitor TO monitor;'],
    [{ kind: 'absent', path: untrusted('/data\u001b[2J') }, '/data␛[2J is not on this machine'],
    [{ kind: 'another', path: untrusted('/data') }, "/data on this machine is not this server's"],
    [{ kind: 'denied', path: untrusted('/data') }, 'this account may not look into /data'],
    [{ kind: 'silent', path: untrusted('/data') }, 'the file system of /data does not answer'],
  ] as const)('%o says why', (trouble, words) => {
    const [row] = told(seen(trouble))
    expect(row!.freeBytes).toBeNull()
    expect(row!.freeProblem).toContain(words)
  })
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
