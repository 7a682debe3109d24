// What a process costs this machine: CPU to the nanosecond and resident memory, as Linux counts them.

import { readdirSync, readFileSync } from 'node:fs'

/** Milliseconds of CPU of all threads so far; of threads that have ended nothing is known. */
export function cpuMs(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, task) => {
    const [ns] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')
    return sum + Number(ns) / 1e6
  }, 0)
}

export function residentMb(pid: number): number {
  const kb = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kb) / 1024
}

/** The process at the end of a chain of single children: what a wrapper script has started. */
export function lastChild(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return children === '' ? pid : lastChild(Number(children.split(' ')[0]))
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}

/** NaN of nothing. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
