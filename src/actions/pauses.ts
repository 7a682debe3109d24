// Pauses of ours, watched over until they are over: a PAUSE that waits never holds up anything but its own connection, and none is left
// behind without a word. What the console answers to PAUSE is no measure (facts: it never answers once somebody else has resumed, and
// answers for several pauses together), so it is judged by what SHOW DATABASES, SHOW STATE and SHOW POOLS say meanwhile.

import { duration } from '../model/format.ts'
import { consoleName, isOn } from '../model/pooler.ts'
import { drawable, is } from '../model/untrusted.ts'
import { type DeedSession, ServerError } from '../server/deed.ts'
import { showDatabases, showPools, showState } from '../sql/pgbouncer.ts'
import type { OwnPause, State } from '../store/state.ts'
import type { Store } from '../store/store.ts'
import * as update from '../store/updates.ts'
import type { Hands, PoolTarget, Report } from './action.ts'
import { allPausedNow, consoleCommand, databaseNow, notThere, pausedNow } from './console.ts'
import { pauseWatches } from './pool-target.ts'

export type Pauses = {
  /** Resolves when the pause is in force or won't be; it is watched over until it is over. */
  start(target: PoolTarget, seconds: number, hands: Hands): Promise<Report>
  /** Somebody, we among them, has resumed it. */
  over(target: PoolTarget): void
  /** A KILL has left the database paused; nobody resumes that but the user. */
  killed(target: PoolTarget): void
  /** Stops watching: the process ends. What is pending or in force then stays so. */
  letGo(): void
}

/** How often a pause is looked at, and when a RESUME that did not work is tried again. Milliseconds. */
const everyMs = 100
const tryAgainMs = 5000

export function createPauses(store: Store, timeIsUp: (target: PoolTarget, pause: OwnPause) => void): Pauses {
  /** `tell`: the word that PAUSE itself is still waiting for; only the first counts. */
  const watched = new Map<number, { timer: NodeJS.Timeout; session: DeedSession | null; tell: (report: Report) => void }>()
  /** pgvigil ends: nothing is paused any more. */
  let ending = false
  let last = 0
  const ours = ({ server, database }: PoolTarget) =>
    store.getState().pauses.find(pause => pause.server === server && pause.database === database)

  /** It is over. The connection that still waits for the answer to PAUSE may wait for ever, so it is closed. */
  function drop(id: number, report: Report): void {
    const known = watched.get(id)
    watched.delete(id)
    clearInterval(known?.timer)
    known?.session?.close()
    known?.tell(report)
    update.dropPause(store, id)
  }

  function add(target: PoolTarget, by: OwnPause['by'], deadlineAt: number | null): OwnPause {
    const { server, database } = target
    const before = ours(target)
    if (before) drop(before.id, { outcome: 'failed', say: 'another pause took its place' })
    const watches = by === 'PAUSE' ? pauseWatches(store.getState(), server) : []
    const phase = by === 'PAUSE' ? 'pending' : 'in force'
    const pause: OwnPause = { id: ++last, server, database, by, phase, since: Date.now(), deadlineAt, watches }
    update.addPause(store, pause)
    return pause
  }

  async function start(target: PoolTarget, seconds: number, hands: Hands): Promise<Report> {
    const session = await hands.open()
    try {
      const row = target.database === null ? null : await databaseNow(session, target)
      const theirs = row ? row.paused === '1' : row === null && (await allPausedNow(session, store.getState(), target.server))
      if (row === undefined || theirs) {
        session.close()
        // A pause of somebody else's is not ours to end when a time is up.
        return theirs ? { outcome: 'refused', say: 'nothing was done: somebody else has paused it already' } : notThere
      }
    } catch (error) {
      session.close()
      throw error
    }
    if (ending) {
      session.close()
      return { outcome: 'skipped', say: 'pgvigil ended before it was asked for' }
    }
    const pause = add(target, 'PAUSE', Date.now() + seconds * 1000)
    const told = Promise.withResolvers<Report>()
    let answered = false
    session.run(consoleCommand('PAUSE', target), [], null).then(
      async () => {
        // The answer comes too when another pause is in force and ours was resumed meanwhile, so it is asked what is paused.
        const paused = await pausedNow(session, store.getState(), target).catch(() => null)
        if (paused === false) drop(pause.id, { outcome: 'failed', say: 'resumed by somebody else before it was in force' })
        else answered = true
      },
      error => {
        // Of a connection that was lost the pause stays all the same, so it is still watched over.
        if (!(error instanceof ServerError) || error.kind !== 'refused') return
        drop(pause.id, { outcome: 'refused', say: `refused: ${drawable(error.message)}` })
      },
    )
    let seen = false
    let tryAgainAt = 0
    const resumeNow = (current: OwnPause) => {
      tryAgainAt = Date.now() + tryAgainMs
      timeIsUp(target, current)
    }
    const look = () => {
      const state = store.getState()
      const now = Date.now()
      const current = state.pauses.find(({ id }) => id === pause.id)
      if (!current) return
      if (current.phase === 'resuming') {
        if (now >= tryAgainAt) resumeNow(current)
        return
      }
      const says = pausedSays(state, target, current.since)
      seen ||= says.paused === true
      const passed = duration((now - pause.since) / 1000)
      if ((seen && says.paused === false) || (current.phase === 'in force' && says.flows)) {
        drop(pause.id, { outcome: 'failed', say: `resumed by somebody else after ${passed}` })
        if (current.phase === 'in force') update.say(store, `${nameOf(target)} was resumed by somebody else`, 'warning')
      } else if (now >= (pause.deadlineAt as number)) {
        update.changePause(store, pause.id, { phase: 'resuming' })
        told.resolve({ outcome: 'failed', say: `not in force within ${seconds} s: it is resumed` })
        resumeNow(current)
      } else if (current.phase === 'pending' && (answered || says.drained)) {
        update.changePause(store, pause.id, { phase: 'in force', since: now })
        // It stays without the connection that asked for it.
        session.close()
        told.resolve({ outcome: 'done', say: `paused after ${passed}` })
      }
    }
    watched.set(pause.id, { timer: setInterval(look, everyMs), session, tell: told.resolve })
    return told.promise
  }

  return {
    start,
    over: target => {
      const pause = ours(target)
      if (pause) drop(pause.id, { outcome: 'failed', say: 'resumed before it was in force' })
    },
    killed: target => {
      const pause = add(target, 'KILL', null)
      const look = () => {
        if (pausedSays(store.getState(), target, pause.since).paused === false)
          drop(pause.id, { outcome: 'failed', say: 'resumed by somebody else' })
      }
      watched.set(pause.id, { timer: setInterval(look, everyMs), session: null, tell: () => {} })
    },
    letGo: () => {
      ending = true
      for (const { timer, tell } of watched.values()) {
        clearInterval(timer)
        tell({ outcome: 'signal sent', say: 'pgvigil ended before it was in force' })
      }
    },
  }
}

