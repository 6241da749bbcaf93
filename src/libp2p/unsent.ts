import type { MessageStream } from '@libp2p/interface'

/** What a frame that waits costs beside its bytes: an array, and its place in a list. */
const FRAME_COST_BYTES = 256

/**
 * What answers may wait beside messages in flight. A peer that reads, however slowly, comes nowhere near it: an inbound
 * stream whose acks do not leave is not read either, so what is owed to it is bounded by its window, and by that of
 * the 320 streams there can be.
 */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024

/**
 * Counts what waits to be written on a connection. Upstream keeps it without a bound: frames without content whatever
 * their number, and the next piece of a stream whenever the remote opens that stream's window, though it reads nothing.
 */
export class Unsent {
  readonly #maxBytes: number
  #bytes = 0

  /** `maxInFlightBytes`: messages that may be in flight to the peer. */
  constructor(connection: MessageStream, maxInFlightBytes: number) {
    this.#maxBytes = maxInFlightBytes + MAX_ANSWER_BYTES
    // Told when the system has taken everything that waited below; what waited above follows at once.
    connection.addEventListener('drain', () => (this.#bytes = 0))
  }

  /** A frame of so many bytes waits. Whether that is still bearable. */
  add(bytes: number): boolean {
    this.#bytes += bytes + FRAME_COST_BYTES
    return this.#bytes <= this.#maxBytes
  }
}
