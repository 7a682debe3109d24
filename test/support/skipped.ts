// What can't be tested on this machine is said, not only counted.

/** True when there is a reason not to run a test; it is printed then. For `skipIf`. */
export function skipped(what: string, reason: string | null): boolean {
  if (reason !== null) process.stdout.write(`skipped: ${what}: ${reason}\n`)
  return reason !== null
}
