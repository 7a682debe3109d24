import { describe, expect, test } from 'vitest'
import { lockedNow, lockedTables, lockMarks, unlockedRelations } from '../../src/model/locked.ts'
import { lockedRelations } from '../../src/sql/tables.ts'
import { createAppStore } from '../../src/store/store.ts'
import { receive } from '../../src/store/updates.ts'
import { factsOf, noon, sampleOf, stateOf } from '../support/state.ts'

const held = (...relations: readonly bigint[]) => relations.map(relation => ({ database: 5n, relation }))

describe('what is locked now', () => {
  test('is of our database alone', () => {
    expect(lockedNow([...held(1n), { database: 6n, relation: 2n }], 5n)).toEqual(new Set([1n]))
    expect(lockedNow(held(1n), null)).toEqual(new Set())
  })

  test('is also the table of an index, of a TOAST table, and of its index', () => {
    const tables = [
      { relid: 10n, toast_relid: 11n, toast_index_relid: 12n },
      { relid: 20n, toast_relid: 21n, toast_index_relid: 22n },
      { relid: 30n, toast_relid: null, toast_index_relid: null },
    ]
    const indexes = [
      { indexrelid: 31n, indrelid: 30n },
      { indexrelid: 41n, indrelid: 40n },
    ]
    const of = (...relations: readonly bigint[]) => lockedTables(new Set(relations), tables as never, indexes as never)
    expect([11n, 22n, 31n, 40n].map(oid => [...of(oid)])).toEqual([[11n, 10n], [22n, 20n], [31n, 30n], [40n]])
    expect(of()).toEqual(new Set())
  })
})

describe('what was locked a moment ago', () => {
  test('is asked for once it is free, until the next round has read it', () => {
    const first = lockMarks({}, held(7n, 8n), 5n, noon)
    expect(unlockedRelations(first, noon)).toBeNull()
    const second = lockMarks(first, held(8n), 5n, noon + 1000)
    expect(unlockedRelations(second, noon + 1000)).toBe('7')
    const third = lockMarks(second, [], 5n, noon + 2000)
    expect(unlockedRelations(third, noon + 2000)).toBe('7 8')
    expect(unlockedRelations(lockMarks(third, [], 5n, noon + 200_000), noon + 200_000)).toBeNull()
  })

  test('is left to the next round where it is much', () => {
    const many = lockMarks({}, held(...Array.from({ length: 5000 }, (_, i) => BigInt(i + 1))), 5n, noon)
    const marks = lockMarks(many, held(9999n), 5n, noon + 1000)
    const told = unlockedRelations(lockMarks(marks, [], 5n, noon + 2000), noon + 2000)!.split(' ')
    expect(told).toHaveLength(200)
    expect(told).toContain('9999')
  })

  test('the store remembers it', () => {
    const store = createAppStore(stateOf([{ id: 'a', facts: factsOf({ databaseOid: 5n }) }]))
    const sample = (at: number, ...relations: readonly bigint[]) =>
      receive(store, { kind: 'sample', sample: sampleOf(lockedRelations, held(...relations), { at }) })
    sample(noon, 7n)
    sample(noon + 1000)
    expect(store.getState().servers.a!.lockMarks).toEqual({ 7: noon })
  })
})
