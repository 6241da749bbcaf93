/** The libp2p node: nothing but TCP, Noise and yamux. */
// First, for libp2p needs it.
import './promise.mjs'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { privateKeyFromProtobuf } from '@libp2p/crypto/keys'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import { PROTOCOL } from './frames.mjs'
import { servePing } from './ping.mjs'

/** Message streams at once, in each direction. libp2p's own limits are 32 in and 64 out for each protocol. */
export const MAX_STREAMS = 256
/** An idle machine needs some milliseconds for a handshake, a busy one seconds. */
const PATIENCE_MS = 30_000

/** Starts a node that listens nowhere yet, and hands over the message streams that others open. */
export async function createNode(keyHex, onMessageStream) {
  const node = await createLibp2p({
    privateKey: privateKeyFromProtobuf(Buffer.from(keyHex, 'hex')),
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // It hangs up on peers that do not answer libp2p's ping, and a bitvmx-p2p node does not serve it.
    connectionMonitor: { enabled: false },
    connectionManager: {
      dialTimeout: PATIENCE_MS,
      inboundUpgradeTimeout: PATIENCE_MS,
      outboundStreamProtocolNegotiationTimeout: PATIENCE_MS,
      inboundStreamProtocolNegotiationTimeout: PATIENCE_MS
    }
  })
  await node.handle(PROTOCOL, onMessageStream, {
    maxInboundStreams: MAX_STREAMS,
    maxOutboundStreams: MAX_STREAMS
  })
  await servePing(node)
  return node
}
