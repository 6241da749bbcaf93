import type { MessageStream, Stream, StreamMuxer, StreamMuxerFactory } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'
import { AbuseError } from './conduct.ts'
import type { Conduct } from './conduct.ts'
import { handOver } from './hand-over.ts'
import { LateData } from './late-data.ts'
import { Flag, Type } from './muxer-header.ts'
import { readInTurns } from './muxer-turns.ts'
import type { MuxerTurnsInit } from './muxer-turns.ts'
import { OpeningStream } from './opening-stream.ts'
import { SmallFrames } from './small-frames.ts'
import { tuneStream } from './tuning.ts'
import { Unsent } from './unsent.ts'

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

/** The parts of the yamux stream that are used here. */
interface YamuxStream extends Stream {
  streamId: number
  handleData: (frame: Frame) => void
  handleWindowUpdate: (frame: Frame) => void
}

/** The parts of libp2p's AbstractStreamMuxer and of the yamux muxer that the guard stands in front of. */
interface GuardedMuxer extends StreamMuxer {
  onData: (data: Uint8Array | Uint8ArrayList) => void
  onRemoteStream: (stream: Stream) => void
  onCreateStream: (options: unknown) => Stream
  handleFrame: (frame: Frame) => void
  handleStreamMessage: (frame: Frame) => void
  sendFrame: (header: Header, data?: Uint8ArrayList) => boolean
}

/** A stream that is open. */
interface Known {
  readonly stream: YamuxStream
  /** The remote has ended its writing on it. */
  ended: boolean
  /** It is one of the remote's. */
  opening?: OpeningStream
  readonly small: SmallFrames
}

/** What comes of a stream that the remote has opened for its messages. */
export interface StreamUse {
  /** It has carried a message, or some. */
  served: () => void
  /** It is at an end over a message that is too large. */
  wasted: () => void
}

/** What comes of any stream that the remote has opened. */
export interface StreamUses extends StreamUse {
  /** Its protocol is agreed on, and its bytes are read from now on. */
  taken: () => void
  /** It has carried a ping; false when there have been too many, which ends the connection. */
  pinged: () => boolean
}

export interface MuxerGuardInit extends MuxerTurnsInit {
  /** Streams that the remote may have open at once. */
  maxStreams: number
  /** Messages, in bytes, that may be in flight to the remote. */
  maxInFlightBytes: number
  /** The account of the peer at the other end of an encrypted connection. */
  conductOf: (connection: MessageStream) => Conduct
  /**
   * A stream was opened, by either side; nothing of it has been read. `connection` is the encrypted one below, `refused`
   * is to be called for each superfluous line of its negotiation. Returns what tells whether our protocol has been named
   * on it.
   */
  stream: (stream: Stream, connection: MessageStream, refused: () => void) => () => boolean
  /** The remote opened this stream. */
  remoteStream: (stream: Stream, uses: StreamUses) => void
  /** The remote will take no more streams. Called once. */
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
    readInTurns(muxer, connection, init)
    guardStreams(muxer, connection, init)
    return muxer
  }
  return factory
}

