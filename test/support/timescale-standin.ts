// TimescaleDB as far as pgvigil asks it, played by an ordinary PostgreSQL: that of the lab has one backend for all, and locks, waits and
// cancels take several. Chunks are real tables; to compress one takes the locks that TimescaleDB takes, lasts a while, and sets a flag.

import type pg from 'pg'

const catalog = `
SET allow_system_table_mods = on;
CREATE SCHEMA timescaledb_information;
CREATE SCHEMA _timescaledb_internal;
CREATE SCHEMA standin;
GRANT USAGE ON SCHEMA timescaledb_information, _timescaledb_internal, standin TO PUBLIC;
INSERT INTO pg_catalog.pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
VALUES ('standin'::regnamespace::oid, 'timescaledb', 10, 'public'::regnamespace, false, '2.23.0');

CREATE TABLE standin.chunk (
  relid regclass PRIMARY KEY,
  hypertable regclass NOT NULL,
  number int NOT NULL,
  is_compressed bool NOT NULL DEFAULT false,
  seconds float8 NOT NULL DEFAULT 0.3
);
CREATE TABLE standin.job (job_id int PRIMARY KEY, proc_name name NOT NULL, owner regrole NOT NULL, scheduled bool NOT NULL DEFAULT true);
GRANT SELECT, UPDATE ON standin.chunk, standin.job TO PUBLIC;

CREATE VIEW timescaledb_information.hypertables AS
SELECT n.nspname AS hypertable_schema, t.relname AS hypertable_name, pg_get_userbyid(t.relowner) AS owner,
       1::smallint AS num_dimensions, count(*) AS num_chunks, true AS compression_enabled, NULL::name[] AS tablespaces
  FROM standin.chunk c JOIN pg_class t ON t.oid = c.hypertable JOIN pg_namespace n ON n.oid = t.relnamespace
 GROUP BY 1, 2, 3;

CREATE VIEW timescaledb_information.continuous_aggregates AS
SELECT NULL::name AS view_schema, NULL::name AS view_name, NULL::name AS view_owner, false AS compression_enabled,
       NULL::name AS materialization_hypertable_schema, NULL::name AS materialization_hypertable_name
 WHERE false;

CREATE VIEW timescaledb_information.dimensions AS
SELECT h.hypertable_schema, h.hypertable_name, 1::bigint AS dimension_number, 'time'::name AS column_name,
       'timestamptz'::regtype AS column_type, interval '1 day' AS time_interval, NULL::bigint AS integer_interval
  FROM timescaledb_information.hypertables h;

CREATE VIEW timescaledb_information.chunks AS
SELECT h.relnamespace::regnamespace::name AS hypertable_schema, h.relname AS hypertable_name,
       t.relnamespace::regnamespace::name AS chunk_schema, t.relname AS chunk_name,
       'time'::name AS primary_dimension, 'timestamptz'::regtype AS primary_dimension_type,
       timestamptz '2020-01-01 00:00+00' + c.number * interval '1 day' AS range_start,
       timestamptz '2020-01-02 00:00+00' + c.number * interval '1 day' AS range_end,
       NULL::bigint AS range_start_integer, NULL::bigint AS range_end_integer,
       c.is_compressed, NULL::name AS chunk_tablespace, timestamptz '2020-01-01 00:00+00' AS chunk_creation_time
  FROM standin.chunk c JOIN pg_class t ON t.oid = c.relid JOIN pg_class h ON h.oid = c.hypertable;

CREATE VIEW timescaledb_information.jobs AS
SELECT j.job_id, 'User-Defined Action'::name AS application_name, interval '1 hour' AS schedule_interval, interval '0' AS max_runtime,
       -1 AS max_retries, interval '5 minutes' AS retry_period, 'public'::name AS proc_schema, j.proc_name, j.owner, j.scheduled,
       true AS fixed_schedule, NULL::jsonb AS config, NULL::name AS hypertable_schema, NULL::name AS hypertable_name
  FROM standin.job j;

CREATE VIEW timescaledb_information.job_stats AS
SELECT j.job_id, NULL::timestamptz AS last_run_started_at, NULL::timestamptz AS last_successful_finish, NULL::text AS last_run_status,
       CASE WHEN j.scheduled THEN 'Scheduled' ELSE 'Paused' END AS job_status, NULL::interval AS last_run_duration,
       now() + interval '1 hour' AS next_start, 0::bigint AS total_runs, 0::bigint AS total_successes, 0::bigint AS total_failures
  FROM standin.job j;

CREATE VIEW timescaledb_information.job_errors AS
SELECT NULL::int AS job_id, NULL::text AS sqlerrcode, NULL::text AS err_message, NULL::timestamptz AS finish_time WHERE false;
GRANT SELECT ON ALL TABLES IN SCHEMA timescaledb_information TO PUBLIC;

CREATE FUNCTION standin.change(given regclass, compress bool, quietly bool) RETURNS regclass LANGUAGE plpgsql AS $$
DECLARE
  known standin.chunk;
BEGIN
  SELECT * INTO STRICT known FROM standin.chunk WHERE relid = given;
  IF NOT pg_has_role((SELECT relowner FROM pg_class WHERE oid = known.hypertable), 'USAGE') THEN
    RAISE EXCEPTION 'must be owner of hypertable "%"', known.hypertable USING ERRCODE = '42501';
  END IF;
  EXECUTE format('LOCK TABLE %s IN ACCESS SHARE MODE', known.hypertable);
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', given);
  SELECT * INTO STRICT known FROM standin.chunk WHERE relid = given;
  IF known.is_compressed AND compress THEN
    IF NOT quietly THEN
      RAISE EXCEPTION 'chunk "%" is already converted to columnstore', given USING ERRCODE = '42710';
    END IF;
    RAISE NOTICE 'chunk "%" is already converted to columnstore', given USING ERRCODE = '42710';
    RETURN given;
  END IF;
  IF NOT known.is_compressed AND NOT compress THEN
    IF NOT quietly THEN
      RAISE EXCEPTION 'chunk "%" is not converted to columnstore', given USING ERRCODE = '55000';
    END IF;
    RAISE NOTICE 'chunk "%" is not converted to columnstore', given USING ERRCODE = '55000';
    RETURN NULL;
  END IF;
  PERFORM pg_sleep(known.seconds);
  UPDATE standin.chunk SET is_compressed = compress WHERE relid = given;
  RETURN given;
END $$;

CREATE FUNCTION public.compress_chunk(uncompressed_chunk regclass, if_not_compressed bool DEFAULT true, recompress bool DEFAULT false)
RETURNS regclass LANGUAGE sql AS 'SELECT standin.change(uncompressed_chunk, true, if_not_compressed)';
CREATE FUNCTION public.decompress_chunk(uncompressed_chunk regclass, if_compressed bool DEFAULT true)
RETURNS regclass LANGUAGE sql AS 'SELECT standin.change(uncompressed_chunk, false, if_compressed)';

CREATE FUNCTION public.chunks_detailed_size(hypertable regclass)
RETURNS TABLE (chunk_schema name, chunk_name name, table_bytes bigint, index_bytes bigint, toast_bytes bigint, total_bytes bigint, node_name name)
LANGUAGE sql AS $$
SELECT t.relnamespace::regnamespace::name, t.relname, pg_table_size(c.relid), pg_indexes_size(c.relid), 0::bigint, pg_total_relation_size(c.relid), NULL::name
  FROM standin.chunk c JOIN pg_class t ON t.oid = c.relid WHERE c.hypertable = $1
$$;
CREATE FUNCTION public.chunk_compression_stats(hypertable regclass)
RETURNS TABLE (chunk_schema name, chunk_name name, compression_status text, before_compression_total_bytes bigint, after_compression_total_bytes bigint)
LANGUAGE sql AS $$
SELECT t.relnamespace::regnamespace::name, t.relname, CASE WHEN c.is_compressed THEN 'Compressed' ELSE 'Uncompressed' END, 90000::bigint, 9000::bigint
  FROM standin.chunk c JOIN pg_class t ON t.oid = c.relid WHERE c.hypertable = $1
$$;

CREATE FUNCTION public.alter_job(job_id int, scheduled bool DEFAULT NULL) RETURNS TABLE (job_id int, scheduled bool) LANGUAGE sql AS
'UPDATE standin.job j SET scheduled = $2 WHERE j.job_id = $1 RETURNING j.job_id, j.scheduled';
CREATE PROCEDURE public.run_job(job_id int) LANGUAGE sql AS 'SELECT 1';
`

/** Makes this database one with TimescaleDB 2.23. Takes a superuser. */
export async function installStandIn(client: pg.Client): Promise<void> {
  await client.query(catalog)
}

/** A hypertable in public (its name as SQL has it) with so many chunks, none compressed; their names with the schema, oldest first. */
export async function addHypertable(client: pg.Client, name: string, chunks: number, owner: string): Promise<readonly string[]> {
  await client.query(
    `CREATE TABLE public.${name} (time timestamptz NOT NULL, value int); ALTER TABLE public.${name} OWNER TO ${owner}`,
  )
  const { rows } = await client.query('SELECT $1::regclass::oid AS oid', [`public.${name}`])
  const made = Array.from({ length: chunks }, (_, i) => `_timescaledb_internal._hyper_${rows[0].oid}_${i + 1}_chunk`)
  for (const [number, chunk] of made.entries()) {
    await client.query(`CREATE TABLE ${chunk} (LIKE public.${name}); ALTER TABLE ${chunk} OWNER TO ${owner}`)
    await client.query('INSERT INTO standin.chunk (relid, hypertable, number) VALUES ($1, $2, $3)', [
      chunk,
      `public.${name}`,
      number,
    ])
  }
  return made
}
