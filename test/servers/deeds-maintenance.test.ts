// VACUUM, ANALYZE, REINDEX and DROP INDEX on real servers: what they do to the table that was meant and to no other, what is passed over, who
// is in the way, and what a REINDEX that is cancelled leaves behind.

import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { leftIndexes } from '../../src/actions/index-targets.ts'
import { connect } from '../../src/lab/client.ts'
import { temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, type PostgresVersion, startPostgres } from '../../src/lab/postgres.ts'
import { locksList } from '../../src/panels/locks.ts'
import { type AnyList, type AnyRow, list } from '../../src/panels/panel.ts'
import { progressPanel } from '../../src/panels/progress.ts'
import { tablesPanel } from '../../src/panels/tables.ts'
import { workLines } from '../../src/panels/works.ts'
import { activity } from '../../src/sql/activity.ts'
import { relationUsers } from '../../src/sql/maintenance.ts'
import type { Confirm, Work } from '../../src/store/state.ts'
import { type Acting, type Asked, acting } from '../support/acting.ts'

const folder = temporaryFolder('pgvigil-maintenance')
afterAll(() => folder.remove())

const [tables, indexes] = tablesPanel.lists as readonly [AnyList, AnyList]
const [progress] = progressPanel.lists as readonly [AnyList]
/** What a question asks for besides. */
const around = list({ ...(locksList as AnyList), needs: [...locksList.needs, activity, relationUsers] })

