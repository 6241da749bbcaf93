import { giveSlab, takeSlab } from '../memory/index.ts'
import { PREFIX_INCOMPLETE, PREFIX_NOT_MINIMAL, PREFIX_TOO_LONG, prefixBytes, readPrefix } from './prefix.ts'
import { MAX_PREFIX_BYTES, SMALL_SLABS_UP_TO_BYTES } from './limits.ts'

/** Why a byte sequence is not, or cannot become, a frame this side takes. */
export type FrameFault =
  /** breaks docs/protocol.md, "Malformed input"; `reason` is for people and carries no payload */
  | { kind: 'malformed'; reason: string }
  /** well formed, but longer than this side's limit; nothing of its payload was kept */
  | { kind: 'too-large'; length: number }

/** Whole frames, prefixes included. The parts are the decoder's: use or copy them before returning. */
export interface FrameRun {
  /** The bytes in order. Several frames always stand in one part; one frame may be spread over several. */
  parts: readonly Uint8Array[]
  /** Length of all parts together. */
  wireBytes: number
  /** Payload bytes in them. */
  payloadBytes: number
  /** How many frames. */
  count: number
}

/** Takes decoded frames. */
export type FrameSink = (run: FrameRun) => void

/**
 * Cuts a byte stream into frames (docs/protocol.md, "Frames"). Stateful: bytes arrive in any pieces. Runs of frames
 * that lie whole in one piece are handed on as one view, without touching their payloads; a frame that spans pieces
 * is gathered, never beyond its own length and never before its length has been checked. After a fault the decoder
 * refuses further input.
 */
export class FrameDecoder {
  readonly #maxFrameBytes: number
  readonly #sink: FrameSink
  /** Prefix bytes of the incomplete frame. */
  readonly #head = new Uint8Array(MAX_PREFIX_BYTES)
  #headBytes = 0
  /** Payload length of the incomplete frame, once its prefix is whole. */
  #length = PREFIX_INCOMPLETE
  #have = 0
  /** Slabs that gather the incomplete frame's payload: a drip of single bytes costs memory in proportion to its bytes. */
  #slabs: Uint8Array[] = []
  /** Bytes that the last one still takes. */
  #free = 0
  #begun = 0
  #fault: FrameFault | undefined
  #released = false

  constructor(maxFrameBytes: number, sink: FrameSink) {
    this.#maxFrameBytes = maxFrameBytes
    this.#sink = sink
  }

  /** A frame has begun and is not complete. */
  get partial(): boolean {
    return this.#headBytes > 0
  }

  /** Number of the incomplete frame among all that did not arrive in one piece: tells it from the one before. */
  get partialSerial(): number {
    return this.#begun
  }

  /** Payload bytes held for it. */
  get heldBytes(): number {
    return this.#have
  }

  /** Its payload length, negative while that is not known. */
  get partialLength(): number {
    return this.#length
  }

  /** Takes the next bytes. Frames before a fault have gone to the sink when the fault is returned. */
  push(piece: Uint8Array): FrameFault | undefined {
    let at = 0
    while (this.#fault === undefined && !this.#released && at < piece.length) {
      if (this.#headBytes === 0) {
        at = this.#takeRun(piece, at)
        if (this.#fault !== undefined || this.#released || at === piece.length) break
      }
      at = this.#continueFrame(piece, at)
    }
    return this.#fault
  }

  /** The stream ended in an orderly way: a fault if that cut a frame off. */
  end(): FrameFault | undefined {
    if (this.#fault === undefined && this.partial) {
      this.#fault = { kind: 'malformed', reason: 'the stream ended inside a frame' }
    }
    return this.#fault
  }

  /** Nothing more will come: the memory of an incomplete frame is given back. */
  release(): void {
    this.#released = true
    for (const slab of this.#slabs) giveSlab(slab)
    this.#slabs = []
    this.#free = 0
  }

  /** Hands on all frames that lie whole in `piece` from `at`; returns where the first incomplete one begins. */
  #takeRun(piece: Uint8Array, at: number): number {
    const begin = at
    let count = 0
    let payloadBytes = 0
    while (at < piece.length) {
      const length = readPrefix(piece, at, piece.length)
      if (length < 0 || length > this.#maxFrameBytes) {
        if (length !== PREFIX_INCOMPLETE) this.#fault = this.#faultOf(length)
        break
      }
      const next = at + prefixBytes(length) + length
      if (next > piece.length) break
      at = next
      payloadBytes += length
      count++
    }
    if (count > 0)
      this.#sink({ parts: [piece.subarray(begin, at)], wireBytes: at - begin, payloadBytes, count })
    return at
  }

  /** Adds bytes from `at` to the incomplete frame and hands it on when it is whole; returns the offset behind them. */
  #continueFrame(piece: Uint8Array, at: number): number {
    while (this.#length < 0) {
      if (at === piece.length) return at
      if (this.#headBytes === 0) this.#begun++
      this.#head[this.#headBytes++] = piece[at++]!
      this.#length = readPrefix(this.#head, 0, this.#headBytes)
      if (this.#length > this.#maxFrameBytes || this.#length < PREFIX_INCOMPLETE) {
        this.#fault = this.#faultOf(this.#length)
        return at
      }
    }
    const taken = Math.min(this.#length - this.#have, piece.length - at)
    if (taken > 0) {
      this.#have += taken
      this.#gather(piece.subarray(at, at + taken))
    }
    if (this.#have === this.#length) this.#finishFrame()
    return at + taken
  }

  #gather(part: Uint8Array): void {
    while (part.length > 0) {
      if (this.#free === 0) {
        const slab = takeSlab(this.#have > SMALL_SLABS_UP_TO_BYTES)
        this.#slabs.push(slab)
        this.#free = slab.length
      }
      const slab = this.#slabs[this.#slabs.length - 1]!
      const fits = Math.min(this.#free, part.length)
      slab.set(fits === part.length ? part : part.subarray(0, fits), slab.length - this.#free)
      this.#free -= fits
      part = part.subarray(fits)
    }
  }

  #finishFrame(): void {
    const slabs = this.#slabs
    const parts = [this.#head.subarray(0, this.#headBytes), ...slabs]
    const last = parts.length - 1
    if (this.#free > 0) parts[last] = parts[last]!.subarray(0, parts[last]!.length - this.#free)
    const payloadBytes = this.#length
    const wireBytes = this.#headBytes + payloadBytes
    this.#headBytes = 0
    this.#length = PREFIX_INCOMPLETE
    this.#have = 0
    this.#slabs = []
    this.#free = 0
    this.#sink({ parts, wireBytes, payloadBytes, count: 1 })
    for (const slab of slabs) giveSlab(slab)
  }

  #faultOf(length: number): FrameFault {
    if (length === PREFIX_NOT_MINIMAL) {
      return { kind: 'malformed', reason: 'a length prefix that is not the minimal varint' }
    }
    if (length === PREFIX_TOO_LONG) {
      return { kind: 'malformed', reason: `a length prefix longer than ${MAX_PREFIX_BYTES} bytes` }
    }
    return { kind: 'too-large', length }
  }
}
