// A connection string as libpq reads it: URI, keyword/value, or a plain database name. Errors name a keyword or a position and never
// quote the text: whatever could not be understood may well be a piece of a password.

import { type Conninfo, isKeyword, type Keyword, suggestion } from './keywords.ts'
import { orError, Refusal } from './refusal.ts'

type Found = { -readonly [K in Keyword]?: string }

/**
 * Takes a connection string apart. A text that is neither a URI nor has a "=" is a database name, as for psql. Positions in errors count
 * characters from 1. Stricter than libpq where libpq would take part of an unencoded password for a host, port or database.
 */
export function parseConninfo(text: string): Conninfo | { readonly error: string } {
  return orError(() => {
    const uri = /^postgres(?:ql)?:\/\//.exec(text)
    if (uri) return parseUri(text.slice(uri[0].length), uri[0].length)
    const scheme = /^\s*([A-Za-z][A-Za-z0-9+.:-]*):\/\//.exec(text)
    if (scheme) throw new Refusal(`a connection URI starts with postgresql:// or postgres://, not ${scheme[1]!.slice(0, 20)}://`)
    if (text.includes('=')) return parseKeywordValue(text)
    return text === '' ? {} : { dbname: text }
  })
}

const isSpace = (char: string | undefined) => char !== undefined && ' \t\n\v\f\r'.includes(char)

function parseKeywordValue(text: string): Conninfo {
  const found: Found = {}
  let at = 0
  let previous: string | null = null
  const skipSpace = () => {
    while (isSpace(text[at])) at++
  }
  for (skipSpace(); at < text.length; skipSpace()) {
    const start = at
    while (at < text.length && text[at] !== '=' && !isSpace(text[at])) at++
    const word = text.slice(start, at)
    skipSpace()
    if (text[at] !== '=') {
      throw new Refusal(`the word at character ${start + 1} has no "=" after it (a value with spaces needs single quotes)`)
    }
    at++
    skipSpace()
    let value = ''
    const quoted = text[at] === "'"
    const opened = at
    if (quoted) at++
    while (quoted ? text[at] !== "'" : at < text.length && !isSpace(text[at])) {
      if (text[at] === '\\') at++
      if (at >= text.length) {
        if (!quoted) break
        throw new Refusal(`the quote opened at character ${opened + 1} is never closed`)
      }
      value += text[at++]
    }
    if (quoted) at++
    // After a password the next word may be the rest of it (a space or a quote it should not have had): not to be repeated.
    store(found, word, value, previous === 'password' ? null : word, start)
    previous = word
  }
  return found
}

/** `named`: the word if it may be shown, else null. */
function store(found: Found, word: string, value: string, named: string | null, position: number): void {
  if (word === 'requiressl') {
    found.sslmode = value.startsWith('1') ? 'require' : 'prefer'
    return
  }
  if (isKeyword(word)) {
    found[word] = value
    return
  }
  const meant = suggestion(word)
  const hint = meant ? ` (did you mean "${meant}"?)` : ''
  if (named !== null && /^[A-Za-z_]{1,32}$/.test(named)) throw new Refusal(`unknown connection keyword "${named}"${hint}`)
  throw new Refusal(`the word at character ${position + 1} is not a connection keyword${hint}`)
}

const encodeHint = 'in a URI a user name or password with / : @ ? # or % needs percent-encoding (@ is %40, / is %2F)'

function parseUri(rest: string, offset: number): Conninfo {
  const found: Found = {}
  const put = (keyword: Keyword, value: string) => {
    if (value !== '') found[keyword] = decode(value, keyword)
  }
  let at = 0
  const upTo = (stops: string) => {
    const start = at
    while (at < rest.length && !stops.includes(rest[at]!)) at++
    return rest.slice(start, at)
  }

  const credentials = upTo('@/')
  if (rest[at] === '@') {
    at++
    const colon = credentials.indexOf(':')
    const user = colon < 0 ? credentials : credentials.slice(0, colon)
    if (user.includes('?')) throw new Refusal(encodeHint)
    put('user', user)
    if (colon >= 0) put('password', credentials.slice(colon + 1))
  } else at = 0

  const hosts: string[] = []
  const ports: string[] = []
  do {
    if (hosts.length > 0) at++
    if (rest[at] === '[') {
      at++
      const opened = at
      const address = upTo(']')
      if (rest[at] !== ']') throw new Refusal(`the "[" at character ${offset + opened} is never closed`)
      if (address === '') throw new Refusal(`the IPv6 address at character ${offset + opened} is empty`)
      at++
      if (at < rest.length && !':/?,'.includes(rest[at]!))
        throw new Refusal(`after the "]" at character ${offset + at} ":", "/", "?" or "," must follow`)
      hosts.push(address)
    } else hosts.push(upTo(':/?,'))
    if (rest[at] === ':') {
      at++
      ports.push(upTo('/?,'))
    } else ports.push('')
  } while (rest[at] === ',')
  if (hosts.some(host => host.includes('@')) || ports.some(port => !/^\s*\d*\s*$/.test(decode(port, 'port')))) {
    throw new Refusal(`the host and port part is not host:port (${encodeHint})`)
  }
  put('host', hosts.join(','))
  put('port', ports.join(','))

  if (rest[at] === '/') {
    at++
    const dbname = upTo('?')
    if (dbname.includes('@')) throw new Refusal(`there is an "@" in the database name (${encodeHint})`)
    put('dbname', dbname)
  }
  if (rest[at] === '?') {
    // An "@" this late may end an unencoded password that reaches into the parameters.
    const nameable = !rest.includes('@', at)
    let position = at + 1
    const parameters = rest.slice(position)
    for (const part of parameters.endsWith('&')
      ? parameters.slice(0, -1).split('&')
      : parameters === ''
        ? []
        : parameters.split('&')) {
      parameter(found, part, offset + position, nameable)
      position += part.length + 1
    }
  }
  return found
}

function parameter(found: Found, part: string, position: number, nameable: boolean): void {
  const [rawWord = '', rawValue, ...more] = part.split('=')
  if (rawValue === undefined) throw new Refusal(`the parameter at character ${position + 1} of the URI has no "="`)
  if (more.length > 0) throw new Refusal(`the parameter at character ${position + 1} of the URI has a second "=" (write %3D)`)
  const word = decode(rawWord, 'a parameter name')
  const value = decode(rawValue, isKeyword(word) ? word : 'a parameter')
  // As libpq, for the sake of JDBC's URLs.
  if (word === 'ssl' && value === 'true') found.sslmode = 'require'
  else store(found, word, value, nameable ? word : null, position)
}

/** Percent-decoding; spaces at the ends are dropped and others refused, as libpq does since PostgreSQL 17. */
function decode(text: string, what: string): string {
  const trimmed = text.replace(/^ +| +$/g, '')
  if (trimmed.includes(' ')) throw new Refusal(`${what} contains a space: write %20 in a URI`)
  if (/%(?![0-9A-Fa-f]{2})/.test(trimmed))
    throw new Refusal(`${what} contains a "%" without two hexadecimal digits: write %25 for the sign itself`)
  if (trimmed.includes('%00')) throw new Refusal(`${what} contains %00, which no value may`)
  try {
    return decodeURIComponent(trimmed)
  } catch {
    throw new Refusal(`${what} contains percent-encoded bytes that are not UTF-8`)
  }
}
