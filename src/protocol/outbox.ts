import type { Stream } from '@libp2p/interface'
import type { Cancel, Clock } from '../clock.ts'
import { AckStatus } from '../framing/index.ts'
import type { StatusFailure } from '../outcomes.ts'
import { RELEASE_TIMEOUT_MS } from './limits.ts'
import { OutboundStream } from './outbound-stream.ts'
import { SendQueue } from './send-queue.ts'
import { endStream } from './stream-ends.ts'
import { SendWindow } from './window.ts'
import type { Departure, WindowLimits } from './window.ts'

/*
 * The way of a message to one peer (docs/protocol.md, "Sending"). The functions below follow it.
 *
 *   send      its frame is copied into the queue (send-queue.ts), its length into the window (window.ts)
 *   open      a message stream is opened, unless there is one; without a way to the peer it ends `not-connected`
 *   write     it is written in a batch with others, when the window and the stream (outbound-stream.ts) let it in
 *   answer    its ack is read: it ends as the ack says, and leaves window and queue
 *
 * or, once it is written, instead of an answer:
 *
 *   expire    no ack in time: it ends `ack-timeout`; its late ack is still awaited, and whether the lack of it is the peer's
 *             doing is judged later (overdue.ts)
 *   rewind    one before it was refused as too large, so the remote has not read it: back to `open`
 *   lose      the stream is gone: it ends `connection-lost`, and may have been taken or not
 *   give up   the stream did not take it in time: it ends `ack-timeout`
 *
 * and at any stage:
 *
 *   disconnect   it ends `not-connected` if it was not written, else as in `lose`
 */

/** How a message ended; `undefined` is accepted. */
export type Outcome = Exclude<StatusFailure, 'stopped'> | undefined

const OUTCOMES: Record<AckStatus, Outcome> = {
  [AckStatus.accepted]: undefined,
  [AckStatus.refusedFull]: 'refused-full',
  [AckStatus.refusedTooLarge]: 'refused-too-large'
}

export interface OutboxLimits extends WindowLimits {
  /** How long the stream may take to pass on what it was given, in milliseconds. */
  writeTimeoutMs: number
}

export interface OutboxInit {
  limits: OutboxLimits
  clock: Clock
  /** Write backlog at most (write-backlog.ts): bytes written on a stream, the last ones, whose memory may still be looked at. */
  backlog: (stream: Stream) => number
  /** When the connection that carries the stream last brought bytes of the peer, on the clock. */
  lastReceivedAt: () => number
  /** Calls the action once when the peer is next heard on that connection, if it is. */
  whenHeard: (action: () => void) => Cancel
  /** Whether more may be written on the stream now; `resume` is called when that changes. */
  mayWrite: () => boolean
  /** Opens a message stream to the peer; rejects when there is no way to it. */
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

/**
 * The sending half of the protocol towards one peer: a queue, one long-lived message stream, a window of written and
 * unanswered messages, and their acks. Every message given to `send` is settled exactly once, in order.
 */
export class Outbox {
  readonly #init: OutboxInit
  readonly #queue = new SendQueue()
  readonly #window: SendWindow
  #stream: OutboundStream | undefined
  /** The attempt to open a stream that is under way. */
  #opening: Promise<Stream> | undefined
  #cancelAckTimer: Cancel | undefined

