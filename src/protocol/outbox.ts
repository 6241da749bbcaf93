import type { Stream } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import type { Cancel, Clock } from '../clock.ts'
import { AckDecoder, AckStatus } from '../framing/index.ts'
import { NumberRing } from './ring.ts'
import { SendQueue } from './send-queue.ts'
import { eachPart } from './stream-data.ts'

/** How a message ended; `undefined` is accepted. The reasons are those of the Status event. */
export type Outcome =
  undefined | 'not-connected' | 'refused-full' | 'refused-too-large' | 'ack-timeout' | 'connection-lost'

export interface OutboxLimits {
  /** Time to answer a message, in milliseconds, not counting the time its bytes take (see `msPerByte`). */
  ackTimeoutMs: number
  /** Additional time per byte of the message, in milliseconds: the slowest link that counts as alive. */
  msPerByte: number
  /** Written and unanswered messages, and their bytes on the wire; one message may always be in flight. */
  windowMessages: number
  windowBytes: number
}

export interface OutboxInit {
  limits: OutboxLimits
  clock: Clock
  /** Opens a message stream to the peer; rejects when there is no way to him. */
  open: () => Promise<Stream>
  /** The `count` oldest messages ended. Called in the order of sending, once for every message. */
  settled: (outcome: Outcome, count: number) => void
  /** The peer did not answer a message in time. */
  unanswered: () => void
  /** The peer's answer breaks the protocol. */
  malformed: (reason: string) => void
}

/**
 * The sending half of the protocol towards one peer (docs/protocol.md, "Sending"): a queue, one long-lived message
 * stream, a window of written and unanswered messages, and their acks. Every message given to `send` is settled
 * exactly once, in order.
 */
export class Outbox {
  readonly #init: OutboxInit
  readonly #queue = new SendQueue()
  /** Runs of messages in flight that were written together: how many, and when. */
  readonly #runCounts = new NumberRing()
  readonly #runTimes = new NumberRing()
  /** The oldest messages in flight, so many, are settled as timed out; their late acks are awaited and ignored. */
  #expired = 0
  #answeredAt = 0
  #cancelTimer: Cancel | undefined

  #stream: Stream | undefined
  #opening = false
  #detach: (() => void) | undefined

  constructor(init: OutboxInit) {
    this.#init = init
  }

  /** Messages that are not settled. */
  get unsettled(): number {
    return this.#queue.length - this.#expired
  }

  /** Whether messages are written on a stream and may still be answered. */
  get busy(): boolean {
    return this.#queue.inFlight > 0
  }

  /** The stream messages are written on, if one is open. */
  get stream(): Stream | undefined {
    return this.#stream
  }

  /** Takes `count` messages as whole frames, copying them. */
  send(frames: Uint8Array, count: number): void {
    this.#queue.add(frames, count)
    this.#write()
  }

