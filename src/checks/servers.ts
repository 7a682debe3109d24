// The servers themselves: whether they answer, what role they have, what our role may see of them, and their clocks.

import { lockedCatalog } from '../model/catalogs.ts'
import { duration } from '../model/format.ts'
import { primaryOf, rivalPrimaries, timelineOf } from '../model/replication.ts'
import { sqlName } from '../model/sql-name.ts'
import { drawable } from '../model/untrusted.ts'
import { membersOf } from '../panels/members.ts'
import { restrictedNotice } from '../panels/sessions.ts'
import { postgresFigures } from '../panels/summary.ts'
import { catalogLocks } from '../sql/catalogs.ts'
import { receiver } from '../sql/replication.ts'
import { pulse } from '../sql/server.ts'
import { idsOf, linkOf, picture, rowsOf, whyUnknown } from '../store/selectors.ts'
import type { Link, ServerState } from '../store/state.ts'
import type { Check, Found, Level } from './check.ts'
import { replicationOf } from './replication.ts'
import { isUp } from './run.ts'

/** It answers, and says that we may not ask: how it fares is not known. Everything else is a server that is not there. */
const levels: Partial<Record<Link['word'], Level>> = { LIVE: 'ok', DENIED: 'unknown', CONNECTING: 'unknown' }

const remedies: Partial<Record<Link['word'], string>> = {
  DENIED: 'see to the user, the password, the database and pg_hba.conf (tried again every 30 s)',
  FULL: 'end idle sessions; on 16 or later set reserved_connections (restart) and GRANT pg_use_reserved_connections to the monitoring role',
  DOWN: 'start the server, or see to the way there',
  STALE: 'look at the server: it has stopped answering',
}

function remedyOf({ word, why }: Link): string | undefined {
  if (word === 'DENIED' && /no host named/.test(why ?? '')) return 'see to the name of the host, and to the name servers'
  if (word === 'DOWN' && /no answer within/.test(why ?? ''))
    return 'look at the server: it hangs, a catalog is locked, or packets are lost on the way'
  return remedies[word]
}

const connectivity: Check = {
  id: 'connectivity',
  title: 'Server answers',
  why: 'Nothing works for the applications of a server that does not answer, and nothing else can be checked there.',
  of: 'server',
  unit: '',
  needs: [],
  look: (state, server) => {
    const { now } = picture(state)
    const link = linkOf(server, now, state.settings.intervalMs)
    const level = levels[link.word] ?? 'critical'
    if (level === 'ok') return [{ level, say: `answers: ${whatItIs(server)}` }]
    const remedy = remedyOf(link)
    return [
      {
        level,
        say: stateWords(link, server),
        ...(remedy ? { remedy } : {}),
        ...(level === 'unknown' ? { unasked: true } : {}),
        ...(link.state === 'up' ? { leadsTo: { panel: 'activity', list: 'activity' } } : {}),
      },
    ]
  },
}

/** The server's own words may be long: what would help must not be cut off behind them. */
function stateWords({ word, why }: Link, { user, facts }: ServerState): string {
  const said = why ?? 'no answer'
  // The limit of a role or of a database is no matter of reserved connections.
  const limited = /for (role|database) /.exec(said)?.[1]
  if (word === 'FULL' && facts?.superuser) return `is FULL: ${said}: end sessions that nobody needs`
  if (word === 'FULL' && limited) return `is FULL: ${said}: raise the CONNECTION LIMIT of the ${limited}`
  if (word === 'FULL')
    return `is FULL: GRANT pg_use_reserved_connections TO ${drawable(sqlName(user))} (16+, reserved_connections > 0); ${said}`
  return `is ${word}: ${said}`
}

function whatItIs({ kind, role, facts }: ServerState): string {
  const version = drawable(facts?.versionText)
  return kind === 'pgbouncer' ? version || 'PgBouncer' : `PostgreSQL ${version}, ${role ?? 'role not known yet'}`
}

