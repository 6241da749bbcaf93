/**
 * How messages, connections and dials end, and what costs a peer tokens, in words that a program can switch on. Stable, as
 * the codes of errors are. What else names them is checked against these by the compiler.
 */

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

/** Why a peer is no longer reachable. A program may switch on it; the text beside it is for people. */
export type DisconnectCode =
  /** the remote ended the connection: it parted, was stopped or barred this node, or its process ended */
  | 'remote-closed'
  /** the connection broke: an error of the network, or a reset that came without a word of the remote */
  | 'lost'
  /** nothing was heard of the peer for three heartbeats, or it did not answer when it was asked */
  | 'silent'
  /** a newer connection of the same peer took its place: it was restarted, or a second node has its key */
  | 'replaced'
  /** its token bucket is empty */
  | 'barred'
  /** the allow list does not allow it any more */
  | 'removed'
  /** this application disconnected from it */
  | 'parted'
  /** this node was stopped, or its runtime failed */
  | 'stopped'
  /** what it sent, or left out, broke the protocol */
  | 'protocol'

/** Why a dial failed. A program may switch on it; the message beside it is for people. */
export type DialFailure =
  /** nothing listens at the address */
  | 'refused'
  /** no route, no such network, or no local address for it */
  | 'unreachable'
  /** no answer in time, or none that leads to admission */
  | 'timed-out'
  /** the remote turned this node away or broke the handshake off, the allow list or a limit here denies it, or it was cancelled here */
  | 'denied'
  /** no address of the name could be found, or not in time */
  | 'not-resolved'
  /** what answers at the address is not that peer: it proved another key, or does not speak the protocol */
  | 'mismatch'

/** What costs a peer ID or an IP tokens (docs/security.md, "What costs a token"). */
export type MisbehaviourCause =
  /** charged to an address: a connection that did not become a peer's */
  | 'failed-handshake'
  /** charged to an address: a listed peer from an address outside its entry */
  | 'ip-mismatch'
  /** charged to an address: a complete handshake by somebody who is not on the allow list */
  | 'unknown-peer'
  /** charged to a peer: what docs/protocol.md calls malformed input */
  | 'malformed-message'
  /** charged to a peer: a message that was not answered in time */
  | 'unanswered-ack'
  /** charged to a peer: what is legal once and harmful in floods */
  | 'protocol-abuse'