const hostile = `T "1"; DROP\n\u001b[31m TABLE é`
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`
const said = ({ items }: Work) => items.map(({ outcome, say }) => `${outcome}: ${say}`)

describe.each([13, 14, 15, 16, 17, 18] as PostgresVersion[])('PostgreSQL %i', version => {
  let server: PostgresServer
  let admin: pg.Client
  let hands: Acting | null = null
  let clients: pg.Client[] = []

  const open = async (name: string, user = 'postgres') => {
    const client = await connect({ port: server.port, application_name: name, user })
    client.on('error', () => {})
    clients.push(client)
    return client
  }
  const one = async (text: string, values: readonly unknown[] = []) => (await admin.query(text, [...values])).rows[0]
  const act = (user = 'postgres') => {
    const conninfo = server.conninfo.replace('postgres@', `${user}@`)
    hands = acting([{ id: 'pg', conninfo }], [tables, indexes, progress, around])
    return hands
  }
  const table = async (of: Acting, qualified: string) => {
    // Before it is known who is a superuser no GRANT of an owner is told.
    await of.until(({ servers: { pg } }) => (pg?.readings.names?.sample?.rows.length ?? 0) > 0, 'names')
    return of.row(tables, row => row.qualified === qualified && row.total_bytes !== null, `the table ${qualified}`)
  }
  const index = (of: Acting, qualified: string, is: (row: AnyRow) => boolean = () => true) =>
    of.row(indexes, row => row.qualified === qualified && is(row), `the index ${qualified}`)
  /** What follows, as the question says once it has asked who uses the tables. */
  const openQuestion = async (of: Acting, asked: Asked) => {
    const { view } = of.store.getState()
    const dialog = { kind: 'confirm', action: asked.action.id, targets: asked.targets, watches: [] } as unknown as Confirm
    of.store.setState({ view: { ...view, dialog } })
    const from = Date.now()
    await of.until(
      ({ servers: { pg } }) => [relationUsers, activity].every(({ id }) => (pg?.readings[id]?.sample?.at ?? 0) > from),
      'who uses it',
    )
    const told = asked.action.ask(asked.targets, of.state()).follows.map(({ text }) => text)
    of.store.setState({ view })
    return told.join('\n')
  }
  const lines = (of: Acting) =>
    workLines(of.state())
      .map(({ text }) => text.trim())
      .join(' ')
  const invalid = async () =>
    (await admin.query(`SELECT indexrelid::regclass::text AS name FROM pg_index WHERE NOT indisvalid`)).rows.map(
      ({ name }) => name,
    )

  beforeAll(async () => {
    server = await startPostgres({ version, dir: folder.path, settings: { autovacuum: false } })
    admin = await connect({ port: server.port })
    await admin.query(`
      CREATE ROLE owner_r LOGIN; CREATE ROLE plain LOGIN; GRANT pg_monitor TO plain, owner_r;
      CREATE SCHEMA "My Sch"; GRANT USAGE ON SCHEMA "My Sch" TO PUBLIC;
      CREATE TABLE "My Sch".${quoted(hostile)} (id int PRIMARY KEY, v text);
      INSERT INTO "My Sch".${quoted(hostile)} SELECT i, repeat('x', 100) FROM generate_series(1, 2000) i;
      DELETE FROM "My Sch".${quoted(hostile)} WHERE id % 2 = 0;
      CREATE TABLE "My Sch"."t" (id int PRIMARY KEY);
      CREATE TABLE mine (id int PRIMARY KEY, v text); ALTER TABLE mine OWNER TO owner_r;
      INSERT INTO mine SELECT i, repeat('x', 100) FROM generate_series(1, 5000) i;
      CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
      CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (1000);
      CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (1000) TO (2000);
      INSERT INTO parted SELECT i FROM generate_series(0, 1999) i;
      CREATE TABLE plain_table (id int)`)
  })
  afterEach(async () => {
    hands?.stop()
    hands = null
    await Promise.all(clients.map(client => client.end().catch(() => {})))
    clients = []
  })
  afterAll(async () => {
    await admin?.end()
    await server?.stop('immediate')
  })

  test('each deed hits the table with the hostile name, and no other', async () => {
    const name = `"My Sch".${quoted(hostile)}`
    const counts = () =>
      one(
        `SELECT pg_stat_get_vacuum_count(c.oid)::int AS vacuums, pg_stat_get_analyze_count(c.oid)::int AS analyzes, c.relfilenode, i.relfilenode AS index_file,
                (SELECT sum(pg_stat_get_vacuum_count(o.oid) + pg_stat_get_analyze_count(o.oid))::int FROM pg_class o WHERE o.relkind = 'r' AND o.oid > 16384 AND o.oid <> c.oid) AS others
           FROM pg_class c JOIN pg_index x ON x.indrelid = c.oid JOIN pg_class i ON i.oid = x.indexrelid WHERE c.oid = $1::regclass`,
        [name],
      )
    const of = act()
    const row = await table(of, name)
    const told = async (after: (now: Awaited<ReturnType<typeof counts>>) => boolean) => {
      const deadline = Date.now() + 5000
      for (;;) {
        const now = await counts()
        if (after(now)) return
        if (Date.now() > deadline) throw new Error(`not so: ${JSON.stringify(now)}`)
        await new Promise(resolve => setTimeout(resolve, 50))
      }
    }
    const before = await counts()
    const steps: readonly (readonly [string, string, (now: typeof before) => boolean])[] = [
      ['vacuumAnalyze', `VACUUM (ANALYZE) ${name}`, now => now.vacuums === 1 && now.analyzes === 1],
      ['vacuum', `VACUUM ${name}`, now => now.vacuums === 2 && now.analyzes === 1],
      ['analyze', `ANALYZE ${name}`, now => now.vacuums === 2 && now.analyzes === 2],
      ['vacuumFreeze', `VACUUM (FREEZE) ${name}`, now => now.vacuums === 3],
      ['reindexTable', `REINDEX TABLE CONCURRENTLY ${name}`, now => now.index_file !== before.index_file],
      ['vacuumFull', `VACUUM (FULL) ${name}`, now => now.relfilenode !== before.relfilenode],
    ]
    for (const [id, sql, isSo] of steps) {
      const asked = of.ask(id, [row]) as Asked
      expect(asked.sql).toEqual([sql])
      const work = await of.confirm(asked)
      expect(said(work), id).toEqual([expect.stringMatching(/^done: done in [\d.]+m?s(; [\d.]+ k?B freed, .+ left)?$/)])
      await told(isSo)
    }
    const pkey = `"My Sch".${quoted(`${hostile}_pkey`)}`
    const file = (await counts()).index_file
    const oid = BigInt((await one('SELECT $1::regclass::oid::int8 AS oid', [pkey])).oid)
    const asked = of.ask('reindexIndex', [await index(of, pkey, row => row.indexrelid === oid)]) as Asked
    expect(asked.sql).toEqual([`REINDEX INDEX CONCURRENTLY ${pkey}`])
    expect(said(await of.confirm(asked))).toEqual([expect.stringMatching(/^done: /)])
    await told(now => now.index_file !== file && now.others === before.others)
    expect(await invalid()).toEqual([])
    expect(of.audit().filter(({ phase }) => phase === 'ended')).toHaveLength(7)
    expect(of.audit()[0]).toMatchObject({ action: 'vacuumAnalyze', sql: `VACUUM (ANALYZE) ${name}`, target: { table: name } })
  })

  test('a role without the right: skipped, with the GRANT that helps', async () => {
    const of = act('plain')
    const row = await table(of, 'public.mine')
    const grant = version >= 17 ? 'GRANT pg_maintain TO plain;' : 'GRANT owner_r TO plain;'
    const asked = of.ask('vacuumAnalyze', [row]) as Asked
    expect(asked.question.follows[0]).toMatchObject({
      text: expect.stringMatching(/^the table will be skipped: permission denied; GRANT /),
      tone: 'critical',
    })
    for (const id of ['vacuumAnalyze', 'analyze', 'vacuumFreeze', 'vacuumFull']) {
      const work = await of.confirm(of.ask(id, [row]))
      expect(work.items[0], id).toMatchObject({ outcome: 'skipped', say: expect.stringContaining('skipped: permission denied') })
      expect(work.items[0]!.say).toContain(grant)
    }
    expect(of.ask('reindexTable', [row])).toMatch(new RegExp(`^no right: ${grant}`))
    expect(await one(`SELECT pg_stat_get_vacuum_count('mine'::regclass)::int AS n`)).toEqual({ n: 0 })
    await admin.query(grant)
    try {
      const again = act('plain')
      const mine = await again.row(tables, one => one.qualified === 'public.mine' && one.maintains === true, 'the right')
      expect(said(await again.confirm(again.ask('vacuumAnalyze', [mine])))).toEqual([expect.stringMatching(/^done: /)])
      expect(said(await again.confirm(again.ask('reindexTable', [mine])))).toEqual([expect.stringMatching(/^done: /)])
      again.stop()
    } finally {
      await admin.query(grant.replace('GRANT', 'REVOKE').replace(' TO ', ' FROM '))
    }
  })

  test('a table that somebody holds is passed over after 3 s, with his name; the next one is done', async () => {
    const of = act()
    const rows = [await table(of, 'public.mine'), await table(of, 'public.plain_table')]
    const holder = await open('nightly')
    await holder.query('BEGIN; LOCK TABLE mine IN SHARE UPDATE EXCLUSIVE MODE')
    const { pid } = (await holder.query('SELECT pg_backend_pid() AS pid')).rows[0]
    const work = await of.confirm(of.ask('vacuumAnalyze', rows))
    expect(said(work)).toEqual([
      expect.stringMatching(
        new RegExp(
          `^skipped: skipped: locked for more than 3 s: pid ${pid} \\(postgres/nightly, idle in transaction, open for .+\\) in ShareUpdateExclusiveLock$`,
        ),
      ),
      expect.stringMatching(/^done: /),
    ])
    const rebuilt = await of.confirm(of.ask('reindexTable', [rows[0] as AnyRow]))
    expect(said(rebuilt)).toEqual([expect.stringMatching(new RegExp(`^skipped: skipped: locked for more than 3 s: pid ${pid} `))])
    expect(await invalid()).toEqual([])
    await holder.query('COMMIT; BEGIN; SELECT count(*) FROM mine')
    const full = of.ask('vacuumFull', [rows[0] as AnyRow]) as Asked
    expect(full.words).toEqual(['mine'])
    expect(await openQuestion(of, full)).toMatch(new RegExp(`1 session uses it now: pid ${pid} \\(postgres/nightly`))
    expect(said(await of.confirm(full))).toEqual([
      expect.stringMatching(new RegExp(`^skipped: skipped: locked for more than 3 s: pid ${pid} .+ in AccessShareLock$`)),
    ])
  })

  test('dead rows that somebody may still see stay, and the oldest snapshot is named', async () => {
    const of = act()
    const row = await table(of, 'public.mine')
    const holder = await open('report')
    await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class LIMIT 1')
    const { pid } = (await holder.query('SELECT pg_backend_pid() AS pid')).rows[0]
    await admin.query('UPDATE mine SET v = v WHERE id <= 300')
    // Before 15 the statistics come late, and of a table where they count nothing dead nothing is told.
    for (let dead = 0; dead === 0; ) dead = (await one(`SELECT pg_stat_get_dead_tuples('mine'::regclass)::int AS dead`)).dead
    const work = await of.confirm(of.ask('vacuum', [row]))
    expect(said(work)).toEqual([
      expect.stringMatching(
        new RegExp(
          `^done: done in .+; 300 dead rows stay: somebody may still see them \\(the oldest snapshot: pid ${pid} \\(postgres/report, idle in transaction`,
        ),
      ),
    ])
    await holder.query('COMMIT')
    expect(said(await of.confirm(of.ask('vacuum', [row])))).toEqual([expect.stringMatching(/^done: done in [^;]+$/)])
  })

  test('REINDEX that waits for an old snapshot names its holder; cancelled, it names what it has left, and that is dropped', async () => {
    const of = act()
    const row = await table(of, 'public.mine')
    const holder = await open('report')
    await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class')
    const { pid } = (await holder.query('SELECT pg_backend_pid() AS pid')).rows[0]
    const work = of.begin(of.ask('reindexTable', [row]))
    await of.until(
      () => new RegExp(`waiting for old snapshots.*waits for pid ${pid} \\(postgres/report`).test(lines(of)),
      'the holder of the snapshot to be named',
    )
    of.actor.stopQueue()
    await of.until(() => work().endedAt !== null, 'the end')
    const names = await invalid()
    expect(names.length).toBeGreaterThan(0)
    const [item] = work().items
    expect(item).toMatchObject({ outcome: 'failed', say: expect.stringMatching(/^cancelled after .+; left behind invalid: /) })
    for (const name of names) expect(item!.say).toContain(name.replace(/^pg_toast\./, ''))
    expect(lines(of)).toContain('X drops')
    await holder.query('COMMIT')
    const left = leftIndexes(of.state()) as unknown as readonly AnyRow[]
    expect(left).toHaveLength(names.length)
    const drop = of.ask('dropIndex', left) as Asked
    expect(drop.words).toEqual(names.length === 1 ? [String(left[0]!.indexrelname)] : [`${names.length} indexes`])
    const dropped = await of.confirm(drop)
    expect(said(dropped)).toEqual(names.map(() => expect.stringMatching(/^done: dropped/)))
    expect(await invalid()).toEqual([])
    expect(leftIndexes(of.state())).toEqual([])
    expect(lines(of)).not.toContain('X drops')
  })

  test('a partitioned table: a locked partition is passed over and told; REINDEX goes partition by partition', async () => {
    const of = act()
    const row = await of.row(tables, one => one.qualified === 'public.parted' && one.children === 2, 'the partitioned table')
    const holder = await open('holder')
    await holder.query('BEGIN; LOCK TABLE parted_1 IN SHARE UPDATE EXCLUSIVE MODE')
    const asked = of.ask('vacuumAnalyze', [row]) as Asked
    const only = version >= 18 ? 'ONLY ' : ''
    expect([...asked.sql].sort()).toEqual([
      `ANALYZE ${only}public.parted`,
      'VACUUM (ANALYZE) public.parted_1',
      'VACUUM (ANALYZE) public.parted_2',
    ])
    expect(asked.sql.at(-1)).toBe(`ANALYZE ${only}public.parted`)
    const work = await of.confirm(asked)
    const by = new Map(work.items.map(({ label, outcome, say }) => [label, `${outcome}: ${say}`]))
    expect(by.get('public.parted_1')).toMatch(/^skipped: skipped: locked for more than 3 s: pid .+ in ShareUpdateExclusiveLock$/)
    expect(by.get('public.parted_2')).toMatch(/^done: /)
    // From 18 on the root alone is sampled; before, each partition is analyzed with it.
    expect(by.get('public.parted')).toMatch(version >= 18 ? /^done: / : /^skipped: skipped: locked/)
    expect(await one(`SELECT pg_stat_get_vacuum_count('parted_1'::regclass)::int AS n`)).toEqual({ n: 0 })
    await holder.query('COMMIT')
    const rebuild = of.ask('reindexTable', [row]) as Asked
    expect([...rebuild.sql].sort()).toEqual([
      'REINDEX TABLE CONCURRENTLY public.parted_1',
      'REINDEX TABLE CONCURRENTLY public.parted_2',
    ])
    expect(said(await of.confirm(rebuild))).toEqual([expect.stringMatching(/^done: /), expect.stringMatching(/^done: /)])
    const parent = await index(of, 'public.parted_pkey', one => one.children === 2)
    const both = of.ask('reindexIndex', [parent]) as Asked
    expect([...both.sql].sort()).toEqual([
      'REINDEX INDEX CONCURRENTLY public.parted_1_pkey',
      'REINDEX INDEX CONCURRENTLY public.parted_2_pkey',
    ])
    expect(said(await of.confirm(both))).toEqual([expect.stringMatching(/^done: /), expect.stringMatching(/^done: /)])
  })

  test('what is another table by now, or gone, is left alone; a valid index is never dropped', async () => {
    await admin.query(
      'CREATE TABLE moved (id int PRIMARY KEY); CREATE TABLE going (id int); CREATE TABLE dup (id int); INSERT INTO dup VALUES (1), (1)',
    )
    await admin.query('CREATE UNIQUE INDEX CONCURRENTLY dup_id ON dup (id)').catch(() => {})
    const of = act()
    const [moved, going] = [await table(of, 'public.moved'), await table(of, 'public.going')]
    const failed = await index(of, 'public.dup_id', row => row.indisvalid === false)
    const pkey = await index(of, 'public.moved_pkey')
    const asked = of.ask('vacuum', [moved, going]) as Asked
    const drop = of.ask('dropIndex', [failed]) as Asked
    const rebuild = of.ask('reindexIndex', [pkey]) as Asked
    expect(of.ask('dropIndex', [pkey])).toBe('it is valid: only invalid indexes are dropped from here')
    await admin.query(
      'DROP TABLE going; ALTER TABLE moved RENAME TO elsewhere; CREATE TABLE moved (id int); ALTER INDEX moved_pkey RENAME TO other_pkey',
    )
    expect(said(await of.confirm(asked))).toEqual([
      'refused: nothing was done: it is called public.elsewhere now',
      'already gone: already gone: nothing was done',
    ])
    expect(said(await of.confirm(rebuild))).toEqual(['refused: nothing was done: it is called public.other_pkey now'])
    await admin.query('DELETE FROM dup; REINDEX INDEX dup_id')
    expect(said(await of.confirm(drop))).toEqual(['refused: nothing was done: the index is valid now'])
    expect(await one(`SELECT count(*)::int AS n FROM pg_class WHERE relname = 'dup_id'`)).toEqual({ n: 1 })
  })

  test('a queue goes on behind a table that is held, each with its own bound', async () => {
    await admin.query(
      'CREATE TABLE q1 (id int PRIMARY KEY); CREATE TABLE q2 (id int PRIMARY KEY); CREATE TABLE q3 (id int PRIMARY KEY)',
    )
    const of = act()
    const rows = await Promise.all(['q1', 'q2', 'q3'].map(name => table(of, `public.${name}`)))
    const holder = await open('nightly')
    await holder.query('BEGIN; LOCK TABLE q2 IN SHARE UPDATE EXCLUSIVE MODE')
    expect(said(await of.confirm(of.ask('reindexTable', rows)))).toEqual([
      expect.stringMatching(/^done: /),
      expect.stringMatching(/^skipped: skipped: locked for more than 3 s: pid .+ in ShareUpdateExclusiveLock$/),
      expect.stringMatching(/^done: /),
    ])
  })

  test('what gets another name or becomes valid while we wait for its table is left alone', async () => {
    await admin.query(
      'CREATE TABLE s (id int PRIMARY KEY); CREATE TABLE s_new (id int PRIMARY KEY); CREATE TABLE du (id int); INSERT INTO du VALUES (1), (1)',
    )
    await admin.query('CREATE UNIQUE INDEX CONCURRENTLY du_bad ON du (id)').catch(() => {})
    const of = act()
    const [row, bad] = [await table(of, 'public.s'), await index(of, 'public.du_bad', one => one.indisvalid === false)]
    const files = () => one(`SELECT 's'::regclass::oid AS oid, pg_relation_filenode('s') AS file`)
    for (const id of ['vacuumFull', 'reindexTable']) {
      const dba = await open('dba')
      await dba.query('BEGIN; ALTER TABLE s RENAME TO s_old; ALTER TABLE s_new RENAME TO s')
      const work = of.begin(of.ask(id, [row]))
      await new Promise(resolve => setTimeout(resolve, 700))
      await dba.query('COMMIT')
      const before = await files()
      await of.until(() => work().endedAt !== null, 'the end')
      expect(said(work()), id).toEqual(['refused: nothing was done: it is called public.s_old now'])
      expect(await files()).toEqual(before)
      await admin.query('ALTER TABLE s RENAME TO s_new; ALTER TABLE s_old RENAME TO s')
    }
    const dba = await open('dba')
    await dba.query('BEGIN; DELETE FROM du; REINDEX INDEX du_bad')
    const work = of.begin(of.ask('dropIndex', [bad]))
    await new Promise(resolve => setTimeout(resolve, 700))
    await dba.query('COMMIT')
    await of.until(() => work().endedAt !== null, 'the end')
    expect(said(work())).toEqual(['refused: nothing was done: the index is valid now'])
    expect(await one(`SELECT indisvalid FROM pg_index WHERE indexrelid = 'du_bad'::regclass`)).toEqual({ indisvalid: true })
  })

  test('an invalid index that comes out of a cancelled REINDEX under another name is named', async () => {
    await admin.query('CREATE TABLE ccold (id int); INSERT INTO ccold VALUES (1), (1)')
    await admin.query('CREATE UNIQUE INDEX CONCURRENTLY ccold_id ON ccold (id)').catch(() => {})
    await admin.query('DELETE FROM ccold; INSERT INTO ccold VALUES (1)')
    const of = act()
    const row = await index(of, 'public.ccold_id', one => one.indisvalid === false)
    const reader = await open('reader')
    await reader.query('BEGIN; SELECT * FROM ccold')
    const asked = of.ask('reindexIndex', [row]) as Asked
    expect(await openQuestion(of, asked)).toMatch(/waits for transactions that are open now.+pid \d+ \((postgres\/)?reader/)
    const work = of.begin(asked)
    await of.until(() => /waiting for readers/.test(lines(of)), 'the reader to be waited for')
    of.actor.stopQueue()
    await of.until(() => work().endedAt !== null, 'the end')
    const names = await invalid()
    expect(names).toEqual(['ccold_id_ccold'])
    expect(work().items[0]!.say).toMatch(/; left behind invalid: public\.ccold_id_ccold$/)
    await reader.query('COMMIT')
    const left = leftIndexes(of.state()) as unknown as readonly AnyRow[]
    expect(said(await of.confirm(of.ask('dropIndex', left)))).toEqual([expect.stringMatching(/^done: dropped/)])
  })

  test('a connection that is lost in the middle: it goes on, and is told so; the next one has a connection of its own', async () => {
    const of = act()
    const rows = [await table(of, 'public.mine'), await table(of, 'public.q1')]
    const holder = await open('report')
    await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class')
    const work = of.begin(of.ask('reindexTable', rows))
    await of.until(() => /waiting for old snapshots/.test(lines(of)), 'the snapshot to be waited for')
    await admin.query('SELECT pg_terminate_backend($1)', [work().pid])
    await of.until(() => work().items[0]!.ended, 'the end of the first')
    expect(work().items[0]).toMatchObject({
      outcome: 'failed',
      say: expect.stringMatching(/^the connection was lost: .+; left behind invalid: /),
    })
    await holder.query('COMMIT')
    await of.until(() => work().endedAt !== null, 'the end')
    expect(work().items[1]!.say).toMatch(/^done in /)
    for (const name of await invalid()) await admin.query(`DROP INDEX ${name}`)
  })

  test('a failed REINDEX names what it left; the failed index can be rebuilt or dropped', async () => {
    await admin.query('CREATE TABLE twice (id int); INSERT INTO twice VALUES (1), (1)')
    await admin.query('CREATE UNIQUE INDEX CONCURRENTLY twice_id ON twice (id)').catch(() => {})
    const of = act()
    const row = await index(of, 'public.twice_id', one => one.indisvalid === false)
    const work = await of.confirm(of.ask('reindexIndex', [row]))
    expect(said(work)).toEqual([
      expect.stringMatching(/^failed: failed: could not create unique index .+; left behind invalid: public\.twice_id_ccnew$/),
    ])
    const left = leftIndexes(of.state()) as unknown as readonly AnyRow[]
    expect(said(await of.confirm(of.ask('dropIndex', left)))).toEqual([expect.stringMatching(/^done: dropped/)])
    expect(said(await of.confirm(of.ask('dropIndex', [row])))).toEqual([expect.stringMatching(/^done: dropped/)])
    expect(await invalid()).toEqual([])
  })
})
