// Alerts: findings with a beginning and an end. One begins when it has been seen twice in a row and ends when it has been gone for a while, so that
// a figure that sways about its threshold is one alert and not twenty.

import type { Finding, Level } from './check.ts'

type AlertLevel = Extract<Level, 'warning' | 'critical'>

/** `since`: when it was first seen, `lastSeen` when it was seen last. Epoch ms. `begun` false: seen once so far, and not told of. Texts are drawable. */
export type Alert = {
  readonly key: string
  readonly check: string
  readonly server: string | null
  readonly object: string | null
  readonly level: AlertLevel
  readonly say: string
  readonly since: number
  readonly lastSeen: number
  readonly begun: boolean
}

export type Alerts = Readonly<Record<string, Alert>>

export type AlertChange = { readonly kind: 'begun' | 'worse' | 'ended'; readonly at: number; readonly alert: Alert }

/** One look at the checks. What is `unknown` says neither that an alert goes on nor that it is over. */
export type Look = { readonly at: number; readonly findings: readonly Finding[] }

/** How long a finding must be gone for its alert to be over. Milliseconds. */
export const quietMs = 30_000

const keyOf = ({ check, server, object }: Finding) => [check.id, server ?? '', object ?? ''].join('\n')

const isAlert = (level: Level): level is AlertLevel => level === 'warning' || level === 'critical'

/** What has begun, become critical or ended between what was known and a new look; and what is known then. */
export function alertsOf(
  before: Alerts,
  { at, findings }: Look,
): { readonly alerts: Alerts; readonly changes: readonly AlertChange[] } {
  const alerts: Record<string, Alert> = {}
  const changes: AlertChange[] = []
  for (const found of findings) {
    if (!isAlert(found.level)) continue
    const key = keyOf(found)
    const known = before[key]
    const alert: Alert = {
      key,
      check: found.check.id,
      server: found.server,
      object: found.object ?? null,
      // A critical one that is a warning now is still the same trouble: it steps down when it ends.
      level: known?.begun && known.level === 'critical' ? 'critical' : found.level,
      say: found.say,
      since: known?.since ?? at,
      lastSeen: at,
      begun: known !== undefined,
    }
    if (alerts[key]?.level === 'critical') continue
    alerts[key] = alert
    if (known && !known.begun) changes.push({ kind: 'begun', at, alert })
    else if (known && known.level === 'warning' && alert.level === 'critical') changes.push({ kind: 'worse', at, alert })
  }
  const unknown = new Set(findings.filter(({ level }) => level === 'unknown').map(keyOf))
  for (const known of Object.values(before)) {
    if (alerts[known.key]) continue
    const blind = unknown.has(known.key) || unknown.has([known.check, known.server ?? '', ''].join('\n'))
    if (blind || (known.begun && at - known.lastSeen < quietMs)) alerts[known.key] = known
    else if (known.begun) changes.push({ kind: 'ended', at, alert: known })
  }
  return { alerts, changes }
}
