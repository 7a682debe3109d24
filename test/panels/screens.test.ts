// Whole screens, drawn from hand-made samples: golden ones to be read, and what holds of every screen whatever stands on it.

process.env.TZ = 'UTC'

import { join } from 'node:path'
import stringWidth from 'string-width'
import { describe, expect, test } from 'vitest'
import { actionById, actions } from '../../src/actions/index.ts'
import { ask, judge, keysAreThrough } from '../../src/deeds.ts'
import { drawable, untrusted } from '../../src/model/untrusted.ts'
import { panels } from '../../src/panels/index.ts'
import type { AnyRow } from '../../src/panels/panel.ts'
import { activity } from '../../src/sql/activity.ts'
import type { Confirm, Frozen, Link, OwnPause, State, Subject, View, Work, WorkItem } from '../../src/store/state.ts'
import { createAppStore, freshListView } from '../../src/store/store.ts'
import { addEvents, receive } from '../../src/store/updates.ts'
import { screen } from '../../src/ui/screen.ts'
import { type Line, paint, plain } from '../../src/ui/spans.ts'
import {
  also,
  cluster,
  doable,
  inFocus,
  later,
  listNamed,
  pooler,
  possible,
  primary,
  subjectFor,
  without,
} from '../support/doable.ts'
import { goldenLeftOver, goldenText, goldenTrouble } from '../support/golden.ts'
import { type Condition, scene } from '../support/scene.ts'
import type { Words } from '../support/scene-rows.ts'
import { plainWords, start } from '../support/scene-rows.ts'
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

/** With the question of an action open; `change` what it holds. */
function asking(state: State, actionId: string, subject: Subject, change: Partial<Confirm> = {}): State {
  const store = createAppStore(state)
  ask(
    { store, begin: () => {}, trailTrouble: () => null, settled: then => then(), poke: () => {} },
    actionById(actionId)!,
    subject,
  )
  keysAreThrough(store)
  const { dialog } = store.getState().view
  if (dialog?.kind !== 'confirm') throw new Error(`${actionId}: ${store.getState().view.message?.text}`)
  return viewed(store.getState(), { dialog: { ...dialog, ...change } })
}

const sized = (state: State, columns: number, rows: number) => viewed(state, { size: { columns, rows } })
const those = (state: State, list: string, is: (row: AnyRow) => boolean): Subject => ({
  list,
  rows: listNamed(list).select(state).rows.filter(is),
  missing: 0,
})
const sessions = (state: State, ...pids: readonly number[]) => those(state, 'activity', row => pids.includes(row.pid as number))
/** The question of an action about its usual row. */
function usual(actionId: string, columns = 80, rows = 24, change: Partial<Confirm> = {}): State {
  const state = sized(inFocus(possible(actionId), actionId), columns, rows)
  return asking(state, actionId, subjectFor(state, actionId), change)
}

const pause = (change: Partial<OwnPause> = {}): OwnPause => ({
  id: 1,
  server: pooler,
  database: untrusted('shop'),
  by: 'PAUSE',
  phase: 'pending',
  since: noon - 12_400,
  deadlineAt: noon + 17_600,
  watches: [],
  ...change,
})
const item = (n: number, change: Partial<WorkItem>): WorkItem => ({
  label: `_hyper_1_${n}_chunk`,
  outcome: null,
  say: '',
  begunAt: null,
  ended: false,
  ...change,
})
const work = (change: Partial<Work>): Work => ({
  id: 1,
  action: 'compress',
  label: 'Compress chunk',
  server: primary,
  items: [],
  queue: true,
  stopping: 'no',
  pid: null,
  watches: [],
  at: noon - 90_000,
  endedAt: null,
  ...change,
})
const locked = 'skipped: locked by somebody for more than 3 s (canceling statement due to lock timeout)'
const queue = work({
  items: [
    item(101, { outcome: 'done', say: 'compressed in 41s', begunAt: noon - 90_000, ended: true }),
    item(102, { outcome: 'skipped', say: locked, begunAt: noon - 49_000, ended: true }),
    item(103, { begunAt: noon - 46_000 }),
    item(104, {}),
    item(105, {}),
  ],
})
const ended = work({
  id: 2,
  action: 'terminate',
  label: 'Terminate session',
  queue: false,
  items: [
    item(1, {
      label: 'pid 7301',
      outcome: 'still there',
      say: 'signal sent, still there after 4.0s: it has not obeyed yet',
      ended: true,
    }),
  ],
  endedAt: noon - 2000,
})
/** pid 7401 of the scene: it waits for an old snapshot. */
const reindexing = work({
  action: 'reindexTable',
  label: 'REINDEX TABLE',
  pid: 7401,
  items: [item(0, { label: 'public.orders', begunAt: noon - 61_000 })],
})
const left = {
  indexrelid: 21_006n,
  indrelid: 20_001n,
  qualified: untrusted('public.orders_status_ccnew'),
  indexrelname: untrusted('orders_status_ccnew'),
  table_qualified: untrusted('public.orders'),
  indisready: true,
}
const reindexed = work({
  action: 'reindexTable',
  label: 'REINDEX TABLE',
  items: [
    item(0, {
      label: 'public.orders',
      outcome: 'failed',
      say: 'cancelled after 1m01s; left behind invalid: public.orders_status_ccnew',
      begunAt: noon - 61_000,
      ended: true,
      left: [left.indexrelid],
    }),
  ],
  endedAt: noon - 1000,
})
const under = (state: State, pauses: readonly OwnPause[], works: readonly Work[]): State => ({ ...state, pauses, works })

