// A peer that exchanges messages with a node for as long as it is told to, and notices everything that goes wrong.
import { generatePrivateKey, P2p } from 'bitvmx-p2p'
import { serve } from './serve.mjs'

let p2p
let running = true
let inFlight = 1
let pauseMs = 0
const payload = new Uint8Array(100)
const report = { acknowledged: 0, refused: 0, others: [] }

async function run(target) {
  const send = () => {
    if (running) p2p.sender.sendMsg(target, payload)
  }
  for await (const event of p2p.receiver) {
    if (event.type === 'Status') {
      if (event.ok) report.acknowledged++
      else report.refused++
      if (pauseMs > 0) setTimeout(send, pauseMs)
      else send()
    } else if (event.type !== 'Data') {
      if (event.type !== 'Connected') report.others.push(event)
      else for (let i = 0; i < inFlight; i++) send()
    }
  }
}

const methods = {
  async start({ target, address, from = '127.0.0.1', key, window = 1, pause = 0, options }) {
    inFlight = window
    pauseMs = pause
    p2p = P2p.start(`${from}:0`, key ?? (await generatePrivateKey()), { allowList: 'allow-all', ...options })
    void run(target)
    p2p.sender.dial(target, address)
    return { peerId: p2p.peerId, address: p2p.addresses[0] }
  },
  report: () => report,
  /** One message of one byte beside the others. */
  say: ({ target }) => void p2p.sender.sendMsg(target, new Uint8Array(1)),
  bucketsOf: () => p2p.runtime.inspect().buckets,
  async stop() {
    running = false
    const before = { ...report }
    p2p.stop()
    await p2p.runtime.closed
    return before
  }
}

serve(methods)
