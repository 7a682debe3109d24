// The text door: text from a server (query, name, error, notice) is `Untrusted` until drawable() has made it harmless to
// a terminal. The type is not assignable to string, so a cell can't draw raw text by mistake.
import stringWidth from 'string-width'

import type { Untrusted } from '../sql/query.ts'

export type { Untrusted }

/** Marks text as coming from outside. */
export function untrusted(text: string): Untrusted {
  return text as unknown as Untrusted
}

/** The text unchanged: for comparing, for JSON and for actions only. Never for the screen, a log line or stderr. */
export function raw(text: Untrusted): string {
  return text as unknown as string
}

/** Whether the text is exactly this literal. null is none. */
export function is(text: Untrusted | null, literal: string): boolean {
  return (text as unknown) === literal
}

// What Unicode counts as a line break, and what draws as a blank (some of them two cells wide).
const lineBreak = /\r\n|[\n\v\f\r\u0085\u2028\u2029]/
const blank = /[\t-\r\u0085\p{Z}]/gu
const blanks = /[\t-\r\u0085\p{Z}]+/gu

const pictograph = String.raw`(?:\p{Extended_Pictographic}|\p{RI}{1,2}|\p{Emoji_Modifier})[\p{M}\p{Emoji_Modifier}\u{E0020}-\u{E007F}]*`
const emoji = new RegExp(String.raw`[0-9#*]\uFE0F?\u20E3|${pictograph}(?:\u200D${pictograph})*`, 'gu')

const marks = /(^| )\p{M}+|\p{M}+/gu

// Assigned, visible characters whose cells terminals count differently: measured between string-width 8 (Ink's measure)
// and xterm's tables of Unicode 6 and Unicode 11. By block: Arabic end of ayah; letters that join the one after them
// (Unicode's Prepend) or the one before (Thai and Lao AM, halfwidth voicing marks); conjoining jamo; trigrams and
// hexagrams; CJK strokes, description characters and circled numbers; Kirat Rai; Tangut, Khitan and Nushu; kana
// extensions; Tai Xuan Jing and counting rods; squared and enclosed ideographs.
const doubtful =
  String.raw`\u06DE\u0D4E\u{111C2}\u{111C3}\u{113D1}\u{1193F}\u{11941}\u{11A84}-\u{11A89}\u{11D46}\u{11F02}` +
  String.raw`\u0E33\u0EB3\uFF9E\uFF9F\u1100-\u11FF\uA960-\uA97C\uD7B0-\uD7FB\u2630-\u2637\u268A-\u268F\u4DC0-\u4DFF` +
  String.raw`\u2FFC-\u2FFF\u31BB-\u31BF\u31E4\u31E5\u31EF\u3248-\u324F\u{16D40}-\u{16D7F}\u{16FE0}-\u{18DFF}` +
  String.raw`\u{1AFF0}-\u{1B2FF}\u{1D300}-\u{1D37F}\u{1F200}-\u{1F2FF}\u{1F93B}\u{1F946}`
const unprintable = new RegExp(String.raw`[\p{C}\p{Default_Ignorable_Code_Point}${doubtful}]`, 'gu')

function standIn(character: string): string {
  const code = character.charCodeAt(0)
  if (code < 0x20) return String.fromCharCode(0x2400 + code)
  return code === 0x7f ? '\u2421' : '·'
}

// Half of a character that takes two code units. Gone first: what stands between two halves may be dropped, and they would be one.
const loneSurrogate = /\p{Cs}/gu

// Expects blanks already made spaces.
function withStandIns(text: string): string {
  return text
    .replace(loneSurrogate, '·')
    .replace(emoji, '□')
    .replace(marks, (_, before?: string) => (before === undefined ? '' : `${before}·`))
    .replace(unprintable, standIn)
}

/**
 * The one sanitiser: any text as one line that a terminal can only draw, in as many cells as width() says. Idempotent.
 *
 * Line breaks, tabs and runs of blanks become one space. Control characters become their pictures (ESC is ␛, DEL ␡). An emoji
 * becomes □, whatever it is built of. Combining marks that NFC can't compose, and variation selectors, are dropped from
 * their letter; with no letter before them they become one ·. All else that is invisible, reorders text, has no agreed
 * meaning (lone surrogates, private use, unassigned) or no agreed width becomes ·. null and undefined give ''.
 */
export function drawable(text: Untrusted | string | null | undefined): string {
  const given = (text ?? '') as string
  if (!/[^\x20-\x7e]| {2}/.test(given)) return given
  return withStandIns(given.normalize('NFC').replace(blanks, ' '))
}

