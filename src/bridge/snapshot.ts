import type { MisbehaviourCause, Offender } from './types.ts'

/** What the runtime holds at one moment. */
export interface RuntimeSnapshot {
  /** Connected peers. */
  peers: Array<{
    /** The peer. */
    peerId: string
    /** Multiaddr of the connection in use. */
    address: string
    /** `'outbound'` when this side dialled it. */
    direction: 'inbound' | 'outbound'
    /**
     * Messages on the wire since the node's start: a peer that comes back goes on counting, if it is one of the 16,384 peers
     * that exchanged messages and went last. Written …
     */
    sent: number
    /** … and read. */
    received: number
    /** Bytes of their frames: written … */
    bytesSent: number
    /** … and read. */
    bytesReceived: number
    /** Messages handed over and not yet answered. */
    unacknowledged: number
  }>
  /** Token buckets that are not full, with the last charges of each. */
  buckets: Array<
    {
      /** What is left. */
      tokens: number
      /** Barred until a token is back. */
      barred: boolean
      /** Oldest first, at most 8. */
      debits: Array<{
        /** What was charged. */
        cause: MisbehaviourCause
        /** What was seen, for people. */
        evidence: string
        /** Tokens taken; 0 found too few in the bucket. */
        cost: number
        /** When, in milliseconds since 1970. */
        time: number
      }>
    } & Offender
  >
  /** The receiver channel. */
  receiver: {
    /** Unread messages. */
    messages: number
    /** Their payload bytes. */
    bytes: number
    /** Messages refused since the start, because it was full. */
    dropped: number
  }
}
