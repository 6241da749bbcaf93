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
import { LAST_ACKS_TIMEOUT_MS, QUIET_MS, UNRESERVED_BYTES } from './limits.ts'
import type { MemoryReservation, Reservation } from './memory-reservation.ts'
import { ReadPause } from './read-pause.ts'
import { endStream, onRemoteEnd } from './stream-ends.ts'

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
  /** Takes whole messages into the receiver channel, all or none; false: not all of them fit. */
  deliver: (run: FrameRun) => boolean
  /** Memory for incomplete messages of the connection; while a message waits for its part, its stream is not read. */
  memory: MemoryReservation
  /** Messages that were refused because the receiver channel was full. */
  dropped: (messages: number, bytes: number) => void
  /** A message was refused as too large, which ends the stream. */
  refusedTooLarge: () => void
  /** What the peer sent breaks the protocol. */
  malformed: (reason: string) => void
}

/** A yamux header: version, type, flags (2), stream ID (4), length (4); yamux specification, "Framing". */
export const MUXER_HEADER_BYTES = 12

/**
 * The receiving half of the protocol on one stream (docs/protocol.md, "Receiving"): frames in, messages to the
 * application, one ack for each back, batched per read. Reading pauses while the peer does not read its acks, and while a
 * message that has begun waits for memory.
 */
export class Inbox {
  readonly #init: InboxInit
  readonly #decoder: FrameDecoder
  /** Acks of this read: runs of equal status. */
  readonly #statuses: AckStatus[] = []
  readonly #counts: number[] = []
  readonly #pause: ReadPause
  /** The incomplete frame that is watched, the memory that it has or waits for, and its deadline. */
  #frame = -1
  #reservation: Reservation | undefined
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
    stream.addEventListener('close', () => this.#close())
    onRemoteEnd(stream, () => this.#end())
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

  /** The messages of the run do not all fit into the receiver channel: those that fit are taken, the others refused. */
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

  /** The peer does not read its acks: its messages are not read until it does. */
  #stopReading(): void {
    if (!this.#pause.begin()) return
    this.#cancelAckTimer = this.#deadline(() => this.#fail('acks were not read in time'))
  }

  /**
   * Calls `late` when the time is over. A peer that is silent then may have been stopped, and has as long again from when it
   * is next heard.
   */
  #deadline(late: () => void): Cancel {
    const { clock, limits, lastReceivedAt, whenHeard } = this.#init
    const ms = limits.messageTimeoutMs
    let cancel = clock.after(ms, () => {
      if (clock.now() - lastReceivedAt() < QUIET_MS) late()
      else cancel = whenHeard(() => (cancel = clock.after(ms, late)))
    })
    return () => cancel()
  }

  /** Sees to it that an incomplete frame has memory and a deadline, and that neither is left when it is complete. */
  #watchFrame(): void {
    if (this.#closed) return
    const frame = this.#decoder.partial ? this.#decoder.partialSerial : -1
    if (frame !== this.#frame) {
      this.#forgetFrame()
      this.#frame = frame
    }
    if (frame < 0) return
    const length = this.#decoder.partialLength
    if (this.#reservation === undefined && length > UNRESERVED_BYTES) {
      this.#reservation = this.#init.memory.reserve(length, () => this.#pause.release())
      if (!this.#reservation.isGranted) {
        // The time until there is memory is not the peer's.
        this.#stopTimer()
        this.#pause.hold()
      }
    }
    // While the stream is not read, the peer cannot complete anything.
    if (!this.#pause.active && this.#cancelFrameTimer === undefined) this.#startTimer()
  }

  /** One timer a frame, none between frames. */
  #startTimer(): void {
    this.#cancelFrameTimer = this.#deadline(() => this.#fail('a frame was not complete in time'))
  }

  #stopTimer(): void {
    this.#cancelFrameTimer?.()
    this.#cancelFrameTimer = undefined
  }

  #forgetFrame(): void {
    this.#stopTimer()
    this.#reservation?.release()
    this.#reservation = undefined
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
   * Reads nothing more. The stream is ended before it is reset: at a reset, but not behind an end, go-yamux throws away acks
   * that its application has not read yet. A stream whose acks do not leave cannot be ended, so it is reset at once.
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
