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
