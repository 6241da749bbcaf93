/**
 * Which part of a file goes next: go-back-N. Messages to one peer arrive in the order in which they were sent; when one
 * is refused, those that were sent after it have arrived without it, so all of them are sent again, in order, once the
 * fate of each is known. The receiver passes over what it does not need.
 */
export class SendWindow {
  /** Offset of what goes next. */
  position = 0
  /** How often something had to be sent again. */
  resent = 0
  /** Offsets of what is under way, by message id. */
  readonly #underWay = new Map<number, number>()
  #goBackTo = Infinity

  /** Something was refused: nothing goes until the rest is settled. */
  get holding(): boolean {
    return this.#goBackTo < Infinity
  }

  /** Everything before `position` is with the receiver. */
  get settled(): boolean {
    return this.#underWay.size === 0
  }

  /** The next `bytes` bytes were sent as message `id`. */
  sent(id: number, bytes: number): void {
    this.#underWay.set(id, this.position)
    this.position += bytes
  }

  /** Message `id` was taken by the receiver, or may not have been. */
  outcome(id: number, taken: boolean): void {
    const offset = this.#underWay.get(id)
    if (offset === undefined) return
    this.#underWay.delete(id)
    if (!taken) this.#goBackTo = Math.min(this.#goBackTo, offset)
    if (this.holding) this.resent++
    if (this.holding && this.settled) {
      this.position = this.#goBackTo
      this.#goBackTo = Infinity
    }
  }
}
