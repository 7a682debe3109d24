// What `pgvigil check` prints: for people, for scripts, for Nagios and for Prometheus.

import pkg from '../package.json' with { type: 'json' }
import { type Check, type Finding, type Level, worst } from './checks/check.ts'
import { entryOf } from './checks/entry.ts'
import { bySeverity, counts } from './checks/run.ts'
import { jsonText } from './model/json.ts'
import type { Thresholds } from './model/thresholds.ts'
import { asciiOnly, drawable, fit, width } from './model/untrusted.ts'

export const formats = ['text', 'json', 'nagios', 'openmetrics'] as const
export type Format = (typeof formats)[number]

export type Report = {
  readonly cluster: string
  /** Epoch ms. */
  readonly at: number
  readonly findings: readonly Finding[]
  readonly thresholds: Thresholds
  /** Lines above the findings. */
  readonly notes: readonly string[]
}

/** 0 ok, 1 warning, 2 critical, 3 a server could not be asked (and nothing is critical). What a privilege is missing for raises no code. */
export function exitCode(findings: readonly Finding[]): 0 | 1 | 2 | 3 {
  if (findings.some(({ level }) => level === 'critical')) return 2
  if (findings.some(({ unasked }) => unasked)) return 3
  return findings.some(({ level }) => level === 'warning') ? 1 : 0
}

const words = ['OK', 'WARNING', 'CRITICAL', 'UNKNOWN'] as const
export function formatted(report: Report, format: Format, ascii: boolean): string {
  switch (format) {
    case 'json':
      return jsonDocument(report)
    case 'nagios':
      return nagiosLine(report)
    case 'openmetrics':
      return openMetrics(report)
    case 'text':
      return textReport(report, ascii)
  }
}

const marks: Readonly<Record<Level, string>> = { ok: '✓', warning: '⚠', critical: '✗', unknown: '?' }
const asciiMarks: Readonly<Record<Level, string>> = {
  ok: 'ok      ',
  warning: 'WARNING ',
  critical: 'CRITICAL',
  unknown: 'unknown ',
}

/** Worst first. What a server that does not answer could not be asked is one line. */
function textReport({ cluster, at, findings, notes }: Report, ascii: boolean): string {
  const shown = bySeverity(folded(findings))
  const idWidth = Math.max(...shown.map(({ check }) => check.length), 0)
  const serverWidth = Math.min(30, Math.max(...shown.map(({ server }) => width(server)), 0))
  const lines = shown.flatMap(({ level, check, server, say, remedy, advice }) => {
    const mark = (ascii ? asciiMarks : marks)[level]
    const head = `${mark} ${fit(check, idWidth)}  ${fit(server, serverWidth)}  `
    const told = level !== 'ok' || advice ? remedy : undefined
    return [`${head}${advice ? 'advice: ' : ''}${say}`, ...(told ? [`${' '.repeat(width(head))}${told}`] : [])]
  })
  const head = `pgvigil check  ${drawable(cluster)}  ${new Date(at).toISOString().slice(0, 19)}Z  ${counts(findings)}`
  return [head, ...notes, ...lines].map(line => `${(ascii ? asciiOnly(line) : line).trimEnd()}\n`).join('')
}

type Line = Pick<Finding, 'level' | 'say' | 'remedy' | 'advice' | 'unasked'> & { readonly check: string; readonly server: string }

function folded(findings: readonly Finding[]): readonly Line[] {
  const line = ({ check, server, object, say, ...found }: Finding): Line => ({
    ...found,
    check: check.id,
    server: server === null ? '' : drawable(server),
    say: object !== undefined && object !== server && !say.includes(object) ? `${object}: ${say}` : say,
  })
  const isSilent = ({ unasked, check }: Finding) => unasked && check.id !== 'connectivity'
  const silent = Map.groupBy(findings.filter(isSilent), ({ server }) => server)
  const lines = [...silent.values()].map((those): Line => {
    const [first] = those as [Finding, ...Finding[]]
    return { ...line(first), check: those.length === 1 ? first.check.id : `${those.length} checks` }
  })
  return [...findings.filter(found => !isSilent(found)).map(line), ...lines]
}

