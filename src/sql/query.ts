// The contract of everything we ask a server. A query is plain data: its text for each version, its columns with their kinds,
// what it needs and how often it runs. The row type is derived from `columns`, so there is one list and not two.

declare const brand: unique symbol

/**
 * Text that came from a server. At run time it is a string; the type keeps it from being drawn: only the sanitiser in
 * model/untrusted.ts makes a drawable string of it.
 */
export type Untrusted = { readonly [brand]: 'untrusted' }

/**
 * How a column's text on the wire becomes a value. A trailing `!` promises that it is never NULL; without it the value may be null.
 * `big` is for counters, xids and sizes (int8, numeric without fraction), `lsn` for pg_lsn (both BigInt), `num` for float8 and
 * numeric, `utf8` for a bytea that holds text cut by bytes (invalid or cut sequences become U+FFFD, passwords in statements ***), `ints` for int[].
 */
type Base = {
  int: number
  big: bigint
  num: number
  bool: boolean
  text: Untrusted
  utf8: Untrusted
  lsn: bigint
  ints: readonly number[]
}
export type Kind = keyof Base | `${keyof Base}!`
export type Columns = Readonly<Record<string, Kind>>
type Value<K extends Kind> = K extends `${infer B extends keyof Base}!` ? Base[B] : K extends keyof Base ? Base[K] | null : never
export type RowOf<Q extends { readonly columns: Columns }> = { readonly [C in keyof Q['columns']]: Value<Q['columns'][C]> }

export type Variant = {
  /** The first version this text is for: server_version_num (160000), or 10000*major+100*minor+patch of an extension or PgBouncer. */
  readonly from: number
  readonly text: string
  /** The same rows in one, which takes one more value: what has not changed since is told by its key alone (server/roster.ts). */
  readonly packed?: string
}

/**
 * Values that only the running monitor knows; they are bound to $1, $2... in this order. A missing value means: don't ask now.
 * `selectedQueryStart`: '' where the selected row doesn't tell it. `countSessions`: 1, or 0 where whoever asks counts them by the rows of `activity`.
 * `unlockedRelations`: oids that were locked a moment ago and are no longer.
 */
export type Param = 'queryBytes' | 'selectedPid' | 'selectedQueryStart' | 'countSessions' | 'askedRelations' | 'unlockedRelations'

export type Query<C extends Columns = Columns> = {
  readonly id: string
  readonly on: 'postgres' | 'pgbouncer'
  /** `tick`: each interval. A number: at most every so many seconds, whatever the interval. */
  readonly every: 'tick' | number
  readonly needs?: {
    /** An extension of the connected database; the variants' `from` then counts that extension's version. */
    readonly extension?: 'timescaledb' | 'pg_stat_statements'
    /** Only asked while the server has this role. */
    readonly role?: 'primary' | 'standby'
    /** Only asked where our role is a superuser: to others it is refused. */
    readonly superuser?: true
    /** Functions by their signatures that our role must be allowed to call: of `healthFunctions` in server.ts. */
    readonly functions?: readonly string[]
    /** Only where the server keeps its own log (logging_collector). */
    readonly collectedLog?: true
  }
  readonly params?: readonly Param[]
  /** Its rows hold counters that are shown as rates: a second sample is worth having soon after the first. */
  readonly rates?: true
  /** Always exactly one row, and cheap: asked as one statement with others of the kind. */
  readonly oneRow?: true
  /** As cheap as what is asked each tick, and bounded like it, whatever its pace. */
  readonly light?: true
  /**
   * Run once for each row of another query's newest sample, with the text of that row's `key` column as $1. One that fails (a lock, say)
   * costs its own rows only and is listed in the sample's `skipped`. `retryLocked`: one that met a lock is run once more, for a text that sees the lock then and
   * goes round it.
   */
  readonly forEach?: { readonly query: Query; readonly key: string; readonly retryLocked?: boolean }
  /** Newest first. Every variant gives the same columns; what a version lacks it gives as NULL. */
  readonly variants: readonly Variant[]
  readonly columns: C
}

/** Declares a query and keeps the literal kinds of its columns. */
export function query<const C extends Columns>(definition: Query<C>): Query<C> {
  return definition
}

/** What is known of a server when a text is picked: filled by the `facts` query (or SHOW VERSION) of the connection. */
export type PickFacts = {
  /** server_version_num, or PgBouncer's version as 10000*major+100*minor+patch. */
  readonly version: number
  /** Extensions of the connected database with their version as a number. */
  readonly extensions: Readonly<Record<string, number>>
  /** Extensions that the server could create here: its installation has them. */
  readonly available: readonly string[]
  /** Of the functions that not everybody may call those that our role may; absent: not known, so all of them. */
  readonly functions?: readonly string[]
  /** Whether the server keeps its own log; absent: not known. */
  readonly collectsLog?: boolean
}

/** Stands in a remedy for the name of our role, which is not known here. */
export const ourRole = 'this_role'

/** Functions that pg_monitor may call; the others take a GRANT of their own. */
const ofMonitor = new Set(['pg_ls_waldir()', 'pg_ls_archive_statusdir()', 'pg_ls_logdir()'])

export type Chosen = Pick<Variant, 'text' | 'packed'>
export type Picked = Chosen | { readonly unavailable: string; readonly remedy: string }

/** Chooses the text of a query for a server, or says why there is none and what would help. Pure. */
export function pickVariant(q: Query, facts: PickFacts): Picked {
  const extension = q.needs?.extension
  const version = extension ? facts.extensions[extension] : facts.version
  if (extension && version === undefined) {
    return {
      unavailable: `the extension ${extension} is not installed in this database`,
      remedy: facts.available.includes(extension)
        ? `CREATE EXTENSION ${extension};`
        : `name the database that has it${extension === 'timescaledb' ? ' with --timescale CONNINFO' : ''}, or install ${extension} on the server`,
    }
  }
  if (q.needs?.collectedLog && facts.collectsLog === false) {
    return {
      unavailable: 'the server does not collect its own log (logging_collector is off)',
      remedy: 'look where its stderr goes (journalctl, a log file), or set logging_collector = on and restart it',
    }
  }
  const missing = q.needs?.functions?.filter(signature => facts.functions?.includes(signature) === false) ?? []
  if (missing.length > 0) {
    const granted = missing.filter(signature => !ofMonitor.has(signature))
    const monitor = granted.length < missing.length ? [`GRANT pg_monitor TO ${ourRole};`] : []
    const each =
      granted.length > 0
        ? [`GRANT EXECUTE ON FUNCTION ${granted.map(name => `pg_catalog.${name}`).join(', ')} TO ${ourRole};`]
        : []
    return { unavailable: `this role may not call ${missing.join(', ')}`, remedy: [...monitor, ...each].join(' ') }
  }
  const variant = q.variants.find(v => (version ?? 0) >= v.from)
  if (variant) return variant.packed ? { text: variant.text, packed: variant.packed } : { text: variant.text }
  const oldest = q.variants.at(-1)?.from ?? 0
  const subject = extension ?? (q.on === 'pgbouncer' ? 'PgBouncer' : 'PostgreSQL')
  return {
    unavailable: `${subject} ${versionName(version ?? 0, q)} is too old for this`,
    remedy: `${subject} ${versionName(oldest, q)} or later has it`,
  }
}

function versionName(version: number, q: Query): string {
  if (q.on === 'postgres' && !q.needs?.extension) return version >= 100000 ? String(Math.floor(version / 10000)) : 'before 10'
  return `${Math.floor(version / 10000)}.${Math.floor(version / 100) % 100}`
}
