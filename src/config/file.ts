// The configuration file: TOML, checked as a whole, each fault with its line.

import { join } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import type { Env, Machine } from './machine.ts'
import { type Cluster, type Common, checkFile, type Fault } from './schema.ts'

export type FileConfig = Common & {
  readonly path: string
  readonly ascii?: boolean
  /** The cluster that is taken when none is named. */
  readonly cluster?: string
  readonly clusters: readonly Cluster[]
  /** The line of a key in the file. */
  readonly line: (...path: readonly (string | number)[]) => number
}

/** Each error is "FILE:LINE: sentence". */
export type FileErrors = { readonly errors: readonly string[] }

/** $XDG_CONFIG_HOME/pgvigil/config.toml, else below ~/.config; null without a home. A relative XDG path counts as none. */
export function configPath(env: Env, machine: Pick<Machine, 'home'>): string | null {
  const given = env.XDG_CONFIG_HOME?.startsWith('/') ? env.XDG_CONFIG_HOME : null
  const folder = given ?? (machine.home ? join(machine.home, '.config') : null)
  return folder === null ? null : join(folder, 'pgvigil', 'config.toml')
}

/** The file given, which must be there, or the usual one, which need not: null without it. */
export function loadConfig(given: string | undefined, env: Env, machine: Machine): FileConfig | FileErrors | null {
  const path = given ?? configPath(env, machine)
  if (path === null) return null
  let text: string | null
  try {
    text = machine.readText(path)
  } catch (error) {
    return { errors: [`${path}: can't be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`] }
  }
  if (text !== null) return parseConfig(text, path, machine.mode?.(path) ?? null)
  if (machine.exists(path)) return { errors: [`${path}: is no plain file`] }
  return given === undefined ? null : { errors: [`${path}: there is no such file`] }
}

/** `mode`: the file's permission bits, null where they are not known. */
export function parseConfig(text: string, path: string, mode: number | null): FileConfig | FileErrors {
  let parsed: unknown
  try {
    parsed = parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const [say] = error.message.replace(/^Invalid TOML document: /, '').split('\n')
    return { errors: [`${path}:${error.line}: this is no TOML: ${say}`] }
  }
  const faults: Fault[] = []
  const read = (checkFile(parsed, (say, ...at) => faults.push({ path: at, say })) ?? {}) as Omit<FileConfig, 'path'>
  const clusters = read.clusters ?? []
  if (read.cluster !== undefined && !clusters.some(({ name }) => name === read.cluster)) {
    faults.push({ path: ['cluster'], say: `there is no [clusters.${read.cluster.slice(0, 40)}]` })
  }
  for (const cluster of clusters) faults.push(...sameNames(cluster))
  // What others may read must hold no password, as for ~/.pgpass.
  if (mode !== null && (mode & 0o077) !== 0) {
    for (const at of passwords(clusters))
      faults.push({ path: at, say: `holds a password, and others may read this file: chmod 600 it` })
  }
  if (faults.length === 0) return { ...read, path, clusters, line: (...at) => lineOf(text, at) }
  const lines = faults.map(({ path: at, say }) => ({ line: lineOf(text, at), say })).sort((a, b) => a.line - b.line)
  return { errors: lines.map(({ line, say }) => `${path}:${line}: ${say}`) }
}

function sameNames({ name, servers, pgbouncers, timescale }: Cluster): readonly Fault[] {
  const seen = new Set<string>()
  return [
    ...servers.map((server, i) => [server, 'servers', i] as const),
    ...pgbouncers.map((server, i) => [server, 'pgbouncers', i] as const),
    // The same server may stand in both places.
    ...(timescale && servers.every(({ conninfo }) => conninfo !== timescale.conninfo)
      ? [[timescale, 'timescale', null] as const]
      : []),
  ].flatMap(([server, list, i]) => {
    if (server.name === null) return []
    const again = seen.has(server.name)
    seen.add(server.name)
    return again
      ? [
          {
            path: ['clusters', name, list, ...(i === null ? [] : [i])],
            say: `another server of the cluster is named "${server.name}" too`,
          },
        ]
      : []
  })
}

