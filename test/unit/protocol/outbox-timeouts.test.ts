import { describe, expect, it } from 'vitest'
import { numbersOn, open, Scene, upTo } from './outbox-scene.ts'
import { acks, TestStream, turn } from './support.ts'

describe('the ack clock', () => {
  it('begins when a message is written, not when it is sent', async () => {
    const scene = await open({ windowMessages: 1 }, 2)
    scene.clock.advance(900)
    scene.stream.receive(acks(0))
    scene.clock.advance(999)
    expect(scene.outcomes).toEqual([undefined])
    scene.clock.advance(1)
    expect(scene.outcomes).toEqual([undefined, 'ack-timeout'])
  })

  it('begins anew with each answer, for messages written long ago', async () => {
    const scene = await open({}, 4)
    for (let i = 0; i < 3; i++) {
      scene.clock.advance(900)
      scene.stream.receive(acks(0))
    }
    scene.clock.advance(999)
    expect(scene.outcomes).toEqual([undefined, undefined, undefined])
    scene.clock.advance(1)
    expect(scene.outcomes.at(-1)).toBe('ack-timeout')
  })

  it('runs from the writing of a message that was written after the last answer', async () => {
    const scene = await open({}, 1)
    scene.clock.advance(100)
    await scene.sendSome(1)
    scene.clock.advance(100)
    scene.stream.receive(acks(0, 0))
    scene.clock.advance(500)
    await scene.sendSome(1)
    scene.clock.advance(999)
    expect(scene.outcomes).toEqual([undefined, undefined])
    scene.clock.advance(1)
    expect(scene.outcomes).toEqual([undefined, undefined, 'ack-timeout'])
  })

  it('runs for each message from its own writing', async () => {
    const scene = await open({}, 1)
    scene.clock.advance(400)
    await scene.sendSome(1)
    scene.clock.advance(599)
    expect(scene.outcomes).toEqual([])
    scene.clock.advance(1)
    expect(scene.outcomes).toEqual(['ack-timeout'])
    scene.clock.advance(399)
    expect(scene.outcomes).toHaveLength(1)
    scene.clock.advance(1)
    expect(scene.outcomes).toEqual(['ack-timeout', 'ack-timeout'])
  })

  it('grants a message the time of its own bytes, prefix included', async () => {
    const scene = new Scene({ msPerByte: 0.5 })
    await scene.send(1_998)
    scene.clock.advance(1_999)
    expect(scene.outcomes).toEqual([])
    scene.clock.advance(1)
    expect(scene.outcomes).toEqual(['ack-timeout'])
  })

  it('is put off while bytes of the peer go on arriving, which may lie before its ack', async () => {
    const scene = await open({}, 3)
    scene.trickle(2_500)
    expect(scene.outcomes).toEqual([])
    scene.stream.receive(acks(0, 0, 0))
    expect(scene.outcomes).toEqual([undefined, undefined, undefined])
    expect(scene.unanswered).toBe(0)
  })

  it('ends when the peer has been silent for the response time', async () => {
    const scene = await open({}, 1)
    scene.trickle(2_000)
    // The last bytes came at 1,900.
    scene.clock.advance(899)
    expect(scene.outcomes).toEqual([])
    scene.clock.advance(1)
    expect(scene.outcomes).toEqual(['ack-timeout'])
  })

  it('is not put off for ever by a peer that only drips', async () => {
    const scene = await open({}, 2)
    scene.trickle(3_900)
    expect(scene.outcomes).toEqual([])
    scene.trickle(100)
    expect(scene.outcomes).toEqual(['ack-timeout', 'ack-timeout'])
    scene.trickle(1_000)
    expect(scene.unanswered).toBe(2)
  })

  it('is right for many runs, answered and expired in any mixture', async () => {
    const scene = await open({ windowMessages: 1_000 })
    for (let i = 0; i < 100; i++) {
      await scene.sendSome(3)
      scene.clock.advance(1)
    }
    scene.stream.receive(acks(...upTo(100).map(() => 0)))
    scene.clock.advance(999)
    expect(scene.outcomes).toHaveLength(100)
    scene.clock.advance(1)
    expect(scene.outcomes).toHaveLength(300)
    scene.hear()
    scene.clock.advance(1_000)
    expect(scene.unanswered).toBe(200)
    scene.stream.receive(acks(...upTo(200).map(() => 0)))
    await scene.sendSome(1)
    scene.clock.advance(999)
    expect(scene.outcomes).toHaveLength(300)
    scene.stream.receive(acks(1))
    expect(scene.outcomes.at(-1)).toBe('refused-full')
  })
})

describe('a peer that reads and never answers', () => {
  it.each([
    ['a window full of messages', { windowMessages: 2 }],
    ['a window full of bytes', { windowBytes: 14 }]
  ])('behind %s: what waits goes to a new stream', async (_, given) => {
    const scene = await open(given, 3)
    expect(numbersOn(scene.stream)).toEqual([0, 1])
    scene.neglect()
    await turn()
    expect(scene.outcomes).toEqual(['ack-timeout', 'ack-timeout'])
    expect(scene.streams).toHaveLength(2)
    expect(scene.streams[0]!.wasReset).toBe(true)
    expect(numbersOn(scene.stream)).toEqual([2])
  })

  it.each([
    ['a window full of messages', { windowMessages: 2 }],
    ['a window full of bytes', { windowBytes: 14 }]
  ])('behind %s: what is sent after everything has expired goes to a new stream', async (_, given) => {
    const scene = await open(given, 2)
    scene.neglect()
    expect(scene.streams).toHaveLength(1)
    await scene.sendSome(1)
    await turn()
    expect(scene.streams).toHaveLength(2)
    expect(numbersOn(scene.stream)).toEqual([2])
    scene.stream.receive(acks(0))
    expect(scene.outcomes).toEqual(['ack-timeout', 'ack-timeout', undefined])
  })

  it('behind a blocked stream: what waits goes to a new stream', async () => {
    const scene = new Scene()
    const stream = new TestStream()
    stream.room = 3
    scene.openings.push(Promise.resolve(stream))
    await scene.sendSome(2)
    await scene.sendSome(1)
    scene.neglect()
    await turn()
    expect(scene.outcomes).toEqual(['ack-timeout', 'ack-timeout'])
    expect(numbersOn(scene.stream)).toEqual([2])
    expect(stream.wasReset).toBe(true)
  })

  it('is waited for until it is known whether it is there: what waits is not written yet', async () => {
    const scene = await open({ windowMessages: 2 }, 3)
    scene.clock.advance(5_000)
    await turn()
    expect(scene.outcomes).toEqual(['ack-timeout', 'ack-timeout'])
    expect(scene.streams).toHaveLength(1)
    scene.hear()
    scene.stream.receive(acks(0, 0))
    expect(numbersOn(scene.stream)).toEqual([0, 1, 2])
    expect(scene.unanswered).toBe(0)
  })

  it('with room left: the next message is written behind, in order', async () => {
    const scene = await open({}, 2)
    scene.clock.advance(1_000)
    await scene.sendSome(1)
    expect(scene.streams).toHaveLength(1)
    expect(numbersOn(scene.stream)).toEqual([0, 1, 2])
  })

  it('settles everything in the end, however much is sent', async () => {
    const scene = await open({ windowMessages: 10 }, 95)
    for (let i = 0; i < 20; i++) {
      scene.neglect()
      await turn()
    }
    expect(scene.outcomes).toEqual(upTo(95).map(() => 'ack-timeout'))
  })
})
