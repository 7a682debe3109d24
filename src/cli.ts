// The command line: parses, then calls. What a command needs is imported when it runs, so that --help and errors are quick.

import { Command, CommanderError, Option } from 'commander'
import pkg from '../package.json' with { type: 'json' }
import { buildConfig, type CliOptions, type Config } from './config/config.ts'
import { drawable } from './model/untrusted.ts'

// The arguments may hold a password, and everybody on this machine can read them: ps shows the title instead.
process.title = 'pgvigil'

type Given = Omit<CliOptions, 'conninfo'> & { readonly json?: boolean; readonly count?: string; readonly panels?: string[] }

const repeat = (value: string, before: string[]) => [...before, value]

/** The options that say which servers: the same for the monitor and for snapshot. */
function connecting(command: Command): Command {
  return command
    .argument('[conninfo...]', 'connection strings (URI or keyword=value) or a database name; several strings: several servers')
    .option('-h, --host <host>', 'host or socket directory')
    .option('-p, --port <port>', 'port')
    .option('-U, --username <name>', 'user')
    .option('-d, --dbname <name>', 'database, or a connection string')
    .option('--pgbouncer <conninfo>', 'the admin console of a PgBouncer; may be repeated', repeat, [])
    .option('--timescale <conninfo>', 'where the hypertables are, if not in the first database')
    .option('-i, --interval <time>', 'how often the servers are asked: 1s (as it is), 500ms, 0.5, 2')
    .helpOption('-?, --help', 'this help')
}

function program(): Command {
  const main = connecting(new Command('pgvigil'))
    .description('htop for a PostgreSQL cluster: primary, standbys, PgBouncer and TimescaleDB on one live screen')
    .version(pkg.version, '-V, --version', 'the version')
    .option('--panel <name>', 'the pane to open with: activity, locks, replication, chunks, pools')
    .option('--ascii', 'draw with ASCII only')
    .option('--read-only', 'offer no action that changes anything')
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .enablePositionalOptions()
    .action(async (conninfo: string[], given: Given) => {
      const { terminalTrouble, runTop } = await import('./top.tsx')
      const trouble = terminalTrouble(process.env)
      if (trouble) refuse(trouble)
      const config = configOf(conninfo, given)
      const { panelNamed } = await import('./panels/index.ts')
      const panel = panelNamed(config.panel)
      if (!panel) refuse(`there is no pane "${drawable(config.panel).slice(0, 40)}"`)
      process.exit(await runTop(config, panel.id))
    })

  connecting(main.command('snapshot'))
    .description('one look at the servers, printed; for scripts and bug reports')
    .option('--ascii', 'print ASCII only')
    .option('--json', 'one JSON document (with --count: one a line)')
    .addOption(new Option('--panel <name>', 'only this pane or list; may be repeated').argParser(repeat).default([]))
    .option('--count <n>', 'so many looks, one each --interval; 0: until stopped')
    .action(async (conninfo: string[], given: Given & { panel: string[] }) => {
      const { runSnapshot, snapshotPlan } = await import('./snapshot.ts')
      const { panel, ...own } = given
      // Options that stand before the command's name count too.
      const { panel: first, ...before } = main.opts<Given>()
      const config = configOf(conninfo, { ...before, ...own, pgbouncer: [...before.pgbouncer, ...own.pgbouncer] })
      const plan = snapshotPlan({ json: given.json ?? false, panels: first ? [first, ...panel] : panel, count: given.count })
      if ('error' in plan) refuse(plan.error)
      process.exit(await runSnapshot(config, plan))
    })

  main
    .command('audit')
    .description('what was done with pgvigil by this user: the audit trail, a line a deed')
    .option('--json', 'the records themselves, one JSON object a line: two for each deed')
    .option('--since <age>', 'only what is younger: 1h, 30m, 2d, or since a date')
    .helpOption('-?, --help', 'this help')
    .action(async (given: { json?: boolean; since?: string }) => {
      if (process.argv[2] !== 'audit') refuse('audit takes no options before its name: it asks no server')
      const { runAudit, sinceMoment } = await import('./trail.ts')
      const since = given.since === undefined ? null : sinceMoment(given.since, Date.now())
      if (since !== null && typeof since !== 'number') refuse(since.error)
      process.exit(await runAudit(given.json ?? false, since))
    })

  main
    .command('demo')
    .description('a cluster of its own with a workload, in a temporary directory, and the monitor on it; all is gone afterwards')
    .option(
      '--servers-only',
      'start the servers only, print one JSON object with their connection strings (primary, standby, pgbouncer, timescale), and run until stopped',
    )
    .helpOption('-?, --help', 'this help')
    .action(async (given: { serversOnly?: boolean }) => {
      if (process.argv[2] !== 'demo') refuse('demo takes no options before its name: it watches a cluster of its own')
      const { runDemo } = await import('./demo.ts')
      process.exit(await runDemo(given.serversOnly ?? false))
    })
  return main
}

function configOf(conninfo: readonly string[], given: Partial<Given>): Config {
  const config = buildConfig({ ...given, pgbouncer: given.pgbouncer ?? [], conninfo }, process.env)
  if ('error' in config) refuse(config.error)
  return config
}

/** One sentence, exit code 2, nothing on stdout. */
function refuse(sentence: string): never {
  process.stderr.write(`${sentence.startsWith('pgvigil') ? '' : 'pgvigil: '}${drawable(sentence)}\n`)
  process.exit(2)
}

try {
  await program().parseAsync()
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  // What was given after an unknown --option= may be a password; the quote that ends the name is kept.
  const said = error.message
    .replace(/^error: /, '')
    .replace(/^(unknown option '[^=]*)=.*'/s, "$1'")
    .split('\n')[0]
  if (error.exitCode !== 0) refuse(`${said}; pgvigil --help tells what there is`)
}
