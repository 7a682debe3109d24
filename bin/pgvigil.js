#!/usr/bin/env node
// Refuses a Node that is too old in one plain sentence, then hands over to the bundle. Old syntax only: it has to parse there.
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 12)) {
  process.stderr.write(`pgvigil needs Node 22.12 or later; this is ${process.versions.node}\n`)
  process.exit(2)
}
// Warnings of Node or of a library would be written over the screen.
process.removeAllListeners('warning')
process.on('warning', () => {})
import('../dist/pgvigil.js').catch(error => {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
  process.stderr.write('pgvigil is not built: run npm ci && npm run build, or bin/demo, in its folder\n')
  process.exit(1)
})
