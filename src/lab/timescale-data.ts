// What the lab's TimescaleDB holds: hypertables of different ages, compressed and not, with policies; and the part of the
// job scheduler that this build lacks (it has no background workers): due jobs are run and recorded where it records them.

import type { Engine, Settings } from './timescale-engine.ts'

const statements = [
  // One chunk a day, two weeks; older than three days compressed, as its policy would have done.
  `CREATE TABLE metrics (time timestamptz NOT NULL, device int NOT NULL, cpu float8, memory float8)`,
  `SELECT create_hypertable('metrics', 'time', chunk_time_interval => interval '1 day')`,
  `INSERT INTO metrics SELECT t, d, 50 + 40 * sin(d + extract(hour FROM t)), 8 + d
     FROM generate_series(now() - interval '14 days', now(), interval '10 minutes') t, generate_series(1, 20) d`,
  `ALTER TABLE metrics SET (timescaledb.compress, timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 'time DESC')`,
  `SELECT count(compress_chunk(c)) FROM show_chunks('metrics', older_than => interval '3 days') c`,
  `SELECT add_compression_policy('metrics', interval '3 days', schedule_interval => interval '2 minutes')`,
  `SELECT add_retention_policy('metrics', interval '30 days', schedule_interval => interval '5 minutes')`,
  `CREATE MATERIALIZED VIEW metrics_hourly WITH (timescaledb.continuous) AS
     SELECT time_bucket('1 hour', time) AS hour, device, avg(cpu) AS cpu FROM metrics GROUP BY 1, 2 WITH NO DATA`,
  `SELECT add_continuous_aggregate_policy('metrics_hourly', start_offset => interval '3 days', end_offset => interval '1 hour',
     schedule_interval => interval '3 minutes')`,
  // Six-hour chunks, three days, never compressed.
  `CREATE TABLE sensor_readings (time timestamptz NOT NULL, sensor text NOT NULL, value float8)`,
  `SELECT create_hypertable('sensor_readings', 'time', chunk_time_interval => interval '6 hours')`,
  `INSERT INTO sensor_readings SELECT t, 'sensor-' || s, random() * 100
     FROM generate_series(now() - interval '3 days', now(), interval '5 minutes') t, generate_series(1, 8) s`,
  `SELECT add_retention_policy('sensor_readings', interval '7 days', schedule_interval => interval '4 minutes')`,
  // Weekly chunks in a schema of its own, half a year; compression was switched on late, so old chunks are still large.
  `CREATE SCHEMA trading`,
  `CREATE TABLE trading.ticks (at timestamptz NOT NULL, symbol text NOT NULL, price numeric, volume int)`,
  `SELECT create_hypertable('trading.ticks', 'at', chunk_time_interval => interval '7 days')`,
  `INSERT INTO trading.ticks SELECT t, s, 100 + random() * 10, (random() * 1000)::int
     FROM generate_series(now() - interval '180 days', now(), interval '6 hours') t, unnest(array['ACME', 'GLOBEX', 'INITECH', 'HOOLI']) s`,
  `ALTER TABLE trading.ticks SET (timescaledb.compress, timescaledb.compress_segmentby = 'symbol')`,
  `SELECT count(compress_chunk(c)) FROM show_chunks('trading.ticks', older_than => interval '120 days') c`,
  // A dimension of integers.
  `CREATE TABLE counters (seq bigint NOT NULL, value int)`,
  `SELECT create_hypertable('counters', 'seq', chunk_time_interval => 5000)`,
  `CREATE FUNCTION counters_now() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT coalesce(max(seq), 0) FROM public.counters'`,
  `SELECT set_integer_now_func('counters', 'counters_now')`,
  `INSERT INTO counters SELECT i, i % 97 FROM generate_series(1, 30000) i`,
  `ALTER TABLE counters SET (timescaledb.compress)`,
  `SELECT add_compression_policy('counters', 15000, schedule_interval => interval '2 minutes')`,
  `SELECT add_retention_policy('counters', 100000, schedule_interval => interval '5 minutes')`,
  // A job that fails, and one that somebody has switched off.
  `CREATE PROCEDURE export_archive(job_id int, config jsonb) LANGUAGE plpgsql AS
     $$BEGIN RAISE EXCEPTION 'archive host archive-2 is not reachable' USING ERRCODE = '08001'; END$$`,
  `SELECT add_job('export_archive', '2 minutes')`,
  `CREATE PROCEDURE refresh_device_list(job_id int, config jsonb) LANGUAGE plpgsql AS $$BEGIN PERFORM 1; END$$`,
  `SELECT alter_job(add_job('refresh_device_list', '1 hour'), scheduled => false)`,
]

