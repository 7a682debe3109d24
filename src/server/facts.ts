// Facts of a server out of the rows that tell them.

import type { ServerFacts } from '../model/facts.ts'
import type { Untrusted } from '../sql/query.ts'
import type { FactsRow } from '../sql/server.ts'
import type { DecodedRow } from './decode.ts'

/** PostgreSQL: the row of the `facts` query. */
export function factsFromRow(decoded: DecodedRow | undefined): ServerFacts {
  const row = decoded as FactsRow
  const extensions: Record<string, number> = {}
  if (row.timescaledb_version) extensions.timescaledb = versionNumber(row.timescaledb_version)
  if (row.pg_stat_statements_version) extensions.pg_stat_statements = versionNumber(row.pg_stat_statements_version)
  return {
    version: row.version_num,
    extensions,
    available: [
      ...(row.timescaledb_available ? ['timescaledb'] : []),
      ...(row.pg_stat_statements_available ? ['pg_stat_statements'] : []),
    ],
    functions: row.callable === null ? [] : (row.callable as unknown as string).split(' '),
    collectsLog: row.collects_log,
    versionText: row.version_text,
    readsAllStats: row.reads_all_stats,
    superuser: row.is_superuser,
    signalsBackends: row.signals_backends,
    signalsAutovacuum: row.signals_autovacuum,
    pausesReplay: row.pauses_replay,
    resumesReplay: row.resumes_replay,
    hasReplication: row.has_replication,
    databaseOid: row.database_oid,
    database: row.datname,
    usableConnections: row.usable_connections,
    systemIdentifier: row.system_identifier,
    clusterName: row.cluster_name,
    timescaleLicense: row.timescaledb_license,
    timescaleSchema: row.timescaledb_schema,
    pgstattupleSchema: row.pgstattuple_schema,
    pgstattupleExecutes: row.pgstattuple_executes,
    pgstattupleInReach: row.pgstattuple_in_reach,
  }
}

/** Of a console that doesn't tell its version: asked for what all of them know. */
const anyPgbouncer = 10000

/** PgBouncer: SHOW VERSION ("PgBouncer 1.21.0") and SHOW CONFIG's max_client_conn; no rows where it refused to tell. */
export function pgbouncerFacts(version: readonly DecodedRow[], config: readonly DecodedRow[]): ServerFacts {
  const text = (version[0]?.version ?? null) as Untrusted | null
  const limit = config.find(row => row.key === 'max_client_conn')?.value
  return {
    version: (text ? versionNumber(text) : 0) || anyPgbouncer,
    extensions: {},
    available: [],
    versionText: text,
    readsAllStats: true,
    superuser: false,
    signalsBackends: false,
    signalsAutovacuum: false,
    pausesReplay: false,
    resumesReplay: false,
    hasReplication: false,
    databaseOid: null,
    database: null,
    usableConnections: typeof limit === 'string' && /^\d+$/.test(limit) ? Number(limit) : null,
    systemIdentifier: null,
    clusterName: null,
    timescaleLicense: null,
    timescaleSchema: null,
    pgstattupleSchema: null,
    pgstattupleExecutes: false,
    pgstattupleInReach: false,
  }
}

/** "2.23.0-dev" and "PgBouncer 1.21.0" as 10000*major + 100*minor + patch; 0 when there is no number. */
export function versionNumber(text: Untrusted): number {
  const match = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(text as unknown as string)
  return match ? Number(match[1]) * 10000 + Number(match[2]) * 100 + Number(match[3] ?? 0) : 0
}
