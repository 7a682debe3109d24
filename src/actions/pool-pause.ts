// PAUSE and RESUME, of a database or of everything. A pause is watched over by pauses.ts.

import { duration } from '../model/format.ts'
import { configOf, consoleName, isOn, poolerState } from '../model/pooler.ts'
import type { PoolPaneRow } from '../model/pools.ts'
import { withoutPasswords } from '../model/redact.ts'
import { drawable, is, raw, short, type Untrusted } from '../model/untrusted.ts'
import type { DeedSession } from '../server/deed.ts'
import { awaitedBy } from '../sessions.ts'
import { showClients, showDatabases, showServers } from '../sql/pgbouncer.ts'
import { idsOf, rowsOf, whyUnknown } from '../store/selectors.ts'
import type { State } from '../store/state.ts'
import { type AnyAction, action, type Hands, type PoolTarget, type Question, type Report, type WhyNot, whyNot } from './action.ts'
import { consoleCommand, guardConsole, pausedNow } from './console.ts'
import { clientsOf, databaseRow, number, ofDatabase, ofPooler, pauseWatches, shared } from './pool-target.ts'

/** Null where this version doesn't tell. */
export const allPaused = (state: State, server: string) => {
  const known = state.servers[server]
  return known ? poolerState(known).paused : null
}
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
      drawable(session?.query ? withoutPasswords(raw(session.query)) : null).trim(),
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
function askPause(target: PoolTarget, state: State): Question {
  const waits = awaited(target, state)
  const open = waits.hit.length
  const unknown = whyUnknown(state, target.server, showServers) ?? whyUnknown(state, target.server, showClients)
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
      unknown !== null
        ? { text: `which transactions are open is not known: ${unknown}`, tone: 'warning' }
        : open === 0
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
/** Where several PgBouncers are watched it takes the name of the one that is meant. */
const all = ({ server }: PoolTarget, state: State) => [idsOf(state, 'pgbouncer').length > 1 ? `all ${drawable(server)}` : 'all']
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
  return (await pausedNow(session, hands.state(), target))
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

export const pauseActions: readonly AnyAction[] = [pause(false), resumeAction(false), pause(true), resumeAction(true)]
