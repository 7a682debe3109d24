// The server's own log, where it may be read.

import { logTroubles } from '../model/log.ts'
import { raw, short } from '../model/untrusted.ts'
import { logTail, logTailBytes } from '../sql/health-log.ts'
import { rowsOf } from '../store/selectors.ts'
import { type Check, levelOf, plural, some } from './check.ts'

const log: Check = {
  id: 'log_errors',
  title: 'Errors in the log',
  why: 'The log tells of crashes, full disks and lost connections that no counter shows.',
  of: 'postgres',
  unit: '',
  warning: 'logErrors',
  needs: [logTail],
  look: (state, server) => {
    const row = rowsOf(state, server.id, logTail)[0]
    if (!row?.tail)
      return [
        {
          level: 'unknown',
          say: 'the log is kept in a format that is not read here',
          remedy: "log_destination = 'stderr' or 'csvlog'",
        },
      ]
    const tail = raw(row.tail)
    const troubles = logTroubles(tail, raw(row.since), Buffer.byteLength(tail) >= logTailBytes - 4)
    const figure = troubles.reduce((sum, { times }) => sum + times, 0)
    const [first] = troubles
    if (!first) return [{ level: 'ok', figure, say: `nothing in the last hour of ${short(row.file, 40)}` }]
    const level = first.grave ? 'critical' : levelOf(figure, state.settings.thresholds, log)
    const words = some(troubles.map(({ what, times }) => `${what} ${times}x`))
    return [
      {
        level,
        figure,
        say: `${plural(figure, 'line')} in the last hour: ${words}; the newest: ${short(first.line, 100)}`,
        ...(level === 'ok' ? {} : { remedy: `read ${short(row.file, 60)} on the server` }),
      },
    ]
  },
}

export const logChecks: readonly Check[] = [log]
