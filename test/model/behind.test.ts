import { expect, test } from 'vitest'
import { type Backend, behindBackends, type Endpoint, type PoolerEnds } from '../../src/model/behind.ts'
import { untrusted } from '../../src/model/untrusted.ts'
import { showClients, showServers } from '../../src/sql/pgbouncer.ts'
import { sampleOf } from '../support/state.ts'

const primary: Endpoint = { id: 'primary', host: 'localhost', port: 5432 }
const standby: Endpoint = { id: 'standby', host: '127.0.0.1', port: 5433 }
const remote: Endpoint = { id: 'remote', host: '10.0.0.9', port: 5432 }

const tcp = { addr: '127.0.0.1', port: 5432, local_addr: '127.0.0.1', local_port: 40001, remote_pid: 100, ptr: 's1', link: 'c1' }
const web = { addr: '10.0.0.7', port: 51000, application_name: 'web-1', ptr: 'c1', link: 's1' }

function pooler(
  servers: readonly object[] | null,
  clients: readonly object[] | null = [web],
  endpoint: Partial<Endpoint> = {},
): PoolerEnds {
  return {
    id: 'pgb',
    host: '127.0.0.1',
    port: 6432,
    ...endpoint,
    servers: servers && (sampleOf(showServers, servers as never).rows as never),
    clients: clients && (sampleOf(showClients, clients as never).rows as never),
  }
}

function backend(pid: number, port: number | null, addr: string | null = '127.0.0.1'): Backend {
  return { pid, client_port: port, client_addr: addr === null ? null : untrusted(addr) }
}

const linked = { pooler: 'pgb', ptr: 's1', linked: true, client: { addr: '10.0.0.7', port: 51000, application_name: 'web-1' } }

test('over TCP: the pid and the port that both ends see', () => {
  const of = behindBackends('primary', [primary], [pooler([tcp])])
  expect(of(backend(100, 40001))).toEqual(linked)
  // The same pid on another connection is a direct client that got the pid after the pooler's backend ended.
  expect(of(backend(100, 40002))).toBeNull()
  expect(of(backend(101, 40001))).toBeNull()
  expect(of(backend(100, -1, null))).toBeNull()
})

test('address translation changes the address and the port; then the server that was dialled must be ours', () => {
  const dialled = { ...tcp, addr: '10.0.0.9', local_addr: '192.168.1.5' }
  expect(behindBackends('remote', [remote], [pooler([dialled])])(backend(100, 61000, '10.0.0.1'))).toEqual(linked)
  expect(behindBackends('primary', [primary], [pooler([dialled])])(backend(100, 61000, '10.0.0.1'))).toBeNull()
})

test('several servers behind one pooler with the same pid and even the same port are told apart by where it dialled', () => {
  const both = pooler(
    [tcp, { ...tcp, port: 5433, ptr: 's2', link: 'c2' }],
    [web, { ...web, ptr: 'c2', link: 's2', application_name: 'report' }],
  )
  const known = [primary, standby]
  expect(behindBackends('primary', known, [both])(backend(100, 40001))?.client?.application_name).toBe('web-1')
  expect(behindBackends('standby', known, [both])(backend(100, 40001))?.client?.application_name).toBe('report')
})

test('a pooler that calls a server local means its own machine', () => {
  const there = pooler([tcp], [web], { host: '10.0.0.9' })
  expect(behindBackends('remote', [remote, primary], [there])(backend(100, 40001))).toEqual(linked)
  expect(behindBackends('primary', [remote, primary], [there])(backend(100, 40001))).toBeNull()
})

test('over a Unix socket: the pid, a backend without a port, and the server that was dialled', () => {
  const unix = { ...tcp, addr: 'unix', local_addr: 'unix', local_port: 6432 }
  const known = [primary, standby]
  expect(behindBackends('primary', known, [pooler([unix])])(backend(100, -1, null))).toEqual(linked)
  expect(behindBackends('standby', known, [pooler([unix])])(backend(100, -1, null))).toBeNull()
  expect(behindBackends('primary', known, [pooler([unix])])(backend(100, 40001))).toBeNull()
  const tunnel = { ...primary, port: 6000 }
  expect(behindBackends('primary', [tunnel], [pooler([unix])])(backend(100, -1, null))).toEqual(linked)
  expect(behindBackends('primary', [tunnel, standby], [pooler([unix])])(backend(100, -1, null))).toBeNull()
})

test('two poolers are not mixed: a ptr means something in its own process alone', () => {
  const other = pooler([{ ...tcp, remote_pid: 200, local_port: 40002 }], [{ ...web, application_name: 'other' }], { id: 'pgb2' })
  const of = behindBackends('primary', [primary], [pooler([tcp]), other])
  expect(of(backend(100, 40001))).toEqual(linked)
  expect(of(backend(200, 40002))).toMatchObject({ pooler: 'pgb2', client: { application_name: 'other' } })
})

test('unlinked is what PgBouncer says, not what we could not find out', () => {
  const one = (servers: object[] | null, clients: object[] | null) =>
    behindBackends('primary', [primary], [pooler(servers, clients)])(backend(100, 40001))
  expect(one([{ ...tcp, link: '' }], [web])).toEqual({ pooler: 'pgb', ptr: 's1', client: null, linked: false })
  // Between two transactions the client already has another server, or is gone.
  expect(one([tcp], [{ ...web, link: 's7' }])).toEqual({ pooler: 'pgb', ptr: 's1', client: null, linked: null })
  expect(one([tcp], [])).toEqual({ pooler: 'pgb', ptr: 's1', client: null, linked: null })
  expect(one([{ ...tcp, link: '' }], null)).toEqual({ pooler: 'pgb', ptr: 's1', client: null, linked: null })
  expect(one(null, [web])).toBeNull()
})

test('a backend whose port our role may not see is matched by where the pooler dialled', () => {
  expect(behindBackends('primary', [primary], [pooler([tcp])])(backend(100, null, null))).toEqual(linked)
  expect(behindBackends('remote', [remote], [pooler([tcp])])(backend(100, null, null))).toBeNull()
})

test('a server connection that is still logging in has pid 0 and belongs to nobody', () => {
  expect(behindBackends('primary', [primary], [pooler([{ ...tcp, remote_pid: 0 }])])(backend(0, 40001))).toBeNull()
})
