// The last line: the prompt while it takes text, a word to the user after a key, else the function keys as in htop.

import { commandById } from '../commands.ts'
import { type Binding, keymap } from '../keys/keymap.ts'
import { drawable, width } from '../model/untrusted.ts'
import { fitsBar } from '../panels/works.ts'
import type { State } from '../store/state.ts'
import { fitLine, type Line, type Span, span } from './spans.ts'

export function bar(state: State, columns: number): Line {
  const { prompt, message, panel } = state.view
  if (prompt) {
    const told = message ? `   ${message.text}` : ''
    const hint = prompt.kind === 'find' ? 'F3 next  Enter done  Esc leave' : 'Enter keeps  Esc clears'
    const label = prompt.kind === 'find' ? 'Find: ' : 'Filter: '
    return fitLine(
      [span(label, 'strong'), span(drawable(prompt.text)), span('_', 'accent'), span(`   ${hint}`, 'dim'), span(told, 'warning')],
      columns,
    )
  }
  if (message && fitsBar(message.text, columns)) return fitLine([span(message.text, message.tone)], columns)
  const { dialog } = state.view
  if (dialog?.kind === 'confirm' || dialog?.kind === 'quit') return fitLine([span(' nothing is done yet', 'bar')], columns, 'bar')
  const shown = keymap
    .filter(b => b.bar !== undefined && (b.where === 'everywhere' || b.where.includes(panel)))
    .filter(b => commandById(b.command)?.shown?.(state) ?? true)
    .sort((a, b) => a.bar! - b.bar!)
  const spans: Span[] = []
  let used = 0
  // What has no room is left out whole; F10 (the last) is always there.
  const quit = shown.at(-1)!
  const quitWidth = cellsOf(quit.keys[0]!, quit.command)
  for (const binding of shown) {
    const cells = cellsOf(binding.keys[0]!, binding.command)
    if (binding !== quit && used + cells + quitWidth > columns) continue
    used += cells
    spans.push(
      span(binding.keys[0]!),
      span(`${commandById(binding.command)?.label ?? ''} `, isOff(binding, state) ? 'off' : 'bar'),
    )
  }
  return fitLine(spans, columns, 'bar')
}

/** A key of this pane that can do nothing to the row in focus: pressed, it says why. */
function isOff({ command, where }: Binding, state: State): boolean {
  return typeof where === 'object' && (commandById(command)?.enabled?.(state) ?? true) !== true
}

function cellsOf(key: string, command: string): number {
  return width(key) + width(commandById(command)?.label ?? '') + 1
}
