// The file system of a server's data, where the server runs on this machine: no SQL tells it.

/** The query id under which the store keeps it: a source beside the servers themselves tells it. */
export const localDisk = 'localDisk'

export type DiskRow = {
  readonly path: string
  readonly total_bytes: bigint
  /** What an ordinary user may still take. */
  readonly free_bytes: bigint
  /** As df counts: of what ordinary users can have. */
  readonly usedPercent: number
}

const loopback = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/

/** An address of this machine alone; behind it may still be a tunnel or a container. */
export const isLocalAddress = (host: string) => host.startsWith('/') || loopback.test(host)
