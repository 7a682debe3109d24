// The wait forest: who holds up whom, told as trees with those that wait for nobody on top.

import type { LockRow } from '../sql/locks.ts'
import type { Names } from './activity.ts'
import { type Forest, forest } from './forest.ts'
import { conflicts, strength } from './lock-modes.ts'
import { is, raw, type Untrusted, untrusted } from './untrusted.ts'

/** What a lock is on, in pg_locks' words. */
export type LockObject = {
  readonly locktype: Untrusted | null
  readonly mode: Untrusted | null
  /** Its qualified name; the oid as text when it is of another database or can't be looked up now. */
  readonly relation: Untrusted | null
  readonly page: bigint | null
  readonly tuple: number | null
  readonly virtualxid: Untrusted | null
  readonly transactionid: bigint | null
  readonly classid: bigint | null
  readonly objid: bigint | null
  readonly objsubid: number | null
  /** The database the object is in, 0 for one shared by all. */
  readonly database: bigint | null
  /** Its name; null when it is unknown, or the object of none. */
  readonly lockDatname: Untrusted | null
  /** For a wait until another transaction ends: the table of the row that both want, where there is one. */
  readonly rowRelation: Untrusted | null
}

const noObject: LockObject = {
  locktype: null,
  mode: null,
  relation: null,
  page: null,
  tuple: null,
  virtualxid: null,
  transactionid: null,
  classid: null,
  objid: null,
  objsubid: null,
  database: null,
  lockDatname: null,
  rowRelation: null,
}

/**
 * A session that waits, or one that others wait for; the lock columns are those of the lock it waits for, null for one that doesn't. A prepared
 * transaction has pid 0 and a gid. A blocker that ended between two readings has nulls.
 */
export type LockWait = LockObject & {
  readonly server: string
  readonly pid: number
  readonly gid: Untrusted | null
  /** 0 for a root, else one more than the blocker it hangs under. */
  readonly depth: number
  readonly rootPid: number
  readonly rootGid: Untrusted | null
  /** The blocker it hangs under: of those nearest to a root the one that holds up most. */
  readonly parentPid: number | null
  readonly parentGid: Untrusted | null
  /** All that it waits for, each once; 0 is a prepared transaction. */
  readonly blockedBy: readonly number[]
  /** The prepared transactions among them; null: one that has ended meanwhile. */
  readonly blockedByGids: readonly (Untrusted | null)[]
  /** Sessions that wait for it, directly or through others. */
  readonly blocksCount: number
  /** How long these have waited, taken together. Seconds. */
  readonly waitedSecondsTotal: number
  readonly waitSeconds: number | null
  /** True when the server doesn't say when the wait began: it can't be longer than `waitSeconds`. */
  readonly waitIsBound: boolean
  /** It waits in a ring, which PostgreSQL resolves after deadlock_timeout. */
  readonly cycle: boolean
  /** The strongest lock it holds that somebody waits for. */
  readonly held: LockObject | null
  readonly backend_type: Untrusted | null
  readonly backend_start: Untrusted | null
  /** Of a prepared transaction: when it was prepared. */
  readonly xact_start: Untrusted | null
  readonly query_start: Untrusted | null
  readonly leader_pid: number | null
  readonly datname: Untrusted | null
  readonly datid: bigint | null
  readonly usename: Untrusted | null
  readonly usesysid: bigint | null
  readonly application_name: Untrusted | null
  readonly client_addr: Untrusted | null
  readonly client_port: number | null
  readonly state: Untrusted | null
  readonly wait_event_type: Untrusted | null
  readonly wait_event: Untrusted | null
  /** Of a prepared transaction: since PREPARE. */
  readonly xactAgeSeconds: number | null
  readonly queryAgeSeconds: number | null
  readonly stateAgeSeconds: number | null
  /** Null: it has written nothing yet. */
  readonly backend_xid: bigint | null
  readonly query: Untrusted | null
  /** Our role may not see its state and query. */
  readonly restricted: boolean
}

