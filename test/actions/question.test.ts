// The question before a deed, from bytes of a terminal to what is begun: what confirms and what never does, to whom it holds, what ends it.

import { beforeEach, describe, expect, test } from 'vitest'
import { actionById, actions } from '../../src/actions/index.ts'
import type { Context } from '../../src/commands.ts'
import { asked, keysAreThrough, subjectOf } from '../../src/deeds.ts'
import { dispatch } from '../../src/keys/dispatch.ts'
import { createKeyParser, type Key } from '../../src/keys/keypress.ts'
import { untrusted } from '../../src/model/untrusted.ts'
import { arrangedRows, listOf, selectedRow, viewOf } from '../../src/panels/shown.ts'
import { wantedOnScreen } from '../../src/panels/wanted.ts'
import { activity } from '../../src/sql/activity.ts'
import { locks } from '../../src/sql/locks.ts'
import { showConfig, showDatabases } from '../../src/sql/pgbouncer.ts'
import { slots } from '../../src/sql/replication.ts'
import { pulse } from '../../src/sql/server.ts'
import type { Confirm, Frozen, OwnPause, State, Work } from '../../src/store/state.ts'
import { createAppStore, type Store } from '../../src/store/store.ts'
import {
  also,
  type Change,
  cluster,
  config,
  inFocus,
  later,
  pooler,
  possible,
  primary,
  rows,
  server,
  without,
} from '../support/doable.ts'
import { start } from '../support/scene-rows.ts'
import { noon } from '../support/state.ts'

type Begun = { readonly action: string; readonly targets: readonly Frozen[]; readonly seconds: string | null }

let store: Store
let begun: Begun[]
let told: string[]
let trail: string | null
let context: Context
/** What waits for nobody to type any more. */
let settling: (() => void) | null

beforeEach(() => open(cluster()))

/** A fresh start: nothing was begun or told. */
function open(state: State) {
  begun = []
  told = []
  trail = null
  settling = null
  store = createAppStore(state)
  context = {
    store,
    quit: (code, leave = false) => told.push(`quit ${code}${leave ? ' leaving' : ''}`),
    suspend: () => told.push('suspend'),
    redraw: () => {},
    copy: () => {},
    poke: () => told.push('poke'),
    begin: ({ action, targets, seconds }) => begun.push({ action, targets, seconds }),
    stopQueue: () => false,
    unfinished: () => {
      const { pauses, works } = store.getState()
      return pauses.length > 0 || works.some(({ queue, endedAt }) => queue && endedAt === null)
    },
    trailTrouble: () => trail,
    settled: then => {
      settling = then
    },
    switchCluster: () => {},
  }
}

/** Keys by their names, each a chunk of its own. */
function press(...keys: readonly (string | Key)[]) {
  for (const key of keys) {
    dispatch(context, typeof key === 'string' ? { name: key, ...([...key].length === 1 ? { text: key } : {}) } : key)
    keysAreThrough(store)
  }
}

/** Nobody types any more. */
function rest() {
  settling?.()
  settling = null
}

/** Bytes that come together, as the terminal's reader takes them. */
function chunk(bytes: string) {
  const parser = createKeyParser(key => dispatch(context, key))
  parser.feed(bytes)
  parser.end()
  keysAreThrough(store)
}

const now = (): State => store.getState()
const change = (what: Change) => store.setState(what(now()))
const message = () => now().view.message?.text
const question = (): Confirm => {
  const { dialog } = now().view
  return dialog?.kind === 'confirm' ? dialog : expect.fail(`no question is open; the screen says ${message()}`)
}
const labels = () => question().targets.map(({ label }) => label)
const leftOut = () => question().leftOut.map(({ label, why }) => `${label}: ${why}`)
const noQuestion = () => expect(now().view.dialog).toBeNull()
const pidOf = (id: string) => Number.parseInt(id, 10)
const cursor = () => selectedRow(now())?.item.row.pid
const tagged = () => viewOf(now(), listOf(now())).tagged.map(pidOf)

/** Tags sessions by their pids, in the order given, and leaves the cursor on the first row. */
function tag(...pids: readonly number[]) {
  for (const pid of pids) {
    const index = arrangedRows(now(), listOf(now())).items.findIndex(({ row }) => row.pid === pid)
    press('g', ...Array.from({ length: index }, () => 'j'), 'Space')
  }
  press('g')
}
/** Puts the cursor on a session. */
function to(pid: number) {
  const index = arrangedRows(now(), listOf(now())).items.findIndex(({ row }) => row.pid === pid)
  press('g', ...Array.from({ length: index }, () => 'j'))
  expect(cursor()).toBe(pid)
}

