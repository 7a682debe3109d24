// Lock modes: which of them conflict, and which are stronger.

import { raw, type Untrusted } from './untrusted.ts'

// PostgreSQL's table of conflicts (13 to 18 alike), weakest mode first.
const conflicting: Readonly<Record<string, readonly string[]>> = {
  AccessShareLock: ['AccessExclusiveLock'],
  RowShareLock: ['ExclusiveLock', 'AccessExclusiveLock'],
  RowExclusiveLock: ['ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'],
  ShareUpdateExclusiveLock: [
    'ShareUpdateExclusiveLock',
    'ShareLock',
    'ShareRowExclusiveLock',
    'ExclusiveLock',
    'AccessExclusiveLock',
  ],
  ShareLock: ['RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'],
  ShareRowExclusiveLock: [
    'RowExclusiveLock',
    'ShareUpdateExclusiveLock',
    'ShareLock',
    'ShareRowExclusiveLock',
    'ExclusiveLock',
    'AccessExclusiveLock',
  ],
  ExclusiveLock: [
    'RowShareLock',
    'RowExclusiveLock',
    'ShareUpdateExclusiveLock',
    'ShareLock',
    'ShareRowExclusiveLock',
    'ExclusiveLock',
    'AccessExclusiveLock',
  ],
  AccessExclusiveLock: [
    'AccessShareLock',
    'RowShareLock',
    'RowExclusiveLock',
    'ShareUpdateExclusiveLock',
    'ShareLock',
    'ShareRowExclusiveLock',
    'ExclusiveLock',
    'AccessExclusiveLock',
  ],
}
const modes = Object.keys(conflicting)

/** Whether a lock held in one mode keeps the other from being granted on the same object. Modes as pg_locks spells them. */
export function conflicts(held: Untrusted | null, wanted: Untrusted | null): boolean {
  if (held === null || wanted === null) return false
  return conflicting[raw(held)]?.includes(raw(wanted)) ?? false
}

// -1 for a mode that blocks nobody (SIReadLock).
export const strength = (mode: Untrusted | null) => (mode === null ? -1 : modes.indexOf(raw(mode)))
