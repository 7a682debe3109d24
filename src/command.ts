// What a command is, and what it may use.

import type { Confirm, State } from './store/state.ts'
import type { Store } from './store/store.ts'

/** What a deed may use besides the store: the outside world, given by top.tsx. */
export type Context = {
  readonly store: Store
  /** Ends the monitor with this exit code; `leave`: pauses of ours stay as they are, instead of being resumed. */
  readonly quit: (code: number, leave?: boolean) => void
  readonly suspend: () => void
  readonly redraw: () => void
  /** Puts raw text into the clipboard of the user's own terminal. */
  readonly copy: (text: string) => void
  /** Samples are wanted now: the view has changed. */
  readonly poke: () => void
  /** Does what was confirmed. */
  readonly begin: (confirm: Pick<Confirm, 'action' | 'targets' | 'seconds'>) => void
  /** Stops a queue of deeds; false when none runs. */
  readonly stopQueue: () => boolean
  /** Something of ours would be left behind: a pause, a queue. */
  readonly unfinished: () => boolean
  /** Watches another cluster of the configuration file. */
  readonly switchCluster: (name: string) => void
  /** Runs the last one given once no more was given for a while. */
  readonly settled: (then: () => void) => void
  /** Why the audit trail can't be written; null: it can. */
  readonly trailTrouble: () => string | null
}

export type Command = {
  readonly id: string
  /** For the function bar. */
  readonly label: string
  /** One sentence for help and docs/KEYS.md. */
  readonly help: string
  /** False: the list in focus has nothing of the kind, and the bar leaves it out. */
  readonly shown?: (state: State) => boolean
  /** True, or why it can't be done now. */
  readonly enabled?: (state: State) => true | string
  readonly run: (context: Context) => void
}
