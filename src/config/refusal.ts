/** Thrown inside src/config only, and turned into `{ error }` at its doors: a sentence for the user that holds no value from a conninfo. */
export class Refusal extends Error {}

/** Runs a resolver whose expected trouble is a Refusal; anything else thrown is a bug and goes on up. */
export function orError<T>(work: () => T): T | { readonly error: string } {
  try {
    return work()
  } catch (error) {
    if (error instanceof Refusal) return { error: error.message }
    throw error
  }
}
