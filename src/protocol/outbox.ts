import type { Stream } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import type { Cancel, Clock } from '../clock.ts'
import { AckDecoder, AckStatus } from '../framing/index.ts'
import { eachPart } from '../memory/index.ts'
import { AckClock } from './ack-clock.ts'
import type { AckLimits } from './ack-clock.ts'
import { endStream } from './end-stream.ts'
import { Overdue } from './overdue.ts'
import { allHasLeft } from './read-pause.ts'
import { SendQueue } from './send-queue.ts'

/** How a message ended; `undefined` is accepted. The reasons are those of the Status event. */
export type Outcome =
  undefined | 'not-connected' | 'refused-full' | 'refused-too-large' | 'ack-timeout' | 'connection-lost'

export interface OutboxLimits extends AckLimits {
  /** Written and unanswered messages, and their bytes on the wire; one message may always be in flight. */
  windowMessages: number
  windowBytes: number
  /** How long the stream may take to pass on what it was given, in milliseconds. */
  writeTimeoutMs: number
}

export interface OutboxInit {
  limits: OutboxLimits
  clock: Clock
  /** Bytes sent to a stream, the last ones, that are not encrypted yet: their memory is still looked at. */
  unsent: (stream: Stream) => number
  /** When the connection that carries the stream last brought bytes of the peer, on the clock. */
  lastReceivedAt: () => number
  /** Calls the action once when the peer is next heard on that connection, if it is. */
  whenHeard: (action: () => void) => Cancel
  /** Whether more may be written on the stream now; `resume` is called when that changes. */
  mayWrite: () => boolean
  /** Opens a message stream to the peer; rejects when there is no way to him. */
  open: () => Promise<Stream>
  /** The `count` oldest messages ended. Called in the order of sending, once for every message. */
  settled: (outcome: Outcome, count: number) => void
  /** The peer did not answer a message in time, and not behind it, though it is there. */
  unanswered: () => void
  /** The peer ended the acks of this stream, in an orderly way, with messages unanswered and not one answered. */
  endedEarly: (stream: Stream) => void
  /** The peer's answer breaks the protocol. */
  malformed: (reason: string) => void
}

/** Bytes in flight at once, or one message, after a refusal as too large. */
const FIRST_WINDOW_BYTES = 64 * 1024

/** A stream that is left has nothing in flight: its end leaves in so many milliseconds, or it is reset. */
const RELEASE_TIMEOUT_MS = 1_000

/**
 * The sending half of the protocol towards one peer (docs/protocol.md, "Sending"): a queue, one long-lived message
 * stream, a window of written and unanswered messages, and their acks. Every message given to `send` is settled
 * exactly once, in order.
 */
export class Outbox {
  readonly #init: OutboxInit
  readonly #queue: SendQueue
  /** The oldest messages in flight are settled as timed out; their late acks are awaited, and settle nothing. */
  readonly #overdue: Overdue
  /** The others in flight. */
  readonly #awaited: AckClock
  /**
   * Bytes that may be in flight at once. Small after a refusal as too large, which makes this side write again what was
   * behind it, and growing with what is answered: whoever refuses on and on cannot make it write a whole window each time.
   */
  #windowBytes: number
  #cancelTimer: Cancel | undefined
  /** Runs while the stream has not passed on what it was given. */
  #cancelWriteTimer: Cancel | undefined

  #stream: Stream | undefined
  /** The attempt to open a stream that is under way. */
  #opening: Promise<Stream> | undefined
  #detach: (() => void) | undefined

