// From a key to a command: by what is open now. Keys that arrive together come here one by one.

import { type Context, commandById, perform } from '../commands.ts'
import { takesName, typeInto } from '../deeds.ts'
import { promptChanged } from '../navigate.ts'
import { panelNamed } from '../panels/index.ts'
import type { State } from '../store/state.ts'
import { say, setDialog } from '../store/updates.ts'
import { commandOf, elsewhere, type Scope } from './keymap.ts'
import type { Key } from './keypress.ts'

export function scopeOf(state: State): Scope {
  const { prompt, dialog, panel } = state.view
  if (prompt) return { kind: 'prompt' }
  switch (dialog?.kind) {
    case 'menu':
    case 'quit':
      return { kind: dialog.kind }
    case 'confirm':
      return { kind: takesName(state) ? 'name' : 'question' }
    case 'help':
    case 'servers':
      return { kind: 'dialog' }
  }
  return { kind: 'panes', panel }
}

export function dispatch(context: Context, key: Key): void {
  const scope = scopeOf(context.store.getState())
  const command = commandOf(key.name, scope)
  if (command) perform(context, command)
  else if (scope.kind === 'prompt') typeInPrompt(context, key)
  else if (scope.kind === 'menu') typeInMenu(context, key)
  // A name is there to be typed: a paste would take away what typing it is for.
  else if ((scope.kind === 'question' || scope.kind === 'name') && key.name !== 'paste')
    typeInto(context, text => edited(text, key))
  else if (scope.kind === 'panes') sayWhere(context, key)
}

/** A key of other panes is no slip of the finger: what it does is said, and where. */
function sayWhere({ store }: Context, { name }: Key): void {
  const there = elsewhere(name)
  const label = there && commandById(there.command)?.label
  if (label) say(store, `${label}: ${name} is a key of ${there.where.map(id => panelNamed(id)?.title).join(', ')}`, 'warning')
}

function typeInPrompt(context: Context, key: Key): void {
  const { prompt } = context.store.getState().view
  if (!prompt) return
  const text = edited(prompt.text, key)
  if (text !== prompt.text) promptChanged(context, text)
}

function typeInMenu({ store }: Context, key: Key): void {
  const { dialog } = store.getState().view
  if (dialog?.kind !== 'menu') return
  const typed = edited(dialog.typed, key)
  if (typed !== dialog.typed) setDialog(store, { ...dialog, typed, index: 0 })
}

/** One line of text after a key: what is typed or pasted is added, Backspace takes the last character, C-u all. */
function edited(text: string, key: Key): string {
  if (key.name === 'Backspace') return [...text].slice(0, -1).join('')
  if (key.name === 'C-u') return ''
  if (key.name === 'C-w') return text.replace(/\S*\s*$/, '')
  if (key.name === 'Space') return `${text} `
  if (key.name === 'paste') return text + (key.text ?? '').replace(/\s+/g, ' ')
  const typed = key.text ?? ([...key.name].length === 1 ? key.name : '')
  return text + typed
}
