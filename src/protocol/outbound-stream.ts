import type { Stream } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import type { Cancel, Clock } from '../clock.ts'
import { AckDecoder } from '../framing/index.ts'
import type { AckStatus } from '../framing/index.ts'
import { eachPart } from '../memory/index.ts'
import { onRemoteEnd } from './stream-ends.ts'
import { allHasLeft, bytesInStream } from './write-backlog.ts'

/** What becomes of a stream and of what is written on it. Nothing is called any more once the stream has been left. */
export interface OutboundStreamInit {
  stream: Stream
  clock: Clock
  /** How long the stream may take to pass on what it was given, in milliseconds. */
  writeTimeoutMs: number
  /** Acks, `count` of one status. False: they answer no message that was sent whole. */
  answered: (status: AckStatus, count: number) => boolean
  /** Acks have been read, or what was written has left: more may be written. */
  progressed: () => void
  /** What was written at `since`, on the clock, or behind it has not left in time. */
  writeTimedOut: (since: number) => void
  /** The acks break the protocol. */
  malformed: (reason: string) => void
  /** The remote has ended the acks in an orderly way, behind one at least or not. */
  ended: (hasAnswered: boolean) => void
  /** The stream is gone. */
  lost: () => void
}

/** A message stream as its opener sees it: messages out, acks back, until either side ends it. */
export class OutboundStream {
  readonly stream: Stream
  readonly #init: OutboundStreamInit
  readonly #acks: AckDecoder
  #hasAnswered = false
  #cancelWriteTimer: Cancel | undefined
  #isLeft = false

  constructor(init: OutboundStreamInit) {
    const { stream } = init
    this.stream = stream
    this.#init = init
    this.#acks = new AckDecoder((status, count) => {
      this.#hasAnswered = true
      // What follows a refusal as too large, in the same piece, answers messages that are being written again.
      return this.#isLeft || init.answered(status, count)
    })
    stream.addEventListener('message', this.#onMessage)
    stream.addEventListener('drain', this.#onDrain)
    stream.addEventListener('close', this.#onClose)
    onRemoteEnd(stream, () => this.#onRemoteEnd())
  }

  /** The stream is open and has passed on all it was given. While it has not, it is not given more, whatever the window says. */
  get takesMore(): boolean {
    return this.stream.status === 'open' && allHasLeft(this.stream)
  }

  /** Of the bytes last written, how many lie in the stream. */
  get backlog(): number {
    return bytesInStream(this.stream)
  }

  /** Writes one batch. False: the stream has just ended, which `lost` tells. */
  write(batch: Uint8Array[]): boolean {
    try {
      this.stream.send(batch.length === 1 ? batch[0]! : new Uint8ArrayList(...batch))
      return true
    } catch {
      return false
    }
  }

  /** Gives the stream its time to pass on what was written, if it has not. */
  watchBacklog(): void {
    if (allHasLeft(this.stream)) {
      this.#stopTimer()
      return
    }
    const { clock, writeTimeoutMs, writeTimedOut } = this.#init
    const since = clock.now()
    this.#cancelWriteTimer ??= clock.after(writeTimeoutMs, () => {
      this.#cancelWriteTimer = undefined
      writeTimedOut(since)
    })
  }

  /** Nothing is written or read any more. The stream itself is left as it is. */
  leave(): void {
    this.#isLeft = true
    this.#stopTimer()
    this.stream.removeEventListener('message', this.#onMessage)
    this.stream.removeEventListener('drain', this.#onDrain)
    this.stream.removeEventListener('close', this.#onClose)
  }

  readonly #onMessage = (event: { data: Uint8Array | Uint8ArrayList }): void => {
    for (const part of eachPart(event.data)) {
      const reason = this.#isLeft ? undefined : this.#acks.push(part)
      if (reason !== undefined) this.#init.malformed(reason)
    }
    this.#goOn()
  }

  // The stream goes on with what it holds in a microtask of its own, queued before this one.
  readonly #onDrain = (): void => queueMicrotask(() => this.#goOn())

  readonly #onClose = (): void => this.#init.lost()

  #onRemoteEnd(): void {
    if (this.#isLeft) return
    const reason = this.#acks.end()
    if (reason === undefined) this.#init.ended(this.#hasAnswered)
    else this.#init.malformed(reason)
  }

  #goOn(): void {
    if (!this.#isLeft) this.#init.progressed()
  }

  #stopTimer(): void {
    this.#cancelWriteTimer?.()
    this.#cancelWriteTimer = undefined
  }
}
