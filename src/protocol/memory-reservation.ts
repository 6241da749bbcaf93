/** Memory for one message: reserved, or waited for. */
export interface Reservation {
  /** False: there is not enough yet. */
  readonly isGranted: boolean
  /** Gives it back, or up. */
  release: () => void
}

interface Entry extends Reservation {
  readonly bytes: number
  readonly onGranted: () => void
  isGranted: boolean
}

/**
 * Memory for the incomplete messages of one connection. A message reserves its whole length before more of it is read, so
 * every message that has a reservation can be completed: there is no state in which each has a part and waits for the rest.
 * Those for which there is not enough wait, first come, first served.
 */
export class MemoryReservation {
  readonly #bytes: number
  #reserved = 0
  readonly #waiting: Entry[] = []

  /** So many bytes, enough for the largest message. */
  constructor(bytes: number) {
    this.#bytes = bytes
  }

  /** Reserves at once, or when enough has been released: then `onGranted` is called. */
  reserve(bytes: number, onGranted: () => void): Reservation {
    const entry: Entry = { bytes, onGranted, isGranted: false, release: () => this.#release(entry) }
    this.#waiting.push(entry)
    this.#grant(entry)
    return entry
  }

  #release(entry: Entry): void {
    if (entry.isGranted) this.#reserved -= entry.bytes
    const at = this.#waiting.indexOf(entry)
    if (at >= 0) this.#waiting.splice(at, 1)
    entry.isGranted = false
    this.#grant()
  }

  #grant(newcomer?: Entry): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#reserved + next.bytes > this.#bytes) return
      this.#waiting.shift()
      this.#reserved += next.bytes
      next.isGranted = true
      // Not at once: its stream reads on, and this may be in the middle of the reading of another.
      const entry = next
      if (entry !== newcomer) queueMicrotask(() => entry.isGranted && entry.onGranted())
    }
  }
}
