// What one complete escape sequence of a terminal means as a key. Sequences as in terminfo's entries of xterm, linux, rxvt,
// vt100, vt220, screen and tmux, in xterm's control sequences (modifiers), and in kitty's keyboard protocol (CSI u).

// ESC [ number ~
const byNumber: Record<number, string> = {
  1: 'Home',
  2: 'Insert',
  3: 'Delete',
  4: 'End',
  5: 'PgUp',
  6: 'PgDn',
  7: 'Home',
  8: 'End',
}
const functionNumbers = [11, 12, 13, 14, 15, 17, 18, 19, 20, 21, 23, 24, 25, 26, 28, 29, 31, 32, 33, 34]
for (const [index, number] of functionNumbers.entries()) byNumber[number] = `F${index + 1}`

// ESC [ letter and ESC O letter
const byLetter: Record<string, string> = {
  A: 'Up',
  B: 'Down',
  C: 'Right',
  D: 'Left',
  F: 'End',
  H: 'Home',
  P: 'F1',
  Q: 'F2',
  R: 'F3',
  S: 'F4',
}

// ESC O letter alone: the keypad in application mode, and function keys of PuTTY's VT100+ mode.
const keypad: Record<string, string> = {
  M: 'Enter',
  I: 'Tab',
  ' ': 'Space',
  T: 'F5',
  U: 'F6',
  V: 'F7',
  W: 'F8',
  X: 'F9',
  Y: 'F10',
  Z: 'F11',
  '[': 'F12',
}
for (const [index, letter] of [...'jklmnopqrstuvwxy'].entries()) keypad[letter] = '*+,-./0123456789'[index]!

// rxvt writes Shift and Ctrl of the arrows as small letters.
const rxvtArrows: Record<string, string> = { a: 'Up', b: 'Down', c: 'Right', d: 'Left' }

// Keys that have no character, by the code they have as one, and kitty's numbers for the keypad.
const byCode: Record<number, string> = {
  8: 'Backspace',
  9: 'Tab',
  10: 'Enter',
  13: 'Enter',
  27: 'Esc',
  32: 'Space',
  127: 'Backspace',
  57414: 'Enter',
}
for (const [index, character] of [...'0123456789./*-+'].entries()) byCode[57399 + index] = character
for (const [index, name] of ['Left', 'Right', 'Up', 'Down', 'PgUp', 'PgDn', 'Home', 'End', 'Insert', 'Delete'].entries())
  byCode[57417 + index] = name

const shift = 1
const alt = 2
const ctrl = 4
const meta = 8
const capsAndNumLock = 64 | 128

/** A key's name with its modifiers, always in the order C-M-S-. */
function withModifiers(name: string, modifiers: number): string {
  return `${modifiers & ctrl ? 'C-' : ''}${modifiers & (alt | meta) ? 'M-' : ''}${modifiers & shift ? 'S-' : ''}${name}`
}

// Terminals send the modifiers' bits plus one; absent is none. Kitty's "caps lock is on" is no modifier to us.
function modifiersOf(parameter: string | undefined): number {
  return (Math.max(1, Number(parameter || 1)) - 1) & ~capsAndNumLock
}

/** The name of a character typed together with modifiers; `shifted` is what Shift makes of it, where the terminal says. */
function characterKey(code: number, modifiers: number, shifted?: number): string | null {
  const special = byCode[code]
  if (special !== undefined) return withModifiers(special, modifiers)
  // Kitty numbers the keys that have no character in the private use area.
  if (!(code > 0x20 && code <= 0x10ffff) || (code >= 0x7f && code < 0xa0) || (code >= 0xd800 && code < 0xf900)) return null
  const character = String.fromCodePoint(code)
  if (!(modifiers & shift)) return withModifiers(character, modifiers)
  // Ctrl with Shift keeps its own name, as C-a and C-S-a; Shift alone is in the character.
  if (modifiers & ctrl) return withModifiers(character.toLowerCase(), modifiers)
  if (shifted) return characterKey(shifted, modifiers & ~shift)
  const upper = character.toUpperCase()
  return withModifiers(upper.length === character.length ? upper : character, modifiers & ~shift)
}

/**
 * The key of a CSI sequence, ESC [ parameters final, or null when it is none: a terminal's answer, a focus or mouse report, the
 * release of a key, a key we have no name for.
 */
export function csiKey(parameters: string, final: string): string | null {
  if (!/^[\d;:]*$/.test(parameters)) return null
  const fields = parameters.split(';').map(field => field.split(':'))
  const [first, second, third] = fields
  if (second?.[1] === '3') return null
  const modifiers = modifiersOf(second?.[0])
  const number = Number(first?.[0] || 1)

  if (final === '~' && number === 27 && third !== undefined) return characterKey(Number(third[0]), modifiers)
  if (final === 'u') return parameters === '' ? null : characterKey(number, modifiers, Number(first?.[1] ?? 0))
  if (final === 'Z') return withModifiers('Tab', modifiers | shift)
  if ('~^$@'.includes(final)) {
    const rxvt = { '~': 0, '^': ctrl, $: shift, '@': ctrl | shift }[final]!
    const name = byNumber[number]
    return name === undefined || parameters === '' ? null : withModifiers(name, modifiers | rxvt)
  }
  if (parameters === '' && rxvtArrows[final] !== undefined) return withModifiers(rxvtArrows[final], shift)
  const name = byLetter[final]
  if (name === undefined || fields.length > 2) return null
  // ESC [ 24 ; 80 R is the position of the cursor. On line 1 only the columns 2 to 16 can't be told from F3 with modifiers.
  if (final === 'R' && second !== undefined && !(Number(second[0]) >= 2 && Number(second[0]) <= 16)) return null
  if (second !== undefined) return number === 1 ? withModifiers(name, modifiers) : null
  return number <= 16 ? withModifiers(name, modifiersOf(first?.[0])) : null
}

/** The key of an SS3 sequence, ESC O parameters final, or null. */
export function ss3Key(parameters: string, final: string): string | null {
  if (!/^[\d;]*$/.test(parameters)) return null
  const modifiers = modifiersOf(parameters.split(';').at(-1))
  if (rxvtArrows[final] !== undefined) return withModifiers(rxvtArrows[final], ctrl)
  const name = byLetter[final] ?? keypad[final]
  return name === undefined ? null : withModifiers(name, modifiers)
}

/** The key of the Linux console's ESC [ [ letter, or null. */
export function linuxKey(letter: string): string | null {
  const index = 'ABCDE'.indexOf(letter)
  return index < 0 ? null : `F${index + 1}`
}

/** The key of a single control byte, DEL included. A line feed is Enter too. */
export function controlKey(byte: number): string {
  return byCode[byte] ?? (byte === 0 ? 'C-Space' : `C-${String.fromCharCode(byte + 0x40).toLowerCase()}`)
}

/** A key name with Alt: as if Alt had been held. */
export function withAlt(name: string): string {
  if (name.startsWith('M-') || name.startsWith('C-M-')) return name
  return name.startsWith('C-') ? `C-M-${name.slice(2)}` : `M-${name}`
}
