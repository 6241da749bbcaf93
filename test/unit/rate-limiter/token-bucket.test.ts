import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { P2pError } from '../../../src/errors.ts'
import { TokenBucketLaw, type Bucket, type TokenBucketInit } from '../../../src/rate-limiter/token-bucket.ts'

/** One bucket under one law, and a clock that the test turns. */
class Subject {
  time: number
  readonly #law: TokenBucketLaw
  readonly #bucket: Bucket

  constructor(init: Omit<TokenBucketInit, 'clock'> = {}, time = 0) {
    this.time = time
    this.#law = new TokenBucketLaw({ ...init, clock: () => this.time })
    this.#bucket = { spent: 0, at: time }
  }

  get tokens(): number {
    return this.#law.tokens(this.#bucket, this.#law.now())
  }

  take(cost: number): boolean {
    const now = this.#law.now()
    const price = this.#law.price(this.#bucket, cost, now)
    if (price > 0) this.#law.spend(this.#bucket, price, now)
    return price === cost
  }

  readyIn(tokens = 1): number {
    return this.#law.readyIn(this.#bucket, tokens, this.#law.now())
  }
}

const seed = 0x6275636b
const capacities = fc.double({ min: 0.01, max: 1e6, noNaN: true })
const refills = fc.oneof(fc.constant(0), fc.double({ min: 1e-6, max: 1e4, noNaN: true }))
const tenths = fc.integer({ min: 1, max: 100 }).map(n => n / 10)
const steps = fc.oneof(
  { weight: 4, arbitrary: fc.double({ min: 0, max: 5_000, noNaN: true }) },
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.double({ min: -20_000, max: 0, noNaN: true }) },
  { weight: 1, arbitrary: fc.double({ min: 0, max: 1e12, noNaN: true }) },
  { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Infinity, -Infinity, -1e300) }
)

