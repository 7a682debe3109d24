// A PgBouncer admin console of a chosen version, as far as a monitor can tell: the exact columns of its SHOW commands with their types, the
// simple protocol alone, and the errors of the real one. Rows are what a test gives, and so is what it does when it is told to do something.

import { createServer, type Socket } from 'node:net'

export type StubVersion = '1.18' | '1.21' | '1.24' | '1.25'
type Row = Readonly<Record<string, string | number | null>>

/** An answer to a command: the tag of one that was taken, or an error. */
export type Taken = { readonly tag: string } | { readonly error: string }

export type PgbouncerStub = {
  readonly port: number
  /** Statements in the order they came. */
  readonly heard: readonly string[]
  /** Connections that are open now. */
  readonly connections: () => number
  /** Replaces the rows of SHOW commands by name: POOLS, STATS... A column that the version doesn't have is left out of the answer. */
  show(rows: Readonly<Record<string, readonly Row[]>>): void
  /**
   * What it does when it is told to: undefined for what it doesn't know. While a promise is not settled the connection is mute, with all that comes
   * after on it; others are answered.
   */
  obey(command: (text: string) => Taken | Promise<Taken> | undefined): void
  stop(): Promise<void>
}

const releases: Readonly<Record<StubVersion, string>> = { '1.18': '1.18.0', '1.21': '1.21.0', '1.24': '1.24.1', '1.25': '1.25.2' }

/** `other`: columns of SHOW commands as no release has them, written as `name` (text), `name#` (int4) or `nameN` (numeric). */
export async function startPgbouncerStub(
  version: StubVersion,
  other: Readonly<Record<string, readonly string[]>> = {},
): Promise<PgbouncerStub> {
  const minor = Number(version.slice(2))
  const columns = { ...columnsOf(minor), ...other }
  const heard: string[] = []
  const sockets = new Set<Socket>()
  let shown: Readonly<Record<string, readonly Row[]>> = {}
  let obeyed: Parameters<PgbouncerStub['obey']>[0] = () => undefined
  const told = (taken: Taken) =>
    'tag' in taken ? Buffer.concat([packet('C', cstring(taken.tag)), ready]) : failure('ERROR', taken.error)
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    converse(socket, text => {
      heard.push(text)
      const taken = obeyed(text)
      if (taken !== undefined) return taken instanceof Promise ? taken.then(told) : told(taken)
      const name = /^\s*show\s+(\w+)\s*;?\s*$/i.exec(text)?.[1]?.toUpperCase()
      const spec = name === undefined ? undefined : columns[name]
      if (name === undefined || spec === undefined) return failure('ERROR', `invalid command '${text}', use SHOW HELP;`)
      const rows = name === 'VERSION' ? [{ version: `PgBouncer ${releases[version]}` }] : (shown[name] ?? [])
      return answer(spec, rows)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    heard,
    connections: () => sockets.size,
    show: rows => {
      shown = { ...shown, ...rows }
    },
    obey: command => {
      obeyed = command
    },
    stop: () => {
      for (const socket of sockets) socket.destroy()
      return new Promise(resolve => server.close(() => resolve()))
    },
  }
}

/** Column names by command: `#` marks int4, `N` numeric, everything else is text. */
function columnsOf(minor: number): Readonly<Record<string, readonly string[]>> {
  const since = (first: number, names: string) => (minor >= first ? names : '')
  const totals = 'xact_count query_count received sent xact_time query_time wait_time'
  const averages = 'xact_count query_count recv sent xact_time query_time wait_time'
  const parses = since(24, 'client_parse_count server_parse_count bind_count')
  const prefixed = (prefix: string, names: string) => words(names).map(name => `${prefix}_${name}N`)
  const assigned = since(23, 'server_assignment_count')
  const sockets = `type user database ${since(23, 'replication')} state addr port# local_addr local_port# connect_time request_time wait# wait_us#
    close_needed# ptr link remote_pid# tls application_name ${since(21, 'prepared_statements#')} ${since(24, 'id#')}`
  return {
    VERSION: ['version'],
    POOLS:
      words(`database user cl_active# cl_waiting# cl_active_cancel_req# cl_waiting_cancel_req# sv_active# sv_active_cancel# sv_being_canceled#
      sv_idle# sv_used# sv_tested# sv_login# maxwait# maxwait_us# pool_mode ${since(24, 'load_balance_hosts')}`),
    STATS: [
      'database',
      ...prefixed('total', `${assigned} ${totals} ${parses}`),
      ...prefixed('avg', `${assigned} ${averages} ${parses}`),
    ],
    CLIENTS: words(sockets),
    SERVERS: words(sockets),
    DATABASES:
      minor >= 24
        ? words(`name host port# database force_user pool_size# min_pool_size# reserve_pool_size# server_lifetime# pool_mode load_balance_hosts
            max_connections# current_connections# max_client_connections# current_client_connections# paused# disabled#`)
        : words(`name host port# database force_user pool_size# min_pool_size# reserve_pool# pool_mode max_connections# current_connections#
            paused# disabled#`),
    CONFIG: words('key value default changeable'),
    USERS:
      minor >= 24
        ? words(`name pool_size reserve_pool_size pool_mode max_user_connections# current_connections# max_user_client_connections#
            current_client_connections#`)
        : words('name pool_mode'),
    ...(minor >= 19 ? { STATE: words('key value') } : {}),
  }
}

const words = (text: string) => text.split(/\s+/).filter(word => word !== '')

// Messages of the protocol, version 3.

function converse(socket: Socket, reply: (text: string) => Buffer | Promise<Buffer>): void {
  let pending: Buffer = Buffer.alloc(0)
  let greeted = false
  let mute = false
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk])
    if (!mute) listen()
  })
  function listen(): void {
    for (;;) {
      const head = greeted ? 1 : 0
      if (pending.length < head + 4 || pending.length < head + pending.readInt32BE(head)) return
      const length = head + pending.readInt32BE(head)
      const message = pending.subarray(0, length)
      pending = pending.subarray(length)
      if (!greeted) {
        const code = message.readInt32BE(4)
        // A request for TLS or GSS encryption: no.
        if (code === 80877103 || code === 80877104) {
          socket.write('N')
          continue
        }
        const wrong = unsupportedParameter(message)
        if (wrong) {
          socket.end(failure('FATAL', `unsupported startup parameter: ${wrong}`))
          return
        }
        greeted = true
        const settings = ['server_version', '1.0/stub', 'client_encoding', 'UTF8', 'standard_conforming_strings', 'on']
        const told = [0, 2, 4].map(i => packet('S', cstring(settings[i] as string), cstring(settings[i + 1] as string)))
        socket.write(Buffer.concat([packet('R', int32(0)), ...told, packet('K', int32(1), int32(2)), ready]))
        continue
      }
      const kind = String.fromCharCode(message[0] as number)
      if (kind === 'Q') {
        const answered = reply(message.toString('utf8', 5, length - 1))
        if (answered instanceof Promise) {
          mute = true
          void answered.then(bytes => {
            mute = false
            socket.write(bytes)
            listen()
          })
          return
        }
        socket.write(answered)
      } else if (kind === 'X') socket.end()
      else {
        socket.write(failure('ERROR', 'extended query protocol not supported by admin console'))
        socket.end(failure('FATAL', 'bad packet'))
        return
      }
    }
  }
}

