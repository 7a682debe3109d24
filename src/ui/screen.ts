// The whole screen as lines: exactly as many as the terminal has, each exactly as wide. A pure function of the state (and of where the
// lists were scrolled to), so that every screen can be drawn again.

import { workLines } from '../panels/works.ts'
import type { State } from '../store/state.ts'
import { bar } from './bar.ts'
import { body, type Memory } from './body.ts'
import { dialog } from './dialogs.ts'
import { header } from './header.ts'
import { fitLine, type Line, span } from './spans.ts'

/** Below this there is no room for a table that could be read. */
const smallest = { columns: 40, rows: 10 }

/** The screen in parts, from above; the middle, which takes the most work, only when it is asked for. */
export type Parts = {
  readonly above: readonly Line[]
  readonly tabs: readonly Line[]
  readonly middle: () => readonly Line[]
  readonly below: readonly Line[]
}

export function screen(state: State, memory: Memory): readonly Line[] {
  const { above, tabs, middle, below } = parts(state, memory)
  return [...above, ...tabs, ...middle(), ...below]
}

export function parts(state: State, memory: Memory): Parts {
  const { columns, rows } = state.view.size
  if (columns < smallest.columns || rows < smallest.rows) {
    return { above: [], tabs: [], middle: () => tooSmall(columns, rows), below: [] }
  }
  const top = header(state, columns)
  // Many servers on a small terminal: their lines give way to the table.
  const above = top.length <= rows - 6 ? top : [...top.slice(0, Math.max(1, rows - 8)), ...top.slice(-2)]
  const told = workLines(state)
  const works = told.slice(0, Math.max(0, rows - above.length - 4)).map(({ text, tone }) => fitLine([span(text, tone)], columns))
  const height = rows - above.length - works.length - 1
  const shown = state.view.dialog
  const middle = () => (shown ? dialog(state, shown, columns, height) : body(state, columns, height, memory))
  return { above: above.slice(0, -1), tabs: above.slice(-1), middle, below: [...works, bar(state, columns)] }
}

function tooSmall(columns: number, rows: number): readonly Line[] {
  const words = ['too small:', `${columns}x${rows}, needs`, `${smallest.columns}x${smallest.rows}`]
  return Array.from({ length: rows }, (_, i) => fitLine([span(words[i] ?? '')], columns))
}
