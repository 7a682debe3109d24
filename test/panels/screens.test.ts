// Whole screens, drawn from hand-made samples: golden ones to be read, and what holds of every screen whatever stands on it.

process.env.TZ = 'UTC'

import { join } from 'node:path'
import stringWidth from 'string-width'
import { describe, expect, test } from 'vitest'
import { panels } from '../../src/panels/index.ts'
import type { State, View } from '../../src/store/state.ts'
import { freshListView } from '../../src/store/store.ts'
import { screen } from '../../src/ui/screen.ts'
import { type Line, paint, plain } from '../../src/ui/spans.ts'
import { goldenLeftOver, goldenText, goldenTrouble } from '../support/golden.ts'
import { type Condition, scene } from '../support/scene.ts'
import type { Words } from '../support/scene-rows.ts'
import { start } from '../support/scene-rows.ts'
import { noon, stateOf } from '../support/state.ts'

const conditions: readonly Condition[] = ['normal', 'empty', 'unavailable', 'stale']
const sizes = [
  [80, 24],
  [120, 40],
  [200, 50],
] as const

const draw = (state: State) => screen(state, { tops: {} })
const viewed = (state: State, change: Partial<View>): State => ({ ...state, view: { ...state.view, ...change } })

type Golden = { readonly name: string; readonly state: () => State }

const golden: readonly Golden[] = [
  ...panels.flatMap(({ id }) =>
    conditions.flatMap(condition =>
      sizes.map(([columns, rows]) => ({
        name: `${id}-${condition}-${columns}x${rows}`,
        state: () => scene(condition, id, columns, rows),
      })),
    ),
  ),
  ...panels.map(({ id }) => ({ name: `${id}-detail-80x24`, state: () => viewed(scene('normal', id, 80, 24), { detail: true }) })),
  ...panels.flatMap(({ id, lists }) =>
    lists.slice(1).map(list => ({
      name: `${id}-${list.id}-80x24`,
      state: () => viewed(scene('normal', id, 80, 24), { list: { [id]: list.id } }),
    })),
  ),
  {
    name: 'activity-detail-gone-80x24',
    state: () =>
      viewed(scene('normal', 'activity', 80, 24), {
        detail: true,
        perList: { activity: { ...freshListView, selectedId: '99999' } },
      }),
  },
  { name: 'help-80x24', state: () => viewed(scene('normal', 'activity', 80, 24), { dialog: { kind: 'help', top: 0 } }) },
  {
    name: 'sort-menu-80x24',
    state: () => viewed(scene('normal', 'activity', 80, 24), { dialog: { kind: 'menu', menu: 'sort', index: 2, typed: '' } }),
  },
  {
    name: 'filter-tags-hold-80x24',
    state: () => {
      const state = scene('normal', 'activity', 80, 24)
      const perList = { activity: { ...freshListView, filter: 'check', tagged: [`7301 ${start}`], selectedId: `7302 ${start}` } }
      const held = { at: noon - 5000, servers: state.servers }
      return { ...viewed(state, { perList, prompt: { kind: 'find', text: 'upd' } }), held }
    },
  },
  { name: 'no-server-80x24', state: () => viewed(stateOf([]), { size: { columns: 80, rows: 24 } }) },
]

const folder = join(import.meta.dirname, 'golden')

describe('golden screens', () => {
  test.each(golden)('$name', ({ name, state }) => {
    const trouble = goldenTrouble(join(folder, `${name}.txt`), goldenText(draw(state())))
    if (trouble) expect.fail(trouble)
  })

  test('no file is left of a screen that is gone', () => {
    expect(
      goldenLeftOver(
        folder,
        golden.map(({ name }) => `${name}.txt`),
      ),
    ).toEqual([])
  })
})

/** Everything that acts on a terminal, hides, or turns text round, in any form that could have got through. */
const acting =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e007f}]|\p{Cs}|\p{Co}/u

function expectWhole(lines: readonly Line[], columns: number, rows: number, what: string) {
  expect(lines, what).toHaveLength(rows)
  for (const line of lines) {
    const text = plain(line)
    expect(acting.test(text), `${what}: ${JSON.stringify(text)}`).toBe(false)
    if (stringWidth(text) !== columns)
      expect.fail(`${what}: ${stringWidth(text)} cells instead of ${columns}: ${JSON.stringify(text)}`)
  }
}

const hostile = [
  '\u001b]0;owned\u0007\u001b]52;c;cm0gLXJm\u0007',
  '\u001b[2J\u001b[31mred\u001b[8m',
  '\u009b2J\u0090q\u009c\u0085',
  'two\nlines\r\nand\ttabs\u2028and\u2029more',
  '\u202eright to left\u202c \u2066isolate\u2069 שלום مرحبا',
  '👩‍👩‍👧‍👦🇩🇪1️⃣❤️👍🏽',
  '漢字テーブル한글',
  'e\u0301\u0302\u0303\u0304 a\u0300 \u0301alone',
  '\ud800lone \ufeff\u200b\u200d zero \u{e0041} tag \ue0b0',
  'กำ क्षि',
  '\u001b',
  '\u001b]0;unterminated',
  ' '.repeat(300),
  'x'.repeat(3000),
]

