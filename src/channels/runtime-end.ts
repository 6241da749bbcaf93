/** The runtime thread's ends of the sender and receiver channels. */
import { copyInto } from '../copy.ts'
import type { FrameRun } from '../framing/index.ts'
import { Word } from './control-block.ts'
import type { ControlBlock } from './control-block.ts'
import { CommandRecord, decodeText, encodeText, EventRecord, outcomeCode } from './records.ts'
import type { QueueReader, QueueWriter } from './shared-queue.ts'
import type { PlainCommand } from './sender.ts'
import type { ControlEvent, StatusFailure } from './types.ts'

/** Takes what the application has handed to the sender channel, in its order. */
export interface CommandHandler {
  /** From now on `subject` means this peer. */
  peer: (subject: number, peerId: string) => void
  /** `count` messages as whole wire frames, in shared memory that is given back when this returns: copy. */
  send: (subject: number, frames: Uint8Array, count: number) => void
  command: (command: PlainCommand) => void
}

/** Commands or bytes taken in one turn of the event loop; more waits for the next, so that sockets get theirs. */
const MAX_RECORDS_PER_TURN = 16_384
const MAX_BYTES_PER_TURN = 4 * 1024 * 1024

/** Reads the sender channel. */
export class CommandReader {
  readonly #control: ControlBlock
  readonly #queue: QueueReader

  constructor(control: ControlBlock, queue: QueueReader) {
    this.#control = control
    this.#queue = queue
  }

  /** Takes what is there, within the bounds of one turn; true when something may be left. Call at every doorbell. */
  drain(handler: CommandHandler): boolean {
    // From here on a new command rings again: whatever it follows is either seen below or announced.
    Atomics.store(this.#control, Word.commandsRung, 0)
    const queue = this.#queue
    let records = 0
    let bytes = 0
    let more = queue.next()
    while (more) {
      if (queue.kind === CommandRecord.send) {
        // Neighbouring messages for one peer lie side by side in memory: pass them on as one.
        const { subject, begin, bytes: memory } = queue
        let end = queue.end
        let count = 1
        for (;;) {
          more = ++records < MAX_RECORDS_PER_TURN && queue.next()
          if (
            !more ||
            queue.kind !== CommandRecord.send ||
            queue.subject !== subject ||
            queue.bytes !== memory
          )
            break
          end = queue.end
          count++
        }
        bytes += end - begin
        handler.send(subject, memory.subarray(begin, end), count)
      } else {
        const text = decodeText(queue.bytes, queue.begin, queue.end)
        if (queue.kind === CommandRecord.peer) handler.peer(queue.subject, text)
        else handler.command(JSON.parse(text) as PlainCommand)
        more = ++records < MAX_RECORDS_PER_TURN && queue.next()
      }
      if (more && bytes > MAX_BYTES_PER_TURN) {
        // The record just read must still be handled: hand it on alone, then leave.
        records = MAX_RECORDS_PER_TURN - 1
        bytes = 0
      }
    }
    return records >= MAX_RECORDS_PER_TURN
  }
}

/** Credits that the application sets for its receiver channel. */
export interface ReceiverLimits {
  messages: number
  bytes: number
}

/**
 * Control events are never dropped. Once so many are unread, nobody new is let in and nothing new is reported about
 * strangers or defects, until the application reads: the backlog is bounded by what the application itself has asked for.
 */
export const MAX_UNREAD_CONTROL = 65_536

/** Writes the receiver channel. Publications of one turn of the event loop wake the application once. */
export class EventWriter {
  readonly #control: ControlBlock
  readonly #queue: QueueWriter
  readonly #limits: ReceiverLimits
  readonly #signal: () => void
  readonly #freeSubjects: number[] = []
  #subjects = 0
  #messagesWritten = 0
  #bytesWritten = 0
  #controlWritten = 0
  #signalling = false

  constructor(control: ControlBlock, queue: QueueWriter, limits: ReceiverLimits, signal: () => void) {
    this.#control = control
    this.#queue = queue
    this.#limits = limits
    this.#signal = signal
  }

  /** Messages in the channel that the application has not read. */
  get unreadMessages(): number {
    return (this.#messagesWritten - Atomics.load(this.#control, Word.messagesRead)) | 0
  }

  /** Their payload bytes. */
  get unreadBytes(): number {
    return (this.#bytesWritten - Atomics.load(this.#control, Word.bytesRead)) | 0
  }

  /** Control events that the application has not read: they are never dropped, so their sources look at this. */
  get unreadControl(): number {
    return (this.#controlWritten - Atomics.load(this.#control, Word.controlRead)) | 0
  }

  /** Gives a peer a number for `data`. */
  introduce(peerId: string): number {
    const subject = this.#freeSubjects.pop() ?? this.#subjects++
    this.#publish(EventRecord.peer, subject, [encodeText(peerId)], 0, 0)
    return subject
  }

  /** The number may mean another peer from now on. */
  retire(subject: number): void {
    this.#freeSubjects.push(subject)
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
  data(subject: number, run: FrameRun): void {
    this.#messagesWritten = (this.#messagesWritten + run.count) | 0
    this.#bytesWritten = (this.#bytesWritten + run.payloadBytes) | 0
    Atomics.add(this.#control, Word.receiverWritten, run.count)
    this.#publish(EventRecord.data, subject, run.parts, run.count, 0)
  }

  /** Settles the `count` oldest messages to the peer that the application numbered `subject`. */
  status(subject: number, outcome: StatusFailure | undefined, count: number): void {
    Atomics.add(this.#control, Word.statusWritten, count)
    this.#publish(EventRecord.status, subject, [], count, outcomeCode(outcome))
  }

  /** Publishes any other event. */
  control(event: ControlEvent): void {
    this.#controlWritten = (this.#controlWritten + 1) | 0
    Atomics.add(this.#control, Word.receiverWritten, 1)
    if (event.type === 'Connected') Atomics.add(this.#control, Word.peersConnected, 1)
    if (event.type === 'Disconnected') Atomics.sub(this.#control, Word.peersConnected, 1)
    if ('id' in event && event.id !== undefined) Atomics.add(this.#control, Word.dialsAnswered, 1)
    this.#publish(EventRecord.control, 0, [encodeText(JSON.stringify(event))], 0, 0)
  }

  /** Wakes the application now. */
  flush(): void {
    this.#signalling = false
    this.#signal()
  }

  #publish(kind: number, subject: number, parts: readonly Uint8Array[], a: number, b: number): void {
    const queue = this.#queue
    let length = 0
    for (const part of parts) length += part.length
    queue.reserve(length)
    let at = queue.at
    for (const part of parts) {
      copyInto(queue.bytes, at, part)
      at += part.length
    }
    queue.commit(kind, subject, length, a, b)
    if (this.#signalling) return
    this.#signalling = true
    queueMicrotask(() => {
      if (this.#signalling) this.flush()
    })
  }
}
