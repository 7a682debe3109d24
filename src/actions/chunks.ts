// Chunks compressed and decompressed, one at a time, and the jobs behind the policies run, paused and resumed.

import type { ChunkPaneRow, JobPaneRow } from '../model/chunks.ts'
import { bytes, count, duration } from '../model/format.ts'
import { quotedName, sqlName, sqlText } from '../model/sql-name.ts'
import { drawable, is, raw, short, type Untrusted } from '../model/untrusted.ts'
import { ServerError } from '../server/deed.ts'
import { chunks, hypertables, jobs } from '../sql/timescale.ts'
import { rowsOf } from '../store/selectors.ts'
import type { Frozen, State } from '../store/state.ts'
import { action, type Hands, type Line, type Report, type WhyNot, whyNot } from './action.ts'
import { ourRole, placeOf } from './guards.ts'

/** The schema of TimescaleDB's functions; the usual one until it is known. */
const functions = (state: State, server: string) =>
  quotedName(raw(state.servers[server]?.facts?.timescaleSchema ?? ('public' as unknown as Untrusted)))

const isApache = (state: State, server: string) => is(state.servers[server]?.facts?.timescaleLicense ?? null, 'apache')
const apache = whyNot(
  "TimescaleDB runs under the Apache licence: set timescaledb.license = 'timescale' in postgresql.conf and reload",
)

type ChunkTarget = Frozen & {
  readonly qualified: Untrusted
  readonly hypertable_schema: Untrusted
  readonly hypertable_name: Untrusted
  readonly is_compressed: boolean | null
  readonly total_bytes: bigint | null
  readonly range: string
  /** Its range goes on: rows still come into it. */
  readonly current: boolean
  /** `"public".`: of the functions. */
  readonly functions: string
}

function freezeChunk(row: ChunkPaneRow, state: State): ChunkTarget {
  const { server, qualified, hypertable_schema, hypertable_name, is_compressed, total_bytes } = row
  const bound = (value: Untrusted | bigint | null) =>
    typeof value === 'bigint' ? String(value) : drawable(value).replace('T', ' ').slice(0, 16)
  return {
    ...placeOf(state, server),
    label: drawable(row.chunk_name),
    ...{ qualified, hypertable_schema, hypertable_name, is_compressed, total_bytes },
    range: `${bound(row.range_start)} – ${bound(row.range_end)}`,
    current: row.ageSeconds !== null && row.ageSeconds < 0,
    functions: functions(state, server),
  }
}

const parentOf = (target: ChunkTarget, state: State) =>
  rowsOf(state, target.server, hypertables).find(
    row => row.hypertable_schema === target.hypertable_schema && row.hypertable_name === target.hypertable_name,
  )

function guardChunk(target: ChunkTarget, state: State, compress: boolean): WhyNot | null {
  if (target.role === 'standby') return whyNot('a standby is read-only: do it on the primary')
  if (isApache(state, target.server)) return apache
  const now = rowsOf(state, target.server, chunks).find(row => row.qualified === target.qualified)
  const compressed = now?.is_compressed ?? target.is_compressed
  if (compressed === compress) return whyNot(compress ? 'it is compressed already; Z decompresses it' : 'it is not compressed')
  const parent = parentOf(target, state)
  if (compress && parent?.compression_enabled === false) {
    return whyNot(`compression is not enabled: ALTER TABLE ${drawable(parent.qualified)} SET (timescaledb.compress);`)
  }
  return parent?.owned === false ? takesOwner([ownerName(parent.owner)], target.server, state) : null
}

/** As SQL names it: the information views give a hypertable's owner as it is, and a job's quoted already where it must be. */
const ownerName = (owner: Untrusted | null) => drawable(sqlName(raw(owner ?? ('' as unknown as Untrusted))))

const takesOwner = (owners: readonly string[], server: string, state: State) =>
  whyNot(`it takes the owner: GRANT ${owners.join(', ')} TO ${ourRole(state, server)};`)

/** Hypertables, or jobs, that are not ours: each takes its owner. */
function ownersRight(server: string, state: State, of: typeof hypertables | typeof jobs): WhyNot | null {
  if (isApache(state, server)) return apache
  const rows: readonly { owned: boolean | null; owner: Untrusted | null }[] = rowsOf(state, server, of)
  const name = of === jobs ? drawable : ownerName
  const owners = [...new Set(rows.filter(({ owned }) => owned === false).map(({ owner }) => name(owner)))]
  return owners.length === 0 ? null : takesOwner(owners, server, state)
}

/** A chunk that somebody holds is passed over after this time, so that those who then stand behind us wait no longer. Milliseconds. */
const lockTimeoutMs = 3000

