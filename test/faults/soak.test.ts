// Random faults one after the other, for a short while; `npm run soak` does it for ten minutes. F40.

import { expect, it } from 'vitest'
import { soak } from '../soak/soak.ts'

it('F40: a minute at 0.1 s under random faults: alive, handles as before, q ends it', async () => {
  const seed = Date.now() % 1_000_000
  const lines: string[] = []
  const result = await soak({ seconds: 60, seed, intervalMs: 100, say: line => lines.push(line) }).catch(error => {
    throw new Error(`seed ${seed}\n${lines.join('\n')}`, { cause: error })
  })
  process.stdout.write(`F40 seed ${seed}: ${JSON.stringify(result)}\n`)
  expect(result.faults).toBeGreaterThan(8)
  expect(result.exitCode).toBe(0)
  expect(result.quitMs).toBeLessThan(1000)
  expect(Math.abs(result.handles.after - result.handles.before)).toBeLessThanOrEqual(1)
  // Too short for a slope: what it grows by once it is warm.
  expect(result.residentMb.end - result.residentMb.warm, 'MB more than when it was warm').toBeLessThanOrEqual(25)
}, 240_000)