/** Fills an empty database. Takes about a second. */
export async function fill(engine: Engine): Promise<void> {
  for (const text of statements) await engine.rows(text)
  while (await runDueJob(engine));
}

const traffic = [
  `INSERT INTO metrics SELECT now(), d, 50 + 40 * random(), 8 + d FROM generate_series(1, 20) d`,
  `INSERT INTO sensor_readings SELECT now(), 'sensor-' || s, random() * 100 FROM generate_series(1, 8) s`,
  `INSERT INTO trading.ticks SELECT now(), s, 100 + random() * 10, 10 FROM unnest(array['ACME', 'GLOBEX']) s`,
  `INSERT INTO counters SELECT counters_now() + i, i FROM generate_series(1, 25) i`,
]

/** Writes new rows and runs due jobs for as long as the process lives. */
export function live(engine: Engine): void {
  const session: Settings = new Map()
  const turn = async (work: () => Promise<unknown>) => {
    await engine.acquire(session)
    try {
      await work()
    } finally {
      engine.release()
    }
  }
  let turns = 0
  setInterval(() => {
    const text = traffic[turns % traffic.length]!
    turns += 1
    void turn(() => engine.rows(text)).catch(() => {})
  }, 1000)
  setInterval(() => void turn(() => runDueJob(engine)).catch(() => {}), 5000)
}

/** Runs the job that is due for longest; false when none is due. */
async function runDueJob(engine: Engine): Promise<boolean> {
  const [job] = await engine.rows(`
    SELECT j.job_id, j.proc_schema, j.proc_name, clock_timestamp()::text AS began, j.schedule_interval::text AS every
    FROM timescaledb_information.jobs j LEFT JOIN _timescaledb_internal.bgw_job_stat s USING (job_id)
    WHERE j.scheduled AND (s.next_start IS NULL OR s.next_start <= now())
    ORDER BY s.next_start NULLS FIRST, j.job_id LIMIT 1`)
  if (!job) return false
  const failure = await engine.rows(`CALL run_job(${Number(job.job_id)})`).then(
    () => null,
    (error: { code?: string; message: string }) => ({ sqlerrcode: error.code ?? 'XX000', message: error.message }),
  )
  await engine.rows(
    `INSERT INTO _timescaledb_internal.bgw_job_stat AS s
     VALUES ($1, $2, clock_timestamp(), clock_timestamp() + $3::interval, CASE WHEN $4 THEN clock_timestamp() ELSE '-infinity' END, $4, 1,
       clock_timestamp() - $2::timestamptz, '0', $4::int, (NOT $4)::int, 0, (NOT $4)::int, 0, 0)
     ON CONFLICT (job_id) DO UPDATE SET last_start = excluded.last_start, last_finish = excluded.last_finish, next_start = excluded.next_start,
       last_successful_finish = greatest(s.last_successful_finish, excluded.last_successful_finish), last_run_success = excluded.last_run_success,
       total_runs = s.total_runs + 1, total_duration = s.total_duration + excluded.total_duration,
       total_successes = s.total_successes + excluded.total_successes, total_failures = s.total_failures + excluded.total_failures,
       consecutive_failures = CASE WHEN $4 THEN 0 ELSE s.consecutive_failures + 1 END`,
    [job.job_id, job.began, job.every, failure === null],
  )
  if (!failure) return true
  const data = { job: { proc_schema: job.proc_schema, proc_name: job.proc_name }, error_data: failure }
  await engine.rows(
    `INSERT INTO _timescaledb_internal.bgw_job_stat_history (job_id, pid, execution_start, execution_finish, succeeded, data)
     VALUES ($1, 0, $2, clock_timestamp(), false, $3)`,
    [job.job_id, job.began, data],
  )
  return true
}
