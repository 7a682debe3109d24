import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { arrange, itemsOf, matches, type Section, sortOf } from '../../src/panels/arrange.ts'
import type { AnyList, AnyRow } from '../../src/panels/panel.ts'
import type { ListView } from '../../src/store/state.ts'
import { freshListView } from '../../src/store/store.ts'
import { listOfRows, type Row, rowsOf, treeOfRows } from '../support/list.ts'

const view = (change: Partial<ListView> = {}): ListView => ({ ...freshListView, ...change })
const ids = (sections: readonly Section[]) => itemsOf(sections).map(item => item.id)
const order = (list: AnyList, rows: readonly AnyRow[], change: Partial<ListView> = {}, hideIdle = false) =>
  ids(arrange(list, rows, view(change), hideIdle))

describe('filter', () => {
  const rows = rowsOf({ id: '4711', name: 'Checkout' }, { id: '42', name: 'report', size: 4711 }, { id: '7', name: '漢字' })

  test('matches the text of any column, whatever the case', () => {
    expect(order(listOfRows(), rows, { filter: 'CHECK' })).toEqual(['4711'])
    expect(order(listOfRows(), rows, { filter: '471' })).toEqual(['42'])
    expect(order(listOfRows(), rows, { filter: '漢' })).toEqual(['7'])
  })

  test('an empty one matches all, another may match none', () => {
    expect(order(listOfRows(), rows)).toHaveLength(3)
    expect(order(listOfRows(), rows, { filter: 'nowhere' })).toEqual([])
  })

  test('finds what is on the screen when the words typed are drawn otherwise', () => {
    const drawn = rowsOf({ id: '1', name: 'caf\u00e9 □ two words' })
    for (const typed of ['cafe\u0301', '☕', 'two  words', 'two\twords'])
      expect(order(listOfRows(), drawn, { filter: typed }), typed).toEqual(['1'])
  })

  test('hides idle rows only when that was asked for', () => {
    const some = rowsOf({ id: 'a', idle: true }, { id: 'b' })
    expect(order(listOfRows(), some, {}, true)).toEqual(['b'])
    expect(order(listOfRows(), some, {}, false)).toEqual(['a', 'b'])
    const { idle: _, ...without } = listOfRows()
    expect(order(without, some, {}, true)).toEqual(['a', 'b'])
  })

  test('matches columns that the terminal is too narrow for', () => {
    const wide = { title: 'WIDE', width: 5, from: 200, text: () => 'secret' }
    expect(matches(listOfRows({ columns: [wide] }), { id: '1' }, 'secret')).toBe(true)
  })
})

describe('sort', () => {
  const rows = rowsOf(
    { id: 'none', size: null },
    { id: 'small', size: 2 },
    { id: 'big', size: 10n ** 19n },
    { id: 'zero', size: 0 },
  )

  test('numbers by value, of either kind, with null last either way', () => {
    const by = (descending: boolean) => order(listOfRows(), rows, { sort: { column: 'SIZE', descending } })
    expect(by(true)).toEqual(['big', 'small', 'zero', 'none'])
    expect(by(false)).toEqual(['zero', 'small', 'big', 'none'])
  })

  test('by the list’s own column until the user chooses, and when the chosen column is not there', () => {
    expect(order(listOfRows(), rows)).toEqual(['big', 'none', 'small', 'zero'])
    expect(sortOf(listOfRows(), view({ sort: { column: 'GONE', descending: true } })).column.title).toBe('NAME')
  })

  test('a figure that is none sorts as missing', () => {
    const odd = rowsOf({ id: 'a', size: 1 }, { id: 'b', size: Number.NaN }, { id: 'c', size: 3 }, { id: 'd', size: 2 })
    expect(order(listOfRows(), odd, { sort: { column: 'SIZE', descending: true } })).toEqual(['c', 'd', 'a', 'b'])
  })

  const anyRows = fc
    .uniqueArray(fc.record({ id: fc.string({ minLength: 1 }), size: fc.option(fc.integer({ min: 0, max: 3 }), { nil: null }) }), {
      selector: r => r.id,
      maxLength: 30,
    })
    .map(rows => rows as readonly Row[])

  test('the order depends on the rows, not on the order they came in', () => {
    fc.assert(
      fc.property(anyRows, fc.boolean(), fc.infiniteStream(fc.nat()), (rows, descending, noise) => {
        const shuffled = rows
          .map(r => ({ r, at: noise.next().value as number }))
          .sort((a, b) => a.at - b.at)
          .map(({ r }) => r)
        const sort = { column: 'SIZE', descending }
        expect(order(listOfRows(), rowsOf(...shuffled), { sort })).toEqual(order(listOfRows(), rowsOf(...rows), { sort }))
      }),
    )
  })

  test('every row is there exactly once, in a tree too', () => {
    const parents = fc.array(fc.nat({ max: 30 }), { maxLength: 31 })
    fc.assert(
      fc.property(parents, fc.boolean(), (given, tree) => {
        const rows = rowsOf(...given.map((parent, i) => ({ id: `r${i}`, parent: parent === 30 ? null : `r${parent}` })))
        const shown = order(treeOfRows(), rows, { tree })
        expect([...shown].sort()).toEqual(rows.map(r => r.id as string).sort())
      }),
    )
  })
})

