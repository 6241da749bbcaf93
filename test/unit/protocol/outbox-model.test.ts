import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { acks, seed, TestStream, turn } from './support.ts'
import { World } from './world.ts'

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
const hear = fc.constant(new Act('hear', world => world.hear()))
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
const walk = (maxCommands: number): fc.Arbitrary<Iterable<fc.AsyncCommand<Model, World>>> =>
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
      hear,
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
    { seed, numRuns: 3_500 }
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
  expect(kinds.filter(kind => (seen.get(kind) ?? 0) < 1_000)).toEqual([])
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
        for (let round = 0; world.outbox.unsettled > 0 && round < 500; round++) {
          world.open(streamOf(Infinity))
          world.end?.stream.grant(Infinity)
          await turn()
          world.decide(Array.from({ length: 100 }, () => 0))
          world.answer(0)
          await turn()
        }
        expect(world.outbox.unsettled).toBe(0)
        world.checkOutcomes()
      }
    ),
    { seed, numRuns: 1_500 }
  )
}, 120_000)
