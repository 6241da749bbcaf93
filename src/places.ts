/** A number of places that are taken and left, and a queue for them: whoever has waited longest is next. */
export class Places {
  #free: number
  readonly #total: number
  readonly #waiting = new Set<() => void>()

  /** @param total 1 or more */
  constructor(total: number) {
    this.#total = total
    this.#free = total
  }

  /** How many are taken. */
  get taken(): number {
    return this.#total - this.#free
  }

  /**
   * Takes a place: at once, before it returns, where one is free.
   *
   * @returns what leaves it; harmless when called again
   * @throws the signal's reason, when it aborts before there is a place
   */
  async enter(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted()
    if (this.#free > 0) {
      this.#free--
      return this.#leaveOnce()
    }
    return new Promise((resolve, reject) => {
      const admit = (): void => {
        signal.removeEventListener('abort', giveUp)
        resolve(this.#leaveOnce())
      }
      const giveUp = (): void => {
        this.#waiting.delete(admit)
        reject(signal.reason as Error)
      }
      this.#waiting.add(admit)
      signal.addEventListener('abort', giveUp, { once: true })
    })
  }

  #leaveOnce(): () => void {
    let left = false
    return () => {
      if (left) return
      left = true
      const [next] = this.#waiting
      if (next === undefined) {
        this.#free++
        return
      }
      this.#waiting.delete(next)
      next()
    }
  }
}
