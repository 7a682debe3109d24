import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { drawable, width } from '../../src/model/untrusted.ts'
import { arrange, type Section } from '../../src/panels/arrange.ts'
import type { AnyList, Column } from '../../src/panels/panel.ts'
import { freshListView } from '../../src/store/store.ts'
import { type Line, lineWidth, plain } from '../../src/ui/spans.ts'
import { place, type TableInput, table, tableLines, windowTop } from '../../src/ui/table.ts'
import { listOfRows, nameColumn, type Row, rowsOf, sizeColumn, treeOfRows } from '../support/list.ts'

const wideList = listOfRows({
  columns: [
    nameColumn,
    sizeColumn,
    { title: 'MORE', width: 10, from: 100, text: () => 'more' },
    { title: 'MOST', width: 10, from: 160, text: () => 'most' },
    { title: 'QUERY', width: 12, grow: true, text: () => 'select 1' },
  ],
})

function draw(rows: readonly Row[], change: Partial<TableInput> & { list?: AnyList } = {}) {
  const list = change.list ?? wideList
  const sections = arrange(list, rowsOf(...rows), freshListView, false)
  return table({
    list,
    sections,
    columns: 80,
    height: 10,
    sort: { column: list.columns[0]!, descending: false },
    selected: 0,
    focused: true,
    tagged: [],
    top: 0,
    rowTone: () => undefined,
    ...change,
  })
}

const many = (n: number) => Array.from({ length: n }, (_, i) => ({ id: `r${String(i).padStart(4, '0')}`, size: i }))
const texts = (lines: readonly Line[]) => lines.map(plain)

describe('width', () => {
  const odd = [
    { id: 'a', name: drawable('漢字のテーブル名前'), size: 10n ** 30n },
    { id: 'b', name: drawable('\u001b[2J\u202e e\u0301 👩‍👩‍👧'), size: null },
    { id: 'c', name: '', size: 0 },
  ]

  test('every line fills exactly the width of the terminal, from 40 to 250 cells', () => {
    for (let columns = 40; columns <= 250; columns++) {
      const { lines } = draw([...odd, ...many(3)], { columns })
      expect(lines).toHaveLength(10)
      expect(lines.map(lineWidth), `${columns} columns`).toEqual(Array.from({ length: 10 }, () => columns))
    }
  })

  test('a wide character takes its two cells, so that the next column stands where it should', () => {
    const at = texts(draw(odd).lines).map(line => line.indexOf('select 1'))
    const cells = texts(draw(odd).lines).map((line, i) => (at[i]! < 0 ? -1 : width(line.slice(0, at[i]))))
    expect(cells.slice(1, 4)).toEqual([17, 17, 17])
  })

  test('columns meant for wider terminals are left out, and the growing one takes the rest', () => {
    const titles = (columns: number) => place(wideList.columns, columns - 1).map(p => `${p.column.title} ${p.width}`)
    expect(titles(80)).toEqual(['NAME 8', 'SIZE 6', 'QUERY 63'])
    expect(titles(100)).toEqual(['NAME 8', 'SIZE 6', 'MORE 10', 'QUERY 72'])
    expect(titles(99)).toEqual(['NAME 8', 'SIZE 6', 'QUERY 82'])
    expect(titles(160)).toEqual(['NAME 8', 'SIZE 6', 'MORE 10', 'MOST 10', 'QUERY 121'])
  })

  test('without room for all, the last ones go first; the first column and the growing one stay', () => {
    const fixed = (title: string): Column<Record<string, unknown>> => ({ title, width: 20, text: () => title })
    const columns = [fixed('A'), fixed('B'), fixed('C'), { ...fixed('Q'), width: 10, grow: true }]
    expect(place(columns, 75).map(p => p.column.title)).toEqual(['A', 'B', 'C', 'Q'])
    expect(place(columns, 72).map(p => p.column.title)).toEqual(['A', 'B', 'Q'])
    expect(place(columns, 40).map(p => p.column.title)).toEqual(['A', 'Q'])
    expect(place(columns, 25).map(p => [p.column.title, p.width])).toEqual([['A', 20]])
    expect(place(columns, 8).map(p => [p.column.title, p.width])).toEqual([['A', 8]])
  })

  test('with a growing column no cell is left over, however columns may widen', () => {
    const column = fc.record({
      width: fc.integer({ min: 1, max: 20 }),
      wide: fc.integer({ min: 0, max: 60 }),
      from: fc.constantFrom(0, 100, 160),
    })
    fc.assert(
      fc.property(
        fc.array(column, { minLength: 1, maxLength: 12 }),
        column,
        fc.integer({ min: 40, max: 250 }),
        (fixed, last, cells) => {
          const columns = [...fixed, { ...last, from: 0, grow: true }].map((c, i) => ({ ...c, title: `C${i}`, text: () => '' }))
          const placed = place(columns, cells)
          if (!placed.some(p => p.column.grow)) return
          expect(placed.reduce((sum, p) => sum + p.width + 1, -1)).toBe(cells)
          for (const p of placed) expect(p.width).toBeGreaterThanOrEqual(p.column.width)
        },
      ),
    )
  })

  test('headings stand over their column on its side, with the sort’s direction', () => {
    const [head] = texts(draw(many(1), { sort: { column: sizeColumn, descending: true } }).lines)
    expect(head).toMatch(/^ NAME {6}SIZE▼ QUERY +$/)
    const [up] = texts(draw(many(1), { sort: { column: sizeColumn, descending: false } }).lines)
    expect(up).toContain('SIZE▲')
  })

  test('a heading as long as its column keeps its name when sorted by, and shows the direction', () => {
    const list = listOfRows({ columns: [{ ...sizeColumn, title: 'FAILED' }, nameColumn] })
    const [head] = texts(draw(many(1), { list, sort: { column: list.columns[0]!, descending: true } }).lines)
    expect(head).toMatch(/^ FAILE▼ /)
  })
})

