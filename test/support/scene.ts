// A small cluster on a bad day, drawn in its conditions: for golden screens and whatever else needs a whole state.

import type { Link, Problem, Sample, Settings, State } from '../../src/store/state.ts'
import { badDay } from './bad-day.ts'
import { plainWords, pooler, primary, standby, type Words, walAt } from './scene-rows.ts'
import { factsOf, noon, type ServerOptions, stateOf } from './state.ts'

/**
 * `normal`: all answer. `empty`: no standby, and nothing happens on the others. `unavailable`: what the panes ask for is refused or not
 * there. `stale`: no answer for 42 seconds, and the standby is down.
 */
export type Condition = 'normal' | 'empty' | 'unavailable' | 'stale'

const settings: Partial<Settings> = { cluster: 'shop', timescaleId: 'pg1:5432' }
const history = Array.from({ length: 60 }, (_, i) => ({ at: noon - (59 - i) * 1000, lsn: walAt(i - 59) }))
const facts = factsOf({ extensions: { timescaledb: 22_300, pg_stat_statements: 11_000 } })

/** The cluster in one of its conditions, on the pane given. */
export function scene(condition: Condition, panel: string, columns: number, rows: number, words: Words = plainWords): State {
  const at = condition === 'stale' ? noon - 42_000 : noon
  const up: Link = { state: 'up', word: 'LIVE', since: noon - 60_000, why: null }
  const given: readonly ServerOptions[] = [
    {
      id: 'pg1:5432',
      host: 'pg1',
      role: 'primary',
      facts,
      lsnHistory: history.map(p => ({ ...p, at: p.at + at - noon })),
      samples: primary(words, at),
      fileSystems: { at, trouble: null, spaces: { 1663: { freeBytes: 31n * 1024n ** 3n, totalBytes: 400n * 1024n ** 3n } } },
      firstSizes: { [`databaseSizes ${words.database}`]: { at: at - 7_200_000, bytes: 40n * 1024n ** 3n } },
    },
    { id: 'pg2:5432', host: 'pg2', role: 'standby', facts, lsnHistory: [], samples: standby(words, at) },
    {
      id: 'pgb:6432',
      kind: 'pgbouncer',
      host: '10.20.30.9',
      port: 6432,
      user: 'pgvigil',
      facts: factsOf({ version: 12_401 }),
      samples: pooler(words, at),
      firstSeen: { 'paused:billing': noon - 754_000 },
    },
  ]
  const there = condition === 'empty' ? given.filter(({ id }) => id !== 'pg2:5432') : given
  const state = stateOf(
    there.map(server => ({ ...conditioned(server, condition), lastAnswerAt: at, link: linkIn(server.id, condition, up) })),
    noon,
    settings,
  )
  return {
    ...state,
    events: condition === 'empty' ? [] : badDay(words),
    view: { ...state.view, panel, size: { columns, rows } },
    cost: { cpu: 0.021, residentBytes: 98_000_000 },
  }
}

function linkIn(id: string, condition: Condition, up: Link): Link {
  return condition === 'stale' && id === 'pg2:5432'
    ? { state: 'down', word: 'DOWN', since: noon - 40_000, why: 'connect ECONNREFUSED 10.20.30.2:5432' }
    : up
}

const always = new Set(['pulse', 'counters', 'names', 'showState', 'showConfig', 'showStats'])

function conditioned(server: ServerOptions, condition: Condition): ServerOptions {
  const { samples = [] } = server
  if (condition === 'empty') {
    const quiet = { active: 0, waiting: 0, idle_in_transaction: 0, oldest_xact_seconds: null, clients: 1 }
    const row = (sample: Sample) =>
      sample.rows.map(given =>
        sample.query === 'pulse' ? { ...given, ...quiet, lsn: walAt(0), replay_pause: 'not paused' } : given,
      )
    return {
      ...server,
      firstSeen: {},
      samples: samples.map(sample => ({
        ...sample,
        rows: always.has(sample.query) || sample.query === 'receiver' ? row(sample) : [],
      })),
    }
  }
  if (condition === 'unavailable') {
    const refused: Problem = {
      kind: 'failed',
      error: 'permission denied for function pg_stat_get_activity',
      code: '42501',
      at: noon,
    }
    const missing: Problem = {
      kind: 'unavailable',
      reason: 'the extension timescaledb is not installed in this database',
      remedy: 'CREATE EXTENSION timescaledb;',
    }
    const denied: Problem = { kind: 'failed', error: 'admin access needed', code: '08P01', at: noon }
    const asked = [...new Set(samples.map(({ query }) => query))].filter(id => !always.has(id))
    const ofTimescale = new Set(['hypertables', 'chunks', 'chunkSizes', 'compressionStats', 'jobs', 'compressedParts'])
    return {
      ...server,
      samples: samples.filter(({ query }) => always.has(query)),
      problems: Object.fromEntries(
        asked.map(id => [id, ofTimescale.has(id) ? missing : server.kind === 'pgbouncer' ? denied : refused]),
      ),
    }
  }
  return server
}
