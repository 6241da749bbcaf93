import type { Conduct } from './conduct.ts'

/** A Data frame that brings fewer bytes costs more to take than they are worth. */
const SMALL_BYTES = 64
/** So many of them are free for each message that they make whole: the negotiation, a prefix, a payload, and some more. */
const FREE_FRAMES = 8

/** Counts the Data frames of one stream that bring next to nothing. */
export class SmallFrames {
  readonly #conduct: Conduct
  readonly #isExempt: () => boolean
  /** Since the last message was whole. */
  #count = 0

  /** `isExempt`: whether the stream carries acks, each of which answers a message of this side: then none is counted. */
  constructor(conduct: Conduct, isExempt: () => boolean) {
    this.#conduct = conduct
    this.#isExempt = isExempt
  }

  /** A frame brings so many bytes. @throws AbuseError when too many have brought few */
  take(bytes: number): void {
    if (bytes === 0 || bytes >= SMALL_BYTES) return
    if (this.#isExempt()) {
      this.settle()
      return
    }
    this.#conduct.smallFrame()
    this.#count++
  }

  /** What the frames have brought has become whole. */
  settle(): void {
    if (this.#count > 0) this.#conduct.forgiveFrames(Math.min(this.#count, FREE_FRAMES))
    this.#count = 0
  }
}
