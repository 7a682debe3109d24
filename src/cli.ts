// The command line: parses, then calls. What a command needs is imported when it runs, so that --help and errors are quick.

import { Command, CommanderError, Option } from 'commander'
import pkg from '../package.json' with { type: 'json' }
import type { CheckOptions } from './check.ts'
import { buildConfig, type Choice, type CliOptions, type Config, chooseCluster, lookOf } from './config/config.ts'
import { noPanel } from './config/judge.ts'
import { defaultThresholds } from './model/thresholds.ts'
import { drawable } from './model/untrusted.ts'

// The arguments may hold a password, and everybody on this machine can read them: ps shows the title instead.
process.title = 'pgvigil'

type Given = Omit<CliOptions, 'conninfo' | 'pgbouncer'> & {
  readonly pgbouncer?: readonly string[]
  readonly json?: boolean
  readonly count?: string
  readonly panels?: string[]
  readonly password?: boolean
}

const repeat = (value: string, before: readonly string[] = []) => [...before, value]

/** The options that say which servers: the same for the monitor and for snapshot. */
function connecting(command: Command): Command {
  return command
    .argument('[conninfo...]', 'connection strings (URI or keyword=value) or a database name; several strings: several servers')
    .option('-h, --host <host>', 'host or socket directory')
    .option('-p, --port <port>', 'port')
    .option('-U, --username <name>', 'user')
    .option('-d, --dbname <name>', 'database, or a connection string')
    .option('--pgbouncer <conninfo>', 'the admin console of a PgBouncer; may be repeated', repeat)
    .option('--timescale <conninfo>', 'where the hypertables are, if not in the first database')
    .option('-c, --cluster <name>', 'a cluster of the configuration file')
    .option('--config <file>', 'the configuration file, in place of ~/.config/pgvigil/config.toml')
    .option('-w, --no-password', 'never ask for a password')
    .option('-W, --password', 'ask for a password before connecting')
    .option('-i, --interval <time>', 'how often the servers are asked: 1s (the default), 500ms, 0.5, 2')
    .helpOption('-?, --help', 'this help')
}

