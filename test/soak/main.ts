// npm run soak [-- SECONDS [SEED]]: ten minutes at an interval of 0.1 s under random faults. Ends with 0 when all went as it should.

import { soak } from './soak.ts'

const [seconds = 600, seed = Date.now() % 1_000_000] = process.argv.slice(2).map(Number)
const say = (line: string) => void process.stdout.write(`${line}\n`)
say(`${seconds} s, seed ${seed}`)
const result = await soak({ seconds, seed, intervalMs: 100, say })
say(JSON.stringify(result, null, 2))
const good =
  result.exitCode === 0 &&
  result.quitMs < 1000 &&
  Math.abs(result.handles.after - result.handles.before) <= 1 &&
  result.slopeMbPerMinute <= 2
say(good ? 'as it should be' : 'NOT as it should be')
process.exit(good ? 0 : 1)
