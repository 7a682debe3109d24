// Databases and tablespaces of a server, with their sizes where our role may have them measured.

import { query, type RowOf } from './query.ts'

/** All databases, templates too: each can hold back the freezing of old transactions. `measurable`: our role may ask for its size. Ids below 3 are no transactions and have no age. */
export const databases = query({
  id: 'databases',
  on: 'postgres',
  every: 10,
  columns: {
    oid: 'big!',
    datname: 'text!',
    owner: 'text',
    tablespace: 'text',
    datallowconn: 'bool!',
    datconnlimit: 'int!',
    measurable: 'bool!',
    numbackends: 'int',
    freeze_age: 'int',
    multixact_age: 'int',
    freeze_max_age: 'int!',
    deadlocks: 'big',
    temp_bytes: 'big',
    stats_reset: 'text',
  },
  variants: [
    {
      from: 130000,
      text: `
SELECT d.oid::int8 AS oid, d.datname, pg_get_userbyid(d.datdba) AS owner, t.spcname AS tablespace, d.datallowconn, d.datconnlimit,
       has_database_privilege(d.oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE') AS measurable,
       pg_stat_get_db_numbackends(d.oid) AS numbackends, CASE WHEN d.datfrozenxid::text::int8 >= 3 THEN age(d.datfrozenxid) END AS freeze_age,
       mxid_age(d.datminmxid) AS multixact_age,
       current_setting('autovacuum_freeze_max_age')::int AS freeze_max_age,
       pg_stat_get_db_deadlocks(d.oid) AS deadlocks, pg_stat_get_db_temp_bytes(d.oid) AS temp_bytes,
       pg_stat_get_db_stat_reset_time(d.oid)::text AS stats_reset
  FROM pg_database d LEFT JOIN pg_tablespace t ON t.oid = d.dattablespace`,
    },
  ],
})
export type DatabaseRow = RowOf<typeof databases>

/** The size of one database: the server looks at each of its files, so seldom, and one at a time. */
export const databaseSizes = query({
  id: 'databaseSizes',
  on: 'postgres',
  every: 60,
  forEach: { query: databases, key: 'datname' },
  columns: { datname: 'text!', total_bytes: 'big' },
  variants: [
    {
      from: 130000,
      text: `
SELECT d.datname,
       CASE WHEN has_database_privilege(d.oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE') THEN pg_database_size(d.oid) END AS total_bytes
  FROM pg_database d
 WHERE d.datname = $1::name`,
    },
  ],
})
export type DatabaseSizeRow = RowOf<typeof databaseSizes>

/** Tablespaces: `location` is empty for the two in the data directory. */
export const tablespaces = query({
  id: 'tablespaces',
  on: 'postgres',
  every: 60,
  columns: { oid: 'big!', spcname: 'text!', owner: 'text', location: 'text', total_bytes: 'big' },
  variants: [
    {
      from: 130000,
      text: `
SELECT t.oid::int8 AS oid, t.spcname, pg_get_userbyid(t.spcowner) AS owner, pg_tablespace_location(t.oid) AS location,
       CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') OR has_tablespace_privilege(t.oid, 'CREATE')
                 OR t.oid = (SELECT d.dattablespace FROM pg_database d WHERE d.datname = current_database())
            THEN pg_tablespace_size(t.oid) END AS total_bytes
  FROM pg_tablespace t`,
    },
  ],
})
export type TablespaceRow = RowOf<typeof tablespaces>

/**
 * Where the server keeps its data, and what tells whether a directory found there is its own: a row for each tablespace, empty `location` for
 * those in the data directory. `data_directory`: NULL without pg_read_all_settings. `backend_pid`: of the session that asks.
 */
export const storage = query({
  id: 'storage',
  on: 'postgres',
  every: 30,
  columns: {
    oid: 'big!',
    location: 'text!',
    data_directory: 'text',
    started_epoch: 'num!',
    system_identifier: 'big!',
    backend_pid: 'int!',
  },
  variants: [
    {
      from: 130000,
      text: `
SELECT t.oid::int8 AS oid, coalesce(pg_tablespace_location(t.oid), '') AS location,
       CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE') THEN current_setting('data_directory') END AS data_directory,
       extract(epoch FROM pg_postmaster_start_time())::float8 AS started_epoch,
       (pg_control_system()).system_identifier AS system_identifier, pg_backend_pid() AS backend_pid
  FROM pg_tablespace t`,
    },
  ],
})
export type StorageRow = RowOf<typeof storage>
