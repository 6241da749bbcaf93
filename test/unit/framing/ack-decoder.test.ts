import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AckDecoder, ackFrames, AckStatus, MAX_ACKS_PER_VIEW } from '../../../src/framing/index.ts'
import { concat, cut, frame, parse, pattern, seed, varint } from './support.ts'

/** A decoder with what it told, and a sink that refuses from the ack with number `refuseAt` on. */
function listen(refuseAt = Infinity): {
  acks: AckDecoder
  groups: Array<[status: number, count: number]>
  statuses: () => number[]
} {
  const groups: Array<[number, number]> = []
  let taken = 0
  const acks = new AckDecoder((status, count) => {
    groups.push([status, count])
    taken += count
    return taken <= refuseAt
  })
  return { acks, groups, statuses: () => groups.flatMap(([s, n]) => Array.from({ length: n }, () => s)) }
}

function ack(status: number, reserved = 0): Uint8Array {
  return frame(concat([Uint8Array.of(status), pattern(reserved, status)]))
}

/** The naive twin: statuses up to the first fault, and whether there is one. */
function meaning(bytes: Uint8Array): { statuses: number[]; faulty: boolean } {
  const { payloads, rest } = parse(bytes, 64)
  const statuses: number[] = []
  for (const payload of payloads) {
    if (payload.length === 0 || payload[0]! > 2) return { statuses, faulty: true }
    statuses.push(payload[0]!)
  }
  return { statuses, faulty: rest === 'malformed' || rest === 'too-large' }
}

const anyAck = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(0, 0, 0, 1, 2).map(status => ack(status)) },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.constantFrom(0, 1, 2), fc.integer({ min: 0, max: 63 })).map(([s, n]) => ack(s, n))
  }
)
const badAck = fc.constantFrom(
  ack(3),
  ack(255, 63),
  frame(pattern(0)),
  ack(0, 64),
  Uint8Array.of(0x81, 0x00, 0x00)
)

