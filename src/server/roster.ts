// The sessions of a server as one connection has been told of them. What a session has told is not asked again while its state is the same:
// of the thousand that stand still only the pid is sent, and their ages are told by the server's clock.

import type { ActivityRow } from '../sql/activity.ts'
import type { Untrusted } from '../sql/query.ts'
import type { PulseRow } from '../sql/server.ts'
import { escapedBytes } from './decode.ts'
import type { WireRow } from './wire.ts'

export type Roster = {
  /** The values of `activity.packed` for a text of so many bytes. */
  values(queryBytes: number): readonly (string | number)[]
  /** The rows of an answer to them; null when it leaves out what we don't know (any more): ask again, and all is told. Throws where it is none. */
  rows(answer: WireRow, queryBytes: number): readonly ActivityRow[] | null
}

type Known = Omit<
  ActivityRow,
  'backend_age_seconds' | 'xact_age_seconds' | 'query_age_seconds' | 'state_age_seconds' | 'backend_xmin_age'
> & {
  readonly backendStart: number | null
  readonly xactStart: number | null
  readonly queryStart: number | null
  readonly stateChange: number | null
}

/** A session may have taken its time between reading the clock and telling its new state. Seconds. */
const marginSeconds = 1
/** The server's clock may be put back, and then a change looks old: after more than so much of it all is asked. Seconds. */
const backSeconds = marginSeconds / 2
/** Nothing that was told is believed for ever: of this many parts one is told in full each time. The text of the query counts on it. */
const turns = 32

/** `keeps` false: the answers may come from another server each time (a pooler is in front), so that nothing that was told holds. */
export function createRoster(keeps: boolean): Roster {
  let known = new Map<number, Known>()
  let since: number | null = null
  let bytes = 0
  let turn = 0
  let sentAt = 0
  // The server's clock in the last answer, and ours when it had come.
  let heard: { clock: number; at: number } | null = null

  return {
    values: queryBytes => {
      if (queryBytes !== bytes) since = null
      sentAt = seconds()
      turn = (turn + 1) % turns
      return [queryBytes, since ?? '-Infinity', turn]
    },
    rows: (answer, queryBytes) => {
      const [clock, at, xids] = [answer.sessions_clock, answer.sessions_at, answer.xids_since_3].map(Number) as [
        number,
        number,
        number,
      ]
      const told = records(answer.sessions ?? '')
      // Between the two readings there was at least the time from that answer to this question.
      const putBack = heard !== null && at - heard.clock < sentAt - heard.at - backSeconds
      heard = { clock, at: seconds() }
      const next = new Map<number, Known>()
      for (const record of told) {
        const pid = Number(record[0])
        const session = record.length > short ? full(record) : changed(known.get(pid), record)
        if (session === null || (putBack && since !== null)) {
          since = null
          return null
        }
        next.set(pid, session)
      }
      known = next
      bytes = queryBytes
      since = keeps ? at - marginSeconds : null
      return [...next.values()].map(session => row(session, clock, xids))
    },
  }
}

const seconds = () => performance.now() / 1000

/** Fields of a session whose state is the same. */
const short = 5

function changed(before: Known | undefined, record: readonly (string | null)[]): Known | null {
  if (!before) return null
  if (record.length === 1) return before
  const [, wait_event_type, wait_event, xid, xmin] = record
  return {
    ...before,
    wait_event_type: text(wait_event_type),
    wait_event: text(wait_event),
    backend_xid: big(xid),
    backend_xmin: big(xmin),
  }
}

function full(record: readonly (string | null)[]): Known {
  const [
    pid,
    leader,
    type,
    datid,
    usesysid,
    application,
    addr,
    port,
    backend,
    query,
    xact,
    change,
    state,
    waitType,
    wait,
    xid,
    xmin,
    id,
    said,
  ] = record
  return {
    pid: Number(pid),
    leader_pid: leader == null ? null : Number(leader),
    backend_type: text(type),
    datid: big(datid),
    usesysid: big(usesysid),
    application_name: text(application),
    client_addr: text(addr),
    client_port: port == null ? null : Number(port),
    backend_start: text(backend),
    query_start: text(query),
    state: text(state),
    wait_event_type: text(waitType),
    wait_event: text(wait),
    backend_xid: big(xid),
    backend_xmin: big(xmin),
    query_id: big(id),
    query: said == null ? null : escapedBytes(said),
    backendStart: moment(backend),
    xactStart: moment(xact),
    queryStart: moment(query),
    stateChange: moment(change),
  }
}

const text = (value: string | null | undefined) => (value ?? null) as unknown as Untrusted | null
const big = (value: string | null | undefined) => (value == null ? null : BigInt(value))

