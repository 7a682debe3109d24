// Writes docs/CHECKS.md from the list of checks. Run by `npm run docs`.
import { writeFileSync } from 'node:fs'
import { checksMarkdown } from '../src/checks/help.ts'

writeFileSync(new URL('CHECKS.md', import.meta.url), checksMarkdown())
