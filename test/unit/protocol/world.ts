import assert from 'node:assert/strict'
import { Outbox } from '../../../src/protocol/index.ts'
import type { Outcome } from '../../../src/protocol/index.ts'
import {
  acks,
  concat,
  FakeClock,
  frame,
  Listeners,
  message,
  numberOf,
  payloads,
  TestStream
} from './support.ts'

/** What the remote has done with a message. */
export type Fate = 'taken' | 'refused-full' | 'refused-too-large'

/** The remote end of one stream: reads frames in order, decides, answers when it likes. */
export class RemoteEnd {
  readonly stream: TestStream
  /** Messages of this stream that have been decided. */
  decided = 0
  /** Decisions whose acks have not been sent. */
  readonly unsent: number[] = []
  /** Nothing more is read or written here. */
  over = false

  constructor(stream: TestStream) {
    this.stream = stream
  }

  /** Numbers of the messages that have arrived and are not decided. */
  get arrived(): number[] {
    return this.over ? [] : payloads(this.stream.leftBytes).slice(this.decided).map(numberOf)
  }
}

/** The whole scene: an outbox, an honest remote over a bad network, and everything that either has told. */
export class World {
  readonly clock = new FakeClock()
  readonly outbox: Outbox
  readonly ends: RemoteEnd[] = []
  readonly fates = new Map<number, Fate>()
  readonly taken: number[] = []
  readonly outcomes: Outcome[] = []
  sent = 0
  malformed = 0
  nonsense = 0
  unanswered = 0
  /** When the remote last sent anything. */
  lastReceivedAt = 0
  readonly #listeners = new Listeners()
  #opening: { resolve: (stream: TestStream) => void; reject: (err: Error) => void } | undefined

  constructor(windowMessages: number, windowBytes: number) {
    this.outbox = new Outbox({
      limits: {
        ackTimeoutMs: 100,
        msPerByte: 0.1,
        maxDelayMs: 200,
        windowMessages,
        windowBytes,
        writeTimeoutMs: 500
      },
      clock: this.clock,
      backlog: stream => stream.writeBufferLength,
      lastReceivedAt: () => this.lastReceivedAt,
      whenHeard: this.#listeners.add,
      mayWrite: () => true,
      open: () => new Promise((resolve, reject) => (this.#opening = { resolve, reject })),
      settled: (outcome, count) => {
        for (let i = 0; i < count; i++) this.outcomes.push(outcome)
        if (count < 1 || this.outcomes.length > this.sent) throw new Error('more settled than sent')
      },
      unanswered: () => this.unanswered++,
      endedEarly: () => {},
      malformed: () => this.malformed++
    })
  }

  get opening(): boolean {
    return this.#opening !== undefined
  }

  send(sizes: number[]): void {
    const frames = sizes.map(size => frame(message(this.sent++, size)))
    this.outbox.send(concat(frames))
  }

  open(stream: TestStream | undefined): void {
    const opening = this.#opening
    this.#opening = undefined
    if (stream === undefined) opening?.reject(new Error('no way'))
    else opening?.resolve(this.remember(stream))
  }

  remember(stream: TestStream): TestStream {
    this.ends.push(new RemoteEnd(stream))
    return stream
  }

  /** The remote's end of the stream that is in use. */
  get end(): RemoteEnd | undefined {
    return this.ends.find(end => end.stream === this.outbox.stream && !end.over)
  }

  /** The remote decides on up to `statuses.length` messages that have arrived. */
  decide(statuses: number[]): void {
    const { end } = this
    for (const status of statuses) {
      const number = end?.arrived[0]
      if (end === undefined || number === undefined || end.unsent.at(-1) === 2) return
      end.decided++
      end.unsent.push(status)
      if (this.fates.has(number)) throw new Error(`message ${number} was decided twice`)
      this.fates.set(number, status === 0 ? 'taken' : status === 1 ? 'refused-full' : 'refused-too-large')
      if (status === 0) this.taken.push(number)
    }
  }

  /** The acks of what is decided leave, cut at `place`; after a refusal as too large the stream is reset. */
  answer(place: number): void {
    const { end } = this
    if (end === undefined) return
    const tooLarge = end.unsent.at(-1) === 2
    const bytes = acks(...end.unsent.splice(0))
    end.stream.receive(bytes.slice(0, place))
    end.stream.receive(bytes.slice(place))
    this.hear()
    if (!tooLarge) return
    end.over = true
    end.stream.receiveReset()
  }

  /** Bytes of the remote have arrived. */
  hear(): void {
    this.lastReceivedAt = this.clock.now()
    this.#listeners.tell()
  }

  /** Something ends the stream in use; nonsense that the remote says for it is expected to be noticed. */
  finish(how: (stream: TestStream) => void): void {
    const end = this.end!
    const before = this.malformed
    how(end.stream)
    end.over = true
    this.nonsense += this.malformed - before
  }

  /** What must hold at any moment. */
  check(): void {
    assert.equal(this.outcomes.length + this.outbox.unsettled, this.sent)
    for (let i = 1; i < this.taken.length; i++) assert.ok(this.taken[i]! > this.taken[i - 1]!, 'out of order')
    assert.ok(this.unanswered <= this.outcomes.filter(outcome => outcome === 'ack-timeout').length)
  }

  /** What must hold when everything is settled. */
  checkOutcomes(): void {
    assert.equal(this.outbox.unsettled, 0)
    assert.equal(this.outcomes.length, this.sent)
    for (const [number, outcome] of this.outcomes.entries()) {
      const fate = this.fates.get(number)
      const where = `message ${number} ended ${outcome ?? 'accepted'}, the remote says ${fate ?? 'never seen'}`
      if (outcome === undefined) assert.equal(fate, 'taken', where)
      else if (outcome === 'not-connected') assert.equal(fate, undefined, where)
      else if (outcome.startsWith('refused')) assert.equal(fate, outcome, where)
    }
  }
}
