// A streaming standby without pg_basebackup: the low-level backup interface and a copy of the data directory.

import { appendFileSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { copyFile, readdir, readlink, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { postgresBinaries } from './binaries.ts'
import { withClient } from './client.ts'
import { serverFolder } from './folder.ts'
import { serverAccount } from './paths.ts'
import { configure, openServer, type PostgresServer, type Settings } from './postgres.ts'

export type StandbyOptions = {
  readonly dir: string
  /** application_name of its receiver, and name of its folder. */
  readonly name: string
  /** Physical slot on the sender, made when it is not there; null: without a slot. */
  readonly slot: string | null
  readonly port?: number
  readonly settings?: Settings
}

/** Files of a data directory that a copy must start without: a copied slot would hold WAL on the standby for ever. */
const emptied = new Set([
  'pg_wal',
  'pg_replslot',
  'pg_stat_tmp',
  'pg_dynshmem',
  'pg_notify',
  'pg_serial',
  'pg_snapshots',
  'pg_subtrans',
])
const left = new Set(['postmaster.pid', 'postmaster.opts', 'standby.signal', 'backup_label', 'tablespace_map'])

/** Copies a running primary and starts the copy as its standby, streaming. PostgreSQL 13+. */
export async function startStandby(primary: PostgresServer, options: StandbyOptions): Promise<PostgresServer> {
  const { dir, name, slot, settings = {} } = options
  const home = join(dir, name)
  const dataDir = join(home, 'data')
  serverFolder(home)
  serverFolder(dataDir)
  await withClient({ port: primary.port, user: primary.user }, async client => {
    if (slot !== null) {
      await client.query(
        `select pg_create_physical_replication_slot($1, true)
         where not exists (select from pg_replication_slots where slot_name = $1)`,
        [slot],
      )
    }
    // Both functions must be called on one session. Before 15 they had other names and a mode.
    const renamed = primary.version >= 15
    await client.query(renamed ? `select pg_backup_start('lab', true)` : `select pg_start_backup('lab', true, false)`)
    await copyTree(primary.dataDir, dataDir, 0)
    const { rows } = await client.query(
      renamed
        ? 'select labelfile, spcmapfile from pg_backup_stop(false)'
        : 'select labelfile, spcmapfile from pg_stop_backup(false, false)',
    )
    writeFileSync(join(dataDir, 'backup_label'), rows[0].labelfile, { mode: 0o600 })
    if (rows[0].spcmapfile) writeFileSync(join(dataDir, 'tablespace_map'), rows[0].spcmapfile, { mode: 0o600 })
  })
  configure(dataDir, {
    primary_conninfo: `host=127.0.0.1 port=${primary.port} user=${primary.user} application_name=${name} sslmode=disable`,
    primary_slot_name: slot ?? '',
    ...settings,
  })
  appendFileSync(join(dataDir, 'standby.signal'), '', { mode: 0o600 })
  await giveToServer(dataDir)
  const native = postgresBinaries(primary.version, dir)
  const standby = await openServer({ version: primary.version, native, home, user: primary.user, port: options.port })
  await streaming(standby)
  return standby
}

/** Files may vanish under the copy: WAL from the start of the backup on makes up for it. */
async function copyTree(from: string, to: string, depth: number): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (depth === 0 && left.has(entry.name)) continue
    const source = join(from, entry.name)
    const target = join(to, entry.name)
    try {
      if (entry.isDirectory()) {
        mkdirSync(target, { mode: 0o700 })
        if (depth > 0 || !emptied.has(entry.name)) await copyTree(source, target, depth + 1)
        else if (entry.name === 'pg_wal') mkdirSync(join(target, 'archive_status'), { mode: 0o700 })
      } else if (entry.isSymbolicLink()) await symlink(await readlink(source), target)
      else await copyFile(source, target)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
}

async function giveToServer(folder: string): Promise<void> {
  const account = serverAccount()
  if (!account) return
  const entries = await readdir(folder, { withFileTypes: true, recursive: true })
  for (const entry of entries) {
    if (!entry.isSymbolicLink()) chownSync(join(entry.parentPath, entry.name), account.uid, account.gid)
  }
}

async function streaming(standby: PostgresServer): Promise<void> {
  await withClient({ port: standby.port, user: standby.user }, async client => {
    const deadline = Date.now() + 30_000
    for (;;) {
      const { rows } = await client.query('select status from pg_stat_wal_receiver')
      if (rows[0]?.status === 'streaming') return
      if (Date.now() > deadline) throw new Error(`the standby in ${dirname(standby.dataDir)} does not stream`)
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  })
}
