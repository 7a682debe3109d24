// What happened, told by what changes: each row is a story as a poller would report it, and the events that it must come to.

process.env.TZ = 'UTC'

import { describe, expect, test } from 'vitest'
import { type Event, eventsWith, mostEvents, type NewEvent, sayOf } from '../../src/model/event.ts'
import type { ServerFacts } from '../../src/model/facts.ts'
import { inWords } from '../../src/model/outage.ts'
import { untrusted } from '../../src/model/untrusted.ts'
import { freshEvent } from '../../src/panels/events.ts'
import { shutdown, slotStates } from '../../src/sql/events.ts'
import { showDatabases, showPools, showState, showStats } from '../../src/sql/pgbouncer.ts'
import type { Query } from '../../src/sql/query.ts'
import { receiver } from '../../src/sql/replication.ts'
import { counters, names, pulse } from '../../src/sql/server.ts'
import { eventsOf, linkOf } from '../../src/store/selectors.ts'
import type { Link, LinkWord, State, Work } from '../../src/store/state.ts'
import { createAppStore, createState, type Store } from '../../src/store/store.ts'
import * as update from '../../src/store/updates.ts'
import { factsOf, noon, sampleOf, stateOf } from '../support/state.ts'

type Row = Readonly<Record<string, unknown>>

const seeds = [
  { id: 'a', kind: 'postgres', host: 'h1', port: 5432, user: 'dba', database: 'app' },
  { id: 'b', kind: 'postgres', host: 'h2', port: 5432, user: 'dba', database: 'app' },
  { id: 'c', kind: 'postgres', host: 'h3', port: 5432, user: 'dba', database: 'app' },
  { id: 'd', kind: 'postgres', host: 'h4', port: 5432, user: 'dba', database: 'app' },
  { id: 'p', kind: 'pgbouncer', host: 'h1', port: 6432, user: 'dba', database: 'pgbouncer' },
] as const

/** A cluster that is just being connected to. Times in seconds from noon. */
function watched(version = 160_014) {
  const { settings } = stateOf([])
  const store = createAppStore(createState(seeds, settings, 'events', noon))
  const at = (seconds: number) => noon + Math.round(seconds * 1000)
  const link = (
    seconds: number,
    word: LinkWord,
    code: string | null = null,
    why: string | null = null,
    server = 'a',
    since = seconds,
  ) => {
    const state: Link['state'] =
      word === 'LIVE' ? 'up' : word === 'STALE' ? 'stale' : word === 'CONNECTING' ? 'connecting' : 'down'
    update.receive(store, { kind: 'link', server, link: { state, word, since: at(since), at: at(seconds), why, code } })
  }
  const facts = (server = 'a', change: Partial<ServerFacts> = {}) =>
    update.receive(store, { kind: 'facts', server, facts: factsOf({ version, ...change }) })
  const hear = (seconds: number, query: Query, rows: readonly Row[], server = 'a') =>
    update.receive(store, { kind: 'sample', sample: sampleOf(query, rows, { at: at(seconds), server }) })
  /** A primary started 100 s before noon by its own clock, which is 5 s ahead of ours. */
  const beat = (seconds: number, change: Row = {}, server = 'a') =>
    hear(
      seconds,
      pulse,
      [
        {
          in_recovery: false,
          clock_epoch: at(seconds) / 1000 + 5,
          // No two servers at the same moment.
          postmaster_start_epoch: at(-100) / 1000 + 5 - seeds.findIndex(({ id }) => id === server) / 100,
          ready_epoch: at(-99) / 1000 + 5,
          conf_load_epoch: at(-100) / 1000 + 5,
          own_pid: 11,
          timeline: '00000001',
          ...change,
        },
      ],
      server,
    )
  const up = (seconds: number, server = 'a', change: Row = {}, known: Partial<ServerFacts> = {}) => {
    facts(server, known)
    link(seconds, 'LIVE', null, null, server)
    beat(seconds + 0.1, change, server)
  }
  const told = () => store.getState().events.map(({ at, server, kind, say }) => [(at - noon) / 1000, server, kind, say])
  return { store, at, link, facts, hear, beat, up, told }
}

const byAdmin = 'terminating connection due to administrator command'
const byCrash = 'terminating connection because of crash of another server process'
const refused = 'nothing listens at h1 port 5432 (connection refused)'
/** As it is after a start anew at that second. */
const started = (seconds: number, took = 0.2): Row => ({
  postmaster_start_epoch: (noon + seconds * 1000) / 1000 + 5,
  ready_epoch: (noon + (seconds + took) * 1000) / 1000 + 5,
  own_pid: 12,
})
const ready = (seconds: number): Row => ({ ready_epoch: (noon + seconds * 1000) / 1000 + 5, own_pid: 12 })

