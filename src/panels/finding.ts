// The worst of what is seen, each with what to do about it: those checks that need no more than what every server is asked anyway, so that
// they hold on every pane.

import type { Finding, Level } from '../checks/check.ts'
import { checks } from '../checks/index.ts'
import { bySeverity, isUp, run } from '../checks/run.ts'
import { drawable } from '../model/untrusted.ts'
import type { Query } from '../sql/query.ts'
import { picture } from '../store/selectors.ts'
import type { State } from '../store/state.ts'
import { always } from './always.ts'
import { panels } from './index.ts'

/** A line for the header. Drawable. */
export type Headline = { readonly level: 'critical' | 'warning'; readonly say: string }

const asked = new Set<Query>([...always.postgres, ...always.pgbouncer])
/** Those that every pane can tell of. */
export const headlines = checks.filter(({ needs, rate }) => !rate && needs.every(query => asked.has(query)))

/** Worst first; empty when all is quiet. */
export function findings(state: State): readonly Headline[] {
  return bySeverity(run(state, headlines).map(found => ({ ...found, level: levelIn(state, found) }))).flatMap(found =>
    found.level === 'critical' || found.level === 'warning' ? [{ level: found.level, say: sentence(found) }] : [],
  )
}

/** What our role may not see is worth a word, and a server that lets nobody in is as good as gone. */
function levelIn(state: State, { level, check, server }: Finding): Level {
  if (level !== 'unknown') return level
  if (check.id === 'visibility') return isUp(state, server ?? '') ? 'warning' : level
  return check.id === 'connectivity' && picture(state).servers[server ?? '']?.link.word !== 'CONNECTING' ? 'critical' : level
}

function sentence({ server, say, leadsTo }: Finding): string {
  const key = panels.find(({ id }) => id === leadsTo?.panel)?.key
  const whose = server === null ? '' : `${drawable(server)}${say.startsWith('is ') ? ' ' : ': '}`
  const again = say.startsWith('is DENIED') ? ' (tried again every 30 s)' : ''
  return `${whose}${say}${again}${key ? `; ${key} shows it` : ''}`
}