/** Drawable. */
const nameOf = ({ server, database }: PoolTarget) =>
  `${database === null ? 'everything' : drawable(database)} on ${drawable(server)}`

type Says = {
  /** null: no answer since the pause was asked for, or this version doesn't tell. */
  readonly paused: boolean | null
  /** No server connection is left: it is in force. */
  readonly drained: boolean
  /** Clients have servers: it is in force no longer. */
  readonly flows: boolean
}

/** A database of `*` without clients is not listed, and stays paused all the same: then nobody knows. */
const pausedIn = (row: { readonly paused: number | null } | undefined) => (row ? isOn(row.paused) : null)

/** What samples younger than the PAUSE tell of it. */
function pausedSays(state: State, { server, database }: PoolTarget, since: number): Says {
  const readings = state.servers[server]?.readings ?? {}
  const newer = <Row>(id: string): readonly Row[] | null => {
    const sample = readings[id]?.sample
    return sample && sample.at - sample.tookMs > since ? (sample.rows as readonly Row[]) : null
  }
  type Pool = {
    database: unknown
    sv_active: number | null
    sv_idle: number | null
    sv_used: number | null
    sv_login: number | null
  }
  const pools = newer<Pool>(showPools.id)?.filter(
    row => row.database !== (consoleName as unknown) && (database === null || row.database === database),
  )
  const stateRows = newer<{ key: never; value: never }>(showState.id)
  const databases = newer<{ name: unknown; paused: number | null }>(showDatabases.id)
  const paused =
    database === null
      ? stateRows === null
        ? null
        : is(stateRows.find(row => is(row.key, 'paused'))?.value ?? null, 'yes')
      : databases === null
        ? null
        : pausedIn(databases.find(row => row.name === database))
  const connections = pools?.map(row =>
    [row.sv_active, row.sv_idle, row.sv_used, row.sv_login].reduce<number>((sum, n) => sum + (n ?? 0), 0),
  )
  return {
    paused,
    drained: paused === true && connections !== undefined && connections.every(n => n === 0),
    flows: connections?.some(n => n > 0) ?? false,
  }
}