/** As drawable(), for statements: a line break or tab within a name stands as its picture, so that it can be told from a space. */
export function exact(text: Untrusted | string): string {
  return drawable((text as string).replace(/[\t-\r]/g, standIn))
}

const tabStop = 8

/**
 * Text for a pane of its own: line breaks and indentation stay, tabs go to the next multiple of 8, everything else is as in
 * drawable(). With a width (cells, at least 2), longer lines continue on the next, broken at a blank where there is one. null gives [].
 */
export function drawableLines(text: Untrusted | string | null | undefined, cells?: number): string[] {
  if (text === null || text === undefined) return []
  const lines = (text as string).split(lineBreak).map(line => {
    let out = ''
    for (const [index, piece] of line.split('\t').entries()) {
      if (index > 0) out += ' '.repeat(tabStop - (width(out) % tabStop))
      out += withStandIns(piece.normalize('NFC').replace(blank, ' '))
    }
    return out.trimEnd()
  })
  return cells === undefined ? lines : lines.flatMap(line => wrap(line, Math.max(2, cells)))
}

function wrap(line: string, cells: number): string[] {
  const out: string[] = []
  let rest = line
  while (width(rest) > cells) {
    const head = cut(rest, cells)
    // A break inside the indentation would give an empty line.
    const at = rest[head.length] === ' ' ? head.length : head.lastIndexOf(' ')
    const end = at > 0 && head.slice(0, at).trim() !== '' ? at : head.length
    out.push(rest.slice(0, end).trimEnd())
    rest = rest.slice(end).trimStart()
  }
  out.push(rest)
  return out
}

// One cell each, whatever stands beside them: Latin, Greek, Cyrillic, punctuation, arrows, control pictures, box drawing.
const notSingle =
  /[^\x20-\x7e\xa1-\xac\xae-\u02ff\u0370-\u0377\u0391-\u03a1\u03a3-\u03ff\u0400-\u0482\u2010-\u2027\u2190-\u21ff\u2400-\u2426\u2500-\u25fc]/

/** Cells of a drawable text on the terminal. */
export function width(text: string): number {
  return notSingle.test(text) ? stringWidth(text) : text.length
}

// The longest beginning of a drawable text that fits. In a drawable text every code point stands alone.
function cut(text: string, cells: number): string {
  if (!notSingle.test(text)) return text.slice(0, Math.max(0, cells))
  let used = 0
  let end = 0
  for (const character of text) {
    used += width(character)
    if (used > cells) break
    end += character.length
  }
  return text.slice(0, end)
}

/**
 * A drawable text in exactly this many cells: padded with spaces on the other side of `align`, or cut at its end with `more` as the
 * last character. A wide character is never split: a space takes the cell it leaves. asciiOnly() turns … into ~ later, at the same width.
 */
export function fit(text: string, cells: number, align: 'left' | 'right' = 'left', more: '…' | '~' = '…'): string {
  if (cells <= 0) return ''
  const all = width(text)
  const shown = all <= cells ? text : cut(text, cells - 1) + more
  const padding = ' '.repeat(cells - (all <= cells ? all : width(shown)))
  return align === 'left' ? shown + padding : padding + shown
}

/** Drawable, and cut with … where it is longer: for a name in a sentence that has more to say than the name. */
export function short(text: Untrusted | string, cells: number): string {
  const all = drawable(text)
  return width(all) <= cells ? all : fit(all, cells).trimEnd()
}

const asciiFor = new Map(
  Object.entries({
    '–': '-',
    '…': '~',
    '·': '.',
    '│': '|',
    '─': '-',
    '└': '`',
    '├': '|',
    '┌': '.',
    '┐': '.',
    '┘': "'",
    '┤': '|',
    '┬': '-',
    '┴': '-',
    '┼': '+',
    '▸': '>',
    '▾': 'v',
    '●': '*',
    '○': 'o',
    '▲': '^',
    '▼': 'v',
    '↵': '\\',
    '≤': '<',
    '≥': '>',
    '×': 'x',
    '→': '>',
    '←': '<',
    '↑': '^',
    '↓': 'v',
    µ: 'u',
    μ: 'u',
    '□': '?',
    '▏': '|',
    '▌': '|',
    '▁': '_',
    '▂': '.',
    '▃': '-',
    '▄': '=',
    '▅': '+',
    '▆': '*',
    '▇': '%',
    '█': '#',
  }),
)

/** A drawable text, or our own chrome, for a terminal without UTF-8: the same number of cells, ASCII alone. Unknown: ?, wide: ??. */
export function asciiOnly(text: string): string {
  return text.replace(/[^\x20-\x7e]/gu, character => asciiFor.get(character) ?? '?'.repeat(width(character)))
}
