// What can be done to a PgBouncer: a database paused, resumed, disabled, enabled, reconnected or killed, the configuration reloaded, a
// client disconnected. PAUSE is watched over by pauses.ts.

import { duration } from '../model/format.ts'
import type { PoolClientPaneRow } from '../model/pooled.ts'
import { configOf, consoleName, isOn, poolerState } from '../model/pooler.ts'
import type { PoolPaneRow } from '../model/pools.ts'
import { drawable, is, raw, short, type Untrusted } from '../model/untrusted.ts'
import type { DeedSession, WireRow } from '../server/deed.ts'
import { awaitedBy } from '../sessions.ts'
import { activity } from '../sql/activity.ts'
import { showClients, showConfig, showDatabases, showServers } from '../sql/pgbouncer.ts'
import { names } from '../sql/server.ts'
import { idsOf, rowsOf } from '../store/selectors.ts'
import type { State, Watch } from '../store/state.ts'
import {
  type Action,
  type AnyAction,
  action,
  type Hands,
  type Line,
  type PoolTarget,
  type Question,
  type Report,
  type WhyNot,
  whyNot,
} from './action.ts'
import { allPausedNow, consoleCommand, consoleRight, databaseNow, guardConsole, notThere, poolTarget } from './console.ts'
import { typable } from './words.ts'

const ofDatabase = (row: PoolPaneRow, state: State) => poolTarget(state, row.server, row.database)
const ofPooler = (row: PoolPaneRow, state: State) => poolTarget(state, row.server, null)

/** What a dialog or a pause needs to tell who is waited for: the connections, and the sessions behind them. */
export function pauseWatches(state: State, server: string): readonly Watch[] {
  return [
    ...[showClients, showServers, showConfig].map(query => ({ server, query })),
    ...idsOf(state, 'postgres').flatMap(id => [activity, names].map(query => ({ server: id, query }))),
  ]
}

const databaseRow = (state: State, { server, database }: PoolTarget) =>
  rowsOf(state, server, showDatabases).find(({ name }) => name === database)

/** Null where this version doesn't tell. */
export const allPaused = (state: State, server: string) => {
  const known = state.servers[server]
  return known ? poolerState(known).paused : null
}

const number = (count: number, one: string) => `${count} ${count === 1 ? one : `${one}s`}`

/** The sessions that a PAUSE waits for, for the dialog. */
function awaited(target: PoolTarget, state: State): Pick<Question, 'head' | 'hit'> {
  return {
    head: ['PID', 'DB', 'CLIENT', 'STATE', 'XACT', 'QUERY'],
    hit: awaitedBy(state, target.server, target.database).map(({ pid, database, client, session }) => [
      String(pid ?? '–'),
      short(database ?? '', 16) || '–',
      short(client, 40) || '–',
      drawable(session?.state) || '–',
      session ? duration(session.xactAgeSeconds) : '–',
      drawable(session?.query).trim(),
    ]),
  }
}

const settingSeconds = (state: State, server: string, key: string): number | null => {
  const known = state.servers[server]
  const value = known ? configOf(known).get(key) : undefined
  const seconds = value ? Number(raw(value)) : Number.NaN
  return Number.isFinite(seconds) && seconds > 0 ? seconds : null
}

/** Clients that wait longer than this are thrown out, so a pause must end before. Seconds; null: they wait for ever, or it isn't known. */
const queryWaitTimeout = (state: State, server: string) => settingSeconds(state, server, 'query_wait_timeout')

const clientsOf = (state: State, { server, database }: PoolTarget) =>
  rowsOf(state, server, showClients).filter(
    client => !is(client.database, consoleName) && (database === null || client.database === database),
  )

