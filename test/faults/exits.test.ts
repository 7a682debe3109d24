// Whatever ends or stops the monitor, the terminal is given back as it was, with the exit code that scripts rely on. F35-F37.

import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../src/lab/client.ts'
import { type Folder, temporaryFolder } from '../../src/lab/folder.ts'
import { type PostgresServer, startPostgres } from '../../src/lab/postgres.ts'
import { build, endAll, node, program, start, startMonitor, type Terminal } from '../support/terminal.ts'

let folder: Folder
let server: PostgresServer
let client: pg.Client

beforeAll(async () => {
  build()
  folder = temporaryFolder()
  server = await startPostgres({ version: 16, dir: folder.path })
  client = await connect({ port: server.port })
})
afterEach(endAll)
afterAll(async () => {
  await client.end()
  await server.stop('immediate')
  await folder.remove()
})

type Shell = Terminal & { readonly monitor: number; readonly stderr: () => string }

/** The monitor as a job of an interactive bash, with stderr in a file, when its first figures are there. */
async function underBash(name: string, more = ''): Promise<Shell> {
  const file = join(folder.path, `${name}.stderr`)
  const shell = start('bash', ['--norc', '-i'])
  shell.write(`PS1='status=$? > '; ${node} ${program} '${server.conninfo}' ${more} 2>'${file}'\r`)
  await shell.waitFor(/LIVE.* tps/)
  const children = readFileSync(`/proc/${shell.pid}/task/${shell.pid}/children`, 'utf8').trim().split(' ')
  return Object.assign(shell, { monitor: Number(children.at(-1)), stderr: () => readFileSync(file, 'utf8') })
}

/** What the shell finds after the monitor: on which screen, with which cursor and terminal modes. */
async function expectSane(shell: Shell): Promise<void> {
  expect(shell.alternateScreen()).toBe(false)
  expect(shell.cursorVisible()).toBe(true)
  shell.write('clear; stty -a\r')
  const modes = (await shell.waitFor(/isig.*echoke.*> $/ms)).input
  expect(modes).toMatch(/ icanon /)
  expect(modes).toMatch(/ echo /)
  expect(modes).toMatch(/^opost /m)
}

const sessions = async () => {
  const { rows } = await client.query(`select pid from pg_stat_activity where application_name = 'pgvigil'`)
  return rows.map(row => row.pid as number)
}

describe('F35: each end', () => {
  const ways: readonly (readonly [string, number, (shell: Shell) => void])[] = [
    ['q', 0, shell => shell.write('q')],
    ['Ctrl-C', 130, shell => shell.write('\x03')],
    ['SIGINT', 130, shell => process.kill(shell.monitor, 'SIGINT')],
    ['SIGTERM', 143, shell => process.kill(shell.monitor, 'SIGTERM')],
    ['SIGHUP', 129, shell => process.kill(shell.monitor, 'SIGHUP')],
  ]
  it.each(ways)('%s ends with status %d and a sane terminal', async (name, status, act) => {
    const shell = await underBash(name)
    expect(shell.alternateScreen()).toBe(true)
    expect(shell.cursorVisible()).toBe(false)
    act(shell)
    await shell.waitFor(`status=${status} >`, 2000)
    await expectSane(shell)
    expect(shell.stderr()).toBe('')
  })

  it.each([
    ['an exception nobody caught', `setTimeout(() => { throw new Error('injected \\u001b[31mtrouble') }, 500)`],
    ['a rejection nobody caught', `setTimeout(() => { Promise.reject(new Error('injected \\u001b[31mtrouble')) }, 500)`],
  ])('%s ends with status 1, the stack after the alternate screen, harmless', async (_, trouble) => {
    const injected = join(folder.path, 'trouble.mjs')
    // The clock starts with the alternate screen, so that the trouble comes while it is up.
    writeFileSync(
      injected,
      `const write = process.stdout.write
       process.stdout.write = function (...args) {
         if (String(args[0]).includes('\\u001b[?1049h')) ${trouble}
         return write.apply(this, args)
       }`,
    )
    const shell = start('bash', ['--norc', '-i'])
    shell.write(`PS1='status=$? > '; NODE_OPTIONS=--import=${injected} ${node} ${program} '${server.conninfo}'\r`)
    await shell.waitFor(/status=1 >/)
    const bytes = shell.bytes().toString()
    expect(bytes.indexOf('Error: injected ␛[31mtrouble')).toBeGreaterThan(bytes.lastIndexOf('\u001b[?1049l'))
    expect(bytes).toMatch(/injected.*\r\n +at .*trouble\.mjs/)
    await expectSane(shell as Shell)
  })

  it('SIGTERM before the screen is open ends with status 143 and never opens it', async () => {
    // A port that takes connections and says nothing: the screen waits a second for servers that refuse for good.
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const frozen = startMonitor([`postgres://nobody@127.0.0.1:${(silent.address() as AddressInfo).port}/nothing`])
    // SIGHUP is the first of them that only we catch.
    await frozen.until(() => /^SigCgt:.*[13579bdf]$/m.test(status(frozen.pid)), 'signals to be caught')
    process.kill(frozen.pid, 'SIGTERM')
    expect(await frozen.exit).toEqual({ code: 143, signal: 0 })
    expect(frozen.bytes().toString()).not.toContain('\u001b')
    silent.close()
  })
})