/** `false`: a chunk that somebody else was first with is an error, and not a success of ours (2.14 and later answer with a NOTICE only). */
const chunkStatement = (target: ChunkTarget, compress: boolean) =>
  `SELECT ${target.functions}.${compress ? 'compress_chunk' : 'decompress_chunk'}(${sqlText(raw(target.qualified))}::regclass, false)`

async function runChunk(target: ChunkTarget, compress: boolean, hands: Hands): Promise<Report> {
  const session = await hands.open({ lockTimeoutMs })
  const begun = hands.now()
  try {
    const { notices } = await session.run(chunkStatement(target, compress), [], null)
    const warning = notices.find(({ severity }) => severity === 'WARNING')?.message
    const took = duration((hands.now() - begun) / 1000)
    return {
      outcome: 'done',
      say: `${compress ? 'compressed' : 'decompressed'} in ${took}${warning ? `; WARNING: ${drawable(warning)}` : ''}`,
    }
  } catch (error) {
    if (!(error instanceof ServerError)) throw error
    const words = drawable(error.message)
    if (error.code === '55P03') {
      return { outcome: 'skipped', say: `skipped: locked by somebody for more than ${lockTimeoutMs / 1000} s (${words})` }
    }
    if (error.code === '42P01' || error.code === '3F000') return { outcome: 'already gone', say: `already gone: ${words}` }
    // Somebody, or a policy, was first.
    if (error.code === '42710' || /already (compressed|converted)|not compressed|is not converted/.test(error.message)) {
      return { outcome: 'skipped', say: `skipped: ${words}` }
    }
    throw error
  }
}

const chunkAction = (compress: boolean) =>
  action<ChunkPaneRow, ChunkTarget>({
    id: compress ? 'compress' : 'decompress',
    command: compress ? 'compress' : 'decompress',
    label: compress ? 'Compress chunk' : 'Decompress chunk',
    help: compress
      ? 'Compresses the chunk, or the tagged ones one after the other.'
      : 'Decompresses the chunk, or the tagged ones in turn.',
    lists: ['chunks'],
    takes: 'queue',
    on: 'postgres',
    right: (server, state) => ownersRight(server, state, hypertables),
    freeze: freezeChunk,
    guard: (target, state) => guardChunk(target, state, compress),
    words: () => null,
    watches: ({ server }) => [chunks, hypertables].map(query => ({ server, query })),
    ask: targets => ({
      head: ['CHUNK', 'HYPERTABLE', 'SIZE', 'RANGE'],
      hit: targets.map(target => [target.label, short(target.hypertable_name, 24), bytes(target.total_bytes), target.range]),
      follows: [
        {
          text:
            targets.length === 1
              ? 'whoever reads or writes the chunk waits until it is done'
              : `one after the other, each a transaction of its own: nobody waits for more than one chunk; Esc stops`,
        },
        { text: `a chunk that somebody locks for more than ${lockTimeoutMs / 1000} s is skipped` },
        ...(targets.some(({ current }) => current)
          ? [
              {
                text: `${targets.length === 1 ? 'rows still come into it' : `${targets.filter(({ current }) => current).length} of them still get rows`}: inserts wait meanwhile`,
                tone: 'warning' as const,
              },
            ]
          : []),
        ...(compress ? [] : [{ text: 'it takes its uncompressed size on disk again', tone: 'warning' as const } satisfies Line]),
      ],
    }),
    gone: (target, state, since) => {
      const sample = state.servers[target.server]?.readings[chunks.id]?.sample
      return !!sample && sample.at > since && !sample.rows.some(row => row.qualified === target.qualified)
    },
    sql: target => [chunkStatement(target, compress)],
    record: ({ qualified, hypertable_schema, hypertable_name, total_bytes }) => ({
      chunk: qualified,
      hypertable_schema,
      hypertable_name,
      total_bytes,
    }),
    run: (target, hands) => runChunk(target, compress, hands),
  })

type JobTarget = Frozen & {
  readonly job_id: number
  readonly what: string
  readonly hypertable: string
  readonly scheduled: boolean | null
  readonly job_status: Untrusted | null
  readonly owned: boolean | null
  readonly owner: Untrusted | null
  readonly proc_name: Untrusted | null
  readonly lastRunDurationSeconds: number | null
  readonly total_failures: bigint | null
  readonly functions: string
}

function freezeJob(row: JobPaneRow, state: State): JobTarget {
  const { server, job_id, scheduled, job_status, owned, owner, proc_name, lastRunDurationSeconds, total_failures } = row
  return {
    ...placeOf(state, server),
    label: `job ${job_id}`,
    ...{ job_id, scheduled, job_status, owned, owner, proc_name, lastRunDurationSeconds, total_failures },
    what: drawable(row.application_name),
    hypertable: row.hypertable_name === null ? '–' : `${drawable(row.hypertable_schema)}.${drawable(row.hypertable_name)}`,
    functions: functions(state, server),
  }
}

