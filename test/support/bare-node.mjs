/** The one js-libp2p node of all tests that is no node of ours: TCP, Noise and yamux, as libp2p's documentation makes one. */
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'

/** libp2p takes it for granted, Node 20 lacks it; nothing calls it before this module has been evaluated. */
Promise.withResolvers ??= function withResolvers() {
  const deferred = {}
  deferred.promise = new this((resolve, reject) => Object.assign(deferred, { resolve, reject }))
  return deferred
}

/** Dials that a node may have waiting and under way, and connections: enough for the largest crowd. */
const MAX_DIALS = 1_000
/** A handshake may wait so long for its turn on a busy machine, in milliseconds. */
const PATIENCE_MS = 30_000

/** Starts a node. `muxer` takes the place of yamux; without `listen` it listens on a free port of 127.0.0.1. */
export async function createBareNode({
  privateKey,
  listen = ['/ip4/127.0.0.1/tcp/0'],
  muxer = yamux()
} = {}) {
  return createLibp2p({
    ...(privateKey !== undefined && { privateKey }),
    addresses: { listen },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [muxer],
    connectionManager: {
      maxDialQueueLength: MAX_DIALS,
      maxParallelDials: MAX_DIALS,
      maxConnections: MAX_DIALS,
      dialTimeout: PATIENCE_MS,
      addressDialTimeout: PATIENCE_MS,
      inboundUpgradeTimeout: PATIENCE_MS,
      outboundStreamProtocolNegotiationTimeout: PATIENCE_MS,
      inboundStreamProtocolNegotiationTimeout: PATIENCE_MS,
      inboundConnectionThreshold: Infinity
    },
    // It disconnects peers that do not serve the ping protocol, which none is required to.
    connectionMonitor: { enabled: false }
  })
}
