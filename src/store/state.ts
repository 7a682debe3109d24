// The noun list: everything the monitor knows, as plain data that is replaced and never mutated. Only updates.ts changes it.

import type { ServerFacts } from '../model/facts.ts'
import type { Query, RowOf, Untrusted } from '../sql/query.ts'

/** Rows of one query of one server, as the server gave them. `at` is our clock in epoch ms at the middle of the round trip. */
export type Sample<Row = Readonly<Record<string, unknown>>> = {
  readonly server: string
  readonly query: string
  readonly at: number
  readonly tookMs: number
  readonly rows: readonly Row[]
  /** For a `forEach` query: the keys whose run failed, why (drawable text), and its SQLSTATE. */
  readonly skipped: readonly { readonly key: Untrusted; readonly why: string; readonly code: string | null }[]
}

/** What stands in the way of a query's rows. `reason`, `error` and `remedy` are drawable text. */
export type Problem =
  | { readonly kind: 'unavailable'; readonly reason: string; readonly remedy: string }
  | { readonly kind: 'failed'; readonly error: string; readonly code: string | null; readonly at: number }

/** The newest sample, the one before it (for rates), and the trouble since, if any. */
export type Entry = { readonly sample: Sample | null; readonly previous: Sample | null; readonly problem: Problem | null }

/** An Entry seen at a moment: what a panel works with. */
export type Reading<Row> =
  | { readonly kind: 'fresh'; readonly sample: Sample<Row>; readonly previous: Sample<Row> | null }
  | {
      readonly kind: 'stale'
      readonly sample: Sample<Row>
      readonly previous: Sample<Row> | null
      readonly since: number
      readonly why: string
    }
  | { readonly kind: 'unavailable'; readonly reason: string; readonly remedy: string }
  | { readonly kind: 'failed'; readonly error: string }
  | { readonly kind: 'waiting' }

export type LinkWord = 'LIVE' | 'STALE' | 'DOWN' | 'CONNECTING' | 'STARTING' | 'RECOVERY' | 'STOPPING' | 'DENIED' | 'FULL'

/** `since`: our clock in epoch ms when the word last changed. `why`: the server's or the system's reason, drawable; null while all is well. */
export type Link = {
  readonly state: 'connecting' | 'up' | 'stale' | 'down'
  readonly word: LinkWord
  readonly since: number
  readonly why: string | null
}

export type { ServerFacts }

/** One point of a server's WAL position over our time: for a primary the insert position, for a standby the replay position. */
export type LsnPoint = { readonly at: number; readonly lsn: bigint }

export type Role = 'primary' | 'standby'

export type ServerState = {
  readonly id: string
  readonly kind: 'postgres' | 'pgbouncer'
  /** Where it is, for matching servers with each other: never for drawing a password. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly database: string
  /** Read anew each tick from pg_is_in_recovery(); null until first known and for PgBouncer. */
  readonly role: Role | null
  readonly link: Link
  /** plain, TLS unverified, TLS verified; null before the first connection. */
  readonly tls: 'plain' | 'unverified' | 'verified' | null
  readonly facts: ServerFacts | null
  /** By query id. */
  readonly readings: Readonly<Record<string, Entry>>
  /** Oldest first, one point a tick, half an hour long: a primary's insert positions, a standby's replay positions; emptied when the role changes. */
  readonly lsnHistory: readonly LsnPoint[]
  /** Our clock in epoch ms of the last answer of any kind; null before the first. */
  readonly lastAnswerAt: number | null
  /** Marks made by the model on samples of several ticks: when a paused database was first seen, by name. */
  readonly firstSeen: Readonly<Record<string, number>>
}

export type Sort = { readonly column: string; readonly descending: boolean }

export type ListView = {
  readonly selectedId: string | null
  /** null: the list's own order. */
  readonly sort: Sort | null
  readonly filter: string
  readonly tagged: readonly string[]
  readonly tree: boolean
  /** Where the selected row stood last: when it is gone, the cursor stays at this place. */
  readonly lastIndex: number
}

export type Dialog =
  | { readonly kind: 'help'; readonly top: number }
  | { readonly kind: 'menu'; readonly menu: 'sort' | 'palette' | 'servers'; readonly index: number; readonly typed: string }
export type Prompt = { readonly kind: 'find' | 'filter'; readonly text: string }

export type View = {
  readonly panel: string
  /** The PostgreSQL server that Activity and Locks show. */
  readonly focus: string | null
  /** The list in focus of each pane that has several. */
  readonly list: Readonly<Record<string, string>>
  readonly perList: Readonly<Record<string, ListView>>
  readonly detail: boolean
  readonly detailTop: number
  readonly dialog: Dialog | null
  readonly prompt: Prompt | null
  /** One line for the user after a key: why not, what was copied. */
  readonly message: { readonly text: string; readonly tone: 'ok' | 'warning'; readonly until: number } | null
  readonly size: { readonly columns: number; readonly rows: number }
  readonly hideIdle: boolean
}

export type Settings = {
  readonly intervalMs: number
  readonly ascii: boolean
  readonly color: boolean
  readonly readOnly: boolean
  readonly cluster: string
  /** The server whose database has the hypertables. */
  readonly timescaleId: string | null
  /** Why no PgBouncer is watched, where there is more to say than that none was named. */
  readonly noPooler: string | null
  /** Bytes of a query's text to read for lists. */
  readonly queryBytes: number
}

export type State = {
  readonly servers: Readonly<Record<string, ServerState>>
  /** Server ids in the order given. */
  readonly order: readonly string[]
  readonly now: number
  /** The picture being held: what the servers were then. Polling goes on underneath. */
  readonly held: { readonly at: number; readonly servers: Readonly<Record<string, ServerState>> } | null
  readonly view: View
  readonly settings: Settings
  /** What pgvigil itself costs: share of one CPU over the last seconds (0..1) and resident bytes. */
  readonly cost: { readonly cpu: number; readonly residentBytes: number } | null
}

/** What a source of samples (the poller) reports. */
export type SourceEvent =
  | { readonly kind: 'sample'; readonly sample: Sample }
  | { readonly kind: 'problem'; readonly server: string; readonly query: string; readonly problem: Problem }
  | { readonly kind: 'link'; readonly server: string; readonly link: Link; readonly tls?: ServerState['tls'] }
  | { readonly kind: 'facts'; readonly server: string; readonly facts: ServerFacts }

export type Want = { readonly query: Query; readonly params: readonly (string | number)[] }

/** A sample's rows with the type of the query they came from. */
export type RowsOf<Q extends Query> = readonly RowOf<Q>[]
