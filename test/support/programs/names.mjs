// Dials by name where /etc/hosts, /etc/resolv.conf and the network are this process's own: see
// test/integration/names.test.ts. Tells its parent what came of the scenario.
import { setDefaultResultOrder } from 'node:dns'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { generatePrivateKey, P2p, peerIdFromPrivateKey } from 'bitvmx-p2p'
import { startDnsServer } from './dns-server.mjs'

const PATIENT = { handshakeTimeoutMs: 30_000 }
/** More than dials may connect at once. */
const DEAD_NAMES = 200

/** Dead names are never answered for. */
const answer = (name, family) => {
  if (name.includes('dead')) return undefined
  if (name === 'good.example') return family === 4 ? ['127.0.0.1'] : []
  if (name === 'node-2.cluster.example') return family === 4 ? ['127.0.0.1'] : []
  return 'no'
}

async function start(listen, options = {}) {
  return P2p.startAsync(listen, await generatePrivateKey(), {
    allowList: 'allow-all',
    limits: PATIENT,
    ...options
  })
}

/** The next event of a type; what came before it. */
async function until(p2p, type) {
  const before = []
  for (;;) {
    const event = await p2p.receiver.recvAsync()
    if (event.type === type) return { event, before }
    before.push(event)
  }
}

async function dialDeadNames(p2p) {
  for (let i = 0; i < DEAD_NAMES; i++) {
    p2p.sender.dial(peerIdFromPrivateKey(await generatePrivateKey()), `dead-${i}.example:4001`)
  }
}

const scenarios = {
  async 'dead-names'(name) {
    const bob = await start('127.0.0.1:4001')
    const alice = await start('127.0.0.1:0')
    await dialDeadNames(alice)
    alice.sender.dial(bob.peerId, `${name}:4001`)
    return until(alice, 'Connected')
  },
  async 'dead-among-several'() {
    const bob = await start('127.0.0.1:4001')
    const alice = await start('127.0.0.1:0')
    alice.sender.dial(bob.peerId, ['dead.example:4001', '127.0.0.1:4001'])
    return until(alice, 'Connected')
  },
  async dial(name) {
    const bob = await start('127.0.0.1:4001')
    const alice = await start('127.0.0.1:0')
    alice.sender.dial(bob.peerId, `${name}:4001`)
    return until(alice, 'Connected')
  },
  async 'not-resolved'() {
    const alice = await start('127.0.0.1:0')
    alice.sender.dial(peerIdFromPrivateKey(await generatePrivateKey()), 'nobody.example:4001')
    return until(alice, 'Error')
  },
  async pinned() {
    let connections = 0
    const other = createServer(socket => {
      connections++
      socket.destroy()
    })
    other.listen(4001, '127.0.0.1').unref()
    await once(other, 'listening')
    const bob = await start('127.0.0.2:4001')
    const alice = await start('127.0.0.1:0', { allowList: [{ peerId: bob.peerId, ips: ['127.0.0.2'] }] })
    alice.sender.dial(bob.peerId, 'pinned:4001')
    return { ...(await until(alice, 'Connected')), connections }
  },
  async order(value) {
    if (value !== undefined) setDefaultResultOrder(value)
    const bob = await start(['127.0.0.1:4001', '[::1]:4001'])
    const alice = await start('127.0.0.1:0')
    alice.sender.dial(bob.peerId, 'two:4001')
    return until(alice, 'Connected')
  },
  async 'stop-with-dead-names'() {
    const alice = await start('127.0.0.1:0')
    await dialDeadNames(alice)
    // The look-ups are under way: this is answered after the dials have been taken.
    await alice.runtime.inspectAsync()
    const begin = performance.now()
    alice.stop()
    await alice.runtime.closed
    return { stoppedMs: performance.now() - begin }
  }
}

// The name server reads on a thread of its own: what nobody reads in time, the system drops.
if (!isMainThread) {
  await startDnsServer(answer, 53)
  parentPort.postMessage('listening')
  await once(parentPort, 'message')
}
const server = new Worker(new URL(import.meta.url))
await once(server, 'message')
server.unref()

const [scenario, argument] = process.argv.slice(2)
const result = await scenarios[scenario](argument)
process.send({ ...result, at: Date.now() }, () => {
  // The end of the process is part of what is tried; it is not waited for by the nodes that run in it.
  process.disconnect()
})
