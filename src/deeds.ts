// From a key to a question to a deed: which rows it is about, what can be done to them and why not, and what the keys of the question do.

import { type AnyAction, isWhyNot, type Question, type WhyNot, whyNot } from './actions/action.ts'
import { whyNotAnything, whyNotNow } from './actions/guards.ts'
import { actionById, actions } from './actions/index.ts'
import { leftIndexes } from './actions/index-targets.ts'
import { drawable } from './model/untrusted.ts'
import { panels } from './panels/index.ts'
import type { AnyList, AnyRow } from './panels/panel.ts'
import { arrangedRows, listOf, selectedRow, viewOf } from './panels/shown.ts'
import { awaitedBy } from './sessions.ts'
import type { Confirm, Frozen, State, Subject } from './store/state.ts'
import type { Store } from './store/store.ts'
import * as update from './store/updates.ts'

/** What the question's keys may use besides the store. */
export type Acting = {
  readonly store: Store
  /** Does what was confirmed. */
  readonly begin: (confirm: Pick<Confirm, 'action' | 'targets' | 'seconds'>) => void
  /** Why the audit trail can't be written; null: it can. */
  readonly trailTrouble: () => string | null
  readonly poke: () => void
  /** Runs the last one given once no more was given for a while: a name is done when nobody goes on typing. */
  readonly settled: (then: () => void) => void
}

/** The tagged rows of the list in the order they were tagged, also those that the filter hides; without tags the row under the cursor. Null in an empty list. */
export function subjectOf(state: State): Subject | null {
  const list = listOf(state)
  const { tagged } = viewOf(state, list)
  if (tagged.length > 0) {
    const byId = new Map<string, AnyRow>(arrangedRows(state, list).selected.rows.map(row => [list.rowId(row), row]))
    const rows: readonly AnyRow[] = tagged.map(id => byId.get(id)).filter(row => row !== undefined)
    return { list: list.id, rows, missing: tagged.length - rows.length }
  }
  const chosen = selectedRow(state)
  return chosen ? { list: list.id, rows: [chosen.item.row], missing: 0 } : null
}

/** Tagged rows that the filter, or a folded row, hides. */
function hiddenTags(state: State): number {
  const list = listOf(state)
  const shown = new Set(arrangedRows(state, list).items.map(({ id }) => id))
  return viewOf(state, list).tagged.filter(id => !shown.has(id)).length
}

const actionsOn = (list: string) => actions.filter(action => action.lists.includes(list))

type Judged = { readonly targets: readonly Frozen[]; readonly leftOut: Confirm['leftOut'] }

/** The targets that an action has in a subject, and those left out; or why it can't be done at all. */
export function judge(action: AnyAction, subject: Subject, state: State): Judged | WhyNot {
  const forbidden = whyNotAnything(state)
  if (forbidden) return forbidden
  if (subject.rows.length === 0) return whyNot('the tagged rows are no longer on the list; U takes the tags away')
  if (subject.rows.length > 1 && action.takes === 'one')
    return whyNot(`it is done to one row at a time, and ${subject.rows.length} are tagged; U takes the tags away`)
  const { rows, missing } = rowsMeant(action, subject, state)
  const several = rows.length > 1
  const targets: Frozen[] = []
  const leftOut: { label: string; why: string }[] = []
  if (subject.missing > 0) leftOut.push({ label: `${subject.missing} tagged`, why: 'no longer on the list' })
  if (missing > 0) leftOut.push({ label: `${missing} of its parts`, why: 'not listed: only the largest tables are' })
  let first: WhyNot | null = null
  for (const row of rows) {
    const target = action.freeze(row, state)
    const stands = isWhyNot(target) ? target : whyNotNow(action, target, state)
    const alone = several && !action.wordsForSeveral
    const grave = !isWhyNot(target) && !stands && alone && action.words(target, state) !== null
    if (!isWhyNot(target) && !stands && !grave) targets.push(target)
    else {
      const why = stands ?? whyNot('it must be confirmed by itself')
      first ??= why
      leftOut.push({ label: isWhyNot(target) ? labelOf(row) : target.label, why: why.why })
    }
  }
  if (targets.length > 0) return { targets, leftOut }
  return several
    ? whyNot(`to none of the ${rows.length} ${subject.rows.length > 1 ? 'tagged rows' : 'it stands for'}: ${first?.why}`)
    : (first ?? whyNot('there is no row'))
}

const listById = (id: string) => panels.flatMap(({ lists }) => lists).find(list => list.id === id) as AnyList

/** A row that stands for others gives these, where it has any; one that is tagged besides is meant once. */
function rowsMeant(action: AnyAction, { list, rows }: Subject, state: State): { rows: readonly AnyRow[]; missing: number } {
  if (!action.expand) return { rows, missing: 0 }
  const parts = rows.map(row => {
    const instead = action.expand!(row, state)
    return instead && instead.rows.length > 0 ? instead : { rows: [row], missing: 0 }
  })
  const { rowId } = listById(list)
  const byId = new Map(parts.flatMap(part => part.rows).map(row => [rowId(row), row]))
  return { rows: [...byId.values()], missing: parts.reduce((sum, part) => sum + part.missing, 0) }
}

