// Chunks compressed and decompressed, and jobs run, paused and resumed: what comes of it on a real TimescaleDB, which has one backend for
// all; and how locks, waits and cancels go on a PostgreSQL that plays one with as many backends as one likes.

import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { connect, withClient } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { startTimescale, type TimescaleServer } from '../../src/lab/timescale.ts'
import { untrusted } from '../../src/model/untrusted.ts'
import { activityList } from '../../src/panels/activity.ts'
import { chunksPanel } from '../../src/panels/chunks.ts'
import { type AnyList, type AnyRow, list } from '../../src/panels/panel.ts'
import { pulse } from '../../src/sql/server.ts'
import type { State, Work } from '../../src/store/state.ts'
import { receive } from '../../src/store/updates.ts'
import { type Acting, type Asked, acting } from '../support/acting.ts'
import { addHypertable, installStandIn } from '../support/timescale-standin.ts'

const [chunks, hypertables, jobs] = chunksPanel.lists as readonly [AnyList, AnyList, AnyList]
/** Read of every server whatever is shown. */
const beat = list({ ...chunks, needs: [pulse] })

let folder: Folder
let hands: Acting

beforeAll(() => {
  folder = temporaryFolder('pgvigil-chunks')
})
afterEach(() => hands?.stop())
afterAll(() => folder?.remove())

function act(conninfo: string, ...more: readonly AnyList[]): Acting {
  hands = acting([{ id: 'ts', conninfo }], [chunks, hypertables, jobs, beat, ...more])
  return hands
}

/** The rows of these chunks, once their hypertable is known too. */
async function rowsOf(names: readonly string[], is: (row: AnyRow) => boolean = () => true): Promise<readonly AnyRow[]> {
  const found = () => hands.rows(chunks).filter(row => names.includes(String(row.qualified)) && is(row))
  const complete = ({ servers }: State) =>
    Boolean(servers.ts?.readings.pulse?.sample && servers.ts.readings.hypertables?.sample) && found().length === names.length
  await hands.until(complete, `the chunks ${names.join(', ')}`)
  return names.map(name => found().find(row => row.qualified === name) as AnyRow)
}

const jobRow = (job: number, is: (row: AnyRow) => boolean = () => true) =>
  hands.row(jobs, row => row.job_id === job && is(row), `job ${job}`)

const outcomes = ({ items }: Work) => items.map(({ outcome }) => outcome)
const says = ({ items }: Work) => items.map(({ say }) => say)

