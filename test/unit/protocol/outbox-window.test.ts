import { describe, expect, it } from 'vitest'
import { numbersOn, open, Scene, upTo } from './outbox-scene.ts'
import { acks, frame, message, TestStream, turn } from './support.ts'

describe('the window', () => {
  it('of messages holds back the rest until acks come', async () => {
    const scene = await open({ windowMessages: 3 }, 8)
    expect(numbersOn(scene.stream)).toEqual([0, 1, 2])
    scene.stream.receive(acks(0, 0))
    expect(numbersOn(scene.stream)).toEqual([0, 1, 2, 3, 4])
    scene.stream.receive(acks(0, 0, 0))
    expect(numbersOn(scene.stream)).toEqual(upTo(8))
  })

  it('of bytes counts what is on the wire, prefixes included, to the byte', async () => {
    for (const [windowBytes, written] of [
      [303, 3],
      [302, 2]
    ]) {
      const scene = new Scene({ windowBytes: windowBytes! })
      await scene.send(100, 100, 100, 100)
      expect(numbersOn(scene.stream)).toHaveLength(written!)
    }
  })

  it('lets one message larger than itself be in flight, alone', async () => {
    const scene = new Scene({ windowBytes: 100 })
    await scene.send(5_000, 4)
    expect(numbersOn(scene.stream)).toEqual([0])
    scene.stream.receive(acks(0))
    expect(numbersOn(scene.stream)).toEqual([0, 1])
    await scene.send(5_000)
    expect(numbersOn(scene.stream)).toEqual([0, 1])
    scene.stream.receive(acks(0))
    expect(numbersOn(scene.stream)).toEqual([0, 1, 2])
  })

  it('of one message makes a lock step', async () => {
    const scene = await open({ windowMessages: 1 }, 5)
    for (let i = 0; i < 5; i++) {
      expect(numbersOn(scene.stream)).toEqual(upTo(i + 1))
      scene.stream.receive(acks(0))
    }
    expect(scene.outbox.unsettled).toBe(0)
  })
})

