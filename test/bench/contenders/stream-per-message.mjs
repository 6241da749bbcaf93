/** js-libp2p as it is usually used for request and response: each message has a stream of its own. */
import { lpStream } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import { createBareNode } from '../../support/bare-node.mjs'

export const title = 'js-libp2p: a stream for each message and its ack'

const PROTOCOL = '/bench/request-response/1.0.0'
/** Streams at once; js-libp2p's own limits are 32 inbound and 64 outbound. */
export const maxFlight = 64

const LIMITS = { maxInboundStreams: maxFlight, maxOutboundStreams: maxFlight }
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024
const FRAMING = { maxDataLength: MAX_MESSAGE_BYTES, maxBufferSize: MAX_MESSAGE_BYTES }
const ACK = Uint8Array.of(0)

export async function listen(_, received) {
  const node = await createBareNode()
  const answer = async stream => {
    const frames = lpStream(stream, FRAMING)
    const message = await frames.read()
    received(message.subarray())
    await frames.write(ACK)
    await stream.close()
  }
  await node.handle(PROTOCOL, stream => void answer(stream).catch(err => stream.abort(err)), LIMITS)
  return node.getMultiaddrs()[0].toString()
}

export async function connect(_, address) {
  const node = await createBareNode()
  const connection = await node.dial(multiaddr(address))
  const request = async message => {
    const stream = await connection.newStream(PROTOCOL, LIMITS)
    const frames = lpStream(stream, FRAMING)
    await frames.write(message)
    await frames.read()
    await stream.close()
  }
  const lane = async (load, slot) => {
    for (let message = load.take(slot); message !== undefined; message = load.take(slot)) {
      await request(message)
      load.acknowledged(slot)
    }
  }
  return {
    drive: async load =>
      Promise.all(Array.from({ length: load.flight }, async (__, slot) => lane(load, slot)))
  }
}
