import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createKeyParser, type Key } from '../../src/keys/keypress.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function parser() {
  const keys: Key[] = []
  const parse = createKeyParser(key => keys.push(key))
  return { ...parse, keys, names: () => keys.map(key => key.name).join(' ') }
}

/** Names of the keys in a byte string, given at once, with the waiting that follows. */
function namesOf(input: string | Uint8Array): string {
  const { feed, names } = parser()
  feed(input)
  vi.runAllTimers()
  return names()
}

// What complete input means; '' is swallowed whole. Each ends by itself, so that any of them can follow any other.
const complete: [what: string, input: string, names: string][] = [
  ['letters, one by one', 'jjK', 'j j K'],
  ['signs', '/?+<:', '/ ? + < :'],
  ['Space', ' ', 'Space'],
  ['Enter', '\r', 'Enter'],
  ['line feed', '\n', 'Enter'],
  ['Tab', '\t', 'Tab'],
  ['DEL', '\x7f', 'Backspace'],
  ['BS', '\b', 'Backspace'],
  ['control letters', '\x01\x03\x0c\x1a', 'C-a C-c C-l C-z'],
  ['control signs', '\0\x1c\x1d\x1e\x1f', 'C-Space C-\\ C-] C-^ C-_'],
  ['UTF-8 of two, three and four bytes', 'é漢𐍈', 'é 漢 𐍈'],

  ['arrows', '\x1b[A\x1b[B\x1b[C\x1b[D', 'Up Down Right Left'],
  ['arrows in application mode', '\x1bOA\x1bOB\x1bOC\x1bOD', 'Up Down Right Left'],
  ['Home and End: xterm', '\x1b[H\x1b[F\x1bOH\x1bOF', 'Home End Home End'],
  ['Home and End: screen, tmux, linux', '\x1b[1~\x1b[4~', 'Home End'],
  ['Home and End: rxvt', '\x1b[7~\x1b[8~', 'Home End'],
  ['Insert Delete PgUp PgDn', '\x1b[2~\x1b[3~\x1b[5~\x1b[6~', 'Insert Delete PgUp PgDn'],
  ['Shift-Tab', '\x1b[Z', 'S-Tab'],
  ['Shift-Tab of the Linux console', '\x1b\t', 'S-Tab'],

  ['F1-F4: xterm', '\x1bOP\x1bOQ\x1bOR\x1bOS', 'F1 F2 F3 F4'],
  ['F1-F4: CSI', '\x1b[P\x1b[Q\x1b[R\x1b[S', 'F1 F2 F3 F4'],
  ['F1-F5: rxvt, PuTTY', '\x1b[11~\x1b[12~\x1b[13~\x1b[14~\x1b[15~', 'F1 F2 F3 F4 F5'],
  ['F1-F5: Linux console', '\x1b[[A\x1b[[B\x1b[[C\x1b[[D\x1b[[E', 'F1 F2 F3 F4 F5'],
  ['F6-F12', '\x1b[17~\x1b[18~\x1b[19~\x1b[20~\x1b[21~\x1b[23~\x1b[24~', 'F6 F7 F8 F9 F10 F11 F12'],
  ['F13-F20: vt220', '\x1b[25~\x1b[26~\x1b[28~\x1b[29~\x1b[31~\x1b[32~\x1b[33~\x1b[34~', 'F13 F14 F15 F16 F17 F18 F19 F20'],
  ['F5-F12: PuTTY, VT100+', '\x1bOT\x1bOU\x1bOV\x1bOW\x1bOX\x1bOY\x1bOZ\x1bO[', 'F5 F6 F7 F8 F9 F10 F11 F12'],
  ['keypad in application mode', '\x1bOM\x1bOp\x1bOy\x1bOk\x1bOm\x1bOj\x1bOo\x1bOn', 'Enter 0 9 + - * / .'],

  ['modifiers: xterm', '\x1b[1;2A\x1b[1;5D\x1b[1;3C\x1b[1;8H\x1b[1;9B', 'S-Up C-Left M-Right C-M-S-Home M-Down'],
  ['modifiers of F1-F4', '\x1b[1;2P\x1bO2P\x1bO1;5Q\x1b[1;2R\x1b[1;6S', 'S-F1 S-F1 C-F2 S-F3 C-S-F4'],
  ['modifiers before ~', '\x1b[15;2~\x1b[24;5~\x1b[3;2~\x1b[6;3~', 'S-F5 C-F12 S-Delete M-PgDn'],
  ['modifiers as the only parameter', '\x1b[5C\x1bO5C', 'C-Right C-Right'],
  [
    'modifiers: rxvt',
    '\x1b[a\x1b[d\x1bOa\x1bOd\x1b[3$\x1b[3^\x1b[3@\x1b[11^',
    'S-Up S-Left C-Up C-Left S-Delete C-Delete C-S-Delete C-F1',
  ],
  ['Alt with a character', '\x1bx\x1bX\x1b1\x1b\x7f\x1b\r\x1b ', 'M-x M-X M-1 M-Backspace M-Enter M-Space'],
  ['Alt with UTF-8', '\x1bé', 'M-é'],
  ['Alt with a sequence', '\x1b\x1b[A\x1b\x1bOP\x1b\x1b[5~\x1b\x1b[1;5A', 'M-Up M-F1 M-PgUp C-M-Up'],
  ['Esc, then Alt', '\x1b\x1bx', 'Esc M-x'],
  ['Esc, then Ctrl-C', '\x1b\x03', 'Esc C-c'],
  ['modifyOtherKeys', '\x1b[27;5;13~\x1b[27;6;65~\x1b[27;3;120~', 'C-Enter C-S-a M-x'],
  ['kitty', '\x1b[27u\x1b[13u\x1b[127;5u\x1b[99;5u\x1b[97;2u\x1b[49:33;2u\x1b[9;2u', 'Esc Enter C-Backspace C-c A ! S-Tab'],
  [
    'kitty: keypad, event types, locks',
    '\x1b[57414u\x1b[57399u\x1b[57419u\x1b[1;1:1A\x1b[97;65u\x1b[1;129B',
    'Enter 0 Up Up a Down',
  ],
  ['kitty: numbers that are no characters', '\x1b[97:99999999;2u\x1b[99999999u\x1b[55296u\x1b[;2u\x1b[1u', ''],
  ['kitty: releases, lone modifiers', '\x1b[97;1:3u\x1b[1;1:3A\x1b[57441;2u\x1b[57376u', ''],

  ['device attributes', '\x1b[?62;1;6;22c\x1b[>0;276;0c', ''],
  ['cursor position', '\x1b[24;80R\x1b[1;80R\x1b[1;1R\x1b[5;2R', ''],
  ['status and mode reports', '\x1b[0n\x1b[?2026;1$y\x1b[4;1$y\x1b[?1u\x1b[8;24;80t', ''],
  ['focus', '\x1b[I\x1b[O', ''],
  ['mouse', '\x1b[<0;10;20M\x1b[<0;10;20m\x1b[32;10;20M', ''],
  ['mouse, three bytes, letters among them', '\x1b[M !!\x1b[MqKC', ''],
  ['colour and title answers', '\x1b]11;rgb:1e1e/1e1e/1e1e\x07\x1b]11;rgb:0/0/0\x1b\\\x1b]lќq\x1b\\', ''],
  ['DCS, APC', '\x1bP>|tmux 3.4\x1b\\\x1bP1+r544e=78\x1b\\\x1b_Gi=1;OK\x1b\\', ''],
  ['8-bit CSI', '\u009bA\u009b5~\u009b24;80R', 'Up PgUp'],
  ['unknown CSI and SS3', '\x1b[99~\x1b[1;2;3K\x1b[ q\x1b[!p\x1b[[Z\x1bOz\x1b[E\x1b[201~', ''],
  ['a sequence without end in sight', `\x1b[${'1;'.repeat(500)}K`, ''],

  ['a sequence broken off by another', '\x1b[1;\x1b[A', 'Up'],
  ['a sequence broken off by Ctrl-C', '\x1b[1;\x03', 'C-c'],
  ['a string broken off by Ctrl-C', '\x1b]52;c;\x03', 'C-c'],
  ['a string broken off by a sequence', '\x1b]0;x\x1b[A', 'Up'],
  ['Alt-[ and Enter', '\x1b[\r', 'M-[ Enter'],
  ['a sequence broken off by UTF-8', '\x1b[1;ś', 'ś'],
  ['a paste', '\x1b[200~select\r\x1b[A\x1b[201K é\x1b\x1b[201~', 'paste'],
  ['a paste broken off by Ctrl-C', '\x1b[200~abc\x03', 'C-c'],
]

