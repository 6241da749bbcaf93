/** The libp2p node: nothing but TCP, Noise and yamux. */
import { privateKeyFromProtobuf } from '@libp2p/crypto/keys'
import { createBareNode } from '../../support/bare-node.mjs'
import { PROTOCOL } from './frames.mjs'
import { servePing } from './ping.mjs'

/** Message streams at once, in each direction. libp2p's own limits are 32 in and 64 out for each protocol. */
export const MAX_STREAMS = 256

/** Starts a node that listens nowhere yet, and hands over the message streams that others open. */
export async function createNode(keyHex, onMessageStream) {
  const privateKey = privateKeyFromProtobuf(Buffer.from(keyHex, 'hex'))
  const node = await createBareNode({ privateKey, listen: [] })
  await node.handle(PROTOCOL, onMessageStream, {
    maxInboundStreams: MAX_STREAMS,
    maxOutboundStreams: MAX_STREAMS
  })
  await servePing(node)
  return node
}
