// Preloaded into the monitor: how long its event loop was blocked at the worst, written to PGVIGIL_LOOP_FILE when it ends.
import { writeFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

const resolution = 5
const histogram = monitorEventLoopDelay({ resolution })
// What starting up takes is no part of it.
setTimeout(() => histogram.enable(), Number(process.env.PGVIGIL_LOOP_AFTER_MS ?? 4000)).unref()
process.on('exit', () => {
  const ms = ns => ns / 1e6 - resolution
  writeFileSync(process.env.PGVIGIL_LOOP_FILE, JSON.stringify({ p99: ms(histogram.percentile(99)), max: ms(histogram.max) }))
})
