// Who waits for a lock and for whom. Everything comes from functions that take no catalog lock, in one statement, so that it still
// answers when the pile-up is on a catalog.

import { query, type RowOf } from './query.ts'

const columns = {
  kind: 'text!',
  pid: 'int!',
  blocked_by: 'ints',
  locktype: 'text',
  mode: 'text',
  lock_database: 'big',
  relation: 'big',
  relation_name: 'text',
  page: 'big',
  tuple: 'int',
  virtualxid: 'text',
  transactionid: 'big',
  classid: 'big',
  objid: 'big',
  objsubid: 'int',
  wait_seconds: 'num',
  row_database: 'big',
  row_relation: 'big',
  row_relation_name: 'text',
  backend_type: 'text',
  backend_start: 'text',
  xact_start: 'text',
  query_start: 'text',
  leader_pid: 'int',
  datid: 'big',
  usesysid: 'big',
  application_name: 'text',
  client_addr: 'text',
  client_port: 'int',
  state: 'text',
  wait_event_type: 'text',
  wait_event: 'text',
  xact_age_seconds: 'num',
  query_age_seconds: 'num',
  state_age_seconds: 'num',
  backend_xid: 'big',
  query: 'utf8',
  gid: 'text',
} as const

// What makes two rows of pg_locks the same object, with stand-ins for NULL so that they compare (and hash) as equal.
const object = `locktype, coalesce(database, 0), coalesce(relation, 0), coalesce(page, -1), coalesce(tuple, -1), coalesce(virtualxid, ''),
         coalesce(xid, 0), coalesce(classid, 0), coalesce(objid, 0), coalesce(objsubid, -1)`

