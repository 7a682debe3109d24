// What may stand in the configuration file: one list of keys, from which checking, suggestions and reading follow.

import type { Capacity } from '../model/free-space.ts'
import { type Thresholds, thresholdKey, thresholdList } from '../model/thresholds.ts'
import { parseInterval } from './interval.ts'
import { nearest } from './nearest.ts'

export const themes = ['dark', 'light', 'mono'] as const
export type Theme = (typeof themes)[number]

/** A server of a cluster: its connection string and, where it has one, the name it goes by on the screen and what its tablespaces may hold. */
export type NamedConninfo = { readonly name: string | null; readonly conninfo: string; readonly capacity?: Capacity }

/** What a cluster says, and what stands above all clusters. Absent: not said. */
export type Common = {
  readonly intervalMs?: number
  readonly theme?: Theme
  readonly readOnly?: boolean
  readonly panel?: string
  readonly thresholds?: Partial<Thresholds>
  readonly capacity?: Capacity
}

export type Cluster = Common & {
  readonly name: string
  readonly servers: readonly NamedConninfo[]
  readonly pgbouncers: readonly NamedConninfo[]
  readonly timescale?: NamedConninfo
}

/** Something that can't stand there. `path`: where it is, key by key; a number is a place in a list. */
export type Fault = { readonly path: readonly (string | number)[]; readonly say: string }

export type Report = (say: string, ...below: readonly (string | number)[]) => void

type Check<T> = (value: unknown, report: Report) => T | undefined

const kindOf = (value: unknown) =>
  Array.isArray(value) ? 'a list' : value instanceof Date ? 'a date' : typeof value === 'object' ? 'a table' : `a ${typeof value}`

const text: Check<string> = (value, report) => {
  if (typeof value === 'string' && value !== '') return value
  report(value === '' ? 'must not be empty' : `is a text in quotes, not ${kindOf(value)}`)
}

const yesNo: Check<boolean> = (value, report) => {
  if (typeof value === 'boolean') return value
  report(`is true or false, not ${kindOf(value)}`)
}

const interval: Check<number> = (value, report) => {
  const ms = parseInterval(String(value))
  if ((typeof value === 'string' || typeof value === 'number') && typeof ms === 'number') return ms
  report('is a time such as "1s", "500ms" or "1m": 100ms to 5m')
}

const oneOf =
  <T extends string>(allowed: readonly T[]): Check<T> =>
  (value, report) => {
    const found = allowed.find(word => word === value)
    if (found === undefined) report(`is one of ${allowed.join(', ')}`)
    return found
  }

const number =
  (least: number, most: number): Check<number> =>
  (value, report) => {
    if (typeof value === 'number' && value >= least && value <= most) return value
    report(`is a number${most === Number.POSITIVE_INFINITY ? ` of at least ${least}` : ` from ${least} to ${most}`}`)
  }

/** Keys of a table by their names in the file, each with where its value goes. */
type Keys = Readonly<Record<string, { readonly to: string; readonly check: Check<unknown> }>>

const thresholdKeys: Keys = Object.fromEntries(
  Object.entries(thresholdList).map(([name, { least, most }]) => [thresholdKey(name), { to: name, check: number(least, most) }]),
)

/** As PostgreSQL writes sizes. */
const units: Readonly<Record<string, number>> = { kB: 1024, MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 }

const size: Check<number> = (value, report) => {
  const [, digits, unit = ''] = (typeof value === 'string' && /^\s*(\d+(?:\.\d+)?)\s*(kB|MB|GB|TB)\s*$/.exec(value)) || []
  const bytes = digits === undefined ? 0 : Math.round(Number(digits) * (units[unit] as number))
  if (bytes > 0 && Number.isSafeInteger(bytes)) return bytes
  report('is a size such as "200GB" (kB, MB, GB, TB)')
}

const capacity: Check<Capacity> = (value, report) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Date)
    return void report(`names tablespaces, as in { pg_default = "200GB" }, and is not ${kindOf(value)}`)
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, given]) => {
      const bytes = size(given, say => report(`capacity of ${name.slice(0, 63)} ${say}`, name))
      return bytes === undefined ? [] : [[name, bytes]]
    }),
  )
}

