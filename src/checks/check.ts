// What a check is: a record that says what it looks at, why, from where on its figure is a finding, and a pure function that finds.

import type { ThresholdName, Thresholds } from '../model/thresholds.ts'
import type { Query } from '../sql/query.ts'
import type { ServerState, State } from '../store/state.ts'

export type Level = 'ok' | 'warning' | 'critical' | 'unknown'

/** Where a finding leads: the row of a list that has all of these fields; without a row the list as a whole. */
export type Place = {
  readonly panel: string
  readonly list: string
  readonly row?: Readonly<Record<string, unknown>>
}

/** What a check found of one object. Texts are drawable; `say` is a sentence without the server's name. */
export type Found = {
  readonly level: Level
  readonly say: string
  /** The standby, slot or pool it is of, where a check tells of several. */
  readonly object?: string
  /** In the check's unit. null: not known, or there is none. */
  readonly figure?: number | null
  /** What to do: a statement to review, a GRANT, a place to look at. */
  readonly remedy?: string
  readonly leadsTo?: Place
  /** The server could not be asked at all. */
  readonly unasked?: true
  /** Something worth knowing that is no alarm: its level is ok. */
  readonly advice?: true
}

export type Unit = 's' | 'B' | '%' | ''

type Common = {
  /** Stable: scripts name it. */
  readonly id: string
  readonly title: string
  /** One sentence: what happens to those who don't look. */
  readonly why: string
  readonly unit: Unit
  readonly warning?: ThresholdName
  readonly critical?: ThresholdName
  /** Its figure is a finding below its thresholds. */
  readonly lowIsBad?: true
  /** Without these it can say nothing. */
  readonly needs: readonly Query[]
  /** With these it says more: who, which. */
  readonly uses?: readonly Query[]
  /** Its figure is what happened between two samples of what it needs. */
  readonly rate?: true
}

/** Of what it is: of all together, of each server of a kind, of each that has a role, or of the database with the hypertables. */
export type Check = Common &
  (
    | { readonly of: 'cluster'; readonly look: (state: State) => readonly (Found & { readonly server: string | null })[] }
    | {
        readonly of: 'server' | 'postgres' | 'primary' | 'standby' | 'pgbouncer' | 'timescale'
        readonly look: (state: State, server: ServerState) => readonly Found[]
      }
  )

/** A finding with the check that made it and the server it is of; null: of all together. */
export type Finding = Found & { readonly check: Check; readonly server: string | null }

const higher = (a: Level, b: Level) => (severity(a) > severity(b) ? a : b)

/** Worst highest. */
export function severity(level: Level): number {
  return { ok: 0, unknown: 1, warning: 2, critical: 3 }[level]
}

export const worst = (levels: readonly Level[]): Level => levels.reduce(higher, 'ok')

/** The level of a figure that is a finding from its thresholds on. A critical one below the other counts from that one on. */
export function levelOf(
  figure: number,
  thresholds: Thresholds,
  { warning, critical }: Pick<Check, 'warning' | 'critical'>,
): Level {
  const least = warning === undefined ? Number.POSITIVE_INFINITY : thresholds[warning]
  if (critical !== undefined && figure >= Math.max(warning === undefined ? 0 : least, thresholds[critical])) return 'critical'
  return figure >= least ? 'warning' : 'ok'
}

/** "a, b, c (+4)": the first names of many. */
export function some(names: readonly string[], most = 3): string {
  return `${names.slice(0, most).join(', ')}${names.length > most ? ` (+${names.length - most})` : ''}`
}

/** "1 session", "3 sessions". */
export const plural = (n: number, word: string, many = `${word}s`) => `${n} ${n === 1 ? word : many}`
