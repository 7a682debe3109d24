// Invalid indexes dropped: those of the list, and those that a REINDEX of ours has just left behind.

import { bytes } from '../model/format.ts'
import { isInvalid, isLeftover } from '../model/indexes.ts'
import { drawable, is, raw } from '../model/untrusted.ts'
import { ServerError } from '../server/deed.ts'
import { activity } from '../sql/activity.ts'
import { indexes } from '../sql/indexes.ts'
import { locks } from '../sql/locks.ts'
import { indexNow } from '../sql/maintenance.ts'
import { names } from '../sql/server.ts'
import { rowsOf } from '../store/selectors.ts'
import { action, type Hands, type Line, type Report, whyNot } from './action.ts'
import { freezeIndex, type IndexSeen, type IndexTarget, indexGone, indexHead, indexHit, indexRecord } from './index-targets.ts'
import { awaitTable, locked, lockTimeoutMs, ownerGrant, ownersGrant, standbyRefuses } from './relations.ts'
import { toType, typable } from './words.ts'

/** The name stands as format('%I.%I') gave it. */
const dropStatement = ({ qualified, concurrently }: IndexTarget) => `DROP INDEX ${concurrently}${raw(qualified)}`

async function runDrop(target: IndexTarget, hands: Hands): Promise<Report> {
  const session = await hands.open({ lockTimeoutMs })
  const [now] = (await session.run(indexNow, [String(target.indexrelid)])).rows
  if (!now) {
    hands.dropped(target.indexrelid)
    return { outcome: 'already gone', say: 'already gone: nothing was done' }
  }
  if (now.qualified !== raw(target.qualified)) {
    return { outcome: 'refused', say: `nothing was done: it is called ${drawable(now.qualified)} now` }
  }
  if (now.indisvalid === 't') return { outcome: 'refused', say: 'nothing was done: the index is valid now' }
  if (now.building === 't') return { outcome: 'refused', say: 'nothing was done: somebody is building it' }
  let begun = false
  try {
    await awaitTable(session, target.table_qualified)
    begun = true
    await session.runAlone(dropStatement(target), null)
  } catch (error) {
    if (!(error instanceof ServerError) || error.kind !== 'refused') throw error
    if (!begun && error.code === '55P03') return locked(session, target.indrelid)
    if (error.code !== '57014' || !hands.stopping()) throw error
    return { outcome: 'failed', say: 'cancelled: the index is there still, and invalid' }
  }
  hands.dropped(target.indexrelid)
  return { outcome: 'done', say: `dropped${target.total_bytes === null ? '' : `: ${bytes(target.total_bytes)} freed`}` }
}

const dropIndexAction = action<IndexSeen, IndexTarget>({
  id: 'dropIndex',
  command: 'dropIndex',
  label: 'DROP INDEX',
  help: 'Drops an invalid index: what a CONCURRENTLY that failed has left behind.',
  lists: ['indexes'],
  takes: 'queue',
  on: 'postgres',
  right: (server, state) => {
    const others = rowsOf(state, server, indexes).filter(({ owned }) => !owned)
    return others.length === 0 ? null : whyNot(ownersGrant(others, server, state))
  },
  freeze: freezeIndex,
  guard: (target, state) => {
    const refused = standbyRefuses(target)
    if (refused) return refused
    if (target.building) return whyNot('it is being built')
    if (!isInvalid(target)) return whyNot('it is valid: only invalid indexes are dropped from here')
    if (is(target.relkind, 'I'))
      return whyNot('it is of a partitioned table: a partition lacks its part, and CONCURRENTLY is not possible')
    if (target.conname !== null)
      return whyNot(`it belongs to constraint ${drawable(target.conname)}: ALTER TABLE ... DROP CONSTRAINT`)
    return target.owned ? null : whyNot(`no right: ${ownerGrant(target.server, state, target.owner, target.table_qualified)}`)
  },
  words: target => [toType(typable(target.indexrelname) ?? String(target.indexrelid))],
  wordsForSeveral: targets => [`${targets.length} indexes`],
  watches: ({ server }) => [indexes, names].map(query => ({ server, query })),
  watchesMeanwhile: ({ server }) => [locks, activity, names].map(query => ({ server, query })),
  ask: targets => ({
    head: indexHead,
    hit: targets.map(indexHit),
    follows: [
      {
        text: targets.every(({ indisready }) => indisready)
          ? 'no query uses it, and each write has paid for it'
          : 'no query uses it',
        tone: 'ok',
      },
      ...targets
        .filter(target => !isLeftover(target))
        .slice(0, 1)
        .map((): Line => ({ text: 'nothing stands in its place: whoever wanted it has to build it again' })),
      { text: 'reads and writes go on meanwhile; it waits for transactions that are open on the table now' },
    ],
  }),
  gone: indexGone,
  sql: target => [dropStatement(target)],
  record: indexRecord,
  run: runDrop,
})

export const dropIndexActions = [dropIndexAction]
