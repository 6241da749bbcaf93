// Prints what a start throws:
// start-failure.mjs <address> [start|startAsync] [options as JSON] [so many file descriptors are free]
import { closeSync, openSync } from 'node:fs'
import { devNull } from 'node:os'
import { generatePrivateKey, P2p } from 'bitvmx-p2p'

const [address, way = 'start', options = '{}', free] = process.argv.slice(2)
const key = await generatePrivateKey()
if (free !== undefined) {
  const taken = []
  try {
    for (;;) taken.push(openSync(devNull))
  } catch {
    for (let i = 0; i < free; i++) closeSync(taken.pop())
  }
}

let failure = {}
try {
  const p2p = await P2p[way](address, key, JSON.parse(options))
  p2p.stop()
} catch ({ code, message }) {
  failure = { code, message }
}
console.log(JSON.stringify(failure))
process.exit()
