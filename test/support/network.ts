// A network between the monitor and servers that loses every packet of a server when told to, and a name server that never answers. Where the
// system lets us make network namespaces these are real packets, lost on a real link (each server's hardware address becomes a wrong one);
// elsewhere a relay of ours takes connections and bytes and passes nothing on, which is as silent, but connecting succeeds.

import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PostgresServer } from '../../src/lab/postgres.ts'
import { freePort } from '../../src/lab/process.ts'
import { node, program, type StartOptions, start, startMonitor, type Terminal } from './terminal.ts'

export type Network = {
  /** `relay`: no namespaces here, for this reason. */
  readonly kind: 'packets' | 'relay'
  readonly why: string | null
  /** How the monitor reaches the server of this index, and what its line begins with. */
  conninfo(index: number, application?: string): string
  id(index: number): string
  /** The same server by the name `localhost`; only with packets. */
  localhost(index: number): string
  drop(index: number): void
  heal(index: number): void
  /** Runs the monitor inside. */
  monitor(args: readonly string[], options?: StartOptions): Terminal
  stop(): void
}

/** Null when network namespaces can be made here, else the system's reason. Told by trying. */
export function noNamespaces(): string | null {
  try {
    const script = 'ip link set lo up && ip link add near type veth peer name far && mount -t tmpfs none /mnt'
    execFileSync('unshare', [...asRoot, '-n', '-m', 'sh', '-c', script], { stdio: 'pipe' })
    return null
  } catch (error) {
    const { stderr, message } = error as { stderr?: Buffer; message: string }
    return stderr?.toString().trim().split('\n')[0] || message.split('\n')[0]!
  }
}

const root = process.getuid?.() === 0
/** Without being root, in a user namespace of our own. */
const asRoot = root ? [] : ['-r']
const into = (pid: number) => ['-t', String(pid), ...(root ? [] : ['-U', '--preserve-credentials']), '-n', '-m', '--']

/** A network in front of the servers; each needs a Unix socket. `folder`: for its files. */
export async function startNetwork(servers: readonly PostgresServer[], folder: string): Promise<Network> {
  const why = noNamespaces()
  return why === null ? packets(servers, folder) : relayed(servers, why)
}

/** A namespace for the monitor and one for the servers' addresses, 10.9.0.1 and 10.9.0.10 on, with a cable between them. */
async function packets(servers: readonly PostgresServer[], folder: string): Promise<Network> {
  const holders: ChildProcess[] = []
  const hold = (command: string, args: readonly string[]) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    holders.push(child)
    // `cat` answers when the namespaces are there, and ends with us.
    child.stdin.write('ready\n')
    return new Promise<number>((resolve, reject) => {
      child.stdout.once('data', () => resolve(child.pid!))
      child.once('exit', code => reject(new Error(`no namespace: ${code}`)))
    })
  }
  const here = await hold('unshare', [...asRoot, '-n', '-m', 'cat'])
  const there = await (root
    ? hold('unshare', ['-n', '-m', 'cat'])
    : hold('nsenter', [...into(here), 'unshare', '-n', '-m', 'cat']))
  const inside = (pid: number, ...command: string[]) => execFileSync('nsenter', [...into(pid), ...command], { stdio: 'pipe' })
  const address = (index: number) => `10.9.0.${10 + index}`
  inside(here, 'ip', 'link', 'add', 'near', 'type', 'veth', 'peer', 'name', 'far')
  inside(here, 'ip', 'link', 'set', 'far', 'netns', String(there))
  for (const command of [
    ['addr', 'add', '10.9.0.1/24', 'dev', 'near'],
    ['link', 'set', 'near', 'up'],
    ['link', 'set', 'lo', 'up'],
    // The name server: an address that nobody has, at a hardware address that nobody has.
    ['neigh', 'replace', '10.9.0.99', 'lladdr', lost, 'dev', 'near', 'nud', 'permanent'],
  ]) {
    inside(here, 'ip', ...command)
  }
  for (const [index] of servers.entries()) inside(there, 'ip', 'addr', 'add', `${address(index)}/24`, 'dev', 'far')
  inside(there, 'ip', 'link', 'set', 'far', 'up')
  const resolver = join(folder, 'resolv.conf')
  writeFileSync(resolver, 'nameserver 10.9.0.99\n')
  inside(here, 'mount', '--bind', resolver, '/etc/resolv.conf')
  const right = /link\/ether (\S+)/.exec(inside(there, 'ip', 'link', 'show', 'far').toString())![1]!
  const to = (server: PostgresServer) => ({ path: join(server.socketDir!, `.s.PGSQL.${server.port}`) })
  await relay(
    there,
    servers.map((server, index) => ({ host: address(index), port: 5432, to: to(server) })),
    holders,
  )
  const ports = await relay(
    here,
    servers.map(server => ({ host: '127.0.0.1', port: 0, to: to(server) })),
    holders,
  )
  const setMac = (index: number, mac: string) =>
    inside(here, 'ip', 'neigh', 'replace', address(index), 'lladdr', mac, 'dev', 'near', 'nud', 'permanent')
  return {
    kind: 'packets',
    why: null,
    conninfo: (index, application = 'pgvigil') =>
      `postgres://postgres@${address(index)}:5432/postgres?application_name=${application}`,
    id: index => `${address(index)}:5432`,
    localhost: index => `postgres://postgres@localhost:${ports[index]}/postgres`,
    drop: index => void setMac(index, lost),
    heal: index => void setMac(index, right),
    monitor: (args, options) => start('nsenter', [...into(here), node, program, ...args], options),
    stop: () => {
      for (const child of holders) child.kill('SIGKILL')
    },
  }
}

/** A hardware address that nobody has: what is sent to it is lost. */
const lost = '02:00:00:00:00:99'

async function relayed(servers: readonly PostgresServer[], why: string): Promise<Network> {
  const children: ChildProcess[] = []
  const places = await Promise.all(
    servers.map(async ({ port }) => ({ host: '127.0.0.1', port: await freePort(), to: { host: '127.0.0.1', port } })),
  )
  const ports = await relay(null, places, children)
  const conninfo = (index: number, application = 'pgvigil') =>
    `postgres://postgres@127.0.0.1:${ports[index]}/postgres?application_name=${application}`
  return {
    kind: 'relay',
    why,
    conninfo,
    id: index => `127.0.0.1:${ports[index]}`,
    localhost: conninfo,
    drop: index => void children[0]!.send({ index, dropping: true }),
    heal: index => void children[0]!.send({ index, dropping: false }),
    monitor: startMonitor,
    stop: () => {
      for (const child of children) child.kill('SIGKILL')
    },
  }
}

type Place = { readonly host: string; readonly port: number; readonly to: object }

/** Starts a relay, in the namespaces of a process or here; resolves to the ports it listens on. */
function relay(pid: number | null, places: readonly Place[], children: ChildProcess[]): Promise<readonly number[]> {
  const script = join(import.meta.dirname, 'relay.mjs')
  const options = { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] as ['ignore', 'ignore', 'inherit', 'ipc'] }
  const child =
    pid === null
      ? fork(script, [JSON.stringify(places)], { ...options, execPath: node })
      : spawn('nsenter', [...into(pid), node, script, JSON.stringify(places)], options)
  children.push(child)
  return new Promise((resolve, reject) => {
    child.once('message', ports => resolve(ports as number[]))
    child.once('exit', code => reject(new Error(`the relay ended with ${code}`)))
  })
}
