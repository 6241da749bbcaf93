/**
 * What the process that the user started asks of the processes it has started, and what they answer. This goes over the
 * processes' own channel to each other; it is for choreography and display. What the participants have to say to one
 * another goes through bitvmx-p2p.
 */
import type { KeyType } from '../identity/index.ts'
import type { Limits } from '../options.ts'

/** Where a participant can be dialled. */
export interface Contact {
  peerId: string
  address: string
}

/** How one dial ended. */
export type DialOutcome = { ok: true; ms: number } | { ok: false; code: string; message: string }

/** What a participant has sent and received so far. */
export interface Tally {
  sent: number
  received: number
  bytesSent: number
  bytesReceived: number
  /** Status events with `ok` */
  acks: number
  /** From `sendMsg` to its Status, in milliseconds; absent when nothing was sent. */
  roundTrip?: { min: number; median: number; p99: number; max: number }
  dialMs?: number
}

/** How far a phase of the setup is: messages delivered, and whose contents were found in order. */
export interface PhaseProgress {
  messages: number
  bytes: number
  ms: number
}

/** Every duty: what it takes, and what it gives when it is done. A participant performs one at a time. */
export interface Duties {
  /** Make a key of one's own. It never leaves the process. */
  introduce: { takes: { keyType: KeyType }; gives: { peerId: string } }
  /** Read the allow list from its file. */
  readAllowList: { takes: { path: string }; gives: object }
  /** Start a node that listens. */
  start: { takes: { limits: Partial<Limits> }; gives: { address: string } }
  dial: { takes: Contact; gives: DialOutcome }
  /** The operator's part in the setup. Tells how the phases are going. */
  lead: { takes: { verifiers: string[] }; gives: { phases: PhaseProgress[]; tally: Tally } }
  /** A verifier's part in the setup. */
  follow: { takes: { operator: string }; gives: { tally: Tally } }
  /** Wait until somebody has been turned away, then make sure that the verifiers are still there. */
  guard: { takes: { verifiers: string[] }; gives: Rejection }
  sendFile: { takes: { to: string; path: string; bytes: number }; gives: Delivery }
  /** Tells how much of the file has arrived. */
  receiveFile: { takes: { from: string }; gives: Arrival }
  /** Stop the node and end. */
  leave: { takes: object; gives: object }
}

/** What the operator saw of the stranger, and of the verifiers afterwards. */
export interface Rejection {
  code: string
  message: string
  peerId: string
  /** Verifiers connected, and those among them that acknowledged one more message. */
  connected: number
  answered: number
}

export interface Delivery {
  tally: Tally
  sha256: string
  /** From the first byte read to the receiver's verdict. */
  ms: number
  /** How often `sendMsg` threw ERR_SENDER_FULL, and how many messages had to be sent again. */
  waits: number
  resent: number
}

export interface Arrival {
  tally: Tally
  sha256: string
  bytes: number
}

/** What a duty tells while it lasts. */
export interface Progress {
  phases?: PhaseProgress[]
  bytes?: number
}

/** From the parent. */
export type Order = { [K in keyof Duties]: { duty: K; takes: Duties[K]['takes'] } }[keyof Duties]

/** To the parent. */
export type Report = { gives: object } | { progress: Progress } | { failed: string }
