// The jobs of TimescaleDB: policies and user-defined actions, how their last run went and when the next is due.

import { type ChunkFacts, type JobPaneRow, jobRows } from '../model/chunks.ts'
import { absent, count, duration } from '../model/format.ts'
import { drawable, drawableLines, is, type Untrusted } from '../model/untrusted.ts'
import type { Column, DetailLine, Tone } from './panel.ts'

/** A job may start a little after its time; later than this it is late. Seconds. */
const lateAfter = 60

const text = (value: Untrusted | null) => (value === null ? absent : drawable(value))
const failed = (row: JobPaneRow) => is(row.last_run_status, 'Failed')
const late = (row: JobPaneRow) => (row.lateSeconds ?? 0) > lateAfter

export const jobsOf = {
  rows: jobRows,
  notes: ({ jobs }: ChunkFacts, readsAllStats: boolean): readonly string[] =>
    jobs !== null && !readsAllStats ? ['restricted: running jobs say Scheduled; GRANT pg_read_all_stats to this role'] : [],
}

export const jobColumns: readonly Column<JobPaneRow>[] = [
  { title: 'JOB', width: 5, align: 'right', text: row => String(row.job_id), sortBy: row => row.job_id },
  { title: 'PROC', width: 15, grow: true, text: row => text(row.proc_name) },
  { title: 'HYPERTABLE', width: 12, wide: 22, text: row => (row.hypertable_name === null ? '' : drawable(row.hypertable_name)) },
  { title: 'OWNER', width: 9, wide: 14, from: 120, text: row => text(row.owner) },
  { title: 'EVERY', width: 9, align: 'right', text: row => text(row.schedule_interval) },
  {
    title: 'STATUS',
    width: 9,
    text: row => text(row.job_status),
    tone: row => (is(row.job_status, 'Paused') ? 'warning' : is(row.job_status, 'Running') ? 'ok' : undefined),
  },
  { title: 'LAST', width: 7, text: row => text(row.last_run_status), tone: row => (failed(row) ? 'critical' : undefined) },
  {
    title: 'AGO',
    width: 6,
    align: 'right',
    from: 100,
    text: row => duration(row.lastRunAgoSeconds),
    sortBy: row => row.lastRunAgoSeconds,
  },
  {
    title: 'TOOK',
    width: 6,
    align: 'right',
    from: 120,
    descending: true,
    text: row => duration(row.lastRunDurationSeconds),
    sortBy: row => row.lastRunDurationSeconds,
  },
  {
    title: 'RUNS',
    width: 6,
    align: 'right',
    from: 100,
    descending: true,
    text: row => count(row.total_runs),
    sortBy: row => row.total_runs,
  },
  {
    title: 'FAILED',
    width: 6,
    align: 'right',
    descending: true,
    text: row => count(row.total_failures),
    sortBy: row => row.total_failures,
    tone: row => (row.total_failures ? 'warning' : undefined),
  },
  { title: 'NEXT', width: 8, align: 'right', text: next, sortBy: row => row.nextStartSeconds, tone: nextTone },
]

function next(row: JobPaneRow): string {
  if (row.nextStartSeconds === null) return absent
  return row.nextStartSeconds < 0 ? `-${duration(-row.nextStartSeconds)}` : duration(row.nextStartSeconds)
}

function nextTone(row: JobPaneRow): Tone | undefined {
  return late(row) ? 'warning' : undefined
}

export function jobDetail(row: JobPaneRow): readonly DetailLine[] {
  const hypertable = row.hypertable_name === null ? 'none' : `${text(row.hypertable_schema)}.${drawable(row.hypertable_name)}`
  return [
    { name: 'job', value: `${row.job_id} ${text(row.application_name)}` },
    { name: 'proc', value: `${text(row.proc_schema)}.${text(row.proc_name)}` },
    { name: 'hypertable', value: hypertable },
    { name: 'owner', value: text(row.owner) },
    {
      name: 'schedule',
      value: `every ${text(row.schedule_interval)}${row.fixed_schedule ? ', fixed' : ' after the last finish'}`,
    },
    {
      name: 'limits',
      value: `max_runtime ${text(row.max_runtime)}, max_retries ${row.max_retries ?? absent}, retry_period ${text(row.retry_period)}`,
    },
    { name: 'job_status', value: text(row.job_status) },
    failed(row) ? { name: 'last run', value: lastRun(row), tone: 'critical' } : { name: 'last run', value: lastRun(row) },
    { name: 'last success', value: text(row.last_successful_finish) },
    {
      name: 'next_start',
      value: late(row)
        ? `${text(row.next_start)}, ${duration(row.lateSeconds)} late: is the scheduler running (timescaledb.max_background_workers)?`
        : text(row.next_start),
      ...(late(row) ? { tone: 'warning' as const } : {}),
    },
    {
      name: 'total',
      value: `${count(row.total_runs)} runs, ${count(row.total_successes)} successes, ${count(row.total_failures)} failures`,
    },
    ...errorLines(row),
    { title: 'config', block: drawableLines(row.config) },
  ]
}

function lastRun(row: JobPaneRow): string {
  if (row.last_run_started_at === null) return 'never'
  return `${text(row.last_run_status)}, began ${text(row.last_run_started_at)}, ${duration(row.lastRunAgoSeconds)} ago, took ${duration(row.lastRunDurationSeconds)}`
}

function errorLines(row: JobPaneRow): readonly DetailLine[] {
  if (!row.total_failures) return []
  if (row.err_message === null) {
    return [{ name: 'last error', value: "not to be seen: it takes the job's owner, or a member of the database's owner" }]
  }
  return [{ title: `last error ${text(row.sqlerrcode)} ${text(row.err_time)}`, block: drawableLines(row.err_message) }]
}
