// The noun list: everything the monitor knows, as plain data that is replaced and never mutated. Only updates.ts changes it.

import type { FirstSize } from '../model/databases.ts'
import type { Outcome } from '../model/deed-words.ts'
import type { Event } from '../model/event.ts'
import type { ServerFacts } from '../model/facts.ts'
import type { Capacity, FileSystems } from '../model/free-space.ts'
import type { Link, LinkWord } from '../model/link.ts'
import type { LockMarks } from '../model/locked.ts'
import type { Outage } from '../model/outage.ts'
import type { ProgressMark } from '../model/progress-pace.ts'
import type { Thresholds } from '../model/thresholds.ts'
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

export type { Event, Link, LinkWord, Outcome, ServerFacts }

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
  /** The trouble that the connection is in, or has just come out of; null once a server that is back has answered. */
  readonly outage: Outage | null
  /** What the server itself said last when it ended our session or refused us one, 57P03 left out; null: nothing yet. `text` is drawable. */
  readonly lastNotice: { readonly at: number; readonly code: string; readonly text: string } | null
  /** Marks made by the model on samples of several ticks: when what lasts (a paused database, a receiver that is down) was first seen, by name. */
  readonly firstSeen: Readonly<Record<string, number>>
  /** How fast long commands went so far, by the command (model/progress-pace.ts). */
  readonly progressMarks: Readonly<Record<string, ProgressMark>>
  /** Sizes of databases and tablespaces as they were first seen, for their growth. */
  readonly firstSizes: Readonly<Record<string, FirstSize>>
  /** Relations of its database that were seen locked lately. */
  readonly lockMarks: LockMarks
  /** What its tablespaces may hold, as the configuration says. */
  readonly capacity: Capacity
  /** Of this machine, where the server is on it; null before they were looked at. */
  readonly fileSystems: FileSystems | null
}

export type Sort = { readonly column: string; readonly descending: boolean }

export type ListView = {
  readonly selectedId: string | null
  /** null: the list's own order. */
  readonly sort: Sort | null
  readonly filter: string
  readonly tagged: readonly string[]
  readonly tree: boolean
  /** Ids of the rows of a folding tree whose children are shown. */
  readonly opened: readonly string[]
  /** Where the selected row stood last: when it is gone, the cursor stays at this place. */
  readonly lastIndex: number
}

/** Rows of a list as they were when a key was pressed: what a deed may be done to. `missing`: tagged ones that are no longer on the list. */
export type Subject = {
  readonly list: string
  readonly rows: readonly Readonly<Record<string, unknown>>[]
  readonly missing: number
}

/**
 * What a deed is done to, frozen when the key was pressed. `label` (drawable) names it in a sentence. `role` and `started` are those of the
 * server then: another role, or another start of the server (epoch seconds), makes it another place. Each action adds what identifies its own.
 */
export type Frozen = {
  readonly server: string
  readonly label: string
  readonly role: Role | 'pgbouncer' | null
  readonly started: number | null
  /** Oids of tables and indexes that it is about: while it is asked about, who uses them is watched. */
  readonly relations?: readonly bigint[]
}

/** What is asked of a server besides what the pane shows, while a question or a deed needs it. */
export type Watch = { readonly server: string; readonly query: Query }

/** The question before a deed. It never closes by itself. */
export type Confirm = {
  readonly kind: 'confirm'
  readonly action: string
  readonly targets: readonly Frozen[]
  /** Of the tagged rows those it can't be done to, and why. Drawable. */
  readonly leftOut: readonly { readonly label: string; readonly why: string }[]
  /** What was typed so far of the target's name, where that is what confirms. */
  readonly typed: string
  /** The number field: digits as they were typed; null where there is none. */
  readonly seconds: string | null
  /** First line shown of what may be longer than the screen. */
  readonly top: number
  /** A word to the user about the last key. Drawable. */
  readonly note: string | null
  /** Epoch ms. */
  readonly at: number
  /** It came up with the keys that are being handled now: nobody can have read it yet. */
  readonly fresh: boolean
  readonly watches: readonly Watch[]
  /** Why the audit trail can't be written. Drawable. */
  readonly trailTrouble: string | null
}

