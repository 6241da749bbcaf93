import { Counters, encodeText, PriorityRecord, Word } from '../bridge/index.ts'
import type { ControlBlock, Count, QueueWriter } from '../bridge/index.ts'
import { MAX_DROPS_WAITING } from './limits.ts'

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
      if (this.#waiting.size < MAX_DROPS_WAITING) this.#waiting.set(peerId, waiting)
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
    const { slots } = this.#counters
    for (let tried = 0; tried < slots; tried++) {
      const slot = this.#next
      this.#next = (slot + 1) % slots
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
