// A PostgreSQL server that is reached through a PgBouncer: backends go from hand to hand there, and so would settings.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { findPgbouncer, type PgbouncerServer, startPgbouncer } from '../../src/lab/pgbouncer.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { activityPanel } from '../../src/panels/activity.ts'
import { openSession } from '../../src/server/session.ts'
import { targetOf, watching } from '../support/watching.ts'

describe.skipIf(!findPgbouncer())('through a PgBouncer', () => {
  let folder: Folder
  let postgres: PostgresServer
  let pgbouncer: PgbouncerServer

  beforeAll(async () => {
    folder = temporaryFolder()
    postgres = await startPostgres({ version: 16, dir: folder.path })
    const host = `host=127.0.0.1 port=${postgres.port} dbname=postgres`
    pgbouncer = await startPgbouncer({
      dir: folder.path,
      users: ['postgres'],
      // One server connection: whoever comes next gets the one that we have had.
      databases: { app: `${host} pool_size=1`, each: `${host} pool_mode=statement` },
    })
  })
  afterAll(async () => {
    await pgbouncer?.stop()
    await postgres?.stop('immediate')
    await folder?.remove()
  })

  const conninfo = (database: string) => `host=127.0.0.1 port=${pgbouncer.port} user=postgres dbname=${database}`

  test('reads as usual and leaves no setting to the next client', async () => {
    const watched = watching([{ id: 'pg', conninfo: conninfo('app') }], activityPanel.lists)
    const client = await connect({ port: pgbouncer.port, database: 'app' })
    try {
      await watched.until(({ servers }) => Boolean(servers.pg?.readings.activity?.previous), 'two looks at the sessions')
      const { rows } = await client.query(
        `SELECT name, setting FROM pg_settings WHERE source = 'session' AND name NOT IN ('application_name', 'client_encoding')`,
      )
      expect(rows).toEqual([])
      await client.query('CREATE TEMP TABLE ours (x int)')
    } finally {
      watched.stop()
      await client.end()
    }
  })

  test('its console is no PostgreSQL server, and a PostgreSQL server no console', async () => {
    const console = openSession(targetOf(conninfo('pgbouncer'), 'postgres'), 5000, 1000)
    await expect(console).rejects.toMatchObject({
      permanent: true,
      message: 'this is the console of a PgBouncer: name it with --pgbouncer',
    })
    const server = openSession(targetOf(`host=127.0.0.1 port=${postgres.port} user=postgres`, 'pgbouncer'), 5000, 1000)
    await expect(server).rejects.toMatchObject({ permanent: true, message: expect.stringMatching(/this is a PostgreSQL server/) })
  })

  test('where statements are pooled there is nothing to be had, and the reason is told', async () => {
    const watched = watching([{ id: 'pg', conninfo: conninfo('each') }], activityPanel.lists)
    try {
      const state = await watched.until(({ servers }) => servers.pg?.link.state === 'down', 'the refusal')
      expect(state.servers.pg?.link.why).toMatch(
        /a pooler .* not allowed in statement pooling mode; connect to PostgreSQL itself/,
      )
    } finally {
      watched.stop()
    }
  })
})
