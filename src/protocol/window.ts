import type { Cancel, Clock } from '../clock.ts'
import { prefixBytes, readPrefix } from '../framing/index.ts'
import { MAX_BATCH_BYTES, NARROW_WINDOW_BYTES } from './limits.ts'
import { Overdue } from './overdue.ts'
import { NumberRing } from './ring.ts'

export interface WindowLimits {
  /** Messages in flight, and their bytes on the wire; one message may always be. */
  windowMessages: number
  windowBytes: number
  /** Time to answer a message, in milliseconds, not counting the time its bytes take (see `msPerByte`). */
  ackTimeoutMs: number
  /** Additional time per byte of the message, in milliseconds: the slowest link that counts as alive. */
  msPerByte: number
  /** How much later than that an answer may come while bytes of the peer go on arriving, in milliseconds. */
  maxDelayMs: number
}

export interface WindowInit {
  clock: Clock
  limits: WindowLimits
  /** When the connection last brought bytes of the peer, on the clock. */
  lastReceivedAt: () => number
  /** Calls the action once when the peer is next heard on the connection that carries the messages, if it is. */
  whenHeard: (action: () => void) => Cancel
  /** A message stays unanswered, though the peer is there. Called once for each. */
  unanswered: () => void
}

/** Messages that have left the window, from its front. */
export interface Departure {
  /** Those of them that still awaited an outcome. */
  awaited: number
  /** All their bytes on the wire. */
  bytes: number
}

/**
 * All messages of one peer that are not done with, in the order of sending, as numbers; their bytes lie in the send queue.
 *
 * ```
 *   oldest                                                                        newest
 *   | overdue: settled as timed out, | awaited: written,    | waiting: not written,    |
 *   | a late ack settles nothing     | outcome not known    | as the window is full or |
 *   |                                |                      | the stream takes no more |
 *   |<---------------------- in flight -------------------->|
 *                                    |<------------------ unsettled ------------------>|
 * ```
 *
 * Acks come in order. So only the oldest awaited message has a deadline: its time begins when it was written or when the one
 * before was answered, whichever is later, and grows with its own length. While bytes of the peer go on arriving it is put
 * off, for a while: what the peer had written before its ack comes before it. A slow link that moves is not a peer that does
 * not answer (docs/protocol.md, "Acks").
 */
export class SendWindow {
  readonly #init: WindowInit
  /** Bytes on the wire of every message. */
  readonly #lengths = new NumberRing()
  #inFlight = 0
  #inFlightBytes = 0
  readonly #overdue: Overdue
  /** The awaited messages, in runs that were written together: how many, and when. */
  readonly #runCounts = new NumberRing()
  readonly #runTimes = new NumberRing()
  #answeredAt = 0
  /**
   * Bytes that may be in flight. Few after a refusal as too large, which makes this side write again what was behind it, and
   * more with what is answered: a peer that refuses on and on cannot make it write a whole window each time.
   */
  #maxBytes: number

  constructor(init: WindowInit) {
    this.#init = init
    this.#maxBytes = init.limits.windowBytes
    const { clock, limits, whenHeard, unanswered } = init
    this.#overdue = new Overdue({ clock, graceMs: limits.ackTimeoutMs, whenHeard, unanswered })
  }

  get inFlight(): number {
    return this.#inFlight
  }

  get awaited(): number {
    return this.#inFlight - this.#overdue.length
  }

  get waiting(): number {
    return this.#lengths.length - this.#inFlight
  }

  get unsettled(): number {
    return this.#lengths.length - this.#overdue.length
  }

  /** All that is in flight has been reported as unanswered, and messages wait. */
  get isStuck(): boolean {
    return this.#inFlight > 0 && this.#inFlight === this.#overdue.counted && this.waiting > 0
  }

  /** Whole frames have been sent: their messages wait. */
  add(frames: Uint8Array): void {
    for (let at = 0; at < frames.length;) {
      const length = readPrefix(frames, at, frames.length)
      const wireBytes = prefixBytes(length) + length
      this.#lengths.push(wireBytes)
      at += wireBytes
    }
  }

