// What keys do, by id: the label of the bar, one sentence of help, whether it can be done now, and the deed.

import type { Command, Context } from './command.ts'
import { deedCommands } from './deed-commands.ts'
import * as deeds from './deeds.ts'
import { keySections } from './keys/keymap.ts'
import { itemsOf, type MenuDialog } from './menus.ts'
import { drawable } from './model/untrusted.ts'
import * as go from './navigate.ts'
import { sortOf } from './panels/arrange.ts'
import { panels } from './panels/index.ts'
import { listOf, panelOf, selectedRow, viewOf } from './panels/shown.ts'
import type { State } from './store/state.ts'
import type { Store } from './store/store.ts'
import * as update from './store/updates.ts'

export type { Command, Context } from './command.ts'
export type { MenuItem } from './menus.ts'

export const commands: readonly Command[] = [
  { id: 'help', label: 'Help', help: 'Shows all keys.', run: ({ store }) => update.setDialog(store, { kind: 'help', top: 0 }) },
  {
    id: 'nextList',
    label: 'List',
    help: 'Moves to the next list of the pane, where it has several.',
    enabled: state => panelOf(state).lists.length > 1 || 'this pane has one list only',
    run: ({ store }) => {
      const state = store.getState()
      const { id, lists } = panelOf(state)
      update.focusList(store, id, lists[(lists.indexOf(listOf(state)) + 1) % lists.length]!.id)
    },
  },
  {
    id: 'find',
    label: 'Find',
    help: 'Finds a row by text in any column; F3 again: the next one.',
    run: context => go.openPrompt(context, 'find'),
  },
  {
    id: 'filter',
    label: 'Filter',
    help: 'Shows only rows with this text, the pid too; Esc clears it.',
    run: context => go.openPrompt(context, 'filter'),
  },
  {
    id: 'tree',
    label: 'Tree',
    help: 'Shows rows under their leader or blocker, or flat.',
    enabled: state => listOf(state).parentId !== undefined || 'this list is no tree',
    run: ({ store }) => {
      const list = listOf(store.getState())
      update.changeList(store, list.id, { tree: !viewOf(store.getState(), list).tree })
    },
  },
  {
    id: 'open',
    label: 'Open',
    help: 'Opens the row into its partitions, or folds it.',
    enabled: state => listOf(state).folds === true || 'the rows of this list have nothing to open',
    run: ({ store }) => {
      const state = store.getState()
      const chosen = selectedRow(state)
      if (!chosen) return
      const { opened } = viewOf(state, chosen.list)
      const { id } = chosen.item
      update.changeList(store, chosen.list.id, {
        opened: opened.includes(id) ? opened.filter(other => other !== id) : [...opened, id],
      })
    },
  },
  { id: 'sortMenu', label: 'Sort', help: 'Chooses the column to sort by.', run: context => openMenu(context, 'sort') },
  { id: 'sortNext', label: 'Sort next', help: 'Sorts by the next column.', run: ({ store }) => go.sortBy(store, 1) },
  { id: 'sortPrevious', label: 'Sort previous', help: 'Sorts by the previous column.', run: ({ store }) => go.sortBy(store, -1) },
  {
    id: 'sortInvert',
    label: 'Invert',
    help: 'Sorts the other way round.',
    run: ({ store }) => {
      const list = listOf(store.getState())
      const { column, descending } = sortOf(list, viewOf(store.getState(), list))
      update.changeList(store, list.id, { sort: { column: column.title, descending: !descending } })
    },
  },
  {
    id: 'quit',
    label: 'Quit',
    help: 'Ends pgvigil; asks first while a PAUSE or queue is open.',
    run: context => leave(context, 0),
  },
  {
    id: 'interrupt',
    label: 'Interrupt',
    help: 'Ends pgvigil with exit code 130; asks first, too.',
    run: context => leave(context, 130),
  },
  {
    id: 'resumeAndQuit',
    label: 'Resume and quit',
    help: 'Resumes what pgvigil paused, cancels its queue, quits.',
    run: context => leaveNow(context, false),
  },
  {
    id: 'resumeAndInterrupt',
    label: 'Resume and quit',
    help: 'The same, with exit code 130.',
    run: ({ quit }) => quit(130, false),
  },
  {
    id: 'leaveAndQuit',
    label: 'Leave and quit',
    help: 'Leaves what is paused paused, and quits.',
    run: context => leaveNow(context, true),
  },
  { id: 'suspend', label: 'Suspend', help: 'Goes back to the shell until fg.', run: ({ suspend }) => suspend() },
  { id: 'redraw', label: 'Redraw', help: 'Draws the whole screen again.', run: ({ redraw }) => redraw() },
  ...panels.map(
    (panel): Command => ({
      id: `pane:${panel.id}`,
      label: panel.title,
      help: `Shows the pane ${panel.title}.`,
      run: context => go.showPanel(context, panel.id),
    }),
  ),
  { id: 'nextPane', label: 'Next pane', help: 'Shows the next pane.', run: context => go.stepPanel(context, 1) },
  { id: 'previousPane', label: 'Previous pane', help: 'Shows the pane before.', run: context => go.stepPanel(context, -1) },
  { id: 'down', label: 'Down', help: 'Moves one row down.', run: context => go.move(context, index => index + 1) },
  { id: 'up', label: 'Up', help: 'Moves one row up.', run: context => go.move(context, index => index - 1) },
  {
    id: 'pageDown',
    label: 'Page down',
    help: 'Moves one page down.',
    run: context => go.move(context, (index, _, page) => index + page),
  },
  {
    id: 'pageUp',
    label: 'Page up',
    help: 'Moves one page up.',
    run: context => go.move(context, (index, _, page) => index - page),
  },
  { id: 'first', label: 'First', help: 'Moves to the first row.', run: context => go.move(context, () => 0) },
  { id: 'last', label: 'Last', help: 'Moves to the last row.', run: context => go.move(context, (_, length) => length - 1) },
  {
    id: 'nextServer',
    label: 'Next server',
    help: 'Puts the next PostgreSQL server into focus.',
    enabled: go.severalServers,
    run: context => go.stepServer(context, 1),
  },
  {
    id: 'previousServer',
    label: 'Previous server',
    help: 'Puts the PostgreSQL server before into focus.',
    enabled: go.severalServers,
    run: context => go.stepServer(context, -1),
  },
  {
    id: 'serverMenu',
    label: 'Server',
    help: 'Chooses the PostgreSQL server in focus.',
    enabled: go.severalServers,
    run: context => openMenu(context, 'servers'),
  },
  {
    id: 'serverInfo',
    label: 'Servers',
    help: 'Shows what is known of each server: version, TLS, our role.',
    run: ({ store }) => update.setDialog(store, { kind: 'servers', top: 0 }),
  },
  {
    id: 'clusterMenu',
    label: 'Cluster',
    help: 'Chooses another cluster of the configuration file.',
    enabled: state => state.settings.clusters.length > 0 || 'the configuration file names no cluster',
    run: context => openMenu(context, 'clusters'),
  },
  {
    id: 'detail',
    label: 'Detail',
    help: 'Shows all of the row, or closes it; in Health goes on to it.',
    enabled: state => selectedRow(state) !== null || 'there is no row',
    run: context => {
      const { store, poke } = context
      const state = store.getState()
      const chosen = selectedRow(state)
      const place = state.view.detail && chosen ? (chosen.list.leadsTo?.(chosen.item.row) ?? null) : null
      if (place) return go.goTo(context, place)
      if (chosen) update.changeList(store, chosen.list.id, { selectedId: chosen.item.id })
      update.setDetail(store, !state.view.detail)
      poke()
    },
  },
  {
    id: 'detailDown',
    label: 'Scroll detail',
    help: 'Scrolls the detail down.',
    run: ({ store }) => update.scrollDetail(store, store.getState().view.detailTop + 1),
  },
  {
    id: 'detailUp',
    label: 'Scroll detail',
    help: 'Scrolls the detail up.',
    run: ({ store }) => update.scrollDetail(store, store.getState().view.detailTop - 1),
  },
  {
    id: 'back',
    label: 'Back',
    help: 'Closes detail, filter, hold; stops a queue; closes reports.',
    run: ({ store, stopQueue }) => void (go.back(store) || stopQueue() || update.dismissWorks(store)),
  },
  {
    id: 'tag',
    label: 'Tag',
    help: 'Tags the row, or takes the tag away, and moves on.',
    enabled: state => selectedRow(state) !== null || 'there is no row',
    run: context => {
      const { store } = context
      const chosen = selectedRow(store.getState())
      if (!chosen) return
      const { tagged } = viewOf(store.getState(), chosen.list)
      const { id } = chosen.item
      update.changeList(store, chosen.list.id, { tagged: tagged.includes(id) ? tagged.filter(t => t !== id) : [...tagged, id] })
      go.move(context, index => index + 1)
    },
  },
  {
    id: 'untagAll',
    label: 'Untag all',
    help: 'Takes all tags of the list away.',
    run: ({ store }) => update.changeList(store, listOf(store.getState()).id, { tagged: [] }),
  },
  {
    id: 'hold',
    label: 'Hold',
    help: 'Holds the picture, or lets it go on; polling never stops.',
    run: ({ store }) => update.toggleHold(store),
  },
  {
    id: 'idle',
    label: 'Idle',
    help: 'Hides or shows idle sessions.',
    run: ({ store }) => update.setHideIdle(store, !store.getState().view.hideIdle),
  },
  { id: 'slower', label: 'Slower', help: 'Asks the servers less often.', run: context => go.stepInterval(context, 1) },
  { id: 'faster', label: 'Faster', help: 'Asks the servers more often.', run: context => go.stepInterval(context, -1) },
  {
    id: 'copy',
    label: 'Copy',
    help: 'Copies the query or name to your clipboard, through SSH too.',
    enabled: state => selectedRow(state) !== null || 'there is no row',
    run: ({ store, copy, poke }) => {
      const state = store.getState()
      const chosen = selectedRow(state)
      if (!chosen) return
      const { list, item } = chosen
      const copied = list.copy?.(item.row, state) ?? list.columns.map(column => column.text(item.row)).join('\t')
      copy(typeof copied === 'string' ? copied : copied.cut)
      update.changeList(store, list.id, { selectedId: item.id })
      poke()
      if (typeof copied === 'string') update.say(store, `copied: ${drawable(copied)}`)
      else update.say(store, 'copied its beginning; y again copies the whole query', 'warning')
    },
  },
  {
    id: 'palette',
    label: 'Commands',
    help: 'Lists all commands; type to narrow, Enter runs one.',
    run: context => openMenu(context, 'palette'),
  },
  ...deedCommands,
  { id: 'closeDialog', label: 'Close', help: 'Closes the dialog.', run: ({ store }) => update.setDialog(store, null) },
  { id: 'dialogDown', label: 'Down', help: 'Moves down in the dialog.', run: ({ store }) => moveDialog(store, 1) },
  { id: 'dialogUp', label: 'Up', help: 'Moves up in the dialog.', run: ({ store }) => moveDialog(store, -1) },
  {
    id: 'dialogPageDown',
    label: 'Page down',
    help: 'Moves a page down in the dialog.',
    run: ({ store }) => moveDialog(store, 10),
  },
  { id: 'dialogPageUp', label: 'Page up', help: 'Moves a page up in the dialog.', run: ({ store }) => moveDialog(store, -10) },
  { id: 'choose', label: 'Choose', help: 'Takes the line of the menu.', run: choose },
  {
    id: 'cancelPrompt',
    label: 'Cancel',
    help: 'Leaves the prompt; a filter is cleared.',
    run: ({ store }) => go.cancelPrompt(store),
  },
  { id: 'acceptPrompt', label: 'OK', help: 'Takes the text of the prompt.', run: ({ store }) => update.setPrompt(store, null) },
  { id: 'findNext', label: 'Next', help: 'Goes to the next row that matches.', run: context => go.findFrom(context, 1) },
]

