// The live monitor: config, store, poller, keys and Ink meet here and nowhere else. Whatever ends it, the terminal is given back as it was.

import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { render } from 'ink'
import { type Actor, createActor } from './actions/perform.ts'
import { openAudit } from './audit.ts'
import type { Context } from './commands.ts'
import type { Server } from './config/config.ts'
import { thisMachine } from './config/machine.ts'
import { keysAreThrough } from './deeds.ts'
import { dispatch } from './keys/dispatch.ts'
import { createKeyParser } from './keys/keypress.ts'
import { drawable, drawableLines } from './model/untrusted.ts'
import { followSelected } from './navigate.ts'
import { wantedOnScreen } from './panels/wanted.ts'
import type { Poller } from './poller.ts'
import type { State } from './store/state.ts'
import type { Store } from './store/store.ts'
import * as update from './store/updates.ts'
import { App, type Screen } from './ui/App.tsx'
import { type Watched, watch } from './watch.ts'

/** Bytes of each query's text that lists read: more than a row of a wide terminal shows. */
const listQueryBytes = 400
/** Before the screen opens, servers that refuse for good get this long to say so. Milliseconds. */
const openingMs = 1000
const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

/** Runs the monitor until it ends; resolves to the exit code. `terminalOk` must have been asked first. */
export async function runTop(config: Watched, panel: string): Promise<number> {
  const { store, poller } = watch(config, panel, listQueryBytes, wantedOnScreen)
  const audit = openAudit(process.env, thisMachine())
  const targets = new Map([...config.servers, ...config.pgbouncers].map(server => [server.id, server]))
  const targetOf = (id: string) => targets.get(id) as Server
  const actor = createActor({ store, targetOf, lend: poller.lend, audit, again: poller.again })
  const told = Promise.withResolvers<number>()
  for (const [signal, code] of Object.entries(exitCodes)) process.on(signal, () => told.resolve(code))
  const refused = await Promise.race([opening(store), told.promise])
  if (refused === null)
    return new Promise(resolve => openScreen({ store, poller, actor, trailTrouble: audit.trouble, told: told.promise, resolve }))
  poller.stop()
  if (typeof refused === 'number') return refused
  tell(refused)
  return 1
}

/** Why there can be no screen; null when there can. */
export function terminalTrouble(env: NodeJS.ProcessEnv): string | null {
  const why = !process.stdout.isTTY
    ? 'stdout is not a terminal'
    : !process.stdin.isTTY
      ? 'stdin is not a terminal'
      : env.TERM === 'dumb'
        ? 'TERM is dumb'
        : null
  return why ? `pgvigil: ${why}; for one look without a screen use: pgvigil snapshot` : null
}

/** Waits until some server gives reason to open the screen. A sentence a server when every one has refused for good; null otherwise. */
function opening(store: Store): Promise<readonly string[] | null> {
  return new Promise(resolve => {
    const timer = setTimeout(() => done(null), openingMs)
    const unsubscribe = store.subscribe(look)
    function look() {
      const links = Object.values(store.getState().servers).map(server => server.link)
      if (links.some(link => link.word !== 'CONNECTING' && link.word !== 'DENIED')) done(null)
      else if (links.every(link => link.word === 'DENIED')) done(refusals(store.getState()))
    }
    function done(result: readonly string[] | null) {
      clearTimeout(timer)
      unsubscribe()
      resolve(result)
    }
    look()
  })
}

function refusals(state: State): readonly string[] {
  return state.order.map(id => `pgvigil: ${drawable(id)}: ${state.servers[id]?.link.why ?? 'refused'}`)
}

/** Last words, one a line, written at once: nothing is lost when the process ends right after. */
function tell(lines: readonly string[]): void {
  try {
    writeSync(2, lines.map(line => `${line}\n`).join(''))
  } catch {
    // Nobody reads stderr any more.
  }
}

/**
 * From now on until the process ends stderr takes nothing but what tell() writes: a library's warning would be drawn over the screen, and
 * Ink's cursor library writes an escape sequence there at the exit, also where stderr is a file.
 */
function silenceStderr(): void {
  process.stderr.write = (...args: unknown[]) => {
    const written = args.findLast(arg => typeof arg === 'function')
    if (written) queueMicrotask(written as () => void)
    return true
  }
}

/** What gives a terminal back when nothing else could: primary screen, cursor, default colours. */
const restore = '\u001b[?2004l\u001b[?1049l\u001b[?25h\u001b[0m'
/** Takes a terminal that a shell has had meanwhile: alternate screen, no cursor. */
const take = '\u001b[?1049h\u001b[?25l'
/** A terminal that marks what is pasted: text from the clipboard must never be taken for keys that do something. */
const pastes = { marked: '\u001b[?2004h', plain: '\u001b[?2004l' }
/** What ending a pause of ours may take when pgvigil ends. Milliseconds. */
const lettingGoMs = 900
/** Cursor to the upper left corner, then everything cleared. */
const wipe = '\u001b[H\u001b[2J'
/** A stop that has not come after this time does not come: there is no shell that would let us go on. Milliseconds. */
const stopMs = 300

type Parts = {
  readonly store: Store
  readonly poller: Poller
  readonly actor: Actor
  readonly trailTrouble: () => string | null
  /** A signal has told us to end, with this code. */
  readonly told: Promise<number>
  readonly resolve: (code: number) => void
}

