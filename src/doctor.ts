// `pgvigil doctor`: what each server lets us see and do, and what would give the rest.

import type { Config } from './config/config.ts'
import { asciiOnly, drawable, fit, width } from './model/untrusted.ts'
import { panels } from './panels/index.ts'
import { roleWords, tlsWord } from './panels/server-facts.ts'
import { wantedByLists } from './panels/wanted.ts'
import { linkTrouble, powers, remedies, roleStatements, sights } from './rights.ts'
import { settled } from './snapshot.ts'
import type { ServerState, State } from './store/state.ts'
import * as update from './store/updates.ts'
import { watch } from './watch.ts'

const queryBytes = 200
/** How long servers that are slow to answer are waited for. Milliseconds. */
const patienceMs = 10_000

/** Looks, prints and resolves to the exit code: 0 when at least one server could be looked at. */
export async function runDoctor(config: Config, sql: boolean): Promise<number> {
  const lists = panels.flatMap(panel => panel.lists)
  const wanted = (state: State, id: string) => wantedByLists(state, id, lists)
  // Each list is asked for once, so a slow pace would only make us wait.
  const { store, poller } = watch({ ...config, intervalMs: Math.min(config.intervalMs, 1000) }, panels[0]!.id, queryBytes, wanted)
  process.stdout.on('error', () => process.exit(0))
  await settled(store, patienceMs, id => wanted(store.getState(), id))
  poller.stop()
  update.setNow(store, Date.now(), null)
  const state = store.getState()
  const servers = state.order.map(id => state.servers[id] as ServerState)
  const lines = sql ? servers.flatMap(server => statementsOf(state, server)) : servers.flatMap(server => examined(state, server))
  const text = lines.map(line => `${config.ascii ? asciiOnly(line) : line}\n`).join('')
  await new Promise(resolve => process.stdout.write(text, resolve))
  return servers.some(server => linkTrouble(state, server) === null) ? 0 : 1
}

function statementsOf(state: State, server: ServerState): readonly string[] {
  const trouble = linkTrouble(state, server)
  if (trouble !== null) {
    // What lets us into a console can be said without asking it.
    return [
      `-- ${drawable(server.id)} could not be asked: ${trouble}`,
      ...(server.kind === 'pgbouncer' ? roleStatements(state, server) : []),
      '',
    ]
  }
  return [...roleStatements(state, server), '']
}

const sees = { all: 'visible', part: 'restricted', nothing: 'not visible' } as const
const cans = { yes: 'yes', part: 'own only', no: 'no' } as const

function examined(state: State, server: ServerState): readonly string[] {
  const { facts, kind, role } = server
  const what = kind === 'pgbouncer' ? drawable(facts?.versionText) : `PostgreSQL ${drawable(facts?.versionText)}`
  const trouble = linkTrouble(state, server)
  if (trouble !== null)
    return [`${drawable(server.id)}  ${kind === 'pgbouncer' ? 'pgbouncer' : (role ?? 'postgres')}`, `  ${trouble}`, '']
  const rest = remedies(state, server)
  return [
    `${drawable(server.id)}  ${role ?? kind}  ${what}  as ${roleWords(server)}  ${tlsWord(server)}`,
    ...table(
      ['PANE', 'SEES', 'WHAT IS MISSING', 'WHAT WOULD GIVE IT'],
      sights(state, server).map(({ pane, sees: seen, what: missing, remedy }) => [pane, sees[seen], missing, remedy ?? '']),
    ),
    ...table(
      ['ACTION', 'CAN', 'WHAT WOULD GIVE IT'],
      powers(state, server).map(({ action, can, remedy }) => [action, cans[can], remedy ?? '']),
    ),
    ...(rest.length > 0 ? ['  what would give the rest:', ...rest.map(line => `    ${line}`)] : []),
    ...(state.settings.readOnly ? ['  read-only mode: pgvigil itself does nothing of the above'] : []),
    '',
  ]
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  if (rows.length === 0) return []
  const widths = head.map((title, i) => Math.max(width(title), ...rows.map(row => width(row[i] as string))))
  return [head, ...rows].map(row =>
    `  ${row.map((text, i) => (i === row.length - 1 ? text : fit(text, widths[i] as number))).join('  ')}`.trimEnd(),
  )
}
