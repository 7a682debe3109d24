// Connection service files, as libpq reads them: pg_service.conf with one [section] a service and keyword=value lines.

import { type Conninfo, isKeyword, type Keyword, suggestion } from './keywords.ts'
import type { Env, Machine } from './machine.ts'
import { Refusal } from './refusal.ts'

/** Where a system-wide file is looked for without PGSYSCONFDIR: Debian's place, then that of a build from source. */
const systemDirectories = ['/etc/postgresql-common', '/usr/local/pgsql/etc']

/**
 * What the service says. The user's file (PGSERVICEFILE, else ~/.pg_service.conf) comes before the system's (PGSYSCONFDIR). Refuses a
 * service that is in neither, a PGSERVICEFILE that is not there, and a file with a line that is no keyword=value.
 */
export function readService(name: string, env: Env, machine: Machine): Conninfo {
  const own = env.PGSERVICEFILE ?? (machine.home === null ? null : `${machine.home}/.pg_service.conf`)
  const system = env.PGSYSCONFDIR === undefined ? systemDirectories : [env.PGSYSCONFDIR]
  for (const path of [own, ...system.map(directory => `${directory}/pg_service.conf`)]) {
    if (path === null) continue
    const text = read(path, machine)
    if (text === null) {
      if (path === env.PGSERVICEFILE) throw new Refusal(`the service file ${path} (PGSERVICEFILE) does not exist`)
      continue
    }
    const found = parseService(text, name, path)
    if (found) return found
  }
  throw new Refusal(`the service "${name}" is defined in no service file`)
}

function read(path: string, machine: Machine): string | null {
  try {
    return machine.readText(path)
  } catch {
    throw new Refusal(`the service file ${path} cannot be read`)
  }
}

/** The section of that name, or null. The first value of a keyword counts; nothing may stand around its "=". */
export function parseService(text: string, name: string, path: string): Conninfo | null {
  let found: { -readonly [K in Keyword]?: string } | null = null
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    if (line.startsWith('[')) {
      if (found) break
      if (line.startsWith(`[${name}]`)) found = {}
      continue
    }
    if (!found) continue
    const where = `line ${index + 1} of the service file ${path}`
    const equals = line.indexOf('=')
    const keyword = line.slice(0, Math.max(0, equals))
    if (line.startsWith('ldap')) throw new Refusal(`${where}: LDAP lookup of services is not supported`)
    if (equals < 0) throw new Refusal(`${where} has no "="`)
    if (keyword === 'service') throw new Refusal(`${where} names another service, which no service may`)
    if (!isKeyword(keyword)) {
      const meant = suggestion(keyword.trim())
      throw new Refusal(`${where} does not start with a connection keyword and "="${meant ? ` (did you mean "${meant}="?)` : ''}`)
    }
    found[keyword] ??= line.slice(equals + 1)
  }
  return found
}
