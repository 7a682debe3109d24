// The program as scripts run it: no terminal anywhere.

import { spawn } from 'node:child_process'
import { environment, node, program, type StartOptions } from './terminal.ts'

export type Result = {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs pgvigil with pipes for stdout and stderr and nothing on stdin; resolves when it has ended. */
export function run(args: readonly string[], env: StartOptions['env'] = {}): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(node, [program, ...args], { env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout.on('data', chunk => out.push(chunk))
    child.stderr.on('data', chunk => err.push(chunk))
    child.on('error', reject)
    child.on('close', (code, signal) =>
      resolve({ code, signal, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    )
  })
}
