#!/usr/bin/env node
// Refuses a Node that is too old in one plain sentence, then hands over to the bundle. Its syntax is one that the old ones can parse.
import { existsSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 12)) {
  const own = new URL('../node_modules/.bin/node', import.meta.url)
  const hint = existsSync(own) ? `; the checkout has one: ${own.pathname}` : ''
  process.stderr.write(`pgvigil needs Node 22.12 or later; this is ${process.versions.node}${hint}\n`)
  process.exit(2)
}
// Warnings of Node or of a library would be written over the screen.
process.removeAllListeners('warning')
process.on('warning', () => {})
// Each picture leaves garbage behind, which V8 answers with ever more memory, a hundred MB of it within minutes. Collecting it more often costs
// half a percent of a CPU at an interval of a second, and memory is flat.
for (const flag of ['--semi-space-growth-factor=1', '--heap-growing-percent=50']) setFlagsFromString(flag)
const bundle = new URL('../dist/pgvigil.js', import.meta.url)
if (!existsSync(bundle)) {
  process.stderr.write('pgvigil is not built: run npm ci && npm run build in its folder, or bin/demo\n')
  process.exit(1)
}
await import(bundle.href)