type Story = (cluster: ReturnType<typeof watched>) => void
const stories: readonly (readonly [string, Story, readonly (readonly unknown[])[]])[] = [
  ['the first connection is no event', () => {}, []],
  [
    'a crash, told at once, and what recovery took by the start of the WAL writer',
    c => {
      c.link(10, 'CONNECTING', '57P02', byCrash)
      c.link(10.1, 'RECOVERY', '57P03', 'the database system is in recovery mode')
      c.up(14, 'a', ready(11.9))
    },
    [
      [10, 'a', 'crash', 'server crashed, sessions reset'],
      [14, 'a', 'back', 'back, recovery took 1.9 s'],
    ],
  ],
  [
    'a crash of a server whose WAL writer can not be seen: until it let us in, at most',
    c => {
      c.beat(9, { ready_epoch: null })
      c.link(10, 'CONNECTING', '57P02', byCrash)
      c.up(12.5, 'a', { ready_epoch: null })
    },
    [
      [10, 'a', 'crash', 'server crashed, sessions reset'],
      [12.5, 'a', 'back', 'back, recovery took at most 2.5 s'],
    ],
  ],
  [
    'a crash that nobody told us of',
    c => {
      c.link(10, 'CONNECTING', null, 'Connection terminated unexpectedly')
      c.up(13, 'a', ready(11))
    },
    [
      [10, 'a', 'crash', 'server crashed, sessions reset'],
      [13, 'a', 'back', 'back, recovered, away for 3.0 s'],
    ],
  ],
  [
    'a crash that is met when connecting',
    c => {
      c.link(10, 'CONNECTING', null, 'Connection terminated unexpectedly')
      c.link(10.1, 'RECOVERY', '57P03', 'the database system is in recovery mode')
      c.up(13, 'a', ready(11))
    },
    [
      [10, 'a', 'crash', 'server crashed, in recovery'],
      [13, 'a', 'back', 'back, recovered, away for 3.0 s'],
    ],
  ],
  [
    'a crash after which the server does not come back by itself',
    c => {
      c.link(10, 'CONNECTING', '57P02', byCrash)
      c.link(10.1, 'DOWN', 'ECONNREFUSED', refused)
      c.link(10.1, 'DOWN', 'ECONNREFUSED', refused)
      c.link(70, 'STARTING', '57P03', 'the database system is starting up')
      c.up(72, 'a', started(69, 2.5))
    },
    [
      [10, 'a', 'crash', 'server crashed, sessions reset'],
      [10.1, 'a', 'down', `down: ${refused}`],
      [70, 'a', 'starting', 'starting up'],
      [72, 'a', 'back', 'back after 1m02s, restarted, recovery took 2.5 s'],
    ],
  ],
  [
    'a death of the postmaster',
    c => {
      c.link(10, 'CONNECTING', '57P01', 'terminating connection due to unexpected postmaster exit')
      c.link(10.1, 'DOWN', 'ECONNREFUSED', refused)
      c.up(15, 'a', started(14, 0.4))
    },
    [
      [10, 'a', 'crash', 'server crashed: its postmaster died'],
      [15, 'a', 'back', 'back after 5.0 s, restarted, recovery took 0.4 s'],
    ],
  ],
  [
    'a fast stop that is seen going on, and a start',
    c => {
      c.link(10, 'CONNECTING', '57P01', byAdmin)
      c.link(10.1, 'STOPPING', '57P03', 'the database system is shutting down')
      c.link(12, 'DOWN', 'ECONNREFUSED', refused)
      c.up(40, 'a', started(39))
    },
    [
      [10, 'a', 'stop', 'fast stop: sessions ended, shutting down'],
      [12, 'a', 'down', `down: ${refused}`],
      [40, 'a', 'back', 'back after 30 s, restarted'],
    ],
  ],
  [
    'a fast stop that is over at the next look: the listener that is going away drops us first',
    c => {
      c.link(10, 'CONNECTING', '57P01', byAdmin)
      c.link(10.1, 'DOWN', 'ECONNRESET', 'h1 port 5432: read ECONNRESET')
      c.link(10.1, 'DOWN', 'ECONNREFUSED', refused)
      c.link(10.1, 'DOWN', 'ECONNREFUSED', refused)
    },
    [[10, 'a', 'stop', 'stopped (fast), sessions ended']],
  ],
  [
    'an immediate stop from 14 on',
    c => {
      c.link(10, 'CONNECTING', '57P01', 'terminating connection due to immediate shutdown command')
      c.link(10.1, 'DOWN', 'ECONNREFUSED', refused)
      c.up(14, 'a', started(13, 0.3))
    },
    [
      [10, 'a', 'stop', 'stopped at once (immediate), sessions ended'],
      [14, 'a', 'back', 'back after 4.0 s, restarted, recovery took 0.3 s'],
    ],
  ],
  [
    'a restart that is over before the next look',
    c => {
      c.link(10, 'CONNECTING', '57P01', byAdmin)
      c.up(10.9, 'a', started(10.3))
    },
    [[10.9, 'a', 'restart', 'restarted, away for 0.9 s']],
  ],
  [
    'a smart stop: the session that is there goes on',
    c => {
      c.hear(10, shutdown, [{ status: 'stopping', others: 2 }])
      c.hear(12, shutdown, [{ status: 'stopping', others: 0 }])
      c.link(12.1, 'STOPPING', '57P03', 'the server is shutting down (smart stop), and our session was the last')
      c.link(12.5, 'DOWN', 'ECONNREFUSED', refused)
      c.up(20, 'a', started(19))
      c.hear(21, shutdown, [{ status: 'ready', others: 0 }])
    },
    [
      [10, 'a', 'stop', 'smart stop: no new connections, waits for 2 sessions to end'],
      [12.5, 'a', 'down', `down: ${refused}`],
      [20, 'a', 'back', 'back after 7.9 s, restarted'],
    ],
  ],
  [
    'our session ended by somebody',
    c => {
      c.link(10, 'CONNECTING', '57P01', byAdmin)
      c.up(10.3)
    },
    [[10, 'a', 'terminated', 'our session was ended by an administrator']],
  ],
  [
    'our session ended by a timeout of idle sessions, and by replay',
    c => {
      c.link(10, 'CONNECTING', '57P05', 'terminating connection due to idle-session timeout')
      c.up(10.3)
      c.link(20, 'CONNECTING', '40001', 'terminating connection due to conflict with recovery')
      c.up(20.3)
    },
    [
      [10, 'a', 'terminated', 'our session was ended by idle_session_timeout'],
      [20, 'a', 'terminated', 'our session was ended by replay: conflict with recovery'],
    ],
  ],
  [
    'a connection that broke without a word',
    c => {
      c.link(10, 'CONNECTING', null, 'Connection terminated unexpectedly')
      c.up(10.4)
    },
    [[10, 'a', 'lost', 'connection lost (Connection terminated unexpectedly), back after 0.4 s']],
  ],
  [
    'a server that answers nothing for a while: since its last answer',
    c => {
      c.link(11.6, 'STALE', null, 'no answer within 1.5 s')
      c.link(13.6, 'DOWN', 'ETIMEDOUT', 'no answer within 2.0 s while connecting')
      c.link(13.6, 'DOWN', 'ETIMEDOUT', 'no answer within 2.0 s while connecting')
      c.up(40.1)
    },
    [
      [0.1, 'a', 'silent', 'no answer within 1.5 s'],
      [40.1, 'a', 'back', 'answers again after 40 s'],
    ],
  ],
  [
    'a silent server that then is gone',
    c => {
      c.link(11.6, 'STALE', null, 'no answer within 1.5 s')
      c.link(13.6, 'DOWN', 'ETIMEDOUT', 'no answer within 2.0 s while connecting')
      c.link(31, 'DOWN', 'ECONNREFUSED', refused, 'a', 13.6)
      c.up(40.1, 'a', started(39))
    },
    [
      [0.1, 'a', 'silent', 'no answer within 1.5 s'],
      [31, 'a', 'down', `down: ${refused}`],
      [40.1, 'a', 'back', 'back after 40 s, restarted'],
    ],
  ],
  [
    'no way in: the port closed, a full server, a role that is no longer let in',
    c => {
      c.link(10, 'CONNECTING', null, 'Connection terminated unexpectedly')
      c.link(10.1, 'DOWN', 'ECONNREFUSED', refused)
      c.link(20, 'FULL', '53300', 'sorry, too many clients already')
      c.link(20, 'FULL', '53300', 'sorry, too many clients already')
      c.link(30, 'DENIED', '28000', 'no pg_hba.conf entry for host')
      c.up(60)
    },
    [
      [10, 'a', 'down', `down: ${refused}`],
      [20, 'a', 'full', 'no connection is free: sorry, too many clients already'],
      [30, 'a', 'denied', 'refuses us: no pg_hba.conf entry for host'],
      [60, 'a', 'back', 'back after 50 s, the server itself went on'],
    ],
  ],
  [
    'another server behind the same address',
    c => {
      c.link(10, 'CONNECTING', null, 'Connection terminated unexpectedly')
      c.up(12, 'a', started(-5000))
    },
    [[12, 'a', 'replaced', 'another server answers here']],
  ],
  [
    'another server that started later than the old one, and before its last answer: promoted long after its start, which is no recovery',
    c => {
      c.hear(9, slotStates, [])
      c.hear(9, counters, [{ xact: 1000n, stats_epoch: '5=1' }])
      c.beat(9.5)
      c.link(10, 'CONNECTING', '57P01', byAdmin)
      c.link(10.1, 'DOWN', 'ECONNREFUSED', refused)
      c.up(14, 'a', { ...started(-50, 61), timeline: '00000002' }, { address: untrusted('10.0.0.2'), listenPort: 5433 })
      c.hear(14.2, counters, [{ xact: 3n, stats_epoch: '5=2' }])
      c.hear(14.3, slotStates, [{ slot_name: 's1', wal_status: 'lost' }])
    },
    [
      [10, 'a', 'stop', 'stopped (fast), sessions ended'],
      [14, 'a', 'replaced', 'another server answers here: 10.0.0.2:5433'],
    ],
  ],
  [
    'a standby behind the same name, and its cluster built anew: nobody was demoted, and nothing goes on across them',
    c => {
      const standby = { in_recovery: true, replay_pause: 'paused', timeline: null, ready_epoch: null }
      c.link(10, 'CONNECTING', null, 'Connection terminated unexpectedly')
      c.up(12, 'a', { ...standby, postmaster_start_epoch: noon / 1000 - 200 })
      c.hear(13, receiver, [])
      c.hear(14, receiver, [])
      c.link(20, 'CONNECTING', null, 'Connection terminated unexpectedly')
      c.up(25, 'a', started(23), { systemIdentifier: 7001n, listenPort: 5432 })
      c.hear(26, receiver, [])
    },
    [
      [12, 'a', 'replaced', 'another server answers here, a standby'],
      [25, 'a', 'replaced', 'another server answers here: port 5432, a primary'],
    ],
  ],
  [
    'another host of the name that started within the outage; another kind of address is no other host',
    c => {
      c.facts('a', { address: untrusted('10.0.0.1'), listenPort: 5432 })
      c.link(10, 'CONNECTING', null, 'Connection terminated unexpectedly')
      c.up(15, 'a', started(13), { address: untrusted('10.0.0.2'), listenPort: 5432 })
      c.link(20, 'CONNECTING', '57P01', byAdmin)
      c.up(22, 'a', started(21), { address: untrusted('fe80::1'), listenPort: 5432 })
    },
    [
      [15, 'a', 'replaced', 'another server answers here: 10.0.0.2:5432'],
      [22, 'a', 'restart', 'restarted, away for 2.0 s'],
    ],
  ],
  [
    'a standby that is started anew and promoted meanwhile: its start is no recovery',
    c => {
      c.up(0, 'b', { in_recovery: true, timeline: null, ready_epoch: null })
      c.link(5, 'CONNECTING', '57P02', byCrash, 'b')
      c.link(5.1, 'DOWN', 'ECONNREFUSED', refused, 'b')
      c.up(400, 'b', { ...started(10, 308), timeline: '00000002' })
    },
    [
      [5, 'b', 'crash', 'server crashed, sessions reset'],
      [5.1, 'b', 'down', `down: ${refused}`],
      [400, 'b', 'back', 'back after 6m35s, restarted'],
      [400.1, 'b', 'promoted', 'promoted: a primary now, on timeline 2'],
      [400.1, 'b', 'two-primaries', 'two primaries: a is a primary of the same cluster too'],
    ],
  ],
  [
    'a promotion, with the timeline; the other way round',
    c => {
      c.beat(1, { in_recovery: true, timeline: null })
      c.beat(2, { in_recovery: false, timeline: '0000000A' })
      c.beat(3, { in_recovery: true, timeline: null })
    },
    [
      [1, 'a', 'demoted', 'is a standby now, it was a primary'],
      [2, 'a', 'promoted', 'promoted: a primary now, on timeline 10'],
      [3, 'a', 'demoted', 'is a standby now, it was a primary'],
    ],
  ],
  [
    'two primaries: from when both say so until one is a standby again; a crash of one is no end of it',
    c => {
      c.up(0, 'b', { in_recovery: true, timeline: null })
      c.beat(5, { timeline: '00000002' }, 'b')
      c.link(10, 'CONNECTING', '57P02', byCrash, 'b')
      c.link(10.1, 'RECOVERY', '57P03', 'the database system is in recovery mode', 'b')
      c.up(11, 'b', { ...ready(10.5), timeline: '00000002' })
      c.beat(20, { in_recovery: true, timeline: null })
    },
    [
      [5, 'b', 'promoted', 'promoted: a primary now, on timeline 2'],
      [5, 'b', 'two-primaries', 'two primaries: a is a primary of the same cluster too'],
      [10, 'b', 'crash', 'server crashed, sessions reset'],
      [11, 'b', 'back', 'back, recovery took 0.5 s'],
      [20, 'a', 'demoted', 'is a standby now, it was a primary'],
      [20, 'b', 'one-primary', 'the only primary again'],
    ],
  ],
  [
    'a failover is no two primaries: the old one is gone when the new one comes; it is when the old one comes back as it was',
    c => {
      c.up(0, 'b', { in_recovery: true, timeline: null })
      c.link(5, 'CONNECTING', '57P01', byAdmin)
      c.link(5.1, 'DOWN', 'ECONNREFUSED', refused)
      c.beat(8, { timeline: '00000002' }, 'b')
      c.up(30, 'a', started(29))
    },
    [
      [5, 'a', 'stop', 'stopped (fast), sessions ended'],
      [8, 'b', 'promoted', 'promoted: a primary now, on timeline 2'],
      [30, 'a', 'back', 'back after 25 s, restarted'],
      [30.1, 'b', 'two-primaries', 'two primaries: a is a primary of the same cluster too'],
    ],
  ],
  [
    'one server under two names is no two primaries, and makes no third of two',
    c => {
      const same = { postmaster_start_epoch: noon / 1000 - 95 }
      c.up(0, 'b', same)
      c.up(1, 'c', { postmaster_start_epoch: noon / 1000 - 50, timeline: '00000002' })
      c.beat(2, { ...same, in_recovery: true, timeline: null })
      c.beat(3, { ...same, in_recovery: true, timeline: null }, 'b')
    },
    [
      [1.1, 'c', 'two-primaries', 'two primaries: a is a primary of the same cluster too'],
      [2, 'a', 'demoted', 'is a standby now, it was a primary'],
      [3, 'b', 'demoted', 'is a standby now, it was a primary'],
      [3, 'c', 'one-primary', 'the only primary again'],
    ],
  ],
  [
    'two clusters with two primaries each: the end of one is told of that one, while the other goes on',
    c => {
      c.up(0, 'b', { postmaster_start_epoch: 1, timeline: '00000002' })
      c.up(1, 'c', { postmaster_start_epoch: 2 }, { systemIdentifier: 9000n })
      c.up(2, 'd', { postmaster_start_epoch: 3, timeline: '00000003' }, { systemIdentifier: 9000n })
      c.beat(3, { in_recovery: true, timeline: null, postmaster_start_epoch: 2 }, 'c')
      c.beat(4, { in_recovery: true, timeline: null })
    },
    [
      [0.1, 'b', 'two-primaries', 'two primaries: a is a primary of the same cluster too'],
      [2.1, 'd', 'two-primaries', 'two primaries: c is a primary of the same cluster too'],
      [3, 'c', 'demoted', 'is a standby now, it was a primary'],
      [3, 'd', 'one-primary', 'the only primary again'],
      [4, 'a', 'demoted', 'is a standby now, it was a primary'],
      [4, 'b', 'one-primary', 'the only primary again'],
    ],
  ],
  [
    'a receiver that is lost for two looks, and back; one that is gone for a moment is none',
    c => {
      const standby = { in_recovery: true, replay_pause: 'not paused' }
      c.beat(1, standby, 'b')
      c.hear(1, receiver, [{ pid: 5, status: 'streaming' }], 'b')
      c.hear(2, receiver, [], 'b')
      c.hear(3, receiver, [{ pid: 6, status: 'streaming' }], 'b')
      c.hear(3.5, receiver, [{ pid: 6, status: 'streaming' }], 'b')
      c.hear(4, receiver, [], 'b')
      c.beat(5, standby, 'b')
      c.hear(5, receiver, [], 'b')
      c.hear(6, receiver, [], 'b')
      c.hear(9, receiver, [{ pid: 7, status: 'streaming' }], 'b')
      c.beat(10, standby, 'b')
      c.hear(10, receiver, [{ pid: 7, status: 'streaming' }], 'b')
      c.hear(11, receiver, [{ pid: 7, status: 'streaming' }], 'b')
    },
    [
      [4, 'b', 'receiver-lost', 'WAL receiver lost, nothing comes in'],
      [9, 'b', 'receiver-back', 'WAL receiver back after 5.0 s'],
    ],
  ],
  [
    'a receiver that its sender refuses, started anew again and again: lost, once, until one lasts',
    c => {
      const standby = { in_recovery: true, replay_pause: 'not paused', receive_lsn: 900n }
      c.beat(1, standby, 'b')
      c.hear(1, receiver, [{ pid: 5, status: 'streaming' }], 'b')
      for (let n = 2; n < 500; n++) {
        c.beat(n, standby, 'b')
        c.hear(n, receiver, n % 5 === 0 ? [{ pid: n, status: 'streaming' }] : [], 'b')
      }
      c.beat(500, standby, 'b')
      c.hear(500, receiver, [{ pid: 500, status: 'streaming' }], 'b')
      c.beat(501, { ...standby, receive_lsn: 901n }, 'b')
    },
    [
      [2, 'b', 'receiver-lost', 'WAL receiver lost, nothing comes in'],
      [500, 'b', 'receiver-back', 'WAL receiver back after 8m18s'],
    ],
  ],
  [
    'a receiver that was not there when it was first looked for has not been lost then',
    c => {
      c.up(1, 'b', { in_recovery: true, replay_pause: 'not paused' })
      for (const seconds of [1, 2, 3]) c.hear(seconds, receiver, [], 'b')
      for (const seconds of [8, 9]) c.hear(seconds, receiver, [{ pid: 7, status: 'streaming' }], 'b')
    },
    [[8, 'b', 'receiver-back', 'WAL receiver back after 7.0 s']],
  ],
  [
    'a standby that is promoted has neither lost its receiver nor got it back',
    c => {
      c.up(0.9, 'b', { in_recovery: true, replay_pause: 'paused' })
      c.hear(1, receiver, [{ pid: 5 }], 'b')
      c.hear(2, receiver, [], 'b')
      c.beat(3, { timeline: '00000002' }, 'b')
      c.hear(4, receiver, [], 'b')
    },
    [
      [3, 'b', 'promoted', 'promoted: a primary now, on timeline 2'],
      [3, 'b', 'two-primaries', 'two primaries: a is a primary of the same cluster too'],
    ],
  ],
  [
    'replay paused and resumed; what was paused when it was first seen did not become so then',
    c => {
      const beat = (seconds: number, replay_pause: string) => c.beat(seconds, { in_recovery: true, replay_pause }, 'b')
      beat(1, 'paused')
      beat(2, 'not paused')
      beat(3, 'pause requested')
      beat(4, 'paused')
      beat(64, 'not paused')
    },
    [
      [2, 'b', 'replay-resumed', 'WAL replay resumed after 1.0 s'],
      [3, 'b', 'replay-paused', 'WAL replay paused'],
      [64, 'b', 'replay-resumed', 'WAL replay resumed after 1m01s'],
    ],
  ],
  [
    'a slot that is lost, once',
    c => {
      c.hear(1, slotStates, [
        { slot_name: 'old', wal_status: 'lost' },
        { slot_name: 's1', wal_status: 'extended' },
      ])
      const lost = { slot_name: 's1', wal_status: 'lost', invalidation_reason: 'wal_removed' }
      c.hear(6, slotStates, [{ slot_name: 'old', wal_status: 'lost' }, lost])
      c.hear(11, slotStates, [lost])
    },
    [[6, 'a', 'slot-lost', 'slot s1 lost (wal_removed): who needs it must be built anew']],
  ],
  [
    'a reload, by our own session; another session may have read the configuration at another time',
    c => {
      c.beat(1)
      c.beat(2, { conf_load_epoch: noon / 1000 + 6.5 })
      c.beat(3, { conf_load_epoch: noon / 1000 + 6.5 })
      c.beat(4, { conf_load_epoch: noon / 1000 + 8, own_pid: 77 })
    },
    [[2, 'a', 'reload', 'configuration reloaded']],
  ],
  [
    'statistics reset in a database; one that comes or goes is no reset',
    c => {
      c.hear(1, names, [{ kind: 'database', oid: 16401n, name: 'shop' }])
      c.hear(1, counters, [{ xact: 10n, stats_epoch: '0=- 5=- 16401=17.5' }])
      c.hear(2, counters, [{ xact: 11n, stats_epoch: '0=- 5=- 16401=17.5 16500=-' }])
      c.hear(3, counters, [{ xact: 12n, stats_epoch: '0=- 5=33.25 16401=18.5 16500=-' }])
      c.hear(4, counters, [{ xact: 2n, stats_epoch: '0=- 5=33.25 16401=18.5' }])
    },
    [[3, 'a', 'stats-reset', 'statistics reset in app, shop']],
  ],
  [
    'statistics lost in a crash, and kept in a stop',
    c => {
      c.hear(1, counters, [{ xact: 1000n, stats_epoch: '5=-' }])
      c.link(10, 'CONNECTING', '57P01', byAdmin)
      c.up(10.9, 'a', started(10.3))
      c.hear(11, counters, [{ xact: 1001n, stats_epoch: '5=-' }])
      c.link(20, 'CONNECTING', '57P02', byCrash)
      c.up(21, 'a', { ...started(10.3), ...ready(20.5) })
      c.hear(21.2, counters, [{ xact: 3n, stats_epoch: '5=-' }])
    },
    [
      [10.9, 'a', 'restart', 'restarted, away for 0.9 s'],
      [20, 'a', 'crash', 'server crashed, sessions reset'],
      [21, 'a', 'back', 'back, recovery took 0.5 s'],
      [21.2, 'a', 'stats-reset', 'statistics lost, counters begin anew'],
    ],
  ],
  [
    'a database dropped while we were away takes its transactions with it: no statistics are lost; they are when the sum of the same ones falls',
    c => {
      c.hear(1, counters, [{ xact: 9000n, stats_epoch: '5=- 16401=17.5' }])
      c.link(10, 'CONNECTING', null, 'Connection terminated unexpectedly')
      c.up(10.9)
      c.hear(11, counters, [{ xact: 100n, stats_epoch: '5=-' }])
      c.link(20, 'CONNECTING', null, 'Connection terminated unexpectedly')
      c.up(20.9)
      c.hear(21, counters, [{ xact: 3n, stats_epoch: '5=- 16402=-' }])
    },
    [
      [20, 'a', 'lost', 'connection lost (Connection terminated unexpectedly), back after 0.9 s'],
      [21, 'a', 'stats-reset', 'statistics lost, counters begin anew'],
    ],
  ],
  [
    'a PgBouncer killed while it was paused: nobody resumed it',
    c => {
      const paused = (seconds: number, on: boolean) => {
        c.hear(seconds, showDatabases, [{ name: 'shop', paused: on ? 1 : 0, disabled: on ? 1 : 0 }], 'p')
        c.hear(seconds, showStats, [{ database: 'shop', total_query_count: on ? 9n : 0n }], 'p')
        c.hear(seconds, showState, [{ key: 'paused', value: on ? 'yes' : 'no' }], 'p')
      }
      c.link(0, 'LIVE', null, null, 'p')
      paused(1, false)
      paused(2, true)
      c.link(10, 'CONNECTING', null, 'Connection terminated unexpectedly', 'p')
      c.link(10.5, 'LIVE', null, null, 'p')
      paused(10.6, false)
      paused(11, false)
    },
    [
      [2, 'p', 'paused', 'shop paused'],
      [2, 'p', 'disabled', 'shop disabled'],
      [2, 'p', 'paused', 'everything paused'],
      [10.5, 'p', 'restart', 'restarted, away for 0.5 s'],
    ],
  ],
  [
    'a PgBouncer that loses a database has not been restarted',
    c => {
      const stats = (seconds: number, rows: readonly Row[]) => c.hear(seconds, showStats, rows, 'p')
      c.link(0, 'LIVE', null, null, 'p')
      const shop = { database: 'shop', total_query_count: 10n }
      stats(1, [shop, { database: 'gone', total_query_count: 900n }])
      c.link(10, 'CONNECTING', null, 'Connection terminated unexpectedly', 'p')
      c.link(10.5, 'LIVE', null, null, 'p')
      stats(10.6, [{ ...shop, total_query_count: 11n }])
    },
    [[10, 'p', 'lost', 'connection lost (Connection terminated unexpectedly), back after 0.5 s']],
  ],
  [
    'a PgBouncer: paused, disabled, suspended, and all over again',
    c => {
      const databases = (seconds: number, paused: number, disabled: number) =>
        c.hear(seconds, showDatabases, [{ name: 'shop', paused, disabled }], 'p')
      const state = (seconds: number, paused: string, suspended: string) =>
        c.hear(
          seconds,
          showState,
          [
            { key: 'paused', value: paused },
            { key: 'suspended', value: suspended },
          ],
          'p',
        )
      databases(1, 0, 0)
      state(1, 'no', 'no')
      databases(2, 1, 0)
      databases(3, 1, 1)
      databases(5, 0, 0)
      state(6, 'yes', 'no')
      state(7, 'no', 'no')
      state(8, 'no', 'yes')
      state(9, 'no', 'no')
    },
    [
      [2, 'p', 'paused', 'shop paused'],
      [3, 'p', 'disabled', 'shop disabled'],
      [5, 'p', 'resumed', 'shop resumed after 3.0 s'],
      [5, 'p', 'enabled', 'shop enabled after 2.0 s'],
      [6, 'p', 'paused', 'everything paused'],
      [7, 'p', 'resumed', 'everything resumed after 1.0 s'],
      [8, 'p', 'suspended', 'PgBouncer suspended'],
      [9, 'p', 'resumed', 'PgBouncer resumed after 1.0 s'],
    ],
  ],
  [
    'a PgBouncer restarted: seen going, by its counters, or just a lost connection',
    c => {
      const total = (seconds: number, total_query_count: bigint) => {
        c.hear(seconds, showPools, [], 'p')
        c.hear(seconds, showStats, [{ database: 'shop', total_query_count }], 'p')
      }
      const lost = 'Connection terminated unexpectedly'
      c.link(0, 'LIVE', null, null, 'p')
      total(1, 500n)
      c.link(10, 'CONNECTING', null, lost, 'p')
      c.link(10.1, 'DOWN', 'ECONNREFUSED', 'nothing listens at h1 port 6432 (connection refused)', 'p')
      c.link(12, 'LIVE', null, null, 'p')
      total(12.1, 700n)
      c.link(20, 'CONNECTING', null, lost, 'p')
      c.link(20.5, 'LIVE', null, null, 'p')
      total(20.6, 3n)
      c.link(30, 'CONNECTING', null, lost, 'p')
      c.link(30.5, 'LIVE', null, null, 'p')
      total(30.6, 4n)
    },
    [
      [10, 'p', 'down', 'down: nothing listens at h1 port 6432 (connection refused)'],
      [12, 'p', 'back', 'back after 2.0 s, restarted'],
      [20.5, 'p', 'restart', 'restarted, away for 0.5 s'],
      [30, 'p', 'lost', 'connection lost (Connection terminated unexpectedly), back after 0.5 s'],
    ],
  ],
]

