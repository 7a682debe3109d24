// What the doctor says of a role, against what the server then refuses: PostgreSQL 13, 16 and 18.

import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { actionById } from '../../src/actions/index.ts'
import { connect, withClient } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { panels } from '../../src/panels/index.ts'
import { powers, remedies, roleStatements, sights } from '../../src/rights.ts'
import type { State } from '../../src/store/state.ts'
import { run } from '../support/run.ts'
import { build } from '../support/terminal.ts'
import { watching } from '../support/watching.ts'

const lists = panels.flatMap(panel => panel.lists)

/** A role by what was granted to it. */
const roles = {
  nothing: [],
  mon: ['GRANT pg_monitor TO mon'],
  ops: ['GRANT pg_monitor, pg_signal_backend TO ops'],
  owner: ['GRANT pg_monitor TO owner', 'GRANT victim TO owner'],
  super: ['ALTER ROLE super SUPERUSER'],
  full: [
    'GRANT pg_monitor, pg_signal_backend TO "full"',
    'ALTER ROLE "full" REPLICATION',
    'GRANT EXECUTE ON FUNCTION pg_catalog.pg_wal_replay_pause(), pg_catalog.pg_wal_replay_resume() TO "full"',
  ],
} as const
type Role = keyof typeof roles
const names = Object.keys(roles) as Role[]

beforeAll(build)

