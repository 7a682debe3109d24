// The figures of a run as a table for people.

import { machine } from './load.ts'
import { intervalMs, type SizeResult } from './measure.ts'

type Cell = string

const number = (value: number, digits = 0) => (Number.isFinite(value) ? value.toFixed(digits) : '–')

/** One block a size: who costs what, then what is pgvigil's alone. */
export function tableOf(results: readonly SizeResult[], skipped: readonly string[]): string {
  const head = `${machine()}; one refresh every ${intervalMs / 1000} s, terminal 200x50, all of them at once; medians, per refresh\n\n`
  return head + results.map(block).join('\n') + skipped.map(why => `not measured: ${why}\n`).join('')
}

function block(result: SizeResult): string {
  const { sessions, costs, floorMs, bytes, keyToFrameMs, loopBlockedMs, calibration, notes } = result
  const rows: Cell[][] = [
    ['', 'CPU ms', 'to terminal B', 'server ms', 'of floor', 'calls', 'from server kB', 'memory MB', 'first rows ms'],
    ...costs.map(cost => [
      cost.who,
      number(cost.cpuMs, 1),
      number(cost.terminalBytes),
      number(cost.serverMs, 2),
      number(cost.serverMs / floorMs, 2),
      number(cost.calls, 1),
      number(cost.receivedBytes / 1000, 1),
      number(cost.residentMb),
      number(cost.firstFrameMs),
    ]),
  ]
  const blocked = loopBlockedMs ? `p99 ${number(loopBlockedMs.p99)}, at most ${number(loopBlockedMs.max)} ms` : 'not measured'
  return `${sessions} sessions
${aligned(rows)}
  bytes to the terminal: steady ${number(bytes.steady)}, all rows moving ${number(bytes.moving)} (${number(result.movingCpuMs, 1)} ms CPU), held ${number(bytes.held)}, a key ${number(bytes.key)}
  key to frame: p50 ${number(keyToFrameMs.p50, 1)}, p95 ${number(keyToFrameMs.p95, 1)}, at most ${number(keyToFrameMs.max, 1)} ms; event loop blocked: ${blocked}
  calibration: ${number(calibration.median, 1)} ms, from ${number(calibration.min, 1)} to ${number(calibration.max, 1)}
${notes.map(note => `  ${note}\n`).join('')}`
}

function aligned(rows: readonly Cell[][]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map(row => row[i]!.length)))
  return rows
    .map(row => `  ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ')}`)
    .join('\n')
}
