/** What a {@link Heap} holds: it keeps each item's place in the item, to find it again without a search. */
export interface HeapItem {
  position: number
}

/** A binary heap: the item that goes before all others is at hand, every change costs O(log n) comparisons. */
export class Heap<T extends HeapItem> {
  readonly #items: T[] = []
  readonly #before: (a: T, b: T) => boolean

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before
  }

  get size(): number {
    return this.#items.length
  }

  /** The item that goes before all others. */
  get first(): T | undefined {
    return this.#items[0]
  }

  push(item: T): void {
    let position = this.#items.length
    while (position > 0) {
      const above = (position - 1) >> 1
      const parent = this.#items[above]
      if (parent === undefined || !this.#before(item, parent)) break
      this.#put(parent, position)
      position = above
    }
    this.#put(item, position)
  }

  /** Removes the first item. */
  shift(): void {
    const last = this.#items.pop()
    if (last === undefined || this.#items.length === 0) return
    this.#put(last, 0)
    this.sink(last)
  }

  /** Restores the order after `item` has changed so that it goes later than it did. */
  sink(item: T): void {
    let { position } = item
    for (;;) {
      const left = 2 * position + 1
      let next = this.#items[left]
      const right = this.#items[left + 1]
      if (next !== undefined && right !== undefined && this.#before(right, next)) next = right
      if (next === undefined || !this.#before(next, item)) break
      const below = next.position
      this.#put(next, position)
      position = below
    }
    this.#put(item, position)
  }

  #put(item: T, position: number): void {
    this.#items[position] = item
    item.position = position
  }
}
