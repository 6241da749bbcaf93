import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_FRAME_BYTES, prefixBytes, readPrefix, writePrefix } from '../../../src/framing/index.ts'
import { PREFIX_INCOMPLETE, PREFIX_NOT_MINIMAL, PREFIX_TOO_LONG } from '../../../src/framing/prefix.ts'
import { seed, varint } from './support.ts'

const boundaries = [0, 1, 127, 128, 16_383, 16_384, 2 ** 21 - 1, 2 ** 21, 2 ** 28 - 1]

function read(...bytes: number[]): number {
  return readPrefix(Uint8Array.from(bytes), 0, bytes.length)
}

describe('length prefix', () => {
  it('can express 2^28 − 1 and no more', () => {
    expect(MAX_FRAME_BYTES).toBe(2 ** 28 - 1)
    expect(read(0xff, 0xff, 0xff, 0x7f)).toBe(MAX_FRAME_BYTES)
  })

  it.each(boundaries)('writes and reads %d as its minimal varint', length => {
    const expected = varint(length)
    const target = new Uint8Array(8).fill(0xee)
    expect(writePrefix(target, 2, length)).toBe(2 + expected.length)
    expect(target).toEqual(
      Uint8Array.of(0xee, 0xee, ...expected, ...new Uint8Array(6 - expected.length).fill(0xee))
    )
    expect(prefixBytes(length)).toBe(expected.length)
    expect(readPrefix(target, 2, target.length)).toBe(length)
  })

  it('writes what it reads for every length', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: MAX_FRAME_BYTES }), length => {
        const bytes = new Uint8Array(4)
        const end = writePrefix(bytes, 0, length)
        expect(bytes.subarray(0, end)).toEqual(varint(length))
        expect(end).toBe(prefixBytes(length))
        expect(readPrefix(bytes, 0, end)).toBe(length)
      }),
      { seed, numRuns: 2_000 }
    )
  })

  it.each(boundaries)('asks for more while the prefix of %d is cut short', length => {
    const whole = varint(length)
    for (let end = 0; end < whole.length; end++) expect(readPrefix(whole, 0, end)).toBe(PREFIX_INCOMPLETE)
  })

  it('tells a prefix with a superfluous last byte from the minimal one', () => {
    expect(read(0x80, 0x00)).toBe(PREFIX_NOT_MINIMAL)
    expect(read(0xff, 0x00)).toBe(PREFIX_NOT_MINIMAL)
    expect(read(0x80, 0x80, 0x00)).toBe(PREFIX_NOT_MINIMAL)
    expect(read(0xff, 0xff, 0xff, 0x00)).toBe(PREFIX_NOT_MINIMAL)
    expect(read(0x80, 0x01)).toBe(128)
    expect(read(0x00)).toBe(0)
  })

  it('gives up after four bytes, whatever follows', () => {
    expect(read(0x80, 0x80, 0x80, 0x80)).toBe(PREFIX_TOO_LONG)
    expect(read(0xff, 0xff, 0xff, 0xff)).toBe(PREFIX_TOO_LONG)
    expect(read(0x80, 0x80, 0x80, 0x80, 0x00)).toBe(PREFIX_TOO_LONG)
    expect(read(0x80, 0x80, 0x80, 0x80, 0x01)).toBe(PREFIX_TOO_LONG)
  })
})