describe('groups', () => {
  const groups: Record<string, number> = { clients: 0, walsenders: 1, background: 2 }
  const list = listOfRows({
    group: row => ({ order: groups[String(row.group)]!, title: row.group === 'clients' ? '' : String(row.group) }),
  })
  const rows = rowsOf(
    { id: 'bg', group: 'background', size: 9 },
    { id: 'b', group: 'clients', size: 1 },
    { id: 'ws', group: 'walsenders', size: 5 },
    { id: 'a', group: 'clients', size: 2 },
  )

  test('stand in their order with their titles, each sorted within', () => {
    const sections = arrange(list, rows, view({ sort: { column: 'SIZE', descending: true } }), false)
    expect(sections.map(s => [s.title, s.items.map(i => i.id)])).toEqual([
      ['', ['a', 'b']],
      ['walsenders', ['ws']],
      ['background', ['bg']],
    ])
  })

  test('one without rows has no title', () => {
    expect(arrange(list, rows, view({ filter: 'bg' }), false).map(s => s.title)).toEqual(['background'])
    expect(arrange(list, [], view(), false)).toEqual([])
  })
})

describe('tree', () => {
  const drawn = (rows: readonly AnyRow[], change: Partial<ListView> = {}) =>
    itemsOf(arrange(treeOfRows(), rows, view(change), false)).map(item => `${item.branch}${item.id}`)
  const family = rowsOf(
    { id: 'c', parent: 'a' },
    { id: 'a' },
    { id: 'd', parent: 'c' },
    { id: 'b', parent: 'a' },
    { id: 'e', parent: 'b' },
    { id: 'z' },
  )

  test('children stand under their parent, siblings in the order of the sort', () => {
    expect(drawn(family)).toEqual(['a', '├ b', '│ └ e', '└ c', '  └ d', 'z'])
    expect(drawn(family, { sort: { column: 'NAME', descending: true } })).toEqual(['z', 'a', '├ c', '│ └ d', '└ b', '  └ e'])
  })

  test('flat when the user wants it so, and in a list that is none', () => {
    expect(drawn(family, { tree: false })).toEqual(['a', 'b', 'c', 'd', 'e', 'z'])
    expect(itemsOf(arrange(listOfRows(), family, view(), false)).every(item => item.branch === '')).toBe(true)
  })

  test('a row whose parent is gone or filtered away stands alone', () => {
    expect(drawn(rowsOf({ id: 'x', parent: 'gone' }))).toEqual(['x'])
    expect(drawn(family, { filter: 'd' })).toEqual(['d'])
  })

  test('rows in a ring are shown, each once, with those that hang under them', () => {
    const ring = rowsOf(
      { id: 'a', parent: 'b' },
      { id: 'b', parent: 'a' },
      { id: 'self', parent: 'self' },
      { id: 'under', parent: 'b' },
    )
    expect(drawn(ring).sort()).toHaveLength(4)
    expect(drawn(ring)).toContain('self')
  })

  test('a chain of many thousands neither overflows nor takes long', () => {
    const chain = rowsOf(...Array.from({ length: 20_000 }, (_, i) => ({ id: `p${i}`, parent: i === 0 ? null : `p${i - 1}` })))
    const begun = performance.now()
    const items = itemsOf(arrange(treeOfRows(), chain, view(), false))
    expect(items.map(item => item.id)).toEqual(chain.map(row => row.id))
    expect(performance.now() - begun).toBeLessThan(1000)
  })
})

describe('a tree that folds', () => {
  const folding = treeOfRows({ folds: true })
  const rows = rowsOf(
    { id: 'alone' },
    { id: 'parent' },
    { id: 'child', parent: 'parent' },
    { id: 'inner', parent: 'parent' },
    { id: 'leaf', parent: 'inner' },
  )
  const branchesOf = (change: Partial<ListView>) =>
    itemsOf(arrange(folding, rows, view(change), false)).map(({ id, branch }) => `${branch}${id}`)

  test('shows children only of what is opened, and marks what has some', () => {
    expect(branchesOf({})).toEqual(['alone', '▸ parent'])
    expect(branchesOf({ opened: ['parent'] })).toEqual(['alone', '▾ parent', '├ child', '└ ▸ inner'])
    expect(branchesOf({ opened: ['parent', 'inner'] })).toEqual(['alone', '▾ parent', '├ child', '└ ▾ inner', '  └ leaf'])
    expect(branchesOf({ opened: ['inner'] })).toEqual(['alone', '▸ parent'])
  })

  test('is flat without a tree, and a filter finds what is folded away', () => {
    expect(order(folding, rows, { tree: false })).toHaveLength(5)
    expect(order(folding, rows, { filter: 'leaf' })).toEqual(['leaf'])
    expect(order(folding, rows, { filter: 'e' })).toEqual(['alone', 'parent', 'inner', 'leaf'])
  })
})