function askPause(target: PoolTarget, state: State): Question {
  const waits = awaited(target, state)
  const open = waits.hit.length
  const limit = queryWaitTimeout(state, target.server)
  const modes = new Set(
    rowsOf(state, target.server, showDatabases)
      .filter(({ name }) => target.database === null || name === target.database)
      .map(({ pool_mode }) =>
        raw(pool_mode ?? configOf(state.servers[target.server]!).get('pool_mode') ?? ('' as unknown as Untrusted)),
      ),
  )
  return {
    ...waits,
    follows: [
      open === 0
        ? { text: 'no transaction is open: it takes effect at once', tone: 'ok' }
        : { text: `${number(open, 'open transaction')} must end first; what begins meanwhile waits`, tone: 'warning' },
      ...(modes.has('session')
        ? [
            {
              text: 'session pooling: it waits until each client with a connection disconnects, idle ones too',
              tone: 'warning' as const,
            },
          ]
        : []),
      { text: `its clients (${clientsOf(state, target).length}) stay connected; what they begin waits until it is resumed` },
      limit === null
        ? { text: 'query_wait_timeout is off or not known: clients wait for as long as it takes', tone: 'dim' }
        : { text: `query_wait_timeout: clients that wait ${limit} s are thrown out`, tone: 'dim' },
      { text: 'pgvigil resumes it by itself when the time is up, and when it is ended by a signal' },
    ],
  }
}

function guardPause(target: PoolTarget, state: State): WhyNot | null {
  const rights = guardConsole(target, state)
  if (rights) return rights
  if (state.pauses.some(pause => pause.server === target.server && pause.database === target.database)) {
    return whyNot('pgvigil has paused it already: R resumes it')
  }
  if (allPaused(state, target.server)) return whyNot('everything is paused already: RESUME of all ends that (F9)')
  if (target.database !== null && isOn(databaseRow(state, target)?.paused)) return whyNot('it is paused already: R resumes it')
  return null
}

function secondsField(target: PoolTarget, state: State) {
  const limit = queryWaitTimeout(state, target.server)
  const first = limit !== null && limit <= 30 ? Math.max(1, Math.floor(limit / 2)) : 30
  return { first, below: limit, why: `query_wait_timeout is ${limit} s: clients would be thrown out` }
}

const shared = {
  on: 'pgbouncer' as const,
  right: consoleRight,
  takes: 'one' as const,
  record: ({ database }: PoolTarget) => ({ database: database ?? '*' }),
  gone: ({ server, database }: PoolTarget, state: State, since: number) => {
    const sample = state.servers[server]?.readings[showDatabases.id]?.sample
    return database !== null && !!sample && sample.at > since && !sample.rows.some(row => row.name === database)
  },
}

const all = () => ['all']

function pause(whole: boolean): AnyAction {
  return action<PoolPaneRow, PoolTarget>({
    ...shared,
    id: whole ? 'pauseAll' : 'pause',
    command: whole ? 'pauseAll' : 'pause',
    label: whole ? 'PAUSE everything' : 'PAUSE database',
    help: whole ? 'Pauses all databases of this PgBouncer, with a deadline.' : 'Pauses the database, with a deadline.',
    lists: ['pools'],
    freeze: whole ? ofPooler : ofDatabase,
    guard: guardPause,
    words: whole ? all : () => null,
    secondsField,
    watches: (target, state) => pauseWatches(state, target.server),
    ask: ([target], state) => askPause(target!, state),
    sql: target => [consoleCommand('PAUSE', target)],
    run: (target, hands) => hands.pause(target),
  })
}

function guardResume(target: PoolTarget, state: State): WhyNot | null {
  const rights = guardConsole(target, state)
  if (rights) return rights
  if (state.pauses.some(({ server, database }) => server === target.server && database === target.database)) return null
  if (target.database === null) {
    // Before 1.19 it can't be seen whether everything is paused, so RESUME is always offered there.
    return allPaused(state, target.server) === false ? whyNot('not everything is paused') : null
  }
  const paused = isOn(databaseRow(state, target)?.paused)
  if (!paused && allPaused(state, target.server))
    return whyNot('everything is paused, not this database alone: RESUME of all ends that (F9)')
  return paused ? null : whyNot('it is not paused')
}

/** Also for a pause of ours whose time is up. */
export async function resume(target: PoolTarget, session: DeedSession, hands: Pick<Hands, 'state'>): Promise<Report> {
  try {
    await session.run(consoleCommand('RESUME', target))
  } catch (error) {
    // Told in words only: all errors of the console have one code.
    const { message } = error as Error
    if (/no such database/.test(message)) return { outcome: 'already gone', say: 'PgBouncer has no such database any more' }
    if (!/is not paused/.test(message)) throw error
    return { outcome: 'already gone', say: 'it was not paused any more: somebody else has resumed it' }
  }
  const paused =
    target.database === null
      ? await allPausedNow(session, hands.state(), target.server)
      : (await databaseNow(session, target))?.paused === '1'
  return paused
    ? { outcome: 'still there', say: 'PgBouncer took RESUME and still says paused' }
    : { outcome: 'done', say: 'traffic flows again' }
}

