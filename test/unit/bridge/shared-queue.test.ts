import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { collectGarbage } from '../../support/garbage.ts'
import { concat, get, pattern, put, queuePair, seed } from './support.ts'
import type { QueueRecord } from './support.ts'

const MIB = 1024 * 1024
/** Room of the first and of a full segment (docs/decisions/0002): payload, 16 bytes for each record and the header. */
const FIRST = 0x1_0000
const SEGMENT = 0x11_0000

function same(record: QueueRecord | undefined, payload: Uint8Array): boolean {
  return record !== undefined && Buffer.compare(record.payload, payload) === 0
}

const size = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 200 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 300_000 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(0, 1, MIB, SEGMENT - 32, SEGMENT - 31, SEGMENT - 16, SEGMENT, 2 * MIB + 3)
  }
)

/** Weak references to the memory of every segment that was announced. */
function watched(): { pair: ReturnType<typeof queuePair>; alive: () => number; deliver: () => void } {
  const pair = queuePair(false)
  const seen: Array<WeakRef<SharedArrayBuffer>> = []
  const deliver = (): void => {
    for (const notice of pair.notices.splice(0)) {
      seen.push(new WeakRef(notice.memory))
      pair.reader.announce(notice)
    }
  }
  return { pair, alive: () => seen.filter(ref => ref.deref() !== undefined).length, deliver }
}

