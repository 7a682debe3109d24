// The audit trail: where it is, what is in it and what never is, and how it is read back.

import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { type Audit, type AuditDeed, type AuditLine, auditPath, openAudit, readTrail } from '../../src/audit.ts'
import { jsonText } from '../../src/model/json.ts'
import { redacted, withoutPasswords } from '../../src/model/redact.ts'
import { sinceMoment, trailTable } from '../../src/trail.ts'
import { noon } from '../support/state.ts'

const base = mkdtempSync(join(tmpdir(), 'pgvigil-audit-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))
let folders = 0
const fresh = () => join(base, String(++folders))

const deed = (change: Partial<AuditDeed> = {}): AuditDeed => ({
  id: '1-a-1',
  action: 'terminate',
  server: 'pg1',
  role: 'primary',
  user: 'dba',
  sql: 'SELECT pg_terminate_backend(7301)',
  target: { pid: 7301, backend_start: '2026-11-23 09:14:05.123456+00', usename: 'app' },
  ...change,
})

function trail(state = fresh(), env: Readonly<Record<string, string>> = {}): Audit & { readonly text: () => string } {
  const audit = openAudit({ XDG_STATE_HOME: state, ...env }, { home: null, osUser: 'ann' }, () => noon)
  return { ...audit, text: () => readFileSync(audit.path as string, 'utf8') }
}

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8)

describe('where it is', () => {
  test.each([
    ['/state', '/home/ann', '/state/pgvigil/audit.jsonl'],
    [undefined, '/home/ann', '/home/ann/.local/state/pgvigil/audit.jsonl'],
    ['', '/home/ann', '/home/ann/.local/state/pgvigil/audit.jsonl'],
    ['state', '/home/ann', '/home/ann/.local/state/pgvigil/audit.jsonl'],
    ['./state', null, null],
    [undefined, null, null],
    ['/state', null, '/state/pgvigil/audit.jsonl'],
  ])('XDG_STATE_HOME %s, home %s: %s', (XDG_STATE_HOME, home, path) => {
    expect(auditPath({ XDG_STATE_HOME }, { home })).toBe(path)
  })

  test('nothing is made before the first deed; then folders for the user alone and a file for the user alone', () => {
    const state = fresh()
    const audit = trail(state)
    expect(existsSync(state)).toBe(false)
    const umask = process.umask(0)
    try {
      expect(audit.begun(deed())).toBeNull()
    } finally {
      process.umask(umask)
    }
    expect([mode(state), mode(dirname(audit.path!)), mode(audit.path!)]).toEqual(['700', '700', '600'])
  })

  test('folders and a file that are there keep their modes and their lines', () => {
    const state = fresh()
    const audit = trail(state)
    mkdirSync(dirname(audit.path!), { recursive: true })
    writeFileSync(audit.path!, '{"kept":1}\n')
    chmodSync(audit.path!, 0o640)
    audit.begun(deed())
    expect(mode(audit.path!)).toBe('640')
    expect(audit.text()).toMatch(/^\{"kept":1\}\n\{"at":.*\}\n$/)
  })

  test('without a home it says so and writes nothing', () => {
    const audit = openAudit({}, { home: null, osUser: null })
    const why = 'there is no home directory to keep the audit trail in (XDG_STATE_HOME names one)'
    expect([audit.path, audit.trouble(), audit.begun(deed()), audit.ended(deed(), 'gone', 'gone')]).toEqual([null, why, why, why])
  })

  test('what can not be written is told with its path, at each line, and never throws', () => {
    const file = join(base, 'a-file')
    writeFileSync(file, '')
    const below = trail(file)
    const why = `the audit trail ${file}/pgvigil/audit.jsonl can't be written (ENOTDIR)`
    expect([below.trouble(), below.begun(deed()), below.ended(deed(), 'gone', '')]).toEqual([why, why, why])
    const folder = trail()
    mkdirSync(folder.path!, { recursive: true })
    expect(folder.trouble()).toMatch(/audit\.jsonl can't be written \(EISDIR\)$/)
  })

  test.skipIf(!existsSync('/dev/full'))('a full disk is told when the line is written', () => {
    const audit = trail()
    mkdirSync(dirname(audit.path!), { recursive: true })
    symlinkSync('/dev/full', audit.path!)
    expect(audit.begun(deed())).toMatch(/can't be written \(ENOSPC\)$/)
  })

  test('asking whether it can be written leaves no line', () => {
    const audit = trail()
    expect(audit.trouble()).toBeNull()
    expect(audit.text()).toBe('')
  })
})

describe('what is in it', () => {
  test('two lines a deed, with all that the design names', () => {
    const audit = trail(fresh(), { SSH_CLIENT: '10.0.0.9 51022 22' })
    audit.begun(deed())
    audit.ended(deed(), 'gone', 'gone after 0.1s')
    const lines = audit
      .text()
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    const both = {
      at: '2026-11-23T12:00:00.000Z',
      id: '1-a-1',
      action: 'terminate',
      osUser: 'ann',
      sshClient: '10.0.0.9 51022 22',
      server: 'pg1',
      role: 'primary',
      user: 'dba',
      sql: 'SELECT pg_terminate_backend(7301)',
      target: { pid: 7301, backend_start: '2026-11-23 09:14:05.123456+00', usename: 'app' },
    }
    expect(lines).toEqual([
      { ...both, phase: 'begun', outcome: null, detail: null },
      { ...both, phase: 'ended', outcome: 'gone', detail: 'gone after 0.1s' },
    ])
  })

  test.each([
    [{ SSH_CLIENT: '10.0.0.9 1 22', SSH_CONNECTION: '10.0.0.8 1 10.0.0.1 22' }, '10.0.0.9 1 22'],
    [{ SSH_CONNECTION: '10.0.0.8 1 10.0.0.1 22' }, '10.0.0.8 1 10.0.0.1 22'],
    [{ SSH_CLIENT: '' }, null],
    [{}, null],
  ])('where the user came from: %o is %s', (env, sshClient) => {
    const audit = trail(fresh(), env as Record<string, string>)
    audit.begun(deed())
    expect(JSON.parse(audit.text())).toMatchObject({ sshClient })
  })

  test('a line is a line, whatever is in it: nothing that acts on a terminal, and what it was can be read back', () => {
    const hostile = 'a\u001b]0;x\u0007\r\nb\u009b\u2028\u202e\ud800"\\'
    const audit = trail()
    audit.begun(deed({ server: hostile, sql: hostile, target: { query: hostile, total_bytes: 2n ** 60n, nothing: null } }))
    const text = audit.text()
    expect(text.match(/\n/g)).toHaveLength(1)
    expect(text.trimEnd()).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
    expect(JSON.parse(text)).toMatchObject({ server: hostile, sql: hostile, target: { query: hostile, nothing: null } })
    expect(text).toContain('"total_bytes":1152921504606846976')
  })

  test('a line that was broken off swallows neither itself nor the next', () => {
    const audit = trail()
    audit.begun(deed())
    appendFileSync(audit.path!, '{"at":"2026-11-23T12:00:00.000Z","phase":"ended","id":"1-a')
    audit.ended(deed(), 'gone', 'gone')
    audit.begun(deed({ id: '1-a-2' }))
    const { lines, unreadable } = readTrail(audit.path, null)
    expect([lines.map(({ id, phase }) => `${id} ${phase}`), unreadable]).toEqual([
      ['1-a-1 begun', '1-a-1 ended', '1-a-2 begun'],
      1,
    ])
  })

  test('several processes that write at once do not mix their lines', () => {
    const state = fresh()
    const path = trail(state).path!
    const writer = `
      import { openAudit } from ${JSON.stringify(join(import.meta.dirname, '../../src/audit.ts'))}
      const audit = openAudit({ XDG_STATE_HOME: ${JSON.stringify(state)} }, { home: null, osUser: null })
      for (let n = 0; n < 100; n++)
        audit.begun({ id: process.argv[1] + '-' + n, action: 'cancel', server: 's', role: null, user: null, sql: 'x'.repeat(5000), target: {} })`
    // The shell starts them together and waits for all.
    const one = (n: number) => `"$NODE" --input-type=module -e "$WRITER" ${n} &`
    execFileSync('sh', ['-c', `${one(1)} ${one(2)} ${one(3)} wait`], {
      env: { ...process.env, NODE: process.execPath, WRITER: writer },
    })
    const { lines, unreadable } = readTrail(path, null)
    expect(unreadable).toBe(0)
    expect(new Set(lines.map(({ id }) => id)).size).toBe(300)
  })
})

describe('passwords are never in it', () => {
  const secret = /s3cr3t|pa55|hunter2/i
  test.each([
    `ALTER ROLE app PASSWORD 's3cr3t'`,
    `ALTER ROLE app WITH ENCRYPTED PASSWORD 's3cr3t' VALID UNTIL 'infinity'`,
    `create role app login password 's3cr3t with spaces and ''hunter2'' quotes'`,
    `alter role app password E's3cr3t\\'hunter2'`,
    `alter role app password U&'s3cr3t'`,
    `alter role app password $$s3cr3t$$`,
    `alter role app password $x$s3cr3t $$ hunter2$x$`,
    `alter role app password\n\t's3cr3t'`,
    `create user mapping for app server far options (user 'app', password 's3cr3t')`,
    `create subscription s connection 'host=far user=app password=s3cr3t dbname=shop' publication p`,
    `create subscription s connection 'host=far user=app password=''s3cr3t hunter2'' dbname=shop' publication p`,
    `create subscription s connection 'postgres://app:s3cr3t@far/shop' publication p`,
    `create subscription s connection 'postgresql://app:s3cr3t:hunter2@far:5432/shop?sslmode=require' publication p`,
    `select dblink('host=far password = s3cr3t', 'select 1')`,
    `select dblink($$host=far password='s3cr3t hunter2'$$, 'select 1')`,
    `postgres://far/shop?user=app&password=s3cr3t`,
    `ALTER ROLE app PASSWORD /* new */ 's3cr3t'`,
    `ALTER ROLE app PASSWORD -- new\n 's3cr3t'`,
    `COPY t FROM PROGRAM 'PGPASSWORD=s3cr3t psql'`,
    `CREATE SUBSCRIPTION s CONNECTION 'postgres://app:s3cr3t`,
    `select dblink('host=far sslpassword=s3cr3t')`,
    // Cut off in the middle, as lists read them.
    `ALTER ROLE app PASSWORD 's3cr3t and it goes on`,
    `ALTER ROLE app PASSWORD $$s3cr3t and it goes on`,
    `create subscription s connection 'host=far password=s3cr`,
    `create subscription s connection 'host=far password=''s3cr3t hun`,
  ])('%s', text => {
    expect(withoutPasswords(text)).not.toMatch(secret)
    expect(withoutPasswords(text)).toContain('***')
  })

  test.each([
    `select password from users where name = 'ann'`,
    `select 'a:b@c', now() at time zone 'UTC'`,
    `select * from t where id = 7 and note = 'it''s fine'`,
    'postgres://far:5432/shop',
    `select 1`,
    '',
  ])('and nothing else is taken away: %s', text => {
    expect(withoutPasswords(text)).toBe(text)
  })

  test('what stands after the password stays', () => {
    expect(withoutPasswords(`ALTER ROLE app PASSWORD 's3cr3t' VALID UNTIL '2027-01-01'`)).toBe(
      `ALTER ROLE app PASSWORD '***' VALID UNTIL '2027-01-01'`,
    )
    expect(withoutPasswords('host=far password=s3cr3t dbname=shop')).toBe('host=far password=*** dbname=shop')
    expect(withoutPasswords('postgres://app:s3cr3t@far:5432/shop')).toBe('postgres://app:***@far:5432/shop')
  })

  test('in every text of a record, however deep, and in neither of its lines', () => {
    const query = `ALTER ROLE app PASSWORD 's3cr3t'`
    expect(redacted({ a: [query, { b: query }], n: 1, big: 2n, none: null, yes: true })).toEqual({
      a: [`ALTER ROLE app PASSWORD '***'`, { b: `ALTER ROLE app PASSWORD '***'` }],
      n: 1,
      big: 2n,
      none: null,
      yes: true,
    })
    const audit = trail()
    const given = deed({ sql: query, target: { pid: 1, query } })
    audit.begun(given)
    audit.ended(given, 'failed', `refused: syntax error in ${query}`)
    expect(audit.text()).not.toMatch(secret)
    expect(audit.text().match(/\*\*\*/g)).toHaveLength(5)
  })
})

describe('read back', () => {
  const line = (change: Partial<AuditLine> = {}): AuditLine => ({
    at: '2026-11-23T12:00:00.000Z',
    phase: 'begun',
    osUser: 'ann',
    sshClient: null,
    ...deed(),
    outcome: null,
    detail: null,
    ...change,
  })
  const ended = (change: Partial<AuditLine> = {}) =>
    line({ at: '2026-11-23T12:00:01.000Z', phase: 'ended', outcome: 'gone', detail: 'gone after 0.1s', ...change })
  function file(...lines: readonly string[]): string {
    const path = fresh()
    writeFileSync(path, lines.map(text => `${text}\n`).join(''))
    return path
  }

  test('no path and no file are an empty trail; a folder in its place is none', () => {
    expect(readTrail(null, null)).toEqual({ lines: [], unreadable: 0 })
    expect(readTrail(join(base, 'not there'), null)).toEqual({ lines: [], unreadable: 0 })
    expect(() => readTrail(base, null)).toThrow(/EISDIR/)
  })

  test('from a moment on, that moment included', () => {
    const path = file(...[1, 2, 3].map(n => jsonText(line({ id: String(n), at: `2026-11-23T12:00:0${n}.000Z` }))))
    expect(readTrail(path, noon + 2000).lines.map(({ id }) => id)).toEqual(['2', '3'])
    expect(readTrail(path, null).lines).toHaveLength(3)
  })

  test('what is no record is counted and left out', () => {
    const good = jsonText(line())
    const path = file('', 'nonsense', '{"at":1}', 'null', '[]', '7', '{"at":"when","id":"1"}', good.slice(0, 30), good)
    expect(readTrail(path, null)).toEqual({ lines: [line()], unreadable: 7 })
  })

  test('the table: a line a deed, its end beside its beginning', () => {
    const table = trailTable([
      line({ sshClient: '10.0.0.9 51022 22' }),
      line({ id: '2', action: 'pause', server: 'pgb', role: 'pgbouncer', target: { database: 'shop' }, osUser: null }),
      ended(),
      line({ id: '3', action: 'runJob', role: null, target: { job_id: 1000 } }),
    ])
    expect(table).toEqual([
      'BEGUN                 WHO           SERVER         ACTION     TARGET        OUTCOME  DETAIL',
      '2026-11-23 12:00:00Z  ann@10.0.0.9  pg1 primary    terminate  pid 7301 app  gone     gone after 0.1s',
      '2026-11-23 12:00:00Z  ?             pgb pgbouncer  pause      shop          –        no end is recorded: pgvigil was ended in the middle, or it goes on',
      '2026-11-23 12:00:00Z  ann           pg1            runJob     job 1000      –        no end is recorded: pgvigil was ended in the middle, or it goes on',
    ])
    expect(trailTable([])).toEqual([])
  })

  test('an end whose beginning is before the moment asked for is not lost', () => {
    expect(trailTable([ended()])[1]).toMatch(/terminate .* gone +gone after 0\.1s$/)
  })

  test('hostile text in a trail is harmless in the table and in JSON', () => {
    const hostile = '\u001b]0;x\u0007\u001b[2J\r\n\u009b\u202e🙂'
    const bad = line({
      action: hostile,
      server: hostile,
      role: hostile,
      osUser: hostile,
      sshClient: hostile,
      target: { pid: hostile as unknown as number, application_name: hostile },
    })
    const lines = trailTable([bad, { ...bad, phase: 'ended', outcome: hostile as 'gone', detail: hostile }])
    expect(lines).toHaveLength(2)
    for (const text of [...lines, jsonText(bad)]) expect(text).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
    expect(lines[1]).toContain('␛]0;x␇')
  })

  test('a record that lacks what this version writes does not end the reading', () => {
    const path = file('{"at":"2026-11-23T12:00:00.000Z","id":"1","phase":"begun"}')
    expect(() => trailTable(readTrail(path, null).lines)).not.toThrow()
  })
})

describe('--since', () => {
  test.each([
    ['90s', 90_000],
    ['30m', 1_800_000],
    ['30min', 1_800_000],
    ['1h', 3_600_000],
    ['2d', 172_800_000],
    ['1w', 604_800_000],
    ['1.5h', 5_400_000],
    [' 1 h ', 3_600_000],
    ['0s', 0],
  ])('%s is an age', (text, ms) => {
    expect(sinceMoment(text, noon)).toBe(noon - ms)
  })

  test.each([
    ['2026-11-23', Date.UTC(2026, 10, 23)],
    ['2026-11-23T11:30:00Z', noon - 1_800_000],
    ['2026-11-23T12:30:00+01:00', noon - 1_800_000],
    [' 2026-11-23T11:30Z ', noon - 1_800_000],
  ])('%s is a date', (text, moment) => {
    expect(sinceMoment(text, noon)).toBe(moment)
  })

  test.each(['', 'yesterday', '1', '-1h', '1y', 'h', '1h30m', '1e3s', '2026', '2026-13-45', '23.11.2026', 'NaN', 'Infinityh'])(
    '"%s" is neither',
    text => {
      expect(sinceMoment(text, noon)).toEqual({
        error: `--since is an age such as 1h, 30m or 2d, or a date, not "${text}"`,
      })
    },
  )

  test('what it complains of is drawable and short', () => {
    const told = sinceMoment(`\u001b[2J${'x'.repeat(500)}`, noon) as { error: string }
    expect(told.error).toMatch(/^--since .* not "␛\[2Jx{25,30}"$/)
  })
})
