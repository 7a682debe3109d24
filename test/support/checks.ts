// Checks in tests: a state by hand, and what one check finds in it.

import type { Finding } from '../../src/checks/check.ts'
import { checks } from '../../src/checks/index.ts'
import { run } from '../../src/checks/run.ts'
import type { Settings, State } from '../../src/store/state.ts'
import { factsOf, noon, type ServerOptions, stateOf } from './state.ts'

export function checkNamed(id: string) {
  const check = checks.find(one => one.id === id)
  if (!check) throw new Error(`there is no check ${id}`)
  return check
}

/** What a check finds, in the order of the servers. */
export const found = (id: string, state: State): readonly Finding[] => run(state, [checkNamed(id)])

/** "warning say" of each. */
export const told = (id: string, state: State): readonly string[] => found(id, state).map(({ level, say }) => `${level} ${say}`)

export const pg = (samples: ServerOptions['samples'], change: Partial<ServerOptions> = {}): ServerOptions => ({
  id: 'a',
  role: 'primary',
  facts: factsOf(),
  samples: samples ?? [],
  ...change,
})

export const bouncer = (samples: ServerOptions['samples'], change: Partial<ServerOptions> = {}): ServerOptions => ({
  id: 'p',
  kind: 'pgbouncer',
  port: 6432,
  facts: factsOf({ usableConnections: 100 }),
  samples: samples ?? [],
  ...change,
})

/** `thresholds` over the defaults. */
export function cluster(
  servers: readonly ServerOptions[],
  thresholds: Partial<Settings['thresholds']> = {},
  settings: Partial<Settings> = {},
): State {
  const state = stateOf(servers, noon, settings)
  return { ...state, settings: { ...state.settings, thresholds: { ...state.settings.thresholds, ...thresholds } } }
}
