// What covers the body: help, made of the one key list, and menus.

import { menuItems } from '../commands.ts'
import { keyHelp } from '../keys/help.ts'
import { drawable, fit, width } from '../model/untrusted.ts'
import type { Dialog, State } from '../store/state.ts'
import { fitLine, type Line, span } from './spans.ts'
import { windowTop } from './table.ts'

export function dialog(state: State, shown: Dialog, columns: number, height: number): readonly Line[] {
  return shown.kind === 'help' ? help(shown.top, columns, height) : menu(state, shown, columns, height)
}

function help(top: number, columns: number, height: number): readonly Line[] {
  const lines = keyHelp().flatMap(section => [
    fitLine([span(` ${section.title}`, 'title')], columns),
    ...section.keys.map(({ keys, help, panes }) =>
      fitLine([span(`   ${fit(keys.join(' '), 14)} `, 'accent'), span(panes === '' ? help : `${help} (${panes})`)], columns),
    ),
    fitLine([], columns),
  ])
  const room = height - 1
  const first = Math.max(0, Math.min(top, lines.length - room))
  const head = ` Help: lines ${first + 1}-${Math.min(lines.length, first + room)} of ${lines.length}; Up, Down, PgUp, PgDn scroll, Esc closes`
  return padded([fitLine([span(head, 'header')], columns, 'header'), ...lines.slice(first, first + room)], columns, height)
}

const menuTitles = { sort: 'Sort by', servers: 'Server in focus', palette: 'Commands' } as const

function menu(state: State, shown: Extract<Dialog, { kind: 'menu' }>, columns: number, height: number): readonly Line[] {
  const items = menuItems(state, shown)
  const head = ` ${menuTitles[shown.menu]}${shown.typed === '' ? '' : `: ${drawable(shown.typed)}`}   type to narrow, Enter chooses, Esc closes`
  const room = height - 1
  const first = windowTop(0, shown.index, room, items.length)
  const labels = Math.max(8, ...items.map(item => width(item.label)))
  const lines = items
    .slice(first, first + room)
    .map((item, i) =>
      fitLine(
        [span(`  ${fit(item.label, labels)}  ${item.hint}`, first + i === shown.index ? 'selected' : undefined)],
        columns,
        first + i === shown.index ? 'selected' : undefined,
      ),
    )
  return padded([fitLine([span(head, 'header')], columns, 'header'), ...lines], columns, height)
}

function padded(lines: readonly Line[], columns: number, height: number): readonly Line[] {
  const out = lines.slice(0, height)
  while (out.length < height) out.push(fitLine([], columns))
  return out
}