describe('stories', () => {
  test.each(stories)('%s', (_, story, expected) => {
    const cluster = watched()
    cluster.link(0, 'CONNECTING')
    cluster.up(0)
    story(cluster)
    expect(cluster.told()).toEqual(expected)
  })

  test('13 says of an immediate stop that it is a crash: what follows tells them apart', () => {
    const stopped = watched(130_023)
    stopped.up(0)
    stopped.link(10, 'CONNECTING', '57P02', byCrash)
    stopped.link(10.1, 'DOWN', 'ECONNREFUSED', refused)
    stopped.link(10.1, 'DOWN', 'ECONNREFUSED', refused)
    expect(stopped.told()).toEqual([[10, 'a', 'stop', 'stopped at once (immediate), or crashed for good']])
    const crashed = watched(130_023)
    crashed.up(0)
    crashed.link(10, 'CONNECTING', '57P02', byCrash)
    crashed.link(10.1, 'RECOVERY', '57P03', 'the database system is in recovery mode')
    crashed.up(12, 'a', ready(11))
    expect(crashed.told()).toEqual([
      [10, 'a', 'crash', 'server crashed, sessions reset'],
      [12, 'a', 'back', 'back, recovery took 1.0 s'],
    ])
  })

  test('down, denied or full when pgvigil looked first, and up later', () => {
    for (const [word, code, why, kind, say] of [
      ['DOWN', 'ECONNREFUSED', refused, 'down', `down: ${refused}`],
      ['DENIED', '28P01', 'password authentication failed', 'denied', 'refuses us: password authentication failed'],
      ['FULL', '53300', 'sorry, too many clients already', 'full', 'no connection is free: sorry, too many clients already'],
      ['STARTING', '57P03', 'the database system is starting up', 'starting', 'starting up'],
    ] as const) {
      const cluster = watched()
      cluster.link(0, 'CONNECTING')
      cluster.link(0.1, word, code, why)
      cluster.up(30)
      expect(cluster.told()).toEqual([
        [0, 'a', kind, say],
        [30, 'a', 'back', 'up after 30 s'],
      ])
    }
  })

  test('500 deaths of our sessions are one event that counts them; what lies between begins another', () => {
    const cluster = watched()
    cluster.up(0)
    for (let n = 0; n < 500; n++) {
      cluster.link(10 + n, 'CONNECTING', '57P01', byAdmin)
      // Every third session dies before it has told anything.
      if (n % 3 === 0) {
        cluster.link(10.2 + n, 'LIVE')
        cluster.link(10.3 + n, 'CONNECTING', '57P01', byAdmin)
      }
      cluster.up(10.5 + n)
    }
    const [event, ...more] = cluster.store.getState().events
    expect(more).toEqual([])
    expect(event).toMatchObject({ at: noon + 509_000, since: noon + 10_000, times: 500 })
    expect(sayOf(event!)).toBe('our session was ended by an administrator, 500 times since 12:00:10')
    cluster.beat(600, { conf_load_epoch: noon / 1000 + 605 })
    cluster.link(610, 'CONNECTING', '57P01', byAdmin)
    cluster.up(610.5)
    expect(cluster.store.getState().events.map(({ kind, times }) => [kind, times])).toEqual([
      ['terminated', 500],
      ['reload', 1],
      ['terminated', 1],
    ])
  })

  test('names from a server are drawable in what is told', () => {
    const cluster = watched()
    cluster.hear(1, showDatabases, [{ name: 'x\u001b[31m', paused: 0 }], 'p')
    cluster.hear(2, showDatabases, [{ name: 'x\u001b[31m', paused: 1 }], 'p')
    cluster.hear(1, slotStates, [])
    cluster.hear(2, slotStates, [{ slot_name: 's\u202e', wal_status: 'lost' }])
    expect(cluster.told().map(told => told[3])).toEqual(['x␛[31m paused', 'slot s· lost: who needs it must be built anew'])
  })

  test('up to 14 a database without any entry gets one with its first session, which is no reset', () => {
    const cluster = watched(140_020)
    cluster.up(0)
    cluster.hear(1, counters, [{ xact: 10n, stats_epoch: '5=17 16401=-' }])
    cluster.hear(2, counters, [{ xact: 11n, stats_epoch: '5=17 16401=18' }])
    expect(cluster.told()).toEqual([])
    cluster.hear(3, counters, [{ xact: 1n, stats_epoch: '5=19 16401=18' }])
    expect(cluster.told()).toEqual([[3, 'a', 'stats-reset', 'statistics reset in app']])
  })
})

