// What a cluster is like before a maintenance window, and checks that compare it with what it is like afterwards.

import { ageMs } from '../model/format.ts'
import { redacted } from '../model/redact.ts'
import { drawable, is, raw, short, type Untrusted, untrusted } from '../model/untrusted.ts'
import { databases } from '../sql/databases.ts'
import { changedSettings } from '../sql/health-settings.ts'
import { showConfig } from '../sql/pgbouncer.ts'
import type { Query } from '../sql/query.ts'
import { senders, slots } from '../sql/replication.ts'
import { pulse } from '../sql/server.ts'
import { tables } from '../sql/tables.ts'
import { jobs } from '../sql/timescale.ts'
import { picture, rowsOf } from '../store/selectors.ts'
import type { ServerState, State } from '../store/state.ts'
import { type Check, type Found, plural, some } from './check.ts'
import { isUp } from './run.ts'

/** One server as it was; null or empty where it could not be read. Plain JSON, and without passwords. */
type Remembered = {
  readonly id: string
  readonly role: string | null
  readonly version: string | null
  /** Epoch seconds. */
  readonly started: number | null
  readonly clients: number | null
  /** "64 MB"-like texts as pg_settings or SHOW CONFIG has them, by name. */
  readonly settings: Readonly<Record<string, string | null>>
  readonly standbys: readonly string[]
  readonly slots: readonly string[]
  readonly databases: readonly string[]
  readonly tables: number | null
  /** Jobs of TimescaleDB that are scheduled. */
  readonly jobs: readonly string[]
}

export type Baseline = {
  readonly format: 1
  readonly at: string
  readonly cluster: string
  readonly servers: readonly Remembered[]
}

/** What is asked for it besides what the checks ask. */
export const baselineQueries: readonly Query[] = [pulse, changedSettings, showConfig, senders, slots, databases, tables, jobs]

const text = (value: Untrusted | null | undefined) => (value === null || value === undefined ? null : raw(value))

export function baselineOf(state: State): Baseline {
  const { servers, order, now } = picture(state)
  const up = order.filter(id => isUp(state, id)).map(id => remembered(state, servers[id] as ServerState))
  return redacted({ format: 1, at: new Date(now).toISOString(), cluster: state.settings.cluster, servers: up })
}

function remembered(state: State, server: ServerState): Remembered {
  const { id, kind, role, facts } = server
  const beat = rowsOf(state, id, pulse)[0]
  const settings = rowsOf(state, id, changedSettings).map(({ name, setting, unit }) => [
    raw(name),
    unit === null ? text(setting) : `${text(setting)}${/^\d/.test(raw(unit)) ? ' x ' : ' '}${raw(unit)}`,
  ])
  const config = rowsOf(state, id, showConfig).map(({ key, value }) => [raw(key), text(value)])
  return {
    id,
    role: role ?? kind,
    version: text(facts?.versionText),
    started: beat?.postmaster_start_epoch ?? null,
    clients: beat?.clients ?? null,
    settings: Object.fromEntries(kind === 'pgbouncer' ? config : settings),
    standbys: rowsOf(state, id, senders)
      .filter(row => is(row.state, 'streaming'))
      .map(row => text(row.application_name) ?? `pid ${row.pid}`),
    slots: rowsOf(state, id, slots)
      .filter(row => !row.temporary)
      .map(row => raw(row.slot_name)),
    databases: rowsOf(state, id, databases).map(row => raw(row.datname)),
    tables: rowsOf(state, id, tables)[0]?.tables_in_all ?? null,
    jobs: rowsOf(state, id, jobs)
      .filter(row => row.scheduled)
      .map(row => `${row.job_id} ${text(row.proc_name) ?? ''}`),
  }
}

/** Fewer sessions than this before the window say nothing when there is none afterwards. */
const fewSessions = 5

type Compare = (before: Remembered, now: Remembered) => Found

const names = (list: readonly string[]) => some(list.map(name => short(untrusted(name), 30)))
const without = (list: readonly string[], other: readonly string[]) => list.filter(name => !other.includes(name))