function unsupportedParameter(startup: Buffer): string | undefined {
  const fields = startup.toString('utf8', 8).split('\0')
  const names = fields.filter((field, i) => i % 2 === 0 && field !== '')
  return names.find(name => !['user', 'database', 'application_name', 'client_encoding'].includes(name))
}

function answer(spec: readonly string[], rows: readonly Row[]): Buffer {
  const names = spec.map(column => column.replace(/[#N]$/, ''))
  const oid = (column: string) => (column.endsWith('#') ? 23 : column.endsWith('N') ? 1700 : 25)
  const fields = spec.map((column, i) =>
    Buffer.concat([cstring(names[i] as string), int32(0), int16(0), int32(oid(column)), int16(-1), int32(-1), int16(0)]),
  )
  const lines = rows.map(row => {
    const values = names.map(name => {
      const value = row[name] ?? null
      if (value === null) return int32(-1)
      const bytes = Buffer.from(String(value))
      return Buffer.concat([int32(bytes.length), bytes])
    })
    return packet('D', int16(names.length), ...values)
  })
  return Buffer.concat([packet('T', int16(names.length), ...fields), ...lines, packet('C', cstring('SHOW')), ready])
}

/** As the real console: every error has SQLSTATE 08P01. */
function failure(severity: 'ERROR' | 'FATAL', message: string): Buffer {
  const error = packet('E', cstring(`S${severity}`), cstring('C08P01'), cstring(`M${message}`), Buffer.from([0]))
  return severity === 'FATAL' ? error : Buffer.concat([error, ready])
}

function packet(kind: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from(kind), int32(body.length + 4), body])
}

const cstring = (text: string) => Buffer.from(`${text}\0`)

function int32(value: number): Buffer {
  const out = Buffer.alloc(4)
  out.writeInt32BE(value)
  return out
}

function int16(value: number): Buffer {
  const out = Buffer.alloc(2)
  out.writeInt16BE(value)
  return out
}

const ready = packet('Z', Buffer.from('I'))
