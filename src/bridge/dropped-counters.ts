/**
 * Counters of messages that were refused because the receiver channel was full: one per peer, in shared memory, so
 * that a flood of drops costs no memory and no event, and the count is complete at the moment it is read.
 */

import { SLOTS } from './limits.ts'

/** Per slot: a lock, and whether its count is unread. */
const LOCK = 0
const UNREAD = 1
const SLOT_WORDS = 4
const SLOT_BYTES = SLOT_WORDS * 4 + 16

/** Zeroed memory for the counters. */
export function createDroppedMemory(slots: number = SLOTS): SharedArrayBuffer {
  return new SharedArrayBuffer(slots * SLOT_BYTES)
}

export interface Count {
  messages: number
  bytes: number
}

/** The counters themselves, seen from either thread. */
export class Counters {
  readonly slots: number
  readonly #words: Int32Array
  readonly #counts: Float64Array

  constructor(memory: SharedArrayBuffer) {
    this.slots = memory.byteLength / SLOT_BYTES
    this.#words = new Int32Array(memory, 0, this.slots * SLOT_WORDS)
    this.#counts = new Float64Array(memory, this.slots * SLOT_WORDS * 4)
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
