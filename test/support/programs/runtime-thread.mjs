// Stands in front of the runtime thread's own module, so that a test can have code run in that thread.
import { parentPort, workerData } from 'node:worker_threads'

// oxlint-disable-next-line no-eval -- the tests' own code
parentPort.on('message', code => (0, eval)(code))
parentPort.unref()
await import(workerData.entry)
