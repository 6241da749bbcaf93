/**
 * The one error class of this package and its closed set of codes.
 *
 * Codes are stable: programs switch on them. Messages are for people, name the value received and what is
 * wanted, and may change. Never a key or a payload stands in a message.
 */
import { types } from 'node:util'

/** Every way this package fails. A program may switch on it exhaustively. */
export type P2pErrorCode =
  /** the private key is not one of the accepted forms, or is damaged */
  | 'ERR_INVALID_KEY'
  /** a listen or dial address that is not `ip:port` or a TCP multiaddr, or an IP or CIDR range that is not one */
  | 'ERR_INVALID_ADDRESS'
  /** a peer ID that does not parse */
  | 'ERR_INVALID_PEER_ID'
  /** an option, argument or command out of its range or of the wrong type */
  | 'ERR_INVALID_OPTION'
  /** the address cannot be bound: in use, not this machine's, or not permitted */
  | 'ERR_LISTEN_FAILED'
  /** a dial did not lead to a connection that the remote admitted; the message tells refused, unreachable, timed out and denied apart */
  | 'ERR_DIAL_FAILED'
  /** the allow list, an address rule or an empty token bucket denies this peer */
  | 'ERR_NOT_ALLOWED'
  /** the node at the dialled address proved a different peer ID */
  | 'ERR_PEER_MISMATCH'
  /** the message is larger than `limits.maxMessageBytes` */
  | 'ERR_MESSAGE_TOO_LARGE'
  /** the peer's share of the sender channel is used up: read Status events, then send again */
  | 'ERR_SENDER_FULL'
  /** the runtime has ended or is ending */
  | 'ERR_CLOSED'
  /**
   * the runtime thread could not start, died, or does not answer; or a task in it failed and it goes on, as the message
   * says then: a defect worth reporting. `Receiver.closed` tells the two apart
   */
  | 'ERR_RUNTIME_FAILED'

/** An error of this package. `cause`, where there is one, is the error beneath. */
export class P2pError extends Error {
  // Defined, as fields are, and not assigned: where Error.prototype is frozen, that would throw.
  /** `'P2pError'`. */
  override readonly name: string = 'P2pError'
  /** What failed, for programs. */
  readonly code: P2pErrorCode

  /** For those who stand in for this package, in a test for example. */
  constructor(code: P2pErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** A P2pError as plain data: class instances lose their name and code between threads (see `toPlain`). */
export interface PlainError {
  code: P2pErrorCode
  message: string
}

/** The plain form in which an error crosses threads. Anything that is not a P2pError becomes `fallback`. */
export function toPlain(err: unknown, fallback: P2pErrorCode): PlainError {
  return err instanceof P2pError
    ? { code: err.code, message: err.message }
    : { code: fallback, message: messageOf(err) }
}

/**
 * What an unknown thrown value says, at most 500 characters: remote parties influence some of these texts. libp2p also
 * rejects with the event that ended a wait, which may hold the error.
 */
export function messageOf(err: unknown): string {
  if (err instanceof Event) return 'error' in err ? messageOf(err.error) : `ended by a ${err.type}`
  const text = err instanceof Error ? err.message || err.name : String(err)
  return text.length > 500 ? `${text.slice(0, 500)}…` : text
}

/** How an unusable value is shown in an error: its type and at most 60 characters of it. */
export function shown(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'string') {
    return value.length > 60 ? `'${value.slice(0, 60)}…' (${value.length} characters)` : `'${value}'`
  }
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return `${value}`
  if (typeof value !== 'object') return `a ${typeof value}`
  try {
    return shownObject(value)
  } catch {
    // It has its own idea of a prototype, a length or a constructor, as a proxy may.
    return 'an object'
  }
}

function shownObject(value: object): string {
  if (types.isUint8Array(value)) return `a Uint8Array of ${value.length} bytes`
  if (Array.isArray(value)) return `an array of ${value.length}`
  return `an object (${(value.constructor?.name ?? 'no prototype').slice(0, 60)})`
}
