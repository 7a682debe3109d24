// Folders of the lab: fresh, below TMPDIR, within reach of the account the servers run as, gone when we are.

import { chmodSync, chownSync, constants, mkdirSync, mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { guardFolder, releaseFolder } from './guard.ts'
import { reachable, serverAccount } from './paths.ts'

export type Folder = { readonly path: string; readonly remove: () => Promise<void> }

/**
 * Makes a fresh folder below TMPDIR, removed with all it holds by `remove()` or when this process ends.
 * As root with a TMPDIR that the servers' account can't enter, it is made below /tmp.
 */
export function temporaryFolder(name = 'pgvigil'): Folder {
  const account = serverAccount()
  const wanted = tmpdir()
  const base = account && !reachable(wanted, account, constants.X_OK) ? '/tmp' : wanted
  const path = mkdtempSync(join(base, `${name}-`))
  guardFolder(path)
  // Servers of another account must get through, not look around.
  if (account) chmodSync(path, 0o711)
  return {
    path,
    remove: async () => {
      await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
      releaseFolder(path)
    },
  }
}

/** Makes a folder only the servers' account may enter, with all parents it needs. */
export function serverFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o711 })
  chmodSync(path, 0o700)
  const account = serverAccount()
  if (account) chownSync(path, account.uid, account.gid)
}
