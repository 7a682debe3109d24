// Host names to addresses, such that a dead name server holds up nobody but the names that need it. The system's own resolver (getaddrinfo)
// can't be called off: it keeps one of few threads for tens of seconds when no name server answers, other names wait for a thread, and the
// process can't end before. So name servers are asked by us, and the system only for names that they don't know.

import { lookup, Resolver } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'

const inFlight = new Map<string, Promise<readonly string[]>>()
const lastGood = new Map<string, readonly string[]>()

/** After so long without an answer the addresses of an earlier one are taken. Milliseconds. */
const patienceMs = 1000
/** How long a name server has for its answer before the next one is asked; each is asked twice, the second time for longer. Milliseconds. */
const serverMs = 1000
/** Answers that say that a name, or an address of this kind, does not exist. */
const unknown = new Set(['ENOTFOUND', 'ENODATA', 'EBADNAME'])

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
    asked = found(host)
      .then(addresses => {
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

async function found(host: string): Promise<readonly string[]> {
  const from = performance.now()
  for (const name of namesToAsk(await readFile('/etc/resolv.conf', 'utf8').catch(() => ''), host)) {
    const addresses = await askNameServers(name)
    if (addresses === 'no name server') break
    if (addresses.length > 0) return addresses
  }
  // Other sources that the system may have (mDNS, LDAP): asked only where its resolver will not wait for name servers.
  if (performance.now() - from >= serverMs) throw silence(`the name servers are slow to say that there is no ${host}`)
  return (await lookup(host, { all: true, order: 'verbatim' })).map(({ address }) => address)
}

/** Empty when the name servers know of none. Rejects with EAI_AGAIN when they don't answer. */
async function askNameServers(name: string): Promise<readonly string[] | 'no name server'> {
  const resolver = new Resolver({ timeout: serverMs, tries: 2 })
  const answers = await Promise.allSettled([resolver.resolve6(name), resolver.resolve4(name)])
  const [v6, v4] = answers.map(answer => (answer.status === 'fulfilled' ? answer.value : []))
  const addresses = hasIPv6() ? [...v6!, ...v4!] : [...v4!, ...v6!]
  if (addresses.length > 0) return addresses
  const codes = answers.map(answer => (answer.status === 'rejected' ? (answer.reason as { code: string }).code : 'ENODATA'))
  if (codes.every(code => unknown.has(code))) return []
  if (codes.includes('ECONNREFUSED')) return 'no name server'
  throw silence(`no answer about ${name}: ${codes.join(', ')}`)
}

const silence = (why: string) => Object.assign(new Error(why), { code: 'EAI_AGAIN' })

/** An address of ours that other networks can be reached from. */
function hasIPv6(): boolean {
  const all = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? [])
  return all.some(({ family, internal, address }) => family === 'IPv6' && !internal && !address.startsWith('fe80'))
}

/** A name as it is and with the domains to search (`search`, `domain`), in the order that `ndots` of a resolv.conf asks for. */
export function namesToAsk(resolvConf: string, name: string): readonly string[] {
  const lines = resolvConf.split('\n').map(line => line.trim().split(/\s+/))
  const domains = lines.findLast(([word]) => word === 'search' || word === 'domain')?.slice(1) ?? []
  const options = lines.filter(([word]) => word === 'options').flat()
  const ndots = Number(options.findLast(option => option.startsWith('ndots:'))?.slice(6) ?? 1)
  if (name.endsWith('.') || domains.length === 0) return [name]
  const searched = domains.map(domain => `${name}.${domain}`)
  return name.split('.').length - 1 >= ndots ? [name, ...searched] : [...searched, name]
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
