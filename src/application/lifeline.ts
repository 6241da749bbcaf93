import { MessageChannel, moveMessagePortToContext, receiveMessageOnPort } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'

/**
 * Shows the end of a thread to a caller that blocks and so hears of no event. The thread holds one end of a channel on
 * which nothing is ever said; with the thread, however it ends, that end closes, and then this one.
 */
export class Lifeline {
  /** For the thread to hold. */
  readonly farEnd: MessagePort
  readonly #nearEnd: MessagePort

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
      // A port does not tell that it is closed, but a closed one is refused before what is no context is. Nothing moves.
      moveMessagePortToContext(this.#nearEnd, NO_CONTEXT)
      return false
    } catch (err) {
      return (err as { code?: unknown }).code === 'ERR_CLOSED_MESSAGE_PORT'
    }
  }
}

const NO_CONTEXT = {}
