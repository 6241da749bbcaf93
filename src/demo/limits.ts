/** Time in which no process of a demo says anything, in milliseconds; then the demo fails: it must never hang. */
export const IDLE_TIMEOUT_MS = 120_000

/** The end of what a process wrote to its standard error that is kept to be shown when it fails, in characters. */
export const MAX_STDERR_CHARACTERS = 2_000

/** One message of a file transfer, in bytes: larger files are cut into such. */
export const FILE_MESSAGE_BYTES = 1_048_576

/** Messages of a file that the receiver has not read yet; the sender waits at the bound, so nothing is ever refused. */
export const FILE_WINDOW_MESSAGES = 16

/** Handshakes and acks in a demo, in milliseconds, in place of the defaults: a small machine runs all nodes at once. */
export const PATIENT_TIMEOUT_MS = 30_000
