// Keys with their sentences, made of the one list: for the help overlay and for docs/KEYS.md.

import { commandById } from '../commands.ts'
import { keySections } from './keymap.ts'

export type KeyHelp = {
  readonly title: string
  /** `panes`: ids of the panes that have the key, comma-separated; '' where all have it. */
  readonly keys: readonly { readonly keys: readonly string[]; readonly help: string; readonly panes: string }[]
}

/** Every key with its sentence, by section. */
export function keyHelp(): readonly KeyHelp[] {
  return keySections.map(({ title, bindings }) => ({
    title,
    keys: bindings.map(({ keys, command, where }) => ({
      keys,
      help: commandById(command)?.help ?? '',
      panes: typeof where === 'object' ? where.join(', ') : '',
    })),
  }))
}

/** The text of docs/KEYS.md. */
export function keysMarkdown(): string {
  const parts = keyHelp().map(({ title, keys }) => {
    const rows = keys.map(
      ({ keys, help, panes }) => `| ${keys.map(code).join(' ')} | ${help}${panes === '' ? '' : ` (${panes})`} |`,
    )
    return [`## ${title}`, '', '| Key | |', '|---|---|', ...rows].join('\n')
  })
  return [
    '# Keys',
    '',
    'Written by `npm run docs` from `src/keys/keymap.ts` and `src/commands.ts`. `C-` is Ctrl, `S-` is Shift, `M-` is Alt.',
    '',
    'A key that can do nothing now says why when it is pressed.',
    '',
    parts.join('\n\n'),
    '',
  ].join('\n')
}

/** A key in backticks; `|` would end the cell of the table. */
const code = (key: string) => `\`${key === '|' ? '\\|' : key}\``
