import type { Stream } from '@libp2p/interface'
import { describe, expect, it } from 'vitest'
import { Outbox } from '../../../src/protocol/index.ts'
import type { Outcome, OutboxLimits } from '../../../src/protocol/index.ts'
import {
  acks,
  concat,
  deferred,
  FakeClock,
  frame,
  message,
  numberOf,
  payloads,
  TestStream,
  turn
} from './support.ts'

const limits: OutboxLimits = {
  ackTimeoutMs: 1_000,
  msPerByte: 0,
  maxDelayMs: 3_000,
  windowMessages: 100,
  windowBytes: 100_000,
  writeTimeoutMs: 5_000
}

/** An outbox, its peer's far ends, and everything it has told. Messages are numbered from 0. */
class Scene {
  readonly clock = new FakeClock()
  readonly outbox: Outbox
  readonly streams: TestStream[] = []
  readonly outcomes: Outcome[] = []
  readonly malformed: string[] = []
  unanswered = 0
  readonly endedEarly: Stream[] = []
  /** When the peer's connection last brought anything. */
  lastReceivedAt = 0
  sent = 0
  /** What the next attempts to open a stream come to; by default a new stream at once. */
  readonly openings: Array<Promise<TestStream>> = []
  opened = 0
  onUnanswered = (): void => {}
  readonly #listeners = new Set<() => void>()

  constructor(given: Partial<OutboxLimits> = {}) {
    this.outbox = new Outbox({
      limits: { ...limits, ...given },
      clock: this.clock,
      backlog: stream => stream.writeBufferLength,
      lastReceivedAt: () => this.lastReceivedAt,
      whenHeard: action => {
        this.#listeners.add(action)
        return () => this.#listeners.delete(action)
      },
      mayWrite: () => true,
      open: async () => {
        this.opened++
        const stream = await (this.openings.shift() ?? new TestStream())
        this.streams.push(stream)
        return stream
      },
      settled: (outcome, count) => {
        for (let i = 0; i < count; i++) this.outcomes.push(outcome)
        if (count < 1 || this.outcomes.length > this.sent)
          throw new Error(`${count} messages too many settled`)
      },
      unanswered: () => {
        this.unanswered++
        this.onUnanswered()
      },
      endedEarly: stream => this.endedEarly.push(stream),
      malformed: reason => this.malformed.push(reason)
    })
  }

  /** The newest stream. */
  get stream(): TestStream {
    return this.streams.at(-1)!
  }

  /** Sends messages of these sizes in one go. */
  async send(...sizes: number[]): Promise<void> {
    const frames = sizes.map(size => frame(message(this.sent++, size)))
    this.outbox.send(concat(frames))
    await turn()
  }

