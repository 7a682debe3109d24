// Free space on this machine: what df tells, and only where a directory is proven to be the server's.

import { execFileSync } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { connect, withClient } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, type PostgresVersion, startPostgres } from '../../src/lab/postgres.ts'
import type { DatabasePaneRow, TablespacePaneRow } from '../../src/model/databases.ts'
import { databasesList, tablespacesList } from '../../src/panels/databases.ts'
import { lookAtFileSystems } from '../../src/server/file-systems.ts'
import type { StorageRow } from '../../src/sql/databases.ts'
import { targetOf, watching } from '../support/watching.ts'

let folder: Folder
const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})
/** Another file system than that of the data directory, where there is one. */
let elsewhere: string | null = null
beforeAll(() => {
  folder = temporaryFolder('pgvigil-free')
  if (existsSync('/dev/shm') && statSync('/dev/shm').dev !== statSync(folder.path).dev)
    elsewhere = mkdtempSync('/dev/shm/pgvigil-free-')
})
afterAll(async () => {
  if (elsewhere) rmSync(elsewhere, { recursive: true, force: true })
  await folder.remove()
})

/** Available and total bytes, as df tells them. */
const df = (path: string) =>
  execFileSync('df', ['-B1', '--output=avail,size', path], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .at(-1)!
    .trim()
    .split(/\s+/)
    .map(Number) as [number, number]

async function look(conninfo: string) {
  const watched = watching([{ id: 'pg', conninfo }], [databasesList, tablespacesList])
  try {
    const state = await watched.until(
      ({ servers }) =>
        Boolean(servers.pg?.fileSystems && servers.pg.readings.tablespaces?.sample && servers.pg.readings.databases?.sample),
      'the file systems',
    )
    return {
      spaces: tablespacesList.select(state).rows as unknown as readonly TablespacePaneRow[],
      databases: databasesList.select(state).rows as unknown as readonly DatabasePaneRow[],
      notice: tablespacesList.select(state).notice,
      rows: state.servers.pg?.readings.storage?.sample?.rows as unknown as readonly StorageRow[],
    }
  } finally {
    watched.stop()
  }
}

describe.each([13, 16, 18] as PostgresVersion[])('PostgreSQL %i', version => {
  let server: PostgresServer
  let location: string
  const as = (user: string, host = '127.0.0.1') => `host=${host} port=${server.port} user=${user} dbname=postgres`
  beforeAll(async () => {
    server = await startPostgres({ version, dir: folder.path })
    const { uid, gid } = statSync(server.dataDir)
    location = join(elsewhere ?? join(server.dataDir, '..'), `space ${version}`)
    mkdirSync(location)
    chownSync(location, uid, gid)
    if (elsewhere) chownSync(elsewhere, uid, gid)
    await withClient(server, async client => {
      await client.query(`CREATE TABLESPACE fast LOCATION '${location}'`)
      await client.query('CREATE DATABASE there TABLESPACE fast')
      await client.query('CREATE ROLE monitor LOGIN; GRANT pg_monitor TO monitor; CREATE ROLE nobody LOGIN')
    })
  })
  afterAll(() => server?.stop('immediate'))

  test.each(['postgres', 'monitor'])('%s: is what df tells, by socket as by loopback', async user => {
    for (const host of [server.socketDir, '127.0.0.1', 'localhost']) {
      if (host === null) continue
      const { spaces, databases } = await look(as(user, host))
      for (const { spcname, freeBytes, freeOf, capacityBytes } of spaces) {
        const [available, size] = df(String(spcname) === 'fast' ? location : server.dataDir)
        expect(freeOf).toBe('file system')
        expect(Number(capacityBytes)).toBe(size)
        // Others write at the same time.
        expect(Math.abs(Number(freeBytes) - available)).toBeLessThan(200_000_000)
      }
      const there = databases.find(({ datname }) => String(datname) === 'there')!
      expect(there.freeBytes).toBe(spaces.find(({ spcname }) => String(spcname) === 'fast')!.freeBytes)
    }
  })

  test('a role that may not see where the data are is told the GRANT, and it is enough', async () => {
    const { spaces, notice } = await look(as('nobody'))
    expect(spaces.map(({ freeBytes }) => freeBytes)).toEqual([null, null, null])
    expect(notice).toContain('needs data_directory: GRANT pg_monitor TO nobody;')
    await withClient(server, client => client.query('GRANT pg_monitor TO nobody'))
    expect((await look(as('nobody'))).spaces.every(({ freeBytes }) => freeBytes !== null)).toBe(true)
    await withClient(server, client => client.query('REVOKE pg_monitor FROM nobody'))
  })

  test('a directory is not believed that is another server’s, none, or on another machine', async () => {
    const client = await connect(server)
    ends.push(() => client.end())
    const { rows: own } = await client.query('SELECT pg_backend_pid() AS backend_pid')
    const rows = (await look(as('postgres'))).rows.map(row => ({ ...row, ...own[0] })) as readonly StorageRow[]
    const here = targetOf(as('postgres'), 'postgres')
    const told = async (change: Partial<Record<keyof StorageRow, unknown>>, target = here) => {
      const changed = rows.map(row => ({ ...row, ...change })) as unknown as readonly StorageRow[]
      const { trouble, spaces } = await lookAtFileSystems(target, changed, Date.now)
      return trouble?.kind ?? Object.keys(spaces).length
    }
    expect(await told({})).toBe(3)
    expect(await told({ system_identifier: rows[0]!.system_identifier + 1n })).toBe('another')
    expect(await told({ started_epoch: rows[0]!.started_epoch - 3600 })).toBe('another')
    if (existsSync('/proc/self/stat')) expect(await told({ backend_pid: process.pid })).toBe('another')
    expect(await told({ data_directory: '/nowhere/at/all' })).toBe('absent')
    expect(await told({ data_directory: 'data' })).toBe('another')
    expect(await told({ data_directory: null })).toBe('restricted')
    expect(await told({}, targetOf('host=192.0.2.7', 'postgres'))).toBe('remote')
    // A pipe of that name keeps nobody waiting.
    const trap = join(folder.path, `trap${version}`)
    mkdirSync(trap)
    execFileSync('mkfifo', [join(trap, 'postmaster.pid')])
    expect(await told({ data_directory: trap })).toBe('another')
    // One tablespace that is away costs its own line.
    expect(
      Object.keys(
        (
          await lookAtFileSystems(
            here,
            rows.map(row => (String(row.location) === '' ? row : { ...row, location: '/gone' })) as never,
            Date.now,
          )
        ).spaces,
      ),
    ).toEqual(['1663', '1664'])
  })
})
