// What B-tree indexes hold by the statistics of their columns, for an estimate of how large they would be when built anew.

import { query, type RowOf } from './query.ts'

// An expression's width is of a value with its long header, which an index shortens. Of the combinations of several columns' values those count that
// so many rows would meet by chance.

/**
 * A row for each valid B-tree of some size of which our role may read the statistics of all columns (pg_stats shows a column to who may SELECT it,
 * an expression to the owner of its table), and which have been analyzed. `data_width_bytes`: of a row without nulls, with what alignment adds between columns;
 * `null_share`: rows with a null in them, and `null_width_bytes` what these hold. `distinct_keys`: as if columns were independent of each
 * other; NULL where ANALYZE found none. `deduplicates`: equal keys share one entry (PostgreSQL 13), by its operator classes, collations and options.
 */
export const indexWidths = query({
  id: 'indexWidths',
  on: 'postgres',
  every: 300,
  columns: {
    indexrelid: 'big!',
    data_width_bytes: 'num!',
    null_share: 'num!',
    null_width_bytes: 'num!',
    distinct_keys: 'num',
    deduplicates: 'bool!',
    fillfactor: 'int!',
  },
  variants: [
    {
      from: 130000,
      text: `
WITH stats AS MATERIALIZED (
  SELECT schemaname, tablename, attname, avg_width, null_frac, n_distinct FROM pg_stats WHERE NOT inherited
), trees AS MATERIALIZED (
  SELECT x.indexrelid, x.indrelid, x.indkey, x.indclass, x.indcollation, x.indnkeyatts, x.indnatts, x.indisunique,
         c.relname AS indexname, c.reloptions, t.relname AS tablename, greatest(t.reltuples, 1) AS table_rows, n.nspname
    FROM pg_index x
    JOIN pg_class c ON c.oid = x.indexrelid AND c.relkind = 'i' AND c.relpages >= 16
    JOIN pg_am m ON m.oid = c.relam AND m.amname = 'btree'
    JOIN pg_class t ON t.oid = x.indrelid AND t.relkind IN ('r', 'm')
    JOIN pg_namespace n ON n.oid = t.relnamespace AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
   WHERE x.indisvalid
), columns AS (
  SELECT i.indexrelid, i.table_rows, a.attnum, a.attnum <= i.indnkeyatts AS is_key, a.attlen, s.null_frac::float8 AS null_frac,
         CASE WHEN t.attnum IS NULL AND a.attlen = -1 AND s.avg_width BETWEEN 4 AND 130 THEN s.avg_width - 3 ELSE s.avg_width END::float8 AS width,
         CASE WHEN s.null_frac = 1 THEN 0 WHEN s.n_distinct < 0 THEN -s.n_distinct * i.table_rows ELSE nullif(s.n_distinct, 0) END::float8
           + (s.null_frac > 0)::int AS distinct_values,
         CASE WHEN a.attlen = -1 AND s.avg_width < 127 THEN 1 ELSE CASE a.attalign WHEN 'd' THEN 8 WHEN 'i' THEN 4 WHEN 's' THEN 2 ELSE 1 END END AS alignment,
         EXISTS (SELECT FROM pg_opclass o
                   JOIN pg_amproc p ON p.amprocfamily = o.opcfamily AND p.amproclefttype = o.opcintype AND p.amprocrighttype = o.opcintype AND p.amprocnum = 4
                  WHERE o.oid = i.indclass[a.attnum - 1])
         AND NOT EXISTS (SELECT FROM pg_collation l WHERE l.oid = i.indcollation[a.attnum - 1] AND NOT l.collisdeterministic) AS equal_images
    FROM trees i
    JOIN pg_attribute a ON a.attrelid = i.indexrelid AND a.attnum > 0
    LEFT JOIN pg_attribute t ON t.attrelid = i.indrelid AND t.attnum = i.indkey[a.attnum - 1] AND t.attnum <> 0
    LEFT JOIN stats s ON s.schemaname = i.nspname
                     AND s.tablename = CASE WHEN t.attnum IS NULL THEN i.indexname ELSE i.tablename END
                     AND s.attname = CASE WHEN t.attnum IS NULL THEN a.attname ELSE t.attname END
), padded AS (
  SELECT columns.*, ceil(width / next_alignment) * next_alignment AS padded_width
    FROM (SELECT *, coalesce(lead(alignment) OVER (PARTITION BY indexrelid ORDER BY attnum), 1) AS next_alignment FROM columns) columns
), summed AS (
  SELECT indexrelid, sum(padded_width) AS data_width_bytes, sum(padded_width * (1 - null_frac)) AS held_bytes,
         1 - exp(sum(ln(greatest(1 - null_frac, 1e-9)))) AS null_share,
         CASE WHEN count(distinct_values) FILTER (WHERE is_key) = count(*) FILTER (WHERE is_key)
              THEN round(exp(least(sum(ln(greatest(distinct_values, 1))) FILTER (WHERE is_key), 40))) END AS combinations,
         max(distinct_values) FILTER (WHERE is_key) AS most_distinct, count(*) FILTER (WHERE is_key) AS keys, max(table_rows) AS table_rows,
         bool_and(equal_images) FILTER (WHERE is_key) AS equal_images
    FROM padded
   GROUP BY indexrelid
  HAVING count(width) = count(*) AND bool_and(attlen <> -2)
)
SELECT i.indexrelid::int8 AS indexrelid, s.data_width_bytes, s.null_share,
       CASE WHEN s.null_share > 0 THEN greatest(0, (s.held_bytes - (1 - s.null_share) * s.data_width_bytes) / s.null_share) ELSE 0 END AS null_width_bytes,
       CASE WHEN s.keys = 1 THEN s.combinations ELSE greatest(s.most_distinct, s.combinations * (1 - exp(-s.table_rows / s.combinations))) END AS distinct_keys,
       s.equal_images AND NOT i.indisunique AND i.indnkeyatts = i.indnatts AND o.deduplicates AS deduplicates,
       o.fillfactor
  FROM summed s
  JOIN trees i USING (indexrelid)
  CROSS JOIN LATERAL (
    SELECT coalesce(max(option_value) FILTER (WHERE option_name = 'fillfactor')::int, 90) AS fillfactor,
           coalesce(max(option_value) FILTER (WHERE option_name = 'deduplicate_items')::bool, true) AS deduplicates
      FROM pg_options_to_table(i.reloptions)
  ) o`,
    },
  ],
})
export type IndexWidthRow = RowOf<typeof indexWidths>
