import '../../support/array-buffer-transfer.ts'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Inbox, MemoryReservation } from '../../../src/protocol/index.ts'
import type { InboxLimits } from '../../../src/protocol/index.ts'
import { markDetachable } from '../../../src/memory/detach.ts'
import {
  acks,
  concat,
  FakeClock,
  frame,
  Listeners,
  message,
  numberOf,
  payloads,
  seed,
  TestStream,
  turn
} from './support.ts'

const limits: InboxLimits = { maxMessageBytes: 300_000, messageTimeoutMs: 1_000 }

/** An inbox, the far end of its stream, and a receiver channel with as much room as the test says. */
class Scene {
  readonly clock = new FakeClock()
  readonly stream: TestStream
  readonly taken: Uint8Array[] = []
  readonly dropped: Array<{ messages: number; bytes: number }> = []
  readonly malformed: string[] = []
  refusedTooLarge = 0
  roomMessages = Infinity
  roomBytes = Infinity
  listening = true
  deliveries = 0
  /** When the peer was last heard; undefined: it is heard all the time. */
  lastReceivedAt: number | undefined
  readonly #listeners = new Listeners()

  constructor(stream: TestStream = new TestStream(), memory = new MemoryReservation(Infinity)) {
    this.stream = stream
    // oxlint-disable-next-line no-new -- it lives on the stream's events
    new Inbox({
      stream,
      limits,
      clock: this.clock,
      lastReceivedAt: () => this.lastReceivedAt ?? this.clock.now(),
      whenHeard: this.#listeners.add,
      listening: () => this.listening,
      memory,
      deliver: run => {
        this.deliveries++
        if (run.count > this.roomMessages || run.payloadBytes > this.roomBytes) return false
        this.roomMessages -= run.count
        this.roomBytes -= run.payloadBytes
        for (const payload of payloads(concat(run.parts))) this.taken.push(payload)
        return true
      },
      dropped: (messages, bytes) => this.dropped.push({ messages, bytes }),
      refusedTooLarge: () => this.refusedTooLarge++,
      malformed: reason => this.malformed.push(reason)
    })
  }

  /** Bytes of the peer arrive, of whatever stream. */
  hear(): void {
    this.lastReceivedAt = this.clock.now()
    this.#listeners.tell()
  }

  get numbers(): number[] {
    return this.taken.map(numberOf)
  }

  /** Statuses of the acks that have left. */
  get statuses(): number[] {
    return payloads(this.stream.leftBytes).map(payload => payload[0]!)
  }
}

/** Frames of messages with these sizes, numbered from 0. */
function frames(...sizes: number[]): Uint8Array[] {
  return sizes.map((size, number) => frame(message(number, size)))
}

function some(count: number): Uint8Array {
  return concat(frames(...Array.from({ length: count }, () => 4)))
}

function repeat(status: number, count: number): number[] {
  return Array.from({ length: count }, () => status)
}