/** The question of an action, opened from the menu, and read. */
function ask(id: string, given: Change = state => state) {
  open(given(inFocus(possible(id), id)))
  press('F9', ...actionById(id)!.label, 'Enter')
  expect(question().action).toBe(id)
  expect(asked(now())?.sql.length).toBeGreaterThan(0)
}
const wordsOf = (id: string) => {
  ask(id)
  return asked(now())!.words
}
const ids = actions.map(({ id }) => id)
const grave = ids.filter(id => wordsOf(id) !== null)
const notable = ids.filter(id => !grave.includes(id))

describe('what it is about', () => {
  test('without tags the row under the cursor, with tags the tagged rows alone', () => {
    to(7302)
    press('K')
    expect(labels()).toEqual(['pid 7302'])
    press('Esc')
    tag(7301, 7304)
    expect(cursor()).not.toBe(7301)
    press('K')
    expect(labels().sort()).toEqual(['pid 7301', 'pid 7304'])
  })

  test('tagged rows count wherever the filter hides some of them', () => {
    tag(7301, 7302, 7304)
    press('/', ...'nightly', 'Enter')
    expect(arrangedRows(now(), listOf(now())).items.map(({ row }) => row.pid)).toEqual([7304])
    press('K')
    expect(labels().sort()).toEqual(['pid 7301', 'pid 7302', 'pid 7304'])
  })

  test('and wherever i hides idle ones', () => {
    tag(7306, 7304)
    press('i', 'K')
    expect(labels().sort()).toEqual(['pid 7304', 'pid 7306'])
  })

  test('tagged rows that vanished are told, and the row under the cursor never takes their place', () => {
    tag(7301, 7304)
    change(also(without(primary, activity, { pid: 7301 }), later(1000)))
    press('K')
    expect([labels(), leftOut()]).toEqual([['pid 7304'], ['1 tagged: no longer on the list']])
    press('Esc')
    change(also(without(primary, activity, { pid: 7304 }), without(primary, activity, { pid: 7305 }), later(1000)))
    expect(cursor()).toBeDefined()
    press('K')
    noQuestion()
    expect(message()).toBe('Terminate: the tagged rows are no longer on the list; U takes the tags away')
    press('F9')
    expect(now().view.dialog).toMatchObject({ kind: 'menu', subject: { rows: [], missing: 2 } })
    press('Enter')
    noQuestion()
    press('U', 'K')
    expect(labels()).toEqual([`pid ${cursor()}`])
  })

  test('a session that has got the pid of a tagged one is somebody else', () => {
    tag(7304)
    change(also(rows(primary, activity, { pid: 7304 }, { backend_start: '2026-11-23 12:00:00+00' }), later(1000)))
    press('K')
    noQuestion()
    expect(message()).toMatch(/the tagged rows are no longer on the list/)
  })

  test('an empty list has no row: no question', () => {
    change(without(primary, activity, {}))
    press('K', 'C', 'F9')
    noQuestion()
    expect([subjectOf(now()), message()]).toEqual([null, 'Act: there is no row'])
  })

  test('those left out are in the question with the reason; what is done is done to the rest', () => {
    tag(7302, 7305, 6001)
    press('K')
    expect(leftOut().sort()).toEqual([
      'pid 6001: it must be confirmed by itself',
      'pid 7305: it is a parallel worker: act on its leader, pid 7304',
    ])
    press('y')
    expect(begun).toMatchObject([{ action: 'terminate', targets: [{ pid: 7302 }] }])
  })

  test('W asks about those that a pending pause waits for', () => {
    press('W')
    noQuestion()
    expect(message()).toMatch(/^Terminate waited-for: no PAUSE/)
    change(state => ({ ...state, pauses: [pause({ phase: 'pending' })] }))
    press('W')
    expect([question().action, labels()]).toEqual(['terminate', ['pid 7302']])
    press('y')
    expect(begun).toMatchObject([{ action: 'terminate', targets: [{ pid: 7302, server: primary }] }])
  })

  test('once done, the tags are gone: the next key is not about them', () => {
    tag(7301, 7302)
    press('K', 'y')
    expect(begun[0]!.targets).toHaveLength(2)
    expect(tagged()).toEqual([])
  })

  test('left alone, the tags stay', () => {
    tag(7301, 7302)
    press('K', 'Esc')
    expect(tagged()).toEqual([7301, 7302])
  })
})