describe('a smart stop', () => {
  test('is STOPPING while our session still answers, and only of the server that is there now', () => {
    const cluster = watched()
    cluster.up(0)
    cluster.hear(1, shutdown, [{ status: 'stopping', others: 1 }])
    const link = (seconds: number) => linkOf(cluster.store.getState().servers.a!, cluster.at(seconds), 1000)
    expect(link(1.5)).toEqual({
      state: 'up',
      word: 'STOPPING',
      since: cluster.at(1),
      why: 'smart stop: no new connections, waits for 1 session to end',
    })
    expect(link(9).word).toBe('STALE')
    cluster.link(10, 'CONNECTING', '57P01', byAdmin)
    expect(link(10).word).toBe('CONNECTING')
    cluster.link(20, 'LIVE')
    expect(linkOf(cluster.store.getState().servers.a!, cluster.at(1.5), 1000).word).toBe('LIVE')
  })
})

test('a server that has let us in again is LIVE before its first answer, and STALE when none comes', () => {
  const cluster = watched()
  cluster.up(0)
  cluster.link(10, 'CONNECTING', '57P01', byAdmin)
  cluster.link(40, 'LIVE')
  const word = (seconds: number) => linkOf(cluster.store.getState().servers.a!, cluster.at(seconds), 1000).word
  expect([word(40.1), word(42.2), word(42.4)]).toEqual(['LIVE', 'LIVE', 'STALE'])
})

