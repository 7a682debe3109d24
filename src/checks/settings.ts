// Settings: those that are dangerous, those that wait for a restart, and memory that was promised more than once.

import { bytes } from '../model/format.ts'
import { drawable, is, raw } from '../model/untrusted.ts'
import { settings } from '../sql/health-settings.ts'
import { rowsOf } from '../store/selectors.ts'
import type { State } from '../store/state.ts'
import { type Check, type Found, type Level, levelOf, some } from './check.ts'

/** What a setting says; null: it has no row, or is not to be seen by this role. Not drawable. */
export function settingOf(state: State, server: string, name: string): string | null {
  const row = rowsOf(state, server, settings).find(row => is(row.name, name))
  return row?.setting == null ? null : raw(row.setting)
}

const kilo = 1024
const units: Readonly<Record<string, number>> = { B: 1, kB: kilo, MB: kilo ** 2, GB: kilo ** 3, TB: kilo ** 4 }

/** A setting of memory or disk in bytes. Its number counts in its own unit, which differs from setting to setting: 8kB for shared_buffers, kB for work_mem. */
export function bytesOf(state: State, server: string, name: string): number | null {
  const row = rowsOf(state, server, settings).find(row => is(row.name, name))
  const unit = /^(\d*)([kMGT]?B)$/.exec(row?.unit == null ? '' : raw(row.unit))
  const value = row?.setting == null ? Number.NaN : Number(raw(row.setting))
  if (!unit || !Number.isFinite(value) || value < 0) return null
  return value * Number(unit[1] || 1) * units[unit[2] as string]!
}

/** Of level ok: worth a word, and usual on old versions. */
type Danger = { readonly name: string; readonly bad: string; readonly level: Level; readonly why: string }

const dangers: readonly Danger[] = [
  { name: 'fsync', bad: 'off', level: 'critical', why: 'a crash of the machine destroys the data' },
  { name: 'full_page_writes', bad: 'off', level: 'critical', why: 'a crash of the machine can destroy pages' },
  { name: 'zero_damaged_pages', bad: 'on', level: 'critical', why: 'damaged pages are emptied without a word' },
  { name: 'ignore_checksum_failure', bad: 'on', level: 'critical', why: 'damaged pages are read as if they were whole' },
  { name: 'ignore_system_indexes', bad: 'on', level: 'warning', why: 'catalogs are searched without their indexes' },
  { name: 'autovacuum', bad: 'off', level: 'critical', why: 'dead rows pile up, up to the wraparound of transaction ids' },
  { name: 'track_counts', bad: 'off', level: 'critical', why: 'autovacuum does not know what to do' },
  { name: 'track_activities', bad: 'off', level: 'warning', why: 'nobody sees what sessions do' },
  {
    name: 'password_encryption',
    bad: 'md5',
    level: 'ok',
    why: 'new passwords are stored as MD5, which is broken and on its way out',
  },
]

const dangerous: Check = {
  id: 'settings',
  title: 'Dangerous settings',
  why: 'Some settings are faster or easier until the day on which they cost the data.',
  of: 'postgres',
  unit: '',
  needs: [settings],
  look: (state, server) => {
    const found = dangers.flatMap(({ name, bad, level, why }): Found[] =>
      settingOf(state, server.id, name) === bad
        ? [
            {
              level,
              ...(level === 'ok' ? { advice: true as const } : {}),
              object: name,
              say: `${name} = ${bad}: ${why}`,
              remedy:
                name === 'password_encryption'
                  ? "password_encryption = 'scram-sha-256', then new passwords"
                  : `${name} = ${bad === 'off' ? 'on' : 'off'} in postgresql.conf, then reload`,
            },
          ]
        : [],
    )
    const clear: Found = { level: 'ok', say: 'none of those known as dangerous' }
    return found.some(({ level }) => level !== 'ok') ? found : [clear, ...found]
  },
}

const pendingRestart: Check = {
  id: 'pending_restart',
  title: 'Settings that wait for a restart',
  why: 'What the file says is not what the server does, until some restart changes it by surprise.',
  of: 'postgres',
  unit: '',
  needs: [settings],
  look: (state, server) => {
    const waiting = rowsOf(state, server.id, settings).filter(row => row.pending_restart)
    if (waiting.length === 0) return [{ level: 'ok', say: 'none', figure: 0 }]
    const names = some(waiting.map(({ name }) => drawable(name)))
    return [
      {
        level: 'warning',
        figure: waiting.length,
        say: `${names}: changed in the file, not in force yet`,
        remedy: 'restart the server in a maintenance window, or take the change back',
      },
    ]
  },
}

const memory: Check = {
  id: 'memory_settings',
  title: 'Memory promised to queries',
  why: 'If all connections sort at once they take work_mem each, and the system ends the server when there is no more.',
  of: 'postgres',
  unit: '%',
  warning: 'memoryPercent',
  needs: [settings],
  look: (state, server) => {
    const of = (name: string) => bytesOf(state, server.id, name)
    const [work, cache, buffers] = [of('work_mem'), of('effective_cache_size'), of('shared_buffers')]
    const usable = server.facts?.usableConnections ?? null
    if (work === null || !cache || usable === null) return [{ level: 'unknown', say: 'the settings of memory are not known' }]
    const figure = ((work * usable) / cache) * 100
    const level = levelOf(figure, state.settings.thresholds, memory)
    return [
      {
        level,
        figure,
        say: `${usable} connections times work_mem ${bytes(work)} is ${bytes(work * usable)}, effective_cache_size ${bytes(cache)}, shared_buffers ${bytes(buffers)}`,
        ...(level === 'ok'
          ? {}
          : {
              remedy:
                'a smaller work_mem (SET LOCAL where more is needed), or fewer connections behind PgBouncer; if the machine has more memory, effective_cache_size should say so',
            }),
      },
    ]
  },
}

export const settingChecks: readonly Check[] = [dangerous, pendingRestart, memory]
