// Replay of a standby paused and resumed, and slots dropped.

import { bytes, duration } from '../model/format.ts'
import type { ReplicationRow, SlotListRow } from '../model/replication.ts'
import { drawable, is, raw, type Untrusted } from '../model/untrusted.ts'
import { dropSlot, pauseReplay, replayState, resumeReplay, slotNow } from '../sql/deeds.ts'
import { replicationSettings, senders, slots } from '../sql/replication.ts'
import { pulse } from '../sql/server.ts'
import { idsOf, rowsOf } from '../store/selectors.ts'
import type { Frozen, State } from '../store/state.ts'
import { action, type Hands, type Line, type Report, type WhyNot, whyNot } from './action.ts'
import { ourRole, placeOf } from './guards.ts'
import { type Statement, written } from './statement.ts'
import { toType, typable } from './words.ts'

type ReplayTarget = Frozen & { readonly lag: string; readonly application_name: Untrusted | null }

function freezeStandby(row: ReplicationRow, state: State): ReplayTarget | WhyNot {
  if (row.standby === null) return whyNot('the standby itself is not watched: name its conninfo to pgvigil too')
  return {
    ...placeOf(state, row.standby),
    label: drawable(row.standby),
    lag: `${duration(row.lagSeconds)}, ${bytes(row.lagBytes)}`,
    application_name: row.application_name,
  }
}

const isPaused = (state: State, server: string) => {
  const paused = rowsOf(state, server, pulse)[0]?.replay_pause ?? null
  return paused !== null && !is(paused, 'not paused')
}

function guardReplay(target: ReplayTarget, state: State, pause: boolean): WhyNot | null {
  const known = state.servers[target.server]
  if (known?.role !== 'standby') return whyNot(`${drawable(target.server)} is no standby`)
  if (isPaused(state, target.server) === pause)
    return whyNot(pause ? 'replay is paused already; R resumes it' : 'replay is not paused')
  const right = replayRight(target.server, state, pause)
  // What is granted on the primary comes by WAL, which is not replayed now.
  if (right) return pause ? right : whyNot(`${right.why}: it does not arrive while replay is paused, only a superuser can resume`)
  // Whoever pauses must be able to end it.
  return pause ? replayRight(target.server, state, false) : null
}

function replayRight(server: string, state: State, pause: boolean): WhyNot | null {
  const facts = state.servers[server]?.facts
  const may = pause ? facts?.pausesReplay : facts?.resumesReplay
  if (may !== false) return null
  const role = ourRole(state, server)
  return whyNot(
    `no right: GRANT EXECUTE ON FUNCTION pg_catalog.pg_wal_replay_${pause ? 'pause' : 'resume'}() TO ${role}; (on the primary)`,
  )
}

/** A pause is asked for and comes when replay looks at it, which a conflict can put off. Milliseconds. */
const verify = { forMs: 4000, everyMs: 150 }

async function runReplay(target: ReplayTarget, hands: Hands, pause: boolean): Promise<Report> {
  const session = await hands.open()
  await session.run(pause ? pauseReplay : resumeReplay)
  const asked = hands.now()
  const version = hands.state().servers[target.server]?.facts?.version ?? 0
  let last = ''
  while (hands.now() - asked < verify.forMs) {
    const [row] = (await session.run(version >= 140000 ? replayState.from14 : replayState.before)).rows
    last = row?.state ?? ''
    if ((last === 'paused') === pause && last !== 'pause requested') {
      return { outcome: 'done', say: pause ? 'replay is paused: lag grows until it is resumed (R)' : 'replay goes on' }
    }
    hands.tell({ outcome: 'signal sent', say: `asked for; the standby says "${drawable(last)}"` })
    await new Promise(resolve => setTimeout(resolve, verify.everyMs))
  }
  return { outcome: 'signal sent', say: `asked for; after ${verify.forMs / 1000} s the standby still says "${drawable(last)}"` }
}

const replayAction = (pause: boolean) =>
  action<ReplicationRow, ReplayTarget>({
    id: pause ? 'pauseReplay' : 'resumeReplay',
    command: pause ? 'pause' : 'resume',
    label: pause ? 'Pause WAL replay' : 'Resume WAL replay',
    help: pause ? 'Stops replay on the standby; it goes on receiving.' : 'Lets replay on the standby go on.',
    lists: ['replication'],
    takes: 'one',
    on: 'postgres',
    right: (server, state) => replayRight(server, state, pause),
    freeze: freezeStandby,
    guard: (target, state) => guardReplay(target, state, pause),
    words: () => null,
    watches: () => [],
    ask: ([target]) => ({
      head: ['STANDBY', 'APPLICATION', 'LAG'],
      hit: [[drawable(target!.server), drawable(target!.application_name) || '–', target!.lag]],
      follows: pause
        ? [
            { text: 'queries there see the data of this moment until replay is resumed; lag grows', tone: 'warning' },
            { text: 'WAL is still received and piles up on the standby', tone: 'warning' },
            { text: 'a promotion ends the pause and replays all of it first' },
          ]
        : [{ text: 'what was received meanwhile is replayed now; queries there may be cancelled by conflicts' }],
    }),
    gone: () => false,
    sql: () => [pause ? pauseReplay : resumeReplay],
    record: ({ application_name }) => ({ application_name }),
    run: (target, hands) => runReplay(target, hands, pause),
  })

