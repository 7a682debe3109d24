// The word that was probably meant.

/** Of some words the nearest one: at most two edits away, and fewer than half its length; null: none is near. */
export function nearest<T extends string>(word: string, among: readonly T[]): T | null {
  const best = among.map(candidate => ({ candidate, far: distance(word, candidate) })).sort((a, b) => a.far - b.far)[0]
  return best && best.far <= 2 && best.far < best.candidate.length / 2 ? best.candidate : null
}

/** Edits (insert, delete, replace, swap of neighbours) that turn one word into the other. */
function distance(a: string, b: string): number {
  const d = Array.from({ length: a.length + 1 }, (_, i) =>
    Array.from({ length: b.length + 1 }, (_, j) => (i === 0 ? j : j === 0 ? i : 0)),
  )
  for (let i = 1; i <= a.length; i++)
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let best = Math.min(d[i - 1]![j]! + 1, d[i]![j - 1]! + 1, d[i - 1]![j - 1]! + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, d[i - 2]![j - 2]! + 1)
      d[i]![j] = best
    }
  return d[a.length]![b.length]!
}
