// The front before PGlite: a listening socket that several PostgreSQL clients can use at once. It answers the startup
// itself, hands the engine to one client's query or transaction at a time, and cleans up after a client that vanished.

import type { Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import { cleanUp, type Engine, type Settings } from './timescale-engine.ts'
import { cutMessages, errorMessage, type Message, message, request, startupParameters, textAt } from './wire.ts'

const reported = [
  ...[
    'server_version',
    'server_encoding',
    'client_encoding',
    'application_name',
    'default_transaction_read_only',
    'in_hot_standby',
  ],
  ...['DateStyle', 'IntervalStyle', 'TimeZone', 'integer_datetimes', 'standard_conforming_strings', 'scram_iterations'],
]
/** A transaction that does nothing holds up everybody else here. */
const idleInTransactionMs = 60_000
/** PGlite dies of it. */
const copyIn = /\bcopy\b[^;]*\bfrom\s+stdin\b/i
const refuseCopyIn = `DO $$BEGIN RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = 'COPY FROM STDIN is not supported by this server'; END$$`
const mayChangeSettings = /\b(set(?!\s+local\b)|reset|set_config|discard)\b/i

/** Serves the engine; resolves when it listens. */
export function serve(engine: Engine, port: number): Promise<Server> {
  let clients = 0
  const server = createServer({ noDelay: true }, socket => {
    clients += 1
    serveClient(engine, socket, clients)
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}

function serveClient(engine: Engine, socket: Socket, id: number): void {
  const settings: Settings = new Map()
  const statements = new Set<string>()
  let bytes: Buffer = Buffer.alloc(0)
  let started = false
  let working = false
  /** Transaction status at the last ReadyForQuery; 'extended' in the middle of an extended query. */
  let status = 'I'
  let holding = false
  let touched = false
  let impatient: NodeJS.Timeout | undefined

  socket.on('error', () => {})
  socket.on('data', (data: Buffer) => {
    bytes = Buffer.concat([bytes, data])
    void work()
  })
  socket.on('close', () => void leave())

  async function work(): Promise<void> {
    if (working) return
    working = true
    try {
      while (!socket.destroyed && (started ? await nextMessages() : await nextPacket()));
    } finally {
      working = false
      if (socket.destroyed) await leave()
    }
  }

  /** Packets before the session has begun; true when one was handled. */
  async function nextPacket(): Promise<boolean> {
    if (bytes.length < 8) return false
    const length = bytes.readInt32BE(0)
    const code = bytes.readInt32BE(4)
    if (length < 8 || length > 10_000) {
      socket.destroy()
      return false
    }
    if (bytes.length < length) return false
    const packet = bytes.subarray(0, length)
    bytes = bytes.subarray(length)
    if (code === request.ssl || code === request.gss) socket.write('N')
    else if (code === request.cancel) socket.end()
    else await startSession(packet, code)
    return true
  }

  async function startSession(packet: Buffer, version: number): Promise<void> {
    const given = startupParameters(packet)
    const user = given.get('user') ?? ''
    const database = given.get('database') ?? user
    const refuse = (code: string, text: string) => void socket.end(errorMessage('FATAL', code, text))
    if (version >> 16 !== 3) return refuse('0A000', `unsupported frontend protocol ${version >> 16}.${version & 0xffff}`)
    if (user !== 'postgres') return refuse('28000', `role "${user}" does not exist`)
    if (database !== 'postgres') return refuse('3D000', `database "${database}" does not exist`)
    const wanted = [...given, ...optionSettings(given.get('options') ?? '')]
    const notSettings = new Set(['user', 'database', 'options', 'replication', 'client_encoding'])
    for (const [name, value] of wanted) if (!notSettings.has(name) && !name.startsWith('_pq_.')) settings.set(name, value)
    try {
      await engine.acquire(settings)
    } catch (error) {
      const { code = '22023', message: text } = error as { code?: string; message: string }
      return refuse(code, text)
    }
    const values = await engine
      .rows('SELECT name, setting FROM pg_catalog.pg_settings WHERE name = ANY($1)', [reported])
      .finally(engine.release)
    // A client that asks for protocol 3.2 is told that it gets 3.0.
    if ((version & 0xffff) > 0) socket.write(message('v', 196608, 0))
    socket.write(message('R', 0))
    for (const { name, setting } of values) socket.write(message('S', String(name), String(setting)))
    socket.write(message('S', 'is_superuser', 'on'))
    socket.write(message('S', 'session_authorization', user))
    socket.write(message('K', id, (Math.random() * 0x7fffffff) | 0))
    socket.write(message('Z', Buffer.from('I')))
    started = true
  }

  async function nextMessages(): Promise<boolean> {
    const { messages, rest } = cutMessages(bytes)
    bytes = rest
    for (const one of messages) {
      if (socket.destroyed) return false
      if (one.type === 'X') {
        socket.end()
        return false
      }
      // Copy data of a refused COPY FROM STDIN: a server ignores it too.
      if (!'dcf'.includes(one.type)) await handle(one)
    }
    return messages.length > 0
  }

  async function handle(one: Message): Promise<void> {
    clearTimeout(impatient)
    if (!holding) {
      await engine.acquire(settings)
      holding = true
    }
    const text =
      one.type === 'Q' ? textAt(one.body, 0).text : one.type === 'P' ? textAt(one.body, textAt(one.body, 0).next).text : ''
    if (mayChangeSettings.test(text)) touched = true
    const answer = engine.send(copyIn.test(text) ? refusal(one) : ownNames(one))
    if (answer.reply.length > 0) socket.write(answer.reply)
    status = answer.status ?? 'extended'
    if (status === 'I') {
      if (touched) await engine.remember(settings)
      touched = false
      holding = false
      engine.release()
    } else if (status !== 'extended') {
      impatient = setTimeout(() => {
        socket.end(errorMessage('FATAL', '25P03', 'terminating connection due to idle-in-transaction timeout'))
        socket.destroySoon()
      }, idleInTransactionMs)
    }
  }

  /** Names of prepared statements are per client: there is one session behind all of them. */
  function ownNames({ type, bytes: all, body }: Message): Uint8Array {
    const own = (name: string) => {
      if (name === '') return ''
      statements.add(`c${id}_${name}`)
      return `c${id}_${name}`
    }
    if (type === 'P') {
      const name = textAt(body, 0)
      return message('P', own(name.text), body.subarray(name.next))
    }
    if (type === 'B') {
      const portal = textAt(body, 0)
      const name = textAt(body, portal.next)
      return message('B', portal.text, own(name.text), body.subarray(name.next))
    }
    if ((type === 'D' || type === 'C') && body[0] === 0x53) return message(type, Buffer.from('S'), own(textAt(body, 1).text))
    return all
  }

  function refusal({ type, body }: Message): Uint8Array {
    if (type === 'Q') return message('Q', refuseCopyIn)
    return message('P', textAt(body, 0).text, refuseCopyIn, Buffer.of(0, 0))
  }

  let left = false
  async function leave(): Promise<void> {
    clearTimeout(impatient)
    if (left || working) return
    left = true
    if (!holding && statements.size === 0) return
    if (!holding) await engine.acquire(settings)
    cleanUp(engine, status, statements)
    engine.release()
  }
}

/** `-c name=value` and `--name=value` of the startup parameter "options"; a backslash keeps the next character as it is. */
function optionSettings(options: string): [string, string][] {
  const words = (options.match(/(?:\\.|\S)+/g) ?? []).map(word => word.replace(/\\(.)/g, '$1'))
  const pairs = words.flatMap((word, at) => {
    if (word === '-c') return [words[at + 1] ?? '']
    if (word.startsWith('-c')) return [word.slice(2)]
    return word.startsWith('--') ? [word.slice(2)] : []
  })
  return pairs.map(pair => [pair.split('=')[0]!.replaceAll('-', '_'), pair.slice(pair.indexOf('=') + 1)])
}