/** The questions before deeds, and what is told of deeds under way. */
const deeds: readonly Golden[] = [
  ...sizes.map(([columns, rows]) => ({
    name: `question-terminate-${columns}x${rows}`,
    state: () => {
      const state = sized(cluster(), columns, rows)
      return asking(state, 'terminate', sessions(state, 7301))
    },
  })),
  { name: 'question-cancel-pooled-80x24', state: () => usual('cancel') },
  {
    name: 'question-terminate-three-80x24',
    state: () => {
      const state = cluster()
      return asking(state, 'terminate', sessions(state, 7301, 7302, 7304, 7305))
    },
  },
  {
    name: 'question-gone-80x24',
    state: () => {
      const state = cluster()
      const open = asking(state, 'terminate', sessions(state, 7304))
      return also(without(primary, activity, { pid: 7304 }), later(1000))(open)
    },
  },
  { name: 'question-drop-slot-80x24', state: () => usual('dropSlot', 80, 24, { typed: 'old_re' }) },
  { name: 'question-kill-80x24', state: () => usual('kill', 80, 24, { note: 'Enter does nothing here: type shop' }) },
  { name: 'question-vacuum-full-80x24', state: () => usual('vacuumFull') },
  {
    name: 'question-vacuum-denied-80x24',
    state: () =>
      asking(
        cluster(),
        'vacuumAnalyze',
        those(cluster(), 'tables', row => row.relid === 20_003n),
      ),
  },
  { name: 'question-reindex-80x24', state: () => usual('reindexTable') },
  {
    name: 'question-reindex-hypertable-120x40',
    state: () =>
      asking(
        cluster('activity', plainWords, 120, 40),
        'vacuumAnalyze',
        those(cluster(), 'tables', row => row.hypertable === true),
      ),
  },
  { name: 'question-drop-index-80x24', state: () => usual('dropIndex', 80, 24, { typed: 'orders_status' }) },
  { name: 'reindex-waits-120x40', state: () => under(cluster('activity', plainWords, 120, 40), [], [reindexing]) },
  {
    name: 'reindex-left-80x24',
    state: () => ({ ...under(cluster(), [], [reindexed]), leftIndexes: [{ ...left, server: primary }] }),
  },
  { name: 'question-pause-80x24', state: () => usual('pause', 80, 24, { seconds: '45' }) },
  { name: 'question-compress-80x24', state: () => compressing(5) },
  { name: 'question-exact-bloat-80x24', state: () => usual('exactBloat') },
  {
    name: 'question-no-trail-80x24',
    state: () =>
      usual('reload', 80, 24, { trailTrouble: "the audit trail /var/lib/x/pgvigil/audit.jsonl can't be written (EACCES)" }),
  },
  {
    name: 'quit-80x24',
    state: () =>
      viewed(
        under(
          cluster('pools'),
          [
            pause({ phase: 'in force' }),
            pause({ id: 2, by: 'KILL', phase: 'in force', database: untrusted('crm'), deadlineAt: null }),
          ],
          [queue],
        ),
        {
          dialog: { kind: 'quit', code: 0 },
        },
      ),
  },
  {
    name: 'act-menu-80x24',
    state: () => {
      const state = cluster('locks')
      const subject = those(state, 'locks', row => row.pid === 7301)
      return viewed(state, { dialog: { kind: 'menu', menu: 'act', index: 0, typed: '', subject } })
    },
  },
  { name: 'works-80x24', state: () => under(cluster('chunks'), [pause()], [ended, queue]) },
  {
    name: 'works-paused-80x24',
    state: () =>
      under(
        cluster('pools'),
        [
          pause({ phase: 'in force', database: null }),
          pause({ id: 2, by: 'KILL', phase: 'in force', database: untrusted('crm'), deadlineAt: null }),
        ],
        [],
      ),
  },
]

