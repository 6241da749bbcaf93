import { Counters, decodeText, Word } from '../bridge/index.ts'
import type { ControlBlock, PriorityEvent, QueueReader } from '../bridge/index.ts'
import type { EventSource } from './receiver.ts'

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
    return { type: 'Dropped', peerId, ...this.#counters.take(queue.handle) }
  }
}
