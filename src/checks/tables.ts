// Tables and indexes: what VACUUM and ANALYZE have left, how old the oldest rows are, indexes that are broken or for nothing.

import { bytes, compact, count, duration, percent } from '../model/format.ts'
import { type IndexPaneRow, isInvalid, isLeftover } from '../model/indexes.ts'
import type { TablePaneRow } from '../model/tables.ts'
import { drawable, short } from '../model/untrusted.ts'
import * as relations from '../relations.ts'
import { databases } from '../sql/databases.ts'
import { indexes } from '../sql/indexes.ts'
import { tables } from '../sql/tables.ts'
import { compressedParts, hypertables } from '../sql/timescale.ts'
import { rowsOf } from '../store/selectors.ts'
import type { ServerState, State } from '../store/state.ts'
import { type Check, levelOf, plural, some } from './check.ts'

/** Tables with rows of their own: those that stand for partitions or chunks would count them twice. */
const tablesOf = (state: State, { id }: ServerState) => relations.tablesOf(state, id).filter(({ children }) => children === 0)
const indexesOf = (state: State, { id }: ServerState) => relations.indexesOf(state, id)

const nameOf = (row: { readonly qualified: TablePaneRow['qualified'] }) => short(row.qualified, 48).replace(/^public\./, '')
const tablePlace = (row: TablePaneRow) => ({ panel: 'tables', list: 'tables', row: { server: row.server, relid: row.relid } })
const indexPlace = (row: IndexPaneRow) => ({
  panel: 'tables',
  list: 'indexes',
  row: { server: row.server, indexrelid: row.indexrelid },
})
const tableUses = [hypertables, compressedParts]

/** Fewer dead rows are no harm, whatever their share. */
const fewDead = 1000n

const deadRows: Check = {
  id: 'dead_rows',
  title: 'Dead rows',
  why: 'Dead rows make tables and indexes larger, and every scan slower.',
  of: 'primary',
  unit: '%',
  warning: 'deadRowsPercent',
  needs: [tables],
  uses: tableUses,
  look: (state, server) => {
    const rows = tablesOf(state, server)
    const all = rows.reduce((sum, row) => sum + (row.n_dead_tup ?? 0n), 0n)
    const bad = rows
      .filter(
        row =>
          (row.n_dead_tup ?? 0n) >= fewDead && levelOf((row.deadRatio ?? 0) * 100, state.settings.thresholds, deadRows) !== 'ok',
      )
      .toSorted((a, b) => Number((b.n_dead_tup ?? 0n) - (a.n_dead_tup ?? 0n)))
    const [most] = bad
    if (!most) return [{ level: 'ok', figure: 0, say: `${compact(all)} dead rows in all` }]
    const names = some(bad.map(row => `${nameOf(row)} ${percent(row.deadRatio)}`))
    return [
      {
        level: 'warning',
        figure: (most.deadRatio ?? 0) * 100,
        say: `${plural(bad.length, 'table')} with many dead rows: ${names}`,
        remedy: `VACUUM ${drawable(most.qualified)}; and see what keeps autovacuum from it (xmin_horizon)`,
        leadsTo: tablePlace(most),
      },
    ]
  },
}

/**
 * A table that has just changed a lot waits for autovacuum's next round: one that was looked after so lately is not overdue. Nor is one that never was: it may have been
 * filled a moment ago. Seconds.
 */
const lately = 3600

