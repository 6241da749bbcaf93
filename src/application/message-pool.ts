import { markAsUntransferable } from 'node:worker_threads'
import { copyOf } from '../memory/index.ts'
import { ON_HEAP_BYTES, POOL_BYTES } from './limits.ts'

/**
 * The memory that received messages are handed out in. Small ones share a buffer with others that were handed out
 * before, never with any that the application has not read; such a buffer cannot be transferred. An application that keeps one message
 * keeps at most `POOL_BYTES`.
 */
export class MessagePool {
  #pool = new Uint8Array(0)
  #at = 0

  /** A copy, for the application, of the message that stands there. */
  copy(bytes: Uint8Array, begin: number, end: number): Uint8Array {
    const length = end - begin
    if (length <= ON_HEAP_BYTES || length > POOL_BYTES / 4) return copyOf(bytes.subarray(begin, end))
    if (this.#at + length > this.#pool.length) {
      this.#pool = new Uint8Array(POOL_BYTES)
      this.#at = 0
      markAsUntransferable(this.#pool.buffer)
    }
    // Unlike `set` it needs no view of the source, which would cost as much as the copy.
    Buffer.prototype.copy.call(bytes, this.#pool, this.#at, begin, end)
    const copy = this.#pool.subarray(this.#at, this.#at + length)
    this.#at += length
    return copy
  }
}
