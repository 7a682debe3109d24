// Disk space, where it can be known.

import { type DiskRow, isLocalAddress, localDisk } from '../model/disk.ts'
import { bytes, percent } from '../model/format.ts'
import { drawable } from '../model/untrusted.ts'
import { settings } from '../sql/health-settings.ts'
import { ourRole } from '../sql/query.ts'
import { type Check, levelOf } from './check.ts'
import { settingOf } from './settings.ts'

const disk: Check = {
  id: 'disk_space',
  title: 'Disk space',
  why: 'On a full disk the server stops, and may not start again before somebody has made room.',
  of: 'postgres',
  unit: '%',
  warning: 'diskPercent',
  critical: 'diskCriticalPercent',
  needs: [settings],
  look: (state, server) => {
    const rows = (server.readings[localDisk]?.sample?.rows ?? []) as unknown as readonly DiskRow[]
    const [fullest] = rows.toSorted((a, b) => b.usedPercent - a.usedPercent)
    if (!fullest) {
      const directory = settingOf(state, server.id, 'data_directory')
      if (directory === null && isLocalAddress(server.host))
        return [
          { level: 'unknown', say: 'data_directory is not to be seen by this role', remedy: `GRANT pg_monitor TO ${ourRole};` },
        ]
      const where = directory === null ? 'its data directory' : drawable(directory)
      return [
        {
          level: 'unknown',
          say: 'no SQL tells it, and the server does not run on this machine',
          remedy: `df ${where} on the server, or run pgvigil check there`,
        },
      ]
    }
    const level = levelOf(fullest.usedPercent, state.settings.thresholds, disk)
    return [
      {
        level,
        figure: fullest.usedPercent,
        say: `${percent(fullest.usedPercent / 100)} of the disk under ${drawable(fullest.path)} is taken, ${bytes(fullest.free_bytes)} are free`,
        ...(level === 'ok'
          ? {}
          : {
              remedy:
                'see what has grown in 6 Tables, what holds WAL (wal_space, replication_slots), and old logs; never delete files of pg_wal',
            }),
        leadsTo: { panel: 'tables', list: 'databases' },
      },
    ]
  },
}

export const diskChecks: readonly Check[] = [disk]
