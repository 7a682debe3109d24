import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { conflicts } from '../../src/model/lock-modes.ts'
import { type LockWait, lockForest, objectWords } from '../../src/model/locks.ts'
import { untrusted } from '../../src/model/untrusted.ts'
import { type LockRow, locks } from '../../src/sql/locks.ts'
import { sampleOf } from '../support/state.ts'

const names = {
  databases: new Map([[5n, untrusted('app')]]),
  roles: new Map([[10n, untrusted('dba')]]),
  superusers: new Set<bigint>(),
  privileges: new Set<bigint>(),
}
const session = {
  kind: 'session',
  backend_type: 'client backend',
  backend_start: '2026-11-23 12:00:00+00',
  datid: 5n,
  usesysid: 10n,
  state: 'active',
}
const onTable = {
  locktype: 'relation',
  mode: 'AccessExclusiveLock',
  lock_database: 5n,
  relation: 16384n,
  relation_name: 'public.hot',
}
const onXid = {
  locktype: 'transactionid',
  mode: 'ShareLock',
  transactionid: 700n,
  lock_database: null,
  relation: null,
  relation_name: null,
}

const waiter = (pid: number, blocked_by: readonly number[], more: object = {}) => ({
  ...session,
  ...onTable,
  pid,
  blocked_by,
  wait_seconds: 1,
  ...more,
})
const holder = (pid: number, more: object = {}) => ({ ...session, pid, ...more })
const held = (pid: number, object: object, more: object = {}) => ({ kind: 'held', pid, ...object, ...more })

function forest(...rows: readonly object[]): readonly LockWait[] {
  return lockForest('a', sampleOf(locks, rows as never).rows as unknown as readonly LockRow[], names)
}

const shape = (rows: readonly LockWait[]) => rows.map(row => [row.pid, row.depth, row.blocksCount, row.rootPid])
const find = (rows: readonly LockWait[], pid: number) => rows.find(row => row.pid === pid)!

test('nobody waits: no rows', () => {
  expect(forest()).toEqual([])
  expect(forest(holder(1))).toEqual([])
})

test('roots come first, the one that holds up most before others; children by what they hold up', () => {
  const rows = forest(waiter(5, [1]), waiter(6, [2]), waiter(7, [2, 6]), waiter(8, [2, 6, 7]), holder(1), holder(2))
  expect(shape(rows)).toEqual([
    [2, 0, 3, 2],
    [6, 1, 2, 2],
    [7, 1, 1, 2],
    [8, 1, 0, 2],
    [1, 0, 1, 1],
    [5, 1, 0, 1],
  ])
})

test('a waiter hangs under the nearest blocker to a root; of equals under the one that holds up most, then the lowest pid', () => {
  const rows = forest(
    waiter(10, [1]),
    waiter(11, [1]),
    waiter(12, [1, 2]),
    waiter(13, [10, 11]),
    waiter(14, [11]),
    waiter(15, [14, 10]),
    holder(1),
    holder(2),
  )
  expect(find(rows, 12)).toMatchObject({ parentPid: 1, depth: 1, rootPid: 1, blockedBy: [1, 2] })
  expect(find(rows, 13)).toMatchObject({ parentPid: 11, depth: 2 })
  expect(find(rows, 15)).toMatchObject({ parentPid: 10, depth: 2 })
  expect(find(rows, 2)).toMatchObject({ depth: 0, blocksCount: 1 })
})

test('what a root holds up is counted once, with the waits of all behind it', () => {
  const rows = forest(
    waiter(2, [1], { wait_seconds: 10 }),
    waiter(3, [1, 2], { wait_seconds: 5 }),
    waiter(4, [2, 3], { wait_seconds: 1 }),
    holder(1),
  )
  expect(rows.map(row => [row.pid, row.blocksCount, row.waitedSecondsTotal])).toEqual([
    [1, 3, 16],
    [2, 2, 6],
    [4, 0, 0],
    [3, 1, 1],
  ])
  expect(find(rows, 1).waitSeconds).toBeNull()
})

test('pids that pg_blocking_pids repeats are told once', () => {
  const rows = forest(waiter(2, [1, 1, 3, 1]), holder(1), holder(3))
  expect(find(rows, 2).blockedBy).toEqual([1, 3])
  expect(rows).toHaveLength(3)
  expect(find(rows, 1).blocksCount).toBe(1)
})

