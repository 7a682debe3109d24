// Passwords in statements: pg_stat_activity shows CREATE ROLE ... PASSWORD 'x' as it was typed, and so do conninfo strings inside of it.

// Between PASSWORD and its value blanks and comments may stand.
const gap = String.raw`(?:\s|/\*[\s\S]*?\*/|--[^\n]*\n)*`

const rules: readonly [RegExp, string][] = [
  // A conninfo inside of a string constant: its quotes are doubled.
  [/\b((?:ssl)?password\s*=\s*)''(?!')[\s\S]*?(?:''|$)/gi, "$1''***''"],
  // PASSWORD 'x', ENCRYPTED PASSWORD E'x', password = 'x', PASSWORD $$x$$.
  [new RegExp(String.raw`\b(password${gap}(?:=|:=|=>)?${gap}(?:e|n|u&)?)'(?:[^'\\]|''|\\.)*('|$)`, 'gi'), "$1'***'"],
  [new RegExp(String.raw`\b(password${gap})\$(\w*)\$[\s\S]*?(?:\$\2\$|$)`, 'gi'), "$1'***'"],
  // password=x in a conninfo, and the user's part of a URI.
  [/\b((?:password|sslpassword|passwd|pwd|pgpassword)\s*=\s*)(?!')[^\s'"]+/gi, '$1***'],
  [/\b(\w+:\/\/[^\s:/@'"]*):[^\s@'"]*@/g, '$1:***@'],
  // Cut before the @; a port is none.
  [/\b(\w+:\/\/[^\s:/@'"]*):(?!\d+(?:[/?,]|$))[^\s@'"/?]*$/g, '$1:***'],
]

/** A text without the passwords that can be told as such. Also one cut in the middle of a password. */
export function withoutPasswords(text: string): string {
  // Nearly no statement has any, and each is looked at with every sample.
  if (!/passw|pwd|:\/\//i.test(text)) return text
  return rules.reduce((kept, [pattern, by]) => kept.replace(pattern, by), text)
}

/** The same for every text in plain data. */
export function redacted<T>(value: T): T {
  if (typeof value === 'string') return withoutPasswords(value) as T
  if (Array.isArray(value)) return value.map(redacted) as T
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redacted(item)])) as T
}
