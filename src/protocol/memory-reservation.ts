/** A place in the room, or in the queue for it. */
export interface Place {
  /** In the room; false: it is being waited for. */
  readonly isIn: boolean
  /** Gives it back. */
  leave: () => void
}

interface Entry extends Place {
  readonly bytes: number
  readonly granted: () => void
  isIn: boolean
}

/**
 * Memory for the incomplete messages of one connection. A message enters with its whole length, so whatever is in can
 * always be completed: there is no state in which each holds a part of the room and waits for the rest. Who finds none
 * waits for his turn; nobody overtakes.
 */
export class MemoryReservation {
  readonly #bytes: number
  #taken = 0
  readonly #queue: Entry[] = []

  /** A room of so many bytes, in which the largest message finds a place. */
  constructor(bytes: number) {
    this.#bytes = bytes
  }

  /** Enters at once, or when there is room: then `granted` is called. */
  enter(bytes: number, granted: () => void): Place {
    const entry: Entry = { bytes, granted, isIn: false, leave: () => this.#leave(entry) }
    this.#queue.push(entry)
    this.#admit(entry)
    return entry
  }

  #leave(entry: Entry): void {
    if (entry.isIn) this.#taken -= entry.bytes
    const at = this.#queue.indexOf(entry)
    if (at >= 0) this.#queue.splice(at, 1)
    entry.isIn = false
    this.#admit()
  }

  #admit(newcomer?: Entry): void {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      if (this.#taken + next.bytes > this.#bytes) return
      this.#queue.shift()
      this.#taken += next.bytes
      next.isIn = true
      // Not at once: it reads on, and this may be in the middle of another's reading.
      const entry = next
      if (entry !== newcomer) queueMicrotask(() => entry.isIn && entry.granted())
    }
  }
}
