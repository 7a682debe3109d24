// Which walsender serves which watched standby. Positions of one standby come from both ends, so a wrong pair is a wrong lag: what is
// certain decides first, and where nothing is certain the pair is marked so.

import type { ReceiverRow, ReplicationSettingsRow, SenderRow, SlotRow } from '../sql/replication.ts'
import type { PulseRow } from '../sql/server.ts'
import type { LsnPoint } from './lag.ts'
import { raw, type Untrusted } from './untrusted.ts'

/** Rows and our clock in epoch ms when they were read. */
export type Timed<Row> = { readonly at: number; readonly rows: readonly Row[] }

/** A watched PostgreSQL server with its newest samples; null: not read (yet). */
export type Member = {
  readonly id: string
  readonly host: string
  readonly port: number
  readonly user: string
  /** The link is up and its data are fresh. */
  readonly answers: boolean
  readonly role: 'primary' | 'standby' | null
  readonly systemIdentifier: bigint | null
  readonly clusterName: Untrusted | null
  /** false: the role lacks pg_read_all_stats, so that NULL says nothing. */
  readonly readsAllStats: boolean
  /** A primary's insert positions, or a standby's replay positions. */
  readonly history: readonly LsnPoint[]
  readonly pulse: Timed<PulseRow> | null
  readonly senders: Timed<SenderRow> | null
  readonly sendersBefore: Timed<SenderRow> | null
  readonly slots: Timed<SlotRow> | null
  readonly receiver: Timed<ReceiverRow> | null
  readonly conflicts: Timed<{ readonly conflicts: bigint }> | null
  readonly conflictsBefore: Timed<{ readonly conflicts: bigint }> | null
  readonly settings: ReplicationSettingsRow | null
}

/** `sure` false: one of several that look the same; then only the standby's own positions may be believed. */
export type Pair = { readonly sender: Member; readonly row: SenderRow; readonly standby: Member; readonly sure: boolean }

type Candidate = { readonly sender: Member; readonly row: SenderRow }

const text = (value: Untrusted | null | undefined): string | null => (value === null || value === undefined ? null : raw(value))
/** PostgreSQL cuts names at 63 bytes; comparing so many characters is enough to tell them apart. */
const name = (value: Untrusted | null | undefined): string | null => text(value)?.slice(0, 63) ?? null

/** The slot that a walsender works for. */
export function slotOf(sender: Member, row: SenderRow): SlotRow | null {
  return sender.slots?.rows.find(slot => slot.active_pid === row.pid) ?? null
}

/** The slot that a standby uses, or would use, on its sender. */
export function slotNameOf(standby: Member): string | null {
  return text(standby.receiver?.rows[0]?.slot_name) ?? text(standby.settings?.primary_slot_name)
}

/** One system, and not the same server. What is not known stands in no way. */
function related(a: Member, b: Member): boolean {
  return a.id !== b.id && a.systemIdentifier !== null && a.systemIdentifier === b.systemIdentifier
}

/** Physical walsenders that feed a standby: not a base backup, not logical decoding. */
export function feedsStandby(sender: Member, row: SenderRow): boolean {
  return text(row.state) !== 'backup' && text(slotOf(sender, row)?.slot_type) !== 'logical'
}

