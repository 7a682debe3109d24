// What every server is asked whatever pane is shown: its line in the header and the Events pane live on it.

import { catalogs } from '../sql/catalogs.ts'
import { shutdown, slotStates } from '../sql/events.ts'
import { showDatabases, showPools, showState, showStats } from '../sql/pgbouncer.ts'
import type { Query } from '../sql/query.ts'
import { receiver } from '../sql/replication.ts'
import { counters, pulse } from '../sql/server.ts'

export const always: Readonly<Record<'postgres' | 'pgbouncer', readonly Query[]>> = {
  postgres: [pulse, counters, receiver, catalogs, slotStates, shutdown],
  pgbouncer: [showPools, showDatabases, showStats, showState],
}
