// Asks a person for a password, without showing it.

import { closeSync, openSync, writeSync } from 'node:fs'
import { ReadStream } from 'node:tty'
import type { Config, Server } from './config/config.ts'
import type { Target } from './config/conninfo.ts'
import { readPassfile } from './config/passfile.ts'
import { drawable } from './model/untrusted.ts'
import { DialError, placeOf } from './server/dial-error.ts'
import { dial, dialMs, hangUp } from './server/socket.ts'

/** Asks on a terminal; null: given up (Ctrl-C, Ctrl-D with nothing typed, Esc), or the terminal is gone. */
export function readPassword(input: ReadStream, write: (text: string) => void, prompt: string): Promise<string | null> {
  const wasRaw = input.isRaw
  return new Promise(resolve => {
    let typed: number[] = []
    const done = (password: string | null) => {
      input.off('data', take)
      input.off('end', gone)
      input.off('error', gone)
      try {
        input.setRawMode(wasRaw)
      } catch {
        // The terminal is gone.
      }
      write('\n')
      resolve(password)
    }
    const gone = () => done(null)
    const take = (chunk: Buffer) => {
      for (const byte of chunk) {
        if (byte === 0x0d || byte === 0x0a) return done(Buffer.from(typed).toString())
        if (byte === 0x03 || byte === 0x1b || (byte === 0x04 && typed.length === 0)) return done(null)
        if (byte === 0x15) typed = []
        else if (byte === 0x7f || byte === 0x08)
          typed = [...Buffer.from([...Buffer.from(typed).toString()].slice(0, -1).join(''))]
        else if (byte >= 0x20 || byte === 0x09) typed.push(byte)
      }
    }
    input.setRawMode(true)
    write(prompt)
    input.on('data', take)
    input.on('end', gone)
    input.on('error', gone)
    input.resume()
  })
}

/** The same on the terminal that the process belongs to, whatever stdin and stdout are; null without one. */
export async function askOnTerminal(prompt: string): Promise<string | null> {
  let file: number
  try {
    file = openSync('/dev/tty', 'r+')
  } catch {
    return null
  }
  const input = new ReadStream(file)
  try {
    return await readPassword(input, text => writeSync(file, text), prompt)
  } finally {
    input.destroy()
    try {
      closeSync(file)
    } catch {
      // The stream has closed it.
    }
  }
}

/** Names no more than the place and the user. Not drawable: they come from the command line. */
const promptFor = ({ user }: Target, place: string) => `Password for user ${user} at ${place}: `

/** Where a password is wanted before anybody has been asked. */
export const firstPlace = ({ hosts }: Target) => placeOf(hosts[0], null)

/** Whether passwords are asked for: never (-w), when a server wants one and none is known, or before connecting (-W). */
export type Asking = 'never' | 'when wanted' | 'first'

/** Asks for a password; null: given up. */
export type AskPassword = (prompt: string) => Promise<string | null>

/** The configuration with passwords that a person typed; null: given up. Nothing of them is kept anywhere else. */
export async function withPasswords<C extends Pick<Config, 'servers' | 'pgbouncers'>>(
  config: C,
  wantedAt: (server: Server) => string | undefined,
  ask: AskPassword,
): Promise<C | null> {
  const known = new Map<string, string>()
  const answered = async (server: Server): Promise<Server | null> => {
    const place = wantedAt(server)
    if (place === undefined) return server
    const prompt = promptFor(server, place)
    // The same user at the same place has the same password for each of its databases.
    const password = known.get(prompt) ?? (await ask(`${await whyNoFile(server)}${drawable(prompt)}`))
    if (password === null) return null
    known.set(prompt, password)
    // An empty one is none: the server's library has no words for it.
    return { ...server, password: password || null }
  }
  const lists: (readonly Server[])[] = []
  for (const list of [config.servers, config.pgbouncers]) {
    const done: Server[] = []
    for (const server of list) {
      const answer = await answered(server)
      if (answer === null) return null
      done.push(answer)
    }
    lists.push(done)
  }
  return { ...config, servers: lists[0] as readonly Server[], pgbouncers: lists[1] as readonly Server[] }
}

/** A line on the password file where it was not used, else nothing. */
async function whyNoFile({ passfile, hosts, database, user }: Server): Promise<string> {
  if (passfile === null) return ''
  const { problem } = await readPassfile(passfile, { host: hosts[0].host, port: hosts[0].port, database, user })
  return problem === null ? '' : `${drawable(problem)}\r\n`
}

/** Which servers want a password that nobody has given, and at which place: asked of each of them, by connecting once. */
async function wanting(config: Pick<Config, 'servers' | 'pgbouncers'>): Promise<ReadonlyMap<string, string>> {
  const asked = [...config.servers, ...config.pgbouncers].map(async server => {
    try {
      const { client } = await dial(server, { deadlineMs: dialMs(server, wantingMs) })
      hangUp(client)
      return null
    } catch (error) {
      return error instanceof DialError && error.wants !== null ? ([server.id, error.wants] as const) : null
    }
  })
  return new Map((await Promise.all(asked)).filter(known => known !== null))
}

/** A server that is slower is not waited for: it says later that it wants a password. Milliseconds. */
const wantingMs = 2000

/** For commands without a screen: asks on the process's terminal, where it has one, for what is wanted. Null: given up. */
export async function withPasswordsAsked<C extends Pick<Config, 'servers' | 'pgbouncers'>>(
  config: C,
  asking: Asking,
): Promise<C | null> {
  if (asking === 'never' || !hasTerminal()) return config
  if (asking === 'first') return withPasswords(config, firstPlace, askOnTerminal)
  const places = await wanting(config)
  return places.size === 0 ? config : withPasswords(config, server => places.get(server.id), askOnTerminal)
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r+'))
    return true
  } catch {
    return false
  }
}