type Node = {
  readonly pid: number
  readonly gid: Untrusted | null
  readonly row: LockRow | null
  readonly blockedBy: readonly number[]
  readonly waitSeconds: number | null
}

/** The name of a node: a pid, or 0 with the gid that tells prepared transactions apart. */
export function nodeId(pid: number, gid: Untrusted | null): string {
  return pid === 0 ? `0:${gid === null ? '' : raw(gid)}` : String(pid)
}

/**
 * One row for each session that waits and for each root, roots first: those that hold up most before others, and under each those that wait for
 * it, with every session once. A session that has got its lock meanwhile is left out. Takes a fraction of a second for 2000 sessions that
 * all wait for one row, where there are two million pairs of waiter and blocker.
 */
export function lockForest(server: string, rows: readonly LockRow[], names: Names): readonly LockWait[] {
  const held = heldByObject(rows)
  const { nodes, edges } = graph(rows, held)
  const shape = forest(nodes, edges)
  const objects = new Map<string, Untrusted>()
  for (const { row } of nodes)
    if (row?.row_relation != null) objects.set(objectKey(row), relationName(row.row_relation, row.row_relation_name)!)
  const strongest = strongestHeld(rows)
  return shape.order.map(index => wait(server, nodes, edges, shape, index, strongest, objects, names))
}

function objectKey(row: LockRow): string {
  const { locktype, lock_database, relation, page, tuple, virtualxid, transactionid, classid, objid, objsubid } = row
  return [locktype, lock_database, relation, page, tuple, virtualxid, transactionid, classid, objid, objsubid].join(' ')
}

function heldByObject(rows: readonly LockRow[]): ReadonlyMap<string, readonly LockRow[]> {
  return Map.groupBy(
    rows.filter(row => is(row.kind, 'held')),
    objectKey,
  )
}

function strongestHeld(rows: readonly LockRow[]): ReadonlyMap<string, LockRow> {
  const strongest = new Map<string, LockRow>()
  for (const row of rows) {
    if (!is(row.kind, 'held') || strength(row.mode) < 0) continue
    const id = nodeId(row.pid, row.gid)
    const before = strongest.get(id)
    if (!before || strength(row.mode) > strength(before.mode)) strongest.set(id, row)
  }
  return strongest
}

/** Nodes, and for each the indexes of those it waits for. */
function graph(
  rows: readonly LockRow[],
  held: ReadonlyMap<string, readonly LockRow[]>,
): { nodes: readonly Node[]; edges: readonly Int32Array[] } {
  const sessions = new Map<number, LockRow>()
  for (const row of rows) if (is(row.kind, 'session')) sessions.set(row.pid, row)
  const nodes: Node[] = []
  // Sessions by pid apart from prepared transactions by gid: millions of look-ups go by number.
  const byPid = new Map<number, number>()
  const byGid = new Map<string, number>()
  const session = (pid: number): number => {
    const known = byPid.get(pid)
    if (known !== undefined) return known
    byPid.set(pid, nodes.length)
    nodes.push({ pid, gid: null, row: sessions.get(pid) ?? null, blockedBy: [], waitSeconds: null })
    return nodes.length - 1
  }
  const prepared = (holder: LockRow | null): number => {
    const gid = holder?.gid ?? null
    const known = byGid.get(nodeId(0, gid))
    if (known !== undefined) return known
    byGid.set(nodeId(0, gid), nodes.length)
    nodes.push({ pid: 0, gid, row: holder, blockedBy: [], waitSeconds: null })
    return nodes.length - 1
  }

  for (const row of sessions.values()) {
    if (row.blocked_by === null) continue
    const blockedBy = blockersOf(row, held)
    // It had its lock by the time its blockers were asked for. Of replay no blockers need be known.
    if (blockedBy.length === 0 && !is(row.backend_type, 'startup')) continue
    byPid.set(row.pid, nodes.length)
    nodes.push({ pid: row.pid, gid: null, row, blockedBy, waitSeconds: blockedBy.length === 0 ? null : waited(row) })
  }
  const edges: Int32Array[] = []
  // By node: the last waiter that was told to wait for it. pg_blocking_pids repeats members of a parallel query.
  const toldBy: number[] = []
  for (const [index, { row, blockedBy }] of [...nodes].entries()) {
    const into: number[] = []
    const add = (blocker: number) => {
      if (toldBy[blocker] !== index && blocker !== index) into.push(blocker)
      toldBy[blocker] = index
    }
    for (const pid of blockedBy) {
      if (pid !== 0) add(session(pid))
      else for (const holder of preparedHolders(row!, held)) add(prepared(holder))
    }
    edges.push(Int32Array.from(into))
    // Several prepared transactions are several nodes, all of them called 0.
    if (into.length !== blockedBy.length || blockedBy.indexOf(0) !== blockedBy.lastIndexOf(0))
      nodes[index] = { ...nodes[index]!, blockedBy: [...new Set(blockedBy)].filter(pid => pid !== row!.pid) }
  }
  const none = new Int32Array(0)
  while (edges.length < nodes.length) edges.push(none)
  return { nodes, edges }
}