  /** Bytes of the peer, no acks, arrive. */
  hear(): void {
    this.lastReceivedAt = this.clock.now()
    const listeners = [...this.#listeners]
    this.#listeners.clear()
    for (const listener of listeners) listener()
  }

  /** Lets time pass while bytes of the peer, no acks, arrive ten times a second. */
  trickle(ms: number): void {
    for (let passed = 0; passed < ms; passed += 100) {
      this.hear()
      this.clock.advance(100)
    }
  }

  /** The response time passes, the peer is heard behind it, and as much time passes again. */
  neglect(): void {
    this.clock.advance(1_000)
    this.hear()
    this.clock.advance(1_000)
  }

  /** Sends `count` messages of 4 bytes in one go. */
  async sendSome(count: number): Promise<void> {
    await this.send(...Array.from({ length: count }, () => 4))
  }
}

/** Numbers of the messages that have left on a stream. */
function numbersOn(stream: TestStream): number[] {
  return payloads(stream.leftBytes).map(numberOf)
}

function upTo(end: number, begin = 0): number[] {
  return Array.from({ length: end - begin }, (_, i) => begin + i)
}

async function open(given: Partial<OutboxLimits> = {}, count = 0): Promise<Scene> {
  const scene = new Scene(given)
  if (count > 0) await scene.sendSome(count)
  return scene
}

describe('outbox', () => {
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

  describe('the end of a stream', () => {
    it.each([
      ['a reset by the remote', (stream: TestStream) => stream.receiveReset()],
      ['the end of the connection', (stream: TestStream) => stream.onTransportClosed()],
      ['a failed connection', (stream: TestStream) => stream.onTransportClosed(new Error('ECONNRESET'))],
      ['an orderly end', (stream: TestStream) => stream.receiveEnd()]
    ])('%s leaves what is in flight unknown; the rest goes on, on a new stream', async (_, end) => {
      const scene = await open({ windowMessages: 3 }, 5)
      scene.stream.receive(acks(0))
      expect(numbersOn(scene.stream)).toEqual([0, 1, 2, 3])
      end(scene.stream)
      await turn()
      expect(scene.outcomes).toEqual([undefined, 'connection-lost', 'connection-lost', 'connection-lost'])
      expect(scene.streams).toHaveLength(2)
      expect(numbersOn(scene.stream)).toEqual([4])
      scene.stream.receive(acks(0))
      expect(scene.outcomes).toHaveLength(5)
      expect(scene.malformed).toEqual([])
    })

    it('in an orderly way is told when no message was answered, once for all of them', async () => {
      const scene = await open({}, 3)
      scene.stream.receiveEnd()
      await turn()
      expect(scene.endedEarly).toEqual([scene.stream])
      expect(scene.unanswered).toBe(0)
    })

    it.each([
      ['behind the last ack', (scene: Scene) => scene.stream.receiveEnd(acks(0, 0))],
      [
        'behind one ack, as of who takes one message a stream,',
        (scene: Scene) => scene.stream.receiveEnd(acks(0))
      ],
      ['behind a refusal as too large', (scene: Scene) => scene.stream.receiveEnd(acks(2))],
      [
        'when all that is unanswered has been told as such',
        (scene: Scene) => {
          scene.clock.advance(1_000)
          scene.stream.receiveEnd()
        }
      ],
      ['by the connection', (scene: Scene) => scene.stream.onTransportClosed()],
      ['by a reset', (scene: Scene) => scene.stream.receiveReset()]
    ])('%s is not told', async (_, end) => {
      const scene = await open({}, 2)
      end(scene)
      await turn()
      expect(scene.endedEarly).toEqual([])
    })

    it('with nothing in flight is the remote’s right; the next message opens another', async () => {
      const scene = await open({}, 1)
      scene.stream.receive(acks(0))
      scene.stream.receiveEnd()
      await turn()
      expect(scene.opened).toBe(1)
      expect(scene.outbox.stream).toBeUndefined()
      await scene.sendSome(1)
      expect(scene.opened).toBe(2)
      expect(numbersOn(scene.stream)).toEqual([1])
      expect(scene.malformed).toEqual([])
    })

    it('while acks were being awaited leaves no timer behind', async () => {
      const scene = await open({}, 3)
      expect(scene.clock.armed).toBe(1)
      scene.stream.receiveReset()
      await turn()
      expect(scene.clock.armed).toBe(0)
      scene.clock.advance(10_000)
      expect(scene.outcomes).toHaveLength(3)
      expect(scene.unanswered).toBe(0)
    })

    it('during a write is like any other', async () => {
      const scene = await open({}, 1)
      const { stream } = scene
      stream.sendData = () => {
        throw new Error('the muxer is closed')
      }
      await scene.sendSome(2)
      expect(scene.outcomes).toEqual(['connection-lost', 'connection-lost', 'connection-lost'])
      expect(scene.outbox.unsettled).toBe(0)
      expect(scene.clock.armed).toBe(0)
    })
  })

  describe('opening a stream', () => {
    it('that fails ends everything that waits as not connected', async () => {
      const scene = new Scene()
      scene.openings.push(Promise.reject(new Error('no way')))
      await scene.sendSome(3)
      expect(scene.outcomes).toEqual(['not-connected', 'not-connected', 'not-connected'])
      await scene.sendSome(1)
      expect(numbersOn(scene.stream)).toEqual([3])
    })

    it('happens once, however much is sent meanwhile', async () => {
      const scene = new Scene()
      const stream = new TestStream()
      const opening = deferred<TestStream>()
      scene.openings.push(opening.promise)
      for (let i = 0; i < 5; i++) await scene.sendSome(2)
      expect(scene.opened).toBe(1)
      opening.resolve(stream)
      await turn()
      expect(numbersOn(stream)).toEqual(upTo(10))
    })

    it('that comes to a stream which has ended already does not leave messages waiting for ever', async () => {
      const reset = new TestStream()
      reset.receiveReset()
      const ended = new TestStream()
      ended.receiveEnd()
      for (const stream of [reset, ended]) {
        const scene = new Scene()
        scene.openings.push(Promise.resolve(stream))
        await scene.sendSome(2)
        expect(scene.outcomes).toEqual(['not-connected', 'not-connected'])
        expect(stream.status).not.toBe('open')
      }
    })

    it('again is tried for what was not written when a new stream is reset at once', async () => {
      const scene = await open({ windowMessages: 1 }, 4)
      for (let i = 0; i < 4; i++) {
        scene.stream.receiveReset()
        await turn()
      }
      expect(scene.outcomes).toEqual(upTo(4).map(() => 'connection-lost'))
      expect(scene.opened).toBe(4)
    })

    it('from before a disconnect says nothing about messages since', async () => {
      const scene = new Scene()
      const opening = deferred<TestStream>()
      scene.openings.push(opening.promise)
      await scene.sendSome(1)
      scene.outbox.disconnect()
      expect(scene.outcomes).toEqual(['not-connected'])
      await scene.sendSome(1)
      opening.reject(new Error('the old connection ended'))
      await turn()
      expect(numbersOn(scene.stream)).toEqual([1])
      scene.stream.receive(acks(0))
      expect(scene.outcomes).toEqual(['not-connected', undefined])
    })

    it('from before a disconnect that succeeds after all is given up', async () => {
      const scene = new Scene()
      const old = new TestStream()
      const opening = deferred<TestStream>()
      scene.openings.push(opening.promise)
      await scene.sendSome(1)
      scene.outbox.disconnect()
      opening.resolve(old)
      await turn()
      expect(old.wasReset).toBe(true)
      expect(scene.outbox.stream).toBeUndefined()
    })
  })

  describe('attach', () => {
    it('uses the stream for what waits, and gives up the one that is being opened', async () => {
      const scene = new Scene()
      const late = new TestStream()
      const opening = deferred<TestStream>()
      scene.openings.push(opening.promise)
      await scene.sendSome(2)
      const stream = new TestStream()
      scene.outbox.attach(stream)
      expect(numbersOn(stream)).toEqual([0, 1])
      opening.resolve(late)
      await turn()
      expect(late.wasReset).toBe(true)
      expect(scene.outbox.stream).toBe(stream)
      stream.receive(acks(0, 0))
      expect(scene.outcomes).toEqual([undefined, undefined])
    })

    it('refuses a second stream, and one that has ended', async () => {
      const scene = await open({}, 1)
      const { stream } = scene
      const second = new TestStream()
      scene.outbox.attach(second)
      expect(second.wasReset).toBe(true)
      expect(scene.outbox.stream).toBe(stream)

      const other = new Scene()
      const ended = new TestStream()
      ended.receiveEnd()
      other.outbox.attach(ended)
      expect(other.outbox.stream).toBeUndefined()
      expect(ended.wasReset).toBe(true)
    })
  })

  describe('release', () => {
    it('closes the stream in an orderly way; the next message opens another', async () => {
      const scene = await open({}, 1)
      scene.stream.receive(acks(0))
      scene.outbox.release()
      await turn()
      expect(scene.stream.wasEnded).toBe(true)
      expect(scene.stream.wasReset).toBe(false)
      expect(scene.opened).toBe(1)
      await scene.sendSome(1)
      expect(numbersOn(scene.stream)).toEqual([1])
    })

    it('moves what waits behind a blocked stream to another', async () => {
      const scene = await open({}, 1)
      scene.stream.congested = true
      await scene.sendSome(1)
      await scene.sendSome(1)
      scene.stream.receive(acks(0, 0))
      expect(scene.outbox.busy).toBe(false)
      expect(scene.outbox.unsettled).toBe(1)
      scene.outbox.release()
      await turn()
      expect(scene.streams).toHaveLength(2)
      expect(numbersOn(scene.stream)).toEqual([2])
    })
  })

  describe('disconnect', () => {
    it('settles what was written as unknown and the rest as not connected, in order', async () => {
      const scene = await open({ windowMessages: 2 }, 5)
      scene.stream.receive(acks(0))
      scene.outbox.disconnect()
      expect(scene.outcomes).toEqual([
        undefined,
        'connection-lost',
        'connection-lost',
        'not-connected',
        'not-connected'
      ])
      expect(scene.stream.wasReset).toBe(true)
      expect(scene.clock.armed).toBe(0)
    })

    it('settles nothing twice that has timed out', async () => {
      const scene = await open({ windowMessages: 2 }, 2)
      scene.clock.advance(1_000)
      scene.outbox.disconnect()
      expect(scene.outcomes).toEqual(['ack-timeout', 'ack-timeout'])
    })

    it('may be called from the report of an unanswered message', async () => {
      const scene = await open({ windowMessages: 3 }, 5)
      scene.onUnanswered = () => scene.outbox.disconnect()
      scene.neglect()
      await turn()
      expect(scene.outcomes).toEqual([
        'ack-timeout',
        'ack-timeout',
        'ack-timeout',
        'not-connected',
        'not-connected'
      ])
      expect(scene.unanswered).toBe(3)
      expect(scene.opened).toBe(1)
    })

    it('twice does nothing more, and messages can be sent afterwards', async () => {
      const scene = await open({}, 2)
      scene.outbox.disconnect()
      scene.outbox.disconnect()
      expect(scene.outcomes).toHaveLength(2)
      await scene.sendSome(1)
      scene.stream.receive(acks(0))
      expect(scene.outcomes).toEqual(['connection-lost', 'connection-lost', undefined])
    })
  })

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
})