describe('inbox', () => {
  describe('memory of what it has read', () => {
    /** A piece of a stream behind so many other bytes, in memory that may be freed, and a piece that is not. */
    const pieces = (before: number): [Uint8Array, Uint8Array] => {
      const bytes = concat([...frames(100, 9_000), frame(message(2, 9_000)).subarray(0, 5_000)])
      const memory = markDetachable(concat([new Uint8Array(before), bytes]))
      return [memory.subarray(before), frame(message(2, 9_000)).slice(5_000)]
    }

    it.each([0, 12])('is freed when nothing but a header stands before it: %i bytes', before => {
      const scene = new Scene()
      const [first, rest] = pieces(before)
      scene.stream.receive(first)
      expect(first).toHaveLength(0)
      scene.stream.receive(rest)
      expect(scene.taken).toEqual([message(0, 100), message(1, 9_000), message(2, 9_000)])
      expect(scene.statuses).toEqual([0, 0, 0])
    })

    it('is kept when more stands before it, which another stream may not have read', () => {
      const scene = new Scene()
      const [first] = pieces(13)
      scene.stream.receive(first)
      expect(first.length).toBeGreaterThan(0)
    })
  })

  describe('acks', () => {
    it('answer every message, in order, all of one read in one piece', () => {
      const scene = new Scene()
      scene.stream.receive(some(3))
      expect(scene.numbers).toEqual([0, 1, 2])
      expect(scene.stream.left).toEqual([acks(0, 0, 0)])
      scene.stream.receive(some(2))
      expect(scene.stream.left).toHaveLength(2)
      expect(scene.statuses).toEqual(repeat(0, 5))
    })

    it('are one piece also for a read of several parts, and of a message spread over them', () => {
      const scene = new Scene()
      const bytes = concat(frames(100, 3_000, 20, 9_000, 4))
      scene.stream.receive(bytes.slice(0, 500), bytes.slice(500, 4_000), bytes.slice(4_000))
      expect(scene.taken.map(payload => payload.length)).toEqual([100, 3_000, 20, 9_000, 4])
      expect(scene.stream.left).toEqual([acks(0, 0, 0, 0, 0)])
    })

    it('come for thousands of messages of one read', () => {
      const scene = new Scene()
      scene.stream.receive(new Uint8Array(10_000))
      expect(scene.statuses).toEqual(repeat(0, 10_000))
      expect(scene.stream.left).toHaveLength(1)
    })

    it('wait for the whole message', () => {
      const scene = new Scene()
      const [bytes] = frames(1_000)
      for (let at = 0; at < bytes!.length; at += 100) {
        expect(scene.stream.left).toEqual([])
        scene.stream.receive(bytes!.slice(at, at + 100))
      }
      expect(scene.statuses).toEqual([0])
    })

    it('answer a message of 0 bytes', () => {
      const scene = new Scene()
      scene.stream.receive(Uint8Array.of(0))
      expect(scene.statuses).toEqual([0])
      expect(scene.taken).toEqual([new Uint8Array(0)])
    })
  })

  describe('messages that are incomplete, of more bytes than there is memory for', () => {
    const SIZE = 300_000
    const bytes = frame(message(0, SIZE))
    /** Streams of one connection on which a message has begun, and memory for two of them. */
    function begun(count: number): Scene[] {
      const memory = new MemoryReservation(2 * SIZE)
      const scenes = Array.from({ length: count }, () => new Scene(new TestStream(), memory))
      for (const { stream } of scenes) stream.receive(bytes.slice(0, 100_000))
      return scenes
    }
    const complete = (scene: Scene): void => scene.stream.receive(bytes.slice(100_000))

    it('are not read until one is complete, in their turn, and none is refused', async () => {
      const scenes = begun(9)
      for (const [index, scene] of scenes.entries()) {
        expect(scenes.map(({ stream }) => stream.flowing)).toEqual(scenes.map((_, i) => i < index + 2))
        complete(scene)
        await turn()
        expect(scene.statuses).toEqual([0])
      }
      expect(scenes.flatMap(({ dropped, malformed }) => [...dropped, ...malformed])).toEqual([])
    })

    it('have their time from when they are read', async () => {
      const [first, second, third] = begun(3)
      first!.clock.advance(999)
      third!.clock.advance(5_000)
      complete(first!)
      await turn()
      third!.clock.advance(999)
      expect(third!.malformed).toEqual([])
      third!.clock.advance(1)
      expect(third!.malformed).toEqual([expect.stringMatching(/not complete in time/)])
      expect(second!.malformed).toEqual([])
    })

    it('give their memory back when they are not completed in time', async () => {
      const [first, , third] = begun(3)
      first!.clock.advance(1_000)
      await turn()
      expect(first!.malformed).toHaveLength(1)
      complete(third!)
      expect(third!.statuses).toEqual([0])
    })

    it.each([
      ['that wait', 2],
      ['that are read', 0]
    ])('and end, of those %s, leave the others their turn', async (_, which) => {
      const scenes = begun(4)
      scenes[which]!.stream.receiveReset()
      for (const scene of scenes) {
        if (scene !== scenes[which]) complete(scene)
        await turn()
      }
      expect(scenes.map(({ statuses }) => statuses.length)).toEqual(
        [0, 1, 2, 3].map(i => Number(i !== which))
      )
    })

    it('wait while their acks are not read, too, and for both', async () => {
      const memory = new MemoryReservation(SIZE)
      const scenes = [0, 1].map(() => new Scene(new TestStream(), memory))
      scenes[0]!.stream.receive(bytes.slice(0, 100_000))
      scenes[1]!.stream.room = 0
      scenes[1]!.stream.receive(concat([some(3), bytes.slice(0, 100_000)]))
      complete(scenes[0]!)
      await turn()
      expect(scenes[1]!.stream.flowing).toBe(false)
      scenes[1]!.stream.grant(100)
      await turn()
      expect(scenes[1]!.stream.flowing).toBe(true)
      complete(scenes[1]!)
      await turn()
      expect(scenes[1]!.statuses).toEqual(repeat(0, 4))
    })

    it('wait from 256 KiB on, which is as much as waits in the muxer of a stream that is not read', () => {
      for (const [size, flowing] of [
        [256 * 1024, true],
        [256 * 1024 + 1, false]
      ] as const) {
        const memory = new MemoryReservation(SIZE)
        const [large, other] = [0, 1].map(() => new Scene(new TestStream(), memory))
        large!.stream.receive(bytes.slice(0, 100_000))
        other!.stream.receive(frame(message(0, size)).slice(0, 100_000))
        expect(other!.stream.flowing).toBe(flowing)
      }
    })

    it('do not keep small ones waiting', () => {
      const memory = new MemoryReservation(SIZE)
      const [large, small] = [0, 1].map(() => new Scene(new TestStream(), memory))
      large!.stream.receive(bytes.slice(0, 100_000))
      const [part] = frames(40_000)
      small!.stream.receive(part!.slice(0, 20_000))
      small!.stream.receive(part!.slice(20_000))
      expect(small!.statuses).toEqual([0])
    })
  })

  describe('a full receiver channel', () => {
    it('refuses one by one what does not fit, and counts it once', () => {
      const scene = new Scene()
      scene.roomMessages = 2
      scene.stream.receive(some(5))
      expect(scene.numbers).toEqual([0, 1])
      expect(scene.statuses).toEqual([0, 0, 1, 1, 1])
      expect(scene.dropped).toEqual([{ messages: 3, bytes: 12 }])
      expect(scene.malformed).toEqual([])
    })

    it('still takes what fits behind what does not, in order', () => {
      const scene = new Scene()
      scene.roomBytes = 40
      scene.stream.receive(concat(frames(20, 30, 10, 11, 10, 4)))
      expect(scene.numbers).toEqual([0, 2, 4])
      expect(scene.statuses).toEqual([0, 1, 0, 1, 0, 1])
      expect(scene.dropped).toEqual([{ messages: 3, bytes: 45 }])
    })

    it('refuses a single message, and one spread over several reads', () => {
      const scene = new Scene()
      scene.roomMessages = 0
      scene.stream.receive(some(1))
      const [bytes] = frames(9_000)
      scene.stream.receive(bytes!.slice(0, 5_000))
      scene.stream.receive(bytes!.slice(5_000))
      expect(scene.statuses).toEqual([1, 1])
      expect(scene.dropped).toEqual([
        { messages: 1, bytes: 4 },
        { messages: 1, bytes: 9_000 }
      ])
    })

    it('takes messages again as soon as there is room', () => {
      const scene = new Scene()
      scene.roomMessages = 0
      scene.stream.receive(some(3))
      scene.roomMessages = 2
      scene.stream.receive(some(3))
      expect(scene.statuses).toEqual([1, 1, 1, 0, 0, 1])
    })

    it('answers truthfully when taken and refused messages alternate a hundred thousand times in one read', () => {
      const scene = new Scene()
      scene.roomBytes = 0
      const COUNT = 150_000
      const bytes = new Uint8Array(COUNT * 3)
      for (let i = 0; i < COUNT; i++) bytes.set([0, 1, 7], i * 3)
      scene.stream.receive(bytes)
      expect(scene.taken).toHaveLength(COUNT)
      const left = scene.stream.leftBytes
      expect(left).toHaveLength(COUNT * 4)
      let wrong = 0
      for (let i = 0; i < left.length; i += 4) {
        if (left[i] !== 1 || left[i + 1] !== 0 || left[i + 2] !== 1 || left[i + 3] !== 1) wrong++
      }
      expect(wrong).toBe(0)
      expect(scene.dropped).toEqual([{ messages: COUNT, bytes: COUNT }])
    })
  })

  describe('a message above the limit', () => {
    it('is answered behind the messages before it, and the stream is ended and reset, without any of its payload', async () => {
      const scene = new Scene()
      scene.stream.receive(concat([some(2), frame(message(2, 300_001)).slice(0, 1_000)]))
      expect(scene.numbers).toEqual([0, 1])
      expect(scene.statuses).toEqual([0, 0, 2])
      expect(scene.stream.wasEnded).toBe(true)
      await turn()
      expect(scene.stream.wasReset).toBe(true)
      expect(scene.refusedTooLarge).toBe(1)
      expect(scene.malformed).toEqual([])
      expect(scene.dropped).toEqual([])
      expect(scene.clock.armed).toBe(0)
    })

    it('of exactly the limit is taken', () => {
      const scene = new Scene()
      scene.stream.receive(frame(message(0, 300_000)))
      expect(scene.statuses).toEqual([0])
    })

    it('is answered before the reset although the stream is blocked', async () => {
      const scene = new Scene()
      scene.stream.room = 3
      scene.stream.receive(concat([some(2), Uint8Array.of(0xff, 0xff, 0x7f), new Uint8Array(500)]))
      expect(scene.stream.wasReset).toBe(false)
      scene.stream.grant(2)
      await turn()
      expect(scene.stream.wasReset).toBe(false)
      scene.stream.grant(1)
      await turn()
      expect(scene.statuses).toEqual([0, 0, 2])
      expect(scene.stream.wasEnded).toBe(true)
      expect(scene.stream.wasReset).toBe(true)
      expect(scene.clock.armed).toBe(0)
    })

    it('is reset in any case after a second', () => {
      const scene = new Scene()
      scene.stream.room = 1
      scene.stream.receive(Uint8Array.of(0xff, 0xff, 0x7f))
      scene.clock.advance(999)
      expect(scene.stream.wasReset).toBe(false)
      scene.clock.advance(1)
      expect(scene.stream.wasReset).toBe(true)
      expect(scene.clock.armed).toBe(0)
    })

    it('has everything behind it ignored', async () => {
      const scene = new Scene()
      scene.stream.room = 0
      scene.stream.receive(Uint8Array.of(0xff, 0xff, 0x7f))
      scene.stream.receive(some(3))
      scene.stream.receive(Uint8Array.of(0x80, 0))
      scene.stream.receiveEnd()
      await turn()
      expect(scene.taken).toEqual([])
      expect(scene.malformed).toEqual([])
      scene.stream.grant(100)
      await turn()
      expect(scene.statuses).toEqual([2])
      // Both sides have ended it: there is nothing left to reset.
      expect(scene.stream.wasEnded).toBe(true)
      expect(scene.stream.status).toBe('closed')
    })
  })

  describe('malformed input', () => {
    it.each([
      ['a prefix that is not minimal', Uint8Array.of(0x81, 0)],
      ['a prefix that is too long', Uint8Array.of(0x80, 0x80, 0x80, 0x80)]
    ])('%s resets the stream and is reported once, behind the answers to what was whole', async (_, bad) => {
      const scene = new Scene()
      scene.stream.receive(concat([some(2), bad, some(2)]))
      scene.stream.receive(some(2))
      await turn()
      expect(scene.numbers).toEqual([0, 1])
      expect(scene.statuses).toEqual([0, 0])
      expect(scene.malformed).toHaveLength(1)
      // By the end the acks get through to a muxer that throws away what is unread at a reset.
      expect(scene.stream.wasEnded).toBe(true)
      expect(scene.stream.wasReset).toBe(true)
      expect(scene.clock.armed).toBe(0)
    })

    it('resets the stream in the end, though the last acks do not leave', async () => {
      const scene = new Scene()
      scene.stream.congested = true
      scene.stream.receive(concat([some(2), Uint8Array.of(0x81, 0)]))
      await turn()
      expect(scene.malformed).toHaveLength(1)
      expect(scene.stream.wasReset).toBe(false)
      scene.clock.advance(1_000)
      expect(scene.stream.wasReset).toBe(true)
      expect(scene.clock.armed).toBe(0)
    })

    it.each([
      ['inside a prefix', Uint8Array.of(0x80)],
      ['exactly after a prefix', Uint8Array.of(5)],
      ['inside a payload', Uint8Array.of(5, 1, 2)]
    ])('is an orderly end %s', async (_, rest) => {
      const scene = new Scene()
      scene.stream.receive(concat([some(1), rest]))
      scene.stream.receiveEnd()
      await turn()
      expect(scene.malformed).toEqual([expect.stringContaining('ended inside')])
      // Both sides have ended it: nothing is left to reset.
      expect(scene.stream.wasEnded).toBe(true)
      expect(scene.stream.status).toBe('closed')
      expect(scene.clock.armed).toBe(0)
      expect(scene.statuses).toEqual([0])
    })
  })

  describe('the end of a stream', () => {
    it('between frames closes this side too, behind the last ack', async () => {
      const scene = new Scene()
      scene.stream.receive(some(2))
      scene.stream.receiveEnd()
      await turn()
      expect(scene.statuses).toEqual([0, 0])
      expect(scene.stream.wasEnded).toBe(true)
      expect(scene.stream.wasReset).toBe(false)
      expect(scene.stream.status).toBe('closed')
      expect(scene.malformed).toEqual([])
    })

    it('waits for acks that are blocked', async () => {
      const scene = new Scene()
      scene.stream.room = 1
      scene.stream.receive(some(2))
      scene.stream.receiveEnd()
      await turn()
      expect(scene.stream.wasEnded).toBe(false)
      scene.stream.grant(3)
      await turn()
      expect(scene.statuses).toEqual([0, 0])
      expect(scene.stream.wasEnded).toBe(true)
    })

    it('that comes with the last message in one muxer frame does not cost that message', async () => {
      const scene = new Scene()
      const bytes = some(3)
      scene.stream.receive(bytes.slice(0, 7))
      scene.stream.receiveEnd(bytes.slice(7))
      await turn()
      expect(scene.numbers).toEqual([0, 1, 2])
      expect(scene.statuses).toEqual([0, 0, 0])
      expect(scene.malformed).toEqual([])
      expect(scene.stream.wasEnded).toBe(true)
    })

    it('before anything was read is noticed', async () => {
      const stream = new TestStream()
      stream.receiveEnd()
      const scene = new Scene(stream)
      await turn()
      expect(scene.stream.wasEnded).toBe(true)
      expect(scene.malformed).toEqual([])
    })

    it('finds messages that came before anybody listened', async () => {
      const stream = new TestStream()
      stream.receive(some(2))
      stream.receiveEnd()
      const scene = new Scene(stream)
      await turn()
      expect(scene.numbers).toEqual([0, 1])
      expect(scene.statuses).toEqual([0, 0])
      expect(stream.wasEnded).toBe(true)
    })

    it.each([
      ['messages are answered', some(2), [0, 1], []],
      ['a frame is cut off', concat([some(1), Uint8Array.of(5, 1)]), [0], ['the stream ended inside a frame']]
    ])(
      'while the protocol is agreed on does not hide what came before: %s',
      async (_, bytes, numbers, malformed) => {
        const stream = new TestStream()
        stream.receiveEnd()
        // What the negotiation has read too far goes back to the stream.
        stream.unshift(bytes)
        const scene = new Scene(stream)
        await turn()
        expect(scene.numbers).toEqual(numbers)
        expect(scene.statuses).toEqual(numbers.map(() => 0))
        expect(scene.malformed).toEqual(malformed)
        expect(stream.wasEnded).toBe(true)
        expect(stream.status).toBe('closed')
      }
    )

    it.each([
      ['a reset', (stream: TestStream) => stream.receiveReset()],
      ['a lost connection', (stream: TestStream) => stream.onTransportClosed(new Error('ECONNRESET'))],
      ['a connection that closes without a word', (stream: TestStream) => stream.onTransportClosed()]
    ])('by %s cuts a frame off without blame', async (_, end) => {
      const scene = new Scene()
      scene.stream.receive(concat([some(1), Uint8Array.of(5, 1)]))
      end(scene.stream)
      await turn()
      scene.clock.advance(10_000)
      expect(scene.malformed).toEqual([])
      expect(scene.clock.armed).toBe(0)
      expect(scene.numbers).toEqual([0])
    })
  })

  describe('the deadline of a frame', () => {
    it('runs from its first byte to its last', async () => {
      const scene = new Scene()
      scene.stream.receive(Uint8Array.of(0x80))
      scene.clock.advance(500)
      scene.stream.receive(Uint8Array.of(0x01, 1, 2, 3))
      scene.clock.advance(499)
      expect(scene.malformed).toEqual([])
      scene.clock.advance(1)
      expect(scene.malformed).toEqual([expect.stringContaining('not complete in time')])
      await turn()
      expect(scene.stream.wasEnded).toBe(true)
      expect(scene.stream.wasReset).toBe(true)
    })

    it('is met by a frame that is complete in time', () => {
      const scene = new Scene()
      scene.stream.receive(Uint8Array.of(2, 7))
      scene.clock.advance(999)
      scene.stream.receive(Uint8Array.of(7))
      scene.clock.advance(10_000)
      expect(scene.malformed).toEqual([])
      expect(scene.statuses).toEqual([0])
    })

    it('is each frame’s own, also when one piece ends one and begins the next', () => {
      const scene = new Scene()
      scene.stream.receive(Uint8Array.of(2, 7))
      for (let i = 0; i < 5; i++) {
        scene.clock.advance(900)
        scene.stream.receive(Uint8Array.of(7, 2, 7))
      }
      expect(scene.malformed).toEqual([])
      scene.clock.advance(1_000)
      expect(scene.malformed).toHaveLength(1)
    })

    it('is not moved by further bytes of the same frame', () => {
      const scene = new Scene()
      scene.stream.receive(Uint8Array.of(100))
      for (let i = 0; i < 9; i++) {
        scene.clock.advance(100)
        scene.stream.receive(Uint8Array.of(1))
      }
      expect(scene.malformed).toEqual([])
      scene.clock.advance(100)
      expect(scene.malformed).toHaveLength(1)
    })

    it('begins anew when a peer is heard again that was silent when it was over', () => {
      const scene = new Scene()
      scene.stream.receive(Uint8Array.of(2, 7))
      scene.lastReceivedAt = 0
      scene.clock.advance(100_000)
      expect(scene.malformed).toEqual([])
      scene.hear()
      scene.clock.advance(999)
      expect(scene.malformed).toEqual([])
      scene.clock.advance(1)
      expect(scene.malformed).toEqual([expect.stringContaining('not complete in time')])
      const resumed = new Scene()
      resumed.stream.receive(Uint8Array.of(2, 7))
      resumed.lastReceivedAt = 0
      resumed.clock.advance(2_000)
      resumed.stream.receive(Uint8Array.of(7))
      resumed.hear()
      resumed.clock.advance(100_000)
      expect(resumed.statuses).toEqual([0])
      expect(resumed.malformed).toEqual([])
      expect(resumed.clock.armed).toBe(0)
    })

    it('does not run on a stream that ends while messages before the frame are answered', () => {
      const scene = new Scene()
      scene.stream.sendData = () => {
        throw new Error('the muxer is closed')
      }
      scene.stream.receive(concat([some(1), Uint8Array.of(5, 1)]))
      expect(scene.numbers).toEqual([0])
      expect(scene.clock.armed).toBe(0)
    })

    it('needs no timer between frames', () => {
      const scene = new Scene()
      expect(scene.clock.armed).toBe(0)
      scene.stream.receive(some(3))
      expect(scene.clock.armed).toBe(0)
      scene.stream.receive(Uint8Array.of(3))
      expect(scene.clock.armed).toBe(1)
      scene.stream.receive(Uint8Array.of(1, 2, 3))
      expect(scene.clock.armed).toBe(0)
    })
  })

  describe('a peer that does not read its acks', () => {
    it('is not read either, until it does', async () => {
      const scene = new Scene()
      scene.stream.room = 2
      scene.stream.receive(some(2))
      expect(scene.stream.readStatus).toBe('paused')
      scene.stream.receive(some(3))
      expect(scene.taken).toHaveLength(2)
      scene.stream.grant(Infinity)
      await turn()
      expect(scene.stream.readStatus).toBe('readable')
      expect(scene.taken).toHaveLength(5)
      expect(scene.statuses).toEqual(repeat(0, 5))
      expect(scene.clock.armed).toBe(0)
    })

    it('is paused again when what had waited fills the acks again', async () => {
      const scene = new Scene()
      scene.stream.room = 2
      scene.stream.receive(some(2))
      scene.stream.receive(some(3))
      expect(scene.stream.flowing).toBe(false)
      scene.stream.grant(2)
      await turn()
      expect(scene.stream.readStatus).toBe('paused')
      expect(scene.stream.flowing).toBe(false)
      expect(scene.taken).toHaveLength(5)
      scene.stream.receive(some(4))
      expect(scene.taken).toHaveLength(5)
      scene.stream.grant(100)
      await turn()
      expect(scene.statuses).toEqual(repeat(0, 9))
      expect(scene.stream.flowing).toBe(true)
    })

    it('gets no more read for room that does not take all acks: they must not pile up here', async () => {
      const scene = new Scene()
      scene.stream.room = 1
      scene.stream.receive(some(1_000))
      for (let i = 0; i < 50; i++) {
        scene.stream.receive(some(1_000))
        scene.stream.grant(13)
        await turn()
      }
      expect(scene.taken).toHaveLength(1_000)
      expect(scene.stream.writeBufferLength).toBeLessThan(2_000)
    })

    it('is read on when a congested muxer has drained', async () => {
      const scene = new Scene()
      scene.stream.congested = true
      scene.stream.receive(some(2))
      expect(scene.stream.readStatus).toBe('paused')
      scene.stream.receive(some(2))
      await turn()
      expect(scene.taken).toHaveLength(2)
      scene.stream.decongest()
      await turn()
      expect(scene.stream.readStatus).toBe('readable')
      expect(scene.statuses).toEqual(repeat(0, 4))
    })

    it('is given up when the acks have not left in time', () => {
      const scene = new Scene()
      scene.stream.room = 1
      scene.stream.receive(some(2))
      scene.clock.advance(999)
      expect(scene.malformed).toEqual([])
      scene.clock.advance(1)
      expect(scene.malformed).toEqual([expect.stringContaining('acks were not read')])
      expect(scene.stream.wasReset).toBe(true)
      expect(scene.clock.armed).toBe(0)
    })

    it('is not while the peer is silent: it is waited for as long again from when it is heard', async () => {
      const scene = new Scene()
      scene.stream.room = 1
      scene.stream.receive(some(2))
      scene.lastReceivedAt = 0
      scene.clock.advance(100_000)
      scene.hear()
      scene.clock.advance(999)
      expect(scene.malformed).toEqual([])
      scene.stream.grant(100)
      await turn()
      scene.clock.advance(100_000)
      expect(scene.malformed).toEqual([])
      expect(scene.clock.armed).toBe(0)
    })

    it('keeps the frame it has begun, whose time goes on when it reads', async () => {
      const scene = new Scene()
      scene.stream.room = 1
      scene.stream.receive(concat([some(2), Uint8Array.of(5, 1)]))
      scene.clock.advance(900)
      scene.stream.grant(100)
      await turn()
      scene.clock.advance(900)
      expect(scene.malformed).toEqual([])
      scene.stream.receive(Uint8Array.of(2, 3, 4, 5))
      expect(scene.statuses).toEqual([0, 0, 0])
      expect(scene.clock.armed).toBe(0)
    })

    it('may end the stream meanwhile', async () => {
      const scene = new Scene()
      scene.stream.room = 1
      scene.stream.receive(some(2))
      scene.stream.receive(some(1))
      scene.stream.receiveEnd()
      await turn()
      expect(scene.stream.wasEnded).toBe(false)
      scene.stream.grant(100)
      await turn()
      expect(scene.statuses).toEqual([0, 0, 0])
      expect(scene.stream.wasEnded).toBe(true)
      expect(scene.malformed).toEqual([])
    })

    it.each([
      ['reset', (stream: TestStream) => stream.receiveReset()],
      ['aborted here', (stream: TestStream) => stream.abort(new Error('cut off'))]
    ])('and is %s meanwhile leaves no timer and gets nothing taken', async (_, end) => {
      const scene = new Scene()
      scene.stream.room = 1
      scene.stream.receive(some(2))
      scene.stream.receive(some(1))
      end(scene.stream)
      await turn()
      expect(scene.clock.armed).toBe(0)
      expect(scene.taken).toHaveLength(2)
      expect(scene.malformed).toEqual([])
    })
  })

  it('takes and answers nothing more when nobody is listening', () => {
    const scene = new Scene()
    scene.stream.receive(some(1))
    scene.listening = false
    scene.stream.receive(some(2))
    expect(scene.numbers).toEqual([0])
    expect(scene.statuses).toEqual([0])
  })

  it('answers every message truthfully, however bytes are cut and whatever the room', async () => {
    const sizes = fc.array(
      fc.oneof(fc.integer({ min: 4, max: 30 }), fc.constantFrom(127, 128, 5_000, 16_384, 40_000)),
      { minLength: 1, maxLength: 30 }
    )
    const step = fc.record({
      bytes: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 60_000 })),
      window: fc.constantFrom(0, 1, 2, 13, 1_000),
      room: fc.constantFrom(0, 1, 3, 100)
    })
    await fc.assert(
      fc.asyncProperty(sizes, fc.array(step, { minLength: 1, maxLength: 60 }), async (list, steps) => {
        const scene = new Scene()
        scene.stream.room = 0
        scene.roomMessages = 0
        const bytes = concat(frames(...list))
        let at = 0
        for (const { bytes: count, window, room } of steps) {
          scene.roomMessages = room
          if (at < bytes.length) scene.stream.receive(bytes.slice(at, at + count))
          at += count
          scene.stream.grant(window)
          await turn()
        }
        scene.stream.grant(Infinity)
        await turn()
        const whole = payloads(bytes.slice(0, at)).length
        const { statuses } = scene
        expect(statuses).toHaveLength(whole)
        const accepted = statuses.flatMap((status, number) => (status === 0 ? [number] : []))
        expect(scene.numbers).toEqual(accepted)
        expect(scene.dropped.reduce((sum, { messages }) => sum + messages, 0)).toBe(whole - accepted.length)
        expect(scene.malformed).toEqual([])
      }),
      { seed, numRuns: 500 }
    )
  })
})
