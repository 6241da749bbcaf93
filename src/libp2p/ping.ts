import type { Stream } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { ReadPause } from '../protocol/index.ts'

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
  /** A peer that does not read its answers is not read either. */
  const pause = new ReadPause(stream)
  stream.addEventListener('message', ({ data }) => {
    held.append(data)
    const whole = held.byteLength - (held.byteLength % PING_BYTES)
    for (let at = 0; at < whole; at += PING_BYTES) if (!count()) return
    if (whole > 0 && !answer(stream, held.subarray(0, whole))) pause.begin()
    held.consume(whole)
  })
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
