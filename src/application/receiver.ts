import { P2pError, shown } from '../errors.ts'
import { now, setImmediate } from '../intrinsics.ts'
import { hasEnded } from '../bridge/index.ts'
import type { ControlBlock } from '../bridge/index.ts'
import { MAX_RUN_MS, WAIT_SLICE_MS } from './limits.ts'

/**
 * A channel from the network to the application. One buffer, read in whichever way suits the moment: without waiting,
 * blocking the thread, or awaiting on the event loop.
 */
export interface Receiver<T> extends AsyncIterable<T> {
  /** The next event, or undefined. Never blocks, and works with no turn of the event loop in between. */
  tryRecv: () => T | undefined
  /**
   * The next event; blocks this thread until there is one. Waiting uses no CPU. Blocked with the thread is its event loop: in
   * a program that does nothing else no timer fires and no handler of a signal runs, also after `recv` has returned, until
   * the event loop has a turn (`await setImmediate()` of `node:timers/promises`). The README shows the loop.
   *
   * @param timeoutMs at most so many milliseconds, 0 or more; omitted: without limit
   * @returns undefined when the time is over, or the channel is closed and empty
   * @throws P2pError ERR_INVALID_OPTION
   */
  recv: (timeoutMs?: number) => T | undefined
  /**
   * The next event, awaited on the event loop; undefined when the channel is closed and empty. While somebody awaits,
   * the process is kept alive; otherwise the module never keeps it alive. However many events there are, the event loop
   * has a turn after 5 ms of them, so that timers, sockets and signals get theirs; so it is with `for await`.
   *
   * @throws the signal's reason when it aborts; P2pError ERR_INVALID_OPTION
   */
  recvAsync: (options?: RecvOptions) => Promise<T | undefined>
  /** All events that are there, at most `max` (a whole number, 0 or more). */
  drain: (max?: number) => T[]
  /** Events that can be read now. */
  readonly length: number
  /** The runtime has ended; what is buffered can still be read. */
  readonly closed: boolean
}

/** How to await a channel. */
export interface RecvOptions {
  /** Ends the wait when it aborts. */
  signal?: AbortSignal | undefined
}

/** Where a channel's events come from. */
export interface EventSource<T> {
  /** The next event that has arrived, if any. */
  take: () => T | undefined
  /** Events that `take` would return one after the other. */
  readonly length: number
}

/** What a channel needs of the thread it lives on. */
export interface ReceiverInit<T> {
  control: ControlBlock
  source: EventSource<T>
  /** Words of the control block: see `Word`. */
  signal: number
  armed: number
  /** Called whenever a caller finds nothing, and at least once a second while one blocks; may find the runtime dead. */
  assertAlive: () => void
  /** Called before an event is read. */
  beforeRead?: (() => void) | undefined
  /** Somebody begins (+1) or ceases (−1) to await events on the event loop. */
  waiting: (change: 1 | -1) => void
}

interface Waiter<T> {
  resolve: (event: T | undefined) => void
  forget: () => void
}

/** A receiver that the runtime's doorbells wake through `pump`. */
export class ReceiverChannel<T> implements Receiver<T> {
  readonly #init: ReceiverInit<T>
  readonly #waiters = new Set<Waiter<T>>()
  /** Since when events have been handed out to callers who await, without a turn of the event loop. */
  #runSince: number | undefined

  constructor(init: ReceiverInit<T>) {
    this.#init = init
  }

  get length(): number {
    return this.#init.source.length
  }

