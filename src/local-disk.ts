// A second source of samples: the disk under the data directory of servers that run on this machine. Whether one does is told by the process of our own session
// there: an address of this machine alone may be a tunnel or a container.

import { readFileSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { type DiskRow, isLocalAddress, localDisk } from './model/disk.ts'
import { is, raw } from './model/untrusted.ts'
import { type SettingRow, settings } from './sql/health-settings.ts'
import { type PulseRow, pulse } from './sql/server.ts'
import type { ServerState } from './store/state.ts'
import type { Store } from './store/store.ts'
import { receive } from './store/updates.ts'

/** How often the disk is looked at. Milliseconds. */
const paceMs = 30_000

/** Looks whenever the settings of a server are read anew, for as long as the store is used. */
export function watchLocalDisks(store: Store): void {
  const lookedAt = new Map<string, number>()
  store.subscribe(state => {
    for (const server of Object.values(state.servers)) {
      const sample = server.readings[settings.id]?.sample
      if (!sample || sample.at - (lookedAt.get(server.id) ?? 0) < paceMs || !isHere(server)) continue
      lookedAt.set(server.id, sample.at)
      const row = (sample.rows as readonly SettingRow[]).find(({ name }) => is(name, 'data_directory'))
      if (!row?.setting) continue
      const rows = disks(raw(row.setting))
      receive(store, {
        kind: 'sample',
        sample: { server: server.id, query: localDisk, at: sample.at, tookMs: 0, rows, skipped: [] },
      })
    }
  })
}

function isHere({ host, readings, user }: ServerState): boolean {
  if (!isLocalAddress(host)) return false
  const pid = (readings[pulse.id]?.sample?.rows[0] as PulseRow | undefined)?.own_pid
  if (!pid) return false
  try {
    const title = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    return title.startsWith('postgres: ') && title.includes(` ${user} `)
  } catch {
    return false
  }
}

/** Of the data directory, and of pg_wal where that is elsewhere and may be looked at. */
function disks(data: string): readonly DiskRow[] {
  const [main, wal] = [diskOf(data), diskOf(join(data, 'pg_wal'))]
  return [main, wal].filter((row, i) => row !== null && (i === 0 || row.total_bytes !== main?.total_bytes)) as readonly DiskRow[]
}

function diskOf(path: string): DiskRow | null {
  try {
    const { blocks, bfree, bavail, bsize } = statfsSync(path, { bigint: true })
    const used = blocks - bfree
    const usable = used + bavail
    if (usable <= 0n) return null
    return { path, total_bytes: blocks * bsize, free_bytes: bavail * bsize, usedPercent: (Number(used) / Number(usable)) * 100 }
  } catch {
    return null
  }
}
