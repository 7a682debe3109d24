// What the actions on a PgBouncer have in common: targets out of rows, what is watched while a question is open, who is behind.

import { consoleName } from '../model/pooler.ts'
import type { PoolPaneRow } from '../model/pools.ts'
import { is } from '../model/untrusted.ts'
import { activity } from '../sql/activity.ts'
import { showClients, showConfig, showDatabases, showServers } from '../sql/pgbouncer.ts'
import { names } from '../sql/server.ts'
import { idsOf, rowsOf } from '../store/selectors.ts'
import type { State, Watch } from '../store/state.ts'
import type { PoolTarget } from './action.ts'
import { consoleRight, poolTarget } from './console.ts'

export const ofDatabase = (row: PoolPaneRow, state: State) => poolTarget(state, row.server, row.database)
export const ofPooler = (row: PoolPaneRow, state: State) => poolTarget(state, row.server, null)
/** What a dialog or a pause needs to tell who is waited for: the connections, and the sessions behind them. */
export function pauseWatches(state: State, server: string): readonly Watch[] {
  return [
    ...[showClients, showServers, showConfig].map(query => ({ server, query })),
    ...idsOf(state, 'postgres').flatMap(id => [activity, names].map(query => ({ server: id, query }))),
  ]
}
export const databaseRow = (state: State, { server, database }: PoolTarget) =>
  rowsOf(state, server, showDatabases).find(({ name }) => name === database)
export const clientsOf = (state: State, { server, database }: PoolTarget) =>
  rowsOf(state, server, showClients).filter(
    client => !is(client.database, consoleName) && (database === null || client.database === database),
  )
export const number = (count: number, one: string) => `${count} ${count === 1 ? one : `${one}s`}`
export const shared = {
  on: 'pgbouncer' as const,
  right: consoleRight,
  takes: 'one' as const,
  record: ({ database }: PoolTarget) => ({ database: database ?? '*' }),
  gone: ({ server, database }: PoolTarget, state: State, since: number) => {
    const sample = state.servers[server]?.readings[showDatabases.id]?.sample
    return database !== null && !!sample && sample.at > since && !sample.rows.some(row => row.name === database)
  },
}
