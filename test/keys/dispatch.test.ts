// From bytes of a terminal to what the state says afterwards, with the real panes over hand-made samples.

import { beforeEach, describe, expect, test } from 'vitest'
import type { Context } from '../../src/commands.ts'
import { dispatch } from '../../src/keys/dispatch.ts'
import { createKeyParser, type Key } from '../../src/keys/keypress.ts'
import { followSelected } from '../../src/navigate.ts'
import { arrangedRows, listOf, selectedRow, viewOf } from '../../src/panels/shown.ts'
import { activity } from '../../src/sql/activity.ts'
import { showPools } from '../../src/sql/pgbouncer.ts'
import { names, pulse } from '../../src/sql/server.ts'
import type { State } from '../../src/store/state.ts'
import { createAppStore, type Store } from '../../src/store/store.ts'
import * as update from '../../src/store/updates.ts'
import { noon, sampleOf, stateOf } from '../support/state.ts'

type Session = {
  readonly pid: number
  readonly seconds?: number
  readonly query?: string
  readonly leader_pid?: number
  readonly state?: string
}

const sessionRow = ({ pid, seconds = 1, query = 'select 1', leader_pid, state = 'active' }: Session) => ({
  pid,
  leader_pid: leader_pid ?? null,
  backend_type: leader_pid ? 'parallel worker' : 'client backend',
  backend_start: '2026-11-23 11:00:00.123456+00',
  datid: 5n,
  usesysid: 10n,
  application_name: 'web',
  state,
  xact_age_seconds: state === 'idle' ? null : seconds,
  query_age_seconds: seconds,
  state_age_seconds: seconds,
  query,
})

let store: Store
let told: string[]
let pokes: number
let context: Context

function hear(sessions: readonly Session[], at = noon, server = 'a') {
  update.receive(store, { kind: 'sample', sample: sampleOf(activity, sessions.map(sessionRow), { at, server }) })
}

const pool = (database: string, user: string) => ({ database, user, cl_active: 1, cl_waiting: 0, maxwait: 0, maxwait_us: 0 })

beforeEach(() => {
  store = createAppStore(
    stateOf([
      { id: 'a', role: 'primary' },
      { id: 'b', role: 'standby' },
      { id: 'p', kind: 'pgbouncer' },
    ]),
  )
  told = []
  pokes = 0
  context = {
    store,
    quit: code => told.push(`quit ${code}`),
    suspend: () => told.push('suspend'),
    redraw: () => told.push('redraw'),
    copy: text => told.push(`copy ${text}`),
    poke: () => pokes++,
    begin: ({ action, targets }) => told.push(`${action} ${targets.map(({ label }) => label).join(', ')}`),
    stopQueue: () => false,
    unfinished: () => false,
    trailTrouble: () => null,
    settled: then => then(),
    switchCluster: name => told.push(`cluster ${name}`),
  }
  for (const server of ['a', 'b']) {
    const oids = [
      { kind: 'database', oid: 5n, name: 'shop' },
      { kind: 'role', oid: 10n, name: 'app' },
    ]
    update.receive(store, { kind: 'sample', sample: sampleOf(names, oids, { server }) })
    update.receive(store, { kind: 'sample', sample: sampleOf(pulse, [{ own_pid: 1, clients: 4 }], { server }) })
  }
  // By TIME descending: 30, 20, 10.
  hear([
    { pid: 10, seconds: 1, query: 'select ten' },
    { pid: 20, seconds: 2, query: 'select twenty' },
    { pid: 30, seconds: 3, query: 'select thirty' },
  ])
})

const state = (): State => store.getState()
const view = () => viewOf(state(), listOf(state()))
const shown = () => arrangedRows(state(), listOf(state())).items.map(item => Number(item.row.pid))
/** A session's row id begins with its pid. */
const pidOf = (id: string) => Number.parseInt(id, 10)
const cursor = () => selectedRow(state())?.item.row.pid
const message = () => state().view.message?.text

/** Keys by their names; a single character types itself. */
function press(...keys: readonly (string | Key)[]) {
  for (const key of keys)
    dispatch(context, typeof key === 'string' ? { name: key, ...([...key].length === 1 ? { text: key } : {}) } : key)
}

