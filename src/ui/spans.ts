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

/** SGR on and off of each look; `color` false keeps only what is no colour (bold, inverse), as NO_COLOR asks. */
const looks: Readonly<Record<Look, { readonly color: string; readonly plain: string }>> = {
  dim: { color: '90', plain: '' },
  ok: { color: '32', plain: '' },
  warning: { color: '33', plain: '' },
  critical: { color: '1;31', plain: '1' },
  accent: { color: '36', plain: '' },
  title: { color: '1', plain: '1' },
  strong: { color: '1', plain: '1' },
  header: { color: '30;42', plain: '7' },
  bar: { color: '30;46', plain: '7' },
  off: { color: '90;46', plain: '7' },
  selected: { color: '30;46', plain: '7' },
  tab: { color: '30;47', plain: '7' },
}

export type Theme = { readonly color: boolean; readonly ascii: boolean }

/** A line as the terminal gets it. Each look ends where it began: nothing leaks into the next span. */
export function paint(line: Line, theme: Theme): string {
  let out = ''
  for (const { text, look } of line) {
    const shown = theme.ascii ? asciiOnly(text) : text
    const sgr = look ? looks[look][theme.color ? 'color' : 'plain'] : ''
    out += sgr === '' ? shown : `\u001b[${sgr}m${shown}\u001b[0m`
  }
  return out
}

/** The text alone, for golden screens and for `snapshot`. */
export function plain(line: Line): string {
  return line.map(s => s.text).join('')
}