describe('deeds', () => {
  const work = (change: Partial<Work> = {}): Work => ({
    id: 1,
    action: 'terminate',
    label: 'Terminate session',
    server: 'a',
    items: [{ label: 'pid 7', outcome: null, say: '', begunAt: null, ended: false }],
    queue: false,
    stopping: 'no',
    at: noon,
    endedAt: null,
    pid: null,
    watches: [],
    ...change,
  })
  const end = (store: Store, items: Work['items']) => update.changeWork(store, 1, { items, endedAt: noon + 2000 })
  const said = (state: State) => state.events.map(({ kind, level, say }) => [kind, level, say])

  test('begun and ended with the outcome', () => {
    const store = createAppStore(stateOf([{ id: 'a' }]))
    update.addWork(store, work())
    update.changeWorkItem(store, 1, 0, { outcome: 'signal sent', say: 'signal sent' })
    update.changeWork(store, 1, { stopping: 'after this' })
    end(store, [{ label: 'pid 7', outcome: 'gone', say: 'gone after 0.3s', begunAt: noon, ended: true }])
    expect(said(store.getState())).toEqual([
      ['deed-begun', 'info', 'Terminate session: pid 7: begun by us'],
      ['deed-ended', 'ok', 'Terminate session: pid 7: gone after 0.3s'],
    ])
    expect(store.getState().events.map(({ at }) => at)).toEqual([noon, noon + 2000])
  })

  test('of several: how many ended how, and why not', () => {
    const store = createAppStore(stateOf([{ id: 'a' }]))
    const item = (label: string, outcome: Work['items'][number]['outcome'], say: string) => ({
      label,
      outcome,
      say,
      begunAt: noon,
      ended: true,
    })
    update.addWork(store, work({ label: 'Compress chunk', items: [1, 2, 3].map(n => item(`chunk ${n}`, null, '')) }))
    end(store, [
      item('chunk 1', 'done', 'compressed in 4s'),
      item('chunk 2', 'failed', 'cancelled: it is as before'),
      item('chunk 3', 'done', 'compressed in 3s'),
    ])
    expect(said(store.getState())).toEqual([
      ['deed-begun', 'info', 'Compress chunk: 3 in all, chunk 1 first: begun by us'],
      ['deed-ended', 'critical', 'Compress chunk: 2 done, 1 failed; chunk 2: cancelled: it is as before'],
    ])
  })

  test('an outcome is said in its word', () => {
    const store = createAppStore(stateOf([{ id: 'a' }]))
    update.addWork(store, work({ label: 'RESUME database' }))
    end(store, [{ label: 'shop', outcome: 'done', say: 'traffic flows again', begunAt: noon, ended: true }])
    expect(store.getState().events.at(-1)?.say).toBe('RESUME database: shop: done: traffic flows again')
  })
})

