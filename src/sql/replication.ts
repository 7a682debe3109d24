// What is asked about replication: the senders and slots of any server, the receiver, its conflicts and settings of a standby.
// Functions that give positions of a primary fail on a standby (55000), hence the CASE; a sender that is itself a standby (a cascade)
// stands at its replay position.

import { query, type RowOf } from './query.ts'

const currentLsn = 'CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END'

/**
 * One row for each walsender, from the functions behind pg_stat_replication, so that no lock on a catalog holds it up. `current_lsn`: the
 * server's own position in the same statement. `reply_epoch`: the RECEIVER's clock; `clock_epoch`: the sender's. The three lags are seconds
 * as the server estimates them: stale while replay stands still, NULL when idle. A role without pg_read_all_stats gets pid, usesysid and
 * application_name; the rest is NULL.
 */
export const senders = query({
  id: 'senders',
  on: 'postgres',
  every: 'tick',
  columns: {
    pid: 'int!',
    usesysid: 'big',
    application_name: 'text',
    client_addr: 'text',
    client_port: 'int',
    backend_start: 'text',
    xminAge: 'int',
    state: 'text',
    sent_lsn: 'lsn',
    write_lsn: 'lsn',
    flush_lsn: 'lsn',
    replay_lsn: 'lsn',
    writeLagSeconds: 'num',
    flushLagSeconds: 'num',
    replayLagSeconds: 'num',
    sync_priority: 'int',
    sync_state: 'text',
    reply_epoch: 'num',
    current_lsn: 'lsn',
    clock_epoch: 'num!',
  },
  variants: [
    {
      from: 130000,
      text: `
SELECT w.pid, a.usesysid::int8 AS usesysid, a.application_name, host(a.client_addr) AS client_addr, a.client_port,
       a.backend_start::text AS backend_start, age(a.backend_xmin) AS "xminAge", w.state,
       w.sent_lsn, w.write_lsn, w.flush_lsn, w.replay_lsn,
       extract(epoch FROM w.write_lag)::float8 AS "writeLagSeconds",
       extract(epoch FROM w.flush_lag)::float8 AS "flushLagSeconds",
       extract(epoch FROM w.replay_lag)::float8 AS "replayLagSeconds",
       w.sync_priority, w.sync_state, extract(epoch FROM w.reply_time)::float8 AS reply_epoch,
       ${currentLsn} AS current_lsn,
       extract(epoch FROM clock_timestamp())::float8 AS clock_epoch
  FROM pg_stat_get_wal_senders() w JOIN pg_stat_get_activity(NULL) a ON a.pid = w.pid`,
    },
  ],
})
export type SenderRow = RowOf<typeof senders>

const slotsText = (since16: string, since17: string) => `
SELECT slot_name, slot_type, plugin, database, temporary, active, active_pid,
       age(xmin) AS "xminAge", age(catalog_xmin) AS "catalogXminAge", restart_lsn, confirmed_flush_lsn, wal_status, safe_wal_size,
       ${since16}, ${since17},
       ${currentLsn} AS current_lsn
  FROM pg_replication_slots`
const before17 =
  'NULL::text AS inactive_since, NULL::float8 AS "inactiveSeconds", NULL::text AS invalidation_reason, NULL::bool AS failover, NULL::bool AS synced'

/**
 * Replication slots, physical and logical. `restart_lsn` NULL: never used yet, or lost. `safe_wal_size` NULL: no limit is set
 * (max_slot_wal_keep_size = -1), or lost. `inactive_since` and invalidation_reason: 17 and later.
 */
export const slots = query({
  id: 'slots',
  on: 'postgres',
  every: 'tick',
  columns: {
    slot_name: 'text!',
    slot_type: 'text!',
    plugin: 'text',
    database: 'text',
    temporary: 'bool!',
    active: 'bool!',
    active_pid: 'int',
    xminAge: 'int',
    catalogXminAge: 'int',
    restart_lsn: 'lsn',
    confirmed_flush_lsn: 'lsn',
    wal_status: 'text',
    safe_wal_size: 'big',
    conflicting: 'bool',
    inactive_since: 'text',
    inactiveSeconds: 'num',
    invalidation_reason: 'text',
    failover: 'bool',
    synced: 'bool',
    current_lsn: 'lsn',
  },
  variants: [
    {
      from: 170000,
      text: slotsText(
        'conflicting',
        'inactive_since::text AS inactive_since, extract(epoch FROM clock_timestamp() - inactive_since)::float8 AS "inactiveSeconds", invalidation_reason, failover, synced',
      ),
    },
    { from: 160000, text: slotsText('conflicting', before17) },
    { from: 130000, text: slotsText('NULL::bool AS conflicting', before17) },
  ],
})
export type SlotRow = RowOf<typeof slots>

