// What can be done to a database of a PgBouncer besides PAUSE: disabled, enabled, reconnected, killed.

import { isOn } from '../model/pooler.ts'
import type { PoolPaneRow } from '../model/pools.ts'
import { drawable, raw, short } from '../model/untrusted.ts'
import type { DeedSession } from '../server/deed.ts'
import { showServers } from '../sql/pgbouncer.ts'
import { rowsOf } from '../store/selectors.ts'
import type { State } from '../store/state.ts'
import { type AnyAction, action, type Line, type PoolTarget, type Report, type WhyNot, whyNot } from './action.ts'
import { consoleCommand, databaseNow, guardConsole, notThere } from './console.ts'
import { killClient } from './pool-clients.ts'
import { pauseActions } from './pool-pause.ts'
import { clientsOf, databaseRow, number, ofDatabase, pauseWatches, shared } from './pool-target.ts'
import { reload } from './reload.ts'
import { toType, typable } from './words.ts'

/** A command on a database whose effect SHOW DATABASES or SHOW SERVERS tells afterwards. */
function plain(spec: {
  id: string
  verb: 'DISABLE' | 'ENABLE' | 'RECONNECT'
  label: string
  help: string
  guard: (target: PoolTarget, state: State) => WhyNot | null
  follows: (target: PoolTarget, state: State) => readonly Line[]
  after: (target: PoolTarget, session: DeedSession) => Promise<Report>
}): AnyAction {
  const { id, verb, label, help, guard, follows, after } = spec
  return action<PoolPaneRow, PoolTarget>({
    ...shared,
    id,
    command: id,
    label,
    help,
    lists: ['pools'],
    freeze: ofDatabase,
    guard: (target, state) => guardConsole(target, state) ?? guard(target, state),
    words: () => null,
    watches: (target, state) => pauseWatches(state, target.server),
    ask: ([target], state) => ({
      head: ['DATABASE', 'CLIENTS', 'SERVERS'],
      hit: [
        [
          drawable(target!.database),
          String(clientsOf(state, target!).length),
          String(rowsOf(state, target!.server, showServers).filter(({ database }) => database === target!.database).length),
        ],
      ],
      follows: follows(target!, state),
    }),
    sql: target => [consoleCommand(verb, target)],
    run: async (target, hands) => {
      const session = await hands.open()
      if (!(await databaseNow(session, target))) return notThere
      await session.run(consoleCommand(verb, target))
      return after(target, session)
    },
  })
}

const toggled = async (target: PoolTarget, session: DeedSession, disabled: '0' | '1', say: string): Promise<Report> => {
  const now = (await databaseNow(session, target))?.disabled
  return now === disabled
    ? { outcome: 'done', say }
    : { outcome: 'signal sent', say: `PgBouncer took it, and says disabled=${now ?? '–'}` }
}

const isDisabled = (target: PoolTarget, state: State) => isOn(databaseRow(state, target)?.disabled)

const disable = plain({
  id: 'disable',
  verb: 'DISABLE',
  label: 'DISABLE database',
  help: 'Refuses new clients of the database; those that are there go on.',
  guard: (target, state) => (isDisabled(target, state) ? whyNot('it is disabled already; E enables it') : null),
  follows: () => [{ text: 'new clients are refused until ENABLE (E); those that are connected go on', tone: 'warning' }],
  after: (target, session) => toggled(target, session, '1', 'new clients are refused until ENABLE'),
})

const enable = plain({
  id: 'enable',
  verb: 'ENABLE',
  label: 'ENABLE database',
  help: 'Lets new clients in again.',
  guard: (target, state) => (isDisabled(target, state) ? null : whyNot('it is not disabled')),
  follows: () => [{ text: 'new clients are let in again', tone: 'ok' }],
  after: (target, session) => toggled(target, session, '0', 'new clients are let in again'),
})

const reconnect = plain({
  id: 'reconnect',
  verb: 'RECONNECT',
  label: 'RECONNECT database',
  help: 'Replaces its server connections as clients let go of them.',
  guard: () => null,
  follows: () => [
    { text: 'idle connections to PostgreSQL are closed now, the others as their clients let go of them; clients notice nothing' },
  ],
  after: async (target, session) => {
    const { rows } = await session.run('SHOW SERVERS')
    // Idle ones are closed within a third of a second.
    const left = rows.filter(
      row => row.database === raw(target.database!) && row.close_needed === '1' && row.state === 'active',
    ).length
    return left === 0
      ? { outcome: 'done', say: 'no old connection is left' }
      : { outcome: 'signal sent', say: `${number(left, 'old connection')} still in use: each is closed when its client lets go` }
  },
})

const killDatabase = action<PoolPaneRow, PoolTarget>({
  ...shared,
  id: 'kill',
  command: 'terminate',
  label: 'KILL database',
  help: 'Drops all its clients and servers at once, and leaves it paused.',
  lists: ['pools'],
  freeze: ofDatabase,
  guard: guardConsole,
  words: target => [toType(typable(target.database) ?? 'KILL')],
  watches: (target, state) => pauseWatches(state, target.server),
  ask: ([target], state) => ({
    head: ['CLIENT', 'USER', 'DB', 'STATE'],
    hit: clientsOf(state, target!).map(({ application_name, addr, port, user, database, state: doing }) => [
      [short(application_name ?? '', 30), `${drawable(addr)}:${port ?? ''}`].filter(Boolean).join('@'),
      short(user ?? '', 16),
      short(database ?? '', 16),
      drawable(doing),
    ]),
    follows: [
      {
        text: `its clients (${clientsOf(state, target!).length}) are disconnected at once, transactions are cut off in the middle`,
        tone: 'critical',
      },
      { text: 'it stays PAUSED afterwards, until RESUME (R): new clients hang', tone: 'critical' },
    ],
  }),
  sql: target => [consoleCommand('KILL', target)],
  run: async (target, hands) => {
    const session = await hands.open()
    if (!(await databaseNow(session, target))) return notThere
    await session.run(consoleCommand('KILL', target))
    hands.killed(target)
    const paused = (await databaseNow(session, target))?.paused === '1'
    return { outcome: 'done', say: paused ? 'killed; it stays PAUSED until RESUME (R)' : 'killed' }
  },
})

const [pauseDatabase, resumeDatabase, pauseAll, resumeAll] = pauseActions as [AnyAction, AnyAction, AnyAction, AnyAction]

/** In the order of the menu. */
export const poolActions: readonly AnyAction[] = [
  pauseDatabase,
  resumeDatabase,
  reload,
  reconnect,
  disable,
  enable,
  pauseAll,
  resumeAll,
  killDatabase,
  killClient,
]
