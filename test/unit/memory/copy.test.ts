import { describe, expect, it } from 'vitest'
import { copyInto, copyOf } from '../../../src/memory/copy.ts'

/** Around the size at which the way of copying changes, and beyond a page. */
const SIZES = [0, 1, 7, 8, 1_023, 1_024, 1_025, 4_099, 70_001]
const ROOM = 80_000

const kinds = {
  private: () => new Uint8Array(ROOM),
  shared: () => new Uint8Array(new SharedArrayBuffer(ROOM))
}
const pairs = Object.keys(kinds).flatMap(from => Object.keys(kinds).map(to => [from, to] as const))

describe.each(pairs as Array<[keyof typeof kinds, keyof typeof kinds]>)(
  'from %s to %s memory',
  (from, to) => {
    it('every byte arrives, at whatever offsets, and no other changes', () => {
      for (const size of SIZES) {
        for (const [begin, at] of [
          [0, 0],
          [3, 3],
          [5, 0],
          [0, 7],
          [1, 4_093]
        ] as const) {
          const source = kinds[from]()
          for (let i = 0; i < ROOM; i++) source[i] = (i * 31 + (i >>> 8)) & 0xff
          const target = kinds[to]().fill(0xee)
          const wanted = new Uint8Array(ROOM).fill(0xee)
          wanted.set(source.subarray(begin, begin + size), at)
          copyInto(target, at, source.subarray(begin, begin + size))
          expect(Buffer.compare(target, wanted), `${size} bytes from ${begin} to ${at}`).toBe(0)
        }
      }
    })

    it('more than fits is refused', () => {
      for (const size of [10, 2_000]) {
        const target = kinds[to]()
        expect(() => copyInto(target, ROOM - size + 1, kinds[from]().subarray(0, size))).toThrow(RangeError)
      }
    })
  }
)

it('a copy is private, and of its own', () => {
  for (const size of SIZES) {
    const source = kinds
      .shared()
      .subarray(3, 3 + size)
      .fill(9)
    const copy = copyOf(source)
    source.fill(1)
    expect(copy.buffer).toBeInstanceOf(ArrayBuffer)
    expect(copy).toEqual(new Uint8Array(size).fill(9))
  }
})
