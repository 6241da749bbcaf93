import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'

/**
 * Shows the end of a thread to a caller who blocks, and so hears of no event. The thread holds one end of a channel on
 * which nothing is ever said; with the thread, however it ends, that end closes, and then this one; and a closed port
 * cannot be transferred any more.
 */
export class Lifeline {
  /** For the thread to hold. */
  readonly farEnd: MessagePort
  #nearEnd: MessagePort

  constructor() {
    const { port1, port2 } = new MessageChannel()
    this.#nearEnd = port1
    this.farEnd = port2
  }

  /** Whether the far end is gone. */
  isCut(): boolean {
    // There is no message to receive; this takes in that the other end has closed.
    receiveMessageOnPort(this.#nearEnd)
    try {
      this.#nearEnd = structuredClone(this.#nearEnd, { transfer: [this.#nearEnd] })
      return false
    } catch {
      return true
    }
  }
}
