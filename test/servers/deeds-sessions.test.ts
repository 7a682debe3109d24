// Cancel and terminate on real servers.

import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { connect } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { activityList } from '../../src/panels/activity.ts'
import { type Acting, acting } from '../support/acting.ts'

let folder: Folder
let server: PostgresServer
let hands: Acting
const open: pg.Client[] = []

beforeAll(async () => {
  folder = temporaryFolder('pgvigil-deeds')
  server = await startPostgres({ version: 16, dir: folder.path })
})
afterEach(async () => {
  hands?.stop()
  for (const client of open.splice(0)) await client.end().catch(() => {})
})
afterAll(async () => {
  await server?.stop('immediate')
  await folder?.remove()
})

const session = async (application_name: string) => {
  const client = await connect({ port: server.port, application_name })
  open.push(client)
  return client
}

describe('terminate', () => {
  test('an idle session is gone, and both lines of the trail say so', async () => {
    await session('victim')
    hands = acting([{ id: 'a', conninfo: server.conninfo }], [activityList])
    const row = await hands.row(activityList, ({ application_name }) => application_name === 'victim', 'the victim')
    const asked = hands.ask('terminate', [row])
    const { items } = await hands.confirm(asked)
    expect(items).toMatchObject([{ outcome: 'gone' }])
    expect(hands.audit().map(({ phase, action, outcome }) => [phase, action, outcome])).toEqual([
      ['begun', 'terminate', null],
      ['ended', 'terminate', 'gone'],
    ])
  })
})
