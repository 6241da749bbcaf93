import { TokenBucketLaw, type Bucket, type TokenBucketInit } from './token-bucket.ts'

/** One token bucket of its own, for what is free up to a rate: nothing is charged while it has a token. */
export class Allowance {
  readonly #law: TokenBucketLaw
  readonly #bucket: Bucket

  /** @throws P2pError `ERR_INVALID_OPTION` for a value out of its range */
  constructor(init: TokenBucketInit) {
    this.#law = new TokenBucketLaw(init)
    this.#bucket = { spent: 0, at: this.#law.now() }
  }

  /** Takes a token; false when there is none, and then nothing is taken. */
  take(): boolean {
    const now = this.#law.now()
    if (this.#law.tokens(this.#bucket, now) < 1) return false
    this.#law.spend(this.#bucket, 1, now)
    return true
  }

  /** What so many tokens were taken for has turned out to be of use: they are given back. */
  giveBack(tokens = 1): void {
    this.#bucket.spent = Math.max(0, this.#bucket.spent - tokens)
  }
}