type JobVerb = 'run' | 'pause' | 'resume'

function guardJob(target: JobTarget, state: State, verb: JobVerb): WhyNot | null {
  if (target.role === 'standby') return whyNot('a standby is read-only: do it on the primary')
  if (isApache(state, target.server)) return apache
  if (target.owned === false) {
    return takesOwner([drawable(target.owner)], target.server, state)
  }
  if (verb === 'run') return is(target.job_status, 'Running') ? whyNot('it runs already') : null
  if (target.scheduled === false && verb === 'pause') return whyNot('it is paused already; R resumes it')
  return target.scheduled && verb === 'resume' ? whyNot('it is not paused') : null
}

const jobStatement = ({ functions, job_id }: JobTarget, verb: JobVerb) =>
  verb === 'run'
    ? `CALL ${functions}.run_job(${job_id})`
    : `SELECT scheduled FROM ${functions}.alter_job(${job_id}, scheduled => ${verb === 'resume'})`

async function runJob(target: JobTarget, verb: JobVerb, hands: Hands): Promise<Report> {
  const session = await hands.open()
  const begun = hands.now()
  // The number of a job is not given out again, but what is behind it may be another one after a restore.
  const check = `SELECT proc_name FROM timescaledb_information.jobs WHERE job_id = ${target.job_id}`
  const [job] = (await session.run(check)).rows
  if (!job || job.proc_name !== (target.proc_name === null ? null : raw(target.proc_name))) {
    return { outcome: 'already gone', say: 'already gone: there is no such job any more; nothing was done' }
  }
  if (verb === 'run') {
    try {
      await session.runAlone(jobStatement(target, verb), null)
    } catch (error) {
      // It has begun, and what it had committed by then is done.
      if (!(error instanceof ServerError) || error.kind !== 'refused' || error.code === '42501') throw error
      return { outcome: 'failed', say: `it has run and failed: ${drawable(error.message)}` }
    }
    return { outcome: 'done', say: `has run, in ${duration((hands.now() - begun) / 1000)}` }
  }
  const [row] = (await session.run(jobStatement(target, verb))).rows
  const scheduled = row?.scheduled === 't'
  return scheduled === (verb === 'resume')
    ? { outcome: 'done', say: scheduled ? 'it is scheduled again' : 'paused: it does not run until it is resumed (R)' }
    : { outcome: 'failed', say: 'the server took it, and the job is as before' }
}

const jobWords: Record<JobVerb, { command: string; label: string; help: string; follows: string }> = {
  run: {
    command: 'runJob',
    label: 'Run job now',
    help: 'Runs the job once, now.',
    follows: 'runs in the foreground on a connection of its own; an error is told here and not in the statistics of jobs',
  },
  pause: {
    command: 'pause',
    label: 'Pause job',
    help: 'Takes the job off its schedule.',
    follows: 'it does not run until it is resumed: what its policy does is left undone meanwhile',
  },
  resume: {
    command: 'resume',
    label: 'Resume job',
    help: 'Puts the job back on its schedule.',
    follows: 'it runs again by its schedule',
  },
}

const jobAction = (verb: JobVerb) =>
  action<JobPaneRow, JobTarget>({
    id: `${verb}Job`,
    command: jobWords[verb].command,
    label: jobWords[verb].label,
    help: jobWords[verb].help,
    lists: ['jobs'],
    takes: 'one',
    on: 'postgres',
    right: (server, state) => ownersRight(server, state, jobs),
    freeze: freezeJob,
    guard: (target, state) => guardJob(target, state, verb),
    words: () => null,
    watches: ({ server }) => [{ server, query: jobs }],
    ask: ([target]) => ({
      head: ['JOB', 'WHAT', 'HYPERTABLE', 'STATUS', 'LAST RUN TOOK', 'FAILURES'],
      hit: [
        [
          String(target!.job_id),
          target!.what,
          target!.hypertable,
          drawable(target!.job_status) || '–',
          duration(target!.lastRunDurationSeconds),
          count(target!.total_failures),
        ],
      ],
      follows: [{ text: jobWords[verb].follows }],
    }),
    gone: (target, state, since) => {
      const sample = state.servers[target.server]?.readings[jobs.id]?.sample
      return !!sample && sample.at > since && !sample.rows.some(row => row.job_id === target.job_id)
    },
    sql: target => [jobStatement(target, verb)],
    record: ({ job_id, proc_name, hypertable }) => ({ job_id, proc_name, hypertable }),
    run: (target, hands) => runJob(target, verb, hands),
  })

export const chunkActions = [chunkAction(true), chunkAction(false), jobAction('run'), jobAction('pause'), jobAction('resume')]
