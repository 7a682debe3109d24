// Pools: what stands between the applications and PostgreSQL. Pools, and the connections at both ends of them.

import { absent, byteRate, compact, duration } from '../model/format.ts'
import { type PoolPaneRow, poolRows } from '../model/pools.ts'
import { drawable, raw } from '../model/untrusted.ts'
import { showConfig, showDatabases, showPools, showState, showStats, showUsers } from '../sql/pgbouncer.ts'
import { type Column, type DetailLine, list, type Panel } from './panel.ts'
import { clientsList, poolServersList } from './pooled.ts'
import { figure, fromPoolers, id, text, waitTone } from './poolers.ts'

const milliseconds = (value: number | null) =>
  value === null ? absent : value < 9.95 ? value.toFixed(1) : compact(Math.round(value))
const full = (row: PoolPaneRow) => row.serversUsed !== null && row.serverLimit !== null && row.serversUsed >= row.serverLimit

function poolState(row: PoolPaneRow): string {
  const words = [...(row.paused ? ['paused'] : []), ...(row.disabled ? ['disabled'] : [])]
  return words.join(',')
}

const poolNeeds = [showPools, showDatabases, showStats, showState, showConfig, showUsers]

const poolColumns: readonly Column<PoolPaneRow>[] = [
  { title: 'SERVER', width: 15, wide: 22, text: row => drawable(row.server) },
  { title: 'DATABASE', width: 9, grow: true, text: row => drawable(row.database) },
  { title: 'USER', width: 8, wide: 16, text: row => text(row.user) },
  { title: 'MODE', width: 11, from: 160, text: row => text(row.pool_mode) },
  {
    title: 'STATE',
    width: 8,
    text: poolState,
    tone: row => (row.paused || row.disabled ? 'warning' : undefined),
  },
  {
    title: 'FOR',
    width: 6,
    align: 'right',
    from: 100,
    descending: true,
    text: row => (row.paused ? duration(row.pausedSeconds) : row.disabled ? duration(row.disabledSeconds) : ''),
    sortBy: row => row.pausedSeconds ?? row.disabledSeconds,
  },
  {
    title: 'CL',
    width: 4,
    align: 'right',
    descending: true,
    text: row => figure(row.cl_active),
    sortBy: row => row.cl_active,
  },
  {
    title: 'WAIT',
    width: 5,
    align: 'right',
    descending: true,
    text: row => figure(row.cl_waiting),
    sortBy: row => row.cl_waiting,
    tone: row => (row.cl_waiting ? (waitTone(row.maxwaitSeconds) ?? 'accent') : undefined),
  },
  {
    title: 'MAXWAIT',
    width: 8,
    align: 'right',
    descending: true,
    text: row => duration(row.maxwaitSeconds),
    sortBy: row => row.maxwaitSeconds,
    tone: row => waitTone(row.maxwaitSeconds),
  },
  {
    title: 'SERVERS',
    width: 8,
    align: 'right',
    descending: true,
    text: row => `${figure(row.serversUsed)}/${figure(row.serverLimit)}`,
    sortBy: row => (row.serversUsed !== null && row.serverLimit ? row.serversUsed / row.serverLimit : null),
    tone: row => (full(row) && row.cl_waiting ? 'warning' : undefined),
  },
  {
    title: 'SV ACT',
    width: 6,
    align: 'right',
    from: 160,
    descending: true,
    text: row => figure(row.sv_active),
    sortBy: row => row.sv_active,
  },
  {
    title: 'SV IDLE',
    width: 7,
    align: 'right',
    from: 160,
    descending: true,
    text: row => figure(row.sv_idle),
    sortBy: row => row.sv_idle,
  },
  // Of the database: all its users together.
  perDatabase('XACT/S', 6, undefined, row => row.xactsPerSecond, compactRate),
  perDatabase('QRY/S', 6, 100, row => row.queriesPerSecond, compactRate),
  perDatabase('QRY ms', 7, 120, row => row.avgQueryMs, milliseconds),
  perDatabase('WAIT ms', 7, 120, row => row.avgWaitMs, milliseconds),
  perDatabase('RECV', 10, 160, row => row.receivedBytesPerSecond, byteRate),
  perDatabase('SENT', 10, 160, row => row.sentBytesPerSecond, byteRate),
]

