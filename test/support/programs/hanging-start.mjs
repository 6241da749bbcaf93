// Starts a node whose thread hangs from the first moment, and prints what the start throws and whether the thread is
// gone afterwards: hanging-start.mjs <start|startAsync>. Time passes a hundred times as fast as elsewhere.
import { once } from 'node:events'
import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers'
import threads from 'node:worker_threads'

const HASTE = 100
const { setTimeout } = timers
const clock = Object.getPrototypeOf(performance)
const [now, wait] = [clock.now.bind(performance), Atomics.wait]
clock.now = () => now() * HASTE
Atomics.wait = (words, index, value, ms) => wait(words, index, value, ms / HASTE)
timers.setTimeout = (call, ms) => setTimeout(call, ms / HASTE)

let exited
threads.Worker = class extends threads.Worker {
  constructor(_, options) {
    super('for(;;);', { ...options, eval: true })
    exited = once(this, 'exit')
  }
}
syncBuiltinESMExports()

const { generatePrivateKey, P2p } = await import('bitvmx-p2p')
const way = process.argv[2]
const error = await (async () => P2p[way]('127.0.0.1:0', await generatePrivateKey()))().catch(err => err)
const alive = new Promise(resolve => setTimeout(resolve, 5_000, 'alive'))
const thread = await Promise.race([exited.then(() => 'gone'), alive])
console.log(JSON.stringify({ code: error.code, message: error.message, thread }))
process.exit()
