// What stands in a menu: columns to sort by, servers, clusters, what can be done to a row, all commands.

import type { Command } from './command.ts'
import * as deeds from './deeds.ts'
import { keymap } from './keys/keymap.ts'
import { drawable } from './model/untrusted.ts'
import { sortOf } from './panels/arrange.ts'
import { listOf, viewOf } from './panels/shown.ts'
import { idsOf } from './store/selectors.ts'
import type { Dialog, State } from './store/state.ts'

export type MenuDialog = Extract<Dialog, { kind: 'menu' }>

/** `off`: it can't be done now; the hint says why. */
export type MenuItem = { readonly id: string; readonly label: string; readonly hint: string; readonly off?: boolean }

/** The lines of a menu, narrowed by what was typed: those whose label is it, begins with it, has it; then those whose hint has. */
export function itemsOf(state: State, dialog: MenuDialog, commands: readonly Command[]): readonly MenuItem[] {
  const needle = dialog.typed.toLowerCase()
  const rank = ({ label, hint }: MenuItem) => {
    const name = label.toLowerCase()
    if (name === needle) return 0
    return name.startsWith(needle) ? 1 : name.includes(needle) ? 2 : hint.toLowerCase().includes(needle) ? 3 : null
  }
  const items = allItems(state, dialog, commands)
  return [0, 1, 2, 3].flatMap(wanted => items.filter(item => rank(item) === wanted))
}

function allItems(state: State, dialog: MenuDialog, commands: readonly Command[]): readonly MenuItem[] {
  switch (dialog.menu) {
    case 'sort': {
      const list = listOf(state)
      const now = sortOf(list, viewOf(state, list))
      return list.columns.map(column => ({
        id: column.title,
        label: column.title,
        hint:
          column === now.column ? (now.descending ? 'descending now; again: ascending' : 'ascending now; again: descending') : '',
      }))
    }
    case 'servers':
      return idsOf(state, 'postgres').map(id => ({ id, label: drawable(id), hint: state.servers[id]?.role ?? '' }))
    case 'clusters':
      return state.settings.clusters.map(name => ({
        id: name,
        label: drawable(name),
        hint: name === state.settings.cluster ? 'watched now' : '',
      }))
    case 'act':
      return deeds.offers(dialog.subject, state).map(({ action, able }) => ({
        id: action.id,
        label: action.label,
        hint: able === true ? `${keyOf(action.command)}${action.help}` : `can't: ${able}`,
        off: able !== true,
      }))
    case 'palette':
      return commands.filter(command => !hidden.has(command.id)).map(({ id, label, help }) => ({ id, label, hint: help }))
  }
}

/** "K: " where a key has the command, else nothing. */
function keyOf(command: string): string {
  const key = keymap.find(binding => binding.command === command)?.keys[0]
  return key ? `${key}: ` : ''
}

/** Commands that only make sense as a key. */
const hidden = new Set([
  'resumeAndQuit',
  'resumeAndInterrupt',
  'leaveAndQuit',
  'yes',
  'notEnter',
  'questionDown',
  'questionUp',
  'questionPageDown',
  'questionPageUp',
  'closeDialog',
  'dialogDown',
  'dialogUp',
  'dialogPageDown',
  'dialogPageUp',
  'choose',
  'cancelPrompt',
  'acceptPrompt',
  'findNext',
  'palette',
])
