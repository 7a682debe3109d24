// Databases, roles and tables of the lab's applications.

import { withClient } from '../client.ts'

/** Who logs in where; through the pooler too. */
export const logins = [
  { database: 'app', user: 'app_user' },
  { database: 'app', user: 'worker' },
  { database: 'shop', user: 'shop_user' },
  { database: 'reports', user: 'analyst' },
] as const

const tables = {
  // Traffic uses accounts and orders from 100 up; the lower ones belong to the lock scenarios.
  app: `
    CREATE TABLE accounts (id int PRIMARY KEY, owner text NOT NULL, balance numeric NOT NULL) WITH (parallel_workers = 3);
    INSERT INTO accounts SELECT i, 'customer ' || i, 1000 FROM generate_series(1, 2000) i;
    CREATE TABLE orders (id int PRIMARY KEY, account_id int NOT NULL, status text NOT NULL, total numeric NOT NULL);
    INSERT INTO orders SELECT i, 1 + i % 2000, 'open', i % 300 FROM generate_series(1, 5000) i;
    CREATE INDEX orders_account_id ON orders (account_id);
    CREATE TABLE events (id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), kind text NOT NULL, payload text);
    CREATE INDEX events_at ON events (at);
    CREATE TABLE import_lines (id bigint, batch int, line text);`,
  shop: `
    CREATE TABLE products (id int PRIMARY KEY, name text NOT NULL, stock int NOT NULL);
    INSERT INTO products SELECT i, 'product ' || i, 500 FROM generate_series(1, 500) i;
    CREATE TABLE carts (id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), product_id int, amount int);`,
  reports: `
    CREATE TABLE ledger (id int, booked date, amount numeric, text text);
    INSERT INTO ledger SELECT i, current_date - i % 365, i % 1000, repeat('x', 60) FROM generate_series(1, 40000) i;
    CREATE INDEX ledger_booked ON ledger (booked);
    CREATE TABLE invoices (id int PRIMARY KEY, customer text, paid boolean);
    INSERT INTO invoices SELECT i, 'customer ' || i, i % 3 = 0 FROM generate_series(1, 3000) i;`,
} as const

/** Makes everything on a fresh primary, and pg_stat_statements in each database. Under a second. */
export async function createSchema(port: number): Promise<void> {
  const databases = Object.keys(tables) as (keyof typeof tables)[]
  await withClient({ port }, async client => {
    for (const user of new Set(logins.map(login => login.user))) await client.query(`CREATE ROLE ${user} LOGIN`)
    for (const database of databases) await client.query(`CREATE DATABASE ${database}`)
    await client.query('CREATE EXTENSION pg_stat_statements')
  })
  for (const database of databases) {
    await withClient({ port, database }, async client => {
      await client.query('CREATE EXTENSION pg_stat_statements')
      await client.query(tables[database])
      for (const login of logins.filter(one => one.database === database)) {
        await client.query(
          `GRANT ALL ON ALL TABLES IN SCHEMA public TO ${login.user}; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO ${login.user}`,
        )
      }
      await client.query('ANALYZE')
    })
  }
}
