import { expect, test } from 'vitest'
import { DialError } from '../../src/server/dial-error.ts'
import { failureOf } from '../../src/server/failure.ts'
import { ServerError } from '../../src/server/wire.ts'

const dialled = (code: string | null, message = 'x', permanent = false) => new DialError(message, code, permanent, true)
const word = (error: unknown, before: string | null = null, served = false) => failureOf(error, before, served).word

test.each([
  ['57P03', 'the database system is starting up', 'STARTING'],
  ['57P03', 'the database system is not yet accepting connections', 'STARTING'],
  ['57P03', 'the database system is not accepting connections', 'STARTING'],
  ['57P03', 'the database system is in recovery mode', 'RECOVERY'],
  ['57P03', 'the database system is shutting down', 'STOPPING'],
  ['53300', 'sorry, too many clients already', 'FULL'],
  ['ECONNREFUSED', 'nothing listens', 'DOWN'],
  [null, 'it closed the connection without a word', 'DOWN'],
] as const)('%s %s: %s', (code, message, expected) => {
  expect(word(dialled(code, message))).toBe(expected)
})

test('57P03 in another language: by how our session ended', () => {
  const german = dialled('57P03', 'das Datenbanksystem ist nicht bereit')
  expect([word(german, '57P01'), word(german, '57P02'), word(german)]).toEqual(['STOPPING', 'RECOVERY', 'STARTING'])
})

test('what a change of configuration alone would help is DENIED', () => {
  expect(word(dialled('28P01', 'password authentication failed', true))).toBe('DENIED')
})

test('a session that ended is told of by the next attempt; one that never served, and not by the server, is DOWN', () => {
  const lost = (code: string | null) => new ServerError('lost', 'x', code)
  expect([word(lost(null), null, true), word(lost('57P05'), null, true), word(lost('57P01')), word(lost('57P02'))]).toEqual(
    Array(4).fill('CONNECTING'),
  )
  expect([word(lost(null)), word(lost('08P01')), word(new ServerError('silent', 'x', null))]).toEqual(['DOWN', 'DOWN', 'DOWN'])
  expect(word(new ServerError('lost', 'the server is shutting down (smart stop)', '57P03'), null, true)).toBe('STOPPING')
})

test('a bug is no failure of a server', () => {
  expect(() => failureOf(new TypeError('x'), null, false)).toThrow(TypeError)
})
