// Errors after which a session goes on, and those that end it.

import { expect, test } from 'vitest'
import { isRefusal } from '../../src/server/wire.ts'

test.each([
  ['a refused statement', { severity: 'ERROR', code: '42501' }, true],
  ['one of a German server', { severity: 'FEHLER', code: '42501' }, true],
  ['a statement that took too long, in French', { severity: 'ERREUR', code: '57014' }, true],
  ['any error of a PgBouncer', { severity: 'ERROR', code: '08P01' }, true],
  ['a shutdown', { severity: 'FATAL', code: '57P01' }, false],
  ['a shutdown, in Italian', { severity: 'FATALE', code: '57P01' }, false],
  ['a session idle for too long, in Japanese', { severity: '致命的エラー', code: '57P05' }, false],
  ['a crash', { severity: 'PANIC', code: 'XX000' }, false],
  ['a connection that broke: no word of a server', { code: 'ECONNRESET' }, false],
  ['an error of our own', {}, false],
])('%s', (_, fields, refused) => {
  expect(isRefusal(Object.assign(new Error('x'), fields))).toBe(refused)
})
