import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { commandById, commands, menuItems } from '../../src/commands.ts'
import { keyHelp, keysMarkdown } from '../../src/keys/help.ts'
import { commandOf, keymap, keySections, type Scope } from '../../src/keys/keymap.ts'
import { createKeyParser } from '../../src/keys/keypress.ts'
import { panels } from '../../src/panels/index.ts'
import { stateOf } from '../support/state.ts'

const panes: readonly Scope[] = panels.map(({ id }) => ({ kind: 'panes', panel: id }))
const scopes: readonly Scope[] = [...panes, { kind: 'dialog' }, { kind: 'menu' }, { kind: 'prompt' }]
const countsIn = (scope: Scope) =>
  keymap.filter(({ where }) =>
    scope.kind === 'panes'
      ? where === 'everywhere' || (typeof where === 'object' && where.includes(scope.panel))
      : where === scope.kind,
  )

/** The names that a terminal's bytes give. */
function names(...bytes: readonly string[]): readonly string[] {
  const heard: string[] = []
  const parser = createKeyParser(key => heard.push(key.name))
  for (const chunk of bytes) {
    parser.feed(chunk)
    parser.end()
  }
  return heard
}

/** Every key that is bound, as an xterm sends it. */
const sequences: Readonly<Record<string, string>> = {
  Up: '\u001b[A',
  Down: '\u001b[B',
  Right: '\u001b[C',
  Left: '\u001b[D',
  Home: '\u001b[H',
  End: '\u001b[F',
  PgUp: '\u001b[5~',
  PgDn: '\u001b[6~',
  'S-Up': '\u001b[1;2A',
  'S-Down': '\u001b[1;2B',
  'S-Tab': '\u001b[Z',
  Tab: '\t',
  Enter: '\r',
  Esc: '\u001b',
  Space: ' ',
  F1: '\u001bOP',
  F2: '\u001bOQ',
  F3: '\u001bOR',
  F4: '\u001bOS',
  F5: '\u001b[15~',
  F6: '\u001b[17~',
  F9: '\u001b[20~',
  F10: '\u001b[21~',
}

function bytesOf(key: string): string | undefined {
  if (sequences[key] !== undefined) return sequences[key]
  if (/^C-[a-z]$/.test(key)) return String.fromCharCode(key.charCodeAt(2) - 0x60)
  return [...key].length === 1 ? key : undefined
}

describe('the list', () => {
  test('no key means two things in one scope', () => {
    for (const scope of scopes) {
      const keys = countsIn(scope).flatMap(binding => binding.keys)
      expect(
        keys.filter((key, i) => keys.indexOf(key) !== i),
        JSON.stringify(scope),
      ).toEqual([])
    }
  })

  test('every binding has a command with a label and a sentence of help', () => {
    for (const { command, keys } of keymap) {
      const found = commandById(command)
      expect(found, `${keys.join(' ')} -> ${command}`).toBeDefined()
      expect(found?.label).toMatch(/\S/)
      expect(found?.help).toMatch(/^[A-Z].*\.$/)
    }
  })

  test('every command has an id of its own, and can be reached by a key or from the palette', () => {
    const ids = commands.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    const palette = menuItems(stateOf([{ id: 'a' }]), { kind: 'menu', menu: 'palette', index: 0, typed: '' }).map(({ id }) => id)
    const bound = keymap.map(({ command }) => command)
    expect(ids.filter(id => !palette.includes(id) && !bound.includes(id))).toEqual([])
  })

  test('every key is one that a terminal can send', () => {
    for (const key of new Set(keymap.flatMap(({ keys }) => keys))) {
      const bytes = bytesOf(key)
      expect(bytes, `how a terminal sends ${key}`).toBeDefined()
      expect(names(bytes!), key).toEqual([key])
    }
  })

  test('panes are named that are there, and every pane has its digit', () => {
    const ids = panels.map(({ id }) => id)
    for (const { where } of keymap) if (typeof where === 'object') expect(ids).toEqual(expect.arrayContaining([...where]))
    for (const { id, key } of panels) expect(commandOf(key, { kind: 'panes', panel: id })).toBe(`pane:${id}`)
  })

  test('places in the function bar are not taken twice; the last is Quit', () => {
    for (const scope of panes) {
      const places = countsIn(scope).flatMap(({ bar, command }) => (bar === undefined ? [] : [{ bar, command }]))
      expect(new Set(places.map(({ bar }) => bar)).size).toBe(places.length)
      expect(places.sort((a, b) => a.bar - b.bar).at(-1)?.command).toBe('quit')
    }
  })
})

describe('what the fingers know', () => {
  test.each([
    ['k', 'up'],
    ['j', 'down'],
    ['Up', 'up'],
    ['Down', 'down'],
    ['q', 'quit'],
    ['F10', 'quit'],
    ['Esc', 'back'],
    ['/', 'filter'],
    ['F4', 'filter'],
    ['F3', 'find'],
    ['C-c', 'interrupt'],
  ])('%s is %s on every pane', (key, command) => {
    for (const scope of panes) expect(commandOf(key, scope)).toBe(command)
  })

  test('k and j move in a dialog too; in a menu and a prompt they are text', () => {
    expect([commandOf('k', { kind: 'dialog' }), commandOf('j', { kind: 'dialog' })]).toEqual(['dialogUp', 'dialogDown'])
    for (const kind of ['menu', 'prompt'] as const) {
      for (const key of ['k', 'j', 'q', 'Space', 'y', '?', '1'])
        expect(commandOf(key, { kind }), `${kind} ${key}`).toBeUndefined()
    }
  })

  test('Ctrl-C ends and Ctrl-Z suspends whatever is open; Esc always leaves it', () => {
    for (const scope of scopes) expect(commandOf('C-c', scope)).toBe('interrupt')
    for (const scope of scopes) expect(commandOf('C-z', scope)).toBe('suspend')
    expect(scopes.map(scope => commandOf('Esc', scope)).slice(panes.length)).toEqual([
      'closeDialog',
      'closeDialog',
      'cancelPrompt',
    ])
  })

  test('a menu and a dialog never quit by the keys that close them', () => {
    for (const kind of ['menu', 'dialog'] as const) expect(commandOf('F10', { kind })).toBe('closeDialog')
  })
})

describe('documentation', () => {
  test('help and KEYS.md have every binding once', () => {
    expect(keySections.flatMap(({ bindings }) => bindings)).toHaveLength(keymap.length)
    expect(keyHelp().flatMap(({ keys }) => keys.map(({ keys }) => keys))).toHaveLength(keymap.length)
  })

  test('a line of the help fits 80 cells', () => {
    for (const { keys } of keyHelp()) {
      for (const { keys: names, help, panes } of keys) {
        expect(`${help}${panes === '' ? '' : ` (${panes})`}`.length, help).toBeLessThanOrEqual(62)
        expect(names.join(' ').length).toBeLessThanOrEqual(14)
      }
    }
  })

  test('docs/KEYS.md is what the list says (npm run docs writes it)', () => {
    expect(readFileSync(new URL('../../docs/KEYS.md', import.meta.url), 'utf8')).toBe(keysMarkdown())
  })
})