const comparisons: readonly (Pick<Check, 'id' | 'title' | 'why'> & { readonly compare: Compare })[] = [
  {
    id: 'after_role',
    title: 'Roles as before',
    why: 'A server that has changed its role during the window was meant to, or will surprise somebody.',
    compare: (before, now) =>
      before.role === now.role
        ? { level: 'ok', say: `still ${now.role ?? 'of no known role'}` }
        : {
            level: 'warning',
            say: `was ${before.role}, is ${now.role}`,
            remedy: 'switch back if it was not meant; point PgBouncer and the applications to the primary',
          },
  },
  {
    id: 'after_version',
    title: 'Version and restart',
    why: 'What was installed or restarted should be what the window was for.',
    compare: (before, now) => {
      const version =
        before.version === now.version ? '' : `${short(before.version ?? '–', 30)} became ${short(now.version ?? '–', 30)}`
      const restarted = before.started !== null && now.started !== null && now.started !== before.started ? 'restarted since' : ''
      const say = [version, restarted].filter(Boolean).join(', ')
      return say
        ? { level: 'ok', advice: true, say }
        : { level: 'ok', say: `still ${short(now.version ?? '–', 30)}, not restarted` }
    },
  },
  {
    id: 'after_settings',
    title: 'Settings that have changed',
    why: 'A setting that was changed for the window and not put back works on in it.',
    compare: (before, now) => {
      const all = [...new Set([...Object.keys(before.settings), ...Object.keys(now.settings)])].sort()
      const changed = all.filter(name => (before.settings[name] ?? null) !== (now.settings[name] ?? null))
      const value = (setting: string | null | undefined) => short(untrusted(setting ?? 'default'), 24)
      if (changed.length === 0) return { level: 'ok', figure: 0, say: 'as before' }
      const say = some(
        changed.map(name => `${short(untrusted(name), 40)} ${value(before.settings[name])} became ${value(now.settings[name])}`),
        5,
      )
      return { level: 'ok', advice: true, figure: changed.length, say, remedy: 'put back what was changed for the window alone' }
    },
  },
  {
    id: 'after_standbys',
    title: 'Standbys are back',
    why: 'A standby that is not back after the window cannot take over.',
    compare: (before, now) => {
      const gone = without(before.standbys, now.standbys)
      if (now.role !== 'primary' && gone.length > 0)
        return { level: 'ok', advice: true, say: `no longer sends to ${names(gone)}: its role has changed` }
      if (gone.length === 0)
        return { level: 'ok', say: now.standbys.length > 0 ? `streaming to ${names(now.standbys)}` : 'there was none' }
      return {
        level: 'critical',
        figure: gone.length,
        say: `not back: ${names(gone)}`,
        remedy: 'start the standby and see its log',
        leadsTo: { panel: 'replication', list: 'replication' },
      }
    },
  },
  {
    id: 'after_slots',
    title: 'Slots as before',
    why: 'A slot that is gone has lost its standby or subscriber; one left behind fills the disk.',
    compare: (before, now) => {
      const [gone, fresh] = [without(before.slots, now.slots), without(now.slots, before.slots)]
      const words = [gone.length > 0 ? `gone: ${names(gone)}` : '', fresh.length > 0 ? `new: ${names(fresh)}` : '']
        .filter(Boolean)
        .join('; ')
      return words === ''
        ? { level: 'ok', say: 'as before' }
        : {
            level: 'warning',
            say: words,
            remedy: 'make it anew, or drop what was only for the window',
            leadsTo: { panel: 'replication', list: 'slots' },
          }
    },
  },
  {
    id: 'after_objects',
    title: 'Databases and tables as before',
    why: 'What was dropped by mistake is noticed while the backup of the window is still at hand.',
    compare: (before, now) => {
      const gone = without(before.databases, now.databases)
      if (gone.length > 0)
        return { level: 'warning', say: `databases gone: ${names(gone)}`, remedy: 'was it meant? else restore it' }
      if (before.tables === null || now.tables === null || before.tables === now.tables) return { level: 'ok', say: 'as before' }
      return { level: 'ok', advice: true, say: `${plural(before.tables, 'table')} before, ${now.tables} now` }
    },
  },
  {
    id: 'after_sessions',
    title: 'Applications are back',
    why: 'After a window somebody has to come back: nobody at all is a pool that is still paused or an address that is wrong.',
    compare: (before, now) => {
      const say = `${plural(before.clients ?? 0, 'session')} before, ${now.clients ?? 0} now`
      const gone = (before.clients ?? 0) >= fewSessions && (now.clients ?? 0) <= 1
      return {
        level: gone ? 'warning' : 'ok',
        figure: now.clients,
        say,
        ...(gone ? { remedy: 'see 5 Pools for what is paused or disabled, and where the applications connect to' } : {}),
      }
    },
  },
  {
    id: 'after_jobs',
    title: 'Jobs are scheduled again',
    why: 'Policies that were paused for the window stay paused until somebody resumes them.',
    compare: (before, now) => {
      const gone = without(before.jobs, now.jobs)
      return gone.length === 0
        ? { level: 'ok', say: 'as before' }
        : {
            level: 'warning',
            figure: gone.length,
            say: `not scheduled any more: ${names(gone)}`,
            remedy: 'R in 4 Chunks, jobs; or SELECT alter_job(ID, scheduled => true);',
            leadsTo: { panel: 'chunks', list: 'jobs' },
          }
    },
  },
]

/** Ids and words of what is compared, for the documentation. */
export const comparisonList: readonly Pick<Check, 'id' | 'title' | 'why'>[] = comparisons

/** Checks of what has changed since. A server that was not there before has nothing to be compared with. */
export function comparing(baseline: Baseline): readonly Check[] {
  return comparisons.map(({ compare, ...words }) => ({
    ...words,
    of: 'cluster',
    unit: '',
    needs: [],
    look: state => {
      const { servers } = picture(state)
      return baseline.servers.flatMap((before): readonly (Found & { readonly server: string | null })[] => {
        const server = servers[before.id]
        if (!server && words.id === comparisons[0]?.id)
          return [{ level: 'unknown', say: `${drawable(before.id)} is not watched this time`, server: null }]
        if (!server) return []
        if (!isUp(state, before.id)) return [{ level: 'unknown', say: 'not asked', server: before.id, unasked: true }]
        return concerns(words.id, server) ? [{ ...compare(before, remembered(state, server)), server: before.id }] : []
      })
    },
  }))
}

const ofAll = new Set(['after_role', 'after_version', 'after_settings'])

const concerns = (id: string, { kind, facts }: ServerState) =>
  kind === 'postgres' ? id !== 'after_jobs' || facts?.extensions.timescaledb !== undefined : ofAll.has(id)

/** How long ago it was saved. */
export const baselineAge = (baseline: Baseline, now: number) => ageMs(now - Date.parse(baseline.at))