function feed(bytes: string) {
  const parser = createKeyParser(key => dispatch(context, key))
  parser.feed(bytes)
  parser.end()
}

describe('moving', () => {
  test('row by row, by page, to the ends, and never beyond them', () => {
    hear(Array.from({ length: 100 }, (_, i) => ({ pid: 1000 + i, seconds: 1000 - i })))
    const steps: [string, number][] = [
      ['Up', 1000],
      ['Down', 1001],
      ['j', 1002],
      ['k', 1001],
      ['PgDn', 1016],
      ['End', 1099],
      ['PgDn', 1099],
      ['PgUp', 1084],
      ['g', 1000],
      ['G', 1099],
      ['Home', 1000],
    ]
    for (const [key, pid] of steps) {
      press(key)
      expect(cursor(), key).toBe(pid)
    }
  })

  test('a page is what the table shows, less one row', () => {
    update.setSize(store, 80, 50)
    hear(Array.from({ length: 100 }, (_, i) => ({ pid: 1000 + i, seconds: 1000 - i })))
    press('PgDn')
    // 50 lines less title, 3 servers, finding, tabs, heading and function bar leave 42.
    expect(cursor()).toBe(1041)
  })

  test('keys that come in one chunk are taken one by one, whatever they do', () => {
    feed('jj')
    expect(cursor()).toBe(10)
    feed('k\u001b[Ak')
    expect(cursor()).toBe(30)
    feed('/ten\rj')
    expect([shown(), cursor()]).toEqual([[10], 10])
    feed('2\t3')
    expect(state().view.panel).toBe('replication')
  })

  test('an empty list is no trouble', () => {
    hear([])
    press('j', 'PgDn', 'G', 'g', 'k')
    expect(cursor()).toBeUndefined()
  })
})

describe('the selection is of a row, not of a place', () => {
  test('it stays with its row when the order changes', () => {
    press('j')
    expect(cursor()).toBe(20)
    hear([
      { pid: 10, seconds: 9 },
      { pid: 20, seconds: 1 },
      { pid: 30, seconds: 5 },
    ])
    expect([shown(), cursor()]).toEqual([[10, 30, 20], 20])
    press('k')
    expect(cursor()).toBe(30)
  })

  test('when its row is gone the cursor stays where it was, and on the last row when that is gone too', () => {
    press('j')
    hear([
      { pid: 10, seconds: 1 },
      { pid: 30, seconds: 3 },
      { pid: 40, seconds: 0.5 },
    ])
    expect([shown(), cursor()]).toEqual([[30, 10, 40], 10])
    hear([{ pid: 30 }])
    expect(cursor()).toBe(30)
    press('k')
    expect(cursor()).toBe(30)
  })

  test('each pane has its own', () => {
    press('j', '5', '1')
    expect(cursor()).toBe(20)
  })

  test('a pid of another server is somebody else: neither selected nor tagged there', () => {
    hear(
      [
        { pid: 20, seconds: 1 },
        { pid: 99, seconds: 9 },
      ],
      noon,
      'b',
    )
    press('j', 'Space', 'Enter', 'Right')
    expect(state().view).toMatchObject({ focus: 'b', detail: false })
    expect([cursor(), view().tagged]).toEqual([99, []])
  })
})

describe('tags', () => {
  test('Space tags and moves on, tags again takes it away, U takes all', () => {
    press('Space', 'Space')
    expect([view().tagged.map(pidOf), cursor()]).toEqual([[30, 20], 10])
    press('k', 'Space')
    expect(view().tagged).toHaveLength(1)
    press('U')
    expect(view().tagged).toEqual([])
  })

  test('in an empty list says why not', () => {
    hear([])
    press('Space')
    expect(message()).toBe('Tag: there is no row')
  })
})

