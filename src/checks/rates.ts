// What goes wrong now and then: counted between two samples and told for a minute.

import { bytes, compact, percent } from '../model/format.ts'
import { drawable, short } from '../model/untrusted.ts'
import { postgresFigures } from '../panels/summary.ts'
import { type DatabaseCounterRow, databaseCounters } from '../sql/health-counters.ts'
import { counters } from '../sql/server.ts'
import { read, rowsOf } from '../store/selectors.ts'
import type { ServerState, State } from '../store/state.ts'
import { type Check, type Found, levelOf, plural } from './check.ts'

type Counter = 'xact_commit' | 'xact_rollback' | 'deadlocks' | 'temp_files' | 'temp_bytes'

type Delta = { readonly row: DatabaseCounterRow; readonly of: (counter: Counter) => number }

/** What each database did between the two last samples, and the minutes between them; null: there are not two yet. */
function deltas(state: State, { id }: ServerState): { readonly databases: readonly Delta[]; readonly minutes: number } | null {
  const reading = read(state, id, databaseCounters)
  if (reading.kind !== 'fresh' || !reading.previous) return null
  const before = new Map(reading.previous.rows.map(row => [row.datid, row]))
  const databases = reading.sample.rows.flatMap((row): Delta[] => {
    const earlier = before.get(row.datid)
    // Statistics that began again count from nothing.
    if (!earlier || earlier.stats_reset !== row.stats_reset) return []
    return [{ row, of: counter => Math.max(0, Number(row[counter] - earlier[counter])) }]
  })
  return { databases, minutes: (reading.sample.at - reading.previous.at) / 60_000 }
}

const unready: readonly Found[] = [{ level: 'unknown', say: 'takes two samples: not counted yet' }]
const nameOf = ({ datname }: DatabaseCounterRow) => (datname === null ? 'shared objects' : short(datname, 24))
const placeOf = (server: ServerState, { row }: Delta) => ({
  panel: 'tables',
  list: 'databases',
  row: { server: server.id, datname: row.datname },
})

/** The sum of a counter for a minute, with the database that has most of it. */
function perMinute(state: State, server: ServerState, counter: Counter) {
  const told = deltas(state, server)
  if (!told || told.minutes <= 0) return null
  const sum = told.databases.reduce((total, delta) => total + delta.of(counter), 0)
  const [most] = told.databases.toSorted((a, b) => b.of(counter) - a.of(counter))
  return { sum, figure: sum / told.minutes, most, databases: told.databases }
}

const allOf = (state: State, server: ServerState, counter: Counter) =>
  rowsOf(state, server.id, databaseCounters).reduce((total, row) => total + row[counter], 0n)

const deadlocks: Check = {
  id: 'deadlocks',
  title: 'Deadlocks per minute',
  why: 'Each deadlock is an error for one of the two: the application takes its locks in different orders.',
  of: 'postgres',
  unit: '',
  rate: true,
  warning: 'deadlocksPerMinute',
  needs: [databaseCounters],
  look: (state, server) => {
    const told = perMinute(state, server, 'deadlocks')
    if (!told) return unready
    const all = `${allOf(state, server, 'deadlocks')} since the statistics began`
    const level = levelOf(told.figure, state.settings.thresholds, deadlocks)
    if (level === 'ok' || !told.most) return [{ level: 'ok', figure: told.figure, say: `none just now; ${all}` }]
    return [
      {
        level,
        figure: told.figure,
        say: `${plural(told.sum, 'deadlock')} just now${told.sum > 1 ? ', most of them' : ''} in ${nameOf(told.most.row)}; ${all}`,
        remedy: "the server's log tells both statements of each (deadlock detected)",
        leadsTo: placeOf(server, told.most),
      },
    ]
  },
}

/** So few between two samples are chance, whatever that makes for a minute. */
const fewRollbacks = 5

/** Below this share of all transactions rollbacks are usual. */
const usualRollbacks = 0.1

