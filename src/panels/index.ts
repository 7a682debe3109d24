// The panes, in the order of their keys. Adding one is a line here and a file beside this one.

import { activityPanel } from './activity.ts'
import { chunksPanel } from './chunks.ts'
import { locksPanel } from './locks.ts'
import type { Panel } from './panel.ts'
import { poolsPanel } from './pools.ts'
import { replicationPanel } from './replication.ts'

export const panels: readonly Panel[] = [activityPanel, locksPanel, replicationPanel, chunksPanel, poolsPanel]