function perDatabase(
  title: string,
  width: number,
  from: number | undefined,
  value: (row: PoolPaneRow) => number | null,
  shown: (value: number | null) => string,
): Column<PoolPaneRow> {
  return {
    title,
    width,
    align: 'right',
    descending: true,
    text: row => shown(value(row)),
    sortBy: value,
    ...(from === undefined ? {} : { from }),
  }
}

/** A rate in a column that names its unit: 0, 0.4, 12, 1.2k. */
function compactRate(perSecond: number | null): string {
  if (perSecond === null) return absent
  if (perSecond > 0 && perSecond < 0.05) return '<0.1'
  return perSecond > 0 && perSecond < 9.95 ? perSecond.toFixed(1) : compact(perSecond)
}

function poolDetail(row: PoolPaneRow): readonly DetailLine[] {
  const { host, port } = row
  // SHOW DATABASES has no host for a Unix socket, but always a port.
  const where = port === null ? absent : `${host === null ? 'unix socket' : drawable(host)}:${port}`
  return [
    { name: 'PgBouncer', value: drawable(row.server) },
    { name: 'database', value: drawable(row.database) },
    { name: 'user', value: row.user === null ? 'no pool yet: no client has come since' : drawable(row.user) },
    { name: 'pool_mode', value: text(row.pool_mode) },
    { name: 'goes to', value: row.serverDatabase === null ? where : `${where}, database ${drawable(row.serverDatabase)}` },
    pauseLine(row),
    row.disabled
      ? { name: 'disabled', value: `for at least ${duration(row.disabledSeconds)}: new clients are refused`, tone: 'warning' }
      : { name: 'disabled', value: 'no' },
    {
      name: 'clients',
      value: `${figure(row.cl_active)} linked or idle (cl_active), ${figure(row.cl_waiting)} waiting (cl_waiting), cancel requests ${figure(row.cl_active_cancel_req)} + ${figure(row.cl_waiting_cancel_req)}`,
    },
    { name: 'maxwait', value: duration(row.maxwaitSeconds) },
    {
      name: 'servers',
      value: `${figure(row.serversUsed)} of ${figure(row.serverLimit)}, reserve ${figure(row.reserve_pool_size)}`,
    },
    {
      name: 'of them',
      value: `active ${figure(row.sv_active)}, idle ${figure(row.sv_idle)}, used ${figure(row.sv_used)}, tested ${figure(row.sv_tested)}, login ${figure(row.sv_login)}, cancel ${figure(row.sv_active_cancel)} + ${figure(row.sv_being_canceled)}`,
    },
    {
      name: 'database connections',
      value: `${figure(row.current_connections)}${row.max_connections ? ` of ${row.max_connections}` : ', no limit'}`,
    },
    {
      name: 'database, all users',
      value: `${compactRate(row.xactsPerSecond)} transactions/s, ${compactRate(row.queriesPerSecond)} queries/s, received ${byteRate(row.receivedBytesPerSecond)}, sent ${byteRate(row.sentBytesPerSecond)}`,
    },
    {
      name: 'average of them',
      value: `transaction ${milliseconds(row.avgXactMs)} ms, query ${milliseconds(row.avgQueryMs)} ms, wait for a server ${milliseconds(row.avgWaitMs)} ms`,
    },
  ]
}

function pauseLine(row: PoolPaneRow): DetailLine {
  if (row.paused) {
    const what = row.pausedBy === 'pooler' ? 'the whole PgBouncer' : 'this database'
    return { name: 'paused', value: `${what}, for at least ${duration(row.pausedSeconds)}: clients wait`, tone: 'warning' }
  }
  return {
    name: 'paused',
    value: row.poolerPauseKnown ? 'no' : 'this database is not; this PgBouncer can not tell whether everything is (1.19 can)',
  }
}

export const poolsPanel: Panel = {
  id: 'pools',
  key: '5',
  title: 'Pools',
  scope: 'cluster',
  lists: [
    list<PoolPaneRow>({
      id: 'pools',
      title: 'pools',
      needs: poolNeeds,
      select: state => fromPoolers(state, showPools, poolNeeds, poolRows),
      columns: poolColumns,
      rowId: row => id(row.server, row.database, row.user),
      sort: { column: 'MAXWAIT', descending: true },
      detail: poolDetail,
      empty: 'No pool yet: a pool appears with the first client of a database and user.',
      copy: row => raw(row.database),
    }),
    clientsList,
    poolServersList,
  ],
}
