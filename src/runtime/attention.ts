import type { Clock } from '../clock.ts'

/** What comes sooner than this after the work before, in milliseconds, is waited for awake. */
const AWAKE_MS = 0.3
/** So many times in a row it must have come so soon: a message and its ack now and then are no reason to stay awake. */
const MIN_STREAK = 4

export interface AttentionInit {
  clock: Clock
  /**
   * Takes what the application has handed over; true when something may be left. `again`: this will be called again in
   * the next turn of the event loop, so nobody need ring.
   */
  look: (again: boolean) => boolean
}

/**
 * Decides when the thread looks at what the application has handed over: when it is rung for, while something is left,
 * and, if work has been coming without a pause, turn by turn for a moment longer. To sleep and be woken takes longer
 * than most answers take to come (docs/decisions/0013).
 */
export class Attention {
  readonly #init: AttentionInit
  #workedAt = -Infinity
  #streak = 0
  #lookingAgain = false

  constructor(init: AttentionInit) {
    this.#init = init
  }

  /** Somebody has rung. */
  rung(): void {
    // The next turn's look is arranged for: doorbells in between add nothing to it.
    if (!this.#lookingAgain) this.#look()
  }

  /** The thread has had something to do. */
  worked(): void {
    const now = this.#init.clock.now()
    this.#streak = now - this.#workedAt < AWAKE_MS ? this.#streak + 1 : 0
    this.#workedAt = now
    if (this.#streak >= MIN_STREAK) this.#lookAgain()
  }

  #look(): void {
    const awake = this.#streak >= MIN_STREAK && this.#init.clock.now() - this.#workedAt < AWAKE_MS
    // Asleep, it looks once more after having said so: what is handed over behind that is rung for.
    if (this.#init.look(awake) || awake) this.#lookAgain()
  }

  #lookAgain(): void {
    if (this.#lookingAgain) return
    this.#lookingAgain = true
    setImmediate(() => {
      this.#lookingAgain = false
      this.#look()
    })
  }
}