describe('token bucket', () => {
  it('grants ten charges at once by default, then one every ten seconds', () => {
    const subject = new Subject()
    for (let i = 0; i < 10; i++) expect(subject.take(1)).toBe(true)
    expect(subject.take(1)).toBe(false)
    for (let i = 0; i < 5; i++) {
      subject.time += 9_999
      expect(subject.take(1)).toBe(false)
      subject.time += 1
      expect(subject.take(1)).toBe(true)
    }
  })

  it('grants in any window of t seconds at most capacity + refillPerSecond × t', () => {
    const acts = fc.array(fc.record({ step: steps, cost: fc.double({ min: 0, max: 10, noNaN: true }) }), {
      minLength: 1,
      maxLength: 60
    })
    fc.assert(
      fc.property(capacities, refills, acts, (capacity, refillPerSecond, list) => {
        const subject = new Subject({ capacity, refillPerSecond })
        const grants: Array<{ ms: number; cost: number }> = []
        let latest = 0
        for (const { step, cost } of list) {
          // a clock that goes backwards passes the same time twice: only what it had not shown yet counts
          subject.time = Number.isFinite(subject.time) ? subject.time + step : latest
          if (Number.isFinite(subject.time)) latest = Math.max(latest, subject.time)
          const scaled = (cost * capacity) / 4
          if (subject.take(scaled)) grants.push({ ms: latest, cost: scaled })
        }
        for (let from = 0; from < grants.length; from++) {
          let sum = 0
          for (let to = from; to < grants.length; to++) {
            sum += grants[to]!.cost
            const limit = capacity + (refillPerSecond * (grants[to]!.ms - grants[from]!.ms)) / 1000
            expect(sum).toBeLessThanOrEqual(limit * (1 + 1e-9))
          }
        }
      }),
      { seed, numRuns: 2_000 }
    )
  })

  it('grants nothing for a clock that stands still or goes backwards and comes again', () => {
    const subject = new Subject({ capacity: 3, refillPerSecond: 1 }, 50_000)
    for (let i = 0; i < 3; i++) subject.take(1)
    for (const time of [50_000, 49_000, 0, -1e9, 49_999, 50_000, Number.NaN, Infinity, -Infinity]) {
      subject.time = time
      expect(subject.take(1)).toBe(false)
      expect(subject.tokens).toBe(0)
    }
    subject.time = 51_000
    expect(subject.take(1)).toBe(true)
  })

  it('never holds more than its capacity after a jump of the clock', () => {
    const subject = new Subject({ capacity: 2.5, refillPerSecond: 1e9 }, -1e308)
    expect(subject.take(2.5)).toBe(true)
    subject.time = 1e308
    expect(subject.tokens).toBe(2.5)
    expect(subject.take(2.6)).toBe(false)
  })

  it('loses no fraction of a token to frequent asking', () => {
    const subject = new Subject({ capacity: 1, refillPerSecond: 0.1 })
    subject.take(1)
    for (let grants = 0; grants < 3; grants++) {
      for (let i = 1; i < 10_000; i++) {
        subject.time++
        expect(subject.take(1)).toBe(false)
      }
      subject.time++
      expect(subject.take(1)).toBe(true)
    }
  })

  it('counts fractions of tokens in costs', () => {
    const subject = new Subject({ capacity: 1, refillPerSecond: 0 })
    for (let i = 0; i < 4; i++) expect(subject.take(0.25)).toBe(true)
    expect(subject.take(0.25)).toBe(false)
    expect(subject.take(0)).toBe(true)
  })

  it('spends the whole tokens that are left when it refuses, and keeps the fraction', () => {
    const subject = new Subject({ capacity: 10, refillPerSecond: 1 })
    subject.take(7.25)
    expect(subject.take(3)).toBe(false)
    expect(subject.tokens).toBe(0.75)
    expect(subject.take(1)).toBe(false)
    expect(subject.tokens).toBe(0.75)
    expect(subject.readyIn()).toBe(250)
  })

  it('is never ready at once after a refusal, however dear the charge and small the bucket', () => {
    fc.assert(
      fc.property(
        capacities,
        refills,
        fc.array(fc.double({ min: 0, max: 4, noNaN: true })),
        (capacity, refillPerSecond, costs) => {
          const subject = new Subject({ capacity, refillPerSecond })
          const readyAtOnce = costs.filter(cost => {
            subject.time += 700
            return !subject.take(cost * capacity) && subject.readyIn() === 0
          })
          expect(readyAtOnce).toEqual([])
        }
      ),
      { seed }
    )
  })

  it('has the tokens when the time that readyIn told is over, and not two milliseconds before', () => {
    fc.assert(
      fc.property(
        fc.oneof(tenths, fc.double({ min: 0.1, max: 1_000, noNaN: true })),
        fc.oneof(tenths, fc.double({ min: 0.001, max: 1_000, noNaN: true })),
        fc.array(fc.tuple(fc.nat(100_000), tenths), { minLength: 1 }),
        (capacity, refillPerSecond, acts) => {
          const subject = new Subject({ capacity, refillPerSecond }, 123.456)
          for (const [ms, cost] of acts) {
            subject.time += ms
            subject.take(cost)
          }
          const wanted = Math.min(1, capacity)
          const wait = subject.readyIn()
          expect(wait === 0).toBe(subject.tokens >= wanted)
          const start = subject.time
          subject.time = start + Math.max(0, wait - 2)
          const early = wait > 2 && subject.tokens >= wanted
          expect(early).toBe(false)
          subject.time = start + wait
          expect(subject.take(wanted)).toBe(true)
        }
      ),
      { seed, numRuns: 1_000 }
    )
  })

  it('has them on time where a division that rounds down would tell a millisecond too few', () => {
    const subject = new Subject({ capacity: 1.9, refillPerSecond: 0.2 }, 67_686)
    subject.take(4.2)
    subject.time += 587
    subject.take(4.2)
    const wait = subject.readyIn()
    subject.time += wait
    expect(subject.take(1)).toBe(true)
  })

  it('tells how long until the tokens asked for, or a full bucket, are there', () => {
    const subject = new Subject({ capacity: 4, refillPerSecond: 0.5 })
    subject.take(4)
    expect([0, 1, 2.5, 4, 5, 1e9].map(tokens => subject.readyIn(tokens))).toEqual([
      0, 2_000, 5_000, 8_000, 8_000, 8_000
    ])
    subject.time += 1_500
    expect(subject.readyIn()).toBe(500)
  })

  it('is never ready again without a refill', () => {
    const subject = new Subject({ capacity: 1, refillPerSecond: 0 })
    expect(subject.readyIn()).toBe(0)
    subject.take(1)
    subject.time = 1e300
    expect(subject.readyIn()).toBe(Infinity)
    expect(subject.take(1)).toBe(false)
  })

  it.each([
    [{ capacity: 0 }, 'capacity must be a finite number above 0, got 0'],
    [{ capacity: Number.NaN }, 'capacity must be a finite number above 0, got NaN'],
    [{ capacity: Infinity }, 'capacity must be a finite number above 0, got Infinity'],
    [{ capacity: '10' }, "capacity must be a finite number above 0, got '10'"],
    [{ refillPerSecond: -0.1 }, 'refillPerSecond must be a finite number, 0 or more, got -0.1'],
    [{ refillPerSecond: Infinity }, 'refillPerSecond must be a finite number, 0 or more, got Infinity'],
    [{ refillPerSecond: null }, 'refillPerSecond must be a finite number, 0 or more, got null'],
    [{ clock: 5 }, 'clock must be a function that returns ms, got 5'],
    [{ clock: () => Number.NaN }, 'clock must return a finite number of ms, got NaN']
  ])('refuses the option %j and says why', (init, message) => {
    const law = (): unknown => new TokenBucketLaw({ clock: () => 0, ...init } as TokenBucketInit)
    expect(law).toThrow(new P2pError('ERR_INVALID_OPTION', message))
  })

  it.each([-1, Number.NaN, Infinity])('refuses %d as an amount of tokens', amount => {
    const subject = new Subject()
    const wrong = `must be a finite number, 0 or more, got ${amount}`
    expect(() => subject.take(amount)).toThrow(new P2pError('ERR_INVALID_OPTION', `cost ${wrong}`))
    expect(() => subject.readyIn(amount)).toThrow(new P2pError('ERR_INVALID_OPTION', `tokens ${wrong}`))
    expect(subject.tokens).toBe(10)
  })
})
