// Starts a node without blocking, keeps its own thread busy until its node runs and the time for the start is long
// over, and prints whether it runs: busy-start.mjs. Time passes a hundred times as fast as elsewhere for timers.
import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers'
import threads from 'node:worker_threads'
import { Word } from '../../../dist/bridge/index.js'

const HASTE = 100
const { setTimeout } = timers
timers.setTimeout = (call, ms) => setTimeout(call, ms / HASTE)

let control
threads.Worker = class extends threads.Worker {
  constructor(url, options) {
    super(url, options)
    ;({ control } = options.workerData.data)
  }
}
syncBuiltinESMExports()

const { generatePrivateKey, P2p } = await import('bitvmx-p2p')
const starting = P2p.startAsync('127.0.0.1:0', await generatePrivateKey())
// The node says that it runs, however long that takes; the time for it, 300 ms, is over after a second anyway.
Atomics.wait(control, Word.replySignal, 0, 60_000)
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000)
const p2p = await starting
console.log(p2p.runtime.state)
process.exit()