/** Something has just happened, on a pane of its own. */
function news(condition: Condition, columns: number, rows: number): State {
  const store = createAppStore(scene(condition, 'activity', columns, rows))
  addEvents(store, [
    { at: noon - 3000, server: primary, kind: 'crash', level: 'critical', say: 'server crashed, sessions reset' },
    { at: noon - 1000, server: primary, kind: 'back', level: 'ok', say: 'back, recovery took 1.9 s' },
    { at: noon - 500, server: primary, kind: 'reload', level: 'info', say: 'configuration reloaded' },
  ])
  return store.getState()
}

/** The primary was stopped twelve seconds ago. */
function down(state: State): State {
  const there = { ...state.servers[primary]!, lastAnswerAt: noon - 12_300 }
  const store = createAppStore({ ...state, servers: { ...state.servers, [primary]: there } })
  const ended = 'terminating connection due to administrator command'
  const refused = 'nothing listens at pg1 port 5432 (connection refused)'
  const heard = (link: Link) => receive(store, { kind: 'link', server: primary, link })
  heard({ state: 'connecting', word: 'CONNECTING', since: noon - 12_000, why: ended, code: '57P01' })
  heard({ state: 'down', word: 'DOWN', since: noon - 11_950, why: refused, code: 'ECONNREFUSED' })
  return store.getState()
}

function compressing(count: number): State {
  const state = cluster('chunks')
  const all = those(state, 'chunks', row => row.is_compressed === false)
  return asking(state, 'compress', { ...all, rows: all.rows.slice(0, count) })
}

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
  ...sizes.map(([columns, rows]) => ({ name: `news-${columns}x${rows}`, state: () => news('normal', columns, rows) })),
  { name: 'news-quiet-80x24', state: () => news('empty', 80, 24) },
  {
    name: 'servers-down-80x24',
    state: () => {
      const state = down(scene('normal', 'activity', 80, 24))
      return viewed(state, { dialog: { kind: 'servers', top: 0 } })
    },
  },
  { name: 'events-down-120x40', state: () => down(scene('normal', 'events', 120, 40)) },
  { name: 'no-server-80x24', state: () => viewed(stateOf([]), { size: { columns: 80, rows: 24 } }) },
  ...deeds,
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

