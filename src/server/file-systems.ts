// The file systems of a server on this machine. A server behind a tunnel or in a container tells paths that mean another place here, so a
// directory is only believed when it is proven to be that very server's.

import { constants, type FileHandle, open, readFile, stat, statfs } from 'node:fs/promises'
import { endianness } from 'node:os'
import { join } from 'node:path'
import type { Target } from '../config/conninfo.ts'
import type { FileSystems, FileSystemsTrouble } from '../model/free-space.ts'
import type { StorageRow } from '../sql/databases.ts'

/** How long a file system may take to answer. Milliseconds. */
const answerMs = 2000
/** Between the start of the postmaster as it writes it into its pid file and as it tells it; and what /proc rounds. Seconds. */
const startSlack = 10
/** Clock ticks a second in /proc, the same on every Linux. */
const ticksPerSecond = 100

/** One look at a time: a file system that hangs (NFS) costs one of the few threads that look up names too, and no more. */
let looking: Promise<unknown> | null = null

/**
 * Looks at the file systems that hold a server's tablespaces; `rows` are those of the query `storage`. Never takes longer than two seconds, and
 * never rejects: what stands in the way is in `trouble`.
 */
export async function lookAtFileSystems(target: Target, rows: readonly StorageRow[], now: () => number): Promise<FileSystems> {
  const nothing = (trouble: FileSystemsTrouble): FileSystems => ({ at: now(), trouble, spaces: {} })
  const [first] = rows
  if (!target.hosts.some(isHere)) return nothing({ kind: 'remote' })
  if (!first || first.data_directory === null) return nothing({ kind: 'restricted' })
  const path = first.data_directory
  const silent = nothing({ kind: 'silent', path })
  if (looking && (await within(looking, answerMs)) === null) return silent
  const work = look(first.data_directory as unknown as string, rows, now).catch(error => nothing({ kind: kindOf(error), path }))
  looking = work
  work.finally(() => {
    if (looking === work) looking = null
  })
  return (await within(work, answerMs)) ?? silent
}

/** By its socket or by loopback: what is reached in another way is not taken for this machine. */
const isHere = ({ host, hostaddr }: Target['hosts'][number]) =>
  host.startsWith('/') || /^(127\.|::1$|localhost$)/i.test(hostaddr ?? host)

class Another extends Error {}

function kindOf(error: unknown): 'absent' | 'denied' | 'another' {
  if (error instanceof Another) return 'another'
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EACCES' || code === 'EPERM') return 'denied'
  if (code === undefined) throw error
  return 'absent'
}

async function look(directory: string, rows: readonly StorageRow[], now: () => number): Promise<FileSystems> {
  if (!directory.startsWith('/')) throw new Another()
  await prove(directory, rows[0] as StorageRow)
  const spaces: Record<string, { freeBytes: bigint; totalBytes: bigint }> = {}
  for (const { oid, location } of rows) {
    const place = location as unknown as string
    try {
      spaces[String(oid)] = await spaceOf(place === '' ? directory : place)
    } catch {
      // A tablespace that is away costs its own line only.
    }
  }
  return { at: now(), trouble: null, spaces }
}

/** As df tells it: what is available counts for who is not root. */
async function spaceOf(path: string): Promise<{ freeBytes: bigint; totalBytes: bigint }> {
  const {
    bsize,
    frsize = bsize,
    blocks,
    bavail,
  } = (await statfs(path, { bigint: true })) as Awaited<ReturnType<typeof statfs>> & {
    bsize: bigint
    /** Not told by Node 22. */
    frsize?: bigint
    blocks: bigint
    bavail: bigint
  }
  return { freeBytes: bavail * frsize, totalBytes: blocks * frsize }
}

/** Throws Another unless the directory is that of the server that gave the row. */
async function prove(directory: string, row: StorageRow): Promise<void> {
  const postmaster = await parentOf(row.backend_pid)
  let lockFile: string
  try {
    lockFile = await beginning(join(directory, 'postmaster.pid'), 1000, 'latin1')
  } catch (error) {
    // Not our account's, as usual: then the kernel has to say that the server's processes are on this machine, and whose the directory is.
    if (kindOf(error) !== 'denied' || typeof postmaster !== 'number') throw error
    const [owner, process] = await Promise.all([stat(directory), stat(`/proc/${postmaster}`)])
    const started = await startOf(postmaster)
    if (owner.uid !== process.uid || Math.abs(started - row.started_epoch) > startSlack) throw new Another()
    return
  }
  const [pid, , started] = lockFile.split('\n').map(line => line.trim())
  const identifier = await beginning(join(directory, 'global', 'pg_control'), 8, 'buffer')
  const same =
    Math.abs(row.started_epoch - Number(started)) <= startSlack &&
    BigInt.asIntN(64, readUint64(identifier)) === BigInt.asIntN(64, row.system_identifier) &&
    (postmaster === 'unknown' || postmaster === Number(pid))
  if (!same) throw new Another()
}

const readUint64 = (bytes: Buffer) => (endianness() === 'LE' ? bytes.readBigUInt64LE() : bytes.readBigUInt64BE())

/** The parent of a process here; null: there is no such process, 'unknown': this system has no /proc. */
async function parentOf(pid: number): Promise<number | null | 'unknown'> {
  try {
    return Number((await processFields(pid))[1])
  } catch {
    return processFields('self').then(
      () => null,
      () => 'unknown',
    )
  }
}

/** Epoch seconds of a process's start. */
async function startOf(pid: number): Promise<number> {
  const booted = /^btime (\d+)$/m.exec(await readFile('/proc/stat', 'latin1'))?.[1]
  return Number(booted) + Number((await processFields(pid))[19]) / ticksPerSecond
}

/** The fields of /proc/PID/stat after the name in brackets: state, parent... */
async function processFields(pid: number | 'self'): Promise<readonly string[]> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1')
  return text.slice(text.lastIndexOf(')') + 2).split(' ')
}

function beginning(path: string, bytes: number, as: 'latin1'): Promise<string>
function beginning(path: string, bytes: number, as: 'buffer'): Promise<Buffer>
/** The first bytes of a plain file. Opened so that a pipe of that name keeps nobody waiting. */
async function beginning(path: string, bytes: number, as: 'latin1' | 'buffer'): Promise<string | Buffer> {
  const file: FileHandle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    if (!(await file.stat()).isFile()) throw new Another()
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0)
    if (as === 'buffer' && bytesRead < bytes) throw new Another()
    return as === 'latin1' ? buffer.toString('latin1', 0, bytesRead) : buffer
  } finally {
    await file.close()
  }
}

/** Null when it takes longer. */
function within<T>(work: Promise<T>, ms: number): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(null), ms)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
