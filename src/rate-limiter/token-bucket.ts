import { P2pError, shown } from '../errors.ts'
import { DEFAULT_CAPACITY, DEFAULT_REFILL_PER_SECOND } from './limits.ts'

export interface TokenBucketInit {
  /**
   * Tokens in a full bucket: a finite number above 0
   *
   * @default 10
   */
  capacity?: number

  /**
   * Tokens that come back each second: a finite number, 0 or more; fractions count. At 0 what is spent is
   * spent for good.
   *
   * @default 0.1
   */
  refillPerSecond?: number

  /** The time in milliseconds, from any origin: `performance.now`, never `Date.now` */
  clock: () => number
}

/** All that a bucket remembers: `spent` tokens were missing at the time `at` (milliseconds). */
export interface Bucket {
  spent: number
  at: number
}

/**
 * The law of token buckets: arithmetic over a {@link Bucket} and a time, with no timers.
 *
 * **In any window of `t` seconds a bucket grants at most `capacity + refillPerSecond × t` worth of charges**
 * (to the precision of a double). A clock that stands still, or goes backwards and comes again, grants
 * nothing for it: the law sees the latest time only.
 *
 * A bucket is written when something is spent and at no other time. What has come back since is worked out
 * from the time elapsed, so that however often somebody asks, no fraction of a token is rounded away.
 *
 * Of two buckets under one law the fuller one stays the fuller one until it is charged: both refill alike.
 *
 * @see docs/decisions/0004-token-buckets.md
 */
export class TokenBucketLaw {
  readonly capacity: number
  readonly #refillPerSecond: number
  readonly #clock: () => number
  #latest: number

  /** @throws P2pError `ERR_INVALID_OPTION` for a value out of its range */
  constructor(init: TokenBucketInit) {
    const { capacity = DEFAULT_CAPACITY, refillPerSecond = DEFAULT_REFILL_PER_SECOND, clock } = init
    if (!Number.isFinite(capacity) || capacity <= 0) {
      throw new P2pError(
        'ERR_INVALID_OPTION',
        `capacity must be a finite number above 0, got ${shown(capacity)}`
      )
    }
    requireAmount('refillPerSecond', refillPerSecond)
    if (typeof clock !== 'function') {
      throw new P2pError(
        'ERR_INVALID_OPTION',
        `clock must be a function that returns ms, got ${shown(clock)}`
      )
    }
    const start = clock()
    if (!Number.isFinite(start)) {
      throw new P2pError('ERR_INVALID_OPTION', `clock must return a finite number of ms, got ${shown(start)}`)
    }
    this.capacity = capacity
    this.#refillPerSecond = refillPerSecond
    this.#clock = clock
    this.#latest = start
  }

  /** The latest time the clock has shown, in milliseconds; it never decreases. */
  now(): number {
    const reading = this.#clock()
    if (reading > this.#latest && Number.isFinite(reading)) this.#latest = reading
    return this.#latest
  }

  /** The balance at `now`: 0 to `capacity`. */
  tokens(bucket: Bucket, now: number): number {
    return this.capacity - this.#spentAt(bucket, now)
  }

  /**
   * How many tokens a charge of `cost` takes at `now`: `cost` itself when the balance covers it, else the
   * whole tokens that are left, which are always fewer than `cost`.
   *
   * A charge that is refused must leave less than a token: were it free, an offence dearer than the balance
   * could be repeated for ever, and a bar "until a token is back" would have no length. The fraction stays,
   * for it is refill under way: a subject that asks too often is not set back by asking.
   *
   * @throws P2pError `ERR_INVALID_OPTION` when `cost` is not a finite number, 0 or more
   */
  price(bucket: Bucket, cost: number, now: number): number {
    requireAmount('cost', cost)
    const tokens = this.tokens(bucket, now)
    return cost <= tokens ? cost : tokens - (tokens % Math.min(1, this.capacity))
  }

  /** Takes `price` tokens, as told by {@link price}, out of the bucket. */
  spend(bucket: Bucket, price: number, now: number): void {
    bucket.spent = Math.min(this.capacity, this.#spentAt(bucket, now) + price)
    bucket.at = now
  }

  /**
   * Whole milliseconds from `now` until the balance reaches `tokens`, or `capacity` where that is less: 0 when
   * it has; Infinity when there is no refill. Rounded up, so that the tokens are there when the time is over.
   *
   * @throws P2pError `ERR_INVALID_OPTION` when `tokens` is not a finite number, 0 or more
   */
  readyIn(bucket: Bucket, tokens: number, now: number): number {
    requireAmount('tokens', tokens)
    const wanted = Math.min(tokens, this.capacity)
    const missing = wanted - this.tokens(bucket, now)
    if (missing <= 0) return 0
    const wait = Math.ceil((missing * 1000) / this.#refillPerSecond)
    // where the division came out whole by rounding down, the balance may be a hair short
    return this.tokens(bucket, now + wait) < wanted ? wait + 1 : wait
  }

  /** Whether `a` is and will be fuller than `b`, as long as neither is charged. */
  isFuller(a: Bucket, b: Bucket): boolean {
    return a.spent - b.spent < this.#refill(b.at - a.at)
  }

  #spentAt(bucket: Bucket, now: number): number {
    return Math.max(0, bucket.spent - this.#refill(now - bucket.at))
  }

  #refill(ms: number): number {
    // without a refill there is none in an endless time either (0 × Infinity is not a number)
    return this.#refillPerSecond === 0 ? 0 : (ms * this.#refillPerSecond) / 1000
  }
}

function requireAmount(name: string, value: number): void {
  if (!Number.isFinite(value) || value < 0) {
    throw new P2pError(
      'ERR_INVALID_OPTION',
      `${name} must be a finite number, 0 or more, got ${shown(value)}`
    )
  }
}
