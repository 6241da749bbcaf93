import type { Cancel, Clock } from '../clock.ts'
import { BucketTable } from '../rate-limiter/index.ts'

/**
 * Handshakes of one dialler begin at most so many milliseconds apart, and it gives up the others as soon as one is
 * complete. go-libp2p begins one every 250 ms, rust-libp2p eight at once.
 */
const TOGETHER_MS = 2_000
/** A handshake that succeeds excuses so many others. */
const EXCUSED_BY_ONE = 7
/** Handshakes of one address key that are forgiven: at once, and per second. */
const FORGIVEN = { capacity: 64, refillPerSecond: 1, maxBuckets: 4_096 }
/** Charges that are held back, of one address key and of all. */
const MAX_HELD_PER_SUBJECT = 16
const MAX_HELD = 1_024
/** Handshakes that are remembered to have succeeded. */
const MAX_SUCCESSES = 1_024

/** A handshake from an address key, and when it began. */
interface Handshake {
  readonly subject: string
  readonly since: number
}

interface Success extends Handshake {
  /** Handshakes that it still excuses. */
  left: number
  cancel: Cancel
}

interface Held extends Handshake {
  charge: () => void
  cancel: Cancel
}

/**
 * Handshakes that their dialler gave up. Default hosts of other implementations dial all addresses of a peer, and cancel
 * the slower dials when one has succeeded: a handshake that was given up is forgiven when another from that address key,
 * begun at about the same time, succeeds. The charge is held back for a moment, to see whether one does. Neither does one
 * valid key make a flood of handshakes free, nor do many addresses take memory: everything here has a bound, beyond which
 * a charge is due at once.
 */
export class GivenUpHandshakes {
  readonly #clock: Clock
  readonly #allowance: BucketTable
  readonly #successes = new Map<string, Set<Success>>()
  readonly #held = new Map<string, Set<Held>>()
  /** Oldest first. */
  readonly #allSuccesses = new Set<Success>()
  readonly #allHeld = new Set<Held>()

  constructor(clock: Clock) {
    this.#clock = clock
    this.#allowance = new BucketTable({ ...FORGIVEN, clock: clock.now })
  }

  /** A dialler gave a handshake up. `charge` is called if it is not forgiven, in `TOGETHER_MS` at the latest. */
  givenUp(handshake: Handshake, charge: () => void): void {
    for (const success of this.#successes.get(handshake.subject) ?? []) {
      if (this.#excuses(success, handshake)) return
    }
    if ((this.#held.get(handshake.subject)?.size ?? 0) >= MAX_HELD_PER_SUBJECT) {
      charge()
      return
    }
    const held: Held = { ...handshake, charge, cancel: () => {} }
    held.cancel = this.#clock.after(TOGETHER_MS, () => this.#release(held))
    put(this.#held, held)
    this.#allHeld.add(held)
    if (this.#allHeld.size > MAX_HELD) this.#release(this.#allHeld.values().next().value!)
  }

  /** A handshake has succeeded. */
  succeeded(handshake: Handshake): void {
    const success: Success = { ...handshake, left: EXCUSED_BY_ONE, cancel: () => {} }
    success.cancel = this.#clock.after(TOGETHER_MS, () => this.#forget(success))
    put(this.#successes, success)
    this.#allSuccesses.add(success)
    if (this.#allSuccesses.size > MAX_SUCCESSES) this.#forget(this.#allSuccesses.values().next().value!)
    for (const held of this.#held.get(handshake.subject) ?? []) {
      if (this.#excuses(success, held)) this.#drop(held)
    }
  }

  #excuses(success: Success, { subject, since }: Handshake): boolean {
    if (success.left === 0 || Math.abs(success.since - since) > TOGETHER_MS) return false
    if (!this.#allowance.take(subject, 1)) return false
    success.left--
    return true
  }

  /** Nobody has spoken for it. */
  #release(held: Held): void {
    this.#drop(held)
    held.charge()
  }

  #drop(held: Held): void {
    held.cancel()
    take(this.#held, held)
    this.#allHeld.delete(held)
  }

  #forget(success: Success): void {
    success.cancel()
    take(this.#successes, success)
    this.#allSuccesses.delete(success)
  }
}

function put<T extends Handshake>(table: Map<string, Set<T>>, item: T): void {
  const here = table.get(item.subject)
  if (here === undefined) table.set(item.subject, new Set([item]))
  else here.add(item)
}

function take<T extends Handshake>(table: Map<string, Set<T>>, item: T): void {
  const here = table.get(item.subject)
  here?.delete(item)
  if (here?.size === 0) table.delete(item.subject)
}