describe('F37: stopped', () => {
  const stops: readonly (readonly [string, (shell: Shell) => void])[] = [
    ['Ctrl-Z', shell => shell.write('\x1a')],
    ['kill -TSTP', shell => process.kill(shell.monitor, 'SIGTSTP')],
  ]
  it.each(stops)('%s gives the shell a sane terminal, fg draws everything again', async (name, act) => {
    const shell = await underBash(`stopped ${name}`)
    const stoppedAt = performance.now()
    act(shell)
    await shell.waitFor(/Stopped.*> $/ms, 2000)
    expect(performance.now() - stoppedAt).toBeLessThanOrEqual(300)
    await expectSane(shell)
    // The size changes while nobody tells the monitor.
    shell.resize(100, 20)
    const before = shell.bytes().length
    shell.write('fg\r')
    const backAt = performance.now()
    await shell.until(
      () => shell.alternateScreen() && /^F1Help.*F10Quit *$/.test(shell.screen().at(-1)!),
      'the whole screen',
      2000,
    )
    expect(performance.now() - backAt).toBeLessThanOrEqual(500)
    await shell.waitFor(/LIVE .* tps/)
    expect(shell.cursorVisible()).toBe(false)
    expect(shell.screen()[0]).toMatch(/^pgvigil .*\d\d:\d\d:\d\d$/)
    expect(shell.screen().join('\n')).not.toContain('Stopped')
    expect(shell.bytes(before).toString()).toContain('pgvigil')
    shell.write('q')
    await shell.waitFor('status=0 >', 2000)
    await expectSane(shell)
    expect(shell.stderr()).toBe('')
  })

  it('SIGTERM that comes while stopped ends it when it goes on', async () => {
    const shell = await underBash('term-stopped')
    shell.write('\x1a')
    await shell.waitFor(/Stopped.*> $/ms, 2000)
    process.kill(shell.monitor, 'SIGTERM')
    shell.write('fg\r')
    await shell.waitFor('status=143 >', 2000)
    await expectSane(shell)
  })

  it('SIGSTOP leaves no time to hand over, but after fg it works as before', async () => {
    const shell = await underBash('sigstop')
    process.kill(shell.monitor, 'SIGSTOP')
    await shell.waitFor(/Stopped/, 2000)
    shell.write('stty sane; fg\r')
    await shell.until(() => shell.alternateScreen() && /^F1Help/.test(shell.screen().at(-1)!), 'the whole screen', 2000)
    expect(shell.screen().join('\n')).not.toContain('Stopped')
    shell.write('\x1bOP')
    await shell.waitFor('Help: lines')
    shell.write('\x03')
    await shell.waitFor('status=130 >', 2000)
    await expectSane(shell)
  })

  it('15 s stopped are one tick, not a burst, and no rate is told but over their real length', async () => {
    const shell = await underBash('burst', '-i 100ms')
    const transactions = async () => {
      const { rows } = await client.query(`select xact_commit::int as n from pg_stat_database where datname = 'postgres'`)
      return rows[0].n as number
    }
    process.kill(shell.monitor, 'SIGSTOP')
    await shell.waitFor(/Stopped/, 2000)
    const atStop = await transactions()
    await new Promise(resolve => setTimeout(resolve, 15_000))
    const printed = shell.bytes().length
    shell.write('fg\r')
    await shell.until(() => shell.alternateScreen() && /LIVE .* tps/.test(shell.screen()[1]!), 'figures', 3000)
    expect(shell.bytes(printed).toString()).not.toMatch(/NaN|Infinity|-\d+(?:\.\d+)?k? tps/)
    // What an idle server did in a tenth of a second, were it told of 15 s, would be hundreds.
    const rates = [
      ...shell
        .bytes(printed)
        .toString()
        .matchAll(/([\d.]+k?) tps/g),
    ].map(([, rate]) => rate!)
    for (const rate of rates) expect(rate).toMatch(/^\d{1,2}(?:\.\d)?$|^1\d\d$/)
    shell.write('q')
    await shell.waitFor('status=0 >')
    // Its last statements are counted when its session ends.
    while ((await sessions()).length > 0);
    // A tick is three or four transactions: a hundred and fifty ticks made up for would be hundreds.
    expect((await transactions()) - atStop).toBeLessThan(50)
  })

  it('without a shell to come back to, Ctrl-Z gives the screen back by itself', async () => {
    const terminal = startMonitor([server.conninfo])
    await terminal.waitFor(/LIVE .* tps/)
    const before = terminal.bytes().length
    terminal.write('\x1a')
    await terminal.until(() => terminal.bytes(before).includes('\u001b[?1049h'), 'the screen again', 2000)
    await terminal.waitFor(/LIVE .* tps/)
    terminal.write('q')
    expect(await terminal.exit).toEqual({ code: 0, signal: 0 })
  })
})