describe('ack decoder', () => {
  it.each([
    ['accepted', AckStatus.accepted, 0],
    ['refused: receiver full', AckStatus.refusedFull, 1],
    ['refused: too large', AckStatus.refusedTooLarge, 2]
  ])('reads %s', (_, status, byte) => {
    expect(status).toBe(byte)
    const { acks, groups } = listen()
    expect(acks.push(Uint8Array.of(1, byte))).toBeUndefined()
    expect(groups).toEqual([[byte, 1]])
    expect(acks.end()).toBeUndefined()
  })

  it.each([3, 4, 127, 128, 255])('calls status %d malformed, after the acks before it', status => {
    const { acks, groups } = listen()
    expect(acks.push(concat([ack(0), ack(status), ack(0)]))).toContain(`unknown status ${status}`)
    expect(groups).toEqual([[0, 1]])
  })

  it('calls an ack of 0 bytes malformed, alone and among others, in one piece and in two', () => {
    for (const bytes of [Uint8Array.of(0), concat([ack(0), ack(0), Uint8Array.of(0), ack(0)])]) {
      for (let place = 0; place <= bytes.length; place++) {
        const { acks, statuses } = listen()
        let reason: string | undefined
        for (const piece of cut(bytes, [place])) reason = acks.push(piece)
        expect(reason).toContain('0 bytes')
        expect(statuses()).toEqual(bytes.length === 1 ? [] : [0, 0])
      }
    }
  })

  it('takes an ack of 64 bytes, refuses one of 65', () => {
    const { acks, groups } = listen()
    expect(acks.push(ack(1, 63))).toBeUndefined()
    expect(groups).toEqual([[1, 1]])
    expect(acks.push(varint(65))).toContain('65 bytes')
  })

  it('ignores reserved bytes, whatever they are and wherever they are cut', () => {
    const bytes = concat([ack(0, 5), ack(0), ack(1, 63), ack(1), ack(2, 1)])
    for (let place = 0; place <= bytes.length; place++) {
      const { acks, statuses } = listen()
      for (const piece of cut(bytes, [place])) expect(acks.push(piece)).toBeUndefined()
      expect(statuses()).toEqual([0, 0, 1, 1, 2])
    }
  })

  it('tells equal neighbours of one piece together', () => {
    const { acks, groups } = listen()
    acks.push(concat([ack(0), ack(0, 3), ack(0), ack(1), ack(1), ack(0), ack(2)]))
    expect(groups).toEqual([
      [0, 3],
      [1, 2],
      [0, 1],
      [2, 1]
    ])
  })

  it('says so when the sink has nothing left to be answered, and takes no more', () => {
    const { acks, groups } = listen(2)
    const reason = acks.push(concat([ack(0), ack(0), ack(1), ack(2)]))
    expect(reason).toContain('answers no message')
    expect(groups).toEqual([
      [0, 2],
      [1, 1]
    ])
    expect(acks.push(ack(0))).toBe(reason)
    expect(acks.end()).toBe(reason)
    expect(groups).toHaveLength(2)
  })

  it('takes nothing more after any fault', () => {
    const faults = [
      ack(3),
      frame(pattern(0)),
      varint(65),
      Uint8Array.of(0x81, 0x00),
      Uint8Array.of(255, 255, 255, 255)
    ]
    for (const fault of faults) {
      const { acks, groups } = listen()
      const reason = acks.push(fault)
      expect(reason).toBeTypeOf('string')
      expect(acks.push(ack(0))).toBe(reason)
      expect(groups).toEqual([])
    }
  })

  it('calls an end inside an ack malformed, between acks orderly', () => {
    const { acks } = listen()
    acks.push(ack(0))
    expect(acks.end()).toBeUndefined()
    for (const piece of [Uint8Array.of(1), Uint8Array.of(2, 0), Uint8Array.of(0x80)]) {
      const cutOff = listen()
      expect(cutOff.acks.push(piece)).toBeUndefined()
      expect(cutOff.acks.end()).toContain('ended inside a frame')
      expect(cutOff.groups).toEqual([])
    }
  })

  it('reads any sequence, cut anywhere, as the naive twin reads it whole', () => {
    const sequences = fc
      .tuple(
        fc.array(anyAck, { maxLength: 60 }),
        fc.option(badAck, { freq: 3 }),
        fc.array(anyAck, { maxLength: 3 })
      )
      .map(([before, bad, after]) => concat([...before, ...(bad === null ? [] : [bad]), ...after]))
    fc.assert(
      fc.property(sequences, fc.array(fc.nat(400), { maxLength: 30 }), (bytes, places) => {
        const { acks, statuses } = listen()
        let reason: string | undefined
        for (const piece of cut(bytes, places)) reason = acks.push(piece)
        const expected = meaning(bytes)
        expect(statuses()).toEqual(expected.statuses)
        expect(reason !== undefined).toBe(expected.faulty)
      }),
      { seed, numRuns: 2_000 }
    )
  })

  it('reads any bytes at all, cut anywhere, as the naive twin does', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 60 }).map(list => Uint8Array.from(list)),
        fc.array(fc.nat(60), { maxLength: 20 }),
        (bytes, places) => {
          const { acks, statuses } = listen()
          let reason: string | undefined
          for (const piece of cut(bytes, places)) reason = acks.push(piece)
          const expected = meaning(bytes)
          expect(statuses()).toEqual(expected.statuses)
          expect(reason !== undefined).toBe(expected.faulty)
        }
      ),
      { seed, numRuns: 2_000 }
    )
  })
})

describe('ack frames', () => {
  it.each(Object.values(AckStatus))('of status %d are that many frames of that byte', status => {
    for (const count of [1, 2, 100, MAX_ACKS_PER_VIEW]) {
      expect(ackFrames(status, count)).toEqual(concat(Array.from({ length: count }, () => ack(status))))
    }
  })

  it('come back as one group', () => {
    const { acks, groups } = listen()
    acks.push(ackFrames(AckStatus.refusedFull, MAX_ACKS_PER_VIEW))
    expect(groups).toEqual([[1, MAX_ACKS_PER_VIEW]])
  })
})