describe('questions at 80x24', () => {
  const text = (state: State) => draw(state).map(plain)

  test.each(actions.map(({ id }) => id))('%s: the keys that answer it are told whole', id => {
    const lines = text(usual(id))
    expect(lines.slice(-3).join('\n')).toMatch(/Esc leaves it alone *$/m)
  })

  test('of each of a set one sees how old its query is, and which', () => {
    const lines = text(golden.find(({ name }) => name === 'question-terminate-three-80x24')!.state())
    for (const [pid, query] of [
      [7301, /7m11s +UPDATE s/],
      [7302, /4m12s +UPDATE s/],
      [7304, /1h02m +SELECT d/],
    ] as const) {
      expect(lines.find(line => line.includes(` ${pid} `))).toMatch(query)
    }
  })

  test('of each chunk of a set one sees its size', () => {
    expect(text(compressing(5)).filter(line => /_hyper_1_10\d_chunk .* \d\.\d GB/.test(line))).toHaveLength(5)
  })

  test('what would be left behind is told whole before leaving', () => {
    const lines = text(golden.find(({ name }) => name === 'quit-80x24')!.state())
    expect(lines.join('\n')).toMatch(/after\s+KILL\s+only\s+RESUME\s+by\s+hand\s+ends\s+it/)
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

  /** Whatever can be done to rows of a list in such a state, asked for all of them, or for the first where it takes one. */
  const questions = (state: State): readonly (readonly [string, State])[] =>
    actions.flatMap(action => {
      const { list, given = (same: State) => same } = doable[action.id]!
      const ready = given(state)
      const all = those(ready, list, () => true)
      const able = all.rows.filter(row => !('why' in judge(action, { ...all, rows: [row] }, ready)))
      const notGrave = able.filter(row => action.words(action.freeze(row, ready) as Frozen, ready) === null)
      const several = action.takes === 'one' || notGrave.length === 0 ? able.slice(0, 1) : notGrave
      return several.length === 0 ? [] : [[action.id, asking(ready, action.id, { ...all, rows: several })]]
    })

  test('in questions: before a deed and before leaving, in the menu, in what is told of deeds and pauses', () => {
    const seen = new Set<string>()
    hostile.forEach((text, n) => {
      const [columns, rows] = n % 2 === 0 ? ([80, 24] as const) : ([133, 43] as const)
      const state = cluster('activity', bad(n), columns, rows)
      const change = { typed: text, leftOut: [{ label: drawable(text), why: drawable(text) }], trailTrouble: drawable(text) }
      const asked = questions(state).flatMap(([id, open]): [string, State][] => {
        const dialog = open.view.dialog as Confirm
        return [0, 1000].map(top => [id, viewed(open, { dialog: { ...dialog, ...change, top } })])
      })
      const told = under(
        state,
        [pause({ database: untrusted(text) }), pause({ id: 2, by: 'KILL', database: untrusted(text), deadlineAt: null })],
        [
          {
            ...queue,
            server: text,
            items: [item(1, { label: drawable(text), say: drawable(text), outcome: 'failed', ended: true })],
          },
        ],
      )
      const subject = those(state, 'locks', () => true)
      const menus = [subject.rows.slice(0, 1), subject.rows.slice(-1)].map((chosen): [string, State] => [
        'menu',
        viewed(state, { dialog: { kind: 'menu', menu: 'act', index: 0, typed: text, subject: { ...subject, rows: chosen } } }),
      ])
      const quitting = viewed(told, { dialog: { kind: 'quit', code: 0 } })
      for (const [what, drawn] of [...asked, ...menus, ['told', told], ['quit', quitting]] as [string, State][]) {
        seen.add(what)
        const lines = draw(drawn)
        expectWhole(lines, columns, rows, `${what} ${columns}x${rows} ${n}`)
        const painted = lines.map(line => paint(line, { color: true, ascii: false })).join('')
        expect(painted.replace(/\u001b\[[\d;]*m/g, '')).toBe(lines.map(plain).join(''))
      }
    })
    // Hostile names keep some from being possible (a database of that name is not found), in no case the sessions'.
    expect([...seen]).toEqual(
      expect.arrayContaining(['cancel', 'terminate', 'commitPrepared', 'compress', 'pause', 'kill', 'killClient']),
    )
    expect(seen.size).toBeGreaterThan(20)
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
    // Also where what they are about is no longer known.
    ...actions.map(({ id }) => {
      const { dialog } = usual(id, 80, 24, { note: 'z'.repeat(100), top: 3 }).view
      return (state: State) => viewed(state, { dialog })
    }),
    state => under(state, [pause(), pause({ id: 2, by: 'KILL', deadlineAt: null })], [ended, queue]),
    state => viewed(under(state, [pause()], [queue]), { dialog: { kind: 'quit', code: 0 } }),
    state => {
      const subject = those(cluster(), 'pools', () => true)
      return viewed(state, { dialog: { kind: 'menu', menu: 'act', index: 6, typed: '', subject } })
    },
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
  }, 30_000)

  test('from 40 columns on the tabs name the chosen pane, all keys and the server in focus', () => {
    for (const panel of panels)
      for (let columns = 40; columns <= 160; columns++) {
        const lines = draw(scene('normal', panel.id, columns, 24)).map(plain)
        const tabs = lines.find(line => line.includes(`${panel.key} ${panel.title}`)) ?? ''
        expect(tabs, `${panel.id} ${columns}`).toMatch(panel.scope === 'server' ? /@ pg1:5432$/ : /^1/)
        expect(tabs.split('@')[0]!.match(/\b\d\b/g), `${panel.id} ${columns}`).toEqual(panels.map(({ key }) => key))
      }
    const of = (columns: number) => plain(draw(scene('normal', 'locks', columns, 24))[5]!)
    expect([of(80), of(60), of(40)]).toMatchInlineSnapshot(`
      [
        "1 Act… 2 Locks 3 Rep… 4 Chu… 5 Poo… 6 Tab… 7 Pro… 9 Hea… 0 Eve…       @ pg1:5432",
        "1 2 Locks 3 4 5 6 7 9 0                           @ pg1:5432",
        "1 2 Locks 3 4 5 6 7 9 0       @ pg1:5432",
      ]
    `)
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