type SlotTarget = Frozen & {
  readonly slot_name: Untrusted
  readonly slot_type: Untrusted
  readonly plugin: Untrusted | null
  readonly database: Untrusted | null
  readonly restart_lsn: string
  readonly wal_status: Untrusted | null
  readonly active: boolean
  /** Copied from the primary (17). */
  readonly synced: boolean
  readonly retainedBytes: bigint | null
  readonly inactiveSeconds: number | null
}

function freezeSlot(row: SlotListRow, state: State): SlotTarget {
  const { slot_name, slot_type, plugin, database, wal_status, active, retainedBytes, inactiveSeconds } = row
  return {
    ...placeOf(state, row.server),
    label: `slot ${drawable(slot_name)}`,
    ...{ slot_name, slot_type, plugin, database, wal_status, active, retainedBytes, inactiveSeconds },
    synced: row.synced === true && placeOf(state, row.server).role === 'standby',
    restart_lsn: row.restart_lsn ?? '',
  }
}

function guardSlot(target: SlotTarget, state: State): WhyNot | null {
  if (target.synced) return whyNot('the server keeps it in step with its primary: drop it there')
  if (target.active) return whyNot('the slot is in use: terminate its walsender first, or take its standby away')
  return slotRight(target.server, state)
}

function slotRight(server: string, state: State): WhyNot | null {
  const role = ourRole(state, server)
  return state.servers[server]?.facts?.hasReplication === false
    ? whyNot(`no right: ALTER ROLE ${role} REPLICATION; (to drop slots)`)
    : null
}

/** Watched standbys that are set to use this slot. */
function users(target: SlotTarget, state: State): readonly string[] {
  return idsOf(state, 'postgres').filter(id => {
    const slot = rowsOf(state, id, replicationSettings)[0]?.primary_slot_name ?? null
    return id !== target.server && state.servers[id]?.role === 'standby' && slot !== null && slot === target.slot_name
  })
}

const dropStatement = ({ slot_name, restart_lsn }: SlotTarget): Statement => ({
  text: dropSlot,
  values: [raw(slot_name), restart_lsn],
})

async function runDrop(target: SlotTarget, hands: Hands): Promise<Report> {
  const session = await hands.open()
  const { text, values } = dropStatement(target)
  if ((await session.run(text, values)).rows.length > 0) {
    const freed = target.retainedBytes === null ? '' : `: ${bytes(target.retainedBytes)} of WAL can go with the next checkpoints`
    return { outcome: 'done', say: `dropped${freed}` }
  }
  const [now] = (await session.run(slotNow, [raw(target.slot_name)])).rows
  if (!now) return { outcome: 'already gone', say: 'already gone: nothing was done' }
  return {
    outcome: 'refused',
    say:
      now.active === 't'
        ? `nothing was done: the slot is in use now, by pid ${now.active_pid ?? '–'}`
        : 'nothing was done: the slot has moved on since you looked at it',
  }
}

const dropSlotAction = action<SlotListRow, SlotTarget>({
  id: 'dropSlot',
  command: 'dropSlot',
  label: 'Drop slot',
  help: 'Drops an inactive slot and frees the WAL it holds.',
  lists: ['slots'],
  takes: 'one',
  on: 'postgres',
  right: slotRight,
  freeze: freezeSlot,
  guard: guardSlot,
  words: target => [toType(typable(target.slot_name) ?? 'DROP')],
  watches: ({ server }) => [senders, slots].map(query => ({ server, query })),
  ask: ([target], state) => ({
    head: ['SLOT', 'TYPE', 'STATUS', 'HOLDS', 'INACTIVE FOR'],
    hit: [
      [
        drawable(target!.slot_name),
        target!.plugin === null ? drawable(target!.slot_type) : `${drawable(target!.plugin)} in ${drawable(target!.database)}`,
        drawable(target!.wal_status) || '–',
        bytes(target!.retainedBytes),
        duration(target!.inactiveSeconds),
      ],
    ],
    follows: [
      target!.retainedBytes === null
        ? { text: 'it holds no WAL', tone: 'dim' }
        : { text: `frees ${bytes(target!.retainedBytes)} of WAL, with the next checkpoints`, tone: 'ok' },
      ...users(target!, state).map(
        (id): Line => ({
          text: `standby ${drawable(id)} is set to use it (primary_slot_name): without it the WAL it still needs goes, and it must be rebuilt`,
          tone: 'critical',
        }),
      ),
      { text: 'whoever used it can not go on from where it stood', tone: 'warning' },
    ],
  }),
  gone: (target, state, since) => {
    const sample = state.servers[target.server]?.readings[slots.id]?.sample
    return !!sample && sample.at > since && !sample.rows.some(row => row.slot_name === target.slot_name)
  },
  sql: target => [written(dropStatement(target))],
  record: ({ slot_name, slot_type, plugin, restart_lsn, retainedBytes }) => ({
    slot_name,
    slot_type,
    plugin,
    restart_lsn,
    retainedBytes,
  }),
  run: runDrop,
})

export const replicationActions = [replayAction(true), replayAction(false), dropSlotAction]