function resumeAction(whole: boolean): AnyAction {
  return action<PoolPaneRow, PoolTarget>({
    ...shared,
    id: whole ? 'resumeAll' : 'resume',
    command: whole ? 'resumeAll' : 'resume',
    label: whole ? 'RESUME everything' : 'RESUME database',
    help: whole ? 'Ends a pause of everything; pauses of single databases stay.' : 'Lets the clients of the database go on.',
    lists: ['pools'],
    freeze: whole ? ofPooler : ofDatabase,
    guard: guardResume,
    words: whole ? all : () => null,
    watches: (target, state) => pauseWatches(state, target.server),
    ask: ([target], state) => ({
      head: ['DATABASE', 'WAITING', 'LONGEST'],
      hit: waitingPools(target!, state),
      follows: [{ text: 'waiting clients get their servers and go on', tone: 'ok' }],
    }),
    sql: target => [consoleCommand('RESUME', target)],
    run: async (target, hands) => {
      const report = await resume(target, await hands.open(), hands)
      if (report.outcome !== 'still there') hands.resumed(target)
      return report
    },
  })
}

function waitingPools({ server, database }: PoolTarget, state: State): readonly (readonly string[])[] {
  const known = state.servers[server]
  const rows = (known?.readings.showPools?.sample?.rows ?? []) as readonly {
    database: Untrusted
    cl_waiting: number | null
    maxwait: number | null
  }[]
  return rows
    .filter(row => !is(row.database, consoleName) && (database === null || row.database === database))
    .map(row => [drawable(row.database), String(row.cl_waiting ?? '–'), duration(row.maxwait)])
}

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
  words: target => [typable(target.database) ?? 'KILL'],
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

/** What of SHOW CONFIG and SHOW DATABASES differs, in words. */
function changes(
  before: readonly WireRow[],
  after: readonly WireRow[],
  key: string,
  value: (row: WireRow) => string,
): readonly string[] {
  const old = new Map(before.map(row => [row[key], value(row)]))
  const now = new Map(after.map(row => [row[key], value(row)]))
  return [
    ...[...now].flatMap(([name, text]) =>
      !old.has(name)
        ? [`${name} added`]
        : old.get(name) === text
          ? []
          : [`${name}${key === 'key' ? ` ${old.get(name)} → ${text}` : ' changed'}`],
    ),
    ...[...old.keys()].filter(name => !now.has(name)).map(name => `${name} removed`),
  ]
}

const unstable = new Set(['current_connections', 'current_client_connections', 'paused', 'disabled'])
const databaseText = (row: WireRow) => JSON.stringify(Object.entries(row).filter(([column]) => !unstable.has(column)))
const configText = (row: WireRow) => row.value ?? ''

async function runReload(hands: Hands): Promise<Report> {
  const session = await hands.open()
  const look = async () => ({
    config: (await session.run('SHOW CONFIG')).rows,
    databases: (await session.run('SHOW DATABASES')).rows,
  })
  const before = await look()
  // 1.25 refuses a file it can't read; those before answer the same to any.
  await session.run('RELOAD')
  const after = await look()
  const found = [
    ...changes(before.config, after.config, 'key', configText),
    ...changes(before.databases, after.databases, 'name', databaseText).map(text => `database ${text}`),
  ].map(text => short(text, 60))
  const log = 'only its log says whether the whole file was read'
  const told = found.length > 5 ? `${found.slice(0, 5).join(', ')} (+${found.length - 5})` : found.join(', ')
  return {
    outcome: 'signal sent',
    say:
      found.length === 0
        ? `RELOAD accepted, nothing visible has changed; that is no proof: ${log}`
        : `RELOAD accepted; changed: ${told}; ${log}`,
  }
}

const reload = action<PoolPaneRow, PoolTarget>({
  ...shared,
  id: 'reload',
  command: 'reload',
  label: 'RELOAD configuration',
  help: 'Makes PgBouncer read its configuration files again.',
  lists: ['pools'],
  freeze: ofPooler,
  guard: guardConsole,
  words: () => null,
  watches: () => [],
  ask: ([target], state) => ({
    head: ['PGBOUNCER', 'VERSION'],
    hit: [[drawable(target!.server), drawable(state.servers[target!.server]?.facts?.versionText)]],
    follows: [
      { text: 'a file with an error in it is applied up to that line, and what follows gets its default', tone: 'warning' },
      { text: 'what has changed is told afterwards; whether all was read only the log says' },
    ],
  }),
  sql: () => ['RELOAD'],
  run: (_, hands) => runReload(hands),
})

