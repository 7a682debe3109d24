import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseConninfo, resolveConninfo } from '../../src/config/conninfo.ts'

// What libpq 15's PQconninfoParse makes of the same text, but for the lines marked "stricter".
const understood: [text: string, meaning: Record<string, string>][] = [
  ['', {}],
  ['mydb', { dbname: 'mydb' }],
  ['my db', { dbname: 'my db' }],
  ['postgresql:/mydb', { dbname: 'postgresql:/mydb' }],

  ['host=h', { host: 'h' }],
  ['host=h port=5433 user=u dbname=d', { host: 'h', port: '5433', user: 'u', dbname: 'd' }],
  ['  host = h   port= 5433\tuser =u\n', { host: 'h', port: '5433', user: 'u' }],
  ["password='a b'", { password: 'a b' }],
  ["password='it\\'s'", { password: "it's" }],
  ["password='back\\\\slash'", { password: 'back\\slash' }],
  ["password=it's", { password: "it's" }],
  ['password=a\\ b', { password: 'a b' }],
  ["password=''", { password: '' }],
  ["password='a'host=h", { password: 'a', host: 'h' }],
  ['password=a=b', { password: 'a=b' }],
  ['password=é\u00a0x', { password: 'é\u00a0x' }],
  ['password=end\\', { password: 'end' }],
  ['host= port=1', { host: 'port=1' }],
  ['host=', { host: '' }],
  ['host=a host=b', { host: 'b' }],
  ['host=a,b port=1,2', { host: 'a,b', port: '1,2' }],
  ['host=/var/run/postgresql', { host: '/var/run/postgresql' }],
  ["dbname='postgres://h/d'", { dbname: 'postgres://h/d' }],
  ['requiressl=1', { sslmode: 'require' }],
  ['requiressl=0', { sslmode: 'prefer' }],
  ["options='-c geqo=off'", { options: '-c geqo=off' }],
  ['port=abc', { port: 'abc' }],

  ['postgresql://', {}],
  ['postgres://', {}],
  ['postgresql://h', { host: 'h' }],
  ['postgresql://h:5433', { host: 'h', port: '5433' }],
  ['postgresql://h:', { host: 'h' }],
  ['postgresql://:5433', { port: '5433' }],
  ['postgresql:///d', { dbname: 'd' }],
  ['postgresql://h/', { host: 'h' }],
  ['postgresql://h/d', { host: 'h', dbname: 'd' }],
  ['postgresql://u@h/d', { user: 'u', host: 'h', dbname: 'd' }],
  ['postgresql://u:p@h:5433/d', { user: 'u', password: 'p', host: 'h', port: '5433', dbname: 'd' }],
  ['postgresql://u:@h', { user: 'u', host: 'h' }],
  ['postgresql://:p@h', { password: 'p', host: 'h' }],
  ['postgresql://@', {}],
  ['postgresql://u:p:q@h', { user: 'u', password: 'p:q', host: 'h' }],
  ['postgresql://u:p?w#x@h', { user: 'u', password: 'p?w#x', host: 'h' }],
  ['postgresql://u%40corp:p%40%2F%3A%25@h', { user: 'u@corp', password: 'p@/:%', host: 'h' }],
  ['postgresql://%C3%BC@h', { user: 'ü', host: 'h' }],
  ['postgresql://h/my%20db', { host: 'h', dbname: 'my db' }],
  ['postgresql://h/a/b', { host: 'h', dbname: 'a/b' }],
  ['postgresql://[::1]', { host: '::1' }],
  ['postgresql://[::1]:5433/d', { host: '::1', port: '5433', dbname: 'd' }],
  ['postgresql://u:p@[2001:db8::1]?dbname=d', { user: 'u', password: 'p', host: '2001:db8::1', dbname: 'd' }],
  ['postgresql://h1:1,h2:2/d', { host: 'h1,h2', port: '1,2', dbname: 'd' }],
  ['postgresql://h1,h2:2', { host: 'h1,h2', port: ',2' }],
  ['postgresql://[::1]:1,[::2]', { host: '::1,::2', port: '1,' }],
  ['postgresql://%2Fvar%2Frun%2Fpostgresql/d', { host: '/var/run/postgresql', dbname: 'd' }],
  ['postgresql://%2Ftmp:5433', { host: '/tmp', port: '5433' }],
  ['postgresql:///d?host=/tmp&port=5433', { host: '/tmp', port: '5433', dbname: 'd' }],
  ['postgresql://h?', { host: 'h' }],
  ['postgresql://h?user=u&', { host: 'h', user: 'u' }],
  ['postgresql://h/d?user=u&dbname=e', { host: 'h', dbname: 'e', user: 'u' }],
  ['postgresql://h/?password=p@x', { host: 'h', password: 'p@x' }],
  ['postgresql://h?sslmode=require&connect_timeout=3', { host: 'h', sslmode: 'require', connect_timeout: '3' }],
  ['postgresql://h?ssl=true', { host: 'h', sslmode: 'require' }],
  ['postgresql://h?application_name=a%26b%3Dc', { host: 'h', application_name: 'a&b=c' }],
  ['postgresql://h?application%5Fname=x', { host: 'h', application_name: 'x' }],
  ['postgresql://h?options=-c%20geqo%3Doff', { host: 'h', options: '-c geqo=off' }],
  ['postgresql://h?requiressl=1', { host: 'h', sslmode: 'require' }],
  // As libpq since PostgreSQL 17.
  ['postgresql://h/ d ', { host: 'h', dbname: 'd' }],
]

