// From where on a figure is a finding: one list, which the checks, the configuration file and its example read.

type Threshold = {
  readonly default: number
  /** 1 where a figure of 0 would always be a finding. */
  readonly least: number
  readonly most: number
  /** What is measured, for the example of the configuration file and docs/CHECKS.md. */
  readonly say: string
}

const at = (value: number, say: string, least = 0, most = Number.POSITIVE_INFINITY): Threshold => ({
  default: value,
  least,
  most,
  say,
})
const percent = (value: number, say: string) => at(value, say, 1, 100)

const megabyte = 1024 * 1024

/** By their names; those with `Critical` make a finding critical. The configuration file spells them in snake_case. */
export const thresholdList = {
  lagSeconds: at(5, 'lag of a standby'),
  lagCriticalSeconds: at(60, 'lag of a standby'),
  lagBytes: at(256 * megabyte, 'WAL that a standby has not replayed'),
  lagCriticalBytes: at(4096 * megabyte, 'WAL that a standby has not replayed'),
  slotBytes: at(1024 * megabyte, 'WAL held by a slot'),
  slotCriticalBytes: at(10240 * megabyte, 'WAL held by a slot'),
  clockSkewSeconds: at(2, "difference of two servers' clocks"),
  connectionsPercent: percent(80, 'connections taken of those that ordinary roles can use'),
  connectionsCriticalPercent: percent(95, 'connections taken of those that ordinary roles can use'),
  poolWaitSeconds: at(1, "a client's wait for a server in a pool"),
  poolWaitCriticalSeconds: at(30, "a client's wait for a server in a pool"),
  poolPercent: percent(90, "servers of a pool at work, of its size; and PgBouncer's clients, of max_client_conn"),
  idleInTransactionSeconds: at(300, 'a session idle in its transaction'),
  transactionSeconds: at(300, 'an open transaction'),
  transactionCriticalSeconds: at(3600, 'an open transaction, or one that sits idle'),
  preparedSeconds: at(300, 'a prepared transaction'),
  querySeconds: at(60, 'a running query'),
  lockWaitSeconds: at(1, 'a wait for a lock'),
  lockWaitCriticalSeconds: at(300, 'a wait for a lock'),
  xminAge: at(10_000_000, 'transactions since the oldest snapshot that VACUUM must respect'),
  xminCriticalAge: at(100_000_000, 'transactions since the oldest snapshot that VACUUM must respect'),
  deadlocksPerMinute: at(1, 'deadlocks'),
  rollbacksPerMinute: at(60, 'rollbacks, where they are a tenth of all transactions or more'),
  cacheHitPercent: at(95, 'blocks found in shared_buffers, below which it is a finding', 0, 100),
  tempBytesPerMinute: at(100 * megabyte, 'temporary files written'),
  checkpointsForcedPercent: percent(50, 'checkpoints forced by WAL, of all since the statistics began'),
  archiveFiles: at(20, 'WAL files that wait to be archived'),
  walPercent: at(200, 'size of pg_wal, of max_wal_size', 1),
  diskPercent: percent(80, 'disk taken'),
  diskCriticalPercent: percent(90, 'disk taken'),
  deadRowsPercent: percent(20, 'dead rows of a table, where there are 1 000 or more'),
  overdueFactor: at(2, 'dead or changed rows of a table, in multiples of what autovacuum waits for', 1),
  freezeAge: at(1_000_000_000, 'age of the oldest transaction not frozen', 1),
  freezeCriticalAge: at(1_600_000_000, 'age of the oldest transaction not frozen', 1),
  multixactAge: at(1_000_000_000, 'age of the oldest multixact', 1),
  multixactCriticalAge: at(1_600_000_000, 'age of the oldest multixact', 1),
  sequencePercent: percent(80, 'numbers used of a sequence'),
  sequenceCriticalPercent: percent(95, 'numbers used of a sequence'),
  memoryPercent: at(100, 'connections times work_mem, of effective_cache_size', 1),
  logErrors: at(10, 'errors in the last hour of the log'),
  chunkOverdueSeconds: at(86_400, 'a chunk past the time of its policy'),
  jobLateSeconds: at(600, 'a job past its time'),
  passwordDays: at(30, 'until a password expires'),
} as const satisfies Record<string, Threshold>

export type ThresholdName = keyof typeof thresholdList
export type Thresholds = Readonly<Record<ThresholdName, number>>

export const thresholdNames = Object.keys(thresholdList) as ThresholdName[]

export const defaultThresholds = Object.fromEntries(
  Object.entries(thresholdList).map(([name, { default: value }]) => [name, value]),
) as Thresholds

/** A threshold's name in the configuration file. */
export const thresholdKey = (name: string) => name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