function program(): Command {
  const main = connecting(new Command('pgvigil'))
    .description('htop for a PostgreSQL cluster: primary, standbys, PgBouncer and TimescaleDB on one live screen')
    .version(pkg.version, '-V, --version', 'the version')
    .option('--panel <name>', 'the pane to open with: activity, locks, replication, chunks, pools')
    .option('--ascii', 'draw with ASCII only')
    .option('--slow-link', 'send the terminal less: rows are drawn every third refresh unless a key is pressed')
    .option('--read-only', 'offer no action that changes anything')
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .enablePositionalOptions()
    .action(async (conninfo: string[], given: Given) => {
      const { terminalTrouble, runTop } = await import('./top.tsx')
      const trouble = terminalTrouble(process.env)
      if (trouble) refuse(trouble)
      const options = optionsOf(conninfo, given)
      const choice = choiceOf(options)
      const config = choice.choose.length > 0 ? null : configOf(options, choice)
      const { panelNamed, panels } = await import('./panels/index.ts')
      const { panelFaults } = await import('./config/judge.ts')
      const names = panels.map(({ id }) => id)
      const faults = choice.file ? panelFaults(choice.file, names, name => panelNamed(name) !== null) : []
      if (faults.length > 0) refuse(faults.join('\n'))
      const wanted = config?.panel ?? options.panel ?? null
      const panel = panelNamed(wanted)
      if (!panel) refuse(noPanel(drawable(wanted), names))
      const clusters = choice.file?.clusters ?? []
      const code = await runTop({
        config,
        panel: panel.id,
        asking: askingOf(given),
        look: lookOf(options, process.env, choice.file),
        panelOf: ({ panel }) => (panel === null ? null : (panelNamed(panel)?.id ?? null)),
        clusters: clusters.map(({ name }) => name),
        configOf: name => {
          const cluster = clusters.find(one => one.name === name) ?? null
          const flags = { ...options, conninfo: [], pgbouncer: [] }
          return buildConfig(flags, process.env, undefined, { file: choice.file, cluster })
        },
      })
      process.exit(code)
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
      const options = optionsOf(conninfo, {
        ...before,
        ...own,
        pgbouncer: [...(before.pgbouncer ?? []), ...(own.pgbouncer ?? [])],
      })
      const config = await withAnswers(oneConfig(options), options)
      const plan = snapshotPlan({ json: given.json ?? false, panels: first ? [first, ...panel] : panel, count: given.count })
      if ('error' in plan) refuse(plan.error)
      process.exit(await runSnapshot(config, plan))
    })

  connecting(main.command('check'))
    .description('the daily checklist, for cron and Nagios: exit code 0 ok, 1 warning, 2 critical, 3 a server could not be asked')
    .option('--ascii', 'print ASCII only')
    .option('--json', 'the same as --format json')
    .option('--format <name>', 'text (the default), json, nagios (one line with perfdata) or openmetrics')
    .addOption(
      new Option('--only <id>', 'only this check; may be repeated, or several with commas').argParser(repeat).default([]),
    )
    .addOption(new Option('--skip <id>', 'not this check; may be repeated, or several with commas').argParser(repeat).default([]))
    .option('--before-maintenance', 'what must be in order before a maintenance window; remembers the cluster as it is')
    .option('--after-maintenance', 'all checks, and what has changed since --before-maintenance')
    .option('--list', 'prints what is checked, with the thresholds, and asks no server')
    .action(async (conninfo: string[], given: Given & CheckOptions & { list?: boolean }) => {
      usageCode = 3
      const before = main.opts<Given>()
      const options = optionsOf(conninfo, {
        ...before,
        ...given,
        pgbouncer: [...(before.pgbouncer ?? []), ...(given.pgbouncer ?? [])],
      })
      const { checkList, checkPlan, runCheck } = await import('./check.ts')
      const plan = checkPlan(given)
      if ('error' in plan) refuse(plan.error)
      if (given.list) {
        const choice = choiceOf(options)
        const several = choice.choose.length > 0
        const thresholds = several ? { ...defaultThresholds, ...choice.file?.thresholds } : configOf(options, choice).thresholds
        process.stdout.write(checkList({ thresholds }, plan.format === 'json'))
        return
      }
      const config = await withAnswers(oneConfig(options), options)
      process.exit(await runCheck(config, plan))
    })

  connecting(main.command('doctor'))
    .description(
      'what each server lets us see and do, pane by pane and action by action, and the GRANTs that would give the rest',
    )
    .option('--sql', 'prints statements that make a role that watches and one that acts, for each server')
    .option('--ascii', 'print ASCII only')
    .action(async (conninfo: string[], given: Given & { sql?: boolean }) => {
      const before = main.opts<Given>()
      const options = optionsOf(conninfo, {
        ...before,
        ...given,
        pgbouncer: [...(before.pgbouncer ?? []), ...(given.pgbouncer ?? [])],
      })
      const config = await withAnswers(oneConfig(options), options)
      const { runDoctor } = await import('./doctor.ts')
      process.exit(await runDoctor(config, given.sql ?? false))
    })

  main
    .command('config')
    .description('the configuration file: an example to begin with, or a judgement of the one that is there')
    .option('--example', 'prints a commented example')
    .option('--check', 'judges the file: exit code 0, or 2 with each error and its line')
    .option('--config <file>', 'the file, in place of ~/.config/pgvigil/config.toml')
    .helpOption('-?, --help', 'this help')
    .action(async (given: { example?: boolean; check?: boolean; config?: string }) => {
      const { exampleConfig, judgeConfig, panelFaults } = await import('./config/judge.ts')
      if (Object.keys(main.opts()).some(option => option !== 'config'))
        refuse('config takes no options but --config before its name')
      if (given.example) {
        process.stdout.write(exampleConfig)
        return
      }
      if (!given.check) refuse('config needs --example or --check')
      const judged = judgeConfig(given.config ?? main.opts<Given>().config, process.env)
      if ('error' in judged) refuse(judged.error)
      const { panelNamed, panels } = await import('./panels/index.ts')
      const faults = panelFaults(
        judged.file,
        panels.map(({ id }) => id),
        name => panelNamed(name) !== null,
      )
      if (faults.length > 0) refuse(faults.join('\n'))
      process.stdout.write(`${drawable(judged.ok)}\n`)
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

type Options = CliOptions & Pick<Given, 'password'>

function optionsOf(conninfo: readonly string[], given: Partial<Given>): Options {
  return { ...given, pgbouncer: given.pgbouncer ?? [], conninfo }
}

function choiceOf(options: Options): Choice {
  const choice = chooseCluster(options, process.env)
  if ('error' in choice) refuse(choice.error)
  return choice
}

function configOf(options: Options, choice: Choice): Config {
  const config = buildConfig(options, process.env, undefined, choice)
  if ('error' in config) refuse(config.error)
  return config
}

/** Where nobody can be asked which cluster it is to be. */
function oneConfig(options: Options): Config {
  const choice = choiceOf(options)
  if (choice.choose.length > 0) {
    refuse(
      `there are several clusters in ${choice.file?.path}: name one with -c (${choice.choose.map(({ name }) => name).join(', ')})`,
    )
  }
  return configOf(options, choice)
}

const askingOf = ({ password }: Pick<Given, 'password'>) =>
  password === undefined ? 'when wanted' : password ? 'first' : 'never'

/** With the passwords that had to be asked for. */
async function withAnswers(config: Config, options: Options): Promise<Config> {
  const { withPasswordsAsked } = await import('./password.ts')
  const known = await withPasswordsAsked(config, askingOf(options))
  if (known === null) process.exit(130)
  return known
}

/** What can't be understood ends with 2; of `check` with 3, since 2 would be a finding. */
let usageCode = process.argv[2] === 'check' ? 3 : 2

/** One sentence (of a configuration file one for each error), exit code 2 or 3, nothing on stdout. */
function refuse(sentence: string): never {
  for (const line of sentence.split('\n'))
    process.stderr.write(`${line.startsWith('pgvigil') ? '' : 'pgvigil: '}${drawable(line)}\n`)
  process.exit(usageCode)
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
