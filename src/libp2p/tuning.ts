/**
 * What makes the layers of libp2p below our streams cheaper without changing what they say (docs/decisions/0010): each
 * is put in front of one object, as the guards are.
 */
import { Socket } from 'node:net'
import type { Connection, MessageStream, Stream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'
import { MUXER_HEADER_BYTES } from '../protocol/index.ts'
import { markDetachable, detach } from '../memory/index.ts'
import type { Backlog } from './liveness.ts'

/** Plaintext in a full Noise record: 65,535 bytes less the tag (Noise specification, "Message format"). */
const RECORD_PAYLOAD_BYTES = 65_519
/**
 * Largest piece that goes into one Data frame: with the frame's header it fills two Noise records. Upstream
 * fills a frame with all that the window allows; smaller ones let the remote read, and open its window again, while the
 * next is being encrypted.
 */
const MAX_FRAME_BYTES = 2 * RECORD_PAYLOAD_BYTES - MUXER_HEADER_BYTES

/** So little is cheaper copied into one piece than handed to the socket in several. */
const JOINED_BYTES = 4_096

/** The parts of libp2p's TCP connection that are used here. */
interface WritingConnection {
  socket?: unknown
  sendData: (data: Uint8ArrayList) => { sentBytes: number; canSendMore: boolean }
  sendReset: () => void
}

/**
 * Writes what one turn of the event loop has to say with one system call. Upstream makes one for each piece, two for
 * each Noise record, and goes on only when the socket has taken a piece that fills it. What the system has taken may be
 * freed at once.
 */
export function tuneSocket(connection: MessageStream): void {
  const writing = connection as unknown as WritingConnection
  const { socket } = writing
  if (!(socket instanceof Socket)) return
  const uncork = (): void => socket.uncork()
  const write = (data: Uint8ArrayList): boolean => {
    const pieces = [...data]
    const last = pieces.length - 1
    for (let i = 0; i < last; i++) socket.write(pieces[i]!)
    // Called when the system is done with all of them.
    return socket.write(pieces[last]!, err => {
      if (err == null) for (const piece of pieces) detach(piece, 0)
    })
  }
  writing.sendData = data => {
    if (socket.writableCorked === 0) {
      socket.cork()
      process.nextTick(uncork)
    }
    const canSendMore = data.byteLength > JOINED_BYTES ? write(data) : socket.write(data.subarray())
    if (!canSendMore) uncork()
    return { sentBytes: data.byteLength, canSendMore }
  }
  // What was said before a reset goes out before it, as it would have without the cork.
  const sendReset = writing.sendReset.bind(writing)
  writing.sendReset = () => {
    uncork()
    sendReset()
  }
}

/** What the socket of a connection has passed on, and what waits in it. */
export function backlogOf(connection: Connection): Backlog {
  const { maConn } = connection as unknown as { maConn: WritingConnection }
  const { socket } = maConn
  if (!(socket instanceof Socket)) return { taken: 0, waiting: 0 }
  const { bytesWritten, writableLength } = socket
  // Node counts as written what it has been given.
  return { taken: bytesWritten - writableLength, waiting: writableLength }
}

/**
 * Lets what is read from now on be freed when it has been read. Only from the moment on in which every record is opened
 * by `tuneRecords`: upstream opens short ones in the memory they came in, as it does those that came in one read with the
 * end of the handshake.
 */
export function tuneReads(connection: MessageStream): void {
  const { socket } = connection as unknown as WritingConnection
  if (socket instanceof Socket) socket.prependListener('data', markDetachable)
}

/** The parts of libp2p's yamux stream that are used here. */
interface YamuxStream extends Stream {
  maxMessageSize: number
  state: number
  recvWindow: number
  recvWindowCapacity: number
  sendWindowUpdate: () => void
}

/** Used part of a window, of 256 KiB at least, that is worth an update. */
const MIN_UPDATE_BYTES = 16 * 1024

/** `StreamState` of upstream: neither is a flag owed to the remote, nor is the reading paused. */
const ESTABLISHED = 3

/**
 * Bounds the frames that a stream writes, and has it open its window again only when that is worth a frame: upstream
 * answers each frame with a window update, which takes a Noise record of its own, though it brought one small message.
 */
export function tuneStream(stream: Stream): void {
  const yamux = stream as YamuxStream
  let size = yamux.maxMessageSize
  Object.defineProperty(yamux, 'maxMessageSize', {
    get: () => Math.min(size, MAX_FRAME_BYTES),
    set: (bytes: number) => {
      size = bytes
    }
  })
  const sendWindowUpdate = yamux.sendWindowUpdate.bind(yamux)
  yamux.sendWindowUpdate = () => {
    const used = yamux.recvWindow - yamux.recvWindowCapacity
    if (yamux.state !== ESTABLISHED || used >= MIN_UPDATE_BYTES) sendWindowUpdate()
  }
}
