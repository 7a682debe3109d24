// Alerts as events: what the checks of every pane find begins once, gets worse once and ends once.

import { type AlertChange, type Alerts, alertsOf } from './checks/alerts.ts'
import { run } from './checks/run.ts'
import type { NewEvent } from './model/event.ts'
import { duration } from './model/format.ts'
import { headlines } from './panels/finding.ts'
import type { State } from './store/state.ts'

/** What the events tell in their own words: a server that is gone or back, two primaries, receivers, pools that are paused. */
const toldAnyway = new Set(['connectivity', 'one_primary', 'visibility', 'wal_receiver', 'pool_paused', 'replay_paused'])

const alarming = headlines.filter(({ id }) => !toldAnyway.has(id))

/** Looks at most once an interval, of the live state, also while the picture is held: gives the events since the look before. */
export function createAlarm(): (state: State) => readonly NewEvent[] {
  let alerts: Alerts = {}
  let looked = 0
  let cluster: string | null = null
  return state => {
    const { now, settings } = state
    if (now - looked < settings.intervalMs) return []
    looked = now
    // What was found of another cluster is nobody's alert here.
    if (cluster !== settings.cluster) alerts = {}
    cluster = settings.cluster
    const { alerts: next, changes } = alertsOf(alerts, { at: now, findings: run({ ...state, held: null }, alarming) })
    alerts = next
    return changes.flatMap(eventOf)
  }
}

function eventOf({ kind, at, alert: { server, level, say, since, lastSeen } }: AlertChange): readonly NewEvent[] {
  if (server === null) return []
  if (kind !== 'ended') return [{ at: kind === 'begun' ? since : at, server, kind: 'alert', level, say }]
  return [
    { at: lastSeen, server, kind: 'alert-over', level: 'ok', say: `over after ${duration((lastSeen - since) / 1000)}: ${say}` },
  ]
}