const rollbacks: Check = {
  id: 'rollbacks',
  title: 'Rollbacks per minute',
  why: 'Transactions that end in ROLLBACK are work for nothing, mostly because of errors that somebody sees.',
  of: 'primary',
  unit: '',
  rate: true,
  warning: 'rollbacksPerMinute',
  needs: [databaseCounters],
  look: (state, server) => {
    const told = perMinute(state, server, 'xact_rollback')
    if (!told) return unready
    const done = told.databases.reduce((total, { of }) => total + of('xact_commit'), 0) + told.sum
    const share = done === 0 ? 0 : told.sum / done
    const say = `${compact(told.figure)} a minute, ${percent(share)} of all transactions`
    const level =
      share < usualRollbacks || told.sum < fewRollbacks ? 'ok' : levelOf(told.figure, state.settings.thresholds, rollbacks)
    if (level === 'ok' || !told.most) return [{ level: 'ok', figure: told.figure, say }]
    return [
      {
        level,
        figure: told.figure,
        say: `${say}, most of them in ${nameOf(told.most.row)}`,
        remedy: "see the errors in the server's log",
        leadsTo: placeOf(server, told.most),
      },
    ]
  },
}

/** Blocks read in an interval below which their shares say nothing. */
const fewBlocks = 1000n

const cacheHit: Check = {
  id: 'cache_hit',
  title: 'Cache hit ratio over the interval',
  why: 'Blocks that are not in shared_buffers are read from the system, a hundred times as slow where it has to go to disk.',
  of: 'postgres',
  unit: '%',
  rate: true,
  warning: 'cacheHitPercent',
  lowIsBad: true,
  needs: [counters],
  look: (state, server) => {
    const reading = read(state, server.id, counters)
    if (reading.kind !== 'fresh' || !reading.previous) return unready
    const [now, before] = [reading.sample.rows[0], reading.previous.rows[0]]
    const { hitRatio } = postgresFigures(state, server.id)
    const blocks = now && before ? now.blks_hit + now.blks_read - before.blks_hit - before.blks_read : 0n
    if (hitRatio === null || blocks < fewBlocks) return [{ level: 'ok', say: 'too few blocks were read to tell', figure: null }]
    const figure = hitRatio * 100
    const low = figure < state.settings.thresholds.cacheHitPercent
    return [
      {
        level: low ? 'warning' : 'ok',
        figure,
        say: `${percent(hitRatio)} of ${compact(blocks)} blocks were in shared_buffers`,
        ...(low
          ? {
              remedy: 'see what reads so much in 1 Activity and 6 Tables (SEQ); a larger shared_buffers helps what is read again',
            }
          : {}),
        leadsTo: { panel: 'tables', list: 'tables' },
      },
    ]
  },
}

const tempFiles: Check = {
  id: 'temp_files',
  title: 'Temporary files per minute',
  why: 'Sorts and hashes that do not fit into work_mem go to disk, and can fill it.',
  of: 'postgres',
  unit: 'B',
  rate: true,
  warning: 'tempBytesPerMinute',
  needs: [databaseCounters],
  look: (state, server) => {
    const told = perMinute(state, server, 'temp_bytes')
    if (!told) return unready
    const level = levelOf(told.figure, state.settings.thresholds, tempFiles)
    if (level === 'ok' || !told.most) return [{ level: 'ok', figure: told.figure, say: `${bytes(told.figure)} a minute` }]
    return [
      {
        level,
        figure: told.figure,
        say: `${bytes(told.figure)} a minute, most of it in ${nameOf(told.most.row)}`,
        remedy: 'log_temp_files = 0 tells which statements; more work_mem for those that need it (SET LOCAL)',
        leadsTo: placeOf(server, told.most),
      },
    ]
  },
}

const checksums: Check = {
  id: 'checksum_failures',
  title: 'Data checksums',
  why: 'A block that fails its checksum was damaged by the storage: what is in it is lost, and it will not be the only one.',
  of: 'postgres',
  unit: '',
  needs: [databaseCounters],
  look: (state, server) => {
    const rows = rowsOf(state, server.id, databaseCounters).filter(({ checksum_failures }) => checksum_failures !== null)
    if (rows.length === 0) return [{ level: 'ok', say: 'data checksums are off: damage would not be noticed' }]
    const failed = rows.filter(({ checksum_failures }) => checksum_failures)
    const all = failed.reduce((total, row) => total + (row.checksum_failures ?? 0n), 0n)
    if (failed.length === 0) return [{ level: 'ok', say: 'no block has failed its checksum', figure: 0 }]
    return [
      {
        level: 'critical',
        figure: Number(all),
        say: `${plural(Number(all), 'block')} failed in ${failed.map(row => drawable(row.datname) || 'shared objects').join(', ')}`,
        remedy: 'take the server out of service; restore from a backup on other storage (pg_amcheck tells what is damaged)',
      },
    ]
  },
}

export const rateChecks: readonly Check[] = [deadlocks, rollbacks, cacheHit, tempFiles, checksums]
