// `pgvigil demo`: the lab, and the monitor on it.

import { buildConfig } from './config/config.ts'
import { runServersOnly, withLab } from './lab/demo.ts'
import { runTop, terminalTrouble } from './top.tsx'

/** Resolves to the exit code when the lab is stopped and removed. */
export async function runDemo(serversOnly: boolean): Promise<number> {
  if (serversOnly) return runServersOnly()
  const trouble = terminalTrouble(process.env)
  if (trouble) {
    process.stderr.write('pgvigil demo: this is no terminal; pgvigil demo --servers-only starts the servers alone\n')
    return 2
  }
  return withLab(async lab => {
    const config = buildConfig(
      {
        conninfo: [lab.primary, lab.standby],
        pgbouncer: lab.pgbouncer ? [lab.pgbouncer] : [],
        timescale: lab.timescale,
        title: 'demo',
      },
      process.env,
    )
    if ('error' in config) throw new Error(config.error)
    return runTop({
      config: { ...config, noPooler: lab.pgbouncerMissing },
      panel: 'activity',
      asking: 'never',
      clusters: [],
      panelOf: () => null,
      look: config,
      configOf: name => ({ error: `there is no cluster ${name}` }),
    })
  })
}
