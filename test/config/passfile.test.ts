import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { findPassword, readPassfile } from '../../src/config/passfile.ts'

const key = { host: 'db1', port: 5432, database: 'app', user: 'me' }

// As libpq reads a line of the file.
test.each<[string, Partial<typeof key>, string | null]>([
  ['db1:5432:app:me:secret', {}, 'secret'],
  ['*:*:*:*:any', {}, 'any'],
  ['# c\n\ndb2:5432:app:me:two\ndb1:*:*:me:one\n*:*:*:*:last', {}, 'one'],
  ['db1:5433:app:me:x', {}, null],
  ['db1:5432:APP:me:x', {}, null],
  ['db1:5432:app:me:with\\:colon\\\\and', {}, 'with:colon\\and'],
  ['db1:5432:app:me:cut:here', {}, 'cut'],
  ['db1:5432:app:me: spaces kept ', {}, ' spaces kept '],
  ['db1:5432:app:me:crlf\r\n', {}, 'crlf'],
  ['\\:\\:1:5432:app:me:v6', { host: '::1' }, 'v6'],
  ['::1:5432:app:me:v6', { host: '::1' }, null],
  ['db1:5432:app:m\\:e:x', { user: 'm:e' }, 'x'],
  ['\\*:5432:app:me:no wildcard', {}, null],
  ['localhost:5432:app:me:socket', { host: '/var/run/postgresql' }, 'socket'],
  ['/var/run/postgresql:5432:app:me:socket', { host: '/var/run/postgresql' }, 'socket'],
  ['localhost:5432:app:me:socket', { host: '/srv/sock' }, null],
  ['/srv/sock:5432:app:me:socket', { host: '/srv/sock' }, 'socket'],
  ['db1:5432:app:me\n*:*:*:*:next', {}, 'next'],
  ['db1:5432:app:me:\n*:*:*:*:next', {}, null],
  ['', {}, null],
])('%j for %j', (text, other, password) => {
  expect(findPassword(text, { ...key, ...other })).toBe(password)
})

const directory = mkdtempSync(join(tmpdir(), 'passfile-'))
afterAll(() => rmSync(directory, { recursive: true }))

test('a file that others may read is not used, and the reason says so without its contents', async () => {
  const path = join(directory, 'pass')
  writeFileSync(path, '*:*:*:*:secret')
  chmodSync(path, 0o600)
  expect(await readPassfile(path, key)).toEqual({ password: 'secret', problem: null })
  chmodSync(path, 0o640)
  expect(await readPassfile(path, key)).toEqual({
    password: null,
    problem: `the password file ${path} is not used: others may read it (chmod 600 it)`,
  })
})

test('a missing file is no problem, a directory is one', async () => {
  expect(await readPassfile(join(directory, 'none'), key)).toEqual({ password: null, problem: null })
  mkdirSync(join(directory, 'dir'))
  expect(await readPassfile(join(directory, 'dir'), key)).toMatchObject({
    password: null,
    problem: expect.stringContaining('not a plain file'),
  })
})
