// `pgvigil check`: the daily checklist for cron, Nagios and whoever wants to know now. Looks once, prints, and ends with the worst level.

import { exitCode, type Format, formats, formatted } from './check-formats.ts'
import { baselineAge, baselineOf, baselineQueries, comparing } from './checks/baseline.ts'
import type { Check } from './checks/check.ts'
import { checks } from './checks/index.ts'
import { queriesOf, run } from './checks/run.ts'
import type { Config } from './config/config.ts'
import { thisMachine } from './config/machine.ts'
import { nearest } from './config/nearest.ts'
import { baselinePath, before as beforeWindow, byHand, loadBaseline, saveBaseline, strict } from './maintenance.ts'
import { jsonText } from './model/json.ts'
import { thresholdKey } from './model/thresholds.ts'
import { drawable } from './model/untrusted.ts'
import { panels } from './panels/index.ts'
import { wantedByQueries } from './panels/wanted.ts'
import type { Poller } from './poller.ts'
import { settled } from './snapshot.ts'
import type { Query } from './sql/query.ts'
import type { ServerState, State, Want } from './store/state.ts'
import type { Store } from './store/store.ts'
import * as update from './store/updates.ts'
import { watch } from './watch.ts'

const queryBytes = 200
/** Beyond one interval servers that are slow to answer are waited for so long. Milliseconds. */
const patienceMs = 10_000
/** Between the two samples of a figure for a minute: a longer interval would only make cron wait. Milliseconds. */
const longestIntervalMs = 60_000

/** What the live screen has, too long for whoever waits for an answer: then the second sample comes sooner. Milliseconds. */
const usualIntervalMs = 1000
const betweenSamplesMs = 500

/** `window`: this look is the one before, or after, a maintenance window. `compares`: what has changed in between is told. */
export type CheckPlan = {
  readonly checks: readonly Check[]
  readonly format: Format
  readonly window: 'before' | 'after' | null
  readonly compares: boolean
}

export type CheckOptions = {
  readonly json?: boolean
  readonly format?: string
  readonly only?: readonly string[]
  readonly skip?: readonly string[]
  readonly beforeMaintenance?: boolean
  readonly afterMaintenance?: boolean
}

/** Which checks, and how they are printed; or one sentence about what can't be understood. */
export function checkPlan({
  json = false,
  format = json ? 'json' : 'text',
  only = [],
  skip = [],
  beforeMaintenance = false,
  afterMaintenance = false,
}: CheckOptions): CheckPlan | { readonly error: string } {
  const known = formats.find(name => name === format)
  if (!known) return { error: `--format is one of ${formats.join(', ')}, not ${drawable(format).slice(0, 40)}` }
  if (json && known !== 'json') return { error: `--json and --format ${known} can't go together` }
  if (beforeMaintenance && afterMaintenance)
    return { error: '--before-maintenance and --after-maintenance are two looks, hours apart' }
  const window = beforeMaintenance ? 'before' : afterMaintenance ? 'after' : null
  const ids = checks.map(({ id }) => id)
  const listed = (given: readonly string[]) =>
    given
      .flatMap(text => text.split(','))
      .map(id => id.trim())
      .filter(Boolean)
  const [wanted, unwanted] = [listed(only), listed(skip)]
  for (const id of [...wanted, ...unwanted]) {
    if (ids.includes(id)) continue
    const near = nearest(id, ids)
    return {
      error: `there is no check "${drawable(id).slice(0, 40)}" (${near ? `did you mean ${near}?` : 'pgvigil check --list names them'})`,
    }
  }
  const usual = window === 'before' ? ids.filter(id => beforeWindow.includes(id)) : ids
  const chosen = checks.filter(({ id }) => (wanted.length === 0 ? usual : wanted).includes(id) && !unwanted.includes(id))
  return chosen.length === 0
    ? { error: '--only and --skip leave no check' }
    : { checks: chosen, format: known, window, compares: window === 'after' && wanted.length === 0 }
}

