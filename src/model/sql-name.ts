// Names and texts as SQL writes them.

/** An SQL identifier, always quoted. */
export const quotedName = (name: string) => `"${name.replaceAll('"', '""')}"`

// Words that are no names without quotes: reserved, or names of functions and types only (pg_get_keywords() of 13-18).
const reserved = new Set(
  `all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column concurrently
    constraint create cross current_catalog current_date current_role current_schema current_time current_timestamp current_user default deferrable desc
    distinct do else end except false fetch for foreign freeze from full grant group having ilike in initially inner intersect into is isnull join lateral
    leading left like limit localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references returning
    right select session_user similar some symmetric system_user table tablesample then to trailing true union unique user using variadic verbose when
    where window with`.split(/\s+/),
)

/** A name as a person would write it: quoted only where it must be. */
export const sqlName = (name: string) => (/^[a-z_][a-z0-9_$]*$/.test(name) && !reserved.has(name) ? name : quotedName(name))

/** An SQL string constant, for sessions with standard_conforming_strings on. */
export const sqlText = (text: string) => `'${text.replaceAll("'", "''")}'`
