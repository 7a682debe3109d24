// Bloat measured by pgstattuple, which reads the whole relation. `schema` is the quoted name of the extension's. $1 name, $2 oid: another relation that
// goes by that name by now is not read, and gives no row.

const blockSize = `pg_catalog.current_setting('block_size')::int AS block_size`

/** Of a table's heap. */
export const exactTableBloat = (schema: string) =>
  `SELECT s.table_len, s.tuple_count, s.tuple_len, s.dead_tuple_count, s.dead_tuple_len, s.free_space FROM pg_catalog.pg_class c, LATERAL ${schema}.pgstattuple(c.oid::pg_catalog.regclass) s WHERE c.oid = $1::pg_catalog.regclass AND c.oid = $2::pg_catalog.oid`

/** Of a B-tree; `fillfactor` is what its leaves are filled to when it is built. */
export const exactIndexBloat = (schema: string) =>
  `SELECT s.index_size, s.internal_pages, s.leaf_pages, s.empty_pages, s.deleted_pages, s.avg_leaf_density, coalesce((SELECT option_value::int FROM pg_catalog.pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor'), 90) AS fillfactor, ${blockSize} FROM pg_catalog.pg_class c, LATERAL ${schema}.pgstatindex(c.oid::pg_catalog.regclass) s WHERE c.oid = $1::pg_catalog.regclass AND c.oid = $2::pg_catalog.oid`
