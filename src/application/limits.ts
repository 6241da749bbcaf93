/** What bounds the application's half: how much it keeps, and how long it waits. */

/** Addresses that one dial may name; more are refused with ERR_INVALID_ADDRESS. */
export const MAX_DIAL_ADDRESSES = 16

/** Dials whose outcome has not been read; one more is refused with ERR_SENDER_FULL. */
export const MAX_UNSETTLED_DIALS = 4_096

/** Longest `drainMs`, in milliseconds: a timer takes no more. A longer one is refused with ERR_INVALID_OPTION. */
export const MAX_DRAIN_MS = 2_147_483_647

/** Peers remembered without unsettled messages; one more takes the handle of the one that was named first. */
export const MAX_IDLE_LEDGERS = 4_096

/**
 * Bytes of a buffer that received messages of up to a quarter of it share, as Node's own small Buffers do; a longer message
 * has a buffer of its own.
 */
export const POOL_BYTES = 8_192

/** V8 keeps so many bytes in the object itself: a message up to this has a buffer of its own, which costs nothing then. */
export const ON_HEAP_BYTES = 64

/** Longest uninterrupted wait of a blocked caller, in milliseconds; then it makes sure that the thread lives. */
export const WAIT_SLICE_MS = 1_000

/** While the thread starts: how soon a blocked caller learns that it has ended without a word, in milliseconds. */
export const START_SLICE_MS = 100

/** Awaited events are handed out for so long without a turn of the event loop, in milliseconds; then timers get theirs. */
export const MAX_RUN_MS = 5

/** How long a thread that owes an answer may be silent, in milliseconds; then it counts as dead. */
export const SILENCE_MS = 30_000

/** How often a blocked application makes sure that the thread still looks at its doorbell, in milliseconds. */
export const PROBE_MS = 5_000

/** How often a caller that looks again and again makes sure that the thread has not ended, in milliseconds. */
export const LOOK_MS = 500

/**
 * Room for new objects in the thread, in MiB, as Node 20 has it by default. In the larger one of Node 24 the buffers that
 * each read and record brings lie about until they set off collections of the whole heap (docs/performance.md).
 */
export const YOUNG_GENERATION_MIB = 6

/**
 * File descriptors that a thread needs before it can say anything: its event loop takes 4 on Linux and 5 on macOS, and the
 * reading of its file 1. With fewer left a start fails with ERR_RUNTIME_FAILED.
 */
export const MIN_DESCRIPTORS = 6

/** Characters that are told of why the thread's file does not load; the rest is cut. */
export const MAX_CAUSE_LENGTH = 500
