// Starting a server process: in a session of its own, so that Ctrl-C and Ctrl-Z in our terminal never reach it; under the
// guard, so that it never outlives us; without our PG* variables, so that the user's settings never steer it.

import { type ChildProcess, spawn } from 'node:child_process'
import { chownSync, closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { guardProcess } from './guard.ts'
import { serverAccount } from './paths.ts'

export type ServerProcess = {
  readonly pid: number
  /** What it has written to its log since it was started. */
  readonly output: () => string
  /** Resolves with the exit code, or the signal's name, when the process has ended. */
  readonly ended: Promise<number | string>
  readonly running: () => boolean
  readonly signal: (name: NodeJS.Signals) => void
  /** Sends the signal and waits; after `patienceMs` SIGKILL. */
  readonly end: (name: NodeJS.Signals, patienceMs?: number) => Promise<void>
}

export type Command = {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd: string
  /** Where stdout and stderr go; appended. */
  readonly logFile: string
  /** PostgreSQL and PgBouncer never run as root. Our own helper processes run as we do. */
  readonly dropRoot: boolean
}

export function startProcess({ command, args, cwd, logFile, dropRoot }: Command, keepsUsAlive?: boolean): Promise<ServerProcess> {
  const account = dropRoot ? serverAccount() : null
  const log = openSync(logFile, 'a', 0o600)
  const before = fstatSync(log).size
  if (account) chownSync(logFile, account.uid, account.gid)
  let child: ChildProcess
  try {
    child = spawn(command, args, { cwd, env: cleanEnvironment(), detached: true, stdio: ['ignore', log, log], ...account })
  } finally {
    closeSync(log)
  }
  guardProcess(child)
  const ended = new Promise<number | string>(resolve => {
    child.once('exit', (code, signal) => resolve(signal ?? code ?? 1))
    child.once('error', () => resolve(127))
  })
  const running = () => child.exitCode === null && child.signalCode === null
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('spawn', () => {
      // A server that nobody waits for does not keep us alive: the guard ends it when we end.
      if (keepsUsAlive !== true) child.unref()
      resolve({
        pid: child.pid!,
        output: () => readFileSync(logFile).toString('utf8', before),
        ended,
        running,
        signal: name => void child.kill(name),
        end: async (name, patienceMs = 20_000) => {
          if (!running()) return
          child.ref()
          child.kill(name)
          const impatient = setTimeout(() => child.kill('SIGKILL'), patienceMs)
          await ended
          clearTimeout(impatient)
        },
      })
    })
  })
}

/** Runs a command to its end; fails with what it complained of. */
export async function runToEnd(command: Command): Promise<void> {
  const child = await startProcess(command, true)
  const result = await child.ended
  if (result !== 0) throw new Error(`${command.command.split('/').pop()} failed (${result}): ${trouble(child)}`)
}

/** What went wrong, on one line: the first line of its log that speaks of an error, else the last ones. */
export function trouble(child: ServerProcess): string {
  const lines = child.output().trim().split('\n')
  return lines.find(line => /\b(FATAL|PANIC|error|\w*Error):/.test(line)) ?? lines.slice(-3).join(' | ')
}

/** A port nobody listens on, on the loopback address, at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no free port'))))
    })
  })
}

function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PG')))
}
