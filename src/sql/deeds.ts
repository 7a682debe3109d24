// The statements of deeds on PostgreSQL. Each tests again what identifies its target, so that a pid, a slot or a transaction that is
// somebody else's by now is left alone. Everything is qualified: no search_path counts.

/** $1 pid, $2 backend_start. From the function under pg_stat_activity, since the view waits for locks on pg_database and pg_authid. No row: gone. */
export const terminateBackend = `SELECT pid, pg_catalog.pg_terminate_backend(pid) AS sent FROM pg_catalog.pg_stat_get_activity($1::int) WHERE backend_start = $2::timestamptz`

/** $1 pid, $2 backend_start, $3 query_start: another query of the same session is not hit. */
export const cancelBackend = `SELECT pid, pg_catalog.pg_cancel_backend(pid) AS sent FROM pg_catalog.pg_stat_get_activity($1::int) WHERE backend_start = $2::timestamptz AND query_start = $3::timestamptz AND state IN ('active', 'fastpath function call')`

/** $1 pid. No row: no such process. */
export const backendNow = `SELECT backend_start::text AS backend_start, query_start::text AS query_start, state FROM pg_catalog.pg_stat_get_activity($1::int)`

/** Which server this is: the same start and role as before, or another place. */
export const instance = `SELECT extract(epoch FROM pg_catalog.pg_postmaster_start_time())::float8 AS started, pg_catalog.pg_is_in_recovery() AS in_recovery`

/** $1 pid: ends what our own deed is doing. */
export const cancelOwn = `SELECT pg_catalog.pg_cancel_backend($1::int) AS sent`

/** $1 gid, $2 when it was prepared. No row: committed or rolled back by somebody. */
export const preparedNow = `SELECT gid FROM pg_catalog.pg_prepared_xacts WHERE gid = $1 AND prepared = $2::timestamptz`

export const pauseReplay = `SELECT pg_catalog.pg_wal_replay_pause()`
export const resumeReplay = `SELECT pg_catalog.pg_wal_replay_resume()`
/** 14 and later know a pause that is only requested. */
export const replayState = {
  from14: `SELECT pg_catalog.pg_get_wal_replay_pause_state() AS state`,
  before: `SELECT CASE WHEN pg_catalog.pg_is_wal_replay_paused() THEN 'paused' ELSE 'not paused' END AS state`,
}

/** $1 name, $2 restart_lsn (text or empty): a slot that is used, or was used since, is left alone. No row: see slotNow. */
export const dropSlot = `SELECT slot_name, pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND NOT active AND restart_lsn IS NOT DISTINCT FROM nullif($2, '')::pg_lsn`
/** $1 name. */
export const slotNow = `SELECT active, active_pid, coalesce(restart_lsn::text, '') AS restart_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = $1`
