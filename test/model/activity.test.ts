import { expect, test } from 'vitest'
import {
  caller,
  isIdle,
  lastingSeconds,
  namesByOid,
  type Session,
  sessions,
  stateWord,
  urgency,
} from '../../src/model/activity.ts'
import { type ActivityRow, activity } from '../../src/sql/activity.ts'
import { type NamesRow, names } from '../../src/sql/server.ts'
import { sampleOf } from '../support/state.ts'

const client = {
  pid: 10,
  backend_type: 'client backend',
  datid: 5n,
  usesysid: 16400n,
  application_name: 'web-1',
  client_addr: '10.0.0.7',
  client_port: 45946,
  backend_start: '2026-11-23 12:00:00.123456+00',
  state: 'active',
  xact_age_seconds: 3,
  query_age_seconds: 2,
  state_age_seconds: 2,
  query: 'SELECT 1',
}

const known = sampleOf(names, [
  { kind: 'database', oid: 5n, name: 'app' },
  { kind: 'role', oid: 16400n, name: 'web' },
  // A role may have the oid of a database.
  { kind: 'role', oid: 5n, name: 'five' },
]).rows as unknown as readonly NamesRow[]

function of(...rows: readonly object[]): readonly Session[] {
  const sample = sampleOf(activity, rows as never).rows as unknown as readonly ActivityRow[]
  return sessions(sample, { server: 'a', names: namesByOid(known), ownPids: new Set([77]), pooledOf: () => null })
}

const one = (row: object = {}): Session => of({ ...client, ...row })[0]!

test('names come from the oids; one that is not known is null and keeps its oid', () => {
  expect(one()).toMatchObject({ server: 'a', datname: 'app', usename: 'web', kind: 'client', own: false, restricted: false })
  expect(one({ datid: 99n, usesysid: 5n })).toMatchObject({ datname: null, datid: 99n, usename: 'five' })
  expect(one({ datid: null, usesysid: null })).toMatchObject({ datname: null, usename: null })
})

test('our own session is marked', () => {
  expect(one({ pid: 77 }).own).toBe(true)
})

test('a session that our role may not see is restricted: neither idle nor active nor idle in a transaction', () => {
  const hidden = { backend_type: null, state: null, client_addr: null, client_port: null, backend_start: null }
  const row = one({
    ...hidden,
    xact_age_seconds: null,
    query_age_seconds: null,
    state_age_seconds: null,
    query: '<insufficient privilege>',
  })
  expect(row).toMatchObject({ restricted: true, kind: 'client', xactAgeSeconds: null })
  expect([isIdle(row), lastingSeconds(row), urgency(row), stateWord(row), caller(row)]).toEqual([
    false,
    null,
    null,
    'restricted',
    'web-1',
  ])
  // Without a role it is a process of the server's own.
  expect(one({ ...hidden, usesysid: null }).kind).toBe('background')
})

test('parallel workers are of their leader`s kind, whatever came first', () => {
  const worker = { ...client, pid: 11, backend_type: 'parallel worker', leader_pid: 10 }
  const rows = of(
    worker,
    client,
    { ...worker, pid: 12, leader_pid: 9 },
    { ...worker, pid: 13, leader_pid: 14 },
    { ...client, pid: 14, backend_type: 'autovacuum worker' },
  )
  expect(rows.map(({ pid, kind }) => [pid, kind])).toEqual([
    [11, 'client'],
    [10, 'client'],
    [12, 'client'],
    [13, 'background'],
    [14, 'background'],
  ])
  expect(of({ ...client, backend_type: 'walsender' })[0]!.kind).toBe('walsender')
})

test('the longest-running work comes first and idle sessions after all of it', () => {
  const rows = of(
    { ...client, pid: 1, state: 'idle', xact_age_seconds: null, state_age_seconds: 90_000 },
    { ...client, pid: 2, state: 'idle in transaction', xact_age_seconds: 400 },
    { ...client, pid: 3, xact_age_seconds: null, query_age_seconds: 7 },
    { ...client, pid: 4, backend_type: 'checkpointer', state: null, xact_age_seconds: null, query_age_seconds: null },
    { ...client, pid: 5, backend_type: 'autovacuum worker', xact_age_seconds: 90 },
  )
  const sorted = rows.filter(row => urgency(row) !== null).toSorted((a, b) => urgency(b)! - urgency(a)!)
  expect(sorted.map(({ pid }) => pid)).toEqual([2, 5, 3, 1])
  expect(urgency(rows[3]!)).toBeNull()
  expect(rows.map(lastingSeconds)).toEqual([90_000, 400, 7, null, 90])
})

test('an age is never negative, and one that does not exist is null and not 0', () => {
  expect(one({ query_age_seconds: -0.0001, xact_age_seconds: null })).toMatchObject({ queryAgeSeconds: 0, xactAgeSeconds: null })
})

test('states in short words', () => {
  const words = ['active', 'idle', 'idle in transaction', 'idle in transaction (aborted)', 'fastpath function call', 'disabled']
  expect(words.map(state => stateWord(one({ state })))).toEqual([
    'active',
    'idle',
    'idle xact',
    'aborted',
    'fastpath',
    'disabled',
  ])
  expect(stateWord(one({ state: null, backend_type: 'checkpointer' }))).toBe('')
})

test('the caller: application and address, local sockets, IPv6, and what a pooler appended left off', () => {
  expect(caller(one())).toBe('web-1@10.0.0.7:45946')
  expect(caller(one({ application_name: '' }))).toBe('10.0.0.7:45946')
  expect(caller(one({ client_addr: null, client_port: -1 }))).toBe('web-1@local')
  expect(caller(one({ client_addr: '::1' }))).toBe('web-1@[::1]:45946')
  expect(caller(one({ application_name: 'web-1 - 127.0.0.1:45946' }))).toBe('web-1@10.0.0.7:45946')
  expect(caller(one({ application_name: 'app - part 2' }))).toBe('app - part 2@10.0.0.7:45946')
})

test('behind a pooler the caller is the linked client, or a word for why there is none', () => {
  const pooled = { ...one(), pooler: 'pgb', pooledLinked: true }
  const linkedClient = { addr: '10.0.0.8', port: 51000, application_name: 'job-7 - 10.0.0.8:51000' } as unknown as NonNullable<
    Session['pooledClient']
  >
  expect(caller({ ...pooled, pooledClient: linkedClient })).toBe('job-7@10.0.0.8:51000')
  expect(caller({ ...pooled, pooledClient: { ...linkedClient, addr: 'unix' as never } })).toBe('job-7@local')
  expect(caller({ ...pooled, pooledLinked: false })).toBe('unlinked')
  expect(caller({ ...pooled, pooledLinked: null })).toBe('unknown')
})
