import { describe, expect, test } from 'vitest'
import { type PickFacts, pickVariant, query } from '../../src/sql/query.ts'

const facts = (change: Partial<PickFacts> = {}): PickFacts => ({ version: 160014, extensions: {}, available: [], ...change })
const variants = [
  { from: 170000, text: 'seventeen' },
  { from: 140000, text: 'fourteen' },
  { from: 130000, text: 'thirteen' },
]
const plain = query({ id: 'q', on: 'postgres', every: 'tick', columns: {}, variants })
const timescale = query({
  id: 't',
  on: 'postgres',
  every: 10,
  needs: { extension: 'timescaledb' },
  columns: {},
  variants: [
    { from: 21300, text: '2.13' },
    { from: 21100, text: '2.11' },
  ],
})
const console = query({ id: 'p', on: 'pgbouncer', every: 'tick', columns: {}, variants: [{ from: 11900, text: 'SHOW STATE' }] })

describe('the newest text that the server knows', () => {
  test.each([
    [180000, 'seventeen'],
    [170000, 'seventeen'],
    [169999, 'fourteen'],
    [140000, 'fourteen'],
    [130023, 'thirteen'],
  ])('%i', (version, text) => {
    expect(pickVariant(plain, facts({ version }))).toEqual({ text })
  })

  test('of an extension, its own version counts and not the server’s', () => {
    expect(pickVariant(timescale, facts({ extensions: { timescaledb: 22300 } }))).toEqual({ text: '2.13' })
    expect(pickVariant(timescale, facts({ extensions: { timescaledb: 21200 } }))).toEqual({ text: '2.11' })
  })
})

describe('absence has a reason and a remedy', () => {
  test('a server that is too old', () => {
    expect(pickVariant(plain, facts({ version: 120022 }))).toEqual({
      unavailable: 'PostgreSQL 12 is too old for this',
      remedy: 'PostgreSQL 13 or later has it',
    })
    expect(pickVariant(console, facts({ version: 11800 }))).toEqual({
      unavailable: 'PgBouncer 1.18 is too old for this',
      remedy: 'PgBouncer 1.19 or later has it',
    })
    expect(pickVariant(timescale, facts({ extensions: { timescaledb: 20900 } }))).toEqual({
      unavailable: 'timescaledb 2.9 is too old for this',
      remedy: 'timescaledb 2.11 or later has it',
    })
  })

  test('an extension that could be created here', () => {
    expect(pickVariant(timescale, facts({ available: ['timescaledb'] }))).toEqual({
      unavailable: 'the extension timescaledb is not installed in this database',
      remedy: 'CREATE EXTENSION timescaledb;',
    })
  })

  test('an extension that the server does not have at all', () => {
    expect(pickVariant(timescale, facts({ extensions: { pg_stat_statements: 11000 } }))).toMatchObject({
      remedy: expect.stringContaining('--timescale CONNINFO'),
    })
  })
})
