// TimescaleDB: chunks that their policies have left behind, and jobs that fail.

import { type ChunkFacts, type ChunkPaneRow, chunkRows, type JobPaneRow, jobRows } from '../model/chunks.ts'
import { duration } from '../model/format.ts'
import { intervalSeconds } from '../model/interval.ts'
import { is, raw, short } from '../model/untrusted.ts'
import { chunks, hypertables, jobs } from '../sql/timescale.ts'
import { picture, read } from '../store/selectors.ts'
import type { Reading, ServerState, State } from '../store/state.ts'
import { type Check, levelOf, plural, some } from './check.ts'

const told = <Row>(reading: Reading<Row>) => (reading.kind === 'fresh' || reading.kind === 'stale' ? reading.sample : null)

const factsOf = (state: State, { id }: ServerState): ChunkFacts => ({
  server: id,
  now: picture(state).now,
  hypertables: told(read(state, id, hypertables)),
  chunks: told(read(state, id, chunks)),
  sizes: null,
  compression: null,
  jobs: told(read(state, id, jobs)),
})

const nameOf = (row: ChunkPaneRow) => short(row.view_name ?? row.hypertable_name, 30)

/** After how many seconds a job's policy wants to have done its work; null for integer dimensions and for other jobs. */
function after(job: JobPaneRow, key: 'compress_after' | 'drop_after'): number | null {
  try {
    const config: unknown = JSON.parse(job.config === null ? 'null' : raw(job.config))
    const value = (config as Record<string, unknown> | null)?.[key]
    return typeof value === 'string' ? intervalSeconds(value) : null
  } catch {
    // Cut, or no JSON: then it can't be told.
    return null
  }
}

function overdueCheck(
  id: string,
  title: string,
  why: string,
  key: 'compress_after' | 'drop_after',
  procs: readonly string[],
  verb: string,
  remedyOf: (row: ChunkPaneRow) => string,
): Check {
  return {
    id,
    title,
    why,
    of: 'timescale',
    unit: 's',
    warning: 'chunkOverdueSeconds',
    needs: [jobs, chunks],
    uses: [hypertables],
    look: (state, server) => {
      const facts = factsOf(state, server)
      const policies = jobRows(facts).flatMap(job => {
        const seconds = procs.some(proc => is(job.proc_name, proc)) ? after(job, key) : null
        return seconds === null ? [] : [{ job, seconds }]
      })
      if (policies.length === 0) return [{ level: 'ok', say: 'no policy by time' }]
      const late = chunkRows(facts).flatMap(chunk => {
        const policy = policies.find(
          ({ job }) =>
            job.hypertable_name !== null &&
            is(job.hypertable_name, raw(chunk.hypertable_name)) &&
            job.hypertable_schema !== null &&
            is(job.hypertable_schema, raw(chunk.hypertable_schema)),
        )
        if (!policy || chunk.ageSeconds === null || (key === 'compress_after' && chunk.is_compressed !== false)) return []
        const figure = chunk.ageSeconds - policy.seconds
        return figure > 0 ? [{ chunk, figure }] : []
      })
      const [oldest] = late.toSorted((a, b) => b.figure - a.figure)
      const figure = oldest?.figure ?? 0
      const bad = late.filter(one => levelOf(one.figure, state.settings.thresholds, { warning: 'chunkOverdueSeconds' }) !== 'ok')
      if (!oldest || bad.length === 0) return [{ level: 'ok', figure, say: 'the policies keep up' }]
      const names = [...new Set(bad.map(({ chunk }) => nameOf(chunk)))]
      return [
        {
          level: 'warning',
          figure,
          say: `${plural(bad.length, 'chunk')} should have been ${verb} already, the oldest ${duration(figure)} ago: ${some(names)}`,
          remedy: remedyOf(oldest.chunk),
          leadsTo: {
            panel: 'chunks',
            list: 'chunks',
            row: { server: server.id, chunk_schema: oldest.chunk.chunk_schema, chunk_name: oldest.chunk.chunk_name },
          },
        },
      ]
    },
  }
}

const compression = overdueCheck(
  'chunks_compression',
  'Chunks overdue for compression',
  'Chunks that are not compressed in time take many times the room.',
  'compress_after',
  ['policy_compression'],
  'compressed',
  () => 'see its job in 4 Chunks (jobs_failed); z compresses a chunk by hand',
)

const retention = overdueCheck(
  'chunks_retention',
  'Chunks overdue for retention',
  'Data that should be gone still takes room, or should not be kept at all.',
  'drop_after',
  ['policy_retention'],
  'dropped',
  () => 'see its job in 4 Chunks (jobs_failed), or CALL run_job(...)',
)

const failing: Check = {
  id: 'jobs_failed',
  title: 'Jobs of TimescaleDB',
  why: 'A policy whose job fails or does not start does nothing: no compression, no retention, no refresh.',
  of: 'timescale',
  unit: 's',
  warning: 'jobLateSeconds',
  needs: [jobs],
  look: (state, server) => {
    const rows = jobRows(factsOf(state, server))
    const failed = rows.filter(row => is(row.last_run_status, 'Failed'))
    const late = rows.filter(
      row => !failed.includes(row) && levelOf(row.lateSeconds ?? 0, state.settings.thresholds, failing) !== 'ok',
    )
    const figure = Math.max(0, ...rows.map(({ lateSeconds }) => lateSeconds ?? 0))
    const [first] = [...failed, ...late]
    const paused = rows.filter(row => row.scheduled === false)
    const off = paused.length > 0 ? `${plural(paused.length, 'job')} paused: ${some(paused.map(jobName))}` : ''
    if (!first)
      return [
        {
          level: 'ok',
          figure,
          say: off || `${plural(rows.length, 'job')}, none failed or late`,
          ...(off ? { advice: true as const } : {}),
        },
      ]
    const words = [
      failed.length > 0 ? `${plural(failed.length, 'job')} failed: ${some(failed.map(jobName))}` : '',
      late.length > 0
        ? `${plural(late.length, 'job')} late: ${some(late.map(row => `${jobName(row)} by ${duration(row.lateSeconds)}`))}`
        : '',
      off,
    ]
    return [
      {
        level: 'warning',
        figure,
        say: words.filter(Boolean).join('; '),
        remedy:
          failed.length > 0
            ? 'see its last error in 4 Chunks, jobs'
            : 'is the scheduler running (timescaledb.max_background_workers)?',
        leadsTo: { panel: 'chunks', list: 'jobs', row: { server: server.id, job_id: first.job_id } },
      },
    ]
  },
}

const jobName = (row: JobPaneRow) =>
  `${row.job_id} ${short(row.proc_name ?? '', 30)}${row.hypertable_name === null ? '' : ` of ${short(row.hypertable_name, 30)}`}`

export const chunkChecks: readonly Check[] = [compression, retention, failing]
