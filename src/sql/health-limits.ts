// What runs out or is forgotten: sequences, passwords, prepared transactions.

import { query, type RowOf } from './query.ts'
import { heldRelations } from './tables.ts'

/** How many sequences are listed, those nearest to their ends first. */
const sequenceLimit = 100

/**
 * Sequences of the connected database: `used` is the share of its numbers that it has given out, by its own limit or that of the integer column it feeds, whichever comes
 * first. Those that our role may not read, or that are locked, have NULL. `sequences_in_all` and `hidden` count over all of them.
 */
export const sequences = query({
  id: 'sequences',
  on: 'postgres',
  every: 60,
  columns: {
    seqrelid: 'big!',
    schemaname: 'text!',
    sequencename: 'text!',
    qualified: 'text!',
    last_value: 'big',
    max_value: 'big!',
    cycle: 'bool!',
    used: 'num',
    sequences_in_all: 'int!',
    hidden: 'int!',
  },
  variants: [
    {
      from: 130000,
      text: `
WITH held AS MATERIALIZED (${heldRelations}
), seq AS MATERIALIZED (
  SELECT s.seqrelid, n.nspname, c.relname, s.seqincrement, s.seqcycle, s.seqmin,
         least(s.seqmax, (SELECT CASE a.atttypid WHEN 21 THEN 32767 WHEN 23 THEN 2147483647 END
                            FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                           WHERE d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid AND d.refclassid = 'pg_class'::regclass
                             AND d.deptype IN ('a', 'i') LIMIT 1)) AS seqmax,
         has_sequence_privilege(s.seqrelid, 'SELECT, USAGE') AS readable,
         has_sequence_privilege(s.seqrelid, 'SELECT, USAGE') AND s.seqrelid NOT IN (SELECT relation FROM held) AS readable_now
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relpersistence = 'p'
), read AS MATERIALIZED (
  SELECT seq.*, CASE WHEN readable_now THEN pg_sequence_last_value(seqrelid) END AS last_value FROM seq
)
SELECT seqrelid::int8 AS seqrelid, nspname AS schemaname, relname AS sequencename, format('%I.%I', nspname, relname) AS qualified,
       last_value, seqmax AS max_value, seqcycle AS cycle,
       CASE WHEN last_value IS NULL THEN CASE WHEN readable_now THEN 0 END
            WHEN seqincrement > 0 THEN (last_value::numeric - seqmin) / nullif(seqmax::numeric - seqmin, 0)
            ELSE (seqmax::numeric - last_value) / nullif(seqmax::numeric - seqmin, 0) END::float8 AS used,
       count(*) OVER ()::int AS sequences_in_all, count(*) FILTER (WHERE NOT readable) OVER ()::int AS hidden
  FROM read
 ORDER BY used DESC NULLS LAST
 LIMIT ${sequenceLimit}`,
    },
  ],
})
export type SequenceRow = RowOf<typeof sequences>

/** Roles that log in and whose password ends some day. `left_seconds` is negative once it has. */
export const passwords = query({
  id: 'passwords',
  on: 'postgres',
  every: 60,
  columns: { rolname: 'text!', valid_until: 'text!', left_seconds: 'num!' },
  variants: [
    {
      from: 130000,
      text: `
SELECT rolname, rolvaliduntil::text AS valid_until, extract(epoch FROM rolvaliduntil - clock_timestamp())::float8 AS left_seconds
  FROM pg_roles
 WHERE rolcanlogin AND isfinite(rolvaliduntil)`,
    },
  ],
})
export type PasswordRow = RowOf<typeof passwords>

/** Prepared transactions of all databases. They hold their locks and their snapshot without any session. */
export const preparedTransactions = query({
  id: 'preparedTransactions',
  on: 'postgres',
  every: 'tick',
  columns: { gid: 'text!', dbid: 'big!', ownerid: 'big!', prepared_age_seconds: 'num!', xid_age: 'int!' },
  variants: [
    {
      from: 130000,
      text: `
SELECT gid, dbid::int8 AS dbid, ownerid::int8 AS ownerid, extract(epoch FROM clock_timestamp() - prepared)::float8 AS prepared_age_seconds,
       age(transaction) AS xid_age
  FROM pg_prepared_xact()`,
    },
  ],
})
export type PreparedRow = RowOf<typeof preparedTransactions>
