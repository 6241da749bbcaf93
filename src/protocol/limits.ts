/** Written to a stream in one piece, in bytes, or one message: more goes in the next piece. */
export const MAX_BATCH_BYTES: number = 256 * 1024

/** In flight at once, in bytes, or one message, behind a refusal as too large: it grows with what is answered. */
export const NARROW_WINDOW_BYTES: number = 64 * 1024

/** Time in which the end of a stream that is released leaves, in milliseconds; else the stream is reset. */
export const RELEASE_TIMEOUT_MS = 1_000

/** Time in which the last acks leave a stream that is broken off, in milliseconds; then it is reset. */
export const LAST_ACKS_TIMEOUT_MS = 1_000

/** Silence of a peer, in milliseconds, after which it may have been stopped: what it owes is waited for anew. */
export const QUIET_MS = 1_000

/**
 * Longest message that reserves no memory while it is incomplete, in bytes; a longer one does. It is the first window of a
 * stream (yamux specification, "Flow control"): so much lies in the muxer while a stream is not read, and takes no more here.
 */
export const UNRESERVED_BYTES: number = 256 * 1024