/** pg_blocking_pids; of replay, about which that is silent, the holders of what it wants. */
function blockersOf(row: LockRow, held: ReadonlyMap<string, readonly LockRow[]>): readonly number[] {
  const given = row.blocked_by ?? []
  return given.length === 0 && is(row.backend_type, 'startup') ? holders(row, held).map(holder => holder.pid) : given
}

function holders(waiter: LockRow, held: ReadonlyMap<string, readonly LockRow[]>): readonly LockRow[] {
  return (held.get(objectKey(waiter)) ?? []).filter(holder => conflicts(holder.mode, waiter.mode))
}

// One that has ended meanwhile still was what the session waited for: null.
function preparedHolders(waiter: LockRow, held: ReadonlyMap<string, readonly LockRow[]>): readonly (LockRow | null)[] {
  const found = holders(waiter, held).filter(holder => holder.pid === 0)
  return found.length > 0 ? found : [null]
}

// Before PostgreSQL 14, and when the lock was just granted, only a bound is known: it can't have waited longer than in this state.
const waited = (row: LockRow) => seconds(row.wait_seconds ?? row.state_age_seconds)
const seconds = (value: number | null) => (value === null ? null : Math.max(0, value))

function wait(
  server: string,
  nodes: readonly Node[],
  edges: readonly Int32Array[],
  shape: Forest,
  index: number,
  strongest: ReadonlyMap<string, LockRow>,
  rowRelations: ReadonlyMap<string, Untrusted>,
  names: Names,
): LockWait {
  const node = nodes[index]!
  const { row } = node
  const session = row && is(row.kind, 'session') ? row : null
  const parent = shape.parent[index]! < 0 ? null : nodes[shape.parent[index]!]!
  const root = nodes[shape.root[index]!]!
  const waits = node.blockedBy.length > 0 || is(session?.backend_type ?? null, 'startup')
  const holds = strongest.get(nodeId(node.pid, node.gid))
  return {
    server,
    pid: node.pid,
    gid: node.gid,
    depth: shape.depth[index]!,
    rootPid: root.pid,
    rootGid: root.gid,
    parentPid: parent?.pid ?? null,
    parentGid: parent?.gid ?? null,
    blockedBy: node.blockedBy,
    blockedByGids: node.blockedBy.includes(0)
      ? [...edges[index]!].filter(other => nodes[other]!.pid === 0).map(other => nodes[other]!.gid)
      : [],
    blocksCount: shape.blocks[index]!,
    waitedSecondsTotal: shape.waited[index]!,
    waitSeconds: node.waitSeconds,
    waitIsBound: node.waitSeconds !== null && session?.wait_seconds === null,
    cycle: shape.cycle[index]!,
    ...(session && waits ? lockObject(session, rowRelations, names) : noObject),
    held: holds ? lockObject(holds, rowRelations, names) : null,
    backend_type: session?.backend_type ?? null,
    backend_start: session?.backend_start ?? null,
    xact_start: row?.xact_start ?? null,
    query_start: session?.query_start ?? null,
    leader_pid: session?.leader_pid ?? null,
    datid: row?.datid ?? null,
    datname: row?.datid == null ? null : (names.databases.get(row.datid) ?? null),
    usesysid: row?.usesysid ?? null,
    usename: row?.usesysid == null ? null : (names.roles.get(row.usesysid) ?? null),
    application_name: session?.application_name ?? null,
    client_addr: session?.client_addr ?? null,
    client_port: session?.client_port ?? null,
    state: session?.state ?? null,
    wait_event_type: session?.wait_event_type ?? null,
    wait_event: session?.wait_event ?? null,
    xactAgeSeconds: seconds(row?.xact_age_seconds ?? null),
    queryAgeSeconds: seconds(row?.query_age_seconds ?? null),
    stateAgeSeconds: seconds(row?.state_age_seconds ?? null),
    backend_xid: session?.backend_xid ?? null,
    query: session?.query ?? null,
    restricted: session !== null && session.backend_type === null,
  }
}

