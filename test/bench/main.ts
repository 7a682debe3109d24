// `npm run bench`: what pgvigil costs, beside psql and the least that could be asked, on servers of its own. A table, and JSON with --json FILE.

import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { build, endAll } from '../support/terminal.ts'
import { machine, startLoad, whyNot } from './load.ts'
import { measure, type Plan, type SizeResult } from './measure.ts'
import { tableOf } from './table.ts'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    sessions: { type: 'string', default: '50,200,1000,2000' },
  },
})
const plan: Plan = values.quick
  ? { rounds: 2, refreshes: 3, starts: 3, keys: 20 }
  : { rounds: 5, refreshes: 5, starts: 7, keys: 60 }
const sizes = values.quick ? [200] : values.sessions.split(',').map(Number)

build()
const results: SizeResult[] = []
const skipped: string[] = []
for (const sessions of sizes) {
  const trouble = whyNot(sessions)
  if (trouble) {
    skipped.push(trouble)
    continue
  }
  process.stderr.write(`${sessions} sessions...\n`)
  const load = await startLoad(sessions)
  try {
    results.push(await measure(load, plan))
  } finally {
    endAll()
    await load.stop()
  }
}
process.stdout.write(tableOf(results, skipped))
if (values.json) writeFileSync(values.json, `${JSON.stringify({ machine: machine(), plan, results, skipped }, null, 2)}\n`)
process.exit(0)
