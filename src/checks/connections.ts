// Connections: those that PostgreSQL has left, and the pools in front of it.

import { ageMs, duration } from '../model/format.ts'
import { type PoolPaneRow, poolRows } from '../model/pools.ts'
import { drawable, short } from '../model/untrusted.ts'
import { poolerFigures, postgresFigures } from '../panels/summary.ts'
import { showConfig, showDatabases, showPools, showState, showStats } from '../sql/pgbouncer.ts'
import { pulse } from '../sql/server.ts'
import { picture } from '../store/selectors.ts'
import type { ServerState, State } from '../store/state.ts'
import { type Check, type Found, levelOf, plural, some } from './check.ts'

const connections: Check = {
  id: 'connections',
  title: 'Connections left',
  why: 'When all connections are taken applications get errors, and so does whoever comes to look.',
  of: 'postgres',
  unit: '%',
  warning: 'connectionsPercent',
  critical: 'connectionsCriticalPercent',
  needs: [pulse],
  look: (state, server) => {
    const { clients, usable } = postgresFigures(state, server.id)
    if (clients === null || !usable) return [{ level: 'unknown', say: 'how many connections can be had is not known' }]
    const figure = (clients / usable) * 100
    const level = levelOf(figure, state.settings.thresholds, connections)
    return [
      {
        level,
        figure,
        say: `${clients} of ${usable} connections are taken`,
        ...(level === 'ok' ? {} : { remedy: 'end idle sessions, or put PgBouncer in front; see who has them in 1 Activity' }),
        leadsTo: { panel: 'activity', list: 'activity' },
      },
    ]
  },
}

const poolNeeds = [showPools, showDatabases]
const rowsOfPooler = (state: State, server: ServerState) => poolRows(server, picture(state).now)
const poolName = ({ database, user }: PoolPaneRow) => `${short(database, 24)}${user === null ? '' : `/${short(user, 24)}`}`
const placeOf = ({ server, database, user }: PoolPaneRow) => ({ panel: 'pools', list: 'pools', row: { server, database, user } })

const poolWait: Check = {
  id: 'pool_wait',
  title: 'Clients waiting in pools',
  why: 'Clients in the queue of a pool stand still while PostgreSQL may be idle.',
  of: 'pgbouncer',
  unit: 's',
  warning: 'poolWaitSeconds',
  critical: 'poolWaitCriticalSeconds',
  needs: poolNeeds,
  look: (state, server) => {
    const { clientsWaiting, maxwaitSeconds } = poolerFigures(state, server.id)
    if (maxwaitSeconds === null || !clientsWaiting) return [{ level: 'ok', say: 'no client waits for a server', figure: 0 }]
    const rows = rowsOfPooler(state, server).filter(({ cl_waiting }) => cl_waiting)
    const [longest] = rows.toSorted((a, b) => (b.maxwaitSeconds ?? 0) - (a.maxwaitSeconds ?? 0))
    const level = levelOf(maxwaitSeconds, state.settings.thresholds, poolWait)
    const where = longest ? ` (${poolName(longest)})` : ''
    return [
      {
        level,
        figure: maxwaitSeconds,
        say: `${plural(clientsWaiting, 'client')} ${clientsWaiting === 1 ? 'waits' : 'wait'} for a server, the longest ${duration(maxwaitSeconds)}${where}`,
        ...(level === 'ok'
          ? {}
          : {
              remedy: 'see who has the servers of the pool in 5 Pools; a larger pool_size helps only where PostgreSQL has room',
            }),
        ...(longest ? { leadsTo: placeOf(longest) } : {}),
      },
    ]
  },
}

/** Server connections of a pool that do something: those that are idle are there to be given out. */
const atWork = ({ serversUsed, sv_idle, sv_used, sv_tested }: PoolPaneRow) =>
  serversUsed === null ? null : serversUsed - (sv_idle ?? 0) - (sv_used ?? 0) - (sv_tested ?? 0)

