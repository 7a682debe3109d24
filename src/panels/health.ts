// Health: the daily checklist of the whole cluster, the worst first. Enter explains a line, and Enter again goes to what it is about.

import { severity } from '../checks/check.ts'
import { type Entry, entryOf } from '../checks/entry.ts'
import { checks } from '../checks/index.ts'
import { counts, queriesOf, run } from '../checks/run.ts'
import { absent, bytes, compact, duration, percent } from '../model/format.ts'
import { drawable, drawableLines } from '../model/untrusted.ts'
import { linkOf, picture } from '../store/selectors.ts'
import type { State } from '../store/state.ts'
import { type Column, type DetailLine, list, type Panel, type Selected, type Tone } from './panel.ts'

function select(state: State): Selected<Entry> {
  const { servers, order, now } = picture(state)
  // What could not be asked of a server that is down is said once, by the line of the server.
  const findings = run(state, checks).filter(({ unasked, check }) => !unasked || check.id === 'connectivity')
  const connecting = order.every(id => linkOf(servers[id]!, now, state.settings.intervalMs).word === 'CONNECTING')
  if (connecting) return { rows: [], waiting: true }
  const rows = findings.map(found => entryOf(found, state.settings.thresholds))
  return { rows, ...(rows.every(({ level }) => level === 'ok') ? {} : { notice: counts(rows) }) }
}

const tones: Readonly<Record<Entry['level'], Tone>> = { ok: 'ok', warning: 'warning', critical: 'critical', unknown: 'dim' }
const place = new Map(checks.map(({ id }, i) => [id, i]))

/** The worst first, and then as in the list of checks. */
const rank = ({ level, advice, id }: Entry) => {
  // A server that could not be asked may be in any trouble.
  const weight = level === 'unknown' && id === 'connectivity' ? severity('warning') + 0.5 : severity(level) + (advice ? 0.5 : 0)
  return weight * 1000 + 499 - (place.get(id) ?? 0)
}

const sayText = ({ object, server, say, advice }: Entry) =>
  `${advice ? 'advice: ' : ''}${object !== null && object !== server && !say.includes(object) ? `${object}: ` : ''}${say}`

/** A figure in the unit of its check. */
function figureText(figure: number | null, unit: Entry['unit']): string {
  if (figure === null) return absent
  if (unit === 's') return duration(figure)
  if (unit === 'B') return bytes(figure)
  return unit === '%' ? percent(figure / 100) : compact(Math.round(figure))
}

function limitText({ warningFrom, criticalFrom, unit, lowIsBad }: Entry): string {
  const sign = lowIsBad ? '< ' : ''
  return [warningFrom, criticalFrom].flatMap(limit => (limit === null ? [] : [`${sign}${figureText(limit, unit)}`])).join(' / ')
}

const columns: readonly Column<Entry>[] = [
  {
    title: 'LEVEL',
    width: 8,
    text: row => row.level,
    sortBy: rank,
    descending: true,
    tone: row => (row.advice ? 'accent' : tones[row.level]),
  },
  { title: 'CHECK', width: 21, text: row => row.id, sortBy: row => place.get(row.id) ?? null },
  { title: 'SERVER', width: 15, wide: 24, from: 100, text: row => (row.server === null ? '' : drawable(row.server)) },
  {
    title: 'FOUND',
    width: 20,
    grow: true,
    text: sayText,
    tone: row => (row.level === 'warning' || row.level === 'critical' ? tones[row.level] : undefined),
  },
  {
    title: 'LIMITS',
    width: 17,
    from: 160,
    align: 'right',
    text: limitText,
    sortBy: row => row.warningFrom,
  },
  {
    title: 'FIGURE',
    width: 8,
    from: 120,
    align: 'right',
    text: row => (row.figure === null ? '' : figureText(row.figure, row.unit)),
    sortBy: row => row.figure,
    descending: true,
  },
]

const titles: Readonly<Record<string, string>> = {
  activity: '1 Activity',
  locks: '2 Locks',
  replication: '3 Replication',
  chunks: '4 Chunks',
  pools: '5 Pools',
  tables: '6 Tables',
}

function detail(row: Entry): readonly DetailLine[] {
  const limits = limitText(row)
  const lines: readonly { name: string; value: string; tone?: Tone }[] = [
    { name: 'check', value: `${row.title} (${row.id})` },
    { name: 'level', value: row.advice ? 'advice, no alarm' : row.level, tone: row.advice ? 'accent' : tones[row.level] },
    { name: 'server', value: row.server === null ? 'all together' : drawable(row.server) },
    { name: 'figure', value: row.figure === null ? '' : figureText(row.figure, row.unit) },
    {
      name: row.lowIsBad ? 'a finding below' : 'a finding from',
      value: limits === '' ? '' : `${limits} ([thresholds] of the configuration file)`,
    },
    {
      name: 'leads to',
      value: row.leadsTo === null ? '' : `${titles[row.leadsTo.panel] ?? row.leadsTo.panel}: Enter again goes there`,
    },
  ]
  return [
    ...lines.filter(({ value }) => value !== ''),
    { title: 'found', block: drawableLines(sayText(row)) },
    { title: 'why it matters', block: [row.why] },
    ...(row.remedy === null ? [] : [{ title: 'what to do', block: drawableLines(row.remedy) }]),
  ]
}

const healthList = list<Entry>({
  id: 'health',
  title: 'Health',
  needs: queriesOf(checks),
  select,
  columns,
  rowId: row => `${row.id} ${row.server ?? ''} ${row.object ?? ''}`,
  sort: { column: 'LEVEL', descending: true },
  detail,
  leadsTo: row => row.leadsTo,
  empty: 'No server is watched.',
  copy: row => [`${row.level}: ${row.id} ${row.server ?? ''}: ${row.say}`, row.remedy ?? ''].filter(Boolean).join('\n'),
  rowTone: row => (row.level === 'ok' && !row.advice ? 'dim' : undefined),
})

export const healthPanel: Panel = { id: 'health', key: '9', title: 'Health', scope: 'cluster', lists: [healthList] }
