import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { Outbox } from '../../../src/protocol/index.ts'
import type { Outcome } from '../../../src/protocol/index.ts'
import {
  acks,
  concat,
  FakeClock,
  frame,
  message,
  numberOf,
  payloads,
  seed,
  TestStream,
  turn
} from './support.ts'

/** What the remote has done with a message. */
type Fate = 'taken' | 'refused-full' | 'refused-too-large'

/** The remote end of one stream: reads frames in order, decides, answers when it likes. */
class RemoteEnd {
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
class World {
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
  #opening: { resolve: (stream: TestStream) => void; reject: (err: Error) => void } | undefined

  constructor(windowMessages: number, windowBytes: number) {
    this.outbox = new Outbox({
      limits: { ackTimeoutMs: 100, msPerByte: 0.1, windowMessages, windowBytes },
      clock: this.clock,
      open: () => new Promise((resolve, reject) => (this.#opening = { resolve, reject })),
      settled: (outcome, count) => {
        for (let i = 0; i < count; i++) this.outcomes.push(outcome)
        if (count < 1 || this.outcomes.length > this.sent) throw new Error('more settled than sent')
      },
      unanswered: () => this.unanswered++,
      malformed: () => this.malformed++
    })
  }

  get opening(): boolean {
    return this.#opening !== undefined
  }

  send(sizes: number[]): void {
    const frames = sizes.map(size => frame(message(this.sent++, size)))
    this.outbox.send(concat(frames), frames.length)
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
    if (!tooLarge) return
    end.over = true
    end.stream.receiveReset()
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
    expect(this.outcomes.length + this.outbox.unsettled).toBe(this.sent)
    for (let i = 1; i < this.taken.length; i++) expect(this.taken[i]).toBeGreaterThan(this.taken[i - 1]!)
    expect(this.outcomes.filter(outcome => outcome === 'ack-timeout')).toHaveLength(this.unanswered)
  }

  /** What must hold when everything is settled. */
  checkOutcomes(): void {
    expect(this.outbox.unsettled).toBe(0)
    expect(this.outcomes).toHaveLength(this.sent)
    for (const [number, outcome] of this.outcomes.entries()) {
      const fate = this.fates.get(number)
      const where = `message ${number} ended ${outcome ?? 'accepted'}, the remote says ${fate ?? 'never seen'}`
      if (outcome === undefined) expect(fate, where).toBe('taken')
      else if (outcome === 'not-connected') expect(fate, where).toBeUndefined()
      else if (outcome.startsWith('refused')) expect(fate, where).toBe(outcome)
    }
  }
}

/** The model is the world itself: its rules need no second book-keeping. */
interface Model {
  world: World
}

class Act implements fc.AsyncCommand<Model, World> {
  readonly #name: string
  readonly #run: (world: World) => void
  readonly #possible: (world: World) => boolean

  constructor(name: string, run: (world: World) => void, possible: (world: World) => boolean = () => true) {
    this.#name = name
    this.#run = run
    this.#possible = possible
  }

  check({ world }: Readonly<Model>): boolean {
    return this.#possible(world)
  }

  async run(_: Model, world: World): Promise<void> {
    this.#run(world)
    await turn()
    world.check()
  }

  toString(): string {
    return this.#name
  }
}

const streaming = (world: World): boolean => world.end !== undefined
const opening = (world: World): boolean => world.opening

function streamOf(room: number): TestStream {
  const stream = new TestStream()
  stream.room = room
  return stream
}

const rooms = fc.constantFrom(Infinity, Infinity, 0, 7, 300)
const size = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 4, max: 40 }) },
  { weight: 1, arbitrary: fc.constantFrom(127, 128, 500, 20_000) }
)
const status = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.constant(1) },
  { weight: 1, arbitrary: fc.constant(2) }
)

const send = fc
  .array(size, { minLength: 1, maxLength: 8 })
  .map(sizes => new Act(`send ${sizes.join()}`, world => world.send(sizes)))
const open = rooms.map(
  room => new Act(`open with room for ${room}`, world => world.open(streamOf(room)), opening)
)
const decide = fc
  .array(status, { minLength: 1, maxLength: 12 })
  .map(list => new Act(`decide ${list.join()}`, world => world.decide(list), streaming))
