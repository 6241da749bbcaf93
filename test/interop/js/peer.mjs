/**
 * How to talk to a bitvmx-p2p node from plain js-libp2p, driven by JSON lines.
 *
 *     node peer.mjs --key HEX
 *     node peer.mjs vectors FILE
 *
 * Read `frames.mjs`, `sending.mjs` and `receiving.mjs` first, then `createNode` in `node.mjs`.
 */
import { multiaddr } from '@multiformats/multiaddr'
import { Inboxes, testMessage } from '../contract/messages.mjs'
import { option, serve } from '../contract/serve.mjs'
import { MAX_MESSAGE, PROTOCOL } from './frames.mjs'
import { createNode, MAX_STREAMS } from './node.mjs'
import { ping } from './ping.mjs'
import { policy, receive } from './receiving.mjs'
import { raw } from './raw.mjs'
import { MessageStream, sendAll } from './sending.mjs'
import { checkVectors } from './vectors.mjs'

if (process.argv[2] === 'vectors') process.exit(checkVectors(process.argv[3]))

const inboxes = new Inboxes()
/** Our long-lived message streams, by peer ID. */
const longStreams = new Map()
/** How long the connections took that we dialled, by peer ID. */
const handshakes = new Map()

const node = await createNode(option('key'), (stream, connection) => {
  const peerId = connection.remotePeer.toString()
  receive(stream, payload => inboxes.add(peerId, payload))
})
node.addEventListener('peer:disconnect', ({ detail }) => inboxes.gone(detail.toString()))

/** Connections to that peer that are open, newest last. */
function connections(peerId) {
  return node
    .getConnections()
    .filter(({ remotePeer, status }) => remotePeer.toString() === peerId && status === 'open')
}

async function open(peerId, protocol = PROTOCOL) {
  const connection = connections(peerId).at(-1)
  if (connection === undefined) throw new Error('not connected')
  return connection.newStream(protocol, { maxOutboundStreams: MAX_STREAMS })
}

/** The stream that carries all messages to a peer; a new one when the last has ended. */
async function longStream(peerId) {
  const last = longStreams.get(peerId)
  if (last?.usable === true) return last
  const stream = new MessageStream(await open(peerId))
  longStreams.set(peerId, stream)
  return stream
}

async function dial({ peerId, address }) {
  const start = performance.now()
  const whole = address.includes('/p2p/') ? address : `${address}/p2p/${peerId}`
  const connection = await node.dial(multiaddr(whole))
  if (connection.remotePeer.toString() !== peerId) throw new Error('that is somebody else')
  handshakes.set(peerId, performance.now() - start)
  // Only the first stream tells whether the other side lets us in.
  await longStream(peerId)
  return { ms: performance.now() - start }
}

async function send({ peerId, count, size, mode, window }) {
  const start = performance.now()
  const begin = mode === 'long' ? await throughOne(peerId, size) : throughOneEach(peerId, size)
  const { acks, unanswered } = await sendAll({ count, window }, begin)
  return { acks, unanswered, ms: performance.now() - start }
}

async function throughOne(peerId, size) {
  const stream = await longStream(peerId).catch(() => undefined)
  return async (i, settle) => (stream === undefined ? settle() : stream.write(testMessage(i, size), settle))
}

function throughOneEach(peerId, size) {
  return async (i, settle) => {
    const stream = await open(peerId).catch(() => undefined)
    if (stream === undefined) return settle()
    const messages = new MessageStream(stream)
    void messages.write(testMessage(i, size), settle).then(async () => messages.close())
  }
}

async function untilDisconnected({ peerId }) {
  if (connections(peerId).length === 0) return
  await new Promise(resolve => {
    node.addEventListener('peer:disconnect', ({ detail }) => detail.toString() === peerId && resolve())
  })
}

await serve(
  { peerId: node.peerId.toString(), implementation: 'js-libp2p', modes: ['single', 'long'] },
  {
    listen: async ({ address }) => {
      await node.components.transportManager.listen([multiaddr(address)])
      return { addresses: node.getMultiaddrs().map(String) }
    },
    dial,
    send,
    receive: ({ acks, raw: bytes = '', limit = MAX_MESSAGE }) =>
      void Object.assign(policy, { acks, raw: bytes, limit }),
    expect: async ({ peerId, count }) => inboxes.take(peerId, count),
    raw: async ({ peerId, hex, end }) => raw(await open(peerId), connections(peerId).at(-1), { hex, end }),
    ping: async ({ peerId, count }) => ({
      rttMs: await ping(async protocol => open(peerId, protocol), count),
      handshakeMs: handshakes.get(peerId) ?? null
    }),
    connected: ({ peerId }) => ({ connected: connections(peerId).length > 0 }),
    untilDisconnected,
    disconnect: async ({ peerId }) => {
      for (const connection of connections(peerId)) await connection.close()
    }
  },
  async () => {
    for (const connection of node.getConnections()) connection.abort(new Error('over'))
    await node.stop()
  }
)