describe('filter', () => {
  test('narrows with every letter, matches the pid, Enter keeps it', () => {
    press('/', 't', 'e', 'n')
    expect([shown(), state().view.prompt]).toEqual([[10], { kind: 'filter', text: 'ten' }])
    press('Enter')
    expect([state().view.prompt, view().filter]).toEqual([null, 'ten'])
    press('F4', 'Backspace', 'Backspace', 'Backspace', '2', '0', 'Enter')
    expect(shown()).toEqual([20])
  })

  test('Esc in the prompt clears it, and Esc on the list does', () => {
    press('/', 't', 'e', 'n', 'Esc')
    expect([view().filter, state().view.prompt, shown().length]).toEqual(['', null, 3])
    press('/', 't', 'e', 'n', 'Enter', 'Esc')
    expect(view().filter).toBe('')
  })

  test('takes spaces, keys of commands, a paste, and edits by word and line', () => {
    press('/', 's', 'e', 'l', 'Space', 'q', 'j')
    expect(view().filter).toBe('sel qj')
    press('C-w')
    expect(view().filter).toBe('sel ')
    press('C-u', { name: 'paste', text: 'select\n  twenty' })
    expect([view().filter, shown()]).toEqual(['select twenty', [20]])
    press('C-u', 'é', '漢', 'Backspace')
    expect(view().filter).toBe('é')
    press('F5', 'PgDn', 'M-x')
    expect(view().filter).toBe('é')
  })

  test('is of one list: another pane has its own', () => {
    press('/', 't', 'e', 'n', 'Enter', '2')
    expect(view().filter).toBe('')
    press('1')
    expect(view().filter).toBe('ten')
  })

  test('C-c in a prompt ends pgvigil', () => {
    press('/', 'C-c')
    expect(told).toEqual(['quit 130'])
  })
})

describe('find', () => {
  test('goes to the first row that matches from the cursor on, F3 to the next, round the end', () => {
    press('F3', 't', 'w')
    expect(cursor()).toBe(20)
    press('C-u', 's', 'e', 'l')
    expect(cursor()).toBe(20)
    press('F3')
    expect(cursor()).toBe(10)
    press('Down')
    expect(cursor()).toBe(30)
    press('Enter')
    expect([cursor(), view().filter, shown().length]).toEqual([30, '', 3])
  })

  test('says when there is none, and stays', () => {
    press('j', 'F3', 'x', 'y', 'z')
    expect([cursor(), message()]).toEqual([20, 'no row has this text'])
  })

  test('Esc leaves the cursor where it went', () => {
    press('F3', 't', 'e', 'n', 'Esc')
    expect([cursor(), state().view.prompt]).toEqual([10, null])
  })
})

describe('sort', () => {
  test('> and < go through the columns, I turns the way round', () => {
    const at = () => view().sort
    press('I')
    expect([at(), shown()]).toEqual([{ column: 'TIME', descending: false }, [10, 20, 30]])
    press('<')
    expect(at()?.column).not.toBe('TIME')
    press('>')
    expect(at()).toEqual({ column: 'TIME', descending: true })
    const columns = listOf(state()).columns.length
    press(...Array.from({ length: columns }, () => '>'))
    expect(at()).toEqual({ column: 'TIME', descending: true })
  })

  test('the menu takes typed letters, arrows and Enter; the same column again turns round', () => {
    press('F6', 'p', 'i', 'd', 'Enter')
    expect([view().sort, shown()]).toEqual([{ column: 'PID', descending: false }, [10, 20, 30]])
    press('F6', 'P', 'i', 'd', 'Enter')
    expect([view().sort, shown()]).toEqual([{ column: 'PID', descending: true }, [30, 20, 10]])
    press('F6', 'Down', 'Enter')
    expect(view().sort?.column).toBe(listOf(state()).columns[1]?.title)
  })

  test('Esc changes nothing; a menu whose letters match nothing chooses nothing', () => {
    press('F6', 'Down', 'Esc', 'F6', 'z', 'z', 'Enter')
    expect([view().sort, state().view.dialog]).toEqual([null, null])
  })
})