describe('shared queue', () => {
  it('has nothing to read at first', () => {
    const { reader } = queuePair()
    expect(reader.next()).toBe(false)
    expect(reader.next()).toBe(false)
  })

  it('carries kind, handle, both words and the payload', () => {
    const { writer, reader } = queuePair()
    put(writer, pattern(5), 255, 2 ** 24 - 1, 2 ** 31 - 1, -(2 ** 31))
    put(writer, new Uint8Array(0), 0, 0, 0, -1)
    expect(get(reader)).toEqual({
      kind: 255,
      handle: 2 ** 24 - 1,
      a: 2 ** 31 - 1,
      b: -(2 ** 31),
      payload: pattern(5)
    })
    expect(get(reader)).toEqual({ kind: 0, handle: 0, a: 0, b: -1, payload: new Uint8Array(0) })
    expect(get(reader)).toBeUndefined()
  })

  it('lays payloads of neighbouring records side by side', () => {
    const { writer, reader } = queuePair()
    for (let i = 0; i < 3; i++) put(writer, pattern(10, i))
    reader.next()
    const { begin, bytes } = reader
    reader.next()
    reader.next()
    expect(reader.bytes).toBe(bytes)
    expect(bytes.slice(begin, reader.end)).toEqual(concat([pattern(10, 0), pattern(10, 1), pattern(10, 2)]))
  })

  it('gives back everything written, in order, byte for byte, whether the reader keeps up or lags', () => {
    const steps = fc.array(
      fc.oneof(
        { weight: 3, arbitrary: fc.record({ write: size }) },
        { weight: 2, arbitrary: fc.record({ read: fc.integer({ min: 1, max: 30 }) }) }
      ),
      { maxLength: 120 }
    )
    fc.assert(
      fc.property(steps, list => {
        const { writer, reader } = queuePair()
        let written = 0
        let read = 0
        const sizes: number[] = []
        const readOne = (): boolean => {
          const record = get(reader)
          if (record === undefined) return false
          if (record.handle !== read || !same(record, pattern(sizes[read]!, read)))
            throw new Error(`record ${read}`)
          read++
          return true
        }
        for (const step of list) {
          if ('write' in step) {
            sizes.push(step.write)
            put(writer, pattern(step.write, written), 7, written)
            written++
          } else {
            for (let i = 0; i < step.read && readOne(); i++);
          }
        }
        while (readOne());
        expect(read).toBe(written)
      }),
      { seed, numRuns: 150 }
    )
  })

  it('fills a segment to its last byte with the record that just fits', () => {
    const { writer, reader, segments } = queuePair()
    put(writer, pattern(FIRST - 32))
    expect(segments()).toBe(1)
    put(writer, pattern(0))
    expect(segments()).toBe(2)
    expect(same(get(reader), pattern(FIRST - 32))).toBe(true)
    expect(get(reader)?.payload).toHaveLength(0)
    expect(get(reader)).toBeUndefined()
  })

  it('fills a segment with empty records, each of which costs its header', () => {
    const { writer, reader, segments } = queuePair()
    const fits = (FIRST - 16) / 16
    for (let i = 0; i < fits; i++) put(writer, pattern(0), 1, i)
    expect(segments()).toBe(1)
    put(writer, pattern(0), 1, fits)
    expect(segments()).toBe(2)
    for (let i = 0; i <= fits; i++) if (get(reader)?.handle !== i) throw new Error(`record ${i} is missing`)
    expect(get(reader)).toBeUndefined()
  })

  it('uses a few segments again and again while the reader keeps up', () => {
    const { writer, reader, segments } = queuePair()
    for (let i = 0; i < 2_000; i++) {
      put(writer, pattern(10_000, i))
      if (!same(get(reader), pattern(10_000, i))) throw new Error(`record ${i} is damaged`)
    }
    // Five grow from 64 KiB to the full size; two more of that are enough.
    expect(segments()).toBeLessThanOrEqual(8)
  })

  it('takes twice the room with each segment, from 64 KiB to the full size', () => {
    const { writer, notices } = queuePair(false)
    for (let i = 0; i < 400; i++) put(writer, pattern(10_000, i))
    const sizes = notices.map(({ memory }) => memory.byteLength)
    expect(sizes).toEqual([1, 2, 4, 8, 16, 17, 17].map(times => times * FIRST))
  })

  it('never writes into a segment that is not read yet', () => {
    const { writer, reader } = queuePair()
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 60; i++) put(writer, pattern(300_000, i))
      const damaged = Array.from({ length: 60 }, (_, i) => same(get(reader), pattern(300_000, i))).indexOf(
        false
      )
      expect(damaged).toBe(-1)
    }
  })

  it('keeps a record as it is until the second next() after it, whatever the writer does meanwhile', () => {
    const { writer, reader, segments } = queuePair()
    put(writer, pattern(SEGMENT - 32, 1))
    put(writer, pattern(SEGMENT - 32, 2))
    reader.next()
    const { bytes, begin, end } = reader
    reader.next()
    put(writer, pattern(SEGMENT - 32, 3))
    expect(segments()).toBe(4)
    expect(Buffer.compare(bytes.slice(begin, end), pattern(SEGMENT - 32, 1))).toBe(0)
    reader.next()
    put(writer, pattern(SEGMENT - 32, 4))
    expect(segments()).toBe(4)
  })

  it('shows nothing of a segment that is used again before its first record is there', () => {
    const { writer, reader, segments } = queuePair()
    for (let round = 0; round < 5; round++) {
      put(writer, pattern(SEGMENT - 32, round))
      expect(same(get(reader), pattern(SEGMENT - 32, round))).toBe(true)
      writer.reserve(SEGMENT - 32)
      expect(reader.next()).toBe(false)
      expect(reader.next()).toBe(false)
    }
    expect(segments()).toBeLessThanOrEqual(4)
  })

  it('stops at a segment whose notice has not arrived, and goes on when it has', () => {
    const { writer, reader, notices } = queuePair(false)
    put(writer, pattern(1, 1))
    expect(reader.next()).toBe(false)
    reader.announce(notices.shift()!)
    expect(get(reader)?.payload).toEqual(pattern(1, 1))
    put(writer, pattern(2 * SEGMENT - 32, 2))
    put(writer, pattern(1, 3))
    expect(reader.next()).toBe(false)
    expect(reader.next()).toBe(false)
    reader.announce(notices.shift()!)
    expect(same(get(reader), pattern(2 * SEGMENT - 32, 2))).toBe(true)
    expect(reader.next()).toBe(false)
    reader.announce(notices.shift()!)
    expect(get(reader)?.payload).toEqual(pattern(1, 3))
  })

  describe('memory', () => {
    it('is used again for the next messages that are longer than a segment', () => {
      const { writer, reader, notices } = queuePair(false)
      const announced: number[] = []
      for (let i = 0; i < 40; i++) {
        put(writer, pattern(4 * MIB, i))
        for (const notice of notices.splice(0)) {
          announced.push(notice.memory.byteLength)
          reader.announce(notice)
        }
        expect(same(get(reader), pattern(4 * MIB, i))).toBe(true)
      }
      // The first segment, and those that hold the record being read, the one before it and the next.
      expect(announced).toEqual([FIRST, 4 * SEGMENT, 4 * SEGMENT, 4 * SEGMENT])
    })

    it('of a backlog is used again for the next backlog', () => {
      const { writer, reader, segments } = queuePair()
      const backlog = (): void => {
        for (let i = 0; i < 30; i++) put(writer, pattern(MIB, i))
        for (let i = 0; i < 30; i++) expect(same(get(reader), pattern(MIB, i))).toBe(true)
        expect(get(reader)).toBeUndefined()
      }
      backlog()
      const peak = segments()
      expect(peak).toBe(31)
      for (let i = 0; i < 3; i++) backlog()
      // One more, because the reader leaves its last segment only when the next has something for it.
      expect(segments()).toBeLessThanOrEqual(peak + 1)
    })

    it('of the small segments of the beginning is dropped by both ends', async () => {
      const { pair, alive, deliver } = watched()
      for (let i = 0; i < 400; i++) {
        put(pair.writer, pattern(10_000, i))
        deliver()
        if (get(pair.reader) === undefined) throw new Error('nothing to read')
      }
      await collectGarbage()
      // The first, which the reader keeps; the segment that the ends are in, and the other one of the pool.
      expect(alive()).toBeLessThanOrEqual(3)
    })
  })
})
