// Settings that can be dangerous, those that others are measured by, and all that somebody has set: asked of any server.

import { query, type RowOf } from './query.ts'

const columns = { name: 'text!', setting: 'text', unit: 'text', source: 'text', pending_restart: 'bool!' } as const

const fields = 'name::text AS name, setting, unit, source, pending_restart'

/**
 * Those that the checks look at, and any that waits for a restart. `setting` is in `unit` ("8kB", "kB", "MB", "s"; NULL for none), as pg_settings has it. A
 * setting that only pg_read_all_settings may see has no row for others.
 */
export const settings = query({
  id: 'settings',
  on: 'postgres',
  every: 30,
  columns,
  variants: [
    {
      from: 130000,
      text: `
SELECT ${fields}
  FROM pg_settings
 WHERE pending_restart
    OR name IN ('fsync', 'full_page_writes', 'autovacuum', 'track_counts', 'track_activities', 'zero_damaged_pages', 'ignore_checksum_failure',
                'ignore_system_indexes', 'password_encryption', 'shared_buffers', 'work_mem', 'maintenance_work_mem', 'effective_cache_size',
                'max_connections', 'max_wal_size', 'archive_mode', 'archive_command', 'archive_library', 'data_directory')`,
    },
  ],
})
export type SettingRow = RowOf<typeof settings>

/** All that is not as the program has it by default, with what it is: to be compared with later. */
export const changedSettings = query({
  id: 'changedSettings',
  on: 'postgres',
  every: 30,
  columns,
  variants: [
    {
      from: 130000,
      text: `SELECT ${fields} FROM pg_settings WHERE source NOT IN ('default', 'override', 'client', 'session') ORDER BY name`,
    },
  ],
})