  /**
   * The next messages that wait are written now: as many as keep those in flight within both limits, at least one if none is
   * in flight, in a batch of about `MAX_BATCH_BYTES`. How many bytes that is; 0: none may be written.
   */
  admit(): number {
    const { clock, limits } = this.#init
    let count = 0
    let bytes = 0
    while (this.waiting > 0 && bytes < MAX_BATCH_BYTES) {
      const wireBytes = this.#lengths.at(this.#inFlight)
      const fits = this.#inFlight < limits.windowMessages && this.#inFlightBytes + wireBytes <= this.#maxBytes
      if (!fits && this.#inFlight > 0) break
      this.#inFlight++
      this.#inFlightBytes += wireBytes
      count++
      bytes += wireBytes
    }
    if (count > 0) {
      this.#runCounts.push(count)
      this.#runTimes.push(clock.now())
    }
    return bytes
  }

  /** Messages in flight of which the first byte has left, when this many of the bytes last written have not. */
  begun(backlog: number): number {
    let count = this.#inFlight
    while (count > 0 && backlog >= this.#lengths.at(count - 1)) backlog -= this.#lengths.at(--count)
    return count
  }

  /** Messages in flight that have left whole, when this many of the bytes last written have not. */
  whole(backlog: number): number {
    let count = this.#inFlight
    while (count > 0 && backlog > 0) backlog -= this.#lengths.at(--count)
    return count
  }

  /** The `count` oldest in flight, 1 or more, have been answered: they leave. */
  answer(count: number): Departure {
    const late = Math.min(count, this.#overdue.length)
    const bytes = this.#remove(count)
    this.#overdue.answered(late)
    this.#forget(count - late)
    this.#answeredAt = this.#init.clock.now()
    this.#maxBytes = Math.min(this.#init.limits.windowBytes, this.#maxBytes + bytes)
    return { awaited: count - late, bytes }
  }

  /** When the oldest awaited message must be answered; there must be one. */
  deadline(): number {
    const { limits, lastReceivedAt } = this.#init
    const { ackTimeoutMs, msPerByte, maxDelayMs } = limits
    const since = Math.max(this.#runTimes.at(0), this.#answeredAt)
    const due = since + ackTimeoutMs + this.#lengths.at(this.#overdue.length) * msPerByte
    return Math.max(due, Math.min(due + maxDelayMs, lastReceivedAt() + ackTimeoutMs))
  }

  /** The awaited messages whose time is over are overdue now; how many these are. */
  expire(): number {
    const now = this.#init.clock.now()
    let count = 0
    while (this.awaited > 0 && this.deadline() <= now) {
      this.#forget(1)
      this.#overdue.add()
      count++
    }
    return count
  }

  /** No ack can come any more for what is in flight: it leaves. */
  lose(): Departure {
    const { awaited } = this
    const bytes = this.#remove(this.#inFlight)
    this.#awaitNothing()
    return { awaited, bytes }
  }

  /** The remote has read nothing of what is in flight: the awaited messages wait again, the overdue ones are settled and leave. */
  rewind(): Departure {
    const bytes = this.#remove(this.#overdue.length)
    this.#awaitNothing()
    this.#inFlight = this.#inFlightBytes = 0
    this.#maxBytes = Math.min(this.#init.limits.windowBytes, NARROW_WINDOW_BYTES)
    return { awaited: 0, bytes }
  }

  /** No message waits any more; none may be in flight. How many waited. */
  clear(): number {
    const { waiting } = this
    this.#lengths.clear()
    return waiting
  }

  /** Removes the `count` oldest messages, which are in flight; how many bytes they are. */
  #remove(count: number): number {
    let bytes = 0
    for (let i = 0; i < count; i++) bytes += this.#lengths.shift()
    this.#inFlight -= count
    this.#inFlightBytes -= bytes
    return bytes
  }

  /** The `count` oldest awaited messages are awaited no more. */
  #forget(count: number): void {
    while (count > 0) {
      const left = this.#runCounts.at(0) - count
      if (left > 0) {
        this.#runCounts.setFirst(left)
        return
      }
      this.#runCounts.shift()
      this.#runTimes.shift()
      count = -left
    }
  }

  #awaitNothing(): void {
    this.#overdue.clear()
    this.#runCounts.clear()
    this.#runTimes.clear()
  }
}