describe('what never confirms', () => {
  test.each(ids)('%s: Enter', id => {
    ask(id)
    press('Enter', 'Enter')
    const { words } = asked(now())!
    expect(question().note).toBe(
      words === null ? 'Enter does nothing here: y does it, Esc leaves it' : `Enter does nothing here: type ${words[0]}`,
    )
    if (words) press(...typed(words[0]!.slice(0, -1)), 'Enter')
    expect([begun, question().action]).toEqual([[], id])
  })

  test.each(ids)('%s: whatever is pasted', id => {
    ask(id)
    const { words } = asked(now())!
    for (const text of ['y', 'y\r', 'Y', ...(words ?? []), `${words?.[0]}\r`]) press({ name: 'paste', text })
    chunk(`\x1b[200~${words?.[0] ?? 'y'}\x1b[201~`)
    expect([begun, question().typed, question().seconds]).toEqual([[], '', asked(now())!.confirm.seconds])
  })

  test.each(ids)('%s: other keys', id => {
    ask(id)
    press('Space', 'Tab', 'Y', 'K', 'C', 'P', 'F9', 'Down', 'PgDn', 'Up', 'PgUp', 'Home', 'M-y', 'C-l', ':', '/', 'j')
    expect([begun, question().action]).toEqual([[], id])
  })

  test('nothing is done before a question: each key of a deed only asks', () => {
    for (const id of ids) {
      ask(id)
      expect(begun).toEqual([])
    }
  })

  test('y in the chunk with the key that brought the question up, however it came', () => {
    for (const keys of ['Ky', 'Kyyy', 'K\ry', '\x1b[20~Term\ry', ':terminate\ry']) {
      open(inFocus(cluster(), 'terminate'))
      chunk(keys)
      expect([begun, question().note], keys).toEqual([[], 'the question had only just come up: read it, then answer'])
      // Read by now.
      press('y')
      expect(begun, keys).toHaveLength(1)
    }
  })

  test('a name in the chunk with that key', () => {
    open(inFocus(cluster(), 'kill'))
    chunk('Kshop')
    expect([begun, question().typed]).toEqual([[], ''])
    press(...'shop')
    rest()
    expect(begun).toHaveLength(1)
  })

  test('Esc in that chunk leaves it, and a question opened after it is a new one', () => {
    open(inFocus(cluster(), 'terminate'))
    chunk('K\x1b')
    noQuestion()
    press('K')
    press('Esc')
    chunk('Ky')
    expect(begun).toEqual([])
  })
})

const typed = (text: string) => [...text].map(character => (character === ' ' ? 'Space' : character))

