// What a role may see and do on each server, pane by pane and action by action, and the statements that would give the rest.

import type { AnyAction } from './actions/action.ts'
import { actions } from './actions/index.ts'
import { sqlName } from './model/sql-name.ts'
import { drawable, raw, type Untrusted, untrusted } from './model/untrusted.ts'
import { panels } from './panels/index.ts'
import type { AnyList, Panel } from './panels/panel.ts'
import { namesOf } from './sessions.ts'
import { indexes } from './sql/indexes.ts'
import { ourRole, type Query } from './sql/query.ts'
import { tables } from './sql/tables.ts'
import { linkOf, read, rowsOf } from './store/selectors.ts'
import type { Sample, ServerState, State } from './store/state.ts'

/** `remedy` null: nothing is missing, or nothing would help. Texts are drawable. */
export type Sight = {
  readonly pane: string
  readonly sees: 'all' | 'part' | 'nothing'
  readonly what: string
  readonly remedy: string | null
}
export type Power = { readonly action: string; readonly can: 'yes' | 'part' | 'no'; readonly remedy: string | null }

/** Lists that tell of the sessions of other roles, which takes pg_read_all_stats. */
const ofOthers: Readonly<Record<string, string>> = {
  activity: 'states, waits, queries and times of sessions of other roles',
  locks: 'states, queries and times of sessions of other roles',
  replication: 'states and positions of standbys',
}

const nameOf = (name: Untrusted) => drawable(sqlName(raw(name)))

/** What can be seen in each list that this server has a part in. */
export function sights(state: State, server: ServerState): readonly Sight[] {
  return panels.flatMap(panel =>
    panel.lists.flatMap(list => {
      const queries = list.needs.filter(query => concerns(query, server, state))
      // A list of PgBouncers only helps itself to sessions, and the other way round.
      if (queries.length === 0 || list.needs[0]?.on !== server.kind) return []
      if (list.id === 'health') return [healthSight(state, server, panel, queries)]
      return [sight(state, server, panel, list, queries)]
    }),
  )
}

function concerns(query: Query, server: ServerState, state: State): boolean {
  if (query.on !== server.kind || query.params?.some(param => param !== 'queryBytes')) return false
  if (query.needs?.extension === 'timescaledb' && server.id !== state.settings.timescaleId) return false
  if (query.needs?.superuser && !server.facts?.superuser) return false
  return query.needs?.role === undefined || query.needs.role === server.role
}

function sight(state: State, server: ServerState, panel: Panel, list: AnyList, queries: readonly Query[]): Sight {
  const pane = panel.lists.length > 1 ? `${panel.title}: ${list.title.toLowerCase()}` : panel.title
  const role = drawable(sqlName(server.user))
  for (const query of queries) {
    const reading = read(state, server.id, query)
    // The first is the one whose rows the list shows; what others add can be missing.
    if (reading.kind === 'unavailable') {
      if (query !== queries[0] && query.needs?.extension) continue
      return {
        pane,
        sees: query === queries[0] ? 'nothing' : 'part',
        what: `${query.id}: ${reading.reason}`,
        remedy: reading.remedy,
      }
    }
    if (reading.kind === 'failed')
      return { pane, sees: 'nothing', what: reading.error, remedy: failedRemedy(reading.error, server, role) }
    if (reading.kind === 'waiting') return { pane, sees: 'nothing', what: 'no answer in time', remedy: 'try again' }
  }
  const hidden = ofOthers[list.id]
  if (hidden && server.facts?.readsAllStats === false) {
    return { pane, sees: 'part', what: `not to be seen: ${hidden}`, remedy: `GRANT pg_monitor TO ${role};` }
  }
  const unmeasured = hiddenSizes(state, server, list)
  if (unmeasured > 0) {
    return { pane, sees: 'part', what: `${unmeasured} sizes not to be read`, remedy: `GRANT pg_monitor TO ${role};` }
  }
  const skipped = queries.flatMap(query => (server.readings[query.id]?.sample as Sample | null | undefined)?.skipped ?? [])
  const [first] = skipped
  if (first) {
    const schemas = new Set(skipped.flatMap(({ why }) => /permission denied for schema (.+)$/.exec(why)?.[1] ?? []))
    return {
      pane,
      sees: 'part',
      what: `${skipped.length} not to be read: ${first.why}`,
      remedy: schemas.size > 0 ? `GRANT USAGE ON SCHEMA ${[...schemas].map(sqlName).join(', ')} TO ${role};` : null,
    }
  }
  if (list.id === 'jobs' && server.facts?.superuser === false) {
    return { pane, sees: 'part', what: "errors of others' jobs: only to their owner and the database's", remedy: null }
  }
  return { pane, sees: 'all', what: '', remedy: null }
}

