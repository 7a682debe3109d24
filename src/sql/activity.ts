// Sessions and background processes, from the function under pg_stat_activity: the view joins pg_database and pg_authid, and a lock on
// either would hide every session. Names of databases and roles come from the `names` query.

import { query, type RowOf } from './query.ts'

const columns = {
  pid: 'int!',
  leader_pid: 'int',
  backend_type: 'text',
  datid: 'big',
  usesysid: 'big',
  application_name: 'text',
  client_addr: 'text',
  client_port: 'int',
  backend_start: 'text',
  query_start: 'text',
  state: 'text',
  wait_event_type: 'text',
  wait_event: 'text',
  backend_age_seconds: 'num',
  xact_age_seconds: 'num',
  query_age_seconds: 'num',
  state_age_seconds: 'num',
  backend_xid: 'big',
  backend_xmin: 'big',
  backend_xmin_age: 'int',
  query_id: 'big',
  query: 'utf8',
} as const

const text = (queryId: string) => `
SELECT pid, leader_pid, backend_type, datid::int8 AS datid, usesysid::int8 AS usesysid, application_name,
       host(client_addr) AS client_addr, client_port, backend_start::text AS backend_start, query_start::text AS query_start, state, wait_event_type, wait_event,
       extract(epoch FROM clock_timestamp() - backend_start)::float8 AS backend_age_seconds,
       extract(epoch FROM clock_timestamp() - xact_start)::float8 AS xact_age_seconds,
       extract(epoch FROM clock_timestamp() - query_start)::float8 AS query_age_seconds,
       extract(epoch FROM clock_timestamp() - state_change)::float8 AS state_age_seconds,
       backend_xid::text::int8 AS backend_xid, backend_xmin::text::int8 AS backend_xmin, age(backend_xmin) AS backend_xmin_age,
       ${queryId} AS query_id,
       substring(textsend(query) FROM 1 FOR $1::int) AS query
  FROM pg_stat_get_activity(NULL)`

// The fields of a row that is told in full, in the order that server/roster.ts takes them.
const fields = (
  queryId: string,
) => `pid, leader_pid, backend_type, datid, usesysid, application_name, host(client_addr), client_port,
           backend_start, query_start, xact_start, state_change, state, wait_event_type, wait_event, backend_xid, backend_xmin, ${queryId},
           encode(substring(textsend(query) FROM 1 FOR $1::int), 'escape')`

// Sessions stand still for most of the time, and their text and times are most of what a look at them costs: a session whose state has not
// changed since $2 (epoch seconds) is told by its pid, and with what can change within a statement while it runs one. In turn ($3) some are
// told in full anyway.
const packed = (queryId: string) => `
SELECT extract(epoch FROM clock_timestamp())::float8 AS sessions_clock, extract(epoch FROM now())::float8 AS sessions_at,
       age('3'::xid) AS xids_since_3,
       string_agg(CASE WHEN (state_change < to_timestamp($2::float8)) IS NOT TRUE OR pid & 31 = $3::int THEN ROW(${fields(queryId)})::text
                       WHEN state IN ('active', 'fastpath function call') THEN ROW(pid, wait_event_type, wait_event, backend_xid, backend_xmin)::text
                       ELSE pid::text END, chr(10)) AS sessions
  FROM pg_stat_get_activity(NULL)`

/**
 * One row for each server process. Ages are seconds by the server's clock, NULL when there is no transaction, query or state. `client_port` is -1 over a Unix socket. Of other roles' sessions a
 * role without pg_read_all_stats sees pid, datid, usesysid and application_name; the rest is NULL and the query `<insufficient privilege>`.
 */
export const activity = query({
  id: 'activity',
  on: 'postgres',
  every: 'tick',
  params: ['queryBytes'],
  columns,
  variants: [
    { from: 140000, text: text('query_id'), packed: packed('query_id') },
    { from: 130000, text: text('NULL::int8'), packed: packed('NULL::int8') },
  ],
})
export type ActivityRow = RowOf<typeof activity>

/** A query of one session as long as the server keeps it (track_activity_query_size), at most 100 kB: asked for once, as long as it is the same. */
export const activityText = query({
  id: 'activityText',
  on: 'postgres',
  every: 60,
  light: true,
  params: ['selectedPid', 'selectedQueryStart'],
  columns: { pid: 'int!', backend_start: 'text', query: 'utf8' },
  variants: [
    {
      from: 130000,
      text: `
SELECT pid, backend_start::text AS backend_start, substring(textsend(query) FROM 1 FOR 102400) AS query
  FROM pg_stat_get_activity($1::int)
 WHERE $2::text IN ('', query_start::text)`,
    },
  ],
})
export type ActivityTextRow = RowOf<typeof activityText>