describe('what confirms', () => {
  test('which are grave', () => {
    expect([...grave].sort()).toEqual([
      'commitPrepared',
      'dropIndex',
      'dropSlot',
      'kill',
      'pauseAll',
      'resumeAll',
      'rollbackPrepared',
      'terminateWalsender',
      'vacuumFull',
    ])
  })

  test.each(notable)('%s: y', id => {
    ask(id)
    const { targets, seconds } = question()
    press('y')
    expect(begun).toEqual([{ action: id, targets, seconds }])
    noQuestion()
    press('y', 'y')
    expect(begun).toHaveLength(1)
  })

  test.each(grave)('%s: not y, but the name, typed exactly', id => {
    ask(id)
    const [word] = asked(now())!.words!
    expect(word).not.toBe('')
    press('y')
    expect([begun, question().typed]).toEqual([[], 'y'])
    press('Backspace', ...typed(word!.toUpperCase() === word ? word!.toLowerCase() : word!.toUpperCase()))
    expect(begun).toEqual([])
    press('C-u', 'x', ...typed(word!))
    expect([begun, question().typed]).toEqual([[], `x${word}`])
    press('C-u', ...typed(word!.slice(0, -1)), 'x', 'Backspace')
    expect(begun).toEqual([])
    const { targets } = question()
    press(word!.at(-1)!, 'k', 'y')
    rest()
    expect([begun, question().typed], 'the name is only the beginning of what is typed').toEqual([[], `${word}ky`])
    press('Backspace', 'Backspace')
    expect(begun, 'not before nobody types any more').toEqual([])
    rest()
    expect(begun).toMatchObject([{ action: id, targets }])
    noQuestion()
  })

  test('what the names are', () => {
    expect(Object.fromEntries(grave.map(id => [id, wordsOf(id)]))).toEqual({
      terminateWalsender: ['pg2', '6001'],
      vacuumFull: ['orders'],
      dropIndex: ['orders_status_ccnew'],
      commitPrepared: ['checkout-20261123'],
      rollbackPrepared: ['checkout-20261123'],
      dropSlot: ['old_replica'],
      pauseAll: ['all'],
      resumeAll: ['all'],
      kill: ['shop'],
    })
  })

  test('a name that can not be typed is not asked for', () => {
    for (const name of ['', ' shop', 'sh\u001bop', 'two  blanks', 'a\u202eb', 'x'.repeat(64), 'e\u0301'.repeat(3)]) {
      const slot = rows(primary, slots, { slot_name: 'old_replica' }, { slot_name: untrusted(name) })
      const target = { ...frozenSlot(slot), slot_name: untrusted(name) }
      expect(actionById('dropSlot')!.words(target as never, cluster()), JSON.stringify(name)).toEqual(['DROP'])
    }
    expect(
      actionById('dropSlot')!.words({ ...frozenSlot(state => state), slot_name: untrusted('tëst 漢') } as never, cluster()),
    ).toEqual(['tëst 漢'])
  })

  test('a walsender by its application_name or its pid', () => {
    for (const word of ['pg2', '6001']) {
      ask('terminateWalsender')
      press(...word)
      rest()
      expect(begun, word).toHaveLength(1)
    }
  })

  test('a name with blanks and other letters', () => {
    ask('kill')
    store.setState({
      ...now(),
      view: {
        ...now().view,
        dialog: { ...question(), targets: question().targets.map(target => ({ ...target, database: 'my é 漢' })) },
      },
    })
    press('m', 'y', 'Space', 'é', 'Space', '漢')
    rest()
    expect(begun).toHaveLength(1)
  })
})

const frozenSlot = (given: Change): Frozen => {
  ask('dropSlot', given)
  return question().targets[0]!
}

describe('what leaves it alone', () => {
  test.each(['Esc', 'n', 'q', 'F10'])('%s closes the question of a notable deed', key => {
    ask('terminate')
    press(key)
    noQuestion()
    press('y')
    expect([begun, told.filter(word => word.startsWith('quit'))]).toEqual([[], []])
  })

  test('Esc and F10 close that of a grave one; letters are letters there', () => {
    for (const key of ['Esc', 'F10']) {
      ask('kill')
      press('q', 'n')
      expect(question().typed).toBe('qn')
      press(key)
      noQuestion()
    }
    expect(begun).toEqual([])
  })

  test('Ctrl-C ends pgvigil without doing it, Ctrl-Z goes to the shell', () => {
    for (const id of ['terminate', 'kill']) {
      ask(id)
      press('C-z', 'C-c')
      expect([begun, told.filter(word => word !== 'poke')]).toEqual([[], ['suspend', 'quit 130']])
    }
  })

  test('samples, time and a smaller screen do not close it', () => {
    ask('terminate')
    change(later(3_600_000))
    store.setState({ ...now(), view: { ...now().view, size: { columns: 40, rows: 10 } } })
    expect(question().targets).toHaveLength(1)
  })

  test('Up and Down scroll what is longer than the screen, not above its top', () => {
    ask('kill')
    press('Down', 'PgDn', 'Up')
    expect(question().top).toBe(10)
    press('PgUp', 'PgUp')
    expect(question().top).toBe(0)
  })
})