const answer = fc
  .nat(20)
  .map(place => new Act(`answer, cut at ${place}`, world => world.answer(place), streaming))
const exchange = fc
  .tuple(fc.array(status, { minLength: 1, maxLength: 12 }), fc.nat(20))
  .map(([list, place]) => {
    const run = (world: World): void => {
      world.decide(list)
      world.answer(place)
    }
    return new Act(`decide ${list.join()} and answer, cut at ${place}`, run, streaming)
  })
const wait = fc
  .constantFrom(1, 20, 50, 99, 100, 2_000)
  .map(ms => new Act(`wait ${ms}`, world => world.clock.advance(ms)))
const drain = fc
  .constantFrom(1, 13, 400, Infinity)
  .map(bytes => new Act(`drain ${bytes}`, world => world.end!.stream.grant(bytes), streaming))

const mishaps: Act[] = [
  new Act('fail to open', world => world.open(undefined), opening),
  new Act('open what is reset already', world => world.open(resetStream()), opening),
  new Act('reset', world => world.finish(stream => stream.receiveReset()), streaming),
  new Act('end', world => world.finish(stream => stream.receiveEnd()), streaming),
  new Act('answer nonsense', world => world.finish(stream => stream.receive(acks(7))), streaming),
  new Act('attach', world => world.outbox.attach(world.remember(streamOf(50)))),
  new Act(
    'release',
    world => world.outbox.release(),
    world => !world.outbox.busy
  ),
  new Act('disconnect', world => world.outbox.disconnect())
]

/** Mishaps are rare enough for something to happen between them. */
const walk = (maxCommands: number): fc.Arbitrary<Iterable<Act>> =>
  fc.commands(
    [
      send,
      send,
      send,
      open,
      open,
      open,
      decide,
      answer,
      exchange,
      exchange,
      exchange,
      wait,
      drain,
      fc.constantFrom(...mishaps)
    ],
    { maxCommands, size: 'max' }
  )

function resetStream(): TestStream {
  const stream = new TestStream()
  stream.receiveReset()
  return stream
}

it('settles every message exactly once, in order and truthfully, whatever network and remote do', async () => {
  const seen = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(1, 2, 5, 100),
      fc.constantFrom(60, 1_000, 100_000),
      walk(60),
      async (windowMessages, windowBytes, commands) => {
        const world = new World(windowMessages, windowBytes)
        await fc.asyncModelRun(() => ({ model: { world }, real: world }), commands)
        // An honest remote never breaks the protocol: what it wrote answers exactly what it read.
        expect(world.malformed).toBe(world.nonsense)
        world.outbox.disconnect()
        await turn()
        world.check()
        world.checkOutcomes()
        expect(world.clock.armed).toBe(0)
        for (const outcome of world.outcomes)
          seen.set(outcome ?? 'accepted', (seen.get(outcome ?? 'accepted') ?? 0) + 1)
      }
    ),
    { seed, numRuns: 3_000 }
  )
  // The walks have come by every outcome, often.
  const kinds = [
    'accepted',
    'not-connected',
    'refused-full',
    'refused-too-large',
    'ack-timeout',
    'connection-lost'
  ]
  for (const kind of kinds) expect(seen.get(kind), kind).toBeGreaterThan(1_000)
}, 120_000)

it('settles everything by itself when the remote goes on answering', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(1, 2, 5, 100),
      fc.constantFrom(60, 1_000, 100_000),
      walk(40),
      async (windowMessages, windowBytes, commands) => {
        const world = new World(windowMessages, windowBytes)
        await fc.asyncModelRun(() => ({ model: { world }, real: world }), commands)
        for (let round = 0; world.outbox.unsettled > 0; round++) {
          if (round > 500) throw new Error(`${world.outbox.unsettled} messages wait for nothing`)
          world.open(streamOf(Infinity))
          world.end?.stream.grant(Infinity)
          await turn()
          world.decide(Array.from({ length: 100 }, () => 0))
          world.answer(0)
          await turn()
        }
        world.checkOutcomes()
      }
    ),
    { seed, numRuns: 1_500 }
  )
}, 120_000)