/** A check that lacks something says so itself; what it asks that other panes don't are functions that take a GRANT. */
function healthSight(state: State, server: ServerState, panel: Panel, queries: readonly Query[]): Sight {
  const denied = queries.flatMap(query => {
    const reading = read(state, server.id, query)
    return reading.kind === 'unavailable' && reading.remedy.startsWith('GRANT') ? [reading] : []
  })
  if (denied.length === 0) return { pane: panel.title, sees: 'all', what: '', remedy: null }
  const grants = [...new Set(denied.flatMap(({ remedy }) => remedy.match(/GRANT [^;]*;/g) ?? []))]
  const remedy = grants.join(' ').replaceAll(ourRole, drawable(sqlName(server.user)))
  return { pane: panel.title, sees: 'part', what: denied.map(({ reason }) => reason).join('; '), remedy }
}

/** How many databases or tablespaces our role may not have measured. */
function hiddenSizes(state: State, server: ServerState, list: AnyList): number {
  if (list.id !== 'databases' && list.id !== 'tablespaces') return 0
  const rows = rowsOf(state, server.id, list.needs[0]!) as readonly Readonly<Record<string, unknown>>[]
  return rows.filter(row => (list.id === 'databases' ? row.measurable === false : row.total_bytes === null)).length
}

function failedRemedy(error: string, server: ServerState, role: string): string | null {
  if (server.kind === 'pgbouncer') return `stats_users = ..., ${drawable(server.user)} in pgbouncer.ini, then RELOAD`
  if (/apache/.test(error)) return null
  return /permission denied/.test(error) ? `GRANT pg_monitor TO ${role};` : null
}

/** Whom a role that may signal still may not: superusers' sessions, and on 18 autovacuum's workers. Null: nobody, or it signals nobody. */
function notAll(action: string, { facts, user }: ServerState): string | null {
  if (!facts || facts.superuser || !['cancel', 'terminate', 'terminateWalsender'].includes(action)) return null
  const workers = facts.version >= 180000 && !facts.signalsAutovacuum && action !== 'terminateWalsender'
  return `not sessions of superusers: only a superuser may${workers ? `; autovacuum workers: GRANT pg_signal_autovacuum_worker TO ${drawable(sqlName(user))};` : ''}`
}

/** What can be done, by what the role lacks for it. */
export function powers(state: State, server: ServerState): readonly Power[] {
  return actions
    .filter(action => action.on === server.kind && applies(action, server, state))
    .map(({ id, label, right }): Power => {
      const lacks = right(server.id, state)
      // Without any grant a role may still signal its own sessions and end what it has prepared.
      const own = ['cancel', 'terminate', 'commitPrepared', 'rollbackPrepared'].includes(id)
      return { action: label, can: lacks === null ? 'yes' : own ? 'part' : 'no', remedy: lacks?.why ?? notAll(id, server) }
    })
}

const onStandby = new Set(['pauseReplay', 'resumeReplay'])
const onPrimary = new Set(['commitPrepared', 'rollbackPrepared'])

function applies({ id, lists }: AnyAction, server: ServerState, state: State): boolean {
  if (server.role === 'primary' ? onStandby.has(id) : server.role === 'standby' && onPrimary.has(id)) return false
  // Where it is not installed no role lacks anything for it.
  if (id === 'exactBloat' && server.facts?.pgstattupleSchema === null) return false
  // Of nothing there is nothing that could be lacking.
  if (lists[0] === 'tables' && rowsOf(state, server.id, tables).length === 0) return false
  if (lists[0] === 'indexes' && rowsOf(state, server.id, indexes).length === 0) return false
  const ofTimescale = lists.some(list => list === 'chunks' || list === 'jobs')
  return (
    !ofTimescale ||
    (server.role !== 'standby' && server.id === state.settings.timescaleId && server.facts?.extensions.timescaledb !== undefined)
  )
}

/** The statements and lines of pgbouncer.ini that would give the rest, each once. */
export function remedies(state: State, server: ServerState): readonly string[] {
  const all = [...sights(state, server), ...powers(state, server)].flatMap(({ remedy }) => (remedy === null ? [] : [remedy]))
  const exact = all.flatMap(remedy => remedy.match(/(?:GRANT|ALTER) [^;]*;|(?:admin|stats)_users = [^)]*/g) ?? [])
  return [...new Set(exact)]
}

