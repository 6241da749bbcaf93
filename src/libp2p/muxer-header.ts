import type { Uint8ArrayList } from 'uint8arraylist'
import { eachPart } from '../memory/index.ts'
import { MUXER_HEADER_BYTES } from '../protocol/index.ts'

/** Types of frames, and their flags (yamux specification, "Framing"). */
export const Type = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const
export const Flag = { syn: 1, ack: 2, fin: 4, rst: 8 } as const

/** Frames that are taken at once: 0.2 ms, or less. */
const BATCH_FRAMES = 64

/** Follows the frames of a yamux connection by their headers alone, a batch at a time. */
export class HeaderScanner {
  readonly #maxDataBytes: number
  /** Header bytes collected; those that matter are the type, the low byte of the flags and the length. */
  #collected = 0
  #type = 0
  #flags = 0
  #length = 0
  /** Bytes of the current Data frame's body that are still to come. */
  #body = 0
  /** Room for frames in the current batch. */
  #room = 0
  /** Whether the last frame of the batch opens a stream: such a frame ends it. */
  opened = false

  constructor(maxDataBytes: number) {
    this.#maxDataBytes = maxDataBytes
  }

  /**
   * Follows the next batch of frames. What is cut off at the end is followed from there on by the next call.
   *
   * @returns how many of the bytes are in the batch: all of them, or those before the header of another frame
   * @throws Error when a Data frame is announced that is too long
   */
  scan(data: Uint8Array | Uint8ArrayList): number {
    this.#room = BATCH_FRAMES
    this.opened = false
    let bytes = 0
    for (const part of eachPart(data)) {
      const taken = this.#scanPart(part)
      bytes += taken
      if (taken < part.length) break
    }
    return bytes
  }

  #scanPart(part: Uint8Array): number {
    let at = 0
    while (at < part.length) {
      const skipped = Math.min(this.#body, part.length - at)
      this.#body -= skipped
      at += skipped
      while (at < part.length && this.#body === 0) {
        if (this.#collected === 0 && this.#room <= 0) return at
        this.#headerByte(part[at++]!)
      }
    }
    return at
  }

  #headerByte(byte: number): void {
    const index = this.#collected++
    if (index === 1) this.#type = byte
    else if (index === 3) this.#flags = byte
    else if (index >= 8) this.#length = this.#length * 256 + byte
    if (this.#collected < MUXER_HEADER_BYTES) return
    const length = this.#length
    this.#collected = 0
    this.#length = 0
    this.opened = this.#type <= Type.windowUpdate && (this.#flags & Flag.syn) > 0
    this.#room = this.opened ? 0 : this.#room - 1
    if (this.#type !== Type.data) return
    if (length > this.#maxDataBytes) throw new Error(`a muxer frame of ${length} bytes, beyond any window`)
    this.#body = length
  }
}