describe('to whom it holds', () => {
  test('to the same session when rows take other places and the cursor is elsewhere', () => {
    to(7302)
    press('K')
    const { targets } = question()
    change(also(rows(primary, activity, { pid: 7302 }, { xact_age_seconds: 0.1, query_age_seconds: 0.1 }), later(1000)))
    press('y')
    expect(begun).toEqual([{ action: 'terminate', targets, seconds: null }])
    expect(targets).toMatchObject([{ pid: 7302, backend_start: start, server: primary, role: 'primary' }])
  })

  test('when it vanishes another row takes its place on the list, and never in the question', () => {
    to(7304)
    press('K')
    change(also(without(primary, activity, { pid: 7304 }), later(1000)))
    expect(cursor()).not.toBe(7304)
    expect([labels(), asked(now())!.gone]).toEqual([['pid 7304'], 1])
    press('y', 'y')
    expect([begun, question().note]).toEqual([[], 'already gone: there is nothing left to do it to'])
    press('Esc')
    noQuestion()
  })

  test('a grave one that vanished is not done either, whatever is typed', () => {
    ask('dropSlot')
    change(also(without(primary, slots, { slot_name: 'old_replica' }), later(1000)))
    press(...'old_replica')
    rest()
    expect([begun, question().note, asked(now())!.gone]).toEqual([[], 'already gone: there is nothing left to do it to', 1])
  })

  test('its pid with another session is already gone', () => {
    ask('terminate')
    change(also(rows(primary, activity, { pid: 7302 }, { backend_start: '2026-11-23 12:00:00.5+00' }), later(1000)))
    press('y')
    expect([begun, asked(now())!.gone]).toEqual([[], 1])
  })

  test('for a cancel another query of the same session is already gone, and so is an idle one', () => {
    for (const other of [{ query_start: '2026-11-23 12:00:00.5+00' }, { state: 'idle' }, { state: 'idle in transaction' }]) {
      ask('cancel')
      change(also(rows(primary, activity, { pid: 7302 }, other), later(1000)))
      press('y')
      expect([begun, asked(now())!.gone], JSON.stringify(other)).toEqual([[], 1])
    }
    // For a terminate it is the same session.
    ask('terminate')
    change(also(rows(primary, activity, { pid: 7302 }, { query_start: '2026-11-23 12:00:00.5+00' }), later(1000)))
    expect(asked(now())!.gone).toBe(0)
    press('y')
    expect(begun).toHaveLength(1)
  })

  test('of a set those that are left are done, all of them begun so that each is told', () => {
    tag(7301, 7302)
    press('K')
    change(also(without(primary, activity, { pid: 7301 }), later(1000)))
    expect(asked(now())!.gone).toBe(1)
    press('y')
    expect(begun[0]!.targets).toHaveLength(2)
  })

  test('older samples than the question say nothing of it', () => {
    to(7302)
    press('K')
    change(without(primary, activity, { pid: 7302 }))
    expect(asked(now())!.gone).toBe(0)
  })

  const meanwhile: readonly (readonly [string, string, Change, string])[] = [
    [
      'terminate',
      'its server has another role',
      server(primary, { role: 'standby' }),
      `${primary} is a standby now and was a primary: look again`,
    ],
    [
      'terminate',
      'its server is down',
      server(primary, { link: { state: 'down', word: 'DOWN', since: noon, why: 'refused' } }),
      `${primary} is DOWN: refused`,
    ],
    [
      'terminate',
      'it is ours now',
      state => ({ ...state, ownPids: { [primary]: [7302] } }),
      "it is one of pgvigil's own sessions",
    ],
    [
      'pause',
      'somebody else has paused it',
      rows(pooler, showDatabases, { name: 'shop' }, { paused: 1 }),
      'it is paused already: R resumes it',
    ],
    [
      'disable',
      'somebody else has disabled it',
      rows(pooler, showDatabases, {}, { disabled: 1 }),
      'it is disabled already; E enables it',
    ],
  ]
  test.each(meanwhile)('%s: when meanwhile %s, y says why not and the question stays', (id, _, what, says) => {
    ask(id)
    change(also(what, later(1000)))
    press('y')
    expect([begun, question().note]).toEqual([[], says])
  })

  test('the servers are asked for what tells of the target, whatever pane is shown', () => {
    open(inFocus(cluster(), 'commitPrepared'))
    const asks = (id: string) => wantedOnScreen(now(), id).map(({ query }) => query.id)
    press('2')
    expect(asks(primary)).not.toContain(activity.id)
    to(7302)
    told = []
    press('K')
    expect([asks(primary).includes(activity.id), told]).toEqual([true, ['poke']])
    press('Esc')
    expect(asks(primary)).not.toContain(activity.id)
    ask('pause')
    expect(asks(pooler)).toEqual(expect.arrayContaining([showConfig.id, 'showServers', 'showClients']))
    expect(asks(primary)).toContain(activity.id)
  })
})

