// RELOAD, which tells no more than it knows: PgBouncer answers the same to a file with an error in it (up to 1.24), and applies part of it.

import type { PoolPaneRow } from '../model/pools.ts'
import { drawable, short } from '../model/untrusted.ts'
import type { WireRow } from '../server/deed.ts'
import { action, type Hands, type PoolTarget, type Report } from './action.ts'
import { guardConsole } from './console.ts'
import { ofPooler, shared } from './pool-target.ts'

/** What of SHOW CONFIG and SHOW DATABASES differs, in words. */
function changes(
  before: readonly WireRow[],
  after: readonly WireRow[],
  key: string,
  value: (row: WireRow) => string,
): readonly string[] {
  const old = new Map(before.map(row => [row[key], value(row)]))
  const now = new Map(after.map(row => [row[key], value(row)]))
  return [
    ...[...now].flatMap(([name, text]) =>
      !old.has(name)
        ? [`${name} added`]
        : old.get(name) === text
          ? []
          : [`${name}${key === 'key' ? ` ${old.get(name)} → ${text}` : ' changed'}`],
    ),
    ...[...old.keys()].filter(name => !now.has(name)).map(name => `${name} removed`),
  ]
}

const unstable = new Set(['current_connections', 'current_client_connections', 'paused', 'disabled'])
const databaseText = (row: WireRow) => JSON.stringify(Object.entries(row).filter(([column]) => !unstable.has(column)))
const configText = (row: WireRow) => row.value ?? ''

async function runReload(hands: Hands): Promise<Report> {
  const session = await hands.open()
  const look = async () => ({
    config: (await session.run('SHOW CONFIG')).rows,
    databases: (await session.run('SHOW DATABASES')).rows,
  })
  const before = await look()
  // 1.25 refuses a file it can't read; those before answer the same to any.
  await session.run('RELOAD')
  const after = await look()
  const found = [
    ...changes(before.config, after.config, 'key', configText),
    ...changes(before.databases, after.databases, 'name', databaseText).map(text => `database ${text}`),
  ].map(text => short(text, 60))
  const log = 'only its log says whether the whole file was read'
  const told = found.length > 5 ? `${found.slice(0, 5).join(', ')} (+${found.length - 5})` : found.join(', ')
  return {
    outcome: 'signal sent',
    say:
      found.length === 0
        ? `RELOAD accepted, nothing visible has changed; that is no proof: ${log}`
        : `RELOAD accepted; changed: ${told}; ${log}`,
  }
}

export const reload = action<PoolPaneRow, PoolTarget>({
  ...shared,
  id: 'reload',
  command: 'reload',
  label: 'RELOAD configuration',
  help: 'Makes PgBouncer read its configuration files again.',
  lists: ['pools'],
  freeze: ofPooler,
  guard: guardConsole,
  words: () => null,
  watches: () => [],
  ask: ([target], state) => ({
    head: ['PGBOUNCER', 'VERSION'],
    hit: [[drawable(target!.server), drawable(state.servers[target!.server]?.facts?.versionText)]],
    follows: [
      { text: 'a file with an error in it is applied up to that line, and what follows gets its default', tone: 'warning' },
      { text: 'what has changed is told afterwards; whether all was read only the log says' },
    ],
  }),
  sql: () => ['RELOAD'],
  run: (_, hands) => runReload(hands),
})
