// Memory that stays what it was. Each picture leaves garbage behind, and V8 answers it with ever more memory, a hundred MB of it within minutes,
// since it can't know that little of it is needed. Its limits are set when a process starts; what can still be told it is by how much it may grow.

import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

/** What is new may take so much before the old of it is looked for; less costs CPU, since a whole picture has no room. Bytes, both halves together. */
const newSpaceBytes = 8 * 1024 * 1024

/** Call it each second. */
export function memoryKeeper(): () => void {
  setFlagsFromString('--heap-growing-percent=100')
  let growing = true
  return () => {
    const size = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')?.space_size ?? 0
    if (growing === size < newSpaceBytes) return
    growing = !growing
    setFlagsFromString(`--semi-space-growth-factor=${growing ? 2 : 1}`)
  }
}