/** The contract with scripts: what README says of it. */
function jsonDocument({ cluster, at, findings, thresholds, notes }: Report): string {
  const document = {
    format: 1,
    tool: { name: 'pgvigil', version: pkg.version },
    at: new Date(at).toISOString(),
    cluster,
    level: worst(findings.map(({ level }) => level)),
    exitCode: exitCode(findings),
    notes,
    checks: findings.map(found => entryOf(found, thresholds)),
  }
  return `${jsonText(document, 2)}\n`
}

/** One line, and behind its | the figures. */
function nagiosLine({ findings, thresholds }: Report): string {
  const bad = bySeverity(findings.filter(({ level, unasked }) => level === 'critical' || level === 'warning' || unasked))
  const told = [...new Set(folded(bad).map(({ check, server, say }) => `${check}${server ? ` ${server}` : ''}: ${say}`))]
  const text = `PGVIGIL ${words[exitCode(findings)]} - ${counts(findings)}${told.length > 0 ? `; ${told.join('; ')}` : ''}`
  return `${text.replaceAll('|', '/')} | ${perfdata(findings, thresholds)}\n`.replace(/ \| \n$/, '\n')
}

/** 'label'=value[unit];warn;crit of each figure. A figure that is bad when it is low has the range "10:". */
function perfdata(findings: readonly Finding[], thresholds: Thresholds): string {
  const seen = new Map<string, number>()
  const range = (check: Check, name: Check['warning']) =>
    name === undefined ? '' : `${number(thresholds[name])}${check.lowIsBad ? ':' : ''}`
  return findings
    .flatMap(({ check, server, object, figure }) => {
      if (figure === null || figure === undefined) return []
      const parts = [check.id, server === null ? '' : drawable(server), object !== undefined && object !== server ? object : '']
      const name = parts.filter(Boolean).join(' ').replace(/['=|]/g, '_')
      const times = (seen.get(name) ?? 0) + 1
      seen.set(name, times)
      return [
        `'${name}${times > 1 ? ` ${times}` : ''}'=${number(figure)}${check.unit};${range(check, check.warning)};${range(check, check.critical)}`,
      ]
    })
    .join(' ')
}

/** Six digits after the point at most, and never an exponent. */
const number = (value: number) =>
  Math.abs(value) >= 1e15 ? String(BigInt(Math.round(value))) : value.toFixed(6).replace(/\.?0+$/, '')

const levelNumbers: Readonly<Record<Level, number>> = { ok: 0, warning: 1, critical: 2, unknown: 3 }

/** OpenMetrics that node_exporter's textfile collector reads too: gauges only, and no timestamps. */
function openMetrics({ cluster, at, findings, thresholds }: Report): string {
  const seen = new Set<string>()
  const labelled = findings.map(found => {
    const labels = (extra: Readonly<Record<string, string>>) =>
      Object.entries({ cluster, check: found.check.id, server: found.server ?? '', object: found.object ?? '', ...extra })
        .map(([name, value]) => `${name}="${escaped(drawable(value))}"`)
        .join(',')
    return { found, labels }
  })
  const family = (name: string, help: string, lines: readonly (readonly [string, number])[]) => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} gauge`,
    ...lines.flatMap(([labels, value]) => {
      const series = `${name}{${labels}}`
      if (seen.has(series)) return []
      seen.add(series)
      return [`${series} ${number(value)}`]
    }),
  ]
  const worstOf = Map.groupBy(labelled, ({ labels }) => labels({}))
  const limits = labelled.flatMap(({ found: { check }, labels }) =>
    (['warning', 'critical'] as const).flatMap(level => {
      const name = check[level]
      return name === undefined ? [] : [[labels({ level }), thresholds[name]] as const]
    }),
  )
  return [
    ...family(
      'pgvigil_check_level',
      '0 ok, 1 warning, 2 critical, 3 unknown.',
      [...worstOf].map(([labels, those]) => [labels, levelNumbers[worst(those.map(({ found }) => found.level))]]),
    ),
    ...family(
      'pgvigil_check_figure',
      "What was measured, in the check's unit.",
      labelled.flatMap(({ found: { figure, check }, labels }) =>
        figure === null || figure === undefined ? [] : [[labels({ unit: check.unit }), figure] as const],
      ),
    ),
    ...family('pgvigil_check_threshold', 'From where on the figure is a finding.', limits),
    ...family('pgvigil_check_timestamp_seconds', 'When it was looked at.', [
      [`cluster="${escaped(drawable(cluster))}"`, at / 1000],
    ]),
    '# EOF',
    '',
  ].join('\n')
}

const escaped = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
