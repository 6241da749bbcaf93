import { expect, test } from 'vitest'
import { FairShare } from '../../../src/libp2p/fair-share.ts'
import type { Share } from '../../../src/libp2p/fair-share.ts'
import { FakeClock } from '../protocol/support.ts'

/** An event loop in which the test says what each connection brings. */
class Loop {
  readonly clock = new FakeClock()
  readonly #ends: Array<() => void> = []
  readonly #shares = new FairShare(this.clock, action => this.#ends.push(action))

  /** Whether the end of a turn is awaited: an idle loop would otherwise sleep. */
  get awake(): boolean {
    return this.#ends.length > 0
  }

  connect(): Connection {
    return new Connection(this.#shares.join(), this.clock)
  }

  /** Everybody has been looked at. */
  turn(): void {
    for (const end of this.#ends.splice(0)) end()
  }
}

class Connection {
  reading = true
  /** Milliseconds of the thread. */
  had = 0
  readonly share: Share
  readonly #clock: FakeClock

  constructor(share: Share, clock: FakeClock) {
    this.share = share
    this.#clock = clock
  }

  /** What it has sent takes so long, in one piece. Nothing of it is read while it waits. */
  read(ms: number): void {
    if (!this.reading) return
    this.share.enter()
    this.#clock.advance(ms)
    this.had += ms
    if (!this.share.spent) return
    this.reading = false
    this.share.wait(() => (this.reading = true))
  }
}

test('who takes little is read in every turn', () => {
  const loop = new Loop()
  const [one, other] = [loop.connect(), loop.connect()]
  for (let i = 0; i < 100; i++) {
    one.read(0.9)
    other.read(0.1)
    expect([one.reading, other.reading]).toEqual([true, true])
    loop.turn()
  }
})

test('who is alone is looked away from for one turn, and goes on', () => {
  const loop = new Loop()
  const bulk = loop.connect()
  for (let i = 0; i < 100; i++) {
    bulk.read(1)
    expect(bulk.reading).toBe(false)
    loop.turn()
    loop.turn()
    expect(bulk.reading).toBe(true)
  }
  expect(bulk.had).toBe(100)
  loop.turn()
  expect(loop.awake).toBe(false)
})

test('who takes much at once waits until another has had as much', () => {
  const loop = new Loop()
  const [greedy, modest] = [loop.connect(), loop.connect()]
  for (let i = 0; i < 1_000; i++) {
    greedy.read(10)
    modest.read(0.5)
    loop.turn()
  }
  expect(greedy.had / modest.had).toBeCloseTo(1, 1)
})

test.each([2, 5, 20])('each of %i others has as much as who takes all it can', count => {
  const loop = new Loop()
  const greedy = loop.connect()
  const others = Array.from({ length: count }, () => loop.connect())
  for (let i = 0; i < 5_000; i++) {
    greedy.read(7)
    for (const other of others) other.read(0.3)
    loop.turn()
  }
  for (const { had } of others) expect(greedy.had / had).toBeLessThan(1.2)
})

test('those that take all they can share what others leave, though some take more at once', () => {
  const loop = new Loop()
  const [fine, coarse] = [loop.connect(), loop.connect()]
  for (let i = 0; i < 5_000; i++) {
    fine.read(1)
    coarse.read(8)
    loop.turn()
  }
  expect(coarse.had / fine.had).toBeCloseTo(1, 1)
})

test('what is done later in the turn counts for who was read last', () => {
  const loop = new Loop()
  const [one, other] = [loop.connect(), loop.connect()]
  one.share.enter()
  loop.clock.advance(2)
  other.share.enter()
  expect(one.share.spent).toBe(true)
  expect(other.share.spent).toBe(false)
})

test('what is foreseen for the turn is as good as done, and forgotten when it is over', () => {
  const loop = new Loop()
  const one = loop.connect()
  one.share.enter()
  one.share.foresee(0.5)
  expect(one.share.spent).toBe(false)
  one.share.foresee(0.5)
  expect(one.share.spent).toBe(true)
  loop.turn()
  one.share.enter()
  expect(one.share.spent).toBe(false)
})

test('what the thread does when nobody was read counts for nobody', () => {
  const loop = new Loop()
  const one = loop.connect()
  one.read(0.5)
  loop.turn()
  loop.clock.advance(1_000)
  one.read(0.5)
  expect(one.reading).toBe(true)
})

test('a pause of the whole thread is not waited out for long', () => {
  const loop = new Loop()
  const [unlucky, other] = [loop.connect(), loop.connect()]
  unlucky.read(5_000)
  loop.turn()
  let turns = 0
  while (!unlucky.reading) {
    other.read(0.5)
    loop.turn()
    turns++
  }
  expect(turns).toBe(20)
})

test('a connection that has gone is not called, and keeps nobody awake', () => {
  const loop = new Loop()
  const gone = loop.connect()
  gone.read(3)
  loop.turn()
  gone.share.leave()
  loop.turn()
  expect(gone.reading).toBe(false)
  loop.turn()
  expect(loop.awake).toBe(false)
})

test('a connection that goes in the turn in which it has been read is not called either', () => {
  const loop = new Loop()
  const gone = loop.connect()
  gone.read(3)
  gone.share.leave()
  for (let i = 0; i < 3; i++) loop.turn()
  expect(gone.reading).toBe(false)
  expect(loop.awake).toBe(false)
})
