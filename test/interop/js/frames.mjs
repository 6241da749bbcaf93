/** The frames of docs/protocol.md: a length as a minimal varint of at most four bytes, then that many bytes. */
import { Uint8ArrayList } from 'uint8arraylist'

export const PROTOCOL = '/bitvmx/comms/1.0.0'

/** The limit on messages that receivers have unless configured otherwise. */
export const MAX_MESSAGE = 8_388_608
/** An ack is its status and up to 63 reserved bytes. */
const MAX_ACK = 64

export const ACCEPTED = 0
export const FULL = 1
export const TOO_LARGE = 2

/** What the other side must not write. The names are those of test/fixtures/README.md. */
export class Violation extends Error {
  constructor(fault) {
    super(`the other side broke the rules: ${fault}`)
    this.fault = fault
  }
}

/** A message, or the body of an ack, as it stands on the wire. */
export function frame(payload) {
  const prefix = []
  let left = payload.length
  for (; left >= 0x80; left >>>= 7) prefix.push((left & 0x7f) | 0x80)
  return Buffer.concat([Uint8Array.of(...prefix, left), payload])
}

/** The length in front of `bytes` and how many bytes it took; nothing while there are too few. */
function parseLength(bytes) {
  let length = 0
  for (let at = 0; at < Math.min(4, bytes.length); at++) {
    const byte = bytes.get(at)
    length += (byte & 0x7f) * 2 ** (7 * at)
    if (byte >= 0x80) continue
    if (byte === 0 && at > 0) throw new Violation('not-minimal')
    return { length, taken: at + 1 }
  }
  if (bytes.length >= 4) throw new Violation('prefix-too-long')
}

/** Puts frames together from pieces of any size. */
class Decoder {
  #bytes = new Uint8ArrayList()
  /** Of the frame that is being read; its prefix is no longer among the bytes. */
  #length;

  /** The payloads of all frames that are whole now. */
  *push(piece) {
    this.#bytes.append(piece)
    for (;;) {
      if (this.#length === undefined) {
        const prefix = parseLength(this.#bytes)
        if (prefix === undefined) return
        // A length counts as soon as it is known: nothing is kept of a frame that will not be taken.
        this.checkLength(prefix.length)
        this.#bytes.consume(prefix.taken)
        this.#length = prefix.length
      }
      if (this.#bytes.length < this.#length) return
      const payload = this.#bytes.slice(0, this.#length)
      this.#bytes.consume(this.#length)
      this.#length = undefined
      yield payload
    }
  }

  /** The stream has come to its orderly end. */
  end() {
    if (this.#length !== undefined || this.#bytes.length > 0) throw new Violation('cut-off')
  }
}

/** Reads messages. */
export class MessageDecoder extends Decoder {
  constructor(limit = MAX_MESSAGE) {
    super()
    this.limit = limit
  }

  checkLength(length) {
    if (length > this.limit) throw new Violation('too-large')
  }
}

/** Reads acks: the statuses. */
export class AckDecoder extends Decoder {
  checkLength(length) {
    if (length === 0) throw new Violation('empty')
    if (length > MAX_ACK) throw new Violation('too-long')
  }

  *push(piece) {
    for (const [status] of super.push(piece)) {
      if (status > TOO_LARGE) throw new Violation('unknown-status')
      yield status
    }
  }
}
