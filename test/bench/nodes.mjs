/**
 * What the processes of `connecting.mjs` do: nodes of two stacks, this module and bare js-libp2p, that start, connect
 * and are connected to, and a crowd of peers in one process.
 */
import { setTimeout } from 'node:timers/promises'
import { createSlots, Load, Tally } from './load.mjs'
import { Histogram } from './statistics.mjs'

const PROTOCOL = '/bitvmx/comms/1.0.0'
const ACCEPTED = Uint8Array.of(1, 0)
/** Without any event for so long, something is wrong. */
const STALL_MS = 30_000
/** Memory is looked at after so long, in milliseconds. */
const SETTLE_MS = 1_000
/** Five hundred handshakes at once take their time on a busy machine. */
const LIMITS = { handshakeTimeoutMs: STALL_MS }

/** This process's node: one stack's way to start, to connect for good, and to take that back. */
let node
let tally = new Tally({ flight: 1 })

const stacks = {
  /** Measures `P2p.start` in a process that has loaded the package, and nothing of libp2p in this thread. */
  'bitvmx-p2p': async () => {
    const { generatePrivateKey, P2p } = await import('../../dist/index.js')
    const key = await generatePrivateKey()
    const begin = performance.now()
    const p2p = P2p.start('127.0.0.1:0', key, { allowList: 'allow-all', limits: LIMITS })
    const startMs = performance.now() - begin
    const { sender, receiver } = p2p
    const wait = (type, count) => {
      while (count > 0) {
        const event = receiver.recv(STALL_MS)
        if (event?.type === 'Error') throw new Error(event.message)
        if (event === undefined) throw new Error(`no ${type} in ${STALL_MS} ms`)
        if (event.type === type) count--
      }
    }
    return {
      p2p,
      startMs,
      self: { peerId: p2p.peerId, address: p2p.addresses[0] },
      connect: peers => {
        for (const { peerId, address } of peers) sender.dial(peerId, address)
        wait('Connected', peers.length)
      },
      disconnect: ({ peerId }) => {
        sender.disconnectFrom(peerId)
        wait('Disconnected', 1)
      }
    }
  },

  /** Measures loading libp2p, too: the module's start does that in its own thread. */
  'bare libp2p': async () => {
    const begin = performance.now()
    const { createBareNode } = await import('../support/bare-node.mjs')
    const { multiaddr } = await import('@multiformats/multiaddr')
    const libp2p = await createBareNode()
    const startMs = performance.now() - begin
    await libp2p.handle(PROTOCOL, answer)
    const connections = new Map()
    const dial = async ({ peerId, address }) => {
      const connection = await libp2p.dial(multiaddr(address))
      await connection.newStream(PROTOCOL)
      connections.set(peerId, connection)
    }
    return {
      startMs,
      self: { peerId: libp2p.peerId.toString(), address: libp2p.getMultiaddrs()[0].toString() },
      connect: async peers => Promise.all(peers.map(dial)),
      disconnect: async ({ peerId }) => connections.get(peerId).close()
    }
  }
}

/** Starts this process's node. */
export async function start({ stack }) {
  node = await stacks[stack]()
  return { startMs: node.startMs, self: node.self }
}

/** Connects to a peer and disconnects, so many times; how long each connecting took, in milliseconds. */
export async function connectRepeatedly({ peer, times }) {
  const taken = []
  for (let i = 0; i < times; i++) {
    const begin = performance.now()
    await node.connect([peer])
    taken.push(performance.now() - begin)
    await node.disconnect(peer)
  }
  return taken
}

/** Connects to all of these peers at once, and stays so. */
export async function connectAll({ peers }) {
  await setTimeout(SETTLE_MS)
  const before = process.memoryUsage.rss()
  const begin = performance.now()
  await node.connect(peers)
  const seconds = (performance.now() - begin) / 1_000
  await setTimeout(SETTLE_MS)
  return { seconds, rssPerPeer: (process.memoryUsage.rss() - before) / peers.length }
}

/** Becomes a crowd of bare nodes that take messages and ack them. */
export async function openCrowd({ peers }) {
  const { createBareNode } = await import('../support/bare-node.mjs')
  const crowd = []
  for (let i = 0; i < peers; i++) {
    const member = await createBareNode()
    await member.handle(PROTOCOL, answer)
    crowd.push({ peerId: member.peerId.toString(), address: member.getMultiaddrs()[0].toString() })
  }
  return crowd
}

/** What the crowd has read since the last call. */
export function crowdTally() {
  const { messages, bytes, damaged } = tally
  tally = new Tally({ flight: 1 })
  return { messages, bytes, damaged }
}

/** Sends so many messages in all, evenly to all peers, with so many in flight in all; needs the module. */
export function deliver({ peers, messages, size, flight }) {
  const { sender, receiver } = node.p2p
  const inFlight = Math.max(1, Math.floor(flight / peers.length))
  const each = Math.floor(messages / peers.length)
  const loads = new Map(
    peers.map(({ peerId }) => [peerId, new Load({ slots: createSlots(size, inFlight), messages: each })])
  )
  const pump = (peerId, load) => {
    for (let data = load.next(); data !== undefined; data = load.next()) sender.sendMsg(peerId, data)
  }
  const begin = performance.now()
  const cpu = process.cpuUsage()
  for (const [peerId, load] of loads) pump(peerId, load)
  for (let left = each * peers.length; left > 0; left--) {
    const event = receiver.recv(STALL_MS)
    if (event?.type !== 'Status' || !event.ok)
      throw new Error(`wanted Status ok, got ${JSON.stringify(event)}`)
    const load = loads.get(event.peerId)
    load.settled()
    pump(event.peerId, load)
  }
  const seconds = (performance.now() - begin) / 1_000
  const { user, system } = process.cpuUsage(cpu)
  const times = new Histogram()
  for (const { histogram } of loads.values()) times.add(histogram.entries())
  return {
    messages: each * peers.length,
    seconds,
    cpuSeconds: (user + system) / 1e6,
    p99: times.percentile(0.99)
  }
}

/**
 * Reads the messages of a stream; acks those that came together in one piece.
 *
 * @param {import('@libp2p/interface').Stream} stream
 */
async function answer(stream) {
  const { decode } = await import('it-length-prefixed')
  let acks = 0
  const flush = () => {
    const bytes = new Uint8Array(acks * ACCEPTED.length)
    for (let i = 0; i < acks; i++) bytes.set(ACCEPTED, i * ACCEPTED.length)
    acks = 0
    if (stream.writeStatus === 'writable') stream.send(bytes)
  }
  for await (const message of decode(stream)) {
    tally.take(message.subarray())
    if (acks++ === 0) setImmediate(flush)
  }
}
