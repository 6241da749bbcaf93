import type { Clock } from '../clock.ts'
import { Allowance } from '../rate-limiter/index.ts'

/** Pings that a peer may send on one connection: at once, and per second. An honest one sends one in ten seconds. */
const PINGS = { capacity: 256, refillPerSecond: 16 }
/**
 * Frames without content: at once, and per second. What a peer has under way for a stream that this side resets counts
 * as well: a window of small frames.
 */
const IDLE_FRAMES = { capacity: 16_384, refillPerSecond: 1_024 }
/** Answers that may be owed at once: a window of acks, each in a frame of its own, and as much again. */
const MAX_OWED_FRAMES = 262_144
/**
 * Streams without a whole message that a peer may open: at once, and per second. A default node of another
 * implementation opens about ten for services we do not have; each message above our limit takes one, too.
 */
const IDLE_STREAMS = { capacity: 1_024, refillPerSecond: 64 }

/** Bytes that may arrive on streams whose protocol is being agreed on: upstream keeps them, 4 MiB for each stream. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024

/** What was done is legal, but there was too much of it. */
export class AbuseError extends Error {
  override readonly name = 'AbuseError'
}

/** What a peer does on one connection that costs this side work and moves no message (docs/decisions/0009). */
export class Conduct {
  readonly #pings: Allowance
  readonly #frames: Allowance
  readonly #streams: Allowance
  /** Frames without content that answer frames of this side: one for each, and some peers send one for each. */
  #owed = 0
  #waitingBytes = 0

  constructor(clock: Clock) {
    this.#pings = new Allowance({ ...PINGS, clock: clock.now })
    this.#frames = new Allowance({ ...IDLE_FRAMES, clock: clock.now })
    this.#streams = new Allowance({ ...IDLE_STREAMS, clock: clock.now })
  }

  /** This side sent a frame that the peer may answer with a window update. */
  answerable(): void {
    if (this.#owed < MAX_OWED_FRAMES) this.#owed++
  }

  /** The peer sent a ping, which is answered. @throws AbuseError when there are too many */
  ping(): void {
    if (!this.#pings.take()) throw new AbuseError('a flood of pings')
  }

  /** The peer sent a window update, an empty frame, or one for no stream. @throws AbuseError when there are too many */
  idleFrame(): void {
    if (this.#owed > 0) this.#owed--
    else if (!this.#frames.take()) throw new AbuseError('a flood of muxer frames without content')
  }

  /** The peer opened a stream. @throws AbuseError when there were too many that carried nothing */
  opened(): void {
    if (!this.#streams.take()) throw new AbuseError('a flood of streams without messages')
  }

  /** Bytes came for a stream that nobody reads yet, or (negative) wait no longer. @throws AbuseError at too many */
  waiting(bytes: number): void {
    this.#waitingBytes += bytes
    if (this.#waitingBytes > MAX_WAITING_BYTES)
      throw new AbuseError('a flood of data on streams without a protocol')
  }

  /** A stream has carried its first whole message. */
  served(): void {
    this.#streams.giveBack()
  }
}
