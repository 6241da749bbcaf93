import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Collects garbage now. Node hands out the means only to a context made after the flag is set. */
export async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  // A WeakRef keeps its target alive until the end of the turn in which it was made.
  await new Promise(resolve => setImmediate(resolve))
  gc()
}
