// PgBouncer in front of the lab's primary.

import { accessSync, chownSync, constants, writeFileSync } from 'node:fs'
import { connect as dial } from 'node:net'
import { delimiter, join } from 'node:path'
import { withClient } from './client.ts'
import { serverFolder } from './folder.ts'
import { serverAccount } from './paths.ts'
import { freePort, startProcess, trouble } from './process.ts'

export type PgbouncerOptions = {
  readonly dir: string
  /** Lines of [databases], as in pgbouncer.ini: name = host=... */
  readonly databases: Readonly<Record<string, string>>
  /** Who may log in; without a password. */
  readonly users: readonly string[]
  /** May use the whole console. */
  readonly admin?: string
  /** More of [pgbouncer]. */
  readonly settings?: Readonly<Record<string, string | number>>
  readonly port?: number
}

export type PgbouncerServer = {
  /** Of the console: postgres://ADMIN@127.0.0.1:PORT/pgbouncer */
  readonly conninfo: string
  readonly port: number
  readonly pid: number
  readonly running: () => boolean
  /** Sends a signal: SIGTERM, or SIGSTOP and SIGCONT for one that hangs. */
  readonly signal: (name: NodeJS.Signals) => void
  readonly stop: () => Promise<void>
}

/** The installed program, or null. Debian puts it into /usr/sbin, which is not in everybody's PATH. */
export function findPgbouncer(): string | null {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/usr/local/bin']
  for (const folder of folders) {
    const path = join(folder, 'pgbouncer')
    try {
      if (folder !== '') accessSync(path, constants.X_OK)
      if (folder !== '') return path
    } catch {}
  }
  return null
}

/** Starts it with transaction pooling. Fails when it is not installed: ask findPgbouncer() first. */
export async function startPgbouncer(options: PgbouncerOptions): Promise<PgbouncerServer> {
  const { dir, databases, users, admin = 'postgres', settings = {}, port = await freePort() } = options
  const command = findPgbouncer()
  if (!command) throw new Error('PgBouncer is not installed')
  const home = join(dir, 'pgbouncer')
  serverFolder(home)
  const own = (name: string, text: string) => {
    const path = join(home, name)
    writeFileSync(path, text, { mode: 0o600 })
    const account = serverAccount()
    if (account) chownSync(path, account.uid, account.gid)
    return path
  }
  const lines = (pairs: Readonly<Record<string, string | number>>) =>
    Object.entries(pairs)
      .map(([name, value]) => `${name} = ${value}\n`)
      .join('')
  const names = [...new Set([...users, admin])]
  const auth_file = own('users.txt', names.map(name => `"${name.replaceAll('"', '""')}" ""\n`).join(''))
  const general = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    // 107 bytes is what a socket address can hold.
    unix_socket_dir: Buffer.byteLength(join(home, '.s.PGSQL.65535')) <= 107 ? home : '',
    auth_type: 'trust',
    auth_file,
    admin_users: admin,
    stats_users: admin,
    pool_mode: 'transaction',
    ignore_startup_parameters: 'extra_float_digits',
    ...settings,
  }
  const file = own('pgbouncer.ini', `[databases]\n${lines(databases)}\n[pgbouncer]\n${lines(general)}`)
  const logFile = join(home, 'server.log')
  const child = await startProcess({ command, args: [file], cwd: home, logFile, dropRoot: true })
  const deadline = Date.now() + 10_000
  while (!(await answers(port, admin))) {
    if (!child.running()) throw new Error(`PgBouncer did not start: ${trouble(child)}`)
    if (Date.now() > deadline) {
      await child.end('SIGKILL')
      throw new Error(`PgBouncer does not answer: ${trouble(child)}`)
    }
    await new Promise(resolve => setTimeout(resolve, 30))
  }
  return {
    conninfo: `postgres://${encodeURIComponent(admin)}@127.0.0.1:${port}/pgbouncer`,
    port,
    pid: child.pid,
    running: child.running,
    signal: child.signal,
    // It keeps nothing; SIGTERM waits for clients from 1.23 on.
    stop: () => child.end('SIGKILL'),
  }
}

/** Once it listens, its console must answer too. */
async function answers(port: number, user: string): Promise<boolean> {
  const open = await new Promise<boolean>(resolve => {
    const socket = dial(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.unref()
    setTimeout(() => socket.destroy(), 100).unref()
  })
  if (!open) return false
  return withClient({ port, user, database: 'pgbouncer' }, client => client.query('SHOW VERSION')).then(
    () => true,
    (error: Error) => !/ECONN/.test(error.message),
  )
}
