import { decode } from 'it-length-prefixed'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameDecoder, MAX_FRAME_BYTES } from '../../../src/framing/index.ts'
import type { FrameRun } from '../../../src/framing/index.ts'
import { concat, cut, frame, parse, pattern, Recorder, seed, told, varint } from './support.ts'

const MAX = 20_000

/** Sequences worth cutting everywhere: sizes on both sides of every prefix length, whole, cut short and broken. */
const samples: Array<[string, Uint8Array]> = [
  ['one byte', frame(pattern(1))],
  ['empty frames', concat([frame(pattern(0)), frame(pattern(0)), frame(pattern(0))])],
  ['small ones', concat([0, 1, 2, 3, 0, 5].map(n => frame(pattern(n, n))))],
  ['prefixes of one and two bytes', concat([126, 127, 128, 129, 0].map(n => frame(pattern(n))))],
  ['a frame cut short', concat([frame(pattern(3)), frame(pattern(200)).subarray(0, 100)])],
  ['a prefix cut short', concat([frame(pattern(3)), Uint8Array.of(0x80)])],
  ['a prefix and no payload', concat([frame(pattern(3)), varint(5)])],
  ['a prefix that is not minimal', concat([frame(pattern(3)), Uint8Array.of(0x85, 0x00), pattern(9)])],
  [
    'a prefix that is too long',
    concat([frame(pattern(3)), Uint8Array.of(0xff, 0xff, 0xff, 0xff), pattern(9)])
  ],
  ['a frame above the limit', concat([frame(pattern(3)), varint(MAX + 1), pattern(9)])]
]

/** Everything that a byte sequence may be: whole frames, and now and then something broken or cut. */
const broken = fc.constantFrom(
  Uint8Array.of(0x80),
  Uint8Array.of(0x80, 0x00),
  Uint8Array.of(0xff, 0xff, 0x80, 0x00),
  Uint8Array.of(0xff, 0xff, 0xff, 0xff),
  varint(MAX + 1),
  varint(2 ** 28 - 1),
  concat([varint(300), pattern(299)])
)
const size = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 0, max: 12 }) },
  { weight: 2, arbitrary: fc.constantFrom(0, 127, 128, 4_095, 4_096, 16_383, 16_384, MAX) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: MAX }) }
)
const sequence = fc
  .tuple(fc.array(size, { maxLength: 12 }), fc.option(broken, { freq: 3 }), fc.array(size, { maxLength: 2 }))
  .map(([before, fault, after]) =>
    concat([
      ...before.map((n, i) => frame(pattern(n, i))),
      ...(fault === null ? [] : [fault]),
      ...after.map(n => frame(pattern(n)))
    ])
  )
const places = fc.array(fc.integer({ min: 0, max: 3 * MAX }), { maxLength: 40 })

function decodeAll(pieces: Iterable<Uint8Array>, max = MAX): Recorder {
  const recorder = new Recorder(max)
  for (const piece of pieces) recorder.push(piece)
  return recorder
}

function heldBuffers(run: FrameRun): number {
  let bytes = 0
  for (const buffer of new Set(run.parts.map(part => part.buffer))) bytes += buffer.byteLength
  return bytes
}

/** Every buffer that the decoder held for one frame, at the moment the frame is whole. */
function held(length: number, pieceSizes: (at: number) => number): number {
  let bytes = 0
  const decoder = new FrameDecoder(length, run => (bytes = heldBuffers(run)))
  const payload = pattern(length)
  decoder.push(varint(length))
  for (let at = 0; at < length;) {
    const piece = payload.slice(at, at + pieceSizes(at))
    at += piece.length
    decoder.push(piece)
  }
  return bytes
}