const commonKeys: Keys = {
  interval: { to: 'intervalMs', check: interval },
  theme: { to: 'theme', check: oneOf(themes) },
  read_only: { to: 'readOnly', check: yesNo },
  panel: { to: 'panel', check: text },
  thresholds: { to: 'thresholds', check: table(thresholdKeys) },
  capacity: { to: 'capacity', check: capacity },
}

const namedKeys: Keys = {
  name: { to: 'name', check: text },
  conninfo: { to: 'conninfo', check: text },
  capacity: { to: 'capacity', check: capacity },
}

const named: Check<NamedConninfo> = (value, report) => {
  if (typeof value === 'string') return { name: null, conninfo: value }
  if (typeof value !== 'object' || Array.isArray(value) || value instanceof Date)
    return void report('is a connection string, or { name = ..., conninfo = ... }')
  const read = table(namedKeys)(value, report) as Partial<NamedConninfo> | undefined
  if (!read) return undefined
  if (read.conninfo === undefined) report('has no conninfo')
  return { name: null, conninfo: '', ...read }
}

const list: Check<readonly NamedConninfo[]> = (value, report) => {
  if (!Array.isArray(value)) return void report(`is a list of connection strings in [ ], not ${kindOf(value)}`)
  return value.flatMap((item, i) => named(item, (say, ...below) => report(say, i, ...below)) ?? [])
}

const clusterKeys: Keys = {
  ...commonKeys,
  servers: { to: 'servers', check: list },
  pgbouncers: { to: 'pgbouncers', check: list },
  timescale: { to: 'timescale', check: named },
}

const clusters: Check<readonly Cluster[]> = (value, report) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Date)
    return void report('holds a table for each cluster: [clusters.NAME]')
  return Object.entries(value).map(([name, given]) => {
    const below: Report = (say, ...more) => report(say, name, ...more)
    const read = (table(clusterKeys)(given, below) ?? {}) as Partial<Cluster>
    const { servers = [], pgbouncers = [] } = read
    const { servers: some, pgbouncers: others, timescale } = (given ?? {}) as Partial<Record<string, unknown>>
    const names = [some, others, timescale].some(said => said !== undefined && !(Array.isArray(said) && said.length === 0))
    if (!names) below('names no server: servers = ["host=..."]')
    return { ...read, name, servers, pgbouncers }
  })
}

/** The whole file. */
export const fileKeys: Keys = {
  ...commonKeys,
  ascii: { to: 'ascii', check: yesNo },
  cluster: { to: 'cluster', check: text },
  clusters: { to: 'clusters', check: clusters },
}

/** Names of all keys that can stand anywhere: a key in the wrong place is told from an unknown one. */
const places: readonly (readonly [string, Keys])[] = [
  ['at the top of the file', fileKeys],
  ['in [clusters.NAME]', clusterKeys],
  ['in a thresholds table', thresholdKeys],
  ['in a server { name = ..., conninfo = ... }', namedKeys],
]

function table(keys: Keys): Check<Readonly<Record<string, unknown>>> {
  return (value, report) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Date) {
      return void report(`is a table, not ${kindOf(value)}`)
    }
    const read: Record<string, unknown> = {}
    for (const [key, given] of Object.entries(value)) {
      const known = Object.hasOwn(keys, key) ? keys[key] : undefined
      if (!known) {
        report(`unknown key "${key.slice(0, 40)}"${hint(key, keys)}`, key)
        continue
      }
      const checked = known.check(given, (say, ...below) => report(below.length === 0 ? `${key} ${say}` : say, key, ...below))
      if (checked !== undefined) read[known.to] = checked
    }
    return read
  }
}

function hint(key: string, keys: Keys): string {
  const near = nearest(key.toLowerCase().replaceAll('-', '_'), Object.keys(keys))
  if (near) return ` (did you mean "${near}"?)`
  const elsewhere = places.find(([, known]) => Object.hasOwn(known, key))
  if (elsewhere) return ` here: it belongs ${elsewhere[0]}`
  return ` (there are ${Object.keys(keys).join(', ')})`
}

/** Takes the parsed file apart; what can't stand there is reported and left out. */
export const checkFile = table(fileKeys)
