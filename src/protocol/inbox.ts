import type { Stream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'
import type { Cancel, Clock } from '../clock.ts'
import {
  ackFrames,
  AckStatus,
  FrameDecoder,
  MAX_ACKS_PER_VIEW,
  prefixBytes,
  readPrefix
} from '../framing/index.ts'
import type { FrameRun } from '../framing/index.ts'
import { eachPart, detach } from '../memory/index.ts'
import { endStream } from './end-stream.ts'
import type { MemoryReservation, Place } from './memory-reservation.ts'
import { ReadPause } from './read-pause.ts'

export interface InboxLimits {
  /** Largest message taken, in bytes. */
  maxMessageBytes: number
  /** Time from the first byte of a frame to its last, and for a full ack buffer to drain, in milliseconds. */
  messageTimeoutMs: number
}

export interface InboxInit {
  stream: Stream
  limits: InboxLimits
  clock: Clock
  /** When the connection that carries the stream last brought bytes of the peer, on the clock. */
  lastReceivedAt: () => number
  /** Calls the action once when the peer is next heard on that connection, if it is. */
  whenHeard: (action: () => void) => Cancel
  /** Whether messages are still wanted; if not, what arrives is neither taken nor answered. */
  listening: () => boolean
  /** Takes whole messages into the receiver channel, all or none; false: there is no room for all of them. */
  deliver: (run: FrameRun) => boolean
  /** Room for messages of the connection that are incomplete; while one finds none, reading waits. */
  room: MemoryReservation
  /** Messages that were refused because there was no room. */
  dropped: (messages: number, bytes: number) => void
  /** A message was refused as too large, which ends the stream. */
  refusedTooLarge: () => void
  /** What the peer sent breaks the protocol. */
  malformed: (reason: string) => void
}

/** A yamux header: version, type, flags (2), stream ID (4), length (4); yamux specification, "Framing". */
export const MUXER_HEADER_BYTES = 12

/** Whoever has said nothing for so long, in milliseconds, may have been stopped: what it owes is waited for anew. */
const QUIET_MS = 1_000
/**
 * A message of at most so many bytes needs no room: the first window of a stream (yamux specification, "Flow control"),
 * which lies in the muxer while the stream is not read, and takes no more memory here.
 */
const ROOM_FROM_BYTES = 256 * 1024

/** How long the last acks may take to leave before a stream is reset anyway, in milliseconds. */
const LAST_ACKS_TIMEOUT_MS = 1_000

/**
 * The receiving half of the protocol on one stream (docs/protocol.md, "Receiving"): frames in, messages to the
 * application, one ack for each back, batched per read. Reading pauses while the peer does not read its acks, and while a message that
 * has begun finds no room.
 */
export class Inbox {
  readonly #init: InboxInit
  readonly #decoder: FrameDecoder
  /** Acks of this read: runs of equal status. */
  readonly #statuses: AckStatus[] = []
  readonly #counts: number[] = []
  readonly #pause: ReadPause
  /** The incomplete frame that is watched, the room that it has or waits for, and its deadline. */
  #frame = -1
  #place: Place | undefined
  #cancelFrameTimer: Cancel | undefined
  #cancelAckTimer: Cancel | undefined
  #closed = false

  constructor(init: InboxInit) {
    this.#init = init
    this.#decoder = new FrameDecoder(init.limits.maxMessageBytes, run => this.#take(run))
    const { stream } = init
    stream.addEventListener('message', event => this.#read(event.data))
    this.#pause = new ReadPause(stream, {
      ending: () => this.#cancelAckTimer?.(),
      ended: () => this.#watchFrame()
    })
    // A muxer frame may carry the last message and the end at once, and the stream tells the end first. A reset stream
    // or a lost connection has told its close by then: only an orderly end can cut a frame off on purpose.
    stream.addEventListener('end', () => queueMicrotask(() => this.#end()))
    stream.addEventListener('close', () => this.#close())
    // The end came while the protocol was being agreed on. What came before it is dispatched from the microtask that
    // listening for messages has queued: the end must not overtake it.
    if (stream.readableEnded) queueMicrotask(() => this.#end())
  }

  #read(data: Uint8Array | Uint8ArrayList): void {
    for (const part of eachPart(data)) {
      if (this.#closed || !this.#init.listening()) return
      const fault = this.#decoder.push(part)
      // If no more than its header stands before a piece, nothing of another stream does.
      detach(part, MUXER_HEADER_BYTES)
      if (fault === undefined) continue
      if (fault.kind === 'malformed') this.#fail(fault.reason)
      else this.#refuseTooLarge()
      return
    }
    this.#answer()
    this.#watchFrame()
  }

  #take(run: FrameRun): void {
    if (run.parts.length > 0 && this.#init.deliver(run)) {
      this.#note(AckStatus.accepted, run.count)
      return
    }
    if (run.count === 1) {
      this.#note(AckStatus.refusedFull, 1)
      this.#init.dropped(1, run.payloadBytes)
      return
    }
    this.#takeOneByOne(run.parts[0]!)
  }

  /** There is room for some messages of the run at most: those that fit are taken, the others refused. */
  #takeOneByOne(frames: Uint8Array): void {
    let messages = 0
    let bytes = 0
    for (let at = 0; at < frames.length;) {
      const payloadBytes = readPrefix(frames, at, frames.length)
      const wireBytes = prefixBytes(payloadBytes) + payloadBytes
      const part = frames.subarray(at, at + wireBytes)
      at += wireBytes
      if (this.#init.deliver({ parts: [part], wireBytes, payloadBytes, count: 1 })) {
        this.#note(AckStatus.accepted, 1)
        continue
      }
      this.#note(AckStatus.refusedFull, 1)
      messages++
      bytes += payloadBytes
    }
    if (messages > 0) this.#init.dropped(messages, bytes)
  }

  #note(status: AckStatus, count: number): void {
    const last = this.#statuses.length - 1
    if (last >= 0 && this.#statuses[last] === status) {
      this.#counts[last]! += count
      return
    }
    this.#statuses.push(status)
    this.#counts.push(count)
  }

  /** Sends the acks of this read in one piece. */
  #answer(): void {
    if (this.#statuses.length === 0) return
    const acks = encodeAcks(this.#statuses, this.#counts)
    this.#statuses.length = this.#counts.length = 0
    try {
      if (!this.#init.stream.send(acks)) this.#stopReading()
    } catch {
      // The stream has just ended: the sender learns from that what it can know.
    }
  }

  /** The peer does not read his acks: stop reading his messages until he does. */
  #stopReading(): void {
    if (!this.#pause.begin()) return
    this.#stopTimer()
    this.#cancelAckTimer = this.#deadline(() => this.#fail('acks were not read in time'))
  }

  /** Calls `late` when the time is over. A peer that is silent then has as long again from when it is next heard. */
  #deadline(late: () => void): Cancel {
    const { clock, limits, lastReceivedAt, whenHeard } = this.#init
    const ms = limits.messageTimeoutMs
    let cancel = clock.after(ms, () => {
      if (clock.now() - lastReceivedAt() < QUIET_MS) late()
      else cancel = whenHeard(() => (cancel = clock.after(ms, late)))
    })
    return () => cancel()
  }

  /** Sees to it that an incomplete frame has room and a deadline, and that none is left when it is complete. */
  #watchFrame(): void {
    if (this.#closed) return
    const frame = this.#decoder.partial ? this.#decoder.partialSerial : -1
    if (frame !== this.#frame) {
      this.#forgetFrame()
      this.#frame = frame
    }
    if (frame < 0) return
    const length = this.#decoder.partialLength
    if (this.#place === undefined && length > ROOM_FROM_BYTES) {
      this.#place = this.#init.room.enter(length, () => this.#pause.release())
      if (!this.#place.isIn) {
        // The time until there is room is not the peer's.
        this.#stopTimer()
        this.#pause.hold()
      }
    }
    // Whoever is not read cannot complete anything.
    if (!this.#pause.active && this.#cancelFrameTimer === undefined) this.#startTimer()
  }

  /** One timer a frame, none between frames. */
  #startTimer(): void {
    this.#cancelFrameTimer = this.#deadline(() => {
      this.#cancelFrameTimer = undefined
      this.#fail('a frame was not complete in time')
    })
  }

  #stopTimer(): void {
    this.#cancelFrameTimer?.()
    this.#cancelFrameTimer = undefined
  }

  #forgetFrame(): void {
    this.#stopTimer()
    this.#place?.leave()
    this.#place = undefined
  }

  #refuseTooLarge(): void {
    this.#note(AckStatus.refusedTooLarge, 1)
    this.#breakOff('a message above the limit')
    this.#init.refusedTooLarge()
  }

  #end(): void {
    if (this.#closed) return
    const fault = this.#decoder.end()
    if (fault?.kind === 'malformed') {
      this.#fail(fault.reason)
      return
    }
    this.#close()
    const { stream, clock, limits } = this.#init
    void endStream(stream, clock, limits.messageTimeoutMs)
  }

  #fail(reason: string): void {
    if (this.#closed) return
    this.#breakOff(reason)
    this.#init.malformed(reason)
  }

  /**
   * Reads nothing more. The end is told before the reset: at a reset, but not behind an end, go-yamux throws away acks that
   * nobody has read yet. A stream whose acks do not leave has no end that could.
   */
  #breakOff(reason: string): void {
    const { stream, clock } = this.#init
    const isStuck = this.#pause.active
    this.#answer()
    this.#close()
    if (isStuck) stream.abort(new Error(reason))
    else void endStream(stream, clock, LAST_ACKS_TIMEOUT_MS).then(() => stream.abort(new Error(reason)))
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#pause.stop()
    this.#forgetFrame()
    this.#cancelAckTimer?.()
    this.#decoder.release()
  }
}

/** Runs of equal acks in one piece: a list of pieces would be slow to send when the statuses alternate. */
function encodeAcks(statuses: readonly AckStatus[], counts: readonly number[]): Uint8Array {
  if (counts.length === 1 && counts[0]! <= MAX_ACKS_PER_VIEW) return ackFrames(statuses[0]!, counts[0]!)
  const total = counts.reduce((sum, count) => sum + count, 0)
  const bytes = new Uint8Array(total * ackFrames(AckStatus.accepted, 1).length)
  let at = 0
  for (const [run, status] of statuses.entries()) {
    for (let left = counts[run]!; left > 0; left -= MAX_ACKS_PER_VIEW) {
      const frames = ackFrames(status, Math.min(left, MAX_ACKS_PER_VIEW))
      bytes.set(frames, at)
      at += frames.length
    }
  }
  return bytes
}