describe('frame decoder', () => {
  describe.each(samples)('%s', (_, bytes) => {
    const expected = told(parse(bytes, MAX))

    it('means the same in one piece, dripped, and cut in two at every place', () => {
      expect(told(decodeAll([bytes]).meaning)).toEqual(expected)
      expect(told(decodeAll(Array.from(bytes, byte => Uint8Array.of(byte))).meaning)).toEqual(expected)
      for (let place = 0; place <= bytes.length; place++) {
        expect(told(decodeAll(cut(bytes, [place])).meaning)).toEqual(expected)
      }
    })

    it('means the same cut in three at every two places', () => {
      const short = bytes.subarray(0, 60)
      const meaning = told(parse(short, MAX))
      for (let first = 0; first <= short.length; first++) {
        for (let second = first; second <= short.length; second++) {
          expect(told(decodeAll(cut(short, [first, second])).meaning)).toEqual(meaning)
        }
      }
    })
  })

  it('reads any sequence, cut anywhere, as the naive twin reads it whole', () => {
    fc.assert(
      fc.property(sequence, places, (bytes, where) => {
        expect(told(decodeAll(cut(bytes, where)).meaning)).toEqual(told(parse(bytes, MAX)))
      }),
      { seed, numRuns: 1_000 }
    )
  })

  it('reads any bytes at all, cut anywhere, as the naive twin does', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 400 }),
        fc.integer({ min: 0, max: 300 }),
        places,
        (bytes, max, where) => {
          expect(told(decodeAll(cut(bytes, where), max).meaning)).toEqual(told(parse(bytes, max)))
        }
      ),
      { seed, numRuns: 3_000 }
    )
  })

  it('reads whole sequences as it-length-prefixed does', () => {
    fc.assert(
      fc.property(fc.array(size, { maxLength: 12 }), places, (sizes, where) => {
        const pieces = cut(concat(sizes.map((n, i) => frame(pattern(n, i)))), where)
        const theirs = [...decode(pieces, { maxDataLength: MAX })].map(list => list.slice())
        expect(told(decodeAll(pieces).meaning)).toEqual(told({ payloads: theirs, rest: 'whole' }))
      }),
      { seed, numRuns: 500 }
    )
  })

  it('hands on all whole frames of a piece as one view of it', () => {
    const piece = concat([frame(pattern(3)), frame(pattern(0)), frame(pattern(200)), varint(9)])
    const recorder = decodeAll([piece])
    expect(recorder.runs).toHaveLength(1)
    expect(recorder.runs[0]).toMatchObject({ count: 3, payloadBytes: 203, wireBytes: piece.length - 1 })
    expect(recorder.runs[0]!.parts[0]!.buffer).toBe(piece.buffer)
  })

  describe.each([0, 1, 127, 128, 16_383, 16_384, 2 ** 21 - 1, 2 ** 21])('with a limit of %d bytes', limit => {
    it('takes a frame of the limit', () => {
      const bytes = frame(new Uint8Array(limit))
      expect(decodeAll([bytes], limit).meaning.rest).toBe('whole')
      expect(decodeAll(cut(bytes, [1, 2, 3, 4, 5]), limit).payloads[0]).toHaveLength(limit)
    })

    it('refuses one byte more at its prefix, after the frames before it', () => {
      const bytes = concat([frame(pattern(0)), varint(limit + 1)])
      for (let place = 0; place <= bytes.length; place++) {
        const recorder = decodeAll(cut(bytes, [place]), limit)
        expect(recorder.fault).toEqual({ kind: 'too-large', length: limit + 1 })
        expect(recorder.payloads).toEqual([pattern(0)])
      }
    })
  })

  it('tells a length of 2^28 − 1 from a limit below it, and waits for it with that limit', () => {
    const prefix = Uint8Array.of(0xff, 0xff, 0xff, 0x7f)
    expect(decodeAll([prefix], MAX_FRAME_BYTES - 1).fault).toEqual({ kind: 'too-large', length: 2 ** 28 - 1 })
    expect(decodeAll([prefix], MAX_FRAME_BYTES).meaning.rest).toBe('partial')
  })

  it('keeps nothing of a frame above the limit, and takes nothing after any fault', () => {
    const faults = [varint(MAX + 1), Uint8Array.of(0x80, 0x00), Uint8Array.of(0x80, 0x80, 0x80, 0x80)]
    for (const fault of faults) {
      for (const piece of [concat([fault, pattern(9_000)]), fault]) {
        const recorder = decodeAll([piece])
        const { fault: first } = recorder
        recorder.push(frame(pattern(3)), pattern(9_000))
        expect(recorder.fault).toBe(first)
        expect(recorder.payloads).toEqual([])
        expect(recorder.decoder.heldBytes).toBe(0)
        expect(recorder.decoder.end()).toBe(first)
      }
    }
  })

  it('says which rule a prefix breaks, and nothing of the payload', () => {
    expect(decodeAll([Uint8Array.of(0x80, 0x00)]).fault).toEqual({
      kind: 'malformed',
      reason: expect.stringContaining('minimal') as string
    })
    expect(decodeAll([Uint8Array.of(0xff, 0xff, 0xff, 0xff)]).fault).toEqual({
      kind: 'malformed',
      reason: expect.stringContaining('longer than 4 bytes') as string
    })
  })

  describe('end of the stream', () => {
    it.each([
      ['before any byte', []],
      ['between frames', [frame(pattern(3))]],
      ['after an empty frame', [frame(pattern(0))]],
      ['after a frame in pieces', cut(frame(pattern(300)), [1, 2, 100])]
    ])('is orderly %s', (_, pieces) => {
      expect(decodeAll(pieces).decoder.end()).toBeUndefined()
    })

    it.each([
      ['inside a prefix', [Uint8Array.of(0x80)]],
      ['exactly after a prefix', [varint(5)]],
      ['exactly after a prefix of two bytes, in pieces', cut(varint(500), [1])],
      ['inside a payload', [varint(5), pattern(4)]]
    ])('is a fault %s', (_, pieces) => {
      const recorder = decodeAll([frame(pattern(1)), ...pieces])
      expect(recorder.decoder.end()).toEqual({
        kind: 'malformed',
        reason: expect.stringContaining('ended inside a frame') as string
      })
      recorder.push(pattern(9))
      expect(recorder.payloads).toHaveLength(1)
    })
  })

  describe('the incomplete frame', () => {
    it('is announced from its first byte to its last, and counted once', () => {
      const { decoder } = decodeAll([frame(pattern(3))])
      expect(decoder.partial).toBe(false)
      const serials = new Set<number>()
      for (let round = 0; round < 3; round++) {
        const inRound = new Set<number>()
        const bytes = frame(pattern(130))
        for (let at = 0; at < bytes.length - 1; at++) {
          decoder.push(bytes.subarray(at, at + 1))
          expect(decoder.partial).toBe(true)
          inRound.add(decoder.partialSerial)
          expect(decoder.heldBytes).toBe(Math.max(0, at - 1))
        }
        decoder.push(bytes.subarray(bytes.length - 1))
        expect(decoder.partial).toBe(false)
        expect(inRound.size).toBe(1)
        for (const serial of inRound) serials.add(serial)
      }
      expect(serials.size).toBe(3)
    })

    it('has a new number when one piece ends one frame and begins the next', () => {
      const { decoder } = decodeAll([Uint8Array.of(2, 7)])
      const first = decoder.partialSerial
      decoder.push(Uint8Array.of(7, 2, 7))
      expect(decoder.partial).toBe(true)
      expect(decoder.partialSerial).not.toBe(first)
    })
  })

  describe('memory', () => {
    const EIGHT_MIB = 8 * 1024 * 1024

    it('holds a dripped 8 MiB frame in little more than its bytes', () => {
      let bytes = 0
      const decoder = new FrameDecoder(EIGHT_MIB, run => (bytes = heldBuffers(run)))
      decoder.push(varint(EIGHT_MIB))
      const piece = Uint8Array.of(7)
      for (let i = 0; i < EIGHT_MIB; i++) decoder.push(piece)
      expect(bytes).toBeGreaterThanOrEqual(EIGHT_MIB)
      // The last slab is not full.
      expect(bytes).toBeLessThan(EIGHT_MIB + 128 * 1024)
    })

    it('holds an 8 MiB frame in little more than its bytes when short and long pieces alternate', () => {
      expect(held(EIGHT_MIB, at => (at % 4_097 === 0 ? 1 : 4_096))).toBeLessThan(EIGHT_MIB * 1.01)
      expect(held(EIGHT_MIB, at => (at % 8_191 === 0 ? 4_095 : 4_096))).toBeLessThan(EIGHT_MIB * 1.01)
    })

    it('holds at most five times the bytes that have come, whatever length was announced', () => {
      for (const length of [4_096, 4_097, 32_768, 33_000, 40_000, 200_000]) {
        const decoder = new FrameDecoder(EIGHT_MIB, () => {})
        const before = process.memoryUsage().arrayBuffers
        const others = Array.from({ length: 100 }, () => new FrameDecoder(EIGHT_MIB, () => {}))
        for (const other of [decoder, ...others]) {
          other.push(varint(EIGHT_MIB))
          other.push(new Uint8Array(length))
        }
        expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(101 * length * 5.2)
      }
    })

    it('allocates for the bytes that have come, not for the length that was announced', () => {
      const before = process.memoryUsage().arrayBuffers
      const decoders = Array.from({ length: 64 }, () => new FrameDecoder(MAX_FRAME_BYTES, () => {}))
      for (const decoder of decoders) decoder.push(concat([varint(MAX_FRAME_BYTES), pattern(1)]))
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 32_768)
      expect(decoders.every(decoder => decoder.partial)).toBe(true)
    })

    it('keeps no view of what was pushed, which would hold whole read buffers in memory', () => {
      for (const length of [1, 4_096, 100_000]) {
        const piece = pattern(length)
        let buffers: ArrayBufferLike[] = []
        const decoder = new FrameDecoder(1024 * 1024, run => (buffers = run.parts.map(part => part.buffer)))
        decoder.push(varint(length + 1))
        decoder.push(piece)
        decoder.push(Uint8Array.of(1))
        expect(buffers.length).toBeGreaterThan(0)
        expect(buffers).not.toContain(piece.buffer)
      }
    })

    it('is used again for the next frame, by whichever decoder, once a frame is handed on or given up', () => {
      const seen = new Set<ArrayBufferLike>()
      const fresh = (): FrameDecoder =>
        new FrameDecoder(EIGHT_MIB, run => {
          for (const part of run.parts.slice(1)) seen.add(part.buffer)
        })
      const half = pattern(500_000)
      for (let i = 0; i < 20; i++) {
        const decoder = fresh()
        for (const piece of [varint(1_000_000), half, half]) decoder.push(piece)
        const givenUp = fresh()
        for (const piece of [varint(1_000_000), half]) givenUp.push(piece)
        givenUp.release()
      }
      // Nine small ones each, and large ones for the rest of a million bytes.
      expect(seen.size).toBeLessThanOrEqual(2 * (9 + 8))
    })
  })
})
