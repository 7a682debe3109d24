// PostgreSQL 13 to 18 as npm packages: finding them, and making them runnable by the account the servers run as.

import { cpSync, existsSync, readFileSync, realpathSync, symlinkSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { packageRoot, reachable, serverAccount } from './paths.ts'

export type PostgresVersion = 13 | 14 | 15 | 16 | 17 | 18

/**
 * The folder with bin/, lib/ and share/ of this version. A copy below `dir` is made where the servers' account can't reach
 * the package (a checkout below /root), or where npm ran no install script and we may not complete the package ourselves.
 */
export function postgresBinaries(version: PostgresVersion, dir: string): string {
  const packaged = join(packageRoot(), 'node_modules', `postgres-${version}`)
  if (!existsSync(join(packaged, 'native', 'bin', 'postgres'))) {
    throw new Error(`PostgreSQL ${version} is not installed: run npm ci in ${packageRoot()}`)
  }
  const root = realpathSync(packaged)
  const native = join(root, 'native')
  if (reachable(join(native, 'bin', 'postgres'), serverAccount()) && completeLinks(root, root)) return native
  const copy = join(dir, `postgres-${version}`)
  if (!existsSync(copy)) {
    cpSync(native, join(copy, 'native'), { recursive: true, verbatimSymlinks: true })
    completeLinks(root, copy)
  }
  return join(copy, 'native')
}

/** npm packages hold no symbolic links: the package lists them, its install script makes them. False: they can't be made. */
function completeLinks(root: string, target: string): boolean {
  const links: { source: string; target: string }[] = JSON.parse(readFileSync(join(root, 'native', 'pg-symlinks.json'), 'utf8'))
  try {
    for (const link of links) {
      const path = join(target, link.target)
      if (!existsSync(path)) symlinkSync(relative(dirname(link.target), link.source), path)
    }
    return true
  } catch {
    return false
  }
}