test.each(complete)('%s', (_, input, names) => {
  expect(namesOf(input)).toBe(names)
})

test.each(complete)('%s, byte by byte', (_, input, names) => {
  const { feed, names: got } = parser()
  for (const byte of Buffer.from(input)) feed(Uint8Array.of(byte))
  expect(got()).toBe(names)
})

test('the same keys, however the input is cut', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...complete), { maxLength: 12 }), fc.array(fc.nat()), (parts, cuts) => {
      const bytes = Buffer.from(parts.map(([, input]) => input).join(''))
      const { feed, names } = parser()
      const at = [0, ...cuts.map(cut => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
      for (let index = 1; index < at.length; index++) feed(bytes.subarray(at[index - 1], at[index]))
      vi.runAllTimers()
      expect(names()).toBe(
        parts
          .map(([, , expected]) => expected)
          .filter(expected => expected !== '')
          .join(' '),
      )
    }),
    { numRuns: 1000 },
  )
})

test('any bytes at all, numbers in sequences too: every key has a name, and Ctrl-C is heard afterwards', () => {
  const sequence = fc
    .tuple(
      fc.array(fc.oneof(fc.nat(300), fc.nat(0x120000), fc.constantFrom(27, ';', ':', ';2'))),
      fc.constantFrom('u', '~', 'A', 'R', '$', 'Z'),
    )
    .map(([parameters, final]) => Buffer.from(`\x1b[${parameters.join('')}${final}`))
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 40 }), sequence), bytes => {
      const { feed, keys } = parser()
      feed(bytes)
      feed(Uint8Array.of(3, 3, 3, 3))
      vi.runAllTimers()
      for (const key of keys) expect(key.name).not.toMatch(/^$|[\x00-\x20\x7f-\x9f\ufffd]/)
      expect(keys.at(-1)).toEqual({ name: 'C-c' })
    }),
    { numRuns: 2000 },
  )
})

