// Invalid indexes dropped: those of the list, and those that a REINDEX of ours has just left behind.

import { bytes } from '../model/format.ts'
import { isInvalid, isLeftover } from '../model/indexes.ts'
import { drawable, is, raw } from '../model/untrusted.ts'
import { type DeedSession, ServerError } from '../server/deed.ts'
import { activity } from '../sql/activity.ts'
import { indexes } from '../sql/indexes.ts'
import { locks } from '../sql/locks.ts'
import { indexNow } from '../sql/maintenance.ts'
import { names } from '../sql/server.ts'
import { rowsOf } from '../store/selectors.ts'
import type { State } from '../store/state.ts'
import { action, type Hands, type Line, type Report, type WhyNot, whyNot } from './action.ts'
import { ourRole } from './guards.ts'
import { awaitTable, waitsLong, whyShared } from './hold.ts'
import { freezeIndex, type IndexSeen, type IndexTarget, indexGone, indexHead, indexHit, indexRecord } from './index-targets.ts'
import { lockTimeoutMs, ownerGrant, ownersGrant, standbyRefuses } from './relations.ts'
import { toType, typable } from './words.ts'

/** The name stands as format('%I.%I') gave it. */
const dropStatement = ({ qualified, concurrently }: IndexTarget) => `DROP INDEX ${concurrently}${raw(qualified)}`

/** Why it is not to be dropped after all; null: it is the invalid index that was shown. Throws ServerError. */
async function whyKept(target: IndexTarget, session: DeedSession, hands: Hands): Promise<Report | null> {
  const [now] = (await session.run(indexNow, [String(target.indexrelid)])).rows
  if (!now || now.indisvalid === 't') hands.dropped(target.indexrelid)
  if (!now) return { outcome: 'already gone', say: 'already gone: nothing was done' }
  if (now.qualified !== raw(target.qualified)) {
    return { outcome: 'refused', say: `nothing was done: it is called ${drawable(now.qualified)} now` }
  }
  if (now.indisvalid === 't') return { outcome: 'refused', say: 'nothing was done: the index is valid now' }
  return now.building === 't' ? { outcome: 'refused', say: 'nothing was done: somebody builds indexes of its table' } : null
}

async function runDrop(target: IndexTarget, hands: Hands): Promise<Report> {
  const session = await hands.open({ lockTimeoutMs })
  const stands = whyShared(session) ?? (await whyKept(target, session, hands))
  if (stands) return stands
  try {
    const held = await awaitTable(session, target.indrelid, target.table_qualified, 'ShareUpdateExclusiveLock')
    // Whoever held the table may have made it valid, or given its name to another one.
    const since = held ?? (await whyKept(target, session, hands))
    if (since) return since
    await waitsLong(session)
    await session.runAlone(dropStatement(target), null)
  } catch (error) {
    if (!(error instanceof ServerError) || error.kind !== 'refused') throw error
    if (error.code !== '57014' || !hands.stopping()) throw error
    return { outcome: 'failed', say: 'cancelled: the index is there still, and invalid' }
  }
  hands.dropped(target.indexrelid)
  return { outcome: 'done', say: `dropped${target.total_bytes === null ? '' : `: ${bytes(target.total_bytes)} freed`}` }
}

/** Nobody but a superuser may use the schema of TOAST tables, unless it was granted. */
function toastGuard({ table_qualified, server }: IndexTarget, state: State): WhyNot | null {
  if (!raw(table_qualified).startsWith('pg_toast.') || state.servers[server]?.facts?.superuser !== false) return null
  return whyNot(
    `it takes a superuser, since it is of a TOAST table (or GRANT USAGE ON SCHEMA pg_toast TO ${ourRole(state, server)};)`,
  )
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
    const toast = toastGuard(target, state)
    if (toast) return toast
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
