// The events of a bad day of the scene's cluster: a crash, a failover that left two primaries, a pooler paused and resumed, and what we did.

import { type Event, eventsWith, type NewEvent } from '../../src/model/event.ts'
import { drawable } from '../../src/model/untrusted.ts'
import { plainWords, type Words } from './scene-rows.ts'
import { noon } from './state.ts'

const [pg1, pg2, pgb] = ['pg1:5432', 'pg2:5432', 'pgb:6432']

/** Oldest first; the newest is 40 seconds old at `noon`. */
export function badDay(words: Words = plainWords): readonly Event[] {
  const told: readonly (readonly [number, string, NewEvent['kind'], NewEvent['level'], string, string?])[] = [
    [5025, pgb, 'terminated', 'warning', 'our session was ended by an administrator', 'admin forced disconnect'],
    [3671, pg1, 'reload', 'info', 'configuration reloaded'],
    [3602, pg1, 'stats-reset', 'info', `statistics reset in ${drawable(words.database)}`],
    [
      741,
      pg1,
      'crash',
      'critical',
      'server crashed, sessions reset',
      'terminating connection because of crash of another server process',
    ],
    [739, pg1, 'back', 'ok', 'back, recovery took 1.9 s', 'terminating connection because of crash of another server process'],
    [738, pg2, 'receiver-lost', 'critical', 'WAL receiver lost, nothing comes in'],
    [733, pg2, 'receiver-back', 'ok', 'WAL receiver back after 5.1 s'],
    [640, pg1, 'deed-begun', 'info', `Terminate session: pid 7302 (${drawable(words.user)}): begun by us`],
    [
      639,
      pg1,
      'deed-ended',
      'ok',
      `Terminate session: pid 7302 (${drawable(words.user)}): gone after 0.3s: the session has ended`,
    ],
    [630, pgb, 'paused', 'warning', `${drawable(words.database)} paused`],
    [590, pgb, 'resumed', 'ok', `${drawable(words.database)} resumed after 40 s`],
    [
      421,
      pg1,
      'silent',
      'warning',
      'no answer within 1.5 s',
      'no answer within 1.5 s; no answer within 2.0 s while connecting to pg1 port 5432',
    ],
    [400, pg2, 'promoted', 'warning', 'promoted: a primary now, on timeline 4'],
    [360, pg1, 'back', 'ok', 'answers again after 1m01s'],
    [360, pg2, 'two-primaries', 'critical', 'two primaries: pg1:5432 is a primary of the same cluster too'],
    [
      340,
      pg1,
      'stop',
      'critical',
      'fast stop: sessions ended, shutting down',
      'terminating connection due to administrator command',
    ],
    [338, pg1, 'down', 'critical', 'down: nothing listens at pg1 port 5432 (connection refused)'],
    [338, pg2, 'one-primary', 'ok', 'the only primary again'],
    [281, pg1, 'back', 'ok', 'back after 59 s, restarted'],
    [281, pg1, 'demoted', 'warning', 'is a standby now, it was a primary'],
    [172, pg2, 'slot-lost', 'critical', `slot ${drawable(words.table)} lost (wal_removed): who needs it must be built anew`],
    [99, pg1, 'full', 'critical', 'no connection is free: sorry, too many clients already'],
    [70, pg1, 'back', 'ok', 'back after 29 s'],
  ]
  const ended = [60, 55, 50, 45, 40].map(
    (ago): NewEvent => ({
      at: noon - ago * 1000,
      server: pg1 as string,
      kind: 'terminated',
      level: 'warning',
      say: 'our session was ended by an administrator',
      detail: 'terminating connection due to administrator command',
    }),
  )
  const before = told.map(
    ([ago, server, kind, level, say, detail = null]): NewEvent => ({ at: noon - ago * 1000, server, kind, level, say, detail }),
  )
  return eventsWith([], [...before, ...ended], 0)
}
