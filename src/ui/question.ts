// The question before a deed: where, to whom, what follows, the exact SQL; and at its foot what answers it. And the question before
// leaving what is not finished.

import { type Asked, asked } from '../deeds.ts'
import { ageMs } from '../model/format.ts'
import { drawable, drawableLines, exact, fit, short, width } from '../model/untrusted.ts'
import type { State } from '../store/state.ts'
import { fitLine, type Line, span } from './spans.ts'

const indent = 11

/** Exactly so many lines. What is longer scrolls; head and foot stay. */
export function question(state: State, columns: number, height: number): readonly Line[] {
  const now = asked(state)
  if (!now) return Array.from({ length: height }, () => fitLine([], columns))
  const foot = footLines(now, columns)
  const all = bodyLines(now, state, columns)
  const room = Math.max(1, height - 1 - foot.length)
  const top = Math.max(0, Math.min(now.confirm.top, all.length - room))
  const shown = all.slice(top, top + room)
  while (shown.length < room) shown.push(fitLine([], columns))
  const more =
    all.length > room ? `lines ${top + 1}-${Math.min(all.length, top + room)} of ${all.length}, Up and Down scroll  ` : ''
  const title = ` ${titleOf(now)}`
  const head = `${fit(title, Math.max(0, columns - width(more)))}${more}`
  return [fitLine([span(head, 'header')], columns, 'header'), ...shown, ...foot].slice(0, height)
}

function titleOf({ action, confirm }: Asked): string {
  const { targets } = confirm
  return targets.length === 1 ? `${action.label}: ${targets[0]!.label}?` : `${action.label}: ${targets.length} of them?`
}

function bodyLines(now: Asked, state: State, columns: number): Line[] {
  const { confirm, question: asking, sql, gone } = now
  const { server, role } = confirm.targets[0]!
  const user = state.servers[server]?.user ?? ''
  const cells = columns - indent - 1
  const named = (name: string, lines: readonly Line[]): Line[] =>
    lines.map((line, i) => fitLine([span(` ${fit(i === 0 ? name : '', indent - 1)}`, 'dim'), ...line], columns))
  const wrapped = (text: string, look?: Parameters<typeof span>[1]) => drawableLines(text, cells).map(line => [span(line, look)])
  const vanished =
    gone === 0
      ? []
      : named(
          'now',
          wrapped(
            confirm.targets.length === 1 ? 'already gone: it ended while this question was open' : `${gone} of them already gone`,
            'warning',
          ),
        )
  return [
    ...named('server', [
      [span(`${drawable(server)}  `), span(role ?? 'postgres', 'strong'), span(`  as ${drawable(user)}`, 'dim')],
    ]),
    ...vanished,
    ...named(confirm.targets.length === 1 ? 'who' : 'whom', hitLines(asking.head, asking.hit, cells, confirm.targets.length)),
    ...named(
      'follows',
      asking.follows.flatMap(({ text, tone }) => wrapped(text, tone)),
    ),
    ...named(
      'left out',
      confirm.leftOut.flatMap(({ label, why }) => wrapped(`${label}: ${why}`, 'warning')),
    ),
    ...named(
      'SQL',
      sql.flatMap(text => wrapped(exact(text))),
    ),
    ...named(
      'trail',
      confirm.trailTrouble === null ? [] : wrapped(`${confirm.trailTrouble}: it will be done without`, 'warning'),
    ),
  ]
}

/** One target: its facts, then what it runs. Several, or what a deed waits for: a table. */
function hitLines(head: readonly string[], hit: readonly (readonly string[])[], cells: number, targets: number): Line[] {
  if (hit.length === 0) return []
  const [only] = hit
  if (hit.length === 1 && targets === 1 && only) {
    const last = head.length - 1
    const isText = head[last] === 'QUERY'
    const told = (i: number) => only[i] !== undefined && only[i] !== '' && only[i] !== '–'
    const facts = head.flatMap((title, i) => (told(i) && !(isText && i === last) ? [`${title.toLowerCase()} ${only[i]}`] : []))
    const text = isText && told(last) ? drawableLines(only[last] as string, cells).slice(0, 4) : []
    return [...packed(facts, cells).map(line => [span(line, 'strong')]), ...text.map(line => [span(line, 'accent')])]
  }
  const widths = columnWidths(head, hit, cells)
  const line = (row: readonly string[]) => row.map((text, i) => (i === row.length - 1 ? text : fit(text, widths[i]!))).join('  ')
  return [[span(fit(line(head), cells), 'dim')], ...hit.map(row => [span(fit(line(row), cells), 'strong')])]
}

