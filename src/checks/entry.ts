// A finding as scripts and the Health pane see it: plain data, the contract of `check --format json`.

import type { Thresholds } from '../model/thresholds.ts'
import type { Check, Finding, Level, Place, Unit } from './check.ts'

export type Entry = {
  readonly id: string
  readonly title: string
  readonly level: Level
  readonly say: string
  readonly remedy: string | null
  /** Null: of all servers together. */
  readonly server: string | null
  /** The standby, slot, pool or setting that it is of. */
  readonly object: string | null
  /** In the unit; null: not known, or there is none. */
  readonly figure: number | null
  readonly unit: Unit
  /** From where on the figure is a finding, or below which where `lowIsBad`. */
  readonly warningFrom: number | null
  readonly criticalFrom: number | null
  readonly lowIsBad: boolean
  /** Worth knowing, and no alarm. */
  readonly advice: boolean
  readonly why: string
  readonly leadsTo: Place | null
}

export function entryOf(found: Finding, thresholds: Thresholds): Entry {
  const { check } = found
  const threshold = (name: Check['warning']) => (name === undefined ? null : thresholds[name])
  return {
    id: check.id,
    title: check.title,
    level: found.level,
    say: found.say,
    remedy: found.remedy ?? null,
    server: found.server,
    object: found.object ?? null,
    figure: found.figure ?? null,
    unit: check.unit,
    warningFrom: threshold(check.warning),
    criticalFrom: threshold(check.critical),
    lowIsBad: check.lowIsBad ?? false,
    advice: found.advice ?? false,
    why: check.why,
    leadsTo: found.leadsTo ?? null,
  }
}
