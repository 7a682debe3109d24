// The panes, in the order of their keys. Adding one is a line here and a file beside this one.

import { activityPanel } from './activity.ts'
import { chunksPanel } from './chunks.ts'
import { eventsPanel } from './events.ts'
import { healthPanel } from './health.ts'
import { locksPanel } from './locks.ts'
import type { Panel } from './panel.ts'
import { poolsPanel } from './pools.ts'
import { progressPanel } from './progress.ts'
import { replicationPanel } from './replication.ts'
import { tablesPanel } from './tables.ts'

export const panels: readonly Panel[] = [
  activityPanel,
  locksPanel,
  replicationPanel,
  chunksPanel,
  poolsPanel,
  tablesPanel,
  progressPanel,
  healthPanel,
  eventsPanel,
]

/** The pane of a name, an id or a key ("locks", "Locks", "2"); the first pane for null; null when there is none of that name. */
export function panelNamed(name: string | null): Panel | null {
  if (name === null) return panels[0]!
  const wanted = name.toLowerCase()
  return panels.find(panel => panel.id === wanted || panel.key === wanted || panel.title.toLowerCase() === wanted) ?? null
}
