// Host names to addresses, such that a dead name server holds up nobody but the names that need it: libuv asks the resolver for two
// names at a time, for tens of seconds each when no name server answers, and whoever comes next waits.

import { lookup } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'

const inFlight = new Map<string, Promise<readonly string[]>>()
const lastGood = new Map<string, readonly string[]>()

/** After so long without an answer the addresses of an earlier one are taken. Milliseconds. */
const patienceMs = 1000

/**
 * The addresses of a host in the order to try them. Addresses themselves and the names in /etc/hosts never wait for the resolver. Of one
 * name there is one lookup in flight, whoever asks, and it can outlast the asker. Rejects with the resolver's error (ENOTFOUND, EAI_AGAIN).
 */
export async function addressesOf(host: string): Promise<readonly string[]> {
  if (isIP(host)) return [host]
  const listed = addressesIn(await readFile('/etc/hosts', 'utf8').catch(() => ''), host)
  if (listed.length > 0) return listed
  let asked = inFlight.get(host)
  if (!asked) {
    asked = lookup(host, { all: true, order: 'verbatim' })
      .then(found => {
        const addresses = found.map(({ address }) => address)
        lastGood.set(host, addresses)
        return addresses
      })
      .finally(() => inFlight.delete(host))
    asked.catch(() => {})
    inFlight.set(host, asked)
  }
  const earlier = lastGood.get(host)
  return earlier ? orAfter(asked, patienceMs, earlier) : asked
}

/** What a hosts file says of a name, IPv6 first as getaddrinfo has it; `localhost` is always known. */
export function addressesIn(hostsFile: string, name: string): readonly string[] {
  const wanted = name.toLowerCase()
  const found = new Set<string>()
  for (const line of hostsFile.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/)
    if (isIP(address) && names.some(one => one.toLowerCase() === wanted)) found.add(address)
  }
  if (found.size === 0 && wanted === 'localhost') return ['::1', '127.0.0.1']
  return [...found].sort((a, b) => isIP(b) - isIP(a))
}

/** The promise's value; the fallback if it fails or takes longer. */
function orAfter<T>(work: Promise<T>, ms: number, fallback: T): Promise<T> {
  return new Promise(resolve => {
    const timer = setTimeout(() => resolve(fallback), ms)
    work.then(resolve, () => resolve(fallback)).finally(() => clearTimeout(timer))
  })
}
