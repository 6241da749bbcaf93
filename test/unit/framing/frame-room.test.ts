import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameDecoder } from '../../../src/framing/index.ts'
import type { FrameRun } from '../../../src/framing/index.ts'
import { concat, cut, frame, pattern, seed } from './support.ts'

const MAX = 2_000

/** Decoders that share a room, as the streams of one connection do. */
class Room {
  held = 0
  readonly limit: number

  constructor(limit: number) {
    this.limit = limit
  }

  decoder(sink: (run: FrameRun) => void): FrameDecoder {
    return new FrameDecoder(MAX, sink, bytes => {
      if (bytes > 0 && this.held + bytes > this.limit) return false
      this.held += bytes
      return true
    })
  }
}

describe('room for incomplete frames', () => {
  it('a frame that finds none is told without its bytes, and the next one is whole again', () => {
    const runs: FrameRun[] = []
    const room = new Room(500)
    const decoder = room.decoder(run => runs.push({ ...run, parts: run.parts.map(part => part.slice()) }))
    for (const piece of cut(concat([frame(pattern(800)), frame(pattern(400))]), [100, 400, 700, 900])) {
      decoder.push(piece)
      expect(room.held).toBeLessThanOrEqual(500)
    }
    expect(runs.map(({ parts, payloadBytes, count }) => [parts.length > 0, payloadBytes, count])).toEqual([
      [false, 800, 1],
      [true, 400, 1]
    ])
    expect(concat(runs[1]!.parts)).toEqual(frame(pattern(400)))
    expect(room.held).toBe(0)
  })

  it('is given back by a decoder that gets no more', () => {
    const room = new Room(5_000)
    const decoder = room.decoder(() => {})
    decoder.push(frame(pattern(1_000)).subarray(0, 600))
    expect(room.held).toBe(598)
    decoder.release()
    expect(room.held).toBe(0)
  })

  it('is never exceeded, never lost, and loses no count of frames', () => {
    const sizes = fc.array(fc.integer({ min: 0, max: MAX }), { maxLength: 8 })
    const places = fc.array(fc.integer({ min: 0, max: 8 * MAX }), { maxLength: 20 })
    fc.assert(
      fc.property(
        fc.array(fc.tuple(sizes, places), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 0, max: 3 * MAX }),
        (streams, limit) => {
          const room = new Room(limit)
          const told = streams.map(() => [] as number[])
          const feeds = streams.map(([frames, cuts], index) => ({
            decoder: room.decoder(run => {
              if (run.count === 1) told[index]!.push(run.payloadBytes)
              else told[index]!.push(...Array.from({ length: run.count }, () => NaN))
            }),
            pieces: cut(concat(frames.map(n => frame(pattern(n)))), cuts)
          }))
          // The streams take turns, so that their incomplete frames compete for the room.
          for (let turn = 0; feeds.some(({ pieces }) => turn < pieces.length); turn++) {
            for (const { decoder, pieces } of feeds) {
              if (turn < pieces.length) decoder.push(pieces[turn]!)
              expect(room.held).toBeLessThanOrEqual(limit)
            }
          }
          for (const [index, [frames]] of streams.entries()) {
            expect(told[index]).toHaveLength(frames.length)
            for (const [at, size] of told[index]!.entries()) {
              expect(Number.isNaN(size) || size === frames[at]).toBe(true)
            }
          }
          expect(room.held).toBe(0)
        }
      ),
      { seed, numRuns: 300 }
    )
  })
})
