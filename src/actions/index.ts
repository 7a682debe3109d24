// All that can be done, in the order of the menu.

import type { AnyAction } from './action.ts'
import { chunkActions } from './chunks.ts'
import { dropIndexActions } from './drop-index.ts'
import { exactBloatActions } from './exact-bloat.ts'
import { poolActions } from './pools.ts'
import { preparedActions } from './prepared.ts'
import { reindexActions } from './reindex.ts'
import { replicationActions } from './replication.ts'
import { sessionActions } from './sessions.ts'
import { vacuumActions } from './vacuum.ts'

export const actions: readonly AnyAction[] = [
  ...sessionActions,
  ...preparedActions,
  ...replicationActions,
  ...chunkActions,
  ...vacuumActions,
  ...reindexActions,
  ...dropIndexActions,
  ...exactBloatActions,
  ...poolActions,
]

const byId = new Map(actions.map(action => [action.id, action]))

export function actionById(id: string): AnyAction | undefined {
  return byId.get(id)
}