test('a blocker that has ended meanwhile is a root of which only the pid is known', () => {
  const rows = forest(waiter(2, [999]))
  expect(rows[0]).toMatchObject({
    pid: 999,
    depth: 0,
    blocksCount: 1,
    blockedBy: [],
    state: null,
    query: null,
    usename: null,
    restricted: false,
  })
  expect(find(rows, 2)).toMatchObject({ parentPid: 999, depth: 1 })
})

test('a session that has got its lock meanwhile is no waiter; it may still hold up others', () => {
  expect(forest(waiter(2, []))).toEqual([])
  const rows = forest(waiter(2, []), waiter(3, [2]))
  expect(shape(rows)).toEqual([
    [2, 0, 1, 2],
    [3, 1, 0, 2],
  ])
  expect(rows[0]).toMatchObject({ mode: null, locktype: null, waitSeconds: null })
})

describe('prepared transactions', () => {
  const xid = { ...onXid, mode: 'ExclusiveLock' }

  test('two are two roots, each over those that wait for its own locks', () => {
    const rows = forest(
      waiter(2, [0], onXid),
      waiter(3, [0], { ...onXid, transactionid: 701n }),
      held(0, xid, { gid: 'one', datid: 5n, usesysid: 10n, xact_age_seconds: 60 }),
      held(0, { ...xid, transactionid: 701n }, { gid: 'two', xact_age_seconds: 30 }),
    )
    const roots = rows.filter(row => row.depth === 0)
    expect(roots.map(row => [row.pid, row.gid, row.blocksCount])).toEqual([
      [0, 'one', 1],
      [0, 'two', 1],
    ])
    expect(roots[0]).toMatchObject({
      datname: 'app',
      usename: 'dba',
      xactAgeSeconds: 60,
      blockedBy: [],
      held: { mode: 'ExclusiveLock' },
    })
    expect(find(rows, 3)).toMatchObject({ rootPid: 0, rootGid: 'two', parentGid: 'two', blockedBy: [0] })
  })

  test('two that block one session are two roots, and one 0 among its blockers', () => {
    const rows = forest(
      waiter(2, [0, 0, 4], { mode: 'AccessExclusiveLock' }),
      holder(4),
      held(0, { ...onTable, mode: 'RowExclusiveLock' }, { gid: 'writer' }),
      held(0, { ...onTable, mode: 'AccessShareLock' }, { gid: 'reader' }),
    )
    expect(rows.filter(row => row.depth === 0).map(row => [row.pid, row.gid, row.blocksCount])).toEqual([
      [0, 'writer', 1],
      [0, 'reader', 1],
      [4, null, 1],
    ])
    expect(find(rows, 2).blockedBy).toEqual([0, 4])
  })

  test('one whose lock on the same table does not conflict is none of it', () => {
    const rows = forest(
      waiter(2, [0], { mode: 'ShareLock' }),
      held(0, { ...onTable, mode: 'RowExclusiveLock' }, { gid: 'writer' }),
      held(0, { ...onTable, mode: 'AccessShareLock' }, { gid: 'reader' }),
    )
    expect(rows.map(row => row.gid)).toEqual(['writer', null])
  })

  test('one that ended meanwhile is still a root, without a gid', () => {
    const rows = forest(waiter(2, [0]))
    expect(rows[0]).toMatchObject({ pid: 0, gid: null, depth: 0, blocksCount: 1 })
  })
})

describe('rings', () => {
  test('two that wait for each other are shown once each, under the lower pid', () => {
    const rows = forest(waiter(9, [4]), waiter(4, [9]), waiter(5, [9]))
    expect(rows.map(row => [row.pid, row.depth, row.parentPid, row.cycle])).toEqual([
      [4, 0, null, true],
      [9, 1, 4, true],
      [5, 2, 9, false],
    ])
    expect(rows.map(row => row.blocksCount)).toEqual([2, 2, 0])
    expect(rows[0]!.blockedBy).toEqual([9])
  })

  test('a ring that also waits for a root hangs under that root', () => {
    const rows = forest(waiter(2, [3, 1]), waiter(3, [2]), holder(1))
    expect(shape(rows)).toEqual([
      [1, 0, 2, 1],
      [2, 1, 1, 1],
      [3, 2, 1, 1],
    ])
  })
})

