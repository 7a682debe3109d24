// The lines above the table: title, one line a server, the worst finding, the tabs.

import { ageMs, behind, byteRate, bytes, clock, duration, meter, percent, rate } from '../model/format.ts'
import type { PoolerSummary } from '../model/pools.ts'
import type { Thresholds } from '../model/thresholds.ts'
import { drawable, fit, short, type Untrusted, width } from '../model/untrusted.ts'
import { freshEvent } from '../panels/events.ts'
import { findings, type Headline } from '../panels/finding.ts'
import { panels } from '../panels/index.ts'
import type { Panel } from '../panels/panel.ts'
import { panelOf } from '../panels/shown.ts'
import { type PostgresFigures, poolerFigures, postgresFigures } from '../panels/summary.ts'
import { dataAgeMs, linkOf, picture, troubleSince } from '../store/selectors.ts'
import type { Event, Link, ServerState, State } from '../store/state.ts'
import { fitLine, type Line, type Look, lineWidth, type Span, span, spread } from './spans.ts'

export function header(state: State, columns: number): readonly Line[] {
  return [...headerLines(state, columns), tabLine(state, columns)]
}

/** Title, servers and finding: what stands above any list, on the screen and in `snapshot`. */
export function headerLines(state: State, columns: number): readonly Line[] {
  const { servers, order } = picture(state)
  const idWidth = Math.min(26, Math.max(...order.map(id => width(drawable(id)))))
  const found = findings(state)
  const news = freshEvent(state)
  return [
    titleLine(state, found.length > 0 ? news : null, columns),
    ...order.map(id => serverLine(state, servers[id] as ServerState, idWidth, columns)),
    findingLine(state, found, news, columns),
  ]
}

const newsText = ({ at, server, say }: Event) => `${clock(at)} ${drawable(server)}: ${say}`
/** With less room than this an event is not told in the title line. Cells. */
const leastNews = 24

/** `news` stands between what is there anyway and the interval, and what pgvigil itself costs gives way to it: no line moves. */
function titleLine(state: State, news: Event | null, columns: number): Line {
  const { settings, held, cost } = state
  const left = [
    span('pgvigil', 'title'),
    span(`  ${drawable(settings.cluster)}  `),
    ...(settings.readOnly ? [span('READ-ONLY', 'accent'), span('  ')] : []),
    ...(settings.slowLink === 'no' ? [] : [span('slow link', 'accent'), span('  ')]),
    ...(held ? [span(`HOLD ${clock(held.at)}`, 'warning'), span('  ')] : []),
  ]
  // A held picture stands still, its clock too; over a slow link figures that change all the time are worth less than they cost.
  const own = cost && !held && settings.slowLink === 'no' ? `self ${percent(cost.cpu)} cpu ${bytes(cost.residentBytes)}  ` : ''
  const right = (before: string) => [
    span(`${before}every ${interval(settings.intervalMs)}  `, 'dim'),
    span(clock(held?.at ?? state.now), 'strong'),
  ]
  const room = columns - lineWidth(left) - lineWidth(right('')) - 2
  if (!news || room < leastNews) return spread(left, right(own), columns)
  return spread([...left, span(short(newsText(news), room), look(news))], right(''), columns)
}

const look = ({ level }: Event): Look => (level === 'info' ? 'dim' : level)

export function interval(ms: number): string {
  return ms < 1000 ? `${ms}ms` : ms % 60_000 === 0 ? `${ms / 60_000}m` : `${ms / 1000}s`
}

