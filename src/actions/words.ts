// What must be typed for a grave deed.

import { drawable, raw, type Untrusted } from '../model/untrusted.ts'

/** What is asked for, for a name or number: one so short that a slip of the finger would be it takes a word more. */
export const toType = (word: string) => (word.length < 3 ? `yes ${word}` : word)

/** A name as it can be typed; null for one that can't be: empty, too long, or with characters that the screen replaces. */
export function typable(name: Untrusted | null): string | null {
  const text = drawable(name)
  const same = name !== null && text === raw(name)
  return same && text.trim() === text && text !== '' && text.length <= 63 ? text : null
}