describe('the list', () => {
  const event = (at: number, change: Partial<NewEvent> = {}): NewEvent => ({
    at,
    server: 'a',
    kind: 'reload',
    level: 'info',
    say: `at ${at}`,
    ...change,
  })
  const says = (events: readonly Event[]) => events.map(({ say }) => say)

  test('is in the order of what happened, whenever it was understood; of the same moment as it was told', () => {
    const events = eventsWith(eventsWith([], [event(5), event(9)], 0), [event(7), event(9, { say: 'second' }), event(1)], 2)
    expect(says(events)).toEqual(['at 1', 'at 5', 'at 7', 'at 9', 'second'])
    expect(events.map(({ id }) => id)).toEqual([5, 1, 3, 2, 4])
  })

  test('keeps the newest thousand', () => {
    const events = eventsWith(
      [],
      Array.from({ length: 2500 }, (_, i) => event(i)),
      0,
    )
    expect([events.length, events[0]?.say, events.at(-1)?.say]).toEqual([mostEvents, 'at 1500', 'at 2499'])
  })

  test('what is far from each other is not counted together', () => {
    const ended = { kind: 'terminated', say: 'ended' } as const
    const events = eventsWith([], [event(0, ended), event(600_000, ended), event(600_001, ended)], 0)
    expect(events.map(({ times }) => times)).toEqual([1, 2])
  })

  test('what repeats is counted from the third time on, by turns too; something else between begins anew', () => {
    const say = (list: readonly Event[], kind: NewEvent['kind'], words: string, at: number) =>
      eventsWith(list, [event(at, { kind, say: words })], list.length)
    let list: readonly Event[] = []
    for (let n = 0; n < 400; n++) {
      list = say(list, 'silent', 'no answer within 1.5 s', n * 1000)
      list = say(list, 'back', `answers again after ${n + 1} s`, n * 1000 + 500)
      if (n === 1) expect(list.map(({ times }) => times)).toEqual([1, 1, 1, 1])
    }
    expect(list.map(({ kind, times, since, at }) => [kind, times, since, at])).toEqual([
      ['silent', 400, 0, 399_000],
      ['back', 400, 500, 399_500],
    ])
    list = say(list, 'crash', 'crashed', 400_000)
    list = say(list, 'silent', 'no answer within 1.5 s', 401_000)
    expect(list.map(({ kind, times }) => [kind, times])).toEqual([
      ['silent', 400],
      ['back', 400],
      ['crash', 1],
      ['silent', 1],
    ])
    let reloads: readonly Event[] = []
    for (let n = 0; n < 100; n++) reloads = say(reloads, 'reload', 'configuration reloaded', n * 10)
    expect(reloads.map(sayOf)).toEqual(['configuration reloaded, 100 times since 00:00:00'])
    let pauses: readonly Event[] = []
    for (let n = 0; n < 50; n++) {
      for (const name of ['shop', 'crm']) {
        pauses = say(pauses, 'paused', `${name} paused`, n * 10)
        pauses = say(pauses, 'resumed', `${name} resumed after ${n}.0 s`, n * 10 + 5)
      }
    }
    expect(pauses.map(sayOf)).toEqual([
      'shop paused, 50 times since 00:00:00',
      'crm paused, 50 times since 00:00:00',
      'shop resumed after 49.0 s, 50 times since 00:00:00',
      'crm resumed after 49.0 s, 50 times since 00:00:00',
    ])
  })

  test('long words are cut between code points, and a detail that says nothing more is left out', () => {
    const long = '😀'.repeat(5000)
    const [one, same, more] = eventsWith(
      [],
      [
        event(1, { say: `down: ${long}`, detail: long }),
        event(2, { say: 'down: refused', detail: 'refused' }),
        event(3, { say: 'down: refused', detail: 'ended; refused' }),
      ],
      0,
    )
    expect([[...one!.say].length, [...one!.detail!].length]).toEqual([300, 2000])
    expect([one!.say.at(-1), one!.detail!.isWellFormed(), one!.say.isWellFormed()]).toEqual(['…', true, true])
    expect([same!.detail, more!.detail]).toEqual([null, 'ended; refused'])
  })

  test('a held picture shows what had happened until then', () => {
    const store = createAppStore(stateOf([{ id: 'a' }]))
    update.addEvents(store, [event(noon - 1)])
    update.toggleHold(store)
    update.addEvents(store, [event(noon + 500)])
    expect(says(eventsOf(store.getState()))).toEqual([`at ${noon - 1}`])
    update.toggleHold(store)
    expect(eventsOf(store.getState())).toHaveLength(2)
  })
})

