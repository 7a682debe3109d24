// What resolving needs to know of the machine, handed in so that tests bring their own.

import { readFileSync, statSync } from 'node:fs'
import { homedir, userInfo } from 'node:os'

export type Env = Readonly<Record<string, string | undefined>>

export type Machine = {
  /** Name of the operating system's user, or null if the uid has none. */
  readonly osUser: string | null
  /** Home directory ($HOME first, as libpq), or null. */
  readonly home: string | null
  readonly exists: (path: string) => boolean
  /** A file's permission bits, or null; left out where they don't count. */
  readonly mode?: (path: string) => number | null
  /** The text of a file, or null if it is not there; throws when it is there and cannot be read. */
  readonly readText: (path: string) => string | null
}

export function thisMachine(): Machine {
  return {
    osUser: known(() => userInfo().username),
    home: known(homedir),
    exists: path => known(() => (statSync(path) ? path : '')) !== null,
    mode: path => statSync(path, { throwIfNoEntry: false })?.mode ?? null,
    readText: path => (statSync(path, { throwIfNoEntry: false })?.isFile() ? readFileSync(path, 'utf8') : null),
  }
}

function known(ask: () => string): string | null {
  try {
    return ask() || null
  } catch {
    return null
  }
}
