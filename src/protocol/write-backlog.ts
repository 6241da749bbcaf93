import type { Stream } from '@libp2p/interface'

/*
 * The write backlog of a stream: how many of the bytes that were last written on it have not left this side. It lies in the
 * stream, and below it in the connection, where the bytes of all streams stand together. So it is known between bounds, and
 * each use takes the one that errs on its safe side:
 *
 *   at least  what the stream holds (`bytesInStream`): an ack for it is a lie
 *   at most   with all that the connection holds and has not encrypted (`OutboxInit.backlog`): its memory is not used again
 */

/** Bytes last written on a stream that certainly have not left: they lie in the stream itself. */
export function bytesInStream(stream: Stream): number {
  return stream.writeBufferLength
}

/** The stream has passed on all that was written, and takes more. Room for a few bytes is no reason to go on. */
export function allHasLeft(stream: Stream): boolean {
  return bytesInStream(stream) === 0 && !stream.writableNeedsDrain
}