  constructor(init: OutboxInit) {
    this.#init = init
    this.#queue = new SendQueue(() => (this.#stream === undefined ? Infinity : init.unsent(this.#stream)))
    this.#awaited = new AckClock(init.clock, init.limits)
    this.#overdue = new Overdue({
      clock: init.clock,
      graceMs: init.limits.ackTimeoutMs,
      whenHeard: action => init.whenHeard(action),
      unanswered: () => {
        init.unanswered()
        this.#leaveIfStuck()
      }
    })
    this.#windowBytes = init.limits.windowBytes
  }

  /** Messages that are not settled. */
  get unsettled(): number {
    return this.#queue.length - this.#overdue.length
  }

  /** Whether messages are written on a stream and may still be answered. */
  get busy(): boolean {
    return this.#queue.inFlight > 0
  }

  /** The stream messages are written on, if one is open. */
  get stream(): Stream | undefined {
    return this.#stream
  }

  /** Takes messages as whole frames, copying them. */
  send(frames: Uint8Array): void {
    this.#queue.add(frames)
    this.#write()
  }

  /** Uses this stream from now on, unless there is one. It must have been opened for messages. */
  attach(stream: Stream): void {
    if (this.#stream !== undefined || !isUsable(stream)) {
      stream.abort(new Error('not needed'))
      return
    }
    this.#stream = stream
    // What follows a refusal as too large, in the same piece, answers messages that are being written again.
    let hasAnswered = false
    const acks = new AckDecoder((status, count) => {
      hasAnswered = true
      return this.#stream !== stream || this.#answered(status, count)
    })
    const onMessage = (event: { data: Uint8Array | Uint8ArrayList }): void => {
      for (const part of eachPart(event.data)) {
        const reason = this.#stream === stream ? acks.push(part) : undefined
        if (reason !== undefined) this.#breakOff(stream, reason)
      }
      this.#write()
    }
    // The stream goes on with what it holds in a microtask of its own, queued before this one.
    const onDrain = (): void => queueMicrotask(() => this.#write())
    const onClose = (): void => {
      if (this.#stream === stream) this.#lose()
    }
    const onRemoteEnd = (): void => {
      // No ack can come any more. An orderly end with nothing in flight is the remote's right.
      if (this.#stream !== stream) return
      const reason = acks.end()
      if (reason !== undefined) this.#breakOff(stream, reason)
      else {
        if (!hasAnswered && this.#queue.inFlight > this.#overdue.length) this.#init.endedEarly(stream)
        this.#lose()
        stream.abort(new Error('the remote ended the stream of acks'))
      }
    }
    // A muxer frame may carry the last acks and the end at once, and the stream tells the end first. A reset stream or
    // a lost connection has told its close by then.
    const onEnd = (): void => queueMicrotask(onRemoteEnd)
    stream.addEventListener('message', onMessage)
    stream.addEventListener('drain', onDrain)
    stream.addEventListener('close', onClose)
    stream.addEventListener('end', onEnd)
    this.#detach = () => {
      stream.removeEventListener('message', onMessage)
      stream.removeEventListener('drain', onDrain)
      stream.removeEventListener('close', onClose)
      stream.removeEventListener('end', onEnd)
    }
    this.#write()
  }

  /** Writes on, if that is possible now. */
  resume(): void {
    this.#write()
  }

  /** Leaves the stream, which has nothing in flight, so that the next message opens another one. */
  release(): void {
    const stream = this.#drop()
    if (stream !== undefined) void endStream(stream, this.#init.clock, RELEASE_TIMEOUT_MS)
    this.#write()
  }

  /** There is no way to the peer any more: everything is settled. */
  disconnect(): void {
    const stream = this.#drop()
    this.#opening = undefined
    this.#failInFlight()
    const rest = this.#queue.clear()
    if (rest > 0) this.#init.settled('not-connected', rest)
    stream?.abort(new Error('disconnected'))
  }

  #write(): void {
    const stream = this.#stream
    if (stream === undefined) {
      if (this.#queue.unwritten > 0) this.#open()
      return
    }
    const { windowMessages } = this.#init.limits
    while (this.#stream === stream && takesMore(stream) && this.#init.mayWrite()) {
      const before = this.#queue.inFlight
      const batch = this.#queue.takeBatch(windowMessages, this.#windowBytes)
      if (batch.length === 0) break
      this.#awaited.wrote(this.#queue.inFlight - before)
      try {
        stream.send(batch.length === 1 ? batch[0]! : new Uint8ArrayList(...batch))
      } catch {
        // The stream has just ended; its close event settles what is in flight.
        break
      }
    }
    this.#armTimer()
    this.#armWriteTimer()
    this.#leaveIfStuck()
  }

  #open(): void {
    if (this.#opening !== undefined) return
    const opening = this.#init.open()
    this.#opening = opening
    opening.then(
      stream => this.#opened(opening, stream),
      () => this.#opened(opening, undefined)
    )
  }

  #opened(opening: Promise<Stream>, stream: Stream | undefined): void {
    // What an attempt from before a `disconnect` comes to says nothing about the messages since.
    const current = this.#opening === opening
    if (current) this.#opening = undefined
    if (current && stream !== undefined && isUsable(stream)) {
      this.attach(stream)
      return
    }
    stream?.abort(new Error('not needed'))
    // Whoever reports the end of the last connection calls `disconnect`; a peer that is connected and does not take a
    // message stream, or ends it at once, is, for messages, not connected either.
    if (current && this.#stream === undefined) this.disconnect()
  }

  #answered(status: AckStatus, count: number): boolean {
    // Behind a refusal as too large nothing on this stream is read, so nothing there can be answered.
    if (status === AckStatus.refusedTooLarge) count = 1
    const { whole, begun } = this.#sent()
    // Only its length is needed to refuse a message as too large.
    const answered = Math.min(count, status === AckStatus.refusedTooLarge ? begun : whole)
    const late = Math.min(answered, this.#overdue.length)
    const before = this.#queue.inFlightBytes
    this.#queue.settleWritten(answered)
    this.#widen(before - this.#queue.inFlightBytes)
    this.#overdue.answered(late)
    this.#awaited.forget(answered - late)
    this.#awaited.answered()
    if (answered > late) this.#init.settled(OUTCOMES[status], answered - late)
    if (answered < count) return false
    if (status === AckStatus.refusedTooLarge) this.#startOver()
    return true
  }

  /** Of the messages in flight, how many have left the stream with their last byte, and how many with their first. */
  #sent(): { whole: number; begun: number } {
    let whole = this.#queue.inFlight
    let waiting = this.#stream?.writeBufferLength ?? 0
    while (waiting > 0 && whole > 0) waiting -= this.#queue.wireLength(--whole)
    return { whole, begun: waiting < 0 ? whole + 1 : whole }
  }

  #widen(bytes: number): void {
    this.#windowBytes = Math.min(this.#init.limits.windowBytes, this.#windowBytes + bytes)
  }

  /** After this ack the remote reads nothing more from the stream, and it has not read what was written behind. */
  #startOver(): void {
    const stream = this.#drop()
    // What has timed out is settled, and must not be taken after that.
    this.#queue.settleWritten(this.#overdue.length)
    this.#overdue.clear()
    this.#queue.rewind()
    this.#windowBytes = Math.min(this.#init.limits.windowBytes, FIRST_WINDOW_BYTES)
    this.#awaited.clear()
    stream?.abort(new Error('the remote refused a message as too large'))
    this.#write()
  }

  #breakOff(stream: Stream, reason: string): void {
    this.#lose()
    stream.abort(new Error(reason))
    this.#init.malformed(reason)
  }

  /** The stream is gone with messages in flight: what became of those is not known. The rest tries another way. */
  #lose(): void {
    this.#drop()
    this.#failInFlight()
    this.#write()
  }

  /** What became of the messages in flight is not known; the last of them, so many, have not been written in time. */
  #failInFlight(late = 0): void {
    const unknown = this.#queue.inFlight - this.#overdue.length - late
    this.#queue.settleWritten(this.#queue.inFlight)
    this.#overdue.clear()
    this.#awaited.clear()
    if (unknown > 0) this.#init.settled('connection-lost', unknown)
    if (late > 0) this.#init.settled('ack-timeout', late)
  }

  #drop(): Stream | undefined {
    const stream = this.#stream
    this.#stream = undefined
    this.#queue.abandon()
    this.#detach?.()
    this.#detach = undefined
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#cancelWriteTimer?.()
    this.#cancelWriteTimer = undefined
    return stream
  }

  #armWriteTimer(): void {
    const stream = this.#stream
    if (stream === undefined || allHasLeft(stream)) {
      this.#cancelWriteTimer?.()
      this.#cancelWriteTimer = undefined
      return
    }
    const { clock, limits } = this.#init
    const since = clock.now()
    this.#cancelWriteTimer ??= clock.after(limits.writeTimeoutMs, () => {
      this.#cancelWriteTimer = undefined
      if (stream.writeBufferLength > 0 || this.#queue.unwritten > 0) this.#giveUpWriting(stream, since)
    })
  }

  /**
   * The stream does not take what it was given, and has had its time. What has not left it with its last byte ends as not
   * answered in time, although the remote cannot have taken it: the peer is connected, and no reason says more.
   */
  #giveUpWriting(stream: Stream, since: number): void {
    const late = this.#queue.inFlight - Math.max(this.#overdue.length, this.#sent().whole)
    const isHeard = this.#init.lastReceivedAt() > since
    this.#drop()
    this.#failInFlight(late)
    stream.abort(new Error('messages could not be written in time'))
    for (let i = 0; i < late && isHeard; i++) this.#init.unanswered()
    this.#write()
  }

  #armTimer(): void {
    if (this.#cancelTimer !== undefined || this.#queue.inFlight === this.#overdue.length) return
    const wait = Math.max(1, this.#deadline() - this.#init.clock.now())
    this.#cancelTimer = this.#init.clock.after(wait, () => {
      this.#cancelTimer = undefined
      this.#expireOverdue()
      this.#armTimer()
      this.#leaveIfStuck()
    })
  }

  /** When the oldest message in flight that has not expired must be answered. */
  #deadline(): number {
    return this.#awaited.deadline(this.#queue.wireLength(this.#overdue.length), this.#init.lastReceivedAt())
  }

  #expireOverdue(): void {
    while (this.#overdue.length < this.#queue.inFlight && this.#deadline() <= this.#init.clock.now()) {
      this.#awaited.forget(1)
      this.#overdue.add()
      this.#init.settled('ack-timeout', 1)
    }
  }

  /** All that is in flight will not be answered and keeps the rest from being written: this stream leads nowhere. */
  #leaveIfStuck(): void {
    const stream = this.#stream
    const { inFlight, unwritten } = this.#queue
    if (stream === undefined || inFlight === 0 || inFlight > this.#overdue.counted || unwritten === 0) return
    this.#lose()
    stream.abort(new Error('no message was answered in time'))
  }
}

/**
 * Whether the stream has passed on all it was given. While it has not, it is not given more, whatever the window says.
 */
function takesMore(stream: Stream): boolean {
  return stream.status === 'open' && allHasLeft(stream)
}

/** Both directions are open: messages can be written, and acks can come. */
function isUsable(stream: Stream): boolean {
  return stream.status === 'open' && !stream.readableEnded
}

const OUTCOMES: Record<AckStatus, Outcome> = {
  [AckStatus.accepted]: undefined,
  [AckStatus.refusedFull]: 'refused-full',
  [AckStatus.refusedTooLarge]: 'refused-too-large'
}
