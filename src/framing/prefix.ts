/** How many bytes the minimal unsigned varint of `length` takes: 1 to 4 (docs/protocol.md, "Frames"). */
export function prefixBytes(length: number): number {
  if (length < 0x80) return 1
  if (length < 0x4000) return 2
  return length < 0x20_0000 ? 3 : 4
}

/** Writes the minimal varint of `length` (0 to `MAX_FRAME_BYTES`) at `offset`; returns the offset behind it. */
export function writePrefix(target: Uint8Array, offset: number, length: number): number {
  while (length >= 0x80) {
    target[offset++] = (length & 0x7f) | 0x80
    length >>>= 7
  }
  target[offset++] = length
  return offset
}

/** Reading a prefix: not all of it is here yet. */
export const PREFIX_INCOMPLETE = -1
/** Reading a prefix: it has a superfluous last byte, so it is not the minimal encoding. */
export const PREFIX_NOT_MINIMAL = -2
/** Reading a prefix: it goes on after `MAX_PREFIX_BYTES`. */
export const PREFIX_TOO_LONG = -3

/**
 * Reads the varint at `offset`, not beyond `end`: its value, or one of the negative constants above. Its own
 * size is `prefixBytes(value)`, because only the minimal encoding is accepted.
 */
export function readPrefix(source: Uint8Array, offset: number, end: number): number {
  let value = 0
  for (let shift = 0; shift < 28; shift += 7) {
    if (offset === end) return PREFIX_INCOMPLETE
    const byte = source[offset++]!
    value |= (byte & 0x7f) << shift
    if (byte < 0x80) return byte === 0 && shift > 0 ? PREFIX_NOT_MINIMAL : value
  }
  return PREFIX_TOO_LONG
}