function openScreen({ store, poller, actor, trailTrouble, told, resolve }: Parts): void {
  const { stdin, stdout } = process
  silenceStderr()
  const screen: Screen = { draw: () => {}, handOver: async () => {} }
  let ended = false
  // The terminal is somebody else's for a while.
  let away = false

  const measure = () => update.setSize(store, stdout.columns || 80, stdout.rows || 24)
  measure()
  /**
   * The terminal is what it was at once, without waiting for anybody, and connections are destroyed. Then what would be left behind on a
   * server (a pause of ours) is ended, or named: within a second.
   */
  async function end(code: number, leave = false): Promise<void> {
    if (ended) return
    ended = true
    clearInterval(clock)
    poller.stop()
    stdin.removeAllListeners('data')
    stdout.write(pastes.plain)
    try {
      ink.unmount()
    } catch {
      writeSync(1, restore)
    }
    if (stdin.isTTY) stdin.setRawMode(false)
    stdin.pause()
    if (actor.unfinished()) tell(await actor.letGo(leave, lettingGoMs))
    resolve(code)
  }

  function crash(error: unknown): void {
    void end(1)
      .catch(() => {})
      .then(() => {
        tell(drawableLines(error instanceof Error ? (error.stack ?? error.message) : String(error)))
        process.exit(1)
      })
  }

  /**
   * Draws everything anew from an empty screen. Ink writes what has changed, counted from where it left the cursor; a terminal that was
   * resized while a frame was on its way to it, or that somebody else has written to, looks other than Ink believes.
   */
  function repaint(): void {
    if (ended || away) return
    stdout.write(wipe)
    ink.clear()
    screen.draw()
  }

  /**
   * To the shell and back. The whole process group stops, so that a wrapper (a script, npm) gives the terminal back too. Where there is no
   * shell to come back from (`ssh -t host pgvigil`) the system ignores the signal and the screen returns.
   */
  async function suspend(): Promise<void> {
    if (ended || away) return
    away = true
    await screen.handOver(async () => {
      stdout.write(pastes.plain)
      stdin.setRawMode(false)
      // Without a listener the signal does what it is for.
      process.off('SIGTSTP', suspend)
      process.kill(0, 'SIGTSTP')
      await Promise.race([once(process, 'SIGCONT'), delay(stopMs)])
      process.on('SIGTSTP', suspend)
      if (ended) return
      stdin.setRawMode(true)
      stdout.write(pastes.marked)
    })
    away = false
    lookAgain()
  }

  /** After a stop that gave us no time to hand the terminal over (SIGSTOP): the shell has changed its modes since. */
  function comeBack(): void {
    if (ended || away) return
    stdin.setRawMode(false)
    stdin.setRawMode(true)
    stdout.write(take + pastes.marked)
    lookAgain()
  }

  function lookAgain(): void {
    repaint()
    // Nobody tells a process in the background that the terminal has another size.
    process.kill(process.pid, 'SIGWINCH')
    poller.poke()
  }

  const context: Context = {
    store,
    quit: (code, leave) => void end(code, leave),
    poke: () => poller.poke(),
    copy: text => stdout.write(`\u001b]52;c;${Buffer.from(text).toString('base64')}\u0007`),
    redraw: repaint,
    suspend,
    begin: actor.begin,
    stopQueue: actor.stopQueue,
    unfinished: actor.unfinished,
    trailTrouble,
  }
  const parser = createKeyParser(key => {
    if (ended) return
    dispatch(context, key)
    screen.draw()
  })

  // Before anything is drawn: a key that is pressed on the first picture is a key already.
  process.on('uncaughtException', crash)
  process.on('unhandledRejection', crash)
  void told.then(code => end(code))
  process.on('SIGTSTP', suspend)
  process.on('SIGCONT', comeBack)
  // A terminal that is gone: there is nobody to show anything to.
  stdin.on('end', () => void end(129))
  stdin.on('error', () => void end(129))
  stdout.on('error', () => void end(129))
  stdin.setRawMode(true)
  stdout.write(pastes.marked)
  stdin.on('data', chunk => {
    parser.feed(chunk)
    keysAreThrough(store)
  })
  stdin.resume()
  const ink = render(<App store={store} screen={screen} />, {
    alternateScreen: true,
    incrementalRendering: true,
    interactive: true,
    exitOnCtrlC: false,
    maxFps: 60,
  })
  ink.waitUntilExit().catch(crash)
  // After Ink's own listener, which draws what was there in the new size.
  stdout.on('resize', () => {
    measure()
    repaint()
  })

  const meter = ownCost()
  const clock = setInterval(() => {
    update.setNow(store, Date.now(), meter())
    followSelected(store)
    if (!neverLive(store.getState())) return
    void end(1)
    tell(refusals(store.getState()))
  }, 1000)
}

/** All servers have refused for good and none was ever there: the same as refusing before the screen opened. */
function neverLive(state: State): boolean {
  return Object.values(state.servers).every(server => server.link.word === 'DENIED' && server.lastAnswerAt === null)
}

/** What pgvigil costs this machine, as a share of one CPU over the last seconds, and its memory. */
function ownCost(): () => NonNullable<State['cost']> {
  let before = { cpu: process.cpuUsage(), at: performance.now() }
  return () => {
    const { user, system } = process.cpuUsage(before.cpu)
    const elapsedMs = performance.now() - before.at
    if (elapsedMs > 5000) before = { cpu: process.cpuUsage(), at: performance.now() }
    return { cpu: (user + system) / 1000 / elapsedMs, residentBytes: process.memoryUsage.rss() }
  }
}
