// The lab's own connections: to loopback servers without TLS, whatever PG* variables the user has set.

import pg from 'pg'

export type Target = {
  readonly port: number
  readonly database?: string
  readonly user?: string
  readonly application_name?: string
}

/** Connects or fails within a few seconds. Errors of an idle connection (server stopped) are no surprise in a lab. */
export async function connect({ port, database = 'postgres', user = 'postgres', application_name = 'pgvigil lab' }: Target) {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    database,
    user,
    application_name,
    ssl: false,
    password: '',
    connectionTimeoutMillis: 5000,
  })
  client.on('error', () => {})
  await client.connect()
  return client
}

/** Connects, runs, and closes in any case. */
export async function withClient<T>(target: Target, run: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connect(target)
  try {
    return await run(client)
  } finally {
    await client.end().catch(() => {})
  }
}
