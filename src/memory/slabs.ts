/**
 * Memory for bytes on their way through the network thread, used again and again. Buffers that are made for each message
 * and thrown away cost more than the copies into them: V8 counts their bytes, and collects the whole heap beside the
 * thread whenever enough have gathered (docs/decisions/0012).
 */

/** What holds little takes a small slab, so that many waiting peers or cut-off frames cost little. */
export const SMALL_BYTES: number = 4 * 1024
const LARGE_BYTES = 128 * 1024

/** Slabs of each kind that are kept for later: 1 MiB, and 64 MiB, as much as may by default wait for one peer. */
const MAX_KEPT_SMALL = 256
const MAX_KEPT_LARGE = 512

const small: Uint8Array[] = []
const large: Uint8Array[] = []

/** A slab, whose content is arbitrary. */
export function takeSlab(isLarge: boolean): Uint8Array {
  return isLarge ? (large.pop() ?? new Uint8Array(LARGE_BYTES)) : (small.pop() ?? new Uint8Array(SMALL_BYTES))
}

/** Gives a slab back. Nobody may hold a view of it any more: it will carry the bytes of others. */
export function giveSlab(slab: Uint8Array): void {
  if (slab.length === SMALL_BYTES) {
    if (small.length < MAX_KEPT_SMALL) small.push(slab)
  } else if (large.length < MAX_KEPT_LARGE) large.push(slab)
}
