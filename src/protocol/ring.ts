/** A growing first-in, first-out ring of numbers, without an allocation per entry. */
export class NumberRing {
  #values = new Float64Array(16)
  #head = 0
  length = 0

  push(value: number): void {
    if (this.length === this.#values.length) this.#grow()
    this.#values[(this.#head + this.length++) & (this.#values.length - 1)] = value
  }

  /** The entry at `index`, counted from the oldest. */
  at(index: number): number {
    return this.#values[(this.#head + index) & (this.#values.length - 1)]!
  }

  /** Replaces the oldest entry. */
  setFirst(value: number): void {
    this.#values[this.#head] = value
  }

  shift(): number {
    const value = this.#values[this.#head]!
    this.#head = (this.#head + 1) & (this.#values.length - 1)
    this.length--
    return value
  }

  clear(): void {
    this.#head = 0
    this.length = 0
  }

  /** The length stays a power of two, so that a mask wraps the index. */
  #grow(): void {
    const values = new Float64Array(this.#values.length * 2)
    for (let i = 0; i < this.length; i++) values[i] = this.at(i)
    this.#values = values
    this.#head = 0
  }
}
