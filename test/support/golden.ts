// Golden screens: a file a screen, its text and below it a letter a cell for the looks, so that a change of either is read like prose.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { width } from '../../src/model/untrusted.ts'
import { type Line, type Look, plain } from '../../src/ui/spans.ts'

const letters: Readonly<Record<Look, string>> = {
  dim: 'd',
  ok: 'o',
  warning: 'w',
  critical: 'c',
  accent: 'a',
  title: 'T',
  header: 'h',
  bar: 'b',
  off: 'x',
  selected: 's',
  tab: 't',
  strong: 'S',
}

/** The text of a screen and the map of its looks. Blanks at the ends of lines are left off. */
export function goldenText(lines: readonly Line[]): string {
  const looks = lines.map(line => line.map(({ text, look }) => (look ? letters[look] : ' ').repeat(width(text))).join(''))
  const legend = Object.entries(letters).map(([look, letter]) => `${letter} ${look}`)
  return [...lines.map(plain), `--- ${legend.join(', ')}`, ...looks]
    .map(line => line.trimEnd())
    .join('\n')
    .concat('\n')
}

/**
 * What differs between a screen and its file, as a message; null when nothing does. With UPDATE_GOLDEN=1 in the environment the file is
 * written instead.
 */
export function goldenTrouble(file: string, text: string): string | null {
  if (process.env.UPDATE_GOLDEN === '1') {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    return null
  }
  const how = 'UPDATE_GOLDEN=1 npm run test:fast writes it anew: read the difference before you commit it'
  if (!existsSync(file)) return `${file} is not there. ${how}.`
  const [before, now] = [readFileSync(file, 'utf8').split('\n'), text.split('\n')]
  const differing = Array.from({ length: Math.max(before.length, now.length) }, (_, i) => i).filter(i => before[i] !== now[i])
  if (differing.length === 0) return null
  const told = differing.flatMap(i => [`${i + 1} - ${before[i] ?? '(no line)'}`, `${i + 1} + ${now[i] ?? '(no line)'}`])
  return [`${file} differs from the screen (- the file, + the screen). ${how}.`, ...told].join('\n')
}

/** Files in a folder that no screen of the given names belongs to. */
export function goldenLeftOver(folder: string, names: readonly string[]): readonly string[] {
  return readdirSync(folder).filter(file => !names.includes(file))
}