describe('cells', () => {
  test('a row deep in a tree keeps its text; of the branches the end is shown', () => {
    const chain = Array.from({ length: 12 }, (_, i) => ({
      id: `p${i}`,
      name: String(1234560 + i),
      parent: i === 0 ? null : `p${i - 1}`,
    }))
    const { lines } = draw(chain, { list: treeOfRows(), height: 13 })
    for (const [i, row] of chain.entries()) expect(plain(lines[i + 1]!), `depth ${i}`).toContain(row.name)
    expect(plain(lines[2]!)).toMatch(/^ └1234561/)
    const named = draw([{ id: 'p' }, { id: 'c', name: 'a-long-standby-name', parent: 'p' }], { list: treeOfRows() })
    expect(plain(named.lines[2]!)).toMatch(/^ └ a-lon… /)
  })

  test('tags, the cursor and tones each have their look; a list not in focus draws no cursor', () => {
    const rows = many(3)
    const looks = (lines: readonly Line[]) => lines.slice(1, 4).map(line => [...new Set(line.map(s => s.look))])
    expect(looks(draw(rows, { selected: 1, tagged: ['r0002'], rowTone: () => 'dim' }).lines)).toEqual(
      [['dim'], ['selected'], ['accent']].map((look, i) => expect.arrayContaining(i === 1 ? ['selected'] : look)),
    )
    expect(
      draw(rows, { selected: 1, focused: false })
        .lines.flat()
        .some(s => s.look === 'selected'),
    ).toBe(false)
    expect(plain(draw(rows, { tagged: ['r0000'] }).lines[1]!)[0]).toBe('*')
  })

  test('a section begins with its title', () => {
    const list = listOfRows({ group: row => ({ order: row.group === 'b' ? 1 : 0, title: row.group === 'b' ? 'others' : '' }) })
    const { lines } = draw([{ id: '1' }, { id: '2', group: 'b' }], { list })
    expect(texts(lines)[2]).toMatch(/^─ others ─+$/)
  })

  test('for output that is no screen: every row, whatever the height', () => {
    const lines = tableLines(wideList, arrange(wideList, rowsOf(...many(500)), freshListView, false), 100)
    expect(lines).toHaveLength(501)
  })
})

describe('window', () => {
  const inView = (lines: readonly Line[]) => lines.some(line => line.some(s => s.look === 'selected'))

  test('the cursor’s row is on the screen, wherever it goes and however high the table is', () => {
    const rows = many(60).map((row, i) => ({ ...row, group: String(Math.floor(i / 20)) }))
    const list = listOfRows({
      group: row => ({ order: Number(row.group), title: `part ${row.group}` }),
      columns: [{ ...nameColumn, grow: true }],
    })
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 59 }), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 2, max: 30 }),
        (cursors, height) => {
          let top = 0
          for (const selected of cursors) {
            const drawn = draw(rows, { list, selected, height, top, sort: { column: sizeColumn, descending: false } })
            top = drawn.top
            expect(inView(drawn.lines.slice(1))).toBe(true)
            expect(drawn.lines.map(plain).join('\n')).toContain(rows[selected]!.id)
          }
        },
      ),
    )
  })

  const whole = fc.record({
    before: fc.nat(200),
    cursor: fc.nat(99),
    height: fc.integer({ min: 1, max: 50 }),
    total: fc.constant(100),
  })

  test('moves no further than it must', () => {
    fc.assert(
      fc.property(whole, ({ before, cursor, height, total }) => {
        const top = windowTop(before, cursor, height, total)
        const start = Math.min(before, total - height)
        expect(top).toBeGreaterThanOrEqual(0)
        expect(top).toBeLessThanOrEqual(Math.max(0, total - height))
        expect(cursor).toBeGreaterThanOrEqual(top)
        expect(cursor).toBeLessThan(top + height)
        // The line above the first row may be a title that comes along.
        if (cursor >= start && cursor < start + height && cursor > 1) expect(top).toBe(start)
        else if (cursor < start) expect(top).toBe(cursor <= 1 && height > cursor ? 0 : cursor)
        else if (cursor >= start + height) expect(top).toBe(cursor - height + 1)
      }),
    )
  })

  test('rows that went away leave no empty room above the last one', () => {
    expect(windowTop(90, -1, 10, 12)).toBe(2)
    expect(windowTop(90, -1, 10, 4)).toBe(0)
  })

  test('only rows in the window are formatted', () => {
    let formatted = 0
    const counted = (row: Record<string, unknown>) => {
      formatted++
      return String(row.id)
    }
    const list = listOfRows({
      columns: [{ ...nameColumn, text: counted }],
      sort: { column: 'SIZE', descending: false },
    })
    const sections: readonly Section[] = [{ title: '', items: many(10_000).map(row => ({ id: row.id, row, branch: '' })) }]
    draw([], { list, sections, selected: 5000 })
    expect(formatted).toBe(9)
  })
})
