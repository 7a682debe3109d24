// Draws the screen. Ink composes what stays (tabs, what tells of deeds, the function keys) and has the terminal's life in hand; what moves with
// each tick (title, servers, rows) goes to the glass as it is, since composing costs more than all the rest of a picture. A picture is made only
// when the terminal can take it.

import { Box, Text, useApp } from 'ink'
import { memo, useEffect, useLayoutEffect, useRef, useState } from 'react'
import type { Glass } from '../glass.ts'
import { momentOf, picture } from '../store/selectors.ts'
import type { State } from '../store/state.ts'
import type { Store } from '../store/store.ts'
import type { Memory } from './body.ts'
import { parts } from './screen.ts'
import { type Line, paint } from './spans.ts'

/** Samples that come in within this time of each other are drawn together; keys are drawn at once. Milliseconds. */
const gatherMs = 40
/** The first rows wait for nothing but the names in them. Milliseconds. */
const firstMs = 15
/** Over a slow link: what stands above the rows is drawn at most so often, and the rows, unless a key asks for them. Milliseconds. */
const slow = { gatherMs: 1000, mostGatherMs: 2000, rowsMs: 5000, intervals: 3, mostRowsMs: 15_000 }

/** What top.tsx asks of the screen; filled in when it is there. */
export type Screen = {
  /** Draws without waiting for more: after a key or a resize. */
  draw: () => void
  /** Gives the terminal to somebody else for a while; afterwards everything is drawn anew. */
  handOver: (meanwhile: () => Promise<void>) => Promise<void>
}

/** The rows as they were drawn last, and what they were made of. */
type Rows = { readonly of: readonly unknown[]; readonly at: number; readonly painted: readonly string[] }
/** Painted lines: `moving` above the tabs, `staying` the tabs and what stands below the rows. */
type Frame = {
  readonly moving: readonly string[]
  readonly staying: readonly string[]
  readonly tabs: number
  readonly rows: Rows
  readonly columns: number
}

type Props = { readonly store: Store; readonly screen: Screen; readonly glass: Glass }

export function App({ store, screen: handle, glass }: Props) {
  const [, compose] = useState(0)
  const memory = useRef<Memory>({ tops: {} })
  const last = useRef<Frame | null>(null)
  last.current ??= frameOf(store.getState(), memory.current, null, true, glass.now())
  const frame = last.current
  // A picture is wanted, and the terminal can't take one yet.
  const owed = useRef(false)
  const { suspendTerminal } = useApp()
  useEffect(() => {
    let timer: NodeJS.Timeout | null = null
    let asked = false
    // Nothing has come from any server yet.
    let waitedFor = true
    // The terminal is somebody else's.
    let away = false
    const draw = () => {
      if (timer) clearTimeout(timer)
      timer = null
      owed.current = away || glass.busy()
      if (owed.current) return
      const before = last.current as Frame
      last.current = frameOf(store.getState(), memory.current, before.rows, asked, glass.now())
      asked = false
      waitedFor &&= Object.values(store.getState().servers).every(({ lastAnswerAt }) => lastAnswerAt === null)
      if (before.columns === last.current.columns && same(before.staying, last.current.staying)) show(glass, last.current)
      else compose(n => n + 1)
    }
    handle.draw = () => {
      asked = true
      draw()
    }
    handle.handOver = async meanwhile => {
      away = true
      await suspendTerminal(meanwhile).finally(() => {
        away = false
      })
    }
    glass.onReady = () => {
      if (owed.current) draw()
    }
    const unsubscribe = store.subscribe(state => {
      timer ??= setTimeout(draw, waitedFor ? firstMs : gatherFor(state))
    })
    return () => {
      if (timer) clearTimeout(timer)
      glass.onReady = () => {}
      unsubscribe()
    }
  }, [store, handle, glass, suspendTerminal])
  useLayoutEffect(() => {
    owed.current = glass.busy()
    if (!owed.current) show(glass, last.current as Frame)
  })
  return (
    <Box flexDirection="column" width={frame.columns} height={frame.staying.length} overflow="hidden">
      {frame.staying.map((text, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a line of the screen is its place; scrolling changes texts, not nodes
        <Row key={row} text={text} />
      ))}
    </Box>
  )
}

const Row = memo(function Row({ text }: { readonly text: string }) {
  return <Text wrap="truncate">{text}</Text>
})

function show(glass: Glass, { moving, tabs, rows, staying }: Frame): void {
  const composed = glass.composed()
  glass.show([...moving, ...composed.slice(0, tabs), ...rows.painted, ...composed.slice(tabs, staying.length)])
}

/** `asked`: somebody waits for it, however slow the link is. */
function frameOf(state: State, memory: Memory, known: Rows | null, asked: boolean, now: number): Frame {
  const { above, tabs, middle, below } = parts(state, memory)
  const paintAll = (lines: readonly Line[]) => lines.map(line => paint(line, state.settings))
  const of = madeOf(state, above.length + tabs.length + below.length)
  const keep = known !== null && (same(known.of, of) || (isSlow(state) && !asked && mayWait(known, of, state, now)))
  return {
    moving: paintAll(above),
    staying: paintAll([...tabs, ...below]),
    tabs: tabs.length,
    rows: keep ? known : { of, at: now, painted: paintAll(middle()) },
    columns: state.view.size.columns,
  }
}

const isSlow = ({ settings }: State) => settings.slowLink !== 'no'

function gatherFor(state: State): number {
  return isSlow(state) ? Math.max(slow.gatherMs, Math.min(state.settings.intervalMs, slow.mostGatherMs)) : gatherMs
}

/** All that rows depend on: the first two come with the samples, the rest is what a person has asked for. A dialog tells of this moment. */
function madeOf(state: State, around: number): readonly unknown[] {
  const { view, settings, ownPids, works, pauses, now } = state
  const { servers } = picture(state)
  return [servers, momentOf(state), view, settings, ownPids, works, pauses, around, view.dialog === null ? null : now]
}

const same = (a: readonly unknown[], b: readonly unknown[]) => a.length === b.length && a.every((value, i) => value === b[i])

/** Only time has passed since, and not much of it. */
function mayWait(known: Rows, of: readonly unknown[], { settings: { intervalMs } }: State, now: number): boolean {
  const pace = Math.min(slow.mostRowsMs, Math.max(slow.rowsMs, slow.intervals * intervalMs))
  return same(known.of.slice(2), of.slice(2)) && now - known.at < pace - intervalMs / 2
}
