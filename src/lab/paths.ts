// Where the lab finds its parts: the checkout, the checkout's own Node, the user servers run as.

import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, parse } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder with package.json: the same for src/lab/*.ts and for the bundle in dist/. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json')) && folder !== parse(folder).root) folder = dirname(folder)
  return folder
}

/** The Node of the checkout, which runs TypeScript as it is; the running one where the checkout has none. */
export function nodeBinary(): string {
  const own = join(packageRoot(), 'node_modules', 'node', 'bin', 'node')
  return existsSync(own) ? own : process.execPath
}

/** Account that servers run as. */
export type Account = { readonly uid: number; readonly gid: number }

/** PostgreSQL and PgBouncer refuse to run as root: then they run as `nobody`. null: not root, servers run as we do. */
export function serverAccount(): Account | null {
  if (process.getuid?.() !== 0) return null
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find(entry => entry.startsWith('nobody:'))
  const [, , uid, gid] = (line ?? '').split(':').map(Number)
  return { uid: uid || 65534, gid: gid || 65534 }
}

/** Whether `account` (null: we ourselves) can get to this file or folder through all folders above it and use it: 4 read, 1 run or enter. */
export function reachable(path: string, account: Account | null, use = constants.R_OK | constants.X_OK): boolean {
  if (!account) {
    try {
      accessSync(path, use)
      return true
    } catch {
      return false
    }
  }
  for (let at = path, need = use; ; at = dirname(at), need = constants.X_OK) {
    const { mode, uid, gid } = statSync(at)
    const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0
    if (((mode >> shift) & need) !== need) return false
    if (at === parse(at).root) return true
  }
}
