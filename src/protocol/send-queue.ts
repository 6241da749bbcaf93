import { copyInto, giveSlab, SMALL_BYTES, takeSlab } from '../memory/index.ts'

interface Slab {
  bytes: Uint8Array
  /** Bytes in it. What is behind them is free, and has been shown to nobody. */
  filled: number
  /** What is left of a stream that was given up may hold views of it: it is not used again. */
  pinned: boolean
}

/**
 * The bytes of one peer's messages, one behind the other in slabs, from when they are sent until their messages are done
 * with: first those taken to be written, then the others. Those taken stay, because what the remote is known not to have
 * read is written again.
 */
export class SendQueue {
  readonly #slabs: Slab[] = []
  /** Bytes here, and how many of them have been taken. */
  #length = 0
  #taken = 0
  /** Where the oldest byte stands in the first slab. */
  #firstAt = 0
  /** The slab with the next byte to be taken, and where in it that is. */
  #nextSlab = 0
  #nextAt = 0

  /** Copies bytes in. */
  add(bytes: Uint8Array): void {
    this.#length += bytes.length
    for (let at = 0; at < bytes.length;) {
      let slab = this.#slabs[this.#slabs.length - 1]
      if (slab === undefined || slab.filled === slab.bytes.length) {
        slab = { bytes: takeSlab(bytes.length - at > SMALL_BYTES), filled: 0, pinned: false }
        this.#slabs.push(slab)
      }
      const fits = Math.min(slab.bytes.length - slab.filled, bytes.length - at)
      copyInto(slab.bytes, slab.filled, bytes.subarray(at, at + fits))
      slab.filled += fits
      at += fits
    }
  }

  /** Views of the next `count` bytes, which must be here. */
  take(count: number): Uint8Array[] {
    this.#taken += count
    const parts: Uint8Array[] = []
    while (count > 0) {
      const slab = this.#slabs[this.#nextSlab]!
      const end = Math.min(slab.filled, this.#nextAt + count)
      parts.push(slab.bytes.subarray(this.#nextAt, end))
      count -= end - this.#nextAt
      this.#nextAt = end
      if (end === slab.bytes.length) {
        this.#nextSlab++
        this.#nextAt = 0
      }
    }
    return parts
  }

  /**
   * Lets the `count` oldest bytes go, which must have been taken, and gives back the slabs in which none is left.
   *
   * @param backlog how many of the bytes taken last may still wait in the stream or below it. Slabs with such bytes must not
   * be used again, not even if their messages are answered: a hostile peer answers early, to be sent what comes into them next
   */
  release(count: number, backlog: number): void {
    this.#length -= count
    this.#taken -= count
    this.#firstAt += count
    while (this.#slabs.length > 0) {
      const { bytes, filled, pinned } = this.#slabs[0]!
      if (this.#firstAt < bytes.length && this.#length > 0) return
      this.#slabs.shift()
      this.#firstAt -= filled
      const takenBehind = this.#firstAt + this.#taken
      if (!pinned && takenBehind >= backlog) giveSlab(bytes)
      if (this.#nextSlab > 0) this.#nextSlab--
      else this.#nextAt = 0
    }
  }

  /** The remote is known not to have read what was taken: it is taken again. */
  rewind(): void {
    this.#taken = this.#nextSlab = 0
    this.#nextAt = this.#firstAt
  }

  /** The stream that bytes were taken for is given up: what may be left of it must not see others. */
  abandon(): void {
    for (const slab of this.#slabs.slice(0, this.#nextSlab + 1)) slab.pinned = true
  }

  /** Forgets everything. */
  clear(): void {
    this.#slabs.length = 0
    this.#length = this.#taken = this.#firstAt = this.#nextSlab = this.#nextAt = 0
  }
}
