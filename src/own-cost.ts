// What pgvigil costs the machine it runs on.

import type { State } from './store/state.ts'

/** How often the cost is told anew. Milliseconds. */
const everyMs = 5000

/** Tells what pgvigil costs: a share of one CPU over the last seconds, and its memory; anew every few seconds. Null at first. */
export function ownCost(): () => State['cost'] {
  let before = { cpu: process.cpuUsage(), at: performance.now() }
  let cost: State['cost'] = null
  return () => {
    const elapsedMs = performance.now() - before.at
    if (elapsedMs < everyMs) return cost
    const { user, system } = process.cpuUsage(before.cpu)
    before = { cpu: process.cpuUsage(), at: performance.now() }
    cost = { cpu: (user + system) / 1000 / elapsedMs, residentBytes: process.memoryUsage.rss() }
    return cost
  }
}
