// What covers the body: help, made of the one key list, menus, and questions.

import { type MenuItem, menuItems } from '../commands.ts'
import { keyHelp } from '../keys/help.ts'
import { drawable, drawableLines, fit, short, type Untrusted, width } from '../model/untrusted.ts'
import { serverFacts } from '../panels/server-facts.ts'
import type { Dialog, State } from '../store/state.ts'
import { detailLine } from './body.ts'
import { question, quitQuestion } from './question.ts'
import { fitLine, type Line, span } from './spans.ts'
import { windowTop } from './table.ts'

export function dialog(state: State, shown: Dialog, columns: number, height: number): readonly Line[] {
  switch (shown.kind) {
    case 'help':
      return help(shown.top, columns, height)
    case 'servers':
      return servers(state, shown.top, columns, height)
    case 'menu':
      return menu(state, shown, columns, height)
    case 'confirm':
      return question(state, columns, height)
    case 'quit':
      return quitQuestion(state, columns, height)
  }
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

/** What is known of the servers themselves, the one in focus first. */
function servers(state: State, top: number, columns: number, height: number): readonly Line[] {
  const { focus } = state.view
  const ids = state.order.toSorted((a, b) => Number(b === focus) - Number(a === focus))
  const lines = ids.flatMap(id => [...serverFacts(state, id).flatMap(line => detailLine(line, columns)), fitLine([], columns)])
  const room = height - 1
  const first = Math.max(0, Math.min(top, lines.length - room))
  const head = ' Servers: Up, Down, PgUp, PgDn scroll, Esc closes'
  return padded([fitLine([span(head, 'header')], columns, 'header'), ...lines.slice(first, first + room)], columns, height)
}

const menuTitles = {
  sort: 'Sort by',
  servers: 'Server in focus',
  clusters: 'Cluster',
  palette: 'Commands',
  act: 'Act on',
} as const

/** The menu of deeds names what they would be done to. */
function menuTitle(shown: Extract<Dialog, { kind: 'menu' }>): string {
  if (shown.menu !== 'act') return menuTitles[shown.menu]
  const { rows } = shown.subject
  if (rows.length !== 1) return `${menuTitles.act} ${rows.length} tagged rows`
  const { pid, gid, database, chunk_name, slot_name, job_id, standby } = rows[0] as Record<
    string,
    Untrusted | number | null | undefined
  >
  const name = [chunk_name, slot_name, gid, job_id, pid, database, standby].find(value => value !== null && value !== undefined)
  return `${menuTitles.act} ${short(String(name ?? 'the row'), 40)}`
}

function menu(state: State, shown: Extract<Dialog, { kind: 'menu' }>, columns: number, height: number): readonly Line[] {
  const items = menuItems(state, shown)
  const head = ` ${menuTitle(shown)}${shown.typed === '' ? '' : `: ${drawable(shown.typed)}`}   type to narrow, Enter chooses, Esc closes`
  const room = height - 1
  const first = windowTop(0, shown.index, room, items.length)
  const labels = Math.max(8, ...items.map(item => width(item.label)))
  const lines = items
    .slice(first, first + room)
    .map((item, i) =>
      fitLine(
        [
          span(
            `  ${fit(item.label, labels)}  ${item.hint}`,
            first + i === shown.index ? 'selected' : item.off ? 'dim' : undefined,
          ),
        ],
        columns,
        first + i === shown.index ? 'selected' : undefined,
      ),
    )
  return padded(
    [fitLine([span(head, 'header')], columns, 'header'), ...lines, ...wholeHint(items[shown.index], shown, columns)],
    columns,
    height,
  )
}

/** What can't be done is told whole, with its remedy, however narrow the screen. */
function wholeHint(item: MenuItem | undefined, { menu }: Extract<Dialog, { kind: 'menu' }>, columns: number): readonly Line[] {
  if (menu !== 'act' || !item) return []
  const lines = drawableLines(item.hint, Math.max(2, columns - 4))
  return [fitLine([], columns), ...lines.map(line => fitLine([span(`  ${line}`, item.off ? 'warning' : 'dim')], columns))]
}

function padded(lines: readonly Line[], columns: number, height: number): readonly Line[] {
  const out = lines.slice(0, height)
  while (out.length < height) out.push(fitLine([], columns))
  return out
}
