import { Terminal } from '@xterm/headless'
import fc from 'fast-check'
import stringWidth from 'string-width'
import { describe, expect, test } from 'vitest'
import {
  asciiOnly,
  drawable,
  drawableLines,
  fit as fitted,
  is,
  raw,
  type Untrusted,
  untrusted,
  width,
} from '../../src/model/untrusted.ts'

const forbidden =
  /[\p{C}\p{M}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Extended_Pictographic}\p{RI}\p{Emoji_Modifier}]|(?! )\p{Zs}| {2}/u

// Any code units at all, lone surrogates included, with what does harm in greater numbers than chance would give.
const hostile = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map(unit => String.fromCharCode(unit)) }),
      fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map(unit => String.fromCharCode(unit)) }),
      fc.constantFrom(
        '\x1b[31m',
        '\u009b',
        '\u200d',
        '\ufe0f',
        '\u20e3',
        '👨',
        '🇩',
        '🏽',
        '\u0301',
        '\t',
        '\r\n',
        '\u202e',
        '漢',
        'กำ',
        'ᄀ',
        'ᅡ',
        '가',
        'ᆨ',
        'ﾞ',
        '\ud83d',
      ),
    ),
    { maxLength: 12 },
  )
  .map(parts => parts.join(''))

/** Writes one text a line to a real terminal (Unicode 6 tables, as xterm.js by default) and reads the cells each took. */
async function cellsOnTerminal(texts: string[], cols = 12): Promise<number[]> {
  const terminal = new Terminal({ cols, rows: 2, scrollback: texts.length + 2, allowProposedApi: true })
  await new Promise<void>(done => terminal.write(texts.map(text => `${text}\x1b[7mB\x1b[m`).join('\r\n'), done))
  const buffer = terminal.buffer.active
  expect(buffer.baseY + buffer.cursorY).toBe(texts.length - 1)
  const cells = texts.map((_, index) => {
    const line = buffer.getLine(index)!
    for (let at = 0; at < cols; at++) if (line.getCell(at)!.isInverse()) return at
    return Number.NaN
  })
  terminal.dispose()
  return cells
}

describe('drawable', () => {
  test.each([
    ['plain ASCII', 'select 1', 'select 1'],
    ['nothing', '', ''],
    ['null', null, ''],
    ['undefined', undefined, ''],
    ['OSC title', 'A\x1b]0;pwned\x07B', 'A␛]0;pwned␇B'],
    ['colour', 'A\x1b[31mB', 'A␛[31mB'],
    ['C1 CSI', 'A\u009b31mB', 'A·31mB'],
    ['DEL and NUL', 'A\x7f\0B', 'A␡␀B'],
    ['line breaks and tabs', 'select\r\n\t a,\n\n b', 'select a, b'],
    ['Unicode blanks', 'a\u00a0\u2028\u3000b\u0085c', 'a b c'],
    ['right-to-left override', 'A\u202egnp.exe', 'A·gnp.exe'],
    ['zero width', 'a\u200bb\u200dc\ufeffd', 'a·b·c·d'],
    ['tag characters', 'A\u{e0041}\u{e007f}B', 'A··B'],
    ['private use, unassigned, lone surrogates', '\ue0b0\u0378\ud800x\udc00\ud800', '···x··'],
    ['decomposed letter', 'e\u0301', 'é'],
    ['marks that do not compose', 'x\u0301\u0302\u0303y', 'xy'],
    ['marks without a letter', '\u0301a \u0301\u0302b', '·a ·b'],
    ['variation selector', '漢\ufe00字\u{e0100}', '漢字'],
    ['emoji', 'A😀B', 'A□B'],
    ['halves that a dropped mark kept apart', '\ud83d\u0301\udc00', '··'],
    ['family', '👨\u200d👩\u200d👧!', '□!'],
    ['keycap', '1\ufe0f\u20e3 2', '□ 2'],
    ['flags', '🇩🇪🇫🇷', '□□'],
    ['skin tone', '👍🏽', '□'],
    ['Thai AM', 'กำ', 'ก·'],
    ['decomposed Hangul', '한국', '한국'],
    ['jamo that do not compose', 'ᄀ각ᆨ', '·각·'],
    ['CJK, Arabic, Cyrillic, box drawing', '漢字 مرحبا Привет ─│', '漢字 مرحبا Привет ─│'],
  ])('%s', (_, text, expected) => {
    expect(drawable(text)).toBe(expected)
  })

  test('of any text is one line without a forbidden character, and stays as it is the second time', () => {
    fc.assert(
      fc.property(hostile, text => {
        const once = drawable(text)
        expect(once).not.toMatch(forbidden)
        expect(once.normalize('NFC')).toBe(once)
        expect(drawable(once)).toBe(once)
      }),
      { numRuns: 2000 },
    )
  })

  test('takes as many cells on a terminal as width() says, whatever stands beside what', async () => {
    const texts = fc.sample(hostile, 2000).map(text => drawable(text))
    const cells = await cellsOnTerminal(texts, 400)
    expect(texts.filter((text, at) => width(text) !== cells[at] || stringWidth(text) !== cells[at])).toEqual([])
  })

  test('every code point there is', async () => {
    const distinct = new Set<string>()
    for (let code = 0; code <= 0x10ffff; code++) distinct.add(drawable(`A${String.fromCodePoint(code)}B`))
    const texts = [...distinct]
    expect(texts.length).toBeGreaterThan(100_000)
    expect(texts.filter(text => forbidden.test(text))).toEqual([])
    expect(texts.filter(text => drawable(text) !== text)).toEqual([])
    const cells = await cellsOnTerminal(texts, 6)
    expect(texts.filter((text, at) => width(text) !== cells[at] || stringWidth(text) !== cells[at])).toEqual([])
  }, 30_000)
})

