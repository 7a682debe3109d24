// A real pseudo-terminal and a terminal emulator behind it: what a person would see, and every byte that made it so.

import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { spawn } from '@lydell/node-pty'
import xterm from '@xterm/headless'

export type Ended = { readonly code: number; readonly signal: number }

export type Terminal = {
  readonly pid: number
  write(keys: string): void
  /** The lines in view, blanks at their ends cut off; of the cells `from` to before `to` only, where given. */
  screen(from?: number, to?: number): string[]
  /** The first line whose first cell has this background (of the sixteen colours, 6 is cyan); null when none has. */
  lineOn(background: number): string | null
  /** Resolves with the match when the screen (its lines joined by LF) shows it. Fails with the screen after `ms`, 10 s unless said otherwise. */
  waitFor(wanted: string | RegExp, ms?: number): Promise<RegExpExecArray>
  /** As waitFor, for anything that can be told from the screen or from elsewhere; asked again after each output and every 25 ms. */
  until<T>(ask: () => T | false | null | undefined, what: string, ms?: number): Promise<T>
  /** All that was written to the terminal so far, from an offset on. */
  bytes(from?: number): Buffer
  alternateScreen(): boolean
  cursorVisible(): boolean
  title(): string
  resize(columns: number, rows: number): void
  /** Reads nothing any more, as an ssh channel that stalls; true: reads again. */
  reads(again: boolean): void
  /** Closes the terminal as a lost SSH session does: the program gets SIGHUP, reads end and writes fail. */
  hangUp(): void
  readonly exit: Promise<Ended>
  /** Null while it runs. */
  ended(): Ended | null
}

export type StartOptions = {
  readonly columns?: number
  readonly rows?: number
  /** Added to a bare environment (PATH, HOME, TERM and a UTF-8 locale); undefined takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

export const root = join(import.meta.dirname, '../..')
/** The project's own Node, whatever runs the tests. */
export const node = join(root, 'node_modules/.bin/node')
export const program = join(root, 'bin/pgvigil.js')

const open = new Set<Terminal>()

/** Runs a command in a terminal of its own. */
export function start(command: string, args: readonly string[], options: StartOptions = {}): Terminal {
  const { columns = 120, rows = 30 } = options
  const env = environment(options.env)
  const pty = spawn(command, [...args], {
    cols: columns,
    rows,
    encoding: null,
    name: env.TERM!,
    env,
  })
  const emulator = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true, scrollback: 0 })
  const chunks: Buffer[] = []
  const watchers = new Set<() => void>()
  let title = ''
  let ended: Ended | null = null
  emulator.onTitleChange(text => {
    title = text
  })
  // What a terminal answers by itself to a program that asks.
  emulator.onData(answer => void (ended || pty.write(answer)))
  pty.onData(data => {
    const chunk = data as unknown as Buffer
    chunks.push(chunk)
    emulator.write(chunk, () => {
      for (const look of watchers) look()
    })
  })
  const exit = new Promise<Ended>(resolve =>
    pty.onExit(({ exitCode, signal }) => {
      ended = { code: exitCode, signal: signal ?? 0 }
      resolve(ended)
    }),
  )

  const bytes = (from = 0) => Buffer.concat(chunks).subarray(from)
  const terminal: Terminal = {
    pid: pty.pid,
    write: keys => pty.write(keys),
    screen: (from, to) => {
      const { active } = emulator.buffer
      const line = (_: unknown, row: number) => active.getLine(active.baseY + row)?.translateToString(true, from, to) ?? ''
      return Array.from({ length: emulator.rows }, line)
    },
    lineOn: background => {
      const { active } = emulator.buffer
      const row = terminal.screen().findIndex(
        (_, i) =>
          active
            .getLine(active.baseY + i)
            ?.getCell(0)
            ?.getBgColor() === background,
      )
      return row < 0 ? null : terminal.screen()[row]!
    },
    waitFor: (wanted, ms) => {
      const pattern = typeof wanted === 'string' ? new RegExp(escaped(wanted)) : wanted
      return terminal.until(() => pattern.exec(terminal.screen().join('\n')), String(wanted), ms)
    },
    until: (ask, what, ms = 10_000) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const answer = ask()
          if (answer === false || answer === null || answer === undefined) return
          done()
          resolve(answer)
        }
        const done = () => {
          watchers.delete(look)
          clearInterval(again)
          clearTimeout(giveUp)
        }
        const again = setInterval(look, 25)
        const giveUp = setTimeout(() => {
          done()
          const end = ended ? `, ended with ${JSON.stringify(ended)}` : ''
          reject(new Error(`waited ${ms} ms in vain for ${what}${end}; the screen:\n${terminal.screen().join('\n')}`))
        }, ms)
        watchers.add(look)
        look()
      }),
    bytes,
    alternateScreen: () => emulator.buffer.active.type === 'alternate',
    cursorVisible: () => {
      const text = bytes().toString('latin1')
      return text.lastIndexOf('\u001b[?25l') <= text.lastIndexOf('\u001b[?25h')
    },
    title: () => title,
    resize: (cols, lines) => {
      emulator.resize(cols, lines)
      pty.resize(cols, lines)
    },
    reads: again => (again ? pty.resume() : pty.pause()),
    hangUp: () => (pty as unknown as { destroy(): void }).destroy(),
    exit,
    ended: () => ended,
  }
  open.add(terminal)
  void exit.then(() => open.delete(terminal))
  return terminal
}

/** Runs the monitor in a terminal. */
export function startMonitor(args: readonly string[], options: StartOptions = {}): Terminal {
  return start(node, [program, ...args], options)
}

/** Ends what a test that failed has left running. */
export function endAll(): void {
  for (const terminal of open) {
    try {
      process.kill(terminal.pid, 'SIGKILL')
    } catch {}
  }
  open.clear()
}

/** A bare environment, so that no test depends on who runs it. */
export function environment(more: StartOptions['env'] = {}): Record<string, string> {
  const { PATH = '/usr/bin:/bin', HOME = '/' } = process.env
  const all = { PATH, HOME, TERM: 'xterm-256color', LANG: 'C.UTF-8', PGCONNECT_TIMEOUT: undefined, ...more }
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined))
}

/** Builds dist/ when a source is newer than it. */
export function build(): void {
  const built = join(root, 'dist/pgvigil.js')
  const newest = (folder: string): number =>
    Math.max(
      ...readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter(entry => entry.isFile())
        .map(entry => statSync(join(entry.parentPath, entry.name)).mtimeMs),
    )
  if (existsSync(built) && statSync(built).mtimeMs > newest(join(root, 'src'))) return
  execFileSync(node, ['build.mjs'], { cwd: root, stdio: 'pipe' })
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}