describe('while the picture is held', () => {
  test('the question is about the row that is seen, and tells what has become of it since', () => {
    to(7302)
    press('p')
    change(also(without(primary, activity, { pid: 7302 }), later(500)))
    expect(cursor()).toBe(7302)
    press('K')
    expect(labels()).toEqual(['pid 7302'])
    change(later(1000))
    expect(asked(now())!.gone).toBe(1)
    press('y')
    expect(begun).toEqual([])
  })

  test('one that is still there can be ended', () => {
    to(7302)
    press('p')
    change(later(1000))
    press('K', 'y')
    expect(begun).toMatchObject([{ targets: [{ pid: 7302 }] }])
    expect(now().held).not.toBeNull()
  })

  test('who waits for it is told as of now, not as of the picture', () => {
    to(7301)
    press('p')
    const told = () => asked(now())!.question.follows.map(({ text }) => text)
    press('K')
    expect(told()).toContainEqual(expect.stringMatching(/^frees 5 sessions/))
    change(also(without(primary, locks, {}), later(1000)))
    expect(told()).toContain('nobody waits for it')
  })

  test('y is judged by how things are now, not by the picture', () => {
    open(inFocus(cluster(), 'pause'))
    press('p')
    change(also(rows(pooler, showDatabases, { name: 'shop' }, { paused: 1 }), later(1000)))
    press('P')
    if (now().view.dialog) press('y')
    expect([begun, now().view.dialog ? question().note : message()]).toEqual([
      [],
      expect.stringMatching(/it is paused already: R resumes it$/),
    ])
  })

  test('a promotion since is seen', () => {
    open(inFocus(cluster(), 'pauseReplay'))
    press('p')
    change(also(server('pg2:5432', { role: 'primary' }), rows('pg2:5432', pulse, {}, { in_recovery: false }), later(1000)))
    press('P')
    if (now().view.dialog) press('y')
    expect(begun).toEqual([])
  })
})

describe('the number field of a PAUSE', () => {
  const seconds = () => question().seconds

  test('starts at 30 and takes digits and Backspace; y takes what stands there', () => {
    ask('pause')
    expect(seconds()).toBe('30')
    press('Backspace', 'Backspace', '9', '0')
    expect(seconds()).toBe('90')
    press('y')
    expect(begun).toMatchObject([{ action: 'pause', seconds: '90' }])
  })

  test('C-u empties it; letters, signs, dots and a fifth digit do nothing', () => {
    ask('pause')
    press('C-u', 'a', '-', '.', 'Space', '1', '2', '3', '4', '5')
    expect(seconds()).toBe('1234')
    press('C-u')
    expect(seconds()).toBe('')
    press('Backspace')
    expect(seconds()).toBe('')
  })

  test('empty and nought are asked again', () => {
    for (const keys of [[], ['0'], ['0', '0', '0', '0']]) {
      ask('pause')
      press('C-u', ...keys, 'y')
      expect([begun, question().note]).toEqual([[], 'how many seconds may it last?'])
    }
  })

  test('must stay below query_wait_timeout, after which PgBouncer throws its clients out', () => {
    ask('pause')
    press('C-u', '1', '2', '0', 'y')
    expect([begun, question().note]).toEqual([[], 'less than 120 s: query_wait_timeout is 120 s: clients would be thrown out'])
    press('C-u', '1', '1', '9', 'y')
    expect(begun).toMatchObject([{ seconds: '119' }])
  })

  test.each([
    ['120', '30'],
    ['31', '30'],
    ['30', '15'],
    ['20', '10'],
    ['3', '1'],
    ['0', '30'],
    ['', '30'],
    ['x', '30'],
  ])('with a query_wait_timeout of "%s" it starts at %s', (limit, first) => {
    ask('pause', config('query_wait_timeout', limit))
    expect(seconds()).toBe(first)
  })

  test('without a timeout any length is taken', () => {
    ask('pause', config('query_wait_timeout', '0'))
    press('C-u', ...'9999', 'y')
    expect(begun).toMatchObject([{ seconds: '9999' }])
  })

  test('what was wrong with it is forgotten when it is edited', () => {
    ask('pause')
    press('C-u', 'y', '5')
    expect(question().note).toBeNull()
  })

  test('of everything: digits are the seconds, letters the word, and both are taken', () => {
    ask('pauseAll')
    press('C-u', '4', '5', ...'al')
    expect([seconds(), question().typed]).toEqual(['45', 'al'])
    press('l')
    rest()
    expect(begun).toMatchObject([{ action: 'pauseAll', seconds: '45' }])
  })

  test('of everything: the word does not help over a bad number', () => {
    ask('pauseAll')
    press('C-u', ...'all')
    rest()
    expect([begun, question().note]).toEqual([[], 'how many seconds may it last?'])
    press('C-u', '5', ...'all')
    rest()
    expect(begun).toMatchObject([{ seconds: '5' }])
  })

  test('no other deed has one', () => {
    for (const id of ids.filter(one => !['pause', 'pauseAll'].includes(one))) {
      ask(id)
      expect(question().seconds, id).toBeNull()
    }
  })
})

