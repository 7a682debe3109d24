// Deeds in a test as a user would do them: a row that the lists show, the question, the confirmation, the outcome. Only the keys are missing.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AnyAction, Question } from '../../src/actions/action.ts'
import { actionById } from '../../src/actions/index.ts'
import { type Actor, createActor } from '../../src/actions/perform.ts'
import { type AuditLine, openAudit } from '../../src/audit.ts'
import type { Target } from '../../src/config/conninfo.ts'
import { judge, wordsOf } from '../../src/deeds.ts'
import type { AnyList, AnyRow } from '../../src/panels/panel.ts'
import type { Frozen, State, Work } from '../../src/store/state.ts'
import { type Watched, type Watching, watching } from './watching.ts'

/** What the question before a deed tells: frozen targets, the exact statements, the words that must be typed (null: `y`). */
export type Asked = {
  readonly action: AnyAction
  readonly targets: readonly Frozen[]
  readonly leftOut: readonly { readonly label: string; readonly why: string }[]
  readonly question: Question
  readonly sql: readonly string[]
  readonly words: readonly string[] | null
}

export type Acting = Watching & {
  readonly actor: Actor
  /** The rows of a list in the newest picture. */
  rows(list: AnyList): readonly AnyRow[]
  /** Waits for a row of a list, and gives it. */
  row(list: AnyList, is: (row: AnyRow) => boolean, what: string): Promise<AnyRow>
  /** The question of an action for rows of a list; a string is why it can't be done. */
  ask(actionId: string, rows: readonly AnyRow[]): Asked | string
  /** Confirms a question: resolves when it has ended. `seconds` for the number field. */
  confirm(asked: Asked | string, seconds?: number): Promise<Work>
  /** Confirms without waiting; the work as it is now, asked for again by its id. */
  begin(asked: Asked | string, seconds?: number): () => Work
  /** The audit trail so far. */
  audit(): readonly AuditLine[]
}

/** Watches the servers as watching() does, with hands. The audit trail is in a folder of its own, gone after stop(). */
export function acting(servers: readonly Watched[], lists: readonly AnyList[], intervalMs = 100): Acting {
  const watched = watching(servers, lists, intervalMs)
  const folder = mkdtempSync(join(tmpdir(), 'pgvigil-acting-'))
  const audit = openAudit({ XDG_STATE_HOME: folder }, { home: null, osUser: 'tester' })
  const actor = createActor({
    store: watched.store,
    targetOf: id => watched.targets.get(id) as Target,
    lend: watched.poller.lend,
    audit,
    again: watched.poller.again,
  })
  const rows = (list: AnyList) => list.select(watched.state()).rows
  const begin = (asked: Asked | string, seconds: number | null) => {
    if (typeof asked === 'string') throw new Error(`it can't be done: ${asked}`)
    const before = watched.store.getState().works.length
    actor.begin({ action: asked.action.id, targets: asked.targets, seconds: seconds === null ? null : String(seconds) })
    const { id } = watched.store.getState().works[before] as Work
    return () => watched.store.getState().works.find(work => work.id === id) as Work
  }
  return {
    ...watched,
    actor,
    rows,
    async row(list, is, what) {
      await watched.until(state => list.select(state).rows.some(is), what)
      return rows(list).find(is) as AnyRow
    },
    ask: (actionId, given) => {
      const action = actionById(actionId) as AnyAction
      const state: State = watched.state()
      const judged = judge(action, { list: action.lists[0] as string, rows: given, missing: 0 }, state)
      if ('why' in judged) return judged.why
      const { targets, leftOut } = judged
      return {
        action,
        targets,
        leftOut,
        question: action.ask(targets, state),
        sql: targets.flatMap(action.sql),
        words: wordsOf(action, targets, state),
      }
    },
    begin: (asked, seconds) => begin(asked, seconds ?? null),
    confirm: async (asked, seconds) => {
      const work = begin(asked, seconds ?? null)
      await watched.until(() => work().endedAt !== null, 'the deed to end')
      return work()
    },
    audit: () =>
      readFileSync(join(folder, 'pgvigil', 'audit.jsonl'), 'utf8')
        .trimEnd()
        .split('\n')
        .map(line => JSON.parse(line) as AuditLine),
    stop: () => {
      watched.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
