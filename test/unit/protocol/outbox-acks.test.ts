import { describe, expect, it } from 'vitest'
import { numbersOn, open, upTo } from './outbox-scene.ts'
import { acks, concat, turn } from './support.ts'

describe('acks', () => {
  it('settle messages in the order of sending, each with its own outcome', async () => {
    const scene = await open({}, 5)
    scene.stream.receive(acks(0, 1, 0))
    expect(scene.outcomes).toEqual([undefined, 'refused-full', undefined])
    expect(scene.outbox.unsettled).toBe(2)
    expect(scene.outbox.busy).toBe(true)
    scene.stream.receive(acks(0, 0))
    expect(scene.outcomes).toHaveLength(5)
    expect(scene.outbox.unsettled).toBe(0)
    expect(scene.outbox.busy).toBe(false)
  })

  it('may arrive byte by byte', async () => {
    const scene = await open({}, 3)
    for (const byte of acks(0, 1, 0)) scene.stream.receive(Uint8Array.of(byte))
    expect(scene.outcomes).toEqual([undefined, 'refused-full', undefined])
  })

  it('that never arrive leave the message unknown after the response time, and cost a peer that is heard one report each', async () => {
    const scene = await open({}, 2)
    scene.clock.advance(999)
    expect(scene.outcomes).toEqual([])
    scene.clock.advance(1)
    expect(scene.outcomes).toEqual(['ack-timeout', 'ack-timeout'])
    scene.clock.advance(500)
    scene.hear()
    scene.clock.advance(999)
    expect(scene.unanswered).toBe(0)
    scene.clock.advance(1)
    expect(scene.unanswered).toBe(2)
    expect(scene.clock.armed).toBe(0)
  })

  it('that never arrive cost a peer nothing that is not heard, however long that takes', async () => {
    const scene = await open({}, 2)
    scene.clock.advance(1_000_000)
    expect(scene.outcomes).toEqual(['ack-timeout', 'ack-timeout'])
    expect(scene.unanswered).toBe(0)
    expect(scene.clock.armed).toBe(0)
  })

  it('that come behind a pause cost nothing, though the peer had been heard in the time', async () => {
    const scene = await open({}, 30)
    scene.clock.advance(50)
    scene.hear()
    scene.clock.advance(1_250)
    expect(scene.outcomes).toHaveLength(30)
    scene.hear()
    scene.clock.advance(10)
    scene.stream.receive(acks(...upTo(30).map(() => 0)))
    scene.clock.advance(10_000)
    expect(scene.unanswered).toBe(0)
    expect(scene.clock.armed).toBe(0)
  })

  it('that never arrive cost a peer one report each that drips a byte now and then', async () => {
    const scene = await open({ maxDelayMs: 0 }, 1)
    for (let i = 1; i < 30; i++) {
      await scene.sendSome(1)
      scene.clock.advance(900)
      scene.hear()
    }
    scene.clock.advance(2_000)
    scene.hear()
    scene.clock.advance(1_000)
    expect(scene.outcomes).toEqual(upTo(30).map(() => 'ack-timeout'))
    expect(scene.unanswered).toBe(30)
  })

  it('that are lost with the stream are no offence any more', async () => {
    const scene = await open({}, 3)
    scene.clock.advance(1_000)
    scene.hear()
    scene.clock.advance(999)
    scene.stream.receiveReset()
    scene.hear()
    scene.clock.advance(10_000)
    expect(scene.unanswered).toBe(0)
    expect(scene.clock.armed).toBe(0)
  })

  it('that arrive late settle nothing twice, are no offence, and leave the order of the others intact', async () => {
    const scene = await open({}, 2)
    scene.clock.advance(1_000)
    await scene.sendSome(2)
    scene.stream.receive(acks(0, 1, 1))
    expect(scene.outcomes).toEqual(['ack-timeout', 'ack-timeout', 'refused-full'])
    scene.stream.receive(acks(0))
    expect(scene.outcomes).toEqual(['ack-timeout', 'ack-timeout', 'refused-full', undefined])
    expect(scene.malformed).toEqual([])
    expect(scene.streams).toHaveLength(1)
  })

  it('partly late, partly in time, are told apart within one piece', async () => {
    const scene = await open({ ackTimeoutMs: 100 }, 1)
    scene.clock.advance(100)
    await scene.sendSome(3)
    scene.stream.receive(acks(0, 0, 0))
    expect(scene.outcomes).toEqual(['ack-timeout', undefined, undefined])
    expect(scene.outbox.unsettled).toBe(1)
  })

  it('out of nowhere are malformed', async () => {
    const scene = await open({}, 1)
    scene.stream.receive(acks(0))
    scene.stream.receive(acks(0))
    expect(scene.malformed).toEqual([expect.stringContaining('answers no message')])
    expect(scene.outcomes).toEqual([undefined])
    expect(scene.stream.wasReset).toBe(true)
  })

  it('given twice are malformed, behind the messages they answer', async () => {
    const scene = await open({}, 2)
    scene.stream.receive(acks(0, 0, 0))
    expect(scene.outcomes).toEqual([undefined, undefined])
    expect(scene.malformed).toHaveLength(1)
  })

  it.each([
    ['of an unknown status', Uint8Array.of(1, 3)],
    ['of no bytes', Uint8Array.of(0)],
    ['of 65 bytes', Uint8Array.of(65)],
    ['with a prefix that is not minimal', Uint8Array.of(0x81, 0)]
  ])(
    '%s are malformed; what they might answer is unknown, what was not written goes to a new stream',
    async (_, bad) => {
      const scene = await open({ windowMessages: 2 }, 4)
      scene.stream.receive(concat([acks(0), bad, acks(0, 0)]))
      await turn()
      expect(scene.malformed).toHaveLength(1)
      expect(scene.outcomes.slice(0, 2)).toEqual([undefined, 'connection-lost'])
      expect(scene.streams[0]!.wasReset).toBe(true)
      expect(scene.streams).toHaveLength(2)
      expect(numbersOn(scene.stream)).toEqual([2, 3])
    }
  )

  it('cut off by an orderly end are malformed', async () => {
    const scene = await open({}, 1)
    scene.stream.receive(Uint8Array.of(1))
    scene.stream.receiveEnd()
    await turn()
    expect(scene.malformed).toEqual([expect.stringContaining('ended inside')])
    expect(scene.outcomes).toEqual(['connection-lost'])
  })

  it('cut off by a reset are no offence', async () => {
    const scene = await open({}, 1)
    scene.stream.receive(Uint8Array.of(1))
    scene.stream.receiveReset()
    await turn()
    expect(scene.malformed).toEqual([])
    expect(scene.outcomes).toEqual(['connection-lost'])
  })

  it('in the same muxer frame as the end still count', async () => {
    const scene = await open({}, 3)
    scene.stream.receiveEnd(acks(0, 0))
    await turn()
    expect(scene.outcomes).toEqual([undefined, undefined, 'connection-lost'])
    expect(scene.malformed).toEqual([])
  })
})