describe('the audit trail', () => {
  test('that can not be written is told in the question, drawable, and does not forbid', () => {
    trail = 'the audit trail /x\u001b[2J can not be written (EACCES)'
    press('K')
    expect(question().trailTrouble).toBe('the audit trail /x␛[2J can not be written (EACCES)')
    press('y')
    expect(begun).toHaveLength(1)
  })
})

const pause = (given: Partial<OwnPause> = {}): OwnPause => ({
  id: 1,
  server: pooler,
  database: untrusted('shop'),
  by: 'PAUSE',
  phase: 'in force',
  since: noon - 5000,
  deadlineAt: noon + 25_000,
  watches: [],
  ...given,
})
const queue: Work = {
  id: 1,
  action: 'compress',
  label: 'Compress chunk',
  server: primary,
  items: [],
  queue: true,
  stopping: 'no',
  pid: null,
  watches: [],
  at: noon,
  endedAt: null,
}

describe('leaving what is not finished', () => {
  const unfinished: readonly (readonly [string, Change])[] = [
    ['a pause', state => ({ ...state, pauses: [pause()] })],
    ['a pause after KILL', state => ({ ...state, pauses: [pause({ by: 'KILL', deadlineAt: null })] })],
    ['a queue', state => ({ ...state, works: [queue] })],
  ]
  const quits = () => told.filter(word => word !== 'poke')

  test.each(unfinished)('%s: q and F10 ask, r ends it and quits, l leaves it and quits, Esc stays', (_, given) => {
    change(given)
    for (const key of ['q', 'F10']) {
      press(key)
      expect([now().view.dialog, quits()]).toEqual([{ kind: 'quit', code: 0 }, []])
      press('Esc')
      noQuestion()
    }
    press('q', 'r')
    expect(quits()).toEqual(['quit 0'])
    told = []
    press('q', 'l')
    expect(quits()).toEqual(['quit 0 leaving'])
  })

  test.each(unfinished)('%s: Ctrl-C asks too, and a second one ends it and quits with 130', (_, given) => {
    change(given)
    press('C-c')
    expect([now().view.dialog, quits()]).toEqual([{ kind: 'quit', code: 130 }, []])
    press('C-c')
    expect(quits()).toEqual(['quit 130'])
  })

  test('Ctrl-C and r: 130; Ctrl-C and l: 130, leaving', () => {
    change(unfinished[0]![1])
    press('C-c', 'r', 'Esc', 'C-c', 'l')
    expect(quits()).toEqual(['quit 130', 'quit 130 leaving'])
  })

  test('from a question, too', () => {
    ask('terminate', unfinished[0]![1])
    press('C-c')
    expect([now().view.dialog, quits()]).toEqual([{ kind: 'quit', code: 130 }, []])
  })

  test('other keys and pastes neither quit nor close', () => {
    change(unfinished[0]![1])
    press('q', 'Enter', 'y', 'Space', 'R', 'L', 'q', 'F10', { name: 'paste', text: 'rl' })
    expect([now().view.dialog, quits(), begun]).toEqual([{ kind: 'quit', code: 0 }, [], []])
    press('C-z')
    expect(quits()).toEqual(['suspend'])
    press('n')
    noQuestion()
  })

  test('with nothing unfinished q quits at once', () => {
    change(state => ({ ...state, works: [{ ...queue, endedAt: noon }] }))
    press('q')
    expect(quits()).toEqual(['quit 0'])
  })
})

test('a paste on the panes is no key of a deed', () => {
  press({ name: 'paste', text: 'Ky' })
  chunk('\x1b[200~K\x1b[201~')
  press('y')
  expect([begun, now().view.dialog]).toEqual([[], null])
})
