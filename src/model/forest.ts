// A graph of waiters and blockers as trees. All by index in typed arrays: a row that 2000 sessions wait for has two million edges.

export type ForestNode = { readonly pid: number; readonly waitSeconds: number | null }

/** By index of the node. */
export type Forest = {
  /** Indexes in the order of the trees: a parent before its children. Each node once. */
  readonly order: readonly number[]
  readonly depth: Int32Array
  /** -1 for the top of a tree. */
  readonly parent: Int32Array
  readonly root: Int32Array
  /** How many wait for it, directly or through others. */
  readonly blocks: Int32Array
  /** The sum of their waits, in seconds. */
  readonly waited: Float64Array
  /** It is part of a ring. */
  readonly cycle: readonly boolean[]
}

/**
 * Hangs each node under one of those it waits for (`edges`): of the nearest to a root the one that holds up most, then the one with the lowest
 * pid. A ring that waits for nobody outside hangs under its member with the lowest pid.
 */
export function forest(nodes: readonly ForestNode[], edges: readonly Int32Array[]): Forest {
  const components = componentsOf(edges)
  const { blocks, waited } = held(nodes, edges, components)
  const waiters = reversed(edges)
  const { depth, tops } = depths(nodes, edges, waiters, components)
  const parent = parents(nodes, edges, depth, blocks)
  const before = (a: number, b: number) =>
    blocks[b]! - blocks[a]! || waited[b]! - waited[a]! || nodes[a]!.pid - nodes[b]!.pid || a - b
  const { order, root } = ordered(tops, parent, before)
  return {
    order,
    depth,
    parent,
    root,
    blocks,
    waited,
    cycle: components.of
      .values()
      .map(c => components.members[c]!.length > 1)
      .toArray(),
  }
}

/** Strongly connected components; a component's number is higher than those of all that it waits for. */
type Components = { readonly of: Int32Array; readonly members: readonly (readonly number[])[] }

// Tarjan's algorithm without recursion: a serial pile-up can be thousands deep.
function componentsOf(edges: readonly Int32Array[]): Components {
  const n = edges.length
  const of = new Int32Array(n).fill(-1)
  const [found, low, next] = [new Int32Array(n), new Int32Array(n), new Int32Array(n)]
  const members: number[][] = []
  const open: number[] = []
  let count = 0
  for (let start = 0; start < n; start++) {
    if (found[start] !== 0) continue
    const path = [start]
    while (path.length > 0) {
      const v = path[path.length - 1]!
      if (found[v] === 0) {
        found[v] = low[v] = ++count
        open.push(v)
      }
      const out = edges[v]!
      let down = -1
      for (let i = next[v]!; i < out.length; i++) {
        const w = out[i]!
        if (found[w] === 0) {
          down = w
          next[v] = i
          break
        }
        if (of[w]! < 0 && low[w]! < low[v]!) low[v] = low[w]!
      }
      if (down >= 0) {
        path.push(down)
        continue
      }
      path.pop()
      if (low[v] !== found[v]) continue
      const component: number[] = []
      let member: number
      do {
        member = open.pop()!
        of[member] = members.length
        component.push(member)
      } while (member !== v)
      members.push(component)
    }
  }
  return { of, members }
}