describe('tree, panes, lists, servers', () => {
  test('F5 shows workers under their leader, or flat', () => {
    hear([
      { pid: 10, seconds: 1 },
      { pid: 11, seconds: 9, leader_pid: 10 },
      { pid: 20, seconds: 5 },
    ])
    expect(shown()).toEqual([20, 10, 11])
    press('F5')
    expect(shown()).toEqual([11, 20, 10])
    press('t')
    expect(shown()).toEqual([20, 10, 11])
  })

  test('digits, Tab and Shift-Tab go to panes, round the ends, and ask for what is new', () => {
    const visited = ['2', '3', '4', '5', '6', '7', '9', '0', 'Tab', 'S-Tab', 'S-Tab', 'Tab'].map(key => {
      press(key)
      return state().view.panel
    })
    expect(visited.slice(0, 8)).toEqual(['locks', 'replication', 'chunks', 'pools', 'tables', 'progress', 'health', 'events'])
    expect(visited.slice(8)).toEqual(['activity', 'events', 'health', 'events'])
    expect(pokes).toBe(12)
  })

  test('F2 goes through the lists of a pane; a pane with one says so', () => {
    press('F2')
    expect(message()).toBe('List: this pane has one list only')
    update.receive(store, {
      kind: 'sample',
      sample: sampleOf(showPools, [pool('shop', 'app'), pool('crm', 'app')], { server: 'p' }),
    })
    press('5')
    const lists = ['F2', 'F2', 'F2'].map(key => {
      press(key)
      return listOf(state()).id
    })
    expect(lists).toEqual(['clients', 'poolServers', 'pools'])
  })

  test('Left and Right change the server in focus, @ offers them', () => {
    press('Right')
    expect(state().view.focus).toBe('b')
    press('Right')
    expect(state().view.focus).toBe('a')
    press('Left')
    expect(state().view.focus).toBe('b')
    press('@', 'Enter')
    expect(state().view.focus).toBe('a')
    press('@', 'Down', 'Enter')
    expect(state().view.focus).toBe('b')
  })

  test('with one server there is nothing to choose, and that is said', () => {
    store.setState(stateOf([{ id: 'a' }, { id: 'p', kind: 'pgbouncer' }]))
    for (const key of ['Left', 'Right', '@']) {
      update.say(store, '')
      press(key)
      expect(message(), key).toMatch(/there is one PostgreSQL server only$/)
    }
    press('F5', '4', 'F5')
    expect(message()).toBe('Tree: this list is no tree')
  })

  test('i hides idle sessions where there are any', () => {
    hear([{ pid: 10, state: 'idle' }, { pid: 20 }])
    press('i')
    expect(shown()).toEqual([20])
    press('i')
    expect(shown()).toEqual([20, 10])
  })
})

describe('hold, interval', () => {
  test('p holds the picture; what changes underneath is not shown until it goes on', () => {
    press('j', 'p')
    hear([{ pid: 77 }], noon + 1000)
    expect([shown(), cursor()]).toEqual([[30, 20, 10], 20])
    press('j')
    expect(cursor()).toBe(10)
    press('p')
    expect(shown()).toEqual([77])
  })

  test('Esc closes first the detail, then the filter, then lets the picture go on', () => {
    press('p', '/', 't', 'e', 'n', 'Enter', 'Enter')
    const now = () => [state().view.detail, view().filter, state().held !== null]
    const steps = [now()]
    for (let i = 0; i < 4; i++) {
      press('Esc')
      steps.push(now())
    }
    expect(steps).toEqual([
      [true, 'ten', true],
      [false, 'ten', true],
      [false, '', true],
      [false, '', false],
      [false, '', false],
    ])
  })

  test('+ is slower and - faster, in round steps, to the ends', () => {
    const interval = () => state().settings.intervalMs
    press('+')
    expect(interval()).toBe(2000)
    press('-', '-')
    expect(interval()).toBe(500)
    store.setState({ ...state(), settings: { ...state().settings, intervalMs: 700 } })
    press('=')
    expect(interval()).toBe(1000)
    press(...'-----')
    expect([interval(), message()]).toEqual([100, 'this is the shortest interval'])
    press(...'++++++++++')
    expect([interval(), message()]).toEqual([60_000, 'this is the longest interval'])
  })
})

