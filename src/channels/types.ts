/**
 * What crosses the three channels. Tagged unions: a `switch` over `type` that misses a case fails the type check.
 */
import type { P2pErrorCode } from '../errors.ts'
import type { DialFailure, DisconnectCode } from '../outcomes.ts'

export type { DialFailure, DisconnectCode }

/** What an application can ask of the network through the sender channel. */
export type Command =
  | {
      /** Open a connection to a peer at one of its addresses; ends as the doc of `Sender.dial` says. */
      type: 'Dial'
      /** The peer ID that the node there must prove. */
      peerId: string
      /** `ip:port`, `[ipv6]:port`, `name:port`, or a TCP multiaddr; or 1 to 16 of them, in order of preference. */
      address: string | readonly string[]
    }
  | {
      /** Send one message; ends in exactly one `Status` that carries the id. */
      type: 'SendMsg'
      peerId: string
      /** 0 to `limits.maxMessageBytes` bytes; copied during the call. */
      data: Uint8Array
    }
  | {
      /** Disconnect from a peer; without `peerId` from everybody, and the runtime ends. */
      type: 'DisconnectFrom'
      peerId?: string
    }

/** Why a message was not accepted, or why it is not known whether it was. */
export type StatusFailure =
  /** no connection to that peer: the message was never written */
  | 'not-connected'
  /** the remote's receiver channel was full: it has dropped the message and told its application */
  | 'refused-full'
  /** larger than the remote takes: it has not read it */
  | 'refused-too-large'
  /** written, and no answer in `limits.ackTimeoutMs`: the remote MAY have taken it */
  | 'ack-timeout'
  /** written, and the connection ended before the answer: the remote MAY have taken it */
  | 'connection-lost'
  /** this node was stopped before the outcome was known */
  | 'stopped'

/** What costs a peer ID or an IP tokens (docs/security.md, "What costs a token"). */
export type MisbehaviourCause =
  | 'failed-handshake'
  | 'ip-mismatch'
  | 'unknown-peer'
  | 'malformed-message'
  | 'unanswered-ack'
  | 'protocol-abuse'

/** What the network tells the application through the receiver channel. */
export type P2pEvent =
  /**
   * A message. `data` belongs to the application. Those of 65 to 2,048 bytes share ArrayBuffers, which cannot be
   * transferred, with others that were read before: `data.slice()` is an independent copy.
   */
  | { type: 'Data'; peerId: string; data: Uint8Array }
  /** The outcome of one SendMsg. `ok`: the remote's receiver channel took the message. */
  | { type: 'Status'; peerId: string; id: number; ok: boolean; reason?: StatusFailure }
  /** A token bucket ran empty, once per episode: the subject has been disconnected and is barred until a token is back. */
  | { type: 'ConnectionLimit'; peerId?: string; ip?: string; cause: MisbehaviourCause }
  /**
   * Something failed. `id` names the command it answers, where there is one; a dial that failed also has `why`. `ip`: the
   * remote address, where there is one.
   */
  | {
      type: 'Error'
      code: P2pErrorCode
      message: string
      peerId?: string
      id?: number
      why?: DialFailure
      ip?: string
    }
  /** A peer became reachable: it has admitted us and we have admitted it. `id` names the Dial that led to it. */
  | { type: 'Connected'; peerId: string; address: string; direction: 'inbound' | 'outbound'; id?: number }
  /** A peer is no longer reachable. `reason` is for people and may change, `code` is for programs. */
  | { type: 'Disconnected'; peerId: string; code: DisconnectCode; reason: string }

/** Every event that is neither Data nor Status: rare, never dropped, and carried as text between threads. */
export type ControlEvent = Exclude<P2pEvent, { type: 'Data' | 'Status' }>

/** What the priority channel tells: messages of a peer that were refused because the receiver channel was full. */
export interface PriorityEvent {
  type: 'Dropped'
  peerId: string
  /** Messages refused since this peer's last Dropped was read. */
  messages: number
  /** Their payload bytes. */
  bytes: number
}