describe.each([13, 16, 18] as const)('PostgreSQL %i', version => {
  let folder: Folder
  let server: PostgresServer
  let victim: pg.Client

  beforeAll(async () => {
    folder = temporaryFolder('pgvigil-doctor')
    server = await startPostgres({ version, dir: folder.path, settings: { max_replication_slots: 5 } })
    await withClient({ port: server.port }, async client => {
      await client.query('CREATE ROLE victim LOGIN')
      await client.query('CREATE TABLE of_victim (id int PRIMARY KEY); ALTER TABLE of_victim OWNER TO victim')
      for (const name of names) {
        await client.query(`CREATE ROLE "${name}" LOGIN`)
        for (const grant of roles[name]) await client.query(grant)
      }
    })
    victim = await connect({ port: server.port, user: 'victim', application_name: 'victim' })
  })
  afterAll(async () => {
    await victim?.end().catch(() => {})
    await server?.stop('immediate')
    await folder?.remove()
  })

  /** What is known of the server after one look as this role. */
  async function look(role: string): Promise<State> {
    const hands = watching([{ id: 'a', conninfo: `host=127.0.0.1 port=${server.port} user=${role} dbname=postgres` }], lists, 200)
    try {
      const asked = lists
        .flatMap(list => list.needs)
        .filter(
          query =>
            query.on === 'postgres' && query.needs?.role !== 'standby' && !query.params?.some(param => param !== 'queryBytes'),
        )
        .map(({ id }) => id)
      return await hands.until(({ servers }) => asked.every(id => servers.a?.readings[id]), `${role}'s first look`)
    } finally {
      hands.stop()
    }
  }

  /** Without TimescaleDB there are no chunks to be seen, whatever the role. */
  const seenIn = (state: State) => sights(state, state.servers.a!).filter(({ pane }) => !pane.startsWith('Chunks'))

  const refused = (role: string, text: string) =>
    withClient({ port: server.port, user: role }, client =>
      client.query(text).then(
        () => null,
        (error: { code: string }) => error.code,
      ),
    )

  test.each(names)('%s: what can be done is what the server lets it do', async role => {
    const state = await look(role)
    const can = new Map(powers(state, state.servers.a!).map(power => [power.action, power.can]))
    const pid = (victim as unknown as { processID: number }).processID
    // Cancelling an idle session does nothing, and takes the right all the same. A member of the role may too: an own session of sorts.
    const signalled = await refused(role, `SELECT pg_cancel_backend(${pid})`)
    expect(can.get('Cancel query')).toBe(role === 'owner' || signalled !== null ? 'part' : 'yes')
    expect(signalled === null).toBe(['ops', 'owner', 'super', 'full'].includes(role))
    // Not a standby (55000) is no matter of rights; what a primary can't do is not told of it.
    const paused = await refused(role, 'SELECT pg_wal_replay_pause()')
    expect(actionById('pauseReplay')!.right('a', state) !== null).toBe(paused === '42501')
    expect(can.has('Pause WAL replay')).toBe(false)
    const dropped = await refused(role, `SELECT pg_drop_replication_slot('none')`)
    expect(can.get('Drop slot')).toBe(dropped === '42501' ? 'no' : 'yes')
    expect(can.get('COMMIT PREPARED')).toBe(role === 'super' ? 'yes' : 'part')
  })

  test.each(names)('%s: what is seen is what the server shows', async role => {
    const state = await look(role)
    const seen = new Map(seenIn(state).map(sight => [sight.pane, sight.sees]))
    const hidden = await withClient({ port: server.port, user: role }, client =>
      client.query(`SELECT FROM pg_stat_activity WHERE application_name = 'victim' AND state IS NULL`),
    )
    const expected = hidden.rowCount === 1 ? 'part' : 'all'
    expect(seen.get('Activity')).toBe(expected)
    expect(seen.get('Locks')).toBe(expected)
    expect(seen.get('Replication: slots')).toBe('all')
    for (const [, sees] of seen) expect(sees).not.toBe('nothing')
  })

  test('the statements that it gives do give the rest', async () => {
    const before = await look('nothing')
    for (const statement of remedies(before, before.servers.a!)) {
      expect(statement).toMatch(/^(GRANT|ALTER) .*;$/)
      await withClient({ port: server.port }, client => client.query(statement))
    }
    const after = await look('nothing')
    expect(seenIn(after).filter(({ sees }) => sees !== 'all')).toEqual([])
    expect(powers(after, after.servers.a!).filter(({ can }) => can === 'no')).toEqual([])
  })

  test('--sql makes two roles that are what they are called', async () => {
    const state = await look('super')
    const statements = roleStatements(state, state.servers.a!).map(line => line.replace(/--.*/, '').trim())
    for (const statement of statements.filter(line => line !== ''))
      await withClient({ port: server.port }, client => client.query(statement))
    const monitor = await look('pgvigil_monitor')
    expect(seenIn(monitor).filter(({ sees }) => sees !== 'all')).toEqual([])
    expect(powers(monitor, monitor.servers.a!).filter(({ can }) => can === 'yes')).toEqual([])
    const operator = await look('pgvigil_operator')
    // Tables of others: VACUUM and REINDEX take pg_maintain, which is there from 17 on, DROP INDEX the owner.
    const maintenance = [
      'VACUUM',
      'VACUUM (ANALYZE)',
      'ANALYZE',
      'VACUUM (FREEZE)',
      'VACUUM FULL',
      'REINDEX TABLE',
      'REINDEX INDEX',
    ]
    const not = powers(operator, operator.servers.a!).filter(({ can }) => can === 'no')
    expect(not.map(({ action }) => action)).toEqual([...(version >= 17 ? [] : maintenance), 'DROP INDEX'])
    const owner = await look('owner')
    expect(
      powers(owner, owner.servers.a!)
        .filter(({ action }) => [...maintenance, 'DROP INDEX'].includes(action))
        .map(({ can }) => can),
    ).toEqual(Array(8).fill('yes'))
  })

  test('the command prints it: exit code 0, panes, actions, GRANTs, the connection', async () => {
    const { code, stdout, stderr } = await run(['doctor', `host=127.0.0.1 port=${server.port} user=mon dbname=postgres`])
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/127\.0\.0\.1:\d+ {2}primary {2}PostgreSQL \d+\.\d+ {2}as mon \(reads all statistics\) {2}plain/)
    expect(stdout).toMatch(/Activity +visible/)
    expect(stdout).toMatch(/Cancel query +own only +GRANT pg_signal_backend TO mon;/)
    expect(stdout).not.toContain('\u001b')
  })
})

test('a server that is not there is told, with exit code 1 when none is', async () => {
  const { code, stdout } = await run(['doctor', 'host=127.0.0.1 port=1'])
  expect(code).toBe(1)
  expect(stdout).toContain('nothing listens at 127.0.0.1 port 1')
})
