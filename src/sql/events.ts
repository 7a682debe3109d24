// What is asked of every server for the Events pane alone: what other panes read only while they are shown.

import { query, type RowOf } from './query.ts'

const slotStatesText = (reason: string) => `SELECT slot_name, wal_status, ${reason} FROM pg_get_replication_slots()`

/** Which slots are lost: from the function behind pg_replication_slots, whose view waits for a lock on pg_database. */
export const slotStates = query({
  id: 'slotStates',
  on: 'postgres',
  every: 5,
  columns: { slot_name: 'text!', wal_status: 'text', invalidation_reason: 'text' },
  variants: [
    { from: 170000, text: slotStatesText('invalidation_reason') },
    { from: 130000, text: slotStatesText('NULL::text AS invalidation_reason') },
  ],
})
export type SlotStateRow = RowOf<typeof slotStates>

/**
 * Whether a smart stop waits for sessions to end: sessions that are there go on as if nothing were, so only the postmaster's file tells (ready,
 * standby, starting, stopping). `others`: client sessions it waits for besides ours; 0, and not counted, while nothing stops.
 */
export const shutdown = query({
  id: 'shutdown',
  on: 'postgres',
  every: 2,
  needs: { superuser: true },
  columns: { status: 'text!', others: 'int!' },
  variants: [
    {
      from: 130000,
      text: `
SELECT status,
       CASE WHEN status = 'stopping' THEN (SELECT count(*) FROM pg_stat_get_activity(NULL)
         WHERE backend_type = 'client backend' AND application_name IS DISTINCT FROM current_setting('application_name'))::int ELSE 0 END AS others
  FROM (SELECT btrim(split_part(pg_read_file('postmaster.pid'), E'\\n', 8)) AS status) f`,
    },
  ],
})
export type ShutdownRow = RowOf<typeof shutdown>