describe('F36: a terminal that went away', () => {
  it.each(['directly', 'under bash'])('%s: process and session are gone at once, no CPU burnt', async how => {
    const terminal = how === 'directly' ? startMonitor([server.conninfo]) : await underBash('hang-up')
    await terminal.waitFor(/LIVE .* tps/)
    const pid = 'monitor' in terminal ? (terminal as Shell).monitor : terminal.pid
    expect(await sessions()).toHaveLength(1)
    const before = cpuMs(pid)
    let after = before
    const hungUpAt = Date.now()
    terminal.hangUp()
    while (alive(pid)) {
      after = Math.max(after, cpuMs(pid))
      expect(Date.now() - hungUpAt).toBeLessThan(2000)
      await new Promise(resolve => setTimeout(resolve, 10))
    }
    expect(after - before).toBeLessThanOrEqual(100)
    while ((await sessions()).length > 0) expect(Date.now() - hungUpAt).toBeLessThan(5000)
  })
})

function status(pid: number): string {
  return readFileSync(`/proc/${pid}/status`, 'utf8')
}

function alive(pid: number): boolean {
  return existsSync(`/proc/${pid}/status`) && !/^State:\s+Z/m.test(status(pid))
}

/** CPU time used so far, in milliseconds; 0 when the process is gone. */
function cpuMs(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
    return (Number(fields[11]) + Number(fields[12])) * 10
  } catch {
    return 0
  }
}
