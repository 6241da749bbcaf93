/** Often enough for a moving display, in milliseconds. */
const INTERVAL_MS = 50

/** Keeps reports of progress apart. */
export class Pace {
  #last = -Infinity

  /** Whether the last report is old enough for another. */
  due(): boolean {
    const now = performance.now()
    if (now - this.#last < INTERVAL_MS) return false
    this.#last = now
    return true
  }
}
