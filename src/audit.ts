// The audit trail: one line of JSON before each deed and one after it, appended to a file of the user's. Written at once and by one
// write a line, so that a pgvigil that is killed leaves what it has begun behind, and several of them don't mix their lines.

import { closeSync, constants, existsSync, fstatSync, mkdirSync, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Env, Machine } from './config/machine.ts'
import { jsonText } from './model/json.ts'
import { redacted } from './model/redact.ts'
import type { Outcome } from './store/state.ts'

/** What both lines of a deed have in common. `target` and `sql` may hold raw text. */
export type AuditDeed = {
  readonly id: string
  readonly action: string
  readonly server: string
  readonly role: string | null
  /** Whom we are on that server. */
  readonly user: string | null
  readonly sql: string
  readonly target: Readonly<Record<string, unknown>>
}

export type AuditLine = AuditDeed & {
  /** ISO 8601, UTC. */
  readonly at: string
  readonly phase: 'begun' | 'ended'
  readonly osUser: string | null
  /** Where the user has come from through SSH, as sshd tells it: address, port, port here. */
  readonly sshClient: string | null
  readonly outcome: Outcome | null
  readonly detail: string | null
}

export type Audit = {
  readonly path: string | null
  /** Why nothing can be written; null: it can. */
  trouble(): string | null
  /** Null, or why it could not be written. */
  begun(deed: AuditDeed): string | null
  ended(deed: AuditDeed, outcome: Outcome, detail: string): string | null
}

/** Where what pgvigil remembers of this user lies: $XDG_STATE_HOME/pgvigil, else below ~/.local/state; null without either. A relative XDG path counts as none, as its specification has it. */
export function stateFolder(env: Env, machine: Pick<Machine, 'home'>): string | null {
  const given = env.XDG_STATE_HOME?.startsWith('/') ? env.XDG_STATE_HOME : null
  const state = given ?? (machine.home ? join(machine.home, '.local', 'state') : null)
  return state === null ? null : join(state, 'pgvigil')
}

/** audit.jsonl in that folder; null without one. */
export function auditPath(env: Env, machine: Pick<Machine, 'home'>): string | null {
  const folder = stateFolder(env, machine)
  return folder === null ? null : join(folder, 'audit.jsonl')
}

/** With the folders above it, for nobody else. Step by step: asked for all at once Node never ends where the system has no such folder (/proc). Throws. */
export function makeFolder(path: string): void {
  if (existsSync(path)) return
  if (dirname(path) !== path) makeFolder(dirname(path))
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/** Opens nothing yet: the file is made with the first deed. */
export function openAudit(env: Env, machine: Pick<Machine, 'home' | 'osUser'>, now: () => number = Date.now): Audit {
  const path = auditPath(env, machine)
  const who = { osUser: machine.osUser, sshClient: env.SSH_CLIENT || env.SSH_CONNECTION || null }

  /** Runs with the file open for appending; why it can't be, otherwise. */
  function append(write: (file: number) => void): string | null {
    if (path === null) return 'there is no home directory to keep the audit trail in (XDG_STATE_HOME names one)'
    try {
      makeFolder(dirname(path))
      const file = openSync(path, constants.O_APPEND | constants.O_CREAT | constants.O_RDWR, 0o600)
      try {
        write(file)
      } finally {
        closeSync(file)
      }
      return null
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      return `the audit trail ${path} can't be written (${code ?? message})`
    }
  }

  function line(deed: AuditDeed, phase: AuditLine['phase'], outcome: Outcome | null, detail: string | null): string | null {
    const { id, action, server, role, user, sql, target } = deed
    const at = new Date(now()).toISOString()
    const entry = { at, phase, id, action, ...who, server, role, user, sql, target, outcome, detail }
    const text = Buffer.from(`${jsonText(redacted(entry))}\n`)
    return append(file => {
      // A line that another one broke off in the middle (a full disk) must not swallow this one.
      const { size } = fstatSync(file)
      const last = Buffer.alloc(1)
      const broken = size > 0 && readSync(file, last, 0, 1, size - 1) === 1 && last[0] !== 0x0a
      writeSync(file, broken ? Buffer.concat([Buffer.from('\n'), text]) : text)
    })
  }

  return {
    path,
    trouble: () => append(() => {}),
    begun: deed => line(deed, 'begun', null, null),
    ended: (deed, outcome, detail) => line(deed, 'ended', outcome, detail),
  }
}

export type Trail = { readonly lines: readonly AuditLine[]; readonly unreadable: number }

/** The trail from a moment on (epoch ms; null: all of it), oldest first. No file is an empty trail. Throws when the file can't be read. */
export function readTrail(path: string | null, since: number | null): Trail {
  if (path === null || !existsSync(path)) return { lines: [], unreadable: 0 }
  const lines: AuditLine[] = []
  let unreadable = 0
  for (const text of readFileSync(path, 'utf8').split('\n')) {
    if (text === '') continue
    const entry = parsed(text)
    if (!entry) unreadable++
    else if (since === null || Date.parse(entry.at) >= since) lines.push(entry)
  }
  return { lines, unreadable }
}

function parsed(text: string): AuditLine | null {
  try {
    const entry = JSON.parse(text) as Partial<AuditLine> | null
    return typeof entry?.at === 'string' && Number.isFinite(Date.parse(entry.at)) && typeof entry.id === 'string'
      ? (entry as AuditLine)
      : null
  } catch {
    return null
  }
}
