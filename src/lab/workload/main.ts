// The process of the applications: node main.ts PRIMARY-PORT STANDBY-PORT POOLED-PORT. Runs until it is told to stop; all
// its sessions end with it.

import { load } from './load.ts'
import { locks } from './locks.ts'
import { standby } from './standby.ts'
import { traffic } from './traffic.ts'

// A statement may be ended (people try things in a lab) before its round comes to wait for it: the round meets that then.
process.on('unhandledRejection', () => {})

const [primary, other, pooled] = process.argv.slice(2).map(Number)
const ports = { primary: primary!, standby: other!, pooled: pooled! }
traffic(ports)
locks(ports)
standby(ports)
load(ports)