  get closed(): boolean {
    return hasEnded(this.#init.control)
  }

  tryRecv(): T | undefined {
    this.#init.beforeRead?.()
    const event = this.#init.source.take()
    if (event === undefined) this.#init.assertAlive()
    return event
  }

  recv(timeoutMs: number = Infinity): T | undefined {
    if (typeof timeoutMs !== 'number' || !(timeoutMs >= 0)) {
      throw new P2pError(
        'ERR_INVALID_OPTION',
        `timeoutMs is ${shown(timeoutMs)}, wanted a number of 0 or more`
      )
    }
    const { control, signal, source, assertAlive, beforeRead } = this.#init
    let deadline = Infinity
    for (;;) {
      beforeRead?.()
      const seen = Atomics.load(control, signal)
      const event = source.take()
      if (event !== undefined) return event
      // The end is published after the last event: look once more when it is seen.
      if (this.closed) return source.take()
      assertAlive()
      const time = now()
      if (deadline === Infinity) deadline = time + timeoutMs
      const left = deadline - time
      if (left <= 0) return undefined
      if (!this.closed) Atomics.wait(control, signal, seen, Math.min(left, WAIT_SLICE_MS))
    }
  }

  async recvAsync(options: RecvOptions = {}): Promise<T | undefined> {
    const signal = signalOf(options)
    signal?.throwIfAborted()
    const isDue = this.#isTurnDue()
    if (this.#waiters.size === 0 && !isDue) {
      const event = this.#init.source.take()
      if (event !== undefined) {
        this.#noteRun()
        return event
      }
      if (this.closed) return this.#init.source.take()
    }
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        waiter.forget()
        reject(signal?.reason as Error)
      }
      const waiter: Waiter<T> = {
        resolve,
        forget: () => {
          signal?.removeEventListener('abort', abort)
          if (this.#waiters.delete(waiter)) this.#init.waiting(-1)
        }
      }
      signal?.addEventListener('abort', abort)
      this.#waiters.add(waiter)
      this.#init.waiting(1)
      if (isDue) setImmediate(() => this.pump())
      else this.pump()
    })
  }

  /**
   * Whether the event loop must turn before the next event is handed out to one who awaits: what is there already is
   * awaited without a turn, and for as long as more comes nothing else would run.
   */
  #isTurnDue(): boolean {
    return this.#runSince !== undefined && now() - this.#runSince >= MAX_RUN_MS
  }

  #noteRun(): void {
    if (this.#runSince !== undefined) return
    this.#runSince = now()
    setImmediate(() => (this.#runSince = undefined)).unref()
  }

  drain(max: number = Infinity): T[] {
    if (max !== Infinity && (!Number.isInteger(max) || max < 0)) {
      throw new P2pError('ERR_INVALID_OPTION', `max is ${shown(max)}, wanted a whole number of 0 or more`)
    }
    // No more than there is now: a flood must not keep this from returning.
    const most = Math.min(max, Math.max(this.length, 1))
    const events: T[] = []
    while (events.length < most) {
      const event = this.tryRecv()
      if (event === undefined) break
      events.push(event)
    }
    return events
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const event = await this.recvAsync()
      if (event === undefined) return
      yield event
    }
  }

  /** Gives waiting callers what has arrived; asks for a doorbell if somebody still waits afterwards. */
  pump(): void {
    const { control, armed, source } = this.#init
    while (this.#waiters.size > 0) {
      // Asking for the doorbell before looking leaves no gap in which an event could go unnoticed.
      Atomics.store(control, armed, 1)
      const ended = this.closed
      const event = source.take()
      if (event === undefined && !ended) return
      for (const waiter of this.#waiters) {
        waiter.forget()
        waiter.resolve(event)
        break
      }
    }
    Atomics.store(control, armed, 0)
  }
}

function signalOf(options: unknown): AbortSignal | undefined {
  if (typeof options !== 'object' || options === null) {
    throw new P2pError('ERR_INVALID_OPTION', `options is ${shown(options)}, wanted { signal? }`)
  }
  const { signal } = options as { signal?: unknown }
  if (signal === undefined || signal instanceof AbortSignal) return signal
  throw new P2pError('ERR_INVALID_OPTION', `signal is ${shown(signal)}, wanted an AbortSignal`)
}
