/**
 * Counters of messages that were refused because the receiver channel was full: one per peer, in shared memory, so
 * that a flood of drops costs no memory and no event, and the count is complete at the moment it is read.
 */
import { Word } from './control-block.ts'
import type { ControlBlock } from './control-block.ts'
import { decodeText, encodeText, PriorityRecord } from './records.ts'
import type { QueueReader, QueueWriter } from './shared-queue.ts'
import type { EventSource } from './receiver.ts'
import type { PriorityEvent } from './types.ts'

/** Peers whose drops can be unread at once. The drops of any further peer wait in the runtime until one is read. */
const SLOTS = 4_096
/** Peers whose drops can wait for a slot; beyond them the refusals are told to their senders only. */
const MAX_WAITING = 65_536
/** Per slot: a lock, and whether its count is unread. */
const LOCK = 0
const UNREAD = 1
const SLOT_WORDS = 4
const SLOT_BYTES = SLOT_WORDS * 4 + 16

/** Zeroed memory for the counters. */
export function createDroppedMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(SLOTS * SLOT_BYTES)
}

interface Count {
  messages: number
  bytes: number
}

/** The counters themselves, seen from either thread. */
class Counters {
  readonly #words: Int32Array
  readonly #counts: Float64Array

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, SLOTS * SLOT_WORDS)
    this.#counts = new Float64Array(memory, SLOTS * SLOT_WORDS * 4)
  }

  isUnread(slot: number): boolean {
    return Atomics.load(this.#words, slot * SLOT_WORDS + UNREAD) === 1
  }

  /** Adds to a slot; true when its count had been read, so that it has to be announced again. */
  add(slot: number, count: Count): boolean {
    this.#lock(slot)
    const fresh = !this.isUnread(slot)
    this.#counts[slot * 2] = (fresh ? 0 : this.#counts[slot * 2]!) + count.messages
    this.#counts[slot * 2 + 1] = (fresh ? 0 : this.#counts[slot * 2 + 1]!) + count.bytes
    Atomics.store(this.#words, slot * SLOT_WORDS + UNREAD, 1)
    this.#unlock(slot)
    return fresh
  }

  /** Reads a slot and gives it back. */
  take(slot: number): Count {
    this.#lock(slot)
    const count = { messages: this.#counts[slot * 2]!, bytes: this.#counts[slot * 2 + 1]! }
    Atomics.store(this.#words, slot * SLOT_WORDS + UNREAD, 0)
    this.#unlock(slot)
    return count
  }

  /** Held for a handful of stores, so the other thread waits for microseconds, unless its holder is descheduled. */
  #lock(slot: number): void {
    const word = slot * SLOT_WORDS + LOCK
    while (Atomics.compareExchange(this.#words, word, 0, 1) !== 0) Atomics.wait(this.#words, word, 1, 1)
  }

  #unlock(slot: number): void {
    Atomics.store(this.#words, slot * SLOT_WORDS + LOCK, 0)
    Atomics.notify(this.#words, slot * SLOT_WORDS + LOCK, 1)
  }
}

/** The runtime's end of the priority channel. */
export class DroppedWriter {
  readonly #control: ControlBlock
  readonly #counters: Counters
  readonly #queue: QueueWriter
  readonly #signal: () => void
  readonly #slots = new Map<string, number>()
  readonly #owners = [] as Array<string | undefined>
  readonly #waiting = new Map<string, Count>()
  #next = 0
  /** Messages refused since the start. */
  total = 0

  constructor(control: ControlBlock, memory: SharedArrayBuffer, queue: QueueWriter, signal: () => void) {
    this.#control = control
    this.#counters = new Counters(memory)
    this.#queue = queue
    this.#signal = signal
  }

  /** Counts refused messages of a peer. */
  add(peerId: string, count: Count): void {
    this.total += count.messages
    if (this.#waiting.size > 0) this.#retry()
    this.#add(peerId, count)
  }

  #add(peerId: string, count: Count): void {
    const slot = this.#slots.get(peerId) ?? this.#claim(peerId)
    if (slot === undefined) {
      const waiting = this.#waiting.get(peerId) ?? { messages: 0, bytes: 0 }
      waiting.messages += count.messages
      waiting.bytes += count.bytes
      if (this.#waiting.size < MAX_WAITING) this.#waiting.set(peerId, waiting)
      return
    }
    if (!this.#counters.add(slot, count)) return
    const name = encodeText(peerId)
    this.#queue.reserve(name.length)
    this.#queue.bytes.set(name, this.#queue.at)
    Atomics.add(this.#control, Word.priorityWritten, 1)
    this.#queue.commit(PriorityRecord.dropped, slot, name.length, 0, 0)
    this.#signal()
  }

  /** Peers that found no slot get one as soon as the application has read some. */
  #retry(): void {
    for (const [peerId, count] of this.#waiting) {
      if (this.#claim(peerId) === undefined) return
      this.#waiting.delete(peerId)
      this.#add(peerId, count)
    }
  }

  /** A slot whose count has been read, for this peer. */
  #claim(peerId: string): number | undefined {
    for (let tried = 0; tried < SLOTS; tried++) {
      const slot = this.#next
      this.#next = (slot + 1) % SLOTS
      if (this.#counters.isUnread(slot)) continue
      const owner = this.#owners[slot]
      if (owner !== undefined) this.#slots.delete(owner)
      this.#owners[slot] = peerId
      this.#slots.set(peerId, slot)
      return slot
    }
    return undefined
  }
}

/** The application's end: reads the count at the moment the event is taken. */
export class DroppedSource implements EventSource<PriorityEvent> {
  readonly #control: ControlBlock
  readonly #counters: Counters
  readonly #queue: QueueReader
  #read = 0

  constructor(control: ControlBlock, memory: SharedArrayBuffer, queue: QueueReader) {
    this.#control = control
    this.#counters = new Counters(memory)
    this.#queue = queue
  }

  get length(): number {
    return (Atomics.load(this.#control, Word.priorityWritten) - this.#read) | 0
  }

  take(): PriorityEvent | undefined {
    const queue = this.#queue
    if (!queue.next()) return undefined
    this.#read++
    const peerId = decodeText(queue.bytes, queue.begin, queue.end)
    return { type: 'Dropped', peerId, ...this.#counters.take(queue.subject) }
  }
}
