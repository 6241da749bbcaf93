/** Entries in one allow list. */
export const MAX_ENTRIES = 65_536

/** Addresses and ranges in one entry: ranges are tried one after the other. */
export const MAX_IPS = 1_024

/** An allow list as text, in UTF-8: 16 MiB. */
export const MAX_TEXT_BYTES: number = 16 * 1024 * 1024
