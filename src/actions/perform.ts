// The one way in which every deed is done: guards once more, a line in the audit trail, the deed on a connection of its own, the
// outcome, the second line. Nothing here waits for the screen, and the screen never waits for anything here.

import type { Audit, AuditDeed } from '../audit.ts'
import type { Target } from '../config/conninfo.ts'
import { drawable, raw } from '../model/untrusted.ts'
import { type DeedSession, DialError, dialMs, openDeed, quickMs, ServerError, unsent, type WireRow } from '../server/deed.ts'
import { cancelOwn, instance } from '../sql/deeds.ts'
import { queueToStop } from '../store/selectors.ts'
import type { Confirm, Frozen, State, Work } from '../store/state.ts'
import type { Store } from '../store/store.ts'
import * as update from '../store/updates.ts'
import type { AnyAction, Hands, PoolTarget, Report } from './action.ts'
import { consoleCommand } from './console.ts'
import { whyNotNow } from './guards.ts'
import { actionById } from './index.ts'
import { createPauses } from './pauses.ts'
import { resume } from './pool-pause.ts'

export type ActorOptions = {
  readonly store: Store
  readonly targetOf: (server: string) => Target
  /** A quick statement on the session that reads. */
  readonly lend: (server: string, text: string, values: readonly (string | number)[]) => Promise<readonly WireRow[] | null>
  readonly audit: Audit
  /** All that is known of a server is read afresh. */
  readonly again: (server: string) => void
}

export type Actor = {
  /** Does what was confirmed. */
  begin(confirm: Pick<Confirm, 'action' | 'targets' | 'seconds'>, why?: string): void
  /** Esc: no further item of a queue begins; a second time: the one under way is cancelled. False: no queue runs. */
  stopQueue(): boolean
  /** What a user must be asked about before pgvigil ends. */
  unfinished(): boolean
  /**
   * The end of pgvigil: pauses of ours are resumed (or left, `leave`), what a queue is doing is cancelled, all within the time. Resolves to a
   * sentence for each pause and for each invalid index left behind, drawable.
   */
  letGo(leave: boolean, withinMs: number): Promise<readonly string[]>
}

