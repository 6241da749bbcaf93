import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Liveness } from '../../../src/libp2p/liveness.ts'
import { FakeClock, Listeners, seed } from '../protocol/support.ts'

/** One connection, and what is heard on it and asked. */
class Scene {
  readonly clock = new FakeClock()
  readonly liveness: Liveness
  readonly probes: number[] = []
  lastReceivedAt = 0
  backlog = { taken: 0, waiting: 0 }
  silentAt: number | undefined
  readonly #listeners = new Listeners()

  constructor(heartbeatMs: number) {
    this.liveness = new Liveness({
      clock: this.clock,
      heartbeatMs,
      lastReceivedAt: () => this.lastReceivedAt,
      whenHeard: this.#listeners.add,
      backlog: () => this.backlog,
      probe: () => this.probes.push(this.clock.now()),
      silent: () => (this.silentAt = this.clock.now())
    })
  }

  hear(): void {
    this.lastReceivedAt = this.clock.now()
    this.#listeners.tell()
  }
}

describe('a peer that is not heard', () => {
  it('is asked after one heartbeat, once more after two, and given up after three', () => {
    const scene = new Scene(1_000)
    scene.clock.advance(999)
    expect(scene.probes).toEqual([])
    scene.clock.advance(2_000)
    expect(scene.probes).toEqual([1_000, 2_000])
    expect(scene.silentAt).toBeUndefined()
    scene.clock.advance(1)
    expect(scene.silentAt).toBe(3_000)
    expect(scene.clock.armed).toBe(0)
  })

  it('is never asked and never given up when the heartbeat is off', () => {
    const scene = new Scene(0)
    scene.clock.advance(1_000_000_000)
    expect(scene.probes).toEqual([])
    expect(scene.silentAt).toBeUndefined()
    expect(scene.clock.armed).toBe(0)
  })
})

describe('a peer that is heard', () => {
  it('is alive whatever it says, and whether it answers or not', () => {
    const scene = new Scene(1_000)
    for (let i = 0; i < 20; i++) {
      scene.clock.advance(2_999)
      scene.hear()
    }
    expect(scene.silentAt).toBeUndefined()
    scene.clock.advance(3_000)
    expect(scene.silentAt).toBe(20 * 2_999 + 3_000)
  })

  it('is asked by one timer, however often it is heard', () => {
    const scene = new Scene(1_000)
    for (let i = 0; i < 1_000; i++) {
      scene.clock.advance(10)
      scene.hear()
      expect(scene.clock.armed).toBe(1)
    }
    expect(scene.probes).toEqual([])
  })
})

describe('what this side has written', () => {
  it('excuses silence as long as the system takes what waits', () => {
    const scene = new Scene(1_000)
    for (let i = 1; i <= 20; i++) {
      scene.backlog = { taken: i * 64_000, waiting: 1_000_000 }
      scene.clock.advance(1_000)
    }
    expect(scene.silentAt).toBeUndefined()
    scene.clock.advance(3_999)
    expect(scene.silentAt).toBeDefined()
  })

  it('does not when it vanishes in the buffers of the system, nor when nothing of it moves', () => {
    const written = new Scene(1_000)
    for (let i = 1; i <= 30; i++) {
      written.backlog = { taken: i * 64_000, waiting: 0 }
      written.clock.advance(100)
    }
    expect(written.silentAt).toBe(3_000)
    const stuck = new Scene(1_000)
    stuck.backlog = { taken: 64_000, waiting: 4_000_000 }
    stuck.clock.advance(3_000)
    expect(stuck.silentAt).toBe(3_000)
  })
})

describe('a timer that goes off late', () => {
  it('has the peer asked again, and given the time again', () => {
    const clock = new FakeClock()
    let due: { at: number; action: () => void } | undefined
    let now = 0
    clock.now = () => now
    clock.after = (ms, action) => {
      due = { at: now + ms, action }
      return () => (due = undefined)
    }
    const go = (lateMs: number): void => {
      const { at, action } = due!
      due = undefined
      now = at + lateMs
      action()
    }
    const probes: number[] = []
    let silentAt: number | undefined
    // oxlint-disable-next-line no-new -- it lives on the clock
    new Liveness({
      clock,
      heartbeatMs: 1_000,
      lastReceivedAt: () => 0,
      whenHeard: () => () => {},
      backlog: () => ({ taken: 0, waiting: 0 }),
      probe: () => probes.push(now),
      silent: () => (silentAt = now)
    })
    go(60_000)
    expect(probes).toEqual([61_000])
    go(0)
    expect(probes).toEqual([61_000, 62_000])
    expect(silentAt).toBeUndefined()
    go(3_600_000)
    expect(silentAt).toBeUndefined()
    go(0)
    expect(silentAt).toBeUndefined()
    go(0)
    expect(silentAt).toBe(62_000 + 1_000 + 3_600_000 + 2_000)
  })
})

describe('whoever wants to know now', () => {
  it('hears of a peer when it is heard', async () => {
    const scene = new Scene(0)
    scene.clock.advance(1_000)
    const alive = scene.liveness.confirm(5_000)
    expect(scene.probes).toEqual([1_000])
    expect(scene.liveness.unanswered).toBe(true)
    scene.clock.advance(4_999)
    scene.hear()
    expect(await alive).toBe(true)
    expect(scene.liveness.unanswered).toBe(false)
    expect(scene.clock.armed).toBe(0)
  })

  it('hears that it is silent, and so does whoever asks again', async () => {
    const scene = new Scene(0)
    scene.clock.advance(1_000)
    const alive = scene.liveness.confirm(5_000)
    scene.clock.advance(5_000)
    expect(await alive).toBe(false)
    const again = scene.liveness.confirm(10)
    scene.clock.advance(10)
    expect(await again).toBe(false)
    expect(scene.probes).toEqual([1_000, 6_000])
  })

  it('hears when the connection ends', async () => {
    const scene = new Scene(0)
    scene.clock.advance(1_000)
    const alive = scene.liveness.confirm(5_000)
    scene.liveness.stop()
    expect(await alive).toBe(false)
    expect(await scene.liveness.confirm(5_000)).toBe(false)
    expect(scene.clock.armed).toBe(0)
  })

  it('does not have it asked more than once a second', () => {
    const scene = new Scene(0)
    for (let i = 0; i < 100; i++) {
      scene.clock.advance(100)
      scene.liveness.ask()
    }
    expect(scene.probes).toHaveLength(10)
  })
})

it('law: given up three heartbeats after the last byte, neither sooner nor later', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1_000, max: 5_000 }),
      fc.array(fc.tuple(fc.integer({ min: 1, max: 20_000 }), fc.boolean()), { maxLength: 50 }),
      (heartbeatMs, steps) => {
        const scene = new Scene(heartbeatMs)
        // The naive twin: it looks at every millisecond that matters.
        let lastReceivedAt = 0
        for (const [ms, hears] of steps) {
          const isDead = scene.clock.now() + ms >= lastReceivedAt + 3 * heartbeatMs
          scene.clock.advance(ms)
          if (isDead) {
            expect(scene.silentAt).toBe(lastReceivedAt + 3 * heartbeatMs)
            return
          }
          expect(scene.silentAt).toBeUndefined()
          if (!hears) continue
          scene.hear()
          lastReceivedAt = scene.clock.now()
        }
      }
    ),
    { seed }
  )
})
