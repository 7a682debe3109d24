// A PgBouncer as the model looks at it: its newest answers by query, whether it is paused, and the marks that the store remembers.

import type {
  PoolClientRow,
  PoolConfigRow,
  PoolDatabaseRow,
  PoolerStateRow,
  PoolRow,
  PoolServerRow,
  PoolStatsRow,
  PoolUserRow,
} from '../sql/pgbouncer.ts'
import type { Untrusted } from '../sql/query.ts'
import { is, raw } from './untrusted.ts'

/** The row types behind the query ids that a pooler is asked. */
type Answers = {
  showPools: PoolRow
  showDatabases: PoolDatabaseRow
  showStats: PoolStatsRow
  showState: PoolerStateRow
  showConfig: PoolConfigRow
  showUsers: PoolUserRow
  showClients: PoolClientRow
  showServers: PoolServerRow
}

type Told = { readonly at: number; readonly rows: readonly Readonly<Record<string, unknown>>[] }

/** A PgBouncer as far as this file looks at it; a ServerState is one. `firstSeen`: epoch ms by mark, see seenMarks. */
export type Pooler = {
  readonly id: string
  readonly readings: Readonly<Record<string, { readonly sample: Told | null; readonly previous: Told | null } | undefined>>
  readonly firstSeen: Readonly<Record<string, number>>
}

/** The console itself is a database with this name; it is no pool of anybody's. */
export const consoleName = 'pgbouncer'

export const allPaused = 'paused:*'
export const pausedMark = (name: Untrusted) => `paused:${raw(name)}`
export const disabledMark = (name: Untrusted) => `disabled:${raw(name)}`

/**
 * What is so now and whose beginning is worth remembering: `paused:app`, `paused:*` for everything, `disabled:app`, `suspended`. The store keeps when
 * each was first seen for as long as it lasts: PgBouncer doesn't tell.
 */
export function seenMarks(pooler: Pick<Pooler, 'readings'>): string[] {
  const databases = answers(pooler, 'showDatabases').filter(({ name }) => !is(name, consoleName))
  return [
    ...(poolerState(pooler).paused === true ? [allPaused] : []),
    ...databases.filter(({ paused }) => isOn(paused)).map(({ name }) => pausedMark(name)),
    ...databases.filter(({ disabled }) => isOn(disabled)).map(({ name }) => disabledMark(name)),
    ...(poolerState(pooler).suspended ? ['suspended'] : []),
  ]
}

/** `paused` null: this version doesn't tell, or it hasn't been asked yet. */
export type PoolerState = { readonly paused: boolean | null; readonly suspended: boolean }

export function poolerState(pooler: Pick<Pooler, 'readings'>): PoolerState {
  const value = (key: string) => answers(pooler, 'showState').find(row => is(row.key, key))?.value ?? null
  const paused = value('paused')
  return { paused: paused === null ? null : is(paused, 'yes'), suspended: is(value('suspended'), 'yes') }
}

export function answers<K extends keyof Answers>(pooler: Pick<Pooler, 'readings'>, id: K): readonly Answers[K][] {
  return (pooler.readings[id]?.sample?.rows ?? []) as readonly Answers[K][]
}

export function configOf(pooler: Pooler): ReadonlyMap<string, Untrusted | null> {
  return new Map(answers(pooler, 'showConfig').map(({ key, value }) => [raw(key), value]))
}

export const isOn = (value: number | null | undefined) => value !== null && value !== undefined && value !== 0

export const isText = (value: Untrusted | null): value is Untrusted => value !== null && !is(value, '')

export const plus = (a: number | null, b: number | null) => (a === null || b === null ? null : a + b)

export function seconds(whole: number | null, micros: number | null): number | null {
  return whole === null ? null : whole + (micros ?? 0) / 1e6
}

export function secondsSince(pooler: Pooler, mark: string, now: number): number | null {
  const since = pooler.firstSeen[mark]
  return since === undefined ? null : Math.max(0, now - since) / 1000
}