describe('detail', () => {
  test('Enter opens it on the row under the cursor and pins that row; Enter or Esc closes it', () => {
    press('Enter')
    expect([state().view.detail, view().selectedId !== null, pokes]).toEqual([true, true, 1])
    hear([
      { pid: 10, seconds: 99 },
      { pid: 30, seconds: 1 },
    ])
    expect(cursor()).toBe(30)
    press('Enter')
    expect(state().view.detail).toBe(false)
    press('Enter', 'Esc')
    expect(state().view.detail).toBe(false)
  })

  test('Shift-Down and Shift-Up scroll it; another row begins at its top', () => {
    press('Enter', 'S-Down', 'S-Down', 'S-Up')
    expect(state().view.detailTop).toBe(1)
    press('S-Up', 'S-Up')
    expect(state().view.detailTop).toBe(0)
    press('S-Down', 'j')
    expect(state().view.detailTop).toBe(0)
  })

  test('there is none of an empty list', () => {
    hear([])
    press('Enter')
    expect([state().view.detail, message()]).toEqual([false, 'Detail: there is no row'])
  })
})

describe('help, palette, copy, leaving', () => {
  test('help scrolls as far as there is help and back at once', () => {
    press('F1', ...Array.from({ length: 30 }, () => 'PgDn'))
    const { dialog } = state().view
    expect(dialog?.kind).toBe('help')
    const bottom = dialog?.kind === 'help' ? dialog.top : 0
    expect(bottom).toBeGreaterThan(10)
    expect(bottom).toBeLessThan(120)
    press('k')
    expect(state().view.dialog).toEqual({ kind: 'help', top: bottom - 1 })
    press('q')
    expect([state().view.dialog, told]).toEqual([null, []])
  })

  test('the palette narrows, runs what is chosen, and says why it can not', () => {
    press(':', ...'hold')
    press('Enter')
    expect(state().held).not.toBeNull()
    press(':', ...'redraw', 'Enter', ':', ...'next list', 'Enter')
    expect([told, message()]).toEqual([['redraw'], 'List: this pane has one list only'])
  })

  test('letters in a menu begin again at its first line', () => {
    press(':', 'Down', 'Down', 'h')
    expect(state().view.dialog).toMatchObject({ index: 0, typed: 'h' })
    press('Down', 'Up', 'Up')
    expect(state().view.dialog).toMatchObject({ index: 0 })
    press(...Array.from({ length: 20 }, () => 'PgDn'))
    const { dialog } = state().view
    expect(dialog?.kind === 'menu' && dialog.index).toBeGreaterThan(0)
    press('Enter')
    expect(state().view.dialog).toBeNull()
  })

  test('y copies the raw text, and what it says of it is harmless', () => {
    const hostile = 'select \u001b]52;c;cm0=\u0007\n2'
    hear([{ pid: 1, query: hostile }])
    press('y')
    expect(told).toEqual([`copy ${hostile}`])
    expect(message()).toMatch(/^copied: select ␛\]52;c;cm0=␇ 2$/)
  })

  test('q, F10, C-c, C-z and C-l reach the outside', () => {
    press('q', 'F10', 'C-c', 'C-z', 'C-l')
    expect(told).toEqual(['quit 0', 'quit 0', 'quit 130', 'suspend', 'redraw'])
  })

  test('a key without a meaning does nothing', () => {
    const before = state()
    press('F12', 'M-x', { name: 'paste', text: 'jjq' }, 'Backspace')
    expect(state()).toBe(before)
    expect(told).toEqual([])
  })

  test('a key of other panes says what it does there', () => {
    press('Z')
    expect(state().view.message?.text).toBe('Decompress: Z is a key of Chunks')
  })
})

describe('the cursor', () => {
  test('stays where the selected row stood last when that row vanishes', () => {
    hear([
      { pid: 1, seconds: 1 },
      { pid: 2, seconds: 2 },
      { pid: 3, seconds: 3 },
      { pid: 4, seconds: 4 },
    ])
    press('G')
    expect(cursor()).toBe(1)
    hear([
      { pid: 1, seconds: 9 },
      { pid: 2, seconds: 2 },
      { pid: 3, seconds: 3 },
      { pid: 4, seconds: 4 },
    ])
    followSelected(store)
    hear([
      { pid: 2, seconds: 2 },
      { pid: 3, seconds: 3 },
      { pid: 4, seconds: 4 },
    ])
    expect(cursor()).toBe(4)
  })
})