describe('writing', () => {
  it('goes in one piece for messages that were sent together, with small ones that waited joined to them', async () => {
    const scene = await open({ windowMessages: 1_000 }, 100)
    expect(scene.stream.left).toHaveLength(1)
    const blocked = new Scene({ windowMessages: 10_000 })
    for (let i = 0; i < 50; i++) {
      const frames = frame(message(blocked.sent++))
      blocked.outbox.send(frames)
    }
    await turn()
    expect(blocked.stream.left).toHaveLength(1)
    expect(numbersOn(blocked.stream)).toEqual(upTo(50))
  })

  it('goes in pieces of about 256 KiB', async () => {
    const scene = new Scene({ windowBytes: 10_000_000 })
    await scene.send(...Array.from({ length: 100 }, () => 10_000))
    expect(scene.stream.left.length).toBeGreaterThan(3)
    for (const piece of scene.stream.left) expect(piece.length).toBeLessThan(256 * 1024 + 10_003)
    expect(numbersOn(scene.stream)).toEqual(upTo(100))
  })

  it('stops while the stream is blocked and goes on when it has drained', async () => {
    const scene = new Scene({ windowBytes: 10_000_000, windowMessages: 1_000 })
    const stream = new TestStream()
    stream.room = 50_000
    scene.openings.push(Promise.resolve(stream))
    await scene.send(...Array.from({ length: 100 }, () => 10_000))
    expect(stream.writableNeedsDrain).toBe(true)
    const waiting = stream.writeBufferLength
    await scene.send(4, 4, 4)
    expect(stream.writeBufferLength).toBe(waiting)
    for (let i = 0; i < 30; i++) {
      stream.grant(50_000)
      await turn()
    }
    expect(numbersOn(stream)).toEqual(upTo(103))
    stream.receive(acks(...upTo(103).map(() => 0)))
    expect(scene.outbox.unsettled).toBe(0)
  })

  it('goes on when a congested muxer has drained', async () => {
    const scene = new Scene()
    const stream = new TestStream()
    stream.congested = true
    scene.openings.push(Promise.resolve(stream))
    await scene.sendSome(1)
    await scene.sendSome(2)
    expect(numbersOn(stream)).toEqual([0])
    stream.decongest()
    await turn()
    expect(numbersOn(stream)).toEqual([0, 1, 2])
  })

  it.each([0, 1])(
    'of a message that is answered with %i before its last byte has left ends the stream',
    async status => {
      const scene = new Scene()
      const stream = new TestStream()
      stream.room = 150
      scene.openings.push(Promise.resolve(stream))
      await scene.send(100, 100)
      await scene.send(100)
      stream.receive(acks(status, status))
      await turn()
      expect(scene.malformed).toEqual([expect.stringContaining('sent whole')])
      expect(scene.outcomes).toEqual([status === 0 ? undefined : 'refused-full', 'connection-lost'])
      expect(stream.wasReset).toBe(true)
      expect(numbersOn(scene.stream)).toEqual([2])
    }
  )

  it('may be refused as too large before its last byte has left, and not before its first has', async () => {
    const scene = new Scene({ windowBytes: 10_000_000 })
    const stream = new TestStream()
    stream.room = 150
    scene.openings.push(Promise.resolve(stream))
    await scene.send(100, 5_000)
    stream.receive(acks(0, 2))
    expect(scene.outcomes).toEqual([undefined, 'refused-too-large'])
    expect(scene.malformed).toEqual([])
    const second = new TestStream()
    second.room = 101
    scene.openings.push(Promise.resolve(second))
    await scene.send(100, 5_000)
    second.receive(acks(0, 2))
    expect(scene.malformed).toHaveLength(1)
  })

  it('that the far end does not take in time ends; what waits goes on another stream', async () => {
    const scene = new Scene({ ackTimeoutMs: 60_000, maxDelayMs: 0 })
    const stream = new TestStream()
    stream.room = 150
    scene.openings.push(Promise.resolve(stream))
    await scene.send(100, 100)
    await scene.send(100)
    scene.clock.advance(4_999)
    expect(scene.outcomes).toEqual([])
    scene.clock.advance(1)
    await turn()
    expect(scene.outcomes).toEqual(['connection-lost', 'ack-timeout'])
    expect(scene.unanswered).toBe(0)
    expect(stream.wasReset).toBe(true)
    expect(numbersOn(scene.stream)).toEqual([2])
    scene.stream.receive(acks(0))
    expect(scene.outbox.unsettled).toBe(0)
  })

  it('that is dripped by the far end ends, too, and is counted against a peer that is heard', async () => {
    const scene = new Scene({ ackTimeoutMs: 60_000, maxDelayMs: 0 })
    const stream = new TestStream()
    stream.room = 150
    scene.openings.push(Promise.resolve(stream))
    await scene.send(10_000)
    for (let second = 0; second < 6; second++) {
      stream.grant(1)
      await turn()
      scene.trickle(1_000)
    }
    expect(scene.outcomes).toEqual(['ack-timeout'])
    expect(scene.unanswered).toBe(1)
  })

  it('that goes on, however slowly, is given time for every piece', async () => {
    const scene = new Scene({ ackTimeoutMs: 60_000 })
    const stream = new TestStream()
    stream.room = 1_000
    scene.openings.push(Promise.resolve(stream))
    for (let i = 0; i < 10; i++) {
      await scene.send(1_000)
      scene.clock.advance(4_000)
      stream.grant(1_002)
      await turn()
    }
    expect(numbersOn(stream)).toHaveLength(10)
    stream.receive(acks(...upTo(10).map(() => 0)))
    expect(scene.outcomes).toEqual(upTo(10).map(() => undefined))
    expect(scene.streams).toHaveLength(1)
  })

  it('that a muxer never goes on with, although nothing is in flight, goes on another stream', async () => {
    const scene = new Scene()
    const stream = new TestStream()
    stream.congested = true
    scene.openings.push(Promise.resolve(stream))
    await scene.sendSome(1)
    stream.receive(acks(0))
    await scene.sendSome(1)
    scene.clock.advance(5_000)
    await turn()
    expect(scene.outcomes).toEqual([undefined])
    expect(numbersOn(scene.stream)).toEqual([1])
    expect(scene.streams).toHaveLength(2)
  })

  it('waits while nothing may be written, and goes on when it is resumed', async () => {
    const scene = await open({}, 1)
    scene.mayWrite = false
    await scene.sendSome(2)
    expect(numbersOn(scene.stream)).toEqual([0])
    scene.mayWrite = true
    scene.outbox.resume()
    expect(numbersOn(scene.stream)).toEqual([0, 1, 2])
  })

  it('has its time anew whenever the stream blocks again, and no end while it only asks for patience', async () => {
    const scene = await open({ ackTimeoutMs: 60_000 }, 1)
    const { stream } = scene
    stream.congested = true
    await scene.sendSome(1)
    scene.clock.advance(5_000)
    expect(scene.outcomes).toEqual([])
    stream.decongest()
    await turn()
    stream.room = 0
    await scene.sendSome(1)
    scene.clock.advance(4_999)
    stream.grant(10)
    await turn()
    stream.room = 0
    await scene.sendSome(1)
    scene.clock.advance(4_999)
    expect(scene.outcomes).toEqual([])
    scene.clock.advance(1)
    expect(scene.outcomes).toEqual(['connection-lost', 'connection-lost', 'connection-lost', 'ack-timeout'])
  })

  it('copies what it is given', async () => {
    const scene = new Scene()
    const frames = frame(message(7, 100))
    scene.sent++
    scene.outbox.send(frames)
    frames.fill(0xff)
    await turn()
    expect(numbersOn(scene.stream)).toEqual([7])
  })

  it('takes messages of 0 bytes', async () => {
    const scene = new Scene()
    scene.sent = 3
    scene.outbox.send(Uint8Array.of(0, 0, 0))
    await turn()
    expect(scene.stream.leftBytes).toEqual(Uint8Array.of(0, 0, 0))
    scene.stream.receive(acks(0, 0, 0))
    expect(scene.outcomes).toEqual([undefined, undefined, undefined])
  })
})
