import type { Clock } from '../clock.ts'
import { Allowance } from '../rate-limiter/index.ts'

/** Pings that a peer may send: at once, and per second. An honest one sends one with each connection, and few later. */
const PINGS = { capacity: 1_024, refillPerSecond: 16 }
/** Frames without content, and small ones that make no message whole: at once, and per second. */
const IDLE_FRAMES = { capacity: 16_384, refillPerSecond: 1_024 }
/** Answers that may be owed at once: a window of acks, each in a frame of its own, and as much again. */
const MAX_OWED_FRAMES = 262_144
/**
 * Streams without a whole message that a peer may open: at once, and per second. A default node of another
 * implementation opens about ten for services we do not have; each message above our limit takes one, too.
 */
const IDLE_STREAMS = { capacity: 1_024, refillPerSecond: 16 }
/** Lines that name a protocol we do not have, beyond the first of each stream: at once, and per second. */
const REFUSED_LINES = { capacity: 1_024, refillPerSecond: 16 }

/** Bytes that may arrive on streams whose protocol is being agreed on: upstream keeps them, 4 MiB for each stream. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024

/** What was done is legal, but there was too much of it. */
export class AbuseError extends Error {
  override readonly name = 'AbuseError'
}

/** Peers whose accounts are remembered; who has not come for longest is forgotten first. */
const MAX_REMEMBERED = 4_096

/** The accounts of all peers. They outlast connections: to come again is not to begin anew. */
export class Conducts {
  readonly #clock: Clock
  readonly #byPeer = new Map<string, Conduct>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The account of a peer that has connected. */
  of(peerId: string): Conduct {
    const conduct = this.#byPeer.get(peerId) ?? new Conduct(this.#clock)
    // Set anew, so that the map stays in the order of the last connection.
    this.#byPeer.delete(peerId)
    this.#byPeer.set(peerId, conduct)
    if (this.#byPeer.size > MAX_REMEMBERED) this.#byPeer.delete(this.#byPeer.keys().next().value!)
    return conduct
  }
}

/** What a peer does that costs this side work and moves no message (docs/decisions/0009). */
export class Conduct {
  readonly #pings: Allowance
  readonly #frames: Allowance
  readonly #streams: Allowance
  readonly #lines: Allowance
  /** Frames without content that answer frames of this side: one for each, and some peers send one for each. */
  #owed = 0
  #waitingBytes = 0

  constructor(clock: Clock) {
    this.#pings = new Allowance({ ...PINGS, clock: clock.now })
    this.#frames = new Allowance({ ...IDLE_FRAMES, clock: clock.now })
    this.#streams = new Allowance({ ...IDLE_STREAMS, clock: clock.now })
    this.#lines = new Allowance({ ...REFUSED_LINES, clock: clock.now })
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

  /** The peer sent a frame that brings next to nothing (small-frames.ts). @throws AbuseError when there are too many */
  smallFrame(): void {
    if (!this.#frames.take()) throw new AbuseError('a flood of small muxer frames')
  }

  /** So many small frames have made a message whole. */
  forgiveFrames(count: number): void {
    this.#frames.giveBack(count)
  }

  /** The peer named one protocol too many on a stream. @throws AbuseError when it did so too often */
  refusedLine(): void {
    if (!this.#lines.take()) throw new AbuseError('a flood of protocols that are not spoken here')
  }

  /** The peer opened a stream. @throws AbuseError when there were too many that carried nothing */
  opened(): void {
    if (!this.#streams.take()) throw new AbuseError('a flood of streams without messages')
  }

  /** A stream that had been of use ended over a message that is too large. @throws AbuseError when too many did */
  wasted(): void {
    if (!this.#streams.take())
      throw new AbuseError('a flood of streams that end over messages above the limit')
  }

  /** Bytes came for a stream that nobody reads yet. @throws AbuseError when there are too many */
  waiting(bytes: number): void {
    this.#waitingBytes += bytes
    if (this.#waitingBytes > MAX_WAITING_BYTES)
      throw new AbuseError('a flood of data on streams without a protocol')
  }

  /** Bytes that waited are read, or their stream has ended. Never throws: streams end where nobody catches. */
  waited(bytes: number): void {
    this.#waitingBytes -= bytes
  }

  /** A stream has carried its first whole message. */
  served(): void {
    this.#streams.giveBack()
  }
}