/** Ends the monitor, or asks first what is to become of what it has begun. */
function leave({ store, quit, unfinished }: Context, code: number): void {
  if (unfinished()) update.setDialog(store, { kind: 'quit', code })
  else quit(code)
}

function leaveNow({ store, quit }: Context, leaving: boolean): void {
  const { dialog } = store.getState().view
  quit(dialog?.kind === 'quit' ? dialog.code : 0, leaving)
}

const byId = new Map(commands.map(command => [command.id, command]))

export function commandById(id: string): Command | undefined {
  return byId.get(id)
}

/** Runs a command, or says in one line why it can't be done now. */
export function perform(context: Context, id: string): void {
  const command = byId.get(id)
  if (!command) return
  const able = command.enabled?.(context.store.getState()) ?? true
  if (able === true) command.run(context)
  else update.say(context.store, `${command.label}: ${able}`, 'warning')
}

function openMenu({ store }: Context, menu: 'sort' | 'palette' | 'servers' | 'clusters'): void {
  update.setDialog(store, { kind: 'menu', menu, index: 0, typed: '' })
}

/** The lines of a menu, narrowed by what was typed. */
export const menuItems = (state: State, dialog: MenuDialog) => itemsOf(state, dialog, commands)

/** Lines of the help: each section has a title and an empty line below. */
const helpLines = keySections.reduce((sum, { bindings }) => sum + bindings.length + 2, 0)

