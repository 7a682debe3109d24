// Intervals as PostgreSQL writes them by default: "7 days", "1 mon 2 days 03:04:05.5", "-01:00:00".

const units: readonly (readonly [RegExp, number])[] = [
  [/(-?\d+(?:\.\d+)?) years?/, 365.25 * 86_400],
  [/(-?\d+(?:\.\d+)?) mons?(?:ths?)?/, 30 * 86_400],
  [/(-?\d+(?:\.\d+)?) weeks?/, 7 * 86_400],
  [/(-?\d+(?:\.\d+)?) days?/, 86_400],
  [/(-?\d+(?:\.\d+)?) hours?/, 3600],
  [/(-?\d+(?:\.\d+)?) min(?:ute)?s?/, 60],
  [/(-?\d+(?:\.\d+)?) sec(?:ond)?s?/, 1],
]

/** Seconds of an interval, a month being 30 days and a year 365.25, as extract(epoch) counts them; null for what is none. */
export function intervalSeconds(text: string): number | null {
  const clock = /(-?)(\d+):(\d\d)(?::(\d\d(?:\.\d+)?))?/.exec(text)
  const parts = units.flatMap(([pattern, seconds]) => {
    const found = pattern.exec(text)
    return found ? [Number(found[1]) * seconds] : []
  })
  if (clock) {
    const seconds = Number(clock[2]) * 3600 + Number(clock[3]) * 60 + Number(clock[4] ?? 0)
    parts.push(clock[1] === '-' ? -seconds : seconds)
  }
  return parts.length === 0 ? null : parts.reduce((sum, part) => sum + part, 0)
}
