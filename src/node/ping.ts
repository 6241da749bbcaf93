import type { Stream } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'

/** libp2p's own ping (libp2p specification, "ping"). */
export const PING_PROTOCOL = '/ipfs/ping/1.0.0'

/** Bytes of one ping; they come back as they are. */
const PING_BYTES = 32

/**
 * Answers pings. No peer needs to serve them, and this module sends none; but default nodes of other implementations
 * send them, and some hang up on who does not answer (docs/decisions/0011).
 *
 * @param count called for each ping; false when there have been too many: then nothing more is answered
 */
export function servePings(stream: Stream, count: () => boolean): void {
  /** Less than one ping, between two calls. */
  const held = new Uint8ArrayList()
  /** Who does not read his answers is not read either. */
  let paused = false
  let resuming = false
  const pause = (): void => {
    paused = true
    // Pausing inside a dispatch that `resume` has begun would be undone by it: `resume` below does it afterwards.
    if (!resuming && stream.readStatus === 'readable') stream.pause()
  }
  const resume = (): void => {
    if (!paused || resuming || stream.writableNeedsDrain || stream.writeBufferLength > 0) return
    paused = false
    if (stream.readStatus !== 'paused') return
    resuming = true
    stream.resume()
    resuming = false
    if (paused) pause()
  }
  stream.addEventListener('message', ({ data }) => {
    held.append(data)
    const whole = held.byteLength - (held.byteLength % PING_BYTES)
    for (let at = 0; at < whole; at += PING_BYTES) if (!count()) return
    if (whole > 0 && !answer(stream, held.subarray(0, whole))) pause()
    held.consume(whole)
  })
  stream.addEventListener('drain', resume)
  // Told in the middle of a write: what is sent in answer would be left lying.
  stream.addEventListener('idle', () => queueMicrotask(resume))
  stream.addEventListener('remoteCloseWrite', () => void stream.close().catch(() => {}))
}

/** Whether the peer takes more. */
function answer(stream: Stream, pings: Uint8Array): boolean {
  try {
    return stream.send(pings)
  } catch {
    // The stream has begun to end, from either side.
    return true
  }
}
