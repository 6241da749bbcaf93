// A node that says 'ready' to a peer, gives back what the peer sends, and is told to stop by SIGTERM:
// stops-on-signal.mjs <style of its loop> <peerId> <address>. The first two loops are those of the README.
import { setImmediate } from 'node:timers/promises'
import { generatePrivateKey, P2p } from 'bitvmx-p2p'

const [style, peerId, address] = process.argv.slice(2)
const p2p = P2p.start('127.0.0.1:0', await generatePrivateKey(), { allowList: 'allow-all' })
p2p.sender.dial(peerId, address)

function handle(event) {
  if (event.type === 'Connected') p2p.sender.sendMsg(peerId, Buffer.from('ready'))
  if (event.type === 'Data') p2p.sender.sendMsg(peerId, event.data)
}

const loops = {
  'for await': async () => {
    process.once('SIGTERM', () => p2p.stop())
    for await (const event of p2p.receiver) handle(event)
  },
  'recv and a turn': async () => {
    let stopping = false
    process.once('SIGTERM', () => (stopping = true))
    while (!stopping) {
      const event = p2p.receiver.recv(50)
      if (event !== undefined) handle(event)
      await setImmediate()
    }
    p2p.stop()
    for (let event = p2p.receiver.recv(); event !== undefined; event = p2p.receiver.recv()) handle(event)
  },
  recv: async () => {
    process.once('SIGTERM', () => p2p.stop())
    for (;;) {
      const event = p2p.receiver.recv(50)
      if (event !== undefined) handle(event)
      else if (p2p.receiver.closed) break
    }
  }
}

await loops[style]()
process.exitCode = 3
