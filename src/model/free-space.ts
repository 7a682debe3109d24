// How much more a tablespace can take: by the file system it is on, where that is this machine's, and by what the configuration says it may hold.

import type { Untrusted } from '../sql/query.ts'
import { drawable, is, raw } from './untrusted.ts'

/** What a tablespace may hold, in bytes, by its name. */
export type Capacity = Readonly<Record<string, number>>

/** Why the file systems of a server are not looked at. `path`: where, as the server names it. */
export type FileSystemsTrouble =
  | { readonly kind: 'remote' | 'restricted' }
  | {
      /** `absent`: no such directory here. `denied`: not to be read by our account. `another`: not this server's. `silent`: no answer. */
      readonly kind: 'absent' | 'denied' | 'another' | 'silent'
      readonly path: Untrusted
    }

/** What our machine says of a server's file systems. `at` in epoch ms. By tablespace oid, of those that could be looked at. */
export type FileSystems = {
  readonly at: number
  readonly trouble: FileSystemsTrouble | null
  /** `freeBytes`: for who is not root. */
  readonly spaces: Readonly<Record<string, { readonly freeBytes: bigint; readonly totalBytes: bigint }>>
}

/** What is known of a server's disks. `user`: our role, as SQL names it. */
export type Disks = { readonly fileSystems: FileSystems | null; readonly capacity: Capacity; readonly user: string }

export type FreeSpace = {
  /** For who is not a superuser of the machine; of a capacity what is left of it, negative beyond it. Null: see `freeProblem`. */
  readonly freeBytes: bigint | null
  readonly freeOf: 'file system' | 'capacity' | null
  /** Of what it is free. */
  readonly capacityBytes: bigint | null
  /** Drawable. */
  readonly freeProblem: string | null
}

type Space = {
  readonly oid: bigint
  readonly spcname: Untrusted
  readonly location: Untrusted | null
  readonly total_bytes: bigint | null
}

/** Tablespaces in the data directory share its file system, and the capacity of pg_default. */
const isInside = ({ location }: Space) => location === null || is(location, '')

/** Of each tablespace, by its name. Where both are known the one that ends sooner. */
export function freeSpaces(spaces: readonly Space[], disks: Disks): ReadonlyMap<string, FreeSpace> {
  return new Map(spaces.map(space => [raw(space.spcname), freeSpace(space, spaces, disks)]))
}

function freeSpace(space: Space, spaces: readonly Space[], { fileSystems, capacity, user }: Disks): FreeSpace {
  const own = Object.hasOwn(capacity, raw(space.spcname))
  const name = own || !isInside(space) ? raw(space.spcname) : 'pg_default'
  const given = Object.hasOwn(capacity, name) ? BigInt(capacity[name] as number) : null
  const sharing = isInside(space) && name === 'pg_default' ? spaces.filter(isInside) : [space]
  const used = sharing.reduce<bigint | null>(
    (sum, { total_bytes }) => (sum === null || total_bytes === null ? null : sum + total_bytes),
    0n,
  )
  const disk = fileSystems?.spaces[String(space.oid)]
  const left = given === null || used === null ? null : given - used
  if (left !== null && (!disk || left < disk.freeBytes)) {
    return { freeBytes: left, freeOf: 'capacity', capacityBytes: given, freeProblem: null }
  }
  if (disk) return { freeBytes: disk.freeBytes, freeOf: 'file system', capacityBytes: disk.totalBytes, freeProblem: null }
  const why = given === null ? troubleWords(fileSystems, user) : 'its capacity is configured, but its size is not known'
  return { freeBytes: null, freeOf: null, capacityBytes: given, freeProblem: why }
}

const configured = 'a [capacity] in the configuration file tells what it may hold'

function troubleWords(fileSystems: FileSystems | null, user: string): string {
  if (fileSystems === null) return 'not read yet'
  const { trouble } = fileSystems
  if (trouble === null) return `its file system could not be looked at; ${configured}`
  switch (trouble.kind) {
    case 'remote':
      return `PostgreSQL does not tell it, and the server is on another machine: ${configured}`
    case 'restricted':
      return `needs data_directory: GRANT pg_monitor TO ${user};`
    case 'absent':
      return `${drawable(trouble.path)} is not on this machine (a container, a tunnel?): ${configured}`
    case 'another':
      return `${drawable(trouble.path)} on this machine is not this server's (a container, a tunnel?): ${configured}`
    case 'denied':
      return `this account may not look into ${drawable(trouble.path)}: run pgvigil as the server's account, or ${configured}`
    case 'silent':
      return `the file system of ${drawable(trouble.path)} does not answer`
  }
}
