// Deeds of ours in words: how many of their targets ended how, what did not go as wished, and the events that their beginning and end are.

import type { NewEvent } from './event.ts'

/** How a deed ended, in the words that screen and audit trail use. */
export type Outcome = 'signal sent' | 'gone' | 'still there' | 'already gone' | 'skipped' | 'refused' | 'failed' | 'done'

/** One target of a deed as far as it is told of here; a WorkItem is one. */
export type DeedItem = {
  readonly label: string
  readonly outcome: Outcome | null
  readonly say: string
  readonly ended: boolean
  /** What is said is worth telling however it ended. */
  readonly remark?: boolean
}

/** A Work is one. `label` and the items' texts are drawable. */
export type Deed = { readonly label: string; readonly server: string; readonly at: number; readonly items: readonly DeedItem[] }

/** The worst first. */
export const outcomes: readonly Outcome[] = [
  'failed',
  'refused',
  'still there',
  'skipped',
  'already gone',
  'signal sent',
  'gone',
  'done',
]

/** "3 done, 1 skipped": the best first. Empty when none has ended. */
export function countsText(items: readonly Pick<DeedItem, 'outcome'>[]): string {
  const counts = outcomes.toReversed().flatMap(outcome => {
    const count = items.filter(item => item.outcome === outcome).length
    return count > 0 ? [`${count} ${outcome}`] : []
  })
  return counts.join(', ')
}

/** What did not go as wished, or is worth telling; the same once. */
export function troubles(items: readonly DeedItem[]): string {
  const bad = items.filter(
    ({ outcome, ended, remark }) => ended && outcome !== null && (remark || !['done', 'gone'].includes(outcome)),
  )
  const bySay = Map.groupBy(bad, item => item.say)
  const told = [...bySay].map(([say, those]) => `${those[0]!.label}${those.length > 1 ? ` (+${those.length - 1})` : ''}: ${say}`)
  return told.length > 0 ? `; ${told.slice(0, 3).join('; ')}` : ''
}

/** The worst of the outcomes; undefined when none has ended. */
export const worstOf = (items: readonly Pick<DeedItem, 'outcome'>[]): Outcome | undefined =>
  outcomes.find(outcome => items.some(item => item.outcome === outcome))

function targetsText({ items }: Deed): string {
  return items.length === 1 ? items[0]!.label : `${items.length} in all, ${items[0]?.label ?? 'none'} first`
}

export function workBegun(deed: Deed): NewEvent {
  const say = `${deed.label}: ${targetsText(deed)}: begun by us`
  return { at: deed.at, server: deed.server, kind: 'deed-begun', level: 'info', say }
}

/** `at`: epoch ms. */
export function workEnded(deed: Deed, at: number): NewEvent {
  const { items, server, label } = deed
  const [only] = items
  const said = items.length === 1 && only ? `${only.label}: ${outcomeText(only)}` : `${countsText(items)}${troubles(items)}`
  const worst = worstOf(items)
  const level = worst === 'done' || worst === 'gone' ? 'ok' : worst === 'failed' || worst === 'refused' ? 'critical' : 'warning'
  return { at, server, kind: 'deed-ended', level, say: `${label}: ${said}` }
}

/** The outcome in its word, with what is said of it, where that doesn't begin with the word already. */
function outcomeText({ outcome, say }: DeedItem): string {
  if (outcome === null || say.startsWith(outcome)) return say
  return `${outcome}: ${say}`
}