describe('drawableLines', () => {
  test('keeps lines, indentation and tab stops', () => {
    expect(drawableLines(untrusted('select\r\n\ta,\n  b\tc\x1b[2J  \r\u2028d'))).toEqual([
      'select',
      '        a,',
      '  b     c␛[2J',
      '',
      'd',
    ])
    expect(drawableLines('漢\tx')).toEqual(['漢      x'])
    expect(drawableLines(null)).toEqual([])
  })

  test('wraps at blanks, and through words that are too long', () => {
    expect(drawableLines('where a = 1 and b', 9)).toEqual(['where a =', '1 and b'])
    expect(drawableLines('abcdefghijk l', 4)).toEqual(['abcd', 'efgh', 'ijk', 'l'])
    expect(drawableLines('漢字漢', 5)).toEqual(['漢字', '漢'])
    expect(drawableLines('    abcdef', 6)).toEqual(['    ab', 'cdef'])
  })

  test('loses no visible character and never exceeds the width', () => {
    fc.assert(
      fc.property(hostile, fc.integer({ min: 2, max: 30 }), (text, cells) => {
        const lines = drawableLines(text, cells)
        for (const line of lines) {
          expect(width(line)).toBeLessThanOrEqual(cells)
          expect(line.replaceAll(/ +/g, ' ')).not.toMatch(forbidden)
        }
        expect(lines.join('').replaceAll(' ', '')).toBe(drawableLines(text).join('').replaceAll(' ', ''))
      }),
      { numRuns: 500 },
    )
  })
})

describe('fit', () => {
  test.each([
    ['abc', 5, 'left', 'abc  '],
    ['abc', 5, 'right', '  abc'],
    ['abc', 3, 'left', 'abc'],
    ['abcd', 3, 'left', 'ab…'],
    ['abcd', 1, 'left', '…'],
    ['abcd', 0, 'left', ''],
    ['漢字', 4, 'left', '漢字'],
    ['漢字漢', 5, 'left', '漢字…'],
    ['漢字漢', 4, 'left', '漢… '],
    ['漢字漢', 4, 'right', ' 漢…'],
    ['漢', 1, 'left', '…'],
  ] as const)('%s in %i cells, %s', (text, cells, align, expected) => {
    expect(fitted(text, cells, align)).toBe(expected)
  })

  test('is exact for any text', () => {
    fc.assert(
      fc.property(hostile, fc.integer({ min: 0, max: 40 }), fc.constantFrom('left', 'right'), (text, cells, align) => {
        expect(stringWidth(fitted(drawable(text), cells, align as 'left'))).toBe(cells)
      }),
      { numRuns: 1000 },
    )
  })

  test('marks a cut in ASCII when told to', () => {
    expect(fitted('abcd', 3, 'left', '~')).toBe('ab~')
  })
})

describe('asciiOnly', () => {
  test('has stand-ins for our chrome, and ? for the rest', () => {
    expect(asciiOnly('–…·│─└├▸▾●○▲▼█≤≥×→←µ□')).toBe('-~.|-`|>v*o^v#<>x><u?')
    expect(asciiOnly('Müller 漢字 ␛[')).toBe('M?ller ???? ?[')
  })

  test('keeps the width and leaves ASCII alone', () => {
    fc.assert(
      fc.property(hostile, text => {
        const ascii = asciiOnly(drawable(text))
        expect(ascii).toMatch(/^[\x20-\x7e]*$/)
        expect(ascii.length).toBe(width(drawable(text)))
      }),
      { numRuns: 1000 },
    )
  })
})

test('Untrusted is a string at run time and none to the compiler', () => {
  const text: Untrusted = untrusted('a\x1bb')
  expect(raw(text)).toBe('a\x1bb')
  expect(is(text, 'a\x1bb')).toBe(true)
  expect(is(null, 'a')).toBe(false)
  // @ts-expect-error: drawing it raw must not compile
  const drawn: string = text
  expect(drawn).toBe(raw(text))
})