function guardStreams(muxer: GuardedMuxer, connection: MessageStream, init: MuxerGuardInit): void {
  const { maxStreams, maxInFlightBytes, conductOf, stream: opened, remoteStream, goneAway } = init
  const onRemoteStream = muxer.onRemoteStream.bind(muxer)
  const onCreateStream = muxer.onCreateStream.bind(muxer)
  const handleAny = muxer.handleFrame.bind(muxer)
  // Upstream's way to the frames of streams, without the description for logs that it makes of each frame, and without
  // a look at all streams for each.
  const handleFrame = (frame: Frame): void => {
    const { type, flag, streamID } = frame.header
    if (streamID === 0 || type > Type.windowUpdate) handleAny(frame)
    else if ((flag & Flag.syn) > 0) muxer.handleStreamMessage(frame)
    else if (type === Type.data) open.get(streamID)?.stream.handleData(frame)
    else open.get(streamID)?.stream.handleWindowUpdate(frame)
  }
  const sendFrame = muxer.sendFrame.bind(muxer)
  const conduct = conductOf(connection)
  const unsent = new Unsent(connection, maxInFlightBytes)
  const open = new Map<number, Known>()
  const know = (stream: Stream, carriesAcks: () => boolean): Known => {
    const small = new SmallFrames(conduct, carriesAcks)
    const known: Known = { stream: stream as YamuxStream, ended: false, small }
    const { streamId } = known.stream
    open.set(streamId, known)
    stream.addEventListener('close', () => open.delete(streamId))
    return known
  }
  const refused = (): void => conduct.refusedLine()
  const late = new LateData(maxStreams)
  const isLate = ({ type, flag, streamID, length }: Header, known: boolean): boolean =>
    type === Type.data && (flag & Flag.syn) === 0 && !known && late.take(streamID, length)
  let remoteStreams = 0
  let isFirst = true
  let hasSaidGoodbye = false
  /** Counts what is noticed where nobody catches: above the muxer, in listeners. */
  const isAllowed = (count: () => void): boolean => {
    try {
      count()
      return true
    } catch (err) {
      connection.abort(err as Error)
      return false
    }
  }

  muxer.onCreateStream = options => {
    const stream = onCreateStream(options)
    let named = (): boolean => false
    know(stream, () => named())
    handOver(stream)
    tuneStream(stream)
    late.watch(stream)
    named = opened(stream, connection, refused)
    return stream
  }
  muxer.onRemoteStream = stream => {
    // By its first stream a peer comes in, and connections have an allowance of their own (runtime/peers.ts): whoever
    // has used up that for streams can still come again and behave.
    const counts = !isFirst
    isFirst = false
    if (counts) conduct.opened()
    const known = know(stream, () => false)
    handOver(stream)
    tuneStream(stream)
    late.watch(stream)
    remoteStreams++
    stream.addEventListener('close', () => remoteStreams--)
    let named = (): boolean => false
    const opening = new OpeningStream(stream, conduct, () => named())
    known.opening = opening
    named = opened(stream, connection, refused)
    let isOfUse = false
    remoteStream(stream, {
      taken: () => opening.taken(),
      served: () => {
        known.small.settle()
        if (counts && !isOfUse) conduct.served()
        isOfUse = true
      },
      wasted: () => {
        if (counts && isOfUse) isAllowed(() => conduct.wasted())
      },
      pinged: () => isAllowed(() => conduct.ping())
    })
    onRemoteStream(stream)
  }
  muxer.sendFrame = (header, data) => {
    if (header.type === Type.data || (header.flag & Flag.syn) > 0) conduct.answerable()
    try {
      if (sendFrame(header, data)) return true
      if (!unsent.add(data?.byteLength ?? 0)) {
        connection.abort(new AbuseError('does not read, and too much waits to be written'))
      }
      return false
    } catch (err) {
      // The connection has begun to end, or cannot go on: it ends, and its streams with it. Upstream sends from bare
      // microtasks and from listeners, too: thrown there, this would end the thread.
      connection.abort(err as Error)
      return false
    }
  }
  muxer.handleFrame = frame => {
    // What follows a fault in the same piece is for nobody.
    if (muxer.status === 'closed') return
    const { header } = frame
    const { type, flag, streamID, length } = header
    // Upstream would take a frame without a length again and again. There is none, unless a defect loses bytes.
    if (!(length >= 0)) throw new Error('a muxer frame without a length')
    // Upstream ends its streams then, and keeps the connection under them open for as long as the remote likes. One
    // goodbye is enough: while the connection ends, each more is a frame without content.
    if (type === Type.goAway && streamID === 0) {
      if (hasSaidGoodbye) conduct.idleFrame()
      else goneAway(connection)
      hasSaidGoodbye = true
      return
    }
    const stream = streamID > 0 ? open.get(streamID) : undefined
    const known = stream !== undefined
    const over = stream?.ended === true
    // An answer to a ping is one of ours: upstream takes no other.
    if (type === Type.ping) {
      if ((flag & Flag.ack) === 0) conduct.ping()
    } else if (isIdle(header, known, over) && !isLate(header, known)) conduct.idleFrame()
    if (type === Type.data && !over) stream?.small.take(length)
    // What comes behind the end of a stream is for nobody, also when the end is still held back.
    if (over && type === Type.data && (flag & Flag.rst) === 0) return
    if ((flag & Flag.syn) > 0 && streamID > 0 && !known && remoteStreams >= maxStreams) {
      throw new Error(`more than ${maxStreams} streams at once`)
    }
    if (streamID === 0 || (flag & Flag.fin) === 0 || (flag & Flag.rst) > 0) {
      handleFrame(frame)
      return
    }
    // Upstream ends a stream before it hands on the bytes that the same frame brings.
    handleFrame({ ...frame, header: { ...header, flag: flag & ~Flag.fin } })
    const end = (): void =>
      handleFrame({ header: { type: Type.windowUpdate, flag: Flag.fin, streamID, length: 0 } })
    // This frame may have opened it.
    const current = open.get(streamID)
    if (current !== undefined) current.ended = true
    if (current?.opening === undefined) end()
    else current.opening.end(end)
  }
}

/**
 * Whether a frame neither carries bytes nor opens, ends or changes a stream; what comes for no stream, or behind the
 * end of one, is such, too.
 */
function isIdle({ type, flag, length }: Header, known: boolean, over: boolean): boolean {
  const opens = (flag & Flag.syn) > 0 && !known
  const carries = type === Type.data && known && !over && length > 0
  if (opens || carries) return false
  return !known || (flag & (over ? Flag.rst : Flag.fin | Flag.rst)) === 0
}
