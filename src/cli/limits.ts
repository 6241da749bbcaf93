/** Verifiers that `demo` starts at most: each is a process with a network thread of its own; more is an error of usage. */
export const MAX_VERIFIERS = 16

/** Bytes of a key file that `peer-id` reads at most; no private key in any form is longer, and it may be a pipe. */
export const MAX_KEY_FILE_BYTES = 65_536
