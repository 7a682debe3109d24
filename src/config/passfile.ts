// The password file (~/.pgpass, PGPASSFILE) in libpq's format, read when a server asks for a password and without a word on stderr.

import { readFile, stat } from 'node:fs/promises'

/** One line a password: host:port:database:user:password, "*" for any, "\" before ":" or "\" in a field. */
export type PassfileKey = { readonly host: string; readonly port: number; readonly database: string; readonly user: string }

/** `password`: null if the file has none for this key. `problem`: why the file was not used, a phrase without its contents; else null. */
export type PassfileAnswer = { readonly password: string | null; readonly problem: string | null }

/** A missing file is no problem; one that others may read is not used, as libpq does. Never throws. */
export async function readPassfile(path: string, key: PassfileKey): Promise<PassfileAnswer> {
  try {
    const { mode } = await stat(path)
    if ((mode & 0o170000) !== 0o100000)
      return { password: null, problem: `the password file ${path} is not used: it is not a plain file` }
    if ((mode & 0o077) !== 0) {
      return { password: null, problem: `the password file ${path} is not used: others may read it (chmod 600 it)` }
    }
    return { password: findPassword(await readFile(path, 'utf8'), key), problem: null }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return { password: null, problem: null }
    return { password: null, problem: `the password file ${path} cannot be read (${code ?? 'error'})` }
  }
}

/** The password of the first line that matches, or null. A socket in a default directory is called "localhost" in the file. */
export function findPassword(text: string, key: PassfileKey): string | null {
  const host = key.host === '/var/run/postgresql' || key.host === '/tmp' ? ['localhost', key.host] : [key.host]
  for (const line of text.split(/\r?\n/)) {
    if (line === '' || line.startsWith('#')) continue
    const fields = split(line)
    if (fields.length < 5) continue
    const matches = (index: number, values: readonly string[]) =>
      fields[index]!.raw === '*' || values.includes(fields[index]!.text)
    if (!matches(0, host) || !matches(1, [String(key.port)]) || !matches(2, [key.database]) || !matches(3, [key.user])) continue
    return fields[4]!.text === '' ? null : fields[4]!.text
  }
  return null
}

/** Fields between unescaped colons; `text` without the backslashes, `raw` with them (an escaped asterisk is no wildcard). */
function split(line: string): { raw: string; text: string }[] {
  const fields = [{ raw: '', text: '' }]
  for (let at = 0; at < line.length; at++) {
    const field = fields[fields.length - 1]!
    if (line[at] === ':') {
      fields.push({ raw: '', text: '' })
      continue
    }
    const escaped = line[at] === '\\' && at + 1 < line.length
    field.raw += escaped ? line.slice(at, at + 2) : line[at]
    if (escaped) at++
    field.text += line[at]
  }
  return fields
}
