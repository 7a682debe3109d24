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

/**
 * string-width compiles the pattern of all emoji, which takes longer than anything else at the start; our texts are plain nearly always, and it
 * is made ready when one is not.
 */
const lateWidths = {
  name: 'late-widths',
  setup(build) {
    const contents = `
        const plain = /^[\\x20-\\x7e]*$/, sgr = /\\x1b\\[[\\d;]*m/g
        export default (text, options) => {
          const bare = typeof text === 'string' && !options ? text.replace(sgr, '') : null
          return bare !== null && plain.test(bare) ? bare.length : require('string-width').default(text, options)
        }`
    build.onResolve({ filter: /^string-width$/ }, ({ path, kind, namespace, resolveDir }) =>
      kind === 'require-call' && namespace === 'late-widths'
        ? undefined
        : { path, namespace: 'late-widths', pluginData: resolveDir },
    )
    build.onLoad({ filter: /.*/, namespace: 'late-widths' }, ({ pluginData }) => ({ contents, resolveDir: pluginData }))
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
  minifyWhitespace: true,
  // We fetch nothing: asking whether there is a fetch makes Node load all of it.
  define: { 'process.env.NODE_ENV': '"production"', fetch: 'undefined' },
  banner: {
    js: "import { createRequire as pgvigilRequire } from 'node:module'; const require = pgvigilRequire(import.meta.url);",
  },
  external: ['pg-native'],
  plugins: [withoutDevtools, lateWidths],
  logLevel: 'warning',
})