/** `--list`: each check with its thresholds. */
export function checkList(config: Pick<Config, 'thresholds'>, json: boolean): string {
  const limit = (name: Check['warning']) => (name === undefined ? null : { [thresholdKey(name)]: config.thresholds[name] })
  if (json) {
    const entries = checks.map(({ id, title, why, of, unit, warning, critical }) => ({
      id,
      title,
      why,
      of,
      unit,
      thresholds: { ...limit(warning), ...limit(critical) },
    }))
    return `${jsonText({ format: 1, checks: entries }, 2)}\n`
  }
  const idWidth = Math.max(...checks.map(({ id }) => id.length))
  return checks
    .map(({ id, title, warning, critical }) => {
      const limits = [warning, critical].flatMap(name =>
        name === undefined ? [] : [`${thresholdKey(name)} = ${config.thresholds[name]}`],
      )
      return `${id.padEnd(idWidth)}  ${title}${limits.length > 0 ? ` (${limits.join(', ')})` : ''}\n`
    })
    .join('')
}

/** Looks, prints and resolves to the exit code. */
export async function runCheck(given: Config, plan: CheckPlan): Promise<number> {
  const { window } = plan
  const path = window === null ? null : baselinePath(given.cluster, process.env, thisMachine())
  if (window !== null && path === null)
    return trouble('there is no home directory to remember the cluster in (XDG_STATE_HOME names one)')
  const saved = window === 'after' ? loadBaseline(path as string) : null
  if (saved && 'error' in saved) return trouble(saved.error)
  const thresholds = window === 'before' ? { ...given.thresholds, ...strict } : given.thresholds
  const config = { ...given, thresholds, intervalMs: Math.min(given.intervalMs, longestIntervalMs) }
  const state = await look(config, [...queriesOf(plan.checks), ...(window === null ? [] : baselineQueries)])
  const findings = run(state, [...plan.checks, ...(saved && plan.compares ? comparing(saved) : [])])
  const notes = saved ? [`compared with what was saved ${baselineAge(saved, state.now)} ago, at ${saved.at}`] : []
  if (window === 'before') {
    const failed = saveBaseline(path as string, baselineOf(state))
    if (failed !== null) return trouble(failed)
    notes.push(...byHand.map(item => `by hand: ${item}`), `saved for --after-maintenance: ${drawable(path)}`)
  }
  const report = { cluster: config.cluster, at: state.now, findings, thresholds, notes }
  await write(formatted(report, plan.format, config.ascii))
  return exitCode(findings)
}

/** One sentence; the code of what could not be looked at. */
function trouble(sentence: string): number {
  process.stderr.write(`pgvigil: ${drawable(sentence)}\n`)
  return 3
}

/** The state once every server has answered all of it twice, or said why not. */
async function look(config: Config, queries: readonly Query[]): Promise<State> {
  const wanted = (state: State, id: string) => wantedByQueries(state, id, queries)
  const { store, poller } = watch(config, panels[0]!.id, queryBytes, wanted)
  process.stdout.on('error', () => process.exit(0))
  if (config.intervalMs <= usualIntervalMs) hurry(store, poller, id => wanted(store.getState(), id))
  await settled(store, config.intervalMs + patienceMs, id => wanted(store.getState(), id))
  poller.stop()
  // Servers that answered long before the slowest one have not gone silent since: nobody asked them for more.
  update.setIntervalMs(store, config.intervalMs + patienceMs)
  update.setNow(store, Date.now(), null)
  return store.getState()
}

/**
 * Asks a server again as soon as it has answered everything once and some time has passed, so that nobody waits for the clock; and at once for what is asked only
 * of its role, which its first answer told.
 */
function hurry(store: Store, poller: Poller, wanted: (id: string) => readonly Want[]): void {
  const asked = new Set<string>()
  store.subscribe(() => {
    const { servers, order } = store.getState()
    for (const id of order) {
      const { link, readings } = servers[id] as ServerState
      const missing = wanted(id).filter(({ query }) => !readings[query.id])
      const round = `${id} ${missing.length === 0 ? 'all' : 'of its role'}`
      if (link.state !== 'up' || asked.has(round) || missing.some(({ query }) => !query.needs?.role)) continue
      asked.add(round)
      setTimeout(() => poller.again(id), missing.length === 0 ? betweenSamplesMs : 0)
    }
  })
}

export function write(text: string): Promise<void> {
  return new Promise(resolve => process.stdout.write(text, () => resolve()))
}
