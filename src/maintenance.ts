// `pgvigil check --before-maintenance` and `--after-maintenance`: which checks belong to a window, and the file that is kept in between.

import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makeFolder, stateFolder } from './audit.ts'
import type { Baseline } from './checks/baseline.ts'
import type { Env, Machine } from './config/machine.ts'
import { jsonText } from './model/json.ts'
import type { Thresholds } from './model/thresholds.ts'

/** What must be in order before a window is begun: a standby that is current, nothing that blocks or is half done. */
export const before: readonly string[] = [
  'connectivity',
  'one_primary',
  'visibility',
  'replication_state',
  'replication_lag',
  'replication_lag_bytes',
  'wal_receiver',
  'replay_paused',
  'replication_slots',
  'connections',
  'pool_paused',
  'pool_wait',
  'long_transactions',
  'idle_in_transaction',
  'lock_waits',
  'prepared_transactions',
  'xmin_horizon',
  'archiving',
  'archive_backlog',
  'wal_space',
  'disk_space',
  'invalid_indexes',
  'jobs_failed',
  'settings',
  'pending_restart',
]

/** Before a window a standby must be current, which a second behind is not. */
export const strict: Partial<Thresholds> = { lagSeconds: 1 }

/** What no server can be asked. */
export const byHand: readonly string[] = [
  'stakeholders are notified (24 hours in advance)',
  'the last backup is complete, and was restored once',
  'the way back is prepared (rollback plan)',
  'other monitoring is in maintenance mode',
]

/** Where it is kept, by the cluster's name; null without a home directory. */
export function baselinePath(cluster: string, env: Env, machine: Pick<Machine, 'home'>): string | null {
  const folder = stateFolder(env, machine)
  return folder === null ? null : join(folder, `maintenance-${encodeURIComponent(cluster).slice(0, 200)}.json`)
}

/** Null, or why it could not be saved. Nobody else may read it: it tells all settings. */
export function saveBaseline(path: string, baseline: Baseline): string | null {
  try {
    makeFolder(dirname(path))
    writeFileSync(`${path}.new`, `${jsonText(baseline, 2)}\n`, { mode: 0o600 })
    renameSync(`${path}.new`, path)
    return null
  } catch (error) {
    return `${path} can't be written (${(error as NodeJS.ErrnoException).code ?? 'error'})`
  }
}

/** What was saved, or one sentence about why there is nothing. */
export function loadBaseline(path: string): Baseline | { readonly error: string } {
  try {
    const read = JSON.parse(readFileSync(path, 'utf8')) as Baseline
    if (read.format !== 1 || !Array.isArray(read.servers)) return { error: `${path} is no file of --before-maintenance` }
    return read
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT')
      return { error: 'nothing was saved before the window: pgvigil check --before-maintenance does, with the same servers' }
    return { error: code ? `${path} can't be read (${code})` : `${path} is no file of --before-maintenance` }
  }
}
