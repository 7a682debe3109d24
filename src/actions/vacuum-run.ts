// VACUUM and ANALYZE of one table, and an honest word on what came of it.

import { bytes, count } from '../model/format.ts'
import { drawable } from '../model/untrusted.ts'
import { type DeedAnswer, type DeedSession, ServerError, type WireRow } from '../server/deed.ts'
import { ownPids } from '../sessions.ts'
import { oldestSnapshot, relationNow, sizeNow } from '../sql/maintenance.ts'
import type { Hands, Report } from './action.ts'
import { awaitTable, isReport, locked, lookAgain, type Mode, secondsSince, whyShared, wireSession } from './hold.ts'
import { lockTimeoutMs, maintainGrant, type TableTarget } from './relations.ts'

export type Plan = {
  readonly statement: string
  readonly mode: Mode
  /** Dead rows should be gone after it. */
  readonly frees: boolean
}

export async function runVacuum(plan: Plan, target: TableTarget, hands: Hands): Promise<Report> {
  const session = await hands.open({ lockTimeoutMs })
  const shared = whyShared(session)
  if (shared) return shared
  const first = await lookAgain(session, target.relid, target.qualified)
  if (isReport(first)) return first
  const begun = hands.now()
  try {
    const held = await awaitTable(session, target.relid, target.qualified, plan.mode)
    if (held) return held
    // Somebody who held it may have given its name to another table.
    const before = await lookAgain(session, target.relid, target.qualified)
    if (isReport(before)) return before
    const size = plan.mode === 'AccessExclusiveLock' ? await sizeOf(session, target) : null
    const { notices } = await session.runAlone(plan.statement, null)
    const report = await told(plan, target, session, secondsSince(begun, hands), before, notices, hands)
    return size !== null && report.outcome === 'done'
      ? { ...report, say: `${report.say}${await freed(session, target, size)}` }
      : report
  } catch (error) {
    if (!(error instanceof ServerError) || error.kind !== 'refused') throw error
    if (error.code === '57014' && hands.stopping()) {
      const as = plan.mode === 'AccessExclusiveLock' ? ': the table is as before' : ''
      return { outcome: 'failed', say: `cancelled after ${secondsSince(begun, hands)}${as}` }
    }
    if (error.code === '42P01' || error.code === '3F000')
      return { outcome: 'already gone', say: `already gone: ${drawable(error.message)}` }
    if (error.code === '55P03') return locked(session, target.relid, plan.mode)
    throw error
  }
}

/** Null: somebody holds it again already. */
async function sizeOf(session: DeedSession, { relid }: TableTarget): Promise<bigint | null> {
  const answer = await session.run(sizeNow, [String(relid)]).catch(() => null)
  const bytes = answer?.rows[0]?.bytes
  return bytes == null ? null : BigInt(bytes)
}

async function freed(session: DeedSession, target: TableTarget, before: bigint): Promise<string> {
  const now = await sizeOf(session, target)
  if (now === null) return ''
  return now <= before
    ? `; ${bytes(before - now)} freed, ${bytes(now)} left`
    : `; it takes ${bytes(now - before)} more than before`
}

type Notices = DeedAnswer['notices']

async function told(
  plan: Plan,
  target: TableTarget,
  session: DeedSession,
  took: string,
  before: WireRow,
  notices: Notices,
  hands: Hands,
): Promise<Report> {
  const passedOver = skipped(notices, target, hands)
  if (passedOver) return passedOver
  const warning = notices[0]?.message
  const say = `done in ${took}${warning ? `; WARNING: ${drawable(warning)}` : ''}`
  // Before 15 figures come late: of a table where nothing is dead they are not waited for.
  const soon = target.version >= 150000 || before.dead !== '0' || warning !== undefined
  const counts = plan.frees && before.vacuums !== null && soon
  try {
    const after = counts
      ? await counted(session, target, before)
      : (await session.run(relationNow, [String(target.relid)])).rows[0]
    if (after && after.qualified !== before.qualified) {
      return {
        outcome: 'failed',
        say: `${say}; it was renamed to ${drawable(after.qualified)} meanwhile: another table of its name may have been meant`,
      }
    }
    if (!counts || !after) return { outcome: 'done', say }
    // In whatever language: it warned, and counted no vacuum.
    if (warning && after.vacuums === before.vacuums) return { outcome: 'skipped', say: `skipped: ${drawable(warning)}` }
    const stay = after.vacuums === before.vacuums ? null : await remaining(after, before, session, target.server, hands)
    return stay === null ? { outcome: 'done', say } : { outcome: 'done', say: `${say}; ${stay}`, remark: true }
  } catch {
    // It is done all the same.
    return { outcome: 'done', say }
  }
}

// The words of 13 to 18 where the server speaks English. As only warnings are sent to us, any notice is one, whatever its severity is called.
const rightWords = /permission denied|only .+ can (vacuum|analyze)/

/** What the server passed over; null: nothing, as far as its words go. */
function skipped(notices: Notices, target: TableTarget, hands: Hands): Report | null {
  const those = notices.filter(
    ({ code, message = '' }) =>
      code === '55P03' || code === '42P01' || /skipping/.test(message) || rightWords.test(message) || !target.maintains,
  )
  const [first] = those
  if (!first) return null
  const words = drawable(first.message)
  const more = those.length > 1 ? ` (+${those.length - 1})` : ''
  if (first.code === '55P03') return { outcome: 'skipped', say: `skipped: lock not available: ${words}${more}` }
  if (first.code === '42P01') return { outcome: 'skipped', say: `skipped: ${words}${more}` }
  if (target.maintains) {
    // It is another table's right that is missing: of one that inherits from it, or is a part of it.
    const part = rightWords.test(first.message ?? '') && target.children > 0
    return { outcome: 'skipped', say: part ? `skipped in part: ${words}${more}; all else is done` : `skipped: ${words}${more}` }
  }
  const grant = maintainGrant(target.server, hands.state(), target.owner, target.qualified)
  return { outcome: 'skipped', say: `skipped: permission denied${more}; ${grant} (server: ${words})` }
}

/** The statistics of 13 and 14 come by way of another process. Milliseconds. */
const statistics = { forMs: 1500, everyMs: 100 }

/** The table's figures once the vacuum is counted in them, or when that takes too long. */
async function counted(session: DeedSession, { relid }: TableTarget, before: WireRow): Promise<WireRow | undefined> {
  const until = Date.now() + statistics.forMs
  for (;;) {
    const [now] = (await session.run(relationNow, [String(relid)])).rows
    if (now?.vacuums !== before.vacuums || Date.now() > until) return now
    await new Promise(resolve => setTimeout(resolve, statistics.everyMs))
  }
}

/** Dead rows that somebody may still see, who was there before; null: none stay for that. */
async function remaining(
  after: WireRow,
  before: WireRow,
  session: DeedSession,
  server: string,
  hands: Hands,
): Promise<string | null> {
  const dead = Number(after.dead ?? 0)
  const own = [...ownPids(hands.state(), server)].filter(pid => pid > 0)
  const [oldest] = dead === 0 ? [] : (await session.run(oldestSnapshot, [before.now ?? '', `{${own.join(',')}}`])).rows
  if (!oldest) return null
  const name = drawable(oldest.name)
  const who =
    oldest.kind === 'slot' ? `slot ${name}` : oldest.kind === 'prepared' ? `prepared transaction ${name}` : wireSession(oldest)
  const stay = `${count(dead)} dead ${dead === 1 ? 'row stays' : 'rows stay'}`
  return `${stay}: somebody may still see them (the oldest snapshot: ${who})`
}
