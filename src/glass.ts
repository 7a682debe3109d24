// The terminal as a place to draw on. It may stop reading (an ssh channel that stalls): nothing waits for it and nothing piles up. While a
// picture is on its way the next ones are not even made; when it has arrived the newest one is drawn.

import { Writable } from 'node:stream'
import type { WriteStream } from 'node:tty'
import { createCanvas } from './ui/canvas.ts'

export type Glass = {
  /** Draws these painted lines. While the terminal still takes the last ones nothing is drawn: `onReady` tells when it has them. */
  show(lines: readonly string[]): void
  /** No picture is drawn any more: the terminal is given back. */
  close(): void
  /** The next picture is drawn from an empty screen. */
  forget(): void
  /** Whether something is still on its way. */
  busy(): boolean
  /** Something that is no picture: modes, the clipboard. It goes where it belongs between two pictures. */
  control(text: string): void
  /** Called when the terminal is ready for another picture. */
  onReady: () => void
  /** Called when the terminal turns out to be slow, and when it has been quick again for a while. */
  onSlow: (slow: boolean) => void
  /** Resolves when all has been taken, or after this time: a terminal that doesn't read must not keep us. Milliseconds. */
  settled(ms: number): Promise<void>
  /** The lines that Ink has composed last. */
  composed(): readonly string[]
  /** The stream that Ink writes to. */
  readonly ink: Writable
  /** A clock that nobody sets. Milliseconds. */
  now(): number
}

/** A terminal that takes a picture so slowly is slow, until none has taken long for a while. Milliseconds. */
const strain = { slowMs: 1000, quickMs: 250, forMs: 60_000 }

type Handle = { setBlocking?: (blocking: boolean) => number }

export function createGlass(out: WriteStream): Glass {
  // Node makes writes to a terminal wait for it. A stream that doesn't tells by its callback when a write is through.
  ;(out as unknown as { _handle?: Handle })._handle?.setBlocking?.(false)
  const canvas = createCanvas()
  const now = () => performance.now()
  /** Since when the terminal has not taken all that was written; null: it has. */
  let busySince: number | null = null
  let composed: readonly string[] = []
  let slow = false
  let closed = false
  let longAt = 0
  const waiting = new Set<() => void>()

  const write = (text: string) => {
    const from = now()
    out.write(text, () => {
      if (busySince === null || out.writableLength > 0) return
      feel(now() - busySince)
      busySince = null
      for (const done of waiting) done()
      glass.onReady()
    })
    // What the terminal takes at once is gone by now.
    if (out.writableLength > 0) busySince ??= from
  }
  const feel = (tookMs: number) => {
    if (tookMs > strain.quickMs) longAt = now()
    const still = slow ? now() - longAt < strain.forMs : tookMs > strain.slowMs
    if (still === slow) return
    slow = still
    glass.onSlow(slow)
  }
  // Ink is asked for whole pictures (its debug mode); what it writes besides are modes of the terminal.
  const ink = new Writable({
    decodeStrings: false,
    write: (chunk: string, _encoding, done) => {
      if (chunk.startsWith('\u001b[?')) write(chunk)
      else composed = chunk.split('\n')
      done()
    },
  })
  Object.defineProperties(ink, {
    isTTY: { value: true },
    columns: { get: () => out.columns || 80 },
    rows: { get: () => out.rows || 24 },
  })
  const glass: Glass = {
    ink,
    now,
    composed: () => composed,
    busy: () => {
      feel(busySince === null ? 0 : now() - busySince)
      return busySince !== null
    },
    onReady: () => {},
    onSlow: () => {},
    control: write,
    forget: canvas.forget,
    close: () => {
      closed = true
    },
    show: lines => {
      if (closed || busySince !== null) return
      const change = canvas.draw(lines, out.columns || 80)
      if (change !== '') write(change)
    },
    settled: ms =>
      new Promise(resolve => {
        if (busySince === null) return resolve()
        const done = () => {
          clearTimeout(timer)
          waiting.delete(done)
          resolve()
        }
        const timer = setTimeout(done, ms)
        waiting.add(done)
      }),
  }
  return glass
}
