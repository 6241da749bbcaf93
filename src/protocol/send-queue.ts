import { copyInto, giveSlab, SMALL_BYTES, takeSlab } from '../memory/index.ts'
import { prefixBytes, readPrefix } from '../framing/index.ts'
import { NumberRing } from './ring.ts'

/** At most so many bytes go to a stream in one `send`. */
const BATCH_BYTES = 256 * 1024

interface Slab {
  bytes: Uint8Array
  /** Bytes in it. What is behind them is free, and has been shown to nobody. */
  filled: number
  /** What is left of a stream that was given up may hold views of it: it is not used again. */
  pinned: boolean
}

/**
 * The messages of one peer that are not settled, in order: first those written to the stream and not answered, then
 * those not written. Their frames stay here, one behind the other in slabs, until they are settled, so that messages
 * which the remote is known not to have read can be written again.
 */
export class SendQueue {
  readonly #unsent: () => number
  readonly #slabs: Slab[] = []
  /** Wire length of every frame. */
  readonly #lengths = new NumberRing()
  /** In the first slab, where the oldest unsettled frame begins. */
  #firstAt = 0
  /** The slab with the next unwritten byte, and where in it that is. */
  #nextSlab = 0
  #nextAt = 0

  /** Messages written and not settled, and their bytes on the wire. */
  inFlight = 0
  inFlightBytes = 0

  /**
   * @param unsent how many of the bytes that were taken last may still wait in the stream or below it. Slabs with such
   * bytes must not be used again, not even if their messages are answered: a hostile peer answers early, to be sent what
   * comes into them next
   */
  constructor(unsent: () => number) {
    this.#unsent = unsent
  }

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

  /** Copies whole frames in. */
  add(frames: Uint8Array): void {
    for (let at = 0; at < frames.length;) {
      const length = readPrefix(frames, at, frames.length)
      const wire = prefixBytes(length) + length
      this.#lengths.push(wire)
      at += wire
    }
    for (let at = 0; at < frames.length;) {
      let slab = this.#slabs[this.#slabs.length - 1]
      if (slab === undefined || slab.filled === slab.bytes.length) {
        slab = { bytes: takeSlab(frames.length - at > SMALL_BYTES), filled: 0, pinned: false }
        this.#slabs.push(slab)
      }
      const fits = Math.min(slab.bytes.length - slab.filled, frames.length - at)
      copyInto(slab.bytes, slab.filled, frames.subarray(at, at + fits))
      slab.filled += fits
      at += fits
    }
  }

  /**
   * The next unwritten frames, counted as written from now on: as many as keep the messages in flight within both
   * windows, at least one if none is in flight, at most about `BATCH_BYTES`. Empty when there is nothing to write.
   */
  takeBatch(windowMessages: number, windowBytes: number): Uint8Array[] {
    let bytes = 0
    while (this.inFlight < this.#lengths.length && bytes < BATCH_BYTES) {
      const wire = this.#lengths.at(this.inFlight)
      const fits = this.inFlight < windowMessages && this.inFlightBytes + wire <= windowBytes
      if (!fits && this.inFlight > 0) break
      this.inFlight++
      this.inFlightBytes += wire
      bytes += wire
    }
    const batch: Uint8Array[] = []
    while (bytes > 0) {
      const slab = this.#slabs[this.#nextSlab]!
      const end = Math.min(slab.filled, this.#nextAt + bytes)
      batch.push(slab.bytes.subarray(this.#nextAt, end))
      bytes -= end - this.#nextAt
      this.#nextAt = end
      if (end === slab.bytes.length) {
        this.#nextSlab++
        this.#nextAt = 0
      }
    }
    return batch
  }

  /** Removes the `count` oldest messages; they must be in flight. */
  settleWritten(count: number): void {
    for (let i = 0; i < count; i++) {
      const wire = this.#lengths.shift()
      this.inFlightBytes -= wire
      this.#firstAt += wire
    }
    this.inFlight -= count
    this.#giveBack()
  }

  /** Removes all messages; how many there were. */
  clear(): number {
    const count = this.#lengths.length
    this.#lengths.clear()
    this.#slabs.length = 0
    this.#firstAt = this.#nextSlab = this.#nextAt = 0
    this.inFlight = this.inFlightBytes = 0
    return count
  }

  /** The stream that messages were written to is given up. */
  abandon(): void {
    for (const slab of this.#slabs.slice(0, this.#nextSlab + 1)) slab.pinned = true
  }

  /** The remote is known not to have read the messages in flight: they count as unwritten again. */
  rewind(): void {
    this.inFlight = this.inFlightBytes = 0
    this.#nextSlab = 0
    this.#nextAt = this.#firstAt
  }

  /** Gives slabs back whose messages are all settled: the filled ones, and the last when nothing is left. */
  #giveBack(): void {
    if (this.#slabs.length === 0) return
    // Bytes of the first slabs that are written; those that may still be looked at are the last of them.
    let written = this.#nextAt
    let unsent = -1
    while (this.#slabs.length > 0) {
      const { bytes, filled, pinned } = this.#slabs[0]!
      if (this.#firstAt < bytes.length && this.#lengths.length > 0) return
      if (unsent < 0) {
        unsent = this.#unsent()
        for (let i = 0; i < this.#nextSlab; i++) written += this.#slabs[i]!.bytes.length
      }
      written -= filled
      if (!pinned && written >= unsent) giveSlab(bytes)
      this.#slabs.shift()
      this.#firstAt -= filled
      if (this.#nextSlab > 0) this.#nextSlab--
      else this.#nextAt = 0
    }
  }
}
