// WAL: checkpoints that it forces, its archive, and the room it takes.

import { bytes, count, duration, percent } from '../model/format.ts'
import { short } from '../model/untrusted.ts'
import { settings } from '../sql/health-settings.ts'
import { archiveBacklog, archiver, checkpoints, walFiles } from '../sql/health-wal.ts'
import { rowsOf } from '../store/selectors.ts'
import { type Check, type Found, levelOf } from './check.ts'
import { bytesOf, settingOf } from './settings.ts'

/** Of fewer checkpoints no share is told: a backup or a CHECKPOINT by hand asks for one too. */
const fewCheckpoints = 20

const forced: Check = {
  id: 'checkpoints_forced',
  title: 'Checkpoints forced by WAL',
  why: 'Checkpoints that come before their time write the same pages again and again, and more WAL with them.',
  of: 'primary',
  unit: '%',
  warning: 'checkpointsForcedPercent',
  needs: [checkpoints],
  look: (state, server) => {
    const row = rowsOf(state, server.id, checkpoints)[0]
    const all = row ? Number(row.timed + row.requested) : 0
    const figure = row && all > 0 ? (Number(row.requested) / all) * 100 : 0
    const say = `${count(row?.requested)} of ${count(all)} were requested, by WAL or by hand${row?.stats_age_seconds ? ` in ${duration(row.stats_age_seconds)}` : ''}`
    if (all < fewCheckpoints) return [{ level: 'ok', figure, say: `${say}: too few to tell` }]
    const level = levelOf(figure, state.settings.thresholds, forced)
    return [
      { level, figure, say, ...(level === 'ok' ? {} : { remedy: 'a larger max_wal_size (and a look at checkpoint_timeout)' }) },
    ]
  },
}

const archiving: Check = {
  id: 'archiving',
  title: 'WAL archive',
  why: 'WAL that is not archived cannot be restored from, and stays in pg_wal until the disk is full.',
  of: 'primary',
  unit: '',
  needs: [archiver],
  uses: [settings],
  look: (state, server) => {
    const row = rowsOf(state, server.id, archiver)[0]
    if (!row || !['on', 'always'].includes(String(row.archive_mode)))
      return [{ level: 'ok', say: 'archive_mode is off: nothing is archived' }]
    const [command, library] = [settingOf(state, server.id, 'archive_command'), settingOf(state, server.id, 'archive_library')]
    if ((command === '' || command === '(disabled)') && !library) {
      return [
        {
          level: 'warning',
          say: 'archive_mode is on without an archive_command: WAL piles up',
          remedy: 'set archive_command (or archive_library) and reload',
        },
      ]
    }
    const [failed, archived] = [row.last_failed_age_seconds, row.last_archived_age_seconds]
    if (failed !== null && (archived === null || failed < archived)) {
      const since = archived === null ? 'nothing has been archived yet' : `the last success was ${duration(archived)} ago`
      const found: Found = {
        level: 'critical',
        figure: Number(row.failed_count),
        say: `archiving fails: ${short(row.last_failed_wal ?? '', 40)} failed ${duration(failed)} ago, ${since}`,
        remedy: "see what archive_command says in the server's log",
      }
      return [found]
    }
    return [
      {
        level: 'ok',
        figure: 0,
        say: archived === null ? 'nothing had to be archived yet' : `the last file was archived ${duration(archived)} ago`,
      },
    ]
  },
}

const backlog: Check = {
  id: 'archive_backlog',
  title: 'WAL waiting for the archive',
  why: 'An archive that falls behind is the part of the data that a disaster takes.',
  of: 'primary',
  unit: '',
  warning: 'archiveFiles',
  needs: [archiveBacklog],
  look: (state, server) => {
    const figure = rowsOf(state, server.id, archiveBacklog)[0]?.ready ?? 0
    const level = levelOf(figure, state.settings.thresholds, backlog)
    return [
      {
        level,
        figure,
        say: `${count(figure)} files wait`,
        ...(level === 'ok'
          ? {}
          : { remedy: "see what archive_command says in the server's log, and how fast the archive takes files" }),
      },
    ]
  },
}

const walSpace: Check = {
  id: 'wal_space',
  title: 'Room that WAL takes',
  why: 'pg_wal that grows beyond max_wal_size is held by a slot, by the archive or by wal_keep_size, and ends with a full disk.',
  of: 'postgres',
  unit: '%',
  warning: 'walPercent',
  needs: [walFiles, settings],
  look: (state, server) => {
    const row = rowsOf(state, server.id, walFiles)[0]
    const most = bytesOf(state, server.id, 'max_wal_size')
    if (!row || most === null) return [{ level: 'unknown', say: 'max_wal_size is not known' }]
    const figure = (Number(row.total_bytes) / most) * 100
    const level = levelOf(figure, state.settings.thresholds, walSpace)
    return [
      {
        level,
        figure,
        say: `pg_wal holds ${bytes(row.total_bytes)}, ${percent(figure / 100)} of max_wal_size`,
        ...(level === 'ok' ? {} : { remedy: 'see the slots in 3 Replication, archiving, and wal_keep_size' }),
        leadsTo: { panel: 'replication', list: 'slots' },
      },
    ]
  },
}

export const walChecks: readonly Check[] = [forced, archiving, backlog, walSpace]
