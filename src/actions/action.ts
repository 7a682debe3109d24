// The contract of a deed. An action is plain data and functions: what it is done to, what stands in the way, what to ask before, the
// statement, and an honest word on how it ended. perform.ts runs them all in the same way.

import type { DeedOptions, DeedSession, WireRow } from '../server/deed.ts'
import type { Untrusted } from '../sql/query.ts'
import type { Frozen, LeftIndex, Outcome, State, Watch } from '../store/state.ts'

/** A database of a PgBouncer; `database` null: the whole of it. */
export type PoolTarget = Frozen & { readonly database: Untrusted | null }

/** Why something can't be done, with the remedy where there is one. One drawable sentence, without a full stop. */
export type WhyNot = { readonly why: string }

export type Line = { readonly text: string; readonly tone?: 'dim' | 'ok' | 'warning' | 'critical' }

/** What the dialog tells besides server, role and SQL. All of it drawable. */
export type Question = {
  /** Who or what is hit: a line for each target, under a head. Columns are aligned by the dialog; the last may be long. */
  readonly head: readonly string[]
  readonly hit: readonly (readonly string[])[]
  /** What will follow, a sentence each. */
  readonly follows: readonly Line[]
}

/** Rows that another row stands for. `missing`: how many more there are, which are not listed. */
export type Parts<Row> = { readonly rows: readonly Row[]; readonly missing: number }

/** How it ended. `say`: one drawable sentence. `remark`: it is worth telling also when all went well, and among many. */
export type Report = { readonly outcome: Outcome; readonly say: string; readonly remark?: boolean }

/** What a running deed has in its hands. */
export type Hands = {
  /** The deed's own connection, opened at the first call and closed by perform.ts. Throws DialError or ServerError. */
  open(options?: Omit<DeedOptions, 'deadlineMs'>): Promise<DeedSession>
  /** The connection is of no use any more: the next open() makes another. */
  close(): void
  /** The session that reads, for when no new one can be had (no slot is free, a catalog is locked): quick statements only. Null: there is none. */
  lend(text: string, values: readonly (string | number)[]): Promise<readonly WireRow[] | null>
  /** A first word while the outcome is still awaited. */
  tell(report: Report): void
  /** The user has asked for the end of what is under way (Esc twice, or q): an error that says "cancelled" is our doing. */
  stopping(): boolean
  /** Invalid indexes that it has left behind: they are told of, and can be dropped, until another deed of ours has dropped them. */
  leaves(indexes: readonly LeftIndex[]): void
  /** An index is gone: whatever told of it as left behind does so no longer. */
  dropped(indexrelid: bigint): void
  /** Pauses a database of a PgBouncer under supervision (pauses.ts); resolves when it is in force, or won't be. */
  pause(target: PoolTarget): Promise<Report>
  /** A pause is over, or a KILL has left one behind. */
  resumed(target: PoolTarget): void
  killed(target: PoolTarget): void
  readonly state: () => State
  /** Of the number field; null without one. */
  readonly seconds: number | null
  readonly now: () => number
}

export type Action<Row = Readonly<Record<string, unknown>>, T extends Frozen = Frozen> = {
  readonly id: string
  /** The command that keys and menus name; several actions of different lists may share one (P pauses a pool, replay or a job). */
  readonly command: string
  /** In menu and dialog: "Cancel query". */
  readonly label: string
  /** One sentence for the menu. */
  readonly help: string
  /** Ids of the lists whose rows it is done to. */
  readonly lists: readonly string[]
  /** `one`: a single row. `all`: each of the tagged rows, together. `queue`: each of them, one after the other. */
  readonly takes: 'one' | 'all' | 'queue'
  readonly on: 'postgres' | 'pgbouncer'
  /** What our role lacks for it on a server as a whole, whatever the target; null: nothing. What guards say of a target comes besides. */
  readonly right: (server: string, state: State) => WhyNot | null
  /** What a row stands for, when it is done to each of these instead: the chunks of a hypertable. Null: to the row itself. */
  readonly expand?: (row: Row, state: State) => Parts<Row> | null
  /** The target that a row is, with all that identifies it; or why the row is none. */
  readonly freeze: (row: Row, state: State) => T | WhyNot
  /** What of the target itself stands in the way; null: nothing. Read-only mode and servers that don't answer are perform's affair. */
  readonly guard: (target: T, state: State) => WhyNot | null
  /** Grave: one of these words must be typed (the first is asked for). Null: `y` is enough. */
  readonly words: (target: T, state: State) => readonly string[] | null
  /** The same for several targets of a grave deed. Without it such a deed is done to one target at a time. */
  readonly wordsForSeveral?: (targets: readonly T[]) => readonly string[]
  /** A number field: what stands in it first, and a bound it must stay below (null: none). */
  readonly secondsField?: (
    target: T,
    state: State,
  ) => { readonly first: number; readonly below: number | null; readonly why: string }
  readonly watches: (target: T, state: State) => readonly Watch[]
  /** What is asked of servers while it is under way, for the line that tells how far it is. */
  readonly watchesMeanwhile?: (target: T) => readonly Watch[]
  readonly ask: (targets: readonly T[], state: State) => Question
  /** Newer samples say that the target is no longer there. */
  readonly gone: (target: T, state: State, since: number) => boolean
  /** The statements as they will run, one a line. */
  readonly sql: (target: T) => readonly string[]
  /** More for the audit trail on who is hit; raw text is fine. */
  readonly record: (target: T) => Readonly<Record<string, unknown>>
  /** Does it. Expected trouble is a Report; DialError and ServerError are told by perform.ts. */
  readonly run: (target: T, hands: Hands) => Promise<Report>
}

/** An action whose row and target types are its own affair. */
export type AnyAction = Action

export function action<Row, T extends Frozen>(spec: Action<Row, T>): AnyAction {
  return spec as unknown as AnyAction
}

export const whyNot = (why: string): WhyNot => ({ why })
export const isWhyNot = (value: Frozen | WhyNot): value is WhyNot => 'why' in value
