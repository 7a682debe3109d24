// The watched PostgreSQL servers as the replication model wants them: their newest samples out of the state.

import type { Member, Timed } from '../model/standbys.ts'
import type { Query, RowOf } from '../sql/query.ts'
import { conflicts, receiver, replicationSettings, senders, slots } from '../sql/replication.ts'
import { pulse } from '../sql/server.ts'
import { idsOf, linkOf, picture, read, rowsOf, staleAfterMs } from '../store/selectors.ts'
import type { State } from '../store/state.ts'

export function membersOf(state: State): readonly Member[] {
  return idsOf(state, 'postgres').map(id => memberOf(state, id))
}

function memberOf(state: State, id: string): Member {
  const { servers, now } = picture(state)
  const server = servers[id]!
  const { intervalMs } = state.settings
  const pulseAt = server.readings[pulse.id]?.sample?.at ?? 0
  const both = <Q extends Query>(query: Q): [Timed<RowOf<Q>> | null, Timed<RowOf<Q>> | null] => {
    const reading = read(state, id, query)
    if (reading.kind !== 'fresh' && reading.kind !== 'stale') return [null, null]
    // Left over from when the pane was last shown: it will be asked anew in a moment.
    const leftOver = reading.kind === 'fresh' && query.every === 'tick' && pulseAt - reading.sample.at > staleAfterMs(intervalMs)
    return leftOver ? [null, null] : [reading.sample, reading.previous]
  }
  const [sending, sendingBefore] = both(senders)
  const [conflict, conflictBefore] = both(conflicts)
  return {
    id,
    host: server.host,
    port: server.port,
    user: server.user,
    answers: linkOf(server, now, intervalMs).state === 'up',
    role: server.role,
    systemIdentifier: server.facts?.systemIdentifier ?? null,
    clusterName: server.facts?.clusterName ?? null,
    readsAllStats: server.facts?.readsAllStats ?? true,
    history: server.lsnHistory,
    pulse: both(pulse)[0],
    senders: sending,
    sendersBefore: sendingBefore,
    slots: both(slots)[0],
    receiver: both(receiver)[0],
    conflicts: conflict,
    conflictsBefore: conflictBefore,
    settings: rowsOf(state, id, replicationSettings)[0] ?? null,
  }
}
