// States made by hand: what the servers would have answered, as the store would hold it.

import type { ServerFacts } from '../../src/model/facts.ts'
import { progressMarks } from '../../src/model/progress-pace.ts'
import { defaultThresholds } from '../../src/model/thresholds.ts'
import { untrusted } from '../../src/model/untrusted.ts'
import type { ProgressSample } from '../../src/sql/progress.ts'
import type { Query } from '../../src/sql/query.ts'
import type { Entry, Sample, ServerState, Settings, State } from '../../src/store/state.ts'
import { createState } from '../../src/store/store.ts'

/** A moment in 2026, epoch ms. */
export const noon = Date.UTC(2026, 10, 23, 12)

export type SampleOptions = Partial<Pick<Sample, 'at' | 'server' | 'skipped' | 'tookMs'>>

/** A sample of a query; columns that a row leaves out are null. */
export function sampleOf(query: Query, rows: readonly Readonly<Record<string, unknown>>[], options: SampleOptions = {}): Sample {
  const blank = Object.fromEntries(Object.keys(query.columns).map(column => [column, null]))
  return {
    server: 'a',
    query: query.id,
    at: noon,
    tookMs: 1,
    skipped: [],
    ...options,
    rows: rows.map(row => ({ ...blank, ...row })),
  }
}

/** Facts of a PostgreSQL 16 that a role with pg_monitor reads. */
export function factsOf(change: Partial<ServerFacts> = {}): ServerFacts {
  return {
    version: 160014,
    versionText: untrusted('16.14'),
    extensions: {},
    available: [],
    readsAllStats: true,
    superuser: true,
    signalsBackends: true,
    signalsAutovacuum: true,
    pausesReplay: true,
    resumesReplay: true,
    hasReplication: true,
    databaseOid: 5n,
    database: untrusted('app'),
    usableConnections: 97,
    systemIdentifier: 7000n,
    clusterName: null,
    timescaleLicense: null,
    timescaleSchema: null,
    pgstattupleSchema: null,
    pgstattupleExecutes: false,
    pgstattupleInReach: false,
    ...change,
  }
}

export type ServerOptions = Partial<Omit<ServerState, 'readings'>> & {
  readonly id: string
  /** One after the other: the last of a query is its newest sample, the one before that its previous one. */
  readonly samples?: readonly Sample[]
  readonly problems?: Readonly<Record<string, NonNullable<Entry['problem']>>>
}

/** Servers that are up and answered at `now`, unless said otherwise. */
export function stateOf(servers: readonly ServerOptions[], now: number = noon, settings: Partial<Settings> = {}): State {
  const seeds = servers.map(({ id, kind = 'postgres' }) => ({
    id,
    kind,
    host: '127.0.0.1',
    port: 5432,
    user: 'dba',
    database: 'app',
  }))
  const state = createState(
    seeds,
    {
      intervalMs: 1000,
      ascii: false,
      color: true,
      slowLink: 'no',
      theme: 'dark',
      thresholds: defaultThresholds,
      readOnly: false,
      cluster: 'test',
      clusters: [],
      timescaleId: null,
      noPooler: null,
      queryBytes: 1000,
      ...settings,
    },
    'activity',
    now,
  )
  const made = servers.map(({ samples = [], problems = {}, ...given }) => {
    const readings: Record<string, Entry> = {}
    for (const sample of samples) {
      readings[sample.query] = { sample, previous: readings[sample.query]?.sample ?? null, problem: null }
    }
    for (const [query, problem] of Object.entries(problems)) {
      readings[query] = { ...(readings[query] ?? { sample: null, previous: null }), problem }
    }
    const marks = samples.filter(({ query }) => query === 'progress')
    const up = { state: 'up', word: 'LIVE', since: now, why: null } as const
    const progressed = marks.reduce<ServerState['progressMarks']>(
      (before, { rows, at }) => progressMarks(before, rows as unknown as ProgressSample[], at),
      {},
    )
    return [
      given.id,
      { ...(state.servers[given.id] as ServerState), progressMarks: progressed, link: up, lastAnswerAt: now, ...given, readings },
    ] as const
  })
  return { ...state, servers: Object.fromEntries(made) }
}
