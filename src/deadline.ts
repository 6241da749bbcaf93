import type { Cancel, Clock } from './clock.ts'

/** A signal that ends what takes too long. */
export interface Deadline {
  readonly signal: AbortSignal
  /** What it was for is done: the signal never aborts, and nothing holds it any more. To be called in every case. */
  clear: Cancel
}

/**
 * Begins a deadline on the runtime's clock. `AbortSignal.timeout` lives until its time is over, with all that has listened
 * to it, however early that was done: a stream a message held each of them for half a minute.
 */
export function deadline(clock: Clock, ms: number): Deadline {
  const controller = new AbortController()
  const clear = clock.after(ms, () => {
    controller.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'))
  })
  return { signal: controller.signal, clear }
}
