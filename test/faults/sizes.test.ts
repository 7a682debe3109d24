// Terminals of any size, changed at any moment: alive, and the right picture afterwards. F38.

import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { build, endAll, startMonitor, type Terminal } from '../support/terminal.ts'

let folder: Folder
let server: PostgresServer

beforeAll(async () => {
  build()
  folder = temporaryFolder()
  server = await startPostgres({ version: 16, dir: folder.path })
})
afterEach(endAll)
afterAll(async () => {
  await server.stop('immediate')
  await folder.remove()
})

/** The whole frame: title with the clock at the right edge, a server, tabs, a table's heading, and the function keys on the last line. */
function whole(terminal: Terminal, columns: number, rows: number): boolean {
  const lines = terminal.screen()
  return (
    lines.length === rows &&
    lines[0]!.startsWith('pgvigil') &&
    /\d\d:\d\d:\d\d$/.test(lines[0]!) &&
    lines[0]!.length === columns &&
    /^127\.0\.0\.1:\d+ +primary +LIVE /.test(lines[1]!) &&
    lines[3]!.startsWith('1 Activity') &&
    /^ PID +USER +DB/.test(lines[4]!) &&
    /^F1Help .*F10Quit *$/.test(lines[rows - 1]!) &&
    lines.every(line => line.length <= columns)
  )
}

/** Without what changes by the second: clock, own cost, figures, ages. */
const still = (terminal: Terminal) =>
  terminal.screen().map((line, row) => (row < 2 ? line.slice(0, 20) : line.replace(/[\d.]+/g, '#')))

it('F38: shows the whole picture at 80x24, 200x50 and 500x200, at once', async () => {
  const terminal = startMonitor([server.conninfo], { columns: 80, rows: 24 })
  await terminal.waitFor(/LIVE .* idle-xact/)
  await terminal.until(() => whole(terminal, 80, 24), 'the picture at 80x24')
  const sizes: readonly (readonly [number, number])[] = [
    [200, 50],
    [500, 200],
    [80, 24],
    [81, 23],
    [40, 10],
  ]
  // Twice, and the quicker counts: the machine may be busy with something else for a moment.
  const tookMs = sizes.map(() => Number.POSITIVE_INFINITY)
  for (let round = 0; round < 2; round++) {
    for (const [i, [columns, rows]] of sizes.entries()) {
      const changedAt = performance.now()
      terminal.resize(columns, rows)
      if (columns > 40) await terminal.until(() => whole(terminal, columns, rows), `the picture at ${columns}x${rows}`, 2000)
      else await terminal.waitFor(/^F1Help.*F10Quit *$/m, 2000)
      tookMs[i] = Math.min(tookMs[i]!, performance.now() - changedAt)
    }
  }
  for (const ms of tookMs) expect(ms).toBeLessThanOrEqual(200)
  terminal.write('q')
  expect((await terminal.exit).code).toBe(0)
})

it.each([
  [20, 5],
  [39, 40],
  [120, 9],
  [1, 1],
])('F38: at %dx%d says that it is too small, and survives', async (columns, rows) => {
  const terminal = startMonitor([server.conninfo], { columns, rows })
  const words = columns >= 10 ? new RegExp(`^too small:\\n${columns}x${rows}, needs\\n40x10\\n`) : /^.$/
  await terminal.waitFor(words)
  terminal.write('j\x1bOP2')
  terminal.resize(80, 24)
  await terminal.waitFor(/Help: lines/)
  terminal.resize(columns, rows)
  await terminal.waitFor(words)
  terminal.write('\x03')
  expect((await terminal.exit).code).toBe(130)
})

it('F38: 100 changes in 10 s leave the right picture', async () => {
  const terminal = startMonitor([server.conninfo], { columns: 80, rows: 24 })
  await terminal.until(() => whole(terminal, 80, 24), 'the picture')
  let seed = 7
  const random = (below: number) => {
    seed = (seed * 48271) % 2147483647
    return seed % below
  }
  for (let i = 0; i < 100; i++) {
    terminal.resize(1 + random(220), 1 + random(60))
    // Some changes come while a frame is on its way, others when it is there.
    await new Promise(resolve => setTimeout(resolve, random(200)))
    expect(terminal.ended()).toBeNull()
  }
  terminal.resize(100, 30)
  await terminal.until(() => whole(terminal, 100, 30), 'the picture at 100x30', 2000)
  terminal.write('p')
  await terminal.waitFor('HOLD')
  const shown = still(terminal)
  // What Ctrl-L draws anew is what had been there: nothing was left over, nothing was missing.
  const before = terminal.bytes().length
  terminal.write('\x0c')
  await terminal.until(() => terminal.bytes(before).includes('\x1b[2J') && whole(terminal, 100, 30), 'it drawn anew')
  expect(still(terminal)).toEqual(shown)
  terminal.write('q')
  expect((await terminal.exit).code).toBe(0)
})
