// `pgvigil snapshot`: the lists of the panes without a screen. The JSON document is a contract: `format` 1.

import pkg from '../package.json' with { type: 'json' }
import type { Config } from './config/config.ts'
import { jsonText } from './model/json.ts'
import { asciiOnly, drawable, type Untrusted } from './model/untrusted.ts'
import { arrange } from './panels/arrange.ts'
import { panels } from './panels/index.ts'
import type { Absence, AnyList, AnyRow, Panel } from './panels/panel.ts'
import { silentServer } from './panels/shown.ts'
import { wantedByLists } from './panels/wanted.ts'
import { storage } from './sql/databases.ts'
import { dataAgeMs, idsOf, linkOf } from './store/selectors.ts'
import type { ServerState, State } from './store/state.ts'
import { freshListView, type Store } from './store/store.ts'
import * as update from './store/updates.ts'
import { headerLines } from './ui/header.ts'
import { plain } from './ui/spans.ts'
import { tableLines } from './ui/table.ts'
import { watch } from './watch.ts'

export type Plan = {
  readonly json: boolean
  readonly lists: readonly { panel: Panel; list: AnyList }[]
  readonly count: number | null
}

/** Bytes of each query's text: what a script may want to see, not what fits a row. */
const queryBytes = 10_000
/** Beyond one interval a look waits this long for servers that are slow to answer. Milliseconds. */
const patienceMs = 10_000

/** What is to be printed, or one sentence about what can't be understood. `count` null: a single look. */
export function snapshotPlan(given: {
  json: boolean
  panels: readonly string[]
  count: string | undefined
}): Plan | { error: string } {
  const all = panels.flatMap(panel => panel.lists.map(list => ({ panel, list })))
  for (const name of given.panels) {
    if (!all.some(({ panel, list }) => panel.id === name || list.id === name)) {
      return { error: `there is no pane ${drawable(name).slice(0, 40)}; there are ${all.map(({ list }) => list.id).join(', ')}` }
    }
  }
  if (given.count !== undefined && !/^\d{1,9}$/.test(given.count)) return { error: '--count is a whole number, 0 for no end' }
  const lists =
    given.panels.length === 0
      ? all
      : all.filter(({ panel, list }) => given.panels.includes(panel.id) || given.panels.includes(list.id))
  return { json: given.json, lists, count: given.count === undefined ? null : Number(given.count) }
}

/** Prints the looks; resolves to the exit code when the last is written. */
export async function runSnapshot(config: Config, plan: Plan): Promise<number> {
  const lists = plan.lists.map(({ list }) => list)
  const { store, poller } = watch(config, panels[0]!.id, queryBytes, (state, id) => wantedByLists(state, id, lists))
  const wanted = (id: string) => wantedByLists(store.getState(), id, lists)
  const ending = new Promise<number>(resolve => {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
      ['SIGHUP', 129],
    ] as const)
      process.once(signal, () => resolve(code))
    // The reader of a pipe has gone (head, less): nothing more to say.
    process.stdout.on('error', () => resolve(0))
  })
  const looking = look(store, plan, config, wanted)
  const code = await Promise.race([looking, ending])
  poller.stop()
  return code
}

async function look(
  store: Store,
  plan: Plan,
  config: Config,
  wanted: (id: string) => ReturnType<typeof wantedByLists>,
): Promise<number> {
  await settled(store, config.intervalMs + patienceMs, wanted)
  const looks = plan.count === null ? 1 : plan.count === 0 ? Number.POSITIVE_INFINITY : plan.count
  for (let i = 1; i <= looks; i++) {
    update.setNow(store, Date.now(), null)
    await write(plan.json ? jsonDocument(store.getState(), plan) : textDocument(store.getState(), plan))
    if (i < looks) await nextTick(store, config.intervalMs, wanted)
  }
  return 0
}

function write(text: string): Promise<void> {
  return new Promise(resolve => process.stdout.write(`${text}\n`, () => resolve()))
}

/** Resolves when every server has given two samples of what is asked each tick or has rates, and one of the rest, or has said why not. */
export function settled(store: Store, atMostMs: number, wanted: (id: string) => ReturnType<typeof wantedByLists>): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(done, atMostMs)
    const unsubscribe = store.subscribe(check)
    function check() {
      const { servers } = store.getState()
      if (Object.values(servers).every(server => isSettled(server, wanted(server.id)))) done()
    }
    function done() {
      clearTimeout(timer)
      unsubscribe()
      resolve()
    }
    check()
  })
}

/**
 * Resolves when every server that is up has answered its next tick: a look that only waits for the clock shows data that are up to one
 * interval old. Half an interval after they were due it no longer waits.
 */
function nextTick(store: Store, intervalMs: number, wanted: (id: string) => ReturnType<typeof wantedByLists>): Promise<void> {
  const seen = store.getState().servers
  const begun = performance.now()
  return new Promise(resolve => {
    const timers = [0.5, 1, 1.5].map(share => setTimeout(check, share * intervalMs))
    const unsubscribe = store.subscribe(check)
    function check() {
      const servers = Object.values(store.getState().servers)
      const up = servers.filter(({ link }) => link.state === 'up')
      const waited = (performance.now() - begun + 1) / intervalMs
      const enough = up.every(server => hasTicked(server, seen[server.id], wanted(server.id))) ? (up.length > 0 ? 0.5 : 1) : 1.5
      if (waited < enough) return
      for (const timer of timers) clearTimeout(timer)
      unsubscribe()
      resolve()
    }
  })
}

