// The runtime thread is nobody's business but the module's: a test that wants to harm it has to catch it at birth.
// Import this before 'bitvmx-p2p'.
import { syncBuiltinESMExports } from 'node:module'
import threads from 'node:worker_threads'

/** The latest runtime thread; it evaluates every text posted to it. */
export let runtimeThread

threads.Worker = class extends threads.Worker {
  constructor(_, options) {
    super(new URL('runtime-thread.mjs', import.meta.url), { ...options, eval: false })
    runtimeThread = this
  }
}
syncBuiltinESMExports()
