// Tables and indexes of a server's database as panes and deeds see them alike: one place that puts their samples together.

import { type IndexFacts, type IndexPaneRow, indexRows } from './model/indexes.ts'
import { lockedNow, lockedTables } from './model/locked.ts'
import { type TableFacts, type TablePaneRow, tableRows } from './model/tables.ts'
import { perPicture } from './sessions.ts'
import { indexWidths } from './sql/index-widths.ts'
import { indexes, indexSizes, unlockedIndexSizes } from './sql/indexes.ts'
import { lockedRelations, rowWidths, tableSizes, tables, unlockedSizes } from './sql/tables.ts'
import { compressedParts, hypertables } from './sql/timescale.ts'
import { picture, read, rowsOf } from './store/selectors.ts'
import type { Reading, State } from './store/state.ts'

const told = <Row>(reading: Reading<Row>) => (reading.kind === 'fresh' || reading.kind === 'stale' ? reading.sample : null)

/** What was heard of the tables of a server's database, fresh or stale. */
export function tableFacts(state: State, id: string): TableFacts {
  const reading = read(state, id, tables)
  return {
    server: id,
    now: picture(state).now,
    tables: told(reading),
    before: reading.kind === 'fresh' || reading.kind === 'stale' ? reading.previous : null,
    sizes: {
      round: told(read(state, id, tableSizes)),
      since: told(read(state, id, unlockedSizes)),
      locked: lockedTablesOf(state, id),
    },
    widths: told(read(state, id, rowWidths)),
    hypertables: told(read(state, id, hypertables)),
    compressed: told(read(state, id, compressedParts)),
  }
}

/** Relations that somebody holds against everybody. Null: not known at this moment. */
function lockedOf(state: State, id: string): ReturnType<typeof lockedNow> | null {
  const locks = read(state, id, lockedRelations)
  return locks.kind === 'fresh' ? lockedNow(locks.sample.rows, picture(state).servers[id]?.facts?.databaseOid ?? null) : null
}

function lockedTablesOf(state: State, id: string): ReadonlySet<bigint> | null {
  const relations = lockedOf(state, id)
  return relations && lockedTables(relations, rowsOf(state, id, tableSizes), rowsOf(state, id, indexSizes))
}

/** What was heard of its indexes. */
export function indexFacts(state: State, id: string): IndexFacts {
  return {
    server: id,
    now: picture(state).now,
    indexes: told(read(state, id, indexes)),
    sizes: told(read(state, id, indexSizes)),
    unlockedSizes: told(read(state, id, unlockedIndexSizes)),
    widths: told(read(state, id, indexWidths)),
    locked: lockedOf(state, id),
  }
}

export const tablesOf = perPicture((state, id): readonly TablePaneRow[] => tableRows(tableFacts(state, id)))

export const indexesOf = perPicture((state, id): readonly IndexPaneRow[] => indexRows(indexFacts(state, id)))
