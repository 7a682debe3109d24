// Bundles the tool into one file in dist/: with production React it starts in half the time that node_modules take.
import { build } from 'esbuild'

/** Ink asks for React's developer tools only when DEV is set; a bundle has no use for them. */
const withoutDevtools = {
  name: 'without-devtools',
  setup(build) {
    build.onResolve({ filter: /^react-devtools-core$/ }, () => ({ path: 'react-devtools-core', namespace: 'none' }))
    build.onLoad({ filter: /.*/, namespace: 'none' }, () => ({ contents: 'export default {}' }))
  },
}

await build({
  entryPoints: { pgvigil: 'src/cli.ts' },
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node22.12',
  minifySyntax: true,
  define: { 'process.env.NODE_ENV': '"production"' },
  banner: {
    js: "import { createRequire as pgvigilRequire } from 'node:module'; const require = pgvigilRequire(import.meta.url);",
  },
  external: ['pg-native'],
  plugins: [withoutDevtools],
  logLevel: 'warning',
})
