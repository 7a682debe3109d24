// The imports of the source, read from its text: what a file takes from where, and whether only types.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'

/** `to` is a path below the root ("src/model/format.ts") or, for a package, its name as it is imported. */
export type Edge = { readonly from: string; readonly to: string; readonly typeOnly: boolean }

const clause = String.raw`(?:\*(?:\s+as\s+\w+)?|\w+(?:\s*,\s*\{[^}]*\})?|\{[^}]*\})`
const fromStatement = new RegExp(String.raw`^\s*(?:import|export)\s+(type\s+)?(${clause})\s+from\s+['"]([^'"]+)['"]`, 'gm')
const bareStatement = /^\s*import\s+['"]([^'"]+)['"]/gm
const dynamicImport = /\bimport\(\s*(?:['"]([^'"]+)['"])?/g

/** The imports of one file. An import() whose argument is no literal gives the package name "(computed)". */
export function importsOf(file: string, source: string): readonly Edge[] {
  const text = withoutComments(source)
  const edge = (specifier: string, typeOnly: boolean): Edge => ({
    from: file,
    to: specifier.startsWith('.') ? normalize(join(dirname(file), specifier)) : specifier,
    typeOnly,
  })
  return [
    ...[...text.matchAll(fromStatement)].map(([, type, names, specifier]) =>
      edge(specifier!, type !== undefined || onlyTypes(names!)),
    ),
    ...[...text.matchAll(bareStatement)].map(([, specifier]) => edge(specifier!, false)),
    ...[...text.matchAll(dynamicImport)].map(([, specifier]) => edge(specifier ?? '(computed)', false)),
  ]
}

/** The text with as many lines as before, without comments that stand on lines of their own. */
export function withoutComments(source: string): string {
  return source.replace(/^\s*\/\*[\s\S]*?\*\//gm, comment => comment.replace(/[^\n]/g, '')).replace(/^\s*\/\/.*$/gm, '')
}

function onlyTypes(names: string): boolean {
  if (!names.startsWith('{')) return false
  const each = names
    .slice(1, -1)
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
  return each.length > 0 && each.every(name => name.startsWith('type '))
}

/** All source files below a folder, as paths from the root, with their text. */
export function sources(root: string, folder: string): readonly { readonly file: string; readonly text: string }[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map(entry => relative(root, join(entry.parentPath, entry.name)))
    .sort()
    .map(file => ({ file, text: readFileSync(join(root, file), 'utf8') }))
}