function serverLine(state: State, server: ServerState, idWidth: number, columns: number): Line {
  const { now } = picture(state)
  const link = linkOf(server, now, state.settings.intervalMs)
  const role = server.kind === 'pgbouncer' ? 'pgbouncer' : (server.role ?? 'postgres')
  const spans: Span[] = [
    span(`${fit(drawable(server.id), idWidth)} `),
    span(`${fit(role, 9)} `, 'strong'),
    ...linkSpans(server, link, now),
    span('  '),
  ]
  if (link.state === 'up' || link.state === 'stale') {
    const figures =
      server.kind === 'pgbouncer'
        ? poolerSpans(poolerFigures(state, server.id), now, columns, state.settings.thresholds)
        : postgresSpans(postgresFigures(state, server.id), columns, state.settings.thresholds)
    const fitting = thatFit(figures, columns - lineWidth(spans))
    spans.push(...(link.state === 'up' ? fitting : fitting.map(s => ({ ...s, look: 'dim' as const }))))
  } else if (link.why) {
    const since = link.word === 'CONNECTING' ? '' : `since ${clock(troubleSince(server))}: `
    spans.push(span(`${since}${link.why}`, link.word === 'CONNECTING' ? 'dim' : 'warning'))
  }
  return fitLine(spans, columns)
}

/** The figures that have room, whole: half a figure is a wrong one. The first is always there, cut if need be. */
function thatFit(figures: readonly Span[], cells: number): readonly Span[] {
  let left = cells
  const end = figures.findIndex(({ text }, i) => {
    left -= width(text.trimEnd())
    const room = left >= 0
    left -= text.length - text.trimEnd().length
    return !room && i > 0
  })
  return end < 0 ? figures : figures.slice(0, end)
}

const linkLooks: Partial<Record<Link['word'], Look>> = {
  LIVE: 'ok',
  STALE: 'warning',
  CONNECTING: 'dim',
  STARTING: 'warning',
  RECOVERY: 'warning',
  STOPPING: 'warning',
}

function linkSpans(server: ServerState, link: Link, now: number): readonly Span[] {
  const since = link.state === 'up' ? null : (dataAgeMs(server, now) ?? Math.max(0, now - link.since))
  const word = since === null ? link.word : `${link.word} ${ageMs(since)}`
  return [span(fit(word, Math.max(10, width(word))), linkLooks[link.word] ?? 'critical')]
}

/** Figures in the order of their use in an incident: the last ones give way on a narrow terminal. */
function postgresSpans(f: PostgresFigures, columns: number, limits: Thresholds): readonly Span[] {
  const taken = f.clients === null || !f.usable ? 0 : (f.clients / f.usable) * 100
  const full: Look | undefined =
    taken >= limits.connectionsCriticalPercent ? 'critical' : taken >= limits.connectionsPercent ? 'warning' : undefined
  const out: Span[] = []
  if (f.standby) {
    const { lagSeconds, lagBytes, lagIsUpperBound, lagIsLowerBound, receiver, replayPaused } = f.standby
    const late = lagSeconds !== null && lagSeconds >= limits.lagSeconds
    out.push(
      span(
        `lag ${lagIsUpperBound ? '≤' : lagIsLowerBound ? '≥' : ''}${behind(lagSeconds)} ${bytes(lagBytes)}  `,
        late ? 'warning' : undefined,
      ),
    )
    if (receiver === 'down') out.push(span('receiver down  ', 'critical'))
    if (replayPaused) out.push(span('replay paused  ', 'warning'))
  }
  const words =
    columns >= 140
      ? { active: 'active', waiting: 'waiting', idle: 'idle in xact' }
      : { active: 'act', waiting: 'wait', idle: 'idle-xact' }
  out.push(span(`${f.clients ?? '–'}/${f.usable ?? '–'} `, full))
  if (columns >= 140) out.push(span(`${meter(f.clients, f.usable, 12)} `, full ?? 'dim'))
  out.push(
    span(` ${f.active ?? '–'} ${words.active}`),
    span(` ${f.waiting ?? '–'} ${words.waiting}`, f.waiting ? 'critical' : undefined),
  )
  out.push(span(` ${f.idleInTransaction ?? '–'} ${words.idle}`, f.idleInTransaction ? 'warning' : undefined))
  if (f.restricted) out.push(span(` ${f.restricted} restricted`, 'warning'))
  out.push(
    span(
      `  oldest ${duration(f.oldestTransactionSeconds)}`,
      (f.oldestTransactionSeconds ?? 0) > limits.transactionSeconds ? 'warning' : undefined,
    ),
  )
  out.push(span(`  ${tps(f.transactionsPerSecond)}`))
  out.push(span(`  hit ${percent(f.hitRatio)}`))
  if (!f.standby) out.push(span(`  WAL ${byteRate(f.walBytesPerSecond)}`))
  return out
}

