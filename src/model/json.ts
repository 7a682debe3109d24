// JSON for scripts and bug reports: the raw text, but nothing in it that a terminal could act on.

// Everything that is not visible by itself. The line breaks of indentation are ours, so they stay.
const unprintable = /(?!\n)[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?! )\p{Zs}/gu

// In V8 since Node 21; not in TypeScript's library.
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown }

/**
 * A value as JSON text. A bigint is a plain integer of any size, NaN and infinities are null, Untrusted is its raw text, undefined at the
 * top is null. Controls, format and bidi characters, separators, lone surrogates, private use, unassigned and ignorable ones are \uXXXX.
 * Throws TypeError on a cycle, as JSON.stringify does.
 */
export function jsonText(value: unknown, indent = 0): string {
  const text = JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? rawJSON(item.toString()) : item), indent) ?? 'null'
  return text.replace(unprintable, escaped)
}

function escaped(character: string): string {
  let out = ''
  for (let at = 0; at < character.length; at++) out += `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`
  return out
}
