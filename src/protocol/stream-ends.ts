import type { Stream } from '@libp2p/interface'
import type { Clock } from '../clock.ts'

/**
 * Calls `ended` once, behind everything that came before or with the remote's end of the stream, and behind the close of
 * the stream if that is what ended it: if the stream has not closed by then, the end was orderly.
 *
 * Relied on: libp2p tells `end` in the same turn, without a microtask between, as the data of the muxer frame that carries
 * it, in either order, and as the `close` of a reset stream or a lost connection. While the stream is paused, libp2p
 * itself holds `end` back behind the data that it keeps. If the end came before anybody listened it is not told again;
 * what came before it is dispatched from a microtask that the listener for `message` has queued, so that one is to be
 * added first.
 */
export function onRemoteEnd(stream: Stream, ended: () => void): void {
  const tell = (): void => queueMicrotask(ended)
  if (stream.readableEnded) tell()
  else stream.addEventListener('end', tell)
}

/**
 * Ends this side of a stream behind all that was written on it, and resets the stream when that has not left in so many
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