const overdue: Check = {
  id: 'maintenance_overdue',
  title: 'VACUUM and ANALYZE overdue',
  why: 'Without them tables grow and the planner guesses.',
  of: 'primary',
  unit: '',
  warning: 'overdueFactor',
  needs: [tables],
  uses: tableUses,
  look: (state, server) => {
    const { overdueFactor } = state.settings.thresholds
    const times = (n: bigint | null, threshold: number | null) => (n === null || !threshold ? 0 : Number(n) / threshold)
    const late = (age: number | null, row: TablePaneRow) => row.autovacuum_enabled === false || (age !== null && age >= lately)
    const bad = tablesOf(state, server)
      .flatMap(row => {
        const vacuum = late(row.anyVacuumAgeSeconds, row) ? times(row.n_dead_tup, row.vacuumThreshold) : 0
        const analyze = late(row.anyAnalyzeAgeSeconds, row) ? times(row.n_mod_since_analyze, row.analyzeThreshold) : 0
        const what = [vacuum >= overdueFactor ? 'VACUUM' : '', analyze >= overdueFactor ? 'ANALYZE' : ''].filter(Boolean)
        return what.length === 0 ? [] : [{ row, what, figure: Math.max(vacuum, analyze) }]
      })
      .toSorted((a, b) => b.figure - a.figure)
    const [most] = bad
    if (!most) return [{ level: 'ok', figure: 0, say: 'autovacuum keeps up' }]
    const off = bad.filter(({ row }) => row.autovacuum_enabled === false).length
    const names = some(bad.map(({ row, what }) => `${nameOf(row)} (${what.join(', ')})`))
    return [
      {
        level: 'warning',
        figure: most.figure,
        say: `${plural(bad.length, 'table')} overdue: ${names}${off > 0 ? `; autovacuum is off for ${off}` : ''}`,
        remedy: `${most.what.includes('VACUUM') ? `VACUUM${most.what.length > 1 ? ' (ANALYZE)' : ''}` : 'ANALYZE'} ${drawable(most.row.qualified)}; more or faster autovacuum workers where it happens again`,
        leadsTo: tablePlace(most.row),
      },
    ]
  },
}

const needsIndex: Check = {
  id: 'missing_indexes',
  title: 'Large tables read from end to end',
  why: 'A large table that is read whole again and again lacks an index for what is searched.',
  of: 'primary',
  unit: '',
  needs: [tables],
  uses: tableUses,
  look: (state, server) => {
    const rows = tablesOf(state, server)
      .filter(row => row.needsIndex)
      .toSorted((a, b) => Number((b.seq_tup_read ?? 0n) - (a.seq_tup_read ?? 0n)))
    const [most] = rows
    if (!most) return [{ level: 'ok', figure: 0, say: 'none' }]
    const names = some(
      rows.map(row => `${nameOf(row)} (${compact(row.seq_scan)} scans${row.idx_scan === null ? ', no index at all' : ''})`),
    )
    return [
      {
        level: 'ok',
        advice: true,
        figure: rows.length,
        say: `${plural(rows.length, 'table')}: ${names}`,
        remedy: 'see which queries read it (EXPLAIN), and index what they search',
        leadsTo: tablePlace(most),
      },
    ]
  },
}

/** Where writing ends: 2^31 less what PostgreSQL keeps back. */
const wraparound = 2_146_483_648

function ageCheck(
  id: string,
  title: string,
  why: string,
  [warning, critical]: readonly ['freezeAge', 'freezeCriticalAge'] | readonly ['multixactAge', 'multixactCriticalAge'],
  what: string,
  ageOf: (row: { readonly freeze_age: number | null; readonly multixact_age: number | null }) => number | null,
): Check {
  const thresholds = { warning, critical }
  return {
    id,
    title,
    why,
    of: 'primary',
    unit: '',
    ...thresholds,
    needs: [databases],
    look: (state, server) => {
      const rows = rowsOf(state, server.id, databases).flatMap(row => {
        const figure = ageOf(row)
        return figure === null ? [] : [{ row, figure }]
      })
      const [oldest] = rows.toSorted((a, b) => b.figure - a.figure)
      if (!oldest) return [{ level: 'unknown', say: 'the ages are not known' }]
      const level = levelOf(oldest.figure, state.settings.thresholds, thresholds)
      const name = short(oldest.row.datname, 24)
      return [
        {
          level,
          figure: oldest.figure,
          say: `the oldest ${what} is ${count(oldest.figure)} old, in ${name} (${percent(oldest.figure / wraparound)} of the way to the end of writing)`,
          ...(level === 'ok'
            ? {}
            : { remedy: `VACUUM (FREEZE) its oldest tables, after what holds back VACUUM is gone (xmin_horizon)` }),
          leadsTo: { panel: 'tables', list: 'databases', row: { server: server.id, oid: oldest.row.oid } },
        },
      ]
    },
  }
}

const freezeAge = ageCheck(
  'freeze_age',
  'Age of transaction ids',
  'When ids run out the server stops writing to save the data.',
  ['freezeAge', 'freezeCriticalAge'],
  'transaction not frozen',
  row => row.freeze_age,
)

