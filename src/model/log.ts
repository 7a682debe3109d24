// What a piece of a server's log says: which lines tell of trouble, by the words that DBAs look for.

/** A kind of trouble, how often it was found, and its newest message (not drawable). */
export type LogTrouble = { readonly what: string; readonly grave: boolean; readonly times: number; readonly line: string }

type Pattern = { readonly what: string; readonly words: RegExp; readonly grave?: true }

/** FATAL lines that say only that somebody was refused at a moment when the server was not there, or that it was ended on purpose. */
const harmless =
  /the database system is (?:starting up|shutting down|not (?:yet )?accepting connections|in recovery mode)|terminating (?:connection|background worker|walreceiver process) .*due to administrator command|terminating connection due to (?:idle|transaction)/

/** The first that fits counts: a line is one trouble. */
const patterns: readonly Pattern[] = [
  { what: 'PANIC', words: /\bPANIC\b/, grave: true },
  { what: 'out of memory', words: /out of memory/i, grave: true },
  { what: 'disk full', words: /No space left on device|could not extend file/, grave: true },
  { what: 'damaged data', words: /invalid page in block|page verification failed|could not read block/, grave: true },
  { what: 'crash of a process', words: /was terminated by signal|terminating connection because of crash/, grave: true },
  { what: 'checkpoint failed', words: /checkpoint request failed/, grave: true },
  { what: 'deadlock', words: /deadlock detected/ },
  {
    what: 'lost connection',
    words: /could not (?:receive data from|send data to)|unexpected EOF on client|ERROR.*\bconnection\b|terminating connection/,
  },
  { what: 'replication slot', words: /(?:ERROR|FATAL|invalidating|obsolete).*replication slot/i },
  { what: 'FATAL', words: /\bFATAL\b/ },
]

/**
 * Troubles in the lines of a log, the grave ones first, then the most frequent. Lines that begin with a time before `since` (as the log spells times) are left out, and so is the first line where
 * it may be cut; one without a time belongs to the line before it.
 */
export function logTroubles(text: string, since: string, firstIsCut: boolean): readonly LogTrouble[] {
  const found = new Map<string, LogTrouble>()
  let old = false
  for (const [i, line] of text.split('\n').entries()) {
    if (i === 0 && firstIsCut) continue
    const time = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/.exec(line)
    if (time) old = time[0] < since
    // Statements and details are told apart from what happened.
    if (old || /\b(?:STATEMENT|DETAIL|HINT|CONTEXT):/.test(line) || harmless.test(line)) continue
    const pattern = patterns.find(({ words }) => words.test(line))
    if (!pattern) continue
    const { what, grave = false } = pattern
    found.set(what, { what, grave, times: (found.get(what)?.times ?? 0) + 1, line: messageIn(line) })
  }
  return [...found.values()].sort((a, b) => Number(b.grave) - Number(a.grave) || b.times - a.times)
}

/** "FATAL: message" of a line in the CSV format or with any prefix; the line itself where that can't be told. */
function messageIn(line: string): string {
  const csv = /,(PANIC|FATAL|ERROR|WARNING|LOG),[0-9A-Z]{5},(?:"((?:[^"]|"")*)|([^,"]*))/.exec(line)
  if (csv) return `${csv[1]}: ${(csv[2] ?? csv[3] ?? '').replaceAll('""', '"')}`
  const plain = /\b(PANIC|FATAL|ERROR|WARNING|LOG): +(.*)/.exec(line)
  return plain ? `${plain[1]}: ${plain[2]}` : line
}