export function createActor({ store, targetOf, lend, audit, again }: ActorOptions): Actor {
  let lastWork = 0
  const underWay = new Map<number, { session: DeedSession | null; server: string }>()
  const pauses = createPauses(store, (target, pause) => {
    begin({ action: pause.database === null ? 'resumeAll' : 'resume', targets: [target], seconds: null }, 'its time is up')
  })
  const workOf = (id: number) => store.getState().works.find(work => work.id === id)

  function begin({ action: actionId, targets, seconds }: Parameters<Actor['begin']>[0], why?: string): void {
    const action = actionById(actionId)
    const [first] = targets
    if (!action || !first) return
    const id = ++lastWork
    const items = targets.map(({ label }) => ({ label, outcome: null, say: '', begunAt: null, ended: false }))
    const work: Work = {
      id,
      action: actionId,
      label: action.label,
      server: first.server,
      items,
      queue: action.takes === 'queue' && targets.length > 0,
      stopping: 'no',
      pid: null,
      watches: action.watchesMeanwhile?.(first) ?? [],
      at: Date.now(),
      endedAt: null,
    }
    update.addWork(store, work)
    void run(action, work, targets, seconds === null ? null : Number(seconds), why)
  }

  async function run(
    action: AnyAction,
    work: Work,
    targets: readonly Frozen[],
    seconds: number | null,
    why?: string,
  ): Promise<void> {
    const hands = handsFor(work, targets[0] as Frozen, seconds)
    const doItem = async (target: Frozen, index: number) => {
      const tell = (report: Report, ended: boolean) => update.changeWorkItem(store, work.id, index, { ...report, ended })
      if (workOf(work.id)?.stopping !== 'no') {
        tell({ outcome: 'skipped', say: 'stopped before it began' }, true)
        return
      }
      update.changeWorkItem(store, work.id, index, { begunAt: Date.now() })
      const mine: Hands = {
        ...hands,
        tell: report => tell(report, false),
        leaves: left => {
          update.addLeftIndexes(store, work.server, left)
          update.changeWorkItem(store, work.id, index, { left: left.map(({ indexrelid }) => indexrelid) })
        },
      }
      tell(await doOne(action, target, mine, work.id, why), true)
    }
    try {
      if (work.queue) {
        await turnOf(work.server, async () => {
          for (const [index, target] of targets.entries()) await doItem(target, index)
        })
      } else await Promise.all(targets.map(doItem))
    } finally {
      // A pause keeps its connection for as long as it waits for its answer; pauses.ts closes it.
      if (!action.secondsField) hands.close()
      underWay.delete(work.id)
      update.changeWork(store, work.id, { endedAt: Date.now() })
      for (const server of new Set(targets.map(target => target.server))) again(server)
    }
  }

  /** The last queue of each server, so that the next one waits for it. */
  const turns = new Map<string, Promise<void>>()

  /** Queues of a server go one after the other. */
  function turnOf(server: string, work: () => Promise<void>): Promise<void> {
    const before = turns.get(server)
    const mine = before ? before.then(work) : work()
    const over = mine
      .catch(() => {})
      .then(() => {
        if (turns.get(server) === over) turns.delete(server)
      })
    turns.set(server, over)
    return mine
  }

  async function doOne(action: AnyAction, target: Frozen, hands: Hands, workId: number, why?: string): Promise<Report> {
    // A pause of ours whose time is up is resumed whatever stands in the way.
    const stands = why === undefined ? whyNotNow(action, target, { ...store.getState(), held: null }) : null
    if (stands) return { outcome: 'refused', say: `nothing was done: ${stands.why}` }
    const deed = deedOf(action, target, `${process.pid}-${Date.now().toString(36)}-${workId}-${++deeds}`)
    const trouble = audit.begun(deed)
    const open: OpenDeed = { deed, workId, told: null }
    openDeeds.set(deed.id, open)
    let report: Report
    try {
      report = await action.run(target, {
        ...hands,
        tell: said => {
          open.told = said.outcome
          hands.tell(said)
        },
      })
    } catch (error) {
      report = reportOf(error, workOf(workId)?.stopping === 'now')
      // What comes next begins on a connection of its own.
      if (error instanceof ServerError && error.kind !== 'refused') hands.close()
    }
    const said = why ? `${why}: ${report.say}` : report.say
    const lost = openDeeds.delete(deed.id) ? (audit.ended(deed, report.outcome, said) ?? trouble) : trouble
    return { ...report, say: lost ? `${said} (not in the audit trail: ${drawable(lost)})` : said }
  }

  let deeds = 0
  /** Begun in the audit trail, and not ended there yet. */
  const openDeeds = new Map<string, OpenDeed>()

  function deedOf(action: AnyAction, target: Frozen, id: string): AuditDeed {
    const { server, role } = target
    const user = store.getState().servers[server]?.user ?? null
    return { id, action: action.id, server, role, user, sql: action.sql(target).join('\n'), target: action.record(target) }
  }

  function handsFor(work: Work, target: Frozen, seconds: number | null): Hands {
    let opening: Promise<DeedSession> | null = null
    const { server } = target
    const entry = { session: null as DeedSession | null, server }
    underWay.set(work.id, entry)
    const hands = {
      open: (options: Parameters<Hands['open']>[0] = {}): Promise<DeedSession> => {
        if (opening) return opening
        const mine = openHere(target, options).then(session => {
          entry.session = session
          update.changeWork(store, work.id, { pid: session.pid })
          if (workOf(work.id)?.stopping !== 'now') return session
          throw new ServerError('refused', 'nothing was done: stopped before it began', null)
        })
        // What comes after a connection that could not be had tries again.
        mine.catch(() => {
          if (opening === mine) opening = null
        })
        opening = mine
        return mine
      },
      close: () => {
        const { session } = entry
        opening = null
        entry.session = null
        if (!session) return
        session.close()
        update.changeWork(store, work.id, { pid: null })
        if (session.pid !== null) update.setOwnPid(store, server, session.pid, false)
      },
      lend: (text: string, values: readonly (string | number)[]) => lend(server, text, values),
      pause: (paused: PoolTarget) => pauses.start(paused, seconds ?? 30, hands as Hands),
      resumed: pauses.over,
      killed: pauses.killed,
      tell: () => {},
      stopping: () => workOf(work.id)?.stopping === 'now',
      leaves: () => {},
      dropped: (indexrelid: bigint) => update.forgetLeftIndex(store, server, indexrelid),
      state: store.getState,
      seconds,
      now: Date.now,
    }
    return hands
  }

  /** A connection to the very server that was looked at: not to another one behind the same address, nor to what it has become since. */
  async function openHere(target: Frozen, options: Parameters<Hands['open']>[0]): Promise<DeedSession> {
    const session = await openDeed(targetOf(target.server), { ...options, deadlineMs: dialMs(targetOf(target.server), quickMs) })
    if (session.pid !== null) update.setOwnPid(store, target.server, session.pid, true)
    if (target.role === 'pgbouncer' || target.started === null) return session
    try {
      const [row] = (await session.run(instance)).rows
      const role = row?.in_recovery === 't' ? 'standby' : 'primary'
      const otherStart = Math.abs(Number(row?.started) - target.started) > 0.001
      if (!otherStart && (target.role === null || role === target.role)) return session
      const what = otherStart ? 'the server was restarted since, or another one answers there' : `the server is a ${role} now`
      throw new ServerError('refused', `nothing was done: ${what}`, null)
    } catch (error) {
      session.close()
      if (session.pid !== null) update.setOwnPid(store, target.server, session.pid, false)
      throw error
    }
  }

  function stopQueue(): boolean {
    const queue = queueToStop(store.getState().works)
    if (!queue) return store.getState().works.some(work => work.queue && work.endedAt === null)
    const left = queue.items.some(({ begunAt }) => begunAt === null)
    if (queue.stopping === 'no' && left) update.changeWork(store, queue.id, { stopping: 'after this' })
    else {
      update.changeWork(store, queue.id, { stopping: 'now' })
      void cancel(queue.id, quickMs)
    }
    return true
  }

  /** Ends what a deed of ours is doing on its server: a second connection asks for it. */
  async function cancel(workId: number, withinMs: number): Promise<void> {
    const { session, server } = underWay.get(workId) ?? { session: null, server: '' }
    if (!session?.pid) return
    try {
      const other = await openDeed(targetOf(server), { deadlineMs: withinMs })
      await other.run(cancelOwn, [session.pid], withinMs).finally(other.close)
    } catch {
      // Nothing to be had: then it goes on to its end, and the queue stops there.
    }
  }

  async function letGo(leave: boolean, withinMs: number): Promise<readonly string[]> {
    pauses.letGo()
    const queues = store.getState().works.filter(work => work.queue && work.endedAt === null)
    for (const work of queues) update.changeWork(store, work.id, { stopping: leave ? 'after this' : 'now' })
    const stop = async (work: Work) => {
      await cancel(work.id, withinMs)
      while (workOf(work.id)?.endedAt === null) await new Promise(resolve => setTimeout(resolve, 20))
    }
    const [paused] = await Promise.all([
      Promise.all(store.getState().pauses.map(pause => endPause(pause, leave, withinMs))),
      ...(leave ? [] : queues.map(work => within(stop(work), withinMs))),
    ])
    for (const { deed, workId, told } of openDeeds.values()) {
      const sent = told !== null || underWay.get(workId)?.session != null
      audit.ended(
        deed,
        told ?? 'failed',
        sent ? 'pgvigil ended before the outcome was known' : 'nothing was sent: pgvigil ended before',
      )
    }
    openDeeds.clear()
    return [
      ...paused,
      ...cutOff(
        queues.map(({ id }) => id),
        store.getState(),
      ),
      ...leftWords(store.getState()),
    ]
  }

  async function endPause(
    pause: ReturnType<Store['getState']>['pauses'][number],
    leave: boolean,
    withinMs: number,
  ): Promise<string> {
    const { server, database } = pause
    const target: PoolTarget = { server, database, role: 'pgbouncer', started: null, label: '' }
    const name = database === null ? 'everything' : drawable(database)
    const still = (why: string) =>
      `pgvigil: ${drawable(server)}: ${name} is STILL PAUSED${why}; on its console: ${drawable(consoleCommand('RESUME', target))};`
    if (leave) return still(' as you wished')
    if (pause.by === 'KILL') return still(' after KILL')
    const action = actionById(database === null ? 'resumeAll' : 'resume') as AnyAction
    const deed = deedOf(action, target, `${process.pid}-${Date.now().toString(36)}-end-${++deeds}`)
    audit.begun(deed)
    const work = async () => {
      const session = await openDeed(targetOf(server), { deadlineMs: withinMs })
      return resume(target, session, { state: store.getState }).finally(session.close)
    }
    const report = await within(
      work().catch(error => reportOf(error)),
      withinMs,
    )
    audit.ended(deed, report?.outcome ?? 'failed', `pgvigil ended: ${report?.say ?? 'no answer in time'}`)
    if (report?.outcome === 'done') return `pgvigil: ${drawable(server)}: ${name} resumed`
    if (report?.outcome === 'already gone') return `pgvigil: ${drawable(server)}: ${name} was resumed already`
    return still(report ? `: ${report.say}` : ': no answer in time')
  }

  return {
    begin,
    stopQueue,
    unfinished: () => {
      const { works, pauses } = store.getState()
      return pauses.length > 0 || works.some(work => work.queue && work.endedAt === null)
    },
    letGo,
  }
}

