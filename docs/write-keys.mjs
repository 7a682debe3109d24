// Writes docs/KEYS.md from the list of keys. Run by `npm run docs`.
import { writeFileSync } from 'node:fs'
import { keysMarkdown } from '../src/keys/help.ts'

writeFileSync(new URL('KEYS.md', import.meta.url), keysMarkdown())
