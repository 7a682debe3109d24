// Locked catalogs in words. Their names are known by heart: to look them up would wait for the very lock that is told of.

import type { CatalogLockRow } from '../sql/catalogs.ts'
import { duration } from './format.ts'
import { drawable, is } from './untrusted.ts'

/** Oids of catalogs, the same in all versions. */
const names = new Map<bigint, string>([
  [1213n, 'pg_tablespace'],
  [1247n, 'pg_type'],
  [1249n, 'pg_attribute'],
  [1255n, 'pg_proc'],
  [1259n, 'pg_class'],
  [1260n, 'pg_authid'],
  [1261n, 'pg_auth_members'],
  [1262n, 'pg_database'],
  [2600n, 'pg_aggregate'],
  [2601n, 'pg_am'],
  [2604n, 'pg_attrdef'],
  [2605n, 'pg_cast'],
  [2606n, 'pg_constraint'],
  [2607n, 'pg_conversion'],
  [2608n, 'pg_depend'],
  [2609n, 'pg_description'],
  [2610n, 'pg_index'],
  [2611n, 'pg_inherits'],
  [2612n, 'pg_language'],
  [2613n, 'pg_largeobject'],
  [2615n, 'pg_namespace'],
  [2616n, 'pg_opclass'],
  [2617n, 'pg_operator'],
  [2618n, 'pg_rewrite'],
  [2619n, 'pg_statistic'],
  [2620n, 'pg_trigger'],
  [2964n, 'pg_db_role_setting'],
  [3079n, 'pg_extension'],
  [1214n, 'pg_shdepend'],
  [2396n, 'pg_shdescription'],
])

/** "pg_database is locked (ACCESS EXCLUSIVE) by pid 123, idle in transaction for 12s"; null: none is. Of several locks of one holder the first. Drawable. */
export function lockedCatalog(rows: readonly CatalogLockRow[]): string | null {
  const [first] = [...rows].sort((a, b) => Number(names.has(b.relation)) - Number(names.has(a.relation)))
  if (!first) return null
  const { pid, relation, backend_type, state, xact_age_seconds: age } = first
  const what = names.get(relation) ?? `a catalog's index (oid ${relation})`
  const doing = state === null ? '' : `, ${drawable(state)}`
  const lasting = age === null ? '' : ` for ${duration(age)}`
  const who = pid === null ? 'a prepared transaction' : is(backend_type, 'startup') ? `replay of WAL (pid ${pid})` : `pid ${pid}`
  return `${what} is locked (ACCESS EXCLUSIVE) by ${who}${doing}${lasting}`
}
