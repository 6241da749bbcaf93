/** What bounds what crosses between the threads. */

/** Bytes of a queue's first segment: a queue that carries little costs little, and one process may start many nodes. */
export const FIRST_SEGMENT_BYTES = 65_536

/**
 * Bytes of a full segment: each has twice as many as the one before it, up to this, and one message of 1 MiB fits. A longer
 * message gets a segment of twice, four times … as many.
 */
export const SEGMENT_BYTES = 1_114_112

/** Peers whose dropped messages can be unread at once; the drops of any further peer wait in the runtime for one to be read. */
export const SLOTS = 4_096