// Whom a component holds up, as a set of bits, waiters before blockers. The waiter seen last holds up most of what is to be added, so after
// it the others mostly are in the set already: nearly all edges cost one look at a bit.
function held(nodes: readonly ForestNode[], edges: readonly Int32Array[], { of, members }: Components) {
  const n = nodes.length
  const words = (n + 31) >> 5
  const sets: Uint32Array[] = members.map(() => new Uint32Array(words))
  const behind: number[][] = members.map(() => [])
  const [blocks, waited] = [new Int32Array(n), new Float64Array(n)]
  for (let c = members.length - 1; c >= 0; c--) {
    const set = sets[c]!
    const waiting = behind[c]!
    for (let i = waiting.length - 1; i >= 0; i--) {
      const other = waiting[i]!
      const first = members[other]![0]!
      if ((set[first >> 5]! >>> (first & 31)) & 1) continue
      const theirs = sets[other]!
      for (let word = 0; word < words; word++) set[word]! |= theirs[word]!
      for (const member of members[other]!) set[member >> 5]! |= 1 << (member & 31)
    }
    const ring = members[c]!.length > 1
    if (ring) for (const member of members[c]!) set[member >> 5]! |= 1 << (member & 31)
    let [count, sum] = [0, 0]
    for (let word = 0; word < words; word++) {
      for (let bits = set[word]!; bits !== 0; bits &= bits - 1) {
        count++
        sum += nodes[(word << 5) + 31 - Math.clz32(bits & -bits)]!.waitSeconds ?? 0
      }
    }
    for (const member of members[c]!) {
      // In a ring everybody waits for everybody, but not for himself.
      blocks[member] = ring ? count - 1 : count
      waited[member] = ring ? sum - (nodes[member]!.waitSeconds ?? 0) : sum
      for (const blocker of edges[member]!) if (of[blocker] !== c) behind[of[blocker]!]!.push(c)
    }
  }
  return { blocks, waited }
}

/** Who waits for each node: one list after the other in `list`, that of node i from `start[i]` to `start[i + 1]`. */
function reversed(edges: readonly Int32Array[]): { readonly start: Int32Array; readonly list: Int32Array } {
  const start = new Int32Array(edges.length + 1)
  for (const out of edges) for (const blocker of out) start[blocker + 1]!++
  for (let i = 0; i < edges.length; i++) start[i + 1]! += start[i]!
  const list = new Int32Array(start[edges.length]!)
  const at = start.slice()
  for (let v = 0; v < edges.length; v++) for (const blocker of edges[v]!) list[at[blocker]!++] = v
  return { start, list }
}

function depths(
  nodes: readonly ForestNode[],
  edges: readonly Int32Array[],
  waiters: ReturnType<typeof reversed>,
  { of, members }: Components,
): { depth: Int32Array; tops: readonly number[] } {
  const depth = new Int32Array(nodes.length).fill(-1)
  // Nodes, and rings, that wait for nobody outside: from them all others are reached.
  const tops = members
    .filter((ring, c) => ring.every(v => edges[v]!.every(blocker => of[blocker] === c)))
    .map(ring => ring.reduce((a, b) => (nodes[b]!.pid < nodes[a]!.pid ? b : a)))
  for (const top of tops) depth[top] = 0
  const queue = [...tops]
  for (let head = 0; head < queue.length; head++) {
    const v = queue[head]!
    for (let i = waiters.start[v]!; i < waiters.start[v + 1]!; i++) {
      const w = waiters.list[i]!
      if (depth[w]! >= 0) continue
      depth[w] = depth[v]! + 1
      queue.push(w)
    }
  }
  return { depth, tops }
}

function parents(nodes: readonly ForestNode[], edges: readonly Int32Array[], depth: Int32Array, blocks: Int32Array): Int32Array {
  const parent = new Int32Array(nodes.length).fill(-1)
  for (let v = 0; v < nodes.length; v++) {
    if (depth[v] === 0) continue
    let best = -1
    for (const blocker of edges[v]!) {
      if (depth[blocker] !== depth[v]! - 1) continue
      const more = best < 0 ? 1 : blocks[blocker]! - blocks[best]! || nodes[best]!.pid - nodes[blocker]!.pid
      if (more > 0) best = blocker
    }
    parent[v] = best
  }
  return parent
}

function ordered(tops: readonly number[], parent: Int32Array, before: (a: number, b: number) => number) {
  const children = new Map<number, number[]>()
  for (let v = 0; v < parent.length; v++) {
    if (parent[v]! < 0) continue
    const siblings = children.get(parent[v]!)
    if (siblings) siblings.push(v)
    else children.set(parent[v]!, [v])
  }
  const root = new Int32Array(parent.length)
  const order: number[] = []
  const stack = tops.toSorted(before).reverse()
  while (stack.length > 0) {
    const v = stack.pop()!
    root[v] = parent[v]! < 0 ? v : root[parent[v]!]!
    order.push(v)
    stack.push(...(children.get(v)?.sort(before).reverse() ?? []))
  }
  return { order, root }
}
