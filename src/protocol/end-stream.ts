import type { Stream } from '@libp2p/interface'
import type { Clock } from '../clock.ts'

/**
 * Closes a stream for writing when all that was written on it has left, and resets it when that takes longer than so many
 * milliseconds. Done when either has happened, or the stream is gone.
 */
export async function endStream(stream: Stream, clock: Clock, ms: number): Promise<void> {
  const cancel = clock.after(ms, () => stream.abort(new Error('what was written did not leave in time')))
  try {
    await stream.close()
  } catch (err) {
    stream.abort(err as Error)
  } finally {
    cancel()
  }
}
