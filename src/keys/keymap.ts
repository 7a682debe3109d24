// THE list of keys. Dispatch, function bar, help and docs/KEYS.md all read it; a test keeps it free of clashes.

export type Where = 'everywhere' | 'dialog' | 'menu' | 'prompt' | 'question' | 'name' | 'quit' | readonly string[]

export type Binding = {
  /** Names as keypress.ts gives them; the first is the one that bar and help show first. */
  readonly keys: readonly string[]
  /** An id of commands.ts. */
  readonly command: string
  /**
   * Everywhere (no dialog open), in any dialog (in a menu keys that type narrow it), in a menu, while a prompt takes text, in the question
   * before a deed, in one that takes a name, in the question before leaving, or in these panes only.
   */
  readonly where: Where
  /** Shown in the function bar, in this order. */
  readonly bar?: number
}

export const keymap: readonly Binding[] = [
  { keys: ['F1', '?', 'h'], command: 'help', where: 'everywhere', bar: 1 },
  { keys: ['F2', 'l'], command: 'nextList', where: 'everywhere', bar: 2 },
  { keys: ['F3'], command: 'find', where: 'everywhere', bar: 3 },
  { keys: ['F4', '/'], command: 'filter', where: 'everywhere', bar: 4 },
  { keys: ['F5', 't'], command: 'tree', where: 'everywhere', bar: 5 },
  { keys: ['F6'], command: 'sortMenu', where: 'everywhere', bar: 6 },
  { keys: ['>', '.'], command: 'sortNext', where: 'everywhere' },
  { keys: ['<', ','], command: 'sortPrevious', where: 'everywhere' },
  { keys: ['I'], command: 'sortInvert', where: 'everywhere' },
  { keys: ['F9'], command: 'act', where: 'everywhere', bar: 7 },
  { keys: ['C'], command: 'cancel', where: ['activity', 'locks', 'progress'], bar: 8 },
  { keys: ['K'], command: 'terminate', where: ['activity', 'locks', 'replication', 'pools', 'progress'], bar: 9 },
  { keys: ['P'], command: 'pause', where: ['replication', 'chunks', 'pools'], bar: 10 },
  { keys: ['R'], command: 'resume', where: ['replication', 'chunks', 'pools'], bar: 11 },
  { keys: ['z'], command: 'compress', where: ['chunks'], bar: 12 },
  { keys: ['Z'], command: 'decompress', where: ['chunks'], bar: 13 },
  { keys: ['L'], command: 'reload', where: ['pools'], bar: 14 },
  { keys: ['O'], command: 'reconnect', where: ['pools'], bar: 15 },
  { keys: ['D'], command: 'disable', where: ['pools'], bar: 16 },
  { keys: ['E'], command: 'enable', where: ['pools'], bar: 17 },
  { keys: ['o'], command: 'open', where: ['tables'], bar: 18 },
  { keys: ['v'], command: 'vacuum', where: ['tables'], bar: 11 },
  { keys: ['a'], command: 'analyze', where: ['tables'], bar: 12 },
  { keys: ['x'], command: 'reindex', where: ['tables'], bar: 13 },
  { keys: ['W'], command: 'terminateAwaited', where: 'everywhere' },
  { keys: ['X'], command: 'dropLeft', where: 'everywhere' },
  { keys: ['F10', 'q'], command: 'quit', where: 'everywhere', bar: 40 },
  { keys: ['C-c'], command: 'interrupt', where: 'everywhere' },
  { keys: ['C-z'], command: 'suspend', where: 'everywhere' },
  { keys: ['C-l'], command: 'redraw', where: 'everywhere' },
  { keys: ['1'], command: 'pane:activity', where: 'everywhere' },
  { keys: ['2'], command: 'pane:locks', where: 'everywhere' },
  { keys: ['3'], command: 'pane:replication', where: 'everywhere' },
  { keys: ['4'], command: 'pane:chunks', where: 'everywhere' },
  { keys: ['5'], command: 'pane:pools', where: 'everywhere' },
  { keys: ['6'], command: 'pane:tables', where: 'everywhere' },
  { keys: ['7'], command: 'pane:progress', where: 'everywhere' },
  { keys: ['9'], command: 'pane:health', where: 'everywhere' },
  { keys: ['0'], command: 'pane:events', where: 'everywhere' },
  { keys: ['Tab'], command: 'nextPane', where: 'everywhere' },
  { keys: ['S-Tab'], command: 'previousPane', where: 'everywhere' },
  { keys: ['Down', 'j'], command: 'down', where: 'everywhere' },
  { keys: ['Up', 'k'], command: 'up', where: 'everywhere' },
  { keys: ['PgDn', 'C-f'], command: 'pageDown', where: 'everywhere' },
  { keys: ['PgUp', 'C-b'], command: 'pageUp', where: 'everywhere' },
  { keys: ['Home', 'g'], command: 'first', where: 'everywhere' },
  { keys: ['End', 'G'], command: 'last', where: 'everywhere' },
  { keys: ['Right'], command: 'nextServer', where: 'everywhere' },
  { keys: ['Left'], command: 'previousServer', where: 'everywhere' },
  { keys: ['@'], command: 'serverMenu', where: 'everywhere' },
  { keys: ['s'], command: 'serverInfo', where: 'everywhere' },
  { keys: ['c'], command: 'clusterMenu', where: 'everywhere' },
  { keys: ['Enter'], command: 'detail', where: 'everywhere', bar: 20 },
  { keys: ['S-Down', 'C-e'], command: 'detailDown', where: 'everywhere' },
  { keys: ['S-Up', 'C-y'], command: 'detailUp', where: 'everywhere' },
  { keys: ['Esc'], command: 'back', where: 'everywhere' },
  { keys: ['Space'], command: 'tag', where: 'everywhere', bar: 21 },
  { keys: ['U'], command: 'untagAll', where: 'everywhere' },
  { keys: ['p'], command: 'hold', where: 'everywhere', bar: 22 },
  { keys: ['i'], command: 'idle', where: ['activity'], bar: 23 },
  { keys: ['+', '='], command: 'slower', where: 'everywhere' },
  { keys: ['-', '_'], command: 'faster', where: 'everywhere' },
  { keys: ['y'], command: 'copy', where: 'everywhere', bar: 24 },
  { keys: [':'], command: 'palette', where: 'everywhere' },
  { keys: ['Esc', 'q', 'F10', 'F1'], command: 'closeDialog', where: 'dialog' },
  { keys: ['Down', 'j'], command: 'dialogDown', where: 'dialog' },
  { keys: ['Up', 'k'], command: 'dialogUp', where: 'dialog' },
  { keys: ['PgDn', 'Space'], command: 'dialogPageDown', where: 'dialog' },
  { keys: ['PgUp'], command: 'dialogPageUp', where: 'dialog' },
  { keys: ['C-c'], command: 'interrupt', where: 'dialog' },
  { keys: ['C-z'], command: 'suspend', where: 'dialog' },
  { keys: ['Enter'], command: 'choose', where: 'menu' },
  { keys: ['Esc'], command: 'cancelPrompt', where: 'prompt' },
  { keys: ['Enter'], command: 'acceptPrompt', where: 'prompt' },
  { keys: ['F3', 'Down'], command: 'findNext', where: 'prompt' },
  { keys: ['C-c'], command: 'interrupt', where: 'prompt' },
  { keys: ['C-z'], command: 'suspend', where: 'prompt' },
  { keys: ['y'], command: 'yes', where: 'question' },
  { keys: ['Esc', 'n', 'q', 'F10'], command: 'closeDialog', where: 'question' },
  ...questionKeys('question'),
  { keys: ['Esc', 'F10'], command: 'closeDialog', where: 'name' },
  ...questionKeys('name'),
  { keys: ['r'], command: 'resumeAndQuit', where: 'quit' },
  { keys: ['l'], command: 'leaveAndQuit', where: 'quit' },
  { keys: ['Esc', 'n'], command: 'closeDialog', where: 'quit' },
  { keys: ['C-c'], command: 'resumeAndInterrupt', where: 'quit' },
  { keys: ['C-z'], command: 'suspend', where: 'quit' },
]

