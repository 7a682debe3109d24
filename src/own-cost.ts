// What pgvigil costs the machine it runs on, and what keeps that small.

import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import type { State } from './store/state.ts'

/** How often the cost is told anew. Milliseconds. */
const everyMs = 5000
/**
 * V8 lets the space for young objects grow for as long as some of them live on, to many times of what a screen a second needs. From this size on it
 * stays as it is: some more collections, and a resident size that stays where it is. Bytes.
 */
const youngBytes = 4 * 1024 * 1024

/** Tells what pgvigil costs: a share of one CPU over the last seconds, and its memory; anew every few seconds. Null at first. */
export function ownCost(): () => State['cost'] {
  let before = { cpu: process.cpuUsage(), at: performance.now() }
  let cost: State['cost'] = null
  let bounded = false
  return () => {
    if (!bounded) bounded = boundYoung()
    const elapsedMs = performance.now() - before.at
    if (elapsedMs < everyMs) return cost
    const { user, system } = process.cpuUsage(before.cpu)
    before = { cpu: process.cpuUsage(), at: performance.now() }
    cost = { cpu: (user + system) / 1000 / elapsedMs, residentBytes: process.memoryUsage.rss() }
    return cost
  }
}

/** True when the space for young objects is as large as it may be: it no longer grows then. */
function boundYoung(): boolean {
  const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
  if (!young || young.space_size < youngBytes) return false
  setFlagsFromString('--semi-space-growth-factor=1')
  return true
}