/** Whether the server answers, and if not its word and reason. */
export function linkTrouble(state: State, server: ServerState): string | null {
  const link = linkOf(server, state.now, state.settings.intervalMs)
  return link.state === 'up' ? null : `${link.word}${link.why ? `: ${link.why}` : ''}`
}

/** Statements that make a role that watches and one that acts, for the version and the extensions of a server. For psql; PgBouncer's lines as comments. */
export function roleStatements(state: State, server: ServerState): readonly string[] {
  const { facts } = server
  if (server.kind === 'pgbouncer') {
    return [
      `-- PgBouncer ${drawable(server.id)}: in pgbouncer.ini, then RELOAD; both users need an entry in auth_file too`,
      '--   stats_users = pgvigil_monitor',
      '--   admin_users = pgvigil_operator',
    ]
  }
  const version = facts?.version ?? 0
  const database = facts?.database ? nameOf(facts.database) : 'postgres'
  const role = (name: string, grants: readonly string[]) => [
    `CREATE ROLE ${name} LOGIN CONNECTION LIMIT 10;  -- then, in psql: \\password ${name}`,
    `GRANT CONNECT ON DATABASE ${database} TO ${name};`,
    `GRANT ${grants.join(', ')} TO ${name};`,
  ]
  if (server.role === 'standby')
    return [`-- ${drawable(server.id)} is a standby: roles are made on its primary, and come from there`]
  const reserved = version >= 160000 ? ['pg_use_reserved_connections'] : []
  return [
    `-- PostgreSQL ${drawable(facts?.versionText)} at ${drawable(server.id)}`,
    '-- A role that watches: sees all, changes nothing.',
    ...role('pgvigil_monitor', ['pg_monitor', ...reserved]),
    "-- For Health to read the server's log, where the server keeps one (these functions read any file of the data directory):",
    '--   GRANT EXECUTE ON FUNCTION pg_catalog.pg_current_logfile(text), pg_catalog.pg_read_binary_file(text,bigint,bigint) TO pgvigil_monitor;',
    `-- A role that acts as well: signals sessions, pauses replay, drops slots${version >= 170000 ? ', vacuums and reindexes' : ''}.`,
    ...role('pgvigil_operator', [
      'pg_monitor',
      'pg_signal_backend',
      ...(version >= 180000 ? ['pg_signal_autovacuum_worker'] : []),
      ...(version >= 170000 ? ['pg_maintain'] : []),
      ...reserved,
    ]),
    ...(version >= 170000
      ? []
      : ['-- VACUUM and REINDEX take the owner of each table: GRANT that role, unless it is a superuser.']),
    'ALTER ROLE pgvigil_operator REPLICATION;  -- to drop slots',
    'GRANT EXECUTE ON FUNCTION pg_catalog.pg_wal_replay_pause(), pg_catalog.pg_wal_replay_resume() TO pgvigil_operator;',
    ...timescaleStatements(state, server),
  ]
}

function timescaleStatements(state: State, server: ServerState): readonly string[] {
  if (server.id !== state.settings.timescaleId || server.facts?.extensions.timescaledb === undefined) return []
  const rows = (server.readings.hypertables?.sample?.rows ?? []) as readonly { owner: unknown; hypertable_schema: unknown }[]
  const names = (key: 'owner' | 'hypertable_schema') => [
    ...new Set(rows.flatMap(row => (typeof row[key] === 'string' ? [nameOf(row[key] as unknown as Untrusted)] : []))),
  ]
  const owners = names('owner')
  const known = namesOf(state, server.id)
  const superusers = new Set([...known.superusers].map(oid => nameOf(known.roles.get(oid) ?? untrusted(''))))
  const schemas = names('hypertable_schema').filter(schema => schema !== 'public')
  return [
    '-- TimescaleDB: sizes need USAGE on the schemas; compressing and running jobs takes the owner.',
    ...(schemas.length > 0 ? [`GRANT USAGE ON SCHEMA ${schemas.join(', ')} TO pgvigil_monitor, pgvigil_operator;`] : []),
    ...owners.map(owner =>
      superusers.has(owner)
        ? `-- ${owner} is a superuser: let a role of its own own the hypertables before you grant it`
        : `GRANT ${owner} TO pgvigil_operator;`,
    ),
  ]
}
