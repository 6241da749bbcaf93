import type { Clock } from '../clock.ts'
import { NumberRing } from './ring.ts'

/** How long an ack may take. */
export interface AckLimits {
  /** Time to answer a message, in milliseconds, not counting the time its bytes take (see `msPerByte`). */
  ackTimeoutMs: number
  /** Additional time per byte of the message, in milliseconds: the slowest link that counts as alive. */
  msPerByte: number
  /** How much later than that an answer may come while bytes of the peer go on arriving, in milliseconds. */
  maxDelayMs: number
}

/**
 * Knows when the oldest message that still awaits its ack must be answered. Acks come in order, so its time begins
 * when it was written or when the one before was answered, whichever is later, and grows with its own length. While
 * bytes of the peer go on arriving it is put off, for a while: what he had written before his ack comes before it. A
 * slow link that moves is not a peer that does not answer (docs/protocol.md, "Acks").
 */
export class AckClock {
  readonly #clock: Clock
  readonly #limits: AckLimits
  /** The messages that await their acks, in runs that were written together: how many, and when. */
  readonly #counts = new NumberRing()
  readonly #times = new NumberRing()
  #answeredAt = 0

  constructor(clock: Clock, limits: AckLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  /** `count` messages, 1 or more, have just been written. */
  wrote(count: number): void {
    this.#counts.push(count)
    this.#times.push(this.#clock.now())
  }

  /** A message has just been answered, awaited or not. */
  answered(): void {
    this.#answeredAt = this.#clock.now()
  }

  /** The `count` oldest messages await nothing any more. */
  forget(count: number): void {
    while (count > 0) {
      const left = this.#counts.at(0) - count
      if (left > 0) {
        this.#counts.setFirst(left)
        return
      }
      this.#counts.shift()
      this.#times.shift()
      count = -left
    }
  }

  /** No message awaits anything. */
  clear(): void {
    this.#counts.clear()
    this.#times.clear()
  }

  /** When the oldest message, `wireBytes` long, must be answered, as bytes last arrived at `lastReceivedAt`; there must be one. */
  deadline(wireBytes: number, lastReceivedAt: number): number {
    const { ackTimeoutMs, msPerByte, maxDelayMs } = this.#limits
    const due = Math.max(this.#times.at(0), this.#answeredAt) + ackTimeoutMs + wireBytes * msPerByte
    return Math.max(due, Math.min(due + maxDelayMs, lastReceivedAt + ackTimeoutMs))
  }
}