function moveDialog(store: Store, step: number): void {
  const state = store.getState()
  const { dialog } = state.view
  if (dialog?.kind === 'help') {
    const last = Math.max(0, helpLines - go.bodyRows(state) + 1)
    update.setDialog(store, { ...dialog, top: Math.max(0, Math.min(last, dialog.top + step)) })
  }
  if (dialog?.kind === 'servers') update.setDialog(store, { ...dialog, top: Math.max(0, dialog.top + step) })
  if (dialog?.kind === 'menu') {
    const last = menuItems(state, dialog).length - 1
    update.setDialog(store, { ...dialog, index: Math.max(0, Math.min(last, dialog.index + step)) })
  }
}

function choose(context: Context): void {
  const { store } = context
  const state = store.getState()
  const { dialog } = state.view
  if (dialog?.kind !== 'menu') return
  const item = menuItems(state, dialog)[dialog.index]
  update.setDialog(store, null)
  if (!item) return
  switch (dialog.menu) {
    case 'sort': {
      const list = listOf(state)
      const now = sortOf(list, viewOf(state, list))
      const column = list.columns.find(c => c.title === item.id)
      if (column) {
        update.changeList(store, list.id, {
          sort: { column: column.title, descending: column === now.column ? !now.descending : (column.descending ?? false) },
        })
      }
      return
    }
    case 'servers':
      go.focusServer(context, item.id)
      return
    case 'clusters':
      if (item.id !== state.settings.cluster) context.switchCluster(item.id)
      return
    case 'act': {
      const action = deeds.offers(dialog.subject, state).find(offer => offer.action.id === item.id)?.action
      if (action) deeds.ask(context, action, dialog.subject)
      return
    }
    case 'palette':
      perform(context, item.id)
  }
}
