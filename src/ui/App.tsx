// Draws the screen's lines through Ink: one text a line, memoised, so that only lines that changed cost anything.

import { Box, Text, useApp } from 'ink'
import { memo, useEffect, useRef, useState } from 'react'
import type { Store } from '../store/store.ts'
import type { Memory } from './body.ts'
import { screen } from './screen.ts'
import { paint } from './spans.ts'

/** Samples that come in within this time of each other are drawn together; keys are drawn at once. Milliseconds. */
const gatherMs = 40

/** What top.tsx asks of the screen; filled in when it is there. */
export type Screen = {
  /** Draws without waiting for more: after a key or a resize. */
  draw: () => void
  /** Gives the terminal to somebody else for a while; afterwards everything is drawn anew. */
  handOver: (meanwhile: () => Promise<void>) => Promise<void>
}

export function App({ store, screen: handle }: { readonly store: Store; readonly screen: Screen }) {
  const [, draw] = useState(0)
  const memory = useRef<Memory>({ tops: {} })
  const { suspendTerminal } = useApp()
  useEffect(() => {
    let timer: NodeJS.Timeout | null = null
    handle.draw = () => {
      if (timer) clearTimeout(timer)
      timer = null
      draw(n => n + 1)
    }
    handle.handOver = meanwhile => suspendTerminal(meanwhile)
    const unsubscribe = store.subscribe(() => {
      timer ??= setTimeout(handle.draw, gatherMs)
    })
    return () => {
      if (timer) clearTimeout(timer)
      unsubscribe()
    }
  }, [store, handle, suspendTerminal])
  const state = store.getState()
  const { columns, rows } = state.view.size
  const lines = screen(state, memory.current).map(line => paint(line, state.settings))
  return (
    <Box flexDirection="column" width={columns} height={rows} overflow="hidden">
      {lines.map((text, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a line of the screen is its place; scrolling changes texts, not nodes
        <Row key={row} text={text} />
      ))}
    </Box>
  )
}

const Row = memo(function Row({ text }: { readonly text: string }) {
  return <Text wrap="truncate">{text}</Text>
})
