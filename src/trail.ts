// `pgvigil audit`: the trail of what was done, as a table or as the lines of the file.

import { type AuditLine, auditPath, readTrail, type Trail } from './audit.ts'
import { thisMachine } from './config/machine.ts'
import { jsonText } from './model/json.ts'
import { drawable, fit, width } from './model/untrusted.ts'

const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

/** The moment that `--since` means, epoch ms: an age ("90s", "30m", "1h", "2d", "1w") before `now`, or a date with or without a time. */
export function sinceMoment(text: string, now: number): number | { readonly error: string } {
  const age = /^\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)\s*$/.exec(text)
  if (age) return now - Number(age[1]) * (unitMs[age[2] as string] as number)
  const moment = /^\s*\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text.trim()) : Number.NaN
  if (Number.isFinite(moment)) return moment
  return { error: `--since is an age such as 1h, 30m or 2d, or a date, not "${drawable(text).slice(0, 30)}"` }
}

/** Prints the trail; resolves to the exit code. */
export async function runAudit(json: boolean, since: number | null): Promise<number> {
  const path = auditPath(process.env, thisMachine())
  let trail: Trail
  try {
    trail = readTrail(path, since)
  } catch (error) {
    process.stderr.write(`pgvigil: the audit trail can't be read: ${drawable((error as Error).message)}\n`)
    return 1
  }
  process.stdout.on('error', () => process.exit(0))
  if (trail.unreadable > 0) {
    process.stderr.write(`pgvigil: ${trail.unreadable} lines of ${drawable(path)} are no records of deeds and are left out\n`)
  }
  const lines = json ? trail.lines.map(line => jsonText(line)) : trailTable(trail.lines)
  if (!json && lines.length === 0)
    lines.push(
      `nothing is recorded${since === null ? '' : ' since then'} in ${drawable(path ?? 'any file: there is no home directory')}`,
    )
  await new Promise(resolve => process.stdout.write(lines.map(line => `${line}\n`).join(''), resolve))
  return 0
}

/** A line a deed, oldest first: when it began, who, where, what, to whom, how it ended. Drawable. */
export function trailTable(lines: readonly AuditLine[]): string[] {
  const ends = new Map(lines.filter(({ phase }) => phase === 'ended').map(line => [line.id, line]))
  const begun = new Set(lines.filter(({ phase }) => phase === 'begun').map(({ id }) => id))
  const deeds = lines.filter(line => line.phase === 'begun' || !begun.has(line.id))
  if (deeds.length === 0) return []
  const head = ['BEGUN', 'WHO', 'SERVER', 'ACTION', 'TARGET', 'OUTCOME', 'DETAIL']
  const rows = deeds.map(deed => {
    const end = ends.get(deed.id)
    return [
      deed.at.replace('T', ' ').replace(/\.\d+Z$/, 'Z'),
      [deed.osUser ?? '?', deed.sshClient?.split(' ')[0]].filter(Boolean).join('@'),
      `${deed.server} ${deed.role ?? ''}`.trim(),
      deed.action,
      targetText(deed.target),
      end?.outcome ?? '–',
      end ? (end.detail ?? '') : 'no end is recorded: pgvigil was ended in the middle, or it goes on',
    ].map(text => drawable(text))
  })
  const widths = head.map((title, i) => Math.min(40, Math.max(width(title), ...rows.map(row => width(row[i] as string)))))
  return [head, ...rows].map(row =>
    row.map((text, i) => (i === row.length - 1 ? text : fit(text, widths[i] as number))).join('  '),
  )
}

/** What identifies a target, in short. */
function targetText(target: Readonly<Record<string, unknown>>): string {
  const named = [
    'pid',
    'gid',
    'slot_name',
    'chunk',
    'table',
    'index',
    'job_id',
    'id',
    'usename',
    'datname',
    'database',
    'application_name',
  ]
  const told = named.flatMap(key => {
    const value = target?.[key]
    if (value === null || value === undefined || value === '') return []
    return [key === 'pid' || key === 'job_id' ? `${key === 'pid' ? 'pid' : 'job'} ${value}` : String(value)]
  })
  return told.join(' ')
}