// pg_locks is read only when somebody waits, or when we may not see who waits, and then once: with 100 000 locks it takes a tenth of
// a second. Holders are found by the object that somebody waits for. Of all that wait for one object in one mode the shortest list of
// blockers is enough to find those that don't wait themselves: they are on every list, and the others are waiters anyway.
// The locks of a prepared transaction have no pid; which one it is says its lock on its own transaction id.
// On a standby replay itself can wait, and pg_blocking_pids is silent about it: then all holders of what it wants are told.
// IS TRUE keeps the search for the object a hash table: as a join it may be done by sorting all locks.
// A relation's name is looked up only in its own database, and not while pg_class, pg_namespace or an index of theirs is locked.
const text = (waitstart: string) => `
WITH activity AS MATERIALIZED (
  SELECT pid, leader_pid, backend_type, backend_start, datid, usesysid, application_name, client_addr, client_port, state,
         wait_event_type, wait_event, xact_start, query_start, state_change, backend_xid, query
    FROM pg_stat_get_activity(NULL)
), locks AS MATERIALIZED (
  SELECT locktype, database, relation, page, tuple, virtualxid, transactionid::text::int8 AS xid, classid, objid, objsubid,
         virtualtransaction, pid, mode, granted, ${waitstart} AS waitstart
    FROM pg_lock_status()
   WHERE (SELECT count(*) FROM activity WHERE wait_event_type = 'Lock' OR backend_type IS NULL) > 0
), ungranted AS MATERIALIZED (
  SELECT * FROM locks WHERE NOT granted
), waiting AS MATERIALIZED (
  SELECT a.pid, pg_blocking_pids(a.pid) AS blocked_by
    FROM activity a
   WHERE a.wait_event_type = 'Lock'
      OR a.backend_type = 'startup' AND a.wait_event LIKE 'RecoveryConflict%'
      OR a.backend_type IS NULL AND a.pid IN (SELECT pid FROM ungranted)
), replay AS MATERIALIZED (
  SELECT count(*) > 0 AS waits FROM activity WHERE backend_type = 'startup' AND wait_event_type = 'Lock'
), blockers AS MATERIALIZED (
  SELECT DISTINCT b.pid
    FROM (SELECT DISTINCT ON (${object}, mode) blocked_by
            FROM waiting LEFT JOIN ungranted USING (pid)
           ORDER BY ${object}, mode, cardinality(blocked_by)) shortest,
         unnest(blocked_by) AS b(pid)
), held AS MATERIALIZED (
  SELECT *
    FROM locks
   WHERE granted
     AND (pid IS NULL OR (SELECT waits FROM replay) OR pid IN (SELECT pid FROM blockers))
     AND ((${object}) IN (SELECT ${object} FROM ungranted)) IS TRUE
), prepared AS (
  SELECT l.virtualtransaction, p.gid, p.prepared, p.dbid, p.ownerid
    FROM locks l JOIN pg_prepared_xact() p ON p.transaction::text::int8 = l.xid
   WHERE l.pid IS NULL AND l.locktype = 'transactionid'
), row_lock AS (
  SELECT DISTINCT ON (pid) pid, database, relation FROM locks WHERE granted AND locktype = 'tuple' ORDER BY pid
), shown AS (
  SELECT 'session' AS kind, a.pid, w.blocked_by, u.locktype, u.mode, u.database, u.relation, u.page, u.tuple, u.virtualxid, u.xid,
         u.classid, u.objid, u.objsubid, u.waitstart, r.database AS row_database, r.relation AS row_relation,
         a.leader_pid, a.backend_type, a.backend_start, a.datid, a.usesysid, a.application_name, a.client_addr, a.client_port, a.state,
         a.wait_event_type, a.wait_event, a.xact_start, a.query_start, a.state_change, a.backend_xid, a.query, NULL::text AS gid
    FROM (SELECT pid FROM waiting UNION SELECT pid FROM blockers UNION SELECT pid FROM held WHERE (SELECT waits FROM replay)) s
    JOIN activity a USING (pid)
    LEFT JOIN waiting w USING (pid)
    LEFT JOIN ungranted u USING (pid)
    LEFT JOIN row_lock r ON r.pid = a.pid AND u.locktype = 'transactionid'
   UNION ALL
  SELECT 'held', coalesce(h.pid, 0), NULL, h.locktype, h.mode, h.database, h.relation, h.page, h.tuple, h.virtualxid, h.xid,
         h.classid, h.objid, h.objsubid, NULL, NULL, NULL,
         NULL, NULL, NULL, p.dbid, p.ownerid, NULL, NULL, NULL, NULL,
         NULL, NULL, p.prepared, NULL, NULL, NULL, NULL, p.gid
    FROM held h LEFT JOIN prepared p ON h.pid IS NULL AND p.virtualtransaction = h.virtualtransaction
), here AS MATERIALIZED (
  SELECT a.datid AS database,
         NOT EXISTS (SELECT FROM locks l WHERE l.database = a.datid AND l.mode = 'AccessExclusiveLock'
                        AND l.relation IN (1259, 2662, 2663, 3455, 2615, 2684, 2685)) AS names_free
    FROM activity a WHERE a.pid = pg_backend_pid()
)
SELECT kind, pid, blocked_by, locktype, mode, s.database::int8 AS lock_database, relation::int8 AS relation,
       CASE WHEN names_free AND s.database IN (0, here.database) THEN relation::regclass::text END AS relation_name,
       page::int8 AS page, tuple::int AS tuple, virtualxid, xid AS transactionid, classid::int8 AS classid, objid::int8 AS objid,
       objsubid::int AS objsubid, extract(epoch FROM clock_timestamp() - waitstart)::float8 AS wait_seconds,
       row_database::int8 AS row_database, row_relation::int8 AS row_relation,
       CASE WHEN names_free AND row_database IN (0, here.database) THEN row_relation::regclass::text END AS row_relation_name,
       leader_pid, backend_type, backend_start::text AS backend_start, xact_start::text AS xact_start, query_start::text AS query_start, datid::int8 AS datid, usesysid::int8 AS usesysid, application_name,
       host(client_addr) AS client_addr, client_port, state, wait_event_type, wait_event,
       extract(epoch FROM clock_timestamp() - xact_start)::float8 AS xact_age_seconds,
       extract(epoch FROM clock_timestamp() - query_start)::float8 AS query_age_seconds,
       extract(epoch FROM clock_timestamp() - state_change)::float8 AS state_age_seconds,
       backend_xid::text::int8 AS backend_xid, substring(textsend(query) FROM 1 FOR $1::int) AS query, gid
  FROM shown s, here`

/**
 * Rows of two kinds. `session`: a process that waits, or that blocks one. `blocked_by` as pg_blocking_pids gives it (pids may repeat, 0 is a
 * prepared transaction), NULL when it doesn't wait; the lock columns are those of the lock it waits for, `wait_seconds` NULL before PostgreSQL
 * 14, `row_relation` the table of the row it wants when it waits for another transaction to end. `held`: a lock that its holder has on an
 * object that somebody waits for; `pid` 0 with `gid` is a prepared transaction, whose database, owner and age stand in `datid`, `usesysid`
 * and `xact_age_seconds`, the moment of its PREPARE in `xact_start`. Names of relations of other databases, and while the catalog is locked, are NULL. Ages in seconds.
 */
export const locks = query({
  id: 'locks',
  on: 'postgres',
  every: 'tick',
  params: ['queryBytes'],
  columns,
  variants: [
    // waitstart is NULL for a moment after the wait has begun.
    { from: 140000, text: text('CASE WHEN NOT granted THEN coalesce(waitstart, clock_timestamp()) END') },
    { from: 130000, text: text('NULL::timestamptz') },
  ],
})
export type LockRow = RowOf<typeof locks>