function poolerSpans(f: PoolerSummary, now: number, columns: number, limits: Thresholds): readonly Span[] {
  const words =
    columns >= 100
      ? { clients: 'clients', waiting: 'waiting', servers: 'servers' }
      : { clients: 'cl', waiting: 'wait', servers: 'sv' }
  // Many names, or long ones, must not push the figures off the line.
  const name = (text: Untrusted) => short(text, columns >= 200 ? 24 : 12)
  const some = (names: readonly string[]) =>
    [...names.slice(0, 2), ...(names.length > 2 ? [`+${names.length - 2}`] : [])].join(', ')
  const paused = f.paused.map(p => `${p.database === '*' ? 'ALL' : name(p.database)} ${ageMs(now - p.since)}`)
  return [
    ...(f.suspended ? [span('SUSPENDED  ', 'critical')] : []),
    ...(paused.length > 0 ? [span(`PAUSED ${some(paused)}  `, 'critical')] : []),
    ...(f.disabled.length > 0 ? [span(`DISABLED ${some(f.disabled.map(name))}  `, 'warning')] : []),
    span(`${f.clientsActive ?? '–'} ${words.clients}`),
    span(` ${f.clientsWaiting ?? '–'} ${words.waiting}`, f.clientsWaiting ? 'warning' : undefined),
    span(`  maxwait ${duration(f.maxwaitSeconds)}`, (f.maxwaitSeconds ?? 0) >= limits.poolWaitSeconds ? 'critical' : undefined),
    span(`  ${f.serversUsed ?? '–'}/${f.serverLimit ?? '–'} ${words.servers}`),
    span(`  ${tps(f.xactsPerSecond)}`),
  ]
}

const tps = (perSecond: number | null) => `${rate(perSecond).replace('/s', '')} tps`

function findingLine(state: State, found: readonly Headline[], news: Event | null, columns: number): Line {
  const [worst, ...others] = found
  if (!worst && news) return fitLine([span(newsText(news), look(news)), span('  0 shows events', 'dim')], columns)
  if (!worst) {
    const silent = Object.values(picture(state).servers).some(server => server.lastAnswerAt === null)
    return fitLine([span(silent ? 'waiting for the first answer' : 'nothing to report', 'dim')], columns)
  }
  const more = others.length > 0 ? ` (+${others.length})` : ''
  const say = `${worst.level === 'critical' ? '! ' : '· '}${worst.say}`
  const room = columns - width(more)
  return fitLine([span(width(say) > room ? fit(say, room) : say, worst.level), span(more, 'dim')], columns)
}

/**
 * The server in focus is always told, so tabs are as wide as they can be beside it: with room between them, close together, or with shorter
 * titles, or none, for all but the chosen one. As wide on panes that show all servers, so that tabs stay where they are.
 */
function tabLine(state: State, columns: number): Line {
  const current = panelOf(state)
  const { focus } = state.view
  const told = focus === null ? [] : [span(' '), span(`@ ${short(focus, Math.floor(columns / 3))}`, 'accent')]
  const room = columns - lineWidth(told)
  const tabs = [tabsOf(current, ' ', 99), ...[99, 8, 7, 6, 5, 4, 3, 0].map(cells => tabsOf(current, '', cells))]
  const line = tabs.find(one => lineWidth(one) <= room) ?? tabs.at(-1)!
  return current.scope === 'server' ? [...fitLine(line, room), ...told] : fitLine(line, columns)
}

function tabsOf(current: Panel, pad: string, cells: number): Line {
  return panels.flatMap((panel, i) => {
    const look = panel === current ? 'tab' : undefined
    const title = look ? panel.title : cells > 0 ? short(panel.title, cells) : ''
    return [...(i > 0 ? [span(' ')] : []), span(panel.key, look ?? 'dim'), span(title && ` ${title}${pad}`, look)]
  })
}
