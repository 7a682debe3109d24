// From one picture to the next: whatever changes, a real terminal shows the new one, and it took few bytes.

import xterm from '@xterm/headless'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { drawable } from '../../src/model/untrusted.ts'
import { createCanvas } from '../../src/ui/canvas.ts'
import { fitLine, type Look, type Line as Painted, paint, span } from '../../src/ui/spans.ts'

const theme = { color: true, ascii: false }

/** A terminal that is written to; resolves when it has taken all. */
function terminal(columns: number, rows: number) {
  const emulator = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true, scrollback: 0 })
  return {
    write: (text: string) => new Promise<void>(resolve => emulator.write(text, resolve)),
    /** The lines as they are copied: blanks that were written count. */
    lines: () => Array.from({ length: rows }, (_, row) => emulator.buffer.active.getLine(row)!.translateToString(true)),
    /** Each cell with what it looks like. */
    cells: () =>
      Array.from({ length: rows }, (_, row) =>
        Array.from({ length: columns }, (_, column) => {
          const cell = emulator.buffer.active.getLine(row)!.getCell(column)!
          const character = cell.getWidth() === 0 ? '' : cell.getChars() || ' '
          return `${character}|${cell.getFgColor()}|${cell.getBgColor()}|${cell.isBold()}|${cell.isInverse()}`
        }),
      ),
  }
}

const looks: (Look | undefined)[] = [undefined, undefined, 'dim', 'warning', 'critical', 'selected', 'bar', 'title']
const words = [
  '',
  'idle',
  'active 12s',
  '4m12s',
  '   ',
  '                                ',
  '漢字',
  'größe',
  'a…',
  '├ 12',
  '─────',
  '▼',
  'SELECT 1',
]

const line = (columns: number) =>
  fc.array(fc.record({ word: fc.constantFrom(...words), look: fc.constantFrom(...looks) }), { maxLength: 8 }).map(
    (spans): Painted =>
      fitLine(
        spans.map(({ word, look }) => span(drawable(word), look)),
        columns,
      ),
  )

describe('what the terminal shows is the picture', () => {
  test.each([
    { columns: 40, rows: 8 },
    { columns: 7, rows: 3 },
  ])('$columns x $rows', async ({ columns, rows }) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(line(columns), { minLength: rows, maxLength: rows }), { minLength: 2, maxLength: 5 }),
        async pictures => {
          const canvas = createCanvas()
          const changed = terminal(columns, rows)
          for (const picture of pictures) {
            const lines = picture.map(one => paint(one, theme))
            await changed.write(canvas.draw(lines, columns))
            const anew = terminal(columns, rows)
            await anew.write(createCanvas().draw(lines, columns))
            expect(changed.cells()).toEqual(anew.cells())
            expect(changed.lines()).toEqual(anew.lines())
            expect(canvas.draw(lines, columns)).toBe('')
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  test('drawn from nothing each cell is what was painted', async () => {
    const screen = terminal(12, 2)
    await screen.write(
      createCanvas().draw(
        [
          paint([span('ab', 'critical'), span(' 漢 '), span('zz')], theme),
          paint(fitLine([span('on', 'selected')], 12, 'selected'), theme),
        ],
        12,
      ),
    )
    const cells = screen.cells().map(row => row.map(cell => cell.split('|')[0]).join(''))
    expect(cells.map(text => text.trimEnd())).toEqual(['ab 漢 zz', 'on'])
    const [first, second] = screen.cells()
    expect(first![0]).toBe(`a|1|-1|${1 << 27}|0`)
    expect(second!.every(cell => cell.split('|')[2] === '6')).toBe(true)
  })

  test('after forget() all is drawn again', async () => {
    const canvas = createCanvas()
    const lines = ['one', 'two']
    const first = canvas.draw(lines, 10)
    expect(canvas.draw(lines, 10)).toBe('')
    canvas.forget()
    expect(canvas.draw(lines, 10)).toBe(first)
    expect(canvas.draw(lines, 11)).toBe(first)
  })
})

describe('few bytes', () => {
  const columns = 200
  const row = (i: number, age: string) =>
    paint(
      fitLine(
        [span(` ${10_000 + i}  app     postgres  web-${i}`.padEnd(100)), span(age.padStart(8), 'dim'), span('  select 1')],
        columns,
      ),
      theme,
    )
  const bytesBetween = (from: readonly string[], to: readonly string[]) => {
    const canvas = createCanvas()
    canvas.draw(from, columns)
    return canvas.draw(to, columns).length
  }
  const rows = (age: (i: number) => string) => Array.from({ length: 45 }, (_, i) => row(i, age(i)))

  test('a digit in a column of 45 rows', () => {
    expect(
      bytesBetween(
        rows(() => '4m12s'),
        rows(() => '4m13s'),
      ),
    ).toBeLessThan(45 * 8)
  })

  test('a tenth of the cells: three figures of seven cells in each row', () => {
    const figures = (i: number, n: number) =>
      paint(
        fitLine(
          [
            span(` ${10_000 + i}  app     postgres  web-${i}`.padEnd(100)),
            ...[1, 2, 3].map(k =>
              span(
                String((i + 7) * 104_729 * k * n)
                  .slice(-7)
                  .padStart(9),
              ),
            ),
          ],
          columns,
        ),
        theme,
      )
    const tenth = (n: number) => Array.from({ length: 48 }, (_, i) => figures(i, n))
    expect(bytesBetween(tenth(1), tenth(3))).toBeLessThanOrEqual(3000)
  })

  test('one character', () => {
    expect(
      bytesBetween(
        rows(() => '4m12s'),
        rows(i => (i === 7 ? '4m13s' : '4m12s')),
      ),
    ).toBeLessThan(25)
  })

  test('a row that becomes blank', () => {
    const to = [...rows(() => '1s')]
    to[3] = ' '.repeat(columns)
    expect(
      bytesBetween(
        rows(() => '1s'),
        to,
      ),
    ).toBeLessThan(20)
  })

  test('a cursor that moves to the next row', () => {
    const chosen = (i: number) =>
      paint(fitLine([span(` ${10_000 + i}  app     postgres  web-${i}`, 'selected')], columns, 'selected'), theme)
    const [from, to] = [rows(() => '1s'), rows(() => '1s')]
    from[3] = chosen(3)
    to[4] = chosen(4)
    expect(bytesBetween(from, to)).toBeLessThan(450)
  })
})
