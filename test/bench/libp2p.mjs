/** A js-libp2p node as its documentation makes one; the packages are the module's own, so the versions are, too. */
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

/** Dials that a node may have waiting and under way: enough for the largest crowd. */
const MAX_DIALS = 1_000
/** A handshake may wait so long for its turn on a busy machine, in milliseconds. */
const PATIENCE_MS = 30_000

export async function createBareNode() {
  return createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
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
    // It disconnects peers that do not serve the ping protocol.
    connectionMonitor: { enabled: false }
  })
}
