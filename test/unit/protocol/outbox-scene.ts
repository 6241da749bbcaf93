import type { Stream } from '@libp2p/interface'
import { Outbox } from '../../../src/protocol/index.ts'
import type { Outcome, OutboxLimits } from '../../../src/protocol/index.ts'
import {
  concat,
  FakeClock,
  frame,
  Listeners,
  message,
  numberOf,
  payloads,
  TestStream,
  turn
} from './support.ts'

/** Limits that a test of the outbox may count with. */
const limits: OutboxLimits = {
  ackTimeoutMs: 1_000,
  msPerByte: 0,
  maxDelayMs: 3_000,
  windowMessages: 100,
  windowBytes: 100_000,
  writeTimeoutMs: 5_000
}

/** An outbox, its peer's far ends, and everything it has told. Messages are numbered from 0. */
export class Scene {
  readonly clock = new FakeClock()
  readonly outbox: Outbox
  readonly streams: TestStream[] = []
  readonly outcomes: Outcome[] = []
  readonly malformed: string[] = []
  unanswered = 0
  mayWrite = true
  readonly endedEarly: Stream[] = []
  /** When the peer's connection last brought anything. */
  lastReceivedAt = 0
  sent = 0
  /** What the next attempts to open a stream come to; by default a new stream at once. */
  readonly openings: Array<Promise<TestStream>> = []
  opened = 0
  onUnanswered = (): void => {}
  readonly #listeners = new Listeners()

  constructor(given: Partial<OutboxLimits> = {}) {
    this.outbox = new Outbox({
      limits: { ...limits, ...given },
      clock: this.clock,
      backlog: stream => stream.writeBufferLength,
      lastReceivedAt: () => this.lastReceivedAt,
      whenHeard: this.#listeners.add,
      mayWrite: () => this.mayWrite,
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
    this.#listeners.tell()
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
export function numbersOn(stream: TestStream): number[] {
  return payloads(stream.leftBytes).map(numberOf)
}

/** The numbers from `begin` to below `end`. */
export function upTo(end: number, begin = 0): number[] {
  return Array.from({ length: end - begin }, (_, i) => begin + i)
}

/** A scene in which `count` messages of 4 bytes have been sent. */
export async function open(given: Partial<OutboxLimits> = {}, count = 0): Promise<Scene> {
  const scene = new Scene(given)
  if (count > 0) await scene.sendSome(count)
  return scene
}
