// What the terminal shows, cell by cell, and the fewest bytes from one picture to the next. A line of text that changes in its middle costs
// only the cells that changed; a column of ages costs a few bytes a row.

import { width } from '../model/untrusted.ts'

export type Canvas = {
  /** What to write so that the terminal shows these painted lines (text and SGR), each of them in its row; '' when it does already. */
  draw(lines: readonly string[], columns: number): string
  /** Whatever is on the terminal now isn't ours: the next picture begins from an empty screen. */
  forget(): void
}

export type CanvasOptions = {
  /** The terminal erases with the background that is set (bce): not within `screen`. */
  readonly erasesInColour: boolean
}

/** The cells of a row: a character each ('' behind a wide one), and its look as SGR parameters ('' for none). */
type Row = { readonly painted: string; readonly characters: readonly string[]; readonly looks: readonly string[] }
/** Cells beside each other, in one look. */
type Run = { readonly row: number; readonly column: number; readonly text: string; readonly cells: number; readonly look: string }
type Place = { readonly row: number; readonly column: number } | null

/** The terminal draws what stands between these marks at once; one that doesn't know them passes over them. */
const together = { begin: '\u001b[?2026h', end: '\u001b[?2026l' }
/** Cursor away, look reset, everything cleared. */
const wipe = '\u001b[?25l\u001b[0m\u001b[H\u001b[2J'
/** So many unchanged cells are cheaper written again than passed over. */
const bridge = 3
/** So many blanks are cheaper erased than written. */
const longBlank = / {12,}/g

export function createCanvas({ erasesInColour }: CanvasOptions): Canvas {
  let shown: Row[] | null = null
  let shownColumns = 0
  return {
    forget: () => {
      shown = null
    },
    draw: (lines, columns) => {
      const anew = shown === null || shownColumns !== columns || shown.length !== lines.length
      const before = anew ? lines.map(() => blankRow(columns)) : (shown as Row[])
      const now = lines.map((painted, i) => (before[i]!.painted === painted ? before[i]! : rowOf(painted, columns)))
      const runs = now.flatMap((row, i) => changes(before[i]!, row, i))
      shown = now
      shownColumns = columns
      if (runs.length === 0) return anew ? wipe : ''
      const byRow = written(runs, columns, erasesInColour)
      const byColumn = runs.length < 3 ? byRow : written(runs.toSorted(stripes), columns, erasesInColour)
      const change = byColumn.length < byRow.length ? byColumn : byRow
      const several = anew || runs[0]!.row !== runs.at(-1)!.row
      return (several ? together.begin : '') + (anew ? wipe : '') + change + (several ? together.end : '')
    },
  }
}

/** Looks and columns first: a column of figures is written downwards. */
function stripes(a: Run, b: Run): number {
  return a.look < b.look ? -1 : a.look > b.look ? 1 : a.column - b.column || a.row - b.row
}

function blankRow(columns: number): Row {
  return { painted: '', characters: Array.from({ length: columns }, () => ' '), looks: Array.from({ length: columns }, () => '') }
}

