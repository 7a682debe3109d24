// What stands in the way of any deed, and the words for missing rights.

import { sqlName } from '../model/sql-name.ts'
import { drawable } from '../model/untrusted.ts'
import { pulse } from '../sql/server.ts'
import { rowsOf } from '../store/selectors.ts'
import type { Frozen, State } from '../store/state.ts'
import { type AnyAction, type WhyNot, whyNot } from './action.ts'

/** Where a deed goes, frozen with its target. */
export function placeOf(state: State, server: string): Pick<Frozen, 'server' | 'role' | 'started'> {
  const known = state.servers[server]
  return {
    server,
    role: known?.kind === 'pgbouncer' ? 'pgbouncer' : (known?.role ?? null),
    started: rowsOf(state, server, pulse)[0]?.postmaster_start_epoch ?? null,
  }
}

/** Why an action can't be done to a target now; null: it can. Answered before the key is pressed, and again after `y`. */
export function whyNotNow(action: AnyAction, target: Frozen, state: State): WhyNot | null {
  return whyNotAnything(state) ?? whyNotThere(target, state) ?? action.guard(target, state)
}

/** What forbids every deed. */
export function whyNotAnything(state: State): WhyNot | null {
  return state.settings.readOnly ? whyNot('read-only mode: by --read-only, or by read_only in the configuration file') : null
}

function whyNotThere({ server, role }: Frozen, state: State): WhyNot | null {
  const known = state.servers[server]
  if (!known) return whyNot(`${drawable(server)} is not watched`)
  const { state: link, word, why } = known.link
  if (link === 'down' || (link === 'connecting' && known.lastAnswerAt === null)) {
    return whyNot(`${drawable(server)} is ${word}${why ? `: ${why}` : ''}`)
  }
  if (known.kind === 'postgres' && role !== null && known.role !== null && known.role !== role) {
    return whyNot(`${drawable(server)} is a ${known.role} now and was a ${role}: look again`)
  }
  return null
}

/** The role we act as, as SQL would name it. Drawable. */
export function ourRole(state: State, server: string): string {
  return drawable(sqlName(state.servers[server]?.user ?? ''))
}