  /** Uses this stream from now on, unless there is one. It must have been opened for messages. */
  attach(stream: Stream): void {
    if (this.#stream !== undefined || stream.status !== 'open') {
      stream.abort(new Error('not needed'))
      return
    }
    this.#stream = stream
    // What follows a refusal as too large, in the same piece, answers messages that are being written again.
    const acks = new AckDecoder((status, count) => this.#stream !== stream || this.#answered(status, count))
    const onMessage = (event: { data: Uint8Array | Uint8ArrayList }): void => {
      for (const part of eachPart(event.data)) {
        const reason = this.#stream === stream ? acks.push(part) : undefined
        if (reason !== undefined) this.#breakOff(stream, reason)
      }
      this.#write()
    }
    const onDrain = (): void => {
      this.#write()
    }
    const onClose = (): void => {
      if (this.#stream === stream) this.#lose()
    }
    const onRemoteEnd = (): void => {
      // No ack can come any more. An orderly end with nothing in flight is the remote's right.
      if (this.#stream !== stream) return
      const reason = stream.status === 'open' ? acks.end() : undefined
      if (reason !== undefined) this.#breakOff(stream, reason)
      else {
        this.#lose()
        stream.abort(new Error('the remote ended the stream of acks'))
      }
    }
    stream.addEventListener('message', onMessage)
    stream.addEventListener('drain', onDrain)
    stream.addEventListener('close', onClose)
    stream.addEventListener('end', onRemoteEnd)
    this.#detach = () => {
      stream.removeEventListener('message', onMessage)
      stream.removeEventListener('drain', onDrain)
      stream.removeEventListener('close', onClose)
      stream.removeEventListener('end', onRemoteEnd)
    }
    this.#write()
  }

  /** Leaves the stream, which has nothing in flight, so that the next message opens another one. */
  release(): void {
    const stream = this.#drop()
    if (stream !== undefined)
      void stream.close({ signal: AbortSignal.timeout(1_000) }).catch(error => stream.abort(error as Error))
  }

  /** There is no way to the peer any more: everything is settled. */
  disconnect(): void {
    const stream = this.#drop()
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
    const { windowMessages, windowBytes } = this.#init.limits
    while (this.#stream === stream && stream.status === 'open' && !stream.writableNeedsDrain) {
      const before = this.#queue.inFlight
      const batch = this.#queue.takeBatch(windowMessages, windowBytes)
      if (batch.length === 0) break
      this.#runCounts.push(this.#queue.inFlight - before)
      this.#runTimes.push(this.#init.clock.now())
      try {
        stream.send(batch.length === 1 ? batch[0]! : new Uint8ArrayList(...batch))
      } catch {
        // The stream has just ended; its close event settles what is in flight.
        break
      }
    }
    this.#armTimer()
  }

  #open(): void {
    if (this.#opening) return
    this.#opening = true
    this.#init.open().then(
      stream => {
        this.#opening = false
        this.attach(stream)
      },
      () => {
        this.#opening = false
        // Whoever reports the end of the last connection calls `disconnect`; a peer that is connected and does not
        // take a message stream is, for messages, not connected either.
        if (this.#stream === undefined) this.disconnect()
      }
    )
  }

  #answered(status: AckStatus, count: number): boolean {
    const answered = Math.min(count, this.#queue.inFlight)
    const late = Math.min(answered, this.#expired)
    for (let i = 0; i < answered; i++) this.#forgetOldest()
    this.#expired -= late
    this.#answeredAt = this.#init.clock.now()
    if (answered > late) this.#init.settled(OUTCOMES[status], answered - late)
    if (answered < count) return false
    if (status === AckStatus.refusedTooLarge) this.#startOver()
    return true
  }

  /** After this ack the remote reads nothing more from the stream, and it has not read what was written behind. */
  #startOver(): void {
    const stream = this.#drop()
    this.#queue.rewind()
    this.#runCounts.clear()
    this.#runTimes.clear()
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

  #failInFlight(): void {
    const unknown = this.#queue.inFlight - this.#expired
    while (this.#queue.inFlight > 0) this.#forgetOldest()
    this.#expired = 0
    if (unknown > 0) this.#init.settled('connection-lost', unknown)
  }

  #forgetOldest(): void {
    this.#queue.settleWritten()
    const left = this.#runCounts.at(0) - 1
    this.#runCounts.setFirst(left)
    if (left > 0) return
    this.#runCounts.shift()
    this.#runTimes.shift()
  }

  #drop(): Stream | undefined {
    const stream = this.#stream
    this.#stream = undefined
    this.#detach?.()
    this.#detach = undefined
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    return stream
  }

  #armTimer(): void {
    if (this.#cancelTimer !== undefined || this.#queue.inFlight === this.#expired) return
    const wait = Math.max(1, this.#deadline() - this.#init.clock.now())
    this.#cancelTimer = this.#init.clock.after(wait, () => {
      this.#cancelTimer = undefined
      this.#expireOverdue()
      this.#armTimer()
    })
  }

  /**
   * When the oldest unexpired message in flight must be answered. Acks come in order, so its time begins when it was
   * written or when the one before was answered, whichever is later, and grows with its own length: a slow link that
   * moves is not a peer that does not answer.
   */
  #deadline(): number {
    const { ackTimeoutMs, msPerByte } = this.#init.limits
    const begin = Math.max(this.#writtenAt(this.#expired), this.#answeredAt)
    return begin + ackTimeoutMs + this.#queue.wireLength(this.#expired) * msPerByte
  }

  /** When the message at `index` was written. */
  #writtenAt(index: number): number {
    for (let run = 0; ; run++) {
      index -= this.#runCounts.at(run)
      if (index < 0) return this.#runTimes.at(run)
    }
  }

  #expireOverdue(): void {
    const stream = this.#stream
    while (
      this.#stream === stream &&
      this.#expired < this.#queue.inFlight &&
      this.#deadline() <= this.#init.clock.now()
    ) {
      this.#expired++
      this.#init.settled('ack-timeout', 1)
      this.#init.unanswered()
    }
    // All that is in flight has expired and nothing more can be written: this stream leads nowhere.
    if (stream !== undefined && this.#stream === stream && this.#expired === this.#queue.inFlight) {
      const { windowMessages } = this.#init.limits
      const stuck = stream.writableNeedsDrain || this.#queue.inFlight >= windowMessages
      if (this.#expired > 0 && stuck) {
        this.#lose()
        stream.abort(new Error('no message was answered in time'))
      }
    }
  }
}

const OUTCOMES: Record<AckStatus, Outcome> = {
  [AckStatus.accepted]: undefined,
  [AckStatus.refusedFull]: 'refused-full',
  [AckStatus.refusedTooLarge]: 'refused-too-large'
}