/** A sentence for each item of these queues that was under way, or had not begun. Drawable. */
function cutOff(ids: readonly number[], { works }: State): readonly string[] {
  return works
    .filter(({ id }) => ids.includes(id))
    .flatMap(({ server, label, items }) =>
      items
        .filter(({ outcome }) => outcome === null || outcome === 'failed')
        .map(
          item =>
            `pgvigil: ${drawable(server)}: ${label} ${item.label}: ${item.say || (item.begunAt === null ? 'not begun' : 'it goes on on the server')}`,
        ),
    )
}

/** A sentence for each invalid index that a deed of ours has left behind, with the command where its name can be written. Drawable. */
function leftWords({ leftIndexes }: State): readonly string[] {
  return leftIndexes.map(({ server, qualified, indexrelid }) => {
    const name = drawable(qualified)
    const how = name === raw(qualified) ? `DROP INDEX CONCURRENTLY ${name};` : `its oid is ${indexrelid}`
    return `pgvigil: ${drawable(server)}: invalid index ${name} is left behind: ${how}`
  })
}

/** Null when it takes longer. Never rejects. */
function within<T>(work: Promise<T>, ms: number): Promise<T | null> {
  return new Promise(resolve => {
    const timer = setTimeout(() => resolve(null), ms)
    work.then(resolve, () => resolve(null)).finally(() => clearTimeout(timer))
  })
}

/** `told`: the word that the deed has given on itself so far. */
type OpenDeed = { readonly deed: AuditDeed; readonly workId: number; told: Report['outcome'] | null }

/** Expected trouble in a word and a sentence; a bug goes up. `stopped`: we have asked for the end of it ourselves. */
function reportOf(error: unknown, stopped = false): Report {
  if (error instanceof DialError)
    return { outcome: 'failed', say: `nothing was done: no connection for it: ${drawable(error.message)}` }
  if (!(error instanceof ServerError)) throw error
  const words = drawable(error.message)
  switch (error.kind) {
    case 'refused':
      if (error.code === '57014')
        return { outcome: 'failed', say: stopped ? 'cancelled: it is as before' : `cancelled by somebody else: ${words}` }
      return { outcome: 'refused', say: words.startsWith('nothing was done') ? words : `refused: ${words}` }
    case 'silent':
      return { outcome: 'failed', say: `${words}: whether it was done is not known` }
    case 'lost':
      if (error.code === unsent) return { outcome: 'failed', say: 'nothing was done: the connection was lost before' }
      return { outcome: 'failed', say: `the connection was lost: ${words}; whether it was done is not known` }
  }
}
