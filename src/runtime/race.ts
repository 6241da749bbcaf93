import type { Clock } from '../clock.ts'
import { ATTEMPT_DELAY_MS } from './limits.ts'

export interface RaceInit<A, C> {
  clock: Clock
  /** Ends the race: its reason is thrown. */
  signal: AbortSignal
  /** The next address, if one is known; more may become known while others are tried. */
  next: () => A | undefined
  /** Rejects when its signal aborts. */
  connect: (address: A, signal: AbortSignal) => Promise<C>
  /** An attempt has failed by itself. */
  failed: (address: A, err: unknown) => void
  /** A connection that came to be although its attempt had been cancelled. */
  discard: (connection: C) => void
}

export interface Won<A, C> {
  address: A
  connection: C
  /** Whose attempts were cancelled for it, in the order in which they began: nothing bad is known of them. */
  cancelled: A[]
}

/**
 * Connects to the first of several addresses that answers. The next attempt begins when the last one has failed, or has
 * been alone for `ATTEMPT_DELAY_MS`; the first connection cancels all other attempts. Undefined when every address that
 * was known has failed.
 */
export async function race<A, C>(init: RaceInit<A, C>): Promise<Won<A, C> | undefined> {
  const { clock, signal, next, connect, failed, discard } = init
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    const attempts = new Map<A, AbortController>()
    let cancelTick = (): void => {}
    let over = false

    const end = (): void => {
      over = true
      cancelTick()
      signal.removeEventListener('abort', abort)
      for (const attempt of attempts.values()) attempt.abort()
    }
    const abort = (): void => {
      end()
      reject(signal.reason as Error)
    }
    const begin = async (address: A): Promise<void> => {
      const attempt = new AbortController()
      attempts.set(address, attempt)
      try {
        const connection = await connect(address, attempt.signal)
        if (over) {
          discard(connection)
          return
        }
        attempts.delete(address)
        const cancelled = [...attempts.keys()]
        end()
        resolve({ address, connection, cancelled })
      } catch (err) {
        if (over) return
        attempts.delete(address)
        failed(address, err)
        step()
      }
    }
    const step = (): void => {
      cancelTick()
      const address = next()
      if (address !== undefined) void begin(address)
      else if (attempts.size === 0) {
        end()
        resolve(undefined)
        return
      }
      cancelTick = clock.after(ATTEMPT_DELAY_MS, step)
    }
    signal.addEventListener('abort', abort, { once: true })
    step()
  })
}