const hasPassword = (conninfo: string) =>
  /\b(?:ssl)?password\s*=\s*[^\s]/.test(conninfo) || /^postgres(ql)?:\/\/[^/@:]*:[^@/]+@/.test(conninfo)

function passwords(clusters: readonly Cluster[]): readonly (readonly (string | number)[])[] {
  return clusters.flatMap(({ name, servers, pgbouncers, timescale }) => [
    ...servers.flatMap(({ conninfo }, i) => (hasPassword(conninfo) ? [['clusters', name, 'servers', i]] : [])),
    ...pgbouncers.flatMap(({ conninfo }, i) => (hasPassword(conninfo) ? [['clusters', name, 'pgbouncers', i]] : [])),
    ...(timescale && hasPassword(timescale.conninfo) ? [['clusters', name, 'timescale']] : []),
  ])
}

/**
 * The line (from 1) of a key: of its table's heading where the key itself is not found. The parser tells no places, so the text is looked
 * through: headings, `key =`, and in a list its n-th item.
 */
export function lineOf(text: string, path: readonly (string | number)[]): number {
  const lines = text.split('\n')
  let at = 0
  let table: string[] = []
  const wanted = path.filter(part => typeof part === 'string')
  let best = { line: 1, depth: 0 }
  for (const [i, raw] of lines.entries()) {
    const line = raw.trim()
    const heading = /^\[\[?(.*?)\]\]?\s*(#.*)?$/.exec(line)
    if (heading) table = keysOf(heading[1] as string)
    const assigned = heading ? null : /^((?:"[^"]*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*=/.exec(line)
    const here = assigned ? [...table, ...keysOf(assigned[1] as string)] : heading ? table : null
    // A cluster that has tables of its own only is where the first of these is.
    if (heading && best.depth < wanted.length && table.length > wanted.length && wanted.every((key, k) => key === table[k])) {
      best = { line: i + 1, depth: wanted.length }
      at = i
    }
    if (!here || here.length < best.depth || !here.every((key, k) => key === wanted[k])) continue
    if (here.length > best.depth) {
      best = { line: i + 1, depth: here.length }
      at = i
    }
  }
  const place = path.find(part => typeof part === 'number')
  const inner = wanted.slice(best.depth)
  return typeof place === 'number' || inner.length > 0
    ? within(lines, at, typeof place === 'number' ? place : null, inner)
    : best.line
}

const keysOf = (dotted: string) => [...dotted.matchAll(/"([^"]*)"|'([^']*)'|([\w-]+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? '')

/** The line of the n-th item of the list that begins in a line, or of a key inside a table that is written in one line. */
function within(lines: readonly string[], start: number, place: number | null, inner: readonly string[]): number {
  let item = -1
  let depth = 0
  for (let i = start; i < lines.length; i++) {
    const line = i === start ? (lines[i] as string).slice((lines[i] as string).indexOf('=') + 1) : (lines[i] as string)
    if (i > start && /^\s*(\[|[\w".-]+\s*=\s*[^,]*$)/.test(line) && depth === 0) break
    for (const piece of line.matchAll(/"(?:[^"\\]|\\.)*"|'[^']*'|#.*|[[\]{},]|[\w-]+/g)) {
      const [token] = piece
      if (token.startsWith('#')) break
      if (token === '[' || token === '{') {
        if (depth === 1 && token === '{') item++
        depth++
      } else if (token === ']' || token === '}') depth--
      else if (depth === 1 && /^["'\w-]/.test(token)) item++
      const found = place === null ? inner.includes(token) : item === place && (inner.length === 0 || inner.includes(token))
      if (found) return i + 1
    }
  }
  return start + 1
}
