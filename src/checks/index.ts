// THE list of checks, in the order of the guide's daily checklist. The Health pane, the header's finding, `pgvigil check` and docs/CHECKS.md
// all read it. Adding one is a record in the file of its subject.

import type { Check } from './check.ts'
import { chunkChecks } from './chunks.ts'
import { connectionChecks } from './connections.ts'
import { diskChecks } from './disk.ts'
import { limitChecks } from './limits.ts'
import { logChecks } from './log.ts'
import { rateChecks } from './rates.ts'
import { replicationChecks } from './replication.ts'
import { serverChecks } from './servers.ts'
import { sessionChecks } from './sessions.ts'
import { settingChecks } from './settings.ts'
import { tableChecks } from './tables.ts'
import { walChecks } from './wal.ts'

export const checks: readonly Check[] = [
  ...serverChecks,
  ...replicationChecks,
  ...connectionChecks,
  ...sessionChecks,
  ...rateChecks,
  ...diskChecks,
  ...walChecks,
  ...tableChecks,
  ...limitChecks,
  ...chunkChecks,
  ...settingChecks,
  ...logChecks,
]