function lockObject(row: LockRow, rowRelations: ReadonlyMap<string, Untrusted>, names: Names): LockObject {
  return {
    locktype: row.locktype,
    mode: row.mode,
    relation: relationName(row.relation, row.relation_name),
    page: row.page,
    tuple: row.tuple,
    virtualxid: row.virtualxid,
    transactionid: row.transactionid,
    classid: row.classid,
    objid: row.objid,
    objsubid: row.objsubid,
    database: row.lock_database,
    lockDatname: row.lock_database === null ? null : (names.databases.get(row.lock_database) ?? null),
    rowRelation: rowRelations.get(objectKey(row)) ?? null,
  }
}

function relationName(oid: bigint | null, name: Untrusted | null): Untrusted | null {
  return name ?? (oid === null ? null : untrusted(String(oid)))
}

/** What a lock is on, in a few words: "accounts", "row of accounts", "accounts (0,1)", "advisory 42". Not drawable: names are in it. */
export function objectWords(object: LockObject): string {
  const { locktype, transactionid, virtualxid, page, tuple } = object
  if (locktype === null) return ''
  const relation = object.relation === null ? '' : raw(object.relation).replace(/^public\./, '')
  const place =
    object.relation !== null && /^\d+$/.test(relation) && object.lockDatname !== null
      ? `${relation} in ${raw(object.lockDatname)}`
      : relation
  switch (raw(locktype)) {
    case 'relation':
      return place
    case 'tuple':
      return `${place} (${page},${tuple})`
    case 'page':
      return `${place} page ${page}`
    case 'extend':
      return `${place} extend`
    case 'transactionid':
      return object.rowRelation === null ? `xid ${transactionid}` : `row of ${raw(object.rowRelation).replace(/^public\./, '')}`
    case 'virtualxid':
      return `virtualxid ${virtualxid === null ? '' : raw(virtualxid)}`
    case 'advisory':
      return `advisory ${advisoryKey(object)}`
    default:
      return [raw(locktype), object.classid, object.objid].filter(part => part !== null).join(' ')
  }
}

// One 64-bit key has objsubid 1, two 32-bit keys have 2; the halves are unsigned, the keys signed.
function advisoryKey({ classid, objid, objsubid }: LockObject): string {
  if (classid === null || objid === null) return ''
  if (objsubid === 1) return String(BigInt.asIntN(64, (classid << 32n) | objid))
  return `${BigInt.asIntN(32, classid)}, ${BigInt.asIntN(32, objid)}`
}
