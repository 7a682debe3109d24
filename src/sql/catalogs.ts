// Whether somebody has locked a catalog, as VACUUM FULL or REINDEX of one does: then no new connection can be made, and names and views wait.

import { query, type RowOf } from './query.ts'

const needed = ['pg_class', 'pg_attribute', 'pg_index', 'pg_namespace', 'pg_proc', 'pg_type', 'pg_roles', 'pg_database']

/**
 * Looks into the catalogs that every new connection needs (pg_authid by its view, which any role may read). It has no rows; that it waits for a lock (55P03) is the news. Reading pg_locks for
 * that each time would cost a server with many locks far more.
 */
export const catalogs = query({
  id: 'catalogs',
  on: 'postgres',
  every: 5,
  columns: {},
  variants: [
    {
      from: 130000,
      text: needed.map(name => `SELECT FROM ${name} WHERE false`).join(' UNION ALL '),
    },
  ],
})

/**
 * Who holds a catalog, or an index of one, so that nobody can read it: asked when something of ours has waited in vain. From functions that
 * need no catalog themselves. `pid` NULL: a prepared transaction. `backend_type` and state NULL where our role may not see them.
 */
export const catalogLocks = query({
  id: 'catalogLocks',
  on: 'postgres',
  every: 'tick',
  columns: { pid: 'int', relation: 'big!', backend_type: 'text', state: 'text', xact_age_seconds: 'num' },
  variants: [
    {
      from: 130000,
      text: `
SELECT l.pid, l.relation::int8 AS relation, a.backend_type, a.state,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS xact_age_seconds
  FROM pg_lock_status() l LEFT JOIN pg_stat_get_activity(NULL) a ON a.pid = l.pid
 WHERE l.granted AND l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.relation < 16384
   AND l.database IN (0, (SELECT datid FROM pg_stat_get_activity(pg_backend_pid())))
 ORDER BY l.relation`,
    },
  ],
})
export type CatalogLockRow = RowOf<typeof catalogLocks>