/** Pairs of walsenders and watched standbys: by slot, then by application_name, then as the only ones left. Each is in one pair at most. */
export function pairStandbys(members: readonly Member[]): readonly Pair[] {
  const pairs: Pair[] = []
  let standbys = members.filter(member => member.role === 'standby')
  let candidates: Candidate[] = members.flatMap(sender =>
    (sender.senders?.rows ?? []).filter(row => feedsStandby(sender, row)).map(row => ({ sender, row })),
  )
  const choicesOf = (standby: Member, fits: Fits) =>
    narrowed(
      standby,
      candidates.filter(candidate => related(candidate.sender, standby) && fits(standby, candidate)),
    )
  const take = (standby: Member, candidate: Candidate, sure: boolean) => {
    pairs.push({ ...candidate, standby, sure })
    standbys = standbys.filter(other => other !== standby)
    candidates = candidates.filter(other => other !== candidate)
  }
  for (const fits of [bySlot, byName, byChance]) {
    const choices = standbys.map(standby => ({ standby, found: choicesOf(standby, fits) }))
    for (const { standby, found } of choices) {
      const [only, another] = found
      const wanted = choices.some(other => other.standby !== standby && other.found.includes(only as Candidate))
      if (only && !another && !wanted) take(standby, only, true)
    }
  }
  // Those that look alike to their senders: as many pairs as there are, of the youngest connections, in the order of their positions.
  for (const fits of [sameName, nothingAgainst]) {
    for (const standby of [...standbys].sort((a, b) => order(a.pulse?.rows[0]?.lsn, b.pulse?.rows[0]?.lsn))) {
      const rivals = standbys.filter(other =>
        choicesOf(other, fits).some(candidate => choicesOf(standby, fits).includes(candidate)),
      )
      const [next] = [...choicesOf(standby, fits)]
        .sort((a, b) => ((text(a.row.backend_start) ?? '') < (text(b.row.backend_start) ?? '') ? 1 : -1))
        .slice(0, rivals.length)
        .sort((a, b) => order(a.row.replay_lsn, b.row.replay_lsn))
      if (next) take(standby, next, false)
    }
  }
  return pairs
}

type Fits = (standby: Member, candidate: Candidate) => boolean

const bySlot: Fits = (standby, { sender, row }) => {
  const used = slotNameOf(standby)
  return used !== null && used === text(slotOf(sender, row)?.slot_name)
}
const sameName: Fits = (standby, { sender, row }) =>
  namesOf(standby).includes(name(row.application_name) ?? '') && !otherSlot(standby, sender, row)
/** `walreceiver` is what every standby is called that nobody named. */
const byName: Fits = (standby, candidate) =>
  sameName(standby, candidate) &&
  (name(candidate.row.application_name) !== 'walreceiver' || !servedElsewhere(standby, candidate.sender))
const nothingAgainst: Fits = (standby, { sender, row }) => !otherSlot(standby, sender, row) && !otherName(standby, row)
const byChance: Fits = (standby, candidate) => nothingAgainst(standby, candidate) && !servedElsewhere(standby, candidate.sender)

/** application_name as the receiver says it; where that can't be seen, what it would be by default. */
function namesOf(standby: Member): readonly string[] {
  const said = name(standby.receiver?.rows[0]?.application_name)
  if (said !== null) return [said]
  return [name(standby.settings?.cluster_name), name(standby.clusterName), standby.id].filter(value => value !== null)
}

/** The sender works for a slot, and it is not the standby's. */
function otherSlot(standby: Member, sender: Member, row: SenderRow): boolean {
  const slot = text(slotOf(sender, row)?.slot_name)
  const used = slotNameOf(standby)
  return sender.slots !== null && (slot !== null || used !== null) && standby.settings !== null && slot !== used
}

function otherName(standby: Member, row: SenderRow): boolean {
  const said = name(standby.receiver?.rows[0]?.application_name)
  return said !== null && said !== name(row.application_name)
}

/** The receiver names a port that is not this sender's: only a hint, since a tunnel changes it, so it never decides alone. */
function servedElsewhere(standby: Member, sender: Member): boolean {
  const port = standby.receiver?.rows[0]?.sender_port
  return port !== null && port !== undefined && port !== sender.port
}

/** Of several equal candidates: those at the port and the address that both ends name. */
function narrowed(standby: Member, found: readonly Candidate[]): readonly Candidate[] {
  let left = found
  for (const test of [
    ({ sender }: Candidate) => !servedElsewhere(standby, sender),
    ({ row }: Candidate) => text(row.client_addr) === standby.host,
  ]) {
    const kept = left.filter(test)
    if (left.length > 1 && kept.length > 0) left = kept
  }
  return left
}

function order(a: bigint | null | undefined, b: bigint | null | undefined): number {
  const [x, y] = [a ?? -1n, b ?? -1n]
  return x < y ? -1 : x > y ? 1 : 0
}
