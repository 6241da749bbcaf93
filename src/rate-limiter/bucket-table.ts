import { P2pError, shown } from '../errors.ts'
import { Heap, type HeapItem } from './heap.ts'
import { DEFAULT_MAX_BUCKETS, FORGOTTEN_PER_NEWCOMER, MAX_BUCKETS } from './limits.ts'
import { TokenBucketLaw, type Bucket, type TokenBucketInit } from './token-bucket.ts'

/** The bucket of a subject that has none: nothing was ever spent from it. */
const FULL: Readonly<Bucket> = Object.freeze({ spent: 0, at: -Infinity })

export interface BucketTableInit extends TokenBucketInit {
  /**
   * The most buckets held: a whole number from 1 to 1_048_576. Each that is in use takes about 300
   * bytes, subject and all: less than 20 MB by default.
   *
   * @default 65_536
   */
  maxBuckets?: number
}

/** A subject whose bucket is not full. */
export interface SpentBucket {
  subject: string
  tokens: number
}

interface Slot extends Bucket, HeapItem {
  subject: string
}

/**
 * One token bucket for each subject (a peer ID, an IPv4 address, an IPv6 /64), in bounded memory. Subjects are
 * compared as text: the caller writes each in one way only, and bounds its length.
 *
 * A full bucket is the same as none, so only buckets in use are held. When `maxBuckets` of them are in use and
 * a subject without one is charged, **it takes over the fullest bucket with all that is spent from it**; the
 * subject that had it is forgotten. A subject without a bucket has the balance of that same bucket. Hence:
 *
 * 1. Every subject, remembered or forgotten, is granted at most `capacity + refillPerSecond × t` worth of
 *    charges in any window of `t` seconds. For who is forgotten had spent no more than is spent from any
 *    bucket in the table, and that is the balance it has when it comes back.
 * 2. All subjects together, however many, are granted at most `maxBuckets × (capacity + refillPerSecond × t)`:
 *    what was spent from a bucket comes back by time alone.
 * 3. The worst are remembered longest. A bucket with less than a token outlasts every fuller one, and when all
 *    are like it a newcomer's charge of one token or more is refused and forgets nobody.
 * 4. An operation looks at O(log maxBuckets) buckets, never at all of them.
 *
 * The price: while every bucket is in use, a newcomer has the balance of the fullest of them instead of
 * `capacity`. To keep that below one token an attacker has to hold `maxBuckets` addresses empty at once, and
 * the first one of them to get a token back lets newcomers in.
 *
 * The rule is that of the Space-Saving sketch (Metwally, Agrawal, El Abbadi, "Efficient Computation of
 * Frequent and Top-k Elements in Data Streams", 2005), with counts that fade.
 *
 * @see docs/decisions/0004-token-buckets.md
 */
export class BucketTable {
  readonly #law: TokenBucketLaw
  readonly #maxBuckets: number
  readonly #slots = new Map<string, Slot>()
  readonly #fullestFirst: Heap<Slot>

  /** @throws P2pError `ERR_INVALID_OPTION` for a value out of its range */
  constructor(init: BucketTableInit) {
    const { maxBuckets = DEFAULT_MAX_BUCKETS } = init
    if (!Number.isInteger(maxBuckets) || maxBuckets < 1 || maxBuckets > MAX_BUCKETS) {
      throw new P2pError(
        'ERR_INVALID_OPTION',
        `maxBuckets must be a whole number from 1 to ${MAX_BUCKETS}, got ${shown(maxBuckets)}`
      )
    }
    const law = new TokenBucketLaw(init)
    this.#law = law
    this.#maxBuckets = maxBuckets
    this.#fullestFirst = new Heap((a, b) => law.isFuller(a, b))
  }

  /** Buckets held, at most `maxBuckets`; some may have become full and wait to be forgotten. */
  get size(): number {
    return this.#slots.size
  }

  /** Whether `subject` has a bucket of its own, which may have become full and wait to be forgotten. */
  has(subject: string): boolean {
    return this.#slots.has(subject)
  }

  /**
   * Charges `subject`. True: the tokens were there and are spent. False: they were not, and the whole tokens
   * that were left are spent, so that less than one stays (less than `capacity`, where that is below 1) and
   * {@link readyIn} is above 0.
   *
   * @param cost - a finite number of tokens, 0 or more; fractions count; above `capacity` it is always refused
   * @throws P2pError `ERR_INVALID_OPTION` when `cost` is anything else
   */
  take(subject: string, cost: number): boolean {
    const now = this.#law.now()
    const price = this.#law.price(this.#bucketOf(subject), cost, now)
    if (price > 0) {
      const slot = this.#slots.get(subject) ?? this.#admit(subject, now)
      this.#law.spend(slot, price, now)
      this.#fullestFirst.sink(slot)
    }
    return price === cost
  }

  /** The balance of `subject`, 0 to `capacity`; that of a subject without a bucket is told above. */
  tokens(subject: string): number {
    return this.#law.tokens(this.#bucketOf(subject), this.#law.now())
  }

  /**
   * Whole milliseconds, rounded up, until the balance of `subject` reaches `tokens`, or `capacity` where that
   * is less: 0 when it has, Infinity when `refillPerSecond` is 0.
   *
   * @throws P2pError `ERR_INVALID_OPTION` when `tokens` is not a finite number, 0 or more
   */
  readyIn(subject: string, tokens = 1): number {
    return this.#law.readyIn(this.#bucketOf(subject), tokens, this.#law.now())
  }

  /** The subjects whose buckets are not full now, at most `maxBuckets`, in no particular order. */
  *spent(): Generator<SpentBucket, void, undefined> {
    const now = this.#law.now()
    for (const slot of this.#slots.values()) {
      const tokens = this.#law.tokens(slot, now)
      if (tokens < this.#law.capacity) yield { subject: slot.subject, tokens }
    }
  }

  /** The bucket whose balance `subject` has: its own, or a full one, or, all being in use, the fullest. */
  #bucketOf(subject: string): Bucket {
    const own = this.#slots.get(subject)
    if (own !== undefined) return own
    return this.#slots.size < this.#maxBuckets ? FULL : (this.#fullestFirst.first ?? FULL)
  }

  /** Gives a bucket to a subject that has none. */
  #admit(subject: string, now: number): Slot {
    this.#forgetFull(now)
    let slot = this.#fullestFirst.first
    if (slot === undefined || this.#slots.size < this.#maxBuckets) {
      slot = { subject, spent: 0, at: now, position: 0 }
      this.#fullestFirst.push(slot)
    } else {
      this.#slots.delete(slot.subject)
      slot.subject = subject
    }
    this.#slots.set(subject, slot)
    return slot
  }

  #forgetFull(now: number): void {
    for (let i = 0; i < FORGOTTEN_PER_NEWCOMER; i++) {
      const { first } = this.#fullestFirst
      if (first === undefined || this.#law.tokens(first, now) < this.#law.capacity) return
      this.#slots.delete(first.subject)
      this.#fullestFirst.shift()
    }
  }
}
