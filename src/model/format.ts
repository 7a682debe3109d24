// Numbers to text: the one file which does. null, undefined, NaN and infinities are "–", never 0. All of it is drawable as it is.

/** What stands for a number we don't have. */
export const absent = '–'

type Maybe<T> = T | null | undefined

// A finite number; beyond 2^53 a bigint loses digits that three significant ones don't show.
function known(n: Maybe<number | bigint>): number | null {
  if (n === null || n === undefined) return null
  const number = Number(n)
  return Number.isFinite(number) ? number : null
}

// At most three significant digits and one decimal: 1.2, 31.9, 512; steps to the next unit before a fourth digit appears.
function scaled(n: number, base: number, units: string[], separator: string): string {
  let value = Math.abs(n)
  let unit = 0
  // Below the first step a number stays whole, so 999.5 already reads as 1000 there.
  while (value >= 999.5 && unit < units.length - 1) {
    value /= base
    unit++
  }
  const digits = unit === 0 || value >= 99.95 ? value.toFixed(0) : value.toFixed(1)
  return `${n < 0 && digits !== '0' ? '-' : ''}${digits}${separator}${units[unit]}`
}

/** Bytes in units of 1024, as pg_size_pretty: "0 B", "999 B", "1.2 kB", "31.9 MB", "512 GB". Negative for what shrank. */
export function bytes(n: Maybe<number | bigint>): string {
  const value = known(n)
  return value === null ? absent : scaled(value, 1024, ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'], ' ')
}

/** Bytes per second: "1.2 MB/s". */
export function byteRate(perSecond: Maybe<number>): string {
  const value = known(perSecond)
  return value === null ? absent : `${bytes(value)}/s`
}

/** A count in full, in groups of three: "1 234 567". Exact for bigint. */
export function count(n: Maybe<number | bigint>): string {
  if (known(n) === null) return absent
  const digits = typeof n === 'bigint' ? n : BigInt(Math.round(n as number))
  return String(digits).replace(/\B(?=(\d{3})+$)/g, ' ')
}

/** A count in at most three digits and a unit of 1000: "999", "1.2k", "31.9M", "4.5G". */
export function compact(n: Maybe<number | bigint>): string {
  const value = known(n)
  return value === null ? absent : scaled(value, 1000, ['', 'k', 'M', 'G', 'T', 'P', 'E'], '')
}

/** Events per second: "0/s", "<0.1/s", "0.4/s", "12/s", "1.2k/s". 0 only when it is exactly 0. */
export function rate(perSecond: Maybe<number>): string {
  const value = known(perSecond)
  if (value === null) return absent
  if (value > 0 && value < 0.05) return '<0.1/s'
  if (value > 0 && value < 9.95) return `${value.toFixed(1)}/s`
  return `${compact(value)}/s`
}

/** A share of 1: "99.3%". 100% and 0% only when exact; what is less than all never rounds up to it. */
export function percent(ratio: Maybe<number>): string {
  const value = known(ratio)
  if (value === null) return absent
  if (value === 0 || value === 1) return `${value * 100}%`
  if (value > 0 && value < 0.0005) return '<0.1%'
  if (value < 1) return `${Math.min(99.9, value * 100).toFixed(1)}%`
  return `${Math.max(100.1, value * 100).toFixed(1)}%`
}

/**
 * Seconds as an age or a wait, cut off rather than rounded, so that it never runs ahead: "0.3s", "12s", "4m12s", "1h02m", "3d04h".
 * Below zero (two clocks that differ) is "0.0s".
 */
export function duration(seconds: Maybe<number>): string {
  const value = known(seconds)
  if (value === null) return absent
  // A tenth that binary fractions fall just short of is still that tenth.
  const tenths = Math.floor(Math.max(0, value) * 10 + 1e-6)
  if (tenths < 100) return `${(tenths / 10).toFixed(1)}s`
  const whole = Math.floor(tenths / 10)
  const [minutes, hours, days] = [Math.floor(whole / 60), Math.floor(whole / 3600), Math.floor(whole / 86400)]
  if (minutes === 0) return `${whole}s`
  if (hours === 0) return `${minutes}m${two(whole % 60)}s`
  if (days === 0) return `${hours}h${two(minutes % 60)}m`
  return `${days}d${two(hours % 24)}h`
}

/** A duration, but for what is behind at all, which is never 0. */
export function behind(seconds: Maybe<number>): string {
  const value = known(seconds)
  return value !== null && value > 0 && value < 0.1 ? '<0.1s' : duration(value)
}

/** Seconds of a standby's lag: as a duration, but with tenths up to a minute, since the figure may already be an interval old. */
export function lag(seconds: Maybe<number>): string {
  const value = known(seconds)
  return value === null || value < 10 || value >= 60 ? behind(value) : `${(Math.floor(value * 10 + 1e-6) / 10).toFixed(1)}s`
}

/** An age from milliseconds, in whole seconds: "0s", "7s", "4m12s". Below zero is "0s". */
export function ageMs(ms: Maybe<number>): string {
  const value = known(ms)
  if (value === null) return absent
  const seconds = Math.floor(Math.max(0, value) / 1000)
  return seconds < 10 ? `${seconds}s` : duration(seconds)
}

const two = (n: number) => String(n).padStart(2, '0')

const clocks = new Map<string | undefined, Intl.DateTimeFormat>()

/** Time of day of a moment (ms since 1970): "14:02:33", in an IANA time zone or the local one. RangeError for an unknown zone. */
export function clock(ms: Maybe<number>, timeZone?: string): string {
  const value = known(ms)
  if (value === null || Number.isNaN(new Date(value).getTime())) return absent
  let format = clocks.get(timeZone)
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeStyle: 'medium',
      hourCycle: 'h23',
      ...(timeZone === undefined ? {} : { timeZone }),
    })
    clocks.set(timeZone, format)
  }
  return format.format(value)
}

