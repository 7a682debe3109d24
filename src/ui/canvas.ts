// What the terminal shows, cell by cell, and the fewest bytes from one picture to the next. A line of text that changes in its middle costs
// only the cells that changed; a column of ages costs a few bytes a row.

import { width } from '../model/untrusted.ts'

export type Canvas = {
  /** What to write so that the terminal shows these painted lines (text and SGR), each of them in its row; '' when it does already. */
  draw(lines: readonly string[], columns: number): string
  /** Whatever is on the terminal now isn't ours: the next picture begins from an empty screen. */
  forget(): void
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
/** Characters that come in one piece nearly always: a terminal that draws at once what it gets shows no half of a line. */
const longChange = 2000
/** So many unchanged cells are cheaper written again than passed over. */
const bridge = 3
/** So many blanks are cheaper erased than written; not in colour, since not every terminal erases with the background that is set. */
const longBlank = / {12,}/g

export function createCanvas(): Canvas {
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
      // Each order is the shortest for some picture: rows as they stand, one look after the other, or columns of figures downwards.
      // What is long may come in pieces, and is written as it is read.
      let change = written(runs, columns)
      if (runs.length > 2 && change.length < longChange) {
        for (const order of [byLook, byColumn]) {
          const other = written(runs.toSorted(order), columns)
          if (other.length < change.length) change = other
        }
      }
      const several = anew || runs[0]!.row !== runs.at(-1)!.row
      // Below everything is where others (a shell that was returned to) may write without harm.
      const park = `\u001b[${lines.length};1H`
      return (several ? together.begin : '') + (anew ? wipe : '') + change + park + (several ? together.end : '')
    },
  }
}

const looks = (a: Run, b: Run) => (a.look < b.look ? -1 : a.look > b.look ? 1 : 0)
const byLook = (a: Run, b: Run) => looks(a, b) || a.row - b.row || a.column - b.column
const byColumn = (a: Run, b: Run) => looks(a, b) || a.column - b.column || a.row - b.row

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
  // What is blank to the right edge is erased at one go, and never written: a terminal copies what was written.
  let blankFrom = columns
  while (blankFrom > 0 && characters[blankFrom - 1] === ' ' && looks[blankFrom - 1] === '') blankFrom--
  let i = 0
  while (i < columns) {
    if (!differs(i)) {
      i++
      continue
    }
    if (i >= blankFrom) {
      const cells = columns - blankFrom
      runs.push({ row, column: blankFrom, text: ' '.repeat(cells), cells, look: '' })
      break
    }
    let start = i
    while (start > 0 && characters[start] === '') start--
    const look = looks[start]!
    let end = i + 1
    for (let ahead = end; ahead < blankFrom && looks[ahead] === look && ahead - end <= bridge; ahead++) {
      if (differs(ahead) || characters[ahead] === '') end = ahead + 1
    }
    runs.push({ row, column: start, text: characters.slice(start, end).join(''), cells: end - start, look })
    i = end
  }
  return runs
}

function written(runs: readonly Run[], columns: number): string {
  let out = ''
  let look = ''
  let place: Place = null
  for (const run of runs) {
    out += moved(place, run)
    if (run.look !== look) out += `\u001b[${look === '' ? run.look : run.look === '' ? '' : `0;${run.look}`}m`
    look = run.look
    const end = run.column + run.cells
    const blank = look === '' && run.text.trimEnd() === ''
    if (blank && end === columns) {
      out += '\u001b[K'
      place = { row: run.row, column: run.column }
      continue
    }
    out += look === '' ? run.text.replace(longBlank, blanks => `\u001b[${blanks.length}X\u001b[${blanks.length}C`) : run.text
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
  const relative =
    steps(down, 'B') + (to.column < from.column ? steps(from.column - to.column, 'D') : steps(to.column - from.column, 'C'))
  return relative.length < absolute.length ? relative : absolute
}

const steps = (count: number, way: 'B' | 'C' | 'D') => (count === 0 ? '' : `\u001b[${count === 1 ? '' : count}${way}`)
