import type { MisbehaviourCause } from './types.ts'

/** What the runtime holds at one moment. */
export interface RuntimeSnapshot {
  peers: Array<{
    peerId: string
    /** Multiaddr of the connection in use. */
    address: string
    direction: 'inbound' | 'outbound'
    /** Messages and their bytes on the wire since the peer was first dialled or connected. */
    sent: number
    received: number
    bytesSent: number
    bytesReceived: number
    /** Messages handed over and not yet answered. */
    unacknowledged: number
  }>
  /** Token buckets that are not full, with the last charges of each. */
  buckets: Array<{
    peerId?: string
    ip?: string
    tokens: number
    /** Barred until a token is back. */
    barred: boolean
    /** Oldest first, at most 8. `time` is in milliseconds since 1970; a `cost` of 0 found the bucket empty. */
    debits: Array<{ cause: MisbehaviourCause; evidence: string; cost: number; time: number }>
  }>
  /** Unread in the receiver channel, and refused because it was full since the start. */
  receiver: { messages: number; bytes: number; dropped: number }
}