type ClientTarget = PoolTarget & {
  readonly id: bigint
  readonly ptr: Untrusted | null
  readonly connect_time: Untrusted | null
  readonly addr: Untrusted | null
  readonly port: number | null
  readonly user: Untrusted | null
  readonly application_name: Untrusted | null
  readonly doing: string
  readonly linkedTo: number | null
}

function freezeClient(row: PoolClientPaneRow, state: State): ClientTarget | WhyNot {
  const version = state.servers[row.server]?.facts?.version ?? 0
  if (row.id === null || version < 12400) {
    const pid = row.linkedTo === null ? '' : `; its server connection is pid ${row.linkedTo}, which 1 Activity can terminate`
    return whyNot(`this PgBouncer has no KILL_CLIENT (1.24 and later have)${pid}`)
  }
  const { id, ptr, connect_time, addr, port, user, application_name, linkedTo } = row
  return {
    ...poolTarget(state, row.server, row.database),
    label: `client ${id}`,
    ...{ id, ptr, connect_time, addr, port, user, application_name, linkedTo },
    doing: row.clientState ?? '',
  }
}

const sameClient = (target: ClientTarget) => (row: WireRow) =>
  row.id === String(target.id) &&
  row.ptr === (target.ptr === null ? null : raw(target.ptr)) &&
  row.connect_time === (target.connect_time === null ? null : raw(target.connect_time))

const killClient = action<PoolClientPaneRow, ClientTarget>({
  id: 'killClient',
  command: 'terminate',
  label: 'KILL_CLIENT',
  help: 'Disconnects the client.',
  lists: ['clients'],
  takes: 'one',
  on: 'pgbouncer',
  right: (server, state) =>
    (state.servers[server]?.facts?.version ?? 0) < 12400
      ? whyNot('PgBouncer 1.24 and later have KILL_CLIENT')
      : consoleRight(server, state),
  freeze: freezeClient,
  guard: (target, state) => guardConsole({ ...target, database: null }, state),
  words: () => null,
  watches: ({ server }) => [showClients, showServers, showConfig].map(query => ({ server, query })),
  ask: ([target]) => ({
    head: ['ID', 'USER', 'DB', 'CLIENT', 'STATE'],
    hit: [
      [
        String(target!.id),
        drawable(target!.user),
        drawable(target!.database),
        [drawable(target!.application_name), `${drawable(target!.addr)}:${target!.port ?? ''}`].filter(Boolean).join('@'),
        target!.doing || '–',
      ],
    ],
    follows: [
      target!.linkedTo === null
        ? { text: 'it has no server connection now: no transaction of its is open' }
        : { text: `its transaction on pid ${target!.linkedTo} is cut off and rolled back`, tone: 'warning' },
    ],
  }),
  gone: (target, state, since) => {
    const sample = state.servers[target.server]?.readings[showClients.id]?.sample
    return !!sample && sample.at > since && !sample.rows.some(row => row.id === target.id && row.ptr === target.ptr)
  },
  sql: target => [`KILL_CLIENT ${target.id}`],
  record: ({ id, user, database, addr, port, application_name }) => ({
    id: String(id),
    user,
    database,
    addr,
    port,
    application_name,
  }),
  run: async (target, hands) => {
    const session = await hands.open()
    const there = async () => (await session.run('SHOW CLIENTS')).rows.some(sameClient(target))
    if (!(await there())) return { outcome: 'already gone', say: 'already gone: nothing was done' }
    await session.run(`KILL_CLIENT ${target.id}`)
    return (await there())
      ? { outcome: 'still there', say: 'PgBouncer took it, and the client is still there' }
      : { outcome: 'gone', say: 'gone' }
  },
})

export const poolActions: readonly Action[] = [
  pause(false),
  resumeAction(false),
  reload,
  reconnect,
  disable,
  enable,
  pause(true),
  resumeAction(true),
  killDatabase,
  killClient,
]
