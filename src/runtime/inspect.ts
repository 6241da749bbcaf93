import type { EventWriter } from './event-writer.ts'
import type { RuntimeSnapshot } from '../bridge/index.ts'
import type { MisbehaviourPolicy } from './misbehaviour.ts'
import type { Peer } from './peer.ts'

/** The state of a runtime as plain data. */
export function snapshot(
  peers: Iterable<Peer>,
  policy: MisbehaviourPolicy,
  events: EventWriter,
  dropped: number
): RuntimeSnapshot {
  return {
    peers: Array.from(peers).flatMap(peer => {
      const link = peer.preferred
      if (link === undefined) return []
      const { peerId, sent, received, bytesSent, bytesReceived, outbox } = peer
      const { address, direction } = link
      const unacknowledged = outbox.unsettled
      return [{ peerId, address, direction, sent, received, bytesSent, bytesReceived, unacknowledged }]
    }),
    buckets: policy.inspect(),
    receiver: { messages: events.unreadMessages, bytes: events.unreadBytes, dropped }
  }
}
