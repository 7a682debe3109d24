// Bloat measured by pgstattuple, where it is installed: one relation after the other, each read as a whole.

import { indexSentence, tableSentence } from '../model/exact-bloat.ts'
import { bytes, duration } from '../model/format.ts'
import type { IndexPaneRow } from '../model/indexes.ts'
import { quotedName } from '../model/sql-name.ts'
import type { TablePaneRow } from '../model/tables.ts'
import { drawable, is, raw, type Untrusted } from '../model/untrusted.ts'
import { ServerError } from '../server/deed.ts'
import { exactIndexBloat, exactTableBloat } from '../sql/exact-bloat.ts'
import { indexes } from '../sql/indexes.ts'
import { tables } from '../sql/tables.ts'
import type { Frozen, State } from '../store/state.ts'
import { action, type Hands, type Report, type WhyNot, whyNot } from './action.ts'
import { ourRole, placeOf } from './guards.ts'
import { type Statement, written } from './statement.ts'

type BloatTarget = Frozen & {
  readonly what: 'table' | 'index'
  readonly oid: bigint
  readonly qualified: Untrusted
  readonly total_bytes: bigint | null
  /** Of what is read: of a table its heap. */
  readonly readBytes: bigint | null
  /** Of the extension, quoted; '' where it is not known. */
  readonly schema: string
}

type Row = TablePaneRow | IndexPaneRow

const isIndex = (row: Row): row is IndexPaneRow => 'indexrelid' in row

function freeze(row: Row, state: State): BloatTarget | WhyNot {
  const index = isIndex(row)
  if (index) {
    if (row.children > 0 && is(row.relkind, 'I')) return whyNot('it has no pages of its own: o shows those of its partitions')
    if (!is(row.amname, 'btree')) return whyNot(`pgstattuple measures only B-trees, and this is a ${drawable(row.amname)} index`)
    if (!row.indisvalid) return whyNot('it is invalid')
  } else if (row.children > 0) return whyNot('it stands for others: o opens it, then measure each of them')
  else if (is(row.relkind, 'p')) return whyNot('it has no pages of its own')
  const schema = state.servers[row.server]?.facts?.pgstattupleSchema ?? null
  return {
    ...placeOf(state, row.server),
    label: drawable(index ? row.indexrelname : row.relname),
    what: index ? 'index' : 'table',
    oid: index ? row.indexrelid : row.relid,
    qualified: row.qualified,
    total_bytes: row.total_bytes,
    readBytes: index ? row.total_bytes : row.heap_bytes,
    schema: schema === null ? '' : quotedName(raw(schema)),
  }
}

function bloatRight(server: string, state: State): WhyNot | null {
  const facts = state.servers[server]?.facts
  if (!facts) return null
  if (facts.pgstattupleSchema === null) {
    const where = state.servers[server]?.role === 'standby' ? ' on the primary' : ''
    return whyNot(`pgstattuple is not installed in this database; a superuser can do it${where}: CREATE EXTENSION pgstattuple;`)
  }
  if (!facts.pgstattupleExecutes)
    return whyNot(`no EXECUTE on pgstattuple: GRANT pg_stat_scan_tables TO ${ourRole(state, server)};`)
  if (!facts.pgstattupleInReach) {
    const schema = drawable(quotedName(raw(facts.pgstattupleSchema)))
    return whyNot(`no USAGE on the schema of pgstattuple: GRANT USAGE ON SCHEMA ${schema} TO ${ourRole(state, server)};`)
  }
  return null
}

/** Nobody waits for us behind a lock for longer than this. Milliseconds. */
const lockTimeoutMs = 3000

const statement = ({ what, schema, qualified, oid }: BloatTarget): Statement => ({
  text: what === 'index' ? exactIndexBloat(schema) : exactTableBloat(schema),
  values: [raw(qualified), String(oid)],
})

async function run(target: BloatTarget, hands: Hands): Promise<Report> {
  const session = await hands.open({ lockTimeoutMs })
  const begun = hands.now()
  const { text, values } = statement(target)
  try {
    const [row] = (await session.run(text, values, null)).rows
    if (!row) return { outcome: 'already gone', say: 'already gone: another relation has its name; nothing was read' }
    const took = duration((hands.now() - begun) / 1000)
    return {
      outcome: 'done',
      say: `${target.what === 'index' ? indexSentence(row) : tableSentence(row)} (read in ${took})`,
      remark: true,
    }
  } catch (error) {
    if (!(error instanceof ServerError)) throw error
    const words = drawable(error.message)
    if (error.code === '55P03') {
      return { outcome: 'skipped', say: `skipped: locked by somebody for more than ${lockTimeoutMs / 1000} s (${words})` }
    }
    if (error.code === '42P01' || error.code === '3F000') return { outcome: 'already gone', say: `already gone: ${words}` }
    throw error
  }
}

/** Newer samples have all of the kind, and not this one. */
function gone({ server, what, oid }: BloatTarget, state: State, since: number): boolean {
  const sample = state.servers[server]?.readings[what === 'index' ? indexes.id : tables.id]?.sample
  if (!sample || sample.at <= since) return false
  const [first] = sample.rows
  const all = (what === 'index' ? first?.indexes_in_all : first?.tables_in_all) ?? 0
  return sample.rows.length === all && !sample.rows.some(row => (what === 'index' ? row.indexrelid : row.relid) === oid)
}

export const exactBloatActions = [
  action<Row, BloatTarget>({
    id: 'exactBloat',
    command: 'exactBloat',
    label: 'Exact bloat',
    help: 'Measures with pgstattuple what is bloat of it: reads all of it.',
    lists: ['tables', 'indexes'],
    takes: 'queue',
    on: 'postgres',
    right: bloatRight,
    freeze,
    guard: ({ server }, state) => bloatRight(server, state),
    words: () => null,
    watches: ({ server, what }) => [{ server, query: what === 'index' ? indexes : tables }],
    ask: targets => ({
      head: ['RELATION', 'KIND', 'READS', 'SIZE IN ALL'],
      hit: targets.map(({ qualified, what, readBytes, total_bytes }) => [
        drawable(qualified),
        what === 'index' ? 'B-tree' : 'heap of a table',
        bytes(readBytes),
        bytes(total_bytes),
      ]),
      follows: [
        {
          text: `it reads ${targets.length === 1 ? 'all of it' : 'all of each, one after the other'}: on a large one that takes long, and pushes other pages out of the cache; Esc stops it`,
          tone: 'warning',
        },
        { text: 'nobody is locked out: reading and writing go on' },
        ...(targets.some(({ what }) => what === 'table')
          ? [{ text: 'of a table its heap; its indexes and its TOAST table are apart' }]
          : []),
      ],
    }),
    gone,
    sql: target => [written(statement(target))],
    record: ({ what, qualified, oid, total_bytes }) => ({ what, relation: qualified, oid, total_bytes }),
    run,
  }),
]
