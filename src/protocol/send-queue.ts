import { copyInto, copyOf } from '../copy.ts'
import { prefixBytes, readPrefix } from '../framing/index.ts'
import { NumberRing } from './ring.ts'

/** Frames that were handed over together, in one buffer. */
interface Chunk {
  bytes: Uint8Array
  /** Frames in it that are not settled. */
  frames: number
}

/** At most so many bytes go to a stream in one `send`. */
const BATCH_BYTES = 256 * 1024
/** Chunks shorter than this are joined when the next ones arrive, so that single messages do not travel as lists. */
const JOIN_BYTES = 16 * 1024

/**
 * The messages of one peer that are not settled, in order: first those written to the stream and not answered, then
 * those not written. Their frames stay here until they are settled, so that messages which the remote is known not to
 * have read can be written again.
 */
export class SendQueue {
  readonly #chunks: Chunk[] = []
  /** Wire length of every frame. */
  readonly #lengths = new NumberRing()
  /** First chunk with unwritten frames, and where in it they begin. */
  #nextChunk = 0
  #nextAt = 0
  /** In the first chunk, where the oldest unsettled frame begins. */
  #firstAt = 0

  /** Messages written and not settled, and their bytes on the wire. */
  inFlight = 0
  inFlightBytes = 0

  /** Messages not written yet. */
  get unwritten(): number {
    return this.#lengths.length - this.inFlight
  }

  /** All messages here. */
  get length(): number {
    return this.#lengths.length
  }

  /** Wire length of the message at `index`, counted from the oldest. */
  wireLength(index: number): number {
    return this.#lengths.at(index)
  }

  /** Copies `count` whole frames in. */
  add(frames: Uint8Array, count: number): void {
    for (let at = 0; at < frames.length;) {
      const length = readPrefix(frames, at, frames.length)
      const wire = prefixBytes(length) + length
      this.#lengths.push(wire)
      at += wire
    }
    const last = this.#chunks[this.#chunks.length - 1]
    // A chunk that grows gets other bytes: the stream may hold views of those it has.
    const joins =
      last !== undefined &&
      this.#nextChunk < this.#chunks.length &&
      last.bytes.length + frames.length <= JOIN_BYTES
    if (!joins) {
      this.#chunks.push({ bytes: copyOf(frames), frames: count })
      return
    }
    const bytes = new Uint8Array(last.bytes.length + frames.length)
    bytes.set(last.bytes)
    copyInto(bytes, last.bytes.length, frames)
    last.bytes = bytes
    last.frames += count
  }

  /**
   * The next unwritten frames, counted as written from now on: as many as keep the messages in flight within both
   * windows, at least one if none is in flight, at most about `BATCH_BYTES`. Empty when there is nothing to write.
   */
  takeBatch(windowMessages: number, windowBytes: number): Uint8Array[] {
    const batch: Uint8Array[] = []
    let batchBytes = 0
    while (this.#nextChunk < this.#chunks.length && batchBytes < BATCH_BYTES) {
      const { bytes } = this.#chunks[this.#nextChunk]!
      const begin = this.#nextAt
      let end = begin
      while (end < bytes.length && end - begin + batchBytes < BATCH_BYTES) {
        const wire = this.#lengths.at(this.inFlight)
        const fits = this.inFlight < windowMessages && this.inFlightBytes + wire <= windowBytes
        if (!fits && this.inFlight > 0) break
        this.inFlight++
        this.inFlightBytes += wire
        end += wire
      }
      if (end === begin) break
      batch.push(begin === 0 && end === bytes.length ? bytes : bytes.subarray(begin, end))
      batchBytes += end - begin
      if (end < bytes.length) {
        this.#nextAt = end
        break
      }
      this.#nextChunk++
      this.#nextAt = 0
    }
    return batch
  }

  /** Removes the oldest message; it must be in flight. */
  settleWritten(): void {
    const wire = this.#lengths.shift()
    this.inFlight--
    this.inFlightBytes -= wire
    this.#firstAt += wire
    const first = this.#chunks[0]!
    if (--first.frames === 0) {
      this.#chunks.shift()
      this.#nextChunk--
      this.#firstAt = 0
    }
  }

  /** Removes all messages; how many there were. */
  clear(): number {
    const count = this.#lengths.length
    this.#lengths.clear()
    this.#chunks.length = 0
    this.#nextChunk = this.#nextAt = this.#firstAt = 0
    this.inFlight = this.inFlightBytes = 0
    return count
  }

  /** The remote is known not to have read the messages in flight: they count as unwritten again. */
  rewind(): void {
    this.inFlight = this.inFlightBytes = 0
    this.#nextChunk = 0
    this.#nextAt = this.#firstAt
  }
}