function hasTicked(now: ServerState, before: ServerState | undefined, wants: ReturnType<typeof wantedByLists>): boolean {
  return wants.every(({ query }) => {
    const [entry, earlier] = [now.readings[query.id], before?.readings[query.id]]
    return query.every !== 'tick' || !entry || entry.problem !== null || entry.sample !== earlier?.sample
  })
}

function isSettled(server: ServerState, wants: ReturnType<typeof wantedByLists>): boolean {
  if (server.link.state !== 'up') return server.link.word !== 'CONNECTING'
  return wants.every(({ query }) => {
    const entry = server.readings[query.id]
    if (!entry) return false
    if (entry.problem) return true
    if (query === storage) return server.fileSystems !== null
    return query.every === 'tick' || query.rates ? entry.previous !== null : entry.sample !== null
  })
}

/** `empty`: what to say where nothing is wrong and there are no rows; left out: the list's own words. */
type Part = {
  readonly id: string | null
  readonly rows: readonly AnyRow[]
  readonly unavailable: Absence | null
  readonly empty?: string | undefined
}

/** A list's rows, and why there are none: of the whole cluster (`id` null), or apart for each server where a pane shows one. */
function partsOfList(state: State, panel: Panel, list: AnyList, count: Plan['count']): readonly Part[] {
  if (list.remembered && count === null) return [{ id: null, rows: list.select(state).rows, unavailable: list.remembered }]
  if (panel.scope === 'cluster') return [absent(state, panel, list.select(state), null)]
  const ids = idsOf(state, 'postgres')
  if (ids.length > 0) return ids.map(id => absent(state, panel, list.select(focusedOn(state, id)), id))
  return [
    { id: null, rows: [], unavailable: { reason: 'no PostgreSQL server is watched', remedy: 'name one: pgvigil CONNINFO' } },
  ]
}

function absent(state: State, panel: Panel, selected: ReturnType<AnyList['select']>, id: string | null): Part {
  const { rows, unavailable, waiting, empty } = selected
  if (unavailable) return { id, rows, unavailable: { reason: unavailable.reason, remedy: unavailable.remedy } }
  if (!waiting) return { id, rows, unavailable: null, empty }
  const reason = silentServer(state, id ? [id] : state.order) ?? `no answer in time for ${panel.title}`
  return { id, rows, unavailable: { reason, remedy: 'see to the server, then look again' } }
}

function focusedOn(state: State, focus: string): State {
  return { ...state, view: { ...state.view, focus } }
}

/** The contract with scripts: what README says of snapshot. */
export function jsonDocument(state: State, plan: Pick<Plan, 'lists' | 'count'>): string {
  const document = {
    format: 1,
    tool: { name: 'pgvigil', version: pkg.version },
    at: new Date(state.now).toISOString(),
    cluster: state.settings.cluster,
    servers: state.order.map(id => serverEntry(state, state.servers[id]!)),
    panels: Object.fromEntries(
      plan.lists.map(({ panel, list }) => {
        const parts = partsOfList(state, panel, list, plan.count)
        const rows = parts.flatMap(part => part.rows)
        const unavailable = rows.length > 0 ? null : (parts.find(part => part.unavailable)?.unavailable ?? null)
        return [list.id, { unavailable, rows }]
      }),
    ),
  }
  return jsonText(document, plan.count === null ? 2 : 0)
}

function serverEntry(state: State, server: ServerState) {
  const link = linkOf(server, state.now, state.settings.intervalMs)
  const ageMs = dataAgeMs(server, state.now)
  return {
    id: server.id,
    kind: server.kind,
    role: server.role,
    link: link.state,
    error: link.state === 'up' ? null : link.why,
    // Rows of a server that is not up are as old as this; null: it has never answered.
    dataAgeSeconds: ageMs === null ? null : ageMs / 1000,
    version: server.facts?.versionText ?? (null as Untrusted | null),
  }
}

function textDocument(state: State, plan: Plan): string {
  const columns = process.stdout.columns || 160
  const lines = headerLines(state, columns).map(plain)
  for (const { panel, list } of plan.lists) {
    for (const { id, rows, unavailable, empty } of partsOfList(state, panel, list, plan.count)) {
      lines.push(
        '',
        [panel.title, ...(list.title === panel.title ? [] : [list.title]), ...(id ? [`@ ${drawable(id)}`] : [])].join(' '),
      )
      if (rows.length > 0) lines.push(...tableLines(list, arrange(list, rows, freshListView, false), columns).map(plain))
      else lines.push(unavailable ? `  ${unavailable.reason}; ${unavailable.remedy}` : `  ${empty ?? list.empty}`)
    }
  }
  return lines.map(line => (state.settings.ascii ? asciiOnly(line) : line).trimEnd()).join('\n')
}
