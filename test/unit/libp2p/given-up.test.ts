import { expect, test } from 'vitest'
import { GivenUpHandshakes } from '../../../src/libp2p/given-up.ts'
import { FakeClock } from '../protocol/support.ts'

/** Handshakes begin now, unless it is said when; who is charged is noted. */
class Scene {
  readonly clock = new FakeClock()
  readonly charged: string[] = []
  readonly #handshakes = new GivenUpHandshakes(this.clock)

  givenUp(subject: string, since = this.clock.now()): void {
    this.#handshakes.givenUp({ subject, since }, () => this.charged.push(subject))
  }

  succeeded(subject: string, since = this.clock.now()): void {
    this.#handshakes.succeeded({ subject, since })
  }
}

test('one that nobody speaks for is charged two seconds later', () => {
  const scene = new Scene()
  scene.givenUp('a')
  scene.clock.advance(1_999)
  expect(scene.charged).toEqual([])
  scene.clock.advance(1)
  expect(scene.charged).toEqual(['a'])
  expect(scene.clock.armed).toBe(0)
})

test('another that succeeds excuses it, before or after', () => {
  const scene = new Scene()
  scene.givenUp('a')
  scene.clock.advance(1_000)
  scene.succeeded('a', 900)
  scene.clock.advance(500)
  scene.givenUp('a', 800)
  scene.clock.advance(10_000)
  expect(scene.charged).toEqual([])
  expect(scene.clock.armed).toBe(0)
})

test('from another address, or begun at another time, does not', () => {
  const scene = new Scene()
  scene.clock.advance(10_000)
  scene.givenUp('a')
  scene.succeeded('b')
  scene.succeeded('a', 7_999)
  scene.clock.advance(2_000)
  expect(scene.charged).toEqual(['a'])
  // It came long after the handshake that succeeded.
  scene.succeeded('c')
  scene.clock.advance(2_001)
  scene.givenUp('c')
  scene.clock.advance(2_000)
  expect(scene.charged).toEqual(['a', 'c'])
})

test('one that succeeds excuses seven', () => {
  const scene = new Scene()
  for (let i = 0; i < 5; i++) scene.givenUp('a')
  scene.succeeded('a')
  for (let i = 0; i < 5; i++) scene.givenUp('a')
  scene.clock.advance(2_000)
  expect(scene.charged).toHaveLength(3)
})

test('who succeeds again and again has 64 forgiven at once, and one a second', () => {
  const scene = new Scene()
  const round = (): void => {
    scene.succeeded('a')
    for (let i = 0; i < 7; i++) scene.givenUp('a')
  }
  for (let i = 0; i < 20; i++) round()
  scene.clock.advance(2_000)
  expect(scene.charged).toHaveLength(20 * 7 - 64)
  scene.clock.advance(100_000 - 2_000)
  scene.charged.length = 0
  for (let i = 0; i < 20; i++) round()
  scene.clock.advance(2_000)
  expect(scene.charged).toHaveLength(20 * 7 - 64)
})

test('a flood from one address is charged at once from the 17th on', () => {
  const scene = new Scene()
  for (let i = 0; i < 30; i++) scene.givenUp('a')
  expect(scene.charged).toHaveLength(14)
  scene.clock.advance(2_000)
  expect(scene.charged).toHaveLength(30)
  expect(scene.clock.armed).toBe(0)
})

test('a flood from many addresses is charged early, oldest first, beyond a thousand', () => {
  const scene = new Scene()
  for (let i = 0; i < 3_000; i++) scene.givenUp(String(i))
  expect(scene.charged).toEqual(Array.from({ length: 3_000 - 1_024 }, (_, i) => String(i)))
  expect(scene.clock.armed).toBe(1_024)
  for (let i = 0; i < 3_000; i++) scene.succeeded(`other ${i}`)
  expect(scene.clock.armed).toBe(2_048)
  scene.clock.advance(2_000)
  expect(scene.charged).toHaveLength(3_000)
  expect(scene.clock.armed).toBe(0)
})