/**
 * The walreceiver of a standby: no row when there is none. A role without pg_read_all_stats sees a row with the pid alone. `application_name`
 * is cut out of conninfo on the server, so that nothing else of conninfo ever leaves it. `last_msg_send_epoch` is the sender's clock,
 * `last_msg_receipt_epoch` and `clock_epoch` this server's.
 */
export const receiver = query({
  id: 'receiver',
  on: 'postgres',
  every: 'tick',
  needs: { role: 'standby' },
  columns: {
    pid: 'int!',
    status: 'text',
    received_tli: 'int',
    latest_end_lsn: 'lsn',
    last_msg_send_epoch: 'num',
    last_msg_receipt_epoch: 'num',
    slot_name: 'text',
    sender_host: 'text',
    sender_port: 'int',
    application_name: 'text',
    clock_epoch: 'num!',
  },
  variants: [
    {
      from: 130000,
      text: `
SELECT pid, status, received_tli, latest_end_lsn,
       extract(epoch FROM last_msg_send_time)::float8 AS last_msg_send_epoch,
       extract(epoch FROM last_msg_receipt_time)::float8 AS last_msg_receipt_epoch,
       nullif(slot_name, '') AS slot_name, sender_host, sender_port,
       (regexp_split_to_array(coalesce(substring(' ' || conninfo FROM ' application_name=(.*)'),
                                       substring(' ' || conninfo FROM ' fallback_application_name=(.*)')), ' [a-z_]+='))[1] AS application_name,
       extract(epoch FROM clock_timestamp())::float8 AS clock_epoch
  FROM pg_stat_get_wal_receiver() WHERE pid IS NOT NULL`,
    },
  ],
})
export type ReceiverRow = RowOf<typeof receiver>

const conflictsText = (logicalSlot: string) => `
SELECT (SELECT coalesce(sum(conflicts), 0)::int8 FROM pg_stat_database) AS conflicts,
       coalesce(sum(confl_tablespace), 0)::int8 AS confl_tablespace, coalesce(sum(confl_lock), 0)::int8 AS confl_lock,
       coalesce(sum(confl_snapshot), 0)::int8 AS confl_snapshot, coalesce(sum(confl_bufferpin), 0)::int8 AS confl_bufferpin,
       coalesce(sum(confl_deadlock), 0)::int8 AS confl_deadlock, ${logicalSlot} AS confl_active_logicalslot
  FROM pg_stat_database_conflicts`

/** Queries cancelled on this standby because of replay, over all databases since their statistics began; a primary counts none. */
export const conflicts = query({
  id: 'conflicts',
  on: 'postgres',
  every: 'tick',
  needs: { role: 'standby' },
  columns: {
    conflicts: 'big!',
    confl_tablespace: 'big!',
    confl_lock: 'big!',
    confl_snapshot: 'big!',
    confl_bufferpin: 'big!',
    confl_deadlock: 'big!',
    confl_active_logicalslot: 'big',
  },
  variants: [
    { from: 160000, text: conflictsText('coalesce(sum(confl_active_logicalslot), 0)::int8') },
    { from: 130000, text: conflictsText('NULL::int8') },
  ],
})
export type ConflictsRow = RowOf<typeof conflicts>

/** Settings that say how a server takes part in replication; any role may read them. */
export const replicationSettings = query({
  id: 'replicationSettings',
  on: 'postgres',
  every: 15,
  columns: {
    primary_slot_name: 'text',
    cluster_name: 'text',
    statusIntervalSeconds: 'int!',
    senderTimeoutMs: 'int!',
    applyDelayMs: 'int!',
    hot_standby_feedback: 'bool!',
    synchronous_standby_names: 'text',
    max_slot_wal_keep_size: 'text!',
  },
  variants: [
    {
      from: 130000,
      text: `
SELECT nullif(current_setting('primary_slot_name'), '') AS primary_slot_name,
       nullif(current_setting('cluster_name'), '') AS cluster_name,
       (SELECT setting::int FROM pg_settings WHERE name = 'wal_receiver_status_interval') AS "statusIntervalSeconds",
       (SELECT setting::int FROM pg_settings WHERE name = 'wal_sender_timeout') AS "senderTimeoutMs",
       (SELECT setting::int FROM pg_settings WHERE name = 'recovery_min_apply_delay') AS "applyDelayMs",
       current_setting('hot_standby_feedback')::bool AS hot_standby_feedback,
       nullif(current_setting('synchronous_standby_names'), '') AS synchronous_standby_names,
       current_setting('max_slot_wal_keep_size') AS max_slot_wal_keep_size`,
    },
  ],
})
export type ReplicationSettingsRow = RowOf<typeof replicationSettings>