const bad = (n: number): Words => {
  const word = (i: number) => `${hostile[(n + i) % hostile.length]}`
  return { user: word(0), database: word(1), application: word(2), query: `${word(3)} ${hostile.join(' ')}`, table: word(4) }
}

describe('hostile text from servers', () => {
  for (const panel of panels) {
    test(`on ${panel.id}: no line is longer or shorter, nothing reaches the terminal but text and our own colours`, () => {
      hostile.forEach((_, n) => {
        for (const [columns, rows] of [
          [80, 24],
          [133, 43],
          [200, 50],
        ] as const) {
          for (const list of panel.lists) {
            for (const detail of [false, true]) {
              const state = viewed(scene('normal', panel.id, columns, rows, bad(n)), { detail, list: { [panel.id]: list.id } })
              const lines = draw(state)
              expectWhole(lines, columns, rows, `${list.id} ${columns}x${rows} ${n}`)
              const painted = lines.map(line => paint(line, { color: true, ascii: false })).join('')
              expect(painted.replace(/\u001b\[[\d;]*m/g, '')).toBe(lines.map(plain).join(''))
              expect(lines.map(line => paint(line, { color: false, ascii: true })).join('')).toMatch(/^[\u001b\x20-\x7e]*$/)
            }
          }
        }
      })
    })
  }

  test('what the user typed or pasted is no better', () => {
    for (const text of hostile) {
      const perList = { activity: { ...freshListView, filter: text } }
      const state = viewed(scene('normal', 'activity', 80, 24), { perList, prompt: { kind: 'filter', text } })
      expectWhole(draw(state), 80, 24, text)
      expectWhole(
        draw(viewed(state, { prompt: null, dialog: { kind: 'menu', menu: 'palette', index: 0, typed: text } })),
        80,
        24,
        text,
      )
    }
  })

  test('a name of a server or cluster from the command line is no better', () => {
    for (const text of hostile) {
      const state = stateOf([{ id: text }, { id: `${text}2`, kind: 'pgbouncer' }], noon, { cluster: text })
      for (const panel of panels) expectWhole(draw(viewed(state, { panel: panel.id })), 80, 24, text)
    }
  })
})

describe('any size', () => {
  const variants: readonly ((state: State) => State)[] = [
    state => state,
    state => viewed(state, { detail: true, detailTop: 3 }),
    state => viewed(state, { dialog: { kind: 'help', top: 1000 } }),
    state => viewed(state, { dialog: { kind: 'menu', menu: 'palette', index: 30, typed: '' } }),
    state =>
      viewed(state, {
        prompt: { kind: 'filter', text: 'x'.repeat(100) },
        message: { text: 'y'.repeat(300), tone: 'ok', until: noon + 1 },
      }),
    state =>
      viewed(state, {
        message: { text: 'y'.repeat(300), tone: 'ok', until: noon + 1 },
        perList: { pools: { ...freshListView, filter: 'shop' } },
      }),
  ]

  test('from 1x1 to 60x30, and 500x200: as many lines as rows, each as wide as the screen', () => {
    let n = 0
    for (let columns = 1; columns <= 60; columns++) {
      for (let rows = 1; rows <= 30; rows++) {
        const panel = panels[n % panels.length]!
        const condition = conditions[n % conditions.length]!
        const state = variants[n % variants.length]!(scene(condition, panel.id, columns, rows))
        expectWhole(draw(state), columns, rows, `${panel.id} ${condition} ${columns}x${rows} ${n % variants.length}`)
        n++
      }
    }
    for (const panel of panels)
      for (const variant of variants) expectWhole(draw(variant(scene('normal', panel.id, 500, 200))), 500, 200, panel.id)
  })

  test('20x5 says that it is too small', () => {
    expect(draw(scene('normal', 'activity', 20, 5)).map(line => plain(line).trim())).toEqual([
      'too small:',
      '20x5, needs',
      '40x10',
      '',
      '',
    ])
  })

  test('with many servers the table still has room', () => {
    const servers = Array.from({ length: 40 }, (_, i) => ({
      id: `server-${i}`,
      kind: i % 3 === 0 ? ('pgbouncer' as const) : ('postgres' as const),
    }))
    for (const [columns, rows] of [
      [80, 24],
      [40, 10],
      [200, 50],
    ] as const) {
      const lines = draw(viewed(stateOf(servers), { size: { columns, rows } }))
      expectWhole(lines, columns, rows, `${columns}x${rows}`)
      expect(lines.some(line => line.some(({ look }) => look === 'header'))).toBe(true)
      expect(lines.some(line => line.some(({ look }) => look === 'tab'))).toBe(true)
    }
  })
})
