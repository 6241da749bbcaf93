import './polyfill.ts'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import type {
  Connection,
  ConnectionGater,
  Libp2pEvents,
  MessageStream,
  PrivateKey,
  Stream
} from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import type { Clock } from '../clock.ts'
import { PROTOCOL_ID } from '../framing/index.ts'
import { Conducts } from './conduct.ts'
import { FairShare } from './fair-share.ts'
import { guardEncrypter, HandshakeGuard } from './handshakes.ts'
import type { HandshakeGuardInit } from './handshakes.ts'
import { closeConnection, Link } from './link.ts'
import { ListenGuard } from './listening.ts'
import { logger } from './logger.ts'
import { guardMuxer } from './muxer-guard.ts'
import type { StreamUse, StreamUses } from './muxer-guard.ts'
import { Outgoing } from './outgoing.ts'
import type { Opened } from './outgoing.ts'
import type { PausableConnection } from './muxer-turns.ts'
import { guardNegotiation } from './negotiation-guard.ts'
import { PING_PROTOCOL, servePings } from './ping.ts'
import { carriedBy } from './carrier.ts'

/** Message streams that a peer may have open on one connection at once (docs/protocol.md, "Streams"). */
export const MAX_INBOUND_STREAMS = 256
/** Streams of any protocol; one more ends the connection. Above `MAX_INBOUND_STREAMS`, which is charged. */
const MAX_MUXED_STREAMS = 320
/**
 * Largest yamux receive window. Growth beyond the stream's 4 MiB read buffer would reset honest peers; well below it
 * a full window of unread data always fits.
 */
const MAX_STREAM_WINDOW_BYTES = 1024 * 1024
/** What is spoken on streams. */
const PROTOCOLS = [PROTOCOL_ID, PING_PROTOCOL]
/** Streams for pings that a peer may have open on one connection; libp2p resets any more. */
const MAX_PING_STREAMS = 2
/** Dials under way and waiting; the application's own bound on unsettled dials is smaller. */
const MAX_DIALS = 8_192

export interface NodeInit {
  privateKey: PrivateKey
  /** Multiaddrs to listen on. */
  listen: string[]
  gater: ConnectionGater
  guard: HandshakeGuardInit
  clock: Clock
  /** A peer that is not heard for three times as long is gone, in milliseconds; 0: never. */
  heartbeatMs: number
  /** A whole inbound handshake, in milliseconds. */
  handshakeTimeoutMs: number
  /** Messages, in bytes, that may be in flight to one peer. */
  maxInFlightBytes: number
  /** A connection passed every check. Outbound ones are not yet known to be admitted by the peer. */
  opened: (link: Link) => void
  closed: (link: Link) => void
  /** The peer opened a stream for its messages; `use` is to be told what comes of it. */
  stream: (link: Link, stream: Stream, use: StreamUse) => void
}

/** The libp2p node behind the runtime: the only place that constructs libp2p. */
export interface Node {
  /** Multiaddrs listened on, each ending in the peer ID. */
  addresses: string[]
  /** Opens a TCP connection, on which nothing is said; who does not go on with it aborts it. */
  open: (address: string, peerId: string, signal: AbortSignal) => Promise<Opened>
  /** Shakes hands on it; rejects, the connection gone, when it did not pass every local check. */
  dial: (opened: Opened, signal: AbortSignal) => Promise<Link>
  /** Ends the inbound handshakes under way from the key of an address. */
  endHandshakes: (subject: string, reason: string) => void
  stop: () => Promise<void>
}

