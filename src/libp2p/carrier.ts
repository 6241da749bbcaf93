import type { MessageStream, Stream } from '@libp2p/interface'

/** The encrypted connection below each stream. */
const below = new WeakMap<Stream, MessageStream>()

/** A muxer has made a stream on an encrypted connection. */
export function carriedBy(stream: Stream, connection: MessageStream): void {
  below.set(stream, connection)
}

/**
 * Bytes sent to a stream that may not be encrypted yet, so that their memory is still looked at. They are the last ones
 * sent. What other streams of the connection have waiting counts as well: it is not told apart there.
 */
export function unsentBytes(stream: Stream): number {
  return stream.writeBufferLength + (below.get(stream)?.writeBufferLength ?? Infinity)
}