/** Asks until the answer is as wanted. */
async function eventually<T>(what: string, ask: () => Promise<T>, isSo: (answer: T) => boolean): Promise<T> {
  const deadline = Date.now() + 20_000
  for (;;) {
    const answer = await ask()
    if (isSo(answer)) return answer
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}: ${JSON.stringify(answer)}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

describe('on TimescaleDB', () => {
  let server: TimescaleServer
  let made = 0

  beforeAll(async () => {
    server = await startTimescale({ dir: folder.path })
  })
  afterAll(() => server?.stop())

  const sql = <Row extends pg.QueryResultRow>(...texts: readonly string[]): Promise<readonly Row[]> =>
    withClient(server, async client => {
      let rows: readonly Row[] = []
      for (const text of texts) rows = (await client.query<Row>(text)).rows
      return rows
    })

  /** A hypertable of its own for each test, of one chunk a day. */
  async function hypertable(days: number, { compress = true, name = `h${++made}` } = {}): Promise<readonly string[]> {
    await sql(
      `CREATE TABLE ${name} (t timestamptz NOT NULL, v float8)`,
      `SELECT create_hypertable('${name}', 't', chunk_time_interval => interval '1 day')`,
      `INSERT INTO ${name} SELECT timestamptz '2026-01-01 00:00+00' + i * interval '1 hour', i FROM generate_series(0, ${days * 24 - 1}) i`,
      ...(compress ? [`ALTER TABLE ${name} SET (timescaledb.compress)`] : []),
    )
    const rows = await sql<{ name: string }>(`SELECT c::text AS name FROM show_chunks('${name}') c`)
    return rows.map(row => row.name)
  }

  const compressed = async (names: readonly string[]) => {
    const rows = await sql<{ name: string }>(
      `SELECT format('%I.%I', chunk_schema, chunk_name) AS name FROM timescaledb_information.chunks WHERE is_compressed`,
    )
    return names.filter(name => rows.some(row => row.name === name))
  }

  test('one chunk is compressed and decompressed again, and the list says so', async () => {
    const names = await hypertable(1)
    act(server.conninfo)
    const plain = await rowsOf(names)
    expect(hands.ask('decompress', plain)).toBe('it is not compressed')
    const asked = hands.ask('compress', plain)
    expect(asked).toMatchObject({
      words: null,
      sql: [expect.stringMatching(new RegExp(`^SELECT "public"\\.compress_chunk\\('${names[0]}'::regclass[^']*\\)$`))],
      question: {
        follows: [{ text: expect.stringContaining('waits until it is done') }, { text: expect.stringContaining('3 s') }],
      },
    })
    const first = await hands.confirm(asked)
    expect(first.items).toMatchObject([{ outcome: 'done', say: expect.stringMatching(/^compressed in /) }])
    expect(await compressed(names)).toEqual(names)
    expect(hands.audit()).toMatchObject([
      {
        phase: 'begun',
        action: 'compress',
        sql: (asked as Asked).sql[0],
        target: { chunk: names[0] },
        outcome: null,
      },
      { phase: 'ended', action: 'compress', target: { chunk: names[0] }, outcome: 'done' },
    ])

    const small = await rowsOf(names, row => row.is_compressed === true)
    expect(hands.ask('compress', small)).toBe('it is compressed already; Z decompresses it')
    const second = await hands.confirm(hands.ask('decompress', small))
    expect(second.items).toMatchObject([{ outcome: 'done', say: expect.stringMatching(/^decompressed in /) }])
    expect(await compressed(names)).toEqual([])
    await rowsOf(names, row => row.is_compressed === false)
  })

  test('ten tagged chunks are compressed one after the other, each with two lines in the trail', async () => {
    const names = await hypertable(10)
    act(server.conninfo)
    const asked = hands.ask('compress', await rowsOf(names))
    expect(asked).toMatchObject({ sql: { length: 10 }, question: { hit: { length: 10 } } })
    const work = await hands.confirm(asked)
    expect(outcomes(work)).toEqual(Array(10).fill('done'))
    expect(await compressed(names)).toEqual(names)
    expect(hands.audit().map(({ phase, target, outcome }) => [phase, target.chunk, outcome])).toEqual(
      names.flatMap(name => [
        ['begun', name, null],
        ['ended', name, 'done'],
      ]),
    )
    const ids = hands.audit().map(({ id }) => id)
    expect(new Set(ids).size).toBe(10)
    for (let i = 0; i < 20; i += 2) expect(ids[i]).toBe(ids[i + 1])
    for (const [i, item] of work.items.entries()) {
      const before = work.items[i - 1]?.begunAt ?? 0
      expect(item.begunAt).toBeGreaterThanOrEqual(before as number)
    }
  })

  test('tagged chunks that can not be compressed are left out with the reason, the others done', async () => {
    const names = await hypertable(3)
    await sql(`SELECT compress_chunk('${names[1]}')`)
    act(server.conninfo)
    const rows = await rowsOf(names)
    const asked = hands.ask('compress', rows)
    expect(asked).toMatchObject({
      targets: { length: 2 },
      leftOut: [{ label: names[1]!.split('.')[1], why: 'it is compressed already; Z decompresses it' }],
    })
    expect(outcomes(await hands.confirm(asked))).toEqual(['done', 'done'])
    expect(await compressed(names)).toEqual(names)
  })

  test('compression that is not enabled is refused beforehand, with the statement that enables it', async () => {
    const name = `public."Half ""Hours ${++made}"`
    const names = await hypertable(1, { compress: false, name })
    act(server.conninfo)
    const why = hands.ask('compress', await rowsOf(names))
    expect(why).toBe(`compression is not enabled: ALTER TABLE ${name} SET (timescaledb.compress);`)
    await sql(/ALTER .*;/.exec(why as string)![0])
    hands.poller.again('ts')
    await hands.until(
      () => hands.rows(hypertables).every(row => row.qualified !== name || row.compression_enabled === true),
      'compression to be enabled',
    )
    expect(outcomes(await hands.confirm(hands.ask('compress', await rowsOf(names))))).toEqual(['done'])
  })

  test('a chunk dropped in between is already gone, and the queue goes on', async () => {
    const names = await hypertable(3)
    act(server.conninfo)
    const asked = hands.ask('compress', await rowsOf(names))
    hands.poller.stop()
    await sql(`DROP TABLE ${names[1]}`)
    const work = await hands.confirm(asked)
    expect(outcomes(work)).toEqual(['done', 'already gone', 'done'])
    expect(says(work)[1]).toMatch(/^already gone: .*does not exist/)
    expect(await compressed(names)).toEqual([names[0], names[2]])
    expect(hands.audit().filter(({ phase }) => phase === 'ended')).toHaveLength(3)
  })

  test('the open question sees that its chunk has been dropped', async () => {
    const names = await hypertable(2)
    act(server.conninfo)
    const asked = hands.ask('compress', await rowsOf(names))
    if (typeof asked === 'string') throw new Error(asked)
    const since = Date.now()
    const gone = () => asked.targets.map(target => asked.action.gone(target, hands.state(), since))
    await sql(`DROP TABLE ${names[0]}`)
    hands.poller.again('ts')
    await hands.until(() => gone()[0] === true, 'the chunk to vanish')
    expect(gone()).toEqual([true, false])
  })

  test('a chunk that somebody compressed or decompressed in between is skipped, not called done', async () => {
    const names = await hypertable(2)
    await sql(`SELECT compress_chunk('${names[1]}')`)
    act(server.conninfo)
    const [plain, small] = await rowsOf(names)
    const [compress, decompress] = [hands.ask('compress', [plain!]), hands.ask('decompress', [small!])]
    hands.poller.stop()
    await sql(`SELECT compress_chunk('${names[0]}')`, `SELECT decompress_chunk('${names[1]}')`)
    const compressing = await hands.confirm(compress)
    const decompressing = await hands.confirm(decompress)
    expect([...outcomes(compressing), ...outcomes(decompressing)]).toEqual(['skipped', 'skipped'])
    expect(says(compressing)[0]).toMatch(/already (compressed|converted)/)
    expect(says(decompressing)[0]).toMatch(/not (compressed|converted)/)
    expect(await compressed(names)).toEqual([names[0]])
  })

  test('rows that came into a compressed chunk since do not keep it from being decompressed', async () => {
    const names = await hypertable(1)
    await sql(`SELECT compress_chunk('${names[0]}')`, `INSERT INTO h${made} VALUES ('2026-01-01 05:30+00', 1)`)
    act(server.conninfo)
    expect(outcomes(await hands.confirm(hands.ask('decompress', await rowsOf(names))))).toEqual(['done'])
    expect(await compressed(names)).toEqual([])
    expect(await sql(`SELECT count(*)::int FROM h${made}`)).toEqual([{ count: 25 }])
  })

  test('stopped after the first: the rest is skipped and not touched', async () => {
    const names = await hypertable(6)
    act(server.conninfo)
    const asked = hands.ask('compress', await rowsOf(names))
    const work = hands.begin(asked)
    expect(hands.actor.unfinished()).toBe(true)
    expect(hands.actor.stopQueue()).toBe(true)
    expect(work().stopping).toBe('after this')
    await hands.until(() => work().endedAt !== null, 'the queue to end')
    expect(outcomes(work())).toEqual(['done', ...Array(5).fill('skipped')])
    expect(says(work()).slice(1)).toEqual(Array(5).fill('stopped before it began'))
    expect(await compressed(names)).toEqual([names[0]])
    expect(hands.audit()).toHaveLength(2)
    expect(hands.actor.stopQueue()).toBe(false)
    expect(hands.actor.unfinished()).toBe(false)
  })

  test('two queues of a server go one after the other, and Esc stops both', async () => {
    const names = await hypertable(6)
    act(server.conninfo)
    const rows = await rowsOf(names)
    const [first, second] = [
      hands.begin(hands.ask('compress', rows.slice(0, 2))),
      hands.begin(hands.ask('compress', rows.slice(2, 4))),
    ]
    await hands.until(() => second().endedAt !== null, 'the queues to end')
    expect([...outcomes(first()), ...outcomes(second())]).toEqual(Array(4).fill('done'))
    expect(second().items[0]?.begunAt).toBeGreaterThanOrEqual(first().endedAt! - 50)
    const [third, fourth] = [
      hands.begin(hands.ask('compress', rows.slice(4, 5))),
      hands.begin(hands.ask('compress', rows.slice(5))),
    ]
    hands.actor.stopQueue()
    await hands.until(() => third().endedAt !== null && fourth().endedAt !== null, 'both to end')
    expect(outcomes(fourth())).toEqual(['skipped'])
  })

  test('under the Apache licence, and on a standby, nothing can be done to chunks and jobs, and the key says why', async () => {
    const names = await hypertable(2)
    await sql(`SELECT compress_chunk('${names[1]}')`)
    const [{ job }] = (await sql<{ job: number }>(`SELECT add_retention_policy('h${made}', interval '10 years') AS job`)) as [
      { job: number },
    ]
    act(server.conninfo)
    const [plain, small] = await rowsOf(names)
    const row = await jobRow(job)
    const each = () => [
      hands.ask('compress', [plain!]),
      hands.ask('decompress', [small!]),
      hands.ask('runJob', [row]),
      hands.ask('pauseJob', [row]),
      hands.ask('resumeJob', [{ ...row, scheduled: false }]),
    ]
    for (const asked of each()) expect(asked).toMatchObject({ targets: { length: 1 } })
    hands.poller.stop()
    const { facts } = hands.state().servers.ts!
    receive(hands.store, { kind: 'facts', server: 'ts', facts: { ...facts!, timescaleLicense: untrusted('apache') } })
    for (const why of each())
      expect(why).toMatch(/^TimescaleDB runs under the Apache licence: set timescaledb.license = 'timescale'/)
    receive(hands.store, { kind: 'facts', server: 'ts', facts: { ...facts!, timescaleLicense: untrusted('timescale') } })
    const { sample } = hands.state().servers.ts!.readings.pulse!
    receive(hands.store, { kind: 'sample', sample: { ...sample!, rows: [{ ...sample!.rows[0], in_recovery: true }] } })
    for (const why of each()) expect(why).toBe('a standby is read-only: do it on the primary')
  })

  describe('jobs', () => {
    async function job(body: string): Promise<number> {
      const name = `job${++made}`
      await sql(`CREATE PROCEDURE ${name}(job_id int, config jsonb) LANGUAGE plpgsql AS $$BEGIN ${body}; END$$`)
      const [row] = await sql<{ id: number }>(`SELECT add_job('${name}', '1 hour') AS id`)
      return row!.id
    }
    const scheduled = async (id: number) =>
      (await sql<{ scheduled: boolean }>(`SELECT scheduled FROM timescaledb_information.jobs WHERE job_id = ${id}`))[0]?.scheduled

    test('one is run now, also when it commits in the middle', async () => {
      await sql('CREATE TABLE IF NOT EXISTS ran (what text)', 'TRUNCATE ran')
      const id = await job(`INSERT INTO public.ran VALUES ('one'); COMMIT; INSERT INTO public.ran VALUES ('two')`)
      act(server.conninfo)
      const asked = hands.ask('runJob', [await jobRow(id)])
      expect(asked).toMatchObject({ words: null, sql: [`CALL "public".run_job(${id})`] })
      expect((await hands.confirm(asked)).items).toMatchObject([{ outcome: 'done', say: expect.stringMatching(/^has run, in /) }])
      expect(await sql('SELECT what FROM ran')).toEqual([{ what: 'one' }, { what: 'two' }])
      expect(hands.audit()).toMatchObject([
        { phase: 'begun', action: 'runJob', target: { job_id: id } },
        { phase: 'ended', outcome: 'done' },
      ])
    })

    test('one that fails is told with its error, and not as done', async () => {
      const id = await job(`RAISE EXCEPTION 'archive host archive-2 is not reachable' USING ERRCODE = '08001'`)
      act(server.conninfo)
      const work = await hands.confirm(hands.ask('runJob', [await jobRow(id)]))
      expect(says(work)[0]).toContain('archive host archive-2 is not reachable')
      expect(outcomes(work)).toEqual(['failed'])
      expect(hands.audit().at(-1)).toMatchObject({ phase: 'ended', outcome: 'failed', detail: says(work)[0] })
    })

    test('one is paused and resumed, and what is so already is refused beforehand', async () => {
      const id = await job('PERFORM 1')
      act(server.conninfo)
      const running = await jobRow(id)
      expect(hands.ask('resumeJob', [running])).toBe('it is not paused')
      expect(hands.ask('runJob', [{ ...running, job_status: untrusted('Running') }])).toBe('it runs already')
      const paused = await hands.confirm(hands.ask('pauseJob', [running]))
      expect(paused.items).toMatchObject([{ outcome: 'done', say: expect.stringContaining('paused') }])
      expect(await scheduled(id)).toBe(false)

      const row = await jobRow(id, ({ scheduled }) => scheduled === false)
      expect(hands.ask('pauseJob', [row])).toBe('it is paused already; R resumes it')
      const resumed = await hands.confirm(hands.ask('resumeJob', [row]))
      expect(resumed.items).toMatchObject([{ outcome: 'done', say: 'it is scheduled again' }])
      expect(await scheduled(id)).toBe(true)
    })

    test('one that was deleted in between is already gone', async () => {
      const id = await job('PERFORM 1')
      act(server.conninfo)
      const row = await jobRow(id)
      const questions = [
        hands.ask('runJob', [row]),
        hands.ask('pauseJob', [row]),
        hands.ask('resumeJob', [{ ...row, scheduled: false }]),
      ]
      hands.poller.stop()
      await sql(`SELECT delete_job(${id})`)
      for (const asked of questions) {
        const work = await hands.confirm(asked)
        expect(outcomes(work)).toEqual(['already gone'])
        expect(says(work)[0]).toContain('nothing was done')
      }
    })

    test('one of a role whose name needs quotes is on the list', async () => {
      await sql(`DROP ROLE IF EXISTS "Data Owner"`, 'CREATE ROLE "Data Owner"')
      const id = await job('PERFORM 1')
      await sql(`UPDATE _timescaledb_config.bgw_job SET owner = '"Data Owner"'::regrole WHERE id = ${id}`)
      try {
        act(server.conninfo)
        await hands.until(({ servers }) => Boolean(servers.ts?.readings.jobs), 'an answer')
        expect(hands.state().servers.ts!.readings.jobs!.problem).toBeNull()
        expect(hands.ask('pauseJob', [await jobRow(id)])).toMatchObject({ targets: { length: 1 } })
      } finally {
        await sql(`SELECT delete_job(${id})`)
      }
    })
  })
})

describe('with many backends', () => {
  let server: PostgresServer
  const open: pg.Client[] = []

  beforeAll(async () => {
    // Autovacuum takes ACCESS EXCLUSIVE locks of its own when it truncates.
    server = await startPostgres({ version: 16, dir: folder.path, settings: { autovacuum: false } })
    await withClient(server, async client => {
      await installStandIn(client)
      await client.query('CREATE ROLE app; CREATE ROLE "Data Owner"; CREATE ROLE dba LOGIN; GRANT pg_monitor TO dba')
    })
  })
  afterEach(async () => {
    for (const client of open.splice(0)) await client.end().catch(() => {})
  })
  afterAll(() => server?.stop('immediate'))

  const session = async (application_name = 'pgvigil lab') => {
    const client = await connect({ port: server.port, application_name })
    open.push(client)
    return client
  }
  const as = (role: string) => server.conninfo.replace('postgres@', `${role}@`)

  let made = 0
  const hypertable = (chunksOfIt: number, owner = 'app') =>
    withClient(server, client => addHypertable(client, `readings${++made}`, chunksOfIt, owner))
  /** Compressing this chunk takes so long. */
  const slow = (name: string, seconds: number) =>
    withClient(server, client =>
      client.query('UPDATE standin.chunk SET seconds = $2 WHERE relid = $1::regclass', [name, seconds]),
    )
  const compressed = async (names: readonly string[]): Promise<readonly boolean[]> =>
    withClient(server, async client => {
      const { rows } = await client.query('SELECT relid::text AS name, is_compressed FROM standin.chunk')
      return names.map(name => rows.find(row => row.name === name).is_compressed)
    })

  const exclusive = `SELECT l.relation::regclass::text AS chunk, l.pid, a.query FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.mode = 'AccessExclusiveLock' AND l.granted AND l.relation IN (SELECT relid FROM standin.chunk)`
  type Held = { chunk: string; pid: number; query: string }
  const locked = async (client: pg.Client) => (await client.query<Held>(exclusive)).rows

  /** Inserts into each of the chunks in turn, without end; how long each insert took, in milliseconds. */
  async function inserting(names: readonly string[]) {
    const client = await session('inserts')
    const took = new Map<string, number[]>(names.map(name => [name, []]))
    let going = true
    const run = (async () => {
      while (going) {
        for (const name of names) {
          const begun = performance.now()
          await client.query(`INSERT INTO ${name} VALUES (now(), 1)`)
          took.get(name)!.push(performance.now() - begun)
        }
        await new Promise(resolve => setTimeout(resolve, 2))
      }
    })()
    return {
      took,
      longest: () => Math.max(...[...took.values()].flat()),
      stop: async () => {
        going = false
        await run
      },
    }
  }

  test('ten chunks while rows come in: one is locked at a time, and no insert waits longer than for one', async () => {
    const names = await hypertable(10)
    act(server.conninfo)
    const asked = hands.ask('compress', await rowsOf(names))
    const inserts = await inserting(names)
    const looks: Held[][] = []
    const looker = await session()
    const work = hands.begin(asked)
    while (work().endedAt === null) {
      looks.push(await locked(looker))
      await new Promise(resolve => setTimeout(resolve, 10))
    }
    await inserts.stop()
    expect(outcomes(work())).toEqual(Array(10).fill('done'))
    expect(await compressed(names)).toEqual(Array(10).fill(true))
    expect(new Set(looks.flat().map(({ chunk }) => chunk))).toEqual(new Set(names))
    expect(Math.max(...looks.map(held => held.length))).toBe(1)
    // Each takes 0.3 s; the inserts did meet them, and stood behind one of them only.
    expect(inserts.longest()).toBeGreaterThan(150)
    expect(inserts.longest()).toBeLessThan(550)
    for (const times of inserts.took.values()) expect(times.length).toBeGreaterThan(1)
  })

  test('a chunk that somebody has locked is skipped after 3 s, and the queue goes on', async () => {
    const names = await hypertable(3)
    act(server.conninfo)
    const asked = hands.ask('compress', await rowsOf(names))
    const holder = await session('holder')
    await holder.query(`BEGIN; LOCK TABLE ${names[1]} IN ROW EXCLUSIVE MODE`)
    const inserts = await inserting([names[1]!])
    const work = await hands.confirm(asked)
    await inserts.stop()
    expect(outcomes(work)).toEqual(['done', 'skipped', 'done'])
    expect(says(work)[1]).toMatch(/^skipped: locked by somebody for more than 3 s \(canceling statement due to lock timeout\)$/)
    expect(await compressed(names)).toEqual([true, false, true])
    const [, skipped, after] = work.items
    const waited = after!.begunAt! - skipped!.begunAt!
    expect(waited).toBeGreaterThan(2900)
    expect(waited).toBeLessThan(4500)
    // Whoever came after us stood behind us, and was let go with us.
    expect(inserts.longest()).toBeLessThan(4000)
    expect(
      hands
        .audit()
        .filter(({ phase }) => phase === 'ended')
        .map(({ outcome }) => outcome),
    ).toEqual(['done', 'skipped', 'done'])
  })

  test('Esc twice cancels what is under way: the chunk is as before, the rest is skipped', async () => {
    const names = await hypertable(3)
    await slow(names[1]!, 60)
    act(server.conninfo)
    const work = hands.begin(hands.ask('compress', await rowsOf(names)))
    const looker = await session()
    const [held] = await eventually(
      'the slow chunk',
      () => locked(looker),
      ([held]) => held?.chunk === names[1],
    )
    expect(held!.query).toContain('compress_chunk')
    expect(hands.state().ownPids.ts).toContain(held!.pid)
    expect(hands.actor.stopQueue()).toBe(true)
    expect(work()).toMatchObject({ stopping: 'after this', endedAt: null })
    expect(hands.actor.stopQueue()).toBe(true)
    await hands.until(() => work().endedAt !== null, 'the queue to end')
    expect(work().items.map(({ outcome, say }) => [outcome, say])).toEqual([
      ['done', expect.stringMatching(/^compressed in /)],
      ['failed', 'cancelled: it is as before'],
      ['skipped', 'stopped before it began'],
    ])
    const backends = () => looker.query('SELECT state FROM pg_stat_activity WHERE pid = $1', [held!.pid])
    await eventually('its backend to go', backends, ({ rows }) => rows.length === 0)
    expect(hands.state().ownPids.ts ?? []).not.toContain(held!.pid)
    expect(await locked(looker)).toEqual([])
    expect(await compressed(names)).toEqual([true, false, false])
    expect(hands.audit().map(({ phase, target, outcome }) => [phase, target.chunk, outcome])).toEqual([
      ['begun', names[0], null],
      ['ended', names[0], 'done'],
      ['begun', names[1], null],
      ['ended', names[1], 'failed'],
    ])
  })

  test('Esc twice before its connection is there: nothing is begun', async () => {
    const names = await hypertable(2)
    for (const name of names) await slow(name, 3)
    act(server.conninfo)
    const work = hands.begin(hands.ask('compress', await rowsOf(names)))
    hands.actor.stopQueue()
    hands.actor.stopQueue()
    expect(work().stopping).toBe('now')
    await hands.until(() => work().endedAt !== null, 'the queue to end')
    expect(outcomes(work())).not.toContain('done')
    expect(await compressed(names)).toEqual([false, false])
  })

  test('pgvigil ends meanwhile: what is under way is cancelled within a second, and nothing more begins', async () => {
    const names = await hypertable(2)
    await slow(names[0]!, 60)
    act(server.conninfo)
    const work = hands.begin(hands.ask('compress', await rowsOf(names)))
    const looker = await session()
    await eventually(
      'the first chunk',
      () => locked(looker),
      held => held.length === 1,
    )
    const asked = Date.now()
    expect(await hands.actor.letGo(false, 1000)).toEqual([expect.stringMatching(/^pgvigil: ts: Compress chunk .+: cancelled/)])
    await hands.until(() => work().endedAt !== null, 'the queue to end')
    expect(Date.now() - asked).toBeLessThan(1500)
    expect(outcomes(work())).toEqual(['failed', 'skipped'])
    expect(await locked(looker)).toEqual([])
    expect(await compressed(names)).toEqual([false, false])
  })

  test('pgvigil ends and leaves it: what is under way finishes, and nothing more begins', async () => {
    const names = await hypertable(2)
    await slow(names[0]!, 1.5)
    act(server.conninfo)
    const work = hands.begin(hands.ask('compress', await rowsOf(names)))
    const looker = await session()
    await eventually(
      'the first chunk',
      () => locked(looker),
      held => held.length === 1,
    )
    expect(await hands.actor.letGo(true, 1000)).toEqual([
      expect.stringMatching(/^pgvigil: ts: Compress chunk .+: it goes on on the server$/),
      expect.stringMatching(/^pgvigil: ts: Compress chunk .+: not begun$/),
    ])
    await hands.until(() => work().endedAt !== null, 'the queue to end')
    expect(outcomes(work())).toEqual(['done', 'skipped'])
    expect(await compressed(names)).toEqual([true, false])
  })

  test('somebody else cancels it: told in the words of the server, and the queue goes on', async () => {
    const names = await hypertable(2)
    await slow(names[0]!, 60)
    act(server.conninfo)
    const work = hands.begin(hands.ask('compress', await rowsOf(names)))
    const looker = await session()
    const [held] = await eventually(
      'the first chunk',
      () => locked(looker),
      ([held]) => held?.chunk === names[0],
    )
    await looker.query('SELECT pg_cancel_backend($1)', [held!.pid])
    await hands.until(() => work().endedAt !== null, 'the queue to end')
    expect(says(work())[0]).toContain('canceling statement due to user request')
    expect(outcomes(work())[0]).not.toBe('done')
    expect(outcomes(work())[1]).toBe('done')
    expect(await compressed(names)).toEqual([false, true])
  })

  test('its connection is lost in the middle: whether it was done is not known, and the next ones get a new one', async () => {
    const names = await hypertable(3)
    await slow(names[0]!, 60)
    act(server.conninfo)
    const work = hands.begin(hands.ask('compress', await rowsOf(names)))
    const looker = await session()
    const [held] = await eventually(
      'the first chunk',
      () => locked(looker),
      ([held]) => held?.chunk === names[0],
    )
    await looker.query('SELECT pg_terminate_backend($1)', [held!.pid])
    await hands.until(() => work().endedAt !== null, 'the queue to end')
    expect(says(work())[0]).toMatch(/^the connection was lost: .*; whether it was done is not known$/)
    expect(outcomes(work())).toEqual(['failed', 'done', 'done'])
    expect(await compressed(names)).toEqual([false, true, true])
    expect(hands.state().ownPids.ts ?? []).toEqual([])
  })

  test('a long one holds up neither the readings of its server nor another deed', async () => {
    const names = await hypertable(1)
    await slow(names[0]!, 60)
    act(server.conninfo, activityList)
    const victim = await session('victim')
    const sleeping = victim.query('SELECT pg_sleep(60)').catch((error: { code?: string }) => error.code)
    const compressing = hands.begin(hands.ask('compress', await rowsOf(names)))
    const looker = await session()
    await eventually(
      'the chunk to be locked',
      () => locked(looker),
      held => held.length === 1,
    )

    const read: number[] = []
    const unsubscribe = hands.store.subscribe(({ servers }) => {
      const at = servers.ts!.readings.pulse?.sample?.at
      if (at !== undefined && at !== read.at(-1)) read.push(at)
    })
    const isVictim = (row: AnyRow) => row.application_name === 'victim' && row.state === 'active'
    const cancelled = await hands.confirm(hands.ask('cancel', [await hands.row(activityList, isVictim, 'the victim')]))
    expect(cancelled.items).toMatchObject([{ outcome: 'gone' }])
    expect(await sleeping).toBe('57014')
    await hands.until(() => read.length > 15, 'more samples')
    unsubscribe()
    expect(Math.max(...read.slice(1).map((at, i) => at - read[i]!))).toBeLessThan(1000)
    expect(compressing().endedAt).toBeNull()

    // Nothing is left to begin: the first Esc cancels.
    hands.actor.stopQueue()
    await hands.until(() => compressing().endedAt !== null, 'the cancel')
    expect(compressing().items).toMatchObject([{ outcome: 'failed', say: 'cancelled: it is as before' }])
    expect(await compressed(names)).toEqual([false])
  })

  test('a role that is not the owner is refused beforehand with the GRANT, and the GRANT is enough', async () => {
    const names = await hypertable(3)
    await withClient(server, client =>
      client.query('UPDATE standin.chunk SET is_compressed = true WHERE relid = $1::regclass', [names[2]]),
    )
    await withClient(server, client => client.query('REVOKE app FROM dba'))
    act(as('dba'))
    const [first, second, third] = await rowsOf(names)
    const why = hands.ask('compress', [first!])
    expect(why).toBe('it takes the owner: GRANT app TO dba;')
    expect(hands.ask('decompress', [third!])).toBe(why)
    await withClient(server, client => client.query(/GRANT .*;/.exec(why as string)![0]))
    hands.poller.again('ts')
    await hands.until(() => hands.rows(chunks).length > 0 && typeof hands.ask('compress', [first!]) !== 'string', 'the right')
    expect(outcomes(await hands.confirm(hands.ask('compress', [first!])))).toEqual(['done'])
    const questions = [hands.ask('compress', [second!]), hands.ask('decompress', [third!])]
    hands.poller.stop()
    await withClient(server, client => client.query('REVOKE app FROM dba'))
    for (const asked of questions) {
      const work = await hands.confirm(asked)
      expect(outcomes(work)).toEqual(['refused'])
      expect(says(work)[0]).toMatch(/^refused: must be owner of hypertable/)
    }
    expect(await compressed(names)).toEqual([true, false, true])
  })

  test('the GRANT quotes the name of an owner that needs it', async () => {
    const names = await hypertable(1, '"Data Owner"')
    act(as('dba'))
    expect(hands.ask('compress', await rowsOf(names))).toBe('it takes the owner: GRANT "Data Owner" TO dba;')
  })

  test('a job of another role is refused beforehand with the GRANT', async () => {
    await withClient(server, client =>
      client.query(`INSERT INTO standin.job VALUES (1001, 'tidy', 'app') ON CONFLICT DO NOTHING`),
    )
    act(as('dba'))
    await hands.until(({ servers }) => Boolean(servers.ts?.readings.pulse?.sample), 'the pulse')
    const row = await jobRow(1001)
    for (const [action, given] of [
      ['runJob', row],
      ['pauseJob', row],
      ['resumeJob', { ...row, scheduled: false }],
    ] as const) {
      expect(hands.ask(action, [given])).toBe('it takes the owner: GRANT app TO dba;')
    }
  })
})
