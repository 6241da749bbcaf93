import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PendingHandshakes } from '../../../src/libp2p/pending.ts'
import type { Pending } from '../../../src/libp2p/pending.ts'

const seed = 0x70656e64
const PLACES = 256
const PER_SUBJECT = 64

const always = (): boolean => true

/** Handshakes that come one after the other. */
class Scene {
  readonly places = new PendingHandshakes()
  #now = 0

  enter(ip: string, hasRoom: (pending: number) => boolean = always): ReturnType<PendingHandshakes['enter']> {
    return this.places.enter({ ip, since: this.#now++, abort: () => {} }, hasRoom)
  }

  /** So many, each from an address of its own in `network`: `10.0.0`. */
  fill(network: string, count: number): Pending[] {
    return Array.from({ length: count }, (_, i) => this.enter(`${network}.${i}`)!.entered)
  }
}

describe('places for handshakes', () => {
  it('are given to whoever comes while there are some', () => {
    const { places } = new Scene()
    for (let i = 0; i < PLACES; i++) {
      const got = places.enter({ ip: `10.0.${i >> 3}.${i & 7}`, since: i, abort: () => {} }, always)
      expect(got?.evicted).toBeUndefined()
    }
    expect(places.size).toBe(PLACES)
  })

  it('are at most 64 for one address', () => {
    const scene = new Scene()
    for (let i = 0; i < PER_SUBJECT; i++) expect(scene.enter('10.0.0.1')).toBeDefined()
    expect(scene.enter('10.0.0.1')).toBeUndefined()
    expect(scene.enter('10.0.0.2')).toBeDefined()
  })

  it('are at most 64 for the addresses of one /64', () => {
    const scene = new Scene()
    for (let i = 0; i < PER_SUBJECT; i++) expect(scene.enter(`2001:db8::${i}`)).toBeDefined()
    expect(scene.enter('2001:db8::ffff')).toBeUndefined()
    expect(scene.enter('2001:db8:0:1::1')).toBeDefined()
  })

  it('when all are taken, that of the oldest from the most crowded network goes to the newcomer', () => {
    const scene = new Scene()
    const quiet = scene.fill('10.0.1', 56)
    const [first, second] = scene.fill('10.0.2', 200)
    expect(scene.enter('10.0.3.1')?.evicted).toBe(first)
    expect(scene.enter('10.0.2.250')?.evicted).toBe(second)
    expect(scene.places.size).toBe(PLACES)
    for (const pending of quiet) expect([...scene.places.of(pending.subject)]).toEqual([pending])
  })

  it('four /64 of one site do not keep others out', () => {
    const scene = new Scene()
    for (let i = 0; i < PLACES; i++) scene.enter(`2001:db8:7:${i >> 6}::${i & 63}`)
    expect(scene.enter('192.0.2.1')?.evicted?.network).toBe('2001:db8:7::/48')
  })

  it('that are given back are free', () => {
    const scene = new Scene()
    const [first] = scene.fill('10.0.0', PLACES)
    scene.places.leave(first!)
    // To give back what has been given up already changes nothing.
    scene.places.leave(first!)
    expect(scene.enter('10.0.1.1')?.evicted).toBeUndefined()
    expect(scene.enter('10.0.1.2')?.evicted).toBeDefined()
  })

  it('are exchanged when connections leave no room for more, and not to be had when they leave none', () => {
    const scene = new Scene()
    const roomFor = (connections: number) => (pending: number) => pending < connections
    expect(scene.enter('10.0.0.1', roomFor(0))).toBeUndefined()
    const { entered } = scene.enter('10.0.0.1', roomFor(1))!
    expect(scene.enter('10.0.0.2', roomFor(1))?.evicted).toBe(entered)
    expect(scene.enter('10.0.0.3', roomFor(0))).toBeUndefined()
  })

  it('the newcomer never costs a network its place that has fewer of them than another', () => {
    const step = fc.record({ network: fc.nat(40), host: fc.nat(9), leaves: fc.nat(4).map(n => n === 0) })
    fc.assert(
      fc.property(fc.array(step, { minLength: 400, maxLength: 900 }), steps => {
        const scene = new Scene()
        /** Oldest first, by network. */
        const under = new Map<string, Pending[]>()
        const size = (): number => [...under.values()].reduce((sum, here) => sum + here.length, 0)
        for (const { network, host, leaves } of steps) {
          if (leaves) {
            const [left] = under.values().next().value ?? []
            if (left !== undefined) scene.places.leave(left)
            if (left !== undefined) under.get(left.network)!.shift()
          }
          const got = scene.enter(`10.0.${network}.${host}`)
          if (got === undefined) continue
          const { entered, evicted } = got
          if (evicted !== undefined) {
            const crowd = under.get(evicted.network)!
            expect(crowd.length).toBe(Math.max(...[...under.values()].map(here => here.length)))
            expect(crowd.shift()).toBe(evicted)
          }
          under.set(entered.network, [...(under.get(entered.network) ?? []), entered])
          expect(scene.places.size).toBe(size())
        }
      }),
      { seed, numRuns: 20 }
    )
  })
})
