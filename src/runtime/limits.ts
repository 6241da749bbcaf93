/** Messages in flight to one peer; further ones wait in its outbox. */
export const WINDOW_MESSAGES = 16_384

/** Bytes on the wire in flight to one peer; further ones wait. One message may always be in flight. */
export const WINDOW_BYTES: number = 4 * 1024 * 1024

/** Inbound connections of one peer, at once and per second, each of which costs a handshake (docs/decisions/0009); one more is `protocol-abuse`. */
export const CONNECTIONS_PER_PEER = { capacity: 512, refillPerSecond: 8 }

/** Connections of one peer that take each other's place so often in so many milliseconds are reported, once until it stops. */
export const TAKEOVERS = { reportedAt: 3, withinMs: 60_000 }

/** Connections of barred peers from one address, at once and per second; one more costs the address a token. */
export const BARRED_RECONNECTS = { capacity: 32, refillPerSecond: 1 }

/** Milliseconds between two reports that connections are turned away for lack of room; those between are not told. */
export const REFUSAL_INTERVAL_MS = 10_000

/** Milliseconds between two looks of a runtime that drains at whether anything is left. */
export const DRAIN_LOOK_MS = 10

/** Control events that the application has not read; then nobody new is let in, and strangers and defects are not reported. */
export const MAX_UNREAD_CONTROL = 65_536

/** Commands taken in one turn of the event loop; more waits for the next turn, so that sockets get theirs. */
export const MAX_RECORDS_PER_TURN = 16_384

/** Bytes of messages taken in one turn of the event loop; the next record ends the turn. */
export const MAX_BYTES_PER_TURN: number = 4 * 1024 * 1024

/** Peers whose drops wait for a slot among the counters; drops of further peers are told to their senders only. */
export const MAX_DROPS_WAITING = 65_536

/** Dials that connect at once; more wait: each costs a handshake, and one that waits for the CPU would time out unfairly. */
export const MAX_PARALLEL_DIALS = 64

/** Addresses of one name that are tried, after the allow list has taken out those where the peer must not be. */
export const MAX_ADDRESSES_OF_NAME = 8

/** Failures that the error of a dial names; of further ones it says how many. */
export const MAX_FAILURES_TOLD = 16

/** Milliseconds that a connection attempt is alone before the next begins beside it (RFC 8305, section 5). */
export const ATTEMPT_DELAY_MS = 250

/** Milliseconds without a message stream after which a superfluous connection is closed. */
export const CLOSE_UNUSED_AFTER_MS = 1_000

/** Milliseconds since bytes of a peer arrived, within which it is not asked whether it is there. */
export const RECENTLY_RECEIVED_MS = 1_000

/** Milliseconds in which a connection that refuses a message stream may come to an orderly end, before it is reset. */
export const ORDERLY_END_MS = 500

/** Debits kept for each peer or address; the oldest go first. */
export const MAX_DEBITS_KEPT = 8

/** Peers and addresses whose debits are kept; who was charged longest ago goes first. */
export const MAX_DEBTORS_KEPT = 1_024

/** Buckets in one snapshot, emptiest first: it stays small while somebody attacks from everywhere. */
export const MAX_BUCKETS_SHOWN = 1_024

/** Peers that are gone and whose message counters are kept; beyond them, who went first begins at 0 again if it comes back. */
export const MAX_TOTALS_KEPT = 16_384
/** Records of the log that the application has not taken; more are counted, and left out. */
export const MAX_UNREAD_LOG_RECORDS = 4_096
/** Records of the log about what strangers do: at once, and per second. More are counted, and left out. */
export const STRANGER_RECORDS = { capacity: 64, refillPerSecond: 8 }
