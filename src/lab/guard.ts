// Nothing the lab started outlives the lab. A small shell in a session of its own (guard.sh) holds the list of server processes and
// folders and reads from a pipe whose other end only we hold: when we are gone, whatever the reason, it ends the servers
// and removes the folders. Orderly ends take their entries off the list first.

import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { packageRoot } from './paths.ts'

let guard: ChildProcess | undefined

function tell(line: string): void {
  if (!guard) {
    guard = spawn('/bin/sh', [join(packageRoot(), 'src', 'lab', 'guard.sh')], {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    guard.unref()
    ;(guard.stdin as Socket).unref()
    guard.stdin!.on('error', () => {})
    guard.on('error', () => {})
  }
  guard.stdin!.write(`${line}\n`)
}

/** From now on this process ends when we do. Takes itself off the list when the process has ended. */
export function guardProcess(child: ChildProcess): void {
  const { pid } = child
  if (pid === undefined) return
  tell(`pid ${pid}`)
  child.once('exit', () => tell(`gone ${pid}`))
}

/** From now on this folder is removed when we end. */
export function guardFolder(path: string): void {
  tell(`folder ${path}`)
}

/** The folder has been removed, or is no longer the guard's business. */
export function releaseFolder(path: string): void {
  tell(`removed ${path}`)
}
