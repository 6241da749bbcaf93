import { Worker } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import type { RuntimeData } from '../channels/index.ts'
import { messageOf, P2pError } from '../errors.ts'

/**
 * Room for new objects in the thread, as Node 20 has it by default. In the larger one of Node 24 the buffers that each
 * read and record brings lie about until they set off collections of the whole heap (docs/performance.md).
 */
const YOUNG_GENERATION_MIB = 6
/** The thread's entry point, bundled with all it needs; a test runner that reads the sources takes the built one, too. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? '../../dist/worker/worker.js' : '../worker/worker.js',
  import.meta.url
)

interface WorkerInit {
  port: MessagePort
  data: RuntimeData
  lifeline: MessagePort
}

/** Starts the runtime thread. @throws P2pError ERR_INVALID_OPTION as `plainly`, ERR_RUNTIME_FAILED */
export function startWorker(init: WorkerInit): Worker {
  return plainly(() => {
    try {
      return new Worker(WORKER, {
        name: 'bitvmx-p2p',
        workerData: init,
        transferList: [init.port, init.lifeline],
        // Flags meant for the application's own entry point (--input-type, --test, loaders) are not for this thread.
        execArgv: [],
        resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB }
      })
    } catch (err) {
      if ((err as Error).name === 'DataCloneError') throw err
      const denied = (err as { code?: unknown }).code === 'ERR_ACCESS_DENIED'
      const why = denied ? "Node's permission model is on, and wants --allow-worker" : messageOf(err)
      throw new P2pError('ERR_RUNTIME_FAILED', `the runtime thread cannot start: ${why}`, { cause: err })
    }
  })
}

/** Hands values to the other thread. @throws P2pError ERR_INVALID_OPTION when one of them is of a kind that cannot cross */
export function plainly<T>(hand: () => T): T {
  try {
    return hand()
  } catch (err) {
    if ((err as Error).name !== 'DataCloneError') throw err
    const message =
      'the allow list holds a function, a symbol or a proxy, wanted plain objects, arrays and strings'
    throw new P2pError('ERR_INVALID_OPTION', message, { cause: err })
  }
}
