import type { Cancel, Clock } from '../clock.ts'

export interface OverdueInit {
  clock: Clock
  /** How long a peer that is heard has to answer after all, in milliseconds. */
  graceMs: number
  /** Calls the action once when the peer is next heard on the connection that carries the messages, if it is. */
  whenHeard: (action: () => void) => Cancel
  /** A message stays unanswered, though the peer is there. Called once for each. */
  unanswered: () => void
}

/**
 * The messages that were not answered in time, until it is known whether that is the peer's doing. Silence is not: the
 * line may be dead, or the machine at its end paused, and the connection ends by that alone. But a peer that is heard
 * after the deadline, and does not answer in as long again, does not mean to. Then each message counts, once.
 */
export class Overdue {
  readonly #init: OverdueInit
  /** The oldest, which have been counted; those that may still be answered by a peer that is there; and the others. */
  #counted = 0
  #due = 0
  #fresh = 0
  /** Ends what is waited for: to hear the peer, or for its answer. */
  #cancel: Cancel | undefined

  constructor(init: OverdueInit) {
    this.#init = init
  }

  get length(): number {
    return this.#counted + this.#due + this.#fresh
  }

  /** Messages that have been counted. */
  get counted(): number {
    return this.#counted
  }

  /** One more message has run out of time. */
  add(): void {
    this.#fresh++
    this.#listen()
  }

  /** The `count` oldest have been answered after all; there must be so many. */
  answered(count: number): void {
    const counted = Math.min(count, this.#counted)
    const due = Math.min(count - counted, this.#due)
    this.#counted -= counted
    this.#due -= due
    this.#fresh -= count - counted - due
    if (this.#due + this.#fresh === 0) this.#stop()
  }

  /** Nothing can be answered any more. */
  clear(): void {
    this.#counted = this.#due = this.#fresh = 0
    this.#stop()
  }

  #listen(): void {
    const { clock, graceMs, whenHeard } = this.#init
    this.#cancel ??= whenHeard(() => {
      this.#due = this.#fresh
      this.#fresh = 0
      this.#cancel = clock.after(graceMs, () => this.#count())
    })
  }

  #count(): void {
    const count = this.#due
    this.#counted += count
    this.#due = 0
    this.#cancel = undefined
    // A report may end everything here: `clear` has been called then, and the count above is gone.
    for (let i = 0; i < count; i++) this.#init.unanswered()
    if (this.#fresh > 0) this.#listen()
  }

  #stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}
