/** A monotonic clock and its timers, passed in wherever time matters, so that tests can own it. */
export interface Clock {
  /** Milliseconds since some moment; never goes back. */
  now: () => number
  /** Calls `action` once after `ms` milliseconds; returns what cancels it. */
  after: (ms: number, action: () => void) => Cancel
}

/** Cancels; harmless when there is nothing left to cancel. */
export type Cancel = () => void

/**
 * The process's own clock. An action runs only after the event loop has also looked at its sockets: when this thread
 * was busy for long, what a peer sent meanwhile is read before it is charged for not having sent it.
 */
export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, action) => {
    let immediate: NodeJS.Immediate | undefined
    const timer = setTimeout(() => {
      immediate = setImmediate(action)
    }, ms)
    return () => {
      clearTimeout(timer)
      clearImmediate(immediate)
    }
  }
}