type MenuDialog = { readonly kind: 'menu'; readonly index: number; readonly typed: string }

export type Dialog =
  | { readonly kind: 'help'; readonly top: number }
  /** All that is known of the servers themselves. */
  | { readonly kind: 'servers'; readonly top: number }
  | (MenuDialog & { readonly menu: 'sort' | 'palette' | 'servers' | 'clusters' })
  | (MenuDialog & { readonly menu: 'act'; readonly subject: Subject })
  | Confirm
  /** Asked before leaving what is not finished; `code`: what pgvigil would end with. */
  | { readonly kind: 'quit'; readonly code: number }

/** An invalid index that a deed of ours left behind. `qualified`: its quoted name. */
export type LeftIndex = {
  readonly indexrelid: bigint
  readonly indrelid: bigint
  readonly qualified: Untrusted
  readonly indexrelname: Untrusted
  readonly table_qualified: Untrusted
  readonly indisready: boolean
}

/** One target of a deed. `outcome` null: not begun, or under way without a word yet; `ended`: nothing more will come. Texts are drawable. */
export type WorkItem = {
  readonly label: string
  readonly outcome: Outcome | null
  readonly say: string
  readonly begunAt: number | null
  readonly ended: boolean
  /** Done, and with something to be told of it. */
  readonly remark?: boolean
  /** Oids of the invalid indexes that it left behind. */
  readonly left?: readonly bigint[]
}

/** A deed that was confirmed: under way, or ended and still told of. Times in epoch ms. */
export type Work = {
  readonly id: number
  readonly action: string
  readonly label: string
  readonly server: string
  readonly items: readonly WorkItem[]
  /** One after the other, and Esc stops it. */
  readonly queue: boolean
  readonly stopping: 'no' | 'after this' | 'now'
  /** Of its own backend while it has one that can be told. */
  readonly pid: number | null
  /** What is asked of servers while it is under way. */
  readonly watches: readonly Watch[]
  readonly at: number
  readonly endedAt: number | null
}

/** A pause of ours of a PgBouncer's database; null: of all of it. Resumed by us at `deadlineAt`; null (after a KILL): only by hand. Epoch ms. */
export type OwnPause = {
  readonly id: number
  readonly server: string
  readonly database: Untrusted | null
  readonly by: 'PAUSE' | 'KILL'
  readonly phase: 'pending' | 'in force' | 'resuming'
  readonly since: number
  readonly deadlineAt: number | null
  readonly watches: readonly Watch[]
}
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
  /** Whether the terminal is to be told less: as asked for (--slow-link), or because it has been seen to take long. */
  readonly slowLink: 'no' | 'asked' | 'noticed'
  /** For a dark or a light background; `mono`: no colour, as `color` false. */
  readonly theme: 'dark' | 'light' | 'mono'
  readonly thresholds: Thresholds
  readonly readOnly: boolean
  readonly cluster: string
  /** Names of the configuration file's clusters. */
  readonly clusters: readonly string[]
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
  /** What happened and what was done while pgvigil watched, oldest first. */
  readonly events: readonly Event[]
  /** So many events were told so far. */
  readonly eventsTold: number
  /** Ids of servers that are primaries of one system beside each other. */
  readonly rivals: readonly string[]
  /** Oldest first. */
  readonly works: readonly Work[]
  readonly pauses: readonly OwnPause[]
  /** Backends of deeds under way, by server: marked as ours, never a target. */
  readonly ownPids: Readonly<Record<string, readonly number[]>>
  /** Invalid indexes that deeds of ours left behind and have not dropped since. */
  readonly leftIndexes: readonly (LeftIndex & { readonly server: string })[]
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
  | { readonly kind: 'fileSystems'; readonly server: string; readonly fileSystems: FileSystems }

export type Want = { readonly query: Query; readonly params: readonly (string | number)[] }

/** A sample's rows with the type of the query they came from. */
export type RowsOf<Q extends Query> = readonly RowOf<Q>[]
