// `pgvigil demo`: the lab for as long as somebody uses it, and gone afterwards whatever ended it.

import { fstatSync } from 'node:fs'
import { type Lab, type LabOptions, startLab } from './lab.ts'

const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
type Signal = keyof typeof codes
const signals = Object.keys(codes) as Signal[]

const progress = (line: string) => void process.stderr.write(`Starting: ${line}\n`)

/**
 * Starts the lab with progress on stderr, runs, and always stops it. Resolves with what `run` resolved with; with 130, 143 or 129 when a signal came
 * while the lab was starting (`run` handles signals itself from then on, and a second one while stopping changes nothing);
 * with 1 and one sentence on stderr when the lab could not start.
 */
export async function withLab(run: (lab: Lab) => Promise<number>, options: LabOptions = {}): Promise<number> {
  const abort = new AbortController()
  let caught: Signal | undefined
  const note = (signal: NodeJS.Signals) => {
    caught ??= signal as Signal
    abort.abort()
  }
  for (const signal of signals) process.on(signal, note)
  try {
    const lab = await startLab({ log: progress, ...options, signal: abort.signal }).catch((error: Error) => {
      if (!caught) process.stderr.write(`The lab could not start: ${error.message}\n`)
      return null
    })
    if (!lab) return caught ? codes[caught] : 1
    try {
      return await run(lab)
    } finally {
      await lab.stop()
    }
  } finally {
    for (const signal of signals) process.off(signal, note)
  }
}

/**
 * `pgvigil demo --servers-only`: one line with one JSON object of conninfo strings on stdout, progress on stderr, then runs
 * until SIGINT, SIGTERM or SIGHUP (130, 143, 129), or until whoever holds the other end of stdin or stdout is gone (129).
 */
export async function runServersOnly(options: LabOptions = {}): Promise<number> {
  const callers = watchCallers()
  try {
    return await withLab(({ primary, standby, pgbouncer, timescale }) => {
      const told = untilTold(callers)
      process.stdout.write(`${JSON.stringify({ primary, standby, pgbouncer, timescale })}\n`)
      return told
    }, options)
  } finally {
    callers.end()
  }
}

type Callers = { gone: () => void; readonly end: () => void }

/** A pipe on stdin that closes while we run: an ssh or a test runner that died. One that was closed before says nothing. */
function watchCallers(): Callers {
  const { stdin, stdout } = process
  const callers: Callers = { gone: () => {}, end: () => stdin.destroy() }
  const gone = () => callers.gone()
  const kind = fstatSync(0)
  if (kind.isFIFO() || kind.isSocket()) stdin.on('end', gone).on('error', gone).resume()
  stdout.on('error', gone)
  return callers
}

function untilTold(callers: Callers): Promise<number> {
  // Nothing else would keep us alive: servers and their guard are processes of their own.
  const alive = setInterval(() => {}, 60_000)
  return new Promise<number>(resolve => {
    for (const signal of signals) process.once(signal, () => resolve(codes[signal]))
    callers.gone = () => resolve(codes.SIGHUP)
  }).finally(() => clearInterval(alive))
}
