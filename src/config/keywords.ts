// libpq's connection keywords (PostgreSQL 18), with the environment variable each falls back to and what we can do with it.

import { nearest } from './nearest.ts'

export type KeywordRule = {
  /** The environment variable that libpq reads when the keyword is not given. */
  readonly env?: string
  /** The only values we can honour; any other fails before connecting. An empty list: never supported. Without it: resolved by name. */
  readonly only?: readonly string[]
  /** Ends the sentence "KEYWORD is not supported: ...". */
  readonly why?: string
}

// `satisfies` keeps the literal names: they are the type Keyword. Keywords without a rule of their own either have a meaning in
// conninfo.ts or none for us (GSSAPI names when there is no GSSAPI; socket timers shorter than which our deadlines always are).
export const keywords = {
  service: { env: 'PGSERVICE' },
  user: { env: 'PGUSER' },
  password: { env: 'PGPASSWORD' },
  passfile: { env: 'PGPASSFILE' },
  channel_binding: { env: 'PGCHANNELBINDING' },
  connect_timeout: { env: 'PGCONNECT_TIMEOUT' },
  dbname: { env: 'PGDATABASE' },
  host: { env: 'PGHOST' },
  hostaddr: { env: 'PGHOSTADDR' },
  port: { env: 'PGPORT' },
  // PGCLIENTENCODING is left alone: it describes the terminal of other programs, and we always talk UTF-8 to the server.
  client_encoding: { only: ['auto', 'UTF8', 'utf8', 'UTF-8', 'utf-8', 'unicode'], why: 'the connection always uses UTF8' },
  options: { env: 'PGOPTIONS' },
  application_name: { env: 'PGAPPNAME' },
  fallback_application_name: {},
  keepalives: {},
  keepalives_idle: {},
  keepalives_interval: {},
  keepalives_count: {},
  tcp_user_timeout: {},
  sslmode: { env: 'PGSSLMODE' },
  sslnegotiation: { env: 'PGSSLNEGOTIATION' },
  sslcompression: { env: 'PGSSLCOMPRESSION', only: ['0', '1'] },
  sslcert: { env: 'PGSSLCERT' },
  sslkey: { env: 'PGSSLKEY' },
  sslcertmode: { env: 'PGSSLCERTMODE', only: ['disable', 'allow'], why: 'the server cannot be made to ask for a certificate' },
  sslpassword: { only: [], why: 'use a client key without a passphrase' },
  sslrootcert: { env: 'PGSSLROOTCERT' },
  sslcrl: { env: 'PGSSLCRL' },
  sslcrldir: { env: 'PGSSLCRLDIR', only: [], why: 'give one file with sslcrl' },
  sslsni: { env: 'PGSSLSNI', only: ['1'], why: 'the host name is always sent' },
  sslkeylogfile: { only: [] },
  requirepeer: { env: 'PGREQUIREPEER', only: [], why: 'the owner of a Unix socket cannot be checked' },
  require_auth: { env: 'PGREQUIREAUTH', only: [], why: 'the authentication method cannot be insisted on' },
  min_protocol_version: { env: 'PGMINPROTOCOLVERSION', only: ['3.0'], why: 'protocol 3.0 is what we speak' },
  max_protocol_version: { env: 'PGMAXPROTOCOLVERSION' },
  ssl_min_protocol_version: { env: 'PGSSLMINPROTOCOLVERSION', only: ['TLSv1.2'], why: 'TLS 1.2 is the least that is used' },
  ssl_max_protocol_version: { env: 'PGSSLMAXPROTOCOLVERSION', only: ['TLSv1.3'], why: 'the newest TLS both sides know is used' },
  gssencmode: { env: 'PGGSSENCMODE', only: ['disable', 'prefer'], why: 'there is no GSSAPI encryption here' },
  krbsrvname: { env: 'PGKRBSRVNAME' },
  gsslib: { env: 'PGGSSLIB' },
  gssdelegation: { env: 'PGGSSDELEGATION' },
  replication: { only: ['false', 'off', 'no', '0'], why: 'a monitor opens no replication connection' },
  target_session_attrs: { env: 'PGTARGETSESSIONATTRS' },
  load_balance_hosts: { env: 'PGLOADBALANCEHOSTS', only: ['disable'], why: 'hosts are tried in the order given' },
  scram_client_key: { only: [] },
  scram_server_key: { only: [] },
  oauth_issuer: { only: [] },
  oauth_client_id: { only: [] },
  oauth_client_secret: { only: [] },
  oauth_scope: { only: [] },
} as const satisfies Record<string, KeywordRule>

export type Keyword = keyof typeof keywords

/** A connection string taken apart: what was given, word for word, and nothing else. */
export type Conninfo = { readonly [K in Keyword]?: string }

export const isKeyword = (word: string): word is Keyword => Object.hasOwn(keywords, word)

export const ruleOf = (keyword: Keyword): KeywordRule => keywords[keyword]

// What people write who think of another program.
const otherNames: Readonly<Record<string, Keyword>> = {
  database: 'dbname',
  db: 'dbname',
  username: 'user',
  pass: 'password',
  pwd: 'password',
  passwd: 'password',
  hostname: 'host',
  server: 'host',
  ssl: 'sslmode',
  ssl_mode: 'sslmode',
  timeout: 'connect_timeout',
  connecttimeout: 'connect_timeout',
  appname: 'application_name',
  pgpass: 'passfile',
}

/** The keyword that was probably meant, or null. */
export function suggestion(word: string): Keyword | null {
  const lower = word.toLowerCase()
  if (isKeyword(lower)) return lower
  const other = Object.hasOwn(otherNames, lower) ? otherNames[lower] : undefined
  if (other) return other
  return nearest(lower, Object.keys(keywords) as Keyword[])
}
