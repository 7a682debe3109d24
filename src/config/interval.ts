// How often the servers are asked, as people write it.

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, min: 60_000 }
const shortestMs = 100
const longestMs = 5 * 60_000

/** Milliseconds from "1s", "500ms", "0.5", "2" (seconds) or "1m": 100 ms to 5 minutes, whole milliseconds. */
export function parseInterval(text: string): number | { readonly error: string } {
  const parts = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|m|min)?\s*$/.exec(text)
  if (!parts) return { error: `the interval is a time such as 1s, 500ms, 0.5 or 1m, not "${text.slice(0, 20)}"` }
  const ms = Math.round(Number(parts[1]) * unitMs[parts[2] ?? 's']!)
  if (ms < shortestMs || ms > longestMs)
    return { error: `the interval must lie between 100ms and 5m, and "${text.slice(0, 20)}" does not` }
  return ms
}
