// Statements as a person reads them: values in their places.

import { sqlText } from '../model/sql-name.ts'

export type Statement = { readonly text: string; readonly values: readonly (string | number)[] }

/** The statement with its values written out: what dialog and audit trail show, and what psql would take. */
export function written({ text, values }: Statement): string {
  return text.replace(/\$(\d+)/g, (_, n: string) => {
    const value = values[Number(n) - 1]
    return typeof value === 'number' ? String(value) : sqlText(String(value))
  })
}
