// The live monitor: config, store, poller, keys and Ink meet here and nowhere else. Whatever ends it, the terminal is given back as it was.

import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import { createAlarm } from './alarm.ts'
import { type Cluster, neverLive, openCluster, refusals, startCluster } from './cluster.ts'
import type { Context } from './commands.ts'
import { keysAreThrough } from './deeds.ts'
import { createGlass } from './glass.ts'
import { dispatch } from './keys/dispatch.ts'
import { createKeyParser } from './keys/keypress.ts'
import { memoryKeeper } from './memory.ts'
import { defaultThresholds } from './model/thresholds.ts'
import { drawable, drawableLines } from './model/untrusted.ts'
import { followSelected } from './navigate.ts'
import { ownCost } from './own-cost.ts'
import { type Asking, type AskPassword, readPassword } from './password.ts'
import * as update from './store/updates.ts'
import type { Screen } from './ui/App.tsx'
import type { Watched } from './watch.ts'

const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

/** What to watch. `config` null: the person chooses one of the clusters first. */
export type Start = {
  readonly config: Watched | null
  readonly panel: string
  readonly asking: Asking
  /** Clusters of the configuration file, and how one of them becomes a configuration. */
  readonly clusters: readonly string[]
  readonly configOf: (cluster: string) => Watched | { readonly error: string }
  /** The pane that a configuration wants to open with; null: it wants none. */
  readonly panelOf: (config: Watched) => string | null
  /** How the list of clusters is drawn. */
  readonly look: Pick<Watched, 'ascii' | 'theme'>
}

/** Runs the monitor until it ends; resolves to the exit code. `terminalTrouble` must have been asked first. */
export async function runTop(start: Start): Promise<number> {
  const told = Promise.withResolvers<number>()
  for (const [signal, code] of Object.entries(exitCodes)) process.on(signal, () => told.resolve(code))
  const opening = openFirst(start)
  opening.catch(() => {})
  // Ink takes a tenth of a second to be ready; meanwhile the servers are on their way to answer.
  await turn()
  const ui = await loadUi()
  const first = await Promise.race([opening, told.promise])
  if (typeof first === 'number') return first
  if (first === null) return exitCodes.SIGINT
  if (!('store' in first)) {
    tell(first)
    return 1
  }
  // The first picture takes a while as well: what it is to show is asked for before.
  await turn()
  return new Promise(resolve => openScreen({ ui, first, start, told: told.promise, resolve }))
}

async function loadUi() {
  const [{ render }, { App }] = await Promise.all([import('ink'), import('./ui/App.tsx')])
  return { render, App }
}

function openFirst({ config, panel, asking, clusters, look }: Start): Promise<Cluster | readonly string[] | null> {
  if (config) return openCluster({ ...config, clusters }, panel, asking, askHere)
  const cluster = startCluster({ ...noServers, ...look, clusters }, panel)
  update.setDialog(cluster.store, { kind: 'menu', menu: 'clusters', index: 0, typed: '' })
  return Promise.resolve(cluster)
}

/** Before the screen is there, and while it is put away. */
const askHere: AskPassword = prompt => readPassword(process.stdin, text => process.stdout.write(text), prompt)

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
/** A terminal that takes nothing more doesn't keep us from ending. Milliseconds. */
const lastBytesMs = 300
/** Takes a terminal that a shell has had meanwhile: alternate screen, no cursor. */
const take = '\u001b[?1049h\u001b[?25l'
/** A terminal that marks what is pasted: text from the clipboard must never be taken for keys that do something. */
const pastes = { marked: '\u001b[?2004h', plain: '\u001b[?2004l' }
/** A name that must be typed is done when nothing more is typed for so long. Milliseconds. */
const settlingMs = 600
/** What ending a pause of ours may take when pgvigil ends. Milliseconds. */
const lettingGoMs = 900
/** A stop that has not come after this time does not come: there is no shell that would let us go on. Milliseconds. */
const stopMs = 300

