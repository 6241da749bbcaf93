import type { Stream } from '@libp2p/interface'
import type { DroppedWriter } from './dropped-writer.ts'
import type { EventWriter } from './event-writer.ts'
import type { Clock } from '../clock.ts'
import { MAX_INBOUND_STREAMS } from '../libp2p/index.ts'
import type { Link, StreamUse } from '../libp2p/index.ts'
import { Inbox, MemoryReservation } from '../protocol/index.ts'
import type { InboxLimits } from '../protocol/index.ts'
import type { Peer } from './peer.ts'

export interface InboundStreamInit {
  peer: Peer
  link: Link
  stream: Stream
  clock: Clock
  /** `receiverBytes`, or one message if that is more, is the memory for incomplete ones, too, on one connection. */
  limits: InboxLimits & { receiverBytes: number }
  events: EventWriter
  dropped: DroppedWriter
  use: StreamUse
  malformed: (reason: string) => void
}

/** Takes a stream that a peer has opened for its messages: what arrives on it goes to the receiver channel. */
export function acceptStream(init: InboundStreamInit): void {
  const { peer, link, stream, clock, limits, events, dropped, use, malformed } = init
  link.memory ??= new MemoryReservation(Math.max(limits.receiverBytes, limits.maxMessageBytes))
  if (link.inboundStreams >= MAX_INBOUND_STREAMS) {
    const reason = `more than ${MAX_INBOUND_STREAMS} message streams at once`
    stream.abort(new Error(reason))
    malformed(reason)
    return
  }
  link.inboundStreams++
  stream.addEventListener('close', () => link.inboundStreams--)
  // oxlint-disable-next-line no-new -- it lives on the stream's events
  new Inbox({
    stream,
    limits,
    clock,
    lastReceivedAt: () => link.lastReceivedAt,
    whenHeard: action => link.whenHeard(action),
    // A connection that is being ended delivers nothing more, even if bytes of it are still on their way up.
    listening: () => link.open,
    memory: link.memory,
    deliver: run => {
      use.served()
      if (!events.hasRoom(run.count, run.payloadBytes)) return false
      events.data(peer.receiverHandle, run)
      peer.received += run.count
      peer.bytesReceived += run.wireBytes
      return true
    },
    dropped: (messages, bytes) => {
      use.served()
      dropped.add(peer.peerId, { messages, bytes })
    },
    refusedTooLarge: () => use.wasted(),
    malformed
  })
}
