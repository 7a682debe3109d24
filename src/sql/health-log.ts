// The end of the server's own log, where its collector keeps one and our role may read it.

import { query, type RowOf } from './query.ts'

/** How much of the log is read, from its end. Bytes. */
export const logTailBytes = 131_072

/**
 * The last 128 kB of the newest log, the first line of which may be cut: of the CSV log where there is one. No row: it is kept only in another format. `tail` is without
 * passwords. `since`: an hour ago as the log's own lines would spell it, to be compared as text.
 */
export const logTail = query({
  id: 'logTail',
  on: 'postgres',
  every: 60,
  needs: {
    collectedLog: true,
    functions: ['pg_current_logfile(text)', 'pg_ls_logdir()', 'pg_read_binary_file(text,bigint,bigint)'],
  },
  columns: { file: 'text!', format: 'text!', since: 'text!', tail: 'utf8' },
  variants: [
    {
      from: 130000,
      text: `
SELECT l.name AS file, now.format,
       to_char((clock_timestamp() - interval '1 hour') AT TIME ZONE current_setting('log_timezone'), 'YYYY-MM-DD HH24:MI:SS') AS since,
       pg_read_binary_file(now.path, greatest(0, l.size - ${logTailBytes}), ${logTailBytes}) AS tail
  FROM (SELECT path, format
          FROM (VALUES ('csvlog', pg_current_logfile('csvlog')), ('stderr', pg_current_logfile('stderr'))) AS f(format, path)
         WHERE path IS NOT NULL LIMIT 1) AS now
  JOIN pg_ls_logdir() l ON right(now.path, length(l.name) + 1) = '/' || l.name`,
    },
  ],
})
export type LogTailRow = RowOf<typeof logTail>