const labelOf = (row: AnyRow) => (typeof row.pid === 'number' ? `pid ${row.pid}` : 'a row')

/** The action that a command is on the list in focus; undefined: none there. */
export function actionOf(command: string, list: AnyList): AnyAction | undefined {
  return actionsOn(list.id).find(action => action.command === command)
}

/** True, or why the key of this command can do nothing now. */
export function able(command: string, state: State): true | string {
  const forbidden = whyNotAnything(state)
  if (forbidden) return forbidden.why
  const list = listOf(state)
  const action = actionOf(command, list)
  if (!action) return `there is nothing of that kind to be done to a row of ${list.title}`
  const subject = subjectOf(state)
  if (!subject) return 'there is no row'
  const judged = judge(action, subject, state)
  return 'why' in judged ? judged.why : true
}

export type Offer = { readonly action: AnyAction; readonly able: true | string }

/** All that can be done to a subject, and what can't, with the reason: the menu. */
export function offers(subject: Subject, state: State): readonly Offer[] {
  return actionsOn(subject.list).map(action => {
    const judged = judge(action, subject, state)
    return { action, able: 'why' in judged ? judged.why : true }
  })
}

/** Asks before doing. Says why not, where something stands in the way. */
export function ask({ store, trailTrouble, poke }: Acting, action: AnyAction, subject: Subject): void {
  const state = store.getState()
  const judged = judge(action, subject, state)
  if ('why' in judged) {
    update.say(store, `${action.label}: ${judged.why}`, 'warning')
    return
  }
  const { targets, leftOut } = judged
  const hidden = hiddenTags(state)
  const watches = new Map(
    targets.flatMap(target => action.watches(target, state)).map(watch => [`${watch.server} ${watch.query.id}`, watch]),
  )
  const field = action.secondsField?.(targets[0] as Frozen, state)
  const trouble = trailTrouble()
  update.setDialog(store, {
    kind: 'confirm',
    action: action.id,
    targets,
    leftOut,
    typed: '',
    seconds: field ? String(field.first) : null,
    top: 0,
    note: hidden > 0 && subject.rows.length > 1 ? `${hidden} of the tagged rows are hidden by the filter` : null,
    at: state.now,
    fresh: true,
    watches: [...watches.values()],
    trailTrouble: trouble === null ? null : drawable(trouble),
  })
  poke()
}

/** Opens the question of a command for the rows in focus. */
export function askFor(acting: Acting, command: string): void {
  const state = acting.store.getState()
  const action = actionOf(command, listOf(state))
  const subject = subjectOf(state)
  if (action && subject) ask(acting, action, subject)
}

/** The sessions that a pending PAUSE of ours waits for, as far as their server is watched; of one server at a time. Null: there are none. */
export function awaitedSubject(state: State): Subject | null {
  const sessions = state.pauses
    .filter(({ phase }) => phase === 'pending')
    .flatMap(({ server, database }) => awaitedBy(state, server, database))
    .flatMap(({ session }) => (session ? [session] : []))
  const [first] = sessions
  return first
    ? {
        list: 'activity',
        rows: sessions.filter(({ server }) => server === first.server) as unknown as readonly AnyRow[],
        missing: 0,
      }
    : null
}

/** Opens the question for the invalid indexes that deeds of ours have left behind. */
export function askToDropLeft(acting: Acting): void {
  const rows = leftIndexes(acting.store.getState())
  if (rows.length > 0) ask(acting, actionById('dropIndex') as AnyAction, leftSubject(rows))
}

const leftSubject = (rows: ReturnType<typeof leftIndexes>): Subject => ({ list: 'indexes', rows, missing: 0 })

export function ableToDropLeft(state: State): true | string {
  const rows = leftIndexes(state)
  if (rows.length === 0)
    return (
      whyNotAnything(state)?.why ??
      'no REINDEX of this run has left an invalid index behind; all invalid ones: 6 Tables, F2 indexes'
    )
  const judged = judge(actionById('dropIndex') as AnyAction, leftSubject(rows), state)
  return 'why' in judged ? judged.why : true
}

export const ableToTerminateAwaited = (state: State): true | string =>
  whyNotAnything(state)?.why ??
  (awaitedSubject(state) !== null || "no PAUSE of pgvigil's waits for a session of a watched server")

export function askToTerminateAwaited(acting: Acting): void {
  const subject = awaitedSubject(acting.store.getState())
  if (subject) ask(acting, actionById('terminate') as AnyAction, subject)
}

export type Asked = {
  readonly confirm: Confirm
  readonly action: AnyAction
  readonly question: Question
  /** Exact statements, one for each target. Drawable line by line. */
  readonly sql: readonly string[]
  /** To be typed; null: `y` is enough. */
  readonly words: readonly string[] | null
  /** Targets that newer samples say are gone. */
  readonly gone: number
}