describe('news', () => {
  const said = ({ store }: ReturnType<typeof watched>, seconds: number) => {
    update.setNow(store, noon + seconds * 1000, null)
    const news = freshEvent(store.getState())
    return news && [news.server, news.level, news.say]
  }
  const cluster = () => {
    const one = watched()
    one.up(0)
    one.up(0, 'b', { in_recovery: true, timeline: null, replay_pause: 'not paused' })
    return one
  }

  test('the worst goes before the newest, until it is over', () => {
    const c = cluster()
    c.link(10, 'CONNECTING', '57P01', byAdmin)
    c.link(10.1, 'DOWN', 'ECONNREFUSED', refused)
    c.beat(11, { in_recovery: true, timeline: null, replay_pause: 'paused' }, 'b')
    expect(said(c, 11.5)).toEqual(['a', 'critical', 'stopped (fast), sessions ended'])
    c.up(12, 'a', started(11.5))
    expect(said(c, 12.2)).toEqual(['b', 'warning', 'WAL replay paused'])
    c.beat(13, { in_recovery: true, timeline: null, replay_pause: 'not paused' }, 'b')
    c.beat(13, started(11.5))
    expect(said(c, 13.1)).toEqual(['b', 'ok', 'WAL replay resumed after 2.0 s'])
    expect(said(c, 26)).toBeNull()
  })

  test('back after a crash still says that it was one; in trouble anew it is no news', () => {
    const c = cluster()
    c.link(10, 'CONNECTING', '57P02', byCrash)
    expect(said(c, 10.1)).toEqual(['a', 'critical', 'server crashed, sessions reset'])
    c.up(14, 'a', ready(11.9))
    expect(said(c, 14.2)).toEqual(['a', 'ok', 'crashed, back, recovery took 1.9 s'])
    c.link(15, 'CONNECTING', null, 'Connection terminated unexpectedly')
    expect(said(c, 15.1)).toBeNull()
    c.up(15.5, 'a', ready(11.9))
    expect(said(c, 15.7)).toEqual(['a', 'warning', 'connection lost (Connection terminated unexpectedly), back after 0.5 s'])
  })

  test('a database that goes on is not the one that is paused still', () => {
    const c = cluster()
    const databases = (seconds: number, shop: number, crm: number) =>
      c.hear(
        seconds,
        showDatabases,
        [
          { name: 'shop', paused: shop },
          { name: 'crm', paused: crm },
        ],
        'p',
      )
    c.link(0, 'LIVE', null, null, 'p')
    databases(1, 0, 0)
    databases(2, 1, 1)
    databases(3, 1, 0)
    expect(said(c, 3.1)).toEqual(['p', 'warning', 'shop paused'])
    databases(4, 0, 0)
    expect(said(c, 4.1)).toEqual(['p', 'ok', 'shop resumed after 2.0 s'])
  })
})

test('the last notice of a server is kept; what it says while it starts, and a word of the system, are none', () => {
  const cluster = watched()
  cluster.up(0)
  cluster.link(10, 'CONNECTING', '57P02', byCrash)
  cluster.link(10.1, 'RECOVERY', '57P03', 'the database system is in recovery mode')
  cluster.link(11, 'DOWN', 'EPERM', 'access is denied by the system')
  cluster.up(12)
  expect(cluster.store.getState().servers.a?.lastNotice).toEqual({ at: noon + 10_000, code: '57P02', text: byCrash })
})

test('times in words', () => {
  expect([0, 0.05, 0.1, 1.94, 12.7, 62, 3700].map(inWords)).toEqual([
    'less than 0.1 s',
    'less than 0.1 s',
    '0.1 s',
    '1.9 s',
    '12 s',
    '1m02s',
    '1h01m',
  ])
})