const sgr = /\u001b\[([\d;]*)m/g

function rowOf(painted: string, columns: number): Row {
  const characters: string[] = []
  const looks: string[] = []
  const add = (text: string, look: string) => {
    for (const character of text) {
      const cells = character >= ' ' && character <= '~' ? 1 : width(character)
      if (characters.length + cells > columns) return
      if (cells === 0) continue
      characters.push(character)
      looks.push(look)
      if (cells === 2) {
        characters.push('')
        looks.push(look)
      }
    }
  }
  let [look, at] = ['', 0]
  for (const { index, 0: all, 1: params = '' } of painted.matchAll(sgr)) {
    add(painted.slice(at, index), look)
    look = lookAfter(look, params)
    at = index + all.length
  }
  add(painted.slice(at), look)
  while (characters.length < columns) {
    characters.push(' ')
    looks.push('')
  }
  return { painted, characters, looks }
}

const followed = new Map<string, string>()

/** The look that a sequence leads to: every look is written in one way, so that equal ones compare as equal. */
function lookAfter(look: string, params: string): string {
  const key = `${look}m${params}`
  const known = followed.get(key)
  if (known !== undefined) return known
  const all = new Set(look === '' ? [] : look.split(';').map(Number))
  const without = (test: (n: number) => boolean) => {
    for (const n of all) if (test(n)) all.delete(n)
  }
  for (const code of params.split(';').map(Number)) {
    if (code === 0) all.clear()
    else if (code === 22) without(n => n === 1 || n === 2)
    else if (code === 27) without(n => n === 7)
    else if (code === 39) without(isForeground)
    else if (code === 49) without(isBackground)
    else {
      if (isForeground(code)) without(isForeground)
      if (isBackground(code)) without(isBackground)
      all.add(code)
    }
  }
  const result = [...all].sort((a, b) => a - b).join(';')
  followed.set(key, result)
  return result
}

const isForeground = (n: number) => (n >= 30 && n <= 37) || (n >= 90 && n <= 97)
const isBackground = (n: number) => (n >= 40 && n <= 47) || (n >= 100 && n <= 107)

/** The cells of a row that differ, as runs of one look each. A wide character is changed as a whole. */
function changes(before: Row, now: Row, row: number): readonly Run[] {
  if (before === now) return []
  const { characters, looks } = now
  const differs = (i: number) => characters[i] !== before.characters[i] || looks[i] !== before.looks[i]
  const runs: Run[] = []
  const columns = characters.length
  // What is blank to the right edge is erased at one go.
  let blankFrom = columns
  while (blankFrom > 0 && characters[blankFrom - 1] === ' ' && looks[blankFrom - 1] === '') blankFrom--
  let i = 0
  while (i < columns) {
    if (!differs(i)) {
      i++
      continue
    }
    if (i >= blankFrom && columns - i > bridge) {
      runs.push({ row, column: i, text: ' '.repeat(columns - i), cells: columns - i, look: '' })
      break
    }
    let start = i
    while (start > 0 && characters[start] === '') start--
    const look = looks[start]!
    let end = i + 1
    for (
      let ahead = end;
      ahead < (i < blankFrom ? blankFrom : columns) && looks[ahead] === look && ahead - end <= bridge;
      ahead++
    ) {
      if (differs(ahead) || characters[ahead] === '') end = ahead + 1
    }
    runs.push({ row, column: start, text: characters.slice(start, end).join(''), cells: end - start, look })
    i = end
  }
  return runs
}

function written(runs: readonly Run[], columns: number, erasesInColour: boolean): string {
  let out = ''
  let look = ''
  let place: Place = null
  for (const run of runs) {
    out += moved(place, run)
    if (run.look !== look) out += `\u001b[${look === '' ? run.look : run.look === '' ? '' : `0;${run.look}`}m`
    look = run.look
    const end = run.column + run.cells
    const blank = look === '' && run.text.trimEnd() === ''
    if (blank && end === columns && run.cells > bridge) {
      out += '\u001b[K'
      place = { row: run.row, column: run.column }
      continue
    }
    const erasable = look === '' || (erasesInColour && !look.split(';').includes('7'))
    out += erasable ? run.text.replace(longBlank, blanks => `\u001b[${blanks.length}X\u001b[${blanks.length}C`) : run.text
    // At the right edge the cursor hangs over; behind characters that terminals may count otherwise it is known less well.
    place = end >= columns || run.text.length !== run.cells ? null : { row: run.row, column: end }
  }
  return out + (look === '' ? '' : '\u001b[m')
}

/** The shortest way that is known from one cell to another. */
function moved(from: Place, to: { readonly row: number; readonly column: number }): string {
  const absolute = `\u001b[${to.row + 1};${to.column + 1}H`
  if (from === null) return absolute
  const down = to.row - from.row
  if (down < 0) return absolute
  const [index, steps] = ['\u001bD'.repeat(Math.min(down, 3)), `\u001b[${down}B`]
  const vertical = down === 0 ? '' : index.length <= steps.length ? index : steps
  const relative = vertical + across(to.column - from.column)
  return relative.length < absolute.length ? relative : absolute
}

function across(cells: number): string {
  if (cells === 0) return ''
  if (cells > 0) return cells === 1 ? '\u001b[C' : `\u001b[${cells}C`
  return -cells <= 4 ? '\b'.repeat(-cells) : `\u001b[${-cells}D`
}
