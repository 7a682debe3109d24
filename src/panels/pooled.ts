// The connections at both ends of a PgBouncer: the applications' and those to PostgreSQL.

import { absent, duration } from '../model/format.ts'
import { type PoolClientPaneRow, type PoolServerPaneRow, poolClientRows, poolServerRows } from '../model/pooled.ts'
import { drawable, is, raw } from '../model/untrusted.ts'
import { showClients, showServers } from '../sql/pgbouncer.ts'
import { type Column, type DetailLine, list } from './panel.ts'
import { address, fromPoolers, id, text, waitTone } from './poolers.ts'

const needs = [showClients, showServers]

const clientColumns: readonly Column<PoolClientPaneRow>[] = [
  { title: 'SERVER', width: 15, wide: 22, from: 100, text: row => drawable(row.server) },
  { title: 'DATABASE', width: 10, wide: 16, text: row => text(row.database) },
  { title: 'USER', width: 9, wide: 16, text: row => text(row.user) },
  { title: 'ADDRESS', width: 21, text: row => address(row.addr, row.port) },
  { title: 'APPLICATION', width: 11, grow: true, text: row => text(row.application_name) },
  { title: 'TLS', width: 24, from: 160, text: row => text(row.tls) },
  { title: 'CONNECTED', width: 23, from: 160, text: row => text(row.connect_time) },
  {
    title: 'STATE',
    width: 7,
    text: row => row.clientState ?? absent,
    tone: row => (row.clientState === 'waiting' ? (waitTone(row.waitSeconds) ?? 'accent') : undefined),
  },
  {
    title: 'WAIT',
    width: 6,
    align: 'right',
    descending: true,
    text: row => (row.waitSeconds === 0 ? '' : duration(row.waitSeconds)),
    sortBy: row => row.waitSeconds,
    tone: row => waitTone(row.waitSeconds),
  },
  {
    title: 'PID',
    width: 7,
    align: 'right',
    text: row => (row.linkedTo === null ? '' : String(row.linkedTo)),
    sortBy: row => row.linkedTo,
  },
]

function clientDetail(row: PoolClientPaneRow): readonly DetailLine[] {
  return [
    { name: 'PgBouncer', value: drawable(row.server) },
    { name: 'database', value: text(row.database) },
    { name: 'user', value: text(row.user) },
    { name: 'client', value: address(row.addr, row.port) },
    { name: 'application_name', value: row.application_name === null ? 'not told before 1.18' : drawable(row.application_name) },
    { name: 'state', value: `${row.clientState ?? absent} (PgBouncer says ${text(row.state)})` },
    { name: 'waits', value: row.waitSeconds === 0 ? 'no' : duration(row.waitSeconds) },
    {
      name: 'backend',
      value:
        row.linkedTo === null
          ? 'unlinked now'
          : `pid ${row.linkedTo} at ${address(row.linkedServer?.addr ?? null, row.linkedServer?.port ?? null)}`,
    },
    { name: 'connect_time', value: text(row.connect_time) },
    { name: 'request_time', value: text(row.request_time) },
    { name: 'tls', value: row.tls === null || is(row.tls, '') ? 'plain' : drawable(row.tls) },
    { name: 'id', value: row.id === null ? absent : String(row.id) },
    { name: 'ptr, link', value: `${text(row.ptr)} ${text(row.link)}` },
  ]
}

const serverColumns: readonly Column<PoolServerPaneRow>[] = [
  { title: 'SERVER', width: 15, wide: 22, from: 100, text: row => drawable(row.server) },
  {
    title: 'PID',
    width: 7,
    align: 'right',
    text: row => (row.remote_pid === null ? absent : String(row.remote_pid)),
    sortBy: row => row.remote_pid,
  },
  { title: 'DATABASE', width: 10, wide: 16, text: row => text(row.database) },
  { title: 'USER', width: 9, wide: 16, text: row => text(row.user) },
  { title: 'ADDRESS', width: 21, text: row => address(row.addr, row.port) },
  { title: 'CONNECTED', width: 23, from: 160, text: row => text(row.connect_time) },
  { title: 'TLS', width: 24, from: 160, text: row => text(row.tls) },
  {
    title: 'STATE',
    width: 8,
    text: row => (row.close_needed ? `${text(row.state)}!` : text(row.state)),
    tone: row => (row.close_needed ? 'warning' : undefined),
  },
  {
    title: 'CLIENT',
    width: 18,
    wide: 40,
    grow: true,
    text: row => (row.client ? `${text(row.client.application_name)} ${address(row.client.addr, row.client.port)}`.trim() : ''),
  },
]

function serverDetail(row: PoolServerPaneRow): readonly DetailLine[] {
  return [
    { name: 'PgBouncer', value: drawable(row.server) },
    { name: 'database', value: text(row.database) },
    { name: 'user', value: text(row.user) },
    { name: 'backend', value: `pid ${row.remote_pid ?? absent} at ${address(row.addr, row.port)}` },
    { name: 'from', value: address(row.local_addr, row.local_port) },
    { name: 'state', value: text(row.state) },
    row.close_needed
      ? { name: 'close_needed', value: 'yes: closed as soon as its client lets go', tone: 'warning' }
      : { name: 'close_needed', value: row.close_needed === null ? absent : 'no' },
    {
      name: 'client',
      value: row.client
        ? `${text(row.client.application_name)} ${address(row.client.addr, row.client.port)}, user ${text(row.client.user)}`
        : 'unlinked now',
    },
    { name: 'connect_time', value: text(row.connect_time) },
    { name: 'request_time', value: text(row.request_time) },
    { name: 'tls', value: row.tls === null || is(row.tls, '') ? 'plain' : drawable(row.tls) },
    { name: 'ptr, link', value: `${text(row.ptr)} ${text(row.link)}` },
  ]
}

export const clientsList = list<PoolClientPaneRow>({
  id: 'clients',
  title: 'clients',
  needs,
  select: state => fromPoolers(state, showClients, needs, poolClientRows),
  columns: clientColumns,
  rowId: row => id(row.server, row.ptr, row.connect_time, row.addr, row.port),
  sort: { column: 'WAIT', descending: true },
  detail: clientDetail,
  empty: 'No client is connected.',
  copy: row => `${row.addr === null ? '' : raw(row.addr)}:${row.port ?? ''}`,
  idle: row => row.clientState === 'idle',
  rowTone: row => (row.clientState === 'idle' ? 'dim' : undefined),
})

export const poolServersList = list<PoolServerPaneRow>({
  id: 'poolServers',
  title: 'servers',
  needs,
  select: state => fromPoolers(state, showServers, needs, poolServerRows),
  columns: serverColumns,
  rowId: row => id(row.server, row.ptr, row.connect_time, row.remote_pid),
  sort: { column: 'STATE', descending: false },
  detail: serverDetail,
  empty: 'PgBouncer has no connection to a server now.',
  copy: row => String(row.remote_pid ?? ''),
  idle: row => row.client === null,
  rowTone: row => (row.client === null ? 'dim' : undefined),
})
