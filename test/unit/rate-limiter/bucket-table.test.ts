import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { P2pError } from '../../../src/errors.ts'
import { BucketTable, type BucketTableInit } from '../../../src/rate-limiter/index.ts'
import { TokenBucketLaw, type Bucket } from '../../../src/rate-limiter/token-bucket.ts'

class Clock {
  ms = 0
  readonly read = (): number => this.ms
}

/** A bucket as naive as can be: a balance brought up to date at every look. The table must agree with it. */
class NaiveBucket {
  balance: number
  readonly #capacity: number
  readonly #refillPerMs: number
  readonly #read: () => number
  #last: number

  constructor(capacity: number, refillPerSecond: number, read: () => number) {
    this.balance = capacity
    this.#capacity = capacity
    this.#refillPerMs = refillPerSecond / 1000
    this.#read = read
    this.#last = read()
  }

  refill(): this {
    const now = this.#read()
    if (now > this.#last) {
      this.balance = Math.min(this.#capacity, this.balance + (now - this.#last) * this.#refillPerMs)
      this.#last = now
    }
    return this
  }

  take(cost: number): boolean {
    this.refill()
    const granted = cost <= this.balance
    if (granted) this.balance -= cost
    else while (this.balance >= 1) this.balance--
    return granted
  }
}

/** Counts how often the arithmetic looks at a bucket or compares two, the work that a table does. */
function countLooks(run: (looks: () => number) => void): void {
  const law = TokenBucketLaw.prototype
  const real = Object.getOwnPropertyDescriptors(law)
  let looks = 0
  Object.defineProperties(law, {
    tokens: {
      ...real.tokens,
      value(this: TokenBucketLaw, bucket: Bucket, now: number) {
        looks++
        return real.tokens.value?.call(this, bucket, now)
      }
    },
    isFuller: {
      ...real.isFuller,
      value(this: TokenBucketLaw, a: Bucket, b: Bucket) {
        looks++
        return real.isFuller.value?.call(this, a, b)
      }
    }
  })
  try {
    run(() => looks)
  } finally {
    Object.defineProperties(law, real)
  }
}

function emptied(table: BucketTable, subject: string): void {
  while (table.take(subject, 1));
}

describe('bucket table', () => {
  it('charges each subject by itself', () => {
    const table = new BucketTable({ capacity: 2, refillPerSecond: 1, clock: new Clock().read })
    emptied(table, 'a')
    expect(table.tokens('a')).toBe(0)
    expect(table.tokens('b')).toBe(2)
    expect(table.take('b', 1.5)).toBe(true)
    expect(table.tokens('b')).toBe(0.5)
    expect(table.tokens('c')).toBe(2)
  })

  it('bars until a token is back', () => {
    const clock = new Clock()
    const table = new BucketTable({ clock: clock.read })
    emptied(table, 'a')
    clock.ms += 2_500
    expect(table.readyIn('a')).toBe(7_500)
    expect(table.readyIn('a', 100)).toBe(97_500)
    expect(table.readyIn('b')).toBe(0)
    clock.ms += 7_500
    expect(table.readyIn('a')).toBe(0)
    expect(table.take('a', 1)).toBe(true)
  })

  it('holds no bucket for who was asked about, charged nothing, or refused with nothing left to spend', () => {
    const table = new BucketTable({ capacity: 0.5, clock: () => -5 })
    table.tokens('a')
    table.readyIn('a')
    expect(table.take('a', 0)).toBe(true)
    expect(table.size).toBe(0)
    expect(table.tokens('a')).toBe(0.5)
    expect(table.take('a', 0.75)).toBe(false)
    expect(table.tokens('a')).toBe(0)
  })

  it('lists who is not full, and no more than that', () => {
    const clock = new Clock()
    const table = new BucketTable({ capacity: 3, refillPerSecond: 1, clock: clock.read })
    table.take('a', 1)
    table.take('b', 2)
    table.take('c', 3)
    clock.ms = 1_500
    expect([...table.spent()].toSorted((x, y) => x.tokens - y.tokens)).toEqual([
      { subject: 'c', tokens: 1.5 },
      { subject: 'b', tokens: 2.5 }
    ])
    clock.ms = 3_000
    expect([...table.spent()]).toEqual([])
  })

  it('takes subjects that are names of object members for what they are', () => {
    const table = new BucketTable({ clock: new Clock().read })
    for (const subject of ['__proto__', 'constructor', '']) {
      expect(table.tokens(subject)).toBe(10)
      expect(table.take(subject, 1)).toBe(true)
      expect(table.tokens(subject)).toBe(9)
    }
  })

  it('forgets full buckets as new ones come', () => {
    const clock = new Clock()
    const table = new BucketTable({ clock: clock.read })
    for (let i = 0; i < 1_000; i++) table.take(`early ${i}`, 1)
    expect(table.size).toBe(1_000)
    clock.ms += 10_000
    for (let i = 0; i < 1_000; i++) table.take(`late ${i}`, 1)
    expect(table.size).toBe(1_000)
    clock.ms += 10_000
    for (let i = 0; i < 400; i++) table.take(`last ${i}`, 1)
    expect(table.size).toBe(600)
  })

  it('hands the fullest bucket over to a newcomer when all are in use', () => {
    const table = new BucketTable({ maxBuckets: 3, refillPerSecond: 0, clock: new Clock().read })
    table.take('a', 4)
    table.take('b', 2)
    table.take('c', 6)
    expect(table.tokens('newcomer')).toBe(8)
    expect(table.take('newcomer', 1)).toBe(true)
    expect(Object.fromEntries(listed(table))).toEqual({ a: 6, c: 4, newcomer: 7 })
    expect(table.tokens('b')).toBeLessThanOrEqual(8)
  })

  it('refuses newcomers and forgets nobody while every bucket has less than a token', () => {
    const clock = new Clock()
    const table = new BucketTable({ maxBuckets: 3, clock: clock.read })
    for (const subject of ['a', 'b', 'c']) {
      emptied(table, subject)
      clock.ms += 1_000
    }
    for (const cost of [1, 2, 100]) expect(table.take('newcomer', cost)).toBe(false)
    expect([...table.spent()].map(({ subject }) => subject)).toEqual(['a', 'b', 'c'])
    expect(table.readyIn('newcomer')).toBe(7_000)
    clock.ms += 7_000
    expect(table.take('newcomer', 1)).toBe(true)
    expect([...table.spent()].map(({ subject }) => subject).toSorted()).toEqual(['b', 'c', 'newcomer'])
  })

  it(
    'remembers an empty bucket among a million charged addresses, in bounded memory and work',
    { tags: ['long'] },
    () => {
      countLooks(looks => {
        const clock = new Clock()
        const table = new BucketTable({ clock: clock.read })
        emptied(table, 'sinner')
        let granted = 10
        let pardons = 0
        let worst = 0
        for (let i = 0; i < 1_000_000; i++) {
          clock.ms += 0.005
          const before = looks()
          if (table.take(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, 1)) granted++
          worst = Math.max(worst, looks() - before)
          if (i % 1_000 === 0 && table.take('sinner', 1)) pardons++
        }
        expect(pardons).toBe(0)
        // 5 seconds have passed: half a token is back
        expect(table.tokens('sinner')).toBeCloseTo(0.5, 2)
        expect([...table.spent()].map(({ subject }) => subject)).toContain('sinner')
        expect(table.size).toBe(65_536)
        expect(granted).toBeLessThanOrEqual(65_536 * 10.5)
        // two compared at each of 16 levels on the way down, one on the way up, and a few more
        expect(worst).toBeLessThanOrEqual(60)
      })
    }
  )

  it(
    'does as little work for each when a million come by after the table has become full again',
    { tags: ['long'] },
    () => {
      countLooks(looks => {
        const clock = new Clock()
        const table = new BucketTable({ capacity: 1, refillPerSecond: 1, clock: clock.read })
        let worst = 0
        for (let i = 0; i < 1_000_000; i++) {
          // waves of 100,000, each time a second later, when everybody's token is back
          if (i % 100_000 === 0) clock.ms += 1_000
          const before = looks()
          table.take(`peer ${i}`, 1)
          worst = Math.max(worst, looks() - before)
        }
        expect(table.size).toBe(65_536)
        // two forgotten, one admitted
        expect(worst).toBeLessThanOrEqual(130)
      })
    }
  )

  it.each([
    [{ maxBuckets: 0 }, 'maxBuckets must be a whole number from 1 to 1048576, got 0'],
    [{ maxBuckets: 1.5 }, 'maxBuckets must be a whole number from 1 to 1048576, got 1.5'],
    [{ maxBuckets: 1_048_577 }, 'maxBuckets must be a whole number from 1 to 1048576, got 1048577'],
    [{ maxBuckets: '9' }, "maxBuckets must be a whole number from 1 to 1048576, got '9'"],
    [{ capacity: -1 }, 'capacity must be a finite number above 0, got -1'],
    [{ refillPerSecond: Number.NaN }, 'refillPerSecond must be a finite number, 0 or more, got NaN']
  ])('refuses the option %j and says why', (init, message) => {
    const table = (): unknown => new BucketTable({ clock: () => 0, ...init } as BucketTableInit)
    expect(table).toThrow(new P2pError('ERR_INVALID_OPTION', message))
  })
})

/*
 * Against naive twins. Times are multiples of 125 ms, costs of 1/4, refills of 1/2: a double holds every
 * balance exactly, so that "agree" can mean equal.
 */
const seed = 0x6275636b

const settings = fc.record({
  capacity: fc.constantFrom(1, 2, 5, 10),
  refillPerSecond: fc.constantFrom(0, 0.5, 1, 8)
})

const acts = fc.array(
  fc.record({
    ms: fc.oneof(
      { weight: 6, arbitrary: fc.constant(0) },
      { weight: 5, arbitrary: fc.nat(16).map(n => n * 125) },
      { weight: 1, arbitrary: fc.nat(8).map(n => n * -125) },
      { weight: 1, arbitrary: fc.constant(2 ** 40 * 125) }
    ),
    subject: fc.nat(11).map(n => `subject ${n}`),
    cost: fc.oneof(
      { weight: 3, arbitrary: fc.constant(1) },
      { weight: 2, arbitrary: fc.nat(60).map(n => n / 4) }
    )
  }),
  { minLength: 1, maxLength: 120 }
)

describe('bucket table and its naive unbounded twin', () => {
  it('agree about everybody while there is room', () => {
    fc.assert(
      fc.property(settings, acts, ({ capacity, refillPerSecond }, list) => {
        const clock = new Clock()
        const table = new BucketTable({ capacity, refillPerSecond, maxBuckets: 12, clock: clock.read })
        const twins = twinsOf(list, capacity, refillPerSecond, clock)
        for (const { ms, subject, cost } of list) {
          clock.ms += ms
          expect(table.take(subject, cost)).toBe(twins.get(subject)!.take(cost))
          const wrong = [...twins].filter(([name, twin]) => table.tokens(name) !== twin.refill().balance)
          expect(wrong).toEqual([])
          expect(table.size).toBeLessThanOrEqual(12)
        }
      }),
      { seed, numRuns: 1_000 }
    )
  })

  it('agree about whoever has kept a bucket of its own, and the twin is never the stricter one', () => {
    fc.assert(
      fc.property(
        settings,
        fc.integer({ min: 1, max: 6 }),
        acts,
        ({ capacity, refillPerSecond }, maxBuckets, list) => {
          const clock = new Clock()
          const table = new BucketTable({ capacity, refillPerSecond, maxBuckets, clock: clock.read })
          const twins = twinsOf(list, capacity, refillPerSecond, clock)
          const owners = new Set<string>()
          for (const { ms, subject, cost } of list) {
            clock.ms += ms
            const before = table.tokens(subject)
            const isNew = !listed(table).has(subject)

            const granted = table.take(subject, cost)
            expect(granted).toBe(cost <= before)
            const after = listed(table)
            for (const owner of owners) if (!after.has(owner)) owners.delete(owner)
            if (isNew && before === capacity && after.has(subject)) owners.add(subject)

            // what the table has granted is spent in the twin's eyes, whoever the table took the subject for
            const twinGranted = granted || owners.has(subject) ? twins.get(subject)!.take(cost) : granted
            expect(granted).toBe(twinGranted)
            const wrong = [...twins].filter(([name, naive]) => {
              const { balance } = naive.refill()
              return owners.has(name) ? table.tokens(name) !== balance : table.tokens(name) > balance
            })
            expect(wrong).toEqual([])
            expect(table.size).toBeLessThanOrEqual(maxBuckets)
          }
        }
      ),
      { seed, numRuns: 2_000 }
    )
  })

  it('all subjects together get no more than all buckets hold and refill', () => {
    fc.assert(
      fc.property(
        settings,
        fc.integer({ min: 1, max: 6 }),
        acts,
        ({ capacity, refillPerSecond }, maxBuckets, list) => {
          const clock = new Clock()
          const table = new BucketTable({ capacity, refillPerSecond, maxBuckets, clock: clock.read })
          let latest = 0
          let granted = 0
          for (const { ms, subject, cost } of list) {
            clock.ms += ms
            latest = Math.max(latest, clock.ms)
            if (table.take(subject, cost)) granted += cost
            expect(granted).toBeLessThanOrEqual(maxBuckets * (capacity + (refillPerSecond * latest) / 1000))
          }
        }
      ),
      { seed, numRuns: 1_000 }
    )
  })

  it('whoever is forgotten had the fullest bucket and at least the tokens charged', () => {
    fc.assert(
      fc.property(
        settings,
        fc.integer({ min: 1, max: 6 }),
        acts,
        ({ capacity, refillPerSecond }, maxBuckets, list) => {
          const clock = new Clock()
          const table = new BucketTable({ capacity, refillPerSecond, maxBuckets, clock: clock.read })
          for (const { ms, subject, cost } of list) {
            clock.ms += ms
            const before = listed(table)
            table.take(subject, cost)
            const after = listed(table)
            for (const [name, tokens] of before) {
              if (after.has(name)) continue
              expect(tokens).toBe(Math.max(...before.values()))
              expect(tokens).toBeGreaterThanOrEqual(Math.min(1, cost))
            }
          }
        }
      ),
      { seed, numRuns: 1_000 }
    )
  })
})

function listed(table: BucketTable): Map<string, number> {
  return new Map([...table.spent()].map(({ subject, tokens }) => [subject, tokens]))
}

function twinsOf(
  list: ReadonlyArray<{ subject: string }>,
  capacity: number,
  refillPerSecond: number,
  clock: Clock
): Map<string, NaiveBucket> {
  return new Map(list.map(({ subject }) => [subject, new NaiveBucket(capacity, refillPerSecond, clock.read)]))
}