type Parts = {
  readonly ui: Awaited<ReturnType<typeof loadUi>>
  readonly first: Cluster
  readonly start: Start
  /** A signal has told us to end, with this code. */
  readonly told: Promise<number>
  readonly resolve: (code: number) => void
}

function openScreen({ ui: { render, App }, first, start, told, resolve }: Parts): void {
  const { stdin, stdout } = process
  silenceStderr()
  const glass = createGlass(stdout)
  glass.onSlow = slow => {
    if (current.store.getState().settings.slowLink !== 'asked') update.setSlowLink(current.store, slow ? 'noticed' : 'no')
  }
  const screen: Screen = { draw: () => {}, handOver: async () => {} }
  let current = first
  let ended = false
  // The terminal is somebody else's for a while.
  let away = false
  // A password is being typed.
  let asking = false

  const measure = () => update.setSize(current.store, stdout.columns || 80, stdout.rows || 24)
  measure()
  /**
   * The terminal is what it was at once, without waiting for anybody, connections are destroyed, and the last words are said. Then what
   * would be left behind on a server (a pause of ours) is ended, or named: within a second.
   */
  async function end(
    code: number,
    { leave = false, words = [] }: { leave?: boolean; words?: readonly string[] } = {},
  ): Promise<void> {
    if (ended) return
    ended = true
    clearInterval(clock)
    current.poller.stop()
    stdin.removeAllListeners('data')
    glass.close()
    glass.control(pastes.plain)
    try {
      ink.unmount()
    } catch {
      glass.control(restore)
    }
    if (stdin.isTTY) stdin.setRawMode(false)
    stdin.pause()
    await glass.settled(lastBytesMs)
    tell(words)
    tell(await current.actor.letGo(leave, lettingGoMs))
    resolve(code)
  }

  let settling: NodeJS.Timeout | undefined
  const settled = (then: () => void) => {
    clearTimeout(settling)
    settling = setTimeout(() => {
      if (ended) return
      then()
      screen.draw()
    }, settlingMs)
  }

  let switching = false
  /** Watches another cluster in place of this one. Where that can't be, this one is still there. */
  async function switchCluster(name: string): Promise<void> {
    const { store } = current
    if (away) return
    if (switching) return update.say(store, 'another cluster is just being opened', 'warning')
    const unfinished = () => {
      const left = current.actor.unfinished()
        ? 'a pause or a queue of pgvigil is not finished here: end it first'
        : store.getState().works.some(({ endedAt }) => endedAt === null)
          ? 'a deed of pgvigil is not finished here: its outcome is still awaited'
          : null
      if (left === null) return false
      update.say(store, left, 'warning')
      return true
    }
    if (unfinished()) return
    const config = start.configOf(name)
    if ('error' in config) return update.say(store, drawable(config.error), 'warning')
    const panel = (start.config === null && current === first ? start.panelOf(config) : null) ?? store.getState().view.panel
    const ask: AskPassword = async prompt => {
      let answer: string | null = null
      await handOver(async () => {
        asking = true
        answer = await askHere(prompt)
        asking = false
      })
      return answer
    }
    switching = true
    const next = await openCluster({ ...config, clusters: start.clusters }, panel, start.asking, ask).finally(() => {
      switching = false
    })
    if (ended) return
    if (next === null) return update.say(store, 'no password, no cluster', 'warning')
    if (!('store' in next)) return update.say(store, next.join('; ').replaceAll('pgvigil: ', ''), 'warning')
    if (unfinished()) return next.poller.stop()
    current.poller.stop()
    current = next
    context = contextOf(current)
    measure()
    ink.rerender(<App key={++shown} store={current.store} screen={screen} glass={glass} />)
    repaint()
  }
  let shown = 0

  function crash(error: unknown): void {
    const words = drawableLines(error instanceof Error ? (error.stack ?? error.message) : String(error))
    // A bug in the ending itself must not keep us here.
    if (ended) {
      tell(words)
      process.exit(1)
    }
    void end(1, { words })
  }

  /** Draws everything anew from an empty screen: what was resized, or written to by somebody else, shows other than we believe. */
  function repaint(): void {
    if (ended || away) return
    glass.forget()
    screen.draw()
  }

  /** Gives the terminal away for a while, as it was. */
  async function handOver(meanwhile: () => Promise<void>): Promise<void> {
    away = true
    await screen.handOver(async () => {
      glass.control(pastes.plain)
      await glass.settled(lastBytesMs)
      stdin.setRawMode(false)
      await meanwhile()
      if (ended) return
      stdin.setRawMode(true)
      glass.control(pastes.marked)
    })
    away = false
    lookAgain()
  }

  /**
   * To the shell and back. The whole process group stops, so that a wrapper (a script, npm) gives the terminal back too. Where there is no
   * shell to come back from (`ssh -t host pgvigil`) the system ignores the signal and the screen returns.
   */
  async function suspend(): Promise<void> {
    if (ended || away) return
    const { store } = current
    if (store.getState().pauses.some(({ by }) => by === 'PAUSE'))
      return update.say(store, 'not now: what pgvigil has paused is resumed in time only while it runs', 'warning')
    await handOver(async () => {
      // Without a listener the signal does what it is for.
      process.off('SIGTSTP', suspend)
      process.kill(0, 'SIGTSTP')
      await Promise.race([once(process, 'SIGCONT'), delay(stopMs)])
      process.on('SIGTSTP', suspend)
    })
  }

  /** After a stop that gave us no time to hand the terminal over (SIGSTOP): the shell has changed its modes since. */
  function comeBack(): void {
    if (ended || away) return
    stdin.setRawMode(false)
    stdin.setRawMode(true)
    glass.control(take + pastes.marked)
    lookAgain()
  }

  function lookAgain(): void {
    repaint()
    // Nobody tells a process in the background that the terminal has another size.
    process.kill(process.pid, 'SIGWINCH')
    current.poller.poke()
  }

  const contextOf = ({ store, poller, actor, trailTrouble }: Cluster): Context => ({
    store,
    quit: (code, leave = false) => void end(code, { leave }),
    poke: () => poller.poke(),
    copy: text => glass.control(`\u001b]52;c;${Buffer.from(text).toString('base64')}\u0007`),
    redraw: repaint,
    suspend,
    begin: confirm => {
      if (switching) update.say(store, 'nothing was done: another cluster is just being opened', 'warning')
      else actor.begin(confirm)
    },
    stopQueue: actor.stopQueue,
    unfinished: actor.unfinished,
    trailTrouble,
    settled,
    switchCluster: name => void switchCluster(name),
  })
  let context = contextOf(current)
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
  glass.control(pastes.marked)
  stdin.on('data', chunk => {
    if (asking) return
    parser.feed(chunk)
    keysAreThrough(current.store)
  })
  stdin.resume()
  const ink = render(<App key={shown} store={current.store} screen={screen} glass={glass} />, {
    stdout: glass.ink as unknown as NodeJS.WriteStream,
    alternateScreen: true,
    interactive: true,
    exitOnCtrlC: false,
    // Whole pictures at once: the glass finds what has changed, and never draws faster than the terminal takes it.
    debug: true,
  })
  ink.waitUntilExit().catch(crash)
  // After Ink's own listener, which draws what was there in the new size.
  stdout.on('resize', () => {
    measure()
    repaint()
  })

  const meter = ownCost()
  const alarm = createAlarm()
  const keepMemory = memoryKeeper()
  const clock = setInterval(() => {
    const { store } = current
    update.setNow(store, Date.now(), meter())
    update.addEvents(store, alarm(store.getState()))
    keepMemory()
    followSelected(store)
    if (current !== first || !neverLive(store.getState())) return
    void end(1, { words: refusals(store.getState()) })
  }, 1000)
}

/** What stands there until a cluster is chosen. */
const noServers: Omit<Watched, 'ascii' | 'theme'> = {
  servers: [],
  pgbouncers: [],
  timescaleId: null,
  slowLink: false,
  cluster: '',
  intervalMs: 1000,
  panel: null,
  readOnly: false,
  thresholds: defaultThresholds,
}
