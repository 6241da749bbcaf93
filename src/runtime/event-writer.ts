import { encodeText, EventRecord, outcomeCode, Word } from '../bridge/index.ts'
import type { ControlBlock, ControlEvent, QueueWriter, StatusFailure } from '../bridge/index.ts'
import type { FrameRun } from '../framing/index.ts'
import { copyInto } from '../memory/index.ts'

/** Credits that the application sets for its receiver channel. */
export interface ReceiverLimits {
  messages: number
  bytes: number
}

/** Writes the receiver channel. Publications of one turn of the event loop wake the application once. */
export class EventWriter {
  readonly #control: ControlBlock
  readonly #queue: QueueWriter
  readonly #limits: ReceiverLimits
  readonly #signal: () => void
  readonly #told: ((event: ControlEvent) => void) | undefined
  readonly #freeHandles: number[] = []
  #handles = 0
  #messagesWritten = 0
  #bytesWritten = 0
  #controlWritten = 0
  #signalling = false

  /** `told`: called for each control event. */
  constructor(
    control: ControlBlock,
    queue: QueueWriter,
    limits: ReceiverLimits,
    signal: () => void,
    told?: (event: ControlEvent) => void
  ) {
    this.#control = control
    this.#queue = queue
    this.#limits = limits
    this.#signal = signal
    this.#told = told
  }

  /** Messages in the channel that the application has not read. */
  get unreadMessages(): number {
    return (this.#messagesWritten - Atomics.load(this.#control, Word.messagesRead)) | 0
  }

  /** Their payload bytes. */
  get unreadBytes(): number {
    return (this.#bytesWritten - Atomics.load(this.#control, Word.bytesRead)) | 0
  }

  /** Control events that the application has not read: they are never dropped, so what strangers cause looks at this first. */
  get unreadControl(): number {
    return (this.#controlWritten - Atomics.load(this.#control, Word.controlRead)) | 0
  }

  /** Gives a peer a number for `data`. */
  introduce(peerId: string): number {
    const handle = this.#freeHandles.pop() ?? this.#handles++
    this.#publish(EventRecord.peer, handle, [encodeText(peerId)], 0, 0)
    return handle
  }

  /** The number may mean another peer from now on. */
  retire(handle: number): void {
    this.#freeHandles.push(handle)
  }

  /**
   * Whether a run of messages fits into the channel as a whole. A single one always fits into the empty channel: else
   * one above `limits.receiverBytes` could never be taken.
   */
  hasRoom(messages: number, bytes: number): boolean {
    const unread = this.unreadMessages
    if (unread === 0 && messages === 1) return true
    return unread + messages <= this.#limits.messages && this.unreadBytes + bytes <= this.#limits.bytes
  }

  /** Publishes messages. Only after `hasRoom`. */
  data(handle: number, run: FrameRun): void {
    this.#messagesWritten = (this.#messagesWritten + run.count) | 0
    this.#bytesWritten = (this.#bytesWritten + run.payloadBytes) | 0
    Atomics.add(this.#control, Word.receiverWritten, run.count)
    this.#publish(EventRecord.data, handle, run.parts, run.count, 0)
  }

  /** Settles the `count` oldest messages to the peer that the application numbered `handle`. */
  status(handle: number, outcome: StatusFailure | undefined, count: number): void {
    Atomics.add(this.#control, Word.statusWritten, count)
    this.#publish(EventRecord.status, handle, [], count, outcomeCode(outcome))
  }

  /** Publishes any other event. */
  control(event: ControlEvent): void {
    this.#controlWritten = (this.#controlWritten + 1) | 0
    Atomics.add(this.#control, Word.receiverWritten, 1)
    if (event.type === 'Connected') Atomics.add(this.#control, Word.peersConnected, 1)
    if (event.type === 'Disconnected') Atomics.sub(this.#control, Word.peersConnected, 1)
    if ('id' in event && event.id !== undefined) Atomics.add(this.#control, Word.dialsAnswered, 1)
    this.#told?.(event)
    this.#publish(EventRecord.control, 0, [encodeText(JSON.stringify(event))], 0, 0)
  }

  /** Wakes the application now. */
  flush(): void {
    this.#signalling = false
    this.#signal()
  }

  #publish(kind: number, handle: number, parts: readonly Uint8Array[], a: number, b: number): void {
    const queue = this.#queue
    let length = 0
    for (const part of parts) length += part.length
    queue.reserve(length)
    let at = queue.at
    for (const part of parts) {
      copyInto(queue.bytes, at, part)
      at += part.length
    }
    queue.commit(kind, handle, length, a, b)
    if (this.#signalling) return
    this.#signalling = true
    queueMicrotask(() => {
      if (this.#signalling) this.flush()
    })
  }
}
