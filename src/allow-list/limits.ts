/** Entries in one allow list; a list with more is refused as a whole, and so is one more `add`. */
export const MAX_ENTRIES = 65_536

/** Addresses and ranges in one entry, which are tried one after the other; an entry with more is refused. */
export const MAX_IPS = 1_024

/** Bytes of an allow list as text, in UTF-8; a longer one is neither read nor written. */
export const MAX_TEXT_BYTES: number = 16 * 1024 * 1024
