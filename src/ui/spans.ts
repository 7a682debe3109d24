// A line of the screen is a list of spans: drawable text with a tone. Everything above this file is about what a line says; only
// paint() knows about escape sequences.

import { asciiOnly, fit, width } from '../model/untrusted.ts'
import type { Tone } from '../panels/panel.ts'

export type Look = Tone | 'title' | 'header' | 'bar' | 'off' | 'selected' | 'tab' | 'strong'
export type Span = { readonly text: string; readonly look?: Look | undefined }
export type Line = readonly Span[]

export function span(text: string, look?: Look): Span {
  return { text, look }
}

/** Cells that a line takes. */
export function lineWidth(line: Line): number {
  return line.reduce((sum, s) => sum + width(s.text), 0)
}

/** A line in exactly so many cells: cut at the right, or filled with blanks in the look of `fill`. */
export function fitLine(line: Line, cells: number, fill?: Look): Line {
  const out: Span[] = []
  let left = cells
  for (const s of line) {
    if (left <= 0) break
    const w = width(s.text)
    if (w <= left) out.push(s)
    else out.push({ ...s, text: fit(s.text, left) })
    left -= Math.min(w, left)
  }
  if (left > 0) out.push(span(' '.repeat(left), fill))
  return out
}

/** A heading with a rule to the right edge. */
export function ruled(head: Line, cells: number): Line {
  return fitLine([...head, span('─'.repeat(Math.max(0, cells - lineWidth(head))), 'dim')], cells)
}

/** Left part and right part on one line; the right part gives way when there is no room for both. */
export function spread(left: Line, right: Line, cells: number, fill?: Look): Line {
  const room = cells - lineWidth(right)
  return room >= lineWidth(left) + 1 ? [...fitLine(left, room, fill), ...right] : fitLine(left, cells, fill)
}

/** SGR of each look; `plain` keeps only what is no colour (bold, inverse), as NO_COLOR asks. `light`, where it differs: for dark text on white. */
const looks: Readonly<Record<Look, { readonly dark: string; readonly light?: string; readonly plain: string }>> = {
  dim: { dark: '90', plain: '' },
  ok: { dark: '32', plain: '' },
  warning: { dark: '33', light: '35', plain: '' },
  critical: { dark: '1;31', plain: '1' },
  accent: { dark: '36', light: '34', plain: '' },
  title: { dark: '1', plain: '1' },
  strong: { dark: '1', plain: '1' },
  header: { dark: '30;42', plain: '7' },
  bar: { dark: '30;46', plain: '7' },
  off: { dark: '90;46', light: '37;46', plain: '7' },
  selected: { dark: '30;46', plain: '7' },
  tab: { dark: '30;47', light: '97;100', plain: '7' },
}

export type Theme = { readonly color: boolean; readonly ascii: boolean; readonly theme?: 'dark' | 'light' | 'mono' }

/** A line as the terminal gets it. Each look ends where it began: nothing leaks into the next span. */
export function paint(line: Line, { color, ascii, theme = 'dark' }: Theme): string {
  let out = ''
  for (const { text, look } of line) {
    const shown = ascii ? asciiOnly(text) : text
    const sgr = look ? sgrOf(looks[look], color && theme !== 'mono', theme) : ''
    out += sgr === '' ? shown : `\u001b[${sgr}m${shown}\u001b[0m`
  }
  return out
}

function sgrOf(look: (typeof looks)[Look], color: boolean, theme: NonNullable<Theme['theme']>): string {
  if (!color) return look.plain
  return theme === 'light' ? (look.light ?? look.dark) : look.dark
}

/** The text alone, for golden screens and for `snapshot`. */
export function plain(line: Line): string {
  return line.map(s => s.text).join('')
}
