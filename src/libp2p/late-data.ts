import type { Stream } from '@libp2p/interface'

/** The parts of libp2p's yamux stream that are used here. */
interface YamuxStream extends Stream {
  streamId: number
  recvWindowCapacity: number
}

/**
 * What may still come for streams that this side has reset: an honest peer has sent it before it could know, as much as
 * its window allowed, in frames of whatever size.
 */
export class LateData {
  readonly #maxStreams: number
  /** Bytes by stream; who was reset first comes first. */
  readonly #unused = new Map<number, number>()

  /** Remembers so many streams. */
  constructor(maxStreams: number) {
    this.#maxStreams = maxStreams
  }

  /** Remembers the stream when this side resets it. */
  watch(stream: Stream): void {
    const { streamId } = stream as YamuxStream
    stream.addEventListener('close', ({ error, local }) => {
      if (error === undefined || local !== true) return
      this.#unused.delete(streamId)
      this.#unused.set(streamId, (stream as YamuxStream).recvWindowCapacity)
      if (this.#unused.size > this.#maxStreams) this.#unused.delete(this.#unused.keys().next().value!)
    })
  }

  /** Whether so many bytes for a stream that is gone may have been under way; they cannot come twice. */
  take(streamId: number, bytes: number): boolean {
    const unused = this.#unused.get(streamId) ?? 0
    if (bytes === 0 || bytes > unused) return false
    this.#unused.set(streamId, unused - bytes)
    return true
  }
}
