// A query as lines for the detail: laid out clause by clause where it can be parsed, as it came where not.

import { formatDialect, postgresql } from 'sql-formatter'
import { drawableLines, raw, type Untrusted } from '../model/untrusted.ts'

/** Longer texts are shown as they came: laying them out would hold up the keys. Characters. */
const longest = 20_000

let last: { readonly text: Untrusted; readonly lines: readonly string[] } | null = null

/** Drawable lines. Only blanks and line breaks differ from what the server sent; text that was cut or is no SQL stays as it is. */
export function sqlBlock(text: Untrusted): readonly string[] {
  if (last?.text !== text) last = { text, lines: drawableLines(laidOut(raw(text))) }
  return last.lines
}

function laidOut(sql: string): string {
  if (sql.length > longest) return sql
  try {
    return formatDialect(sql, { dialect: postgresql, keywordCase: 'preserve', tabWidth: 2 })
  } catch {
    return sql
  }
}