test('bytes that are no UTF-8 are no keys', () => {
  expect(namesOf(Uint8Array.of(0xff, 0x61, 0xc3, 0x62, 0xf0, 0x9f, 0x63, 0xa9, 0xed, 0xa0, 0x80, 0x64))).toBe('a b c d')
})

describe('text', () => {
  test('what a key types', () => {
    const { feed, keys } = parser()
    feed('a é\x1bx\x1bOp\x1b[A\r')
    expect(keys).toEqual([
      { name: 'a', text: 'a' },
      { name: 'Space', text: ' ' },
      { name: 'é', text: 'é' },
      { name: 'M-x' },
      { name: '0', text: '0' },
      { name: 'Up' },
      { name: 'Enter' },
    ])
  })

  test('a paste is one key with its content', () => {
    const { feed, keys } = parser()
    feed('\x1b[200~select\r\x1b[A\x1b[201K é\x1b')
    vi.advanceTimersByTime(60_000)
    expect(keys).toEqual([])
    feed('\x1b[201~y')
    expect(keys).toEqual([
      { name: 'paste', text: 'select\r\x1b[A\x1b[201K é\x1b' },
      { name: 'y', text: 'y' },
    ])
  })

  test('a huge paste is cut, and none of the rest becomes keys', () => {
    const { feed, keys } = parser()
    feed(`\x1b[200~${'y'.repeat(2_000_000)}\x1b[201~q`)
    expect(keys.map(key => [key.name, key.text?.length])).toEqual([
      ['paste', 1 << 20],
      ['q', 1],
    ])
  })
})

describe('time', () => {
  test('a lone ESC is Esc once nothing follows', () => {
    const { feed, names } = parser()
    feed('\x1b')
    vi.advanceTimersByTime(49)
    expect(names()).toBe('')
    vi.advanceTimersByTime(1)
    expect(names()).toBe('Esc')
    feed('q')
    expect(names()).toBe('Esc q')
  })

  test('several ESC are as many Esc', () => {
    expect(namesOf('\x1b\x1b')).toBe('Esc Esc')
    expect(namesOf('\x1b\x1b\x1b\x1b')).toBe('Esc Esc Esc Esc')
  })

  test.each(['[', 'O', ']', 'P', '_'])('Alt-%s, too, when nothing follows', character => {
    expect(namesOf(`\x1b${character}`)).toBe(`M-${character}`)
    expect(namesOf(`\x1b\x1b${character}`)).toBe(`Esc M-${character}`)
  })

  test('a sequence that has begun outlasts the wait for ESC', () => {
    const { feed, names } = parser()
    feed('\x1b[')
    vi.advanceTimersByTime(500)
    feed('1')
    vi.advanceTimersByTime(500)
    feed('5~')
    expect(names()).toBe('F5')
  })

  test('a sequence that never ends is dropped and locks nothing', () => {
    for (const begun of ['\x1b[1', '\x1bO1', '\x1b[[', '\x1b[M!', '\x1b]0;x', '\xc3']) {
      const { feed, names } = parser()
      feed(Buffer.from(begun, 'latin1'))
      vi.advanceTimersByTime(1000)
      feed('q')
      expect(names()).toBe('q')
    }
  })

  test('ESC after a string that never ended is Esc', () => {
    expect(namesOf('\x1b]0;x\x1b')).toBe('Esc')
  })

  test('the timeout can be set', () => {
    const names: string[] = []
    createKeyParser(key => names.push(key.name), { escapeTimeoutMs: 200 }).feed('\x1b')
    vi.advanceTimersByTime(199)
    expect(names).toEqual([])
    vi.advanceTimersByTime(1)
    expect(names).toEqual(['Esc'])
  })

  test('end() gives the pending Esc and leaves no timer', () => {
    const { feed, end, names } = parser()
    feed('\x1b')
    end()
    expect(names()).toBe('Esc')
    expect(vi.getTimerCount()).toBe(0)
    end()
    expect(names()).toBe('Esc')
  })
})
