/**
 * What crosses the three channels. Tagged unions: a `switch` over `type` that misses a case fails the type check.
 */
import type { P2pErrorCode } from '../errors.ts'
import type { DialFailure, DisconnectCode, MisbehaviourCause, StatusFailure } from '../outcomes.ts'

export type { DialFailure, DisconnectCode, MisbehaviourCause, StatusFailure }

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
      /** Whom to send it to. */
      peerId: string
      /** 0 to `limits.maxMessageBytes` bytes; copied during the call. */
      data: Uint8Array
    }
  | {
      /** Disconnect from a peer; without `peerId` from everybody, and the runtime ends. */
      type: 'DisconnectFrom'
      /** The peer to part from. Not declared to take `undefined`: a peer ID missing by mistake ends the runtime. */
      peerId?: string
    }

/** Who is charged: an authenticated peer, or an address whose connections have not proved who they are. Exactly one. */
export type Offender =
  | {
      /** The peer, when it has proved who it is. */
      peerId: string
      /** Absent: it is the peer that pays, wherever it comes from. */
      ip?: undefined
    }
  | {
      /** An IPv4 address, or for IPv6 the /64 in which a host may use any address. */
      ip: string
      /** Absent: nobody has proved who it is. */
      peerId?: undefined
    }

/** What the network tells the application through the receiver channel. */
export type P2pEvent =
  | {
      /** A message. */
      type: 'Data'
      /** Who has sent it. */
      peerId: string
      /**
       * Its payload, which belongs to the application. Those of 65 to 2,048 bytes share ArrayBuffers, which cannot be
       * transferred, with others that were read before: `data.slice()` is an independent copy.
       */
      data: Uint8Array
    }
  | {
      /** The outcome of one SendMsg: accepted. */
      type: 'Status'
      /** To whom the message went. */
      peerId: string
      /** What `send` returned for it. */
      id: number
      /** The remote's receiver channel took the message. */
      ok: true
      /** Absent: nothing failed. */
      reason?: undefined
    }
  | {
      /** The outcome of one SendMsg: not accepted, or not known to be. */
      type: 'Status'
      /** To whom the message was to go. */
      peerId: string
      /** What `send` returned for it. */
      id: number
      /** It is not known that the remote's receiver channel took the message. */
      ok: false
      /** Why, and what is known of it. */
      reason: StatusFailure
    }
  | ({
      /** A token bucket ran empty, once per episode: its owner has been disconnected and is barred until a token is back. */
      type: 'ConnectionLimit'
      /** What emptied it. */
      cause: MisbehaviourCause
    } & Offender)
  | {
      /** Something failed. */
      type: 'Error'
      /** What, for programs. */
      code: P2pErrorCode
      /** What, for people. */
      message: string
      /** The peer it is about, where there is one. */
      peerId?: string
      /** The command that it answers, where there is one. */
      id?: number
      /** Why a dial failed, for programs; only where `id` is that of a Dial. */
      why?: DialFailure
      /** The remote address it is about, where there is one. */
      ip?: string
    }
  | {
      /** A peer became reachable: it has admitted us and we have admitted it. */
      type: 'Connected'
      /** The peer. */
      peerId: string
      /** Multiaddr of its end of the connection. */
      address: string
      /** `'outbound'` when this side dialled. */
      direction: 'inbound' | 'outbound'
      /** The Dial that led to it, if one did. */
      id?: number
    }
  | {
      /** The peer of this Dial is reachable, and another Dial, or the peer itself, has made it so. */
      type: 'AlreadyConnected'
      /** The peer. */
      peerId: string
      /** BitVMX's own name of the peer: the hash of its public key, 64 hex digits. */
      keyHash: string
      /** Multiaddr of its end of the connection. */
      address: string
      /** The Dial that this answers. */
      id: number
    }
  | {
      /** A peer is no longer reachable. */
      type: 'Disconnected'
      /** The peer. */
      peerId: string
      /** Why, for programs. */
      code: DisconnectCode
      /** Why, for people; the text may change. */
      reason: string
    }

/** Every event that is neither Data nor Status: rare, never dropped, and carried as text between threads. */
export type ControlEvent = Exclude<P2pEvent, { type: 'Data' | 'Status' }>

/** What the priority channel tells: messages of a peer that were refused because the receiver channel was full. */
export interface PriorityEvent {
  /** Counts up, one event a peer, until it is read. */
  type: 'Dropped'
  /** Whose messages they were. */
  peerId: string
  /** Messages refused since this peer's last Dropped was read. */
  messages: number
  /** Their payload bytes. */
  bytes: number
}

/** A command as the runtime reads it. */
export type PlainCommand =
  | { type: 'Dial'; id: number; peerId: string; addresses: string[] }
  | { type: 'DisconnectFrom'; id: number; peerId?: string; drainMs?: number }
