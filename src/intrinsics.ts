/**
 * What the application's thread knows of time and turns, taken when this module is imported. Test runners and others
 * replace the global functions, also after that and before it; a clock that stands still, or a job that is never run,
 * would end in a call that never returns. What runs on the application's thread takes them from here.
 */
import { performance } from 'node:perf_hooks'
// Modules, not globals, and the prototype's method: what was replaced before is not taken either.
import { clearTimeout, setImmediate, setTimeout } from 'node:timers'

export { clearTimeout, setImmediate, setTimeout }

const clock = Object.getPrototypeOf(performance) as typeof performance

/** Milliseconds since some moment; never goes back. */
export const now: () => number = clock.now.bind(performance)

const done = Promise.resolve()

/** Runs `job` as soon as what runs now is over, without a turn of the event loop. */
export function soon(job: () => void): void {
  void done.then(job)
}
