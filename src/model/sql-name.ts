// Names and texts as SQL writes them.

/** An SQL identifier, always quoted. */
export const quotedName = (name: string) => `"${name.replaceAll('"', '""')}"`

/** A name as a person would write it: quoted only where it must be. */
export const sqlName = (name: string) => (/^[a-z_][a-z0-9_$]*$/.test(name) ? name : quotedName(name))

/** An SQL string constant, for sessions with standard_conforming_strings on. */
export const sqlText = (text: string) => `'${text.replaceAll("'", "''")}'`
