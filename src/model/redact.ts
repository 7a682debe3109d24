// Passwords in statements: pg_stat_activity shows CREATE ROLE ... PASSWORD 'x' as it was typed, and so do conninfo strings inside of it.

const rules: readonly [RegExp, string][] = [
  // A conninfo inside of a string constant: its quotes are doubled.
  [/\b((?:ssl)?password\s*=\s*)''(?!')[\s\S]*?(?:''|$)/gi, "$1''***''"],
  // PASSWORD 'x', ENCRYPTED PASSWORD E'x', password = 'x', PASSWORD $$x$$.
  [/\b(password\s*(?:=|:=|=>)?\s*(?:e|n|u&)?)'(?:[^'\\]|''|\\.)*('|$)/gi, "$1'***'"],
  [/\b(password\s+)\$(\w*)\$[\s\S]*?(?:\$\2\$|$)/gi, "$1'***'"],
  // password=x in a conninfo, and the user's part of a URI.
  [/\b((?:password|sslpassword|passwd|pwd)\s*=\s*)(?!')[^\s'"]+/gi, '$1***'],
  [/\b(\w+:\/\/[^\s:/@'"]*):[^\s@'"]*@/g, '$1:***@'],
]

/** A text without the passwords that can be told as such. Also one cut in the middle of a password. */
export function withoutPasswords(text: string): string {
  return rules.reduce((kept, [pattern, by]) => kept.replace(pattern, by), text)
}

/** The same for every text in plain data. */
export function redacted<T>(value: T): T {
  if (typeof value === 'string') return withoutPasswords(value) as T
  if (Array.isArray(value)) return value.map(redacted) as T
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redacted(item)])) as T
}
