// The commands that do something to a row, and those of the question that each of them asks first.

import type { Command } from './command.ts'
import * as deeds from './deeds.ts'
import { listOf } from './panels/shown.ts'
import type { State } from './store/state.ts'
import * as update from './store/updates.ts'

export const deedCommands: readonly Command[] = [
  {
    id: 'act',
    label: 'Act',
    help: 'Lists all that can be done to the row or tags, or why not.',
    enabled: state => {
      const subject = deeds.subjectOf(state)
      if (!subject) return 'there is no row'
      return deeds.offers(subject, state).length > 0 || `there is nothing to be done to a row of ${listOf(state).title}`
    },
    run: ({ store }) => {
      const subject = deeds.subjectOf(store.getState())
      if (subject) update.setDialog(store, { kind: 'menu', menu: 'act', index: 0, typed: '', subject })
    },
  },
  deed('cancel', 'Cancel', 'Cancels the query that it runs.'),
  deed('terminate', 'Terminate', 'Terminates it.'),
  deed('pause', 'Pause', 'Pauses database, replay or job.'),
  deed('resume', 'Resume', 'Resumes database, replay or job.'),
  deed('reload', 'Reload', 'Makes PgBouncer read its configuration again.'),
  deed('reconnect', 'Reconnect', "Replaces the database's server connections."),
  deed('disable', 'Disable', 'Refuses new clients of the database.'),
  deed('enable', 'Enable', 'Lets new clients of the database in again.'),
  deed('compress', 'Compress', 'Compresses the chunk, or the tagged ones one by one.'),
  deed('decompress', 'Decompress', 'Decompresses the chunk, or the tagged ones in turn.'),
  deed('vacuum', 'Vacuum', 'Vacuums and analyzes the table, or the tagged ones.'),
  deed('vacuumOnly', 'Vacuum only', 'Vacuums the table, or the tagged ones.'),
  deed('analyze', 'Analyze', 'Analyzes the table, or the tagged ones.'),
  deed('vacuumFreeze', 'Vacuum freeze', 'Vacuums and freezes the table, or the tagged ones.'),
  deed('vacuumFull', 'Vacuum full', 'Writes the table anew; nobody can use it meanwhile.'),
  deed('reindex', 'Reindex', 'Rebuilds the index, or all of the table.'),
  deed('dropIndex', 'Drop index', 'Drops the invalid index, or the tagged ones.'),
  deed('commitPrepared', 'Commit prepared', 'Commits the prepared transaction that holds others up.'),
  deed('rollbackPrepared', 'Rollback prepared', 'Rolls the prepared transaction back that holds others up.'),
  deed('dropSlot', 'Drop slot', 'Drops the inactive replication slot.'),
  deed('runJob', 'Run job', 'Runs the job once, now.'),
  deed('exactBloat', 'Exact bloat', 'Measures its bloat with pgstattuple: reads all of it.'),
  deed('pauseAll', 'Pause all', 'Pauses all databases of the PgBouncer.'),
  deed('resumeAll', 'Resume all', 'Ends a pause of the whole PgBouncer.'),
  {
    id: 'terminateAwaited',
    label: 'Terminate waited-for',
    help: 'Terminates the sessions that our pending PAUSE waits for.',
    enabled: deeds.ableToTerminateAwaited,
    run: deeds.askToTerminateAwaited,
  },
  {
    id: 'dropLeft',
    label: 'Drop left index',
    help: 'Drops the invalid indexes that our REINDEX has left behind.',
    enabled: deeds.ableToDropLeft,
    run: deeds.askToDropLeft,
  },
  { id: 'yes', label: 'Yes', help: 'Does it, where no name must be typed.', run: deeds.yes },
  { id: 'notEnter', label: 'Nothing', help: 'Enter confirms nothing.', run: deeds.enter },
  { id: 'questionDown', label: 'Down', help: 'Scrolls the question down.', run: context => deeds.scroll(context, 1) },
  { id: 'questionUp', label: 'Up', help: 'Scrolls the question up.', run: context => deeds.scroll(context, -1) },
  {
    id: 'questionPageDown',
    label: 'Page down',
    help: 'Scrolls the question a page down.',
    run: context => deeds.scroll(context, 10),
  },
  { id: 'questionPageUp', label: 'Page up', help: 'Scrolls the question a page up.', run: context => deeds.scroll(context, -10) },
]

/** A command that asks before it does something to the row: what exactly, the list says. */
function deed(id: string, label: string, help: string): Command {
  const shown = (state: State) => deeds.actionOf(id, listOf(state)) !== undefined
  return { id, label, help, shown, enabled: state => deeds.able(id, state), run: context => deeds.askFor(context, id) }
}