/** What a question has in common with or without a name to type. */
function questionKeys(where: 'question' | 'name'): readonly Binding[] {
  return [
    { keys: ['Enter'], command: 'notEnter', where },
    { keys: ['Down'], command: 'questionDown', where },
    { keys: ['Up'], command: 'questionUp', where },
    { keys: ['PgDn'], command: 'questionPageDown', where },
    { keys: ['PgUp'], command: 'questionPageUp', where },
    { keys: ['C-c'], command: 'interrupt', where },
    { keys: ['C-z'], command: 'suspend', where },
  ]
}

const sections: readonly { title: string; has: (where: Where) => boolean }[] = [
  { title: 'Keys', has: where => where === 'everywhere' },
  { title: 'Of one pane', has: where => typeof where === 'object' },
  { title: 'In a dialog or menu', has: where => where === 'dialog' || where === 'menu' },
  { title: 'While text is typed', has: where => where === 'prompt' },
  { title: 'In the question before a deed', has: where => where === 'question' },
  { title: 'In a question that takes a name', has: where => where === 'name' },
  { title: 'Before leaving what is not finished', has: where => where === 'quit' },
]

/** All bindings, by where they count. Every binding is in exactly one section. */
export const keySections: readonly { readonly title: string; readonly bindings: readonly Binding[] }[] = sections.map(
  ({ title, has }) => ({ title, bindings: keymap.filter(binding => has(binding.where)) }),
)

/** Where a key counts now. `menu`, `prompt`, `question` (its number) and `name` also take text, which dispatch hands on when no binding has the key. */
export type Scope =
  | { readonly kind: 'panes'; readonly panel: string }
  | { readonly kind: 'dialog' }
  | { readonly kind: 'menu' }
  | { readonly kind: 'prompt' }
  | { readonly kind: 'question' | 'name' | 'quit' }

/** The command of a key in a scope; undefined when it has none there. Keys of one pane go before those of all. */
export function commandOf(key: string, scope: Scope): string | undefined {
  const has = (binding: Binding) => binding.keys.includes(key)
  switch (scope.kind) {
    case 'panes':
      return (
        keymap.find(b => typeof b.where === 'object' && b.where.includes(scope.panel) && has(b)) ??
        keymap.find(b => b.where === 'everywhere' && has(b))
      )?.command
    case 'menu':
      return (
        keymap.find(b => b.where === 'menu' && has(b)) ??
        (types(key) ? undefined : keymap.find(b => b.where === 'dialog' && has(b)))
      )?.command
    default:
      return keymap.find(b => b.where === scope.kind && has(b))?.command
  }
}

/** The binding of a key that only other panes have. */
export function elsewhere(key: string): (Binding & { readonly where: readonly string[] }) | undefined {
  return keymap.find(
    (b): b is Binding & { readonly where: readonly string[] } => typeof b.where === 'object' && b.keys.includes(key),
  )
}

/** A key that stands for itself as text: in a menu it narrows the list. */
function types(key: string): boolean {
  return key === 'Space' || [...key].length === 1
}
