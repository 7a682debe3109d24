// The worst of what is seen, each with what to do about it: a key to press or a statement to run. Only from what every server is asked
// anyway, so that it holds on every pane.

import { lockedCatalog } from '../model/catalogs.ts'
import { ageMs, duration } from '../model/format.ts'
import { rivalPrimaries } from '../model/replication.ts'
import { sqlName } from '../model/sql-name.ts'
import { drawable, short } from '../model/untrusted.ts'
import { catalogLocks } from '../sql/catalogs.ts'
import { linkOf, picture, rowsOf, whyUnknown } from '../store/selectors.ts'
import type { ServerState, State } from '../store/state.ts'
import { membersOf } from './members.ts'
import { restrictedNotice } from './sessions.ts'
import { poolerFigures, postgresFigures } from './summary.ts'

export type Finding = { readonly level: 'critical' | 'warning'; readonly say: string }

/** Worst first; empty when all is quiet. Drawable text. */
export function findings(state: State): readonly Finding[] {
  const { servers, order } = picture(state)
  const found = order.flatMap(id => findingsOf(state, servers[id] as ServerState))
  return [...twoPrimaries(state), ...found].sort((a, b) => Number(a.level === 'warning') - Number(b.level === 'warning'))
}

function findingsOf(state: State, server: ServerState): readonly Finding[] {
  const { now } = picture(state)
  const name = drawable(server.id)
  const link = linkOf(server, now, state.settings.intervalMs)
  if (link.word === 'CONNECTING') return []
  if (link.state !== 'up') {
    // The server's own words stand in its line: what would help must not be cut off behind them.
    if (link.word === 'FULL') return [{ level: 'critical', say: `${name} is FULL: ${roomFor(server)}; ${link.why ?? ''}` }]
    const remedy = link.word === 'DENIED' ? ' (tried again every 30 s)' : ''
    return [{ level: 'critical', say: `${name} is ${link.word}: ${link.why ?? 'no answer'}${remedy}` }]
  }
  if (server.kind === 'pgbouncer') return poolerFindings(state, server, name)
  const stops: readonly Finding[] =
    link.word === 'STOPPING' ? [{ level: 'critical', say: `${name} is STOPPING: ${link.why}; 1 shows the sessions` }] : []
  return [...stops, ...postgresFindings(state, server, name)]
}

/** What keeps a connection free for us: reserved_connections is there from 16 on, and for whom it was granted. */
const roomFor = ({ user }: ServerState) => `GRANT pg_use_reserved_connections TO ${drawable(sqlName(user))} (16 or later)`

function postgresFindings(state: State, server: ServerState, name: string): readonly Finding[] {
  const f = postgresFigures(state, server.id)
  const found: Finding[] = []
  const { standby } = f
  const { lagSeconds, transactionSeconds, connectionsPercent } = state.settings.thresholds
  const locked =
    whyUnknown(state, server.id, catalogLocks) === null ? lockedCatalog(rowsOf(state, server.id, catalogLocks)) : null
  if (locked) found.push({ level: 'critical', say: `${name}: ${locked}; new connections wait` })
  if (standby?.receiver === 'down')
    found.push({ level: 'critical', say: `${name}: the WAL receiver is down, nothing comes in; 3 shows replication` })
  else if (standby && standby.lagSeconds !== null && standby.lagSeconds >= lagSeconds) {
    const why = standby.replayPaused ? 'replay is paused' : 'replay is behind'
    found.push({
      level: 'warning',
      say: `${name} lags ${standby.lagIsUpperBound ? 'at most ' : ''}${duration(standby.lagSeconds)}: ${why}; 3 shows replication`,
    })
  }
  if (f.waiting) found.push({ level: 'warning', say: `${f.waiting} wait for locks on ${name}; 2 shows who holds them up` })
  if (f.clients !== null && f.usable !== null && f.clients >= (connectionsPercent / 100) * f.usable) {
    found.push({ level: 'critical', say: `${name}: ${f.clients} of ${f.usable} connections are taken` })
  }
  if ((f.oldestTransactionSeconds ?? 0) > transactionSeconds) {
    found.push({
      level: 'warning',
      say: `${name}: the oldest transaction is open for ${duration(f.oldestTransactionSeconds)}; 1 shows it`,
    })
  }
  const restricted = restrictedNotice(f.restricted ?? 0, server)
  if (restricted) found.push({ level: 'warning', say: `${name}: ${restricted}` })
  return found
}

function poolerFindings(state: State, server: ServerState, name: string): readonly Finding[] {
  const f = poolerFigures(state, server.id)
  const { now } = picture(state)
  const found: Finding[] = f.paused.map(({ database, since }) => ({
    level: 'critical',
    say: `${name}: ${database === '*' ? 'everything' : short(database, 24)} PAUSED for ${ageMs(now - since)} or more; RESUME ends it; 5 shows it`,
  }))
  if ((f.maxwaitSeconds ?? 0) >= state.settings.thresholds.poolWaitSeconds) {
    found.push({
      level: 'warning',
      say: `${name}: ${f.clientsWaiting} clients wait for a server, the longest ${duration(f.maxwaitSeconds)}; 5 shows pools`,
    })
  }
  return found
}

/** Two writable servers of one cluster: a promotion whose old primary still runs. */
function twoPrimaries(state: State): readonly Finding[] {
  return rivalPrimaries(membersOf(state)).map(rivals => ({
    level: 'critical',
    say: `${rivals.map(({ id }) => drawable(id)).join(' and ')} are primaries of one cluster; 3 shows replication`,
  }))
}
