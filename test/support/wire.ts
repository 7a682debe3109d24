// A session that says bytes which no driver would send.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** Logs in without a password and, when `query` is given, sends it as it is; resolves when the server has answered. Ends with `destroy()`. */
export async function rawSession(
  port: number,
  parameters: Readonly<Record<string, string>>,
  query?: Uint8Array,
): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  const text = Object.entries(parameters).map(([name, value]) => `${name}\0${value}\0`)
  const startup = Buffer.from(`\0\x03\0\0${text.join('')}\0`)
  socket.write(Buffer.concat([length(startup.length + 4), startup]))
  await ready(socket)
  if (query) {
    socket.write(Buffer.concat([Buffer.from('Q'), length(query.length + 5), query, Buffer.from([0])]))
    await ready(socket)
  }
  return socket
}

function length(bytes: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeInt32BE(bytes)
  return buffer
}

/** Until ReadyForQuery, in or outside a transaction; an error on the way is a failure. */
async function ready(socket: Socket): Promise<void> {
  let received = Buffer.alloc(0)
  for (;;) {
    const [chunk] = await once(socket, 'data')
    received = Buffer.concat([received, chunk])
    if (received[0] === 0x45 || received.includes(Buffer.from('SERROR'))) throw new Error(received.toString('latin1'))
    if (/Z\0\0\0\x05[ITE]$/.test(received.toString('latin1'))) return
  }
}
