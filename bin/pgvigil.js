#!/usr/bin/env node
// Refuses a Node that is too old in one plain sentence, then hands over to the bundle. Its syntax is one that the old ones can parse.
import { existsSync } from 'node:fs'

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
const bundle = new URL('../dist/pgvigil.js', import.meta.url)
if (!existsSync(bundle)) {
  process.stderr.write('pgvigil is not built: run npm ci && npm run build in its folder, or bin/demo\n')
  process.exit(1)
}
await import(bundle.href)