/** The local day of a moment (ms since 1970): "2026-11-23". */
export function day(ms: Maybe<number>): string {
  const value = known(ms)
  if (value === null || Number.isNaN(new Date(value).getTime())) return absent
  const at = new Date(value)
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
}

/** A WAL position as PostgreSQL up to 18 writes it: "0/3000060". */
export function lsn(position: Maybe<bigint>): string {
  if (position === null || position === undefined) return absent
  const hex = (part: bigint) => part.toString(16).toUpperCase()
  return `${hex(position >> 32n)}/${hex(position & 0xffffffffn)}`
}

/** A WAL position's bytes from PostgreSQL's text, exactly. null for null and for what isn't one. */
export function parseLsn(text: Maybe<string>): bigint | null {
  const parts = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text ?? '')
  return parts === null ? null : (BigInt(`0x${parts[1]}`) << 32n) | BigInt(`0x${parts[2]}`)
}

/**
 * A bar of exactly `cells` cells, brackets included: "[||||    ]". Anything above 0 shows one stroke, and it is full only when used
 * reaches total. A figure unknown, or a total of 0: "[–       ]". Below 3 cells: blank.
 */
export function meter(used: Maybe<number>, total: Maybe<number>, cells: number): string {
  const inside = cells - 2
  if (inside < 1) return ' '.repeat(Math.max(0, cells))
  const [part, whole] = [known(used), known(total)]
  if (part === null || whole === null || whole <= 0) return `[${absent.padEnd(inside)}]`
  const exact = Math.min(1, Math.max(0, part / whole)) * inside
  const strokes = part > 0 && exact < 1 ? 1 : part < whole ? Math.min(inside - 1, Math.round(exact)) : inside
  return `[${'|'.repeat(strokes).padEnd(inside)}]`
}

/**
 * Events per second between two readings of a counter. null when either is missing, when the counter went back (a reset or a
 * restart: what happened in between can't be known) and when no time has passed.
 */
export function perSecond(current: Maybe<bigint>, previous: Maybe<bigint>, elapsedSeconds: number): number | null {
  if (current === null || current === undefined || previous === null || previous === undefined) return null
  if (current < previous || !(elapsedSeconds > 0)) return null
  return Number(current - previous) / elapsedSeconds
}
