// The text of docs/CHECKS.md, made of the list of checks.

import { type ThresholdName, thresholdKey, thresholdList } from '../model/thresholds.ts'
import { comparisonList } from './baseline.ts'
import type { Check } from './check.ts'
import { checks } from './index.ts'

const subjects: Readonly<Record<Check['of'], string>> = {
  cluster: 'all servers together',
  server: 'each server',
  postgres: 'each PostgreSQL server',
  primary: 'the primary',
  standby: 'each standby',
  pgbouncer: 'each PgBouncer',
  timescale: 'the database with the hypertables',
}

const cell = (text: string) => text.replaceAll('|', '\\|')

function limits({ warning, critical, lowIsBad }: Check): string {
  const one = (name: ThresholdName | undefined, level: string) =>
    name === undefined
      ? []
      : [`${level} ${lowIsBad ? 'below' : 'from'} \`${thresholdKey(name)}\` = ${thresholdList[name].default}`]
  return [...one(warning, 'warning'), ...one(critical, 'critical')].join('<br>')
}

export function checksMarkdown(): string {
  const rows = checks.map(check => {
    const more = check.rate ? ' Counted between two samples.' : ''
    return `| \`${check.id}\` | ${cell(check.title)}<br>of ${subjects[check.of]} | ${cell(check.why)}${more} | ${limits(check)} |`
  })
  const thresholds = Object.entries(thresholdList).map(
    ([name, { default: value, say }]) => `| \`${thresholdKey(name)}\` | ${value} | ${cell(say)} |`,
  )
  return [
    '# Checks',
    '',
    'Written by `npm run docs` from `src/checks/` and `src/model/thresholds.ts`. The Health pane (`9`), the finding in the header and `pgvigil check` all read this list.',
    '',
    'A finding is `ok`, `warning`, `critical` or `unknown` (with the reason, and the GRANT where one is missing). Advice is worth knowing and no alarm: its level is `ok`.',
    '',
    '| Check | What | Why | Thresholds |',
    '|---|---|---|---|',
    ...rows,
    '',
    '## After a maintenance window',
    '',
    '`pgvigil check --after-maintenance` also compares with what `--before-maintenance` has saved:',
    '',
    '| Check | What | Why |',
    '|---|---|---|',
    ...comparisonList.map(({ id, title, why }) => `| \`${id}\` | ${cell(title)} | ${cell(why)} |`),
    '',
    '## Thresholds',
    '',
    'Keys of `[thresholds]`, or of `[clusters.NAME.thresholds]`, in the configuration file. Sizes are bytes; a `critical` one below its warning counts from the warning on.',
    '',
    '| Key | Default | Of |',
    '|---|---|---|',
    ...thresholds,
    '',
  ].join('\n')
}