const multixactAge = ageCheck(
  'multixact_age',
  'Age of multixacts',
  'Row locks shared by several run out of ids too, and writing stops with them.',
  ['multixactAge', 'multixactCriticalAge'],
  'multixact',
  row => row.multixact_age,
)

const invalid: Check = {
  id: 'invalid_indexes',
  title: 'Invalid indexes',
  why: 'An index that CREATE or REINDEX CONCURRENTLY has left behind helps nobody, and still costs every write.',
  of: 'primary',
  unit: '',
  needs: [indexes],
  look: (state, server) => {
    const rows = indexesOf(state, server).filter(isInvalid)
    const [first] = rows
    if (!first) return [{ level: 'ok', figure: 0, say: 'none' }]
    return [
      {
        level: 'warning',
        figure: rows.length,
        say: `${plural(rows.length, 'index', 'indexes')} invalid: ${some(rows.map(nameOf))}`,
        // Beside what a REINDEX has left stands the index it was made for.
        remedy: `DROP INDEX CONCURRENTLY ${drawable(first.qualified)};${isLeftover(first) ? '' : ' or REINDEX INDEX CONCURRENTLY it'}`,
        leadsTo: indexPlace(first),
      },
    ]
  },
}

/** Smaller ones are not worth a word (the guide's line). */
const smallBytes = 1_000_000
/** Scans that have been counted for less than this say little. Seconds. */
const longEnough = 7 * 86_400

/** Where no table has told it. */
const usualBlockBytes = 8192

const sizeOf = (state: State, server: ServerState) => {
  const pages = new Map(rowsOf(state, server.id, indexes).map(row => [row.indexrelid, Number(row.relpages)]))
  const blockBytes = rowsOf(state, server.id, tables)[0]?.block_size ?? usualBlockBytes
  return (row: IndexPaneRow) => (pages.get(row.indexrelid) ?? 0) * blockBytes
}

const unused: Check = {
  id: 'unused_indexes',
  title: 'Indexes nobody uses',
  why: 'Every write keeps them up to date for nothing.',
  of: 'primary',
  unit: '',
  needs: [indexes],
  look: (state, server) => {
    const bytesIn = sizeOf(state, server)
    const rows = indexesOf(state, server)
      .filter(row => row.unused && bytesIn(row) > smallBytes)
      .toSorted((a, b) => bytesIn(b) - bytesIn(a))
    const [first] = rows
    if (!first) return [{ level: 'ok', figure: 0, say: 'none of any size' }]
    const age = first.statsAgeSeconds
    const since =
      age === null ? 'since the statistics began' : `in ${duration(age)}${age < longEnough ? ', which is not long' : ''}`
    return [
      {
        level: 'ok',
        advice: true,
        figure: rows.length,
        say: `${plural(rows.length, 'index', 'indexes')} not scanned ${since}: ${some(rows.map(row => `${nameOf(row)} (${bytes(bytesIn(row))})`))}`,
        remedy: 'look at the standbys too, each counts its own scans; then DROP INDEX CONCURRENTLY',
        leadsTo: indexPlace(first),
      },
    ]
  },
}

const duplicate: Check = {
  id: 'duplicate_indexes',
  title: 'Indexes said twice',
  why: 'Of two indexes that say the same one is enough for every search.',
  of: 'primary',
  unit: '',
  needs: [indexes],
  look: (state, server) => {
    const rows = indexesOf(state, server).filter(row => row.duplicateOf !== null && row.parentIndexrelid === null)
    const [first] = rows
    if (!first) return [{ level: 'ok', figure: 0, say: 'none' }]
    return [
      {
        level: 'ok',
        advice: true,
        figure: rows.length,
        say: `${plural(rows.length, 'index', 'indexes')}: ${some(rows.map(row => `${nameOf(row)} is as ${short(row.duplicateOf ?? '', 48)}`))}`,
        remedy: `DROP INDEX CONCURRENTLY ${drawable(first.qualified)};`,
        leadsTo: indexPlace(first),
      },
    ]
  },
}

export const tableChecks: readonly Check[] = [deadRows, overdue, freezeAge, multixactAge, invalid, needsIndex, unused, duplicate]