const onePrimary: Check = {
  id: 'one_primary',
  title: 'Exactly one primary',
  why: 'Two servers of one cluster that both take writes lose data; none takes none.',
  of: 'cluster',
  unit: '',
  needs: [pulse, receiver],
  look: state => {
    const members = membersOf(state).filter(({ answers, role }) => answers && role !== null)
    const rivals = rivalPrimaries(members).map(group => {
      const told = group.map(member => `${drawable(member.id)} (timeline ${timelineOf(member) ?? '–'})`).join(' and ')
      return {
        level: 'critical' as const,
        server: null,
        say: `${told} are primaries of one cluster; promoted last: ${drawable(group[0]!.id)}`,
        figure: group.length,
        remedy: 'stop the one that applications must not write to (fencing), then make it a standby of the other (pg_rewind)',
        leadsTo: { panel: 'replication', list: 'replication' },
      }
    })
    if (rivals.length > 0) return rivals
    const orphans = members.filter(member => member.role === 'standby' && primaryOf(member, members) === null)
    const alone = orphans.map((member): Found & { readonly server: string } => {
      const streams = postgresFigures(state, member.id).standby?.receiver
      const watched = idsOf(state, 'postgres').every(id => isUp(state, id))
      const where = `a standby whose primary ${watched ? 'is not watched' : 'does not answer, or is not watched'}`
      if (streams !== 'down') return { level: 'ok', server: member.id, say: where }
      return {
        level: 'critical',
        server: member.id,
        say: `${where}, and nothing comes in`,
        remedy: 'name the primary too; if it is lost, promote a standby: SELECT pg_promote();',
      }
    })
    if (alone.length > 0) return alone
    const primaries = members.filter(({ role }) => role === 'primary')
    if (primaries.length === 0) return []
    return [{ level: 'ok', server: null, say: `primary: ${primaries.map(({ id }) => drawable(id)).join(', ')}`, figure: 1 }]
  },
}

const visibility: Check = {
  id: 'visibility',
  title: 'Our role sees all sessions',
  why: 'Sessions that may not be looked into are neither idle nor active: what they do would not be found.',
  of: 'postgres',
  unit: '',
  needs: [pulse],
  look: (state, server) => {
    const restricted = postgresFigures(state, server.id).restricted ?? 0
    const say = restrictedNotice(restricted, server)
    if (say === null) return [{ level: 'ok', say: 'all sessions can be seen', figure: 0 }]
    return [{ level: 'unknown', say, figure: restricted, remedy: say.slice(say.indexOf('GRANT')) }]
  },
}

const catalogLocked: Check = {
  id: 'catalog_locks',
  title: 'No catalog is locked',
  why: 'While somebody holds pg_class, pg_authid or pg_database against everybody no new connection can be made, and names can not be looked up.',
  of: 'postgres',
  unit: '',
  needs: [],
  uses: [catalogLocks],
  look: (state, server) => {
    const found =
      whyUnknown(state, server.id, catalogLocks) === null ? lockedCatalog(rowsOf(state, server.id, catalogLocks)) : null
    if (found === null) return [{ level: 'ok', say: 'nothing waits for a catalog' }]
    const remedy = 'see who it is and end it: 1 Activity, or SELECT pg_terminate_backend(pid);'
    return [{ level: 'critical', say: `${found}; new connections wait`, remedy }]
  },
}

const clockSkew: Check = {
  id: 'clock_skew',
  title: 'Clocks agree',
  why: 'Times in logs and of commits cannot be compared, and recovery to a point in time ends elsewhere than meant.',
  of: 'cluster',
  unit: 's',
  warning: 'clockSkewSeconds',
  needs: [pulse],
  look: state =>
    replicationOf(state).flatMap(({ standby, server, clockSkewSeconds: skew }) => {
      if (standby === null || skew === null) return []
      const apart = Math.abs(skew)
      const late = apart > state.settings.thresholds.clockSkewSeconds
      const found: Found = {
        level: late ? 'warning' : 'ok',
        figure: apart,
        say: `its clock is ${duration(apart)} ${skew > 0 ? 'ahead of' : 'behind'} that of ${drawable(server)}`,
        ...(late ? { remedy: 'see to NTP (chronyc tracking) on both hosts' } : {}),
      }
      return [{ ...found, server: standby }]
    }),
}

export const serverChecks: readonly Check[] = [connectivity, onePrimary, catalogLocked, visibility, clockSkew]
