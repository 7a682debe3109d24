// `pgvigil config`: an example file, and a judgement of the one that is there.

import { thresholdKey, thresholdList, thresholdNames } from '../model/thresholds.ts'
import { buildConfig } from './config.ts'
import { configPath, type FileConfig, loadConfig } from './file.ts'
import type { Env, Machine } from './machine.ts'
import { thisMachine } from './machine.ts'
import { nearest } from './nearest.ts'

/** Says what is in the file, or every error with its line. Each cluster is resolved as if it were to be watched; nothing is connected. */
export function judgeConfig(
  given: string | undefined,
  env: Env,
  machine: Machine = thisMachine(),
): { readonly ok: string; readonly file: FileConfig } | { readonly error: string } {
  const file = loadConfig(given, env, machine)
  if (file === null) {
    const path = configPath(env, machine)
    return { error: `there is no configuration file${path ? ` ${path}` : ''}: pgvigil config --example prints one to begin with` }
  }
  if ('errors' in file) return { error: file.errors.join('\n') }
  const flags = { conninfo: [], pgbouncer: [] }
  const errors = file.clusters.flatMap(cluster => {
    const config = buildConfig(flags, env, machine, { file, cluster })
    return 'error' in config ? [config.error] : []
  })
  if (errors.length > 0) return { error: errors.join('\n') }
  const told = file.clusters.map(
    ({ name, servers, pgbouncers, timescale }) =>
      `${name} (${servers.length} servers, ${pgbouncers.length} PgBouncers${timescale ? ', TimescaleDB' : ''})`,
  )
  return { file, ok: `${file.path}: ok; ${told.length > 0 ? `clusters: ${told.join(', ')}` : 'no cluster'}` }
}

/** Panes that the file names and that are none, each "FILE:LINE: sentence". `names`: of all panes. */
export function panelFaults(file: FileConfig, names: readonly string[], known: (name: string) => boolean): readonly string[] {
  const places = [
    { panel: file.panel, at: ['panel'] },
    ...file.clusters.map(({ name, panel }) => ({ panel, at: ['clusters', name, 'panel'] })),
  ]
  return places.flatMap(({ panel, at }) =>
    panel === undefined || known(panel) ? [] : [`${file.path}:${file.line(...at)}: ${noPanel(panel, names)}`],
  )
}

/** There is no pane of that name: the one that was meant, or all there are. */
export function noPanel(name: string, names: readonly string[]): string {
  const near = nearest(name.toLowerCase(), names)
  return `there is no pane "${name.slice(0, 40)}" (${near ? `did you mean ${near}?` : `there are ${names.join(', ')}`})`
}

const thresholdLines = thresholdNames
  .map(name => `${`${thresholdKey(name)} = ${thresholdList[name].default}`.padEnd(36)} # ${thresholdList[name].say}`)
  .join('\n')

export const exampleConfig = `# pgvigil: ~/.config/pgvigil/config.toml (or $XDG_CONFIG_HOME/pgvigil/config.toml). All of it is optional.
# pgvigil config --check judges it.

interval = "1s"            # how often the servers are asked: 100ms to 5m
theme = "dark"             # dark, light (for a white background), mono (no colours)
# ascii = true             # draw with ASCII only
# read_only = true         # offer no action that changes anything, in any cluster
# panel = "locks"          # the pane to open with
# cluster = "production"   # the cluster to watch when none is named; without it you are asked

# From where on a figure is a finding; those with "critical" in their name make it a critical one. These are the defaults.
[thresholds]
${thresholdLines}

# What tablespaces may hold, for the free space of those whose file system can't be looked at (those in the data directory share pg_default's).
# [capacity]
# pg_default = "200GB"       # kB, MB, GB, TB

# One table for each cluster: pgvigil -c production
[clusters.production]
read_only = true
interval = "2s"
# Connection strings as libpq reads them: keyword=value, URI, or service=NAME. A server may have a name to go by on the screen.
servers = [
  { name = "primary", conninfo = "host=db1.example.com user=monitor dbname=app" },
  { name = "standby", conninfo = "host=db2.example.com user=monitor dbname=app" },
]
pgbouncers = ["host=db1.example.com port=6432 user=stats"]
# Where the hypertables are, if not in the first server's database.
timescale = "host=db1.example.com user=monitor dbname=metrics"

[clusters.production.thresholds]
lag_seconds = 30

# Of all its servers; one of them can have its own: { conninfo = "...", capacity = { fast = "1TB" } }
[clusters.production.capacity]
pg_default = "500GB"
fast = "2TB"

[clusters.staging]
servers = ["service=staging"]

# Passwords belong into ~/.pgpass. A file that holds one must be readable by nobody else (chmod 600).
`
