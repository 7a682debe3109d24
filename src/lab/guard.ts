// Nothing the lab started outlives the lab. A small shell of its own session holds the list of server processes and
// folders and reads from a pipe whose other end only we hold: when we are gone, whatever the reason, it ends the servers
// and removes the folders. Orderly ends take their entries off the list first.

import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'

// SIGQUIT is PostgreSQL's immediate shutdown, which removes its shared memory; the others just die of it.
const script = `
trap '' HUP INT TERM QUIT TSTP
pids=' '
folders=''
newline='
'
while IFS= read -r line; do
  value=\${line#* }
  case $line in
    'pid '*) pids="$pids$value " ;;
    'gone '*) case $pids in *" $value "*) pids="\${pids%% "$value" *} \${pids#* "$value" }" ;; esac ;;
    'folder '*) folders="$folders$value$newline" ;;
    'removed '*) folders=$(printf '%s' "$folders" | grep -vxF -- "$value")$newline ;;
  esac
done
[ "$pids" = ' ' ] || kill -QUIT $pids 2>/dev/null
tries=0
while [ $tries -lt 50 ] && [ "$pids" != ' ' ]; do
  left=' '
  for pid in $pids; do kill -0 "$pid" 2>/dev/null && left="$left$pid "; done
  pids=$left
  [ "$pids" = ' ' ] || sleep 0.1
  tries=$((tries + 1))
done
[ "$pids" = ' ' ] || kill -KILL $pids 2>/dev/null
printf '%s' "$folders" | while IFS= read -r folder; do
  [ -n "$folder" ] || continue
  rm -rf -- "$folder" || { sleep 0.5; rm -rf -- "$folder"; }
done
`

let guard: ChildProcess | undefined

function tell(line: string): void {
  if (!guard) {
    guard = spawn('/bin/sh', ['-c', script, 'pgvigil-lab-guard'], {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    guard.unref()
    ;(guard.stdin as Socket).unref()
    guard.stdin!.on('error', () => {})
    guard.on('error', () => {})
  }
  guard.stdin!.write(`${line}\n`)
}

/** From now on this process ends when we do. Takes itself off the list when the process has ended. */
export function guardProcess(child: ChildProcess): void {
  const { pid } = child
  if (pid === undefined) return
  tell(`pid ${pid}`)
  child.once('exit', () => tell(`gone ${pid}`))
}

/** From now on this folder is removed when we end. */
export function guardFolder(path: string): void {
  tell(`folder ${path}`)
}

/** The folder has been removed, or is no longer the guard's business. */
export function releaseFolder(path: string): void {
  tell(`removed ${path}`)
}
