// What comes to an end: the numbers of sequences, and passwords.

import { duration, percent } from '../model/format.ts'
import { sqlName } from '../model/sql-name.ts'
import { drawable, raw, short } from '../model/untrusted.ts'
import { passwords, sequences } from '../sql/health-limits.ts'
import { ourRole } from '../sql/query.ts'
import { rowsOf } from '../store/selectors.ts'
import { type Check, levelOf, plural, some } from './check.ts'

const sequencesLeft: Check = {
  id: 'sequences',
  title: 'Sequences near their end',
  why: 'After its last number a sequence, or the integer column it feeds, refuses every insert.',
  of: 'primary',
  unit: '%',
  warning: 'sequencePercent',
  critical: 'sequenceCriticalPercent',
  needs: [sequences],
  look: (state, server) => {
    const rows = rowsOf(state, server.id, sequences)
    const [first] = rows
    if (!first) return [{ level: 'ok', figure: 0, say: 'there are none' }]
    const known = rows.filter(row => row.used !== null && !row.cycle)
    const figure = (known[0]?.used ?? 0) * 100
    const level = levelOf(figure, state.settings.thresholds, sequencesLeft)
    const told = known.filter(row => levelOf((row.used ?? 0) * 100, state.settings.thresholds, sequencesLeft) !== 'ok')
    const name = (row: (typeof rows)[number]) => `${short(row.qualified, 48).replace(/^public\./, '')} ${percent(row.used)}`
    if (level !== 'ok') {
      return [
        {
          level,
          figure,
          say: `${plural(told.length, 'sequence')}: ${some(told.map(name))} of the numbers used`,
          remedy: 'make the column and its sequence bigint (ALTER TABLE ... ALTER COLUMN rewrites the table)',
        },
      ]
    }
    if (first.hidden > 0) {
      const grant =
        (server.facts?.version ?? 0) >= 140000
          ? `GRANT pg_read_all_data TO ${ourRole};`
          : `GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO ${ourRole};`
      return [
        { level: 'unknown', say: `${first.hidden} of ${first.sequences_in_all} sequences are not to be read`, remedy: grant },
      ]
    }
    return [{ level, figure, say: known[0] ? `the nearest: ${name(known[0])}` : 'none that can be told' }]
  },
}

const expiry: Check = {
  id: 'password_expiry',
  title: 'Passwords that expire',
  why: 'From one moment to the next an application cannot log in any more.',
  of: 'primary',
  unit: '',
  warning: 'passwordDays',
  lowIsBad: true,
  needs: [passwords],
  look: (state, server) => {
    const soon = state.settings.thresholds.passwordDays * 86_400
    const rows = rowsOf(state, server.id, passwords).toSorted((a, b) => a.left_seconds - b.left_seconds)
    const ending = rows.filter(({ left_seconds }) => left_seconds <= soon)
    const [first] = ending
    const next = rows.find(({ left_seconds }) => left_seconds > soon)
    const days = (seconds: number) => seconds / 86_400
    if (!first)
      return [
        {
          level: 'ok',
          figure: next ? days(next.left_seconds) : null,
          say: next ? `the next in ${duration(next.left_seconds)}` : 'none expires',
        },
      ]
    const told = ending.map(({ rolname, left_seconds }) =>
      left_seconds <= 0
        ? `${short(rolname, 24)} has expired ${duration(-left_seconds)} ago`
        : `${short(rolname, 24)} expires in ${duration(left_seconds)}`,
    )
    return [
      {
        level: 'warning',
        figure: days(first.left_seconds),
        say: some(told),
        remedy: `a new password and ALTER ROLE ${drawable(sqlName(raw(first.rolname)))} VALID UNTIL '...';`,
      },
    ]
  },
}

export const limitChecks: readonly Check[] = [sequencesLeft, expiry]
