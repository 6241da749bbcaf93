/**
 * A peer made of js-libp2p alone, in the test's own process: it shares no code with the nodes it talks to, and does
 * with its streams what the test wants.
 *
 *     const bare = await startBarePeer({ onStream: stream => stream.addEventListener('message', …) })
 *     const connection = await bare.connect(alice)
 *     const stream = await connection.newStream(PROTOCOL)
 */
import { yamux } from '@chainsafe/libp2p-yamux'
import type { Connection, Stream, StreamMuxerFactory } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { onTestFinished } from 'vitest'
import { createBareNode } from './bare-node.mjs'
import type { PeerLike } from './node-process.ts'

/** docs/protocol.md, "Protocol ID". */
export const PROTOCOL = '/bitvmx/comms/1.0.0'

/** Streams of the protocol that this peer opens and takes at once on one connection. */
const MAX_STREAMS = 1_024

export interface BarePeer extends PeerLike {
  connect: (to: PeerLike) => Promise<Connection>
}

export interface BarePeerInit {
  /** Takes a message stream that the other side opened; without it, streams are taken and left alone. */
  onStream?: (stream: Stream, connection: Connection) => void
  /** Told about every connection, from either side. */
  onConnection?: (connection: Connection) => Promise<void>
  /** Answers no stream of the other side before this settles. */
  hold?: Promise<unknown>
  /** Whether it speaks our protocol. Default: true. */
  speaks?: boolean
}

/** Starts a peer that listens on a free port of 127.0.0.1 and is stopped when the test is over. */
export async function startBarePeer({
  onStream,
  onConnection,
  hold,
  speaks = true
}: BarePeerInit = {}): Promise<BarePeer> {
  const muxer = (): StreamMuxerFactory => holding(yamux({ maxInboundStreams: MAX_STREAMS })(), hold)
  const libp2p = await createBareNode({ muxer })
  onTestFinished(async () => {
    for (const connection of libp2p.getConnections()) connection.abort(new Error('the test is over'))
    await libp2p.stop()
  })
  libp2p.addEventListener('connection:open', ({ detail }) => void onConnection?.(detail))
  const limits = { maxInboundStreams: MAX_STREAMS, maxOutboundStreams: MAX_STREAMS }
  if (speaks) await libp2p.handle(PROTOCOL, onStream ?? (() => {}), limits)
  return {
    peerId: libp2p.peerId.toString(),
    addresses: libp2p.getMultiaddrs().map(String),
    connect: async to => libp2p.dial(multiaddr(to.addresses[0]))
  }
}

/** A muxer that tells of streams from the other side only when `hold` has settled. */
function holding(factory: StreamMuxerFactory, hold: Promise<unknown> | undefined): StreamMuxerFactory {
  if (hold === undefined) return factory
  const create = factory.createStreamMuxer.bind(factory)
  factory.createStreamMuxer = connection => {
    const muxer = create(connection)
    const dispatch = muxer.dispatchEvent.bind(muxer)
    muxer.dispatchEvent = (event: Event) => {
      if (event.type !== 'stream') return dispatch(event)
      void hold.then(() => dispatch(event))
      return true
    }
    return muxer
  }
  return factory
}

/** Settles with everything the stream brings until its end. */
export async function readToEnd(stream: Stream): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const part of stream) parts.push(part.subarray())
  return Buffer.concat(parts)
}

/** Sends all of it at the pace of the other side. */
export async function sendAtPace(stream: Stream, data: Uint8Array, piece: number = 64 * 1024): Promise<void> {
  for (let at = 0; at < data.length; at += piece) {
    if (!stream.send(data.subarray(at, at + piece))) await drained(stream)
  }
}

async function drained(stream: Stream): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.addEventListener('drain', () => resolve(), { once: true })
    stream.addEventListener('close', () => reject(new Error('the stream was closed')), { once: true })
  })
}
