// Servers that hang: stopped processes answer nothing, and no timeout of theirs fires.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

const frozen = new Set<number>()

/** Stops processes until thaw(). */
export function freezePids(...pids: readonly number[]): void {
  for (const pid of pids) {
    process.kill(pid, 'SIGSTOP')
    frozen.add(pid)
  }
}

/** Stops a postmaster and all its children, as a hung machine or storage does. */
export function freeze(server: { pid(): number }): void {
  freezePids(server.pid(), ...childrenOf(server.pid()))
}

/** Lets all go on that was stopped. */
export function thaw(): void {
  for (const pid of frozen) {
    try {
      process.kill(pid, 'SIGCONT')
    } catch {
      // It has ended by itself.
    }
  }
  frozen.clear()
}

export function childrenOf(pid: number): readonly number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
    return text.trim().split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** The child of a postmaster with these words in its title: "checkpointer", "startup", "walreceiver". */
export function childNamed(pid: number, words: string): number | null {
  const titles = childrenOf(pid).map(child => ({ child, title: titleOf(child) }))
  return titles.find(({ title }) => title.includes(words))?.child ?? null
}

function titleOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  } catch {
    return ''
  }
}

export type Socket = { readonly localPort: number; readonly remotePort: number; readonly state: string; readonly inode: string }

/** All TCP sockets of this machine over IPv4, also those whose process has closed them. */
export function sockets(): readonly Socket[] {
  const lines = readFileSync('/proc/net/tcp', 'latin1').trim().split('\n').slice(1)
  const port = (address: string) => Number.parseInt(address.split(':')[1]!, 16)
  return lines.map(line => {
    const fields = line.trim().split(/\s+/)
    return { localPort: port(fields[1]!), remotePort: port(fields[2]!), state: fields[3]!, inode: fields[9]! }
  })
}

/** Those of a process that go to a port. */
export function socketsTo(pid: number, port: number): readonly Socket[] {
  const folder = `/proc/${pid}/fd`
  const own = new Set(
    readdirSync(folder).map(fd => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${fd}`))?.[1]
      } catch {
        return undefined
      }
    }),
  )
  return sockets().filter(({ remotePort, inode }) => remotePort === port && own.has(inode))
}

/** Resident memory in MB. */
export function residentMb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1024
}
