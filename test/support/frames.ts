/** Messages as they stand on the wire, by the text of docs/protocol.md and without the code under test. */
import { prefixed, varint as varintOf } from './wire/lines.mjs'

export function concat(parts: Iterable<Uint8Array>): Uint8Array {
  return new Uint8Array(Buffer.concat([...parts]))
}

/** The minimal varint of `length`. */
export function varint(length: number): Uint8Array {
  return new Uint8Array(varintOf(length))
}

/** One frame as a peer would write it: its length as a varint, then its bytes. */
export function frame(payload: Uint8Array): Uint8Array {
  return new Uint8Array(prefixed(payload))
}

/** The payloads of the whole frames at the beginning of `bytes`. */
export function payloads(bytes: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = []
  for (let at = 0; at < bytes.length;) {
    let length = 0
    let weight = 1
    for (let more = true; more; weight *= 128) {
      const byte = bytes[at++]
      if (byte === undefined) return found
      length += (byte % 128) * weight
      more = byte >= 128
    }
    if (at + length > bytes.length) break
    found.push(bytes.slice(at, at + length))
    at += length
  }
  return found
}