  constructor(init: OutboxInit) {
    this.#init = init
    const { clock, limits, lastReceivedAt, whenHeard, unanswered } = init
    this.#window = new SendWindow({
      clock,
      limits,
      lastReceivedAt,
      whenHeard,
      unanswered: () => {
        unanswered()
        this.#loseIfStuck()
      }
    })
  }

  /** Messages that are not settled. */
  get unsettled(): number {
    return this.#window.unsettled
  }

  /** Whether messages are written on a stream and may still be answered. */
  get busy(): boolean {
    return this.#window.inFlight > 0
  }

  /** The stream messages are written on, if one is open. */
  get stream(): Stream | undefined {
    return this.#stream?.stream
  }

  /** Takes messages as whole frames, copying them. */
  send(frames: Uint8Array): void {
    this.#queue.add(frames)
    this.#window.add(frames)
    this.#write()
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
    const isCurrent = this.#opening === opening
    if (isCurrent) this.#opening = undefined
    if (isCurrent && stream !== undefined && isUsable(stream)) {
      this.attach(stream)
      return
    }
    stream?.abort(new Error('not needed'))
    // When the last connection ends, `disconnect` is called. A peer that is connected and does not take a message stream, or
    // ends it at once, is, for messages, not connected either.
    if (isCurrent && this.#stream === undefined) this.disconnect()
  }

  /** Uses this stream from now on, unless there is one. It must have been opened for messages. */
  attach(stream: Stream): void {
    if (this.#stream !== undefined || !isUsable(stream)) {
      stream.abort(new Error('not needed'))
      return
    }
    const { clock, limits } = this.#init
    this.#stream = new OutboundStream({
      stream,
      clock,
      writeTimeoutMs: limits.writeTimeoutMs,
      answered: (status, count) => this.#answered(status, count),
      progressed: () => this.#write(),
      writeTimedOut: since => this.#writeTimedOut(since),
      malformed: reason => {
        this.#lose(reason)
        this.#init.malformed(reason)
      },
      ended: hasAnswered => {
        // An orderly end with nothing in flight is the remote's right.
        if (!hasAnswered && this.#window.awaited > 0) this.#init.endedEarly(stream)
        this.#lose('the remote ended the stream of acks')
      },
      lost: () => this.#lose('the stream is gone')
    })
    this.#write()
  }

  /** Writes on, if that is possible now. */
  resume(): void {
    this.#write()
  }

  #write(): void {
    const stream = this.#stream
    if (stream === undefined) {
      if (this.#window.waiting > 0) this.#open()
      return
    }
    while (this.#stream === stream && stream.takesMore && this.#init.mayWrite()) {
      const bytes = this.#window.admit()
      if (bytes === 0 || !stream.write(this.#queue.take(bytes))) break
    }
    this.#armAckTimer()
    this.#stream?.watchBacklog()
    this.#loseIfStuck()
  }

  /** Acks of messages in flight, `count` of one status; false if they answer messages that have not been sent whole. */
  #answered(status: AckStatus, count: number): boolean {
    const { stream, backlog } = this.#stream!
    const isTooLarge = status === AckStatus.refusedTooLarge
    // Behind a refusal as too large nothing on this stream is read, so nothing there can be answered.
    if (isTooLarge) count = 1
    // Only its length is needed to refuse a message as too large.
    const answerable = isTooLarge ? this.#window.begun(backlog) : this.#window.whole(backlog)
    const answered = Math.min(count, answerable)
    if (answered > 0) {
      const { awaited, bytes } = this.#window.answer(answered)
      this.#queue.release(bytes, this.#init.backlog(stream))
      this.#settle(OUTCOMES[status], awaited)
    }
    if (answered < count) return false
    if (isTooLarge) this.#rewind()
    return true
  }

  #armAckTimer(): void {
    if (this.#cancelAckTimer !== undefined || this.#window.awaited === 0) return
    const { clock } = this.#init
    this.#cancelAckTimer = clock.after(Math.max(1, this.#window.deadline() - clock.now()), () => {
      this.#cancelAckTimer = undefined
      this.#settle('ack-timeout', this.#window.expire())
      this.#armAckTimer()
    })
  }

  /** All that is in flight will not be answered and keeps the rest from being written: this stream leads nowhere. */
  #loseIfStuck(): void {
    if (this.#stream !== undefined && this.#window.isStuck) this.#lose('no message was answered in time')
  }

  /** The remote has refused a message as too large: it has read nothing behind it, and reads nothing more of the stream. */
  #rewind(): void {
    const stream = this.#leave()
    this.#drop(this.#window.rewind())
    this.#queue.rewind()
    stream?.abort(new Error('the remote refused a message as too large'))
    this.#write()
  }

  /** The stream brings no acks any more: what became of the messages in flight is not known. The rest tries another way. */
  #lose(reason: string): void {
    const stream = this.#leave()
    this.#settle('connection-lost', this.#drop(this.#window.lose()))
    this.#write()
    stream?.abort(new Error(reason))
  }

  /**
   * The stream does not take what it was given, and has had its time. What has not left it with its last byte ends as not
   * answered in time, although the remote cannot have taken it: the peer is connected, and no reason says more.
   */
  #writeTimedOut(since: number): void {
    const { inFlight, awaited, waiting } = this.#window
    const { backlog } = this.#stream!
    // It only asks for patience, and nothing is there that needs it.
    if (backlog === 0 && waiting === 0) return
    const late = Math.min(awaited, inFlight - this.#window.whole(backlog))
    const isHeard = this.#init.lastReceivedAt() > since
    const stream = this.#leave()
    this.#settle('connection-lost', this.#drop(this.#window.lose()) - late)
    this.#settle('ack-timeout', late)
    stream?.abort(new Error('messages could not be written in time'))
    for (let i = 0; i < late && isHeard; i++) this.#init.unanswered()
    this.#write()
  }

  /** Leaves the stream, which has nothing in flight, so that the next message opens another one. */
  release(): void {
    const stream = this.#leave()
    if (stream !== undefined) void endStream(stream, this.#init.clock, RELEASE_TIMEOUT_MS)
    this.#write()
  }

  /** There is no way to the peer any more: everything is settled. */
  disconnect(): void {
    const stream = this.#leave()
    this.#opening = undefined
    this.#settle('connection-lost', this.#drop(this.#window.lose()))
    this.#queue.clear()
    this.#settle('not-connected', this.#window.clear())
    stream?.abort(new Error('disconnected'))
  }

  /** Nothing is written or read on the stream any more. */
  #leave(): Stream | undefined {
    const stream = this.#stream
    this.#stream = undefined
    stream?.leave()
    this.#queue.abandon()
    this.#cancelAckTimer?.()
    this.#cancelAckTimer = undefined
    return stream?.stream
  }

  /** Messages have left the window without an ack: their bytes go; `abandon` has pinned the slabs. How many had no outcome. */
  #drop({ awaited, bytes }: Departure): number {
    this.#queue.release(bytes, 0)
    return awaited
  }

  #settle(outcome: Outcome, count: number): void {
    if (count > 0) this.#init.settled(outcome, count)
  }
}

/** Both directions are open: messages can be written, and acks can come. */
function isUsable(stream: Stream): boolean {
  return stream.status === 'open' && !stream.readableEnded
}
