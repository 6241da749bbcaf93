import type { MessageStream, Stream, StreamMuxer, StreamMuxerFactory } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'

/** A yamux header: version, type, flags (2), stream ID (4), length (4); yamux specification, "Framing". */
const HEADER_BYTES = 12
const TYPE_DATA = 0

/** The parts of libp2p's AbstractStreamMuxer that the guard stands in front of. */
interface GuardedMuxer extends StreamMuxer {
  onData: (data: Uint8Array | Uint8ArrayList) => void
  onRemoteStream: (stream: Stream) => void
}

export interface MuxerGuardInit {
  /** Largest Data frame, in bytes: no honest peer can send more than the window it was given. */
  maxDataBytes: number
  /** The remote opened a stream; nothing of it has been read. `connection` is the encrypted connection below. */
  stream: (stream: Stream, connection: MessageStream) => void
}

/**
 * Puts a guard in front of a muxer: yamux keeps a whole Data frame in memory before it compares its length with the
 * window it gave, so the length is checked here, when the header arrives. A violation ends the connection the way
 * every other muxer fault does.
 */
export function guardMuxer(factory: StreamMuxerFactory, init: MuxerGuardInit): StreamMuxerFactory {
  const createStreamMuxer = factory.createStreamMuxer.bind(factory)
  factory.createStreamMuxer = connection => {
    const muxer = createStreamMuxer(connection) as GuardedMuxer
    const onData = muxer.onData.bind(muxer)
    const onRemoteStream = muxer.onRemoteStream.bind(muxer)
    const headers = new HeaderScanner(init.maxDataBytes)
    muxer.onData = data => {
      headers.scan(data)
      onData(data)
    }
    muxer.onRemoteStream = stream => {
      init.stream(stream, connection)
      onRemoteStream(stream)
    }
    return muxer
  }
  return factory
}

/** Follows the frames of a yamux connection by their headers alone. */
export class HeaderScanner {
  readonly #maxDataBytes: number
  /** Header bytes collected; those that matter are the type and the length. */
  #collected = 0
  #type = 0
  #length = 0
  /** Bytes of the current Data frame's body that are still to come. */
  #body = 0

  constructor(maxDataBytes: number) {
    this.#maxDataBytes = maxDataBytes
  }

  /** Follows the next bytes. @throws Error when a Data frame is announced that is too long */
  scan(data: Uint8Array | Uint8ArrayList): void {
    for (const part of data instanceof Uint8Array ? [data] : data) this.#scanPart(part)
  }

  #scanPart(part: Uint8Array): void {
    let at = 0
    while (at < part.length) {
      const skipped = Math.min(this.#body, part.length - at)
      this.#body -= skipped
      at += skipped
      while (at < part.length && this.#body === 0) this.#headerByte(part[at++]!)
    }
  }

  #headerByte(byte: number): void {
    const index = this.#collected++
    if (index === 1) this.#type = byte
    else if (index >= 8) this.#length = this.#length * 256 + byte
    if (this.#collected < HEADER_BYTES) return
    const length = this.#length
    this.#collected = 0
    this.#length = 0
    if (this.#type !== TYPE_DATA) return
    if (length > this.#maxDataBytes) throw new Error(`a muxer frame of ${length} bytes, beyond any window`)
    this.#body = length
  }
}
