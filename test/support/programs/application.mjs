// A small application that starts a node, connects to a peer and then ends in one of several ways:
// application.mjs <way> <peerId> <address>. It tells its parent what it sees; nothing but the node can keep it alive.
import { inspect } from 'node:util'

const [way, peerId, address] = process.argv.slice(2)
const caught = way === 'loses-its-thread' ? await import('./catch-thread.mjs') : undefined
const { generatePrivateKey, P2p } = await import('bitvmx-p2p')

const settings = ['127.0.0.1:0', await generatePrivateKey(), { allowList: 'allow-all' }]
const p2p = way === 'ends-after-awaiting' ? await P2p.startAsync(...settings) : P2p.start(...settings)
p2p.sender.dial(peerId, address)
const event = p2p.receiver.recv(10_000)
if (event?.type !== 'Connected') throw new Error(`no connection, but ${JSON.stringify(event)}`)

switch (way) {
  case 'ends':
    break
  case 'ends-after-awaiting':
    await p2p.receiver.recvAsync({ signal: AbortSignal.timeout(100) }).catch(() => {})
    await p2p.runtime.inspectAsync()
    break
  case 'reads-until-closed':
    for await (const { type, data, reason } of p2p.receiver) {
      if (data?.length === 0) p2p.stop()
      else process.send({ type, data, reason })
    }
    break
  case 'loses-its-thread':
    void caught.runtimeThread.terminate()
    for await (const { type, code } of p2p.receiver) process.send({ type, code })
    await p2p.runtime.closed
    break
  case 'shows':
    JSON.stringify([p2p, { ...p2p.runtime }])
    inspect(p2p, { depth: Infinity, showHidden: true })
    break
  case 'stops':
    p2p.stop()
    break
  case 'awaits-closed':
    // The timer keeps nothing alive: it is still there to fire only if awaiting does.
    setTimeout(() => p2p.stop(), 200).unref()
    await p2p.runtime.closed
    process.send({ state: p2p.runtime.state, closed: p2p.receiver.closed })
    break
  case 'stops-and-awaits-closed':
    p2p.stop()
    await p2p.runtime.closed
    process.send({ state: p2p.runtime.state, closed: p2p.receiver.closed })
    break
}
process.send('end')