/** Starts a node. @throws P2pError ERR_LISTEN_FAILED when an address cannot be bound: then none is */
export async function createNode(init: NodeInit): Promise<Node> {
  const guard = new HandshakeGuard(init.guard, init.clock)
  const listening = new ListenGuard()
  const outgoing = new Outgoing()
  const links = new WeakMap<Connection, Link>()
  const uses = new WeakMap<Stream, StreamUses>()
  /** Who is at the other end of an encrypted connection, and what carries it. */
  const identities = new WeakMap<MessageStream, { peerId: string; below: MessageStream }>()
  const fairShare = new FairShare(init.clock)
  const conducts = new Conducts(init.clock)
  const linkOf = (connection: Connection): Link => {
    let link = links.get(connection)
    if (link === undefined) {
      link = new Link(connection, init.clock, init.closed, init.heartbeatMs)
      links.set(connection, link)
    }
    return link
  }

  const libp2p = await createLibp2p({
    start: false,
    ...(logger !== undefined && { logger }),
    privateKey: init.privateKey,
    addresses: { listen: init.listen },
    transports: [
      components =>
        listening.guardTransport(
          guard.guardTransport(
            outgoing.guardTransport(
              tcp({
                listenOpts: { noDelay: true, keepAlive: true },
                // They are put off by what this side writes: whether a peer is alive is for the heartbeat to say.
                inboundSocketInactivityTimeout: 0,
                outboundSocketInactivityTimeout: 0
              })(components)
            )
          )
        )
    ],
    connectionEncrypters: [
      components =>
        guardEncrypter(noise()(components), (connection, peerId, below) =>
          identities.set(connection, { peerId, below })
        )
    ],
    streamMuxers: [
      () =>
        guardMuxer(
          yamux({
            maxInboundStreams: MAX_MUXED_STREAMS,
            maxEarlyStreams: MAX_MUXED_STREAMS,
            enableKeepAlive: false,
            streamOptions: { maxStreamWindowSize: MAX_STREAM_WINDOW_BYTES }
          })(),
          {
            maxDataBytes: MAX_STREAM_WINDOW_BYTES,
            maxStreams: MAX_MUXED_STREAMS,
            maxInFlightBytes: init.maxInFlightBytes,
            conductOf: connection => conducts.of(identities.get(connection)!.peerId),
            fairShare,
            below: connection => identities.get(connection)!.below as PausableConnection,
            stream: (stream, connection, refused) => {
              carriedBy(stream, connection)
              const fail = (reason: string): void => connection.abort(new Error(reason))
              return guardNegotiation(stream, PROTOCOLS, fail, refused)
            },
            remoteStream: (stream, use) => uses.set(stream, use),
            goneAway: connection => void closeConnection(connection, init.clock)
          }
        )
    ],
    connectionGater: init.gater,
    connectionManager: {
      inboundUpgradeTimeout: init.handshakeTimeoutMs,
      outboundStreamProtocolNegotiationTimeout: init.handshakeTimeoutMs,
      inboundStreamProtocolNegotiationTimeout: init.handshakeTimeoutMs,
      // Every limit on connections is the guard's and the gater's: libp2p's own are global, not per address, and
      // speak before the gater does. Addresses on this list skip them, and the pruner.
      allow: ['/ip4/0.0.0.0/ipcidr/0', '/ip6/::/ipcidr/0'],
      maxConnections: Number.MAX_SAFE_INTEGER,
      maxDialQueueLength: MAX_DIALS,
      dialTimeout: 2 ** 31 - 1,
      addressDialTimeout: 2 ** 31 - 1,
      reconnectRetries: 0
    },
    // It would disconnect peers that do not serve the ping protocol, which none is required to.
    connectionMonitor: { enabled: false }
  })

  // It would be told of each stream what it speaks, which is a good part of what a short stream costs; nobody asks for it.
  libp2p.peerStore.merge = async () => ({}) as never
  const on = <K extends keyof Libp2pEvents>(type: K, listener: (event: Libp2pEvents[K]) => void): void =>
    libp2p.addEventListener(type, listener)
  on('connection:open', event => init.opened(linkOf(event.detail)))
  // Nothing about a peer is worth keeping when it is gone: dials name their address, the list its peers.
  on('peer:disconnect', event => void libp2p.peerStore.delete(event.detail).catch(() => {}))

  const onStream = (stream: Stream, connection: Connection): void => {
    const use = uses.get(stream)!
    init.stream(linkOf(connection), stream, use)
    use.taken()
  }
  const onPings = (stream: Stream): void => {
    const use = uses.get(stream)!
    servePings(stream, () => use.pinged())
    use.taken()
  }
  await libp2p.handle(PROTOCOL_ID, onStream, {
    maxInboundStreams: MAX_MUXED_STREAMS,
    maxOutboundStreams: MAX_MUXED_STREAMS
  })
  await libp2p.handle(PING_PROTOCOL, onPings, { maxInboundStreams: MAX_PING_STREAMS })
  try {
    await libp2p.start()
    listening.assertBound()
  } catch (err) {
    await libp2p.stop()
    listening.assertBound(err)
    throw err
  }

  return {
    addresses: libp2p.getMultiaddrs().map(address => address.toString()),
    open: async (address, peerId, signal) => outgoing.open(address, peerId, signal),
    dial: async (opened, signal) =>
      linkOf(await outgoing.dial(opened, async address => libp2p.dial(address, { signal, force: true }))),
    endHandshakes: (subject, reason) => guard.end(subject, reason),
    stop: async () => libp2p.stop()
  }
}
