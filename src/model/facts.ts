// What is known of a server beyond its rows.

import type { PickFacts, Untrusted } from '../sql/query.ts'

/** Facts of a server that change seldom: read at connect and every half minute. Null: not known, or no right to know. */
export type ServerFacts = PickFacts & {
  /** As the server words it: "16.14", "PgBouncer 1.21.0". */
  readonly versionText: Untrusted | null
  /** May read others' rows of pg_stat_activity (superuser or pg_read_all_stats). Always true for PgBouncer. */
  readonly readsAllStats: boolean
  /** Our role by what it may do. Of PgBouncer nothing is said here: all false but `readsAllStats`. */
  readonly superuser: boolean
  /** pg_signal_backend: may cancel and terminate sessions of roles that are no superusers. */
  readonly signalsBackends: boolean
  /** pg_signal_autovacuum_worker (18). */
  readonly signalsAutovacuum: boolean
  readonly pausesReplay: boolean
  readonly resumesReplay: boolean
  /** REPLICATION: may drop slots. */
  readonly hasReplication: boolean
  readonly databaseOid: bigint | null
  readonly database: Untrusted | null
  /** Connections that ordinary roles can really use: max_connections less both reserves. PgBouncer: max_client_conn. */
  readonly usableConnections: number | null
  /** 64-bit, so a string of digits kept as BigInt. The same for a primary and its standbys. */
  readonly systemIdentifier: bigint | null
  readonly clusterName: Untrusted | null
  readonly timescaleLicense: Untrusted | null
  /** The schema of its functions. */
  readonly timescaleSchema: Untrusted | null
  /** Where pgstattuple is installed in the connected database; null: it isn't. */
  readonly pgstattupleSchema: Untrusted | null
  /** EXECUTE on its functions, USAGE of its schema. */
  readonly pgstattupleExecutes: boolean
  readonly pgstattupleInReach: boolean
}
