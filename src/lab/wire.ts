// As much of PostgreSQL's wire protocol 3 as a front before another server needs: cutting, reading and making messages.

export type Message = { readonly type: string; readonly bytes: Uint8Array; readonly body: Buffer }

/** Codes in the place of the protocol version in a first packet. */
export const request = { cancel: 80877102, ssl: 80877103, gss: 80877104 } as const

/** Cuts whole messages off the front of the bytes; `rest` is the beginning of the next one. */
export function cutMessages(bytes: Buffer): { messages: Message[]; rest: Buffer } {
  const messages: Message[] = []
  let at = 0
  while (bytes.length - at >= 5) {
    const end = at + 1 + bytes.readInt32BE(at + 1)
    if (end > bytes.length) break
    messages.push({ type: String.fromCharCode(bytes[at]!), bytes: bytes.subarray(at, end), body: bytes.subarray(at + 5, end) })
    at = end
  }
  return { messages, rest: bytes.subarray(at) }
}

/** Builds a message; texts become zero-terminated, numbers 32 bits wide. Type '' makes one without a type byte. */
export function message(type: string, ...parts: (string | number | Uint8Array)[]): Buffer {
  const body = Buffer.concat(parts.map(encode))
  const head = Buffer.alloc(type.length + 4)
  head.write(type, 'latin1')
  head.writeInt32BE(body.length + 4, type.length)
  return Buffer.concat([head, body])
}

function encode(part: string | number | Uint8Array): Uint8Array {
  if (typeof part === 'string') return Buffer.from(`${part}\0`)
  if (typeof part !== 'number') return part
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(part)
  return bytes
}

/** The zero-terminated text at this place and where the next thing begins. */
export function textAt(body: Buffer, at: number): { text: string; next: number } {
  const end = body.indexOf(0, at)
  return { text: body.toString('utf8', at, end < 0 ? body.length : end), next: end < 0 ? body.length : end + 1 }
}

/** ErrorResponse. */
export function errorMessage(severity: 'ERROR' | 'FATAL', code: string, text: string): Buffer {
  return message('E', `S${severity}`, `V${severity}`, `C${code}`, `M${text}`, Buffer.of(0))
}

/** The name=value pairs of a startup packet, after its length and protocol version. */
export function startupParameters(packet: Buffer): Map<string, string> {
  const found = new Map<string, string>()
  for (let at = 8; at < packet.length && packet[at] !== 0; ) {
    const name = textAt(packet, at)
    const value = textAt(packet, name.next)
    found.set(name.text, value.text)
    at = value.next
  }
  return found
}
