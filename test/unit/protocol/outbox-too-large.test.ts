import { describe, expect, it } from 'vitest'
import { numbersOn, open, Scene, upTo } from './outbox-scene.ts'
import { acks, turn } from './support.ts'

describe('a refusal as too large', () => {
  it('of every message does not make this side write a whole window each time', async () => {
    const MIB = 2 ** 20
    const scene = new Scene({ windowBytes: 4 * MIB })
    await scene.send(...upTo(64).map(() => 65_536))
    for (let i = 0; i < 64; i++) {
      scene.stream.receive(acks(2))
      await turn()
    }
    expect(scene.outcomes).toEqual(upTo(64).map(() => 'refused-too-large'))
    const written = scene.streams.reduce((sum, { leftBytes }) => sum + leftBytes.length, 0)
    // The first window, and one message for each refusal.
    expect(written).toBeLessThan(8 * MIB + 64 * 1_024)
  })

  it('leaves a small window, which grows with what is answered until it is whole again', async () => {
    const scene = new Scene({ windowBytes: 1_000_000 })
    await scene.send(...upTo(40).map(() => 30_000))
    scene.stream.receive(acks(2))
    await turn()
    const inFlight: number[] = []
    for (let answered = 0; answered < 31;) {
      const written = numbersOn(scene.stream).length
      inFlight.push(written - answered)
      scene.stream.receive(acks(...upTo(written - answered).map(() => 0)))
      answered = written
      await turn()
    }
    expect(inFlight.slice(0, 4)).toEqual([2, 4, 8, 16])
  })

  it('has the messages behind it written again on a new stream, none lost and none doubled', async () => {
    const scene = await open({}, 5)
    scene.stream.receive(acks(0, 2))
    await turn()
    expect(scene.outcomes).toEqual([undefined, 'refused-too-large'])
    expect(scene.streams).toHaveLength(2)
    expect(scene.streams[0]!.wasReset).toBe(true)
    expect(numbersOn(scene.stream)).toEqual([2, 3, 4])
    scene.stream.receive(acks(0, 1, 0))
    expect(scene.outcomes).toEqual([undefined, 'refused-too-large', undefined, 'refused-full', undefined])
    expect(scene.malformed).toEqual([])
  })

  it('keeps order when messages were not written yet, in parts of chunks', async () => {
    const scene = new Scene({ windowMessages: 3 })
    await scene.send(10, 20_000, 30)
    await scene.send(40)
    await scene.send(50, 60)
    scene.stream.receive(acks(0))
    scene.stream.receive(acks(2))
    await turn()
    expect(numbersOn(scene.stream)).toEqual([2, 3, 4])
    scene.stream.receive(acks(2))
    await turn()
    expect(numbersOn(scene.stream)).toEqual([3, 4, 5])
    scene.stream.receive(acks(0, 0, 0))
    expect(scene.outcomes).toEqual([
      undefined,
      'refused-too-large',
      'refused-too-large',
      undefined,
      undefined,
      undefined
    ])
  })

  it.each([
    ['in one piece', [acks(2, 2, 0)]],
    ['in two pieces', [acks(2), acks(2, 0)]]
  ])('makes acks behind it on that stream meaningless, %s', async (_, pieces) => {
    const scene = await open({}, 3)
    const [first] = scene.streams
    for (const piece of pieces) first!.receive(piece)
    await turn()
    expect(scene.outcomes).toEqual(['refused-too-large'])
    expect(scene.malformed).toEqual([])
    expect(numbersOn(scene.stream)).toEqual([1, 2])
  })

  it('that arrives late does not bring back messages that have timed out', async () => {
    const scene = await open({}, 3)
    scene.clock.advance(1_000)
    expect(scene.outcomes).toEqual(['ack-timeout', 'ack-timeout', 'ack-timeout'])
    await scene.sendSome(1)
    scene.openings.push(Promise.reject(new Error('no more streams')))
    scene.stream.receive(acks(2))
    await turn()
    expect(scene.outcomes).toEqual(['ack-timeout', 'ack-timeout', 'ack-timeout', 'not-connected'])
    expect(scene.outbox.unsettled).toBe(0)
  })

  it('that arrives late has only messages with an open outcome written again', async () => {
    const scene = await open({}, 3)
    scene.clock.advance(1_000)
    await scene.sendSome(2)
    scene.stream.receive(acks(2))
    await turn()
    expect(numbersOn(scene.stream)).toEqual([3, 4])
    scene.stream.receive(acks(0, 0))
    expect(scene.outcomes.slice(3)).toEqual([undefined, undefined])
  })

  it('out of nowhere is malformed', async () => {
    const scene = await open({}, 1)
    scene.stream.receive(acks(0, 2))
    expect(scene.malformed).toHaveLength(1)
  })

  it('of everything ends every message', async () => {
    const scene = await open({}, 20)
    for (let i = 0; i < 20; i++) {
      scene.stream.receive(acks(2))
      await turn()
    }
    expect(scene.outcomes).toEqual(upTo(20).map(() => 'refused-too-large'))
    expect(scene.streams).toHaveLength(20)
  })
})