const poolSaturation: Check = {
  id: 'pool_saturation',
  title: 'Pools have room',
  why: 'A pool whose servers are all at work has none for the next client.',
  of: 'pgbouncer',
  unit: '%',
  warning: 'poolPercent',
  needs: [...poolNeeds, showConfig],
  look: (state, server) => {
    const pools = rowsOfPooler(state, server).flatMap(row => {
      const busy = atWork(row)
      return busy === null || !row.serverLimit ? [] : [{ row, busy, figure: (busy / row.serverLimit) * 100 }]
    })
    const [fullest] = pools.toSorted((a, b) => b.figure - a.figure)
    if (!fullest) return [{ level: 'ok', say: 'no pool is in use', figure: 0 }]
    // A pool that is full for a moment is a pool that is used well; somebody has to wait for it to be too small.
    const full = pools.filter(
      ({ figure, row }) => levelOf(figure, state.settings.thresholds, poolSaturation) !== 'ok' && row.cl_waiting,
    )
    const told = ({ row, busy }: (typeof pools)[number]) => `${poolName(row)} ${busy} of ${row.serverLimit}`
    if (full.length === 0)
      return [{ level: 'ok', figure: fullest.figure, say: `servers at work in the fullest pool: ${told(fullest)}` }]
    return full.map(pool => ({
      level: 'warning' as const,
      object: poolName(pool.row),
      figure: pool.figure,
      say: `servers at work: ${told(pool)}, and ${plural(pool.row.cl_waiting ?? 0, 'client')} in the queue`,
      remedy: 'a larger pool_size, where PostgreSQL has connections left; or shorter transactions',
      leadsTo: placeOf(pool.row),
    }))
  },
}

const poolClients: Check = {
  id: 'pool_clients',
  title: 'Room for clients in PgBouncer',
  why: 'Beyond max_client_conn PgBouncer refuses whoever comes.',
  of: 'pgbouncer',
  unit: '%',
  warning: 'poolPercent',
  needs: poolNeeds,
  look: (state, server) => {
    const { clientsActive, clientsWaiting } = poolerFigures(state, server.id)
    const limit = server.facts?.usableConnections ?? null
    if (clientsActive === null || !limit) return [{ level: 'unknown', say: 'max_client_conn is not known' }]
    const clients = clientsActive + (clientsWaiting ?? 0)
    const figure = (clients / limit) * 100
    const level = levelOf(figure, state.settings.thresholds, poolClients)
    return [
      {
        level,
        figure,
        say: `${clients} of ${limit} clients`,
        ...(level === 'ok' ? {} : { remedy: 'raise max_client_conn (and the limit of open files), or see who opens so many' }),
        leadsTo: { panel: 'pools', list: 'clients' },
      },
    ]
  },
}

const poolPaused: Check = {
  id: 'pool_paused',
  title: 'Nothing is paused or disabled',
  why: 'Clients of a paused database hang until query_wait_timeout, those of a disabled one are refused.',
  of: 'pgbouncer',
  unit: '',
  needs: poolNeeds,
  uses: [showState, showStats],
  look: (state, server) => {
    const { paused, disabled, suspended } = poolerFigures(state, server.id)
    const { now } = picture(state)
    const found: Found[] = paused.map(({ database, since }) => ({
      level: 'critical',
      object: database === '*' ? 'everything' : short(database, 24),
      say: `${database === '*' ? 'everything' : short(database, 24)} PAUSED for ${ageMs(now - since)} or more; RESUME ends it`,
      remedy: `RESUME${database === '*' ? '' : ` ${drawable(database)}`} on the console (R in 5 Pools)`,
      leadsTo: { panel: 'pools', list: 'pools', ...(database === '*' ? {} : { row: { server: server.id, database } }) },
    }))
    if (suspended) found.push({ level: 'critical', say: 'SUSPENDED: no client gets an answer', remedy: 'RESUME on the console' })
    if (disabled.length > 0) {
      const names = some(disabled.map(name => short(name, 24)))
      found.push({
        level: 'warning',
        object: 'disabled',
        say: `disabled: ${names}; new clients are refused`,
        remedy: 'ENABLE each on the console (E in 5 Pools)',
        leadsTo: { panel: 'pools', list: 'pools', row: { server: server.id, database: disabled[0] } },
      })
    }
    return found.length > 0 ? found : [{ level: 'ok', say: 'nothing is paused or disabled' }]
  },
}

export const connectionChecks: readonly Check[] = [connections, poolPaused, poolWait, poolSaturation, poolClients]