describe('how long', () => {
  test('as the server measured it; before 14 no longer than the session has been in its state', () => {
    const rows = forest(
      waiter(2, [1], { wait_seconds: 3, state_age_seconds: 90 }),
      waiter(3, [1], { wait_seconds: null, state_age_seconds: 90 }),
      holder(1),
    )
    expect(find(rows, 2)).toMatchObject({ waitSeconds: 3, waitIsBound: false })
    expect(find(rows, 3)).toMatchObject({ waitSeconds: 90, waitIsBound: true })
  })

  test('never negative, and null when nothing is known', () => {
    const rows = forest(waiter(2, [1], { wait_seconds: -0.01 }), waiter(3, [1], { wait_seconds: null }), holder(1))
    expect(rows.filter(row => row.depth === 1).map(row => row.waitSeconds)).toEqual([0, null])
    expect(find(rows, 1).waitedSecondsTotal).toBe(0)
  })
})

describe('replay on a standby', () => {
  const startup = { backend_type: 'startup', state: null, wait_event_type: 'Lock', wait_event: 'relation' }

  test('pg_blocking_pids is silent, so the holders of what it wants are found by the object', () => {
    const rows = forest(
      waiter(2, [], startup),
      holder(7),
      holder(8),
      held(7, { ...onTable, mode: 'AccessShareLock' }),
      held(8, { ...onTable, relation: 16999n, mode: 'AccessShareLock' }),
      waiter(9, [2], { relation: 16999n }),
    )
    expect(shape(rows)).toEqual([
      [7, 0, 2, 7],
      [2, 1, 1, 7],
      [9, 2, 0, 7],
    ])
    expect(find(rows, 2).blockedBy).toEqual([7])
  })

  test('a snapshot conflict has no lock: it waits, and nobody can say for whom', () => {
    const noLock = { locktype: null, mode: null, lock_database: null, relation: null, relation_name: null, wait_seconds: null }
    const rows = forest(waiter(2, [], { ...startup, ...noLock, wait_event_type: 'IPC', wait_event: 'RecoveryConflictSnapshot' }))
    expect(rows).toHaveLength(1)
    expect(rows[0]).toMatchObject({ pid: 2, depth: 0, blockedBy: [], waitSeconds: null, wait_event: 'RecoveryConflictSnapshot' })
  })
})

describe('objects', () => {
  test('a relation of another database, or without a name, is its oid', () => {
    const far = { lock_database: 6n, relation_name: null }
    const rows = forest(waiter(2, [1], far), holder(1))
    expect(find(rows, 2)).toMatchObject({ relation: '16384', database: 6n, lockDatname: null })
    expect(objectWords(find(rows, 2))).toBe('16384')
    expect(objectWords(find(forest(waiter(2, [1], { relation_name: null }), holder(1)), 2))).toBe('16384 in app')
  })

  test('a wait for another transaction tells the row`s table where there is one, and so does its root', () => {
    const rows = forest(
      waiter(2, [1], { ...onXid, row_relation: 16384n, row_relation_name: 'public.hot' }),
      holder(1),
      held(1, { ...onXid, mode: 'ExclusiveLock' }),
    )
    expect(find(rows, 2)).toMatchObject({ relation: null, rowRelation: 'public.hot', mode: 'ShareLock' })
    expect(rows.map(row => objectWords(row.locktype === null ? row.held! : row))).toEqual(['row of hot', 'row of hot'])
    expect(objectWords(find(forest(waiter(2, [1], onXid), holder(1)), 2))).toBe('xid 700')
  })

  test('of several locks that others wait for the strongest is told', () => {
    const rows = forest(
      waiter(2, [1]),
      holder(1),
      held(1, { ...onTable, mode: 'RowShareLock' }),
      held(1, { ...onTable, mode: 'ExclusiveLock' }),
      held(1, { ...onTable, mode: 'SIReadLock' }),
    )
    expect(find(rows, 1).held).toMatchObject({ mode: 'ExclusiveLock', relation: 'public.hot' })
    expect(find(rows, 2).held).toBeNull()
  })

  test('advisory keys as they were given', () => {
    const words = (classid: bigint, objid: bigint, objsubid: number) =>
      objectWords({
        ...find(forest(waiter(2, [1]), holder(1)), 2),
        locktype: untrusted('advisory'),
        relation: null,
        classid,
        objid,
        objsubid,
      })
    expect(words(0n, 42n, 1)).toBe('advisory 42')
    expect(words(0xffffffffn, 0xfffffff9n, 1)).toBe('advisory -7')
    expect(words(1n, 0xffffffffn, 2)).toBe('advisory 1, -1')
  })

  test('conflicts go both ways, and only AccessExclusive keeps readers out', () => {
    const modes = [
      'AccessShare',
      'RowShare',
      'RowExclusive',
      'ShareUpdateExclusive',
      'Share',
      'ShareRowExclusive',
      'Exclusive',
      'AccessExclusive',
    ]
    const all = modes.map(mode => untrusted(`${mode}Lock`))
    for (const a of all) for (const b of all) expect(conflicts(a, b)).toBe(conflicts(b, a))
    expect(all.map(mode => all.filter(other => conflicts(mode, other)).length)).toEqual([1, 2, 4, 5, 5, 6, 7, 8])
    expect(all.filter(mode => conflicts(mode, all[0]!))).toEqual(['AccessExclusiveLock'])
    expect(conflicts(all[4]!, all[4]!)).toBe(false)
    expect(conflicts(untrusted('SIReadLock'), all[7]!)).toBe(false)
  })
})