/** As wide as their texts; where the last column (a query) would be left without room the widest of the others give way. */
function columnWidths(head: readonly string[], hit: readonly (readonly string[])[], cells: number): readonly number[] {
  const widths = head.map((title, i) => Math.min(48, Math.max(width(title), ...hit.map(row => width(row[i] ?? '')))))
  const others = widths.slice(0, -1)
  const last = Math.min(14, widths.at(-1) ?? 0)
  const spare = () => cells - last - others.reduce((sum, wide) => sum + wide + 2, 0)
  while (spare() < 0) {
    const widest = others.indexOf(Math.max(...others))
    if (widest < 0 || others[widest]! <= 6) break
    others[widest]!--
  }
  return [...others, last]
}

/** Facts side by side, as many in a line as have room; none is broken in two unless it is longer than a line. */
function packed(facts: readonly string[], cells: number): readonly string[] {
  const lines: string[] = []
  for (const fact of facts) {
    const last = lines.at(-1)
    if (last !== undefined && width(last) + 3 + width(fact) <= cells) lines[lines.length - 1] = `${last}   ${fact}`
    else lines.push(...drawableLines(fact, cells))
  }
  return lines
}

function footLines({ confirm, words, gone }: Asked, columns: number): readonly Line[] {
  const over = gone === confirm.targets.length
  const how = over
    ? [span(' already gone: nothing will be done  ', 'warning')]
    : words === null
      ? [span(' y', 'accent'), span(' does it  ')]
      : [span(' type '), span(words.join(' or '), 'accent'), span(` to do it: ${drawable(confirm.typed)}`), span('_  ', 'accent')]
  const lines: readonly Line[] = [
    ...(confirm.note === null ? [] : [[span(` ${confirm.note}`, 'warning')] as Line]),
    ...(confirm.seconds === null
      ? []
      : [
          [
            span(' resume by itself after '),
            span(`${confirm.seconds}_`, 'accent'),
            span(' s  (digits and Backspace)', 'dim'),
          ] as Line,
        ]),
    [...how, span('Esc', 'accent'), span(' leaves it alone')],
  ]
  return lines.map(line => fitLine(line, columns))
}

/** What would be left behind, and the keys that decide. */
export function quitQuestion(state: State, columns: number, height: number): readonly Line[] {
  const { pauses, works, now } = state
  const queues = works.filter(work => work.queue && work.endedAt === null)
  const resumable = pauses.some(({ by }) => by === 'PAUSE')
  const left = pauses.map(({ server, database, by, phase, since }) => {
    const what = database === null ? 'everything' : short(database, 40)
    const word = phase === 'pending' ? 'PAUSE is pending' : 'is PAUSED'
    const resumes = by === 'KILL' ? '; after KILL only RESUME by hand ends it' : ''
    return `${drawable(server)}: ${what} ${word} for ${ageMs(now - since)}, by pgvigil${resumes}`
  })
  const queued = queues.map(
    ({ label, items }) => `${label}: ${items.filter(item => !item.ended).length} of ${items.length} not done yet`,
  )
  const over = pauses.length === 0 && queues.length === 0
  const ends = [...(resumable ? ['resumes it'] : []), ...(queues.length > 0 ? ['cancels what is under way'] : [])]
  const leaves = [
    ...(pauses.length > 0 ? ['leaves it paused'] : []),
    ...(queues.length > 0 ? ['lets the one under way finish'] : []),
  ]
  const keys: readonly (readonly [string, string])[] = [
    ...(ends.length > 0 ? [['r', `${ends.join(', ')} and quits`] as const] : []),
    ['l', over ? 'quits' : `${leaves.join(', ')} and quits`],
    ['Esc', 'stays'],
  ]
  const out = [
    fitLine([span(over ? ' All of it has ended meanwhile. Quit?' : ' Leave what is not finished?', 'header')], columns, 'header'),
    ...[...left, ...queued]
      .flatMap(text => drawableLines(text, Math.max(2, columns - 7)))
      .map(text => fitLine([span(`      ${text}`, 'warning')], columns)),
    fitLine([], columns),
    ...keys.map(([key, text]) => fitLine([span(`  ${fit(key, 4)}`, 'accent'), span(text)], columns)),
  ]
  while (out.length < height) out.push(fitLine([], columns))
  return out.slice(0, height)
}