/** Epoch seconds of a timestamptz as our sessions get it (ISO, UTC): "2026-11-26 07:11:07.123456+00". */
function moment(value: string | null | undefined): number | null {
  if (value == null) return null
  const ms = Date.parse(`${value.slice(0, 10)}T${value.slice(11, -3)}Z`)
  return Number.isNaN(ms) ? null : ms / 1000
}

// Every field by its name: objects that are spread from others take ten times as long to make, and to read.
function row(session: Known, clock: number, xids: number): ActivityRow {
  const { backend_xmin } = session
  const age = (start: number | null) => (start === null ? null : clock - start)
  return {
    pid: session.pid,
    leader_pid: session.leader_pid,
    backend_type: session.backend_type,
    datid: session.datid,
    usesysid: session.usesysid,
    application_name: session.application_name,
    client_addr: session.client_addr,
    client_port: session.client_port,
    backend_start: session.backend_start,
    query_start: session.query_start,
    state: session.state,
    wait_event_type: session.wait_event_type,
    wait_event: session.wait_event,
    backend_age_seconds: age(session.backendStart),
    xact_age_seconds: age(session.xactStart),
    query_age_seconds: age(session.queryStart),
    state_age_seconds: age(session.stateChange),
    backend_xid: session.backend_xid,
    backend_xmin,
    // In the arithmetic of xids, which wrap around: what age() says of it.
    backend_xmin_age: backend_xmin === null ? null : Number(BigInt.asIntN(32, BigInt(xids) + 3n - backend_xmin)),
    query_id: session.query_id,
    query: session.query,
  }
}

type Counts = Pick<
  PulseRow,
  'clients' | 'active' | 'waiting' | 'idle_in_transaction' | 'restricted' | 'oldest_xact_seconds' | 'ready_epoch'
>

/** What `pulse` counts when it is asked to, by the rows of the same moment. */
export function countsOf(rows: readonly ActivityRow[], ownPid: number): Counts {
  let [clients, active, waiting, idle_in_transaction, restricted] = [0, 0, 0, 0, 0]
  let oldest: number | null = null
  let ready: number | null = null
  for (const { pid, backend_type, backend_start, datid, state, wait_event_type, xact_age_seconds } of rows as readonly Readonly<
    Record<string, unknown>
  >[]) {
    if (backend_type === null && datid !== null) restricted++
    if (backend_type === 'walwriter') ready = moment(backend_start as string | null)
    if (backend_type !== 'client backend') continue
    clients++
    if (wait_event_type === 'Lock') waiting++
    if (typeof state === 'string' && state.startsWith('idle in transaction')) idle_in_transaction++
    if (pid === ownPid) continue
    if (state === 'active' || state === 'fastpath function call') active++
    if (typeof xact_age_seconds === 'number' && xact_age_seconds > (oldest ?? Number.NEGATIVE_INFINITY)) oldest = xact_age_seconds
  }
  return {
    clients: clients + restricted,
    active,
    waiting,
    idle_in_transaction,
    restricted,
    oldest_xact_seconds: oldest,
    ready_epoch: ready,
  }
}

/** Lines that are a number alone, or the text of a composite value: (1,,"a ""quoted"" \\ text"). A quoted field may hold line breaks. */
export function records(lines: string): (string | null)[][] {
  const out: (string | null)[][] = []
  let at = 0
  while (at < lines.length) {
    if (lines[at] !== '(') {
      const end = lines.indexOf('\n', at)
      out.push([lines.slice(at, end < 0 ? lines.length : end)])
      at = end < 0 ? lines.length : end + 1
      continue
    }
    const record: (string | null)[] = []
    at++
    for (let open = true; open; at++) {
      let field: string | null
      if (lines[at] === '"') {
        const from = ++at
        let plain = true
        for (; ; at++) {
          const character = lines.charCodeAt(at)
          if (Number.isNaN(character)) throw new Error('activity: an answer that breaks off')
          if (character === backslash || (character === quote && lines.charCodeAt(at + 1) === quote)) {
            plain = false
            at++
          } else if (character === quote) break
        }
        field = lines.slice(from, at)
        if (!plain) field = field.replace(/\\(.)|""/gs, (_, escaped?: string) => escaped ?? '"')
        at++
      } else {
        const from = at
        while (at < lines.length && lines[at] !== ',' && lines[at] !== ')') at++
        field = at === from ? null : lines.slice(from, at)
      }
      record.push(field)
      open = lines[at] === ','
      if (!open && lines[at] !== ')') throw new Error('activity: an answer that breaks off')
    }
    out.push(record)
    at++
  }
  return out
}

const backslash = 0x5c
const quote = 0x22
