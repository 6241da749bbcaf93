import { PREFIX_INCOMPLETE, PREFIX_NOT_MINIMAL, PREFIX_TOO_LONG, prefixBytes, readPrefix } from './prefix.ts'
import { MAX_PREFIX_BYTES } from './constants.ts'

/** Why a byte sequence is not, or cannot become, a frame this side takes. */
export type FrameFault =
  /** breaks docs/protocol.md, "Malformed input"; `reason` is for people and carries no payload */
  | { kind: 'malformed'; reason: string }
  /** well formed, but longer than this side's limit; nothing of its payload was kept */
  | { kind: 'too-large'; length: number }

/** Whole frames, prefixes included. The parts are the decoder's: use or copy them before returning. */
export interface FrameRun {
  /**
   * The bytes in order. Several frames always stand in one part; one frame may be spread over several. None: there was
   * no room to keep the frame while it was incomplete.
   */
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

/** Asks for room for so many bytes of an incomplete frame; a negative number gives room back, and is always granted. */
export type FrameRoom = (bytes: number) => boolean

/** A part this long is kept by reference while its frame is incomplete; shorter ones are gathered by copying. */
const KEEP_BYTES = 4_096
/** Size of the buffers that gather short parts: a drip of single bytes costs memory in proportion to its bytes. */
const GATHER_BYTES = 16_384

/**
 * Cuts a byte stream into frames (docs/protocol.md, "Frames"). Stateful: bytes arrive in any pieces. Runs of frames
 * that lie whole in one piece are handed on as one view, without touching their payloads; a frame that spans pieces
 * is gathered, never beyond its own length and never before its length has been checked; if there is no room for it,
 * its bytes pass by. After a fault the decoder refuses further input.
 */
export class FrameDecoder {
  readonly #maxFrameBytes: number
  readonly #sink: FrameSink
  readonly #hold: FrameRoom
  /** Prefix bytes of the incomplete frame. */
  readonly #head = new Uint8Array(MAX_PREFIX_BYTES)
  #headBytes = 0
  /** Payload length of the incomplete frame, once its prefix is whole. */
  #length = PREFIX_INCOMPLETE
  #have = 0
  #parts: Uint8Array[] = []
  /** Room left in the last part, when that is a gathering buffer. */
  #room = 0
  /** The incomplete frame is not kept. */
  #passing = false
  #begun = 0
  #fault: FrameFault | undefined

  constructor(maxFrameBytes: number, sink: FrameSink, hold: FrameRoom = () => true) {
    this.#maxFrameBytes = maxFrameBytes
    this.#sink = sink
    this.#hold = hold
  }

  /** A frame has begun and is not complete. */
  get partial(): boolean {
    return this.#headBytes > 0
  }

  /** Number of the incomplete frame among all that did not arrive in one piece: tells it from the one before. */
  get partialSerial(): number {
    return this.#begun
  }

  /** Payload bytes held for the incomplete frame. */
  get heldBytes(): number {
    return this.#passing ? 0 : this.#have
  }

  /** Takes the next bytes. Frames before a fault have gone to the sink when the fault is returned. */
  push(piece: Uint8Array): FrameFault | undefined {
    let at = 0
    while (this.#fault === undefined && at < piece.length) {
      if (this.#headBytes === 0) {
        at = this.#takeRun(piece, at)
        if (this.#fault !== undefined || at === piece.length) break
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

  /** Nothing more will come: what is held for an incomplete frame is let go. */
  release(): void {
    this.#hold(-this.heldBytes)
    this.#passing = true
    this.#parts = []
    this.#room = 0
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
    if (taken > 0) this.#keep(piece.subarray(at, at + taken))
    if (this.#have === this.#length) this.#finishFrame()
    return at + taken
  }

  #keep(part: Uint8Array): void {
    if (!this.#passing && !this.#hold(part.length)) this.release()
    this.#have += part.length
    if (!this.#passing) this.#gather(part)
  }

  #gather(part: Uint8Array): void {
    // A view far smaller than the buffer under it would hold that whole buffer in memory: copy those, too.
    if (part.length >= KEEP_BYTES && part.length * 2 >= part.buffer.byteLength) {
      this.#trimGathered()
      this.#parts.push(part)
      return
    }
    while (part.length > 0) {
      if (this.#room === 0) {
        const missing = this.#length - this.#have + part.length
        this.#room = Math.min(GATHER_BYTES, missing)
        this.#parts.push(new Uint8Array(this.#room))
      }
      const last = this.#parts[this.#parts.length - 1]!
      const fits = Math.min(this.#room, part.length)
      last.set(fits === part.length ? part : part.subarray(0, fits), last.length - this.#room)
      this.#room -= fits
      part = part.subarray(fits)
    }
  }

  /**
   * A part kept by reference follows a gathering buffer that is not full: what that holds is copied out, because a view
   * would keep all of it, and short and long parts in turn would hold several times the frame's bytes.
   */
  #trimGathered(): void {
    if (this.#room === 0) return
    const last = this.#parts.length - 1
    this.#parts[last] = this.#parts[last]!.slice(0, this.#parts[last]!.length - this.#room)
    this.#room = 0
  }

  #finishFrame(): void {
    const parts = this.#parts
    const kept = !this.#passing
    const head = this.#head.subarray(0, this.#headBytes)
    this.#hold(-this.heldBytes)
    this.#passing = false
    const payloadBytes = this.#length
    const wireBytes = this.#headBytes + payloadBytes
    this.#headBytes = 0
    this.#length = PREFIX_INCOMPLETE
    this.#have = 0
    this.#parts = []
    if (kept) parts.unshift(head)
    this.#sink({ parts, wireBytes, payloadBytes, count: 1 })
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
