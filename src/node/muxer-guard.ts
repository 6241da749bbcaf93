import type { MessageStream, Stream, StreamMuxer, StreamMuxerFactory } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'
import type { Clock } from '../clock.ts'
import { Conduct } from './conduct.ts'
import { tuneStream } from './tuning.ts'

/** A yamux header: version, type, flags (2), stream ID (4), length (4); yamux specification, "Framing". */
const HEADER_BYTES = 12
const Type = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const
const Flag = { syn: 1, ack: 2, fin: 4, rst: 8 } as const

interface Header {
  type: number
  flag: number
  streamID: number
  length: number
}

interface Frame {
  header: Header
  data?: Uint8ArrayList
}

type ReadStream = Stream & { onData: (data: Uint8Array | Uint8ArrayList) => void }

/** The parts of libp2p's AbstractStreamMuxer and of the yamux muxer that the guard stands in front of. */
interface GuardedMuxer extends StreamMuxer {
  streams: Array<Stream & { streamId: number }>
  onData: (data: Uint8Array | Uint8ArrayList) => void
  onRemoteStream: (stream: Stream) => void
  onCreateStream: (options: unknown) => Stream
  handleFrame: (frame: Frame) => void
  sendFrame: (header: Header, data?: Uint8ArrayList) => boolean
}

/** What becomes of a stream that the remote has opened. */
export interface StreamUses {
  /** Its protocol is agreed on, and its bytes are read from now on. */
  taken: () => void
  /** It has carried a message. */
  served: () => void
}

export interface MuxerGuardInit {
  /** Largest Data frame, in bytes: no honest peer can send more than the window it was given. */
  maxDataBytes: number
  /** Streams that the remote may have open at once. */
  maxStreams: number
  clock: Clock
  /** A stream was opened, by either side; nothing of it has been read. `connection` is the encrypted one below. */
  stream: (stream: Stream, connection: MessageStream) => void
  /** The remote opened this stream. */
  remoteStream: (stream: Stream, uses: StreamUses) => void
  /** The remote will take no more streams. */
  goneAway: (connection: MessageStream) => void
}

/**
 * Puts a guard in front of a muxer. Yamux keeps a whole Data frame in memory before it compares its length with the
 * window it gave, so the length is checked here, when the header arrives. It answers whatever it is asked, so what
 * moves no message is counted. A violation ends the connection the way every other muxer fault does.
 */
export function guardMuxer(factory: StreamMuxerFactory, init: MuxerGuardInit): StreamMuxerFactory {
  const createStreamMuxer = factory.createStreamMuxer.bind(factory)
  factory.createStreamMuxer = connection => {
    const muxer = createStreamMuxer(connection) as GuardedMuxer
    guardBytes(muxer, init.maxDataBytes)
    guardStreams(muxer, connection, init)
    return muxer
  }
  return factory
}

function guardBytes(muxer: GuardedMuxer, maxDataBytes: number): void {
  const onData = muxer.onData.bind(muxer)
  const headers = new HeaderScanner(maxDataBytes)
  muxer.onData = data => {
    headers.scan(data)
    onData(data)
  }
}

function guardStreams(muxer: GuardedMuxer, connection: MessageStream, init: MuxerGuardInit): void {
  const { maxStreams, clock, stream: opened, remoteStream, goneAway } = init
  const onRemoteStream = muxer.onRemoteStream.bind(muxer)
  const onCreateStream = muxer.onCreateStream.bind(muxer)
  const handleFrame = muxer.handleFrame.bind(muxer)
  const sendFrame = muxer.sendFrame.bind(muxer)
  const conduct = new Conduct(clock)
  let remoteStreams = 0

  muxer.onCreateStream = options => {
    const stream = onCreateStream(options)
    tuneStream(stream)
    opened(stream, connection)
    return stream
  }
  muxer.onRemoteStream = stream => {
    conduct.opened()
    tuneStream(stream)
    remoteStreams++
    stream.addEventListener('close', () => remoteStreams--)
    const taken = countWaiting(stream as ReadStream, conduct)
    opened(stream, connection)
    remoteStream(stream, { taken, served: () => conduct.served() })
    onRemoteStream(stream)
  }
  muxer.sendFrame = (header, data) => {
    if (header.type === Type.data || (header.flag & Flag.syn) > 0) conduct.answerable()
    try {
      return sendFrame(header, data)
    } catch (err) {
      // The connection has begun to end, which ends its streams in a moment. Upstream sends from bare microtasks, too:
      // thrown there, this would end the thread.
      if ((err as Error).name === 'StreamStateError') return false
      throw err
    }
  }
  muxer.handleFrame = frame => {
    // What follows a fault in the same piece is for nobody.
    if (muxer.status === 'closed') return
    const { header } = frame
    const { type, flag, streamID, length } = header
    // Upstream ends its streams then, and keeps the connection under them open for as long as the remote likes.
    if (type === Type.goAway && streamID === 0) {
      goneAway(connection)
      return
    }
    const known = streamID > 0 && muxer.streams.some(stream => stream.streamId === streamID)
    if (type === Type.ping) conduct.ping()
    else if (isIdle(header, known)) conduct.idleFrame()
    if ((flag & Flag.syn) > 0 && streamID > 0 && !known && remoteStreams >= maxStreams) {
      throw new Error(`more than ${maxStreams} streams at once`)
    }
    if (type === Type.data && length > 0 && (flag & Flag.fin) > 0) {
      // Upstream ends the stream before it hands on the last bytes of it.
      handleFrame({ ...frame, header: { ...header, flag: flag & ~Flag.fin } })
      handleFrame({ header: { type: Type.windowUpdate, flag: Flag.fin, streamID, length: 0 } })
      return
    }
    handleFrame(frame)
  }
}

/** Counts what arrives on a stream until the function that this returns is called, or the stream ends. */
function countWaiting(stream: ReadStream, conduct: Conduct): () => void {
  const onData = stream.onData.bind(stream)
  let bytes = 0
  let counting = true
  stream.onData = data => {
    if (counting) {
      bytes += data.byteLength
      conduct.waiting(data.byteLength)
    }
    onData(data)
  }
  const stop = (): void => {
    if (counting) conduct.waiting(-bytes)
    counting = false
  }
  stream.addEventListener('close', stop)
  return stop
}

/** Whether a frame neither carries bytes nor opens, ends or changes a stream; what comes for no stream is such, too. */
function isIdle({ type, flag, length }: Header, known: boolean): boolean {
  const opens = (flag & Flag.syn) > 0 && !known
  const carries = type === Type.data && known && length > 0
  if (opens || carries) return false
  return !known || (flag & (Flag.fin | Flag.rst)) === 0
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
    if (this.#type !== Type.data) return
    if (length > this.#maxDataBytes) throw new Error(`a muxer frame of ${length} bytes, beyond any window`)
    this.#body = length
  }
}