/** The question that is open, with what is known now of its targets; null without one. Of the live state, also while the picture is held. */
export function asked(state: State): Asked | null {
  const confirm = state.view.dialog
  const action = confirm?.kind === 'confirm' ? actionById(confirm.action) : undefined
  if (confirm?.kind !== 'confirm' || !action) return null
  const live = { ...state, held: null }
  const { targets, at } = confirm
  return {
    confirm,
    action,
    question: action.ask(targets, live),
    sql: targets.flatMap(action.sql),
    words: wordsOf(action, targets, live),
    gone: targets.filter(target => action.gone(target, live, at)).length,
  }
}

/** What must be typed for these targets; null: `y` is enough. */
export function wordsOf(action: AnyAction, targets: readonly Frozen[], live: State): readonly string[] | null {
  const words = action.words(targets[0] as Frozen, live)
  return words !== null && targets.length > 1 && action.wordsForSeveral ? action.wordsForSeveral(targets) : words
}

/** The question that is open is answered by typing a name. */
export function takesName(state: State): boolean {
  const { dialog } = state.view
  const action = dialog?.kind === 'confirm' ? actionById(dialog.action) : undefined
  return dialog?.kind === 'confirm' && action !== undefined && wordsOf(action, dialog.targets, state) !== null
}

const note = (store: Store, text: string) => update.changeConfirm(store, { note: text })

/** `y`: does it, where `y` is enough and nothing stands in the way. */
export function yes(acting: Acting): void {
  const now = asked(acting.store.getState())
  if (!now) return
  if (now.words !== null) note(acting.store, `y is not enough here: type ${now.words[0]}`)
  else confirmed(acting, now)
}

/** Enter never confirms. */
export function enter({ store }: Acting): void {
  const now = asked(store.getState())
  if (now)
    note(
      store,
      now.words === null ? 'Enter does nothing here: y does it, Esc leaves it' : `Enter does nothing here: type ${now.words[0]}`,
    )
}

/** The text of the question was edited: digits and Backspace edit the number field, all else what is typed of the target's name. */
export function typeInto(acting: Acting, edited: (text: string) => string): void {
  const { store } = acting
  const now = asked(store.getState())
  if (!now) return
  const { confirm, words } = now
  if (confirm.fresh) {
    note(store, 'the question had only just come up: read it, then answer')
    return
  }
  if (confirm.seconds !== null && confirm.typed === '') {
    const seconds = edited(confirm.seconds)
    if (/^\d{0,4}$/.test(seconds)) {
      if (seconds !== confirm.seconds) update.changeConfirm(store, { seconds, note: null })
      return
    }
  }
  if (words === null) return
  const typed = edited(confirm.typed)
  if (typed === confirm.typed) return
  update.changeConfirm(store, { typed, note: null })
  acting.settled(() => {
    // The name may be the beginning of what was meant, and the keys after it would be keys of the pane behind.
    const still = asked(store.getState())
    if (still?.confirm.typed === typed && still.confirm.at === confirm.at && still.words?.includes(typed))
      confirmed(acting, still)
  })
}

function confirmed(acting: Acting, now: Asked): void {
  const { store, begin } = acting
  const { confirm } = now
  // Of the live state, also while the picture is held: what somebody else did since then counts.
  const why = whyNotYet(now, { ...store.getState(), held: null })
  if (why !== null) {
    note(store, why)
    return
  }
  update.setDialog(store, null)
  untag(store, confirm)
  begin(confirm)
  acting.poke()
}

/** Why a confirmation doesn't count, after all; null: it does. */
function whyNotYet({ confirm, action, gone }: Asked, state: State): string | null {
  const { targets } = confirm
  if (confirm.fresh) return 'the question had only just come up: read it, then answer'
  if (gone === targets.length) return 'already gone: there is nothing left to do it to'
  const stands = targets.map(target => whyNotNow(action, target, state)).find(why => why !== null)
  if (stands && targets.length === 1) return stands.why
  const field = action.secondsField?.(targets[0] as Frozen, state)
  if (!field || confirm.seconds === null) return null
  const seconds = Number(confirm.seconds)
  if (seconds < 1) return 'how many seconds may it last?'
  return field.below !== null && seconds >= field.below ? `less than ${field.below} s: ${field.why}` : null
}

/** What was done to the tagged rows is not done to them again by the next key. */
function untag(store: Store, { action }: Confirm): void {
  const list = listOf(store.getState())
  // The question may have been asked of others: the sessions that a PAUSE waits for.
  if (!actionById(action)?.lists.includes(list.id)) return
  if (viewOf(store.getState(), list).tagged.length > 0) update.changeList(store, list.id, { tagged: [] })
}

/** Up and Down in the question: what is longer than the screen. */
export function scroll({ store }: Acting, step: number): void {
  const { dialog } = store.getState().view
  if (dialog?.kind === 'confirm') update.changeConfirm(store, { top: Math.max(0, dialog.top + step) })
}

/** The keys that came together are through: a question that they brought up can be read now. */
export function keysAreThrough(store: Store): void {
  const { dialog } = store.getState().view
  if (dialog?.kind === 'confirm' && dialog.fresh) update.changeConfirm(store, { fresh: false })
}