test('a role without privileges: the forest is there, what may not be seen is restricted', () => {
  const hidden = { backend_type: null, state: null, backend_start: null }
  const rows = forest(waiter(2, [1], hidden), holder(1, hidden))
  expect(rows.map(row => [row.pid, row.restricted, row.depth])).toEqual([
    [1, true, 0],
    [2, true, 1],
  ])
})

test('2000 that wait for one row, each for all before it, and a serial pile-up of 2000', () => {
  const pids = Array.from({ length: 2000 }, (_, i) => 1000 + i)
  const crowd = forest(holder(1), ...pids.map((pid, i) => waiter(pid, i === 0 ? [1] : pids.slice(0, i))))
  expect(crowd).toHaveLength(2001)
  expect(crowd[0]).toMatchObject({ pid: 1, blocksCount: 2000, waitedSecondsTotal: 2000 })
  expect(crowd[1]).toMatchObject({ pid: 1000, depth: 1, blocksCount: 1999 })
  expect(crowd.slice(2).every(row => row.depth === 2 && row.parentPid === 1000)).toBe(true)
  const chain = forest(holder(1), ...pids.map((pid, i) => waiter(pid, [i === 0 ? 1 : pid - 1])))
  expect(chain.map(row => row.depth)).toEqual(Array.from({ length: 2001 }, (_, i) => i))
  expect(chain.map(row => row.blocksCount)).toEqual(Array.from({ length: 2001 }, (_, i) => 2000 - i))
})

test('whatever waits for whatever: each once, one deeper than the nearest blocker, and counts as walking the graph gives them', () => {
  const graphs = fc.uniqueArray(
    fc.record({
      pid: fc.integer({ min: 1, max: 14 }),
      by: fc.uniqueArray(fc.integer({ min: 1, max: 14 }), { minLength: 1, maxLength: 5 }),
    }),
    { selector: ({ pid }) => pid, maxLength: 14 },
  )
  fc.assert(
    fc.property(graphs, graph => {
      const edges = new Map(
        graph.map(({ pid, by }) => [pid, by.filter(other => other !== pid)]).filter(([, by]) => (by as number[]).length > 0) as [
          number,
          number[],
        ][],
      )
      const rows = forest(...[...edges].map(([pid, by]) => waiter(pid, by)))
      const involved = new Set([...edges].flatMap(([pid, by]) => [pid, ...by]))
      expect(rows.map(row => row.pid).toSorted((a, b) => a - b)).toEqual([...involved].toSorted((a, b) => a - b))
      const reach = (from: number): Set<number> => {
        const seen = new Set<number>()
        const open = [from]
        while (open.length > 0) {
          const next = open.pop()!
          for (const [pid, by] of edges) {
            if (!by.includes(next) || seen.has(pid)) continue
            seen.add(pid)
            open.push(pid)
          }
        }
        seen.delete(from)
        return seen
      }
      const at = new Map(rows.map((row, index) => [row.pid, index]))
      for (const row of rows) {
        expect(row.blocksCount).toBe(reach(row.pid).size)
        expect(row.cycle).toBe((edges.get(row.pid) ?? []).some(by => reach(row.pid).has(by)))
        if (row.depth === 0) {
          expect(row.rootPid).toBe(row.pid)
          expect(row.blockedBy.length === 0 || row.cycle).toBe(true)
          continue
        }
        const parent = rows[at.get(row.parentPid!)!]!
        expect(row.blockedBy).toContain(parent.pid)
        expect(row.depth).toBe(1 + Math.min(...row.blockedBy.map(pid => find(rows, pid).depth)))
        expect(row.rootPid).toBe(parent.rootPid)
        expect(at.get(row.pid)).toBeGreaterThan(at.get(parent.pid)!)
      }
    }),
    { numRuns: 300 },
  )
})
