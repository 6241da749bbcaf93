import { AckStatus } from './constants.ts'
import { FrameDecoder } from './frame-decoder.ts'
import type { FrameFault } from './frame-decoder.ts'
import { MAX_ACK_BYTES } from './limits.ts'
import { readPrefix } from './prefix.ts'

/** Takes `count` acks of equal status that followed each other. Returning false ends the decoding. */
export type AckSink = (status: AckStatus, count: number) => boolean

/** Cuts the answering half of a message stream into acks (docs/protocol.md, "Acks"), equal neighbours together. */
export class AckDecoder {
  readonly #frames: FrameDecoder
  readonly #sink: AckSink
  #reason: string | undefined

  constructor(sink: AckSink) {
    this.#sink = sink
    this.#frames = new FrameDecoder(MAX_ACK_BYTES, run => {
      if (run.count > 1) this.#takeRun(run.parts[0]!, run.wireBytes)
      else this.#take(firstByteBehindPrefix(run.parts), 1)
    })
  }

  /** Takes the next bytes; the reason when they are malformed. Acks before the fault have gone to the sink. */
  push(piece: Uint8Array): string | undefined {
    return this.#judge(this.#frames.push(piece))
  }

  /** The stream ended in an orderly way: the reason if that cut an ack off. */
  end(): string | undefined {
    return this.#judge(this.#frames.end())
  }

  #judge(fault: FrameFault | undefined): string | undefined {
    if (this.#reason === undefined && fault !== undefined) {
      this.#reason =
        fault.kind === 'malformed'
          ? fault.reason
          : `an ack of ${fault.length} bytes, more than ${MAX_ACK_BYTES}`
    }
    return this.#reason
  }

  #takeRun(run: Uint8Array, end: number): void {
    let status = -1
    let count = 0
    for (let at = 0; at < end && this.#reason === undefined;) {
      // An ack's prefix is one byte, because its payload is at most 64.
      const length = readPrefix(run, at, end)
      const next = length === 0 ? -1 : run[at + 1]!
      at += 1 + length
      if (next === status) {
        count++
        continue
      }
      if (count > 0) this.#take(status, count)
      status = next
      count = 1
    }
    if (this.#reason === undefined) this.#take(status, count)
  }

  #take(status: number, count: number): void {
    if (this.#reason !== undefined) return
    if (status < 0) this.#reason = 'an ack of 0 bytes'
    else if (status > AckStatus.refusedTooLarge) this.#reason = `an ack of unknown status ${status}`
    else if (!this.#sink(status as AckStatus, count))
      this.#reason = 'an ack that answers no message that was sent whole'
  }
}

/** The status byte of a single frame, −1 when it is empty: behind the one-byte prefix, in whichever part. */
function firstByteBehindPrefix(parts: readonly Uint8Array[]): number {
  for (let i = 0, skip = 1; i < parts.length; i++) {
    const part = parts[i]!
    if (part.length > skip) return part[skip]!
    skip -= part.length
  }
  return -1
}
