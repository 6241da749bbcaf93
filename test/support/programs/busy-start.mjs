// Starts a node without blocking, keeps its own thread busy until the time for the start is long over, and prints
// whether it runs: busy-start.mjs. Time passes a hundred times as fast as elsewhere for timers.
const HASTE = 100
const { setTimeout } = globalThis
globalThis.setTimeout = (call, ms) => setTimeout(call, ms / HASTE)

const { generatePrivateKey, P2p } = await import('bitvmx-p2p')
const starting = P2p.startAsync('127.0.0.1:0', await generatePrivateKey())
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_000)
const p2p = await starting
console.log(p2p.runtime.state)
process.exit()
