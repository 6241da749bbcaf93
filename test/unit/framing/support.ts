import { createHash } from 'node:crypto'
import { FrameDecoder } from '../../../src/framing/index.ts'
import type { FrameFault, FrameRun } from '../../../src/framing/index.ts'
import { concat } from '../../support/frames.ts'

export { concat, frame, varint } from '../../support/frames.ts'

/** Seed of every property in this folder; fast-check prints it when one fails. */
export const seed = 0x6672616d

/** What a byte sequence means, however it was cut. */
export interface Meaning {
  payloads: Uint8Array[]
  /** How it ends: all frames whole, one begun, or broken. */
  rest: 'whole' | 'partial' | 'malformed' | 'too-large'
}

/** The naive twin of the decoder: has everything in one piece, and goes by the text of the specification. */
export function parse(bytes: Uint8Array, maxFrameBytes: number): Meaning {
  const payloads: Uint8Array[] = []
  for (let at = 0; at < bytes.length;) {
    let length = 0
    let digits = 0
    for (;;) {
      if (digits === 4) return { payloads, rest: 'malformed' }
      const byte = bytes[at + digits]
      if (byte === undefined) return { payloads, rest: 'partial' }
      length += (byte % 128) * 128 ** digits
      digits++
      if (byte >= 128) continue
      if (byte === 0 && digits > 1) return { payloads, rest: 'malformed' }
      break
    }
    if (length > maxFrameBytes) return { payloads, rest: 'too-large' }
    const end = at + digits + length
    if (end > bytes.length) return { payloads, rest: 'partial' }
    payloads.push(bytes.slice(at + digits, end))
    at = end
  }
  return { payloads, rest: 'whole' }
}

/** The same as text, which compares fast: short payloads in hex, long ones by length and hash. */
export function told({ payloads, rest }: Meaning): string[] {
  return [...payloads.map(shortened), rest]
}

function shortened(payload: Uint8Array): string {
  if (payload.length < 32) return Buffer.from(payload).toString('hex')
  return `${payload.length} bytes ${createHash('md5').update(payload).digest('hex')}`
}

/** A decoder together with everything it said. Every run is checked against what a run promises to be. */
export class Recorder {
  readonly payloads: Uint8Array[] = []
  readonly runs: FrameRun[] = []
  readonly decoder: FrameDecoder
  fault: FrameFault | undefined

  constructor(maxFrameBytes: number) {
    this.decoder = new FrameDecoder(maxFrameBytes, run => this.#take(run))
  }

  push(...pieces: Uint8Array[]): FrameFault | undefined {
    for (const piece of pieces) this.fault = this.decoder.push(piece)
    return this.fault
  }

  get meaning(): Meaning {
    if (this.fault !== undefined) return { payloads: this.payloads, rest: this.fault.kind }
    return { payloads: this.payloads, rest: this.decoder.partial ? 'partial' : 'whole' }
  }

  #take(run: FrameRun): void {
    const bytes = concat(run.parts)
    const { payloads, rest } = parse(bytes, Infinity)
    const payloadBytes = payloads.reduce((sum, payload) => sum + payload.length, 0)
    if (rest !== 'whole') throw new Error(`a run that is ${rest}`)
    if (bytes.length !== run.wireBytes) throw new Error(`wireBytes ${run.wireBytes} of ${bytes.length}`)
    if (payloads.length !== run.count) throw new Error(`count ${run.count} of ${payloads.length}`)
    if (payloadBytes !== run.payloadBytes)
      throw new Error(`payloadBytes ${run.payloadBytes} of ${payloadBytes}`)
    if (run.count > 1 && run.parts.length > 1) throw new Error('several frames in several parts')
    this.runs.push(run)
    for (const payload of payloads) this.payloads.push(payload)
  }
}

/** Cuts bytes at the given places (any order, any number, repeats make empty pieces). */
export function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = [...places].map(place => Math.min(place, bytes.length)).sort((a, b) => a - b)
  const pieces: Uint8Array[] = []
  let from = 0
  for (const place of [...sorted, bytes.length]) {
    pieces.push(bytes.slice(from, place))
    from = place
  }
  return pieces
}

/** Bytes that differ from their neighbours. */
export function pattern(length: number, salt = 0): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 8) * 7 + salt) & 0xff
  return bytes
}