const refused: [text: string, sentence: string | RegExp][] = [
  ['hots=h', 'unknown connection keyword "hots" (did you mean "host"?)'],
  ['database=d', 'unknown connection keyword "database" (did you mean "dbname"?)'],
  ['Host=h', 'unknown connection keyword "Host" (did you mean "host"?)'],
  ['applicaton_name=x', 'unknown connection keyword "applicaton_name" (did you mean "application_name"?)'],
  ['frobnicate=1', 'unknown connection keyword "frobnicate"'],
  ['=x', 'the word at character 1 is not a connection keyword'],
  ['host=a b', 'the word at character 8 has no "=" after it (a value with spaces needs single quotes)'],
  ["password='abc", 'the quote opened at character 10 is never closed'],
  ["host='a\\", 'the quote opened at character 6 is never closed'],
  ['password=se cret=1', 'the word at character 13 is not a connection keyword'],
  ["password='se'cret=1", 'the word at character 14 is not a connection keyword'],
  ["password='x' hots=h", 'the word at character 14 is not a connection keyword (did you mean "host"?)'],
  ["password='' secret=1", 'the word at character 13 is not a connection keyword'],
  ['mysql://u:p@h/d', 'a connection URI starts with postgresql:// or postgres://, not mysql://'],
  ['POSTGRES://h', /not POSTGRES:\/\//],
  ['jdbc:postgresql://h/d?user=u', /not jdbc:postgresql:\/\//],
  ['postgresql://[::1', 'the "[" at character 14 is never closed'],
  ['postgresql://[]', 'the IPv6 address at character 14 is empty'],
  ['postgresql://[::1]x', 'after the "]" at character 18 ":", "/", "?" or "," must follow'],
  ['postgresql://h?foo', 'the parameter at character 16 of the URI has no "="'],
  ['postgresql://h?port=1=2', 'the parameter at character 16 of the URI has a second "=" (write %3D)'],
  ['postgresql://h?user=u&hots=h', 'unknown connection keyword "hots" (did you mean "host"?)'],
  ['postgresql://h?ssl=false', 'unknown connection keyword "ssl" (did you mean "sslmode"?)'],
  ['postgresql://h/%zz', /^dbname contains a "%" without two hexadecimal digits/],
  ['postgresql://u:100%@h', /^password contains a "%" without/],
  ['postgresql://h/a%00b', 'dbname contains %00, which no value may'],
  ['postgresql://h/%FF', /not UTF-8/],
  ['postgresql://h/a b', 'dbname contains a space: write %20 in a URI'],
  // Stricter: libpq would take pieces of the password for host, port or database and call somebody else.
  ['postgres://u:pa/ss@h/d', /host:port.*%2F/],
  ['postgres://u:12/34@h/d', /"@" in the database name/],
  ['postgres://u:p@ss@h/d', /%40/],
  ['postgres://h?password=p@x', /percent-encoding/],
  ['postgres://h:port/d', /host:port/],
]

describe('parseConninfo', () => {
  test.each(understood)('%j', (text, meaning) => {
    expect(parseConninfo(text)).toEqual(meaning)
  })

  test.each(refused)('refuses %j', (text, sentence) => {
    const result = parseConninfo(text)
    expect(result).toHaveProperty('error')
    if (typeof sentence === 'string') expect(result).toEqual({ error: sentence })
    else expect(result).toEqual({ error: expect.stringMatching(sentence) })
  })

  test('never throws, whatever the text', () => {
    const pieces = fc.constantFrom(
      'postgres://',
      '[',
      ']',
      '@',
      ':',
      '/',
      '?',
      '&',
      '=',
      '%',
      '%4',
      "'",
      '\\',
      ' ',
      'host',
      'port=1',
      ',',
      'é',
      '\0',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(pieces).map(all => all.join('')),
        ),
        text => {
          expect(typeof parseConninfo(text)).toBe('object')
        },
      ),
      { numRuns: 2000 },
    )
  })

  test('no error holds a piece of a password that was not quoted or encoded', () => {
    const noise = fc
      .array(fc.constantFrom('/', ':', '@', '#', '%', '%4', ' ', "'", '\\', '=', ',', '[', ']', 'a', '1'), { maxLength: 5 })
      .map(all => all.join(''))
    const password = fc.tuple(noise, noise).map(([before, after]) => `${before}SECRET${after}`)
    const machine = { osUser: 'me', home: '/home/me', exists: () => false, readText: () => null }
    const templates = [
      (p: string) => `postgres://u:${p}@h/d`,
      (p: string) => `postgres://u:${p}@h1:1,h2:2/d?sslmode=require`,
      (p: string) => `host=h password=${p} user=u`,
      (p: string) => `password='${p}' host=h`,
      (p: string) => `postgres://h/d?password=${p}&sslmode=bogus`,
    ]
    fc.assert(
      fc.property(password, fc.constantFrom(...templates), (secret, template) => {
        const parsed = parseConninfo(template(secret))
        const result = 'error' in parsed ? parsed : resolveConninfo(parsed, {}, {}, machine)
        if ('error' in result) expect(result.error).not.toContain('SECRET')
        else expect(JSON.stringify({ ...result, password: null })).not.toContain('SECRET')
      }),
      { numRuns: 3000 },
    )
  })
})
